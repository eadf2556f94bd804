//! The table of a suite: for a terminal, and between two marks of a page.

use std::collections::BTreeMap;

use super::{Finding, Row, Verdict, value::show_ratio};

/// The width of the column of labels.
pub const LABEL: usize = 26;
/// How far a label is below its section.
pub const INDENT: usize = 2;
/// The width of the columns of values.
const VALUE: usize = 9;
const RATIO: usize = 5;

/// Where the table of a page begins and ends.
pub const BEGIN: &str =
    "<!-- anchors: the table is written by `sweep --suite anchors --markdown` -->";
/// See [`BEGIN`].
pub const END: &str = "<!-- anchors: end -->";
const HEAD: &str = "\
| what | NetworkDB | chitchat | aim | measured | ratio | |
| --- | ---: | ---: | ---: | ---: | ---: | --- |
";

/// The cells of a row: the peers' values, the aim, the measured one, the ratio.
fn cells(row: &Row, found: &Finding) -> [String; 5] {
    let unit = row.statistic.unit();
    [
        unit.show_peer(row.networkdb),
        unit.show_peer(row.chitchat),
        unit.show_aim(row.aim),
        found.measured.map_or_else(|| "–".into(), |value| unit.show(value)),
        show_ratio(found.ratio),
    ]
}

/// The lines of a table for a terminal.
pub fn lines(findings: &[(&Row, Finding)]) -> Vec<String> {
    let line = |label: &str, cells: [&str; 5], verdict: &str| {
        let [networkdb, chitchat, aim, measured, ratio] = cells;
        format!(
            "{label:<LABEL$} {networkdb:>VALUE$} {chitchat:>VALUE$} {aim:>VALUE$} \
             {measured:>VALUE$} {ratio:>RATIO$} {verdict}"
        )
    };
    let heads = ["NetworkDB", "chitchat", "aim", "measured", "ratio"];
    let mut lines = vec![line("", heads, "").trim_end().to_owned()];
    let mut section = "";
    for (row, found) in findings {
        if row.section != section {
            section = row.section;
            lines.push(section.to_owned());
        }
        let label = format!("{:INDENT$}{}", "", row.label);
        lines.push(line(
            &label,
            cells(row, found).each_ref().map(String::as_str),
            found.verdict.words(),
        ));
    }
    lines
}

/// One line that says how all of it stands.
pub fn summary(findings: &[(&Row, Finding)]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, found) in findings {
        *counts.entry(found.verdict.words()).or_default() += 1;
    }
    let order = [
        Verdict::Ok,
        Verdict::Missed,
        Verdict::Broken,
        Verdict::Few,
        Verdict::Absent,
        Verdict::NotRun,
    ];
    let counted = order.iter().filter_map(|verdict| {
        let count = counts.get(verdict.words())?;
        Some(format!("{count} {}", verdict.words()))
    });
    format!("{} rows: {}", findings.len(), counted.collect::<Vec<_>>().join(", "))
}

/// A row of the table of a page, without its end of line.
fn markdown(row: &Row, found: &Finding) -> String {
    let [networkdb, chitchat, aim, measured, ratio] = cells(row, found);
    let verdict = found.verdict.words();
    format!("{}{networkdb} | {chitchat} | {aim} | {measured} | {ratio} | {verdict} |", name(row))
}

/// The beginning of a row, by which it is known.
fn name(row: &Row) -> String {
    format!("| {}: {} | ", row.section, row.label)
}

/// The page with a new table; rows that were not run keep the line that they have.
pub fn update(page: &str, findings: &[(&Row, Finding)]) -> Result<String, String> {
    let (before, old, after) = parts(page)?;
    let mut table = HEAD.to_owned();
    for (row, found) in findings {
        let kept = old.lines().find(|line| line.starts_with(&name(row)));
        let line = match kept {
            Some(line) if found.verdict == Verdict::NotRun => line.to_owned(),
            _ => markdown(row, found),
        };
        table.push_str(&line);
        table.push('\n');
    }
    Ok(format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))
}

