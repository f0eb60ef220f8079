//! What is known of an ONNX file, for people and as JSON.

use std::collections::BTreeMap;
use std::fmt;

use detector::graph::{GraphFile, Recognition, suggest};
use detector::model::signature::{Dim, Port};
use serde::Serialize;
use serde_json::{Value, json};

/// Labels suggested for a graph that does not number its classes: one to copy.
const UNKNOWN_CLASSES: usize = 1;

/// Kinds of operators on one line.
const KINDS_SHOWN: usize = 12;

/// An ONNX file as it is printed.
#[derive(Debug, Serialize)]
pub(super) struct Inspection {
    file: String,
    file_bytes: u64,
    ir_version: i64,
    opset: Option<i64>,
    /// Other operator sets that are used, by domain.
    other_opsets: BTreeMap<String, i64>,
    producer: String,
    inputs: Vec<ShownPort>,
    outputs: Vec<ShownPort>,
    operator_count: usize,
    /// The most frequent first.
    operators: Vec<ShownOperator>,
    weights: ShownWeights,
    /// Why it cannot be served at all.
    refusal: Option<String>,
    recognised: Option<Recognised>,
    doubts: Vec<String>,
    manifest: Option<String>,
}

#[derive(Debug, Serialize)]
struct ShownPort {
    name: String,
    #[serde(rename = "type")]
    element: String,
    /// Numbers, names, or null for what is open; null if not even the rank is known.
    shape: Option<Vec<Value>>,
    #[serde(skip)]
    text: String,
}

#[derive(Debug, Serialize)]
struct ShownOperator {
    operator: String,
    count: u64,
}

#[derive(Debug, Serialize)]
struct ShownWeights {
    learnt: u64,
    quantised: u64,
    quantising_operators: u64,
    by_type: BTreeMap<&'static str, u64>,
}

/// What Kadr takes the file for.
#[derive(Debug, Serialize)]
struct Recognised {
    convention: &'static str,
    task: &'static str,
    has_masks: bool,
    class_count: Option<usize>,
    because: Vec<String>,
}

impl Inspection {
    pub(super) fn of(file: &GraphFile) -> Self {
        let facts = &file.facts;
        let mut operators: Vec<ShownOperator> = facts
            .operators
            .iter()
            .map(|(operator, &count)| ShownOperator {
                operator: operator.to_string(),
                count,
            })
            .collect();
        operators.sort_by_key(|shown| std::cmp::Reverse(shown.count));
        let refusal = facts.admit().err().map(|refusal| refusal.to_string());
        let recognition = if refusal.is_none() {
            file.recognise()
        } else {
            Recognition::default()
        };
        // Some exporters list every operator set there is.
        let is_used = |domain: &str| facts.operators.keys().any(|used| used.domain == domain);
        let others = facts
            .opsets
            .iter()
            .filter(|opset| !opset.domain.is_empty() && is_used(&opset.domain));
        Self {
            file: file.path.display().to_string(),
            file_bytes: file.file_bytes,
            ir_version: facts.ir_version,
            opset: facts.opset(),
            other_opsets: others
                .map(|opset| (opset.domain.clone(), opset.version))
                .collect(),
            producer: format!("{} {}", facts.producer, facts.producer_version)
                .trim()
                .to_owned(),
            inputs: facts.signature.inputs.iter().map(ShownPort::of).collect(),
            outputs: facts.signature.outputs.iter().map(ShownPort::of).collect(),
            operator_count: facts.nodes,
            operators,
            weights: ShownWeights {
                learnt: facts.weights.learnt(),
                quantised: facts.weights.quantised(),
                quantising_operators: facts.quantising_operators(),
                by_type: facts.weights.parameters.clone(),
            },
            refusal,
            manifest: suggest::manifest_text(&recognition, &file.path, UNKNOWN_CLASSES),
            recognised: Recognised::of(&recognition),
            doubts: recognition.doubts,
        }
    }

