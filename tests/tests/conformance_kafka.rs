//! The conformance suite against Apache Kafka: what it answers is what the suite asserts.

use std::fs;
use std::path::Path;

use tests::conformance::{Kind, run};

macro_rules! make_tests {
    ($($subject:ident: [$($case:ident,)*],)*) => {
        $(mod $subject {
            use super::*;

            $(#[test]
            fn $case() {
                let name = concat!(stringify!($subject), "::", stringify!($case));
                run(Kind::ApacheKafka, name, tests::conformance::$subject::$case);
            })*
        })*

        const LISTED: &[&str] = &[
            $($(concat!(stringify!($subject), "::", stringify!($case)),)*)*
        ];
    };
}

tests::for_every_case!(make_tests);

#[test]
fn every_case_is_in_the_list() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/conformance");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let subject = path.file_stem().unwrap().to_str().unwrap();
        let source = fs::read_to_string(&path).unwrap();
        for case in source.split("\npub async fn ").skip(1) {
            let (name, rest) = case.split_once('(').unwrap();
            let rest = rest.trim_start();
            assert!(
                rest.starts_with("target: &Target"),
                "{subject}::{name} is no case"
            );
            let name = format!("{subject}::{name}");
            assert!(LISTED.contains(&name.as_str()), "{name} is not in list.rs");
            count += 1;
        }
    }
    assert_eq!(count, LISTED.len());
}
