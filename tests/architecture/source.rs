//! The source tree as the checks read it: comments, texts and tests taken out, every line where it was.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// One file.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// Path from the root of the repository, with `/`.
    pub(crate) path: String,
    /// As it stands on disk.
    pub(crate) text: String,
    /// Without comments, tests and what stands in string literals. Same lines; still parses.
    pub(crate) code: String,
    /// Without comments and tests, strings left in.
    pub(crate) spoken: String,
    /// Lines outside `#[cfg(test)]` items.
    pub(crate) lines: usize,
}

impl Source {
    /// Reads a file's text.
    pub(crate) fn of(path: &str, text: &str) -> Self {
        let bare = blank(text, Strings::Blanked);
        let tests = test_items(&bare);
        let code = cut(&bare, &tests);
        let spoken = cut(&blank(text, Strings::Kept), &tests);
        let cut_lines: usize = tests.iter().map(|item| bare[item.start..item.end].matches('\n').count() + 1).sum();
        Self { path: path.to_owned(), text: text.to_owned(), code, spoken, lines: text.lines().count() - cut_lines }
    }
}

/// Root of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `folders` that is part of a program or library: integration tests and files of
/// `#[cfg(test)]` modules are left out.
pub(crate) fn sources(folders: &[&str]) -> Vec<Source> {
    let mut all = Vec::new();
    let mut of_tests = BTreeSet::new();
    for path in folders.iter().flat_map(|folder| files(folder, "rs")).filter(|path| !path.split('/').any(|part| part == "tests")) {
        let text = read(&path);
        of_tests.extend(test_modules(&path, &blank(&text, Strings::Blanked)));
        all.push(Source::of(&path, &text));
    }
    all.retain(|source| !of_tests.contains(&source.path));
    assert!(all.len() > 5, "too few files below {folders:?}: the check would check nothing");
    all
}

/// Every file below a folder that ends so, as paths from the root; what builds leave behind is skipped.
pub(crate) fn files(folder: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap_or_else(|error| panic!("{}: {error}", next.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                found.push(relative(&path));
            }
        }
    }
    found.sort();
    found
}

/// A file of the repository.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/")
}

/// What becomes of the insides of string literals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strings {
    Kept,
    Blanked,
}

/// Replaces comments (and texts) by blanks, so that offsets and lines stay.
fn blank(text: &str, strings: Strings) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let (length, inside) = if !matches!(bytes[at], b'/' | b'"' | b'\'' | b'b' | b'c' | b'r') {
            // Nothing below begins so: most of a file passes here.
            (rest.chars().next().map_or(1, char::len_utf8), None)
        } else if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), Some(0))
        } else if rest.starts_with("/*") {
            (block_comment(rest), Some(0))
        } else if let Some((length, opening)) = string_literal(text, at) {
            (length, (strings == Strings::Blanked).then_some(opening))
        } else if let Some(length) = char_literal(rest) {
            (length, None)
        } else {
            (rest.chars().next().map_or(1, char::len_utf8), None)
        };
        if let Some(opening) = inside {
            // A string keeps its delimiters: `"` behind, and the `#`s of a raw one.
            let closing = if opening == 0 { 0 } else { 1 + rest[..opening].matches('#').count() };
            for byte in &mut out[at + opening..at + length - closing] {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
        }
        at += length;
    }
    String::from_utf8(out).unwrap()
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match rest.as_bytes().get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// A string literal that begins at `at`: its length, and the length of its opening (prefix, `#`s, quote).
fn string_literal(text: &str, at: usize) -> Option<(usize, usize)> {
    let rest = &text[at..];
    let follows_word = text[..at].chars().next_back().is_some_and(|before| before.is_alphanumeric() || before == '_');
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        let behind = rest.strip_prefix(prefix).unwrap_or_default();
        let quote = if prefix.ends_with('r') { behind.trim_start_matches('#') } else { behind };
        quote.starts_with('"')
    })?;
    if follows_word && !prefix.is_empty() {
        return None;
    }
    let hashes = rest[prefix.len()..].bytes().take_while(|byte| *byte == b'#').count();
    let opening = prefix.len() + hashes + 1;
    if prefix.ends_with('r') {
        let end = format!("\"{}", "#".repeat(hashes));
        let length = rest[opening..].find(&end).map_or(rest.len(), |found| opening + found + end.len());
        return Some((length, opening));
    }
    let mut escaped = false;
    for (index, byte) in rest.bytes().enumerate().skip(opening) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some((index + 1, opening)),
            _ => {}
        }
    }
    Some((rest.len(), opening))
}

