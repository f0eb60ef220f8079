//! An ONNX file, looked into before anything is loaded: what it is, whether it can be served, and
//! what Kadr takes it for. No engine in here, and no weights are read.
//!
//! - [`GraphFile`]: what the file says of itself; `parse`, `tensor` and `ports` read it, `wire` is
//!   the format below them, and `wiring` is what its operators tell
//! - [`admitted`]: refuses what cannot be served, with the reason; the [`Refusal`]s are all there are
//! - [`recognise`](recognise()): from a signature to a convention
//! - [`suggest`]: the `model.toml` that follows from it

mod admit;
mod element;
mod normalisation;
mod operators;
mod parse;
mod ports;
pub mod recognise;
mod refusal;
pub mod suggest;
mod tensor;
mod wire;
mod wiring;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use crate::model::signature::Signature;
use parse::Reader;
use tensor::Stored;

pub use admit::{admitted, admitted_with};
pub use normalisation::Normalisation;
pub use recognise::{Recognition, recognise};
pub use refusal::{GraphError, Refusal};
pub use wire::WireError;
pub use wiring::Hints;

/// The longest file: protobuf itself ends here.
pub const MAX_FILE_BYTES: u64 = 2 << 30;

/// Operators of all kinds, in the graph and the graphs in it.
pub const MAX_NODES: usize = 200_000;

/// Stored tensors.
pub const MAX_TENSORS: usize = 200_000;

/// Different operators, operator sets and functions.
const MAX_OPERATORS: usize = 4096;

/// Inputs and outputs, weights among the inputs included.
const MAX_PORTS: usize = 100_000;

/// Bytes of one name.
const MAX_NAME_BYTES: u64 = 4096;

/// Dimensions of one tensor.
const MAX_RANK: usize = 32;

/// Notes of the exporter that are kept, and how long one may be: the names of a thousand classes.
const MAX_METADATA: usize = 64;
const MAX_METADATA_BYTES: u64 = 256 << 10;

/// Faults and file names that are kept for the verdict; more say no more.
const MAX_KEPT_FAULTS: usize = 16;
const MAX_KEPT_LOCATIONS: usize = 8;

/// An ONNX file and what it says of itself.
#[derive(Debug)]
pub struct GraphFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its length.
    pub file_bytes: u64,
    /// What it says.
    pub facts: Facts,
    /// What follows from it for a reader of its outputs.
    pub hints: Hints,
}

/// What an ONNX file says of itself.
#[derive(Debug, Default)]
pub struct Facts {
    /// The version of the file format.
    pub ir_version: i64,
    /// The exporter.
    pub producer: String,
    /// Its version.
    pub producer_version: String,
    /// The operator sets it is written in.
    pub opsets: Vec<Opset>,
    /// What goes in and what comes out.
    pub signature: Signature,
    /// How many operators there are, in the graph and the graphs in it.
    pub nodes: usize,
    /// How often each operator is used.
    pub operators: BTreeMap<Operator, u64>,
    /// Operators that the file defines itself.
    pub functions: BTreeSet<Operator>,
    /// What is stored in it.
    pub weights: Weights,
    /// Notes of the exporter.
    pub metadata: BTreeMap<String, String>,
    /// Tensors that lie in other files, and the first few of these.
    external_tensors: u64,
    external_locations: Vec<String>,
    /// What is wrong with tensors.
    faults: Vec<Refusal>,
}

/// An operator set, such as version 17 of ONNX's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opset {
    /// Who defines it; ONNX's own has no domain.
    pub domain: String,
    /// Its version.
    pub version: i64,
}

/// A kind of operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Operator {
    /// Who defines it; ONNX's own have no domain.
    pub domain: String,
    /// What it is called.
    pub name: String,
}

/// The stored tensors of a file, without the whole numbers that graphs count with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weights {
    /// How many numbers there are, by ONNX's name for their type.
    pub parameters: BTreeMap<&'static str, u64>,
}

impl GraphFile {
    /// Reads what the file says; whether it can be served is [`admitted`]'s to say.
    pub fn read(path: &Path) -> Result<Self, GraphError> {
        Self::open(path).map_err(|refusal| GraphError {
            path: path.to_owned(),
            refusal: Box::new(refusal),
        })
    }

