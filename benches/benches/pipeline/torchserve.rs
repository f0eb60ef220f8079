//! P15: the same job done by TorchServe, `benches/peers/torchserve`, with the same model file and fed
//! from as many connections. It answers with the result and the annotated picture; we answer with the
//! picture, and the result is kept.

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use benches::{
    brokers::contender::free_address,
    measure::{
        Finding, Turn,
        goals::{Direction, goal},
        processes,
        rounds::take_turns_each,
        spread::percentile,
    },
};
use tempfile::TempDir;
use ureq::Agent;

use crate::{
    Stand,
    peer::assert_alike,
    pictures::Picture,
    same::{assert_annotated, instances_of},
    services::{Service, Surroundings, shipped_models},
    uploads::{Answer, Client},
};

/// Python with TorchServe, its archiver, torch and the Python service's packages.
pub(crate) const PYTHON: &str = "KADR_TORCHSERVE_PYTHON";

/// The JVM has started by then, and torch has been imported in each worker.
const PATIENCE: Duration = Duration::from_mins(5);

const CLIENTS: usize = 8;

/// There is a picture in it.
const LARGEST_ANSWER: u64 = 64 << 20;

/// TorchServe with one model: a worker a core, a thread each.
struct TorchServe {
    process: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl TorchServe {
    /// Returns when its workers have loaded the model.
    fn start(surroundings: &Surroundings) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        archive(folder.path());
        let [address, management, metrics, grpc, grpc_management] =
            [(); 5].map(|()| free_address());
        let config = folder.path().join("config.properties");
        let store = folder.path().join("store");
        let text = format!(
            "inference_address=http://{address}\n\
             management_address=http://{management}\n\
             metrics_address=http://{metrics}\n\
             grpc_inference_address=127.0.0.1\n\
             grpc_inference_port={}\n\
             grpc_management_address=127.0.0.1\n\
             grpc_management_port={}\n\
             disable_token_authorization=true\n\
             disable_system_metrics=true\n\
             model_store={}\n\
             load_models=peer\n",
            grpc.port(),
            grpc_management.port(),
            store.display(),
        );
        fs::write(&config, text).expect("a writable folder");
        let process = python(&["-m", "ts.model_server", "--start", "--foreground", "--ncs"])
            .arg("--ts-config")
            .arg(&config)
            // It writes logs, and a file that says that it runs, where it is told.
            .current_dir(folder.path())
            .env("TMPDIR", folder.path())
            .env("TEMP", folder.path())
            .env("LOG_LOCATION", folder.path().join("logs"))
            .env("METRICS_LOCATION", folder.path().join("logs"))
            .env("LOOK", peers().join("python"))
            .env("MODEL", surroundings.models.join(surroundings.model))
            .stdout(Stdio::null())
            .spawn()
            .expect("TorchServe starts");
        let mut peer = Self {
            process,
            address,
            _folder: folder,
        };
        peer.wait_until_ready();
        peer
    }

    fn wait_until_ready(&mut self) {
        let begin = Instant::now();
        loop {
            let answer = ureq::get(format!("http://{}/ping", self.address)).call();
            if let Ok(mut answer) = answer {
                let text = answer.body_mut().read_to_string().unwrap_or_default();
                if text.contains("Healthy") {
                    return;
                }
            }
            let ended = self.process.try_wait().expect("a child of ours");
            assert!(ended.is_none(), "TorchServe ended at once: {ended:?}");
            assert!(begin.elapsed() < PATIENCE, "TorchServe is not ready");
            thread::park_timeout(Duration::from_millis(100));
        }
    }

    /// CPU time of the JVM and its workers so far.
    fn cpu(&self) -> Duration {
        processes::usage(&[self.process.id()]).ours
    }
}

impl Drop for TorchServe {
    fn drop(&mut self) {
        // The launcher passes nothing on: the JVM below it is asked, and ends its workers.
        for id in processes::descendants_of(self.process.id()) {
            drop(Command::new("kill").arg(id.to_string()).status());
        }
        drop(self.process.wait());
    }
}

/// Packs the handler, as TorchServe wants it.
fn archive(folder: &Path) {
    let store = folder.join("store");
    fs::create_dir_all(&store).expect("a writable folder");
    let config = folder.join("model-config.yaml");
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let seconds = PATIENCE.as_secs();
    let text = format!("minWorkers: {workers}\nmaxWorkers: {workers}\nstartupTimeout: {seconds}\n");
    fs::write(&config, text).expect("a writable folder");
    let code = "from model_archiver.model_packaging import generate_model_archive as make; make()";
    let status = python(&["-c", code, "--model-name", "peer", "--version", "1.0"])
        .args(["--archive-format", "no-archive", "--handler"])
        .arg(peers().join("torchserve/handler.py"))
        .arg("--config-file")
        .arg(&config)
        .arg("--export-path")
        .arg(&store)
        .status();
    let status = status.expect("torch-model-archiver starts");
    assert!(status.success(), "torch-model-archiver: {status}");
}

fn python(arguments: &[&str]) -> Command {
    let program = env::var_os(PYTHON).map(PathBuf::from);
    let mut command = Command::new(program.expect("asked for only where it is set"));
    command
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null());
    command
}

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// One connection to TorchServe.
struct TheirClient {
    agent: Agent,
    url: String,
}

