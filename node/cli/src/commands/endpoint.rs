//! Endpoints of this host: attaching, detaching, listing.

use netnode_api::{
    client::Client,
    endpoints::{AttachEndpoint, Endpoint as Shown, EndpointState},
};
use serde_json::json;

use super::{print_json, print_list};
use crate::{
    Io,
    args::endpoint::{Attach, Endpoint},
    failure::Failure,
    layout::{Cell, Column},
    terminal::Look,
    text,
};

const COLUMNS: [Column; 7] = [
    Column::new("NETWORK", 8),
    Column::new("NAME", 8),
    Column::new("ADDRESSES", 18),
    Column::new("INTERFACE", 5),
    Column::new("PORTS", 8),
    Column::new("STATE", 5),
    Column::new("NETNS", 12),
];

pub(super) async fn run(
    command: Endpoint,
    client: &Client,
    io: &mut Io<'_>,
) -> Result<(), Failure> {
    match command {
        Endpoint::Attach(wanted) => attach(wanted, client, io).await,
        Endpoint::Detach { network, name, json } => {
            client.detach_endpoint(&network, &name).await?;
            if json.json {
                return print_json(io, &json!({ "detached": name, "network": network }));
            }
            Ok(writeln!(io.out, "{}", text::escaped(&name))?)
        }
        Endpoint::Ls { format } => {
            let endpoints = client.endpoints().await?;
            print_list(io, format, &COLUMNS, &endpoints, cells)
        }
    }
}

async fn attach(wanted: Attach, client: &Client, io: &mut Io<'_>) -> Result<(), Failure> {
    let netns = match (wanted.netns, wanted.pid) {
        (Some(path), _) => path,
        (None, Some(pid)) => format!("/proc/{pid}/ns/net"),
        (None, None) => String::new(),
    };
    let request = AttachEndpoint {
        network: wanted.network,
        name: wanted.name,
        aliases: wanted.alias,
        addresses: wanted.ip,
        mac: wanted.mac,
        netns,
        interface: wanted.interface,
        published: wanted.publish,
        move_here: wanted.move_here,
    };
    let endpoint = client.attach_endpoint(&request).await?;
    if wanted.json.json {
        return print_json(io, &endpoint);
    }
    let Shown { interface, addresses, .. } = &endpoint;
    let addresses = addresses.join(" ");
    Ok(writeln!(io.out, "{interface} {addresses} {}", state(&endpoint.state).0)?)
}

fn cells(endpoint: &Shown) -> Vec<Cell> {
    let network = endpoint.network_name.as_deref().unwrap_or(text::short(&endpoint.network));
    let (state, look) = state(&endpoint.state);
    vec![
        Cell::new(network),
        Cell::new(&*endpoint.name),
        Cell::new(endpoint.addresses.join(" ")),
        Cell::new(&*endpoint.interface),
        Cell::new(endpoint.published.join(" ")),
        Cell::new(state).look(look),
        Cell::new(&*endpoint.netns),
    ]
}

fn state(state: &EndpointState) -> (String, Look) {
    match state {
        EndpointState::Ready => ("ready".into(), Look::Good),
        EndpointState::Pending(why) => (format!("pending: {why}"), Look::Aside),
        EndpointState::Conflict(why) => (format!("conflict: {why}"), Look::Bad),
        EndpointState::Error(why) => (format!("error: {why}"), Look::Bad),
    }
}
