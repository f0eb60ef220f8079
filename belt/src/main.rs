//! The `belt` command: data sets and previews of a simulated conveyor.

use std::path::PathBuf;

use anyhow::{Context, Result};
use belt::dataset::{CropOptions, ExportOptions, export, export_crops};
use belt::preview::preview;
use belt::{Belt, BeltConfig};
use clap::{Args, Parser, Subcommand};

/// A simulated factory conveyor with exact ground truth.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a COCO instance data set with train and val splits.
    Export(ExportArgs),
    /// Write pictures of single parts, a folder per class.
    Crops(CropsArgs),
    /// Write one picture as PNG, with the truth drawn on it.
    Preview(PreviewArgs),
}

#[derive(Debug, Args)]
struct ExportArgs {
    /// Directory to write to; must be empty or not exist yet.
    #[arg(long)]
    out: PathBuf,
    /// Number of pictures, both splits together.
    #[arg(long)]
    count: u64,
    /// Names the data set: the same seed gives the same files.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Width and height of the pictures in pixels.
    #[arg(long, default_value = "640x480", value_parser = parse_size)]
    size: (u32, u32),
    /// Share of the pictures for the val split.
    #[arg(long, default_value_t = 0.1)]
    val_fraction: f32,
    /// Film one belt per split and keep every so-many-th frame; 0 shows another belt each time.
    #[arg(long, default_value_t = 0)]
    stride: u64,
    /// JPEG quality, 1 to 100.
    #[arg(long, default_value_t = 90)]
    quality: i32,
    /// Replace a data set that is already in the directory.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
struct CropsArgs {
    /// Directory to write to; must be empty or not exist yet.
    #[arg(long)]
    out: PathBuf,
    /// Number of pictures, all classes together.
    #[arg(long)]
    count: u64,
    /// Names the data set: the same seed gives the same files.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Width and height of the square pictures in pixels.
    #[arg(long, default_value_t = 96)]
    size: u32,
    /// JPEG quality, 1 to 100.
    #[arg(long, default_value_t = 90)]
    quality: i32,
    /// Replace a data set that is already in the directory.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
struct PreviewArgs {
    /// PNG file to write.
    #[arg(long)]
    out: PathBuf,
    /// Names the belt.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Width and height of the picture in pixels.
    #[arg(long, default_value = "640x480", value_parser = parse_size)]
    size: (u32, u32),
    /// Which frame of the belt to show.
    #[arg(long, default_value_t = 0)]
    frame: u64,
    /// Draw the truth on the picture (the default).
    #[arg(long, overrides_with = "no_truth")]
    truth: bool,
    /// Leave the picture as the camera sees it.
    #[arg(long, overrides_with = "truth")]
    no_truth: bool,
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Export(args) => run_export(args),
        Command::Crops(args) => run_crops(args),
        Command::Preview(args) => run_preview(&args),
    }
}

fn run_export(args: ExportArgs) -> Result<()> {
    let directory = args.out.clone();
    let summary = export(&ExportOptions {
        directory: args.out,
        count: args.count,
        seed: args.seed,
        size: args.size,
        val_fraction: args.val_fraction,
        stride: args.stride,
        quality: args.quality,
        force: args.force,
    })
    .context("the data set was not written")?;
    println!(
        "{}: {} pictures to train on, {} to validate, {} instances",
        directory.display(),
        summary.train_pictures,
        summary.val_pictures,
        summary.instances
    );
    Ok(())
}

fn run_crops(args: CropsArgs) -> Result<()> {
    let (directory, count) = (args.out.clone(), args.count);
    export_crops(&CropOptions {
        directory: args.out,
        count: args.count,
        seed: args.seed,
        side: args.size,
        quality: args.quality,
        force: args.force,
    })
    .context("the data set was not written")?;
    println!("{}: {count} pictures", directory.display());
    Ok(())
}

fn run_preview(args: &PreviewArgs) -> Result<()> {
    let (width, height) = args.size;
    let config = BeltConfig {
        seed: args.seed,
        width,
        height,
        ..BeltConfig::default()
    };
    let scene = Belt::new(config)?.scene(args.frame);
    let picture = if args.no_truth {
        scene.image
    } else {
        preview(&scene)
    };
    picture
        .save(&args.out)
        .with_context(|| format!("cannot write {}", args.out.display()))?;
    println!(
        "{}: {} instances",
        args.out.display(),
        scene.instances.len()
    );
    Ok(())
}

fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let sides = text
        .split_once('x')
        .and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    sides.ok_or_else(|| "write width and height in pixels, for example 640x480".to_owned())
}
