//! Why a command failed, how that is told, and the exit code that scripts see.

use std::io::{self, Write};

use netnode_api::{client::ClientError, error::Code};

use crate::terminal::{Look, Terminal};

/// The exit codes.
pub mod exit {
    /// Done.
    pub const OK: u8 = 0;
    /// It failed for another reason than those below.
    pub const FAILED: u8 = 1;
    /// The command line is wrong.
    pub const USAGE: u8 = 2;
    /// There is no such row, network or member.
    pub const NOT_FOUND: u8 = 3;
    /// The daemon does not answer, or is just starting or stopping.
    pub const UNREACHABLE: u8 = 4;
    /// It exists already, or something of the kind is under way.
    pub const CONFLICT: u8 = 5;
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Client(#[from] ClientError),
    /// The command line asks for something that can't be.
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    NotFound(String),
    /// The daemon stopped in good order while something was still to come from it.
    #[error("netnode is stopping")]
    Stopped,
    #[error("{0}")]
    Failed(String),
    #[error("the output can't be written: {0}")]
    Output(io::Error),
    /// What was compared differs: said already, and told by the exit code.
    #[error("they differ")]
    Differs,
    /// What should be compared could not be.
    #[error("{0}")]
    Trouble(Box<Self>),
    /// Whoever read the output has seen enough.
    #[error("the output was closed")]
    Closed,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Output(error),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        io::Error::from(error).into()
    }
}

impl Failure {
    /// What to do about it.
    fn hint(&self) -> Option<String> {
        match self {
            Self::Client(error) => error.hint(),
            Self::Trouble(failure) => failure.hint(),
            _ => None,
        }
    }

    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Client(error) => code_of(error),
            // As of diff(1): 2 is trouble of any kind.
            Self::Usage(_) | Self::Trouble(_) => exit::USAGE,
            Self::NotFound(_) => exit::NOT_FOUND,
            Self::Stopped => exit::UNREACHABLE,
            Self::Failed(_) | Self::Output(_) | Self::Differs => exit::FAILED,
            Self::Closed => exit::OK,
        }
    }

    /// Says what is wrong and what to do; a closed pipe is nobody's business.
    pub(crate) fn tell(&self, to: &mut dyn Write, terminal: Terminal) -> io::Result<()> {
        if matches!(self, Self::Closed | Self::Differs) {
            return Ok(());
        }
        let color = terminal.err_color;
        writeln!(to, "netdbctl: {} {self}", Look::Bad.paint("error:", color))?;
        let hint = self.hint();
        match hint {
            Some(hint) => writeln!(to, "  {} {hint}", Look::Heading.paint("hint:", color)),
            None => Ok(()),
        }
    }
}

fn code_of(error: &ClientError) -> u8 {
    match error {
        ClientError::Unreachable { .. } | ClientError::TimedOut(_) | ClientError::Broken(_) => {
            exit::UNREACHABLE
        }
        ClientError::NotUnderstood(_) => exit::FAILED,
        ClientError::Refused(problem) => match problem.code {
            Code::Invalid => exit::USAGE,
            Code::NotFound | Code::NotAttached => exit::NOT_FOUND,
            Code::Exists | Code::Conflict => exit::CONFLICT,
            Code::Starting | Code::Stopping | Code::Unreachable => exit::UNREACHABLE,
            Code::Reserved
            | Code::TooLarge
            | Code::Full
            | Code::Storage
            | Code::Internal
            | Code::Unknown => exit::FAILED,
        },
    }
}

#[cfg(test)]
mod tests {
    use netnode_api::error::Problem;

    use super::*;

    #[test]
    fn an_error_says_what_and_what_to_do() {
        let problem = Problem::new(Code::NotAttached, "this node is not attached to network blue")
            .with_hint("netdbctl scope attach blue");
        let failure = Failure::from(ClientError::Refused(problem));
        let mut told = Vec::new();
        failure.tell(&mut told, Terminal::default()).unwrap();
        let expected = "netdbctl: error: this node is not attached to network blue\n  \
                        hint: netdbctl scope attach blue\n";
        assert_eq!(String::from_utf8(told).unwrap(), expected);
        assert_eq!(failure.code(), exit::NOT_FOUND);
    }

    #[test]
    fn a_closed_pipe_is_quiet_and_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        let mut told = Vec::new();
        failure.tell(&mut told, Terminal::default()).unwrap();
        assert!(told.is_empty());
        assert_eq!(failure.code(), exit::OK);
    }
}
