//! How many frames a second one core draws: `cargo bench -p benches --bench belt`.
//!
//! Every size is measured in rounds and reported by its median round, as a frame of a long run
//! (belt and parts mostly drawn already) and as the first frame of a new belt.

use std::hint::black_box;
use std::time::{Duration, Instant};

use belt::{Belt, BeltConfig};

const SIZES: [(u32, u32); 3] = [(640, 480), (1280, 720), (1920, 1080)];
const ROUNDS: u64 = 5;
const ROUND_FRAMES: u64 = 120;
/// What a live camera at 640x480 needs.
const WANTED_FPS: f64 = 60.0;

fn main() {
    // `cargo test` runs bench targets too, without this flag; one frame then shows that they work.
    let measure = std::env::args().any(|argument| argument == "--bench");
    let (rounds, frames) = if measure {
        (ROUNDS, ROUND_FRAMES)
    } else {
        (1, 1)
    };
    println!("size         ms/frame   frames/s   of {WANTED_FPS} wanted   first frame ms");
    for (width, height) in SIZES {
        let config = BeltConfig {
            width,
            height,
            ..BeltConfig::default()
        };
        let first = median(
            (0..rounds)
                .map(|round| first_frame(&config, round))
                .collect(),
        );
        let mut belt = Belt::new(config).expect("a valid configuration");
        black_box(belt.scene(0));
        let round = |round: u64| {
            let started = Instant::now();
            for frame in 0..frames {
                black_box(belt.scene(round * frames + frame));
            }
            started.elapsed() / frames as u32
        };
        let frame = median((0..rounds).map(round).collect());
        let per_second = 1.0 / frame.as_secs_f64();
        println!(
            "{:<12} {:>8.2} {:>10.0} {:>14.1}x {:>14.0}",
            format!("{width}x{height}"),
            milliseconds(frame),
            per_second,
            per_second / WANTED_FPS,
            milliseconds(first),
        );
    }
}

/// A new belt of another seed and one frame of it.
fn first_frame(config: &BeltConfig, seed: u64) -> Duration {
    let config = BeltConfig {
        seed,
        ..config.clone()
    };
    let started = Instant::now();
    black_box(Belt::new(config).expect("a valid configuration").scene(0));
    started.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
