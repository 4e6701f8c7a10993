//! The places that keys come from.

use std::path::PathBuf;

use outcrop_domain::{ids::KeyId, secret::SecretString};

use super::Key;
use crate::settings::{
    read::{At, Echo, ExistingFile, Kind, List, Node, Origin, Parsed, Record, Secret, Section, Value, is_header_value},
    routing::STRATEGY,
};

/// Ids of keys that came without one, in order: `env-1`, `env-2`.
const UNNAMED: &str = "env";

/// Taken by requests without a key.
const RESERVED_ID: &str = "anonymous";

const ID: Parsed<KeyId> = Parsed {
    expected: "an id of 1 to 64 letters, digits and `._-`, other than `anonymous`",
    parse: |text| {
        let good = (1..=64).contains(&text.len()) && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter));
        (good && text != RESERVED_ID).then(|| KeyId::from(text))
    },
    show: |id| id.as_str().to_owned(),
};

/// A name, or the beginning of names and `*`.
const PATTERN: Parsed<String> = Parsed {
    expected: "the name of a model without spaces, or the beginning of names followed by `*`",
    parse: |text| {
        let stem = text.strip_suffix('*').unwrap_or(text);
        let good = !text.is_empty() && !stem.contains('*') && text.chars().all(|letter| letter.is_ascii_graphic());
        good.then(|| text.to_owned())
    },
    show: Clone::clone,
};

/// `[[keys.key]]`.
pub(super) const KEY: Record<Key> = Record {
    read: read_key,
    show: show_key,
    reveal: |key, into| {
        into.push_str(key.secret.expose());
        into.push('\0');
    },
};

fn read_key(section: &mut Section<'_>) -> Option<Key> {
    let id = section.require("id", ID);
    let models = section.get("models", List::unique(PATTERN), Vec::new());
    let strategy = section.find("strategy", STRATEGY);
    let secret = section.find("secret", Secret);
    let variable = section.find("secret_env", VARIABLE);
    let given = usize::from(section.is_set("secret")) + usize::from(section.is_set("secret_env"));
    if given != 1 {
        section.own_problem("expected exactly one of `secret` and `secret_env`".to_owned());
    }
    let origin = section.own_origin();
    Some(Key { id: id?, secret: secret.or(variable)?, models, strategy, origin })
}

fn show_key(key: &Key) -> toml::Value {
    let mut table = toml::Table::new();
    table.insert("id".to_owned(), toml::Value::from(key.id.as_str()));
    table.insert("secret".to_owned(), toml::Value::from(key.secret.to_string()));
    if !key.models.is_empty() {
        table.insert("models".to_owned(), toml::Value::from(key.models.clone()));
    }
    if let Some(strategy) = &key.strategy {
        table.insert("strategy".to_owned(), STRATEGY.show(strategy));
    }
    toml::Value::Table(table)
}

const VARIABLE: Variable = Variable;

/// The name of an environment variable that holds a secret.
#[derive(Debug, Clone, Copy)]
struct Variable;

impl Kind for Variable {
    type Value = SecretString;

    fn read(&self, at: &At<'_>) -> Option<SecretString> {
        let Some(name) = at.text() else {
            at.expected("the name of an environment variable");
            return None;
        };
        let secret = at.reader.environment().get(name).map(str::trim_end).filter(|value| is_header_value(value));
        if secret.is_none() {
            // The name is not quoted: somebody may have put the secret itself here.
            at.problem("the environment variable it names is not set, or holds no visible ASCII text without spaces".to_owned());
        }
        secret.map(|secret| SecretString::new(secret.to_owned()))
    }

    fn show(&self, value: &SecretString) -> toml::Value {
        toml::Value::String(value.to_string())
    }
}

/// `keys.secrets`, which the variables OUTCROP_API_KEY and OUTCROP_API_KEYS set: `id:secret`, or secrets alone.
pub(super) const SECRETS: Secrets = Secrets;

