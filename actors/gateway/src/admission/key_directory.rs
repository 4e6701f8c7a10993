//! The owner of the gateway's keys.

use std::{collections::HashMap, fmt, sync::Arc};

use arc_swap::ArcSwap;
use outcrop_domain::{clock::Entropy, ids::KeyId, routing::strategy::Strategy, secret::SecretString};
use outcrop_supervision::Reply;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde::Serialize;

/// Who a request belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The key's public id.
    pub key: KeyId,
    /// Models the key may use; empty = all. Exact names or `prefix*`.
    pub models: Vec<String>,
    /// How targets are chosen for its requests, if the key says so.
    pub strategy: Option<Strategy>,
}

impl Principal {
    /// May this key use a model that goes by these names?
    #[must_use]
    pub fn may_use(&self, names: &[&str]) -> bool {
        self.models.is_empty()
            || self.models.iter().any(|allowed| match allowed.strip_suffix('*') {
                Some(prefix) => names.iter().any(|name| name.starts_with(prefix)),
                None => names.iter().any(|name| name == allowed),
            })
    }
}

/// One key as the settings name it.
#[derive(Debug, Clone)]
pub struct KeyEntry {
    /// Public id.
    pub id: KeyId,
    /// The key itself. Kept only until it is hashed.
    pub secret: SecretString,
    /// Models it may use; empty = all.
    pub models: Vec<String>,
    /// How targets are chosen for its requests; `None` = as the alias or the settings say.
    pub strategy: Option<Strategy>,
}

/// All keys, as salted hashes. The salt is drawn anew with every snapshot, so a leaked memory image is of no use.
#[derive(Clone)]
pub struct KeySnapshot {
    salt: [u8; 32],
    keys: HashMap<[u8; 32], Arc<Principal>>,
    required: bool,
}

impl KeySnapshot {
    /// Hashes `entries`. With `required` false, requests without a key belong to the principal `anonymous`.
    #[must_use]
    pub fn new(entries: &[KeyEntry], required: bool, entropy: &dyn Entropy) -> Self {
        let mut salt = [0u8; 32];
        for chunk in salt.chunks_exact_mut(8) {
            chunk.copy_from_slice(&entropy.next_u64().to_le_bytes());
        }
        let keys = entries
            .iter()
            .map(|entry| {
                let principal = Principal { key: entry.id.clone(), models: entry.models.clone(), strategy: entry.strategy };
                (digest(&salt, entry.secret.expose()), Arc::new(principal))
            })
            .collect();
        Self { salt, keys, required }
    }

    /// Whose key this is. The time does not depend on how much of a key is right: the whole key is hashed with a
    /// secret salt before anything is compared.
    #[must_use]
    pub fn find(&self, presented: &str) -> Option<Arc<Principal>> {
        self.keys.get(&digest(&self.salt, presented)).cloned()
    }

    /// The principal of requests without a key, where those are allowed.
    #[must_use]
    pub fn anonymous(&self) -> Option<Arc<Principal>> {
        (!self.required).then(|| Arc::new(Principal { key: KeyId::from("anonymous"), models: Vec::new(), strategy: None }))
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True when there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl fmt::Debug for KeySnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySnapshot({} keys)", self.keys.len())
    }
}

fn digest(salt: &[u8; 32], key: &str) -> [u8; 32] {
    *blake3::keyed_hash(salt, key.as_bytes()).as_bytes()
}

/// What a [`KeyDirectory`] is told.
#[derive(Debug)]
pub enum KeyDirectoryMsg {
    /// Publish these keys.
    Replace(Box<KeySnapshot>),
    /// Asks what is in force.
    Describe {
        /// The answer.
        reply: Reply<KeyReport>,
    },
}

/// State of the keys, for consoles and tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyReport {
    /// Keys in force.
    pub keys: usize,
    /// Requests without a key are refused.
    pub required: bool,
}

/// What a [`KeyDirectory`] starts from.
#[derive(Debug, Clone)]
pub struct KeyDirectoryArgs {
    /// Where the snapshot is published.
    pub cell: Arc<ArcSwap<KeySnapshot>>,
}

/// Publishes the keys.
///
/// * Owns: the key snapshot.
/// * Told by: the edge, when settings were reloaded.
/// * Tells: nobody; the edge reads the snapshot.
/// * On restart: keeps the snapshot that is published.
/// * Bounded by: one message per reload.
#[derive(Debug, Default)]
pub struct KeyDirectory;

impl Actor for KeyDirectory {
    type Msg = KeyDirectoryMsg;
    type State = KeyDirectoryArgs;
    type Arguments = KeyDirectoryArgs;

    async fn pre_start(&self, _myself: ActorRef<Self::Msg>, args: KeyDirectoryArgs) -> Result<Self::State, ActorProcessingErr> {
        Ok(args)
    }

    async fn handle(&self, _myself: ActorRef<Self::Msg>, message: Self::Msg, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        match message {
            KeyDirectoryMsg::Replace(snapshot) => state.cell.store(Arc::from(snapshot)),
            KeyDirectoryMsg::Describe { reply } => {
                let snapshot = state.cell.load();
                reply.send(KeyReport { keys: snapshot.len(), required: snapshot.required });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed;

    impl Entropy for Fixed {
        fn next_u64(&self) -> u64 {
            42
        }
    }

    fn snapshot(required: bool) -> KeySnapshot {
        let entry =
            KeyEntry { id: "team-a".into(), secret: SecretString::new("sk-right".into()), models: vec!["claude-*".into()], strategy: None };
        KeySnapshot::new(&[entry], required, &Fixed)
    }

    #[test]
    fn a_key_is_found_by_its_whole_text_only() {
        let snapshot = snapshot(true);
        assert_eq!(snapshot.find("sk-right").expect("known key").key.as_str(), "team-a");
        assert!(snapshot.find("sk-righ").is_none());
        assert!(snapshot.find("").is_none());
    }

    #[test]
    fn requests_without_a_key_pass_only_where_none_is_required() {
        assert!(snapshot(true).anonymous().is_none());
        assert_eq!(snapshot(false).anonymous().expect("allowed").key.as_str(), "anonymous");
    }

    #[test]
    fn a_key_may_be_held_to_some_models() {
        let principal = snapshot(true).find("sk-right").expect("known key");
        assert!(principal.may_use(&["anthropic.claude-sonnet-4-6", "claude-sonnet-4-6"]));
        assert!(!principal.may_use(&["amazon.nova-pro-v1:0"]));
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", snapshot(true)), "KeySnapshot(1 keys)");
    }
}
