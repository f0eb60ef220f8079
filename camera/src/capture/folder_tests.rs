//! Folders with all that people put into them.

use image::{DynamicImage, RgbImage};
use pipeline::{frame::SourceId, service::Metrics};

use super::*;
use crate::stats::FrameCounters;

struct Folder {
    root: tempfile::TempDir,
    metrics: Metrics,
    stats: Arc<CameraStats>,
    warned: Warned,
}

impl Folder {
    fn new() -> Self {
        let metrics = Metrics::new("camera").unwrap();
        let counters = FrameCounters::register(&metrics).unwrap();
        let stats = Arc::new(counters.for_camera(&SourceId::new("line-3").unwrap()));
        let (root, warned) = (tempfile::tempdir().unwrap(), Warned::default());
        Self {
            root,
            metrics,
            stats,
            warned,
        }
    }

    fn put(&self, name: &str, content: &[u8]) -> PathBuf {
        let file = self.root.path().join(name);
        fs::write(&file, content).unwrap();
        file
    }

    /// One round.
    fn round(&self) -> FolderPictures {
        let path = self.root.path().to_owned();
        let address = FolderAddress { path, fps: 1.0 };
        FolderPictures::open(&address, &self.stats, &self.warned).unwrap()
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        let text = self.metrics.to_text().unwrap();
        let start = format!("kadr_frames_dropped_total{{reason=\"{}\"", reason.code());
        let line = text.lines().find(|line| line.starts_with(&start)).unwrap();
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }
}

/// A plain picture in the given format.
fn picture(format: ImageFormat, side: u32) -> Vec<u8> {
    let image = RgbImage::from_pixel(side, side, image::Rgb([200, 60, 20]));
    let mut file = Cursor::new(Vec::new());
    DynamicImage::from(image)
        .write_to(&mut file, format)
        .unwrap();
    file.into_inner()
}

fn side_of(jpeg: &Bytes) -> usize {
    let picture = turbojpeg::decompress(jpeg, turbojpeg::PixelFormat::RGB).unwrap();
    let [red, green, blue] = picture.pixels[..3] else {
        panic!("three bytes a pixel");
    };
    assert!(red > 180 && green < 90 && blue < 60, "{red} {green} {blue}");
    picture.width
}

#[test]
fn photos_come_by_name_and_jpeg_files_pass_as_they_are() {
    let folder = Folder::new();
    let jpeg = picture(ImageFormat::Jpeg, 24);
    folder.put("2.jpg", &jpeg);
    folder.put("3.PNG", &picture(ImageFormat::Png, 32));
    folder.put("1.webp", &picture(ImageFormat::WebP, 16));
    folder.put("notes.txt", b"not for us");
    let mut round = folder.round();
    assert_eq!(side_of(&round.next().unwrap().unwrap()), 16);
    assert_eq!(round.next().unwrap().unwrap(), jpeg);
    assert_eq!(side_of(&round.next().unwrap().unwrap()), 32);
    assert!(round.next().unwrap().is_none(), "the round ends");
    assert_eq!(round.pass_over(3), 0, "photos wait for their turn");
}

#[test]
fn what_cannot_be_shown_is_left_out_counted_and_warned_of_once() {
    let folder = Folder::new();
    let broken = folder.put("1.jpg", b"\xff\xd8\xff and then nothing");
    folder.put("2.png", &picture(ImageFormat::Png, 16)[..40]);
    folder.put("3.jpg", &picture(ImageFormat::Jpeg, 24));
    let mut big = picture(ImageFormat::Jpeg, 24);
    big.resize(MAX_JPEG_BYTES as usize + 1, 0);
    folder.put("4.jpg", &big);
    for rounds in 1..=2 {
        let mut round = folder.round();
        assert_eq!(side_of(&round.next().unwrap().unwrap()), 24);
        assert!(round.next().unwrap().is_none());
        assert_eq!(folder.dropped(DropReason::Undecodable), 2 * rounds);
        assert_eq!(folder.dropped(DropReason::TooBig), rounds);
    }
    assert!(!folder.warned.is_news(&broken), "warned of before");
    fs::remove_file(&broken).unwrap();
    folder.round();
    assert!(folder.warned.is_news(&broken), "another file by now");
}

#[test]
fn a_folder_without_a_usable_photo_says_so() {
    let folder = Folder::new();
    let error = folder.round().next().unwrap_err().to_string();
    assert!(
        error.ends_with("put JPEG, PNG or WebP files there"),
        "{error}"
    );
    folder.put("1.jpg", b"text");
    let error = folder.round().next().unwrap_err().to_string();
    assert!(error.contains("tried 1"), "{error}");
}
