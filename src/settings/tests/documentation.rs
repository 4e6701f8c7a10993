//! `config/outcrop.toml` names every setting, with the default it really has; and the files beside it load.

use std::collections::{BTreeMap, BTreeSet};

use super::{Settings, Source};
use crate::settings::{changes::is_reloadable, load::known_paths, read::join};

const ANNOTATED: &str = include_str!("../../../config/outcrop.toml");
const EXAMPLE: &str = "#e.g. ";

/// The annotated file with its defaults, or its examples, made real. Headers are kept.
fn uncommented(text: &str, examples: bool) -> String {
    let line = |line: &str| -> String {
        match line.strip_prefix(EXAMPLE) {
            Some(example) if examples => example.to_owned(),
            Some(_) => String::new(),
            None if line.starts_with('[') => line.to_owned(),
            None if examples => String::new(),
            None => line
                .strip_prefix('#')
                .filter(|rest| rest.starts_with(|letter: char| letter.is_ascii_lowercase()))
                .unwrap_or_default()
                .to_owned(),
        }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Every value of `table`, by path, with names of the user's own as `*` where `known` has it so.
fn paths(table: &toml::Table, parent: &str, known: &BTreeSet<String>, into: &mut BTreeSet<String>) {
    for (name, value) in table {
        let own = join(parent, name);
        let is_known =
            known.iter().any(|path| path == &own || path.starts_with(&format!("{own}.")) || path.starts_with(&format!("{own}[")));
        let path = if is_known { own } else { join(parent, "*") };
        into.insert(path.clone());
        match value {
            toml::Value::Table(below) => paths(below, &path, known, into),
            toml::Value::Array(elements) => {
                for below in elements.iter().filter_map(toml::Value::as_table) {
                    paths(below, &format!("{path}[]"), known, into);
                }
            }
            _ => {}
        }
    }
}

fn values(settings: &Settings) -> BTreeMap<String, Option<String>> {
    settings.entries().iter().map(|entry| (entry.path.clone(), entry.value.as_ref().map(ToString::to_string))).collect()
}

#[test]
fn the_annotated_file_changes_nothing_as_it_is() {
    assert_eq!(values(&Source::file(ANNOTATED).load()), values(&Source::file("").load()));
}

#[test]
fn every_setting_is_documented() {
    let known = known_paths();
    let mut documented = BTreeSet::new();
    for examples in [false, true] {
        paths(&uncommented(ANNOTATED, examples).parse().unwrap(), "", &known, &mut documented);
    }
    let missing: Vec<&String> = known.iter().filter(|path| !documented.contains(*path)).collect();
    assert_eq!(missing, Vec::<&String>::new());
    assert!(known.len() > 100, "{}", known.len());
}

#[test]
fn documented_defaults_are_the_real_ones() {
    let real = values(&Source::file("").load());
    let text = uncommented(ANNOTATED, false);
    // With every default written out, the values are the same as with none.
    assert_eq!(values(&Source::file(&text).load()), real.clone());
    // And no default is left out: what has one is written as one.
    let mut documented = BTreeSet::new();
    paths(&text.parse().unwrap(), "", &known_paths(), &mut documented);
    let from_environment = ["aws.regions"];
    let undocumented: Vec<&String> = real
        .iter()
        .filter(|(path, value)| value.is_some() && !documented.contains(*path) && !from_environment.contains(&path.as_str()))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(undocumented, Vec::<&String>::new());
}

#[test]
fn a_wrong_documented_default_would_be_noticed() {
    let wrong = uncommented(&ANNOTATED.replace("#port = 8080", "#port = 8081"), false);
    assert_ne!(values(&Source::file(&wrong).load()), values(&Source::file("").load()));
}

/// Every setting the file names, and whether the comment of its section, or the one right above it, says `[restart]`.
fn documented_restarts() -> Vec<(String, bool)> {
    let (mut section, mut section_marked, mut block_marked) = (String::new(), false, false);
    let mut found = Vec::new();
    for line in ANNOTATED.lines() {
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']').to_owned();
            section_marked = std::mem::take(&mut block_marked);
        } else if line.is_empty() || line.starts_with("# ----") {
            block_marked = false;
        } else if line.starts_with("# ") {
            block_marked |= line.contains("[restart]");
        } else if let Some((name, _)) = line.strip_prefix(EXAMPLE).or(line.strip_prefix('#')).and_then(|rest| rest.split_once(" = ")) {
            found.push((format!("{section}.{name}"), section_marked || block_marked));
        }
    }
    found
}

#[test]
fn settings_that_need_a_restart_are_marked_so_and_no_others() {
    let found = documented_restarts();
    assert!(found.len() > 80, "{}", found.len());
    for (path, marked) in found {
        assert_eq!(marked, !is_reloadable(&path), "{path}");
    }
}

#[test]
fn documented_examples_load() {
    let source = Source::file(&uncommented(ANNOTATED, true))
        .beside("ca.pem", "")
        .beside("keys.txt", "ann:sk-ann\n")
        .environment(&[("BATCH_KEY", "sk-batch")]);
    let settings = source.load();
    assert_eq!(settings.aws.regions.len(), 3);
    assert_eq!(settings.keys.list.len(), 3);
    assert_eq!(settings.models.aliases.len(), 2);
    assert!(settings.aws.assume_role.is_some() && settings.aws.credentials.is_some() && settings.chat.guardrail.is_some());
}

#[test]
fn the_files_for_production_and_for_one_machine_load() {
    let production =
        Source::file(include_str!("../../../config/production.toml")).environment(&[("OUTCROP_API_KEYS", "web:sk-1,batch:sk-2")]).load();
    assert!(production.keys.required && production.chat.strict && !production.models.allow_global_profiles);
    assert_eq!(production.keys.list.len(), 2);
    let local = Source::file(include_str!("../../../config/local.toml")).environment(&[]).load();
    assert!(!local.keys.required && local.server.bind.is_loopback() && local.aws.credentials.is_some());
    assert_eq!(local.aws.regions.len(), 3);
}
