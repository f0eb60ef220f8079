//! The chunks of PNG and WebP files: whether the file is whole, and its EXIF.
//!
//! The decoders are content once they have all pixels, and believe the lengths that chunks claim;
//! here every length is checked against the bytes that came.

use super::{Format, IntakeError};

/// Refuses a file that was cut off.
pub(super) fn check_complete(format: Format, upload: &[u8]) -> Result<(), IntakeError> {
    let is_complete = match format {
        Format::WebP => webp_end(upload).is_some_and(|end| end <= upload.len()),
        _ => png_chunks(upload).any(|(kind, _)| kind == *b"IEND"),
    };
    if is_complete {
        return Ok(());
    }
    Err(IntakeError::Truncated {
        format,
        bytes: upload.len(),
        within: "its chunks",
    })
}

/// The EXIF data, from wherever in the file it stands.
pub(super) fn exif(format: Format, upload: &[u8]) -> Option<&[u8]> {
    let data = match format {
        Format::WebP => webp_chunks(upload).find(|(kind, _)| kind == b"EXIF"),
        _ => png_chunks(upload).find(|(kind, _)| kind == b"eXIf"),
    };
    data.map(|(_, data)| data)
}

/// Kind and data of each chunk, as far as they are whole.
fn png_chunks(png: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = png.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (kind, after) = after.split_first_chunk::<4>()?;
        let (data, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        // A checksum follows.
        rest = after.get(4..)?;
        Some((*kind, data))
    })
}

/// The same for WebP, whose chunks are padded to even lengths.
fn webp_chunks(webp: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = webp.get(12..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (kind, after) = rest.split_first_chunk::<4>()?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let (data, after) = after.split_at_checked(length)?;
        rest = after.get(length % 2..).unwrap_or_default();
        Some((*kind, data))
    })
}

/// Where the file says that it ends.
fn webp_end(webp: &[u8]) -> Option<usize> {
    let length = webp.get(4..8)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*length) as usize + 8)
}
