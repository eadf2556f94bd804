//! What was up when: a lane per host, with marks on it.

use super::{
    Axis,
    svg::{Anchor, Svg},
};

/// A timeline.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// Tells it from others on its page.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// The same for those who can't see it.
    pub description: String,
    /// When it ends, in seconds; it begins at zero.
    pub until: f64,
    /// From top to bottom.
    pub lanes: Vec<Lane>,
    /// Spans in which something concerned all lanes.
    pub bands: Vec<Bar>,
}

/// One host.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    /// Its name.
    pub name: String,
    /// Its conditions over time.
    pub bars: Vec<Bar>,
    /// What was noticed of it.
    pub marks: Vec<Mark>,
}

/// A span.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// When it begins, in seconds.
    pub from: f64,
    /// When it ends.
    pub to: f64,
    /// What is the case.
    pub condition: Condition,
    /// What is told about it.
    pub words: String,
}

/// What is the case for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// It runs.
    Up,
    /// It runs but is not given time.
    Paused,
    /// Not everybody reaches everybody.
    Cut,
}

/// A moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// When, in seconds.
    pub at: f64,
    /// The class that it is drawn with: one of [`MARKS`].
    pub class: &'static str,
    /// What is told about it.
    pub words: String,
}

/// The classes of marks and what they mean.
pub const MARKS: [(&str, &str); 4] = [
    ("suspect", "suspected"),
    ("failed", "called failed"),
    ("alive", "alive again"),
    ("left", "said farewell"),
];

const WIDTH: f64 = 760.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 30.0;
const LANE: f64 = 18.0;
const BAR: f64 = 8.0;
const BOTTOM: f64 = 40.0;
/// What is shorter would not be seen.
const THINNEST: f64 = 1.0;

impl Condition {
    fn class(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Paused => "paused",
            Self::Cut => "cut",
        }
    }
}

impl Timeline {
    /// The picture.
    #[expect(clippy::cast_precision_loss, reason = "positions in a picture")]
    pub fn draw(&self) -> String {
        let bottom = TOP + LANE * self.lanes.len() as f64;
        let size = (WIDTH, bottom + BOTTOM);
        let mut svg = Svg::new(&self.id, size, &self.title, &self.description);
        let axis = Axis::from_zero("virtual seconds", [self.until]);
        let x = |at: f64| LEFT + (WIDTH - RIGHT - LEFT) * axis.place(at);
        legend(&mut svg);
        let bar = |svg: &mut Svg, bar: &Bar, y: f64, height: f64| {
            let (from, to) = (x(bar.from), x(bar.to));
            let size = ((to - from).max(THINNEST), height);
            svg.rect(bar.condition.class(), (from, y), size, &bar.words);
        };
        for band in &self.bands {
            bar(&mut svg, band, TOP, bottom - TOP);
        }
        for (value, text) in axis.ticks() {
            svg.line("grid", (x(value), TOP), (x(value), bottom));
            svg.text("tick", (x(value), bottom + 16.0), Anchor::Middle, text);
        }
        for (index, lane) in self.lanes.iter().enumerate() {
            let middle = TOP + LANE * (index as f64 + 0.5);
            svg.text("tick", (LEFT - 8.0, middle + 4.0), Anchor::End, &lane.name);
            for one in &lane.bars {
                bar(&mut svg, one, middle - BAR / 2.0, BAR);
            }
            for mark in &lane.marks {
                draw_mark(&mut svg, mark.class, (x(mark.at), middle), &mark.words);
            }
        }
        svg.text("label", (WIDTH - RIGHT, bottom + 33.0), Anchor::End, &axis.label);
        if self.lanes.is_empty() {
            svg.text("label", (WIDTH / 2.0, TOP + 14.0), Anchor::Middle, "nothing happened");
        }
        svg.finish()
    }
}

fn legend(svg: &mut Svg) {
    let mut left = LEFT;
    let y = 12.0;
    for (condition, words) in
        [(Condition::Up, "runs"), (Condition::Paused, "paused"), (Condition::Cut, "cut")]
    {
        svg.rect(condition.class(), (left, y - BAR / 2.0), (22.0, BAR), "");
        svg.text("label", (left + 28.0, y + 4.0), Anchor::Start, words);
        left += 84.0;
    }
    for (class, words) in MARKS {
        draw_mark(svg, class, (left + 6.0, y), "");
        svg.text("label", (left + 18.0, y + 4.0), Anchor::Start, words);
        left += 112.0;
    }
}

/// Each class has a shape of its own, for those who don't see its colour.
fn draw_mark(svg: &mut Svg, class: &str, (x, y): (f64, f64), words: &str) {
    match class {
        "suspect" => svg.dot(class, (x, y), 4.0, words),
        "failed" => svg.rect(class, (x - 2.0, y - 8.0), (4.0, 16.0), words),
        "alive" => svg.rect(class, (x - 4.0, y - 4.0), (8.0, 8.0), words),
        _ => svg.dot(class, (x, y), 3.0, words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(lanes: Vec<Lane>, bands: Vec<Bar>) -> Timeline {
        Timeline {
            id: "t".into(),
            title: "a run".into(),
            description: "what happened".into(),
            until: 100.0,
            lanes,
            bands,
        }
    }

    #[test]
    fn a_lane_has_its_bars_and_marks_where_they_belong() {
        let up = Bar { from: 0.0, to: 50.0, condition: Condition::Up, words: "n0 <runs>".into() };
        let mark = Mark { at: 100.0, class: "failed", words: "by 3".into() };
        let lane = Lane { name: "n0".into(), bars: vec![up], marks: vec![mark] };
        let svg = timeline(vec![lane], Vec::new()).draw();
        assert!(
            svg.contains("<rect class=\"up\" x=\"46\" y=\"35\" width=\"349\" height=\"8\">"),
            "{svg}"
        );
        assert!(svg.contains("<title>n0 &lt;runs&gt;</title>"));
        assert!(svg.contains("<rect class=\"failed\" x=\"742\""), "{svg}");
    }

    #[test]
    fn a_moment_is_still_seen_and_an_empty_run_is_one() {
        let cut = Bar { from: 3.0, to: 3.0, condition: Condition::Cut, words: String::new() };
        let svg = timeline(Vec::new(), vec![cut]).draw();
        assert!(svg.contains("class=\"cut\"") && svg.contains("width=\"1\""), "{svg}");
        assert!(svg.contains("nothing happened"));
    }
}
