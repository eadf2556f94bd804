//! The service manager (systemd): what it is told, and the one thing that it is asked.
//!
//! Without a service manager all of this does nothing.

use std::{path::Path, process::Stdio, time::Duration};

use sd_notify::NotifyState;
use tokio::{process::Command, time::timeout};

/// How long the service manager may take to say whether the host goes down.
const ASK_TIMEOUT: Duration = Duration::from_secs(1);

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}

/// The node runs and its socket answers.
pub(crate) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Settings are read again; [`ready`] follows.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The node is on its way out.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The node is well.
pub(crate) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often the service manager wants to hear that the node is well: twice in the time after which it
/// would take it for hung.
pub(crate) fn watchdog_interval() -> Option<Duration> {
    let limit = sd_notify::watchdog_enabled()?;
    (!limit.is_zero()).then(|| limit / 2)
}

/// Whether the host goes down. No answer in time counts as no.
pub(crate) async fn host_is_stopping() -> bool {
    if !sd_notify::booted().unwrap_or(false) {
        return false;
    }
    is_stopping_by(Path::new("systemctl")).await
}

async fn is_stopping_by(program: &Path) -> bool {
    let asked = Command::new(program)
        .arg("is-system-running")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    match timeout(ASK_TIMEOUT, asked).await {
        Ok(Ok(output)) => output.stdout.trim_ascii() == b"stopping",
        Ok(Err(error)) => {
            tracing::debug!(%error, "systemctl could not be asked");
            false
        }
        Err(_) => {
            tracing::debug!("systemctl did not answer in time");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    async fn answer(script: &str) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("systemctl");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        is_stopping_by(&program).await
    }

    #[tokio::test]
    async fn only_the_word_stopping_counts() {
        // As systemctl does it: anything but "running" exits with 1.
        assert!(answer("echo stopping; exit 1").await);
        assert!(!answer("echo running").await);
        assert!(!answer("echo degraded; exit 1").await);
        assert!(!is_stopping_by(Path::new("/nonexistent/systemctl")).await);
    }

    #[tokio::test]
    async fn no_answer_counts_as_no() {
        assert!(!answer("echo stopping; exec sleep 60").await);
    }
}
