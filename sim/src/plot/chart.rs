//! Lines over two axes.

use super::{
    Axis,
    svg::{Anchor, Svg},
};

/// A chart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Tells it from others on its page.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// The same for those who can't see it.
    pub description: String,
    /// To the right.
    pub x: Axis,
    /// Upwards.
    pub y: Axis,
    /// The lines.
    pub series: Vec<Series>,
}

/// One line.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// How it is drawn.
    pub style: Style,
    /// Its points, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// From point to point.
    Line,
    /// Level until the next point.
    Steps,
    /// A dot at each point, joined.
    Dots,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 16.0;
/// The label of the axis that goes upwards stands above everything.
const TOP: f64 = 22.0;
const BOTTOM: f64 = 44.0;
/// The height of a line of the legend.
const LEGEND: f64 = 20.0;
/// The width of a letter, about.
const LETTER: f64 = 7.2;
/// The sample of a line in the legend, with the gap behind it.
const SAMPLE: f64 = 30.0;
/// Styles of lines that the page defines.
pub const STYLES: usize = 6;

impl Chart {
    /// The picture.
    pub fn draw(&self) -> String {
        let names: Vec<&str> = self.series.iter().map(|series| series.name.as_str()).collect();
        let legend = legend(&names);
        let rows = legend.iter().map(|(_, row)| row + 1).max().unwrap_or(0);
        let top = TOP + LEGEND * f64::from(rows);
        let height = HEIGHT + LEGEND * f64::from(rows);
        let mut svg = Svg::new(&self.id, (WIDTH, height), &self.title, &self.description);
        for ((index, series), (left, row)) in self.series.iter().enumerate().zip(legend) {
            let y = TOP + LEGEND * (f64::from(row) + 0.5);
            svg.path(&class(index), &[(left, y), (left + SAMPLE - 8.0, y)]);
            svg.text("label", (left + SAMPLE, y + 4.0), Anchor::Start, &series.name);
        }
        let frame = Frame { left: LEFT, right: WIDTH - RIGHT, top, bottom: height - BOTTOM };
        self.axes(&mut svg, &frame);
        for (index, series) in self.series.iter().enumerate() {
            self.series(&mut svg, &frame, index, series);
        }
        if self.series.iter().all(|series| series.points.is_empty()) {
            let middle =
                (f64::midpoint(frame.left, frame.right), f64::midpoint(frame.top, frame.bottom));
            svg.text("label", middle, Anchor::Middle, "nothing was measured");
        }
        svg.finish()
    }

    fn axes(&self, svg: &mut Svg, frame: &Frame) {
        for (value, text) in self.y.ticks() {
            let y = frame.y(self.y.place(value));
            svg.line("grid", (frame.left, y), (frame.right, y));
            svg.text("tick", (frame.left - 8.0, y + 4.0), Anchor::End, text);
        }
        for (value, text) in self.x.ticks() {
            let x = frame.x(self.x.place(value));
            svg.line("grid", (x, frame.top), (x, frame.bottom));
            svg.text("tick", (x, frame.bottom + 18.0), Anchor::Middle, text);
        }
        svg.line("axis", (frame.left, frame.bottom), (frame.right, frame.bottom));
        svg.line("axis", (frame.left, frame.top), (frame.left, frame.bottom));
        svg.text("label", (frame.right, frame.bottom + 36.0), Anchor::End, &self.x.label);
        svg.text("label", (LEFT - 8.0, TOP - 8.0), Anchor::Start, &self.y.label);
    }

    fn series(&self, svg: &mut Svg, frame: &Frame, index: usize, series: &Series) {
        let place = |(x, y): &(f64, f64)| (frame.x(self.x.place(*x)), frame.y(self.y.place(*y)));
        let places: Vec<(f64, f64)> = series.points.iter().map(place).collect();
        match series.style {
            Style::Line | Style::Dots => svg.path(&class(index), &places),
            Style::Steps => svg.path(&class(index), &steps(&places)),
        }
        if series.style == Style::Dots {
            for (at, (x, y)) in places.iter().zip(&series.points) {
                let title = format!(
                    "{}: {} at {}",
                    series.name,
                    super::axis::shown(*y),
                    super::axis::shown(*x)
                );
                svg.dot(&class(index), *at, 4.0, &title);
            }
        }
    }
}

