//! `--json` on every command of netdbctl: what comes out is JSON, and nothing else.

use std::{collections::BTreeSet, io::Cursor};

use clap::CommandFactory;
use netnode_cli::args::Args;
use serde_json::Value;

use crate::harness::Host;

/// What these print is for a shell and for `man`.
const TEXTS: [&str; 2] = ["completions", "man"];

/// These change a network namespace; the data plane's tests try them in some of their own.
const PLUGS: [&str; 5] =
    ["dns query", "endpoint attach", "endpoint detach", "endpoint drain", "endpoint health"];

/// One line for each command, in an order in which they work.
const LINES: [&str; 43] = [
    "status",
    "members",
    "network create -o mtu=1400 web",
    "network ls",
    "network inspect web",
    "ipam usage",
    "service create --network web -p 8080:80 api",
    "service ls",
    "service inspect api",
    "service update api --label-add tier=front --endpoint-mode vip",
    "lb show api",
    "service rm api",
    "network rm web",
    "endpoint ls",
    "scope attach blue --wait",
    "scope",
    "scope ls",
    "scope peers blue",
    "table create blue t k v",
    "table update blue t k w",
    "table upsert blue t k x",
    "table load blue t -",
    "table ls",
    "table dump",
    "table get blue t k",
    "table watch --network blue --count 1",
    "table delete blue t k",
    "keys list",
    "keys rotate --wait",
    "token show",
    "token rotate --expires 1h",
    "join",
    "complete blue",
    "config show",
    "reload",
    "stats",
    "metrics",
    "debug",
    "top --once --interval 1",
    "diff a b",
    "scope detach blue",
    "ipam reclaim --yes gone",
    "leave --yes",
];

/// Every command that has none below it, and every one that can do without.
fn commands(command: &clap::Command, path: &str, found: &mut BTreeSet<String>) {
    let mut below = command.get_subcommands().filter(|sub| sub.get_name() != "help").peekable();
    if !path.is_empty() && (below.peek().is_none() || !command.is_subcommand_required_set()) {
        found.insert(path.trim().to_owned());
    }
    for sub in below {
        commands(sub, &format!("{path} {}", sub.get_name()), found);
    }
}

#[test]
fn every_command_prints_json_if_told_to() {
    let mut all = BTreeSet::new();
    commands(&Args::command(), "", &mut all);
    let mut host = Host::bare("a");
    host.init();
    host.start(&["--key-retire-after", "1s"]);
    let _other = Host::joined("b", &host);
    let mut gone = Host::joined("gone", &host);
    gone.ok("leave --yes");
    assert!(gone.ended().success());
    for line in LINES {
        let named = |command: &&String| {
            line.split(' ').take(command.split(' ').count()).eq(command.split(' '))
        };
        let command = all.iter().filter(named).max_by_key(|command| command.len()).unwrap().clone();
        all.remove(&command);
        // A stream has no end: each of its events is a document.
        let flag = if command == "table watch" { "--jsonl" } else { "--json" };
        let mut input = Cursor::new(b"a\t1\nb\t2\n");
        let done = host.ctl_with(&format!("{line} {flag}"), &mut input, None);
        assert!(done.code == 0 || (command == "diff" && done.code == 1), "{line}: {done:?}");
        let parsed: Result<Value, _> = serde_json::from_str(&done.out);
        assert!(parsed.is_ok(), "{line}: {done:?}");
    }
    all.retain(|command| !TEXTS.contains(&&**command) && !PLUGS.contains(&&**command));
    assert!(all.is_empty(), "not tried: {all:?}");
    assert!(host.ended().success());
}