    /// The suggested `model.toml`.
    pub(super) fn manifest(&self) -> Option<&str> {
        self.manifest.as_deref()
    }
}

impl ShownPort {
    fn of(port: &Port) -> Self {
        let length = |dimension: &Dim| match dimension {
            Dim::Fixed(length) => json!(length),
            Dim::Free(name) => json!(name),
        };
        Self {
            name: port.name.clone(),
            element: port.element.to_string(),
            shape: port
                .shape
                .as_ref()
                .map(|shape| shape.iter().map(length).collect()),
            text: port.to_string(),
        }
    }
}

impl Recognised {
    fn of(recognition: &Recognition) -> Option<Self> {
        Some(Self {
            convention: recognition.convention?.as_str(),
            task: recognition.task?.as_str(),
            has_masks: recognition.has_masks,
            class_count: recognition.class_count,
            because: recognition.because.clone(),
        })
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_file(formatter)?;
        match (&self.refusal, &self.recognised) {
            // The command ends with it.
            (Some(_refusal), _) => return Ok(()),
            (None, Some(recognised)) => {
                let Recognised {
                    convention, task, ..
                } = recognised;
                writeln!(formatter, "\ntaken for {convention:?}, {task}, because")?;
                fmt_lines(formatter, &recognised.because)?;
            }
            (None, None) => writeln!(formatter, "\nnot recognised")?,
        }
        if !self.doubts.is_empty() {
            writeln!(formatter, "\nto check")?;
            fmt_lines(formatter, &self.doubts)?;
        }
        match &self.manifest {
            Some(manifest) => write!(formatter, "\nmodel.toml\n\n{manifest}"),
            None => Ok(()),
        }
    }
}

impl Inspection {
    fn fmt_file(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let opset = self
            .opset
            .map_or("no opset".to_owned(), |version| format!("opset {version}"));
        write!(
            formatter,
            "{}\n  {} bytes, ONNX format {}, {opset}",
            self.file, self.file_bytes, self.ir_version
        )?;
        for (domain, version) in &self.other_opsets {
            write!(formatter, ", {domain} {version}")?;
        }
        if !self.producer.is_empty() {
            write!(formatter, ", from {}", self.producer.escape_debug())?;
        }
        writeln!(formatter, "\ninputs")?;
        fmt_lines(formatter, self.inputs.iter().map(|port| &port.text))?;
        writeln!(formatter, "outputs")?;
        fmt_lines(formatter, self.outputs.iter().map(|port| &port.text))?;
        let kinds = self.operators.iter().take(KINDS_SHOWN);
        let kinds: Vec<String> = kinds
            .map(|shown| format!("{} {}", shown.operator, shown.count))
            .collect();
        let more = self.operators.len().saturating_sub(KINDS_SHOWN);
        writeln!(
            formatter,
            "operators\n  {}: {}{}",
            self.operator_count,
            kinds.join(", "),
            if more > 0 {
                format!(" and {more} other kinds")
            } else {
                String::new()
            }
        )?;
        self.fmt_weights(formatter)
    }

    fn fmt_weights(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weights = &self.weights;
        let types: Vec<String> = weights
            .by_type
            .iter()
            .map(|(element, count)| format!("{count} {element}"))
            .collect();
        writeln!(
            formatter,
            "weights\n  {} learnt numbers ({})",
            weights.learnt,
            types.join(", ")
        )?;
        if weights.quantising_operators > 0 {
            writeln!(
                formatter,
                "  quantised: {} numbers in eight bits or fewer, {} operators that quantise",
                weights.quantised, weights.quantising_operators
            )?;
        }
        Ok(())
    }
}

fn fmt_lines(
    formatter: &mut fmt::Formatter<'_>,
    lines: impl IntoIterator<Item = impl fmt::Display>,
) -> fmt::Result {
    for line in lines {
        writeln!(formatter, "  {line}")?;
    }
    Ok(())
}
