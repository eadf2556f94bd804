//! How far a sweep is: a line that changes on a terminal, a plain one now and then where nobody looks on.

use std::{
    fmt::Arguments,
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use netdb_sim::report::Report;

use super::out;

/// How often a plain line is printed at most.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// The progress of a number of runs.
pub(super) struct Progress {
    all: usize,
    done: usize,
    /// The commands that run again what failed.
    failed: Vec<String>,
    terminal: bool,
    started: Instant,
    last: Instant,
}

impl Progress {
    pub(super) fn of(all: usize) -> Self {
        let now = Instant::now();
        let terminal = io::stderr().is_terminal();
        Self { all, done: 0, failed: Vec::new(), terminal, started: now, last: now }
    }

    /// One more run is done; a failure is always told.
    pub(super) fn done(&mut self, report: &Report) {
        self.done += 1;
        if let Some(what) = &report.broken {
            self.failed.push(report.replay.clone());
            self.clear();
            out::error(format_args!("BROKEN: {what}\nreplay: {}", report.replay));
        }
        let now = Instant::now();
        if self.terminal {
            draw(format_args!("{}", self.words(report)));
        } else if now.duration_since(self.last) >= PLAIN_EVERY {
            self.last = now;
            out::error(format_args!("{}", self.words(report)));
        }
    }

    fn words(&self, report: &Report) -> String {
        let times = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let left = self.all.saturating_sub(self.done);
        let left = self.started.elapsed() / times(self.done).max(1) * times(left);
        format!(
            "{} of {}, {} failed, about {} left · {} n{} seed {}",
            self.done,
            self.all,
            self.failed.len(),
            span(left),
            report.scenario,
            report.nodes,
            report.seed
        )
    }

    /// Takes the line away, so that another one can be printed.
    pub(super) fn clear(&self) {
        if self.terminal {
            draw(format_args!(""));
        }
    }

    /// How it ended, and what to run again.
    pub(super) fn finish(&self) {
        self.clear();
        let took = span(self.started.elapsed());
        out::error(format_args!("{} runs in {took}, {} failed", self.done, self.failed.len()));
        for replay in &self.failed {
            out::error(format_args!("  {replay}"));
        }
    }

    /// Whether no run failed so far.
    pub(super) fn is_clean(&self) -> bool {
        self.failed.is_empty()
    }
}

/// Text in the place of the line before.
fn draw(text: Arguments<'_>) {
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "\r\x1b[K{text}");
    let _ = stderr.flush();
}

fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_like_a_clock() {
        assert_eq!(span(Duration::from_secs(65)), "1:05");
        assert_eq!(span(Duration::from_secs(3 * 3600 + 62)), "3:01:02");
    }
}
