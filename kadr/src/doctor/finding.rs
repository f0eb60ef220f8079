//! What a check says, as a line for people and as JSON for programs.

use std::fmt;

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// As it should be.
    Ok,
    /// It runs, but not as well or not as far as one may think; or it could not be checked.
    Warn,
    /// `kadr up` would not start, or would not be ready.
    Fail,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    check: &'static str,
    verdict: Verdict,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

/// All of them, in the order of the checks.
#[derive(Clone, Debug, Default)]
pub(super) struct Report(Vec<Finding>);

impl Finding {
    pub(super) fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self {
            check,
            verdict: Verdict::Ok,
            message: message.into(),
            advice: None,
        }
    }

    pub(super) fn warn(check: &'static str, message: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Warn,
            ..Self::ok(check, message)
        }
    }

    pub(super) fn fail(check: &'static str, message: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Fail,
            ..Self::ok(check, message)
        }
    }

    /// What to do; errors that say so themselves need no more.
    pub(super) fn advise(self, advice: impl Into<String>) -> Self {
        Self {
            advice: Some(advice.into()),
            ..self
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
        };
        write!(f, "{verdict:5} {:12} {}", self.check, self.message)?;
        match &self.advice {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl Report {
    pub(super) fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.0.extend(findings);
    }

    /// Nothing fails.
    pub(super) fn is_healthy(&self) -> bool {
        self.count(Verdict::Fail) == 0
    }

    fn count(&self, verdict: Verdict) -> usize {
        let is_it = |finding: &&Finding| finding.verdict == verdict;
        self.0.iter().filter(is_it).count()
    }

    pub(super) fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Json<'a> {
            healthy: bool,
            checks: &'a [Finding],
        }
        let json = Json {
            healthy: self.is_healthy(),
            checks: &self.0,
        };
        serde_json::to_string_pretty(&json).expect("plain text is JSON")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.0 {
            writeln!(f, "{finding}")?;
        }
        let [ok, warn, fail] = [Verdict::Ok, Verdict::Warn, Verdict::Fail].map(|v| self.count(v));
        writeln!(f, "{ok} ok, {warn} to look at, {fail} failed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failure_makes_a_report_unhealthy() {
        let mut report = Report::default();
        report.extend([
            Finding::ok("clock", "it ticks"),
            Finding::warn("opencv", "not built in"),
        ]);
        assert!(report.is_healthy());
        report.extend([Finding::fail("web port", "taken").advise("choose another")]);
        assert!(!report.is_healthy());
        let text = report.to_string();
        assert!(
            text.contains("FAIL  web port     taken; choose another\n"),
            "{text}"
        );
        assert!(text.ends_with("1 ok, 1 to look at, 1 failed\n"), "{text}");
    }
}
