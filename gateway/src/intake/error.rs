//! Why an upload is refused, and what to send instead.

use super::Format;

/// What is wrong with an upload. The text says what it is, [`IntakeError::advice`] what to do.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// No bytes at all.
    #[error("the upload is empty")]
    Empty,
    /// Another format, or none.
    #[error("this looks like {looks_like}, not a JPEG, PNG or WebP")]
    Format {
        /// What the first bytes look like.
        looks_like: &'static str,
        /// How to make a picture of it that we take.
        advice: &'static str,
    },
    /// A kind of picture that the decoder does not read.
    #[error("{what} cannot be read here")]
    Unsupported {
        /// The kind, with its article.
        what: &'static str,
    },
    /// The end is missing.
    #[error("the {format} ends after {bytes} bytes, in the middle of {within}")]
    Truncated {
        /// The format.
        format: Format,
        /// The bytes that came.
        bytes: usize,
        /// What was not complete.
        within: &'static str,
    },
    /// The structure is not what the format asks for.
    #[error("the {format} is damaged: {reason}")]
    Damaged {
        /// The format.
        format: Format,
        /// What is wrong.
        reason: String,
    },
    /// More pixels than allowed.
    #[error(
        "the picture is {width}x{height}, {:.1} megapixels; the limit is {:.1}",
        megapixels(u64::from(*.width) * u64::from(*.height)), megapixels(*.max_pixels)
    )]
    TooManyPixels {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The limit.
        max_pixels: u64,
    },
    /// A side longer than a JPEG can have.
    #[error("the picture is {width}x{height}; no side may be longer than {max_side} pixels")]
    SideTooLong {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The limit.
        max_side: u32,
    },
    /// The JPEG does not fit into a Kafka record.
    #[error("as a JPEG the picture takes {bytes} bytes; a Kafka record holds {limit}")]
    ResultTooBig {
        /// Its size.
        bytes: usize,
        /// What is left of a record for it.
        limit: usize,
    },
    /// The encoder failed on good pixels: not the client's fault.
    #[error("the picture could not be encoded as a JPEG: {reason}")]
    Encode {
        /// What the encoder says.
        reason: String,
    },
}

impl IntakeError {
    pub(super) fn damaged(format: Format, reason: impl Into<String>) -> Self {
        Self::Damaged {
            format,
            reason: reason.into(),
        }
    }

    /// What to do next.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Empty => "send the bytes of a JPEG, PNG or WebP file as the body",
            Self::Format { advice, .. } => advice,
            Self::Unsupported { .. } => "save it as an ordinary 8-bit RGB JPEG or PNG",
            Self::Truncated { .. } => "send the whole file again",
            Self::Damaged { .. } => "open it in an image editor, save it anew and send that",
            Self::TooManyPixels { .. } | Self::SideTooLong { .. } => {
                "send it scaled down, or in several parts"
            }
            Self::ResultTooBig { .. } => {
                "send it scaled down or with a lower JPEG quality; the operator can raise the \
                 limit of the topic"
            }
            Self::Encode { .. } => "try again; if it happens again, report it with the picture",
        }
    }
}

fn megapixels(pixels: u64) -> f64 {
    pixels as f64 / 1e6
}
