//! Which operator makes which value, and what that tells: values from nowhere, how a picture is
//! normalised inside the graph, and what the last step before an output is.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::normalisation::Normalisation;
use super::refusal::Refusal;
use super::tensor::Tensor;
use crate::model::signature::Signature;

/// Steps looked back from an output, or forward from the input.
const MAX_STEPS: usize = 24;

/// Operators that change a value's form and not its meaning.
const RESHAPING: [&str; 9] = [
    "Cast",
    "DequantizeLinear",
    "Flatten",
    "Identity",
    "QuantizeLinear",
    "Reshape",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

/// Operators that ask for a value's size only.
const MEASURING: [&str; 2] = ["Shape", "Size"];

/// One operator of the outer graph.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) operator: String,
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    /// The numbers in it, if it is a small constant.
    pub(super) constant: Option<Vec<f32>>,
}

/// The operators of the outer graph and the values stored beside them.
#[derive(Debug, Default)]
pub(super) struct Wiring {
    pub(super) nodes: Vec<Node>,
    /// Stored tensors, with their numbers where they are few.
    stored: HashMap<String, Option<Vec<f32>>>,
}

/// What only the file knows, not the signature.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hints {
    /// The operator that each output comes from, by the output's name; those that only change
    /// its form are looked through.
    pub makers: BTreeMap<String, String>,
    /// What the graph does to a picture first.
    pub normalisation: Option<Normalisation>,
    /// Names of the classes that an exporter stored.
    pub class_names: Vec<String>,
}

impl Wiring {
    pub(super) fn store(&mut self, tensor: Tensor) {
        self.stored.insert(tensor.name, tensor.values);
    }

    pub(super) fn is_stored(&self, name: &str) -> bool {
        self.stored.contains_key(name)
    }

    /// Outputs and operators that wait for a value that nothing gives.
    pub(super) fn check(&self, signature: &Signature) -> Result<(), Refusal> {
        let mut known: HashSet<&str> = self.stored.keys().map(String::as_str).collect();
        known.extend(signature.inputs.iter().map(|port| port.name.as_str()));
        for name in self.nodes.iter().flat_map(|node| &node.outputs) {
            if !name.is_empty() && !known.insert(name) {
                return Err(Refusal::Twice {
                    what: "value",
                    name: name.clone(),
                });
            }
        }
        for node in &self.nodes {
            let unknown = |name: &&String| !name.is_empty() && !known.contains(name.as_str());
            if let Some(value) = node.inputs.iter().find(unknown) {
                return Err(Refusal::DanglingInput {
                    operator: node.operator.clone(),
                    value: value.clone(),
                });
            }
        }
        let is_dangling = |name: &str| !known.contains(name);
        match signature
            .outputs
            .iter()
            .find(|port| is_dangling(&port.name))
        {
            Some(port) => Err(Refusal::DanglingOutput {
                output: port.name.clone(),
            }),
            None => Ok(()),
        }
    }

    /// What the wiring tells of a picture that comes in and of the outputs.
    pub(super) fn hints(&self, signature: &Signature) -> Hints {
        let makers: HashMap<&str, &Node> = self
            .nodes
            .iter()
            .flat_map(|node| node.outputs.iter().map(move |name| (name.as_str(), node)))
            .collect();
        let maker_of = |name: &str| {
            let mut node = *makers.get(name)?;
            for _step in 0..MAX_STEPS {
                if !RESHAPING.contains(&node.operator.as_str()) {
                    break;
                }
                let Some(before) = makers.get(node.inputs.first()?.as_str()) else {
                    break;
                };
                node = before;
            }
            Some(node.operator.clone())
        };
        let outputs = signature.outputs.iter();
        Hints {
            makers: outputs
                .filter_map(|port| Some((port.name.clone(), maker_of(&port.name)?)))
                .collect(),
            normalisation: signature
                .inputs
                .first()
                .and_then(|input| self.normalisation(&input.name)),
            class_names: Vec::new(),
        }
    }

    /// Follows the picture through the graph as long as it is only shifted and scaled.
    fn normalisation(&self, input: &str) -> Option<Normalisation> {
        let mut normalisation = Normalisation::default();
        let mut value = input;
        for _step in 0..MAX_STEPS {
            let mut users = self.nodes.iter().filter(|node| {
                node.inputs.iter().any(|name| name == value)
                    && !MEASURING.contains(&node.operator.as_str())
            });
            let (Some(node), None) = (users.next(), users.next()) else {
                break;
            };
            let is_first = node.inputs.first().is_some_and(|name| name == value);
            let operand = node.inputs.iter().find(|name| *name != value);
            match (node.operator.as_str(), operand) {
                (operator @ ("Sub" | "Div" | "Mul" | "Add"), Some(operand)) => {
                    let Some(numbers) = self.numbers(operand) else {
                        break;
                    };
                    let is_turned = !is_first && matches!(operator, "Sub" | "Div");
                    if is_turned || !normalisation.apply(operator, numbers) {
                        break;
                    }
                }
                ("Pad" | "Resize" | "Clip", _) => {}
                (operator, _) if RESHAPING.contains(&operator) => {}
                _ => break,
            }
            value = node.outputs.first()?;
        }
        normalisation.is_any().then_some(normalisation)
    }

    /// The numbers of a small stored tensor or constant, through what only changes their form.
    fn numbers(&self, name: &str) -> Option<&[f32]> {
        let mut name = name;
        for _step in 0..MAX_STEPS {
            if let Some(values) = self.stored.get(name) {
                return values.as_deref();
            }
            let makes = |node: &&Node| node.outputs.iter().any(|output| output == name);
            let node = self.nodes.iter().find(makes)?;
            if !RESHAPING.contains(&node.operator.as_str()) {
                return node.constant.as_deref();
            }
            name = node.inputs.first()?;
        }
        None
    }
}
