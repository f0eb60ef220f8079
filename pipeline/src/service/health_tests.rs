//! Health on a clock that is moved by hand.

use super::*;

const DEADLINE: Duration = Duration::from_secs(5);

/// A clock that stands still until it is moved.
#[derive(Clone, Default)]
struct HandClock(Arc<AtomicU64>);

impl HandClock {
    fn advance(&self, step: Duration) {
        self.0.fetch_add(as_millis(step), Ordering::SeqCst);
    }

    fn health(&self) -> Health {
        let clock = self.clone();
        Health::with_clock("detector", move || {
            Duration::from_millis(clock.0.load(Ordering::SeqCst))
        })
    }
}

fn only_part(health: &Health) -> PartReport {
    let mut parts = health.report().parts;
    assert_eq!(parts.len(), 1);
    parts.remove(0)
}

#[test]
fn a_service_without_parts_is_live_but_not_ready() {
    let report = Health::new("detector").report();
    assert!(report.live && !report.ready);
}

#[test]
fn a_part_starts_and_then_becomes_ready() {
    let health = HandClock::default().health();
    let part = health.register("model", DEADLINE);
    assert_eq!(only_part(&health).state, State::Starting);
    part.starting("loading parts@1");
    assert_eq!(
        only_part(&health).reason.as_deref(),
        Some("loading parts@1")
    );
    assert!(!health.report().ready);
    part.ready();
    assert!(health.report().ready);
    assert_eq!(only_part(&health).reason, None);
}

#[test]
fn starting_may_take_longer_than_the_deadline() {
    let clock = HandClock::default();
    let health = clock.health();
    let _part = health.register("model", DEADLINE);
    clock.advance(DEADLINE * 100);
    assert!(health.report().live);
    assert_eq!(only_part(&health).state, State::Starting);
}

#[test]
fn a_silent_part_turns_red_by_itself_and_recovers() {
    let clock = HandClock::default();
    let health = clock.health();
    let part = health.register("kafka", DEADLINE);
    part.ready();
    clock.advance(DEADLINE);
    assert!(health.report().ready, "the deadline itself is in time");
    clock.advance(Duration::from_millis(1));
    let report = health.report();
    assert!(!report.live && !report.ready);
    let stalled = only_part(&health);
    assert_eq!(stalled.state, State::Stalled);
    assert!(stalled.reason.expect("a reason").contains("deadline 5s"));
    part.alive();
    let report = health.report();
    assert!(report.live && report.ready);
}

#[test]
fn every_kind_of_report_renews_the_deadline() {
    let clock = HandClock::default();
    let health = clock.health();
    let part = health.register("kafka", DEADLINE);
    let reports: [fn(&Part); 4] = [
        Part::ready,
        Part::alive,
        |part| part.not_ready("why"),
        Part::ready,
    ];
    part.ready();
    for report in reports {
        clock.advance(DEADLINE);
        report(&part);
        clock.advance(DEADLINE);
        assert!(health.report().live);
    }
}

#[test]
fn not_ready_is_alive_until_it_falls_silent() {
    let clock = HandClock::default();
    let health = clock.health();
    let part = health.register("kafka", DEADLINE);
    part.not_ready("broker kafka:9092 does not answer: check --brokers");
    let report = health.report();
    assert!(report.live && !report.ready);
    clock.advance(DEADLINE + Duration::from_secs(1));
    assert!(!health.report().live);
}

#[test]
fn a_reason_shows_no_password() {
    let health = HandClock::default().health();
    let part = health.register("camera", DEADLINE);
    part.not_ready("rtsp://admin:canary@cam/1 refused");
    let reason = only_part(&health).reason.expect("a reason");
    assert_eq!(reason, "rtsp://***@cam/1 refused");
}

#[test]
fn since_is_the_moment_of_the_change_not_of_the_last_report() {
    let clock = HandClock::default();
    let health = clock.health();
    let part = health.register("kafka", DEADLINE);
    let registered = only_part(&health).since;
    clock.advance(Duration::from_secs(2));
    part.ready();
    clock.advance(Duration::from_secs(1));
    part.ready();
    let ready = only_part(&health).since;
    assert_eq!(
        ready.duration_since(registered),
        SignedDuration::from_secs(2)
    );
    clock.advance(DEADLINE * 2);
    let stalled = only_part(&health).since;
    assert_eq!(
        stalled.duration_since(registered),
        SignedDuration::from_secs(3 + 5)
    );
}

#[test]
fn a_dropped_part_is_dead_and_a_retired_one_is_gone() {
    let health = HandClock::default().health();
    let kept = health.register("kafka", DEADLINE);
    kept.ready();
    health.register("camera", DEADLINE).retire();
    assert!(health.report().ready);
    drop(health.register("model", DEADLINE));
    let report = health.report();
    assert!(!report.live && !report.ready);
    assert_eq!(report.parts[1].state, State::Stopped);
}

#[test]
fn draining_is_not_ready_and_lets_parts_stop() {
    let health = HandClock::default().health();
    let part = health.register("kafka", DEADLINE);
    part.ready();
    health.drain();
    drop(part);
    let report = health.report();
    assert!(report.live && !report.ready && report.draining);
}

#[test]
fn one_broken_part_makes_the_whole_unready() {
    let health = HandClock::default().health();
    let good = health.register("kafka", DEADLINE);
    let bad = health.for_service("viewer").register("archive", DEADLINE);
    good.ready();
    bad.not_ready("disk full: free some space");
    let report = health.report();
    assert!(!report.ready);
    assert_eq!(report.parts[1].service, "viewer");
}

#[test]
fn a_remark_leaves_a_part_ready_until_it_is_taken_back() {
    let health = HandClock::default().health();
    let part = health.register("versions", DEADLINE);
    part.ready_with(Some("parts@2 does not serve"));
    let report = only_part(&health);
    assert_eq!(report.state, State::Ready);
    assert_eq!(report.reason.as_deref(), Some("parts@2 does not serve"));
    assert!(health.report().ready);
    part.ready_with(None);
    assert_eq!(only_part(&health).reason, None);
}
