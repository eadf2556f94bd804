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
