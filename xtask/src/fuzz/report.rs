//! What libFuzzer printed, read; the table and the JSON of it.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::Result;
use serde::Serialize;

use crate::shell::root;

/// What became of one target.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    pub(super) target: String,
    /// Inputs that were tried.
    runs: u64,
    runs_per_second: u64,
    /// Edges of the program that some input reached.
    coverage: u64,
    /// Inputs, by path, on which it failed.
    findings: Vec<String>,
    /// What it said at its end, if that was no good one.
    failure: Option<String>,
    /// All that it printed, if somebody has to read it.
    log: Option<String>,
}

impl Row {
    /// From what a target printed and how it ended; `found` is where it leaves its findings.
    pub(super) fn read(
        target: &str,
        said: &str,
        ended: Option<String>,
        found: &Path,
        log: &Path,
    ) -> Self {
        let files = fs::read_dir(found).into_iter().flatten();
        let mut findings: Vec<String> =
            files.filter_map(|file| Some(shown(&file.ok()?.path()))).collect();
        findings.sort();
        let runs = stat(said, "stat::number_of_executed_units:");
        // A good end without a run would be a good end of nothing.
        let ended = ended.or_else(|| (runs == 0).then(|| "nothing was run".to_owned()));
        Self {
            target: target.to_owned(),
            runs,
            runs_per_second: stat(said, "stat::average_exec_per_sec:"),
            coverage: stat(said, "cov:"),
            findings: if ended.is_some() { findings } else { Vec::new() },
            log: ended.is_some().then(|| shown(log)),
            failure: ended.map(|ended| complaint(said).unwrap_or(ended)),
        }
    }

    pub(super) fn is_clean(&self) -> bool {
        self.failure.is_none()
    }
}

/// The number behind the last mention of a word.
fn stat(said: &str, word: &str) -> u64 {
    let behind = said.rsplit_once(word).map_or("", |(_, behind)| behind);
    behind.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Why it ended: the words of the first panic, or of the sanitizer.
fn complaint(said: &str) -> Option<String> {
    let mut lines = said.lines();
    let panic = lines.find(|line| line.contains("panicked at"));
    let panic = panic.and_then(|line| {
        let (_, place) = line.split_once("panicked at ")?;
        Some(format!("{} {}", place.trim(), lines.next().unwrap_or_default()))
    });
    panic.or_else(|| {
        let error = said.lines().find(|line| line.contains("ERROR: "))?;
        Some(error.split_once("ERROR: ")?.1.to_owned())
    })
}

/// From the root of the tree, if it is below it.
fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// For people.
pub(super) fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "\n{:<10} {:>9} {:>8} {:>9}  findings",
        "target", "runs", "runs/s", "coverage"
    );
    for row in rows {
        let findings = match (row.is_clean(), row.findings.len()) {
            (true, _) => "none".to_owned(),
            (false, 0) => "FAILED".to_owned(),
            (false, count) => format!("{count} FOUND"),
        };
        let _ = writeln!(
            text,
            "{:<10} {:>9} {:>8} {:>9}  {findings}",
            row.target, row.runs, row.runs_per_second, row.coverage
        );
    }
    for row in rows {
        let Some(failure) = &row.failure else { continue };
        let _ = writeln!(text, "\n{}: {failure}", row.target);
        for finding in &row.findings {
            let _ = writeln!(text, "  cargo xtask fuzz {} --replay {finding}", row.target);
        }
        if let Some(log) = &row.log {
            let _ = writeln!(text, "  its output: {log}");
        }
    }
    text
}

/// For programs.
pub(super) fn json(rows: &[Row]) -> Result<String> {
    Ok(serde_json::to_string_pretty(rows)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: &str = "#9\tINITED cov: 80 ft: 90 corp: 7/11b exec/s: 0 rss: 68Mb\n\
        #142\tDONE   cov: 83 ft: 98 corp: 9/17b lim: 4096 exec/s: 30 rss: 398Mb\n\
        stat::number_of_executed_units: 142\nstat::average_exec_per_sec:     30\n";

    fn read(said: &str, ended: Option<&str>, found: &Path) -> Row {
        Row::read("t", said, ended.map(str::to_owned), found, Path::new("log"))
    }

    #[test]
    fn a_good_end_is_read() {
        let row = read(END, None, Path::new("/nonexistent"));
        assert!(row.is_clean());
        assert_eq!((row.runs, row.runs_per_second, row.coverage), (142, 30, 83));
        assert!(table(&[row]).contains("none"));
    }

    #[test]
    fn a_finding_is_told_with_its_cause_and_how_to_see_it_again() {
        let found = std::env::temp_dir().join(format!("xtask-found-{}", std::process::id()));
        fs::create_dir_all(&found).unwrap();
        fs::write(found.join("crash-1"), b"x").unwrap();
        let said =
            format!("thread 'main' (7) panicked at a.rs:1:2:\nno good\nERROR: libFuzzer\n{END}");
        let row = read(&said, Some("exit status: 77"), &found);
        fs::remove_dir_all(&found).unwrap();
        let text = table(&[row]);
        assert!(text.contains("1 FOUND") && text.contains("t: a.rs:1:2: no good"), "{text}");
        assert!(
            text.contains("cargo xtask fuzz t --replay ") && text.contains("crash-1"),
            "{text}"
        );
    }

    #[test]
    fn an_end_without_a_run_or_a_finding_is_no_good_one() {
        for (said, ended) in [("", None), ("", Some("exit status: 1")), (END, Some("killed"))] {
            let row = read(said, ended, Path::new("/nonexistent"));
            assert!(!row.is_clean(), "{row:?}");
            assert!(table(&[row]).contains("FAILED"));
        }
        let slow = "==1== ERROR: libFuzzer: timeout after 20 seconds\n";
        let row = read(slow, Some("exit status: 70"), Path::new("/nonexistent"));
        assert_eq!(row.failure.as_deref(), Some("libFuzzer: timeout after 20 seconds"));
    }
}
