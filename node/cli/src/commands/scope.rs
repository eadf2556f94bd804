//! Scopes of gossip: which there are, who is attached, and attaching this node.

use std::time::Duration;

use netnode_api::{client::Client, node::Scopes as Lists};
use serde_json::json;

use super::{node::print_members, print_json, print_line, sync_state};
use crate::{
    Io,
    args::{Format, Scope},
    failure::Failure,
    layout::{Cell, Column, Layout},
    terminal::Look,
    text,
};

/// How often the daemon is asked whether a network is in sync.
const POLL: Duration = Duration::from_millis(100);

const COLUMNS: [Column; 7] = [
    Column::new("NETWORK", 10),
    Column::new("STATE", 7),
    Column::new("ROWS", 4).right(),
    Column::new("SIZE", 4).right(),
    Column::new("TOMBSTONES", 4).right(),
    Column::new("PEERS", 5).right(),
    Column::new("HASH", 8),
];

pub(super) async fn run(
    command: Option<Scope>,
    format: Format,
    client: &Client,
    io: &mut Io<'_>,
) -> Result<(), Failure> {
    match command {
        None => ls(client, io, format).await,
        Some(Scope::Ls { format }) => ls(client, io, format).await,
        Some(Scope::Peers { network, format }) => {
            let peers = client.peers(&network).await?;
            print_members(io, format, &peers)
        }
        Some(Scope::Attach { network, wait, json }) => {
            attach(client, io, &network, wait, json.json).await
        }
        Some(Scope::Detach { network, json }) => {
            client.detach(&network).await?;
            if json.json {
                return print_json(io, &json!({ "detached": network }));
            }
            Ok(writeln!(io.out, "detached from network {network}")?)
        }
    }
}

async fn ls(client: &Client, io: &mut Io<'_>, format: Format) -> Result<(), Failure> {
    let networks = client.scopes().await?;
    if format.json {
        return print_json(io, &networks);
    }
    let Lists { attached, elsewhere } = &networks;
    if format.jsonl {
        attached.iter().try_for_each(|network| print_line(io.out, network))?;
        return elsewhere.iter().try_for_each(|network| print_line(io.out, network));
    }
    let mut layout = Layout::new(&COLUMNS, io.terminal, format.wide);
    for network in attached {
        let cells = vec![
            Cell::new(&*network.name),
            sync_state(network.synced),
            Cell::new(network.entries.to_string()),
            Cell::new(text::size(network.bytes)),
            Cell::new(network.tombstones.to_string()),
            Cell::new(network.peers.to_string()),
            Cell::new(&*network.hash),
        ];
        layout.row(io.out, cells)?;
    }
    for network in elsewhere {
        let unknown = || Cell::new("-").look(Look::Aside);
        let peers = Cell::new(network.nodes.to_string());
        let state = Cell::new("elsewhere").look(Look::Aside);
        let name = Cell::new(&*network.name);
        layout.row(io.out, vec![name, state, unknown(), unknown(), unknown(), peers, unknown()])?;
    }
    Ok(layout.finish(io.out)?)
}

async fn attach(
    client: &Client,
    io: &mut Io<'_>,
    network: &str,
    wait: bool,
    json: bool,
) -> Result<(), Failure> {
    let attached = client.attach(network).await?;
    if json && !wait {
        return print_json(io, &attached);
    }
    if !json {
        writeln!(io.out, "attached to network {network}")?;
    }
    if !wait {
        return Ok(());
    }
    loop {
        let networks = client.scopes().await?;
        match networks.attached.iter().find(|other| other.name == network) {
            Some(found) if found.synced && json => return print_json(io, found),
            Some(found) if found.synced => {
                return Ok(writeln!(io.out, "in sync: {} rows", found.entries)?);
            }
            Some(_) => tokio::time::sleep(POLL).await,
            None => {
                let gone = format!("network {network} was detached meanwhile");
                return Err(Failure::NotFound(gone));
            }
        }
    }
}

pub(super) async fn complete(
    client: &Client,
    io: &mut Io<'_>,
    network: &str,
    json: bool,
) -> Result<(), Failure> {
    client.mark_complete(network).await?;
    if json {
        return print_json(io, &json!({ "complete": network }));
    }
    Ok(writeln!(io.out, "this node's rows in network {network} are whole")?)
}
