//! Endpoints of this host: attaching, detaching, listing.

use netnode_api::{
    client::Client,
    endpoints::{AttachEndpoint, Backend, ChangeBackend, Endpoint as Shown, EndpointState},
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

const COLUMNS: [Column; 8] = [
    Column::new("NETWORK", 8),
    Column::new("NAME", 8),
    Column::new("ADDRESSES", 14),
    Column::new("INTERFACE", 5),
    Column::new("PORTS", 8),
    Column::new("SERVICE", 7),
    Column::new("STATE", 5),
    Column::new("NETNS", 8),
];

pub(super) async fn run(
    command: Endpoint,
    client: &Client,
    io: &mut Io<'_>,
) -> Result<(), Failure> {
    match command {
        Endpoint::Attach(wanted) => attach(*wanted, client, io).await,
        Endpoint::Detach { network, name, json } => {
            client.detach_endpoint(&network, &name).await?;
            if json.json {
                return print_json(io, &json!({ "detached": name, "network": network }));
            }
            Ok(writeln!(io.out, "{}", text::escaped(&name))?)
        }
        Endpoint::Drain { endpoint, now, undo, grace, json } => {
            let state = match (now, undo) {
                (true, _) => "disabled",
                (_, true) => "ready",
                _ => "draining",
            };
            let grace_s = (state == "draining").then_some(grace);
            let state = Some(state.to_owned());
            let wanted = ChangeBackend { state, health: None, grace_s };
            serve(client, io, &endpoint, &wanted, json.json).await
        }
        Endpoint::Health { endpoint, health, json } => {
            let wanted = ChangeBackend { health: Some(health), ..ChangeBackend::default() };
            serve(client, io, &endpoint, &wanted, json.json).await
        }
        Endpoint::Ls { format } => {
            let endpoints = client.endpoints().await?;
            print_list(io, format, &COLUMNS, &endpoints, cells)
        }
    }
}

async fn serve(
    client: &Client,
    io: &mut Io<'_>,
    endpoint: &str,
    wanted: &ChangeBackend,
    json: bool,
) -> Result<(), Failure> {
    let changed = client.change_backend(endpoint, wanted).await?;
    if json {
        return print_json(io, &changed);
    }
    Ok(writeln!(io.out, "{}", changed.backend.as_ref().map_or_else(String::new, serving))?)
}

/// The service, and what keeps its backend from taking something new.
fn serving(backend: &Backend) -> String {
    let words = [("ready", &backend.state), ("healthy", &backend.health)];
    let odd = words.into_iter().filter(|(usual, word)| usual != word);
    let odd: Vec<&str> = odd.map(|(_, word)| word.as_str()).collect();
    let weight = if backend.weight == 0 { " weight 0" } else { "" };
    let blank = if odd.is_empty() { "" } else { " " };
    format!("{}{blank}{}{weight}", backend.service, odd.join(" "))
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
        service: wanted.service,
        task: wanted.task,
        weight: wanted.weight,
        gw_priority: wanted.gw_priority,
        move_here: wanted.move_here,
        resolv_conf: wanted.resolv_conf,
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
        Cell::new(endpoint.backend.as_ref().map_or_else(String::new, serving)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_backend_from_serving_is_said_behind_its_service() {
        let mut backend = Backend {
            service: "web".into(),
            task: "web.1".into(),
            weight: 2,
            health: "healthy".into(),
            state: "ready".into(),
        };
        assert_eq!(serving(&backend), "web");
        backend.state = "draining".into();
        assert_eq!(serving(&backend), "web draining");
        (backend.health, backend.weight) = ("unhealthy".into(), 0);
        assert_eq!(serving(&backend), "web draining unhealthy weight 0");
    }
}
