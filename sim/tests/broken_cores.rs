//! Cores with one rule broken on purpose: the simulator must notice within a few seeds, and must not complain
//! of the cores as they are under the same seeds.
//!
//! Nothing of this is in the cores. A copy of the tree is made, one expression in it is replaced, and the
//! simulator is built from that.
// Helpers of tests may stop a test; clippy only knows functions marked as tests.
#![allow(clippy::expect_used)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A rule of the cores, and what takes its place.
struct Break {
    what: &'static str,
    file: &'static str,
    rule: &'static str,
    broken: &'static str,
}

/// Quickly built and quickly caught: this one is tried in every run.
const LOSER_WINS: Break = Break {
    what: "merge: the older write wins",
    file: "netdb/core/src/replica/mod.rs",
    rule: "!entry.beats(old)",
    broken: "entry.beats(old)",
};

/// These take a build each, so they are tried in long runs.
const OTHERS: [Break; 9] = [
    Break {
        what: "merge: whatever comes last wins",
        file: "netdb/core/src/replica/mod.rs",
        rule: "|old| !entry.beats(old)",
        broken: "|_| false",
    },
    Break {
        what: "tombstones: a delete is forgotten at once",
        file: "netdb/core/src/replica/graves.rs",
        rule: "self.life.checked_sub(age)",
        broken: "Duration::ZERO.checked_sub(age)",
    },
    Break {
        what: "digest: one more is claimed than was received",
        file: "netdb/core/src/digest.rs",
        rule: "pub fn contiguous(&self) -> u64 {\n        self.contiguous\n    }",
        broken: "pub fn contiguous(&self) -> u64 {\n        self.contiguous + 1\n    }",
    },
    Break {
        what: "ring: a holder gives from a range that it has promised",
        file: "node/plan/src/ring/mod.rs",
        rule: "            && row.state == State::Held\n            && !self.unsettled",
        broken: "            && !self.unsettled",
    },
    Break {
        what: "moves: who took an endpoint over in the same moment gives it up as well",
        file: "node/plan/src/overlay/clash.rs",
        rule: "is_some_and(|moves| record.moves > *moves)",
        broken: "is_some_and(|moves| record.moves >= *moves)",
    },
    Break {
        what: "names: failed nodes' endpoints are told as well",
        file: "node/plan/src/dns/zone.rs",
        rule: "Standing::Failed => continue,",
        broken: "Standing::Failed => &mut *late,",
    },
    Break {
        what: "names: what an endpoint was called before stays",
        file: "node/plan/src/dns/zone.rs",
        rule: "            self.forget_endpoint(id, &before);",
        broken: "            let _ = before;",
    },
    Break {
        what: "balances: backends of failed nodes get what is new",
        file: "node/plan/src/lb/chosen.rs",
        rule: "_ if state == OwnerState::Failed => Some(Idle::Failed),",
        broken: "_ if state == OwnerState::Failed && backend.weight == 0 => Some(Idle::Failed),",
    },
    Break {
        what: "keyring: the old key is removed while others still use it",
        file: "netdb/core/src/node/keys.rs",
        rule: "if stage == KeyStage::RemoveOlder && keyring",
        broken: "if stage >= KeyStage::Use && keyring",
    },
];

/// Seeds in which a break must show, in one of these scenarios.
const SEEDS: u64 = 12;
const SCENARIOS: [&str; 6] = ["partition", "rotation", "churn", "addresses", "moves", "names"];

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.expect("the simulator is a room of the tree").to_path_buf()
}

#[test]
fn every_rule_is_still_where_it_is_broken() {
    for Break { what, file, rule, .. } in OTHERS.iter().chain([&LOSER_WINS]) {
        let text = fs::read_to_string(root().join(file)).expect("the file is there");
        assert_eq!(text.matches(rule).count(), 1, "{what}: in {file} there must be one {rule:?}");
    }
}

#[test]
fn broken_cores_are_noticed() {
    let long = env::var_os("NETDB_LONG").is_some();
    let others = OTHERS.iter().filter(|_| long);
    let mut last = 0;
    for broken in [&LOSER_WINS].into_iter().chain(others) {
        let simulator = build(broken);
        let (seed, said) = (1..=SEEDS)
            .find_map(|seed| Some((seed, complaint(&simulator, seed)?)))
            .unwrap_or_else(|| panic!("{}: not noticed in {SEEDS} seeds", broken.what));
        assert!(said.contains("BROKEN"), "{}: {said}", broken.what);
        last = last.max(seed);
    }
    let sound = Path::new(env!("CARGO_BIN_EXE_netdb-sim"));
    for seed in 1..=last {
        assert_eq!(complaint(sound, seed), None, "the cores as they are, seed {seed}");
    }
}

