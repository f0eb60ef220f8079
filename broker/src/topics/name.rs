//! Which names a topic may have: Apache Kafka's rule.

use super::TopicError;

const MAX_NAME_BYTES: usize = 249;

/// Refuses a name that no topic can have.
pub(crate) fn check(name: &str) -> Result<(), TopicError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name == "." || name == ".." {
        return Err(TopicError::Name(format!("\"{name}\" is no topic name")));
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(TopicError::Name(format!(
            "a topic name has at most {MAX_NAME_BYTES} bytes, this one {}",
            name.len()
        )));
    }
    if !name.bytes().all(allowed) {
        return Err(TopicError::Name(format!(
            "\"{name}\" is no topic name: letters, digits, '.', '_' and '-' may be in it"
        )));
    }
    Ok(())
}

/// Refuses a name that is malformed, taken, or too close to another.
pub(super) fn check_new<'a>(
    name: &str,
    mut taken: impl Iterator<Item = &'a str>,
) -> Result<(), TopicError> {
    check(name)?;
    let clash = taken.find(|other| same_metric_name(name, other));
    match clash {
        Some(other) if other == name => Err(TopicError::Exists(name.to_owned())),
        Some(other) => Err(TopicError::Name(format!(
            "topic {name} would clash with {other}: '.' and '_' count as one"
        ))),
        None => Ok(()),
    }
}

/// Names of metrics know no dots, so Kafka keeps such names apart.
fn same_metric_name(one: &str, other: &str) -> bool {
    let fold = |byte: u8| if byte == b'.' { b'_' } else { byte };
    one.len() == other.len() && one.bytes().map(fold).eq(other.bytes().map(fold))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_taken() {
        for name in ["kadr.live", "a", "A-1_b.c", &"x".repeat(249)] {
            assert!(check_new(name, ["other"].into_iter()).is_ok(), "{name}");
        }
    }

    #[test]
    fn names_that_could_leave_the_folder_are_not() {
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "a~b",
            "a b",
            "ä",
            "a\0",
            &"x".repeat(250),
        ] {
            let refused = check(name);
            assert!(matches!(refused, Err(TopicError::Name(_))), "{name}");
        }
    }

    #[test]
    fn a_taken_name_and_a_close_one_are_told_apart() {
        let taken = || ["kadr.live"].into_iter();
        assert!(matches!(
            check_new("kadr.live", taken()),
            Err(TopicError::Exists(_))
        ));
        assert!(matches!(
            check_new("kadr_live", taken()),
            Err(TopicError::Name(_))
        ));
        assert!(check_new("kadr-live", taken()).is_ok());
    }
}
