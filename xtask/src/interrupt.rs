//! Work with real nodes that somebody may interrupt, and that leaves none of them behind.

use std::process::ExitCode;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

/// What a shell says of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Runs `work` to its end, or until Ctrl-C or being told to stop, which `tell` then says.
pub(crate) fn unless_interrupted(
    work: impl Future<Output = Result<ExitCode>>,
    tell: impl FnOnce(),
) -> Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("starting a runtime")?;
    runtime.block_on(async {
        // Both futures are dropped before this returns, and the nodes and their files with them.
        tokio::select! {
            code = work => code,
            () = interrupted() => {
                tell();
                Ok(ExitCode::from(INTERRUPTED))
            }
        }
    })
}

async fn interrupted() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        caught = tokio::signal::ctrl_c() => {
            if caught.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
