//! ONNX Runtime, the models, and whether the default one runs on the device asked for.

use std::time::Instant;

use detector::{
    DetectorConfig,
    image::RgbImage,
    model::{
        Model as _,
        repository::{ModelReference, Repository, ResolvedModel},
    },
    onnx::{OnnxModel, Runtime},
};
use pipeline::frame::ModelSelector;
use pipeline::service::{shutdown::AnyError, shutdown::describe};

use super::finding::Finding;

const RUNTIME: &str = "onnx runtime";
const MODELS: &str = "models";
const MODEL: &str = "model";

/// As a small camera sees it.
const BLANK_SIZE: (u32, u32) = (640, 480);
const GREY: u8 = 128;

/// Blocking: loads a model and runs it.
pub(super) fn look(config: &DetectorConfig) -> Vec<Finding> {
    let repository = Repository::new(&config.models);
    let of_models = of_models(&repository, config);
    let runtime = match Runtime::load(config.onnxruntime.as_deref()) {
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
    let of_model = match try_model(&runtime, &repository, config) {
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

fn of_models(repository: &Repository, config: &DetectorConfig) -> Finding {
    let listings = match repository.list() {
        Ok(listings) => listings,
        Err(error) => return Finding::fail(MODELS, describe(&error)),
    };
    let folder = config.models.display();
    let (mut good, mut broken) = (Vec::new(), Vec::new());
    for listing in listings {
        let reference = ModelReference {
            name: listing.name,
            selector: ModelSelector::Default,
        };
        let found = repository.resolve(&reference);
        match found.and_then(|found| {
            found
                .file(found.form(config.load.precision))
                .map(|_file| found)
        }) {
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
    config: &DetectorConfig,
) -> Result<String, AnyError> {
    let reference: ModelReference = config.default_model.to_string().parse()?;
    let resolved: ResolvedModel = repository.resolve(&reference)?;
    let mut model = OnnxModel::load(runtime, &resolved, &config.load)?;
    let (width, height) = BLANK_SIZE;
    let pixels = vec![GREY; (width * height * 3) as usize];
    let blank = RgbImage::new(width, height, pixels)?;
    let start = Instant::now();
    model.predict(&[&blank])?;
    let took_ms = start.elapsed().as_millis();
    let (name, load) = (resolved.reference(), &config.load);
    Ok(format!(
        "{name} in {} on {} took {took_ms} ms for a first, blank picture",
        model.precision(),
        load.session.provider
    ))
}
