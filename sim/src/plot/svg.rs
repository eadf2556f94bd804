//! Elements of an SVG picture. Every text that goes in is escaped here, and nowhere else.

use std::fmt::{Display, Write as _};

/// A picture in the making.
#[derive(Clone, Debug)]
pub struct Svg {
    text: String,
}

/// Where a text is anchored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// It begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

impl Svg {
    /// A picture of some size. `id` tells it from others on its page; the description is for those who
    /// can't see it.
    pub fn new(id: &str, (width, height): (f64, f64), title: &str, description: &str) -> Self {
        let (id, title, description) = (escape(id), escape(title), escape(description));
        let text = format!(
            "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\" \
             xmlns=\"http://www.w3.org/2000/svg\">\n<title id=\"{id}-t\">{title}</title>\n\
             <desc id=\"{id}-d\">{description}</desc>\n",
            px(width),
            px(height)
        );
        Self { text }
    }

    /// A straight line.
    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let (x1, y1, x2, y2) = (px(x1), px(y1), px(x2), px(y2));
        let class = escape(class);
        let _ = writeln!(
            self.text,
            "<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>"
        );
    }

    /// A line through some points; nothing without any.
    pub fn path(&mut self, class: &str, points: &[(f64, f64)]) {
        let Some(((x, y), rest)) = points.split_first() else { return };
        let mut path = format!("M{} {}", px(*x), px(*y));
        for (x, y) in rest {
            let _ = write!(path, "L{} {}", px(*x), px(*y));
        }
        let _ = writeln!(self.text, "<path class=\"{}\" d=\"{path}\"/>", escape(class));
    }

    /// A rectangle that says what it is when it is pointed at.
    pub fn rect(&mut self, class: &str, at: (f64, f64), size: (f64, f64), title: &str) {
        let ((x, y), (width, height)) = (at, size);
        let _ = writeln!(
            self.text,
            "<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\">{}</rect>",
            escape(class),
            px(x),
            px(y),
            px(width),
            px(height),
            titled(title)
        );
    }

    /// A dot, the same.
    pub fn dot(&mut self, class: &str, (x, y): (f64, f64), radius: f64, title: &str) {
        let (x, y, radius, title) = (px(x), px(y), px(radius), titled(title));
        let class = escape(class);
        let _ = writeln!(
            self.text,
            "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"{radius}\">{title}</circle>"
        );
    }

    /// A word or a few.
    pub fn text(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: impl Display) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y, text) = (px(x), px(y), escape(&text.to_string()));
        let class = escape(class);
        let _ = writeln!(
            self.text,
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>"
        );
    }

    /// The picture.
    pub fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }
}

fn titled(title: &str) -> String {
    if title.is_empty() { String::new() } else { format!("<title>{}</title>", escape(title)) }
}

/// A place in tenths of a pixel: finer is not seen, and makes the page large.
fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// Text that can stand between tags and in attributes, of SVG and of HTML.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // XML has no way to say these.
            c if c.is_control() && !matches!(c, '\n' | '\t') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_goes_in_becomes_a_tag() {
        let evil = "</text><script>alert('1') & \"2\"</script>\u{1b}";
        let mut svg = Svg::new(evil, (10.0, 10.0), evil, evil);
        svg.text(evil, (1.0, 2.0), Anchor::End, evil);
        svg.rect(evil, (0.0, 0.0), (1.0, 1.0), evil);
        svg.dot(evil, (0.0, 0.0), 1.0, evil);
        svg.path(evil, &[(0.0, 0.0)]);
        svg.line(evil, (0.0, 0.0), (1.0, 1.0));
        let text = svg.finish();
        assert!(!text.contains("<script") && !text.contains("alert('"), "{text}");
        assert!(!text.contains('\u{1b}'));
        assert_eq!(text.matches("<text").count(), 1);
        assert_eq!(text.matches("&lt;script&gt;").count(), 14, "{text}");
    }

    #[test]
    fn places_are_short() {
        assert_eq!((px(1.0), px(1.25), px(-0.04)), ("1".into(), "1.2".into(), "-0".into()));
    }

    #[test]
    fn a_path_without_points_is_nothing() {
        let mut svg = Svg::new("a", (1.0, 1.0), "t", "d");
        svg.path("x", &[]);
        assert!(!svg.finish().contains("<path"));
    }
}
