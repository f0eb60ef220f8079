//! Writes ONNX files, right and wrong ones, message by message.

/// A protobuf message that is being written.
#[derive(Clone, Debug, Default)]
pub(super) struct Message(pub(super) Vec<u8>);

impl Message {
    pub(super) fn number(mut self, field: u32, number: u64) -> Self {
        self.varint(u64::from(field) << 3);
        self.varint(number);
        self
    }

    pub(super) fn bytes(mut self, field: u32, bytes: &[u8]) -> Self {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    pub(super) fn text(self, field: u32, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    pub(super) fn message(self, field: u32, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }

    pub(super) fn messages(self, field: u32, messages: &[Self]) -> Self {
        messages
            .iter()
            .fold(self, |all, message| all.message(field, message))
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
}

pub(super) const FLOAT: u64 = 1;
pub(super) const INT8: u64 = 3;
pub(super) const INT64: u64 = 7;

/// A tensor without its data.
pub(super) fn tensor(name: &str, data_type: u64, dims: &[i64]) -> Message {
    let dims = dims.iter().fold(Message::default(), |all, length| {
        all.number(1, length.cast_unsigned())
    });
    dims.number(2, data_type).text(8, name)
}

/// A tensor of floats.
pub(super) fn floats(name: &str, dims: &[i64], values: &[f32]) -> Message {
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    tensor(name, FLOAT, dims).bytes(9, &bytes)
}

/// A tensor that lies in another file.
pub(super) fn external(name: &str, location: &str) -> Message {
    let entry = Message::default().text(1, "location").text(2, location);
    tensor(name, FLOAT, &[3]).message(13, &entry).number(14, 1)
}

/// An input or output; texts name open dimensions.
pub(super) fn value(name: &str, data_type: u64, dims: &[&str]) -> Message {
    let dims: Vec<Message> = dims
        .iter()
        .map(|length| match length.parse::<i64>() {
            Ok(length) => Message::default().number(1, length.cast_unsigned()),
            Err(_a_name) => Message::default().text(2, length),
        })
        .collect();
    let shape = Message::default().messages(1, &dims);
    let tensor = Message::default().number(1, data_type).message(2, &shape);
    let value_type = Message::default().message(1, &tensor);
    Message::default().text(1, name).message(2, &value_type)
}

pub(super) fn node(operator: &str, inputs: &[&str], outputs: &[&str]) -> Message {
    let message = inputs
        .iter()
        .fold(Message::default(), |all, name| all.text(1, name));
    let message = outputs.iter().fold(message, |all, name| all.text(2, name));
    message.text(4, operator)
}

/// A node's attribute with a tensor.
pub(super) fn tensor_attribute(name: &str, tensor: &Message) -> Message {
    Message::default()
        .text(1, name)
        .message(5, tensor)
        .number(20, 4)
}

/// A node's attribute with a graph.
pub(super) fn graph_attribute(name: &str, graph: &Message) -> Message {
    Message::default()
        .text(1, name)
        .message(6, graph)
        .number(20, 5)
}

pub(super) fn opset(domain: &str, version: u64) -> Message {
    Message::default().text(1, domain).number(2, version)
}

/// A model in parts, each of which a test may exchange.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) ir_version: u64,
    pub(super) opsets: Vec<Message>,
    pub(super) nodes: Vec<Message>,
    pub(super) initializers: Vec<Message>,
    pub(super) inputs: Vec<Message>,
    pub(super) outputs: Vec<Message>,
    /// More fields of the graph, already written.
    pub(super) more_in_graph: Message,
    /// More fields of the model, already written.
    pub(super) more: Message,
}

impl Model {
    /// A classifier of three classes: the mean of each channel, after a mean of bytes is taken off.
    pub(super) fn classifier() -> Self {
        let mut mean = node("ReduceMean", &["centred"], &["logits"]);
        mean = mean.message(5, &Message::default().text(1, "axes").number(8, 2));
        Self {
            ir_version: 8,
            opsets: vec![opset("", 17)],
            nodes: vec![node("Sub", &["images", "mean"], &["centred"]), mean],
            initializers: vec![floats("mean", &[3, 1, 1], &[123.0, 116.0, 103.0])],
            inputs: vec![value("images", FLOAT, &["batch", "3", "8", "8"])],
            outputs: vec![value("logits", FLOAT, &["batch", "3"])],
            more_in_graph: Message::default(),
            more: Message::default(),
        }
    }

    pub(super) fn graph(&self) -> Message {
        let mut graph = Message::default()
            .messages(1, &self.nodes)
            .text(2, "made")
            .messages(5, &self.initializers)
            .messages(11, &self.inputs)
            .messages(12, &self.outputs);
        graph.0.extend(&self.more_in_graph.0);
        graph
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut model = Message::default()
            .number(1, self.ir_version)
            .text(2, "made-by-tests")
            .message(7, &self.graph())
            .messages(8, &self.opsets);
        model.0.extend(&self.more.0);
        model.0
    }
}
