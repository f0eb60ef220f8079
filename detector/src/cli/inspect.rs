//! `detector model inspect`: what an ONNX file is, whether it can be served, and how.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use detector::graph::{GraphError, GraphFile};

use super::inspection::Inspection;

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The ONNX file.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Prints JSON instead of text.
    #[arg(long)]
    json: bool,

    /// Writes the suggested model.toml here; a file that is there already is left alone.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

pub(super) fn inspect(args: &InspectArgs) -> anyhow::Result<()> {
    let file = GraphFile::read(&args.file)?;
    let inspection = Inspection::of(&file);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&inspection)?);
    } else {
        print!("{inspection}");
    }
    if let Err(refusal) = file.facts.admit() {
        let error = GraphError {
            path: file.path,
            refusal: Box::new(refusal),
        };
        return Err(error.into());
    }
    let Some(path) = &args.write else {
        return Ok(());
    };
    let Some(text) = inspection.manifest() else {
        bail!("there is no model.toml to write, as the graph is not recognised");
    };
    write_new(path, text)?;
    eprintln!("written to {}; read it over", path.display());
    Ok(())
}

fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let failed = || format!("cannot write {}", path.display());
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .with_context(failed)?;
    file.write_all(text.as_bytes()).with_context(failed)
}
