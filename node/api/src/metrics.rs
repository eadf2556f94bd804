//! Reads metrics as netnode tells them: Prometheus' text format 0.0.4, as strictly as netnode writes it.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// One metric with all that it has to say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// How it behaves.
    pub kind: Kind,
    /// What it means.
    pub help: String,
    /// Its figures.
    pub samples: Vec<Sample>,
}

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It only grows, from 0 at the start of the process.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts by bounds, their sum and their number.
    Histogram,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Counter, Self::Gauge, Self::Histogram];

    /// The word for it in the text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sample {
    /// The metric's name; in a histogram with `_bucket`, `_sum` or `_count` behind it.
    pub name: String,
    /// What tells it from the others of its metric.
    pub labels: BTreeMap<String, String>,
    /// The figure.
    pub value: f64,
}

/// A text that is not what netnode tells.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

/// Reads a whole text.
pub fn parse(text: &str) -> Result<Vec<Metric>, ParseError> {
    let mut reading = Reading::default();
    for (i, line) in text.split_inclusive('\n').enumerate() {
        let whole = line.strip_suffix('\n').ok_or_else(|| "it has no end".to_owned());
        whole
            .and_then(|line| reading.line(line))
            .map_err(|what| ParseError { line: i + 1, what })?;
    }
    if reading.help.is_some() {
        let what = "a metric has no type".to_owned();
        return Err(ParseError { line: text.lines().count(), what });
    }
    Ok(reading.metrics)
}

#[derive(Default)]
struct Reading {
    metrics: Vec<Metric>,
    /// Names and labels that were told: each only once.
    told: BTreeSet<(String, BTreeMap<String, String>)>,
    /// Name and meaning of a metric whose type comes next.
    help: Option<(String, String)>,
}

impl Reading {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').ok_or("there is no meaning")?;
            if self.help.is_some() {
                return Err("a type is expected".to_owned());
            }
            if self.metrics.iter().any(|metric| metric.name == name) {
                return Err(format!("{name} is told of twice"));
            }
            self.help = Some((checked_name(name)?, unescaped(help)?));
            return Ok(());
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, help) = self.help.take().ok_or("there is no HELP before it")?;
            let kind = rest.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix(' '));
            let kind = kind_of(kind.ok_or("it is not of the metric before it")?)?;
            self.metrics.push(Metric { name, kind, help, samples: Vec::new() });
            return Ok(());
        }
        if self.help.is_some() {
            return Err("a type is expected".to_owned());
        }
        self.sample(line)
    }

    fn sample(&mut self, line: &str) -> Result<(), String> {
        let metric = self.metrics.last_mut().ok_or("a figure before any metric")?;
        let end = line.find(['{', ' ']).ok_or("there is no figure")?;
        let (name, rest) = line.split_at(end);
        let name = checked_name(name)?;
        let suffix = name.strip_prefix(metric.name.as_str());
        match (metric.kind, suffix) {
            (Kind::Counter | Kind::Gauge, Some(""))
            | (Kind::Histogram, Some("_bucket" | "_sum" | "_count")) => {}
            _ => return Err(format!("{name} is not of {}", metric.name)),
        }
        let (labels, figure) = labels(rest)?;
        let figure = figure.strip_prefix(' ').ok_or("a blank and a figure are expected")?;
        let value: f64 = figure.parse().map_err(|_| format!("{figure:?} is no figure"))?;
        if !self.told.insert((name.clone(), labels.clone())) {
            return Err(format!("{name} is told twice with the same labels"));
        }
        metric.samples.push(Sample { name, labels, value });
        Ok(())
    }
}

fn kind_of(word: &str) -> Result<Kind, String> {
    let known = Kind::ALL.into_iter().find(|kind| kind.name() == word);
    known.ok_or_else(|| format!("{word:?} is no type"))
}

