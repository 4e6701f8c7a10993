//! The checkers: pure functions from sources to complaints, each tried on bad snippets below.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::Visit;

use super::source::Source;

/// Something that must not occur in some places.
pub(crate) struct Absence {
    /// What the rule says, for the complaint.
    pub(crate) rule: &'static str,
    /// Identifiers or paths that must not occur.
    pub(crate) words: &'static [&'static str],
    /// Folders and files it holds for.
    pub(crate) within: &'static [&'static str],
    /// Where it does not hold, and why.
    pub(crate) except: &'static [(&'static str, &'static str)],
}

/// Occurrences outside the exceptions, and exceptions that nothing needs any more.
pub(crate) fn check(absence: &Absence, sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut needed = BTreeSet::new();
    for source in sources.iter().filter(|source| absence.within.iter().any(|folder| lies_in(&source.path, folder))) {
        let found: Vec<(usize, &str)> = absence.words.iter().flat_map(|word| lines_with(&source.code, word)).collect();
        match absence.except.iter().find(|(place, _)| lies_in(&source.path, place)) {
            Some((place, _)) if !found.is_empty() => {
                needed.insert(*place);
            }
            Some(_) => {}
            None => complaints.extend(found.iter().map(|(line, word)| format!("{}:{line}: `{word}`: {}", source.path, absence.rule))),
        }
    }
    let unneeded = absence.except.iter().filter(|(place, _)| !needed.contains(place));
    complaints.extend(unneeded.map(|(place, _)| format!("nothing in {place} needs its exception any more: {}", absence.rule)));
    complaints
}

/// Is `path` the file or folder `place`, or below it?
pub(crate) fn lies_in(path: &str, place: &str) -> bool {
    path == place || path.strip_prefix(place).is_some_and(|rest| rest.starts_with('/'))
}

/// Lines (from 1) in which `word` stands by itself.
pub(crate) fn lines_with<'w>(code: &str, word: &'w str) -> Vec<(usize, &'w str)> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let stands = |line: &str| {
        line.match_indices(word).any(|(at, _)| {
            let before = line[..at].chars().next_back().is_some_and(is_word);
            let after = line[at + word.len()..].chars().next().is_some_and(is_word);
            !before && !after
        })
    };
    code.lines().zip(1..).filter(|(line, _)| stands(line)).map(|(_, number)| (number, word)).collect()
}

/// SQL in string literals. Words alone occur in prose: a statement has two of them.
pub(crate) fn sql(source: &Source) -> Vec<String> {
    const STATEMENTS: [(&str, &str); 6] = [
        ("SELECT ", " FROM "),
        ("INSERT ", " INTO "),
        ("UPDATE ", " SET "),
        ("DELETE ", " FROM "),
        ("CREATE ", " TABLE "),
        ("ALTER ", " TABLE "),
    ];
    let is_statement = |line: &str| {
        STATEMENTS.iter().any(|(first, second)| line.split_once(first).is_some_and(|(_, rest)| format!(" {rest}").contains(second)))
    };
    let lines = source.spoken.lines().zip(1..).filter(|(line, _)| is_statement(line));
    lines.map(|(_, number)| format!("{}:{number}: SQL outside actors/store", source.path)).collect()
}

/// Longest file, without its tests.
pub(crate) const MAX_LINES: usize = 500;

/// Files that are too long.
pub(crate) fn too_long(source: &Source) -> Option<String> {
    (source.lines > MAX_LINES)
        .then(|| format!("{}: {} lines without tests, more than {MAX_LINES}: split it by responsibility", source.path, source.lines))
}

