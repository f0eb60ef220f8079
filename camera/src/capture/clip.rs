//! Pictures of a video file, through OpenCV. What comes out of the decoder goes to the encoder as it
//! is, blue first.

use std::{fs::File, path::Path, sync::Once};

use bytes::Bytes;
use opencv::{
    core::{CV_8UC3, LogLevel, Mat, MatTraitConst, MatTraitConstManual},
    videoio::{CAP_ANY, CAP_PROP_FPS, VideoCapture, VideoCaptureTrait, VideoCaptureTraitConst},
};

use super::{Pictures, error::CaptureError, jpeg::JpegEncoder};
use crate::address::{ClipAddress, FPS_RANGE};

/// OpenCV's own variable for what it prints.
const LOG_LEVEL_VARIABLE: &str = "OPENCV_LOG_LEVEL";

/// An open file, from its first frame to its last.
pub(super) struct ClipPictures {
    capture: VideoCapture,
    fps: f64,
    frame: Mat,
    encoder: JpegEncoder,
}

impl ClipPictures {
    pub(super) fn open(address: &ClipAddress) -> Result<Self, CaptureError> {
        let path = &address.path;
        // OpenCV says only that it could not; the system says why.
        File::open(path).map_err(|source| CaptureError::Unreadable {
            path: path.clone(),
            source,
        })?;
        keep_quiet();
        let capture = VideoCapture::from_file(path, CAP_ANY)?;
        if !capture.is_opened()? {
            return Err(CaptureError::NotAClip { path: path.clone() });
        }
        let fps = match address.fps {
            Some(fps) => fps,
            None => fps_of(&capture, path)?,
        };
        Ok(Self {
            capture,
            fps,
            frame: Mat::default(),
            encoder: JpegEncoder::new()?,
        })
    }
}

impl Pictures for ClipPictures {
    fn fps(&self) -> f64 {
        self.fps
    }

    /// What was not taken in time is passed over, so that the clip keeps its pace.
    fn pass_over(&mut self, count: u64) -> u64 {
        for _ in 0..count {
            if !self.capture.grab().unwrap_or(false) {
                break;
            }
        }
        count
    }

    fn next(&mut self) -> Result<Option<Bytes>, CaptureError> {
        if !self.capture.read(&mut self.frame)? || self.frame.empty() {
            return Ok(None);
        }
        if self.frame.typ() != CV_8UC3 || !self.frame.is_continuous() {
            return Err(CaptureError::PixelFormat);
        }
        let width = self.frame.cols() as usize;
        let jpeg = self.encoder.encode(turbojpeg::Image {
            pixels: self.frame.data_bytes()?,
            width,
            pitch: width * 3,
            height: self.frame.rows() as usize,
            format: turbojpeg::PixelFormat::BGR,
        })?;
        Ok(Some(jpeg))
    }
}

fn fps_of(capture: &VideoCapture, path: &Path) -> Result<f64, CaptureError> {
    let fps = capture.get(CAP_PROP_FPS)?;
    if FPS_RANGE.contains(&fps) {
        return Ok(fps);
    }
    let path = path.to_owned();
    Err(CaptureError::NoFrameRate { path, fps })
}

/// What goes wrong comes back as an error; OpenCV would print it a second time, in its own words.
fn keep_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if std::env::var_os(LOG_LEVEL_VARIABLE).is_none() {
            let silenced = opencv::core::set_log_level(LogLevel::LOG_LEVEL_SILENT);
            tracing::debug!(?silenced, "opencv prints nothing");
        }
    });
}
