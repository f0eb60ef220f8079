//! What the measurements are held against.

/// Which side of a bound is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// A cost: at most the bound.
    AtMost,
    /// A yield: at least the bound.
    AtLeast,
}

/// One thing to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    /// What it is called everywhere.
    pub id: &'static str,
    /// What is measured, as a ratio.
    pub title: &'static str,
    /// Which side is good.
    pub direction: Direction,
    /// Good enough.
    pub pass: f64,
    /// Better still.
    pub stretch: f64,
}

/// How a ratio stands to a goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Better than the stretch bound.
    Stretch,
    /// Better than the pass bound.
    Met,
    /// Neither.
    Missed,
}

/// All goals that are measured so far.
pub const GOALS: [Goal; 21] = [
    Goal {
        id: "P1",
        title: "frames a second end to end / bare predict",
        direction: Direction::AtLeast,
        pass: 0.95,
        stretch: 0.98,
    },
    Goal {
        id: "P6",
        title: "CPU a frame, no-op model, 10 objects / JPEG decode + encode",
        direction: Direction::AtMost,
        pass: 1.75,
        stretch: 1.35,
    },
    Goal {
        id: "P7",
        title: "CPU a frame, no-op model, 100 objects / JPEG decode + encode",
        direction: Direction::AtMost,
        pass: 2.3,
        stretch: 1.6,
    },
    Goal {
        id: "P8",
        title: "CPU to decode, resize and normalise: Pillow and numpy / ours",
        direction: Direction::AtLeast,
        pass: 3.5,
        stretch: 5.0,
    },
    Goal {
        id: "P9",
        title: "CPU to paste, blend and encode masks: numpy and pycocotools / ours",
        direction: Direction::AtLeast,
        pass: 30.0,
        stretch: 100.0,
    },
    Goal {
        id: "P10",
        title: "CPU to encode masks, equal to the byte: pycocotools / ours",
        direction: Direction::AtLeast,
        pass: 20.0,
        stretch: 50.0,
    },
    Goal {
        id: "P11",
        title: "CPU to accept an upload / JPEG decode + encode",
        direction: Direction::AtMost,
        pass: 0.05,
        stretch: 0.03,
    },
    Goal {
        id: "P13",
        title: "CPU to accept an upload: Flask and gunicorn / gateway",
        direction: Direction::AtLeast,
        pass: 15.0,
        stretch: 25.0,
    },
    Goal {
        id: "P14",
        title: "frames a second end to end / the Python service's, same model file",
        direction: Direction::AtLeast,
        pass: 1.3,
        stretch: 1.7,
    },
    Goal {
        id: "P15",
        title: "frames a second, the model that ships / TorchServe's, same model file",
        direction: Direction::AtLeast,
        pass: 1.3,
        stretch: 1.7,
    },
    Goal {
        id: "P16",
        title: "latency beyond codec and predict / one bare Kafka hop",
        direction: Direction::AtMost,
        pass: 3.0,
        stretch: 2.3,
    },
    Goal {
        id: "P17",
        title: "upload to annotated picture at 70 % load, one picture: p99 / p50",
        direction: Direction::AtMost,
        pass: 1.5,
        stretch: 1.25,
    },
    Goal {
        id: "P18",
        title: "our Kafka hop / a bare librdkafka loop: p50",
        direction: Direction::AtMost,
        pass: 1.15,
        stretch: 1.05,
    },
    Goal {
        id: "P19",
        title: "detector memory at work / the bare session's",
        direction: Direction::AtMost,
        pass: 1.25,
        stretch: 1.1,
    },
    Goal {
        id: "P21",
        title: "frames a second of two detectors / one, a thread each, two cores",
        direction: Direction::AtLeast,
        pass: 1.85,
        stretch: 1.93,
    },
    Goal {
        id: "P22",
        title: "growth with picture size, 0.3 to 33 megapixels: the exponent",
        direction: Direction::AtMost,
        pass: 1.05,
        stretch: 1.0,
    },
    Goal {
        id: "P23",
        title: "growth with objects: CPU ns for each further pixel of boxes",
        direction: Direction::AtMost,
        pass: 3.0,
        stretch: 1.5,
    },
    Goal {
        id: "P24",
        title: "CPU a frame of 16 cameras / one, as many frames in all",
        direction: Direction::AtMost,
        pass: 1.05,
        stretch: 1.02,
    },
    Goal {
        id: "P25",
        title: "CPU of one more viewer a frame / encoding the picture",
        direction: Direction::AtMost,
        pass: 0.05,
        stretch: 0.02,
    },
    Goal {
        id: "P27",
        title: "detector ready / ONNX Runtime loaded and session made",
        direction: Direction::AtMost,
        pass: 1.2,
        stretch: 1.1,
    },
    Goal {
        id: "R16",
        title: "memory at the end / after warm-up, by regression",
        direction: Direction::AtMost,
        pass: 1.02,
        stretch: 1.0,
    },
];

