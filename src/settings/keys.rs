//! `[keys]`: who may call the gateway.

mod source;

use std::{collections::BTreeMap, path::PathBuf};

use outcrop_domain::{ids::KeyId, routing::strategy::Strategy, secret::SecretString};

use self::source::{KEY, KEY_FILE, SECRETS};
use super::read::{List, Origin, SWITCH, Section};

/// Who may call the gateway.
#[derive(Debug, Clone, PartialEq)]
pub struct Keys {
    /// Requests without a key are refused.
    pub required: bool,
    /// A file of keys that was read.
    pub file: Option<PathBuf>,
    /// Every key of every source, ids and secrets each once.
    pub list: Vec<Key>,
}

/// One key.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// Its name in logs and reports.
    pub id: KeyId,
    /// The key itself.
    pub secret: SecretString,
    /// Models it may use: names, or beginnings followed by `*`; empty = all.
    pub models: Vec<String>,
    /// How targets are chosen for its requests.
    pub strategy: Option<Strategy>,
    /// Where it was found.
    pub origin: Origin,
}

impl Keys {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        // A key may stand in any wrong place here.
        section.keep_quiet();
        // Keys by default: an open gateway spends somebody's money.
        let required = section.get("required", SWITCH, true);
        let file = section.find("file", KEY_FILE);
        let mut list = section.get("secrets", SECRETS, Vec::new());
        let tables = section.get("key", List::of(KEY), Vec::new());
        let (file, from_file) = file.map_or((None, Vec::new()), |file| (Some(file.path), file.keys));
        list.extend(from_file);
        list.extend(tables);
        report_duplicates(section, &list);
        let attempted = ["file", "secrets", "key"].iter().any(|source| section.is_faulty(source));
        if required && list.is_empty() && !attempted {
            let message = "keys are required, but there is none: set OUTCROP_API_KEY, add `[[keys.key]]`, or set `keys.required = false`";
            section.problem("required", message.to_owned());
        }
        Self { required, file, list }
    }
}

fn report_duplicates(section: &Section<'_>, list: &[Key]) {
    let mut ids: BTreeMap<&str, &Origin> = BTreeMap::new();
    let mut secrets: BTreeMap<&str, &KeyId> = BTreeMap::new();
    for key in list {
        if let Some(first) = ids.insert(key.id.as_str(), &key.origin) {
            section.reader().problem(key.origin.clone(), "keys", format!("key id `{}` is also used at {first}", key.id));
        }
        if let Some(first) = secrets.insert(key.secret.expose(), &key.id) {
            section.reader().problem(key.origin.clone(), "keys", format!("key `{}` has the same secret as key `{first}`", key.id));
        }
    }
}
