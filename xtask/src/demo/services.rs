//! This machine's own `/etc/services`: a table of a few hundred rows that nobody made up.

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result, ensure};

const PATH: &str = "/etc/services";

/// The services by `name/protocol`; port and other names are the value.
pub(crate) struct Services {
    pub(crate) rows: BTreeMap<String, String>,
}

pub(crate) fn read() -> Result<Services> {
    let text = fs::read_to_string(PATH).with_context(|| {
        format!("{PATH} can't be read: on Debian `apt-get install netbase` brings it")
    })?;
    let rows = rows(&text);
    ensure!(!rows.is_empty(), "{PATH} names no service");
    Ok(Services { rows })
}

/// A line is `name port/protocol [other names] [# comment]`, services(5).
fn rows(text: &str) -> BTreeMap<String, String> {
    let row = |line: &str| {
        let mut words = line.split('#').next()?.split_whitespace();
        let (name, (port, protocol)) = (words.next()?, words.next()?.split_once('/')?);
        let value: Vec<&str> = std::iter::once(port).chain(words).collect();
        Some((format!("{name}/{protocol}"), value.join(" ")))
    };
    text.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_ports_and_other_names_are_read() {
        let text = "# c\n\nhttp\t80/tcp\twww # web\ndomain 53/tcp\ndomain 53/udp\nbroken\n";
        let rows: Vec<_> = rows(text).into_iter().collect();
        let expected = [("domain/tcp", "53"), ("domain/udp", "53"), ("http/tcp", "80 www")];
        assert_eq!(rows, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
}
