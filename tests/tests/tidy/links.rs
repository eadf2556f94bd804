//! Every relative link in a page leads to a file, and to a heading where it names one.

use crate::tree::{self, File, files, root};

#[test]
fn no_dead_link() {
    let pages = files(&["md"]);
    let mut offences = Vec::new();
    for page in &pages {
        for link in links(&prose(&page.text)) {
            if let Some(fault) = fault(&pages, page, &link) {
                offences.push(format!("{}: ({link}): {fault}", page.path));
            }
        }
    }
    tree::none(&offences);
}

fn fault(pages: &[File], page: &File, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, heading) = link.split_once('#').unwrap_or((link, ""));
    let target = if path.is_empty() { page.path.clone() } else { joined(&page.path, path) };
    if !root().join(&target).exists() {
        return Some(format!("there is no {target}"));
    }
    let to = pages.iter().find(|page| page.path == target)?;
    let known = heading.is_empty() || headings(&to.text).iter().any(|slug| slug == heading);
    (!known).then(|| format!("{target} has no heading #{heading}"))
}

/// A link's path from the root, seen from the page it stands on.
pub(crate) fn joined(page: &str, link: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "." | "" => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// A page without its code, in which brackets mean something else.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && !line.starts_with("    ") {
            // Every second piece between backticks is code.
            prose.extend(line.split('`').step_by(2));
            prose.push('\n');
        }
    }
    prose
}

fn links(prose: &str) -> Vec<String> {
    prose
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .filter_map(|(link, _)| link.split_whitespace().next().map(str::to_owned))
        .collect()
}

/// The anchors of a page's headings, as forges make them.
fn headings(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

#[test]
fn links_are_found_and_resolved() {
    let text = "a [x](../b.md#c-d) `[n](o)` [y](z)\n```\n[p](q)\n```\n";
    assert_eq!(links(&prose(text)), ["../b.md#c-d", "z"]);
    assert_eq!(joined("docs/a.md", "../b.md"), "b.md");
    assert_eq!(joined("a.md", "../b.md"), "../b.md");
    assert_eq!(headings("# The `life` of one write!\n"), ["the-life-of-one-write"]);
}
