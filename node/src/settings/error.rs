//! What is wrong with the settings: what, where, and what to do.

use std::{fmt, io, path::PathBuf};

use super::Origin;

/// One setting that can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The setting, as it was written.
    pub setting: String,
    /// What it was to be.
    pub text: String,
    /// Who said so.
    pub origin: Origin,
    /// Why not.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, text, origin, what } = self;
        if text.is_empty() {
            write!(f, "{setting} ({origin}): {what}")
        } else {
            write!(f, "{setting} = {text} ({origin}): {what}")
        }
    }
}

/// Why there are no settings to run with.
#[derive(Debug)]
pub enum SettingsError {
    /// The file can't be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The file is no TOML.
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        error: Box<toml::de::Error>,
    },
    /// Settings that can't be used.
    Problems(Vec<Problem>),
}

impl std::error::Error for SettingsError {}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => {
                write!(f, "the configuration file {} can't be read: {error}", path.display())
            }
            Self::Syntax { path, error } => {
                let error = error.to_string();
                write!(f, "{} is no valid TOML: {}", path.display(), error.trim_end())
            }
            Self::Problems(problems) => {
                for (i, problem) in problems.iter().enumerate() {
                    write!(f, "{}{problem}", if i == 0 { "" } else { "\n" })?;
                }
                Ok(())
            }
        }
    }
}
