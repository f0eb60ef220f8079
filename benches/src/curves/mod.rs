//! Curves as pictures: some series of points in one SVG, readable on light and on dark.
//!
//! ```
//! use benches::curves::{Axis, Chart};
//!
//! let chart = Chart::new("CPU a frame", Axis::log("megapixels"), Axis::log("ms"))
//!     .series("decode", vec![(0.3, 2.0), (2.1, 13.0)])
//!     .made_by("script/bench P22");
//! assert!(chart.to_svg().starts_with("<svg"));
//! ```
//!
//! - this file: what a chart is, and where its file goes
//! - `axis`: scales and ticks
//! - `svg`: the picture

mod axis;
mod svg;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

pub use axis::{Axis, Scale};

/// One line of a chart.
#[derive(Clone, Debug)]
pub struct Series {
    /// What the legend calls it.
    pub name: String,
    /// In the order in which they are joined.
    pub points: Vec<(f64, f64)>,
}

/// Some lines over the same axes.
#[derive(Clone, Debug)]
pub struct Chart {
    title: String,
    x: Axis,
    y: Axis,
    series: Vec<Series>,
    made_by: Option<String>,
}

impl Chart {
    /// A chart without lines.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis) -> Self {
        Self {
            title: title.into(),
            x,
            y,
            series: Vec::new(),
            made_by: None,
        }
    }

    /// With one more line. What an axis cannot show, such as zero on a logarithmic one, is a gap in it.
    #[must_use]
    pub fn series(mut self, name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        self.series.push(Series {
            name: name.into(),
            points,
        });
        self
    }

    /// With the command that measured it, written below the picture.
    #[must_use]
    pub fn made_by(mut self, command: impl Into<String>) -> Self {
        self.made_by = Some(command.into());
        self
    }

    /// Writes `target/bench/NAME.svg`, and `benches/curves/NAME.svg` too where it is to be kept.
    pub fn save(&self, name: &str, is_kept: bool) -> io::Result<Vec<PathBuf>> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut folders = vec![here.join("../target/bench")];
        if is_kept {
            folders.push(here.join("curves"));
        }
        let svg = self.to_svg();
        let written = folders.into_iter().map(|folder| {
            fs::create_dir_all(&folder)?;
            let file = folder.join(name).with_extension("svg");
            fs::write(&file, &svg)?;
            Ok(file)
        });
        written.collect()
    }
}
