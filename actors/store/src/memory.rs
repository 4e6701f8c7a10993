//! Responses and conversations in memory.

mod conversations;
mod responses;

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{Item, Kind, Listing, Order, Owner, Page, StoreError, StoredConversation, StoredResponse, ports::record::bytes_of};

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
    items: Vec<Item>,
}

/// Bytes of all texts.
#[derive(Debug)]
struct Room {
    used: u64,
    max: u64,
}

impl MemoryStore {
    /// An empty one for `max_bytes` of texts.
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        let shelves = Shelves { owners: BTreeMap::new(), room: Room { used: 0, max: max_bytes } };
        Self { shelves: Arc::new(Mutex::new(shelves)), generation: 1 }
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
    fn of(&mut self, owner: Owner<'_>, kind: Kind, id: &str) -> Result<(&mut Shelf, &mut Room), StoreError> {
        let shelf = self.owners.get_mut(owner.0).ok_or_else(|| StoreError::no(kind, id))?;
        Ok((shelf, &mut self.room))
    }
}

impl Room {
    /// Takes room for `new` bytes in place of `old` ones.
    fn replace(&mut self, old: u64, new: u64) -> Result<(), StoreError> {
        let used = self.used.saturating_sub(old).saturating_add(new);
        if new > old && used > self.max {
            return Err(StoreError::Full { place: "memory".to_owned() });
        }
        self.used = used;
        Ok(())
    }

    fn take(&mut self, bytes: u64) -> Result<(), StoreError> {
        self.replace(0, bytes)
    }

    fn give_back(&mut self, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
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
    let inside = inside.map(|(_, item)| item.clone());
    let most = page.limit.get() + 1;
    let taken = match stretch.from {
        Order::Ascending => inside.take(most).collect(),
        Order::Descending => inside.rev().take(most).collect(),
    };
    Ok(page.listing(&stretch, taken))
}
