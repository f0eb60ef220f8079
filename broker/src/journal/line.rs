//! The journal's file format: a first line that names it, then one line per change set, a CRC-32C
//! in hexadecimal and a JSON array of `[key, value]` (set) and `[key]` (deleted).

use serde_json::Value;

/// Keys with their new value, already JSON text; `None` deletes.
pub(super) type ChangeSet = Vec<(String, Option<String>)>;

pub(super) const HEADER: &[u8] = b"kadr journal 1\n";
const CRC_DIGITS: usize = 8;

/// False for a file that something else wrote. A header cut short is a journal that was never used.
pub(super) fn is_readable(contents: &[u8]) -> bool {
    contents.starts_with(HEADER) || HEADER.starts_with(contents)
}

pub(super) fn encode(changes: &ChangeSet, out: &mut Vec<u8>) {
    let mut json = String::from("[");
    for (index, (key, value)) in changes.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        json.push('[');
        json.push_str(&Value::from(key.as_str()).to_string());
        if let Some(value) = value {
            json.push(',');
            json.push_str(value);
        }
        json.push(']');
    }
    json.push(']');
    out.extend_from_slice(format!("{:08x} ", crc32c::crc32c(json.as_bytes())).as_bytes());
    out.extend_from_slice(json.as_bytes());
    out.push(b'\n');
}

/// One line without its newline; `None` when it is torn or damaged.
pub(super) fn decode(line: &[u8]) -> Option<Vec<(String, Option<Value>)>> {
    let (crc, rest) = line.split_at_checked(CRC_DIGITS)?;
    let json = rest.strip_prefix(b" ")?;
    let crc = u32::from_str_radix(std::str::from_utf8(crc).ok()?, 16).ok()?;
    if crc != crc32c::crc32c(json) {
        return None;
    }
    let changes: Vec<Vec<Value>> = serde_json::from_slice(json).ok()?;
    changes.into_iter().map(change_from_parts).collect()
}

fn change_from_parts(parts: Vec<Value>) -> Option<(String, Option<Value>)> {
    let mut parts = parts.into_iter();
    let Value::String(key) = parts.next()? else {
        return None;
    };
    let value = parts.next();
    parts.next().is_none().then_some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_holds_values_and_deletions_whatever_they_contain() {
        let awkward = json!({"line\nbreak": "\u{0}\u{1F600}\"", "n": [1, null, -2.5]});
        let changes = vec![
            ("set\n".to_owned(), Some(awkward.to_string())),
            ("null".to_owned(), Some("null".to_owned())),
            ("gone".to_owned(), None),
        ];
        let mut bytes = Vec::new();
        encode(&changes, &mut bytes);
        assert_eq!(
            bytes.iter().position(|byte| *byte == b'\n'),
            Some(bytes.len() - 1)
        );
        let decoded = decode(&bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(
            decoded,
            [
                ("set\n".to_owned(), Some(awkward)),
                ("null".to_owned(), Some(Value::Null)),
                ("gone".to_owned(), None),
            ]
        );
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let mut bytes = Vec::new();
        encode(
            &vec![("topic/a".to_owned(), Some("{\"partitions\":4}".to_owned()))],
            &mut bytes,
        );
        let line = &bytes[..bytes.len() - 1];
        for cut in 0..line.len() {
            assert!(decode(&line[..cut]).is_none(), "cut at {cut}");
        }
        for index in 0..line.len() {
            for bit in 0..8 {
                let mut damaged = line.to_vec();
                damaged[index] ^= 1 << bit;
                let same_digit = damaged.eq_ignore_ascii_case(line) && index < CRC_DIGITS;
                assert!(
                    same_digit || decode(&damaged).is_none(),
                    "byte {index} bit {bit}"
                );
            }
        }
    }
}
