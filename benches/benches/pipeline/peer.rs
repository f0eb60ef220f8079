//! P13 and P14: the same job done by a Python service, `benches/peers/python`, on the same broker with
//! the same model file and fed by the same client.

use std::{
    env,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use benches::{
    brokers::contender::free_address,
    measure::{Finding, Goal, Turn, goals::goal, processes, rounds::take_turns},
};
use pipeline::detections::Instance;

use crate::{
    Stand,
    pictures::Picture,
    same::{assert_annotated, instances_of},
    services::{Service, Surroundings, shipped_models},
    uploads::{Answer, Client, upload_all},
};

/// Python with the peer's packages; `script/bench` sets it.
pub(crate) const PYTHON: &str = "KADR_PEER_PYTHON";

/// Imports and a model are loaded by then.
const PATIENCE: Duration = Duration::from_mins(1);

const CLIENTS: usize = 8;

/// Pillow shrinks a picture a little differently than we do, and so the masks differ at their edges.
const LEAST_OVERLAP: f64 = 0.97;

/// What a larger picture is held against: more of it is copying.
const LARGE_UPLOADS: (f64, f64) = (8.0, 12.0);

/// The Python service, or a part of it.
struct Peer(Child);

impl Peer {
    /// The door for uploads; returns when it takes them.
    fn door(surroundings: &Surroundings) -> (Self, SocketAddr) {
        let web = free_address();
        let threads = (2 * CLIENTS).to_string();
        let mut command = python(&["-m", "gunicorn", "door:app", "--threads", &threads]);
        command
            .args(["--bind", &web.to_string(), "--log-level", "error"])
            .env("BROKERS", &surroundings.brokers)
            .env("PREFIX", &surroundings.topic_prefix)
            .stdout(Stdio::null());
        let peer = Self(command.spawn().expect("the peer's door starts"));
        let begin = Instant::now();
        while ureq::get(format!("http://{web}/healthz")).call().is_err() {
            assert!(begin.elapsed() < PATIENCE, "the peer's door is not ready");
            thread::park_timeout(Duration::from_millis(50));
        }
        (peer, web)
    }

    /// Frames in, results out; returns when it reads.
    fn worker(surroundings: &Surroundings) -> Self {
        let model = surroundings.models.join(surroundings.model);
        let mut command = python(&[
            "worker.py",
            &surroundings.brokers,
            &surroundings.topic_prefix,
        ]);
        command.arg(model).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the peer's worker starts");
        let output = child.stdout.take().expect("its output is ours");
        let said = BufReader::new(output).lines().next();
        let is_ready = matches!(&said, Some(Ok(line)) if line == "ready");
        assert!(is_ready, "the peer's worker is not ready: {said:?}");
        Self(child)
    }

    /// CPU time of it and its children so far.
    fn cpu(&self) -> Duration {
        processes::usage(&[self.0.id()]).ours
    }

    fn cpu_ms_each(&self, before: Duration, count: usize) -> f64 {
        self.cpu().saturating_sub(before).as_secs_f64() * 1e3 / count as f64
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Asked, not killed: gunicorn ends its children.
        drop(Command::new("kill").arg(self.0.id().to_string()).status());
        drop(self.0.wait());
    }
}

/// Python in the peer's folder, with its packages.
pub(crate) fn python(arguments: &[&str]) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/python");
    let program = env::var_os(PYTHON).map(PathBuf::from);
    let mut command = Command::new(program.expect("script/bench says where Python is"));
    command
        .args(arguments)
        .current_dir(folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null());
    command
}