/// What a simulator says if an invariant breaks in one of the scenarios with this seed.
fn complaint(simulator: &Path, seed: u64) -> Option<String> {
    SCENARIOS.iter().find_map(|scenario| {
        let seed = seed.to_string();
        let arguments = ["run", "--scenario", scenario, "--nodes", "5", "--seed", &seed];
        let output = Command::new(simulator).args(arguments).output().expect("it starts");
        (!output.status.success()).then(|| text(&output))
    })
}

fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

/// Builds the simulator on cores with one rule broken; returns the program.
fn build(Break { what, file, rule, broken }: &Break) -> PathBuf {
    let tree = copy();
    let path = tree.join(PLACE).join(file);
    let text_before = fs::read_to_string(&path).expect("it was copied");
    assert_eq!(text_before.matches(rule).count(), 1, "{what}");
    fs::write(&path, text_before.replace(rule, broken)).expect("the copy is ours");

    // The same directory as for everything else, so that what we depend on is built already. Nothing there
    // is taken for the copy, nor the copy for it: the program has another name, the rooms other places.
    let sound = Path::new(env!("CARGO_BIN_EXE_netdb-sim"));
    let profile = sound.parent().expect("programs are in a directory");
    let release = profile.file_name().is_some_and(|name| name == "release");
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--offline", "--quiet", "--package", COPY])
        .args(release.then_some("--release"))
        .env("CARGO_TARGET_DIR", profile.parent().expect("profiles are in a directory"))
        .current_dir(&tree)
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{what}: {}", text(&output));
    profile.join(format!("{COPY}{}", env::consts::EXE_SUFFIX))
}

/// The simulator's name in the copy.
const COPY: &str = "netdb-sim-broken";
/// Where the rooms are in the copy: cargo tells packages apart by their place in the tree.
const PLACE: &str = "broken";
/// What the simulator is built from.
const ROOMS: [&str; 4] = ["gossip/core", "netdb/core", "node/plan", "sim"];

/// Copies what the simulator is built from. Files that are there and equal stay, so that little is built.
fn copy() -> PathBuf {
    let (from, to) = (root(), Path::new(env!("CARGO_TARGET_TMPDIR")).join("broken-cores"));
    for room in ROOMS {
        let (here, there) = (from.join(room), to.join(PLACE).join(room));
        // Its manifest names its benches.
        for part in ["src", "benches"].map(Path::new).into_iter().filter(|p| here.join(p).is_dir())
        {
            copy_directory(&here.join(part), &there.join(part));
        }
        copy_file(&here.join("Cargo.toml"), &there.join("Cargo.toml"), |text| {
            let text = text.replace("name = \"netdb-sim\"", &format!("name = \"{COPY}\""));
            if room == "sim" { text + "\n[lib]\nname = \"netdb_sim\"\n" } else { text }
        });
    }
    copy_file(&from.join("Cargo.toml"), &to.join("Cargo.toml"), |text| {
        let members: Vec<String> = ROOMS.iter().map(|r| format!("\"{PLACE}/{r}\"")).collect();
        let members = format!("members = [{}]", members.join(", "));
        let line = |line: &str| {
            let line = if line.starts_with("members = ") { &members } else { line };
            line.replace("path = \"", &format!("path = \"{PLACE}/")) + "\n"
        };
        text.lines().map(line).collect()
    });
    if !to.join("Cargo.lock").exists() {
        copy_file(&from.join("Cargo.lock"), &to.join("Cargo.lock"), |text| text);
    }
    // Below the tree its settings count anyway, and would count twice.
    if !to.starts_with(&from) {
        let config = ".cargo/config.toml";
        copy_file(&from.join(config), &to.join(config), |text| text);
    }
    to
}

fn copy_directory(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("it is there") {
        let path = entry.expect("it can be read").path();
        let name = path.file_name().expect("entries have names");
        if path.is_dir() {
            copy_directory(&path, &to.join(name));
        } else {
            copy_file(&path, &to.join(name), |text| text);
        }
    }
}

fn copy_file(from: &Path, to: &Path, change: impl FnOnce(String) -> String) {
    let text = change(fs::read_to_string(from).expect("the tree holds text"));
    if fs::read_to_string(to).is_ok_and(|there| there == text) {
        return;
    }
    fs::create_dir_all(to.parent().expect("files are in directories")).expect("it can be made");
    fs::write(to, text).expect("it can be written");
}