/// Marks of unfinished work, comments included.
pub(crate) fn marks(path: &str, text: &str) -> Vec<String> {
    let marks = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["to", "do!"], ["unimple", "mented!"]].map(|halves| halves.concat());
    marks
        .iter()
        .flat_map(|mark| {
            lines_with(text, mark)
                .into_iter()
                .map(|(line, _)| format!("{path}:{line}: `{mark}`: finish it, or leave it out"))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The workspace crates that a manifest depends on, tests left out, that its row does not allow.
pub(crate) fn wrong_imports(name: &str, manifest: &toml::Table, allowed: &[&str]) -> Vec<String> {
    let ours = dependencies(manifest).into_iter().filter(|dependency| dependency.starts_with("outcrop"));
    ours.filter(|dependency| !allowed.contains(&dependency.as_str()))
        .map(|dependency| format!("{name} must not depend on {dependency}"))
        .collect()
}

/// Third-party crates of a pure crate that its row does not name.
pub(crate) fn foreign_imports(name: &str, manifest: &toml::Table, allowed: &[&str]) -> Vec<String> {
    let foreign = dependencies(manifest).into_iter().filter(|dependency| !dependency.starts_with("outcrop"));
    foreign
        .filter(|dependency| !allowed.contains(&dependency.as_str()))
        .map(|dependency| format!("{name} is pure and must not depend on {dependency}"))
        .collect()
}

/// Everything under `[dependencies]`, `[build-dependencies]` and the same of targets.
fn dependencies(manifest: &toml::Table) -> BTreeSet<String> {
    let of = |table: &toml::Table| -> Vec<String> {
        let parts = ["dependencies", "build-dependencies"].into_iter().filter_map(|part| table.get(part)?.as_table());
        parts.flat_map(toml::Table::keys).cloned().collect()
    };
    let targets = manifest.get("target").and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::values);
    of(manifest).into_iter().chain(targets.filter_map(toml::Value::as_table).flat_map(of)).collect()
}

/// The modules of `krate` that a file names: `use krate::{a, b::C}` and `krate::d::e()` name `a`, `b` and `d`.
pub(crate) fn modules_of(krate: &str, source: &Source) -> BTreeSet<String> {
    let mut names = Names { krate, found: BTreeSet::new() };
    names.visit_file(&parsed(source));
    names.found
}

struct Names<'k> {
    krate: &'k str,
    found: BTreeSet<String>,
}

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_use_path(&mut self, path: &'ast syn::UsePath) {
        if path.ident == self.krate {
            collect_first(&path.tree, &mut self.found);
        }
        syn::visit::visit_use_path(self, path);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut segments = path.segments.iter();
        if segments.next().is_some_and(|first| first.ident == self.krate) {
            self.found.extend(segments.next().map(|second| second.ident.to_string()));
        }
        syn::visit::visit_path(self, path);
    }
}

fn collect_first(tree: &syn::UseTree, found: &mut BTreeSet<String>) {
    match tree {
        syn::UseTree::Path(path) => drop(found.insert(path.ident.to_string())),
        syn::UseTree::Name(name) => drop(found.insert(name.ident.to_string())),
        syn::UseTree::Rename(rename) => drop(found.insert(rename.ident.to_string())),
        syn::UseTree::Glob(_) => drop(found.insert("*".to_owned())),
        syn::UseTree::Group(group) => group.items.iter().for_each(|item| collect_first(item, found)),
    }
}

/// The actors of some sources.
#[derive(Debug, Default)]
pub(crate) struct Actors {
    /// Names of the types that are actors, and the documentation of those that are structs.
    pub(crate) actors: BTreeMap<String, String>,
    /// Message enums without their `Msg`, and their variants.
    pub(crate) messages: BTreeMap<String, Vec<String>>,
}

/// Finds actors and their messages.
pub(crate) fn actors(sources: &[Source]) -> Actors {
    let mut found = Found::default();
    for source in sources {
        // The documentation matters here, so the text is read and not the code; tests are dropped by name below.
        found.visit_file(&syn::parse_file(&source.text).unwrap_or_else(|error| panic!("{}: {error}", source.path)));
    }
    let actors = found.actors.into_iter().map(|name| (name.clone(), found.docs.get(&name).cloned().unwrap_or_default())).collect();
    Actors { actors, messages: found.messages }
}

#[derive(Default)]
struct Found {
    actors: BTreeSet<String>,
    docs: BTreeMap<String, String>,
    messages: BTreeMap<String, Vec<String>>,
}

