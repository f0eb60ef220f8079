//! Why there is no picture, and what to do.

use std::{io, path::PathBuf};

/// Why a camera has no picture.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The belt cannot be built.
    #[error(transparent)]
    Belt(#[from] belt::BeltError),
    /// The encoder failed.
    #[error("cannot encode a frame as JPEG")]
    Encode(#[from] turbojpeg::Error),
    /// A file or folder that is not there or not for us.
    #[error("cannot read {path}; is it there, and may this user read it?", path = .path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder without a single usable photo.
    #[error("{folder} holds no photo that can be shown; put JPEG, PNG or WebP files there{}", if *.file_count == 0 { String::new() } else { format!(" (tried {file_count}, see the log)") }, folder = .folder.display())]
    NothingToShow {
        /// The folder.
        folder: PathBuf,
        /// Files that look like photos by their names.
        file_count: usize,
    },
    /// A folder beyond all bounds.
    #[error("{folder} holds more than {limit} photos; use several folders", folder = .folder.display())]
    TooManyFiles {
        /// The folder.
        folder: PathBuf,
        /// How many are taken.
        limit: usize,
    },
    /// OpenCV cannot open the file.
    #[error("{path} is not a video that OpenCV can open; convert it, for example to mp4 with H.264", path = .path.display())]
    NotAClip {
        /// The file.
        path: PathBuf,
    },
    /// A video without a single frame.
    #[error("{path} holds no frame that can be decoded; is the file whole?", path = .path.display())]
    NoFrames {
        /// The file.
        path: PathBuf,
    },
    /// A video that does not say how fast it is, or says nonsense.
    #[error("{path} says it has {fps} frames per second; add ?fps=25 or what is right to the address", path = .path.display())]
    NoFrameRate {
        /// The file.
        path: PathBuf,
        /// What it says.
        fps: f64,
    },
    /// Not three bytes a pixel.
    #[error(
        "the video decoder gave pixels that are not 8-bit colour; convert the file, for example to mp4 with H.264"
    )]
    PixelFormat,
    /// OpenCV broke.
    #[cfg(feature = "opencv")]
    #[error("OpenCV failed")]
    OpenCv(#[from] opencv::Error),
    /// Built without OpenCV.
    #[cfg(not(feature = "opencv"))]
    #[error(
        "file:// needs OpenCV, and this program was built without it; run script/setup, then build with the default features or --features opencv"
    )]
    NoOpenCv,
    /// A panic; a defect.
    #[error("the camera thread ended early")]
    Thread(#[from] tokio::task::JoinError),
}
