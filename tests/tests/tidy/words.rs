//! Words that must not stand in the tree, each with what to write instead.

use crate::{
    source::code,
    tree::{self, File, files},
};

struct Ban {
    /// Cut in two here, so that this file does not break its own law.
    word: &'static str,
    whole: bool,
    instead: &'static str,
    scope: Scope,
}

enum Scope {
    /// In every text file, comments included.
    Everywhere,
    /// In the code of some Rust files, outside comments and strings.
    Code(fn(&File) -> bool),
}

impl Scope {
    /// What of the file is searched.
    fn of(&self, file: &File) -> String {
        match self {
            Self::Everywhere => file.text.clone(),
            Self::Code(applies) if file.extension() == "rs" && applies(file) => code(&file.text),
            Self::Code(_) => String::new(),
        }
    }
}

const BANS: &[Ban] = &[
    Ban {
        word: concat!("TO", "DO"),
        whole: true,
        instead: "do it, or file an issue",
        scope: Scope::Everywhere,
    },
    Ban {
        word: concat!("FIX", "ME"),
        whole: true,
        instead: "fix it, or file an issue",
        scope: Scope::Everywhere,
    },
    Ban {
        word: concat!("XX", "X"),
        whole: true,
        instead: "say what is wrong, or file an issue",
        scope: Scope::Everywhere,
    },
    Ban {
        word: concat!("to", "do!"),
        whole: false,
        instead: "no stubs: leave it out until it is there",
        scope: Scope::Code(all),
    },
    Ban {
        word: concat!("unimple", "mented!"),
        whole: false,
        instead: "no stubs: leave it out until it is there",
        scope: Scope::Code(all),
    },
    Ban {
        word: concat!("#[ig", "nore"),
        whole: false,
        instead: "mend or delete the test; a slow one asks for $NETDB_LONG",
        scope: Scope::Code(all),
    },
    Ban {
        word: concat!("allow(dead", "_code"),
        whole: false,
        instead: "delete what is not used",
        scope: Scope::Code(all),
    },
    Ban {
        word: concat!("extern crate ", "std"),
        whole: true,
        instead: "a core is no_std: what it needs from a machine is handed in",
        scope: Scope::Code(in_a_core),
    },
    Ban {
        word: concat!("bin", "code::"),
        whole: false,
        instead: "codec::{encode, decode}: one file knows the encoding",
        scope: Scope::Code(beside_the_codec),
    },
    Ban {
        word: concat!("print", "ln!("),
        whole: true,
        instead: "a writer: this macro panics when the pipe is closed",
        scope: Scope::Code(in_the_faces),
    },
    Ban {
        word: concat!("prin", "t!("),
        whole: true,
        instead: "a writer: this macro panics when the pipe is closed",
        scope: Scope::Code(in_the_faces),
    },
];

/// Names that say nothing about what a file or module holds.
const EMPTY_NAMES: &[&str] =
    &["common", "helper", "helpers", "misc", "shared", "types", "util", "utils"];

fn all(_: &File) -> bool {
    true
}

fn in_a_core(file: &File) -> bool {
    file.path.contains("/core/src/") && !file.is_test()
}

fn beside_the_codec(file: &File) -> bool {
    file.path != "gossip/core/src/codec.rs"
}

fn in_the_faces(file: &File) -> bool {
    file.path.starts_with("node/") && !file.is_test()
}

#[test]
fn no_banned_word() {
    let mut offences = Vec::new();
    for file in files(&["rs", "md", "toml", "sh", "yml"]) {
        for ban in BANS {
            for (number, line) in ban.scope.of(&file).lines().enumerate() {
                if holds(line, ban) {
                    offences.push(format!(
                        "{}:{}: `{}`: {}",
                        file.path,
                        number + 1,
                        ban.word,
                        ban.instead
                    ));
                }
            }
        }
    }
    tree::none(&offences);
}

fn holds(line: &str, ban: &Ban) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(ban.word).any(|(at, found)| {
        let before = line[..at].chars().next_back();
        let after = line[at + found.len()..].chars().next();
        let ends_in_word = found.ends_with(word);
        !ban.whole || !(before.is_some_and(word) || (ends_in_word && after.is_some_and(word)))
    })
}

#[test]
fn names_say_what_is_inside() {
    let mut offences = Vec::new();
    for file in files(&["rs"]) {
        let folders = file.path.split('/').rev().skip(1);
        let inline = code(&file.text);
        let modules = inline.lines().filter_map(|line| {
            let (_, name) = line.trim().split_once("mod ")?;
            name.split([' ', ';', '{']).next()
        });
        for name in folders.chain([file.stem()]).chain(modules) {
            if EMPTY_NAMES.contains(&name) {
                offences.push(format!("{}: `{name}`: name it after what it holds", file.path));
            }
        }
    }
    tree::none(&offences);
}

/// A clock in an assertion fails on a loaded machine and proves nothing on an idle one.
#[test]
fn no_assertion_on_elapsed_time() {
    let mut offences = Vec::new();
    for file in files(&["rs"]) {
        for (number, line) in code(&file.text).lines().enumerate() {
            if line.contains("assert") && line.contains(".elapsed()") {
                offences.push(format!(
                    "{}:{}: assert what happened; wait for a state, with a deadline",
                    file.path,
                    number + 1
                ));
            }
        }
    }
    tree::none(&offences);
}

#[test]
fn a_whole_word_is_not_part_of_another() {
    let ban = |word, whole| Ban { word, whole, instead: "", scope: Scope::Everywhere };
    assert!(holds("see ABC.", &ban("ABC", true)));
    assert!(!holds("ABCD, _ABC", &ban("ABC", true)));
    assert!(!holds("eprint!(x)", &ban("print!(", true)));
    assert!(holds("print!(x)", &ban("print!(", true)));
    assert!(holds("xABCx", &ban("ABC", false)));
}
