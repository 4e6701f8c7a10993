//! From files, environment and flags to [`Settings`].

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{
    Admin, Aws, Chat, Environment, FILE_VARIABLE, Fetch, Keys, Lanes, Log, Metrics, Models, Origin, Responses, Routing, Server, Settings,
    SettingsError, Store, Timeouts, checks,
    environment::{overlay, underlay},
    read::{Document, Reader, Section, Table, insert, parse_path, untyped},
};

/// Where a settings file is looked for when none is named; the first that exists is read.
pub const SEARCH: [&str; 3] = ["outcrop.toml", "config/outcrop.toml", "/etc/outcrop/outcrop.toml"];

/// A setting given on the command line.
#[derive(Clone, PartialEq, Eq)]
pub struct Flag {
    /// The flag as the user knows it, e.g. `--port`.
    pub name: String,
    /// The setting, e.g. `server.port`.
    pub path: String,
    /// Its value, as text: lists separated by commas, anything else in TOML syntax.
    pub value: String,
}

/// Where settings are read from.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// The file to read; must exist. Else the one named by `OUTCROP_CONFIG`, else the first of `search` that exists.
    pub file: Option<PathBuf>,
    /// Where to look when no file is named.
    pub search: Vec<PathBuf>,
    /// Environment variables.
    pub environment: Environment,
    /// Dedicated flags, in order; a later one wins.
    pub flags: Vec<Flag>,
    /// Values of `--set path=value`, in order, after `flags`.
    pub set: Vec<String>,
}

impl LoadOptions {
    /// For this process: its environment, the usual places of the file, and what the command line said.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>, flags: Vec<Flag>, set: Vec<String>) -> Self {
        Self { file, search: SEARCH.map(PathBuf::from).to_vec(), environment: Environment::of_process(), flags, set }
    }
}

impl std::fmt::Debug for Flag {
    /// Values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Flag({} {}=..)", self.name, self.path)
    }
}

impl Settings {
    /// Reads settings. A reload calls it again with the same options.
    ///
    /// # Errors
    /// [`SettingsError`] with every problem of every source.
    pub fn load(options: &LoadOptions) -> Result<Self, SettingsError> {
        let (settings, problems) = read_all(options);
        if problems.0.is_empty() { Ok(settings) } else { Err(problems) }
    }

    /// Where a gateway with these settings listens for clients.
    ///
    /// Nothing but the address is checked: who asks a running gateway after its health must not call it ill because somebody
    /// made a mistake in another part of the file, which the gateway has not read yet.
    ///
    /// # Errors
    /// [`SettingsError`] with the problems of `server.bind` and `server.port`, and of a file that cannot be read.
    pub fn listening(options: &LoadOptions) -> Result<SocketAddr, SettingsError> {
        let (settings, mut problems) = read_all(options);
        problems.0.retain(|problem| problem.breaks_its_file() || ["server", "server.bind", "server.port"].contains(&problem.path.as_str()));
        if problems.0.is_empty() { Ok(settings.server.address()) } else { Err(problems) }
    }
}

fn read_all(options: &LoadOptions) -> (Settings, SettingsError) {
    let reader = Reader::new(options.environment.clone());
    let file = choose_file(options);
    let mut table = file.as_deref().map(|file| read_file(file, &reader)).unwrap_or_default();
    overlay(&mut table, &options.environment, &reader);
    overlay_flags(&mut table, options, &reader);
    underlay(&mut table, &options.environment, &reader);
    let mut settings = {
        let mut root = Section::root(&reader, table);
        read_sections(&mut root, file)
    };
    checks::check(&settings, &reader);
    let collected = reader.finish();
    settings.entries = collected.entries;
    (settings, SettingsError(collected.problems))
}

fn choose_file(options: &LoadOptions) -> Option<PathBuf> {
    let named = options.file.clone().or_else(|| options.environment.get(FILE_VARIABLE).map(PathBuf::from));
    named.or_else(|| options.search.iter().find(|path| path.exists()).cloned())
}

fn read_file(file: &Path, reader: &Reader) -> Table {
    match std::fs::read_to_string(file) {
        Ok(text) => {
            let document = Document::parse(file, &text);
            for problem in document.problems {
                reader.problem(problem.origin, &problem.path, problem.message);
            }
            document.table
        }
        Err(error) => {
            reader.problem(Origin::WholeFile(file.into()), "", format!("cannot read the settings file: {error}"));
            Table::new()
        }
    }
}

fn overlay_flags(table: &mut Table, options: &LoadOptions, reader: &Reader) {
    for flag in &options.flags {
        overlay_flag(table, &flag.name, &flag.path, &flag.value, reader);
    }
    for assignment in &options.set {
        match split_assignment(assignment) {
            Some((path, value)) => overlay_flag(table, &format!("--set {path}"), path, value, reader),
            None => {
                reader.problem(Origin::Flag("--set".into()), "", "expected `--set path=value`, such as `--set server.port=9000`".to_owned())
            }
        }
    }
}

fn overlay_flag(table: &mut Table, name: &str, path: &str, value: &str, reader: &Reader) {
    let origin = Origin::Flag(name.into());
    match parse_path(path) {
        Some(path) => insert(table, &path, untyped(origin, value), reader),
        None => reader.problem(origin, "", format!("`{}` is not the path of a setting", path.escape_debug())),
    }
}

/// Splits at the first `=` that does not stand in quotes.
fn split_assignment(text: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    for (position, letter) in text.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '=' if !quoted => {
                let (path, rest) = text.split_at_checked(position)?;
                return Some((path.trim(), rest.strip_prefix('=')?.trim()));
            }
            _ => {}
        }
    }
    None
}

fn read_sections(root: &mut Section<'_>, file: Option<PathBuf>) -> Settings {
    Settings {
        server: root.table("server", Server::read),
        admin: root.table("admin", Admin::read),
        aws: root.table("aws", Aws::read),
        timeouts: root.table("timeouts", Timeouts::read),
        lanes: root.table("lanes", Lanes::read),
        routing: root.table("routing", Routing::read),
        models: root.table("models", Models::read),
        chat: root.table("chat", Chat::read),
        responses: root.table("responses", Responses::read),
        store: root.table("store", Store::read),
        fetch: root.table("fetch", Fetch::read),
        keys: root.table("keys", Keys::read),
        log: root.table("log", Log::read),
        metrics: root.table("metrics", Metrics::read),
        file,
        entries: Vec::new(),
    }
}

/// Every path that can be set, for the documentation test.
#[cfg(test)]
pub(super) fn known_paths() -> std::collections::BTreeSet<String> {
    let reader = Reader::default();
    drop(read_sections(&mut Section::root(&reader, Table::new()), None));
    reader.finish().known
}
