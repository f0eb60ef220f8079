//! The rest of the machine: cameras, ports, limits and the clock.

use std::{net::SocketAddr, time::Duration};

use camera::{CamerasConfig, opencv_support, probe};
use jiff::Timestamp;
use pipeline::service::{
    http::{BindError, bind},
    shutdown::describe,
};
use rustix::process::{Resource, getrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{DoctorArgs, finding::Finding};

const OPENCV: &str = "opencv";
const CAMERAS: &str = "cameras";
const OPEN_FILES: &str = "open files";
const CLOCK: &str = "clock";

/// The usual limit of a login shell.
const COMFORTABLE_OPEN_FILES: u64 = 1024;
/// Topics, connections and libraries together take more than this.
const LEAST_OPEN_FILES: u64 = 256;

/// No clock that is set is behind this.
const EARLIEST: &str = "2026-01-01T00:00:00Z";

const PATIENCE: Duration = Duration::from_secs(2);
const MOST_ANSWER_BYTES: u64 = 64 << 10;

pub(super) async fn look(args: &DoctorArgs) -> Vec<Finding> {
    let mut findings = vec![of_opencv()];
    findings.extend(of_cameras(args).await);
    findings.push(of_port("web port", args.listen, "--listen").await);
    findings.push(of_port("admin port", args.admin_listen, "--admin-listen").await);
    findings.push(of_open_files(getrlimit(Resource::Nofile).current));
    findings.push(of_clock(Timestamp::now()));
    findings
}

fn of_opencv() -> Finding {
    let Some(opencv) = opencv_support() else {
        return Finding::warn(OPENCV, "not built in, so cameras cannot play video files")
            .advise("run script/setup and build with --features opencv");
    };
    let backends = opencv.backends.join(", ");
    let text = format!("{} reads videos with {backends}", opencv.version);
    let reads_files = |name: &String| name == "FFMPEG" || name == "GSTREAMER";
    if opencv.backends.iter().any(reads_files) {
        return Finding::ok(OPENCV, text);
    }
    Finding::warn(OPENCV, text)
        .advise("without FFMPEG and GSTREAMER most video files cannot be played")
}

async fn of_cameras(args: &DoctorArgs) -> Vec<Finding> {
    let CamerasConfig { cameras } = match args.camera.config() {
        Ok(config) => config,
        Err(error) => return vec![Finding::fail(CAMERAS, describe(&error))],
    };
    let mut findings = Vec::with_capacity(cameras.len());
    for camera in cameras {
        let (id, source) = (camera.id, camera.address.to_string());
        findings.push(match probe(camera.address).await {
            Ok(()) => Finding::ok(CAMERAS, format!("{id}: {source} gives pictures")),
            Err(error) => Finding::fail(CAMERAS, format!("{id}: {}", describe(&error))),
        });
    }
    findings
}

async fn of_port(check: &'static str, address: SocketAddr, flag: &'static str) -> Finding {
    match bind(address, flag).await {
        Ok(_free_again) => Finding::ok(check, format!("{address} is free")),
        Err(BindError::InUse { .. }) if is_kadr(address).await => {
            Finding::ok(check, format!("Kadr runs at http://{address}/ already"))
        }
        Err(error) => Finding::fail(check, describe(&error)),
    }
}

/// Whether what answers there shows parts as our health page does.
async fn is_kadr(address: SocketAddr) -> bool {
    let asking = async {
        let mut stream = TcpStream::connect(address).await?;
        stream
            .write_all(b"GET /readyz HTTP/1.0\r\nhost: kadr\r\n\r\n")
            .await?;
        let mut answer = Vec::new();
        stream
            .take(MOST_ANSWER_BYTES)
            .read_to_end(&mut answer)
            .await?;
        std::io::Result::Ok(String::from_utf8_lossy(&answer).contains("\"parts\":"))
    };
    matches!(timeout(PATIENCE, asking).await, Ok(Ok(true)))
}

fn of_open_files(limit: Option<u64>) -> Finding {
    let Some(limit) = limit else {
        return Finding::ok(OPEN_FILES, "no limit");
    };
    let text = format!("a process may open {limit}");
    let advice = "raise it with ulimit -n 4096, or LimitNOFILE= of its service";
    match limit {
        COMFORTABLE_OPEN_FILES.. => Finding::ok(OPEN_FILES, text),
        LEAST_OPEN_FILES.. => Finding::warn(OPEN_FILES, text).advise(advice),
        _ => Finding::fail(OPEN_FILES, text).advise(advice),
    }
}

fn of_clock(now: Timestamp) -> Finding {
    let earliest: Timestamp = EARLIEST.parse().expect("a time");
    let text = format!("it is {now:.0}");
    if now < earliest {
        return Finding::fail(CLOCK, text)
            .advise("set it: topics forget by time, and frames are judged by their age");
    }
    Finding::ok(CLOCK, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_open_files_are_a_warning_and_very_few_a_failure() {
        for (limit, verdict) in [
            (None, "ok"),
            (Some(1024), "ok"),
            (Some(1023), "warn"),
            (Some(255), "FAIL"),
        ] {
            let finding = of_open_files(limit).to_string();
            assert!(finding.starts_with(verdict), "{finding}");
        }
    }

    #[test]
    fn a_clock_that_was_never_set_fails() {
        let finding = of_clock(Timestamp::UNIX_EPOCH).to_string();
        assert!(finding.starts_with("FAIL"), "{finding}");
        assert!(of_clock(Timestamp::now()).to_string().starts_with("ok"));
    }
}
