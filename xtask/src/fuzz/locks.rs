//! The lock file of the fuzz targets beside the workspace's: what is fuzzed must be what is shipped.
//!
//! They are two because the fuzz targets are a workspace of their own: libFuzzer's bindings need a C++
//! compiler, which nobody else here should need.
#![cfg(test)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use crate::shell::root;

/// The versions of each package in a lock file.
fn versions(path: &str) -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join(path)).unwrap();
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines() {
        let quoted = |field: &str| Some(line.strip_prefix(field)?.trim_matches('"').to_owned());
        if let Some(found) = quoted("name = ") {
            name = found;
        } else if let Some(version) = quoted("version = ") {
            versions.entry(name.clone()).or_default().insert(version);
        }
    }
    versions
}

#[test]
fn what_is_fuzzed_is_what_is_shipped() {
    let (shipped, fuzzed) = (versions("Cargo.lock"), versions("fuzz/Cargo.lock"));
    assert!(shipped.contains_key("snow") && fuzzed.contains_key("libfuzzer-sys"));
    for (name, versions) in fuzzed {
        let Some(shipped) = shipped.get(&name) else { continue };
        assert!(
            versions.is_subset(shipped),
            "fuzz/Cargo.lock has {name} {versions:?}, Cargo.lock {shipped:?}: \
             `cargo update --manifest-path fuzz/Cargo.toml {name} --precise VERSION`"
        );
    }
}
