//! The frame header of a JPEG: how it was coded, its size and its colour components.

use super::layout::marker;

/// How the picture was coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Baseline,
    /// Sequential like baseline, with more tables or twelve bits.
    Extended,
    Progressive,
    Lossless,
    /// Several pictures that refine each other; nothing reads it.
    Hierarchical,
    /// With arithmetic instead of Huffman codes.
    Arithmetic,
}

/// One colour component.
#[derive(Clone, Copy, Debug)]
struct Component {
    id: u8,
    has_scan: bool,
}

#[derive(Clone, Debug)]
pub(super) struct FrameHeader {
    pub(super) coding: Coding,
    pub(super) precision_bits: u8,
    pub(super) width: u32,
    pub(super) height: u32,
    components: Vec<Component>,
}

impl FrameHeader {
    pub(super) fn read(code: u8, body: &[u8]) -> Result<Self, &'static str> {
        let [precision_bits, h0, h1, w0, w1, count, components @ ..] = body else {
            return Err("its frame header is too short");
        };
        let (triples, rest) = components.as_chunks::<3>();
        if triples.len() != usize::from(*count) || !rest.is_empty() {
            return Err("its frame header does not fit its number of components");
        }
        if !(1..=4).contains(count) {
            return Err("it has no colour components, or more than four");
        }
        let width = u32::from(u16::from_be_bytes([*w0, *w1]));
        let height = u32::from(u16::from_be_bytes([*h0, *h1]));
        if width == 0 || height == 0 {
            return Err("its frame header says no size");
        }
        if triples
            .iter()
            .any(|&[_, sampling, _]| !is_sampling(sampling))
        {
            return Err("its colour components have impossible sampling factors");
        }
        Ok(Self {
            coding: coding_of(code),
            precision_bits: *precision_bits,
            width,
            height,
            components: triples
                .iter()
                .map(|&[id, ..]| Component {
                    id,
                    has_scan: false,
                })
                .collect(),
        })
    }

    pub(super) fn component_ids(&self) -> Vec<u8> {
        self.components
            .iter()
            .map(|component| component.id)
            .collect()
    }

    /// Takes in a scan header, whose components must be those of the frame.
    pub(super) fn note_scan(&mut self, body: &[u8]) -> Result<(), &'static str> {
        let Some((&count, rest)) = body.split_first() else {
            return Err("a scan header is empty");
        };
        let selectors = rest
            .len()
            .checked_sub(3)
            .and_then(|length| rest.get(..length));
        let (pairs, odd) = selectors.unwrap_or_default().as_chunks::<2>();
        if !(1..=4).contains(&count) || pairs.len() != usize::from(count) || !odd.is_empty() {
            return Err("a scan header does not fit its number of components");
        }
        for [id, _tables] in pairs {
            let component = self
                .components
                .iter_mut()
                .find(|component| component.id == *id);
            component
                .ok_or("a scan is of a component that the picture lacks")?
                .has_scan = true;
        }
        Ok(())
    }

    pub(super) fn is_complete(&self) -> bool {
        self.components.iter().all(|component| component.has_scan)
    }
}

fn coding_of(code: u8) -> Coding {
    match code - marker::SOF0 {
        0 => Coding::Baseline,
        1 => Coding::Extended,
        2 => Coding::Progressive,
        3 => Coding::Lossless,
        9 | 10 => Coding::Arithmetic,
        _ => Coding::Hierarchical,
    }
}

fn is_sampling(factors: u8) -> bool {
    (1..=4).contains(&(factors >> 4)) && (1..=4).contains(&(factors & 15))
}
