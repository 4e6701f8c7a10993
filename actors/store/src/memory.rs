//! Responses and conversations in memory.

mod conversations;
mod letting_go;
mod responses;

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{Item, Kind, Listing, Order, Owner, Page, StoreError, StoredConversation, StoredResponse, UnixMillis, ports::record::bytes_of};

/// Responses and conversations that live as long as this value and its [`restarted`](Self::restarted) copies: for tests, and for a
/// gateway without a file.
///
/// It holds so many bytes at most and refuses more with [`StoreError::Full`]: it neither grows without end nor forgets unasked.
#[derive(Debug)]
pub struct MemoryStore {
    shelves: Arc<Mutex<Shelves>>,
    /// Responses that were put under a smaller number are those of earlier processes.
    generation: u64,
}

/// Everything.
#[derive(Debug)]
struct Shelves {
    owners: BTreeMap<String, Shelf>,
    room: Room,
}

/// What one owner has.
#[derive(Debug, Default)]
struct Shelf {
    responses: BTreeMap<String, Response>,
    conversations: BTreeMap<String, Conversation>,
    /// Bytes of its texts.
    used: u64,
}

#[derive(Debug)]
struct Response {
    stored: StoredResponse,
    generation: u64,
    input: Vec<Item>,
    output: Vec<Item>,
}

#[derive(Debug)]
struct Conversation {
    stored: StoredConversation,
    used_at: UnixMillis,
    items: Vec<Item>,
}

/// Bytes of all texts.
#[derive(Debug)]
struct Room {
    used: u64,
    max: u64,
    /// No owner takes all.
    shared: bool,
}

impl MemoryStore {
    /// An empty one for `max_bytes` of texts, which one owner may have all.
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        Self::holding(Room { used: 0, max: max_bytes, shared: false })
    }

    /// An empty one for `max_bytes` of texts, of which each owner may have four fifths of what the others leave: whoever comes last
    /// finds room, too.
    #[must_use]
    pub fn shared(max_bytes: u64) -> Self {
        Self::holding(Room { used: 0, max: max_bytes, shared: true })
    }

    fn holding(room: Room) -> Self {
        Self { shelves: Arc::new(Mutex::new(Shelves { owners: BTreeMap::new(), room })), generation: 1 }
    }

    /// The same memory as the next process would find it, if it outlived this one: what is running in it was left by this one. For tests
    /// of restarts.
    #[must_use]
    pub fn restarted(&self) -> Self {
        Self { shelves: Arc::clone(&self.shelves), generation: self.generation + 1 }
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        // Every change is made by steps that cannot panic, after all that can be refused was checked.
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelves {
    /// The shelf of an owner, who has one only when something was put.
    fn of(&mut self, owner: Owner<'_>, kind: Kind, id: &str) -> Result<Opened<'_>, StoreError> {
        let shelf = self.owners.get_mut(owner.0).ok_or_else(|| StoreError::no(kind, id))?;
        Ok(shelf.open(&mut self.room))
    }
}

/// A shelf in reach, and the room on it.
struct Opened<'s> {
    responses: &'s mut BTreeMap<String, Response>,
    conversations: &'s mut BTreeMap<String, Conversation>,
    room: Place<'s>,
}

impl Shelf {
    fn open<'s>(&'s mut self, room: &'s mut Room) -> Opened<'s> {
        Opened { responses: &mut self.responses, conversations: &mut self.conversations, room: Place { room, own: &mut self.used } }
    }
}

/// What one owner has of the room.
#[derive(Debug)]
struct Place<'s> {
    room: &'s mut Room,
    own: &'s mut u64,
}

impl Place<'_> {
    /// Bytes that are too few for `bytes` more.
    fn missing(&self, bytes: u64) -> u64 {
        let Room { used, max, shared } = *self.room;
        let of_all = used.saturating_add(bytes).saturating_sub(max);
        let share = if shared { max.saturating_sub(used.saturating_sub(*self.own)) / 5 * 4 } else { u64::MAX };
        of_all.max(self.own.saturating_add(bytes).saturating_sub(share))
    }

    /// Takes room for `new` bytes in place of `old` ones.
    fn replace(&mut self, old: u64, new: u64) -> Result<(), StoreError> {
        if new > old {
            let missing = self.missing(new - old);
            if missing > 0 {
                return Err(StoreError::Full { place: "memory".to_owned(), missing: Some(missing) });
            }
        }
        self.exchange(old, new);
        Ok(())
    }

    /// As [`Place::replace`], whether or not there is room.
    fn exchange(&mut self, old: u64, new: u64) {
        for used in [&mut self.room.used, &mut *self.own] {
            *used = used.saturating_sub(old).saturating_add(new);
        }
    }

    fn take(&mut self, bytes: u64) -> Result<(), StoreError> {
        self.replace(0, bytes)
    }

    fn give_back(&mut self, bytes: u64) {
        self.exchange(bytes, 0);
    }
}

impl Response {
    fn bytes(&self) -> u64 {
        self.stored.body.bytes() + bytes_of(&self.input) + bytes_of(&self.output)
    }
}

impl Conversation {
    fn bytes(&self) -> u64 {
        self.stored.metadata.bytes() + bytes_of(&self.items)
    }

    /// Those of `items` that are not in it, and the ids of those that are.
    fn sort_out<'i>(&self, items: impl Iterator<Item = &'i Item>) -> (Vec<Item>, Vec<String>) {
        let mut known: HashSet<&str> = self.items.iter().map(|item| item.id.as_str()).collect();
        let (new, repeated): (Vec<&Item>, Vec<&Item>) = items.partition(|item| known.insert(item.id.as_str()));
        (new.into_iter().cloned().collect(), repeated.into_iter().map(|item| item.id.clone()).collect())
    }
}

fn place_of(items: &[Item], id: &str) -> Result<usize, StoreError> {
    items.iter().position(|item| item.id == id).ok_or_else(|| StoreError::no(Kind::Item, id))
}

fn list(items: &[Item], page: &Page) -> Result<Listing, StoreError> {
    let place = |cursor: &Option<String>| cursor.as_deref().map(|id| place_of(items, id)).transpose();
    let stretch = page.stretch(place(&page.after)?, place(&page.before)?);
    let inside = items
        .iter()
        .enumerate()
        .filter(|(place, _)| stretch.above.is_none_or(|above| *place > above) && stretch.below.is_none_or(|below| *place < below));
    let inside = inside.map(|(_, item)| Ok(item.clone()));
    match stretch.from {
        Order::Ascending => page.listing(&stretch, inside),
        Order::Descending => page.listing(&stretch, inside.rev()),
    }
}
