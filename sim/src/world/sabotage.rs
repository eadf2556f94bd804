//! Nodes that are broken on purpose, to show that the checks notice.

/// What a host does wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// It takes no packet and no message, and goes on sending.
    Deaf,
    /// It leaves rows whose key starts so out of everything that it shows.
    DropsRow(Vec<u8>),
    /// It tells every event twice.
    RepeatsEvents,
    /// It shows a deleted row again.
    Revives,
    /// It forgets which numbers it gave when it starts again.
    ForgetsGiven,
    /// It says that commits are durable, and writes nothing.
    ForgetsCommits,
}
