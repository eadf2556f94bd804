//! Reading and writing rows by command lines.

use serde_json::Value;

use crate::harness::{Host, json_lines, lines};

#[test]
fn rows_are_created_read_changed_and_deleted() {
    let host = Host::attached("a");
    assert!(host.ok("table create blue names web 10.0.0.1").starts_with("created "));
    assert_eq!(host.ok("table get blue names web --value"), "10.0.0.1");
    let again = host.ctl("table create blue names web 10.0.0.2");
    assert_eq!(again.code, 5, "{again:?}");
    assert!(again.err.contains("the row exists already"), "{again:?}");
    host.ok("table update blue names web 10.0.0.3");
    host.ok("table upsert blue names db 10.0.0.4");
    assert_eq!(host.ok("table get blue names web --value"), "10.0.0.3");
    host.ok("table delete blue names web");
    assert_eq!(host.ctl("table get blue names web").code, 3);
    assert_eq!(host.ctl("table delete blue names web").code, 3);
    assert_eq!(host.ctl("table update blue names web x").code, 3);
    // A prefix of a key is not the key.
    assert_eq!(host.ctl("table get blue names d").code, 3);
}

#[test]
fn bytes_that_are_no_text_survive() {
    let host = Host::attached("a");
    host.ok("table create blue bin 00ff f0f1f2 --hex");
    let row = &json_lines(&host.ok("table get blue bin 00ff --hex --jsonl"))[0];
    assert_eq!(row["key"]["encoding"], "base64");
    assert_eq!(row["value"]["data"], "8PHy");
    let shown = host.ok("table dump --network blue");
    assert!(shown.contains("0x00ff\t0xf0f1f2"), "{shown}");
    let value = vec![b'v'; 65_536];
    let done = host.ctl_with("table create blue big k -", &mut value.as_slice(), None);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(host.ok("table get blue big k --value").len(), 65_536);
}

#[test]
fn refusals_say_what_and_what_to_do() {
    let host = Host::attached("a");
    let told = |line: &str, code: u8, texts: &[&str]| {
        let done = host.ctl(line);
        assert_eq!(done.code, code, "{line}: {done:?}");
        for text in texts {
            assert!(done.err.contains(text), "{line}: {done:?}");
        }
    };
    told("table create red names web x", 3, &["not attached to network red", "hint: netdbctl"]);
    told("table dump --network red", 3, &["not attached to network red"]);
    told("table create bl/ue names web x", 2, &["not a name"]);
    told("table create blue na/mes web x", 2, &["not a name"]);
    told("table create blue _names web x", 1, &["_names"]);
    told("scope attach blue", 5, &["attached to network blue already"]);
    told("scope detach red", 3, &["not attached to network red"]);
    told("table dump --owner nobody", 3, &["no member is called nobody"]);
    let long = "k".repeat(257);
    told(&format!("table create blue names {long} x"), 2, &["1 to 256 bytes"]);
    let value = vec![b'v'; 65_537];
    let done = host.ctl_with("table create blue big k -", &mut value.as_slice(), None);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.err.contains("at most 65536 bytes"), "{done:?}");
}

#[test]
fn dumps_are_filtered_and_come_in_every_format() {
    let host = Host::attached("a");
    host.ok("table create blue names web 1");
    host.ok("table create blue names web2 2");
    host.ok("table create blue endpoints web 3 --lifetime owner");
    let rows = |line: &str| json_lines(&host.ok(line));
    assert_eq!(rows("table dump --network blue --jsonl").len(), 3);
    assert_eq!(rows("table dump --network blue --table names --jsonl").len(), 2);
    assert_eq!(rows("table dump --network blue --prefix web2 --jsonl").len(), 1);
    assert_eq!(rows("table dump --network blue --owner a --jsonl").len(), 1);
    let owned = &rows("table dump --network blue --lifetime owner --failed --jsonl")[0];
    assert_eq!(owned["owner_name"], "a");
    assert_eq!(owned["state"], "alive");
    assert_eq!(owned["dot"]["sequence"], 1);
    let list: Value = serde_json::from_str(&host.ok("table dump --network blue --json")).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 3);
    let empty = host.ok("table dump --network blue --table none --json");
    assert_eq!(serde_json::from_str::<Value>(&empty).unwrap(), Value::Array(vec![]));
    let plain = host.ok("table dump --network blue");
    let lines: Vec<Vec<&str>> = plain.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines.len(), 4);
    assert!(lines.iter().all(|cells| cells.len() == 10), "{plain}");
    let sums = rows("table ls blue --jsonl");
    assert_eq!(sums.len(), 2);
    assert_eq!((&sums[1]["table"], &sums[1]["rows"]), (&"names".into(), &2.into()));
}

#[test]
fn the_nodes_own_tables_are_decoded_and_the_token_stays_secret() {
    let host = Host::running("a");
    let rows = json_lines(&host.ok("table dump --network _cluster --jsonl"));
    let of = |table: &str| rows.iter().find(|row| row["table"] == table).unwrap();
    assert_eq!(of("_nodes")["decoded"]["name"], "a");
    assert_eq!(of("_admitted")["decoded"]["admitted"], "true");
    assert_eq!(of("_tokens")["value"]["data"], "");
    let shown = host.ok("table dump --network _cluster --table _nodes");
    assert!(shown.contains("name=a"), "{shown}");
    let raw = host.ok("table dump --network _cluster --table _nodes --raw");
    assert!(!raw.contains("name=a") && raw.contains("0x"), "{raw}");
}

#[test]
fn a_closed_output_is_quiet() {
    let host = Host::attached("a");
    let rows = lines(3000, |n| format!("key-{n}\tvalue\n"));
    let done = host.ctl_with("table load blue many -", &mut rows.as_bytes(), None);
    assert_eq!(done.code, 0, "{done:?}");
    let done = host.ctl_with("table dump --network blue", &mut std::io::empty(), Some(1000));
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    assert!(done.out.len() < 10_000);
}
