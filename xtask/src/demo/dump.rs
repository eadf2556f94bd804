//! Last stage: what a node that wrote nothing tells of the networks that it is attached to.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use netnode_api::rows::RowQuery;

use super::stage::{READER, Stage};

/// Rows of each table that are shown.
const SHOWN: usize = 4;

pub(crate) async fn from_a_reader(stage: &mut Stage) -> Result<()> {
    stage.report.begin("What a node shows that wrote nothing");
    let reader = stage.node(READER)?;
    let id = reader.client().status().await?.node;
    let rows = reader.client().rows(&RowQuery::default()).await?.collect().await?;
    // In the cluster's own network every node says who it is.
    let tables = rows.iter().filter(|row| !row.network.starts_with('_'));
    let own = tables.clone().filter(|row| row.dot.node == id).count();
    let (name, count) = (reader.name().to_owned(), tables.count());
    let words = ["table", "dump", "--network", "blue"];
    let dump = reader.netdbctl(&words).await?.succeeded()?.stdout;
    println!("   $ netdbctl {}    (on {name})", words.join(" "));
    show(&dump);
    let found = format!("{own} of {count}");
    let what = format!("rows that {name} holds and that it wrote itself");
    stage.report.check(&what, own == 0 && count > 0, &found);
    let mut keys = stage.services.rows.keys();
    let all = keys.all(|key| dump.contains(&format!("services\towner\t{key}\t")));
    stage.report.check("every service is in the dump", all, &all.to_string());
    dump.lines().next().filter(|header| header.starts_with("NETWORK")).context("no header")?;
    Ok(())
}

/// The first rows of each table; a dump that is not for a terminal has tabs between its columns.
fn show(dump: &str) {
    let mut told: BTreeMap<&str, usize> = BTreeMap::new();
    for line in dump.lines() {
        let table = line.split('\t').nth(1).unwrap_or_default();
        let count = told.entry(table).or_default();
        *count += 1;
        if *count <= SHOWN {
            println!("   {}", line.replace('\t', "  "));
        } else if *count == SHOWN + 1 {
            println!("   ...");
        }
    }
    println!("   {} lines in all", dump.lines().count());
}
