//! Keeps secrets out of logs and health pages: by key, by URL userinfo, by `name=value` pair.
//!
//! When in doubt it hides too much: a missing host name in a log is a nuisance, a password in it
//! is an incident.

use serde_json::Value;

/// What stands where a secret was.
pub const REDACTED: &str = "***";

/// Parts of a key that mark its value as secret; compared in lower case, with `.` for `_` and `-`.
const SECRET_KEY_PARTS: [&str; 14] = [
    "access.key",
    "accesskey",
    "api.key",
    "apikey",
    "authorization",
    "credential",
    "key.pem",
    "oauthbearer.config",
    "passphrase",
    "passwd",
    "password",
    "sasl.jaas",
    "secret",
    "token",
];

/// Keys that are secret as a whole word only, because they are parts of harmless longer ones.
const SECRET_KEYS: [&str; 5] = ["auth", "pass", "pwd", "sig", "signature"];

/// Whether the value under this key must not be shown.
pub fn is_secret_key(key: &str) -> bool {
    let key = key.trim().to_ascii_lowercase().replace(['_', '-'], ".");
    SECRET_KEY_PARTS.iter().any(|part| key.contains(part))
        || SECRET_KEYS
            .iter()
            .any(|word| key.split('.').next_back() == Some(word))
}

/// Free text, such as an error message, without URL userinfo and without the values of secret
/// `name=value` pairs.
pub fn redact_text(text: &str) -> String {
    let without_userinfo: String = text
        .split_inclusive(char::is_whitespace)
        .map(redact_userinfo)
        .collect();
    redact_pairs(&without_userinfo)
}

/// One configuration value under its key. Unlike free text, it is taken as a whole: a password
/// with a space in it is still one password.
pub fn redact_value(key: &str, value: &str) -> String {
    if is_secret_key(key) && !value.is_empty() {
        return REDACTED.to_owned();
    }
    match value.split_once('=') {
        Some((name, _)) if is_plain_name(name) && is_secret_key(name) => {
            format!("{name}={REDACTED}")
        }
        _ => redact_pairs(&redact_userinfo(value)),
    }
}

/// A configuration as JSON with every secret in it replaced: under secret keys, in
/// `["key", "value"]` pairs, in `key=value` strings and in URLs.
pub fn redact_json(value: Value) -> Value {
    redact_json_under("", value)
}

fn redact_json_under(key: &str, value: Value) -> Value {
    match value {
        Value::Number(_) if is_secret_key(key) => REDACTED.into(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
        Value::String(text) => redact_value(key, &text).into(),
        Value::Array(items) => match items.as_slice() {
            [Value::String(name), _] if is_plain_name(name) && is_secret_key(name) => {
                Value::Array(vec![name.as_str().into(), REDACTED.into()])
            }
            _ => items
                .into_iter()
                .map(|item| redact_json_under(key, item))
                .collect(),
        },
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| {
                // A struct under a secret key is secret in all its fields.
                let key = if is_secret_key(key) { key } else { &name };
                let value = redact_json_under(key, value);
                (name, value)
            })
            .collect(),
    }
}

/// `rtsp://user:pass@host` becomes `rtsp://***@host`. Passwords may hold `/`, `?` and even `@`, so
/// everything up to the last `@` goes.
fn redact_userinfo(word: &str) -> String {
    let Some(scheme_end) = word.find("://").map(|at| at + "://".len()) else {
        return word.to_owned();
    };
    match word[scheme_end..].rfind('@') {
        Some(at) => format!(
            "{}{REDACTED}{}",
            &word[..scheme_end],
            &word[scheme_end + at..]
        ),
        None => word.to_owned(),
    }
}

/// Replaces the value of every `name=value` whose name is secret.
fn redact_pairs(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(equals) = rest.find('=') {
        let (before, after) = (&rest[..equals], &rest[equals + 1..]);
        redacted.push_str(before);
        redacted.push('=');
        let name = trailing_name(before);
        rest = after;
        if is_secret_key(name) {
            let value_len = secret_len(after);
            if value_len > 0 {
                redacted.push_str(REDACTED);
            }
            rest = &after[value_len..];
        }
    }
    redacted.push_str(rest);
    redacted
}

/// The property name that ends `text`, ignoring blanks before the equals sign.
fn trailing_name(text: &str) -> &str {
    let text = text.trim_end();
    let start = text
        .char_indices()
        .rev()
        .take_while(|(_, character)| is_name_character(*character))
        .last()
        .map_or(text.len(), |(at, _)| at);
    &text[start..]
}

/// How many bytes after the equals sign belong to the secret: up to the closing quote of a quoted
/// one, else up to a blank or the next query parameter.
fn secret_len(after_equals: &str) -> usize {
    let blanks = after_equals.len() - after_equals.trim_start_matches(' ').len();
    let value = &after_equals[blanks..];
    let quote = value
        .chars()
        .next()
        .filter(|first| matches!(first, '"' | '\''));
    let value_len = match quote {
        Some(quote) => value[1..].find(quote).map_or(value.len(), |end| end + 2),
        None => value
            .find(|character: char| character.is_whitespace() || character == '&')
            .unwrap_or(value.len()),
    };
    if value_len == 0 {
        0
    } else {
        blanks + value_len
    }
}

fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name.trim().chars().all(is_name_character)
}

fn is_name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secret_keys_are_known_in_every_spelling() {
        for key in [
            "sasl.password",
            "ssl.key.password",
            "ssl.keystore.password",
            "ssl.key.pem",
            "sasl.jaas.config",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.config",
            "KADR_API_KEY",
            "api-key",
            "AWS_SECRET_ACCESS_KEY",
            "database_password",
            "accessToken",
            "X-Amz-Signature",
            "Authorization",
            "basic_auth",
        ] {
            assert!(is_secret_key(key), "{key} should be secret");
        }
        for key in [
            "bootstrap.servers",
            "ssl.key.location",
            "ssl.ca.location",
            "sasl.username",
            "partition_key",
            "author",
            "passes",
            "topic_prefix",
        ] {
            assert!(!is_secret_key(key), "{key} should be shown");
        }
    }

    #[test]
    fn text_loses_secrets_and_nothing_else() {
        for (text, expected) in [
            ("nothing to hide", "nothing to hide"),
            ("rtsp://user:pass@host/stream", "rtsp://***@host/stream"),
            ("rtsp://user@host", "rtsp://***@host"),
            ("rtsp://host:554/stream", "rtsp://host:554/stream"),
            ("rtsp://u:p@ss@host/x", "rtsp://***@host/x"),
            ("rtsp://admin:pa/ss@host/x", "rtsp://***@host/x"),
            ("rtsp://admin:12/3@host/x", "rtsp://***@host/x"),
            ("rtsp://admin:p#s?s@host/x", "rtsp://***@host/x"),
            ("rtsp://u:p\"q'r@host", "rtsp://***@host"),
            ("rtsp://ю:пароль@host", "rtsp://***@host"),
            (
                "no answer from rtsp://u:p@host (3 tries)",
                "no answer from rtsp://***@host (3 tries)",
            ),
            (
                "rtsp://a:b@one then rtsp://c:d@two",
                "rtsp://***@one then rtsp://***@two",
            ),
            ("mail ops@example.org", "mail ops@example.org"),
            ("http://h/s?token=abc&fps=5", "http://h/s?token=***&fps=5"),
            (
                "http://h/s?fps=5&password=a,b;c",
                "http://h/s?fps=5&password=***",
            ),
            (
                "postgres://h/db?user=u&password=p",
                "postgres://h/db?user=u&password=***",
            ),
            (
                "host=h password=hunter2 port=1",
                "host=h password=*** port=1",
            ),
            (
                "required password=\"two words\" x=1;",
                "required password=*** x=1;",
            ),
            ("password = spaced x=1", "password =*** x=1"),
            ("password=\"never closed", "password=***"),
            ("sasl.password=a=b=c", "sasl.password=***"),
            ("password= x", "password=***"),
            ("password=", "password="),
            ("linger.ms=5", "linger.ms=5"),
            ("1=2=3", "1=2=3"),
            ("пароль=да", "пароль=да"),
        ] {
            assert_eq!(redact_text(text), expected, "for {text:?}");
        }
    }

    #[test]
    fn values_are_taken_as_a_whole() {
        for (key, value, expected) in [
            (
                "camera",
                "rtsp://user:two words@host/x",
                "rtsp://***@host/x",
            ),
            (
                "kafka",
                "sasl.password=two words, one comma",
                "sasl.password=***",
            ),
            (
                "kafka",
                "ssl.key.pem=-----BEGIN\nMIIE\n-----END",
                "ssl.key.pem=***",
            ),
            ("kafka", "linger.ms=5", "linger.ms=5"),
            ("password", "anything", "***"),
            ("password", "", ""),
            ("sasl_jaas_config", "module required password='x y';", "***"),
        ] {
            assert_eq!(redact_value(key, value), expected, "for {key} = {value:?}");
        }
    }

    #[test]
    fn json_is_walked_to_the_leaves() {
        let config = json!({
            "brokers": "kafka:9092",
            "kafka": [["sasl.password", "canary"], ["linger.ms", "5"]],
            "extra": ["sasl.password=canary", "acks=all"],
            "properties": {"ssl.key.pem": "canary", "client.id": "k"},
            "secrets": {"inner": {"name": "canary"}, "list": ["canary", 4711]},
            "camera": {"url": "rtsp://u:canary@cam/1"},
            "password": 4711,
            "token": null,
            "port": 9100
        });
        let expected = json!({
            "brokers": "kafka:9092",
            "kafka": [["sasl.password", "***"], ["linger.ms", "5"]],
            "extra": ["sasl.password=***", "acks=all"],
            "properties": {"ssl.key.pem": "***", "client.id": "k"},
            "secrets": {"inner": {"name": "***"}, "list": ["***", "***"]},
            "camera": {"url": "rtsp://***@cam/1"},
            "password": "***",
            "token": null,
            "port": 9100
        });
        assert_eq!(redact_json(config), expected);
    }
}
