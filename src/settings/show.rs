//! `outcrop config show` and `outcrop config check`.

use std::fmt::Write;

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{Entry, Settings};

/// Whether `config show` tells who set each value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origins {
    /// Values only.
    Hidden,
    /// A comment after each value: `default`, a variable, a flag, or file, line and column.
    Shown,
}

impl Settings {
    /// Everything that is in force, as TOML that could be read again, but for the secrets, which are redacted.
    #[must_use]
    pub fn show(&self, origins: Origins) -> String {
        let mut text = String::new();
        let mut printed: Option<&str> = None;
        for entry in self.by_table() {
            let (table, key) = split(&entry.path);
            if printed != Some(table) {
                let gap = if printed.is_some() { "\n" } else { "" };
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{gap}[{table}]");
                printed = Some(table);
            }
            let origin = match origins {
                Origins::Shown if entry.value.is_some() => format!("  # {}", entry.origin),
                _ => String::new(),
            };
            let _ = match &entry.value {
                Some(value) => writeln!(text, "{key} = {value}{origin}"),
                None => writeln!(text, "# {key} is not set"),
            };
        }
        text
    }

    /// One line that says the settings are in order and what stands out in them.
    #[must_use]
    pub fn summary(&self) -> String {
        let source = self.file().map_or_else(|| "no settings file".to_owned(), |file| file.display().to_string());
        let set = self.entries().iter().filter(|entry| entry.origin != super::Origin::Default).count();
        let regions: Vec<&str> = self.aws.regions.iter().map(|region| region.as_str()).collect();
        let keys = match (self.keys.list.len(), self.keys.required) {
            (0, false) => "open to everybody".to_owned(),
            (count, true) => count_of(count, "key"),
            (count, false) => format!("{}, not required", count_of(count, "key")),
        };
        format!("{source}: in order; {} set; regions {}; {keys}", count_of(set, "setting"), regions.join(", "))
    }

    /// Entries with those of a table together, its own before those of tables in it.
    fn by_table(&self) -> Vec<&Entry> {
        let mut sections: Vec<&str> = Vec::new();
        for entry in self.entries() {
            let section = entry.path.split('.').next().unwrap_or_default();
            if !sections.contains(&section) {
                sections.push(section);
            }
        }
        let position = |entry: &Entry| sections.iter().position(|section| entry.path.split('.').next() == Some(section));
        let mut entries: Vec<&Entry> = self.entries().iter().collect();
        // The sort is stable: within a table the order of reading stays.
        entries.sort_by_key(|entry| (position(entry), split(&entry.path).0));
        entries
    }
}

fn count_of(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Table and key of a path. Keys of the user's own are values, not paths, but for region names, which have no dots.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

impl Serialize for Settings {
    /// Nested maps, secrets redacted, for the admin port.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut root = toml::Table::new();
        for entry in self.entries() {
            if let Some(value) = &entry.value {
                place(&mut root, &entry.path, value.clone());
            }
        }
        let mut map = serializer.serialize_map(Some(root.len()))?;
        for (name, value) in &root {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

fn place(table: &mut toml::Table, path: &str, value: toml::Value) {
    match path.split_once('.') {
        None => drop(table.insert(path.to_owned(), value)),
        Some((name, rest)) => {
            let below = table.entry(name).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if let toml::Value::Table(below) = below {
                place(below, rest, value);
            }
        }
    }
}
