//! The viewer's options.

use clap::Args;
use serde::Serialize;

/// Options of the viewer.
#[derive(Args, Clone, Debug, Serialize)]
#[command(next_help_heading = "Viewer")]
pub struct ViewerArgs {
    /// How many browsers may watch live pictures at a time
    #[arg(long, env = "KADR_MAX_WATCHERS", default_value_t = 200, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    max_watchers: u16,
}

/// What a viewer is started with.
#[derive(Clone, Copy, Debug)]
pub struct ViewerConfig {
    /// WebSocket clients and moving pictures at a time; further ones are told to come back.
    pub max_watchers: usize,
}

impl ViewerArgs {
    /// The configuration that these flags ask for.
    pub fn config(&self) -> ViewerConfig {
        ViewerConfig {
            max_watchers: self.max_watchers.into(),
        }
    }
}