/// What stands before, between and after the marks.
fn parts(page: &str) -> Result<(&str, &str, &str), String> {
    let (before, rest) = page.split_once(BEGIN).ok_or(format!("there is no line {BEGIN}"))?;
    let (table, after) = rest.split_once(END).ok_or(format!("there is no line {END} after it"))?;
    Ok((before, table, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::{
        Bench, Peer, Statistic,
        anchors::ROWS,
        value::{Unit, ratio},
    };

    const PAGE: &str = include_str!("../../../docs/convergence.md");

    fn not_run(row: &Row) -> Finding {
        row.judge(None, false)
    }

    fn found(row: &Row, measured: u64) -> Finding {
        let ratio = match row.networkdb {
            Peer::Measured(theirs) => Some(ratio(theirs, measured)),
            _ => None,
        };
        Finding { measured: Some(measured), samples: 1, ratio, verdict: Verdict::Ok }
    }

    #[test]
    fn the_table_fits_a_terminal() {
        let findings: Vec<_> = ROWS.iter().map(|row| (row, found(row, 123_456))).collect();
        let lines = lines(&findings);
        assert!(lines.len() > ROWS.len());
        for line in &lines {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert!(
            lines[2].contains("10 nodes, p99") && lines[2].ends_with(" 123 ms 4.37× ok"),
            "{}",
            lines[2]
        );
    }

    #[test]
    fn the_summary_counts_what_there_is() {
        let findings: Vec<_> = ROWS[..3].iter().map(|row| (row, not_run(row))).collect();
        assert_eq!(summary(&findings), "3 rows: 3 not run");
    }

    #[test]
    fn a_page_keeps_rows_that_were_not_run() {
        let page = format!("before\n{BEGIN}\n{END}\nafter\n");
        let (first, second) = (&ROWS[0], &ROWS[1]);
        let both = [(first, found(first, 2_000)), (second, found(second, 2_500))];
        let page = update(&page, &both).unwrap();
        assert!(page.starts_with("before\n") && page.ends_with("\nafter\n"));
        assert!(page.contains("p99 | 539 ms | 300 ms | ≤ 4 ms | 2 ms | 270× | ok |"), "{page}");
        let one = [(first, not_run(first)), (second, found(second, 3_000))];
        let page = update(&page, &one).unwrap();
        assert!(page.contains("| 2 ms | 270× |") && page.contains("| 3 ms | 224× |"), "{page}");
        assert!(update("no marks", &both).is_err());
        assert!(update(&format!("{END}\n{BEGIN}"), &both).is_err());
    }

    #[test]
    fn the_page_has_the_rows_and_aims_of_the_suite() {
        let (_, table, _) = parts(PAGE).unwrap();
        let shown: Vec<Vec<&str>> = table
            .lines()
            .filter(|line| line.starts_with("| ") && !line.starts_with("| ---"))
            .skip(1)
            .map(|line| line.split('|').map(str::trim).skip(1).take(4).collect())
            .collect();
        let expected: Vec<Vec<String>> = ROWS
            .iter()
            .map(|row| {
                let [networkdb, chitchat, aim, ..] = cells(row, &not_run(row));
                vec![format!("{}: {}", row.section, row.label), networkdb, chitchat, aim]
            })
            .collect();
        assert_eq!(shown, expected, "write it anew: sweep --suite anchors --markdown");
    }

    #[test]
    fn words_are_no_numbers() {
        let bench = Bench { cost: 1, scenario: "x", nodes: 1, loss: 0, seeds: 1, quick: 1 };
        let row = Row {
            bench,
            networkdb: Peer::Words("3 of 5"),
            statistic: Statistic::Number(Unit::Count),
            ..ROWS[0]
        };
        assert_eq!(cells(&row, &not_run(&row))[0], "3 of 5");
    }
}
