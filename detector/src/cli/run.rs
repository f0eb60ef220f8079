//! `detector model run`: one model, of the repository or in a file, on one picture.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, bail};
use clap::Args;
use detector::annotate::Annotator;
use detector::graph::{admitted, suggest};
use detector::jpeg::{DEFAULT_QUALITY, JpegEncoder};
use detector::model::Model as _;
use detector::model::manifest::Manifest;
use detector::model::repository::{
    ModelReference, Precision, Repository, RepositoryError, ResolvedModel,
};
use detector::onnx::{LoadOptions, OnnxModel, Provider, Runtime, SessionOptions};
use pipeline::draw::{DrawWishes, Drawing};

use super::report::Report;
use super::{RepositoryArgs, read_jpeg};

/// Labels made up for a file that does not number its classes: more than any network has.
const UNKNOWN_CLASSES: usize = 1000;

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    repository: RepositoryArgs,

    /// The model: name for the version that serves, name@version or name@alias; or an ONNX file.
    #[arg(value_name = "MODEL|FILE")]
    model: Target,

    /// The picture, a JPEG.
    #[arg(value_name = "IMAGE")]
    image: PathBuf,

    /// Prints JSON, with masks, instead of a table.
    #[arg(long)]
    json: bool,

    /// Writes the annotated picture here, as a JPEG.
    #[arg(short, long, value_name = "FILE", alias = "annotated")]
    output: Option<PathBuf>,

    /// How the annotated picture is drawn, such as no-labels,opacity:30,rest:grey.
    #[arg(long, value_name = "WORDS", default_value = "")]
    draw: DrawWishes,

    /// The model.toml of an ONNX file; without it, the file itself tells how it is read.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,

    /// The form of the weights: fp32, int8 or cut; without it, the one that model.toml serves.
    #[arg(long, env = "KADR_PRECISION")]
    precision: Option<Precision>,

    /// The device: cpu, cuda or cuda:N. CUDA that cannot be had is an error.
    #[arg(long, env = "KADR_PROVIDER", default_value_t = Provider::Cpu)]
    provider: Provider,

    /// Threads the model may use; 0 means one a core.
    #[arg(long, env = "KADR_MODEL_THREADS", default_value_t = 0)]
    threads: usize,

    /// The ONNX Runtime library; found by itself after script/setup.
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH")]
    onnxruntime: Option<PathBuf>,
}

/// What is run: a model of the repository, or a file that need not be in one.
#[derive(Clone, Debug)]
enum Target {
    Model(ModelReference),
    File(PathBuf),
}

impl FromStr for Target {
    type Err = RepositoryError;

    fn from_str(text: &str) -> Result<Self, RepositoryError> {
        let path = Path::new(text);
        let is_onnx = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"));
        if is_onnx || text.contains('/') {
            return Ok(Self::File(path.to_owned()));
        }
        text.parse().map(Self::Model)
    }
}

pub(super) fn run(args: &RunArgs) -> anyhow::Result<()> {
    let mut image = read_jpeg(&args.image)?;
    let resolved = match &args.model {
        Target::File(file) => resolve_file(file, args.manifest.as_deref())?,
        Target::Model(_) if args.manifest.is_some() => {
            bail!(
                "a model of the repository has its model.toml; leave out --manifest, or name a file"
            )
        }
        Target::Model(reference) => Repository::new(&args.repository.models).resolve(reference)?,
    };
    let runtime = Runtime::load(args.onnxruntime.as_deref())?;
    let session = SessionOptions {
        provider: args.provider,
        threads: args.threads,
        ..Default::default()
    };
    let options = LoadOptions {
        precision: args.precision,
        session,
    };
    let mut model = OnnxModel::load(&runtime, &resolved, &options)?;
    let prediction = model
        .predict(&[&image])?
        .pop()
        .context("the model gave no answer for the picture")?;
    let report = Report::new(&model, &image, &prediction);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    if let Some(path) = &args.output {
        let drawing = Drawing::default()
            .with(&model.manifest().draw)
            .with(&args.draw);
        Annotator::default().draw(&mut image, &prediction, drawing);
        let jpeg = JpegEncoder::new(DEFAULT_QUALITY)?.encode(&image)?;
        std::fs::write(path, &jpeg).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// A file as if it were version 1 of a model of its own.
fn resolve_file(file: &Path, manifest: Option<&Path>) -> anyhow::Result<ResolvedModel> {
    let mut manifest = match manifest {
        Some(manifest) => Manifest::read(manifest)?,
        None => recognised(file)?,
    };
    let name = file.file_name().context("a file has a name")?;
    name.to_str()
        .context("the file's name is no UTF-8; rename it")?
        .clone_into(&mut manifest.files.fp32);
    Ok(ResolvedModel {
        manifest,
        version: 1,
        folder: file.parent().unwrap_or(Path::new("")).to_owned(),
    })
}

/// What the file tells of itself, with what is a guess said on the error stream.
fn recognised(file: &Path) -> anyhow::Result<Manifest> {
    let recognition = admitted(file)?.recognise();
    let Some(text) = suggest::manifest_text(&recognition, file, UNKNOWN_CLASSES) else {
        bail!(
            "{} is not recognised: {}; write a model.toml and name it with --manifest",
            file.display(),
            recognition.doubts.join("; ")
        );
    };
    for line in recognition.because {
        eprintln!("taken for: {line}");
    }
    for line in recognition.doubts {
        eprintln!("to check: {line}");
    }
    let path = PathBuf::from(format!("{} (as recognised)", file.display()));
    Ok(Manifest::parse(&text, &path)?)
}
