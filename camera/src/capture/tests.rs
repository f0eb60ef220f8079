//! Sources that loop, fail and heal.

use std::{fs, path::Path};

use pipeline::service::{
    Health, Metrics,
    health::{PartReport, State},
};
use tokio::{task::JoinHandle, time::timeout};

use super::*;
use crate::stats::FrameCounters;

const PATIENCE: Duration = Duration::from_secs(30);

fn stats() -> Arc<CameraStats> {
    let counters = FrameCounters::register(&Metrics::new("camera").unwrap()).unwrap();
    let id = pipeline::frame::SourceId::new("line-3").unwrap();
    Arc::new(counters.for_camera(&id))
}

async fn open(address: &str) -> Result<Reel, CaptureError> {
    Reel::open(address.parse().unwrap(), stats()).await
}

/// A camera at work, without Kafka.
struct Camera {
    health: Health,
    slot: Arc<Newest<Shot>>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), JoinError>>,
}

impl Camera {
    async fn start(address: &str) -> Self {
        let health = Health::new("camera");
        let part = health.register("camera line-3", PATIENCE);
        let (slot, stop) = (Arc::new(Newest::new()), CancellationToken::new());
        let stats = stats();
        let reel = Reel::open(address.parse().unwrap(), stats.clone()).await;
        let filming = Filming {
            slot: slot.clone(),
            stats,
            part,
            traces: Traces::default(),
        };
        let task = tokio::spawn(filming.run(reel.unwrap(), stop.clone()));
        Self {
            health,
            slot,
            stop,
            task,
        }
    }

    async fn shot(&self) -> Shot {
        timeout(PATIENCE, self.slot.take()).await.expect("a shot")
    }

