//! The memory that stored things take on their way to a client.

use std::sync::Arc;

use bytes::Bytes;
use outcrop_domain::error::GatewayError;

use crate::ports::HeldMemory;

/// What is loaded for one question, counted among the memory of all requests. It is counted once its size is known, which is when
/// it has been loaded; until then it is a page or one response, for as many questions as have their turn at the store.
#[derive(Debug, Clone, Default)]
pub(super) struct Room(Option<Arc<dyn HeldMemory>>);

impl Room {
    /// Room that the edge counts by `held`; `None` where nobody counts.
    pub(super) fn new(held: Option<Arc<dyn HeldMemory>>) -> Self {
        Self(held)
    }

    /// Takes room for what was loaded.
    ///
    /// # Errors
    /// `Overloaded` when there is none.
    pub(super) fn take(&self, bytes: u64) -> Result<(), GatewayError> {
        self.0.as_ref().map_or(Ok(()), |held| held.grow(usize::try_from(bytes).unwrap_or(usize::MAX)))
    }

    /// The answer made of it. It keeps the room until it is sent: slow readers are many.
    pub(super) fn answer(self, body: impl AsRef<[u8]> + Send + 'static) -> Bytes {
        Bytes::from_owner(Answer { body, _room: self })
    }
}

struct Answer<T> {
    body: T,
    _room: Room,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Answer<T> {
    fn as_ref(&self) -> &[u8] {
        self.body.as_ref()
    }
}
