//! A streamed response while it is told: its writer, its reader and its place in the store, which end together.

use std::sync::Arc;

use bytes::Bytes;
use outcrop_domain::{chat::ChatEvent, error::GatewayError};
use outcrop_translate::openai_responses::stream::{ClosedResponse, EventWriter};
use tokio::sync::mpsc::{self, OwnedPermit};

use crate::archive::{EventBytes, Kept, Live, LiveGuard, Shelves, Vault, unix_seconds};

/// Writes a client may lag behind before the model is held back.
const CHANNEL_DEPTH: usize = 16;

/// Who reads the events.
pub(super) enum Way {
    /// The client that asked, and nobody after it.
    Client {
        /// Events under way.
        sender: mpsc::Sender<Bytes>,
        /// Room that is kept for the last word, so that it can be said at any time.
        last: OwnedPermit<Bytes>,
    },
    /// Whoever comes, for as long as the response is under way.
    Board(LiveGuard),
}

impl Way {
    /// A way to the client that asked, and its other end.
    ///
    /// # Errors
    /// A bug: a new channel has room.
    pub(super) fn client() -> Result<(Self, EventBytes), GatewayError> {
        let (sender, receiver) = mpsc::channel(CHANNEL_DEPTH);
        let last = sender.clone().try_reserve_owned().map_err(|_| GatewayError::WorkerLost)?;
        Ok((Self::Client { sender, last }, EventBytes::channel(receiver)))
    }

    fn end(self, last_word: Vec<u8>) {
        match self {
            Self::Client { sender, last } => {
                if last_word.is_empty() {
                    drop(sender);
                } else {
                    drop(last.send(Bytes::from(last_word)));
                }
            }
            Self::Board(guard) => guard.record(Bytes::from(last_word)),
        }
    }
}

/// How a response ends.
#[derive(Debug)]
pub(super) enum End<'e> {
    /// The model has said everything.
    Complete,
    /// It broke.
    Broken(&'e GatewayError),
    /// Nobody wants it any more.
    GivenUp,
}

/// A response that is told. However it is dropped (a panic, a kill, a job that never ran), it ends: for its readers by a last event,
/// and in the store.
pub(super) struct Telling {
    /// What is left of it until its end.
    parts: Option<Parts>,
    /// Written, and to be told when its job begins.
    beginning: Vec<u8>,
    /// Written and not yet handed on.
    out: Vec<u8>,
    vault: Vault,
}

struct Parts {
    writer: EventWriter,
    way: Way,
    kept: Option<Kept>,
}

impl Telling {
    /// A response whose first events are written: `out`. `kept`: how it is stored, if it is.
    pub(super) fn begun(writer: EventWriter, out: Vec<u8>, way: Way, kept: Option<Kept>, vault: Vault) -> Self {
        Self { parts: Some(Parts { writer, way, kept }), beginning: Vec::new(), out, vault }
    }

    /// A response that waits for its job. What was told of it until now is on its way; `beginning` comes next.
    pub(super) fn accepted(writer: EventWriter, beginning: Vec<u8>, way: Way, kept: Option<Kept>, vault: Vault) -> Self {
        Self { parts: Some(Parts { writer, way, kept }), beginning, out: Vec::new(), vault }
    }

    /// Tells that the job begins.
    pub(super) fn begin(&mut self) {
        let mut told = std::mem::take(&mut self.beginning);
        told.append(&mut self.out);
        self.out = told;
    }

    /// Writes events.
    pub(super) fn write(&mut self, events: &[ChatEvent]) {
        if let Some(parts) = &mut self.parts {
            for event in events {
                parts.writer.write(event, &mut self.out);
            }
        }
    }

    /// Writes a comment, which clients skip.
    pub(super) fn comment(&mut self, words: &str) {
        self.out.extend_from_slice(format!(": {words}\n\n").as_bytes());
    }

