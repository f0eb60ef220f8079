//! Which variables are taken, and which are refused.

use super::*;

fn read(
    endpoint: Option<&str>,
    env: &[(&str, &str)],
) -> Result<Option<TraceSettings>, TraceSettingsError> {
    let env = |name: &str| {
        let found = env.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    TraceSettings::read(endpoint, &env)
}

const HERE: Option<&str> = Some("http://127.0.0.1:4318");

#[test]
fn nothing_is_sent_anywhere_unless_asked() {
    assert!(read(None, &[]).unwrap().is_none());
    assert!(read(Some(""), &[]).unwrap().is_none());
    assert!(
        read(HERE, &[("OTEL_SDK_DISABLED", "true")])
            .unwrap()
            .is_none()
    );
}

#[test]
fn the_root_is_given_a_path_and_the_whole_address_is_taken_as_it_is() {
    let whole = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:1/otlp");
    for (flag, env, expected) in [
        (HERE, &[][..], "http://127.0.0.1:4318/v1/traces"),
        (Some("http://c:1/a/"), &[], "http://c:1/a/v1/traces"),
        (None, &[whole], "http://c:1/otlp"),
        (HERE, &[whole], "http://c:1/otlp"),
    ] {
        let settings = read(flag, env).unwrap().unwrap();
        assert_eq!(settings.endpoint(), expected);
    }
}

#[test]
fn samplers_are_those_of_the_specification() {
    let sampler = |name, ratio: Option<&'static str>| {
        let mut env = vec![("OTEL_TRACES_SAMPLER", name)];
        env.extend(ratio.map(|ratio| ("OTEL_TRACES_SAMPLER_ARG", ratio)));
        format!("{:?}", read(HERE, &env).unwrap().unwrap().sampler())
    };
    assert_eq!(sampler("always_on", None), "AlwaysOn");
    assert_eq!(
        sampler("parentbased_always_off", None),
        "ParentBased(AlwaysOff)"
    );
    assert_eq!(sampler("traceidratio", None), "TraceIdRatioBased(1.0)");
    assert_eq!(
        sampler("parentbased_traceidratio", Some("0.25")),
        "ParentBased(TraceIdRatioBased(0.25))"
    );
    let default = read(HERE, &[]).unwrap().unwrap();
    assert_eq!(format!("{:?}", default.sampler()), "ParentBased(AlwaysOn)");
}

#[test]
fn what_would_be_passed_over_is_refused_with_what_to_write() {
    let ratio = ("OTEL_TRACES_SAMPLER", "traceidratio");
    for (flag, env, hint) in [
        (HERE, vec![("OTEL_TRACES_SAMPLER", "xray")], "parentbased_"),
        (HERE, vec![ratio, ("OTEL_TRACES_SAMPLER_ARG", "2")], "0.01"),
        (
            HERE,
            vec![ratio, ("OTEL_TRACES_SAMPLER_ARG", "all")],
            "0.01",
        ),
        (HERE, vec![("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], "4318"),
        (
            HERE,
            vec![("OTEL_EXPORTER_OTLP_TIMEOUT", "10s")],
            "milliseconds",
        ),
        (Some("https://c:4318"), vec![], "near by"),
        (Some("c:4318"), vec![], "http://127.0.0.1:4318"),
        (Some("localhost"), vec![], "http://127.0.0.1:4318"),
    ] {
        let error = read(flag, &env).expect_err(hint).to_string();
        assert!(error.contains(hint), "{error}");
    }
}

#[test]
fn the_password_of_an_address_is_not_repeated() {
    let error = read(Some("https://me:canary@c:4318"), &[]).unwrap_err();
    assert!(!error.to_string().contains("canary"), "{error}");
}
