//! Services: creating, listing, inspecting, changing and removing them.

use netnode_api::{
    client::Client,
    endpoints::EndpointState,
    rows::RowState,
    services::{
        Backend, ClosedPort, CreateService, Hindered, PublishedPort, Service as Shown,
        ServiceDetail, ServiceState, UpdateService,
    },
};
use serde_json::json;

use super::{called, heading, print_facts, print_items, print_json, print_list};
use crate::{
    Io,
    args::service::{Create, Service, Update},
    failure::Failure,
    layout::{Cell, Column},
    terminal::Look,
    text,
};

const COLUMNS: [Column; 7] = [
    Column::new("NAME", 8),
    Column::new("NETWORK", 8),
    Column::new("MODE", 5),
    Column::new("VIP", 12),
    Column::new("PORTS", 8),
    Column::new("READY", 5),
    Column::new("STATE", 5),
];

const BACKENDS: [Column; 7] = [
    Column::new("TASK", 8),
    Column::new("ADDRESSES", 14),
    Column::new("NODE", 6),
    Column::new("IS", 5),
    Column::new("WEIGHT", 4).right(),
    Column::new("HEALTH", 7),
    Column::new("STATE", 5),
];

pub(super) async fn run(command: Service, client: &Client, io: &mut Io<'_>) -> Result<(), Failure> {
    match command {
        Service::Create(wanted) => create(wanted, client, io).await,
        Service::Ls { format } => {
            let services = client.services().await?;
            print_list(io, format, &COLUMNS, &services, cells)
        }
        Service::Inspect { service, wide, json } => {
            let detail = client.service(&service).await?;
            if json.json { print_json(io, &detail) } else { inspect(io, &detail, wide) }
        }
        Service::Update(wanted) => update(wanted, client, io).await,
        Service::Rm { services, json } => rm(client, io, &services, json.json).await,
    }
}

async fn create(wanted: Create, client: &Client, io: &mut Io<'_>) -> Result<(), Failure> {
    let json = wanted.json.json;
    let request = CreateService {
        name: wanted.name,
        network: wanted.network,
        mode: Some(wanted.endpoint_mode),
        vips: wanted.vip,
        ports: wanted.publish,
        labels: wanted.label.into_iter().collect(),
        prefer_local: wanted.prefer_local,
        external_traffic: wanted.external_traffic,
        publish_on: wanted.publish_on,
        health_port: wanted.health_port,
    };
    let service = client.create_service(&request).await?;
    if json {
        return print_json(io, &service);
    }
    Ok(writeln!(io.out, "{}", service.id)?)
}

async fn update(wanted: Update, client: &Client, io: &mut Io<'_>) -> Result<(), Failure> {
    let request = UpdateService {
        mode: wanted.endpoint_mode,
        vips: wanted.vip,
        publish: wanted.publish_add,
        unpublish: wanted.publish_rm,
        label: wanted.label_add.into_iter().collect(),
        unlabel: wanted.label_rm,
        prefer_local: wanted.prefer_local,
        external_traffic: wanted.external_traffic,
        publish_on: wanted.publish_on,
        health_port: wanted.health_port,
    };
    let service = client.update_service(&wanted.service, &request).await?;
    if wanted.json.json {
        return print_json(io, &service);
    }
    Ok(writeln!(io.out, "{}", text::escaped(&wanted.service))?)
}

async fn rm(
    client: &Client,
    io: &mut Io<'_>,
    services: &[String],
    json: bool,
) -> Result<(), Failure> {
    for service in services {
        client.remove_service(service).await?;
        if !json {
            writeln!(io.out, "{}", text::escaped(service))?;
        }
    }
    if json { print_json(io, &json!({ "removed": services })) } else { Ok(()) }
}

fn cells(service: &Shown) -> Vec<Cell> {
    let network = service.network_name.as_deref().unwrap_or(text::short(&service.network));
    let ports: Vec<String> = service.ports.iter().map(port).collect();
    let (state, look) = state(&service.state);
    vec![
        Cell::new(&*service.name),
        Cell::new(network),
        Cell::new(&*service.mode),
        Cell::new(service.vips.join(" ")),
        Cell::new(ports.join(" ")),
        Cell::new(ready(service)),
        Cell::new(state).look(look),
    ]
}

/// Backends that are ready, of all, if somebody who knows them answered.
fn ready(service: &Shown) -> String {
    service
        .backends
        .map_or_else(|| "-".to_owned(), |count| format!("{}/{}", count.ready, count.all))
}

fn state(state: &ServiceState) -> (String, Look) {
    match state {
        ServiceState::Ready => ("ready".into(), Look::Good),
        ServiceState::Pending(why) => (format!("pending: {why}"), Look::Aside),
        ServiceState::Conflict(with) => (format!("conflict: {with}"), Look::Bad),
    }
}

/// As it was asked for.
fn port(port: &PublishedPort) -> String {
    let bind = match port.bind.as_deref() {
        Some(v6) if v6.contains(':') => format!("[{v6}]:"),
        Some(v4) => format!("{v4}:"),
        None => String::new(),
    };
    let mode = if port.mode == "ingress" { String::new() } else { format!("({})", port.mode) };
    format!("{bind}{}:{}/{}{mode}", port.published, port.target, port.protocol)
}

