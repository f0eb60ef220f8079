//! What every service needs to be operated.
//!
//! Layout, in the order in which a service meets it:
//!
//! - [`config`]: the flags that services share, with environment fall-back
//! - [`units`]: durations and sizes as people write them
//! - [`secret`]: values that no log shows, also from `…_FILE`
//! - [`redact`]: takes secrets out of text, URLs and JSON
//! - [`telemetry`]: logging, with the effective configuration as the first line
//! - [`traces`]: one trace per frame across services, by OTLP when asked
//! - [`metrics`]: metric names by rule, and the reason codes of lost frames
//! - [`health`]: parts with deadlines; live and ready are two questions
//! - [`http`]: the accept loop of every port: connection cap, deadlines, graceful stop
//! - [`admin`]: `/healthz`, `/readyz` and `/metrics`
//! - [`orders`]: what services add below `/admin`, and who may give orders there
//! - [`problem`]: the one shape of an HTTP error
//! - [`mjpeg`]: a moving picture for everything that shows a JPEG
//! - [`shutdown`]: one token for the process, and tasks that are waited for
//! - [`run`]: all of it in the right order, from flags to the exit code
//! - [`bus`]: what a service needs to talk Kafka
//! - [`alone`]: a service in a process of its own

pub mod admin;
#[cfg(feature = "kafka")]
pub mod alone;
#[cfg(feature = "kafka")]
pub mod bus;
pub mod config;
pub mod health;
pub mod http;
pub mod metrics;
pub mod mjpeg;
pub mod orders;
pub mod problem;
pub mod redact;
pub mod run;
pub mod secret;
pub mod shutdown;
pub mod telemetry;
pub mod traces;
pub mod units;
mod write_stall;

#[cfg(feature = "kafka")]
pub use alone::serve_alone;
#[cfg(feature = "kafka")]
pub use bus::Bus;
#[cfg(feature = "kafka")]
pub use config::KafkaArgs;
pub use config::OperatingArgs;
pub use health::{Health, Part};
pub use metrics::{DropReason, Metrics};
pub use orders::Orders;
pub use problem::Problem;
pub use run::{Context, run_service};
pub use secret::Secret;
pub use shutdown::{Shutdown, Tasks};
pub use traces::Traces;
