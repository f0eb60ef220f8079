//! One suite of cases for two brokers: what Apache Kafka answers, the embedded broker must answer.
//!
//! - [`Target`]: the broker under test
//! - one module per subject, each case an `async fn(&Target)`; `wire_…` send raw requests, the
//!   others go through librdkafka
//! - [`for_every_case`](crate::for_every_case): the list of all cases
//! - [`differences`]: what the embedded broker answers differently on purpose
#![expect(
    clippy::unwrap_used,
    reason = "a case fails by panicking, in its helpers too"
)]

mod clients;
pub mod consuming;
pub mod differences;
mod embedded;
pub mod groups;
mod list;
mod members;
pub mod producing;
pub mod rebalances;
pub mod requests;
pub mod restarts;
pub mod retention;
mod target;
pub mod times;
pub mod topics;
pub mod wire_commits;
pub mod wire_committed;
pub mod wire_fetch;
pub mod wire_groups;
pub mod wire_leaving;
pub mod wire_members;
pub mod wire_offsets;
pub mod wire_produce;
pub mod wire_producers;
pub mod wire_settings;
pub mod wire_topics;
pub mod wire_versions;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

pub use target::{Kind, Target};

use crate::kafka::within;

/// Pause between two looks at something that is not so yet.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Runs one case; whatever goes wrong names the case and the target.
pub fn run(kind: Kind, name: &str, case: impl AsyncFnOnce(&Target)) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut target = None;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let target = target.insert(Target::shared(kind));
        runtime.block_on(case(target));
    }));
    if let Some(target) = &target {
        runtime.block_on(target.clean_up());
    }
    let Err(panic) = outcome else { return };
    let message = panic.downcast_ref::<String>().map(String::as_str);
    let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
    let on = target.map_or_else(|| format!("{kind:?}"), |target| target.to_string());
    panic!("{name} on {on}: {}", message.unwrap_or("see above"));
}

/// Asks again until there is an answer.
pub(crate) async fn until_some<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let poll = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    within(what, poll).await
}
