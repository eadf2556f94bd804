//! Networks with a driver and subnets: creating, listing, inspecting and removing them.

use netnode_api::{
    client::Client,
    ipam::SpaceUsage,
    networks::{CreateNetwork, Network as Shown, NetworkDetail, Subnet},
};
use serde_json::json;

use super::{
    heading,
    ipam::{print_nodes, tell_warnings},
    print_facts, print_json, print_list,
};
use crate::{
    Io,
    args::network::{Create, Network},
    failure::Failure,
    layout::{Cell, Column},
    terminal::Look,
    text,
};

const COLUMNS: [Column; 6] = [
    Column::new("ID", 8),
    Column::new("NAME", 8),
    Column::new("DRIVER", 7),
    Column::new("SCOPE", 7),
    Column::new("SUBNETS", 18),
    Column::new("STATE", 5),
];

pub(super) async fn run(command: Network, client: &Client, io: &mut Io<'_>) -> Result<(), Failure> {
    match command {
        Network::Create(wanted) => create(wanted, client, io).await,
        Network::Ls { format } => {
            let networks = client.networks().await?;
            print_list(io, format, &COLUMNS, &networks, cells)
        }
        Network::Inspect { network, json } => {
            let detail = client.network(&network).await?;
            if json.json { print_json(io, &detail) } else { inspect(io, &detail) }
        }
        Network::Rm { networks, json } => rm(client, io, &networks, json.json).await,
    }
}

async fn create(wanted: Create, client: &Client, io: &mut Io<'_>) -> Result<(), Failure> {
    let json = wanted.json.json;
    let request = CreateNetwork {
        name: wanted.name,
        driver: wanted.driver,
        scope: wanted.scope,
        subnets: wanted.subnet,
        ip_ranges: wanted.ip_range,
        gateways: wanted.gateway,
        aux_addresses: wanted.aux_address.into_iter().collect(),
        options: wanted.opt.into_iter().collect(),
        ipv6: wanted.ipv6,
        internal: wanted.internal,
        attachable: wanted.attachable,
        labels: wanted.label.into_iter().collect(),
    };
    let network = client.create_network(&request).await?;
    if json {
        return print_json(io, &network);
    }
    Ok(writeln!(io.out, "{}", network.id)?)
}

async fn rm(
    client: &Client,
    io: &mut Io<'_>,
    networks: &[String],
    json: bool,
) -> Result<(), Failure> {
    for network in networks {
        client.remove_network(network).await?;
        if !json {
            writeln!(io.out, "{}", text::escaped(network))?;
        }
    }
    if json { print_json(io, &json!({ "removed": networks })) } else { Ok(()) }
}

fn cells(network: &Shown) -> Vec<Cell> {
    let subnets: Vec<&str> = network.subnets.iter().map(|subnet| &*subnet.subnet).collect();
    vec![
        Cell::new(text::short(&network.id)),
        Cell::new(&*network.name),
        Cell::new(&*network.driver),
        Cell::new(&*network.scope),
        Cell::new(subnets.join(" ")),
        state(network),
    ]
}

fn state(network: &Shown) -> Cell {
    let Some(conflict) = network.conflicts.first() else {
        return Cell::new("ready").look(Look::Good);
    };
    let with = text::short(&conflict.with);
    Cell::new(format!("conflict: {with} has {}", conflict.claim)).look(Look::Bad)
}

fn inspect(io: &mut Io<'_>, detail: &NetworkDetail) -> Result<(), Failure> {
    let network = &detail.network;
    let yes = |what: bool| if what { "yes" } else { "no" };
    let mut facts = vec![
        ("id", network.id.clone()),
        ("name", network.name.clone()),
        ("driver", network.driver.clone()),
        ("scope", network.scope.clone()),
        ("created", text::moment(network.created_us)),
        ("internal", yes(network.internal).to_owned()),
        ("attachable", yes(network.attachable).to_owned()),
    ];
    let named = |(name, value): (&String, &String)| format!("{name}={value}");
    facts.extend(network.options.iter().map(|option| ("option", named(option))));
    facts.extend(network.labels.iter().map(|label| ("label", named(label))));
    for Subnet { subnet, gateway, ip_range, aux_addresses } in &network.subnets {
        facts.push(("subnet", subnet.clone()));
        let usage = detail.usage.iter().find(|usage| usage.space == *subnet);
        let full = |of: &SpaceUsage| format!("{} of {}, {} %", of.used, of.size, of.percent);
        facts.extend(usage.map(|usage| ("  in use", full(usage))));
        facts.extend(gateway.iter().map(|gateway| ("  gateway", gateway.clone())));
        facts.extend(ip_range.iter().map(|range| ("  ip-range", range.clone())));
        facts.extend(aux_addresses.iter().map(|aux| ("  aux", named(aux))));
    }
    for conflict in &network.conflicts {
        facts.push(("conflict", format!("network {} has {}", conflict.with, conflict.claim)));
    }
    print_facts(io, 12, &facts)?;
    heading(io, "addresses by node")?;
    print_nodes(io, &detail.usage, false)?;
    tell_warnings(io, &detail.usage, &detail.silent)
}
