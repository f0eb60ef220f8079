//! The tables against the codec: what it writes is exactly what they describe.

use bytes::Bytes;
use kafka_protocol::messages::MetadataRequest;
use kafka_protocol::protocol::Decodable;
use proptest::prelude::*;

use super::*;
use crate::wire::versions::SPOKEN;

#[path = "../../tests/hostile/seeds.rs"]
#[expect(dead_code, reason = "the tests over TCP use more of it")]
mod seeds;

fn all() -> Vec<seeds::Seed> {
    seeds::all(&Bytes::from_static(b"some records"))
}

#[test]
fn there_is_a_request_of_every_kind_and_version() {
    for (api, versions) in SPOKEN {
        for version in versions.min..=versions.max {
            let found = all()
                .iter()
                .any(|seed| seed.api == api && seed.version == version);
            assert!(found, "{api:?} {version}");
        }
    }
}

#[test]
fn well_formed_requests_are_walked_to_their_end() {
    for seed in all() {
        let (api, version) = (seed.api, seed.version);
        let mut walk = Walk {
            rest: &seed.body,
            version,
            is_flexible: api.request_header_version(version) >= FLEXIBLE_HEADER,
            elements: 0,
        };
        let fields = fields(api).expect("a table");
        assert_eq!(walk.fields(fields), Ok(()), "{api:?} {version}");
        assert!(
            walk.rest.is_empty(),
            "{api:?} {version}: {} left",
            walk.rest.len()
        );
    }
}

#[test]
fn a_request_cut_anywhere_is_refused() {
    for seed in all() {
        for length in 0..seed.body.len() {
            let walked = check(seed.api, seed.version, &seed.body[..length]);
            assert!(
                walked.is_err(),
                "{:?} {} at {length}",
                seed.api,
                seed.version
            );
        }
    }
}

#[test]
fn what_follows_a_request_is_ignored() {
    for seed in all() {
        let body = [&seed.body[..], b"xyz"].concat();
        let walked = check(seed.api, seed.version, &body);
        assert_eq!(walked, Ok(()), "{:?} {}", seed.api, seed.version);
    }
}

#[test]
fn counts_past_the_end_are_refused_before_the_codec_sees_them() {
    let plain = [0x7F, 0xFF, 0xFF, 0xFF, 0, 0];
    assert_eq!(
        check(ApiKey::Metadata, 1, &plain),
        Err(ShapeError::Count(0x7FFF_FFFF))
    );
    let compact = [0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0, 0];
    assert_eq!(
        check(ApiKey::Metadata, 9, &compact),
        Err(ShapeError::Count(0xFFFF_FFFE))
    );
    let endless = [0xFF; 12];
    assert_eq!(
        check(ApiKey::Metadata, 9, &endless),
        Err(ShapeError::Varint)
    );
}

#[test]
fn a_large_request_of_small_things_is_refused() {
    let count = MAX_ELEMENTS + 1;
    let mut body = i32::try_from(count)
        .expect("a small number")
        .to_be_bytes()
        .to_vec();
    body.resize(4 + 2 * count, 0);
    assert_eq!(
        check(ApiKey::DeleteGroups, 0, &body),
        Err(ShapeError::TooMany)
    );
}

#[test]
fn tagged_fields_count_too() {
    let mut body = vec![0; 2 * (MAX_ELEMENTS + 1)];
    let count = MAX_ELEMENTS + 1;
    let varint = [
        count as u8 | 0x80,
        (count >> 7) as u8 | 0x80,
        (count >> 14) as u8,
    ];
    // Version 3 of ListGroups is nothing but tagged fields.
    body.splice(0..0, varint);
    assert_eq!(
        check(ApiKey::ListGroups, 3, &body),
        Err(ShapeError::TooMany)
    );
}

proptest! {
    /// Whatever passes has no count that the codec could choke on, whatever else it may find.
    #[test]
    fn random_bodies_never_panic(
        which in 0..SPOKEN.len(),
        offset in 0_i16..20,
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let (api, versions) = SPOKEN[which];
        let version = versions.min + offset % (versions.max - versions.min + 1);
        let walked = check(api, version, &body);
        if api == ApiKey::Metadata && walked.is_ok() {
            drop(MetadataRequest::decode(&mut Bytes::from(body), version));
        }
    }
}