    fn open(path: &Path) -> Result<Self, Refusal> {
        let unreadable = |error: std::io::Error| Refusal::Unreadable(error.to_string());
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(Refusal::Unreadable("it is no file".to_owned()));
        }
        let file_bytes = metadata.len();
        if file_bytes > MAX_FILE_BYTES {
            return Err(Refusal::TooLarge {
                bytes: file_bytes,
                limit: MAX_FILE_BYTES,
            });
        }
        let mut graph = Self::parse(file, file_bytes)?;
        path.clone_into(&mut graph.path);
        Ok(graph)
    }

    /// Reads a file that has no path, of so many bytes.
    pub fn parse(mut source: impl Read + Seek, file_bytes: u64) -> Result<Self, Refusal> {
        admit::refuse_foreign(&mut source)?;
        let mut reader = Reader::new(source, file_bytes);
        match reader.read() {
            Err(refusal) if reader.began_well() => return Err(refusal),
            Ok(()) if reader.is_model() => {}
            _ => return Err(admit::unknown_kind()),
        }
        let Reader {
            mut facts, wiring, ..
        } = reader;
        facts.faults.extend(wiring.check(&facts.signature).err());
        let mut hints = wiring.hints(&facts.signature);
        hints.class_names = recognise::class_names(&facts.metadata);
        Ok(Self {
            path: PathBuf::new(),
            file_bytes,
            facts,
            hints,
        })
    }

    /// What Kadr takes the file for, by all that is known of it.
    pub fn recognise(&self) -> Recognition {
        recognise::recognise_with(&self.facts.signature, &self.hints)
    }
}

impl Facts {
    /// The version of ONNX's own operator set.
    pub fn opset(&self) -> Option<i64> {
        let own = self.opsets.iter().find(|opset| is_onnx(&opset.domain));
        own.map(|opset| opset.version)
    }

    /// Operators that make bytes of floats and back: the mark of a quantised graph.
    pub fn quantising_operators(&self) -> u64 {
        const MARKS: [&str; 8] = [
            "ConvInteger",
            "DequantizeLinear",
            "DynamicQuantizeLinear",
            "MatMulInteger",
            "QGemm",
            "QLinearConv",
            "QLinearMatMul",
            "QuantizeLinear",
        ];
        let operators = self.operators.iter();
        operators
            .filter(|(operator, _count)| MARKS.contains(&operator.name.as_str()))
            .map(|(_operator, count)| count)
            .sum()
    }

    fn count(&mut self, stored: Stored) {
        *self
            .weights
            .parameters
            .entry(stored.data_type.name)
            .or_default() += stored.elements;
        let Some(location) = stored.location else {
            return;
        };
        self.external_tensors += 1;
        if self.external_locations.len() < MAX_KEPT_LOCATIONS
            && !self.external_locations.contains(&location)
        {
            self.external_locations.push(location);
        }
    }
}

impl Weights {
    /// The numbers that were learnt: floats, and the bytes that stand for floats.
    pub fn learnt(&self) -> u64 {
        let floats = ["float64", "float32", "float16", "bfloat16"];
        self.of(|name| floats.contains(&name)) + self.quantised()
    }

    /// Those of them in eight bits or fewer.
    pub fn quantised(&self) -> u64 {
        self.of(|name| {
            matches!(name, "int8" | "uint8" | "int4" | "uint4" | "int2" | "uint2")
                || name.starts_with("float8")
                || name.starts_with("float4")
        })
    }

    fn of(&self, is_wanted: impl Fn(&str) -> bool) -> u64 {
        let parameters = self.parameters.iter();
        parameters
            .filter(|(name, _count)| is_wanted(name))
            .map(|(_name, count)| count)
            .sum()
    }
}

impl Operator {
    fn is_standard(&self) -> bool {
        is_onnx(&self.domain)
    }
}

/// ONNX's own domain has two spellings.
fn is_onnx(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

impl fmt::Display for Operator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_standard() {
            write!(formatter, "{}::", self.domain.escape_debug())?;
        }
        write!(formatter, "{}", self.name.escape_debug())
    }
}

#[cfg(test)]
mod tests;
