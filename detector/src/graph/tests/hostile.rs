//! Files that must not reach ONNX Runtime, one kind a line, each with the reason it is given.

use super::admit;
use super::encode::{
    FLOAT, Message, Model, external, floats, graph_attribute, node, opset, tensor,
    tensor_attribute, value,
};
use crate::graph::{GraphFile, MAX_FILE_BYTES};

type Kind = (&'static str, Vec<u8>, &'static str);

/// A model with one thing changed.
fn with(change: impl FnOnce(&mut Model)) -> Vec<u8> {
    let mut model = Model::classifier();
    change(&mut model);
    model.encode()
}

fn with_tensor(tensor: Message) -> Vec<u8> {
    with(|model| model.initializers.push(tensor))
}

fn not_onnx() -> Vec<Kind> {
    vec![
        ("nothing", Vec::new(), "empty"),
        (
            "text",
            b"hello, this is no model".to_vec(),
            "something unknown",
        ),
        ("zeros", vec![0; 4096], "something unknown"),
        (
            "noise",
            (0..4096_u32).map(|at| (at * 167 + 89) as u8).collect(),
            "something unknown",
        ),
        (
            "a PyTorch checkpoint",
            b"PK\x03\x04rest".to_vec(),
            "PyTorch and Keras",
        ),
        ("a pickle", b"\x80\x02}q\x00.".to_vec(), "a pickle"),
        ("a Keras file", b"\x89HDF\r\n\x1a\n".to_vec(), "HDF5"),
        (
            "a TFLite model",
            b"\x1c\0\0\0TFL3\0\0".to_vec(),
            "TensorFlow Lite",
        ),
        (
            "a Git LFS pointer",
            b"version https://git-lfs.github.com/spec/v1".to_vec(),
            "git lfs pull",
        ),
        (
            "a web page",
            b"<!DOCTYPE html>".to_vec(),
            "download the file itself",
        ),
        (
            "an OpenVINO network",
            b"<?xml version=\"1.0\"?>".to_vec(),
            "OpenVINO",
        ),
        (
            "a TensorRT engine",
            b"ptrt\0\0\0\0".to_vec(),
            "TensorRT engine",
        ),
        ("a JPEG", b"\xff\xd8\xff\xe0".to_vec(), "a JPEG"),
        (
            "no format version",
            with(|model| model.ir_version = 0),
            "something unknown",
        ),
        (
            "neither graph nor opset",
            Message::default().number(1, 8).0,
            "something unknown",
        ),
    ]
}

fn outside_the_file() -> Vec<Kind> {
    let in_constant = node("Constant", &[], &["far"])
        .message(5, &tensor_attribute("value", &external("far", "w.bin")));
    let inner = Message::default().message(5, &external("deep", "deep.bin"));
    let in_branch =
        node("If", &["mean"], &["x"]).message(5, &graph_attribute("then_branch", &inner));
    vec![
        (
            "weights beside it",
            with_tensor(external("w", "model.onnx.data")),
            "1 of its tensors lie outside it, in model.onnx.data",
        ),
        (
            "weights above it",
            with_tensor(external("w", "../secret")),
            "outside the model's folder",
        ),
        (
            "weights anywhere",
            with_tensor(external("w", "/etc/passwd")),
            "\"/etc/passwd\", outside",
        ),
        (
            "weights up and down",
            with_tensor(external("w", "a/../../b")),
            "outside the model's folder",
        ),
        (
            "weights by another system's path",
            with_tensor(external("w", "..\\b")),
            "outside the model's folder",
        ),
        (
            "weights with a hidden end",
            with_tensor(external("w", "a\0b")),
            "outside the model's folder",
        ),
        (
            "weights in a file without name",
            with_tensor(tensor("w", FLOAT, &[1]).number(14, 1)),
            "does not name",
        ),
        (
            "a constant beside it",
            with(|model| model.nodes.push(in_constant)),
            "w.bin",
        ),
        (
            "a branch beside it",
            with(|model| model.nodes.push(in_branch)),
            "deep.bin",
        ),
    ]
}

