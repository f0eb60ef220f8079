//! A JPEG's structure, walked once from its start marker to its end marker; nothing is decoded.

use std::ops::Range;

use memchr::memchr;

use super::frame_header::FrameHeader;
use crate::intake::{Format, IntakeError};

/// Scans a progressive JPEG may have; an ordinary one has about ten, a hostile one thousands.
const MAX_SCANS: usize = 100;
/// Segments before and between the scans; an ordinary file has a dozen.
const MAX_SEGMENTS: usize = 2_000;

/// Markers, the byte after `0xff`.
pub(super) mod marker {
    pub(crate) const TEM: u8 = 0x01;
    pub(crate) const SOF0: u8 = 0xc0;
    pub(crate) const DHT: u8 = 0xc4;
    pub(crate) const JPG: u8 = 0xc8;
    pub(crate) const DAC: u8 = 0xcc;
    pub(crate) const SOF15: u8 = 0xcf;
    pub(crate) const RST0: u8 = 0xd0;
    pub(crate) const RST7: u8 = 0xd7;
    pub(crate) const SOI: u8 = 0xd8;
    pub(crate) const EOI: u8 = 0xd9;
    pub(crate) const SOS: u8 = 0xda;
    pub(crate) const DQT: u8 = 0xdb;
    pub(crate) const DNL: u8 = 0xdc;
    pub(crate) const DRI: u8 = 0xdd;
    pub(crate) const APP0: u8 = 0xe0;
    pub(crate) const APP1: u8 = 0xe1;
    pub(crate) const APP2: u8 = 0xe2;
    pub(crate) const APP14: u8 = 0xee;
    pub(crate) const APP15: u8 = 0xef;
    pub(crate) const COM: u8 = 0xfe;
}

/// A marker with its parameters, and for a scan the entropy-coded data behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) marker: u8,
    /// The parameters, without marker and length.
    pub(super) body: Range<usize>,
    /// From the marker to the end of the segment.
    pub(super) whole: Range<usize>,
}

/// Where everything stands in a complete JPEG.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) frame: FrameHeader,
    pub(super) segments: Vec<Segment>,
    /// Behind the end marker; what follows there is another picture or a video.
    pub(super) end: usize,
}

impl Layout {
    pub(super) fn of(jpeg: &[u8]) -> Result<Self, IntakeError> {
        Walk {
            jpeg,
            at: 2,
            frame: None,
            segments: Vec::new(),
            scans: 0,
        }
        .run()
    }

    /// The first segment of this marker whose body begins like this.
    pub(super) fn find<'a>(&self, jpeg: &'a [u8], marker: u8, prefix: &[u8]) -> Option<&'a [u8]> {
        let mut bodies = self
            .segments
            .iter()
            .filter(|segment| segment.marker == marker)
            .map(|segment| &jpeg[segment.body.clone()]);
        bodies.find(|body| body.starts_with(prefix))
    }
}

struct Walk<'a> {
    jpeg: &'a [u8],
    at: usize,
    frame: Option<FrameHeader>,
    segments: Vec<Segment>,
    scans: usize,
}

