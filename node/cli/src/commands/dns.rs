//! What a container would be told of a name, and why.

use netnode_api::{
    client::Client,
    dns::{DnsAnswer, DnsNetwork, DnsPart},
    rows::RowState,
};

use super::{called, heading, print_facts, print_items, print_json};
use crate::{
    Io,
    args::dns::Dns,
    failure::Failure,
    layout::{Cell, Column},
    terminal::Look,
    text,
};

const PARTS: [Column; 7] = [
    Column::new("NETWORK", 8),
    Column::new("WHAT", 8),
    Column::new("NAME", 8),
    Column::new("ADDRESSES", 12),
    Column::new("NODE", 6),
    Column::new("IS", 5),
    Column::new("TOLD", 12),
];

pub(super) async fn run(command: Dns, client: &Client, io: &mut Io<'_>) -> Result<(), Failure> {
    let Dns::Query { endpoint, name, kind, trace, json } = command;
    let answer = client.dns_query(&endpoint, &name, &kind).await?;
    if json.json {
        return print_json(io, &answer);
    }
    if !trace {
        if answer.records.is_empty() {
            return Ok(writeln!(io.out, "{}", text::escaped(&answer.status))?);
        }
        return records(io, &answer);
    }
    explain(io, &answer)
}

fn records(io: &mut Io<'_>, answer: &DnsAnswer) -> Result<(), Failure> {
    for record in &answer.records {
        writeln!(io.out, "{}", text::escaped(record))?;
    }
    Ok(())
}

fn explain(io: &mut Io<'_>, answer: &DnsAnswer) -> Result<(), Failure> {
    let mut facts = vec![("status", answer.status.clone())];
    let nobody = answer.resolvers.is_empty();
    facts.push(match (answer.ours, nobody) {
        (true, _) => ("answered by", "the rows of its networks".to_owned()),
        (false, false) => ("answered by", answer.resolvers.join(", ")),
        (false, true) => ("answered by", "nobody: its networks are internal".to_owned()),
    });
    facts.extend(answer.networks.iter().map(|on| ("network", network(on))));
    print_facts(io, 12, &facts)?;
    if !answer.parts.is_empty() {
        heading(io, "called so")?;
        print_items(io, &PARTS, false, &answer.parts, part)?;
    }
    if !answer.records.is_empty() {
        heading(io, "answer")?;
    }
    records(io, answer)
}

fn network(on: &DnsNetwork) -> String {
    let synced = if on.synced { "" } else { ", not all rows are here yet: nothing is denied" };
    let internal = if on.internal { ", internal" } else { "" };
    format!("{}{internal}{synced}", on.name)
}

fn part(part: &DnsPart) -> Vec<Cell> {
    let state = part.node_state.as_ref().map_or("", |state| state.as_str());
    let look = match part.node_state {
        Some(RowState::Failed) => Look::Bad,
        Some(RowState::Alive) | None => Look::Good,
        Some(_) => Look::Doubtful,
    };
    let (told, told_look) = match (&part.why, part.told) {
        (_, true) => ("yes".to_owned(), Look::Good),
        (Some(why), false) => (format!("no: {why}"), Look::Doubtful),
        (None, false) => ("no".to_owned(), Look::Doubtful),
    };
    vec![
        Cell::new(&*part.network),
        Cell::new(&*part.kind),
        Cell::new(&*part.name),
        Cell::new(part.addresses.join(" ")),
        Cell::new(part.node.as_ref().map(called).unwrap_or_default()),
        Cell::new(state).look(look),
        Cell::new(told).look(told_look),
    ]
}
