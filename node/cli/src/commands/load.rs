//! Loading many rows from lines `key<TAB>value`, one request for all of them.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use netnode_api::{
    client::Client,
    rows::{Load, LoadRow, Loaded},
};

use super::print_json;
use crate::{Io, failure::Failure, text};

/// The longest line: the longest key and the longest value that a node takes, the tab between them,
/// and the line's end.
const MAX_LINE: u64 = 256 + 1 + 65_536 + 2;

pub(super) async fn load(
    client: &Client,
    io: &mut Io<'_>,
    load: Load,
    file: Option<&Path>,
    json: bool,
) -> Result<(), Failure> {
    let mut opened;
    let input: &mut dyn BufRead = match file {
        Some(path) => {
            let failed = |error| Failure::Failed(format!("{}: {error}", path.display()));
            opened = BufReader::new(File::open(path).map_err(failed)?);
            &mut opened
        }
        None => io.input,
    };
    let mut sink = client.load(&load);
    let mut lines = Lines { input, number: 0 };
    let stopped = loop {
        let wanted = match lines.next() {
            Ok(Some(Line::Row(row))) => sink.send(&row).await?,
            // Sent along, so that the daemon counts lines as this file does.
            Ok(Some(Line::Blank)) => sink.send_blank().await,
            Ok(None) => break None,
            Err(failure) => break Some(failure),
        };
        if !wanted {
            break None;
        }
    };
    let loaded = sink.finish().await?;
    if json {
        print_json(io, &loaded)?;
    } else {
        tell(io, &load, &loaded)?;
    }
    match stopped {
        Some(failure) => Err(failure),
        None if loaded.refused > 0 => {
            Err(Failure::Failed(format!("{} rows were refused", loaded.refused)))
        }
        None => Ok(()),
    }
}

fn tell(io: &mut Io<'_>, load: &Load, loaded: &Loaded) -> Result<(), Failure> {
    let Load { network, table, .. } = load;
    writeln!(io.out, "{} rows written to table {table} of network {network}", loaded.written)?;
    for refusal in &loaded.refusals {
        let message = text::escaped(&refusal.error.message);
        writeln!(io.err, "netdbctl: line {}: {message}", refusal.line)?;
    }
    Ok(())
}

struct Lines<'a> {
    input: &'a mut dyn BufRead,
    number: u64,
}

enum Line {
    Row(LoadRow),
    Blank,
}

impl Lines<'_> {
    /// The next line; `None` at the end.
    fn next(&mut self) -> Result<Option<Line>, Failure> {
        self.number += 1;
        let number = self.number;
        let failed = |what: String| Failure::Failed(format!("line {number}: {what}"));
        let mut line = Vec::new();
        let mut limited = (&mut *self.input).take(MAX_LINE + 1);
        limited.read_until(b'\n', &mut line).map_err(|error| failed(error.to_string()))?;
        if line.is_empty() {
            return Ok(None);
        }
        if line.len() as u64 > MAX_LINE {
            return Err(failed(format!("longer than {MAX_LINE} bytes")));
        }
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Ok(Some(Line::Blank));
        }
        let tab = line.iter().position(|byte| *byte == b'\t');
        let (key, value) = tab
            .and_then(|tab| line.split_at_checked(tab))
            .ok_or_else(|| failed("no tab between key and value".to_owned()))?;
        let value = value.get(1..).unwrap_or_default();
        Ok(Some(Line::Row(LoadRow { key: key.into(), value: value.into() })))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// Line number, key, value.
    type Numbered = (u64, Vec<u8>, Vec<u8>);

    fn read(input: &[u8]) -> Result<Vec<Numbered>, String> {
        let mut input = Cursor::new(input);
        let mut lines = Lines { input: &mut input, number: 0 };
        let mut rows = Vec::new();
        while let Some(line) = lines.next().map_err(|failure| failure.to_string())? {
            if let Line::Row(row) = line {
                rows.push((lines.number, row.key.0, row.value.0));
            }
        }
        Ok(rows)
    }

    #[test]
    fn lines_are_keys_and_values() {
        let rows = read(b"a\t1\n\nb\tx\ty\r\n\xff\t").unwrap();
        let expected: Vec<Numbered> = vec![
            (1, b"a".to_vec(), b"1".to_vec()),
            (3, b"b".to_vec(), b"x\ty".to_vec()),
            (4, vec![0xff], vec![]),
        ];
        assert_eq!(rows, expected);
        assert_eq!(read(b""), Ok(vec![]));
    }

    #[test]
    fn a_bad_line_is_named() {
        assert_eq!(read(b"a\t1\nb 2\n"), Err("line 2: no tab between key and value".to_owned()));
        let limit = usize::try_from(MAX_LINE).unwrap();
        let mut line = vec![b'x'; limit];
        line[0] = b'\t';
        line[limit - 1] = b'\n';
        assert!(read(&line).is_ok());
        line.insert(1, b'x');
        assert_eq!(read(&line), Err(format!("line 1: longer than {MAX_LINE} bytes")));
    }
}