fn foreign_operators() -> Vec<Kind> {
    let inner = Message::default().message(1, &node("Steal", &["x"], &["y"]).text(7, "evil"));
    let in_branch =
        node("If", &["mean"], &["x"]).message(5, &graph_attribute("then_branch", &inner));
    let plug_in = node("EfficientNMS_TRT", &["logits"], &["kept"]);
    let custom = node("Swipe", &["logits"], &["kept"]).text(7, "my.layers");
    vec![
        (
            "a plug-in",
            with(|model| model.nodes.push(plug_in)),
            "EfficientNMS_TRT (1x)",
        ),
        (
            "a custom domain",
            with(|model| model.nodes.push(custom)),
            "my.layers::Swipe (1x)",
        ),
        (
            "a custom operator in a branch",
            with(|model| model.nodes.push(in_branch)),
            "evil::Steal",
        ),
        (
            "a node without operator",
            with(|model| model.nodes.push(node("", &[], &["x"]))),
            "operators that are not in ONNX",
        ),
        (
            "opset 0",
            with(|model| model.opsets = vec![opset("", 0)]),
            "version 0 of the operator set \"ai.onnx\"",
        ),
        (
            "opset of the far future",
            with(|model| model.opsets = vec![opset("", 1 << 40)]),
            "which cannot be",
        ),
        (
            "no opset",
            with(|model| model.opsets.clear()),
            "no operator set",
        ),
        (
            "no operators",
            with(|model| {
                model.nodes.clear();
                model.outputs = vec![value("images", FLOAT, &["1"])];
            }),
            "no operators",
        ),
    ]
}

fn odd_ports() -> Vec<Kind> {
    let twice = |model: &mut Model| model.outputs.push(model.outputs[0].clone());
    vec![
        (
            "no outputs",
            with(|model| model.outputs.clear()),
            "no outputs",
        ),
        ("no inputs", with(|model| model.inputs.clear()), "no input"),
        (
            "an output from nowhere",
            with(|model| model.outputs = vec![value("boxes", FLOAT, &["4"])]),
            "\"boxes\" is computed by nothing",
        ),
        (
            "an operator that waits",
            with(|model| model.nodes.push(node("Relu", &["ghost"], &["x"]))),
            "Relu needs \"ghost\"",
        ),
        (
            "an output without name",
            with(|model| model.outputs.push(value("", FLOAT, &["4"]))),
            "name for one of its inputs or outputs",
        ),
        (
            "an output twice",
            with(twice),
            "two outputs called \"logits\"",
        ),
        (
            "a value computed twice",
            with(|model| model.nodes.push(model.nodes[1].clone())),
            "two values called \"logits\"",
        ),
        (
            "two inputs",
            with(|model| model.inputs.push(value("size", FLOAT, &["2"]))),
            "gives a picture and nothing else",
        ),
        (
            "an input without pixels",
            with(|model| model.inputs = vec![value("images", FLOAT, &["1", "3", "0", "8"])]),
            "absurdly large",
        ),
        (
            "an input of a terabyte",
            with(|model| {
                model.inputs = vec![value("images", FLOAT, &["1", "3", "1000000", "100000"])];
            }),
            "input images float32 [1, 3, 1000000, 100000] is absurdly large",
        ),
        (
            "an output beyond counting",
            with(|model| {
                model.outputs = vec![value("logits", FLOAT, &["9223372036854775807", "3"])];
            }),
            "absurdly large",
        ),
        (
            "an input of forty dimensions",
            with(|model| model.inputs = vec![value("images", FLOAT, &["1"; 40])]),
            "dimensions of one tensor",
        ),
        (
            "two graphs",
            with(|model| model.more = Message::default().message(7, &model.graph())),
            "two graphs",
        ),
    ]
}

fn odd_tensors() -> Vec<Kind> {
    vec![
        (
            "too few weights",
            with_tensor(floats("w", &[2, 3], &[0.0; 5])),
            "says [2, 3] of float32, which takes 24 bytes, but holds 20",
        ),
        (
            "too many weights",
            with_tensor(floats("w", &[2], &[0.0; 5])),
            "takes 8 bytes, but holds 20",
        ),
        (
            "half a number",
            with_tensor(tensor("w", FLOAT, &[2]).bytes(4, &[0; 7])),
            "cut short or damaged",
        ),
        (
            "a number that never ends",
            with_tensor(tensor("w", 7, &[1]).bytes(7, &[0x80])),
            "cut short or damaged",
        ),
        (
            "no weights",
            with_tensor(tensor("w", FLOAT, &[2])),
            "takes 2 numbers, but holds 0",
        ),
        (
            "weights of a negative size",
            with_tensor(tensor("w", FLOAT, &[-4])),
            "a dimension of -4",
        ),
        (
            "weights beyond memory",
            with_tensor(tensor("w", FLOAT, &[i64::MAX, i64::MAX])),
            "no memory holds",
        ),
        (
            "bytes beyond counting",
            with_tensor(tensor("w", FLOAT, &[1 << 62])),
            "no memory holds",
        ),
        (
            "weights of forty dimensions",
            with_tensor(tensor("w", FLOAT, &[1; 40])),
            "dimensions of one tensor",
        ),
        (
            "weights of no type",
            with_tensor(tensor("w", 0, &[1])),
            "0 is no element type",
        ),
        (
            "weights of an unknown type",
            with_tensor(tensor("w", 77, &[1]).bytes(9, &[0])),
            "77 is no element type",
        ),
        (
            "texts as bytes",
            with_tensor(tensor("w", 8, &[1]).bytes(9, &[0])),
            "texts as raw bytes",
        ),
    ]
}

