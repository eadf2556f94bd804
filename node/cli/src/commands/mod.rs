//! One function per command: asks the daemon, prints the answer.

mod config;
mod debug;
mod diff;
mod dns;
mod endpoint;
mod generated;
mod ipam;
mod keys;
mod lb;
mod load;
mod network;
mod node;
mod rows;
mod scope;
mod service;
mod top;
mod watch;
mod write;

use std::{io::Write, time::Duration};

use netnode_api::{client::Client, node::Who};
use serde::Serialize;

use crate::{
    Io,
    args::{Command, Config, Format, Table},
    failure::Failure,
    layout::{Cell, Column, print_table},
    terminal::Look,
    text,
};

pub(crate) async fn run(command: Command, client: &Client, io: &mut Io<'_>) -> Result<(), Failure> {
    match command {
        Command::Status { json } => node::status(client, io, json.json).await,
        Command::Members { format } => node::members(client, io, format).await,
        Command::Stats { json } => node::stats(client, io, json.json).await,
        Command::Metrics { json } => node::metrics(client, io, json.json).await,
        Command::Completions { shell } => generated::completions(io, shell),
        Command::Man { dir } => generated::man(io, &dir),
        Command::Join { json } => keys::join(client, io, json.json).await,
        Command::Leave { yes, json } => node::leave(client, io, yes, json.json).await,
        Command::Diff { left, right, network, wide, json } => {
            let query = netnode_api::diff::DiffQuery { left, right, network };
            diff::diff(client, io, &query, wide, json.json).await
        }
        Command::Debug { network, wide, json } => {
            debug::debug(client, io, network.as_deref(), wide, json.json).await
        }
        Command::Top { interval, once, json } => {
            let view = top::View { interval: Duration::from_secs(interval), once, json: json.json };
            top::top(client, io, view).await
        }
        Command::Config { command: Config::Show { said, format } } => {
            config::show(client, io, said, format).await
        }
        Command::Reload { json } => node::reload(client, io, json.json).await,
        Command::Network { command } => network::run(command, client, io).await,
        Command::Service { command } => service::run(command, client, io).await,
        Command::Endpoint { command } => endpoint::run(command, client, io).await,
        Command::Dns { command } => dns::run(command, client, io).await,
        Command::Lb { command } => lb::run(command, client, io).await,
        Command::Ipam { command } => ipam::run(command, client, io).await,
        Command::Scope { command, format } => scope::run(command, format, client, io).await,
        Command::Complete { network, json } => {
            scope::complete(client, io, &network, json.json).await
        }
        Command::Keys { command } => keys::run(command, client, io).await,
        Command::Token { command } => keys::token(command, client, io).await,
        Command::Table { command } => table(command, client, io).await,
    }
}

async fn table(command: Table, client: &Client, io: &mut Io<'_>) -> Result<(), Failure> {
    use netnode_api::rows::Operation;
    match command {
        Table::Ls { network, format } => rows::ls(client, io, network, format).await,
        Table::Dump { select, format, raw } => rows::dump(client, io, select, format, raw).await,
        Table::Watch { select, jsonl, raw, changes, count } => {
            let view = watch::View { jsonl, raw, changes, count };
            watch::watch(client, io, select, view).await
        }
        Table::Get { place, lifetime, format, value } => {
            rows::get(client, io, &place, lifetime, format, value).await
        }
        Table::Create(args) => write::write(client, io, args, Operation::Create).await,
        Table::Update(args) => write::write(client, io, args, Operation::Update).await,
        Table::Upsert(args) => write::write(client, io, args, Operation::Upsert).await,
        Table::Delete { place, lifetime, json } => {
            write::delete(client, io, &place, lifetime, json.json).await
        }
        Table::Load { network, table, input: _, file, lifetime, create, keep_going, json } => {
            let operation = if create { Operation::Create } else { Operation::Upsert };
            let lifetime = lifetime.into();
            let load = netnode_api::rows::Load { network, table, lifetime, operation, keep_going };
            load::load(client, io, load, file.as_deref(), json.json).await
        }
    }
}

/// One JSON document, on several lines for a reader, on one for a pipe.
fn print_json(io: &mut Io<'_>, document: &impl Serialize) -> Result<(), Failure> {
    if io.terminal.width.is_some() {
        serde_json::to_writer_pretty(&mut *io.out, document)?;
    } else {
        serde_json::to_writer(&mut *io.out, document)?;
    }
    Ok(writeln!(io.out)?)
}

/// One JSON object on one line.
fn print_line(out: &mut dyn Write, object: &impl Serialize) -> Result<(), Failure> {
    serde_json::to_writer(&mut *out, object)?;
    Ok(writeln!(out)?)
}

/// A short list in the format asked for.
fn print_list<T: Serialize>(
    io: &mut Io<'_>,
    format: Format,
    columns: &[Column],
    items: &[T],
    cells: impl Fn(&T) -> Vec<Cell>,
) -> Result<(), Failure> {
    if format.json {
        return print_json(io, &items);
    }
    if format.jsonl {
        return items.iter().try_for_each(|item| print_line(io.out, item));
    }
    print_items(io, columns, format.wide, items, cells)
}

/// Items as the rows of a table.
fn print_items<T>(
    io: &mut Io<'_>,
    columns: &[Column],
    wide: bool,
    items: &[T],
    cells: impl Fn(&T) -> Vec<Cell>,
) -> Result<(), Failure> {
    Ok(print_table(io.out, columns, io.terminal, wide, items.iter().map(cells))?)
}

/// What is known of one thing, a line each, behind labels of one width.
fn print_facts(io: &mut Io<'_>, width: usize, facts: &[(&str, String)]) -> Result<(), Failure> {
    for (label, text) in facts {
        let label = Look::Heading.paint(&format!("{label:<width$}"), io.terminal.color);
        writeln!(io.out, "{label} {}", text::escaped(text))?;
    }
    Ok(())
}

/// What the lines below are about.
fn heading(io: &mut Io<'_>, text: &str) -> Result<(), Failure> {
    Ok(writeln!(io.out, "\n{}", Look::Heading.paint(text, io.terminal.color))?)
}

/// What people call a node.
fn called(who: &Who) -> String {
    who.name.as_deref().map_or_else(|| text::short(&who.id).to_owned(), text::escaped)
}

/// Asks somebody at the terminal; anything but a yes ends the command.
fn confirm(io: &mut Io<'_>, question: &str) -> Result<(), Failure> {
    write!(io.err, "{question} [y/N] ")?;
    io.err.flush()?;
    let mut answer = String::new();
    io.input.read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::Failed("nothing was done".to_owned())),
    }
}

/// How far a node's copy of a network is.
fn sync_state(synced: bool) -> Cell {
    if synced {
        Cell::new("in sync").look(Look::Good)
    } else {
        Cell::new("syncing").look(Look::Doubtful)
    }
}
