//! Which belt, and which moment of it, each picture of a data set shows.

use crate::config::BeltConfig;
use crate::random::{Random, mix};

/// Half of a data set; no belt is ever in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Split {
    Train,
    Val,
}

impl Split {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
        }
    }
}

/// The latest moment that is shown, in frames.
const LAST_FRAME: usize = 20_000;

/// The belt number `index` of a split: another seed for each, and another speed, crowd and camera.
pub(crate) fn varied_config(
    seed: u64,
    split: Split,
    index: u64,
    size: (u32, u32),
) -> (BeltConfig, u64) {
    // Scrambling is one to one, so that different numbers of one data set never share a belt.
    let number = index * 2 + u64::from(split == Split::Val);
    let belt_seed = mix(mix(seed).wrapping_add(number));
    let mut random = Random::new(belt_seed, 7);
    let config = BeltConfig {
        seed: belt_seed,
        width: size.0,
        height: size.1,
        speed: random.range(0.0, 0.45),
        density: random.range(0.3, 0.7),
        exposure_s: random.range(0.008, 0.02),
        sensor_noise: random.range(0.8, 4.0),
        ..BeltConfig::default()
    };
    (config, random.below(LAST_FRAME) as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_belt_is_shown_twice() {
        let mut seeds = HashSet::new();
        for split in [Split::Train, Split::Val] {
            for index in 0..5000 {
                assert!(seeds.insert(varied_config(9, split, index, (640, 480)).0.seed));
            }
        }
    }
}
