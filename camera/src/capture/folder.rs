//! Photos of a folder, in the order of their names. JPEG files pass through as they are; PNG and WebP
//! become JPEG.

use std::{
    collections::BTreeSet,
    fs,
    io::Cursor,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    vec,
};

use bytes::Bytes;
use image::{ImageDecoder, ImageFormat, ImageReader, Limits};
use pipeline::{kafka::MAX_RECORD_BYTES, service::DropReason};

use super::{Pictures, error::CaptureError, jpeg::JpegEncoder};
use crate::{address::FolderAddress, stats::CameraStats};

/// What the headers of a record may take of its size.
const HEADER_ROOM_BYTES: usize = 64 << 10;
/// A larger JPEG fits on no topic.
const MAX_JPEG_BYTES: u64 = (MAX_RECORD_BYTES - HEADER_ROOM_BYTES) as u64;
/// A larger file is not even read.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// Pixels while decoding, in bytes.
const MAX_DECODED_BYTES: u64 = 512 << 20;
/// More is no folder of photos.
const MAX_FILES: usize = 100_000;

/// The files of one round through the folder.
pub(super) struct FolderPictures {
    folder: PathBuf,
    fps: f64,
    files: vec::IntoIter<PathBuf>,
    file_count: usize,
    shown_count: usize,
    encoder: JpegEncoder,
    stats: Arc<CameraStats>,
    warned: Warned,
}

/// The files that were warned of, kept from round to round.
#[derive(Clone, Debug, Default)]
pub(super) struct Warned(Arc<Mutex<BTreeSet<PathBuf>>>);

/// Why one file is left out.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("cannot read it: {0}")]
    Io(#[from] std::io::Error),
    #[error("cannot decode it: {0}")]
    Image(#[from] image::ImageError),
    #[error("cannot decode or encode it: {0}")]
    Jpeg(#[from] turbojpeg::Error),
    #[error("it has {bytes} bytes, and at most {limit} are taken")]
    TooBig { bytes: u64, limit: u64 },
}

impl Unusable {
    fn drop_reason(&self) -> DropReason {
        match self {
            Self::TooBig { .. } => DropReason::TooBig,
            Self::Io(_) | Self::Image(_) | Self::Jpeg(_) => DropReason::Undecodable,
        }
    }
}

impl FolderPictures {
    pub(super) fn open(
        address: &FolderAddress,
        stats: &Arc<CameraStats>,
        warned: &Warned,
    ) -> Result<Self, CaptureError> {
        let folder = &address.path;
        let files = photos_in(folder)?;
        warned.forget_all_but(&files);
        Ok(Self {
            folder: folder.clone(),
            fps: address.fps,
            file_count: files.len(),
            files: files.into_iter(),
            shown_count: 0,
            encoder: JpegEncoder::new()?,
            stats: stats.clone(),
            warned: warned.clone(),
        })
    }

    fn photo(&mut self, file: &Path) -> Result<Bytes, Unusable> {
        let bytes = fs::metadata(file)?.len();
        check_size(bytes, MAX_FILE_BYTES)?;
        let content = fs::read(file)?;
        if image::guess_format(&content)? == ImageFormat::Jpeg {
            check_size(bytes, MAX_JPEG_BYTES)?;
            turbojpeg::read_header(&content)?;
            return Ok(content.into());
        }
        let jpeg = self.converted(&content)?;
        check_size(jpeg.len() as u64, MAX_JPEG_BYTES)?;
        Ok(jpeg)
    }

    fn converted(&mut self, content: &[u8]) -> Result<Bytes, Unusable> {
        let mut reader = ImageReader::new(Cursor::new(content)).with_guessed_format()?;
        let mut limits = Limits::default();
        limits.max_alloc = Some(MAX_DECODED_BYTES);
        reader.limits(limits);
        let mut decoder = reader.into_decoder()?;
        let orientation = decoder.orientation()?;
        let mut image = image::DynamicImage::from_decoder(decoder)?;
        image.apply_orientation(orientation);
        let picture = image.into_rgb8();
        Ok(self.encoder.encode(turbojpeg::Image {
            pixels: picture.as_raw().as_slice(),
            width: picture.width() as usize,
            pitch: picture.width() as usize * 3,
            height: picture.height() as usize,
            format: turbojpeg::PixelFormat::RGB,
        })?)
    }

    fn leave_out(&self, file: &Path, why: &Unusable) {
        self.stats.offered();
        self.stats.dropped(why.drop_reason());
        if self.warned.is_news(file) {
            tracing::warn!(file = %file.display(), %why, "a photo is left out");
        }
    }
}

impl Pictures for FolderPictures {
    fn fps(&self) -> f64 {
        self.fps
    }

    /// A photo waits for its turn: a slow machine shows the folder more slowly.
    fn pass_over(&mut self, _count: u64) -> u64 {
        0
    }

    fn next(&mut self) -> Result<Option<Bytes>, CaptureError> {
        while let Some(file) = self.files.next() {
            match self.photo(&file) {
                Ok(jpeg) => {
                    self.shown_count += 1;
                    return Ok(Some(jpeg));
                }
                Err(why) => self.leave_out(&file, &why),
            }
        }
        if self.shown_count > 0 {
            return Ok(None);
        }
        Err(CaptureError::NothingToShow {
            folder: self.folder.clone(),
            file_count: self.file_count,
        })
    }
}

impl Warned {
    fn is_news(&self, file: &Path) -> bool {
        self.files().insert(file.to_owned())
    }

    /// A file that comes back under its old name may be warned of again.
    fn forget_all_but(&self, files: &[PathBuf]) {
        self.files()
            .retain(|file| files.binary_search(file).is_ok());
    }

    fn files(&self) -> std::sync::MutexGuard<'_, BTreeSet<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check_size(bytes: u64, limit: u64) -> Result<(), Unusable> {
    if bytes > limit {
        return Err(Unusable::TooBig { bytes, limit });
    }
    Ok(())
}

/// The photos by name, in order.
fn photos_in(folder: &Path) -> Result<Vec<PathBuf>, CaptureError> {
    let unreadable = |source| CaptureError::Unreadable {
        path: folder.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if !is_photo(&file) {
            continue;
        }
        if files.len() == MAX_FILES {
            return Err(CaptureError::TooManyFiles {
                folder: folder.to_owned(),
                limit: MAX_FILES,
            });
        }
        files.push(file);
    }
    files.sort_unstable();
    Ok(files)
}

fn is_photo(file: &Path) -> bool {
    let extension = file.extension().and_then(|extension| extension.to_str());
    let known = ["jpg", "jpeg", "png", "webp"];
    extension.is_some_and(|extension| {
        known
            .iter()
            .any(|known| known.eq_ignore_ascii_case(extension))
    })
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