impl Walk<'_> {
    fn run(mut self) -> Result<Layout, IntakeError> {
        loop {
            let start = self.next_marker()?;
            let code = self.jpeg[self.at - 1];
            match code {
                marker::EOI => return self.finish(),
                // Stray ones between segments mean nothing, and decoders pass over them.
                marker::TEM | marker::RST0..=marker::RST7 => {}
                marker::SOI => return Err(damaged("a second picture begins inside it")),
                marker::DHT | marker::DAC | marker::DQT | marker::DNL | marker::DRI => {
                    self.segment(start, code)?;
                }
                marker::APP0..=marker::APP15 | marker::COM => self.segment(start, code)?,
                marker::JPG => return Err(damaged("it has a reserved marker")),
                marker::SOF0..=marker::SOF15 => self.frame_header(start, code)?,
                marker::SOS => self.scan(start)?,
                _ => return Err(damaged(format!("marker {code:#04x} has no place in it"))),
            }
        }
    }

    /// Goes behind the next marker and answers where it begins. Bytes before it that belong to
    /// nothing are passed over, as decoders do.
    fn next_marker(&mut self) -> Result<usize, IntakeError> {
        loop {
            let rest = self.jpeg.get(self.at..).unwrap_or_default();
            let found = memchr(0xff, rest).ok_or_else(|| self.truncated("its segments"))?;
            let start = self.at + found;
            // Any number of 0xff may stand before the code.
            let fill = self.jpeg[start..].iter().take_while(|&&byte| byte == 0xff);
            let code_at = start + fill.count();
            self.at = code_at + 1;
            match self.jpeg.get(code_at) {
                None => return Err(self.truncated("its segments")),
                Some(0) => {}
                Some(_) => return Ok(code_at - 1),
            }
        }
    }

    /// Takes the parameters of the segment that began at `start`.
    fn segment(&mut self, start: usize, code: u8) -> Result<(), IntakeError> {
        let length = self.jpeg.get(self.at..).and_then(<[u8]>::first_chunk::<2>);
        let length = length.ok_or_else(|| self.truncated("its segments"))?;
        let length = usize::from(u16::from_be_bytes(*length));
        if length < 2 {
            return Err(damaged("a segment is shorter than its own length"));
        }
        let end = self.at + length;
        if end > self.jpeg.len() {
            return Err(self.truncated("its segments"));
        }
        if self.segments.len() >= MAX_SEGMENTS {
            return Err(damaged(format!("it has more than {MAX_SEGMENTS} segments")));
        }
        self.segments.push(Segment {
            marker: code,
            body: self.at + 2..end,
            whole: start..end,
        });
        self.at = end;
        Ok(())
    }

    fn frame_header(&mut self, start: usize, code: u8) -> Result<(), IntakeError> {
        if self.frame.is_some() {
            return Err(damaged("it has two frame headers"));
        }
        self.segment(start, code)?;
        let body = self.last_body();
        self.frame = Some(FrameHeader::read(code, body).map_err(damaged)?);
        Ok(())
    }

    fn scan(&mut self, start: usize) -> Result<(), IntakeError> {
        self.segment(start, marker::SOS)?;
        let body = self
            .segments
            .last()
            .map_or(0..0, |segment| segment.body.clone());
        let frame = self
            .frame
            .as_mut()
            .ok_or_else(|| damaged("a scan comes before the frame header"))?;
        frame.note_scan(&self.jpeg[body]).map_err(damaged)?;
        self.scans += 1;
        if self.scans > MAX_SCANS {
            return Err(damaged(format!("it has more than {MAX_SCANS} scans")));
        }
        self.at = self.end_of_entropy()?;
        if let Some(scan) = self.segments.last_mut() {
            scan.whole.end = self.at;
        }
        Ok(())
    }

    /// Where the entropy-coded data ends: before the next marker that is no restart marker.
    fn end_of_entropy(&self) -> Result<usize, IntakeError> {
        let mut at = self.at;
        loop {
            let rest = self.jpeg.get(at..).unwrap_or_default();
            let found = memchr(0xff, rest).ok_or_else(|| self.truncated("its pixels"))?;
            at += found;
            match self.jpeg.get(at + 1) {
                None => return Err(self.truncated("its pixels")),
                Some(0 | marker::RST0..=marker::RST7) => at += 2,
                Some(0xff) => at += 1,
                Some(_) => return Ok(at),
            }
        }
    }

    fn finish(self) -> Result<Layout, IntakeError> {
        let frame = self
            .frame
            .ok_or_else(|| damaged("it has no frame header"))?;
        if !frame.is_complete() {
            return Err(damaged("not every colour component has a scan"));
        }
        Ok(Layout {
            frame,
            segments: self.segments,
            end: self.at,
        })
    }

    fn last_body(&self) -> &[u8] {
        let last = self.segments.last();
        last.map_or(&[], |segment| &self.jpeg[segment.body.clone()])
    }

    fn truncated(&self, within: &'static str) -> IntakeError {
        IntakeError::Truncated {
            format: Format::Jpeg,
            bytes: self.jpeg.len(),
            within,
        }
    }
}

fn damaged(reason: impl Into<String>) -> IntakeError {
    IntakeError::damaged(Format::Jpeg, reason)
}
