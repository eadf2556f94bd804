//! Waiting for a state. Time is never what a test waits for: it only ends the waiting.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::{Instant, sleep, timeout_at};

/// How long something may take that takes a moment on a quiet machine. Generous: a loaded machine must
/// not fail a test, and a failing test may take its time.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How often a state is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Waits until `probe` succeeds; what it returns before says why not yet.
pub async fn until<T>(what: &str, probe: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    until_in(PATIENCE, what, probe).await
}

/// As [`until`], with another limit.
pub async fn until_in<T>(
    limit: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    let mut last: Option<anyhow::Error> = None;
    loop {
        match timeout_at(deadline, probe()).await {
            Ok(Ok(reached)) => return Ok(reached),
            Ok(Err(not_yet)) => last = Some(not_yet),
            Err(_) => last = last.or_else(|| Some(anyhow::anyhow!("no answer"))),
        }
        if Instant::now() >= deadline {
            let why = last.unwrap_or_else(|| anyhow::anyhow!("never looked"));
            return Err(why).with_context(|| format!("waited {limit:?} in vain until {what}"));
        }
        sleep(LOOK).await;
    }
}

/// Waits for a future, no longer than [`PATIENCE`].
pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> Result<T> {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => Ok(value),
        Err(_) => bail!("waited {PATIENCE:?} in vain until {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_reason_is_told() {
        let mut looks = 0;
        let reached = until("there were three looks", async || {
            looks += 1;
            anyhow::ensure!(looks == 3, "{looks} looks");
            Ok(looks)
        });
        assert_eq!(reached.await.unwrap(), 3);
        let never = until_in(Duration::from_millis(20), "pigs fly", async || {
            anyhow::ensure!(looks == 0, "no wings");
            Ok(())
        });
        let error = format!("{:#}", never.await.unwrap_err());
        assert!(error.contains("until pigs fly") && error.contains("no wings"), "{error}");
    }
}
