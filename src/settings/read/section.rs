//! One table of settings.

use std::collections::{BTreeMap, BTreeSet};

use outcrop_domain::secret::SecretString;

use super::{At, Echo, Entry, Kind, Node, Origin, Reader, Table, Unknown, join};

/// Hands out the values of one table by name. What is left when it is dropped is unknown.
pub(crate) struct Section<'r> {
    reader: &'r Reader,
    path: String,
    origin: Origin,
    values: Table,
    asked: Vec<&'static str>,
    set: BTreeMap<&'static str, Origin>,
    faulty: BTreeSet<&'static str>,
    listing: Listing,
    echo: Echo,
}

/// Whether the values of a section are settings of their own or parts of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listing {
    /// Each is a setting.
    Settings,
    /// All together are the value of the setting above.
    Parts,
}

impl<'r> Section<'r> {
    /// The table everything stands in.
    pub(crate) fn root(reader: &'r Reader, values: Table) -> Self {
        Self::new(reader, String::new(), Origin::Default, values, Listing::Settings, Echo::Quoted)
    }

    /// A table that is one value, such as an element of a list.
    pub(crate) fn parts(at: &At<'r>, path: &str, values: Table) -> Self {
        Self::new(at.reader, path.to_owned(), at.node.origin.clone(), values, Listing::Parts, at.echo)
    }

    /// An empty table that is read only to learn the names in it.
    pub(crate) fn rehearsal(reader: &'r Reader, path: &str) -> Self {
        Self::new(reader, path.to_owned(), Origin::Default, Table::new(), Listing::Parts, Echo::TypeOnly)
    }

    fn new(reader: &'r Reader, path: String, origin: Origin, values: Table, listing: Listing, echo: Echo) -> Self {
        Self { reader, path, origin, values, asked: Vec::new(), set: BTreeMap::new(), faulty: BTreeSet::new(), listing, echo }
    }

    /// Problems of this section and those below it will not quote values.
    pub(crate) fn keep_quiet(&mut self) {
        self.echo = Echo::TypeOnly;
    }

    /// The reader, for what only it knows.
    pub(crate) fn reader(&self) -> &'r Reader {
        self.reader
    }

    /// A value, or its default.
    pub(crate) fn get<K: Kind>(&mut self, key: &'static str, kind: K, default: K::Value) -> K::Value {
        let value = self.take(key, &kind).unwrap_or(default);
        self.list(key, &kind, Some(&value));
        value
    }

    /// A value, if it is set.
    pub(crate) fn find<K: Kind>(&mut self, key: &'static str, kind: K) -> Option<K::Value> {
        let value = self.take(key, &kind);
        self.list(key, &kind, value.as_ref());
        value
    }

    /// A value that must be set.
    pub(crate) fn require<K: Kind>(&mut self, key: &'static str, kind: K) -> Option<K::Value> {
        let value = self.find(key, kind);
        if value.is_none() && !self.is_set(key) {
            self.reader.problem(self.origin.clone(), &join(&self.path, key), "missing".to_owned());
        }
        value
    }

    /// A table of settings within this one.
    pub(crate) fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        let path = join(&self.path, key);
        let node = self.pick(key);
        let origin = node.as_ref().map_or(Origin::Default, |node| node.origin.clone());
        let values = node.and_then(|node| self.table_of(&path, &node)).unwrap_or_default();
        let mut section = Section::new(self.reader, path, origin, values, self.listing, self.echo);
        read(&mut section)
    }

    /// The remaining tables of this one, whose names are the user's, each read by `read`, which also gets the name.
    pub(crate) fn named_tables<T>(&mut self, read: impl Fn(&str, &mut Section<'_>) -> Option<T>) -> Vec<T> {
        let rehearsed = Reader::default();
        read("*", &mut Section::rehearsal(&rehearsed, &join(&self.path, "*")));
        self.reader.known.borrow_mut().append(&mut rehearsed.known.take());
        let is_table = |node: &Node| node.to_table().is_ok();
        let names: Vec<String> = self.values.iter().filter(|(_, node)| is_table(node)).map(|(name, _)| name.clone()).collect();
        let mut tables = Vec::with_capacity(names.len());
        for name in names {
            let Some(node) = self.values.remove(&name) else { continue };
            let path = join(&self.path, &name);
            let origin = node.origin.clone();
            let values = self.table_of(&path, &node).unwrap_or_default();
            let mut section = Section::new(self.reader, path, origin, values, self.listing, self.echo);
            tables.extend(read(&name, &mut section));
        }
        tables
    }

    /// Where the section was written.
    pub(crate) fn own_origin(&self) -> Origin {
        self.origin.clone()
    }

    /// True when the value was written somewhere, good or bad.
    pub(crate) fn is_set(&self, key: &str) -> bool {
        self.set.contains_key(key)
    }

    /// True when the value was set and is bad.
    pub(crate) fn is_faulty(&self, key: &str) -> bool {
        self.faulty.contains(key)
    }

    /// Reports a problem of a value that was read; where none was set, of the section.
    pub(crate) fn problem(&self, key: &str, message: String) {
        let origin = self.set.get(key).cloned().unwrap_or_else(|| self.origin.clone());
        self.reader.problem(origin, &join(&self.path, key), message);
    }

    /// Reports a problem of the section as a whole.
    pub(crate) fn own_problem(&self, message: String) {
        self.reader.problem(self.origin.clone(), &self.path, message);
    }

    fn take<K: Kind>(&mut self, key: &'static str, kind: &K) -> Option<K::Value> {
        let path = join(&self.path, key);
        let node = self.pick(key)?;
        let value = kind.read(&At { reader: self.reader, path: &path, node: &node, echo: self.echo });
        if value.is_none() {
            self.faulty.insert(key);
        }
        value
    }

    fn pick(&mut self, key: &'static str) -> Option<Node> {
        self.asked.push(key);
        let node = self.values.remove(key)?;
        self.set.insert(key, node.origin.clone());
        Some(node)
    }

    fn table_of(&self, path: &str, node: &Node) -> Option<Table> {
        At { reader: self.reader, path, node, echo: self.echo }.table().cloned()
    }

    fn list<K: Kind>(&self, key: &'static str, kind: &K, value: Option<&K::Value>) {
        let path = join(&self.path, key);
        kind.announce(&path, self.reader);
        self.reader.know(path.clone());
        if self.listing == Listing::Parts {
            return;
        }
        let mut secrets = String::new();
        if let Some(value) = value {
            kind.reveal(value, &mut secrets);
        }
        self.reader.record(Entry {
            path,
            value: value.map(|value| kind.show(value)),
            origin: self.set.get(key).cloned().unwrap_or(Origin::Default),
            hidden: (!secrets.is_empty()).then(|| SecretString::new(secrets)),
        });
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        let mut unknown = self.reader.unknown.borrow_mut();
        for (key, node) in std::mem::take(&mut self.values) {
            unknown.push(Unknown {
                origin: node.named,
                path: join(&self.path, &key),
                key,
                parent: self.path.clone(),
                siblings: self.asked.clone(),
            });
        }
    }
}
