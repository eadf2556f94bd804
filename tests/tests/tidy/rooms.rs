//! The table of rooms in the README names what is there, all of it and nothing else.

use std::collections::BTreeMap;

use crate::{
    directions::Workspace,
    tree::{self, files, root, top_folders},
};

#[test]
fn the_table_of_rooms_is_the_tree() {
    let readme = files(&["md"]).into_iter().find(|file| file.path == "README.md");
    let rooms = table(&readme.expect("README.md is gone").text);
    let packages = Workspace::read().folders();
    let mut offences = Vec::new();
    for (room, package) in &rooms {
        if !root().join(room).is_dir() {
            offences.push(format!("README.md names `{room}/`, which is not there"));
        }
        if let Some(package) = package
            && packages.get(room) != Some(package)
        {
            offences.push(format!("README.md: `{room}/` is not the package `{package}`"));
        }
    }
    for (folder, package) in &packages {
        if rooms.get(folder) != Some(&Some(package.clone())) {
            offences.push(format!("README.md lacks the row of `{folder}/`, package `{package}`"));
        }
    }
    for folder in top_folders() {
        let within = |room: &String| room.split('/').next() == Some(&folder);
        if !rooms.keys().any(within) {
            offences.push(format!("README.md lacks a row for `{folder}/`"));
        }
    }
    tree::none(&offences);
}

/// Rows ``| `room/` | `package` | … |``: the package by the room; a room need not be a package.
fn table(readme: &str) -> BTreeMap<String, Option<String>> {
    let quoted = |cell: &str| Some(cell.trim().strip_prefix('`')?.split_once('`')?.0.to_owned());
    readme
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix('|')?.split('|');
            let room = quoted(cells.next()?)?.strip_suffix('/')?.to_owned();
            Some((room, quoted(cells.next()?)))
        })
        .collect()
}

#[test]
fn rows_are_read() {
    let text = "| room | package |\n| --- | --- |\n| `a/b/` | `p` | x |\n| `docs/` | | y |\n| `-x` | `z` |";
    let rows = BTreeMap::from([("a/b".into(), Some("p".into())), ("docs".into(), None)]);
    assert_eq!(table(text), rows);
}
