//! What is served as versions come, fail, change and are rolled out, with models that are pretended.

use pipeline::catalogue::rollout::{Change, Rollout};
use pipeline::frame::SourceId;
use pipeline::service::Health;
use tokio::sync::oneshot;

use super::super::orders::{Order, OrderError};
use super::super::shadow::tests::shadows;
use super::*;
use crate::worker::shelf::{BatchRules, Shelf, tests::FakeStore};

/// A keeper and the shelf it works for, with `m0` as the default model.
struct Bench {
    keeper: Keeper<FakeStore>,
    shelf: Shelf<FakeStore>,
    store: FakeStore,
    health: Health,
    orders: mpsc::Sender<Command>,
}

impl Bench {
    /// `m0` is offered in these versions and the default model is loaded.
    fn new(offered: &[u32]) -> Self {
        let store = FakeStore::default();
        let health = Health::new("detector");
        let (board, (orders, commands)) = (Board::default(), mpsc::channel(1));
        let keeper = Keeper {
            store: store.clone(),
            board: board.clone(),
            routes: Routes::default(),
            shadows: shadows(),
            default_model: "m0".parse().unwrap(),
            commands,
            part: health.register("versions", KEEPER_DEADLINE),
            runtime: Handle::current(),
            stop: CancellationToken::new(),
            settle: Duration::ZERO,
            memory: Memory::default(),
        };
        let mut bench = Self {
            keeper,
            shelf: Shelf::new(store.clone(), 4, (BatchRules::default(), board)),
            store,
            health,
            orders,
        };
        bench.offer(offered);
        bench.shelf.load_default(&"m0".parse().unwrap()).unwrap();
        bench.keeper.look();
        bench
    }

    fn offer(&self, versions: &[u32]) {
        let mut world = self.store.world.lock().unwrap();
        world.offered.insert("m0".to_owned(), versions.to_vec());
    }

    fn roll_out(&self, change: &Change) {
        let mut world = self.store.world.lock().unwrap();
        let offered = world.offered["m0"].clone();
        let rollout = world.rollouts.entry("m0".to_owned()).or_default();
        *rollout = rollout
            .changed(change, &offered, jiff::Timestamp::now())
            .unwrap();
    }

    fn roll_back(&self) {
        let mut world = self.store.world.lock().unwrap();
        let rollout: &mut Rollout = world.rollouts.get_mut("m0").unwrap();
        *rollout = rollout.back().unwrap();
    }

    fn break_version(&self, version: u32) {
        let mut world = self.store.world.lock().unwrap();
        world.broken.push(("m0".to_owned(), version));
    }

    /// New files, which are good or not.
    fn write(&self, version: u32, is_good: bool) {
        let mut world = self.store.world.lock().unwrap();
        let name = ("m0".to_owned(), version);
        world.broken.retain(|broken| *broken != name);
        if !is_good {
            world.broken.push(name.clone());
        }
        *world.stamps.entry(name).or_default() += 1;
    }

    /// The version that serves a frame, which stands on the shelf already.
    fn served(&mut self, wanted: &str, source: &str) -> String {
        let source = SourceId::new(source).unwrap();
        let routed = self.keeper.routes.of(&wanted.parse().unwrap(), &source);
        let before = self.loads().len();
        let version = self.shelf.get(&routed).unwrap().name.version;
        assert_eq!(self.loads().len(), before, "no frame waits for {routed}");
        format!("m0@{version}")
    }

    fn loads(&self) -> Vec<String> {
        self.store.loads.lock().unwrap().clone()
    }

    fn remark(&self) -> String {
        let part = self.health.report().parts.remove(0);
        assert_eq!(part.state, pipeline::service::health::State::Ready);
        part.reason.unwrap_or_default()
    }

    fn obey(&mut self, order: Order) -> Result<(), OrderError> {
        let obeyed = self.keeper.obey(order);
        self.keeper.look();
        obeyed
    }
}

