//! Just enough of Rust's lexer to count: text becomes code without comments and literals.

/// A function with a body: its name, the line it starts on (from 1) and how many lines it has.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

/// The same text, line for line, with every comment, string and character literal blanked.
pub(crate) fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at).max(at + 1).min(chars.len());
        if end == at + 1 && chars[at] != '"' {
            code.push(chars[at]);
        } else {
            code.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
        }
        at = end;
    }
    code
}

/// The end of the comment or literal that starts at `at`; `at` if none does.
fn literal_end(chars: &[char], at: usize) -> usize {
    let next = |offset: usize| chars.get(at + offset).copied().unwrap_or('\0');
    match (next(0), next(1)) {
        ('/', '/') => find(chars, at, |rest| rest[0] == '\n'),
        ('/', '*') => comment_end(chars, at),
        ('"', _) => string_end(chars, at + 1, '"'),
        ('\'', '\\') => string_end(chars, at + 1, '\''),
        ('\'', _) if next(2) == '\'' => at + 3,
        ('r', '"' | '#') if !follows_word(chars, at) => raw_end(chars, at),
        _ => at,
    }
}

fn find(chars: &[char], from: usize, stop: impl Fn(&[char]) -> bool) -> usize {
    (from..chars.len()).find(|at| stop(&chars[*at..])).unwrap_or(chars.len())
}

fn comment_end(chars: &[char], at: usize) -> usize {
    let (mut depth, mut at) = (0_usize, at);
    while at < chars.len() {
        let step = match chars[at..] {
            ['/', '*', ..] => {
                depth += 1;
                2
            }
            ['*', '/', ..] => {
                depth -= 1;
                2
            }
            _ => 1,
        };
        at += step;
        if depth == 0 {
            break;
        }
    }
    at
}

fn string_end(chars: &[char], from: usize, quote: char) -> usize {
    let mut at = from;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn raw_end(chars: &[char], at: usize) -> usize {
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    let open = at + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return at; // a raw identifier
    }
    let closes = |rest: &[char]| {
        rest[0] == '"' && rest[1..].iter().take_while(|c| **c == '#').count() >= hashes
    };
    find(chars, open + 1, closes) + 1 + hashes
}

/// Whether the letter at `at` belongs to a longer word (`b` and `c` before a raw string don't count).
fn follows_word(chars: &[char], at: usize) -> bool {
    let word = |offset: usize| {
        at.checked_sub(offset).is_some_and(|at| chars[at].is_alphanumeric() || chars[at] == '_')
    };
    let prefixed = at > 0 && matches!(chars[at - 1], 'b' | 'c') && !word(2);
    word(1) && !prefixed
}

/// Every function with a body in blanked code, nested ones too.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let before = code[..at].chars().next_back();
        let name: String = code[at + 3..].chars().take_while(|c| is_word(*c)).collect();
        if before.is_some_and(is_word) || name.is_empty() {
            continue;
        }
        if let Some(open) = body(code, at) {
            let lines = newlines(&code[at..block_end(code, open)]) + 1;
            found.push(Function { name, line: newlines(&code[..at]) + 1, lines });
        }
    }
    found
}

/// Where the body of the item at `at` opens; `None` for a declaration without one.
fn body(code: &str, at: usize) -> Option<usize> {
    let mut depth = 0;
    for (offset, c) in code[at..].char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth == 0 => return Some(at + offset),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The end of the block whose brace opens at `open`.
fn block_end(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (offset, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return open + offset + 1;
        }
    }
    code.len()
}

/// Blanked code without its inline test modules.
pub(crate) fn without_tests(code: &str) -> String {
    let mut rest = code;
    let mut kept = String::new();
    while let Some(at) = rest.find("#[cfg(test)]\nmod ") {
        kept.push_str(&rest[..at]);
        let module = at + "#[cfg(test)]\n".len();
        let end = body(rest, module).map_or(module, |open| block_end(rest, open));
        rest = &rest[end..];
    }
    kept + rest
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn newlines(text: &str) -> usize {
    text.matches('\n').count()
}

#[test]
fn literals_and_comments_are_blanked() {
    let blank = |text: &str| code(text).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(blank("a // } x\nb /* { /* */ } */ c"), "a b c");
    assert_eq!(blank(r#"f("}\"{", '{', '\'', 'a) "#), "f( , , , 'a)");
    assert_eq!(blank("r#\"}\"\"#; br\"{\" for r#fn"), "; b for r#fn");
    assert_eq!(code("\"a\nb\"").matches('\n').count(), 1);
}

#[test]
fn functions_are_found_and_counted() {
    let text = "trait T {\n fn a(x: [u8; 2]);\n fn b() {\n }\n}\nlet f: fn (u8) = 1;\nfn c() { fn d() {} }";
    let names: Vec<_> =
        functions(&code(text)).into_iter().map(|f| (f.name, f.line, f.lines)).collect();
    assert_eq!(names, [("b".into(), 3, 2), ("c".into(), 7, 1), ("d".into(), 7, 1)]);
}

#[test]
fn a_test_module_does_not_count() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn x() {}\n}\nfn b() {}\n";
    assert_eq!(without_tests(text), "fn a() {}\n\nfn b() {}\n");
    assert_eq!(without_tests("#[cfg(test)]\nmod tests;\n"), "mod tests;\n");
}
