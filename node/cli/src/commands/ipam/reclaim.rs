//! Taking over what nodes held that are down for good: says what it assumes, asks, and waits for the heirs.

use std::time::Duration;

use netnode_api::{
    client::Client,
    ipam::{Reclaim, Takeover, Takeovers},
    node::Who,
};

use super::super::{called, confirm, print_items, print_json};
use crate::{
    Io,
    failure::Failure,
    layout::{Cell, Column},
    text,
};

/// How often the daemon is asked how it stands.
const POLL: Duration = Duration::from_millis(250);

const COLUMNS: [Column; 6] = [
    Column::new("NETWORK", 8),
    Column::new("SPACE", 16),
    Column::new("FROM", 8),
    Column::new("TO", 8),
    Column::new("NUMBERS", 7).right(),
    Column::new("RANGES", 6).right(),
];

/// How it is to be done.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    pub(super) yes: bool,
    pub(super) wait: bool,
    pub(super) json: bool,
}

pub(super) async fn reclaim(
    client: &Client,
    io: &mut Io<'_>,
    nodes: Vec<String>,
    how: How,
) -> Result<(), Failure> {
    let wanted = Reclaim { nodes, check: true };
    let lost = client.reclaim(&wanted).await?;
    if !how.yes {
        ask(io, &wanted.nodes, &lost)?;
    }
    let taken = client.reclaim(&Reclaim { check: false, ..wanted }).await?;
    if taken.ranges.is_empty() {
        return tell(io, &taken, how.json, "they held nothing that is to be taken over");
    }
    if !how.wait {
        return tell(io, &taken, how.json, "the heirs take it once all others are there");
    }
    wait(client, io, &taken).await?;
    tell(io, &taken, how.json, "taken over")
}

/// What is assumed, what would be if it were not so, and what it is about.
fn ask(io: &mut Io<'_>, nodes: &[String], lost: &Takeovers) -> Result<(), Failure> {
    if !io.terminal.interactive {
        let refused = "nobody can be asked here: say --yes if these hosts are down for good";
        return Err(Failure::Usage(refused.to_owned()));
    }
    let nodes = text::escaped(&nodes.join(", "));
    let ranges: u64 = lost.ranges.iter().map(|takeover| takeover.ranges).sum();
    writeln!(
        io.err,
        "This assumes that {nodes} is down for good. If it still ran, cut off, it would go on giving\n\
         numbers that others give as well. It counts as a node that left, and {ranges} ranges go to nodes\n\
         that are there:\n"
    )?;
    let mut shown = Vec::new();
    let terminal = io.terminal;
    let mut aside = Io { out: &mut shown, err: &mut *io.err, input: &mut *io.input, terminal };
    table(&mut aside, &lost.ranges)?;
    io.err.write_all(&shown)?;
    confirm(io, &format!("\nIs {nodes} down for good?"))
}

/// Until the heirs have taken it. Whoever has seen enough may go: the cluster does not need this command.
async fn wait(client: &Client, io: &mut Io<'_>, taken: &Takeovers) -> Result<(), Failure> {
    let from: Vec<&Who> = taken.ranges.iter().map(|takeover| &takeover.from).collect();
    let mut told = String::new();
    loop {
        let now = client.takeovers().await?;
        let left = now.ranges.iter().filter(|takeover| from.contains(&&takeover.from));
        let left: u64 = left.map(|takeover| takeover.ranges).sum();
        if left == 0 {
            return Ok(());
        }
        let absent: Vec<String> = now.waits_for.iter().map(called).collect();
        let what = if absent.is_empty() {
            "waiting until all others have been there for a while".to_owned()
        } else {
            format!("waiting for {} to be there", absent.join(", "))
        };
        if what != told {
            writeln!(io.err, "{what}")?;
            told = what;
        }
        tokio::time::sleep(POLL).await;
    }
}

fn tell(io: &mut Io<'_>, taken: &Takeovers, json: bool, what: &str) -> Result<(), Failure> {
    if json {
        return print_json(io, taken);
    }
    writeln!(io.err, "{what}")?;
    if taken.ranges.is_empty() { Ok(()) } else { table(io, &taken.ranges) }
}

fn table(io: &mut Io<'_>, ranges: &[Takeover]) -> Result<(), Failure> {
    print_items(io, &COLUMNS, false, ranges, |takeover| {
        vec![
            Cell::new(takeover.network.as_deref().unwrap_or("-")),
            Cell::new(&*takeover.space),
            Cell::new(called(&takeover.from)),
            Cell::new(takeover.heir.as_ref().map_or_else(|| "-".to_owned(), called)),
            Cell::new(text::count(&takeover.numbers)),
            Cell::new(takeover.ranges.to_string()),
        ]
    })
}
