//! What OpenCV this program was built with, for those who look after it.

/// The OpenCV in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCvSupport {
    /// Its version.
    pub version: String,
    /// What it reads videos with.
    pub backends: Vec<String>,
}

/// The OpenCV in use; none where the program was built without it.
#[cfg(feature = "opencv")]
pub fn opencv_support() -> Option<OpenCvSupport> {
    use opencv::{core, videoio};

    let backends = videoio::get_stream_backends().unwrap_or_default();
    let names = backends.iter().map(videoio::get_backend_name);
    Some(OpenCvSupport {
        version: core::get_version_string().unwrap_or_else(|_unknown| core::CV_VERSION.to_owned()),
        backends: names.filter_map(Result::ok).collect(),
    })
}

/// The OpenCV in use; none where the program was built without it.
#[cfg(not(feature = "opencv"))]
pub fn opencv_support() -> Option<OpenCvSupport> {
    None
}
