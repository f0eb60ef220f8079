//! P17: how much later than the usual answer the late ones come, under 70 % of the load that the
//! machine can take, one picture all the time. Uploads are due evenly, as a camera's are; each is timed
//! from when it was due, so that an upload which had to wait for the one before counts in full.

use std::cell::Cell;

use benches::measure::{Finding, Turn, goals::goal, rounds::take_turns, spread::percentile};

use crate::{
    Stand,
    pictures::Picture,
    same::{assert_annotated, assert_same, bare_model, instances_of, predict},
    services::{Service, Surroundings, shipped_models},
    uploads::{Answer, Client, upload_all, upload_at},
};

/// Uploads that wait at any time while the greatest load is looked for.
const CLIENTS: usize = 8;

/// More than ever wait: an upload is not held back for want of a client.
const PACED_CLIENTS: usize = 32;

const LOAD: f64 = 0.7;

pub(crate) fn measure(stand: &Stand) -> Vec<Finding> {
    let parts = Surroundings {
        models: shipped_models(),
        ..stand.surroundings("tail-parts", "parts")
    };
    let noop = stand.surroundings("tail-ten", "ten");
    vec![
        one_model(stand, &parts, (64, 100)),
        one_model(stand, &noop, (400, 500)),
    ]
}

/// Uploads that find the greatest load, and uploads of a round.
fn one_model(stand: &Stand, surroundings: &Surroundings, counts: (usize, usize)) -> Finding {
    let _detector = Service::detector(surroundings);
    let gateway = Service::gateway(surroundings);
    let picture = Picture::of_belt(640, 480);
    let clients: Vec<Client> = (0..PACED_CLIENTS)
        .map(|_| Client::of(gateway.web))
        .collect();
    check(surroundings, &clients[0], &picture);
    let (to_fill, count) = stand.pick(counts, (4, 4));
    let full_load = || {
        let wall = upload_all(
            &clients[..CLIENTS],
            &picture.jpeg,
            (Answer::Picture, to_fill),
        );
        to_fill as f64 / wall.as_secs_f64()
    };
    full_load();
    let greatest = full_load();
    let usual_ms = Cell::new(0.0);
    // One run gives both, and so B only tells what A's run found.
    let late = || {
        let pace = (LOAD * greatest, count);
        let latencies_ms = upload_at(&clients, &picture.jpeg, pace);
        usual_ms.set(percentile(&latencies_ms, 0.5));
        Turn::of(percentile(&latencies_ms, 0.99))
            .with("p99_ms", percentile(&latencies_ms, 0.99))
            .with("max_ms", percentile(&latencies_ms, 1.0))
            .with("uploads_per_s", pace.0)
            .with("greatest_per_s", greatest)
    };
    let usual = || Turn::of(usual_ms.get()).with("p50_ms", usual_ms.get());
    Finding {
        goal: goal("P17").expect("a goal"),
        variant: Some(surroundings.model.to_owned()),
        comparison: take_turns(stand.plan, &stand.ours, late, usual),
    }
}

/// The service says what the bare model says.
fn check(surroundings: &Surroundings, client: &Client, picture: &Picture) {
    let original = picture.decoded();
    let bare = predict(&mut bare_model(surroundings), &original);
    let answer = client.upload(&picture.jpeg, Answer::Json);
    assert_same(&instances_of(&answer), &bare);
    assert_annotated(&client.upload(&picture.jpeg, Answer::Picture), &original);
}
