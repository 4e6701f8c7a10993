//! The way to what is stored: calls that block, kept off the runtime's threads.

use std::{sync::Arc, time::Duration};

use dashmap::DashMap;
use outcrop_domain::{clock::Ports, error::GatewayError};
use outcrop_store::{ConversationStore, Keep, Owner, ResponseKey, ResponseStore, StoreError, UnixMillis};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::settings::{ResponsesPolicy, SettingsCell};

/// Where responses and conversations are kept.
#[derive(Debug, Clone)]
pub struct Stores {
    /// Responses.
    pub responses: Arc<dyn ResponseStore>,
    /// Conversations.
    pub conversations: Arc<dyn ConversationStore>,
    /// When there is no room left for a key, the oldest of what it has is let go before its time. True of a memory; a disk that is
    /// full is its operator's to empty.
    pub makes_room: bool,
}

impl Stores {
    /// Both in one place.
    #[must_use]
    pub fn of<S: ResponseStore + ConversationStore + 'static>(store: Arc<S>, makes_room: bool) -> Self {
        Self { responses: Arc::clone(&store) as Arc<dyn ResponseStore>, conversations: store, makes_room }
    }
}

/// How often room is made for one call: others may take it meanwhile.
const MOST_TRIES: u32 = 4;

/// The way to the stores.
#[derive(Debug, Clone)]
pub(crate) struct Vault {
    stores: Stores,
    settings: SettingsCell,
    ports: Ports,
    turns: Arc<Semaphore>,
    under_way: Arc<DashMap<(String, String), ()>>,
}

/// A response that this process makes, stored as running: while it is held, nobody else ends the response as lost.
#[derive(Debug)]
pub(crate) struct Claim {
    under_way: Arc<DashMap<(String, String), ()>>,
    key: (String, String),
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.under_way.remove(&self.key);
    }
}

/// A call's turn.
pub(crate) struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

/// Calls on threads at once. The store has one writer and a few readers: what else waits had better not hold a thread, for those
/// are shared with the translation of large requests.
const AT_ONCE: usize = 16;

impl Vault {
    pub(crate) fn new(stores: Stores, settings: SettingsCell, ports: Ports) -> Self {
        Self { stores, settings, ports, turns: Arc::new(Semaphore::new(AT_ONCE)), under_way: Arc::default() }
    }

    /// The settings of stored responses now.
    pub(crate) fn policy(&self) -> ResponsesPolicy {
        self.settings.load().responses
    }

    /// Claims a response before it is stored as running.
    pub(crate) fn claim(&self, owner: &str, id: &str) -> Claim {
        let key = (owner.to_owned(), id.to_owned());
        self.under_way.insert(key.clone(), ());
        Claim { under_way: Arc::clone(&self.under_way), key }
    }

    /// Does the place know its room?
    pub(crate) fn knows_its_room(&self) -> bool {
        self.stores.makes_room
    }

    /// The ports of the gateway.
    pub(crate) fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Does `work` with the stores, on a thread that may block, when it is its turn. What was begun is done, whether or not anybody
    /// waits for it.
    ///
    /// # Errors
    /// [`GatewayError::WorkerLost`] when the work panicked.
    pub(crate) async fn ask<T, F>(&self, operation: &'static str, work: F) -> Result<T, GatewayError>
    where
        T: Send + 'static,
        F: FnOnce(&Shelves<'_>) -> T + Send + 'static,
    {
        let turn = self.turn().await;
        self.ask_in(turn, operation, work).await
    }

    /// Waits for its turn. Who must not lose what it holds meanwhile waits here, and gives it away then.
    pub(crate) async fn turn(&self) -> Turn {
        // Nobody closes it; and without a turn a call is still right, if out of turn.
        Turn { _permit: Arc::clone(&self.turns).acquire_owned().await.ok() }
    }

    /// As [`Vault::ask`], whose turn it is: the work is handed on before this first waits.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn ask_in<T, F>(&self, turn: Turn, operation: &'static str, work: F) -> Result<T, GatewayError>
    where
        T: Send + 'static,
        F: FnOnce(&Shelves<'_>) -> T + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        self.tell(operation, move |shelves| {
            let _turn = turn;
            // Whoever waited may have gone meanwhile.
            drop(sender.send(work(shelves)));
        });
        receiver.await.map_err(|_| GatewayError::WorkerLost)
    }

    /// As [`Vault::ask`], for nobody and out of turn.
    pub(crate) fn tell(&self, operation: &'static str, work: impl FnOnce(&Shelves<'_>) + Send + 'static) {
        let vault = self.clone();
        self.ports.blocking.run(Box::new(move || {
            let began = vault.ports.clock.now();
            work(&Shelves { vault: &vault });
            let took = vault.ports.clock.now().since(began);
            metrics::histogram!("outcrop_store_duration_seconds", "operation" => operation).record(took.as_secs_f64());
        }));
    }
}

/// The stores, on a thread that may block.
pub(crate) struct Shelves<'v> {
    vault: &'v Vault,
}

impl Shelves<'_> {
    /// Responses.
    pub(crate) fn responses(&self) -> &dyn ResponseStore {
        self.vault.stores.responses.as_ref()
    }

    /// Conversations.
    pub(crate) fn conversations(&self) -> &dyn ConversationStore {
        self.vault.stores.conversations.as_ref()
    }

    /// The settings of stored responses now.
    pub(crate) fn policy(&self) -> ResponsesPolicy {
        self.vault.policy()
    }

    /// Does this process make the response?
    pub(crate) fn is_under_way(&self, key: &ResponseKey) -> bool {
        self.vault.under_way.contains_key(&(key.owner.clone(), key.id.clone()))
    }

    /// Longest time that a request takes.
    pub(crate) fn longest_request(&self) -> Duration {
        self.vault.settings.load().timeouts.total
    }

    /// Wall-clock time.
    pub(crate) fn now(&self) -> UnixMillis {
        UnixMillis::from(self.vault.ports.clock.wall())
    }

    /// Does what needs room. Where there is none and the place is one that makes room, so much of what its owner has goes before its time;
    /// nothing goes when that would not do. `keep` stays.
    pub(crate) fn with_room<T>(
        &self,
        owner: Owner<'_>,
        keep: Keep<'_>,
        mut write: impl FnMut(&Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut written = write(self);
        for _ in 0..MOST_TRIES {
            let Err(StoreError::Full { missing: Some(missing), .. }) = &written else { break };
            let gone = if self.vault.stores.makes_room { self.responses().make_room(owner, *missing, keep)? } else { 0 };
            if gone == 0 {
                break;
            }
            metrics::counter!("outcrop_stored_let_go_total").increment(u64::from(gone));
            tracing::warn!(gone, owner = owner.0, "the memory is full: the oldest of what this key has stored was let go before its time");
            written = write(self);
        }
        written
    }
}
