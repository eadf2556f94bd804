//! What an administrator notes about a node, as it is written.

use std::collections::BTreeMap;

use netnode_plan::records::{MAX_LABEL, MAX_LABELS};

use super::text::Text;

/// Labels of this node: names, and values where they have one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(pub(crate) BTreeMap<String, String>);

/// A list of `NAME` and `NAME=VALUE`; of none, it is empty.
impl Text for Labels {
    fn read(text: &str) -> Result<Self, String> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        let all: BTreeMap<String, String> = words
            .map(|word| word.split_once('=').unwrap_or((word, "")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let fits = |(name, value): (&String, &String)| {
            !name.is_empty() && name.len() <= MAX_LABEL && value.len() <= MAX_LABEL
        };
        if all.len() > MAX_LABELS || !all.iter().all(fits) {
            return Err(format!(
                "expected up to {MAX_LABELS} labels with ',' between them, as in edge,zone=a, each name and \
                 value of at most {MAX_LABEL} bytes"
            ));
        }
        Ok(Self(all))
    }
    fn show(&self) -> Option<String> {
        let show = |(name, value): (&String, &String)| {
            if value.is_empty() { name.clone() } else { format!("{name}={value}") }
        };
        let all: Vec<String> = self.0.iter().map(show).collect();
        (!all.is_empty()).then(|| all.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_values_or_none() {
        let labels = Labels::read("zone=a, edge,").unwrap();
        assert_eq!(labels.show().as_deref(), Some("edge,zone=a"));
        assert_eq!(Labels::read("").map(|none| none.show()), Ok(None));
        let long = "a".repeat(MAX_LABEL + 1);
        for bad in ["=a", long.as_str()] {
            assert!(Labels::read(bad).unwrap_err().contains("as in edge,zone=a"), "{bad}");
        }
    }
}
