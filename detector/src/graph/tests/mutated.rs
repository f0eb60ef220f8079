//! Good files with one thing gone wrong on the way: whatever it is, reading ends, and ends well.

use std::path::Path;

use super::admit;
use super::encode::{Message, Model, floats, graph_attribute, node, tensor_attribute};
use crate::graph::suggest;
use crate::model::manifest::Manifest;

/// A model that has every kind of message that is looked into.
fn rich() -> Vec<u8> {
    let mut model = Model::classifier();
    let inner = Message::default().messages(1, &[node("Relu", &["centred"], &["x"])]);
    model
        .nodes
        .push(node("If", &["mean"], &["y"]).message(5, &graph_attribute("then_branch", &inner)));
    let constant = floats("", &[2], &[1.0, 2.0]);
    model
        .nodes
        .push(node("Constant", &[], &["z"]).message(5, &tensor_attribute("value", &constant)));
    let names = Message::default()
        .text(1, "names")
        .text(2, "['a', 'b', 'c']");
    model.more = model.more.message(14, &names);
    model.encode()
}

/// What is recognised of bytes that were served must not fail either.
fn look(bytes: &[u8]) -> bool {
    let Ok(file) = admit(bytes) else {
        return false;
    };
    let recognition = file.recognise();
    let text = suggest::manifest_text(&recognition, Path::new("net.onnx"), 1);
    assert_eq!(text.is_some(), recognition.convention.is_some());
    if let Some(text) = text {
        Manifest::parse(&text, Path::new("model.toml")).unwrap();
    }
    true
}

#[test]
fn a_file_cut_anywhere_is_never_served_as_if_it_were_whole() {
    let whole = rich();
    assert!(look(&whole));
    // The notes stand last; without them, the model is whole.
    let notes = whole.len()
        - Message::default()
            .text(1, "names")
            .text(2, "['a', 'b', 'c']")
            .0
            .len()
        - 2;
    for length in 0..whole.len() {
        let is_whole = length == notes;
        assert_eq!(look(&whole[..length]), is_whole, "cut after {length} bytes");
    }
}

#[test]
fn any_byte_may_be_anything() {
    let whole = rich();
    let mut served = 0;
    for at in 0..whole.len() {
        for flipped in [0x01, 0x04, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= flipped;
            served += u32::from(look(&bytes));
        }
    }
    // Names and unread fields may change; most of the file may not.
    let tried = 4 * whole.len() as u32;
    assert!(served > 0 && served < tried, "{served} of {tried}");
}

#[test]
fn anything_may_stand_twice_or_be_missing() {
    let whole = rich();
    for from in (0..whole.len()).step_by(7) {
        for length in [1, 5, 40] {
            let to = (from + length).min(whole.len());
            look(&[&whole[..from], &whole[to..]].concat());
            look(&[&whole[..to], &whole[from..]].concat());
        }
    }
}
