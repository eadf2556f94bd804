//! Many rows in one request.

use std::fs;

use crate::harness::{Host, lines};

#[test]
fn thousands_of_rows_are_loaded_from_a_file_and_from_standard_input() {
    let host = Host::attached("a");
    let rows = lines(5000, |n| format!("key-{n:05}\tvalue {n}\twith tab\n"));
    fs::write(host.path("rows.tsv"), &rows).unwrap();
    let file = host.path("rows.tsv");
    let line = format!("table load blue owned --lifetime owner --file {}", file.display());
    assert_eq!(host.ok(&line), "5000 rows written to table owned of network blue\n");
    let done = host.ctl_with("table load blue shared -", &mut rows.as_bytes(), None);
    assert_eq!(done.code, 0, "{done:?}");
    for table in ["owned", "shared"] {
        let got = host.ok(&format!("table get blue {table} key-04999 --value"));
        assert_eq!(got, "value 4999\twith tab");
        let dump = host.ok(&format!("table dump --network blue --table {table} --jsonl"));
        assert_eq!(dump.lines().count(), 5000);
    }
}

#[test]
fn the_last_of_several_lines_with_one_key_stands() {
    let host = Host::attached("a");
    let rows = lines(1000, |n| format!("key-{}\t{n}\n", n % 3));
    let done = host.ctl_with("table load blue t -", &mut rows.as_bytes(), None);
    assert_eq!(done.code, 0, "{done:?}");
    for (key, value) in [("key-0", "999"), ("key-1", "997"), ("key-2", "998")] {
        assert_eq!(host.ok(&format!("table get blue t {key} --value")), value);
    }
}

#[test]
fn a_refused_row_stops_the_load_or_is_passed_over() {
    let host = Host::attached("a");
    host.ok("table create blue t taken x");
    let rows = "a\t1\n\ntaken\t2\nb\t3\nnew\t4\n";
    let done = host.ctl_with("table load blue t - --create", &mut rows.as_bytes(), None);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.err.contains("line 3: the row exists already"), "{done:?}");
    assert_eq!(host.ok("table get blue t a --value"), "1");
    assert_eq!(host.ok("table get blue t taken --value"), "x");
    host.ok("table upsert blue t b old");
    let line = "table load blue t - --create --keep-going";
    let done = host.ctl_with(line, &mut rows.as_bytes(), None);
    assert_eq!(done.code, 1, "{done:?}");
    let refused = ["line 1: ", "line 3: ", "line 4: "];
    assert!(refused.iter().all(|line| done.err.contains(line)), "{done:?}");
    assert_eq!(host.ok("table get blue t new --value"), "4");
}

#[test]
fn a_load_that_can_not_begin_says_so_however_much_is_sent() {
    let host = Host::running("a");
    let rows = lines(20_000, |n| format!("key-{n}\t{}\n", "x".repeat(100)));
    let done = host.ctl_with("table load red t -", &mut rows.as_bytes(), None);
    assert_eq!(done.code, 3, "{done:?}");
    assert!(done.err.contains("not attached to network red"), "{done:?}");
    let done = host.ctl_with("table load red t -", &mut "no tab\n".as_bytes(), None);
    assert_ne!(done.code, 0, "{done:?}");
}
