//! What is read of files that can be served.

use super::encode::{
    FLOAT, INT8, INT64, Message, Model, floats, graph_attribute, node, opset, tensor,
    tensor_attribute, value,
};
use super::{admit, served};
use crate::graph::{GraphFile, Operator, admitted};
use crate::model::manifest::{Channels, Convention, Range};
use crate::model::signature::{Dim, Element};

fn counts(file: &GraphFile, name: &str) -> u64 {
    let operator = Operator {
        domain: String::new(),
        name: name.to_owned(),
    };
    file.facts.operators.get(&operator).copied().unwrap_or(0)
}

#[test]
fn a_file_is_read_whole() {
    let mut model = Model::classifier();
    let names = Message::default()
        .text(1, "names")
        .text(2, "{0: 'bolt', 1: 'nut', 2: 'gear'}");
    model.more = model.more.text(3, "0.3").message(14, &names);
    let file = served(&model);
    let facts = &file.facts;
    assert_eq!(file.file_bytes, model.encode().len() as u64);
    assert_eq!((facts.ir_version, facts.opset()), (8, Some(17)));
    assert_eq!(
        (&*facts.producer, &*facts.producer_version),
        ("made-by-tests", "0.3")
    );
    assert_eq!(
        facts.signature.inputs[0].to_string(),
        "images float32 [batch, 3, 8, 8]"
    );
    assert_eq!(
        facts.signature.outputs[0].to_string(),
        "logits float32 [batch, 3]"
    );
    assert_eq!((facts.nodes, counts(&file, "Sub")), (2, 1));
    assert_eq!((facts.weights.learnt(), facts.weights.quantised()), (3, 0));
    assert_eq!(file.hints.makers["logits"], "ReduceMean");
    assert_eq!(file.hints.class_names, ["bolt", "nut", "gear"]);
}

#[test]
fn the_file_tells_more_than_its_signature() {
    let recognition = served(&Model::classifier()).recognise();
    assert_eq!(recognition.convention, Some(Convention::Logits));
    let input = recognition.input.unwrap();
    assert_eq!((input.range, input.channels), (Range::Bytes, Channels::Rgb));
    assert_eq!(input.mean_and_std, None, "the graph takes it off itself");
    assert_eq!(recognition.doubts, Vec::<String>::new());

    let mut scoring = Model::classifier();
    scoring.nodes[1] = node("GlobalAveragePool", &["centred"], &["pooled"]);
    scoring
        .nodes
        .push(node("Softmax", &["pooled"], &["scores"]));
    scoring
        .nodes
        .push(node("Flatten", &["scores"], &["logits"]));
    let recognition = served(&scoring).recognise();
    assert_eq!(recognition.convention, Some(Convention::Probabilities));
}

#[test]
fn a_mean_in_a_constant_operator_is_seen_too() {
    let mut model = Model::classifier();
    let mean = floats("", &[3], &[0.485, 0.456, 0.406]);
    let constant = node("Constant", &[], &["flat"]);
    model
        .nodes
        .push(constant.message(5, &tensor_attribute("value", &mean)));
    model.nodes.push(node("Reshape", &["flat"], &["mean"]));
    model.initializers.clear();
    let normalisation = served(&model).hints.normalisation.unwrap();
    assert_eq!(normalisation.range(), Some(Range::Unit));
    assert_eq!(normalisation.mean(), [0.485, 0.456, 0.406]);

    // What is computed is not known here.
    model.nodes[2] = node("RandomNormal", &[], &["flat"]);
    assert_eq!(served(&model).hints.normalisation, None);
}

#[test]
fn weights_among_the_inputs_are_no_inputs() {
    let mut model = Model::classifier();
    model.ir_version = 3;
    model.inputs.push(value("mean", FLOAT, &["3", "1", "1"]));
    let file = served(&model);
    assert_eq!(file.facts.signature.inputs.len(), 1);
}

#[test]
fn open_dimensions_have_many_spellings() {
    let mut model = Model::classifier();
    model.outputs = vec![value("logits", FLOAT, &["-1", "", "3"])];
    let shape = served(&model).facts.signature.outputs[0].shape.clone();
    let open = Dim::Free(None);
    assert_eq!(shape, Some(vec![open.clone(), open, Dim::Fixed(3)]));

    let untyped = Message::default().text(1, "logits");
    model.outputs = vec![untyped];
    let output = served(&model).facts.signature.outputs[0].clone();
    assert_eq!(output.shape, None);
    assert_eq!(output.element, Element::Other("undefined".to_owned()));
}

