//! Dependencies go one way, and what a machine provides stays out of the cores.

use std::{collections::BTreeMap, env, fs, process::Command};

use serde_json::Value;

use crate::tree::{self, files, root};

/// Which packages of ours a package may use (normal and build dependencies); others, none.
const ALLOWED: &[(&str, &[&str])] = &[
    ("netdb-gossip-core", &[]),
    ("netdb-gossip", &["netdb-gossip-core"]),
    ("netdb-core", &["netdb-gossip-core"]),
    ("netdb", &["netdb-core", "netdb-gossip", "netdb-gossip-core"]),
    ("netnode-plan", &["netdb-core", "netdb-gossip-core"]),
    ("netdb-sim", &["netdb-core", "netdb-gossip-core", "netnode-plan"]),
    // It knows names only as they are told to it.
    ("netnode-dns", &[]),
    ("netnode-api", &[]),
    ("netnode-cli", &["netnode-api"]),
    ("netnode", &["netdb", "netnode-api", "netnode-dns", "netnode-plan"]),
    // It knows the programs from outside only.
    ("netdb-tests", &["netnode-api"]),
    ("xtask", &["netdb-tests", "netnode-api"]),
];

/// Sans-IO: inputs in, outputs out, no socket, thread, clock or random source.
const CORES: &[&str] = &["netdb-gossip-core", "netdb-core", "netnode-plan"];
/// What must not come into a core, not even through a dependency.
const NOT_IN_A_CORE: &[&str] = &["tokio", "mio", "socket2", "getrandom", "nix", "rustix"];
/// What makes a daemon: a client of the API must not have to build it.
const NOT_IN_THE_API: &[&str] =
    &["axum", "chacha20poly1305", "foca", "redb", "snow", "tracing-subscriber", "x25519-dalek"];

struct Package {
    name: String,
    /// From the root.
    folder: String,
    /// Names of normal and build dependencies, ours and others'.
    uses: Vec<String>,
}

pub(crate) struct Workspace(Vec<Package>);

impl Workspace {
    pub(crate) fn read() -> Self {
        let text = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
        let metadata: Value = serde_json::from_str(&text).expect("metadata is JSON");
        Self(metadata["packages"].as_array().unwrap().iter().map(package).collect())
    }

    /// The packages' names by their folders.
    pub(crate) fn folders(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|package| (package.folder.clone(), package.name.clone())).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|package| package.name == name)
    }
}

fn package(value: &Value) -> Package {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let manifest = text(&value["manifest_path"]);
    let folder = manifest
        .strip_prefix(&format!("{}/", root().display()))
        .and_then(|path| path.strip_suffix("/Cargo.toml"))
        .expect("every member lies in a folder of the tree");
    let uses = value["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|dependency| dependency["kind"] != "dev")
        .map(|dependency| text(&dependency["name"]))
        .collect();
    Package { name: text(&value["name"]), folder: folder.to_owned(), uses }
}

fn cargo(args: &[&str]) -> String {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(args).current_dir(root()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {}: {errors}", args.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

/// Every crate that a package is linked with, by name.
fn linked(package: &str) -> Vec<String> {
    let tree = ["tree", "--edges", "normal", "--prefix", "none", "--package", package];
    cargo(&tree)
        .lines()
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

#[test]
fn dependencies_go_one_way() {
    let workspace = Workspace::read();
    let mut offences = Vec::new();
    for package in &workspace.0 {
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == package.name) else {
            offences.push(format!("{}: say in {} what it may use", package.name, file!()));
            continue;
        };
        for used in package.uses.iter().filter(|used| workspace.has(used)) {
            if !allowed.contains(&used.as_str()) {
                offences.push(format!("{} must not depend on {used}", package.name));
            }
        }
    }
    tree::none(&offences);
}

#[test]
fn cores_are_linked_with_nothing_of_a_machine() {
    let mut offences = Vec::new();
    for core in CORES {
        for name in linked(core) {
            if NOT_IN_A_CORE.contains(&name.as_str()) {
                offences.push(format!("{core} is linked with {name}: `cargo tree -i {name}`"));
            }
        }
    }
    tree::none(&offences);
}

#[test]
fn cores_are_no_std() {
    let workspace = Workspace::read();
    for core in CORES {
        let package = workspace.0.iter().find(|package| package.name == *core).unwrap();
        let top = fs::read_to_string(root().join(&package.folder).join("src/lib.rs")).unwrap();
        assert!(top.lines().any(|line| line == "#![no_std]"), "{core} lacks #![no_std]");
    }
}

#[test]
fn a_client_need_not_build_the_daemon() {
    let offences: Vec<String> = linked("netnode-api")
        .into_iter()
        .filter(|name| NOT_IN_THE_API.contains(&name.as_str()) || name.starts_with("netdb"))
        .map(|name| format!("netnode-api is linked with {name}"))
        .collect();
    tree::none(&offences);
}

/// A nested file replaces the root's as a whole: its bans would be gone without a word.
#[test]
fn there_is_one_clippy_configuration() {
    let nested: Vec<String> = files(&["toml"])
        .into_iter()
        .filter(|file| file.stem() == "clippy" && file.path != "clippy.toml")
        .map(|file| format!("{}: move it to the root's clippy.toml", file.path))
        .collect();
    tree::none(&nested);
}

/// A member without the workspace's lints is checked by none of them.
#[test]
fn every_member_takes_the_lints() {
    let mut offences = Vec::new();
    for package in Workspace::read().0 {
        let path = format!("{}/Cargo.toml", package.folder);
        if !fs::read_to_string(root().join(&path)).unwrap().contains("[lints]\nworkspace = true\n")
        {
            offences.push(format!("{path}: lacks `[lints]` with `workspace = true`"));
        }
    }
    tree::none(&offences);
}
