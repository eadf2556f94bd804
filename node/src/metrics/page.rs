//! `docs/metrics.md`: the table for people. `netnode metrics` prints it.

use std::fmt::{self, Write};

use super::{table::METRICS, text::PREFIX};

const HEAD: &str = "\
# Metrics

What a node counts and measures, in the form that Prometheus reads. `netdbctl metrics` prints it, and
`GET /v1/metrics` on the control socket answers with it. With the setting
`metrics_listen = \"127.0.0.1:9740\"` netnode also serves it at `http://127.0.0.1:9740/metrics`, to Prometheus
or an agent on the same host; other than loopback addresses are refused. Counters start from 0 with the
process. Figures are the node's own, from its own point of view; `rate(netnode_packets_sent_total[5m])` and
the like are left to whoever reads them.

This page is made by `netnode metrics > docs/metrics.md`, and a test compares the two.

| metric | kind | labels | meaning |
| --- | --- | --- | --- |
";

/// The whole page.
pub(crate) fn page() -> String {
    let mut page = HEAD.to_owned();
    // Writing to a String can't fail.
    let _ = rows(&mut page);
    page
}

fn rows(page: &mut String) -> fmt::Result {
    METRICS.iter().try_for_each(|metric| {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (kind, labels) = (metric.kind.name(), labels.join(", "));
        writeln!(page, "| `{PREFIX}{}` | {kind} | {labels} | {} |", metric.name, metric.help)
    })
}