#[test]
fn operators_in_graphs_in_operators_count() {
    let mut model = Model::classifier();
    let inner = Message::default().messages(1, &[node("Relu", &["centred"], &["positive"])]);
    let branch = node("If", &["condition"], &["chosen"]);
    model
        .nodes
        .push(branch.message(5, &graph_attribute("then_branch", &inner)));
    model
        .initializers
        .push(tensor("condition", 9, &[]).bytes(9, &[1]));
    let file = served(&model);
    assert_eq!((file.facts.nodes, counts(&file, "Relu")), (4, 1));
}

#[test]
fn operators_that_the_file_defines_are_served() {
    let mut model = Model::classifier();
    let domain = "pkg.layers";
    model
        .nodes
        .push(node("Scale2", &["logits"], &["more"]).text(7, domain));
    assert!(admit(&model.encode()).is_err(), "nobody defines it");
    let function = Message::default()
        .text(1, "Scale2")
        .message(7, &node("Mul", &["x", "x"], &["y"]))
        .text(10, domain);
    model.more = Message::default().message(25, &function);
    model.opsets.push(opset(domain, 1));
    let file = served(&model);
    assert_eq!(counts(&file, "Mul"), 1, "what it is made of counts too");
}

#[test]
fn quantised_weights_are_told_from_others() {
    let mut model = Model::classifier();
    model
        .initializers
        .push(tensor("small", INT8, &[2, 2]).bytes(9, &[1, 2, 3, 4]));
    model
        .initializers
        .push(tensor("typed", INT8, &[3]).bytes(5, &[1, 2, 3]));
    model
        .initializers
        .push(tensor("shape", INT64, &[2]).bytes(7, &[1, 0x80, 1]));
    let half: &[u8] = &[0; 4];
    model
        .initializers
        .push(tensor("half", 10, &[2]).bytes(9, half));
    model
        .nodes
        .push(node("DequantizeLinear", &["small", "mean"], &["large"]));
    let facts = served(&model).facts;
    assert_eq!(facts.weights.quantised(), 7);
    assert_eq!(facts.weights.learnt(), 3 + 7 + 2);
    assert_eq!(facts.weights.parameters["int64"], 2);
    assert_eq!(facts.quantising_operators(), 1);
}

#[test]
fn typed_numbers_may_stand_one_by_one_or_packed() {
    let mut model = Model::classifier();
    let one_by_one = tensor("steps", INT64, &[2]).number(7, 1).number(7, 300);
    let packed = tensor("more", FLOAT, &[2]).bytes(4, &[0; 8]);
    let texts = tensor("texts", 8, &[2]).text(6, "a").text(6, "b");
    let doubles = tensor("doubles", 11, &[1]).bytes(10, &[0; 8]);
    let nothing = tensor("nothing", FLOAT, &[0, 4]);
    model
        .initializers
        .extend([one_by_one, packed, texts, doubles, nothing]);
    assert_eq!(served(&model).facts.weights.learnt(), 3 + 2 + 1);
}

#[test]
fn the_models_in_the_repository_are_served() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (file, convention) in [
        ("models/parts/1/model.onnx", Convention::Detectron2),
        ("models/parts/1/model.int8.onnx", Convention::Detectron2),
        ("models/part-kind/1/model.onnx", Convention::Logits),
        (
            "detector/tests/fixtures/graphs/colour/1/model.onnx",
            Convention::Logits,
        ),
        (
            "detector/tests/fixtures/graphs/square/1/model.onnx",
            Convention::Detectron2,
        ),
    ] {
        let graph = admitted(&root.join(file)).unwrap();
        assert_eq!(graph.recognise().convention, Some(convention), "{file}");
    }
    // The sheet of `parts` says what its graph says.
    let parts = admitted(&root.join("models/parts/1/model.onnx")).unwrap();
    let manifest =
        crate::model::manifest::Manifest::read(&root.join("models/parts/model.toml")).unwrap();
    let guessed = parts.recognise().input.unwrap();
    assert_eq!(guessed.layout, manifest.input.layout);
    assert_eq!(guessed.range, manifest.input.range);
    assert_eq!(guessed.channels, manifest.input.channels);
    assert!(parts.facts.weights.learnt() > 1_000_000);
}