    async fn part_in(&self, state: State) -> PartReport {
        let standing = async {
            loop {
                let part = self.health.report().parts.remove(0);
                if part.state == state {
                    return part;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, standing).await.expect("the state")
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        assert!(self.health.report().parts.is_empty(), "retired");
    }
}

fn write_photo(file: &Path) {
    let pixels = vec![128; 16 * 16 * 3];
    let image = turbojpeg::Image {
        pixels: pixels.as_slice(),
        width: 16,
        pitch: 48,
        height: 16,
        format: turbojpeg::PixelFormat::RGB,
    };
    let jpeg = jpeg::JpegEncoder::new().unwrap().encode(image).unwrap();
    fs::write(file, jpeg).unwrap();
}

/// Shots lie as far apart as their numbers say, whatever the machine was busy with meanwhile.
fn assert_real_time(shots: &[Shot], fps: f64) {
    for (before, after) in shots.iter().zip(&shots[1..]) {
        let frames = (after.sequence - before.sequence) as f64;
        assert!(frames > 0.0, "{before:?} {after:?}");
        let spacing = after.captured_at.duration_since(before.captured_at);
        let off_by = (spacing.as_secs_f64() - frames / fps).abs();
        // Two clocks are read one after the other, and the machine may pause in between.
        assert!(off_by < 0.5 / fps, "{spacing} for {frames} frames");
    }
}

#[tokio::test]
async fn a_belt_keeps_its_time() {
    let camera = Camera::start("belt://?seed=1&fps=20&size=160x120").await;
    let mut shots = Vec::new();
    while shots.len() < 10 {
        shots.push(camera.shot().await);
    }
    assert_real_time(&shots, 20.0);
    camera.part_in(State::Ready).await;
    camera.end().await;
}

#[tokio::test]
async fn a_folder_that_vanishes_is_not_ready_and_heals() {
    let root = tempfile::tempdir().unwrap();
    let photos = root.path().join("photos");
    let fill = || {
        fs::create_dir(&photos).unwrap();
        write_photo(&photos.join("a.jpg"));
    };
    fill();
    let camera = Camera::start(&format!("dir://{}?fps=100", photos.display())).await;
    camera.part_in(State::Ready).await;
    let before = camera.shot().await.sequence;

    fs::remove_dir_all(&photos).unwrap();
    let reason = camera.part_in(State::NotReady).await.reason.unwrap();
    assert!(reason.contains("photos"), "{reason}");
    assert!(reason.contains("No such file"), "{reason}");

    fill();
    camera.part_in(State::Ready).await;
    while camera.shot().await.sequence <= before {}
    camera.end().await;
}

#[tokio::test]
async fn an_empty_folder_is_not_ready_until_a_photo_is_there() {
    let photos = tempfile::tempdir().unwrap();
    let camera = Camera::start(&format!("dir://{}", photos.path().display())).await;
    let reason = camera.part_in(State::NotReady).await.reason.unwrap();
    assert!(
        reason.contains("put JPEG, PNG or WebP files there"),
        "{reason}"
    );
    write_photo(&photos.path().join("a.JPG"));
    camera.part_in(State::Ready).await;
    camera.end().await;
}

#[tokio::test]
async fn what_is_not_there_at_start_is_said_at_start() {
    for address in ["file:///nowhere/clip.mp4", "dir:///nowhere"] {
        let error = open(address).await.err().expect(address);
        let text = describe(&error);
        #[cfg(not(feature = "opencv"))]
        if address.starts_with("file") {
            assert!(text.contains("--features opencv"), "{text}");
            continue;
        }
        assert!(text.contains("cannot read /nowhere"), "{text}");
        assert!(text.contains("No such file"), "{text}");
    }
}

#[cfg(feature = "opencv")]
mod clips {
    use opencv::{
        core::{CV_8UC3, Mat, Scalar, Size},
        videoio::{VideoWriter, VideoWriterTrait, VideoWriterTraitConst},
    };

    use super::*;

    const FPS: f64 = 25.0;
    const FRAMES: u8 = 5;

    /// Frames of growing blue.
    fn write_clip(file: &Path, frames: u8) {
        let fourcc = VideoWriter::fourcc('M', 'J', 'P', 'G').unwrap();
        let size = Size::new(64, 48);
        let mut writer = VideoWriter::new(file.to_str().unwrap(), fourcc, FPS, size, true).unwrap();
        assert!(writer.is_opened().unwrap(), "this OpenCV writes MJPEG");
        for number in 0..frames {
            let blue = Scalar::new(blue_of(number), 0.0, 0.0, 0.0);
            let frame = Mat::new_size_with_default(size, CV_8UC3, blue).unwrap();
            writer.write(&frame).unwrap();
        }
        writer.release().unwrap();
    }

    fn blue_of(number: u8) -> f64 {
        f64::from(number) * 40.0 + 40.0
    }

    /// Which frame of the clip this is.
    fn number_of(jpeg: &Bytes) -> u8 {
        let picture = turbojpeg::decompress(jpeg, turbojpeg::PixelFormat::RGB).unwrap();
        assert_eq!((picture.width, picture.height), (64, 48));
        let [red, green, blue] = picture.pixels[..3] else {
            panic!("three bytes a pixel");
        };
        assert!(red < 30 && green < 30, "{red} {green} {blue}");
        let is_it = |number: &u8| (f64::from(blue) - blue_of(*number)).abs() < 15.0;
        (0..FRAMES).find(is_it).expect("a frame of the clip")
    }

    async fn next(reel: Reel, passed_over: u64) -> (Reel, Taken) {
        let (reel, taken) = take(reel, passed_over).await.unwrap();
        (reel, taken.unwrap())
    }

    #[tokio::test]
    async fn a_clip_goes_round_in_its_own_colours() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clip.avi");
        write_clip(&file, FRAMES);
        let mut reel = open(&format!("file://{}", file.display())).await.unwrap();
        for count in 0..2 * FRAMES + 2 {
            let (returned, taken) = next(reel, 0).await;
            reel = returned;
            assert_eq!(number_of(&taken.jpeg), count % FRAMES);
            assert!((taken.fps - FPS).abs() < 0.01, "{}", taken.fps);
        }
        let (_, taken) = next(reel, 2).await;
        assert_eq!(number_of(&taken.jpeg), 4, "2 and 3 were passed over");
        assert_eq!(taken.lost_before, 2);
    }

    #[tokio::test]
    async fn a_clip_plays_in_real_time_also_over_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clip.avi");
        write_clip(&file, FRAMES);
        let camera = Camera::start(&format!("file://{}?fps=50", file.display())).await;
        let mut shots = Vec::new();
        while shots.len() < 3 * usize::from(FRAMES) {
            shots.push(camera.shot().await);
        }
        assert_real_time(&shots, 50.0);
        camera.end().await;
    }

    #[tokio::test]
    async fn a_clip_that_vanishes_is_not_ready_and_heals() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clip.avi");
        write_clip(&file, FRAMES);
        let camera = Camera::start(&format!("file://{}", file.display())).await;
        camera.part_in(State::Ready).await;

        fs::remove_file(&file).unwrap();
        let reason = camera.part_in(State::NotReady).await.reason.unwrap();
        assert!(reason.contains("No such file"), "{reason}");

        // Half a file is no better than none.
        fs::write(&file, b"RIFF and then nothing").unwrap();
        let is_no_clip = async {
            while !camera
                .part_in(State::NotReady)
                .await
                .reason
                .unwrap()
                .contains("not a video")
            {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, is_no_clip).await.expect("the new reason");

        let whole = folder.path().join("whole.avi");
        write_clip(&whole, FRAMES);
        fs::rename(&whole, &file).unwrap();
        camera.part_in(State::Ready).await;
        camera.end().await;
    }

    #[tokio::test]
    async fn a_file_that_is_no_video_is_refused_at_start() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clip.mp4");
        fs::write(&file, b"this is text").unwrap();
        let error = open(&format!("file://{}", file.display()))
            .await
            .err()
            .unwrap();
        assert!(error.to_string().contains("not a video"), "{error}");
    }
}
