//! Keys, rotation, and the join token.

use std::time::Duration;

use netnode_api::{
    client::Client,
    keys::{Keys as Keyring, RotateToken, Rotation, RotationStep, Token as JoinToken},
};

use super::{print_json, print_list};
use crate::{
    Io,
    args::{Format, Keys, Token},
    failure::Failure,
    layout::{Cell, Column},
    terminal::Look,
    text,
};

/// How often the daemon is asked how far a rotation is.
const POLL: Duration = Duration::from_millis(100);

const COLUMNS: [Column; 4] = [
    Column::new("KEY", 8),
    Column::new("EPOCH", 5).right(),
    Column::new("USE", 9),
    Column::new("HELD BY", 7),
];

pub(super) async fn run(command: Keys, client: &Client, io: &mut Io<'_>) -> Result<(), Failure> {
    match command {
        Keys::List { format } => list(client, io, format).await,
        Keys::Rotate { wait, json } => rotate(client, io, wait, json.json).await,
    }
}

async fn list(client: &Client, io: &mut Io<'_>, format: Format) -> Result<(), Failure> {
    let keys = client.keys().await?;
    if format.json {
        return print_json(io, &keys);
    }
    print_list(io, format, &COLUMNS, &keys.keys, |key| {
        let held = format!("{} of {}", key.held_by, keys.live);
        vec![
            Cell::new(&*key.id),
            Cell::new(key.epoch.to_string()),
            if key.primary {
                Cell::new("seals").look(Look::Good)
            } else {
                Cell::new("opens only").look(Look::Aside)
            },
            Cell::new(held),
        ]
    })?;
    if format.jsonl || keys.rotation == Rotation::Idle {
        return Ok(());
    }
    Ok(writeln!(io.out, "{}", step(&keys.rotation))?)
}

async fn rotate(client: &Client, io: &mut Io<'_>, wait: bool, json: bool) -> Result<(), Failure> {
    let before = client.keys().await?;
    let mut now = client.rotate_keys().await?;
    if !wait {
        if json {
            return print_json(io, &now);
        }
        return Ok(writeln!(io.out, "the rotation is under way; `keys list` shows how far")?);
    }
    let mut told = String::new();
    while now.rotation != Rotation::Idle || epoch(&now) <= epoch(&before) {
        let step = step(&now.rotation);
        if step != told {
            writeln!(io.err, "{step}")?;
            told = step;
        }
        tokio::time::sleep(POLL).await;
        now = client.keys().await?;
    }
    if json {
        return print_json(io, &now);
    }
    let key = now.keys.iter().find(|key| key.primary).map_or("?", |key| &key.id);
    Ok(writeln!(io.out, "every live node seals with key {key} (epoch {})", epoch(&now))?)
}

/// The epoch of the key that seals.
fn epoch(keys: &Keyring) -> u64 {
    keys.keys.iter().find(|key| key.primary).map_or(0, |key| key.epoch)
}

fn step(rotation: &Rotation) -> String {
    let waiting = |what: &str, step: &RotationStep, done: &str| {
        let nodes: Vec<_> = step.waiting_for.iter().map(|id| text::short(id)).collect();
        let rest = if nodes.is_empty() {
            done.to_owned()
        } else {
            format!("waiting for {}", nodes.join(", "))
        };
        format!("rotation: {what} key {}, {rest}", text::short(&step.key))
    };
    match rotation {
        Rotation::Idle => "rotation: about to begin".to_owned(),
        Rotation::Installing(step) => waiting("installing", step, "every live node holds it"),
        Rotation::Using(step) => waiting(
            "changing over to",
            step,
            "every live node seals with it; older ones open what is under way for key_retire_after",
        ),
        Rotation::Removing(step) => {
            waiting("removing the keys before", step, "every live node has dropped them")
        }
    }
}

pub(super) async fn token(command: Token, client: &Client, io: &mut Io<'_>) -> Result<(), Failure> {
    match command {
        Token::Show { json } => show(io, &client.token().await?, json.json),
        Token::Rotate { expires, json } => {
            let request = RotateToken { expires_after_secs: expires };
            show(io, &client.rotate_token(&request).await?, json.json)
        }
    }
}

/// The token alone goes to standard output, so that scripts can take it as it is.
fn show(io: &mut Io<'_>, token: &JoinToken, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(io, token);
    }
    writeln!(io.out, "{}", token.text)?;
    io.out.flush()?;
    match token.expires_us {
        Some(us) => Ok(writeln!(io.err, "token {}, good until {}", token.id, text::moment(us))?),
        None => Ok(writeln!(io.err, "token {}, good until it is rotated", token.id)?),
    }
}

pub(super) async fn join(client: &Client, io: &mut Io<'_>, json: bool) -> Result<(), Failure> {
    let token = client.token().await?;
    if json {
        return print_json(io, &token);
    }
    writeln!(io.out, "netnode join {} {}", token.text, token.address)?;
    io.out.flush()?;
    Ok(writeln!(io.err, "Run this on the new host, then start netnode there.")?)
}
