//! The format of an upload, by its first bytes.

use std::fmt;

use super::IntakeError;

/// A format that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JPEG, in the forms that cameras write.
    Jpeg,
    /// PNG; of an animated one, the picture that viewers without animation show.
    Png,
    /// WebP; of an animated one, the first frame.
    WebP,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
        })
    }
}

const PLAIN: &str = "send a JPEG, PNG or WebP file";
const CONVERT: &str = "convert it to JPEG, PNG or WebP and send that";
const PHONE: &str =
    "convert it to JPEG; on an iPhone, Settings > Camera > Formats > Most Compatible takes JPEGs";
const FRAME: &str = "send single frames as JPEG, PNG or WebP";
const BARE: &str = "send the bytes of the file as they are, not as text";

/// The format of the upload, or what it looks like instead.
pub(super) fn format_of(upload: &[u8]) -> Result<Format, IntakeError> {
    if upload.is_empty() {
        return Err(IntakeError::Empty);
    }
    if upload.starts_with(&[0xff, 0xd8]) {
        return Ok(Format::Jpeg);
    }
    if upload.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Ok(Format::Png);
    }
    if upload.starts_with(b"RIFF") && upload.get(8..12) == Some(b"WEBP") {
        return Ok(Format::WebP);
    }
    let (looks_like, advice) = foreign(upload);
    Err(IntakeError::Format { looks_like, advice })
}

/// First bytes of what people send by mistake.
const SIGNATURES: [(&[u8], &str, &str); 21] = [
    (b"GIF87a", "a GIF", CONVERT),
    (b"GIF89a", "a GIF", CONVERT),
    (b"II*\0", "a TIFF or a camera's raw file", CONVERT),
    (b"MM\0*", "a TIFF or a camera's raw file", CONVERT),
    (b"II+\0", "a BigTIFF", CONVERT),
    (b"%PDF", "a PDF", "send its pages as pictures"),
    (b"BM", "a BMP", CONVERT),
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM video", FRAME),
    (b"\0\0\x01\xba", "an MPEG video", FRAME),
    (b"\0\0\x01\xb3", "an MPEG video", FRAME),
    (b"\xff\x0a", "a JPEG XL", CONVERT),
    (b"\0\0\0\x0cJXL ", "a JPEG XL", CONVERT),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000", CONVERT),
    (b"\xff\x4f\xff\x51", "a JPEG 2000", CONVERT),
    (b"\0\0\x01\0", "an icon file", CONVERT),
    (b"8BPS", "a Photoshop file", CONVERT),
    (
        b"PK\x03\x04",
        "a ZIP archive",
        "send its pictures one by one",
    ),
    (
        b"\x1f\x8b",
        "a gzip archive",
        "send its pictures one by one",
    ),
    (b"data:", "a data URL", BARE),
    (b"/9j/", "a JPEG in base64", BARE),
    (b"iVBORw0KGgo", "a PNG in base64", BARE),
];

fn foreign(upload: &[u8]) -> (&'static str, &'static str) {
    if upload.get(4..8) == Some(b"ftyp") {
        return boxed(upload);
    }
    if upload.starts_with(b"RIFF") {
        return match upload.get(8..12) {
            Some(b"AVI ") => ("an AVI video", FRAME),
            _ => ("a RIFF file", PLAIN),
        };
    }
    let known = SIGNATURES
        .iter()
        .find(|(signature, ..)| upload.starts_with(signature));
    if let Some(&(_, looks_like, advice)) = known {
        return (looks_like, advice);
    }
    text(upload).unwrap_or(("something unknown", PLAIN))
}

/// Files of ISO's box format: the brands tell pictures from videos.
fn boxed(upload: &[u8]) -> (&'static str, &'static str) {
    let length = upload
        .first_chunk()
        .map_or(0, |&size| u32::from_be_bytes(size) as usize);
    let brands = upload
        .get(8..length.clamp(8, 128).min(upload.len()))
        .unwrap_or_default();
    let has = |wanted: &[&[u8; 4]]| {
        let (brands, _) = brands.as_chunks::<4>();
        brands.iter().any(|brand| wanted.contains(&brand))
    };
    if has(&[b"avif", b"avis"]) {
        return ("an AVIF", CONVERT);
    }
    if has(&[
        b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1",
    ]) {
        return ("a HEIC, as iPhones take them", PHONE);
    }
    if has(&[b"crx "]) {
        return ("a camera's raw file", CONVERT);
    }
    ("an MP4 or QuickTime video", FRAME)
}

/// Text of some kind.
fn text(upload: &[u8]) -> Option<(&'static str, &'static str)> {
    let head = &upload[..upload.len().min(256)];
    let head = head
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(head)
        .trim_ascii_start();
    if head.starts_with(b"<") {
        let is_svg = head.windows(4).any(|word| word == b"<svg");
        return Some(if is_svg {
            ("an SVG drawing", CONVERT)
        } else {
            ("an HTML or XML page", PLAIN)
        });
    }
    if head.starts_with(b"{") || head.starts_with(b"[") {
        return Some(("JSON", BARE));
    }
    let is_text = head
        .iter()
        .all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    is_text.then_some(("text", BARE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(upload: &[u8]) -> String {
        format_of(upload).unwrap_err().to_string()
    }

    #[test]
    fn the_three_formats_are_known_by_their_signature() {
        assert_eq!(format_of(b"\xff\xd8\xff\xe0").unwrap(), Format::Jpeg);
        assert_eq!(format_of(b"\x89PNG\r\n\x1a\n....").unwrap(), Format::Png);
        assert_eq!(format_of(b"RIFF\x10\0\0\0WEBPVP8 ").unwrap(), Format::WebP);
    }

    #[test]
    fn what_people_send_by_mistake_is_named() {
        for (upload, name) in [
            (&b"GIF89a....."[..], "GIF"),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "AVIF"),
            (b"\0\0\0\x18ftypisom\0\0\0\0isomavc1", "MP4"),
            (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "QuickTime"),
            (b"II*\0\x08\0\0\0", "TIFF"),
            (b"MM\0*\0\0\0\x08", "TIFF"),
            (b"%PDF-1.7", "PDF"),
            (b"BM\x36\0", "BMP"),
            (b"RIFF\x10\0\0\0AVI LIST", "AVI"),
            (b"\x1a\x45\xdf\xa3", "Matroska"),
            (b"<svg xmlns='x'/>", "SVG"),
            (b"<!doctype html>", "HTML"),
            (b"{\"image\":\"...\"}", "JSON"),
            (b"data:image/png;base64,iVBOR", "data URL"),
            (b"/9j/4AAQSkZJRg", "base64"),
            (b"hello there", "text"),
            (b"\x01\x02\x03\x04", "unknown"),
            (b"\x89PNG", "unknown"),
        ] {
            let text = told(upload);
            assert!(text.contains(name), "{text} for {upload:?}");
        }
        assert!(matches!(format_of(b""), Err(IntakeError::Empty)));
    }

    #[test]
    fn every_beginning_of_a_box_file_is_read_without_a_panic() {
        let file = b"\xff\xff\xff\xffftypheic\0\0\0\0mif1heic";
        for length in 0..=file.len() {
            assert!(format_of(&file[..length]).is_err());
        }
    }
}
