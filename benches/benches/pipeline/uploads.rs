//! A client of the gateway: uploads pictures over HTTP, on connections that stay open.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use ureq::Agent;

/// Longer than any answer should take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Pictures may be larger than what a client takes by itself.
const LARGEST_ANSWER: u64 = 64 << 20;

/// What the uploader waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// That the picture is safe: its record is acknowledged.
    Accepted,
    /// The result as JSON.
    Json,
    /// The annotated picture.
    Picture,
}

/// One connection to the gateway.
pub(crate) struct Client {
    agent: Agent,
    address: SocketAddr,
}

impl Client {
    pub(crate) fn of(address: SocketAddr) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .build();
        Self {
            agent: config.into(),
            address,
        }
    }

    /// Uploads a picture and gives the body of the answer.
    pub(crate) fn upload(&self, jpeg: &[u8], answer: Answer) -> Vec<u8> {
        let (query, accept, status) = match answer {
            Answer::Accepted => ("", "application/json", 202),
            Answer::Json => ("?wait=30s", "application/json", 200),
            Answer::Picture => ("?wait=30s", "image/jpeg", 200),
        };
        let url = format!("http://{}/api/frames{query}", self.address);
        let request = self.agent.post(url).content_type("image/jpeg");
        let mut response = request
            .header("accept", accept)
            .send(jpeg)
            .expect("an answer");
        let body = response.body_mut().with_config().limit(LARGEST_ANSWER);
        let body = body.read_to_vec().expect("a whole answer");
        assert_eq!(
            response.status(),
            status,
            "{}",
            String::from_utf8_lossy(&body)
        );
        body
    }
}

/// Uploads a picture `count` times over so many connections at once; returns how long it took.
pub(crate) fn upload_all(
    clients: &[Client],
    jpeg: &[u8],
    (answer, count): (Answer, usize),
) -> Duration {
    let taken = AtomicUsize::new(0);
    let begin = Instant::now();
    thread::scope(|scope| {
        for client in clients {
            scope.spawn(|| {
                while taken.fetch_add(1, Ordering::Relaxed) < count {
                    client.upload(jpeg, answer);
                }
            });
        }
    });
    begin.elapsed()
}

/// Uploads a picture `count` times at an even pace, whether or not the answers come in time; returns
/// the milliseconds from when each was due to its answer.
pub(crate) fn upload_at(
    clients: &[Client],
    jpeg: &[u8],
    (per_second, count): (f64, usize),
) -> Vec<f64> {
    let gap = Duration::from_secs_f64(1.0 / per_second);
    let taken = AtomicUsize::new(0);
    let begin = Instant::now();
    let upload = |client: &Client| {
        let mut latencies_ms = Vec::new();
        loop {
            let number = taken.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return latencies_ms;
            }
            let due = begin + gap * u32::try_from(number).unwrap_or(u32::MAX);
            thread::park_timeout(due.saturating_duration_since(Instant::now()));
            client.upload(jpeg, Answer::Picture);
            latencies_ms.push(due.elapsed().as_secs_f64() * 1e3);
        }
    };
    thread::scope(|scope| {
        let running: Vec<_> = clients
            .iter()
            .map(|client| scope.spawn(|| upload(client)))
            .collect();
        let found = running.into_iter();
        found
            .flat_map(|thread| thread.join().expect("no panic"))
            .collect()
    })
}
