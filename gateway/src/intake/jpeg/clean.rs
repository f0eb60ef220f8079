//! A JPEG without metadata: no place, no owner, no thumbnail, nothing behind the end.

use bytes::Bytes;

use super::{
    ADOBE, JFIF, JFIF_LENGTH,
    layout::{Layout, Segment, marker},
};

const ICC: &[u8] = b"ICC_PROFILE\0";

/// Ordinary colour profiles take a few KiB, those of printing presses hundreds.
const MAX_PROFILE_BYTES: usize = 1 << 20;

/// JFIF's segment when it has no thumbnail: version, density, and a thumbnail of nothing by nothing.
const BARE_JFIF_SEGMENT: usize = 2 + 2 + JFIF_LENGTH;

/// The picture alone. When there is nothing to take away, it is the upload itself.
pub(super) fn without_metadata(layout: &Layout, upload: &Bytes) -> Bytes {
    let keeps_profile = has_good_profile(layout, upload);
    let mut jpeg = Vec::with_capacity(layout.end);
    jpeg.extend([0xff, marker::SOI]);
    for segment in &layout.segments {
        let whole = &upload[segment.whole.clone()];
        let body = &upload[segment.body.clone()];
        match segment.marker {
            marker::APP0 if is_jfif(body) => jpeg.extend(bare_jfif(whole)),
            marker::APP2 if keeps_profile && body.starts_with(ICC) => jpeg.extend(whole),
            marker::APP14 if body.starts_with(ADOBE) => jpeg.extend(whole),
            marker::APP0..=marker::APP15 | marker::COM => {}
            _ => jpeg.extend(whole),
        }
    }
    jpeg.extend([0xff, marker::EOI]);
    if jpeg.len() == upload.len() {
        return upload.clone();
    }
    jpeg.into()
}

/// The segments of the colour profile, or nothing.
pub(super) fn profile(layout: &Layout, jpeg: &[u8]) -> Vec<u8> {
    if !has_good_profile(layout, jpeg) {
        return Vec::new();
    }
    profile_segments(layout, jpeg)
        .flat_map(|segment| &jpeg[segment.whole.clone()])
        .copied()
        .collect()
}

/// Puts the profile behind the first segment of a JPEG of our own making.
pub(super) fn insert_profile(jpeg: &mut Vec<u8>, profile: &[u8]) {
    let first = jpeg.get(4..6).map_or(0, |length| {
        usize::from(u16::from_be_bytes([length[0], length[1]]))
    });
    let behind_first = (4 + first).min(jpeg.len());
    jpeg.splice(behind_first..behind_first, profile.iter().copied());
}

fn profile_segments<'a>(layout: &'a Layout, jpeg: &'a [u8]) -> impl Iterator<Item = &'a Segment> {
    let is_profile = |segment: &&Segment| {
        segment.marker == marker::APP2 && jpeg[segment.body.clone()].starts_with(ICC)
    };
    layout.segments.iter().filter(is_profile)
}

fn has_good_profile(layout: &Layout, jpeg: &[u8]) -> bool {
    let bytes: usize = profile_segments(layout, jpeg)
        .map(|segment| segment.whole.len())
        .sum();
    bytes <= MAX_PROFILE_BYTES
}

/// A shorter one is not JFIF's for any decoder.
fn is_jfif(body: &[u8]) -> bool {
    body.starts_with(JFIF) && body.len() >= JFIF_LENGTH
}

/// The segment cut before its thumbnail.
fn bare_jfif(whole: &[u8]) -> Vec<u8> {
    let mut bare = whole[..BARE_JFIF_SEGMENT].to_vec();
    let length = (BARE_JFIF_SEGMENT - 2) as u16;
    bare[2..4].copy_from_slice(&length.to_be_bytes());
    // The thumbnail's width and height are the last two bytes.
    bare[BARE_JFIF_SEGMENT - 2..].fill(0);
    bare
}
