//! Pieces of HTML: one file, no script, no reference to the outside, light and dark.

use std::fmt::Write as _;

/// Text as it may stand in HTML.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A table; cells are HTML already.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = String::from("<div class=\"wide\"><table><thead><tr>");
    for cell in head {
        put(&mut table, format_args!("<th>{}</th>", escape(cell)));
    }
    table.push_str("</tr></thead><tbody>\n");
    for row in rows {
        table.push_str("<tr>");
        for cell in row {
            put(&mut table, format_args!("<td>{cell}</td>"));
        }
        table.push_str("</tr>\n");
    }
    table.push_str("</tbody></table></div>\n");
    table
}

/// A word with a colour and a sign, so that colour is never alone.
pub(super) fn badge(class: &str, sign: &str, words: &str) -> String {
    format!("<span class=\"badge {class}\">{sign} {}</span>", escape(words))
}

/// The whole file.
pub(super) fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{}</title>\n<style>{STYLE}</style></head>\n<body><main>\n{body}</main></body></html>\n",
        escape(title)
    )
}

/// Writing into a text cannot fail.
pub(super) fn put(text: &mut String, words: std::fmt::Arguments<'_>) {
    let _infallible = text.write_fmt(words);
}

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5b6670; --paper: #ffffff; --line: #d8dde2; --card: #f6f8fa; --good: #00744f; --bad: #b3400a; --dull: #6b6f76; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --soft: #9aa6b1; --paper: #14181c; --line: #333b43; --card: #1c2228; --good: #3ecf9a; --bad: #ff9257; --dull: #a5abb3; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 20px 80px; }
h1 { font-size: 1.6rem; margin: 0 0 4px; } h2 { font-size: 1.15rem; margin: 36px 0 8px; border-bottom: 1px solid var(--line); padding-bottom: 4px; } h3 { font-size: 1rem; margin: 20px 0 6px; }
.verdict { font-size: 1.1rem; margin: 12px 0; } .hypothesis { color: var(--soft); margin: 0 0 8px; }
.badge { font-weight: 600; white-space: nowrap; } .good { color: var(--good); } .bad { color: var(--bad); } .dull { color: var(--dull); }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: 0.92rem; }
th, td { text-align: left; padding: 5px 10px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; } th { color: var(--soft); font-weight: 600; }
figure { margin: 18px 0; } figcaption { font-weight: 600; } .unit { color: var(--soft); font-weight: 400; }
figure svg { width: 100%; height: auto; display: block; } figure svg text { fill: var(--ink); }
.legend { margin: 2px 0 0 56px; color: var(--soft); font-size: 0.85rem; } .legend span { margin-right: 14px; }
pre, code { font: 0.86rem/1.45 ui-monospace, monospace; } pre { background: var(--card); padding: 12px; overflow-x: auto; border-radius: 6px; white-space: pre-wrap; }
details { margin: 8px 0; } summary { cursor: pointer; } .replay { background: var(--card); border-radius: 6px; padding: 8px 12px; }
@media print { :root { --paper: #fff; --ink: #000; --soft: #444; --line: #bbb; --card: #f4f4f4; --good: #00583c; --bad: #8f3208; } main { max-width: none; padding: 0; } figure, tr { break-inside: avoid; } }
";