fn checked_name(name: &str) -> Result<String, String> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
    let starts = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    if starts && name.bytes().all(good) {
        Ok(name.to_owned())
    } else {
        Err(format!("{name:?} is no name"))
    }
}

/// The labels in braces, if there are any, and what stands behind them.
fn labels(text: &str) -> Result<(BTreeMap<String, String>, &str), String> {
    let mut labels = BTreeMap::new();
    let Some(mut rest) = text.strip_prefix('{') else { return Ok((labels, text)) };
    loop {
        let (name, value) = rest.split_once("=\"").ok_or("a label and its value are expected")?;
        let end = end_of_value(value).ok_or("the value of a label has no end")?;
        let (value, after) = value.split_at(end);
        if labels.insert(checked_name(name)?, unescaped(value)?).is_some() {
            return Err(format!("the label {name} stands twice"));
        }
        rest = after.strip_prefix('"').unwrap_or(after);
        match (rest.strip_prefix(','), rest.strip_prefix('}')) {
            (Some(next), _) => rest = next,
            (None, Some(behind)) => return Ok((labels, behind)),
            (None, None) => return Err("after a label, a comma or brace is expected".to_owned()),
        }
    }
}

/// Where the closing quote is.
fn end_of_value(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let end = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        end
    })
}

fn unescaped(text: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        plain.push(match next {
            '\\' => match rest.next() {
                Some('n') => '\n',
                Some(same @ ('\\' | '"')) => same,
                other => return Err(format!("\\ can't be followed by {other:?}")),
            },
            plain => plain,
        });
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
# HELP a_total How many: a \\\\ and
# TYPE a_total counter
a_total{x=\"1\",y=\"a \\\"b\\\" } \\\\ \\n, ü\"} 5
a_total{x=\"2\",y=\"\"} 0
# HELP b Not told
# TYPE b gauge
# HELP c_seconds Time
# TYPE c_seconds histogram
c_seconds_bucket{le=\"+Inf\"} 1
c_seconds_sum -0.5
c_seconds_count 1
";

    #[test]
    fn a_good_text_is_read() {
        let metrics = parse(GOOD).unwrap();
        let counts: Vec<_> = metrics.iter().map(|metric| metric.samples.len()).collect();
        assert_eq!(counts, [2, 0, 3]);
        let sample = &metrics[0].samples[0];
        assert_eq!(sample.labels["y"], "a \"b\" } \\ \n, ü");
        assert!((sample.value - 5.0).abs() < f64::EPSILON);
        assert_eq!(metrics[0].help, "How many: a \\ and");
        assert!((metrics[2].samples[1].value + 0.5).abs() < f64::EPSILON);
    }

    #[test]
    fn mistakes_are_found_where_they_are() {
        let head = "# HELP a A\n# TYPE a gauge\n";
        let line_of = |text: &str| parse(text).map_err(|error| error.line).unwrap_err();
        assert_eq!(line_of("a 1\n"), 1);
        assert_eq!(line_of("# TYPE a gauge\n"), 1);
        assert_eq!(line_of("# HELP a A\n# TYPE b gauge\n"), 2);
        assert_eq!(line_of("# HELP a A\na 1\n"), 2);
        assert_eq!(line_of("# HELP a A\n"), 1);
        assert_eq!(line_of(&format!("{head}# HELP a A\n")), 3);
        let wrong = [
            "b 1\n",
            "a\n",
            "a x\n",
            "a 1",
            "a_sum 1\n",
            "a{} 1\n",
            "a{x=\"1} 1\n",
            "a{x=\"1\"}1\n",
            "a{x=\"\\t\"} 1\n",
            "a{1x=\"\"} 1\n",
            "a{x=\"\",x=\"\"} 1\n",
            "a{x=\"\"y=\"\"} 1\n",
            "\n",
        ];
        for line in wrong {
            assert_eq!(line_of(&format!("{head}{line}")), 3, "{line:?}");
        }
        assert_eq!(line_of(&format!("{head}a 1\na 2\n")), 4);
    }
}
