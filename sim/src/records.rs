//! Records in rows: a script writes text, so they are there in hexadecimal digits.

use std::fmt::Write as _;

use netnode_plan::records::{self, Record};

/// A record as a script writes it.
pub fn written<T: Record>(record: &T) -> String {
    let mut text = String::new();
    for byte in records::encode(record) {
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:0>2x}");
    }
    text
}

/// The record that was written so, if it is one.
pub fn read<T: Record>(text: &[u8]) -> Option<T> {
    let digits = std::str::from_utf8(text).ok()?.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.map(byte).collect();
    records::decode(&bytes?).ok()
}

#[cfg(test)]
mod tests {
    use netdb_gossip_core::identity::Name;
    use netnode_plan::records::{NetworkId, ServiceMode, ServiceRecord};

    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else_is() {
        let record = ServiceRecord {
            created_us: 1,
            ..ServiceRecord::new(Name::new("web").unwrap(), NetworkId([7; 16]), ServiceMode::DnsRr)
        };
        let text = written(&record);
        assert_eq!(read(text.as_bytes()), Some(record));
        assert_eq!(read::<ServiceRecord>(&text.as_bytes()[1..]), None);
        assert_eq!(read::<ServiceRecord>(b"here"), None);
    }
}
