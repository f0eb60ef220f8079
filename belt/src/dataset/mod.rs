//! Training sets: pictures of many belts, with the truth in the formats that trainers read.
//!
//! - [`export`]: detection and segmentation, as COCO instances
//! - [`export_crops`]: classification, one part per picture
//! - `variety`: which belt and moment each picture shows; `coco`: the annotation file

mod coco;
mod crops;
mod instances;
mod variety;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use image::RgbImage;
use indicatif::{ProgressBar, ProgressStyle};
use thiserror::Error;

use crate::config::BeltError;

pub use crops::{CropOptions, export_crops};
pub use instances::{ExportOptions, ExportSummary, export};

/// Why a data set could not be written.
#[derive(Debug, Error)]
pub enum DatasetError {
    #[error("{} is not empty: name another directory, or add --force to replace what is in it", .0.display())]
    NotEmpty(PathBuf),
    #[error("{name} is {value}, but must be {allowed}")]
    OutOfRange {
        name: &'static str,
        value: String,
        allowed: &'static str,
    },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot encode {} as JPEG", path.display())]
    Encode {
        path: PathBuf,
        source: turbojpeg::Error,
    },
    #[error("cannot set up the JPEG encoder")]
    Jpeg(#[from] turbojpeg::Error),
    #[error("cannot write the annotations to {}", path.display())]
    Annotations {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("cannot shrink a crop")]
    Resize(#[from] fast_image_resize::ResizeError),
    #[error(transparent)]
    Belt(#[from] BeltError),
}

/// Writes JPEGs the way cameras do: chroma at half resolution.
struct JpegWriter {
    compressor: turbojpeg::Compressor,
}

impl JpegWriter {
    fn new(quality: i32) -> Result<Self, DatasetError> {
        if !(1..=100).contains(&quality) {
            return Err(out_of_range("quality", &quality, "from 1 to 100"));
        }
        let mut compressor = turbojpeg::Compressor::new()?;
        compressor.set_quality(quality)?;
        compressor.set_subsamp(turbojpeg::Subsamp::Sub2x2)?;
        Ok(Self { compressor })
    }

    fn write(&mut self, image: &RgbImage, path: &Path) -> Result<(), DatasetError> {
        let view = turbojpeg::Image {
            pixels: image.as_raw().as_slice(),
            width: image.width() as usize,
            pitch: image.width() as usize * 3,
            height: image.height() as usize,
            format: turbojpeg::PixelFormat::RGB,
        };
        let jpeg =
            self.compressor
                .compress_to_vec(view)
                .map_err(|source| DatasetError::Encode {
                    path: path.to_path_buf(),
                    source,
                })?;
        fs::write(path, jpeg).map_err(|source| DatasetError::Write {
            path: path.to_path_buf(),
            source,
        })
    }
}

/// Makes sure that a data set starts in an empty directory, and never mixes with an older one.
fn prepare_directory(directory: &Path, force: bool) -> Result<(), DatasetError> {
    create_directory(directory)?;
    let write = |source| DatasetError::Write {
        path: directory.to_path_buf(),
        source,
    };
    let is_empty = fs::read_dir(directory).map_err(write)?.next().is_none();
    if is_empty {
        return Ok(());
    }
    if !force {
        return Err(DatasetError::NotEmpty(directory.to_path_buf()));
    }
    // Only what an export writes is removed; whatever else lies here is not ours to delete.
    let ours = crate::Class::PARTS.map(crate::Class::name);
    for name in ["train", "val"].into_iter().chain(ours) {
        let path = directory.join(name);
        if path.is_dir() {
            fs::remove_dir_all(&path).map_err(|source| DatasetError::Write { path, source })?;
        }
    }
    let labels = directory.join(crops::LABELS);
    if labels.is_file() {
        fs::remove_file(&labels).map_err(|source| DatasetError::Write {
            path: labels,
            source,
        })?;
    }
    Ok(())
}

fn create_directory(path: &Path) -> Result<(), DatasetError> {
    fs::create_dir_all(path).map_err(|source| DatasetError::Write {
        path: path.to_path_buf(),
        source,
    })
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), DatasetError> {
    let file = fs::File::create(path).map_err(|source| DatasetError::Write {
        path: path.to_path_buf(),
        source,
    })?;
    let mut writer = io::BufWriter::new(file);
    serde_json::to_writer(&mut writer, value).map_err(|source| DatasetError::Annotations {
        path: path.to_path_buf(),
        source,
    })?;
    io::Write::flush(&mut writer).map_err(|source| DatasetError::Write {
        path: path.to_path_buf(),
        source,
    })
}

fn out_of_range(name: &'static str, value: &impl ToString, allowed: &'static str) -> DatasetError {
    DatasetError::OutOfRange {
        name,
        value: value.to_string(),
        allowed,
    }
}

/// A bar on a terminal, silence elsewhere.
fn progress_bar(count: u64) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{bar:40} {pos}/{len} pictures, {per_sec}, {eta} left")
            .expect("the template is a constant that parses");
    ProgressBar::new(count).with_style(style)
}