impl TheirClient {
    fn of(address: SocketAddr) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .build();
        Self {
            agent: config.into(),
            url: format!("http://{address}/predictions/peer"),
        }
    }

    fn upload(&self, jpeg: &[u8]) -> Vec<u8> {
        let request = self.agent.post(&self.url).content_type("image/jpeg");
        let mut answer = request.send(jpeg).expect("an answer");
        let body = answer.body_mut().with_config().limit(LARGEST_ANSWER);
        let body = body.read_to_vec().expect("a whole answer");
        let text = String::from_utf8_lossy(&body[..body.len().min(500)]);
        assert_eq!(answer.status(), 200, "{text}");
        body
    }
}

/// Frames a second and the milliseconds of each, from so many clients at once.
fn run<T: Sync>(clients: &[T], count: usize, upload: impl Fn(&T) + Sync) -> (f64, Vec<f64>) {
    let taken = AtomicUsize::new(0);
    let begin = Instant::now();
    let work = |client: &T| {
        let mut latencies_ms = Vec::new();
        while taken.fetch_add(1, Ordering::Relaxed) < count {
            let sent = Instant::now();
            upload(client);
            latencies_ms.push(sent.elapsed().as_secs_f64() * 1e3);
        }
        latencies_ms
    };
    let work = &work;
    let latencies_ms = thread::scope(|scope| {
        let running = clients
            .iter()
            .map(|client| scope.spawn(move || work(client)));
        let running: Vec<_> = running.collect();
        let all = running.into_iter();
        all.flat_map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    (count as f64 / begin.elapsed().as_secs_f64(), latencies_ms)
}

pub(crate) fn measure(stand: &Stand) -> Vec<Finding> {
    let parts = Surroundings {
        models: shipped_models(),
        ..stand.surroundings("torchserve-parts", "parts")
    };
    let noop = stand.surroundings("torchserve-ten", "ten");
    let mut findings = one_model(stand, &parts, 48);
    findings.extend(one_model(stand, &noop, 120));
    findings
}

fn one_model(stand: &Stand, surroundings: &Surroundings, count: usize) -> Vec<Finding> {
    let detector = Service::detector(surroundings);
    let gateway = Service::gateway(surroundings);
    let peer = TorchServe::start(surroundings);
    let picture = Picture::of_belt(640, 480);
    let ours: Vec<_> = (0..CLIENTS).map(|_| Client::of(gateway.web)).collect();
    let theirs: Vec<_> = (0..CLIENTS)
        .map(|_| TheirClient::of(peer.address))
        .collect();
    check(&ours[0], &theirs[0], &picture);
    let count = stand.pick(count, 4);
    let by_kadr = || {
        let before = detector.cpu() + gateway.cpu();
        let upload = |client: &Client| drop(client.upload(&picture.jpeg, Answer::Picture));
        let (per_second, latencies_ms) = run(&ours, count, upload);
        let used = (detector.cpu() + gateway.cpu()).saturating_sub(before);
        [
            Turn::of(per_second)
                .with("kadr_fps", per_second)
                .with("kadr_cpu_ms", used.as_secs_f64() * 1e3 / count as f64),
            late(&latencies_ms, "kadr_p99_ms"),
        ]
    };
    let by_torchserve = || {
        let before = peer.cpu();
        let upload = |client: &TheirClient| drop(client.upload(&picture.jpeg));
        let (per_second, latencies_ms) = run(&theirs, count, upload);
        let used = peer.cpu().saturating_sub(before);
        [
            Turn::of(per_second)
                .with("torchserve_fps", per_second)
                .with("torchserve_cpu_ms", used.as_secs_f64() * 1e3 / count as f64),
            late(&latencies_ms, "torchserve_p99_ms"),
        ]
    };
    let [rate, late] = take_turns_each(stand.plan, &stand.ours, by_kadr, by_torchserve);
    let base = goal("P15").expect("a goal");
    if surroundings.model == "parts" {
        return vec![Finding {
            goal: base,
            variant: Some("parts".to_owned()),
            comparison: rate,
        }];
    }
    let rates = "frames a second, no-op model / TorchServe's";
    let lates = "p99, no-op model / TorchServe's";
    vec![
        Finding {
            goal: base.about(rates, Direction::AtLeast, (6.0, 12.0)),
            variant: Some("no-op".to_owned()),
            comparison: rate,
        },
        Finding {
            goal: base.about(lates, Direction::AtMost, (0.25, 0.125)),
            variant: Some("no-op p99".to_owned()),
            comparison: late,
        },
    ]
}

fn late(latencies_ms: &[f64], name: &'static str) -> Turn {
    let late_ms = percentile(latencies_ms, 0.99);
    Turn::of(late_ms).with(name, late_ms)
}

/// Both see the same things and draw something.
fn check(ours: &Client, theirs: &TheirClient, picture: &Picture) {
    let original = picture.decoded();
    let kadr = instances_of(&ours.upload(&picture.jpeg, Answer::Json));
    assert_annotated(&ours.upload(&picture.jpeg, Answer::Picture), &original);
    let answer = theirs.upload(&picture.jpeg);
    let (length, rest) = answer.split_first_chunk().expect("a length");
    let (result, annotated) = rest.split_at(u32::from_be_bytes(*length) as usize);
    assert_alike(&kadr, &instances_of(result));
    assert_annotated(annotated, &original);
}
