//! Outlines of a mask as polygons with holes, for SVG, canvas and annotation tools.
//!
//! The outline runs along pixel edges, so nothing is lost: the polygons of a mask enclose exactly its
//! pixels. Pixels that touch only at a corner belong to different polygons.

use super::{Mask, Span};
use std::collections::BTreeMap;
use std::ops::Range;

/// A closed outline: corner points `[x, y]` in frame pixels, the last joined to the first.
pub type Ring = Vec<[u32; 2]>;

/// One connected piece of a mask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Polygon {
    /// The outer outline, clockwise as seen on a screen (y grows downwards).
    pub exterior: Ring,
    /// The outlines of the holes, anticlockwise.
    pub holes: Vec<Ring>,
}

impl Polygon {
    /// The enclosed area in pixels, holes taken off.
    pub fn area(&self) -> u64 {
        let signed = signed_area(&self.exterior)
            + self.holes.iter().map(|hole| signed_area(hole)).sum::<i64>();
        signed.unsigned_abs()
    }
}

impl Mask {
    /// The outlines of all connected pieces, ordered by the column in which each begins.
    pub fn polygons(&self) -> Vec<Polygon> {
        let spans: Vec<Span> = self.spans().collect();
        let (edges, mut pieces) = outline(&spans);
        let mut polygons: BTreeMap<usize, Polygon> = BTreeMap::new();
        for (span, ring) in trace(edges) {
            let polygon = polygons.entry(pieces.first_span_of(span)).or_default();
            if signed_area(&ring) > 0 {
                polygon.exterior = ring;
            } else {
                polygon.holes.push(ring);
            }
        }
        polygons.into_values().collect()
    }
}

/// Positive for a ring that is clockwise on a screen.
fn signed_area(ring: &[[u32; 2]]) -> i64 {
    let next = ring.iter().cycle().skip(1);
    let doubled: i64 = ring
        .iter()
        .zip(next)
        .map(|(&[x0, y0], &[x1, y1])| i64::from(x0) * i64::from(y1) - i64::from(x1) * i64::from(y0))
        .sum();
    doubled / 2
}

/// One side of a span's outline, directed so that the set pixels lie on its right.
struct Edge {
    start: [u32; 2],
    end: [u32; 2],
    /// The span whose pixels it bounds.
    span: usize,
}

/// All edges, and which spans hang together.
fn outline(spans: &[Span]) -> (Vec<Edge>, Pieces) {
    let mut outline = Outline {
        spans,
        edges: Vec::with_capacity(spans.len() * 4),
        pieces: Pieces::new(spans.len()),
    };
    let mut left = 0..0;
    for column in spans.chunk_by(|a, b| a.x == b.x) {
        let right = left.end..left.end + column.len();
        let x = column[0].x;
        match spans[left.clone()].first() {
            Some(span) if span.x + 1 < x => {
                outline.add_boundary(span.x + 1, left, 0..0);
                outline.add_boundary(x, 0..0, right.clone());
            }
            _ => outline.add_boundary(x, left, right.clone()),
        }
        outline.add_tops_and_bottoms(right.clone());
        left = right;
    }
    if let Some(span) = spans.last() {
        outline.add_boundary(span.x + 1, left, 0..0);
    }
    (outline.edges, outline.pieces)
}

struct Outline<'a> {
    spans: &'a [Span],
    edges: Vec<Edge>,
    pieces: Pieces,
}

impl Outline<'_> {
    fn add_tops_and_bottoms(&mut self, column: Range<usize>) {
        for span in column {
            let Span { x, top, bottom } = self.spans[span];
            self.edges.push(Edge {
                start: [x, top],
                end: [x + 1, top],
                span,
            });
            self.edges.push(Edge {
                start: [x + 1, bottom],
                end: [x, bottom],
                span,
            });
        }
    }

    /// The line at `x` between two columns: an edge where one side is set, a join where both are.
    fn add_boundary(&mut self, x: u32, mut left: Range<usize>, mut right: Range<usize>) {
        let mut y = 0;
        loop {
            let left_span = self.spans[left.clone()].first().copied();
            let right_span = self.spans[right.clone()].first().copied();
            let change_after_y = |span: Span| if span.top <= y { span.bottom } else { span.top };
            let changes = [left_span, right_span]
                .into_iter()
                .flatten()
                .map(change_after_y);
            let Some(next_y) = changes.min() else { return };
            let is_set = |span: Option<Span>| span.is_some_and(|span| span.top <= y);
            match (is_set(left_span), is_set(right_span)) {
                (true, true) => self.pieces.join(left.start, right.start),
                (true, false) => {
                    self.edges.push(Edge {
                        start: [x, y],
                        end: [x, next_y],
                        span: left.start,
                    });
                }
                (false, true) => {
                    self.edges.push(Edge {
                        start: [x, next_y],
                        end: [x, y],
                        span: right.start,
                    });
                }
                (false, false) => {}
            }
            y = next_y;
            let is_over = |span: Option<Span>| span.is_some_and(|span| span.bottom <= y);
            left.start += usize::from(is_over(left_span));
            right.start += usize::from(is_over(right_span));
        }
    }
}

/// Which spans are connected: every span leads to the first span of its piece.
struct Pieces {
    parents: Vec<usize>,
}

impl Pieces {
    fn new(spans: usize) -> Self {
        Self {
            parents: (0..spans).collect(),
        }
    }

    fn first_span_of(&mut self, mut span: usize) -> usize {
        while self.parents[span] != span {
            self.parents[span] = self.parents[self.parents[span]];
            span = self.parents[span];
        }
        span
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.first_span_of(one), self.first_span_of(other));
        self.parents[one.max(other)] = one.min(other);
    }
}

/// Follows the edges to closed rings, each with one of the spans it bounds.
fn trace(mut edges: Vec<Edge>) -> Vec<(usize, Ring)> {
    edges.sort_unstable_by_key(|edge| edge.start);
    let mut is_used = vec![false; edges.len()];
    let mut rings = Vec::new();
    for first in 0..edges.len() {
        // Sorted order begins each ring at its top left corner, so no straight line crosses its start.
        let mut ring = Ring::new();
        let mut index = first;
        while !is_used[index] {
            is_used[index] = true;
            push_corner(&mut ring, edges[index].start);
            index = following(&edges, &edges[index]);
        }
        if !ring.is_empty() {
            rings.push((edges[first].span, ring));
        }
    }
    rings
}

/// Where two pixels touch at a corner only, two edges leave that corner: stay with the same pixel.
fn following(edges: &[Edge], edge: &Edge) -> usize {
    let first = edges.partition_point(|candidate| candidate.start < edge.end);
    let has_rival = edges
        .get(first + 1)
        .is_some_and(|rival| rival.start == edge.end);
    if has_rival && edges[first].span != edge.span {
        first + 1
    } else {
        first
    }
}

/// Appends a corner, dropping the one before when it lies on a straight line.
fn push_corner(ring: &mut Ring, corner: [u32; 2]) {
    if let [.., before, last] = ring.as_slice() {
        let is_straight =
            (0..2).any(|axis| before[axis] == last[axis] && last[axis] == corner[axis]);
        if is_straight {
            ring.pop();
        }
    }
    ring.push(corner);
}
