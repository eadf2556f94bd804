//! What the demo says while it runs, and the table at its end.

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Width of the column of what was measured.
const WIDTH: usize = 62;

/// What was measured and checked so far.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Report {
    stages: usize,
    lines: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    what: String,
    /// A time, or what was found.
    found: String,
    held: bool,
}

impl Report {
    /// What was saved by a process that is part of the same demo.
    pub(crate) fn load(file: &Path) -> Result<Self> {
        let text = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("reading {}", file.display()))
    }

    pub(crate) fn save(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_vec(self)?;
        fs::write(file, text).with_context(|| format!("writing {}", file.display()))
    }

    /// Opens a stage.
    pub(crate) fn begin(&mut self, title: &str) {
        self.stages += 1;
        println!("\n{}. {title}", self.stages);
    }

    /// Something took a time.
    pub(crate) fn took(&mut self, what: &str, time: Duration) {
        self.line(what, &shown(time), true);
    }

    /// Something held that the demo waited for.
    pub(crate) fn held(&mut self, what: &str, found: &str) {
        self.line(what, found, true);
    }

    /// Something was looked at once, and holds or does not.
    pub(crate) fn check(&mut self, what: &str, held: bool, found: &str) {
        self.line(what, found, held);
    }

    fn line(&mut self, what: &str, found: &str, held: bool) {
        println!("   {what:<WIDTH$} {found}{}", if held { "" } else { "   <-- DID NOT HOLD" });
        self.lines.push(Line { what: what.to_owned(), found: found.to_owned(), held });
    }

    pub(crate) fn all_held(&self) -> bool {
        self.lines.iter().all(|line| line.held)
    }

    /// Everything once more, in one table.
    pub(crate) fn table(&self, took: Duration) {
        let mut table = format!("\n{:<WIDTH$} {:<32} held\n", "measured", "found");
        for Line { what, found, held } in &self.lines {
            let held = if *held { "yes" } else { "NO" };
            // Writing to a String can't fail.
            let _ = writeln!(table, "{what:<WIDTH$} {found:<32} {held}");
        }
        let broken = self.lines.iter().filter(|line| !line.held).count();
        println!("{table}\n{} lines, {broken} did not hold; {}", self.lines.len(), shown(took));
    }
}

/// Milliseconds up to a second, then seconds.
pub(crate) fn shown(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{:.1} ms", time.as_secs_f64() * 1000.0)
    } else {
        format!("{:.2} s", time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_that_did_not_hold_is_enough() {
        let mut report = Report::default();
        report.took("a", Duration::from_millis(3));
        assert!(report.all_held());
        report.check("b", false, "gone");
        report.held("c", "1");
        assert!(!report.all_held());
    }

    #[test]
    fn times_have_their_unit() {
        assert_eq!(shown(Duration::from_micros(1_540)), "1.5 ms");
        assert_eq!(shown(Duration::from_millis(1_540)), "1.54 s");
    }
}
