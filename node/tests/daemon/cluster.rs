//! Two hosts: joining, seeing each other's rows, leaving.

use std::process::Output;

use serde_json::Value;

use crate::harness::{Host, json_lines, text, until};

fn address(host: &Host) -> String {
    let status: Value = serde_json::from_str(&host.ok("status --json")).unwrap();
    status["address"].as_str().unwrap().to_owned()
}

fn join(host: &Host, token: &str, peer: &str) -> Output {
    host.netnode(&["join", token, peer])
}

#[test]
fn a_second_node_joins_sees_rows_and_leaves() {
    let one = Host::attached("one");
    one.ok("table create blue t k 1 --lifetime owner");
    let mut two = Host::bare("two");
    let joined = join(&two, one.ok("token show").trim(), &address(&one));
    assert!(joined.status.success(), "{}", text(&joined.stderr));
    assert!(text(&joined.stdout).starts_with("joined cluster "));
    two.start(&[]);
    two.ok("scope attach blue --wait");
    until("the row arrives", || two.ctl("table get blue t k").code == 0);
    let row = &json_lines(&two.ok("table get blue t k --jsonl"))[0];
    assert_eq!(row["owner_name"], "one");
    until("both know both", || {
        let alive = |host: &Host| host.ok("members").matches("\talive\t").count();
        alive(&one) == 2 && alive(&two) == 2
    });
    assert_eq!(one.ok("scope peers blue --jsonl").lines().count(), 2);
    // Leaving needs an answer or --yes, ends the process, and is for good.
    assert_eq!(two.ctl("leave").code, 2);
    two.ok("leave --yes");
    assert!(two.ended().success(), "{}", two.log());
    until("the other sees it gone", || !one.ok("members").contains("two\talive"));
    let again = two.netnode(&[]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("belongs to no cluster"), "{}", text(&again.stderr));
}

#[test]
fn a_wrong_token_is_refused_plainly_and_nothing_is_written() {
    let one = Host::running("one");
    let old = one.ok("token show").trim().to_owned();
    one.ok("token rotate");
    let two = Host::bare("two");
    for token in ["nonsense", old.as_str()] {
        let refused = join(&two, token, &address(&one));
        assert_eq!(refused.status.code(), Some(1), "{token}");
        let told = text(&refused.stderr);
        assert!(told.starts_with("netnode: error: ") && told.contains("token"), "{told}");
    }
    assert!(!two.path("state").join("netdb.redb").exists());
}
