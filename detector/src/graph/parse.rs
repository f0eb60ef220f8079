//! From the file's messages to what is worth knowing of a model. Weights are passed over.

use std::io::{Read, Seek};

use super::ports::port;
use super::refusal::Refusal;
use super::tensor::{Tensor, entry};
use super::wire::{Block, Field, Wire};
use super::wiring::{Node, Wiring};
use super::{
    Facts, MAX_KEPT_FAULTS, MAX_METADATA, MAX_METADATA_BYTES, MAX_NAME_BYTES, MAX_NODES,
    MAX_OPERATORS, MAX_PORTS, MAX_TENSORS, Operator, Opset,
};

mod fields {
    pub(super) mod model {
        pub(in super::super) const IR_VERSION: u32 = 1;
        pub(in super::super) const PRODUCER: u32 = 2;
        pub(in super::super) const PRODUCER_VERSION: u32 = 3;
        pub(in super::super) const GRAPH: u32 = 7;
        pub(in super::super) const OPSET: u32 = 8;
        pub(in super::super) const METADATA: u32 = 14;
        pub(in super::super) const FUNCTION: u32 = 25;
    }
    pub(super) mod graph {
        pub(in super::super) const NODE: u32 = 1;
        pub(in super::super) const INITIALIZER: u32 = 5;
        pub(in super::super) const INPUT: u32 = 11;
        pub(in super::super) const OUTPUT: u32 = 12;
        pub(in super::super) const SPARSE_INITIALIZER: u32 = 15;
    }
    pub(super) mod node {
        pub(in super::super) const INPUT: u32 = 1;
        pub(in super::super) const OUTPUT: u32 = 2;
        pub(in super::super) const OPERATOR: u32 = 4;
        pub(in super::super) const ATTRIBUTE: u32 = 5;
        pub(in super::super) const DOMAIN: u32 = 7;
    }
    pub(super) mod attribute {
        pub(in super::super) const TENSOR: u32 = 5;
        pub(in super::super) const GRAPH: u32 = 6;
        pub(in super::super) const TENSORS: u32 = 10;
        pub(in super::super) const GRAPHS: u32 = 11;
        pub(in super::super) const SPARSE_TENSOR: u32 = 22;
        pub(in super::super) const SPARSE_TENSORS: u32 = 23;
    }
    pub(super) mod function {
        pub(in super::super) const NAME: u32 = 1;
        pub(in super::super) const NODE: u32 = 7;
        pub(in super::super) const DOMAIN: u32 = 10;
    }
}

type Outcome = Result<(), Refusal>;

/// Whether something lies in the graph that a caller sees or in one inside it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Outer,
    Inner,
}

/// Reads one file.
pub(super) struct Reader<R> {
    wire: Wire<R>,
    pub(super) facts: Facts,
    pub(super) wiring: Wiring,
    has_graph: bool,
    tensors: u64,
}

impl<R: Read + Seek> Reader<R> {
    pub(super) fn new(source: R, length: u64) -> Self {
        Self {
            wire: Wire::new(source, length),
            facts: Facts::default(),
            wiring: Wiring::default(),
            has_graph: false,
            tensors: 0,
        }
    }

    /// Whether what was read up to some fault is the beginning of an ONNX model. The graph is
    /// nearly all of a file, and one that is cut short has none.
    pub(super) fn began_well(&self) -> bool {
        const NEWEST_IMAGINABLE: i64 = 100;
        (1..=NEWEST_IMAGINABLE).contains(&self.facts.ir_version)
    }

    /// Whether what was read to the end is an ONNX model.
    pub(super) fn is_model(&self) -> bool {
        self.began_well() && (self.has_graph || !self.facts.opsets.is_empty())
    }

    pub(super) fn read(&mut self) -> Outcome {
        let mut model = self.wire.enter(self.wire.whole())?;
        while let Some(field) = self.wire.next_field(&mut model)? {
            self.model_field(field)?;
        }
        // Before version 4 of the format, weights had to be listed among the inputs.
        let wiring = &self.wiring;
        let inputs = &mut self.facts.signature.inputs;
        inputs.retain(|port| !wiring.is_stored(&port.name));
        Ok(())
    }