#[derive(Debug, Clone, Copy)]
pub(super) struct Secrets;

impl Kind for Secrets {
    type Value = Vec<Key>;

    fn read(&self, at: &At<'_>) -> Option<Vec<Key>> {
        let lines = List::of(Secret).read(at)?;
        let origins: Vec<Origin> = match &at.node.value {
            Value::Array(nodes) => nodes.iter().map(|node| node.origin.clone()).collect(),
            _ => vec![at.node.origin.clone(); lines.len()],
        };
        let mut keys = Vec::with_capacity(lines.len());
        let mut sound = true;
        for ((position, line), origin) in lines.iter().enumerate().zip(origins) {
            let node = Node::new(origin, Value::Text(String::new()));
            let path = format!("{}[{position}]", at.path);
            let at = At { path: &path, node: &node, ..*at };
            let key = match line.expose().split_once(':') {
                Some((id, secret)) => named(&at, id, secret),
                None => Some(Key {
                    id: KeyId::from(format!("{UNNAMED}-{}", position + 1)),
                    secret: line.clone(),
                    models: Vec::new(),
                    strategy: None,
                    origin: node.origin.clone(),
                }),
            };
            sound &= key.is_some();
            keys.extend(key);
        }
        sound.then_some(keys)
    }

    fn show(&self, value: &Vec<Key>) -> toml::Value {
        toml::Value::Array(value.iter().map(|key| toml::Value::String(format!("{}:{}", key.id, key.secret))).collect())
    }

    fn reveal(&self, value: &Vec<Key>, into: &mut String) {
        for key in value {
            into.push_str(key.secret.expose());
            into.push('\0');
        }
    }
}

/// `keys.file`: one `id:secret` per line; empty lines and lines that begin with `#` are skipped.
pub(super) const KEY_FILE: KeyFileKind = KeyFileKind;

#[derive(Debug, Clone, Copy)]
pub(super) struct KeyFileKind;

/// A file of keys.
pub(super) struct KeyFile {
    pub(super) path: PathBuf,
    pub(super) keys: Vec<Key>,
}

impl Kind for KeyFileKind {
    type Value = KeyFile;

    fn read(&self, at: &At<'_>) -> Option<KeyFile> {
        let path = ExistingFile.read(at)?;
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                at.problem(format!("cannot read file `{}`: {error}", path.display()));
                return None;
            }
        };
        let mut keys = Vec::new();
        let mut sound = true;
        for (position, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let node = Node::new(Origin::File { path: path.as_path().into(), line: position + 1, column: 1 }, Value::Text(String::new()));
            let at = At { node: &node, echo: Echo::TypeOnly, ..*at };
            let key = line.split_once(':').and_then(|(id, secret)| named(&at, id, secret));
            if !line.contains(':') {
                at.problem("expected `id:secret`".to_owned());
            }
            sound &= key.is_some();
            keys.extend(key);
        }
        sound.then_some(KeyFile { path, keys })
    }

    fn show(&self, value: &KeyFile) -> toml::Value {
        toml::Value::String(value.path.display().to_string())
    }

    fn reveal(&self, value: &KeyFile, into: &mut String) {
        for key in &value.keys {
            into.push_str(key.id.as_str());
            into.push(':');
            into.push_str(key.secret.expose());
            into.push('\0');
        }
    }
}

fn named(at: &At<'_>, id: &str, secret: &str) -> Option<Key> {
    let id = (ID.parse)(id.trim());
    let secret = Some(secret.trim()).filter(|secret| is_header_value(secret));
    if id.is_none() {
        at.problem(format!("expected {} before the colon", ID.expected));
    }
    if secret.is_none() {
        at.problem("expected a secret of visible ASCII characters without spaces after the colon".to_owned());
    }
    Some(Key { id: id?, secret: SecretString::new(secret?.to_owned()), models: Vec::new(), strategy: None, origin: at.node.origin.clone() })
}
