//! The shared flags, without touching this process's environment.

use super::*;
use clap::Parser;

#[derive(Debug, Parser)]
struct Cli {
    #[cfg(feature = "kafka")]
    #[command(flatten)]
    kafka: KafkaArgs,
    #[command(flatten)]
    operating: OperatingArgs,
}

fn parsed(flags: &[&str]) -> Result<Cli, String> {
    let words = ["detector"].iter().chain(flags);
    Cli::try_parse_from(words).map_err(|error| error.to_string())
}

#[test]
fn flags_are_read() {
    let args = parsed(&[
        "--admin-listen=[::]:9101",
        "--log=warn,detector=debug",
        "--log-format=json",
        "--shutdown-grace=1m30s",
    ])
    .expect("all are right");
    assert_eq!(args.operating.admin_listen.port(), 9101);
    assert_eq!(args.operating.log, "warn,detector=debug");
    assert_eq!(args.operating.log_format, LogFormat::Json);
    assert_eq!(args.operating.shutdown_grace, Duration::from_secs(90));
}

#[test]
fn wrong_flags_are_refused_with_an_example() {
    for (flag, hint) in [
        ("--admin-listen=9100", "127.0.0.1:9100"),
        ("--shutdown-grace=10", "10s"),
        ("--log=detector=loud", "info,detector=debug"),
        ("--log-format=xml", "text, json"),
    ] {
        let error = parsed(&[flag]).expect_err(flag);
        assert!(error.contains(hint), "{flag}: {error}");
    }
}

#[test]
fn every_variable_of_ours_starts_with_kadr() {
    use clap::CommandFactory;
    let command = Cli::command();
    let variables: Vec<_> = command
        .get_arguments()
        .filter_map(|argument| argument.get_env())
        .map(|variable| variable.to_str().expect("plain names"))
        .collect();
    let expected = if cfg!(feature = "kafka") { 7 } else { 6 };
    assert_eq!(variables.len(), expected, "{variables:?}");
    for variable in variables {
        let is_common = ["RUST_LOG", "OTEL_EXPORTER_OTLP_ENDPOINT"].contains(&variable);
        assert!(variable.starts_with("KADR_") || is_common, "{variable}");
    }
}

#[test]
fn durations_are_printed_as_they_are_written() {
    let args = parsed(&[]).expect("defaults");
    let json = serde_json::to_string(&args.operating).expect("plain fields");
    assert!(json.contains("\"shutdown_grace\":\"8s\""), "{json}");
}

#[cfg(feature = "kafka")]
mod kafka {
    use super::*;

    fn config_with(flags: &[&str], env: &[(&str, &str)]) -> Result<String, String> {
        let env = |name: &str| {
            env.iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        let config = parsed(flags)?.kafka.config_with(&env);
        config
            .map(|config| config.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_printed_from_the_flags_shows_a_secret() {
        let args = parsed(&[
            "--brokers=one:9092",
            "--topic-prefix=plant7",
            "--kafka=sasl.password=canary",
            "--kafka=ssl.key.password=canary",
        ]);
        let args = args.expect("pairs");
        let json = serde_json::to_string(&args.kafka).expect("plain fields");
        assert!(
            json.contains("one:9092") && json.contains("plant7"),
            "{json}"
        );
        assert!(!format!("{args:?} {json}").contains("canary"), "{json}");
    }

    #[test]
    fn brokers_found_otherwise_win() {
        let args = parsed(&["--kafka=linger.ms=7"]).expect("a pair");
        let config = args.kafka.config_for("127.0.0.1:5").expect("settings");
        assert_eq!(config.brokers(), "127.0.0.1:5");
        assert!(config.to_string().contains("linger.ms=7"), "{config}");
    }

    #[test]
    fn brokers_are_taken_from_either_variable() {
        for name in ["KAFKA_BROKERS", "KAFKA_BOOTSTRAP_SERVERS"] {
            let config = config_with(&[], &[(name, "one:9092")]).expect("brokers");
            assert!(config.contains("one:9092"), "{config}");
        }
    }

    #[test]
    fn two_variables_that_disagree_are_refused_and_a_flag_settles_it() {
        let env = [
            ("KAFKA_BROKERS", "one:9092"),
            ("KAFKA_BOOTSTRAP_SERVERS", "two:9092"),
        ];
        let error = config_with(&[], &env).expect_err("two clusters");
        for name in ["KAFKA_BROKERS", "KAFKA_BOOTSTRAP_SERVERS"] {
            assert!(error.contains(name), "{error}");
        }
        let config = config_with(&["--brokers=three:9092"], &env).expect("the flag");
        assert!(config.contains("three:9092"), "{config}");
    }

    #[test]
    fn properties_come_from_a_file_and_flags_win() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("client.properties");
        let content = "# for the plant\n\nsasl.password = canary,x=y\nlinger.ms=7\nclient.id=a\n";
        std::fs::write(&path, content).expect("a writable folder");
        let file = path.to_str().expect("a plain path");
        let env = [("KAFKA_BROKERS", "one:9092"), ("KADR_KAFKA_FILE", file)];
        let config = config_with(&["--kafka=client.id=b"], &env).expect("known properties");
        assert!(
            config.contains("linger.ms=7") && config.contains("client.id=b"),
            "{config}"
        );
        assert!(
            config.contains("sasl.password=") && !config.contains("canary"),
            "{config}"
        );
    }

    #[test]
    fn a_file_and_a_variable_together_are_refused() {
        let env = [("KADR_KAFKA", "linger.ms=7"), ("KADR_KAFKA_FILE", "/x")];
        let error = config_with(&["--brokers=one:9092"], &env).expect_err("two sources");
        assert!(error.contains("KADR_KAFKA_FILE"), "{error}");
    }
}
