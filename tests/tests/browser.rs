//! The pages in headless Chromium, on everything that `kadr up` starts.

use std::{os::unix::fs::PermissionsExt, process::Stdio, time::Duration};

use tests::{kafka::root, spine::service::Service};
use tokio::process::Command;

/// The suite's deadline: with its fetching, and on a machine that is busy elsewhere.
const PATIENCE: Duration = Duration::from_mins(15);

/// What the suite prints once every check of its own went well.
const ALL_PASSED: &str = "all checks passed";

/// Screenshots of the last run are kept here.
fn shots() -> std::path::PathBuf {
    root().join("target/browser")
}

#[tokio::test]
async fn the_pages_show_what_cameras_and_uploads_give() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data").display().to_string();
    let any_port = "127.0.0.1:0";
    let up = Service::start(&[
        "up",
        "--listen",
        any_port,
        "--broker-listen",
        any_port,
        "--data",
        &data,
        "--cameras",
        "1",
    ])
    .await;
    up.ready().await;
    let brokers = up.announced("Kafka clients connect to ").await;
    // In a process of its own, so that it can be held still while the others go on.
    let camera = Service::start(&[
        "camera",
        "--listen",
        any_port,
        "--brokers",
        &brokers,
        "--source",
        "belt-2=belt://?seed=2&fps=5&size=640x480",
    ])
    .await;
    camera.ready().await;
    let hook = folder.path().join("hook");
    let script = format!(
        "#!/bin/sh\n[ \"$2\" = belt-2 ] || exit 1\ncase $1 in\nstop) kill -STOP {0} ;;\nstart) kill -CONT {0} ;;\n*) exit 1 ;;\nesac\n",
        camera.pid()
    );
    std::fs::write(&hook, script).expect("a writable folder");
    let executable = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(&hook, executable).expect("a file of ours");

    let suite = Command::new(root().join("tests/browser/run"))
        .arg(format!("http://{}", up.web().await.address()))
        .arg(shots())
        .arg(&hook)
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
    camera.end().await;
    up.end().await;
}
