//! What happened in a run, taken from its trace: who was up, what others thought of it, what was cut, and
//! how much was sent.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use netdb_gossip_core::time::Time;

use crate::{
    plot::{Bar, Condition, Lane, Mark, Timeline},
    trace::{Event, Reader},
    world::fabric::HEADERS,
};

/// Sightings of one host closer than this are one mark, in microseconds.
const TOGETHER_US: u64 = 1_000_000;
/// The most marks of one host; a run with more has a longer story than a picture can tell.
const MOST_MARKS: usize = 2_000;

/// Gathers the story while the run goes on.
#[derive(Clone, Default)]
pub struct Story(Arc<Mutex<Gathered>>);

#[derive(Clone, Debug, Default)]
struct Gathered {
    hosts: BTreeMap<usize, Host>,
    /// Partitions and cuts that are not mended, by their beginnings.
    open: Vec<(u64, String)>,
    bands: Vec<Bar>,
    /// Bytes that arrived, by second.
    bytes: Vec<u64>,
    until: u64,
}

#[derive(Clone, Debug, Default)]
struct Host {
    up_since: Option<u64>,
    bars: Vec<Bar>,
    marks: Vec<Sighting>,
    /// Who thinks ill of it: that anybody else takes it for alive is no news.
    doubted_by: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
struct Sighting {
    first: u64,
    last: u64,
    class: &'static str,
    count: usize,
}

impl Reader for Story {
    fn event(&mut self, event: &Event<'_>) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).event(event);
        true
    }
}

impl Gathered {
    fn event(&mut self, event: &Event<'_>) {
        let at = event.at.0;
        self.until = self.until.max(at);
        match (event.what, event.host) {
            ("packet", _) => self.arrived(event.at, event.bytes + HEADERS),
            ("stream", _) => self.arrived(event.at, event.bytes),
            ("boot", Some(host)) => {
                self.host(host).up_since = Some(at);
                for other in self.hosts.values_mut() {
                    other.doubted_by.remove(&host);
                }
            }
            ("stop", Some(host)) => {
                let entry = self.host(host);
                if let Some(since) = entry.up_since.take() {
                    let words = format!("n{host} runs until {}", event.words);
                    entry.bars.push(bar(since, at, Condition::Up, words));
                }
            }
            ("pause", Some(host)) => {
                let until = at.saturating_add(span_us(event.words));
                let words = format!("n{host} is paused for {}", event.words);
                self.host(host).bars.push(bar(at, until, Condition::Paused, words));
            }
            ("clog", _) => {
                let span = event.words.rsplit(' ').next().map_or(0, span_us);
                let words = words(event);
                self.bands.push(bar(at, at.saturating_add(span), Condition::Cut, words));
            }
            ("partition" | "cut" | "nat", _) => self.open.push((at, words(event))),
            ("heal", _) => self.heal(at),
            ("member", _) => self.member(event),
            _ => {}
        }
    }

    fn host(&mut self, host: usize) -> &mut Host {
        self.hosts.entry(host).or_default()
    }

    fn arrived(&mut self, at: Time, bytes: usize) {
        let second = usize::try_from(at.0 / 1_000_000).unwrap_or(usize::MAX);
        if second >= self.bytes.len() {
            self.bytes.resize(second.saturating_add(1), 0);
        }
        if let Some(sum) = self.bytes.get_mut(second) {
            *sum += bytes as u64;
        }
    }

    fn heal(&mut self, at: u64) {
        for (since, words) in self.open.drain(..) {
            self.bands.push(bar(since, at, Condition::Cut, words));
        }
    }

    fn member(&mut self, event: &Event<'_>) {
        let (Some(observer), Some(subject)) = (event.host, event.other) else { return };
        let class = match event.words.rsplit(' ').next() {
            Some("Suspect") => "suspect",
            Some("Failed") => "failed",
            Some("Left" | "Restarting") => "left",
            _ => "alive",
        };
        let host = self.host(subject);
        if class != "alive" {
            host.doubted_by.insert(observer);
        } else if !host.doubted_by.remove(&observer) {
            return;
        }
        let at = event.at.0;
        let same = host.marks.iter_mut().rev().find(|mark| mark.class == class);
        if let Some(mark) = same.filter(|mark| at.saturating_sub(mark.last) <= TOGETHER_US) {
            (mark.last, mark.count) = (at, mark.count + 1);
        } else if host.marks.len() < MOST_MARKS {
            host.marks.push(Sighting { first: at, last: at, class, count: 1 });
        }
    }
}

impl Story {
    /// The timeline so far: what is still going on ends with the last event.
    pub fn timeline(&self, id: &str, title: &str, description: &str) -> Timeline {
        let mut story = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let until = story.until;
        story.heal(until);
        let lanes = story.hosts.iter().map(|(host, entry)| entry.lane(*host, until)).collect();
        Timeline {
            id: id.into(),
            title: title.into(),
            description: description.into(),
            until: seconds(until),
            lanes,
            bands: story.bands,
        }
    }

