//! What was found, as a table for people and as JSON for machines.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use super::{Comparison, Goal, Spread, foreign::LIMIT};

/// One comparison under its goal.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What it is held against.
    pub goal: Goal,
    /// Which input or setting it was, where there are several.
    pub variant: Option<String>,
    /// What was measured.
    pub comparison: Comparison,
}

impl Finding {
    fn name(&self) -> String {
        let parts = [Some(self.goal.id), self.variant.as_deref()];
        let parts: Vec<&str> = parts.into_iter().flatten().collect();
        parts.join(" ")
    }

    fn detail(&self) -> String {
        let detail = self.comparison.detail.iter();
        let parts: Vec<String> = detail
            .map(|(name, value)| format!("{name} {value:.2}"))
            .collect();
        parts.join(", ")
    }

    fn is_void(&self) -> bool {
        self.comparison.foreign_load > LIMIT
    }

    fn verdict(&self) -> String {
        let word = self.goal.verdict(self.comparison.ratio.median).word();
        if self.is_void() {
            let load = self.comparison.foreign_load;
            return format!("void: others used {load:.2} of a core ({word})");
        }
        word.to_owned()
    }
}

/// Prints a line for each finding, and what it was made of.
pub fn print_table(findings: &[Finding]) {
    println!(
        "\n{:<20} {:>7} {:>7} {:>7} {:>3}  {:<8} {:<8} verdict",
        "", "ratio", "min", "max", "n", "pass", "stretch"
    );
    for finding in findings {
        let (goal, found) = (&finding.goal, &finding.comparison);
        let Spread { median, min, max } = found.ratio;
        println!(
            "{:<20} {median:>7.3} {min:>7.3} {max:>7.3} {:>3}  {:<8} {:<8} {}",
            finding.name(),
            found.rounds,
            goal.bound(goal.pass),
            goal.bound(goal.stretch),
            finding.verdict(),
        );
    }
    println!();
    for finding in findings {
        println!("{}: {}", finding.name(), finding.goal.title);
        println!("  {}", finding.detail());
    }
}

/// Where the JSON is kept: in the clone, wherever cargo builds.
pub fn results_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench/results.json")
}

/// Puts the findings into the file, in place of older ones of the same goals. Where a goal has
/// several variants its ratio is the worst of them, and each stands in its detail.
pub fn merge_into(file: &Path, findings: &[Finding]) -> io::Result<()> {
    let mut results = read(file)?;
    let mut by_goal: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        by_goal.entry(finding.goal.id).or_default().push(finding);
    }
    for (id, findings) in by_goal {
        results.insert(id.to_owned(), as_json(&findings));
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let text = serde_json::to_string_pretty(&Value::Object(results))?;
    fs::write(file, text + "\n")
}

fn read(file: &Path) -> io::Result<Map<String, Value>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(serde_json::from_str(&text)?),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(Map::new()),
        Err(cause) => Err(cause),
    }
}

fn as_json(findings: &[&Finding]) -> Value {
    // Variants may have bounds of their own.
    let shortfall = |finding: &Finding| finding.goal.shortfall(finding.comparison.ratio.median);
    let worst = findings.iter().copied().reduce(|worst, next| {
        if shortfall(next) > shortfall(worst) {
            next
        } else {
            worst
        }
    });
    let worst = worst.expect("a goal is in the list because something was found");
    let mut all = figures(worst);
    if findings.len() > 1 {
        let variants = findings.iter().map(|finding| {
            let name = finding.variant.clone().unwrap_or_default();
            (name, figures(finding))
        });
        all["detail"]["variants"] = variants.collect();
        all["worst"] = json!(worst.variant);
    }
    all
}

fn figures(finding: &Finding) -> Value {
    let (goal, found) = (&finding.goal, &finding.comparison);
    let detail = found.detail.iter();
    let detail: Map<String, Value> = detail
        .map(|(name, value)| (name.clone(), rounded(*value)))
        .collect();
    json!({
        "ratio": rounded(found.ratio.median),
        "min": rounded(found.ratio.min),
        "max": rounded(found.ratio.max),
        "n": found.rounds,
        "pass": goal.pass,
        "stretch": goal.stretch,
        "verdict": goal.verdict(found.ratio.median).word(),
        "foreign_load": rounded(found.foreign_load),
        "void": finding.is_void(),
        "detail": detail,
    })
}

/// Six digits say all that a measurement knows.
fn rounded(value: f64) -> Value {
    json!((value * 1e6).round() / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::goals::goal;

    fn finding(id: &str, variant: Option<&str>, ratio: f64) -> Finding {
        Finding {
            goal: goal(id).unwrap(),
            variant: variant.map(str::to_owned),
            comparison: Comparison {
                ratio: Spread::of([ratio, ratio * 2.0, ratio / 2.0]),
                rounds: 3,
                foreign_load: 0.01,
                detail: BTreeMap::from([("a_ms".to_owned(), ratio * 10.0)]),
            },
        }
    }

    #[test]
    fn results_are_merged_by_goal() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bench/results.json");
        merge_into(&file, &[finding("P6", None, 3.0), finding("P1", None, 0.9)]).unwrap();
        merge_into(&file, &[finding("P6", None, 1.5)]).unwrap();
        let results = Value::Object(read(&file).unwrap());
        assert_eq!(results["P1"]["ratio"], 0.9);
        assert_eq!(results["P1"]["verdict"], "missed");
        let tax = &results["P6"];
        assert_eq!((&tax["ratio"], &tax["min"]), (&json!(1.5), &json!(0.75)));
        assert_eq!((&tax["max"], &tax["n"]), (&json!(3.0), &json!(3)));
        assert_eq!(tax["verdict"], "met");
        assert_eq!(tax["void"], false);
        assert_eq!(tax["detail"]["a_ms"], 15.0);
    }

    #[test]
    fn the_worst_variant_speaks_for_the_goal() {
        let (small, large) = (Some("640x480"), Some("4K"));
        let found = [finding("P11", small, 0.06), finding("P11", large, 0.02)];
        let json = as_json(&found.iter().collect::<Vec<_>>());
        assert_eq!(
            (&json["ratio"], &json["worst"]),
            (&json!(0.06), &json!("640x480"))
        );
        assert_eq!(json["detail"]["variants"]["4K"]["ratio"], 0.02);
        assert_eq!(
            json["detail"]["variants"]["4K"]["verdict"],
            "met, stretch too"
        );
    }

    #[test]
    fn a_run_beside_other_work_is_void_and_says_so() {
        let mut found = finding("P6", None, 1.5);
        found.comparison.foreign_load = 0.13;
        let json = as_json(&[&found]);
        assert_eq!(
            (&json["void"], &json["foreign_load"]),
            (&json!(true), &json!(0.13))
        );
        assert_eq!(found.verdict(), "void: others used 0.13 of a core (met)");
    }

    #[test]
    fn a_file_that_is_no_json_is_an_error_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results.json");
        fs::write(&file, "{").unwrap();
        assert!(merge_into(&file, &[finding("P6", None, 1.0)]).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "{");
    }
}
