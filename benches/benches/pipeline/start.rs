//! P27: from nothing to a detector that says it is ready, against loading ONNX Runtime and making the
//! same session in a fresh process.

use std::time::Instant;

use benches::measure::{Finding, Turn, goals::goal, rounds::take_turns};

use crate::{
    Stand,
    bare::BareModel,
    services::{Service, Surroundings, shipped_models},
};

pub(crate) fn measure(stand: &Stand) -> Vec<Finding> {
    let around = |name: &str| Surroundings {
        models: shipped_models(),
        ..stand.surroundings(name, "parts")
    };
    let bare = around("start-bare");
    let mut starts = 0;
    let service = || {
        // New topics: a group whose last member was killed is waited for.
        starts += 1;
        let surroundings = around(&format!("start-{starts}"));
        let begin = Instant::now();
        let detector = Service::detector(&surroundings);
        let ready_ms = begin.elapsed().as_secs_f64() * 1e3;
        let cpu_ms = detector.cpu().as_secs_f64() * 1e3;
        Turn::of(ready_ms)
            .with("detector_ready_ms", ready_ms)
            .with("detector_cpu_ms", cpu_ms)
    };
    let session = || {
        let begin = Instant::now();
        let model = BareModel::start(&bare);
        let process_ms = begin.elapsed().as_secs_f64() * 1e3;
        Turn::of(model.session_ms)
            .with("session_ms", model.session_ms)
            .with("bare_process_ms", process_ms)
    };
    vec![Finding {
        goal: goal("P27").expect("a goal"),
        variant: None,
        comparison: take_turns(stand.plan, &stand.ours, service, session),
    }]
}
