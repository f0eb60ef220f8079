//! The pages in headless Chromium, on everything that `kadr up` starts.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tests::{kafka::root, spine::service::Service};
use tokio::process::Command;

/// The suite's deadline: with its fetching, and on a machine that is busy elsewhere.
const PATIENCE: Duration = Duration::from_mins(15);

/// What the suite prints once every check of its own went well.
const ALL_PASSED: &str = "all checks passed";

const ANY_PORT: &str = "127.0.0.1:0";

/// Screenshots of the last run are kept here.
fn shots() -> PathBuf {
    root().join("target/browser")
}

/// A camera in a process of its own, so that it can be held still while the others go on.
async fn camera(brokers: &str, number: u32) -> Service {
    // Slow and small: a browser that draws without a GPU wants the cores, too.
    let source = format!("belt-{number}=belt://?seed={number}&fps=3&size=480x360");
    let camera = Service::start(&[
        "camera",
        "--listen",
        ANY_PORT,
        "--brokers",
        brokers,
        "--source",
        &source,
    ])
    .await;
    camera.ready().await;
    camera
}

/// A command that holds `belt-1` or `belt-2` still, and lets it go on.
fn hook(folder: &Path, cameras: &[Service; 2]) -> PathBuf {
    let hook = folder.join("hook");
    let [first, second] = cameras.each_ref().map(Service::pid);
    let script = format!(
        "#!/bin/sh\nset -eu\n\
         case $1 in stop) signal=STOP ;; start) signal=CONT ;; esac\n\
         case $2 in belt-1) pid={first} ;; belt-2) pid={second} ;; esac\n\
         exec kill -$signal $pid\n"
    );
    std::fs::write(&hook, script).expect("a writable folder");
    let executable = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(&hook, executable).expect("a file of ours");
    hook
}

#[tokio::test]
async fn the_pages_show_what_cameras_and_uploads_give() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data").display().to_string();
    let mut arguments = vec!["up", "--cameras", "0", "--data", &data];
    arguments.extend(["--listen", ANY_PORT, "--broker-listen", ANY_PORT]);
    let up = Service::start(&arguments).await;
    up.ready().await;
    let brokers = up.announced("Kafka clients connect to ").await;
    let cameras = [camera(&brokers, 1).await, camera(&brokers, 2).await];

    let suite = Command::new(root().join("tests/browser/run"))
        .arg(format!("http://{}", up.web().await.address()))
        .arg(shots())
        .arg(hook(folder.path(), &cameras))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let Ok(output) = tokio::time::timeout(PATIENCE, suite).await else {
        panic!("the browser's suite did not end in {PATIENCE:?}");
    };
    let output = output.expect("tests/browser/run can be run");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && stdout.lines().last() == Some(ALL_PASSED),
        "{}\n{stdout}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    for camera in cameras {
        camera.end().await;
    }
    up.end().await;
}
