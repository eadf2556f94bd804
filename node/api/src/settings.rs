//! The settings of a running node.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Setting {
    /// Its name, as in the file.
    pub name: String,
    /// Under which heading it stands.
    pub group: String,
    /// What it does.
    pub help: String,
    /// What kind of value it takes: `TIME`, `BYTES`, `N`, or the words that it may be.
    pub unit: String,
    /// What it is, if set.
    pub value: Option<String>,
    /// What it is if nobody says otherwise (in the profile in force), if anything.
    pub default: Option<String>,
    /// Who said what it is.
    pub origin: Origin,
    /// Whether a reload can change it; the others need a restart.
    pub live: bool,
}

/// Who said what a setting is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Origin {
    /// Nobody: the profile, or the built-in value.
    Default,
    /// A line of the configuration file.
    File {
        /// The file.
        path: String,
        /// From 1.
        line: usize,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// A flag on the command line.
    Flag {
        /// The flag.
        flag: String,
    },
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Environment { variable } => write!(f, "environment {variable}"),
            Self::Flag { flag } => write!(f, "flag {flag}"),
        }
    }
}
