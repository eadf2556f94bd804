//! Errors of the node as answers: which code, and what to do about it.

use axum::{
    Json,
    body::Bytes,
    extract::rejection::{BytesRejection, QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use netdb::{
    AttachError, AttachRefused, ChangeError, NameError, RotateError, StopError, Stopped,
    StorageError, WatchError, WriteError, WriteRefused,
};
use netnode_api::error::{Code, ErrorBody, Problem};
use serde::de::DeserializeOwned;

/// A problem as the answer to a request.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Problem);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.code.status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(ErrorBody { error: self.0 })).into_response()
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

/// A JSON body; an empty one counts as an empty object.
pub(crate) fn body<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Refused> {
    let bytes = body.map_err(|rejection| {
        let code = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
            _ => Code::Invalid,
        };
        Problem::new(code, format!("the body can't be used: {}", rejection.body_text()))
    })?;
    let text = if bytes.is_empty() { b"{}" } else { bytes.as_ref() };
    let problem = |error| Problem::new(Code::Invalid, format!("the body can't be used: {error}"));
    Ok(serde_json::from_slice(text).map_err(problem)?)
}

impl From<QueryRejection> for Refused {
    fn from(rejection: QueryRejection) -> Self {
        Problem::new(Code::Invalid, rejection.body_text()).into()
    }
}

impl From<NameError> for Refused {
    fn from(error: NameError) -> Self {
        Problem::new(Code::Invalid, format!("not a name: {error}")).into()
    }
}

impl From<Stopped> for Refused {
    fn from(_: Stopped) -> Self {
        Problem::new(Code::Stopping, "netnode is stopping").into()
    }
}

fn starting(error: impl std::fmt::Display) -> Problem {
    Problem::new(Code::Starting, error).with_hint("try again in a moment")
}

fn storage(message: impl std::fmt::Display) -> Problem {
    Problem::new(Code::Storage, message)
        .with_hint("the node goes on from memory and tries again; `netdbctl status` shows it")
}

/// The node is not attached to this network.
pub(crate) fn not_attached(network: &str) -> Problem {
    Problem::new(Code::NotAttached, format!("this node is not attached to network {network}"))
        .with_hint(format!("netdbctl scope attach {network}"))
}

pub(crate) fn of_write(error: &WriteError) -> Problem {
    match error {
        WriteError::Refused(refused) => of_refused_write(refused),
        WriteError::Storage(_) | WriteError::NotDurable { .. } => storage(error),
        WriteError::Stopped(_) => Problem::new(Code::Stopping, "netnode is stopping"),
    }
}

fn of_refused_write(refused: &WriteRefused) -> Problem {
    let with = |code| Problem::new(code, refused);
    match refused {
        WriteRefused::Starting => starting(refused),
        WriteRefused::NotAttached(network) => not_attached(network.as_str()),
        WriteRefused::Exists => with(Code::Exists),
        WriteRefused::NotFound => {
            with(Code::NotFound).with_hint("the two lifetimes of one name are different tables")
        }
        WriteRefused::Reserved(_) => with(Code::Reserved),
        WriteRefused::KeyLength(_) => with(Code::Invalid),
        WriteRefused::ValueTooLarge(_) => with(Code::TooLarge),
        WriteRefused::TooManyEntries { .. } | WriteRefused::TooManyBytes { .. } => with(Code::Full),
    }
}

impl From<AttachError> for Refused {
    fn from(error: AttachError) -> Self {
        match error {
            AttachError::Name(error) => error.into(),
            AttachError::Refused(refused) => of_attach(&refused).into(),
            AttachError::NotDurable(_) => storage(error).into(),
            AttachError::Stopped(stopped) => stopped.into(),
        }
    }
}

fn of_attach(refused: &AttachRefused) -> Problem {
    let with = |code| Problem::new(code, refused);
    match refused {
        AttachRefused::Starting => starting(refused),
        AttachRefused::Attached(_) => with(Code::Exists),
        AttachRefused::NotAttached(network) => not_attached(network.as_str()),
        AttachRefused::Reserved(_) => with(Code::Reserved),
        AttachRefused::TooMany(_) => with(Code::Full),
    }
}

impl From<ChangeError<RotateError>> for Refused {
    fn from(error: ChangeError<RotateError>) -> Self {
        match error {
            ChangeError::Refused(RotateError::Starting) => starting(RotateError::Starting).into(),
            ChangeError::Refused(refused) => Problem::new(Code::Conflict, refused).into(),
            ChangeError::NotDurable(error) => of_storage(&error),
            ChangeError::Stopped(stopped) => stopped.into(),
        }
    }
}

impl From<ChangeError<netdb::Never>> for Refused {
    fn from(error: ChangeError<netdb::Never>) -> Self {
        match error {
            ChangeError::Refused(never) => match never {},
            ChangeError::NotDurable(error) => of_storage(&error),
            ChangeError::Stopped(stopped) => stopped.into(),
        }
    }
}

fn of_storage(error: &StorageError) -> Refused {
    storage(format!("done, but not on disk yet: {error}")).into()
}

impl From<StopError> for Refused {
    fn from(error: StopError) -> Self {
        Problem::new(Code::Storage, error).into()
    }
}

impl From<WatchError> for Refused {
    fn from(error: WatchError) -> Self {
        match error {
            WatchError::TooMany(_) => Problem::new(Code::Full, error).into(),
            WatchError::Stopped(stopped) => stopped.into(),
        }
    }
}
