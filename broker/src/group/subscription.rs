//! Reads the topics out of a consumer's metadata. The coordinator needs them for one thing only:
//! not to delete or expire offsets that a live consumer stands on.

use bytes::Buf;

pub(super) const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// Version, count, and that many strings; later versions only add to the end. `None` if it is
/// anything else.
pub(super) fn topics(mut metadata: &[u8]) -> Option<Vec<String>> {
    metadata.try_get_i16().ok()?;
    let count = usize::try_from(metadata.try_get_i32().ok()?).ok()?;
    let mut topics = Vec::new();
    for _ in 0..count {
        let length = usize::try_from(metadata.try_get_i16().ok()?).ok()?;
        let (name, rest) = metadata.split_at_checked(length)?;
        topics.push(std::str::from_utf8(name).ok()?.to_owned());
        metadata = rest;
    }
    Some(topics)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_TOPICS: &[u8] = b"\0\x01\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xff";

    #[test]
    fn the_topics_come_out_whatever_follows() {
        assert_eq!(topics(TWO_TOPICS).unwrap(), ["a", "bc"]);
    }

    #[test]
    fn what_is_cut_or_hostile_is_not_a_subscription() {
        for cut in 0..13 {
            assert_eq!(topics(&TWO_TOPICS[..cut]), None, "cut at {cut}");
        }
        assert_eq!(topics(b"\0\0\x7f\xff\xff\xff"), None);
        assert_eq!(topics(b"\0\0\xff\xff\xff\xff"), None);
    }
}