/// A char literal; not a lifetime.
fn char_literal(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'')?;
    if let Some(escape) = inner.strip_prefix('\\') {
        return escape.get(1..)?.find('\'').map(|end| end + 4);
    }
    let length = inner.chars().next()?.len_utf8();
    inner.get(length..)?.starts_with('\'').then_some(length + 2)
}

/// A stretch of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    start: usize,
    end: usize,
}

const TEST_ONLY: &str = "#[cfg(test)]";

/// The items of a file that only tests have, from their attribute to their end.
fn test_items(bare: &str) -> Vec<Stretch> {
    let mut items = Vec::new();
    let mut from = 0;
    while let Some(start) = bare[from..].find(TEST_ONLY).map(|found| from + found) {
        let end = item_end(bare, start + TEST_ONLY.len());
        items.push(Stretch { start, end });
        from = end;
    }
    items
}

fn item_end(bare: &str, from: usize) -> usize {
    let item = bare[from..].trim_start();
    let ends_with_semicolon = item.starts_with("use ") || item.starts_with("pub use ") || item.starts_with("pub(crate) use ");
    let mut depth = 0i32;
    for (index, byte) in bare.bytes().enumerate().skip(from) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth -= 1,
            _ => {}
        }
        let done = match byte {
            b';' => depth == 0,
            b'}' => depth == 0 && !ends_with_semicolon,
            _ => false,
        };
        if done {
            return index + 1;
        }
        // The end of what surrounds the item: it was a field or an arm.
        if depth < 0 {
            return index;
        }
    }
    bare.len()
}

fn cut(bare: &str, items: &[Stretch]) -> String {
    let mut bytes = bare.as_bytes().to_vec();
    for item in items {
        for byte in &mut bytes[item.start..item.end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// The files of `#[cfg(test)] mod name;`.
fn test_modules(path: &str, bare: &str) -> Vec<String> {
    let (folder, name) = path.rsplit_once('/').unwrap();
    let below = match name {
        "mod.rs" | "lib.rs" | "main.rs" => folder.to_owned(),
        _ => format!("{folder}/{}", name.trim_end_matches(".rs")),
    };
    test_items(bare)
        .into_iter()
        .filter_map(|item| bare[item.start + TEST_ONLY.len()..item.end].trim().trim_end_matches(';').split_once("mod "))
        .filter(|(_, module)| module.chars().all(|letter| letter.is_alphanumeric() || letter == '_'))
        .flat_map(|(_, module)| [format!("{below}/{module}.rs"), format!("{below}/{module}/mod.rs")])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        Source::of("a.rs", text).code
    }

    #[test]
    fn comments_and_texts_are_blanked_and_lines_stay() {
        let text = "let a = \"tokio \\\" b\"; // tokio\n/* tokio /* deep */ tokio */ let b = r#\"tokio \" x\"#;\n";
        let code = code(text);
        assert!(!code.contains("tokio"), "{code}");
        assert!(code.contains("let b = r#\""), "{code}");
        assert_eq!(code.len(), text.len());
        assert_eq!(code.lines().count(), 2);
    }

    #[test]
    fn lifetimes_and_quotes_in_chars_do_not_swallow_code() {
        let code = code("fn f<'a>(x: &'a str) -> char { g('\"', '\\'', b'\"', tokio) }");
        assert!(code.contains("tokio"), "{code}");
    }

    #[test]
    fn test_items_are_cut_wherever_they_stand() {
        let code = code(
            "#[cfg(test)]\nmod tests;\nuse a::b;\n#[cfg(test)]\nuse x::{tokio, y};\nfn f() {}\n#[cfg(test)]\nmod t { fn g() { tokio(); } }\nfn last() {}",
        );
        assert!(!code.contains("tokio"), "{code}");
        assert!(code.contains("use a::b;") && code.contains("fn f()") && code.contains("fn last()"), "{code}");
    }

    #[test]
    fn lines_of_tests_are_not_counted() {
        let source = Source::of("a.rs", "fn f() {}\n#[cfg(test)]\nmod t {\n    fn g() {}\n}\nfn h() {}\n");
        assert_eq!(source.lines, 2);
    }

    #[test]
    fn files_of_test_modules_are_known() {
        let found = test_modules("actors/x/src/lane/mod.rs", "mod a;\n#[cfg(test)]\nmod tests;\n");
        assert_eq!(found, ["actors/x/src/lane/tests.rs", "actors/x/src/lane/tests/mod.rs"]);
        assert_eq!(test_modules("a/src/frames.rs", "#[cfg(test)] mod tests;")[0], "a/src/frames/tests.rs");
    }
}
