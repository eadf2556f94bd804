//! How rows look at usual widths and in a pipe.

use netnode_api::rows::{Dot, Lifetime};

use super::*;
use crate::{terminal::Terminal, text::width};

fn row(key: &str, value: &[u8], lifetime: Lifetime) -> Row {
    let id = "3f2a9c0144556677889900aabbccddee".to_owned();
    let owned = lifetime == Lifetime::Owner;
    Row {
        network: "frontend".into(),
        table: "endpoints".into(),
        lifetime,
        key: key.into(),
        value: value.into(),
        decoded: None,
        owner: owned.then(|| id.clone()),
        owner_name: owned.then(|| "host-3.example".to_owned()),
        dot: Dot { node: id, generation: 1_795_492_000, attachment: 1, sequence: 4711 },
        stamp_us: 1_795_492_000_000_123,
        age_ms: 65_000,
        state: RowState::Suspect,
    }
}

fn printed(terminal: Terminal, wide: bool) -> Vec<String> {
    let value = b"10.0.12.7/24 02:42:0a:00:0c:07 container 8f14e45fceea167a5a36dedd4bea2543";
    let rows = [
        row("eth0-very-long-endpoint-name", value, Lifetime::Owner),
        row("b", &[0xff; 40], Lifetime::Cluster),
    ];
    let view = RowView { full: wide || terminal.width.is_none(), raw: false };
    let mut layout = Layout::new(&COLUMNS, terminal, wide);
    let mut out = Vec::new();
    for row in &rows {
        layout.row(&mut out, view.cells(row)).unwrap();
    }
    layout.finish(&mut out).unwrap();
    String::from_utf8(out).unwrap().lines().map(ToOwned::to_owned).collect()
}

#[test]
fn every_column_fits_into_80() {
    let lines = printed(Terminal { width: Some(80), ..Terminal::default() }, false);
    assert!(lines.iter().all(|line| width(line) <= 80), "{lines:#?}");
    let heading: Vec<_> = lines[0].split_whitespace().collect();
    let expected = "NETWO… TABLE LIFE KEY VALUE OWNER DOT STAMP AGE STATE";
    assert_eq!(heading, expected.split(' ').collect::<Vec<_>>());
    assert_eq!(
        lines[1],
        "front…  endp…  owner  eth0-…  10.0.12.7…  host-…  …1#4711  03:46:40   1m  suspe…"
    );
    assert!(lines[2].contains("0xfffffff…"));
}

#[test]
fn at_120_the_long_ones_give_way_first() {
    let lines = printed(Terminal { width: Some(120), ..Terminal::default() }, false);
    assert!(lines.iter().all(|line| width(line) <= 120), "{lines:#?}");
    for whole in ["frontend", "endpoints", "owner", "03:46:40", "suspect"] {
        assert!(lines[1].contains(whole), "{whole} in {}", lines[1]);
    }
    assert!(lines[1].contains("#4711"));
}

#[test]
fn wide_and_piped_cut_nothing() {
    let wide = printed(Terminal { width: Some(80), ..Terminal::default() }, true);
    let piped = printed(Terminal::default(), false);
    for lines in [&wide, &piped] {
        assert!(lines[1].contains("container 8f14e45fceea167a5a36dedd4bea2543"));
        assert!(lines[1].contains("3f2a9c01.1795492000.1#4711"));
        assert!(lines[1].contains("2026-11-24T03:46:40.000123Z"));
    }
    assert_eq!(piped[1].split('\t').count(), COLUMNS.len());
    assert_eq!(piped[2].split('\t').nth(5), Some("-"));
}

#[test]
fn decoded_fields_are_shown_unless_raw() {
    let mut row = row("k", b"\x01\x02", Lifetime::Owner);
    row.decoded = Some(
        [("address", "10.0.0.1:7740"), ("name", "a\nb")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    );
    assert_eq!(value(&row, false), "address=10.0.0.1:7740 name=a\\nb");
    assert_eq!(value(&row, true), "\\u{1}\\u{2}");
}
