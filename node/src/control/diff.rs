//! Comparing two members: who is meant, what is answered, and what to do where nobody answers.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use netdb::{DiffError, HeldRow, Lifetime, Name, NetworkSum, NodeId, WriterSum};
use netnode_api::{
    Payload,
    diff::{
        Apart, Diff, DiffQuery, NetworkCopy, NetworkDiff, Progress, RowDiff, Standing, Verdict,
        WriterDiff,
    },
    error::{Code, Problem},
};

use super::{
    Control,
    convert::{self, cluster_time},
    names::Names,
    problem::Refused,
};

pub(super) async fn diff(
    State(control): State<Arc<Control>>,
    query: Result<Query<DiffQuery>, QueryRejection>,
) -> Result<Json<Diff>, Refused> {
    let Query(query) = query?;
    let names = Names::ask(&control.db).await?;
    let (left, right) = (names.find(&query.left)?, names.find(&query.right)?);
    let network = query.network.as_deref().map(Name::new).transpose()?;
    let found = control.db.diff(left, right, network.as_ref()).await;
    let found = found.map_err(|error| problem(&names, &error))?;
    let now_us = cluster_time(control.db.info().await?.node.clock_offset);
    let shown = Shown { names: &names, now_us };
    let networks: Vec<NetworkDiff> = found.networks.iter().map(|n| shown.network(n)).collect();
    let apart = |(name, side): &(Name, netdb::Side)| {
        let attached = if *side == netdb::Side::Left { left } else { right };
        Apart { network: name.to_string(), attached: names.who(attached) }
    };
    Ok(Json(Diff {
        left: names.who(left),
        right: names.who(right),
        verdict: networks.iter().map(|n| n.verdict).max().unwrap_or(Verdict::Equal),
        networks,
        apart: found.apart.iter().map(apart).collect(),
    }))
}

/// What a member is called in a message.
fn called(names: &Names, node: NodeId) -> String {
    names.of(node).map_or_else(|| node.to_string(), ToOwned::to_owned)
}

fn problem(names: &Names, error: &DiffError) -> Problem {
    let name = |node: &NodeId| called(names, *node);
    match error {
        DiffError::Unknown(node) => {
            Problem::new(Code::NotFound, format!("no member has the id {node}"))
                .with_hint("`netdbctl members` lists them")
        }
        DiffError::Same(node) => {
            let message = format!("both are {}: name two different members", name(node));
            Problem::new(Code::Invalid, message)
        }
        DiffError::Down { node, state } => {
            let state = convert::member_state(*state).as_str();
            Problem::new(Code::Unreachable, format!("{} is {state}: it can't be asked", name(node)))
                .with_hint("`netdbctl members` shows who is alive")
        }
        DiffError::Unreachable(node) => {
            let message = format!("{} can't be reached on streams", name(node));
            Problem::new(Code::Unreachable, message).with_hint(
                "members need TCP besides UDP, on the same port number: is it blocked on the way?",
            )
        }
        DiffError::Silent(node) => {
            let message = format!("{} did not answer in time", name(node));
            Problem::new(Code::Unreachable, message)
                .with_hint("it is overloaded, stopped for the moment, or too old to be asked")
        }
        DiffError::NotAttached { node, network } => {
            let message = format!("{} is not attached to network {network}", name(node));
            Problem::new(Code::NotAttached, message)
                .with_hint(format!("`netdbctl scope peers {network}` lists who is"))
        }
        DiffError::Nonsense(node) => {
            let message = format!("{} answered something else than it was asked", name(node));
            Problem::new(Code::Unreachable, message).with_hint("is it of another version?")
        }
        DiffError::Busy => Problem::new(Code::Full, error).with_hint("try again in a moment"),
        DiffError::TooLong => Problem::new(Code::Unreachable, error),
        DiffError::Stopped(_) => Problem::new(Code::Stopping, "netnode is stopping"),
    }
}

/// What differences are shown against.
struct Shown<'a> {
    names: &'a Names,
    now_us: u64,
}

impl Shown<'_> {
    fn network(&self, found: &netdb::NetworkDiff) -> NetworkDiff {
        NetworkDiff {
            network: found.left.network.to_string(),
            verdict: verdict(found.verdict),
            left: copy(&found.left),
            right: copy(&found.right),
            writers: found.writers.iter().filter_map(|writer| self.writer(writer)).collect(),
            rows: found.rows.iter().filter_map(|row| self.row(row)).collect(),
            more: found.more,
        }
    }

    fn writer(&self, found: &netdb::WriterDiff) -> Option<WriterDiff> {
        let writer = found.writer()?;
        let progress = |sum: WriterSum| Progress { contiguous: sum.contiguous, rows: sum.rows };
        Some(WriterDiff {
            writer: self.names.who(writer.node),
            lifetime: convert::lifetime(writer.lifetime),
            generation: writer.generation.0,
            attachment: writer.attachment,
            verdict: verdict(found.verdict),
            left: found.left.map(progress),
            right: found.right.map(progress),
        })
    }

    fn row(&self, found: &netdb::RowDiff) -> Option<RowDiff> {
        let row: &HeldRow = found.row()?;
        let owner = (row.lifetime == Lifetime::Owner).then(|| self.names.who(row.owner));
        Some(RowDiff {
            table: row.table.to_string(),
            lifetime: convert::lifetime(row.lifetime),
            key: Payload::from(&*row.key),
            owner,
            left: standing(&found.left),
            right: standing(&found.right),
            age_ms: self.now_us.saturating_sub(found.at) / 1000,
            on_its_way: found.on_its_way,
        })
    }
}

fn verdict(verdict: netdb::Verdict) -> Verdict {
    match verdict {
        netdb::Verdict::Equal => Verdict::Equal,
        netdb::Verdict::OnItsWay => Verdict::OnItsWay,
        netdb::Verdict::Different => Verdict::Different,
    }
}

fn copy(sum: &NetworkSum) -> NetworkCopy {
    NetworkCopy {
        synced: sum.synced,
        rows: sum.rows,
        held: format!("{:016x}", sum.held),
        received: format!("{:016x}", sum.received),
    }
}

fn standing(standing: &netdb::Standing) -> Standing {
    match standing {
        netdb::Standing::Held(row) => Standing::Held { dot: convert::dot(row.dot) },
        netdb::Standing::Deleted(row) => Standing::Deleted { dot: convert::dot(row.dot) },
        netdb::Standing::Gone => Standing::Gone,
        netdb::Standing::NotReceived => Standing::NotReceived,
    }
}
