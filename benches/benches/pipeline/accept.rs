//! P11: what the gateway spends to take an upload in, from the first byte of the request to the
//! answer, its record being acknowledged; against libjpeg-turbo on the same picture.

use std::time::Duration;

use benches::measure::{Finding, Turn, goals::goal, rounds::take_turns};
use pipeline::topic::Topics;

use crate::{
    Stand,
    bus::Reader,
    codec,
    pictures::Picture,
    same::decoded,
    services::Service,
    uploads::{Answer, Client, upload_all},
};

/// Connections that upload at once: what a thread is woken for is then shared by several.
const CLIENTS: usize = 16;

/// How much CPU time of the gateway a turn should take at least: it is counted in ticks of 10 ms.
const ENOUGH: Duration = Duration::from_secs(1);

pub(crate) fn measure(stand: &Stand) -> Vec<Finding> {
    let surroundings = stand.surroundings("accept", "ten");
    let gateway = Service::gateway(&surroundings);
    let clients: Vec<Client> = (0..CLIENTS).map(|_| Client::of(gateway.web)).collect();
    let sizes = stand.pick(
        vec![(640, 480), (1920, 1080), (3840, 2160)],
        vec![(320, 240)],
    );
    let topics = Topics::new(&surroundings.topic_prefix).expect("a prefix");
    let measured = sizes.into_iter().map(|(width, height)| {
        let picture = Picture::of_belt(width, height);
        let frames = Reader::open(&surroundings.brokers, &topics.frames());
        check(&clients[0], &picture, &frames);
        one_size(stand, &gateway, (&clients, &picture))
    });
    measured.collect()
}

/// What Kafka gets is the picture that was sent.
fn check(client: &Client, picture: &Picture, frames: &Reader) {
    client.upload(&picture.jpeg, Answer::Accepted);
    let accepted = decoded(&frames.one());
    assert!(accepted == picture.decoded(), "another picture was kept");
}

fn one_size(
    stand: &Stand,
    gateway: &Service,
    (clients, picture): (&[Client], &Picture),
) -> Finding {
    let accepted = (Answer::Accepted, stand.pick(200, 4));
    upload_all(clients, &picture.jpeg, accepted);
    let count = stand.pick(enough(gateway, clients, picture), 4);
    let codec_count = stand.pick(codec_count(picture), 2);
    let accept = || {
        let before = gateway.cpu();
        let wall = upload_all(clients, &picture.jpeg, (Answer::Accepted, count));
        let each_ms = gateway.cpu_ms_each(before, count);
        Turn::of(each_ms)
            .with("accept_cpu_ms", each_ms)
            .with("uploads", count as f64)
            .with("uploads_per_s", count as f64 / wall.as_secs_f64())
            .with("gateway_mib", gateway.memory_mib())
            .with("picture_kb", picture.kilobytes())
    };
    let comparison = take_turns(stand.plan, &stand.ours, accept, || {
        codec::turn(picture, codec_count)
    });
    Finding {
        goal: goal("P11").expect("a goal"),
        variant: Some(picture.size()),
        comparison,
    }
}

/// Uploads that take the gateway long enough to be counted well.
fn enough(gateway: &Service, clients: &[Client], picture: &Picture) -> usize {
    let trial = 400;
    let before = gateway.cpu();
    upload_all(clients, &picture.jpeg, (Answer::Accepted, trial));
    let each_ms = gateway.cpu_ms_each(before, trial);
    ((ENOUGH.as_secs_f64() * 1e3 / each_ms.max(0.1)) as usize).clamp(trial, 5_000)
}

/// About two seconds of work.
fn codec_count(picture: &Picture) -> usize {
    let megapixels = f64::from(picture.width) * f64::from(picture.height) / 1e6;
    ((200.0 / megapixels) as usize).max(20)
}
