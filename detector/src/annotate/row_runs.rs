//! A mask's columns turned into runs of rows, which is how pictures lie in memory.
//!
//! Only where a column differs from the one before it does a run begin or end, so the work grows with
//! a mask's edge and not with its area.

use pipeline::mask::Span;

/// Pixels of one row that belong together: columns `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Run {
    pub(super) row: u32,
    pub(super) start: u32,
    pub(super) end: u32,
}

/// Turns one mask after another with the same buffers.
#[derive(Debug, Default)]
pub(super) struct RowRuns {
    runs: Vec<Run>,
    /// For each row the column in which its run began, while one is open.
    open: Vec<Option<u32>>,
    /// Tops and bottoms in the column before and in this one.
    before: Vec<u32>,
    column: Vec<u32>,
    edges: Vec<u32>,
}

impl RowRuns {
    /// The runs of `spans`, by row and then from left to right; they come by column and then from top
    /// to bottom, and none reaches below `height`.
    pub(super) fn of(&mut self, spans: impl Iterator<Item = Span>, height: u32) -> &[Run] {
        self.runs.clear();
        self.open.clear();
        self.open.resize(height as usize, None);
        let mut x = 0;
        for span in spans {
            if span.x > x {
                self.finish_column(x);
            }
            if span.x > x + 1 {
                self.finish_column(x + 1);
            }
            x = span.x;
            self.column.extend([span.top, span.bottom]);
        }
        self.finish_column(x);
        // The column behind the last is empty: it ends every run.
        self.finish_column(x + 1);
        self.runs.sort_unstable();
        &self.runs
    }

    /// Begins and ends runs in the rows in which column `x` differs from the one before.
    fn finish_column(&mut self, x: u32) {
        self.edges.clear();
        self.edges.extend_from_slice(&self.before);
        self.edges.extend_from_slice(&self.column);
        self.edges.sort_unstable();
        // Where two sets of spans differ is what lies between each odd edge and the next.
        for &[from, to] in self.edges.as_chunks::<2>().0 {
            for row in from..to {
                let open = &mut self.open[row as usize];
                match open.take() {
                    None => *open = Some(x),
                    Some(start) => self.runs.push(Run { row, start, end: x }),
                }
            }
        }
        std::mem::swap(&mut self.before, &mut self.column);
        self.column.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(x: u32, top: u32, bottom: u32) -> Span {
        Span { x, top, bottom }
    }

    fn run(row: u32, start: u32, end: u32) -> Run {
        Run { row, start, end }
    }

    #[test]
    fn columns_that_meet_share_a_run() {
        let spans = [span(1, 0, 3), span(2, 1, 3), span(3, 0, 1), span(3, 2, 3)];
        let mut turned = RowRuns::default();
        let runs = turned.of(spans.into_iter(), 3);
        let expected = [run(0, 1, 2), run(0, 3, 4), run(1, 1, 3), run(2, 1, 4)];
        assert_eq!(runs, expected);
    }

    #[test]
    fn an_empty_column_parts_them() {
        let spans = [span(0, 0, 1), span(2, 0, 1), span(9, 0, 1)];
        let mut turned = RowRuns::default();
        let expected = [run(0, 0, 1), run(0, 2, 3), run(0, 9, 10)];
        assert_eq!(turned.of(spans.into_iter(), 1), expected);
        assert_eq!(turned.of(std::iter::empty(), 1), [], "nothing is left over");
    }
}
