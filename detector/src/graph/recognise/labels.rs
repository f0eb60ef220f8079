//! Names of classes, where an exporter stored them.

use std::collections::{BTreeMap, HashSet};

use super::{Finding, MAX_CLASSES};

/// Keys that exporters store names under.
const KEYS: [&str; 4] = ["names", "labels", "classes", "class_names"];

/// The texts in quotes of a list or dictionary as Python or JSON writes it: `{0: 'bolt', 1: 'nut'}`.
pub(in crate::graph) fn class_names(metadata: &BTreeMap<String, String>) -> Vec<String> {
    let stored = KEYS.iter().find_map(|&key| metadata.get(key));
    let Some(text) = stored.map(|text| text.trim()) else {
        return Vec::new();
    };
    if !text.starts_with(['{', '[']) {
        return Vec::new();
    }
    // A dictionary with names for keys would give the keys too.
    let is_keyed_by_name = text.starts_with('{') && text[1..].trim_start().starts_with('"');
    let mut names = quoted(text);
    if is_keyed_by_name {
        names = names.into_iter().skip(1).step_by(2).collect();
    }
    let mut seen = HashSet::new();
    let is_usable = names
        .iter()
        .all(|name| !name.trim().is_empty() && seen.insert(name));
    if is_usable { names } else { Vec::new() }
}

fn quoted(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if !matches!(character, '\'' | '"') || names.len() == MAX_CLASSES {
            continue;
        }
        let mut name = String::new();
        while let Some(inside) = characters.next() {
            match inside {
                '\\' => name.extend(characters.next()),
                inside if inside == character => break,
                inside => name.push(inside),
            }
        }
        names.push(name);
    }
    names
}

/// The stored names, if they are as many as the classes.
pub(super) fn matching(stored: &[String], finding: &mut Finding) -> Vec<String> {
    if stored.is_empty() || finding.convention.is_none() {
        return Vec::new();
    }
    let names = stored.len();
    match finding.class_count {
        Some(classes) if classes != names => {
            finding.doubts.push(format!(
                "the file stores {names} names for {classes} classes, so that they are not taken"
            ));
            Vec::new()
        }
        _ => {
            finding
                .because
                .push(format!("the file stores the names of {names} classes"));
            stored.to_vec()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        class_names(&BTreeMap::from([("names".to_owned(), text.to_owned())]))
    }

    #[test]
    fn dictionaries_and_lists_are_read() {
        assert_eq!(names("{0: 'bolt', 1: 'hex nut'}"), ["bolt", "hex nut"]);
        assert_eq!(names(r#"{"0": "bolt", "1": "nut"}"#), ["bolt", "nut"]);
        assert_eq!(names(r#"["bolt", "nut"]"#), ["bolt", "nut"]);
        assert_eq!(names(r"{0: 'driver\'s seat'}"), ["driver's seat"]);
        assert_eq!(names(r#"{0: "driver's seat"}"#), ["driver's seat"]);
    }

    #[test]
    fn what_cannot_be_labels_is_left() {
        for text in ["", "bolt", "{}", "{0: 'bolt', 1: 'bolt'}", "['', 'nut']"] {
            assert_eq!(names(text), Vec::<String>::new(), "{text}");
        }
        assert_eq!(names("['bolt"), ["bolt"], "a text that never ends");
    }

    #[test]
    fn names_are_taken_only_for_as_many_classes() {
        use crate::model::manifest::Convention;
        let stored = ["bolt".to_owned(), "nut".to_owned()];
        let mut finding = Finding {
            convention: Some(Convention::Logits),
            class_count: Some(2),
            ..Finding::default()
        };
        assert_eq!(matching(&stored, &mut finding), stored);
        finding.class_count = Some(3);
        assert_eq!(matching(&stored, &mut finding), Vec::<String>::new());
        assert!(finding.doubts[0].contains("2 names for 3 classes"));
    }
}
