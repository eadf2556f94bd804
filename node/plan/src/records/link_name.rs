//! The name of a network interface, as the kernel takes it.

use alloc::string::String;
use core::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// 1 to 15 bytes without `/`, `:` and space (`dev_valid_name` in Linux's net/core/dev.c), and, since
/// nobody means them, without control characters and what is not ASCII.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinkName(String);

/// Why a text is not a [`LinkName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkNameError {
    /// Nothing there, `.` or `..`.
    #[error("an interface's name must not be empty, '.' or '..'")]
    Empty,
    /// The kernel has no room for it.
    #[error("an interface's name has at most 15 bytes, this one has {0}")]
    TooLong(usize),
    /// Not allowed in such a name.
    #[error("{0:?} is not allowed in an interface's name")]
    Character(char),
}

impl LinkName {
    /// The most bytes of a name: IFNAMSIZ less the closing zero.
    pub const MAX_LEN: usize = 15;

    /// Checks and takes a name.
    pub fn new(text: &str) -> Result<Self, LinkNameError> {
        if matches!(text, "" | "." | "..") {
            return Err(LinkNameError::Empty);
        }
        if text.len() > Self::MAX_LEN {
            return Err(LinkNameError::TooLong(text.len()));
        }
        let bad = |c: &char| !c.is_ascii_graphic() || matches!(c, '/' | ':' | '%');
        match text.chars().find(bad) {
            Some(bad) => Err(LinkNameError::Character(bad)),
            None => Ok(Self(text.into())),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for LinkName {
    type Error = LinkNameError;

    fn try_from(text: String) -> Result<Self, LinkNameError> {
        Self::new(&text)
    }
}

impl FromStr for LinkName {
    type Err = LinkNameError;

    fn from_str(text: &str) -> Result<Self, LinkNameError> {
        Self::new(text)
    }
}

impl From<LinkName> for String {
    fn from(name: LinkName) -> Self {
        name.0
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
