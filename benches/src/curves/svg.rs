//! The picture. Its colours follow the reader's choice of light or dark, ground included; lines
//! differ by their marks too, for whoever cannot tell the colours apart.

use std::fmt::Write as _;

use super::{
    Chart, Series,
    axis::{Span, written},
};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;

/// Where the axes end.
const LEFT: f64 = 72.0;
const RIGHT: f64 = WIDTH - 24.0;
const BOTTOM: f64 = HEIGHT - 66.0;

/// Below the title and the legend.
const TOP: f64 = 48.0;
const LEGEND_ROW: f64 = 18.0;

/// Columns of the legend.
const LEGEND_COLUMNS: usize = 2;

/// Colours there are; from the next line on they come again with other marks.
const COLORS: usize = 5;

const STYLE: &str = "\
svg{--ground:#fff;--ink:#1f2328;--faint:#d8dee4;--c0:#0969da;--c1:#bc4c00;--c2:#1a7f37;--c3:#8250df;--c4:#bf3989}
@media(prefers-color-scheme:dark){svg{--ground:#0d1117;--ink:#e6edf3;--faint:#30363d;--c0:#58a6ff;--c1:#f0883e;--c2:#3fb950;--c3:#bc8cff;--c4:#f778ba}}
text{font:12px system-ui,sans-serif;fill:var(--ink)}
.title{font-size:15px;font-weight:600}
.small{font-size:11px;opacity:.75}
.grid{stroke:var(--faint)}
.axis{stroke:var(--ink)}
.line{fill:none;stroke-width:2;stroke-linejoin:round}";

/// Both axes with the values they show.
struct Plot {
    x: Span,
    y: Span,
    top: f64,
}

impl Chart {
    /// The picture as text.
    pub fn to_svg(&self) -> String {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let rows = self.series.len().div_ceil(LEGEND_COLUMNS);
        let plot = Plot {
            x: self.x.span(points().map(|point| point.0)),
            y: self.y.span(points().map(|point| point.1)),
            top: TOP + LEGEND_ROW * rows as f64,
        };
        let mut body = String::new();
        plot.draw_grid(&mut body);
        self.write_words(&plot, &mut body);
        for (number, series) in self.series.iter().enumerate() {
            plot.draw_series(number, series, &mut body);
            draw_legend(number, &series.name, &mut body);
        }
        let title = escaped(&self.title);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
             aria-label=\"{title}\">\n<title>{title}</title>\n<style>\n{STYLE}\n</style>\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"var(--ground)\"/>\n{body}</svg>\n"
        )
    }

    fn write_words(&self, plot: &Plot, body: &mut String) {
        put_text(body, (LEFT, 28.0), "class=\"title\"", &self.title);
        let middle = f64::midpoint(LEFT, RIGHT);
        let place = (middle, BOTTOM + 38.0);
        put_text(body, place, "text-anchor=\"middle\"", &self.x.label);
        let middle = f64::midpoint(plot.top, BOTTOM);
        let turned = format!("text-anchor=\"middle\" transform=\"rotate(-90 18 {middle:.1})\"");
        put_text(body, (18.0, middle), &turned, &self.y.label);
        if let Some(command) = &self.made_by {
            let place = (RIGHT, HEIGHT - 10.0);
            put_text(body, place, "class=\"small\" text-anchor=\"end\"", command);
        }
    }
}

impl Plot {
    fn place(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        let across = LEFT + self.x.share(x)? * (RIGHT - LEFT);
        let down = BOTTOM - self.y.share(y)? * (BOTTOM - self.top);
        Some((across, down))
    }

    fn draw_grid(&self, body: &mut String) {
        let top = self.top;
        for tick in self.x.ticks() {
            let x = LEFT + self.x.share(tick).unwrap_or(0.0) * (RIGHT - LEFT);
            put_line(body, "grid", [x, top, x, BOTTOM]);
            let place = (x, BOTTOM + 18.0);
            put_text(body, place, "text-anchor=\"middle\"", &written(tick));
        }
        for tick in self.y.ticks() {
            let y = BOTTOM - self.y.share(tick).unwrap_or(0.0) * (BOTTOM - top);
            put_line(body, "grid", [LEFT, y, RIGHT, y]);
            let place = (LEFT - 8.0, y + 4.0);
            put_text(body, place, "text-anchor=\"end\"", &written(tick));
        }
        put_line(body, "axis", [LEFT, BOTTOM, RIGHT, BOTTOM]);
        put_line(body, "axis", [LEFT, top, LEFT, BOTTOM]);
    }

    fn draw_series(&self, number: usize, series: &Series, body: &mut String) {
        let color = number % COLORS;
        let places: Vec<_> = series
            .points
            .iter()
            .map(|point| self.place(*point))
            .collect();
        // What cannot be shown parts the line.
        for piece in places.split(Option::is_none) {
            let joined: Vec<String> = piece
                .iter()
                .flatten()
                .map(|(x, y)| format!("{x:.1},{y:.1}"))
                .collect();
            let joined = joined.join(" ");
            let stroke = format!("stroke=\"var(--c{color})\"");
            put(
                body,
                &format!("<polyline class=\"line\" {stroke} points=\"{joined}\"/>"),
            );
        }
        for place in places.into_iter().flatten() {
            draw_mark(number, place, body);
        }
    }
}

fn draw_legend(number: usize, name: &str, body: &mut String) {
    let (column, row) = (number % LEGEND_COLUMNS, number / LEGEND_COLUMNS);
    let x = LEFT + (RIGHT - LEFT) / LEGEND_COLUMNS as f64 * column as f64;
    let y = TOP + LEGEND_ROW * row as f64;
    draw_mark(number, (x + 6.0, y - 4.0), body);
    put_text(body, (x + 18.0, y), "", name);
}

/// A disc, a square, a triangle or a diamond.
fn draw_mark(number: usize, (x, y): (f64, f64), body: &mut String) {
    let corners: &[(f64, f64)] = match number % 4 {
        0 => {
            let fill = format!("fill=\"var(--c{})\"", number % COLORS);
            put(
                body,
                &format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" {fill}/>"),
            );
            return;
        }
        1 => &[(-3.2, -3.2), (3.2, -3.2), (3.2, 3.2), (-3.2, 3.2)],
        2 => &[(0.0, -4.5), (4.2, 3.2), (-4.2, 3.2)],
        _ => &[(0.0, -4.6), (4.6, 0.0), (0.0, 4.6), (-4.6, 0.0)],
    };
    let corners: Vec<String> = corners
        .iter()
        .map(|(right, down)| format!("{:.1},{:.1}", x + right, y + down))
        .collect();
    let (points, color) = (corners.join(" "), number % COLORS);
    put(
        body,
        &format!("<polygon points=\"{points}\" fill=\"var(--c{color})\"/>"),
    );
}

