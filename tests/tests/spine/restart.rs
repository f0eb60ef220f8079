//! kill -9 of everything at once: what was accepted before is looked at after.

use std::path::Path;

use pipeline::frame::FrameId;
use tests::kafka::{root, unique};
use tests::process::free_address;
use tests::spine::pictures::small_jpeg;
use tests::spine::service::Service;
use tests::spine::uploads::{Gateway, Upload};

const UPLOADS: usize = 60;
/// Uploads after which everything dies; most of them are not looked at yet.
const BEFORE_THE_KILL: usize = 40;

/// `kadr up` without cameras, on a broker of its own at an address that outlives it.
async fn up(data: &Path, broker: &str) -> Gateway {
    let (data, models) = (
        data.display().to_string(),
        root().join("models").display().to_string(),
    );
    let options = [
        "--cameras",
        "0",
        "--listen",
        "127.0.0.1:0",
        "--model-threads",
        "1",
    ];
    let mut arguments = vec!["up", "--data", &data, "--broker-listen", broker];
    arguments.extend(["--models", &models]);
    arguments.extend(options);
    Gateway::new(Service::start(&arguments).await).await
}

#[tokio::test]
async fn a_restart_loses_nothing_that_was_accepted() {
    let folder = tempfile::Builder::new()
        .prefix(&unique("restart"))
        .tempdir()
        .unwrap();
    let data = folder.path().join("data");
    let broker = free_address();
    let before = up(&data, &broker).await;
    before.service.ready().await;
    let mut accepted: Vec<FrameId> = Vec::new();
    for number in 0..BEFORE_THE_KILL {
        accepted.push(before.upload(&small_jpeg(number)).await.id());
    }
    let last = before.look(accepted[BEFORE_THE_KILL - 1]).await.json();
    assert_eq!(Upload(last).status(), "queued", "the kill comes too late");
    before.service.kill().await;

    let after = up(&data, &broker).await;
    after.service.ready().await;
    for number in BEFORE_THE_KILL..UPLOADS {
        accepted.push(after.upload(&small_jpeg(number)).await.id());
    }
    for &id in &accepted {
        assert_eq!(after.done(id).await.id(), id);
    }
    after.service.end().await;
}