fn odd_wire() -> Vec<Kind> {
    let start = || Message::default().number(1, 8).message(8, &opset("", 17));
    let raw = |bytes: &[u8]| {
        let mut model = start();
        model.0.extend(bytes);
        model.0
    };
    let nested = (0..200).fold(Message::default(), |inner, _level| {
        let branch = node("If", &[], &[]).message(5, &graph_attribute("then_branch", &inner));
        Message::default().message(1, &branch)
    });
    vec![
        (
            "a length beyond the end",
            raw(&[0x3a, 0xff, 0xff, 0x03, 1, 2]),
            "cut short or damaged",
        ),
        (
            "a length beyond counting",
            raw(&[
                0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
            ]),
            "cut short or damaged",
        ),
        (
            "a varint without end",
            raw(&[
                0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            ]),
            "a number has no end",
        ),
        ("a group", raw(&[0x3b]), "no field is encoded so"),
        (
            "field zero",
            raw(&[0x02, 0x00]),
            "no field has such a number",
        ),
        (
            "half a fixed number",
            raw(&[0x39, 0, 0]),
            "cut short or damaged",
        ),
        (
            "a number for a graph",
            raw(&[0x38, 0x01]),
            "a message or text is expected",
        ),
        (
            "a text for a version",
            raw(&[0x0a, 0x01, b'8']),
            "a number is expected",
        ),
        (
            "graphs in graphs in graphs",
            start().message(7, &nested).0,
            "messages inside each other",
        ),
        (
            "a name of a megabyte",
            with(|model| {
                model
                    .nodes
                    .push(node("Relu", &[&"x".repeat(1 << 20)], &["y"]));
            }),
            "bytes in one name or text",
        ),
    ]
}

#[test]
fn every_kind_is_refused_with_its_reason() {
    let kinds = [
        not_onnx(),
        outside_the_file(),
        foreign_operators(),
        odd_ports(),
        odd_tensors(),
        odd_wire(),
    ]
    .concat();
    assert!(kinds.len() >= 30, "{}", kinds.len());
    let mut wrong = Vec::new();
    for (kind, bytes, reason) in kinds {
        match admit(&bytes) {
            Ok(_served) => wrong.push(format!("{kind}: served")),
            Err(error) if error.to_string().contains(reason) => {}
            Err(error) => wrong.push(format!("{kind}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_refusal_names_the_file() {
    let error = GraphFile::read("/nowhere/net.onnx".as_ref()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("/nowhere/net.onnx cannot be served"),
        "{text}"
    );
    let folder = GraphFile::read(std::env::temp_dir().as_ref()).unwrap_err();
    assert!(folder.to_string().contains("it is no file"), "{folder}");
}

#[test]
fn a_file_longer_than_protobuf_allows_is_not_read() {
    let file = tempfile::NamedTempFile::new().unwrap();
    // Nothing but a length: no disk holds it.
    file.as_file().set_len(MAX_FILE_BYTES + 1).unwrap();
    let error = GraphFile::read(file.path()).unwrap_err().to_string();
    assert!(error.contains("2147483649 bytes, more than"), "{error}");
}

#[test]
fn a_long_refusal_is_cut() {
    let bytes = with(|model| {
        for at in 0..100 {
            let name = format!("{at}{}", "x".repeat(3000));
            model.nodes.push(node(&name, &["logits"], &[&name]));
        }
    });
    let error = admit(&bytes).unwrap_err().to_string();
    assert!(error.contains("and 92 more"), "{error}");
    assert!(error.len() < 2000, "{}", error.len());
}

#[test]
fn a_file_of_nothing_but_names_takes_no_memory() {
    let bytes = with(|model| {
        // Two bytes each in the file, a string each in memory.
        model.nodes[0].0.extend([0x0a, 0x00].repeat(2_100_000));
    });
    let error = admit(&bytes).unwrap_err().to_string();
    assert!(error.contains("names and texts"), "{error}");
}

#[test]
fn hundreds_of_external_files_are_named_by_the_first() {
    let bytes = with(|model| {
        let tensors = (0..300).map(|at| external(&format!("w{at}"), &format!("{at}.bin")));
        model.initializers.extend(tensors);
    });
    let error = admit(&bytes).unwrap_err().to_string();
    assert!(error.contains("300 of its tensors"), "{error}");
    assert!(
        error.contains("7.bin") && !error.contains("8.bin"),
        "{error}"
    );
}
