//! Versions of a model come, fail, are tried, compared and taken back while a detector runs, on the
//! embedded broker with a real ONNX Runtime.
#![expect(clippy::unwrap_used, reason = "helpers of a test fail it by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Parser;
use detector::DetectorArgs;
use detector::rollout::metrics::{SHADOW_FRAMES, STATE};
use jiff::Timestamp;
use pipeline::catalogue::{Catalogue, ModelArgs, rollout::Change};
use pipeline::frame::{Frame, SourceId};
use pipeline::kafka::{KafkaConfig, Tail, ensure_topics, frame_topics};
use pipeline::record::{decode_result, encode_frame};
use pipeline::service::{Bus, Context, Shutdown, Tasks};
use pipeline::topic::Topics;
use tempfile::TempDir;
use tests::kafka::{PATIENCE, unique, until, within};
use tests::process::BrokerProcess;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    detector: DetectorArgs,
    #[command(flatten)]
    models: ModelArgs,
}

/// A detector with the model `colour` in a folder of its own, and a look at its results.
struct Hall {
    models: TempDir,
    bus: Bus,
    context: Context,
    tasks: Tasks,
    results: Tail,
    _broker: BrokerProcess,
}

fn graphs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../detector/tests/fixtures/graphs/colour")
}

/// Puts a version into the folder of models; the graph of a broken one is cut short.
fn put_version(models: &Path, version: u32, is_good: bool) {
    let folder = models.join(format!("colour/{version}"));
    fs::create_dir_all(&folder).unwrap();
    let graph = fs::read(graphs().join("1/model.onnx")).unwrap();
    let kept = if is_good {
        graph.len()
    } else {
        graph.len() / 2
    };
    fs::write(folder.join("model.onnx"), &graph[..kept]).unwrap();
}

async fn start() -> Hall {
    let models = tempfile::tempdir().unwrap();
    put_version(models.path(), 1, true);
    let manifest = models.path().join("colour/model.toml");
    fs::copy(graphs().join("model.toml"), manifest).unwrap();

    let broker = BrokerProcess::start("rollout", &[]);
    let kafka = KafkaConfig::from_settings(Some(broker.address()), &[], &|_| None).unwrap();
    let topics = Topics::new(unique("rollout")).unwrap();
    ensure_topics(&kafka, &frame_topics(&topics), PATIENCE)
        .await
        .unwrap();
    let results = Tail::open(&kafka, &[&topics.results()], 0).await.unwrap();
    let context = Context::new("test", Shutdown::new(PATIENCE)).unwrap();
    let bus = Bus::open(kafka, topics, &context).unwrap();
    let mut tasks = Tasks::new(&context.shutdown);
    let folder = models.path().to_str().unwrap();
    let flags = ["test", "--models", folder, "--model", "colour"];
    let flags = Flags::parse_from(flags);
    let config = flags.detector.config(&flags.models);
    detector::start(config, &bus, &context, &mut tasks).unwrap();
    until("the detector is ready", || context.health.report().ready).await;
    Hall {
        models,
        bus,
        context,
        tasks,
        results,
        _broker: broker,
    }
}

impl Hall {
    /// The version that answers a frame.
    async fn answers(&self, source: &str, model: Option<&str>) -> u32 {
        let picture =
            fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/parts/example-1.jpg"));
        let source = SourceId::new(source).unwrap();
        let mut frame = Frame::new(source, Timestamp::now(), Bytes::from(picture.unwrap()));
        frame.model = model.map(|model| model.parse().unwrap());
        let frames = self.bus.topics.frames();
        let delivery = self.bus.sink.send(&frames, None, &encode_frame(&frame));
        within("an acknowledgement", delivery.unwrap())
            .await
            .unwrap();
        let seen = within("a result", self.results.recv()).await;
        let (result, _) = decode_result(seen.record).unwrap();
        assert_eq!(result.id, frame.id);
        result.model.version
    }

    fn roll_out(&self, change: &str) {
        let change: Change = serde_json::from_str(change).unwrap();
        let catalogue = Catalogue::new(self.models.path());
        catalogue.roll_out("colour", &change).unwrap();
    }

    async fn until_version(&self, version: &str, state: &str) {
        let labels = [("version", version), ("state", state)];
        let is_so = || self.context.metrics.sum(STATE, &labels) > 0.0;
        until(&format!("version {version} is {state}"), is_so).await;
    }

    fn remark(&self) -> Option<String> {
        let mut parts = self.context.health.report().parts.into_iter();
        parts.find(|part| part.part == "versions").unwrap().reason
    }
}

#[tokio::test]
async fn versions_come_and_go_without_a_restart() {
    let hall = start().await;
    assert_eq!(hall.answers("line-1", None).await, 1);

    put_version(hall.models.path(), 2, false);
    hall.until_version("2", "failed").await;
    assert_eq!(hall.answers("line-1", None).await, 1);
    assert!(hall.context.health.report().ready, "the old one serves");
    let remark = hall.remark().unwrap();
    assert!(remark.starts_with("colour@2 does not serve"), "{remark}");

    put_version(hall.models.path(), 3, true);
    hall.until_version("3", "serving").await;
    assert_eq!(hall.answers("line-1", None).await, 3);

    put_version(hall.models.path(), 2, true);
    hall.roll_out(r#"{"canary":{"version":2,"sources":["line-3"]}}"#);
    hall.until_version("2", "canary").await;
    assert_eq!(hall.answers("line-1", None).await, 3);
    assert_eq!(hall.answers("line-3", None).await, 2);
    assert_eq!(hall.answers("line-1", Some("colour@canary")).await, 2);
    assert_eq!(hall.answers("line-3", Some("colour@stable")).await, 3);
    assert_eq!(hall.remark(), None);

    Catalogue::new(hall.models.path())
        .roll_back("colour")
        .unwrap();
    until("the canary has ended", || {
        let labels = [("state", "canary")];
        hall.context.metrics.sum(STATE, &labels) == 0.0
    })
    .await;
    assert_eq!(hall.answers("line-3", None).await, 3);

    hall.roll_out(r#"{"shadow":{"version":1}}"#);
    hall.until_version("1", "shadow").await;
    assert_eq!(hall.answers("line-1", None).await, 3);
    until("the shadow has looked at it", || {
        let labels = [("version", "1"), ("outcome", "agreed")];
        hall.context.metrics.sum(SHADOW_FRAMES, &labels) > 0.0
    })
    .await;
    hall.context.shutdown.begin();
    within("a clean end", hall.tasks.drained()).await.unwrap();
}
