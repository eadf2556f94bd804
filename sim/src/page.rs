//! One page with plots of what runs showed: HTML that needs nothing from elsewhere, for light and dark.

pub mod spread;
pub mod story;

use std::fmt::Write as _;

use crate::plot::svg::escape;

/// A page.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Its title.
    pub title: String,
    /// What its figures are taken from.
    pub about: String,
    /// From top to bottom.
    pub sections: Vec<Section>,
}

/// A picture with its numbers.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// What it answers.
    pub title: String,
    /// What is to be seen in it.
    pub words: String,
    /// The picture, as SVG.
    pub picture: String,
    /// The names of the columns.
    pub head: Vec<String>,
    /// The numbers of the picture.
    pub rows: Vec<Vec<String>>,
}

const STYLE: &str = include_str!("page/style.css");

impl Page {
    /// The page as HTML.
    pub fn html(&self) -> String {
        let (title, about) = (escape(&self.title), escape(&self.about));
        let mut html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<p>{about}</p>\n"
        );
        for section in &self.sections {
            section.write(&mut html);
        }
        html.push_str("</main>\n</body>\n</html>\n");
        html
    }
}

impl Section {
    fn write(&self, html: &mut String) {
        let (title, words) = (escape(&self.title), escape(&self.words));
        let _ = write!(html, "<section>\n<h2>{title}</h2>\n<p>{words}</p>\n");
        // The picture is escaped where it is drawn. A wide one scrolls by itself, also with the keyboard.
        let _ = write!(
            html,
            "<figure tabindex=\"0\" role=\"group\" aria-label=\"{title}\">\n{}</figure>\n",
            self.picture
        );
        if !self.rows.is_empty() {
            let _ = write!(html, "<details>\n<summary>Its numbers</summary>\n<table>\n<thead>");
            row(html, "th", &self.head);
            let _ = write!(html, "</thead>\n<tbody>\n");
            for cells in &self.rows {
                row(html, "td", cells);
            }
            let _ = write!(html, "</tbody>\n</table>\n</details>\n");
        }
        html.push_str("</section>\n");
    }
}

fn row(html: &mut String, tag: &str, cells: &[String]) {
    html.push_str("<tr>");
    for (index, cell) in cells.iter().enumerate() {
        let cell = escape(cell);
        let _ = match (tag, index) {
            ("th", _) => write!(html, "<th scope=\"col\">{cell}</th>"),
            (_, 0) => write!(html, "<th scope=\"row\">{cell}</th>"),
            _ => write!(html, "<{tag}>{cell}</{tag}>"),
        };
    }
    html.push_str("</tr>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page {
        let section = Section {
            title: "a & b".into(),
            words: "it <shows>".into(),
            picture: "<svg></svg>\n".into(),
            head: vec!["name".into(), "p50".into()],
            rows: vec![vec!["<x>".into(), "1".into()]],
        };
        Page { title: "<t>".into(), about: "about".into(), sections: vec![section] }
    }

    #[test]
    fn a_page_escapes_words_and_keeps_pictures() {
        let html = page().html();
        assert!(html.contains("<h2>a &amp; b</h2>") && html.contains("it &lt;shows&gt;"));
        assert!(html.contains("\n<svg></svg>\n"));
        assert!(html.contains("<th scope=\"row\">&lt;x&gt;</th><td>1</td>"));
    }

    #[test]
    fn a_page_needs_nothing_from_elsewhere() {
        let html = page().html();
        for from_elsewhere in ["<script", "<link", "http:", "https:", "url(", "@import", "src="] {
            assert!(!html.contains(from_elsewhere), "{from_elsewhere}");
        }
        assert!(html.contains("prefers-color-scheme: dark") && html.contains("lang=\"en\""));
    }

    #[test]
    fn a_section_without_numbers_has_no_table() {
        let page = Page { sections: vec![Section::default()], ..Page::default() };
        assert!(!page.html().contains("<table"));
    }
}