    /// Bytes that arrived in each second of the run, and how many hosts there were.
    pub fn traffic(&self) -> (Vec<u64>, usize) {
        let story = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (story.bytes.clone(), story.hosts.len())
    }
}

impl Host {
    fn lane(&self, host: usize, until: u64) -> Lane {
        let mut bars = self.bars.clone();
        if let Some(since) = self.up_since {
            bars.push(bar(since, until, Condition::Up, format!("n{host} runs")));
        }
        // A pause lies on top of the time in which it ran.
        bars.sort_by_key(|bar| bar.condition);
        let marks = self.marks.iter().map(|mark| Mark {
            at: seconds(mark.first),
            class: mark.class,
            words: format!(
                "n{host} {} at {:.3} s, by {} nodes until {:.3} s",
                mark.class,
                seconds(mark.first),
                mark.count,
                seconds(mark.last)
            ),
        });
        Lane { name: format!("n{host}"), bars, marks: marks.collect() }
    }
}

fn words(event: &Event<'_>) -> String {
    let host = event.host.map(|host| format!(" n{host}")).unwrap_or_default();
    format!("{}{host} {}", event.what, event.words)
}

fn bar(from: u64, to: u64, condition: Condition, words: String) -> Bar {
    Bar { from: seconds(from), to: seconds(to), condition, words }
}

fn seconds(us: u64) -> f64 {
    std::time::Duration::from_micros(us).as_secs_f64()
}

/// A span as it stands in a trace, like `2s` or `1.5ms`; nothing for what is none.
fn span_us(text: &str) -> u64 {
    let number = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text.strip_prefix(number) {
        Some("s") => 1.0,
        Some("ms") => 1e-3,
        Some("µs") => 1e-6,
        _ => return 0,
    };
    let seconds = number.parse().unwrap_or(0.0) * unit;
    std::time::Duration::try_from_secs_f64(seconds)
        .map_or(0, |span| u64::try_from(span.as_micros()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Trace;

    fn story() -> Story {
        let story = Story::default();
        let mut trace = Trace::default();
        trace.show_to(Box::new(story.clone()));
        let second = |n: u64| Time(n * 1_000_000);
        trace.note(second(0), format_args!("boot      n0"));
        trace.note(second(0), format_args!("boot      n1"));
        trace.note(second(1), format_args!("member    n0 sees n1 Alive"));
        trace.event(second(2), "packet", 1, 0, &[0; 72]);
        trace.event(Time(2_900_000), "stream", 1, 0, &[0; 100]);
        trace.note(second(3), format_args!("cut       n0 to n1"));
        trace.note(second(4), format_args!("pause     n0 1.5s"));
        trace.note(second(5), format_args!("heal"));
        trace.note(second(6), format_args!("stop      n1 Kill"));
        trace.note(second(7), format_args!("member    n0 sees n1 Failed"));
        trace.note(Time(7_500_000), format_args!("member    n2 sees n1 Failed"));
        trace.note(second(9), format_args!("boot      n1"));
        trace.note(second(10), format_args!("member    n0 sees n1 Alive"));
        trace.note(second(12), format_args!("member    n3 sees n1 Alive"));
        story
    }

    #[test]
    fn a_trace_tells_who_was_up_and_what_was_thought() {
        let timeline = story().timeline("t", "a run", "of two");
        assert!((timeline.until - 12.0).abs() < 1e-9);
        let [zero, one] = &timeline.lanes[..] else { panic!("{:?}", timeline.lanes) };
        let spans = |lane: &Lane| -> Vec<(f64, f64, Condition)> {
            lane.bars.iter().map(|bar| (bar.from, bar.to, bar.condition)).collect()
        };
        assert_eq!(spans(zero), [(0.0, 12.0, Condition::Up), (4.0, 5.5, Condition::Paused)]);
        assert_eq!(spans(one), [(0.0, 6.0, Condition::Up), (9.0, 12.0, Condition::Up)]);
        let marks: Vec<_> = one.marks.iter().map(|mark| (mark.at, mark.class)).collect();
        assert_eq!(marks, [(7.0, "failed"), (10.0, "alive")], "that they met is no news");
        assert!(one.marks[0].words.contains("by 2 nodes"), "{}", one.marks[0].words);
        let [band] = &timeline.bands[..] else { panic!("{:?}", timeline.bands) };
        assert_eq!((band.from, band.to, band.words.as_str()), (3.0, 5.0, "cut n0 to n1"));
    }

    #[test]
    fn what_arrives_is_counted_by_second() {
        assert_eq!(story().traffic(), (vec![0, 0, 200], 2));
    }

    #[test]
    fn spans_are_read_as_they_are_printed() {
        for us in [0, 7, 1_500, 2_000_000, 61_234_567] {
            let span = std::time::Duration::from_micros(us);
            assert_eq!(span_us(&format!("{span:?}")), us);
        }
        assert_eq!(span_us("soon"), 0);
    }
}
