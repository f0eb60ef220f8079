//! Building and walking runs: the one place that knows how runs alternate.

use super::Mask;

/// Set pixels within one column: rows `top..bottom` of column `x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The column.
    pub x: u32,
    /// The first set row.
    pub top: u32,
    /// The row after the last set one.
    pub bottom: u32,
}

/// Collects runs in the only form a [`Mask`] may hold: merged, and none empty but the first.
#[derive(Default)]
pub(super) struct RunBuilder {
    runs: Vec<u32>,
    open_is_set: bool,
    open_length: u32,
}

impl RunBuilder {
    /// Appends `length` pixels; the caller keeps the total within `MAX_PIXELS`.
    pub(super) fn push(&mut self, is_set: bool, length: u32) {
        if length == 0 {
            return;
        }
        if is_set != self.open_is_set {
            self.runs.push(self.open_length);
            self.open_is_set = is_set;
            self.open_length = 0;
        }
        self.open_length += length;
    }

    pub(super) fn finish(mut self) -> Vec<u32> {
        self.runs.push(self.open_length);
        self.runs
    }
}

impl Mask {
    /// Set runs as `start..end` in column-major pixel numbers.
    pub(super) fn set_runs(&self) -> impl Iterator<Item = (u32, u32)> {
        let mut position = 0;
        self.runs
            .iter()
            .enumerate()
            .filter_map(move |(index, &length)| {
                let start = position;
                position += length;
                (index % 2 == 1).then_some((start, position))
            })
    }

    /// The set pixels as spans: by column, then from top to bottom; neighbours never touch within a column.
    pub fn spans(&self) -> impl Iterator<Item = Span> {
        let height = self.height;
        self.set_runs().flat_map(move |(start, end)| {
            (start / height..=(end - 1) / height).map(move |x| {
                let column_start = x * height;
                Span {
                    x,
                    top: start.max(column_start) - column_start,
                    bottom: (end - column_start).min(height),
                }
            })
        })
    }
}

/// Walks two masks of one size together and reports each stretch in which neither changes:
/// its length, and whether it is set in the first and in the second.
pub(super) fn walk_pair(first: &Mask, second: &Mask, mut visit: impl FnMut(u32, bool, bool)) {
    let mut first_runs = Cursor::new(&first.runs);
    let mut second_runs = Cursor::new(&second.runs);
    loop {
        let length = first_runs.left.min(second_runs.left);
        visit(length, first_runs.is_set, second_runs.is_set);
        let first_goes_on = first_runs.advance(length);
        let second_goes_on = second_runs.advance(length);
        // Both cover the same number of pixels, so they end together.
        if !first_goes_on || !second_goes_on {
            return;
        }
    }
}

struct Cursor<'a> {
    rest: &'a [u32],
    left: u32,
    is_set: bool,
}

impl<'a> Cursor<'a> {
    fn new(runs: &'a [u32]) -> Self {
        let (&left, rest) = runs.split_first().expect("a mask has at least one run");
        Self {
            rest,
            left,
            is_set: false,
        }
    }

    /// Moves on by `length` pixels of the current run; false at the end of the mask.
    fn advance(&mut self, length: u32) -> bool {
        self.left -= length;
        if self.left > 0 {
            return true;
        }
        let Some((&next, rest)) = self.rest.split_first() else {
            return false;
        };
        self.left = next;
        self.rest = rest;
        self.is_set = !self.is_set;
        true
    }
}