/// P13: CPU time to take an upload in.
pub(crate) fn measure_door(stand: &Stand) -> Vec<Finding> {
    let ours = stand.surroundings("door-ours", "ten");
    let theirs = stand.surroundings("door-theirs", "ten");
    let gateway = Service::gateway(&ours);
    let (door, web) = Peer::door(&theirs);
    let clients = [gateway.web, web]
        .map(|web| -> Vec<Client> { (0..CLIENTS).map(|_| Client::of(web)).collect() });
    let small = goal("P13").expect("a goal");
    let large = Goal {
        pass: LARGE_UPLOADS.0,
        stretch: LARGE_UPLOADS.1,
        ..small
    };
    let sizes = [((640, 480), small), ((1920, 1080), large)];
    let findings = sizes.map(|((width, height), goal)| {
        let picture = Picture::of_belt(width, height);
        let counts = (stand.pick(400, 4), stand.pick(3000, 4));
        let python = || {
            let before = door.cpu();
            upload_all(&clients[1], &picture.jpeg, (Answer::Accepted, counts.0));
            let each_ms = door.cpu_ms_each(before, counts.0);
            Turn::of(each_ms).with("python_cpu_ms", each_ms)
        };
        let kadr = || {
            let before = gateway.cpu();
            upload_all(&clients[0], &picture.jpeg, (Answer::Accepted, counts.1));
            let each_ms = gateway.cpu_ms_each(before, counts.1);
            Turn::of(each_ms)
                .with("kadr_cpu_ms", each_ms)
                .with("picture_kb", picture.kilobytes())
        };
        Finding {
            goal,
            variant: Some(picture.size()),
            comparison: take_turns(stand.plan, &stand.ours, python, kadr),
        }
    });
    findings.into()
}

/// P14: frames a second from an upload to the annotated picture, with the model that ships.
pub(crate) fn measure_service(stand: &Stand) -> Vec<Finding> {
    let around = |name| Surroundings {
        models: shipped_models(),
        ..stand.surroundings(name, "parts")
    };
    let (ours, theirs) = (around("service-ours"), around("service-theirs"));
    let (detector, gateway) = (Service::detector(&ours), Service::gateway(&ours));
    let (worker, (door, web)) = (Peer::worker(&theirs), Peer::door(&theirs));
    let clients = [gateway.web, web]
        .map(|web| -> Vec<Client> { (0..CLIENTS).map(|_| Client::of(web)).collect() });
    let count = stand.pick(48, 2);
    let findings = [(640, 480), (1920, 1080)].map(|(width, height)| {
        let picture = Picture::of_belt(width, height);
        let original = picture.decoded();
        let [kadr, python] = clients.each_ref().map(|clients| {
            let drawn = clients[0].upload(&picture.jpeg, Answer::Picture);
            assert_annotated(&drawn, &original);
            instances_of(&clients[0].upload(&picture.jpeg, Answer::Json))
        });
        assert_alike(&kadr, &python);
        let run = |clients: &[Client]| {
            let wall = upload_all(clients, &picture.jpeg, (Answer::Picture, count));
            count as f64 / wall.as_secs_f64()
        };
        let by_kadr = || {
            let before = (detector.cpu(), gateway.cpu());
            let per_second = run(&clients[0]);
            let cpu_ms =
                detector.cpu_ms_each(before.0, count) + gateway.cpu_ms_each(before.1, count);
            Turn::of(per_second)
                .with("kadr_fps", per_second)
                .with("kadr_cpu_ms", cpu_ms)
                .with("things", kadr.len() as f64)
        };
        let by_python = || {
            let before = (worker.cpu(), door.cpu());
            let per_second = run(&clients[1]);
            let cpu_ms = worker.cpu_ms_each(before.0, count) + door.cpu_ms_each(before.1, count);
            Turn::of(per_second)
                .with("python_fps", per_second)
                .with("python_cpu_ms", cpu_ms)
        };
        Finding {
            goal: goal("P14").expect("a goal"),
            variant: Some(picture.size()),
            comparison: take_turns(stand.plan, &stand.ours, by_kadr, by_python),
        }
    });
    findings.into()
}

/// Fails unless both found the same things, in whatever order.
pub(crate) fn assert_alike(ours: &[Instance], theirs: &[Instance]) {
    assert_eq!(ours.len(), theirs.len(), "as many things");
    assert!(!ours.is_empty(), "a picture of nothing proves nothing");
    for one in ours {
        let mask = one.segmentation.as_ref().expect("a mask");
        let same_kind = theirs.iter().filter(|other| other.label == one.label);
        let overlaps = same_kind.filter_map(|other| mask.iou(other.segmentation.as_ref()?).ok());
        let best = overlaps.fold(0.0, f64::max);
        assert!(best >= LEAST_OVERLAP, "{}: {best}", one.label);
    }
}
