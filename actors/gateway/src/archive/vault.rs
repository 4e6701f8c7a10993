//! The way to what is stored: calls that block, kept off the runtime's threads.

use std::sync::Arc;

use outcrop_domain::{clock::Ports, error::GatewayError};
use outcrop_store::{ConversationStore, ResponseStore, StoreError, UnixMillis};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::settings::{ResponsesPolicy, SettingsCell};

/// Where responses and conversations are kept.
#[derive(Debug, Clone)]
pub struct Stores {
    /// Responses.
    pub responses: Arc<dyn ResponseStore>,
    /// Conversations.
    pub conversations: Arc<dyn ConversationStore>,
    /// When there is no room left, the oldest responses are let go before their time. True of a memory; a disk that is full is
    /// its operator's to empty.
    pub makes_room: bool,
}

impl Stores {
    /// Both in one place.
    #[must_use]
    pub fn of<S: ResponseStore + ConversationStore + 'static>(store: Arc<S>, makes_room: bool) -> Self {
        Self { responses: Arc::clone(&store) as Arc<dyn ResponseStore>, conversations: store, makes_room }
    }
}

/// Most responses that are let go before it is tried again.
const MOST_AT_ONCE: u32 = 256;

/// The way to the stores.
#[derive(Debug, Clone)]
pub(crate) struct Vault {
    stores: Stores,
    settings: SettingsCell,
    ports: Ports,
    turns: Arc<Semaphore>,
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
        Self { stores, settings, ports, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// The settings of stored responses now.
    pub(crate) fn policy(&self) -> ResponsesPolicy {
        self.settings.load().responses
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

    /// Wall-clock time.
    pub(crate) fn now(&self) -> UnixMillis {
        UnixMillis::from(self.vault.ports.clock.wall())
    }

    /// Does what needs room; where there is none and the place is one that makes room, what nobody went on from for longest goes
    /// first.
    pub(crate) fn with_room<T>(&self, mut write: impl FnMut(&Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut written = write(self);
        let mut at_once = 1;
        while self.vault.stores.makes_room
            && let Err(StoreError::Full { .. }) = &written
        {
            // As if the time of all were over: the first to go are those whose time would be over first.
            let gone = self.responses().purge_expired(UnixMillis(i64::MAX), at_once)?;
            if gone == 0 {
                break;
            }
            metrics::counter!("outcrop_stored_responses_let_go_total").increment(u64::from(gone));
            tracing::warn!(responses = gone, "the memory for stored responses is full: the oldest were let go before their time");
            at_once = (at_once * 2).min(MOST_AT_ONCE);
            written = write(self);
        }
        written
    }
}
