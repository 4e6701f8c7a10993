//! Putting values of environment variables and flags over those of the file.

use super::{Node, Origin, Reader, Table, Value, join, node::convert_table};

/// Stands for the value while a path is parsed.
const PATH_MARKER: &str = "value";

/// Reads a dotted path in TOML's spelling, such as `models.aliases."gpt-4o"`.
pub(crate) fn parse_path(text: &str) -> Option<Vec<String>> {
    // More than one line could hold more than one setting.
    if text.contains(['\n', '\r']) {
        return None;
    }
    let line = format!("{text} = \"{PATH_MARKER}\"");
    let parsed = toml::de::DeTable::parse(&line).ok()?;
    let mut table = convert_table(parsed.into_inner(), &|_| Origin::Default);
    let mut path = Vec::new();
    loop {
        let (name, node) = table.pop_first()?;
        path.push(name);
        match node.value {
            Value::Table(below) => table = below,
            // Anything else came out of the text, which was no path then.
            Value::Text(marker) if marker == PATH_MARKER => return Some(path),
            _ => return None,
        }
    }
}

/// Sets `path` to `node`, over what was there.
pub(crate) fn insert(table: &mut Table, path: &[String], node: Node, reader: &Reader) {
    insert_below(table, "", path, node, reader);
}

fn insert_below(table: &mut Table, parent: &str, path: &[String], node: Node, reader: &Reader) {
    let Some((name, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        table.insert(name.clone(), node);
        return;
    }
    let here = join(parent, name);
    let (origin, named, mut below) = match table.remove(name) {
        None => (node.origin.clone(), node.origin.clone(), Table::new()),
        Some(existing) => (existing.origin.clone(), existing.named.clone(), table_in(&existing, &here, reader)),
    };
    insert_below(&mut below, &here, rest, node, reader);
    table.insert(name.clone(), Node { origin, named, value: Value::Table(below) });
}

fn table_in(existing: &Node, path: &str, reader: &Reader) -> Table {
    existing.to_table().cloned().unwrap_or_else(|_| {
        // What stands here is wrong by itself; the overlay must not hide that.
        reader.problem(existing.origin.clone(), path, format!("expected a table, found {}", existing.describe_type()));
        Table::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_toml_writes_them() {
        assert_eq!(parse_path("server.port"), Some(vec!["server".into(), "port".into()]));
        assert_eq!(parse_path("models.aliases.\"gpt-4.1 mini\""), Some(vec!["models".into(), "aliases".into(), "gpt-4.1 mini".into()]));
        assert_eq!(parse_path("a.\"b = c # d\""), Some(vec!["a".into(), "b = c # d".into()]));
        for text in ["", ".", "a.", "a b", "a\nb", "[a]", "a = 1\nb", "a = 1 #", "a = {} #", "a = {b = 1} #"] {
            assert_eq!(parse_path(text), None, "{text}");
        }
    }
}