impl<'ast> Visit<'ast> for Found {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !module.attrs.iter().any(|attribute| attribute.path().is_ident("cfg")) {
            syn::visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_impl(&mut self, block: &'ast syn::ItemImpl) {
        let of_actor = block.trait_.as_ref().is_some_and(|(_, path, _)| path.segments.last().is_some_and(|last| last.ident == "Actor"));
        if let (true, syn::Type::Path(of)) = (of_actor, block.self_ty.as_ref()) {
            self.actors.extend(of.path.segments.last().map(|last| last.ident.to_string()));
        }
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.docs.insert(item.ident.to_string(), documentation(&item.attrs));
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        let name = item.ident.to_string();
        if let Some(actor) = name.strip_suffix("Msg").filter(|_| !item.variants.is_empty()) {
            self.messages.insert(actor.to_owned(), item.variants.iter().map(|variant| variant.ident.to_string()).collect());
        }
    }
}

fn documentation(attributes: &[syn::Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The questions that an actor's documentation leaves open.
pub(crate) fn open_questions(actor: &str, documentation: &str) -> Vec<String> {
    let plain = documentation.replace("**", "").replace(':', "");
    let asked = ["Owns", "Told by", "Tells", "On restart", "Bounded by"];
    let open = asked.into_iter().filter(|question| !plain.lines().any(|line| line.trim().starts_with(&format!("* {question}"))));
    open.map(|question| format!("the documentation of the actor `{actor}` does not answer \"{question}\"")).collect()
}

fn parsed(source: &Source) -> syn::File {
    syn::parse_file(&source.code).unwrap_or_else(|error| panic!("{}: {error}", source.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_TOKIO: Absence = Absence {
        rule: "no tokio here",
        words: &["tokio", "Instant::now"],
        within: &["actors/domain"],
        except: &[("actors/domain/src/clock.rs", "the port")],
    };

    fn source(path: &str, text: &str) -> Source {
        Source::of(path, text)
    }

    #[test]
    fn a_forbidden_word_is_named_with_its_line() {
        let sources = [
            source("actors/domain/src/a.rs", "use std::fmt;\nuse tokio::time;\n"),
            source("actors/domain/src/clock.rs", "fn f() { Instant::now(); }"),
        ];
        assert_eq!(check(&NO_TOKIO, &sources), ["actors/domain/src/a.rs:2: `tokio`: no tokio here"]);
    }

    #[test]
    fn a_word_counts_only_by_itself_and_in_its_places() {
        let sources = [
            source("actors/domain/src/a.rs", "fn tokio_like() {} // tokio"),
            source("actors/domain_other/src/a.rs", "use tokio;"),
            source("actors/domain/src/clock.rs", "use tokio;"),
        ];
        assert_eq!(check(&NO_TOKIO, &sources), [""; 0]);
    }

    #[test]
    fn an_exception_that_nothing_needs_is_told() {
        let sources = [source("actors/domain/src/clock.rs", "fn f() {}")];
        assert_eq!(check(&NO_TOKIO, &sources).len(), 1);
    }

    #[test]
    fn sql_is_found_in_texts_and_not_in_prose() {
        let bad = source("src/a.rs", "let q = \"SELECT id FROM keys\";\n// SELECT a FROM b\nlet p = \"UPDATE the settings\";");
        assert_eq!(sql(&bad), ["src/a.rs:1: SQL outside actors/store"]);
    }

    #[test]
    fn a_file_is_too_long_by_its_code_alone() {
        let code = "fn f() {}\n".repeat(MAX_LINES);
        assert!(too_long(&source("a.rs", &format!("{code}#[cfg(test)]\nmod t {{\n{code}}}\n"))).is_none());
        assert!(too_long(&source("a.rs", &format!("{code}fn g() {{}}\n"))).is_some());
    }

    #[test]
    fn marks_of_unfinished_work_are_found_in_comments_too() {
        let bad = ["// TO", "DO: later\nfn f() { to", "do!() }"].concat();
        assert_eq!(marks("a.rs", &bad).len(), 2);
        assert_eq!(marks("a.rs", "let todos = 1;"), [""; 0]);
    }

    #[test]
    fn a_manifest_may_import_its_row_only() {
        let manifest: toml::Table = toml::from_str(
            "[dependencies]\noutcrop-domain = {}\noutcrop-gateway = {}\nserde = {}\ntokio = {}\n[target.'cfg(unix)'.dependencies]\noutcrop-sim = {}\n[dev-dependencies]\noutcrop-upstream = {}\n",
        )
        .unwrap();
        assert_eq!(
            wrong_imports("x", &manifest, &["outcrop-domain"]),
            ["x must not depend on outcrop-gateway", "x must not depend on outcrop-sim"]
        );
        assert_eq!(foreign_imports("x", &manifest, &["serde"]), ["x is pure and must not depend on tokio"]);
    }

    #[test]
    fn modules_are_found_in_uses_and_in_paths() {
        let source = source(
            "src/http/a.rs",
            "use outcrop_gateway::{ports::{A, B}, tree::Gateway};\nfn f() -> outcrop_gateway::lanes::X { other::tree::y() }",
        );
        assert_eq!(modules_of("outcrop_gateway", &source).into_iter().collect::<Vec<_>>(), ["lanes", "ports", "tree"]);
    }

    const ACTOR: &str = "/// Keeps.\n/// * Owns: a.\n/// * Told by: b.\n/// * **Tells** c.\n/// * On restart: d.\nstruct Keeper;\nimpl Actor for Keeper {}\nenum KeeperMsg { Ask, Tell { x: u8 } }\n#[cfg(test)] mod t { impl Actor for Probe {} }";

    #[test]
    fn actors_and_messages_are_found() {
        let found = actors(&[source("a.rs", ACTOR)]);
        assert_eq!(found.actors.keys().collect::<Vec<_>>(), ["Keeper"]);
        assert_eq!(found.messages["Keeper"], ["Ask", "Tell"]);
    }

    #[test]
    fn an_actor_that_leaves_a_question_open_is_told() {
        let found = actors(&[source("a.rs", ACTOR)]);
        let open = open_questions("Keeper", &found.actors["Keeper"]);
        assert_eq!(open, ["the documentation of the actor `Keeper` does not answer \"Bounded by\""]);
    }
}
