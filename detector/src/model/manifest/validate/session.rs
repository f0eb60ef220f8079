//! `[session]` of `model.toml`, checked.

use pipeline::service::units::parse_size;
use toml::Spanned;

use super::super::raw::RawSession;
use super::super::{MAX_SESSIONS, MAX_THREADS, SessionWishes};
use super::Issue;

pub(super) fn validate_session(raw: &RawSession) -> Result<SessionWishes, Issue> {
    Ok(SessionWishes {
        sessions: count("sessions", raw.sessions.as_ref(), MAX_SESSIONS)?,
        threads: count("threads", raw.threads.as_ref(), MAX_THREADS)?,
        inter_threads: count("inter_threads", raw.inter_threads.as_ref(), MAX_THREADS)?,
        spinning: raw.spinning,
        arena: raw.arena,
        memory_bytes: raw.memory.as_ref().map(memory).transpose()?,
    })
}

fn count(name: &str, value: Option<&Spanned<usize>>, most: usize) -> Result<Option<usize>, Issue> {
    let Some(value) = value else {
        return Ok(None);
    };
    let asked = *value.get_ref();
    if (1..=most).contains(&asked) {
        return Ok(Some(asked));
    }
    Err(Issue::at(
        value.span(),
        format!("{name} = {asked} is not possible"),
        format!("write a number from 1 to {most}"),
    ))
}

fn memory(value: &Spanned<String>) -> Result<u64, Issue> {
    let issue = |problem: String| {
        Issue::at(
            value.span(),
            problem,
            "write a size such as memory = \"512MiB\"",
        )
    };
    match parse_size(value.get_ref()).map_err(issue)? {
        0 => Err(issue("no model runs without memory".to_owned())),
        bytes => Ok(bytes),
    }
}
