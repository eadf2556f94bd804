//! Overlay networks, and sandboxes plugged into them.

use std::{net::IpAddr, path::Path};

use anyhow::{Context, Result, ensure};
use netnode_api::{
    endpoints::{AttachEndpoint, Endpoint, EndpointState},
    networks::CreateNetwork,
};

use crate::{node::Node, wait::until};

/// Creates an overlay network with IPv4 and IPv6 on the first of these nodes; all know it then.
pub async fn create_overlay(nodes: &[Node], name: &str) -> Result<()> {
    let wanted = CreateNetwork {
        name: name.to_owned(),
        driver: "overlay".to_owned(),
        ipv6: true,
        ..CreateNetwork::default()
    };
    let first = nodes.first().context("there is a node")?;
    first.client().create_network(&wanted).await?;
    for node in nodes {
        let what = format!("{} knows the network {name}", node.name());
        until(&what, async || Ok(node.client().network(name).await?)).await?;
    }
    Ok(())
}

/// Plugs a sandbox of the node's host into a network; it is ready then.
pub async fn plug(node: &Node, network: &str, name: &str, sandbox: &Path) -> Result<Endpoint> {
    attach(node, network, name, sandbox, false).await
}

/// Has an endpoint of another host go on in a sandbox of this node's host.
pub async fn move_here(node: &Node, network: &str, name: &str, sandbox: &Path) -> Result<Endpoint> {
    attach(node, network, name, sandbox, true).await
}

async fn attach(
    node: &Node,
    network: &str,
    name: &str,
    sandbox: &Path,
    move_here: bool,
) -> Result<Endpoint> {
    let wanted = AttachEndpoint {
        network: network.to_owned(),
        name: name.to_owned(),
        netns: sandbox.display().to_string(),
        move_here,
        ..AttachEndpoint::default()
    };
    let endpoint = node.client().attach_endpoint(&wanted).await?;
    ensure!(endpoint.state == EndpointState::Ready, "{name} is {:?}", endpoint.state);
    Ok(endpoint)
}

/// The addresses of an endpoint, IPv4 first.
pub fn addresses(endpoint: &Endpoint) -> Result<Vec<IpAddr>> {
    let of = |net: &String| net.split('/').next().unwrap_or_default().parse();
    endpoint.addresses.iter().map(of).collect::<Result<_, _>>().context("addresses are addresses")
}
