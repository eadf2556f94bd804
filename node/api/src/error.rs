//! What a refused request is answered with: a code for programs, a message and a hint for people.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// What is wrong.
    pub error: Problem,
}

/// What is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// For programs.
    pub code: Code,
    /// For people: what was wrong and where.
    pub message: String,
    /// For people: what to do, where that is not plain from the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What kind of problem it is. Names never change; new ones may come.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request is not well formed: a name, a key, a number.
    Invalid,
    /// There is no such row, network, member or path.
    NotFound,
    /// The node is not attached to the network.
    NotAttached,
    /// What should be created is there already.
    Exists,
    /// Something of the same kind is under way.
    Conflict,
    /// It is the node's own and can't be changed from outside.
    Reserved,
    /// A key, a value or a body is over its limit.
    TooLarge,
    /// A limit of the node is reached.
    Full,
    /// A member that is needed does not answer.
    Unreachable,
    /// The node is not ready yet: try again in a moment.
    Starting,
    /// The node is on its way out.
    Stopping,
    /// The state directory can't be written.
    Storage,
    /// A fault of the node's own.
    Internal,
    /// A code of a newer netnode.
    #[serde(other)]
    Unknown,
}

impl Code {
    /// The HTTP status that goes with it.
    pub fn status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Reserved => 403,
            Self::NotFound | Self::NotAttached => 404,
            Self::Exists | Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Full => 507,
            Self::Starting | Self::Stopping | Self::Storage => 503,
            Self::Unreachable => 504,
            Self::Internal | Self::Unknown => 500,
        }
    }
}

impl Problem {
    /// A problem without a hint.
    pub fn new(code: Code, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string(), hint: None }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_of_an_error_is_stable() {
        let error = Problem::new(Code::NotAttached, "not here").with_hint("attach first");
        let json = serde_json::to_string(&ErrorBody { error }).unwrap();
        let expected =
            r#"{"error":{"code":"not_attached","message":"not here","hint":"attach first"}}"#;
        assert_eq!(json, expected);
        let plain = serde_json::to_string(&Problem::new(Code::Invalid, "no")).unwrap();
        assert_eq!(plain, r#"{"code":"invalid","message":"no"}"#);
    }

    #[test]
    fn a_code_of_the_future_is_still_read() {
        let problem: Problem = serde_json::from_str(r#"{"code":"tired","message":"m"}"#).unwrap();
        assert_eq!(problem.code, Code::Unknown);
    }
}
