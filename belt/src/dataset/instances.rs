//! A COCO instance data set: `train/` and `val/`, each with `annotations.json` and `images/`.

use std::path::{Path, PathBuf};
use std::thread;

use indicatif::ProgressBar;

use super::coco::InstanceFile;
use super::variety::{Split, varied_config};
use super::{
    DatasetError, JpegWriter, create_directory, out_of_range, prepare_directory, progress_bar,
    write_json,
};
use crate::belt::Belt;
use crate::truth::Scene;

/// What to export, and where to.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    pub directory: PathBuf,
    /// Pictures in both splits together.
    pub count: u64,
    pub seed: u64,
    /// Width and height of every picture.
    pub size: (u32, u32),
    /// Share of the pictures that go into `val`, from 0 up to but not including 1.
    pub val_fraction: f32,
    /// 0 shows another belt in every picture; otherwise each split films one belt and keeps every
    /// so-many-th frame, so that ids can be followed from picture to picture.
    pub stride: u64,
    /// JPEG quality, 1 to 100.
    pub quality: i32,
    /// Replace a data set that is already there.
    pub force: bool,
}

/// What an export wrote.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExportSummary {
    pub train_pictures: u64,
    pub val_pictures: u64,
    pub instances: usize,
}

/// Writes the data set; a split without pictures is left out.
pub fn export(options: &ExportOptions) -> Result<ExportSummary, DatasetError> {
    if options.count == 0 || options.count > 1_000_000 {
        return Err(out_of_range("count", &options.count, "from 1 to 1000000"));
    }
    if !(0.0..1.0).contains(&options.val_fraction) {
        return Err(out_of_range(
            "val-fraction",
            &options.val_fraction,
            "from 0 up to but not including 1",
        ));
    }
    // Fails early for an impossible size, before anything is written.
    varied_config(options.seed, Split::Train, 0, options.size)
        .0
        .validate()?;
    let mut jpeg = JpegWriter::new(options.quality)?;
    prepare_directory(&options.directory, options.force)?;

    let val_pictures = (options.count as f64 * f64::from(options.val_fraction)).round() as u64;
    let train_pictures = options.count - val_pictures;
    let bar = progress_bar(options.count);
    let mut instances = 0;
    for (split, pictures) in [(Split::Train, train_pictures), (Split::Val, val_pictures)] {
        if pictures > 0 {
            let mut writer = SplitWriter {
                options,
                split,
                jpeg: &mut jpeg,
                bar: &bar,
            };
            instances += writer.write(pictures)?;
        }
    }
    bar.finish_and_clear();
    Ok(ExportSummary {
        train_pictures,
        val_pictures,
        instances,
    })
}

struct SplitWriter<'a> {
    options: &'a ExportOptions,
    split: Split,
    jpeg: &'a mut JpegWriter,
    bar: &'a ProgressBar,
}

impl SplitWriter<'_> {
    /// Returns how many instances there are.
    fn write(&mut self, pictures: u64) -> Result<usize, DatasetError> {
        let directory = self.options.directory.join(self.split.name());
        let images = directory.join("images");
        create_directory(&images)?;
        let description = format!(
            "simulated conveyor belt, {}, seed {}",
            self.split.name(),
            self.options.seed
        );
        let mut annotations = InstanceFile::new(description);
        if self.options.stride == 0 {
            self.film_many_belts(pictures, &images, &mut annotations)?;
        } else {
            let (mut belt, start) = belt_number(self.options, self.split, 0)?;
            for index in 0..pictures {
                let passed = index.saturating_mul(self.options.stride);
                let scene = belt.scene(start.saturating_add(passed));
                self.add(&images, &mut annotations, &scene)?;
            }
        }
        write_json(&directory.join("annotations.json"), &annotations)?;
        Ok(annotations.instances())
    }

    /// Belts have nothing in common, so each core draws another one; the order stays.
    fn film_many_belts(
        &mut self,
        pictures: u64,
        images: &Path,
        annotations: &mut InstanceFile,
    ) -> Result<(), DatasetError> {
        let workers = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
        for start in (0..pictures).step_by(workers as usize) {
            let end = (start + workers).min(pictures);
            let (options, split) = (self.options, self.split);
            let scenes: Vec<Result<Scene, DatasetError>> = thread::scope(|scope| {
                let draw = |index| {
                    scope.spawn(move || {
                        let (mut belt, frame_index) = belt_number(options, split, index)?;
                        Ok(belt.scene(frame_index))
                    })
                };
                let running: Vec<_> = (start..end).map(draw).collect();
                running
                    .into_iter()
                    .map(|worker| {
                        worker
                            .join()
                            .expect("drawing a validated belt does not panic")
                    })
                    .collect()
            });
            for scene in scenes {
                self.add(images, annotations, &scene?)?;
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        images: &Path,
        annotations: &mut InstanceFile,
        scene: &Scene,
    ) -> Result<(), DatasetError> {
        let file_name = format!("{:06}.jpg", annotations.pictures());
        self.jpeg.write(&scene.image, &images.join(&file_name))?;
        annotations.push(file_name, scene);
        self.bar.inc(1);
        Ok(())
    }
}

/// A belt of a split, and the frame of it to show.
fn belt_number(
    options: &ExportOptions,
    split: Split,
    index: u64,
) -> Result<(Belt, u64), DatasetError> {
    let (config, frame_index) = varied_config(options.seed, split, index, options.size);
    Ok((Belt::new(config)?, frame_index))
}