    fn model_field(&mut self, field: Field) -> Outcome {
        use fields::model;
        match field.number {
            model::IR_VERSION => self.facts.ir_version = field.to_number()?.cast_signed(),
            model::PRODUCER => self.facts.producer = self.name(field)?,
            model::PRODUCER_VERSION => self.facts.producer_version = self.name(field)?,
            model::OPSET => self.opset(field.to_block()?)?,
            model::METADATA => self.metadata(field.to_block()?)?,
            model::FUNCTION => self.function(field.to_block()?)?,
            model::GRAPH => {
                if self.has_graph {
                    return Err(Refusal::Twice {
                        what: "graph",
                        name: String::new(),
                    });
                }
                self.has_graph = true;
                self.graph(field.to_block()?, Level::Outer)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn opset(&mut self, block: Block) -> Outcome {
        let mut opset = Opset::default();
        let mut message = self.wire.enter(block)?;
        while let Some(field) = self.wire.next_field(&mut message)? {
            match field.number {
                1 => opset.domain = self.name(field)?,
                2 => opset.version = field.to_number()?.cast_signed(),
                _ => {}
            }
        }
        expect_below(self.facts.opsets.len(), MAX_OPERATORS, "operator sets")?;
        self.facts.opsets.push(opset);
        Ok(())
    }

    /// What exporters note beside the graph. Texts too long to be notes are passed over.
    fn metadata(&mut self, block: Block) -> Outcome {
        if self.facts.metadata.len() >= MAX_METADATA || block.length() > MAX_METADATA_BYTES {
            return Ok(());
        }
        let (key, value) = entry(&mut self.wire, block)?;
        self.facts.metadata.insert(key, value);
        Ok(())
    }

    /// An operator that the file defines itself, of other operators.
    fn function(&mut self, block: Block) -> Outcome {
        let mut operator = Operator::default();
        let mut message = self.wire.enter(block)?;
        while let Some(field) = self.wire.next_field(&mut message)? {
            match field.number {
                fields::function::NAME => operator.name = self.name(field)?,
                fields::function::DOMAIN => operator.domain = self.name(field)?,
                fields::function::NODE => self.node(field.to_block()?, Level::Inner)?,
                _ => {}
            }
        }
        expect_below(self.facts.functions.len(), MAX_OPERATORS, "functions")?;
        self.facts.functions.insert(operator);
        Ok(())
    }

    fn graph(&mut self, block: Block, level: Level) -> Outcome {
        use fields::graph;
        let is_outer = level == Level::Outer;
        let mut message = self.wire.enter(block)?;
        while let Some(field) = self.wire.next_field(&mut message)? {
            match field.number {
                graph::NODE => self.node(field.to_block()?, level)?,
                graph::INITIALIZER => {
                    let tensor = self.tensor(field.to_block()?)?;
                    if is_outer {
                        self.wiring.store(tensor);
                    }
                }
                graph::SPARSE_INITIALIZER => self.sparse_tensor(field.to_block()?, level)?,
                graph::INPUT if is_outer => {
                    let input = port(&mut self.wire, field.to_block()?)?;
                    expect_below(self.facts.signature.inputs.len(), MAX_PORTS, "inputs")?;
                    self.facts.signature.inputs.push(input);
                }
                graph::OUTPUT if is_outer => {
                    let output = port(&mut self.wire, field.to_block()?)?;
                    expect_below(self.facts.signature.outputs.len(), MAX_PORTS, "outputs")?;
                    self.facts.signature.outputs.push(output);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn node(&mut self, block: Block, level: Level) -> Outcome {
        use fields::node;
        expect_below(self.facts.nodes, MAX_NODES, "operators")?;
        self.facts.nodes += 1;
        let mut parsed = Node::default();
        let mut domain = String::new();
        let mut message = self.wire.enter(block)?;
        while let Some(field) = self.wire.next_field(&mut message)? {
            match field.number {
                node::INPUT => parsed.inputs.push(self.name(field)?),
                node::OUTPUT => parsed.outputs.push(self.name(field)?),
                node::OPERATOR => parsed.operator = self.name(field)?,
                node::DOMAIN => domain = self.name(field)?,
                node::ATTRIBUTE => {
                    let constant = self.attribute(field.to_block()?)?;
                    parsed.constant = parsed.constant.or(constant);
                }
                _ => {}
            }
        }
        let operator = Operator {
            domain,
            name: parsed.operator.clone(),
        };
        let kinds = &mut self.facts.operators;
        if let Some(count) = kinds.get_mut(&operator) {
            *count += 1;
        } else {
            expect_below(kinds.len(), MAX_OPERATORS, "kinds of operators")?;
            kinds.insert(operator, 1);
        }
        if level == Level::Outer {
            self.wiring.nodes.push(parsed);
        }
        Ok(())
    }

    /// Looks for tensors and graphs in an attribute; gives the numbers of a small tensor.
    fn attribute(&mut self, block: Block) -> Result<Option<Vec<f32>>, Refusal> {
        use fields::attribute;
        let mut constant = None;
        let mut message = self.wire.enter(block)?;
        while let Some(field) = self.wire.next_field(&mut message)? {
            match field.number {
                attribute::TENSOR => constant = self.tensor(field.to_block()?)?.values,
                attribute::TENSORS => drop(self.tensor(field.to_block()?)?),
                attribute::GRAPH | attribute::GRAPHS => {
                    self.graph(field.to_block()?, Level::Inner)?;
                }
                attribute::SPARSE_TENSOR | attribute::SPARSE_TENSORS => {
                    self.sparse_tensor(field.to_block()?, Level::Inner)?;
                }
                _ => {}
            }
        }
        Ok(constant)
    }

    fn sparse_tensor(&mut self, block: Block, level: Level) -> Outcome {
        const VALUES: u32 = 1;
        const INDICES: u32 = 2;
        let mut message = self.wire.enter(block)?;
        while let Some(field) = self.wire.next_field(&mut message)? {
            match field.number {
                VALUES => {
                    let mut tensor = self.tensor(field.to_block()?)?;
                    tensor.values = None;
                    if level == Level::Outer {
                        self.wiring.store(tensor);
                    }
                }
                INDICES => drop(self.tensor(field.to_block()?)?),
                _ => {}
            }
        }
        Ok(())
    }

    /// Counts a tensor in; what is wrong with it is kept for the verdict.
    fn tensor(&mut self, block: Block) -> Result<Tensor, Refusal> {
        expect_below(self.tensors as usize, MAX_TENSORS, "tensors")?;
        self.tensors += 1;
        let tensor = Tensor::read(&mut self.wire, block)?;
        match tensor.check() {
            Ok(stored) => self.facts.count(stored),
            Err(fault) if self.facts.faults.len() < MAX_KEPT_FAULTS => {
                self.facts.faults.push(fault);
            }
            Err(_one_of_many) => {}
        }
        Ok(tensor)
    }

    fn name(&mut self, field: Field) -> Result<String, Refusal> {
        Ok(self.wire.text(field.to_block()?, MAX_NAME_BYTES)?)
    }
}

fn expect_below(count: usize, limit: usize, what: &'static str) -> Outcome {
    if count < limit {
        return Ok(());
    }
    Err(Refusal::TooMany {
        what,
        limit: limit as u64,
    })
}
