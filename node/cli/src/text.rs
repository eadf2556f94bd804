//! Values as text for people: nothing in a row can move the cursor or break a line.

use std::fmt::Write;

use netnode_api::Payload;
use unicode_width::UnicodeWidthChar;

/// `text` on one line, with what a terminal would act on written out.
pub(crate) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            '\\' => shown.push_str("\\\\"),
            c if c.is_control() || is_invisible(c) => {
                // Writing to a String can't fail.
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    shown
}

/// Characters that hide text or turn its direction (Unicode's Cf where it matters on a terminal).
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Bytes as text where they are text, else in hexadecimal after `0x`.
pub(crate) fn payload(payload: &Payload) -> String {
    match payload.as_text() {
        Some(text) => escaped(text),
        None => format!("0x{}", payload.to_hex()),
    }
}

/// Columns that `text` takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// Which end gives way when a text is too wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    Start,
    End,
}

/// `text` in at most `limit` columns, with `…` where something is missing.
pub(crate) fn fit(text: &str, limit: usize, cut: Cut) -> String {
    if width(text) <= limit {
        return text.to_owned();
    }
    let room = limit.saturating_sub(1);
    let mut used = 0;
    let mut fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= room
    };
    match cut {
        Cut::End => text.chars().take_while(&mut fits).chain(['…']).collect(),
        Cut::Start => {
            let kept: Vec<char> = text.chars().rev().take_while(&mut fits).collect();
            ['…'].into_iter().chain(kept.into_iter().rev()).collect()
        }
    }
}

/// The first digits of an id, enough to tell nodes apart.
pub(crate) fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

/// A time span in its two largest units at most.
pub(crate) fn span(ms: u64) -> String {
    let secs = ms / 1000;
    match secs {
        0 => format!("{ms}ms"),
        1..60 => format!("{secs}s"),
        60..3600 => format!("{}m{:02}s", secs / 60, secs % 60),
        3600..86_400 => format!("{}h{:02}m", secs / 3600, secs / 60 % 60),
        _ => format!("{}d{:02}h", secs / 86_400, secs / 3600 % 24),
    }
}

/// A time span in one unit, for narrow columns.
pub(crate) fn age(ms: u64) -> String {
    let secs = ms / 1000;
    match secs {
        0 => "<1s".to_owned(),
        1..60 => format!("{secs}s"),
        60..3600 => format!("{}m", secs / 60),
        3600..86_400 => format!("{}h", secs / 3600),
        _ => format!("{}d", secs / 86_400),
    }
}

/// Microseconds as milliseconds.
pub(crate) fn millis(us: u64) -> String {
    format!("{}.{:02}ms", us / 1000, us % 1000 / 10)
}

/// How soon something comes, from microseconds.
pub(crate) fn soon(us: u64) -> String {
    match us / 1000 {
        ms @ 0..1000 => format!("{ms}ms"),
        ms @ 1000..60_000 => format!("{}.{}s", ms / 1000, ms % 1000 / 100),
        ms => span(ms),
    }
}

/// Bytes in a unit that keeps the number short.
pub(crate) fn size(bytes: usize) -> String {
    let units = [(1_usize << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{}.{}{name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes}B"),
    }
}

/// A decimal number; of a large one only how large it is.
pub(crate) fn count(decimal: &str) -> String {
    match (decimal.get(..1), decimal.get(1..2)) {
        (Some(first), Some(second)) if decimal.len() > 10 => {
            format!("{first}.{second}e{}", decimal.len() - 1)
        }
        _ => decimal.to_owned(),
    }
}

/// A moment in UTC (RFC 3339), from microseconds since the Unix epoch.
pub(crate) fn moment(us: u64) -> String {
    let (secs, fraction) = (us / 1_000_000, us % 1_000_000);
    format!("{}T{}.{fraction:06}Z", date(secs), time_of_day(secs))
}

/// The same in at most ten columns: the time if it is less than a day ago, else the date.
pub(crate) fn short_moment(us: u64, age_ms: u64) -> String {
    let secs = us / 1_000_000;
    if age_ms < 86_400_000 { time_of_day(secs) } else { date(secs) }
}

fn time_of_day(secs: u64) -> String {
    let secs = secs % 86_400;
    format!("{:02}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60)
}

/// The Gregorian date, by Hinnant's `civil_from_days` (years counted from March, in eras of 400).
fn date(secs: u64) -> String {
    let days = secs / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_value_reaches_the_terminal() {
        assert_eq!(escaped("a\tb\n\x1b[31m\\"), "a\\tb\\n\\u{1b}[31m\\\\");
        assert_eq!(escaped("grün \u{202e}evil"), "grün \\u{202e}evil");
        assert_eq!(payload(&Payload(vec![0xff, 0])), "0xff00");
    }

    #[test]
    fn a_cut_is_shown_and_counts_columns() {
        assert_eq!(fit("abcdef", 6, Cut::End), "abcdef");
        assert_eq!(fit("abcdef", 4, Cut::End), "abc…");
        assert_eq!(fit("abcdef", 4, Cut::Start), "…def");
        assert_eq!(fit("日本語", 4, Cut::End), "日…");
        assert_eq!(width("日本"), 4);
    }

    #[test]
    fn moments_and_spans_read_well() {
        assert_eq!(moment(1_795_492_000_000_123), "2026-11-24T03:46:40.000123Z");
        assert_eq!(moment(951_782_400_000_000), "2000-02-29T00:00:00.000000Z");
        assert_eq!(moment(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(short_moment(1_795_492_000_000_000, 1), "03:46:40");
        assert_eq!(short_moment(1_795_492_000_000_000, 86_400_000), "2026-11-24");
        assert_eq!(span(999), "999ms");
        assert_eq!(span(3_661_000), "1h01m");
        assert_eq!(age(3_661_000), "1h");
        assert_eq!(size(1536), "1.5KiB");
        assert_eq!(millis(1234), "1.23ms");
        assert_eq!(count("4294967296"), "4294967296");
        assert_eq!(count("18446744073709551615"), "1.8e19");
    }
}