fn inspect(io: &mut Io<'_>, detail: &ServiceDetail, wide: bool) -> Result<(), Failure> {
    let service = &detail.service;
    let network = service.network_name.as_deref().unwrap_or(&service.network);
    let mut facts = vec![
        ("id", service.id.clone()),
        ("name", service.name.clone()),
        ("network", network.to_owned()),
        ("mode", service.mode.clone()),
        ("created", text::moment(service.created_us)),
        ("state", state(&service.state).0),
        ("ready", ready(service)),
    ];
    facts.extend(service.vips.iter().map(|vip| ("vip", vip.clone())));
    facts.extend(service.ports.iter().map(|published| ("port", port(published))));
    if service.prefer_local {
        facts.push(("prefers", "backends of the client's host".to_owned()));
    }
    if service.external_traffic != "cluster" {
        facts.push(("from outside", "to backends of the host that it comes to".to_owned()));
    }
    facts.extend(
        service.publish_on.iter().map(|label| ("opened by", format!("hosts with {label}"))),
    );
    facts.extend(service.health_port.map(|port| ("health port", port.to_string())));
    let named = |(name, value): (&String, &String)| format!("{name}={value}");
    facts.extend(service.labels.iter().map(|label| ("label", named(label))));
    for conflict in &service.conflicts {
        facts.push(("conflict", format!("service {} has {}", conflict.with, conflict.claim)));
    }
    for ClosedPort { port, why } in &service.closed {
        facts.push(("closed", format!("{port} on the node asked: {why}")));
    }
    for Hindered { node, endpoint, state } in &service.hindered {
        let how = match state {
            EndpointState::Ready => continue,
            EndpointState::Pending(why) => format!("pending: {why}"),
            EndpointState::Conflict(why) => format!("conflict: {why}"),
            EndpointState::Error(why) => format!("error: {why}"),
        };
        facts.push(("hindered", format!("{endpoint} on {}: {how}", called(node))));
    }
    print_facts(io, 12, &facts)?;
    match &detail.backends {
        Some(backends) => {
            heading(io, "backends")?;
            print_items(io, &BACKENDS, wide, backends, backend)
        }
        None => heading(io, "backends: nobody who holds the rows of the network answers"),
    }
}

fn backend(backend: &Backend) -> Vec<Cell> {
    let look = match backend.node_state {
        RowState::Alive => Look::Good,
        RowState::Failed => Look::Bad,
        _ => Look::Doubtful,
    };
    let good = |is_good| if is_good { Look::Good } else { Look::Doubtful };
    vec![
        Cell::new(&*backend.task),
        Cell::new(backend.addresses.join(" ")),
        Cell::new(called(&backend.node)),
        Cell::new(backend.node_state.as_str()).look(look),
        Cell::new(backend.weight.to_string()),
        Cell::new(&*backend.health).look(good(backend.health == "healthy")),
        Cell::new(&*backend.state).look(good(backend.state == "ready")),
    ]
}

#[cfg(test)]
mod tests {
    use netnode_api::services::BackendCount;

    use super::*;
    use crate::{layout::print_table, terminal::Terminal};

    fn shown(backends: Option<BackendCount>, state: ServiceState) -> Shown {
        let published = |published| PublishedPort {
            protocol: "tcp".into(),
            published,
            target: 80,
            mode: "ingress".into(),
            bind: Some("2001:db8::1".into()),
        };
        Shown {
            id: "00".repeat(16),
            name: "a-service-with-a-long-name".into(),
            network: "11".repeat(16),
            network_name: None,
            mode: "vip".into(),
            vips: vec!["10.0.0.9".into(), "fd12:3456:789a::9".into()],
            ports: vec![published(8080), published(8081)],
            labels: [].into(),
            prefer_local: true,
            external_traffic: "local".into(),
            publish_on: None,
            health_port: Some(8081),
            created_us: 0,
            conflicts: vec![],
            closed: vec![],
            hindered: vec![],
            backends,
            state,
        }
    }

    #[test]
    fn a_service_fits_a_line_of_a_terminal() {
        let conflict = "web has the address fd12:3456:789a::9";
        let all = [
            shown(Some(BackendCount { ready: 2, all: 3 }), ServiceState::Ready),
            shown(None, ServiceState::Conflict(conflict.into())),
        ];
        let printed = |wide| {
            let terminal = Terminal { width: Some(80), ..Terminal::default() };
            let mut out = Vec::new();
            print_table(&mut out, &COLUMNS, terminal, wide, all.iter().map(cells)).unwrap();
            String::from_utf8(out).unwrap()
        };
        let narrow = printed(false);
        assert!(narrow.lines().all(|line| text::width(line) <= 80), "{narrow}");
        assert!(narrow.contains("2/3") && narrow.contains("11111111"), "{narrow}");
        let wide = printed(true);
        assert!(wide.contains(conflict) && wide.contains("[2001:db8::1]:8081:80/tcp"), "{wide}");
    }

    #[test]
    fn ports_are_shown_as_they_are_asked_for() {
        let mut published = PublishedPort {
            protocol: "tcp".into(),
            published: 8080,
            target: 80,
            mode: "ingress".into(),
            bind: None,
        };
        assert_eq!(port(&published), "8080:80/tcp");
        published.bind = Some("::1".into());
        assert_eq!(port(&published), "[::1]:8080:80/tcp");
        (published.bind, published.mode) = (Some("192.0.2.1".into()), "host".into());
        assert_eq!(port(&published), "192.0.2.1:8080:80/tcp(host)");
    }
}
