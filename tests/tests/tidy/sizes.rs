//! Files and functions stay small enough to be read in one go, and say at their top what they own.

use crate::{
    source::{code, functions, without_tests},
    tree::{self, files},
};

/// The most lines of a file, its inline tests not counted.
const FILE_LINES: usize = 600;
/// The most lines of a file that is all tests.
const TEST_FILE_LINES: usize = 1_000;
/// The most lines of a function, from `fn` to its closing brace.
const FUNCTION_LINES: usize = 70;
/// The architecture page is read from top to bottom by whoever is new.
const ARCHITECTURE_LINES: usize = 300;

#[test]
fn files_are_short() {
    let mut offences = Vec::new();
    for file in files(&["rs"]) {
        let limit = if file.is_test() { TEST_FILE_LINES } else { FILE_LINES };
        let lines = without_tests(&code(&file.text)).lines().count();
        if lines > limit {
            offences.push(format!(
                "{}: {lines} lines, {limit} at most: find the seam and make it a module",
                file.path
            ));
        }
    }
    tree::none(&offences);
}

#[test]
fn functions_are_short() {
    let mut offences = Vec::new();
    for file in files(&["rs"]).into_iter().filter(|file| !file.is_test()) {
        for function in functions(&without_tests(&code(&file.text))) {
            if function.lines > FUNCTION_LINES {
                offences.push(format!(
                    "{}:{}: `{}` has {} lines, {FUNCTION_LINES} at most: name its parts",
                    file.path, function.line, function.name, function.lines
                ));
            }
        }
    }
    tree::none(&offences);
}

#[test]
fn every_file_says_what_it_owns() {
    let offences: Vec<String> = files(&["rs"])
        .into_iter()
        .filter(|file| !file.text.starts_with("//! "))
        .map(|file| {
            format!(
                "{}: starts without `//! `: what does it own, what must it never do?",
                file.path
            )
        })
        .collect();
    tree::none(&offences);
}

#[test]
fn the_architecture_fits_one_reading() {
    let page = files(&["md"]).into_iter().find(|file| file.path == "docs/architecture.md");
    let lines = page.expect("docs/architecture.md is gone").text.lines().count();
    assert!(lines <= ARCHITECTURE_LINES, "docs/architecture.md: {lines} lines");
}