fn canary(version: u32, source: &str) -> Change {
    let text = format!(r#"{{"canary":{{"version":{version},"sources":["{source}"]}}}}"#);
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn a_new_version_is_ready_before_it_serves() {
    let mut bench = Bench::new(&[1]);
    assert_eq!(bench.served("m0", "a"), "m0@1");
    bench.offer(&[1, 2]);
    assert_eq!(bench.served("m0", "a"), "m0@1", "nobody has looked yet");
    bench.keeper.look();
    assert_eq!(bench.served("m0", "a"), "m0@2");
    assert_eq!(bench.loads(), ["m0@1", "m0@2"]);
    for _ in 0..3 {
        bench.keeper.look();
    }
    assert_eq!(bench.loads().len(), 2, "what has not changed is left alone");
}

#[tokio::test]
async fn a_version_that_cannot_run_never_serves_and_is_tried_again_once_mended() {
    let mut bench = Bench::new(&[1]);
    bench.offer(&[1, 2]);
    bench.break_version(2);
    bench.keeper.look();
    bench.keeper.look();
    assert_eq!(bench.served("m0", "a"), "m0@1");
    let told = "m0@2 does not serve: the file is cut short";
    assert_eq!(bench.remark(), told);
    bench.write(2, true);
    bench.keeper.look();
    assert_eq!(bench.served("m0", "a"), "m0@2");
    assert_eq!(bench.remark(), "");
}

#[tokio::test]
async fn files_that_are_still_being_written_wait() {
    let mut bench = Bench::new(&[1]);
    bench.keeper.settle = Duration::from_hours(1);
    bench.offer(&[1, 2]);
    bench.keeper.look();
    bench.write(2, true);
    bench.keeper.look();
    assert_eq!(bench.loads(), ["m0@1"]);
    bench.keeper.settle = Duration::ZERO;
    bench.keeper.look();
    assert_eq!(bench.served("m0", "a"), "m0@2");
}

#[tokio::test]
async fn a_canary_serves_its_sources_alone_and_ends_without_a_load() {
    let mut bench = Bench::new(&[1, 2]);
    bench.roll_out(&canary(1, "line-3"));
    bench.keeper.look();
    assert_eq!(bench.served("m0", "line-1"), "m0@2");
    assert_eq!(bench.served("m0", "line-3"), "m0@1");
    assert_eq!(bench.served("m0@canary", "line-1"), "m0@1");
    assert_eq!(bench.served("m0@stable", "line-3"), "m0@2");
    bench.roll_back();
    bench.keeper.look();
    assert_eq!(bench.served("m0", "line-3"), "m0@2");
}

#[tokio::test]
async fn a_canary_that_cannot_run_tries_nobody() {
    let mut bench = Bench::new(&[1, 2]);
    bench.break_version(1);
    bench.roll_out(&canary(1, "line-3"));
    bench.keeper.look();
    assert_eq!(bench.served("m0", "line-3"), "m0@2");
    assert_eq!(bench.served("m0@canary", "line-3"), "m0@2");
    assert!(bench.remark().contains("m0@1 does not serve"));
}

#[tokio::test]
async fn a_rollback_is_immediate_as_the_old_version_is_still_there() {
    let mut bench = Bench::new(&[1, 2]);
    bench.roll_out(&Change::Serve(1));
    bench.keeper.look();
    assert_eq!(bench.served("m0", "a"), "m0@1");
    bench.roll_back();
    bench.keeper.look();
    assert_eq!(bench.served("m0", "a"), "m0@2");
    assert_eq!(bench.loads(), ["m0@2", "m0@1"]);
}

#[tokio::test]
async fn a_pinned_version_that_cannot_run_leaves_the_one_before_in_service() {
    let mut bench = Bench::new(&[1, 2]);
    bench.offer(&[1, 2, 3]);
    bench.break_version(3);
    bench.roll_out(&Change::Serve(3));
    bench.keeper.look();
    assert_eq!(bench.served("m0", "a"), "m0@2");
    assert!(bench.remark().contains("m0@3"));
}

#[tokio::test]
async fn files_changed_in_place_are_taken_anew_and_broken_ones_are_not() {
    let mut bench = Bench::new(&[1]);
    bench.write(1, true);
    bench.keeper.look();
    assert_eq!(bench.served("m0", "a"), "m0@1");
    assert_eq!(bench.loads(), ["m0@1", "m0@1"]);
    bench.write(1, false);
    bench.keeper.look();
    bench.keeper.look();
    assert_eq!(bench.served("m0", "a"), "m0@1");
    assert!(bench.remark().contains("m0@1 does not serve"));
    assert_eq!(bench.loads().len(), 2);
    bench.write(1, true);
    bench.keeper.look();
    assert_eq!((bench.remark(), bench.loads().len()), (String::new(), 3));
}

#[tokio::test]
async fn an_alias_moves_once_its_new_version_is_ready() {
    let night = |version| Change::Alias {
        name: "night".to_owned(),
        version,
    };
    let mut bench = Bench::new(&[1, 2]);
    bench.roll_out(&night(2));
    bench.keeper.look();
    assert_eq!(bench.served("m0@night", "a"), "m0@2");
    bench.break_version(1);
    bench.roll_out(&night(1));
    bench.keeper.look();
    assert_eq!(bench.served("m0@night", "a"), "m0@2");
    bench.write(1, true);
    bench.keeper.look();
    assert_eq!(bench.served("m0@night", "a"), "m0@1");
}

#[tokio::test]
async fn a_plan_that_cannot_be_read_changes_nothing_and_is_told() {
    let mut bench = Bench::new(&[1]);
    bench.store.world.lock().unwrap().unreadable = true;
    bench.keeper.look();
    assert_eq!(bench.served("m0", "a"), "m0@1");
    assert_eq!(bench.remark(), "rollout.toml is torn");
    bench.store.world.lock().unwrap().unreadable = false;
    bench.keeper.look();
    assert_eq!(bench.remark(), "");
}

#[tokio::test]
async fn a_version_whose_folder_is_gone_serves_on_until_there_is_another() {
    let mut bench = Bench::new(&[1]);
    bench.offer(&[]);
    bench.keeper.look();
    assert_eq!(bench.served("m0", "a"), "m0@1");
    assert!(bench.remark().contains("has no version"));
    bench.offer(&[2]);
    bench.keeper.look();
    assert_eq!(bench.served("m0", "a"), "m0@2");
}

#[tokio::test]
async fn a_shadow_runs_while_it_is_planned() {
    let mut bench = Bench::new(&[1, 2]);
    let shadow = serde_json::from_str(r#"{"shadow":{"version":1,"percent":50}}"#).unwrap();
    bench.roll_out(&shadow);
    bench.keeper.look();
    let (running, _) = bench.keeper.shadows.get("m0").unwrap();
    assert_eq!((running.version, running.percent), (1, 50));
    assert_eq!(bench.served("m0", "a"), "m0@2");
    bench.keeper.look();
    assert_eq!(bench.loads(), ["m0@2", "m0@1"], "loaded once, for itself");
    bench.roll_out(&Change::Serve(1));
    bench.keeper.look();
    assert!(
        bench.keeper.shadows.get("m0").is_none(),
        "it serves itself now"
    );
}

#[tokio::test]
async fn what_an_operator_may_unload_comes_back_when_it_is_asked_for() {
    let mut bench = Bench::new(&[1]);
    let refused = bench.obey(Order::Unload("m0".parse().unwrap()));
    assert_eq!(refused, Err(OrderError::Default("m0@1".to_owned())));
    let refused = bench.obey(Order::Unload("m1".parse().unwrap()));
    assert_eq!(refused, Err(OrderError::NotLoaded("m1".to_owned())));
    bench.obey(Order::Load("m1".parse().unwrap())).unwrap();
    bench.obey(Order::Load("m1@1".parse().unwrap())).unwrap();
    assert_eq!(bench.loads(), ["m0@1", "m1@1"], "once is enough");
    assert!(bench.keeper.routes.get("m1").is_some());
    bench
        .obey(Order::Unload("m1@stable".parse().unwrap()))
        .unwrap();
    assert!(bench.keeper.routes.get("m1").is_none());
    bench.shelf.get(&"m1".parse().unwrap()).unwrap();
    assert_eq!(bench.loads().len(), 3);
    let unknown = bench.obey(Order::Load("other".parse().unwrap()));
    assert!(matches!(
        unknown,
        Err(OrderError::Model(ShelfError::Unknown(_)))
    ));
}

#[tokio::test]
async fn what_was_put_away_is_not_loaded_before_a_frame_asks() {
    let mut bench = Bench::new(&[1]);
    let asked = |bench: &mut Bench, name: &str| {
        bench.shelf.get(&name.parse().unwrap()).unwrap();
        bench.keeper.look();
    };
    asked(&mut bench, "m1@2");
    assert!(
        bench.keeper.routes.get("m1").is_none(),
        "its name was not used"
    );
    asked(&mut bench, "m1");
    assert_eq!(bench.keeper.routes.get("m1").unwrap().current, 1);
    // Four have room: the default one, the two newest, and the one that is asked for in between.
    for name in ["m1@2", "m2", "m1@2", "m3"] {
        asked(&mut bench, name);
    }
    let loads = bench.loads();
    assert!(
        !bench
            .keeper
            .board
            .loaded()
            .iter()
            .any(|m| m.name == "m1" && m.version == 1)
    );
    bench.keeper.look();
    assert_eq!(bench.loads(), loads);
    assert_eq!(bench.keeper.routes.get("m1").unwrap().current, 1);
}

#[tokio::test]
async fn failures_of_what_is_gone_are_forgotten() {
    let mut bench = Bench::new(&[1]);
    bench.offer(&[1, 2]);
    bench.break_version(2);
    bench.keeper.look();
    assert!(bench.remark().contains("m0@2"));
    bench.offer(&[1]);
    bench.keeper.look();
    assert_eq!(bench.remark(), "");
}

#[tokio::test]
async fn a_reload_takes_the_files_again_and_tells_what_is_wrong_with_them() {
    let mut bench = Bench::new(&[1]);
    bench.obey(Order::Reload("m0".to_owned())).unwrap();
    assert_eq!(bench.loads(), ["m0@1", "m0@1"]);
    bench.break_version(1);
    let refused = bench.obey(Order::Reload("m0".to_owned()));
    assert!(matches!(
        refused,
        Err(OrderError::Model(ShelfError::Unusable(_)))
    ));
    assert_eq!(bench.served("m0", "a"), "m0@1");
    let none = bench.obey(Order::Reload("m1".to_owned()));
    assert_eq!(none, Err(OrderError::NotLoaded("m1".to_owned())));
}

#[tokio::test]
async fn the_thread_obeys_and_ends_with_the_detector() {
    let bench = Bench::new(&[1]);
    let Bench {
        keeper,
        store,
        health,
        orders,
        ..
    } = bench;
    let (stop, routes) = (keeper.stop.clone(), keeper.routes.clone());
    let thread = keeper.spawn().unwrap();
    store.world.lock().unwrap().offered = HashMap::from([("m0".to_owned(), vec![1, 2])]);
    let (answer, answered) = oneshot::channel();
    let order = Order::Look;
    orders.send(Command { order, answer }).await.unwrap();
    answered.await.unwrap().unwrap();
    assert_eq!(routes.get("m0").unwrap().current, 2);
    stop.cancel();
    tokio::task::spawn_blocking(|| thread.join())
        .await
        .unwrap()
        .unwrap();
    assert!(health.report().parts.is_empty(), "it retired");
}
