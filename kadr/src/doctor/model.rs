//! ONNX Runtime, the models, and whether the default one runs on the device asked for.

use std::{path::PathBuf, time::Instant};

use clap::Args;
use detector::{
    image::RgbImage,
    model::{
        Model as _,
        repository::{ModelReference, Precision, Repository, ResolvedModel},
    },
    onnx::{LoadOptions, OnnxModel, Provider, Runtime, SessionOptions},
};
use pipeline::service::{shutdown::AnyError, shutdown::describe};

use super::finding::Finding;

const RUNTIME: &str = "onnx runtime";
const MODELS: &str = "models";
const MODEL: &str = "model";

/// As a small camera sees it.
const BLANK_SIZE: (u32, u32) = (640, 480);
const GREY: u8 = 128;

/// The same flags as those of the detector.
#[derive(Args, Clone, Debug)]
pub(super) struct ModelArgs {
    /// The folder of models
    #[arg(
        long,
        env = "KADR_MODELS",
        default_value = "models",
        value_name = "DIR"
    )]
    models: PathBuf,

    /// The model for frames that ask for none, as name or name@version
    #[arg(
        long,
        env = "KADR_MODEL",
        default_value = "parts",
        value_name = "MODEL"
    )]
    model: ModelReference,

    /// The form of the weights: fp32 or int8
    #[arg(long, env = "KADR_PRECISION", default_value_t = Precision::Fp32)]
    precision: Precision,

    /// The device: cpu, cuda or cuda:N
    #[arg(long, env = "KADR_PROVIDER", default_value_t = Provider::Cpu)]
    provider: Provider,

    /// The ONNX Runtime library; found by itself after script/setup
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH")]
    onnxruntime: Option<PathBuf>,
}

/// Blocking: loads a model and runs it.
pub(super) fn look(args: &ModelArgs) -> Vec<Finding> {
    let repository = Repository::new(&args.models);
    let of_models = of_models(&repository, args);
    let runtime = match Runtime::load(args.onnxruntime.as_deref()) {
        Ok(runtime) => runtime,
        Err(error) => {
            let unchecked = Finding::warn(MODEL, "not checked, as ONNX Runtime is missing");
            return vec![
                Finding::fail(RUNTIME, describe(&error)),
                of_models,
                unchecked,
            ];
        }
    };
    let of_model = match try_model(&runtime, &repository, args) {
        Ok(text) => Finding::ok(MODEL, text),
        Err(error) => Finding::fail(MODEL, describe(&*error)),
    };
    vec![
        Finding::ok(RUNTIME, library_of(&runtime)),
        of_models,
        of_model,
    ]
}

/// The file that the library's name stands for says the version.
fn library_of(runtime: &Runtime) -> String {
    let library = runtime.library();
    let file = library
        .canonicalize()
        .unwrap_or_else(|_gone| library.into());
    file.display().to_string()
}

fn of_models(repository: &Repository, args: &ModelArgs) -> Finding {
    let listings = match repository.list() {
        Ok(listings) => listings,
        Err(error) => return Finding::fail(MODELS, describe(&error)),
    };
    let folder = args.models.display();
    let (mut good, mut broken) = (Vec::new(), Vec::new());
    for listing in listings {
        let reference = ModelReference {
            name: listing.name,
            version: None,
        };
        let found = repository.resolve(&reference);
        match found.and_then(|found| found.file(Precision::Fp32).map(|_file| found)) {
            Ok(found) => good.push(found.reference().to_string()),
            Err(error) => broken.push(describe(&error)),
        }
    }
    if !broken.is_empty() {
        return Finding::warn(MODELS, broken.join("; "));
    }
    if good.is_empty() {
        return Finding::fail(MODELS, format!("{folder} holds no model"))
            .advise("point --models at a folder of models");
    }
    Finding::ok(MODELS, format!("{folder} holds {}", good.join(", ")))
}

fn try_model(
    runtime: &Runtime,
    repository: &Repository,
    args: &ModelArgs,
) -> Result<String, AnyError> {
    let resolved: ResolvedModel = repository.resolve(&args.model)?;
    let session = SessionOptions {
        provider: args.provider,
        ..SessionOptions::default()
    };
    let options = LoadOptions {
        precision: args.precision,
        session,
    };
    let mut model = OnnxModel::load(runtime, &resolved, &options)?;
    let (width, height) = BLANK_SIZE;
    let pixels = vec![GREY; (width * height * 3) as usize];
    let blank = RgbImage::new(width, height, pixels)?;
    let start = Instant::now();
    model.predict(&[&blank])?;
    let took_ms = start.elapsed().as_millis();
    let (name, precision, provider) = (resolved.reference(), args.precision, args.provider);
    Ok(format!(
        "{name} in {precision} on {provider} took {took_ms} ms for a first, blank picture"
    ))
}
