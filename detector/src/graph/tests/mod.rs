//! Files made in the tests: good ones are read whole, hostile ones are refused with the reason.

mod encode;
mod facts;
mod hostile;
mod mutated;

use std::io::Write as _;

use super::{GraphError, GraphFile, admitted};
use encode::Model;

/// Writes bytes to a file and asks whether it can be served.
fn admit(bytes: &[u8]) -> Result<GraphFile, GraphError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    admitted(file.path())
}

/// What is read of a model that can be served.
fn served(model: &Model) -> GraphFile {
    admit(&model.encode()).unwrap()
}
