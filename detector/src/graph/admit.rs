//! Whether a file can be served, said before ONNX Runtime sees it.

use std::collections::HashSet;
use std::io::{Read, Seek};
use std::path::Path;

use super::operators::custom;
use super::refusal::{GraphError, Refusal};
use super::{Facts, GraphFile, is_onnx};
use crate::model::signature::{Dim, Port};

/// Elements of one input or output; four bytes each, this is a gigabyte.
const MAX_PORT_ELEMENTS: usize = 256 << 20;

/// No operator set has a version like that.
const MAX_OPSET: i64 = 1000;

/// What ends up where a model should be, by its first bytes.
const FOREIGN: &[(&[u8], &str, &str)] = &[
    (
        b"PK\x03\x04",
        "a ZIP archive, as PyTorch and Keras save their weights",
        "export it with models/export",
    ),
    (
        b"\x80\x02",
        "a pickle, as old PyTorch saves its weights",
        "export it with models/export",
    ),
    (
        b"\x89HDF",
        "an HDF5 file, as Keras saves its weights",
        "export it with models/export",
    ),
    (
        b"version https://git-lfs",
        "a Git LFS pointer",
        "fetch the file itself with git lfs pull",
    ),
    (
        b"<?xml",
        "an XML file, as OpenVINO has them",
        "take the ONNX file that it was made from",
    ),
    (b"<!DOCTYPE", "a web page", "download the file itself"),
    (b"<html", "a web page", "download the file itself"),
    (
        b"\xff\xd8\xff",
        "a JPEG",
        "name the model, then the picture",
    ),
    (b"\x89PNG", "a PNG", "name the model, then the picture"),
    (
        b"ptrt",
        "a TensorRT engine",
        "take the ONNX file that it was made from",
    ),
    (b"\x1f\x8b", "a gzip archive", "unpack it"),
    (b"GGUF", "a GGUF file", "export the network to ONNX"),
];

/// What TensorFlow Lite writes after four bytes.
const TFLITE: &[u8] = b"TFL3";

/// Reads a file and refuses it if it cannot be served.
pub fn admitted(path: &Path) -> Result<GraphFile, GraphError> {
    admitted_with(path, 1)
}

/// The same for a piece of a network, which may take so many inputs.
pub fn admitted_with(path: &Path, inputs: usize) -> Result<GraphFile, GraphError> {
    let file = GraphFile::read(path)?;
    match file.facts.admit_with(inputs) {
        Ok(()) => Ok(file),
        Err(refusal) => Err(GraphError {
            path: path.to_owned(),
            refusal: Box::new(refusal),
        }),
    }
}

/// Refuses what is known to be something else, by its first bytes; leaves the file at its start.
pub(super) fn refuse_foreign(file: &mut (impl Read + Seek)) -> Result<(), Refusal> {
    const LOOKED_AT: u64 = 64;
    let unreadable = |error: std::io::Error| Refusal::Unreadable(error.to_string());
    let mut head = Vec::new();
    file.by_ref()
        .take(LOOKED_AT)
        .read_to_end(&mut head)
        .map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    if head.is_empty() {
        return Err(Refusal::NotOnnx {
            what: "empty",
            advice: "copy or export it again",
        });
    }
    if head.get(4..8) == Some(TFLITE) {
        return Err(Refusal::NotOnnx {
            what: "a TensorFlow Lite model",
            advice: "export the network to ONNX",
        });
    }
    match FOREIGN.iter().find(|(start, ..)| head.starts_with(start)) {
        Some(&(_start, what, advice)) => Err(Refusal::NotOnnx { what, advice }),
        None => Ok(()),
    }
}

/// The refusal of what is nothing known.
pub(super) fn unknown_kind() -> Refusal {
    Refusal::NotOnnx {
        what: "something unknown",
        advice: "name the .onnx file that an exporter wrote",
    }
}

impl Facts {
    /// Whether the file can be served, as far as can be said without loading it.
    pub fn admit(&self) -> Result<(), Refusal> {
        self.admit_with(1)
    }

    /// The same for a piece of a network, which may take so many inputs.
    pub fn admit_with(&self, inputs: usize) -> Result<(), Refusal> {
        self.check_files()?;
        self.check_operators()?;
        self.check_ports(inputs)?;
        self.faults.first().cloned().map_or(Ok(()), Err)
    }

    /// Everything must lie in this one file.
    fn check_files(&self) -> Result<(), Refusal> {
        let escapes = |fault: &&Refusal| matches!(fault, Refusal::Escapes { .. });
        if let Some(fault) = self.faults.iter().find(escapes) {
            return Err(fault.clone());
        }
        if self.external_tensors > 0 {
            return Err(Refusal::ExternalData {
                tensors: self.external_tensors,
                locations: self.external_locations.clone(),
            });
        }
        Ok(())
    }

    fn check_operators(&self) -> Result<(), Refusal> {
        for opset in &self.opsets {
            if !(1..=MAX_OPSET).contains(&opset.version) {
                return Err(Refusal::Opset {
                    domain: if is_onnx(&opset.domain) {
                        "ai.onnx".to_owned()
                    } else {
                        opset.domain.clone()
                    },
                    version: opset.version,
                });
            }
        }
        if self.opsets.is_empty() {
            return Err(missing("operator set"));
        }
        if self.nodes == 0 {
            return Err(missing("operators"));
        }
        let operators = custom(self);
        if operators.is_empty() {
            return Ok(());
        }
        Err(Refusal::CustomOperators { operators })
    }

    fn check_ports(&self, most_inputs: usize) -> Result<(), Refusal> {
        let (inputs, outputs) = (&self.signature.inputs, &self.signature.outputs);
        if inputs.is_empty() {
            return Err(missing("input"));
        }
        if outputs.is_empty() {
            return Err(missing("outputs"));
        }
        check_names("input", inputs)?;
        check_names("output", outputs)?;
        if inputs.len() > most_inputs {
            return Err(Refusal::SeveralInputs {
                inputs: inputs.iter().map(Port::to_string).collect(),
            });
        }
        let ports = inputs.iter().map(|port| ("input", port));
        let ports = ports.chain(outputs.iter().map(|port| ("output", port)));
        for (direction, port) in ports {
            let has_nothing = direction == "input"
                && port
                    .shape
                    .iter()
                    .flatten()
                    .any(|length| *length == Dim::Fixed(0));
            if has_nothing || elements(port).is_none_or(|count| count > MAX_PORT_ELEMENTS) {
                return Err(Refusal::AbsurdPort {
                    direction,
                    port: port.to_string(),
                });
            }
        }
        Ok(())
    }
}

fn missing(what: &'static str) -> Refusal {
    Refusal::Missing {
        what,
        advice: "export it again",
    }
}

fn check_names(what: &'static str, ports: &[Port]) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    for port in ports {
        if !seen.insert(&port.name) {
            return Err(Refusal::Twice {
                what,
                name: port.name.clone(),
            });
        }
        if port.name.is_empty() {
            return Err(Refusal::Missing {
                what: "name for one of its inputs or outputs",
                advice: "export it with input_names and output_names",
            });
        }
    }
    Ok(())
}

/// The least number of elements, taking open dimensions for one.
fn elements(port: &Port) -> Option<usize> {
    port.shape
        .iter()
        .flatten()
        .filter_map(Dim::fixed)
        .try_fold(1_usize, usize::checked_mul)
}