/// Where the axes are.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Frame {
    fn x(&self, place: f64) -> f64 {
        self.left + (self.right - self.left) * place
    }

    fn y(&self, place: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * place
    }
}

fn class(index: usize) -> String {
    format!("s{}", index % STYLES)
}

/// Where each name of the legend begins, and in which of its rows.
fn legend(names: &[&str]) -> Vec<(f64, u32)> {
    let (mut left, mut row) = (LEFT, 0);
    let mut places = Vec::with_capacity(names.len());
    for name in names {
        let width =
            SAMPLE + LETTER * f64::from(u32::try_from(name.chars().count()).unwrap_or(0)) + 16.0;
        if left > LEFT && left + width > WIDTH - RIGHT {
            (left, row) = (LEFT, row + 1);
        }
        places.push((left, row));
        left += width;
    }
    places
}

/// Corners between points, so that a line stays level until the next one.
fn steps(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut corners = Vec::with_capacity(points.len() * 2);
    let mut level = None;
    for (x, y) in points {
        corners.extend(level.map(|level| (*x, level)));
        corners.push((*x, *y));
        level = Some(*y);
    }
    corners
}

/// The share of samples, in percent, that are at most this large: the points of a distribution.
#[expect(clippy::cast_precision_loss, reason = "positions in a picture")]
pub fn distribution(samples: &[f64]) -> Vec<(f64, f64)> {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let all = sorted.len() as f64;
    let mut points: Vec<(f64, f64)> = Vec::with_capacity(sorted.len() + 1);
    points.extend(sorted.first().map(|first| (*first, 0.0)));
    points
        .extend(sorted.iter().enumerate().map(|(n, value)| (*value, (n + 1) as f64 / all * 100.0)));
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(series: Vec<Series>) -> Chart {
        let all = || series.iter().flat_map(|series| &series.points);
        Chart {
            id: "c".into(),
            title: "a <chart>".into(),
            description: "it shows".into(),
            x: Axis::from_zero("ms", all().map(|point| point.0)),
            y: Axis::from_zero("%", all().map(|point| point.1)),
            series,
        }
    }

    fn series(name: &str, points: &[(f64, f64)]) -> Series {
        Series { name: name.into(), style: Style::Steps, points: points.to_vec() }
    }

    #[test]
    fn a_chart_without_data_says_so() {
        for empty in [chart(Vec::new()), chart(vec![series("none", &[])])] {
            let svg = empty.draw();
            assert!(svg.contains("nothing was measured") && svg.ends_with("</svg>\n"), "{svg}");
        }
        assert!(!chart(vec![series("one", &[(1.0, 2.0)])]).draw().contains("nothing was measured"));
    }

    #[test]
    fn points_stay_in_the_frame() {
        let svg = chart(vec![series("a", &[(0.0, 0.0), (10.0, 100.0)])]).draw();
        // Level to the right edge at the bottom, then up to the corner.
        assert!(svg.contains("d=\"M62 316L744 316L744 42\""), "{svg}");
        assert!(svg.contains("<title id=\"c-t\">a &lt;chart&gt;</title>"));
    }

    #[test]
    fn a_long_legend_takes_more_rows() {
        let name = "a rather long name of a series";
        let rows: Vec<u32> = legend(&[name; 5]).into_iter().map(|(_, row)| row).collect();
        assert_eq!(rows, [0, 0, 1, 1, 2]);
    }

    #[test]
    fn a_distribution_ends_at_all_of_it() {
        assert_eq!(distribution(&[3.0, 1.0]), [(1.0, 0.0), (1.0, 50.0), (3.0, 100.0)]);
        assert_eq!(distribution(&[]), []);
    }
}
