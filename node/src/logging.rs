//! Logs: to standard error, for people or as JSON, at a level that can change while the node runs.

use std::io::{self, IsTerminal};

use tracing_subscriber::{
    EnvFilter, Layer, Registry, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

use crate::settings::{LogFormat, LogLevel, Settings};

/// Changes what is logged.
#[derive(Clone)]
pub(crate) struct Logging(reload::Handle<EnvFilter, Registry>);

/// Starts logging for the whole process.
pub(crate) fn start(settings: &Settings) -> Logging {
    let (filter, handle) = reload::Layer::new(settings.log_level.to_filter());
    // https://no-color.org: any value but the empty one.
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let color = io::stderr().is_terminal() && !plain;
    let lines = match settings.log_format {
        LogFormat::Human => fmt::layer().with_writer(io::stderr).with_ansi(color).boxed(),
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(io::stderr).boxed(),
    };
    // It fails only if the process logs already, as in a test; then that goes on.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    Logging(handle)
}

impl Logging {
    /// Logs at another level from now on.
    pub(crate) fn set_level(&self, level: &LogLevel) {
        // It fails only if logging never started, and then there is nothing to change.
        let _ = self.0.reload(level.to_filter());
    }
}
