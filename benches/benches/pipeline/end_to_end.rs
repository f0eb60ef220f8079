//! P1: frames a second from an upload to the annotated picture in the uploader's hand, with the model
//! that ships; against the bare model on the same cores.

use std::time::Instant;

use benches::measure::{Finding, Turn, goals::goal, rounds::take_turns};

use crate::{
    Stand,
    pictures::Picture,
    same::{assert_annotated, assert_same, bare_model, instances_of, predict},
    services::{Service, Surroundings, shipped_models},
    uploads::{Answer, Client, upload_all},
};

/// Uploads that wait at any time, so that the model never does.
const CLIENTS: usize = 8;

pub(crate) fn measure(stand: &Stand) -> Vec<Finding> {
    let surroundings = Surroundings {
        models: shipped_models(),
        ..stand.surroundings("end-to-end", "parts")
    };
    let detector = Service::detector(&surroundings);
    let gateway = Service::gateway(&surroundings);
    let picture = Picture::of_belt(640, 480);
    let original = picture.decoded();
    let mut model = bare_model(&surroundings);

    let one = Client::of(gateway.web);
    let bare = predict(&mut model, &original);
    let answer = one.upload(&picture.jpeg, Answer::Json);
    assert_same(&instances_of(&answer), &bare);
    assert_annotated(&one.upload(&picture.jpeg, Answer::Picture), &original);

    let clients: Vec<Client> = (0..CLIENTS).map(|_| Client::of(gateway.web)).collect();
    let count = stand.pick(64, 2);
    let end_to_end = || {
        let before = (detector.cpu(), gateway.cpu());
        let wall = upload_all(&clients, &picture.jpeg, (Answer::Picture, count));
        let per_second = count as f64 / wall.as_secs_f64();
        Turn::of(per_second)
            .with("end_to_end_fps", per_second)
            .with("detector_cpu_ms", detector.cpu_ms_each(before.0, count))
            .with("gateway_cpu_ms", gateway.cpu_ms_each(before.1, count))
            .with("detector_mib", detector.memory_mib())
            .with("things", bare.len() as f64)
    };
    let bare_predict = || {
        let begin = Instant::now();
        for _ in 0..count {
            predict(&mut model, &original);
        }
        let per_second = count as f64 / begin.elapsed().as_secs_f64();
        Turn::of(per_second).with("predict_fps", per_second)
    };
    let comparison = take_turns(stand.plan, &stand.ours, end_to_end, bare_predict);
    vec![Finding {
        goal: goal("P1").expect("a goal"),
        variant: None,
        comparison,
    }]
}
