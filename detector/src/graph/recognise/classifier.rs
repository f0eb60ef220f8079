//! Networks that say what the whole picture shows.

use super::{Evidence, Finding};
use crate::model::manifest::{Convention, Task};
use crate::model::signature::Port;

/// Names of the answer, where there are other outputs of its form.
const NAMES: [&str; 6] = [
    "logits",
    "probabilities",
    "probs",
    "output",
    "scores",
    "predictions",
];

/// Operators that end in scores.
const SCORING: [&str; 2] = ["Softmax", "Sigmoid"];

pub(super) fn find(evidence: &Evidence<'_>) -> Option<Finding> {
    let mut candidates = evidence.floats(2);
    if candidates.is_empty() {
        candidates = evidence.floats(1);
    }
    let answer = match candidates[..] {
        [] => return None,
        [answer] => answer,
        _ => match candidates
            .iter()
            .find(|port| NAMES.contains(&port.name.as_str()))
        {
            Some(answer) => answer,
            None => return Some(several(&candidates)),
        },
    };
    let class_count = answer.fixed(answer.rank().unwrap_or(1) - 1);
    if class_count.is_some_and(|classes| classes < 2) {
        return Some(Finding::unserved(format!(
            "output {answer} has a number for one class, which is not served; export it with two \
             classes"
        )));
    }
    let (convention, because, doubts) = kind(evidence, answer);
    Some(Finding {
        convention: Some(convention),
        task: Some(Task::Classification),
        output: Some(answer.name.clone()),
        class_count,
        because: vec![format!("output {answer}: a number for each class"), because],
        doubts,
        ..Finding::default()
    })
}

/// Whether the numbers are scores already.
fn kind(evidence: &Evidence<'_>, answer: &Port) -> (Convention, String, Vec<String>) {
    match evidence.maker(answer) {
        Some(maker) if SCORING.contains(&maker) => (
            Convention::Probabilities,
            format!("it comes from {maker}, so that it holds scores"),
            Vec::new(),
        ),
        Some(maker) => (
            Convention::Logits,
            format!("it comes from {maker}, so that softmax makes scores of it"),
            Vec::new(),
        ),
        None if answer.name.contains("prob") || answer.name.contains("softmax") => (
            Convention::Probabilities,
            "its name says that it holds scores".to_owned(),
            Vec::new(),
        ),
        None => (
            Convention::Logits,
            "nothing says that it holds scores".to_owned(),
            vec![
                "logits are a guess; write convention = \"probabilities\" if it ends in softmax"
                    .to_owned(),
            ],
        ),
    }
}

fn several(candidates: &[&Port]) -> Finding {
    let outputs: Vec<Port> = candidates.iter().copied().cloned().collect();
    Finding::unserved(format!(
        "each of {} could hold the classes; write task, convention and name under [output], or \
         export it with one output",
        super::listed(&outputs)
    ))
}