    /// Hands on what was written. False when the client is gone.
    pub(super) async fn hand_on(&mut self) -> bool {
        let Some(parts) = &self.parts else { return false };
        if self.out.is_empty() {
            return true;
        }
        let written = Bytes::from(std::mem::take(&mut self.out));
        match &parts.way {
            Way::Client { sender, .. } => sender.send(written).await.is_ok(),
            Way::Board(guard) => {
                guard.record(written);
                true
            }
        }
    }

    /// Waits until nobody wants the response any more: its client is gone, or somebody has cancelled it. Cancel-safe.
    pub(super) async fn given_up(&self) {
        match self.parts.as_ref().map(|parts| &parts.way) {
            Some(Way::Client { sender, .. }) => sender.closed().await,
            Some(Way::Board(guard)) => guard.live().cancelled().await,
            None => {}
        }
    }

    /// The board's entry of a response in the background.
    pub(super) fn live(&self) -> Option<&Arc<Live>> {
        match self.parts.as_ref().map(|parts| &parts.way) {
            Some(Way::Board(guard)) => Some(guard.live()),
            _ => None,
        }
    }

    /// Ends it: it is stored first, and then its readers are told.
    pub(super) async fn end(mut self, how: End<'_>) {
        if !self.is_stored() {
            return self.close(how).map_or((), LastWord::tell_unstored);
        }
        // While it waits it is still whole: whoever kills the job now ends the response, too.
        let turn = self.vault.turn().await;
        let Some(last_word) = self.close(how) else { return };
        // A panic in there has dropped the way, and the readers see an end without a last word.
        if self.vault.ask_in(turn, "end_response", move |shelves| last_word.store_and_tell(shelves)).await.is_err() {
            tracing::error!("the end of a response was not stored");
        }
    }

    /// As [`Telling::end`], without waiting.
    fn end_now(&mut self, how: End<'_>) {
        if !self.is_stored() {
            return self.close(how).map_or((), LastWord::tell_unstored);
        }
        let Some(last_word) = self.close(how) else { return };
        self.vault.tell("end_response", move |shelves| last_word.store_and_tell(shelves));
    }

    /// Ends a response that could not be made.
    pub(super) fn fail(mut self, error: &GatewayError) {
        self.end_now(End::Broken(error));
    }

    fn is_stored(&self) -> bool {
        self.parts.as_ref().is_some_and(|parts| parts.kept.is_some())
    }

    fn close(&mut self, how: End<'_>) -> Option<LastWord> {
        // Also of one that never began: its events are numbered already.
        self.begin();
        let Parts { writer, way, kept } = self.parts.take()?;
        let mut out = std::mem::take(&mut self.out);
        let closed = match how {
            End::Complete => writer.close(unix_seconds(self.vault.ports().clock.wall()), &mut out),
            End::Broken(error) => writer.fail(error, &mut out),
            End::GivenUp => writer.cancel(),
        };
        Some(LastWord { closed, way, kept, out })
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        let given_up = match self.parts.as_ref().map(|parts| &parts.way) {
            Some(Way::Client { sender, .. }) => sender.is_closed(),
            Some(Way::Board(guard)) => guard.live().is_cancelled(),
            None => return,
        };
        let how = if given_up { End::GivenUp } else { End::Broken(&GatewayError::WorkerLost) };
        self.end_now(how);
    }
}

/// A response that has ended, and whose readers do not know yet.
struct LastWord {
    closed: ClosedResponse,
    way: Way,
    kept: Option<Kept>,
    /// Events before the last.
    out: Vec<u8>,
}

impl LastWord {
    fn store_and_tell(mut self, shelves: &Shelves<'_>) {
        let stored = self.kept.take().map_or(Ok(None), |kept| kept.end(shelves, self.closed.response()));
        match stored {
            Ok(None) => self.tell_unstored(),
            Ok(Some(body)) => {
                if let Err(error) = self.closed.finish_as(&body, &mut self.out) {
                    tracing::error!(%error, "a response that another one ended");
                }
                self.way.end(self.out);
            }
            Err(error) => {
                self.closed.lost(&error, &mut self.out);
                self.way.end(self.out);
            }
        }
    }

    fn tell_unstored(mut self) {
        self.closed.finish(&mut self.out);
        self.way.end(self.out);
    }
}
