//! Whole command lines, without a daemon: help, mistakes, exit codes.

use super::*;

async fn run_line(line: &str) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut input = io::empty();
    let terminal = Terminal::default();
    let mut io = Io { out: &mut out, err: &mut err, input: &mut input, terminal };
    let words = line.split(' ').map(OsString::from);
    let code = run(words, &mut io).await;
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[tokio::test]
async fn help_goes_to_standard_output() {
    let (code, out, err) = run_line("netdbctl table dump --help").await;
    assert_eq!((code, err.as_str()), (exit::OK, ""));
    assert!(out.contains("Examples:") && out.contains("--jsonl"));
    assert!(!out.contains('\u{1b}'));
}

#[tokio::test]
async fn a_mistake_is_a_usage_error() {
    let (code, out, err) = run_line("netdbctl table dmup").await;
    assert_eq!((code, out.as_str()), (exit::USAGE, ""));
    assert!(err.contains("dump"), "{err}");
    let (code, _, err) = run_line("netdbctl leave").await;
    assert_eq!(code, exit::USAGE);
    assert!(err.contains("--yes"), "{err}");
    let (code, _, err) = run_line("netdbctl table get blue t 0x --hex").await;
    assert_eq!(code, exit::USAGE);
    assert!(err.contains("hexadecimal"), "{err}");
}

#[tokio::test]
async fn a_daemon_that_is_not_there_has_its_own_code() {
    let (code, out, err) = run_line("netdbctl --socket /nonexistent/s members").await;
    assert_eq!((code, out.as_str()), (exit::UNREACHABLE, ""));
    assert!(err.contains("/nonexistent/s") && err.contains("hint:"), "{err}");
}

#[tokio::test]
async fn completions_know_every_command() {
    let words = ["status", "metrics", "peers", "--keep-going", "--jsonl"];
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, out, err) = run_line(&format!("netdbctl completions {shell}")).await;
        assert_eq!((code, err.as_str()), (exit::OK, ""));
        for word in words {
            // fish writes long options without their dashes.
            assert!(
                out.contains(word.trim_start_matches('-')),
                "{word} is not in that for {shell}"
            );
        }
    }
    assert_eq!(run_line("netdbctl completions ksh93").await.0, exit::USAGE);
}

/// The files that there have to be.
fn pages(command: &clap::Command, name: &str) -> Vec<String> {
    let subs = command.get_subcommands().filter(|sub| sub.get_name() != "help");
    let below = subs.flat_map(|sub| pages(sub, &format!("{name}-{}", sub.get_name())));
    std::iter::once(format!("{name}.1")).chain(below).collect()
}

#[tokio::test]
async fn every_command_has_a_manual_page_with_its_options_and_examples() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("man1");
    let (code, out, err) = run_line(&format!("netdbctl man {}", to.display())).await;
    assert_eq!((code, err.as_str()), (exit::OK, ""));
    assert!(out.contains(to.to_str().unwrap()));
    let expected = pages(&<Args as clap::CommandFactory>::command(), "netdbctl");
    assert_eq!(std::fs::read_dir(&to).unwrap().count(), expected.len());
    for page in expected {
        let text = std::fs::read_to_string(to.join(&page)).unwrap();
        for part in [".TH ", ".SH SYNOPSIS", "Examples:"] {
            assert!(text.contains(part), "{page} has no {part}");
        }
    }
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let (code, _, err) = run_line(&format!("netdbctl man {}", file.display())).await;
    assert_eq!(code, exit::FAILED);
    assert!(err.contains(file.to_str().unwrap()), "{err}");
}

/// Answers one request on a socket with this status and body.
fn answers_once(path: &std::path::Path, status: u16, body: &'static str) {
    use std::io::{Read, Write};
    let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_of_diff_is_that_of_diff() {
    let diff = |verdict| {
        let who = |id| format!(r#"{{"id":"{id}","name":"{id}"}}"#);
        let (left, right) = (who("a"), who("b"));
        let text = format!(
            r#"{{"left":{left},"right":{right},"verdict":"{verdict}","networks":[],"apart":[]}}"#
        );
        &*text.leak()
    };
    let refused = r#"{"error":{"code":"unreachable","message":"b is failed"}}"#;
    let cases = [
        (200, diff("equal"), exit::OK),
        (200, diff("on_its_way"), exit::OK),
        (200, diff("different"), exit::FAILED),
        (504, refused, exit::USAGE),
    ];
    for (status, body, expected) in cases {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("s");
        answers_once(&socket, status, body);
        let (code, out, err) =
            run_line(&format!("netdbctl --socket {} diff a b", socket.display())).await;
        assert_eq!(code, expected, "{out}{err}");
        assert_eq!(out.contains("left   a (a)"), status == 200, "{out}");
        assert_eq!(err.contains("b is failed"), status != 200, "{err}");
    }
    let (code, _, err) = run_line("netdbctl --socket /nonexistent/s diff a b").await;
    assert_eq!(code, exit::USAGE);
    assert!(err.contains("hint:"), "{err}");
}