/// The goal of that name.
pub fn goal(id: &str) -> Option<Goal> {
    GOALS.into_iter().find(|goal| goal.id == id)
}

impl Goal {
    /// How a ratio stands to it.
    pub fn verdict(&self, ratio: f64) -> Verdict {
        if self.reaches(ratio, self.stretch) {
            Verdict::Stretch
        } else if self.reaches(ratio, self.pass) {
            Verdict::Met
        } else {
            Verdict::Missed
        }
    }

    /// How far a ratio is from good enough: one is just there, more is not. Comparable between goals.
    pub fn shortfall(&self, ratio: f64) -> f64 {
        match self.direction {
            Direction::AtMost => ratio / self.pass,
            Direction::AtLeast => self.pass / ratio,
        }
    }

    /// Another ratio of the same goal, with bounds of its own: pass and stretch.
    #[must_use]
    pub fn about(
        self,
        title: &'static str,
        direction: Direction,
        (pass, stretch): (f64, f64),
    ) -> Self {
        Self {
            title,
            direction,
            pass,
            stretch,
            ..self
        }
    }

    /// A bound as people write it.
    pub fn bound(&self, bound: f64) -> String {
        match self.direction {
            Direction::AtMost => format!("<= {bound}"),
            Direction::AtLeast => format!(">= {bound}"),
        }
    }

    fn reaches(&self, ratio: f64, bound: f64) -> bool {
        match self.direction {
            Direction::AtMost => ratio <= bound,
            Direction::AtLeast => ratio >= bound,
        }
    }
}

impl Verdict {
    /// One word for the table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stretch => "met, stretch too",
            Self::Met => "met",
            Self::Missed => "missed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_and_yields_are_judged_from_opposite_sides() {
        let (cost, share) = (goal("P6").unwrap(), goal("P1").unwrap());
        let verdicts = |goal: Goal, ratios: [f64; 3]| ratios.map(|ratio| goal.verdict(ratio));
        let worse_and_worse = [Verdict::Stretch, Verdict::Met, Verdict::Missed];
        assert_eq!(verdicts(cost, [1.35, 1.75, 1.76]), worse_and_worse);
        assert_eq!(verdicts(share, [0.98, 0.95, 0.94]), worse_and_worse);
        let shortfalls = [cost.shortfall(3.5), share.shortfall(0.475)];
        assert!(shortfalls.iter().all(|found| (found - 2.0).abs() < 1e-9));
        assert_eq!(cost.bound(cost.pass), "<= 1.75");
    }

    #[test]
    fn every_stretch_is_harder_than_its_pass() {
        for goal in GOALS {
            assert_eq!(goal.verdict(goal.stretch), Verdict::Stretch, "{}", goal.id);
            assert_eq!(goal.verdict(goal.pass), Verdict::Met, "{}", goal.id);
        }
        assert!(goal("P0").is_none());
    }
}
