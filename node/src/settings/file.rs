//! Reads the configuration file: flat TOML, one key per setting.

use std::{collections::BTreeMap, fs::File, io::Read, ops::Range, path::Path};

use toml::{Spanned, Value};

use super::{
    Origin, Problem, Said, SettingsError,
    table::{self, SETTINGS},
};

/// The most bytes of a configuration file.
pub(super) const MAX_FILE: u64 = 1 << 20;

/// What the file says. Keys and values that can't be used are added to `problems`.
pub(super) fn read(path: &Path, problems: &mut Vec<Problem>) -> Result<Vec<Said>, SettingsError> {
    let unreadable = |error| SettingsError::Unreadable { path: path.into(), error };
    let mut content = String::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE + 1).read_to_string(&mut content).map_err(unreadable)?;
    if content.len() as u64 > MAX_FILE {
        return Err(unreadable(std::io::Error::other(format!("it is over {MAX_FILE} bytes"))));
    }
    let values: BTreeMap<Spanned<String>, Value> = toml::from_str(&content)
        .map_err(|error| SettingsError::Syntax { path: path.into(), error: Box::new(error) })?;
    let mut said = Vec::new();
    for (key, value) in values {
        let origin = Origin::File { path: path.into(), line: line_of(&content, key.span()) };
        let key = key.into_inner();
        let text = text_of(&value);
        match (table::find(&key), text) {
            (Some(setting), Some(text)) => said.push(Said { setting, text, origin }),
            (Some(_), None) => {
                let what = "text or a whole number is expected".to_owned();
                problems.push(Problem { setting: key, text: value.to_string(), origin, what });
            }
            (None, _) => {
                let what = unknown(&key);
                problems.push(Problem { setting: key, text: String::new(), origin, what });
            }
        }
    }
    Ok(said)
}

fn line_of(content: &str, span: Range<usize>) -> usize {
    content.as_bytes().iter().take(span.start).filter(|byte| **byte == b'\n').count() + 1
}

/// The same text as a flag would have.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}

fn unknown(key: &str) -> String {
    let nearest = SETTINGS.iter().map(|setting| (distance(key, setting.name), setting.name)).min();
    match nearest {
        Some((distance, name)) if distance <= 3 => {
            format!("there is no such setting; did you mean {name}?")
        }
        _ => "there is no such setting; `netnode config show` lists them".to_owned(),
    }
}

/// Letters to add, drop or change to get from one word to the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((b, above), diagonal) in other.chars().zip(row.iter().skip(1)).zip(&row) {
            let left = next.last().copied().unwrap_or(i);
            next.push((left + 1).min(above + 1).min(diagonal + usize::from(a != b)));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
