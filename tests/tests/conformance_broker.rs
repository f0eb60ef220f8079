//! The conformance suite against the embedded broker: it answers what Apache Kafka answers.

use tests::conformance::{Kind, run};

macro_rules! make_tests {
    ($($subject:ident: [$($case:ident,)*],)*) => {
        $(mod $subject {
            use super::*;

            $(#[test]
            fn $case() {
                let name = concat!(stringify!($subject), "::", stringify!($case));
                run(Kind::Embedded, name, tests::conformance::$subject::$case);
            })*
        })*
    };
}

tests::for_every_case!(make_tests);
