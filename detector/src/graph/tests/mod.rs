//! Files made in the tests: good ones are read whole, hostile ones are refused with the reason.

mod encode;
mod facts;
mod hostile;
mod mutated;

use std::io::Cursor;

use super::{GraphFile, Refusal};
use encode::Model;

/// Whether a file of these bytes can be served.
fn admit(bytes: &[u8]) -> Result<GraphFile, Refusal> {
    let file = GraphFile::parse(Cursor::new(bytes), bytes.len() as u64)?;
    file.facts.admit()?;
    Ok(file)
}

/// What is read of a model that can be served.
fn served(model: &Model) -> GraphFile {
    admit(&model.encode()).unwrap()
}
