//! The tests and scenarios that `docs/parity.md` names are there: a table of tests must not rot.

use crate::{
    links::joined,
    source::code,
    tree::{self, files},
};

const PAGE: &str = "docs/parity.md";

#[test]
fn parity_names_tests_that_exist() {
    let pages = files(&["md"]);
    let page = pages.iter().find(|page| page.path == PAGE).unwrap();
    let sources = files(&["rs"]);
    let mut offences = Vec::new();
    let tests = tests(&page.text);
    assert!(!tests.is_empty(), "{PAGE} names no test: has its form changed?");
    for (test, link) in tests {
        let path = joined(PAGE, link);
        let source = sources.iter().find(|source| source.path == path);
        if !source.is_some_and(|source| is_test(&code(&source.text), test)) {
            offences.push(format!("{PAGE}: there is no test {test} in {path}"));
        }
    }
    let scripts = sources.iter().filter(|source| source.path.starts_with("sim/src/scenario/"));
    let scripts: String = scripts.map(|script| script.text.as_str()).collect();
    for scenario in scenarios(&page.text) {
        if !scripts.contains(&format!("name: \"{scenario}\"")) {
            offences.push(format!("{PAGE}: there is no scenario {scenario}"));
        }
    }
    tree::none(&offences);
}

/// What a page links to as [`name`](file.rs).
fn tests(text: &str) -> Vec<(&str, &str)> {
    let links = text.split("[`").skip(1).filter_map(|rest| {
        let (name, rest) = rest.split_once("`](")?;
        Some((name, rest.split_once(')')?.0))
    });
    links.filter(|(_, link)| link.rsplit_once('.').is_some_and(|(_, kind)| kind == "rs")).collect()
}

/// The names behind `--scenario`.
fn scenarios(text: &str) -> Vec<&str> {
    let named = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let behind = text.split("--scenario ").skip(1);
    behind.filter_map(|rest| rest.split(|c| !named(c)).next()).collect()
}

/// Whether a function of this name stands right below an attribute that makes it a test.
fn is_test(code: &str, name: &str) -> bool {
    let mut test = false;
    code.lines().map(str::trim).any(|line| {
        if line.starts_with("#[") {
            test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            return false;
        }
        let function = line.trim_start_matches("async ").strip_prefix("fn ");
        let found = test && function.and_then(|rest| rest.split('(').next()) == Some(name);
        test &= line.is_empty();
        found
    })
}

#[test]
fn names_are_found_and_told_from_others() {
    let text = "[`a`](../x.rs), [b](y.rs), [`c`](z.md), `--scenario lost-push`";
    assert_eq!(tests(text), [("a", "../x.rs")]);
    assert_eq!(scenarios(text), ["lost-push"]);
    let code =
        "#[test]\nfn a() {}\n#[tokio::test(flavor)]\n#[cfg(unix)]\n\nasync fn b() {}\nfn c() {}";
    assert!(is_test(code, "a") && is_test(code, "b"));
    assert!(!is_test(code, "c") && !is_test(code, "d"));
}