fn put_line(body: &mut String, class: &str, [x1, y1, x2, y2]: [f64; 4]) {
    let ends = format!("x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"");
    put(body, &format!("<line class=\"{class}\" {ends}/>"));
}

fn put_text(body: &mut String, (x, y): (f64, f64), attributes: &str, text: &str) {
    let text = escaped(text);
    put(
        body,
        &format!("<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{text}</text>"),
    );
}

fn put(body: &mut String, element: &str) {
    writeln!(body, "{element}").expect("a string takes all text");
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use crate::curves::{Axis, Chart};

    fn chart() -> Chart {
        Chart::new("Growth & more", Axis::log("megapixels"), Axis::linear("ms"))
    }

    /// What an attribute says, of every element of that kind.
    fn all<'a>(svg: &'a str, element: &str, attribute: &str) -> Vec<&'a str> {
        let lines = svg
            .lines()
            .filter(|line| line.starts_with(&format!("<{element} ")));
        let start = format!("{attribute}=\"");
        let values = lines.filter_map(|line| line.split_once(&start)?.1.split('"').next());
        values.collect()
    }

    #[test]
    fn points_stand_where_the_axes_say() {
        let svg = chart()
            .series("one", vec![(1.0, 0.0), (10.0, 5.0), (100.0, 10.0)])
            .to_svg();
        assert_eq!(
            all(&svg, "polyline", "points"),
            ["72.0,334.0 344.0,200.0 616.0,66.0"]
        );
        // Three points and one in the legend.
        assert_eq!(
            all(&svg, "circle", "cx"),
            ["72.0", "344.0", "616.0", "78.0"]
        );
    }

    #[test]
    fn what_cannot_be_shown_is_a_gap() {
        let points = vec![
            (0.0, 1.0),
            (1.0, 1.0),
            (2.0, f64::NAN),
            (4.0, 2.0),
            (8.0, 3.0),
        ];
        let svg = chart().series("one", points).to_svg();
        let pieces = all(&svg, "polyline", "points");
        let counts: Vec<usize> = pieces
            .iter()
            .map(|piece| piece.split_whitespace().count())
            .collect();
        assert_eq!(counts, [0, 1, 2]);
    }

    #[test]
    fn every_line_has_a_mark_and_a_name_of_its_own() {
        let line = |number: u32| vec![(1.0, f64::from(number)), (2.0, 3.0)];
        let names = ["a", "b", "c<d", "e", "f"];
        let chart = names
            .iter()
            .zip(0..)
            .fold(chart(), |chart, (name, number)| {
                chart.series(*name, line(number))
            });
        let svg = chart.made_by("script/bench P22").to_svg();
        for text in [">a</text>", ">c&lt;d</text>", ">script/bench P22</text>"] {
            assert!(svg.contains(text), "{text}");
        }
        let lines = all(&svg, "polyline", "stroke");
        assert_eq!(
            lines,
            [
                "var(--c0)",
                "var(--c1)",
                "var(--c2)",
                "var(--c3)",
                "var(--c4)"
            ]
        );
        assert!(svg.contains("Growth &amp; more") && svg.contains("prefers-color-scheme:dark"));
    }

    #[test]
    fn a_chart_of_nothing_is_a_picture_too() {
        let svg = chart().to_svg();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }
}
