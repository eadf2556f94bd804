//! Writing and deleting one row.

use std::io::{BufRead, Read};

use netnode_api::{
    Payload,
    client::Client,
    rows::{Operation, Write as Request},
};

use super::{print_json, rows::bytes};
use crate::{
    Io,
    args::{LifetimeArg, Place, WriteArgs},
    failure::Failure,
};

/// The most bytes read as one value. The daemon's limit is lower; this one bounds memory here.
const MAX_INPUT: u64 = 1 << 20;

pub(super) async fn write(
    client: &Client,
    io: &mut Io<'_>,
    args: WriteArgs,
    operation: Operation,
) -> Result<(), Failure> {
    let WriteArgs { place, value, lifetime, json } = args;
    let value = match value.as_str() {
        "-" => Payload(read_value(io.input)?),
        text => bytes(text, place.hex, "value")?,
    };
    let request = request(&place, lifetime, operation, Some(value))?;
    send(client, io, &request, json.json).await
}

pub(super) async fn delete(
    client: &Client,
    io: &mut Io<'_>,
    place: &Place,
    lifetime: LifetimeArg,
    json: bool,
) -> Result<(), Failure> {
    send(client, io, &request(place, lifetime, Operation::Delete, None)?, json).await
}

fn request(
    place: &Place,
    lifetime: LifetimeArg,
    operation: Operation,
    value: Option<Payload>,
) -> Result<Request, Failure> {
    Ok(Request {
        network: place.network.clone(),
        table: place.table.clone(),
        lifetime: lifetime.into(),
        operation,
        key: bytes(&place.key, place.hex, "key")?,
        value,
    })
}

async fn send(
    client: &Client,
    io: &mut Io<'_>,
    request: &Request,
    json: bool,
) -> Result<(), Failure> {
    let receipt = client.write(request).await?;
    if json {
        return print_json(io, &receipt);
    }
    let done = match request.operation {
        Operation::Create => "created",
        Operation::Update => "updated",
        Operation::Upsert => "written",
        Operation::Delete => "deleted",
    };
    Ok(writeln!(io.out, "{done} {}", receipt.dot)?)
}

fn read_value(input: &mut dyn BufRead) -> Result<Vec<u8>, Failure> {
    let mut value = Vec::new();
    let failed = |error| Failure::Failed(format!("standard input can't be read: {error}"));
    input.take(MAX_INPUT + 1).read_to_end(&mut value).map_err(failed)?;
    if value.len() as u64 > MAX_INPUT {
        return Err(Failure::Failed(format!(
            "the value on standard input is over {MAX_INPUT} bytes"
        )));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn a_value_at_the_limit_is_read_and_one_over_it_is_not() {
        let limit = usize::try_from(MAX_INPUT).unwrap();
        assert_eq!(read_value(&mut Cursor::new(vec![0; limit])).unwrap().len(), limit);
        assert!(read_value(&mut Cursor::new(vec![0; limit + 1])).is_err());
    }
}
