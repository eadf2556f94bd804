//! The servers beside each other, each figure the median of its rounds.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::json;

use super::{Row, changes::Told, load::Measured, servers::OURS};

/// CPU time for one query, at most so many times that of the better of the others.
const AIM: f64 = 1.0;

pub(super) fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<14}{:>12}{:>12}{:>8}{:>12}{:>12}\n",
        "server", "CPU/query", "queries/s", "lost", "p99", "RSS"
    );
    for row in rows {
        // Writing to a String can't fail.
        let _ = writeln!(
            text,
            "{:<14}{:>9.2} us{:>12.0}{:>8}{:>9.0} us{:>8.1} MiB",
            row.name,
            row.median(|one| one.cpu_us),
            row.median(|one| one.queries_per_second),
            row.lost(),
            row.median(|one| one.p99_us),
            row.median(|one| one.resident_mib),
        );
    }
    if let Some(ratio) = ratio(rows) {
        let held = if ratio <= AIM { "held" } else { "MISSED" };
        let _ = write!(
            text,
            "CPU per query, of the better of the others: {ratio:.2} (aim {AIM:.1} {held})"
        );
    }
    text
}

pub(super) fn json(rows: &[Row], told: Option<&Told>) -> Result<String> {
    let servers: Vec<_> =
        rows.iter().map(|row| json!({ "server": row.name, "rounds": row.rounds })).collect();
    Ok(serde_json::to_string_pretty(&json!({
        "servers": servers, "cpu_ratio": ratio(rows), "aim": AIM, "held": is_held(rows),
        "changes": told.map(|told| json!({ "lines": told.lines, "held": told.held })),
    }))?)
}

/// Whether ours costs no more than the better of the others, and lost nothing.
pub(super) fn is_held(rows: &[Row]) -> bool {
    let lost = rows.iter().find(|row| row.name == OURS).map_or(0, Row::lost);
    lost == 0 && ratio(rows).is_some_and(|ratio| ratio <= AIM)
}

fn ratio(rows: &[Row]) -> Option<f64> {
    let cpu = |row: &Row| row.median(|one| one.cpu_us);
    let ours = rows.iter().find(|row| row.name == OURS).map(cpu)?;
    let others = rows.iter().filter(|row| row.name != OURS).map(cpu);
    Some(ours / others.min_by(f64::total_cmp)?)
}

impl Row {
    fn median(&self, of: impl Fn(&Measured) -> f64) -> f64 {
        let mut figures: Vec<f64> = self.rounds.iter().map(of).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// Of all rounds together.
    fn lost(&self) -> u64 {
        self.rounds.iter().map(|one| one.lost).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &'static str, cpu_us: [f64; 3], lost: u64) -> Row {
        let one = |cpu_us| Measured {
            cpu_us,
            queries_per_second: 1e5,
            lost,
            p99_us: 80.0,
            resident_mib: 5.0,
        };
        Row { name, rounds: cpu_us.map(one).to_vec() }
    }

    #[test]
    fn a_missed_aim_shows() {
        let others = || [row("unbound", [4.0; 3], 9), row("dnsmasq", [5.0, 2.0, 5.0], 0)];
        let rows = |ours| [ours].into_iter().chain(others()).collect::<Vec<_>>();
        let good = rows(row(OURS, [9.0, 3.0, 2.0], 0));
        assert!(is_held(&good));
        assert!(table(&good).ends_with("0.75 (aim 1.0 held)"), "{}", table(&good));
        let slow = rows(row(OURS, [5.0; 3], 0));
        assert!(!is_held(&slow));
        assert!(table(&slow).ends_with("1.25 (aim 1.0 MISSED)"));
        assert!(!is_held(&rows(row(OURS, [3.0; 3], 1))), "what is lost is missed too");
    }
}
