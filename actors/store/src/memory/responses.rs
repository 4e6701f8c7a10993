//! Responses in memory.

use std::collections::HashMap;

use super::{Conversation, MemoryStore, Response, Room, Shelf, Shelves, list};
use crate::{
    Appended, ChainBound, Ending, Interrupted, Item, Json, Kind, Listing, NewResponse, Outcome, Owner, Page, ResponseKey, ResponseStore,
    Running, Status, StoreError, StoredResponse, UnixMillis,
    ports::record::{bytes_of, check_bytes, check_unique},
};

impl ResponseStore for MemoryStore {
    fn put_response(&self, owner: Owner<'_>, response: &NewResponse, max_bytes: u64) -> Result<Appended, StoreError> {
        response.check(max_bytes)?;
        let new = Response {
            stored: response.record(),
            generation: self.generation,
            input: response.input.clone(),
            output: response.output().to_vec(),
        };
        let mut shelves = self.shelves();
        let Shelves { owners, room } = &mut *shelves;
        let Shelf { responses, conversations } = owners.entry(owner.0.to_owned()).or_default();
        if responses.contains_key(&response.id) {
            return Err(StoreError::exists(Kind::Response, &response.id));
        }
        let conversation = response.conversation.as_deref().and_then(|id| conversations.get_mut(id));
        if let (Status::Running(_), Some(id), None) = (new.stored.status, &response.conversation, &conversation) {
            return Err(StoreError::no(Kind::Conversation, id));
        }
        let appended = append(room, new.bytes(), &new, conversation)?;
        responses.insert(response.id.clone(), new);
        Ok(appended)
    }

    fn get_response(&self, owner: Owner<'_>, id: &str) -> Result<StoredResponse, StoreError> {
        self.one(owner, id, |response| Ok(response.stored.clone()))
    }

    fn update_status(&self, owner: Owner<'_>, id: &str, from: Running, to: Running, body: &Json) -> Result<(), StoreError> {
        let mut shelves = self.shelves();
        let (shelf, room) = shelves.of(owner, Kind::Response, id)?;
        let stored = &mut shelf.response(id)?.stored;
        if stored.status != Status::Running(from) {
            return Err(StoreError::Conflict { id: id.to_owned(), status: stored.status });
        }
        room.replace(stored.body.bytes(), body.bytes())?;
        stored.body = body.clone();
        stored.status = Status::Running(to);
        Ok(())
    }

    fn finish(&self, owner: Owner<'_>, id: &str, body: &Json, ending: &Ending, max_bytes: u64) -> Result<Appended, StoreError> {
        check_unique(&ending.output)?;
        let mut shelves = self.shelves();
        let (shelf, room) = shelves.of(owner, Kind::Response, id)?;
        let old = shelf.response(id)?;
        if let Status::Ended(_) = old.stored.status {
            return Err(StoreError::Conflict { id: id.to_owned(), status: old.stored.status });
        }
        let mut stored = old.stored.clone();
        stored.body = body.clone();
        stored.status = Status::Ended(ending.outcome);
        stored.ended_at = Some(ending.at);
        let ended = Response { stored, generation: old.generation, input: old.input.clone(), output: ending.output.clone() };
        check_bytes(Kind::Response, id, ended.bytes(), max_bytes)?;
        // The output and, usually, a longer body.
        let growth = ended.bytes().saturating_sub(old.bytes());
        let shrinkage = old.bytes().saturating_sub(ended.bytes());
        let conversation = ended.stored.conversation.as_deref().and_then(|id| shelf.conversations.get_mut(id));
        let appended = append(room, growth, &ended, conversation)?;
        room.give_back(shrinkage);
        shelf.responses.insert(id.to_owned(), ended);
        Ok(appended)
    }

    fn delete_response(&self, owner: Owner<'_>, id: &str) -> Result<(), StoreError> {
        let mut shelves = self.shelves();
        let (shelf, room) = shelves.of(owner, Kind::Response, id)?;
        let gone = shelf.responses.remove(id).ok_or_else(|| StoreError::no(Kind::Response, id))?;
        room.give_back(gone.bytes());
        Ok(())
    }

    fn chain(&self, owner: Owner<'_>, id: &str, bound: ChainBound) -> Result<Vec<Item>, StoreError> {
        let mut shelves = self.shelves();
        let (shelf, _) = shelves.of(owner, Kind::Response, id)?;
        let (mut links, mut bytes, mut next) = (Vec::new(), 0, Some(id));
        while let Some(id_of_next) = next {
            if links.len() >= bound.responses as usize {
                return Err(StoreError::TooDeep { id: id.to_owned(), max: bound.responses });
            }
            let link = shelf.responses.get(id_of_next).ok_or_else(|| StoreError::no(Kind::Response, id_of_next))?;
            if let Status::Running(_) = link.stored.status {
                return Err(StoreError::Conflict { id: id_of_next.to_owned(), status: link.stored.status });
            }
            bytes += bytes_of(&link.input) + bytes_of(&link.output);
            check_bytes(Kind::Chain, id, bytes, bound.bytes)?;
            links.push(link);
            next = link.stored.previous.as_deref();
        }
        Ok(links.into_iter().rev().flat_map(|link| link.input.iter().chain(&link.output)).cloned().collect())
    }

    fn list_input_items(&self, owner: Owner<'_>, id: &str, page: &Page) -> Result<Listing, StoreError> {
        self.one(owner, id, |response| list(&response.input, page))
    }

    fn input_items(&self, owner: Owner<'_>, id: &str) -> Result<Vec<Item>, StoreError> {
        self.one(owner, id, |response| Ok(response.input.clone()))
    }

    fn response_item(&self, owner: Owner<'_>, id: &str, item: &str) -> Result<Item, StoreError> {
        self.one(owner, id, |response| {
            let found = response.output.iter().chain(&response.input).find(|one| one.id == item);
            found.cloned().ok_or_else(|| StoreError::no(Kind::Item, item))
        })
    }

    fn mark_interrupted(&self, now: UnixMillis, fail: &dyn Fn(&StoredResponse) -> Json) -> Result<Interrupted, StoreError> {
        let mut shelves = self.shelves();
        let Shelves { owners, room } = &mut *shelves;
        let responses = owners.iter_mut().flat_map(|(owner, shelf)| shelf.responses.values_mut().map(move |response| (owner, response)));
        let left = responses.filter(|(_, response)| response.generation < self.generation);
        let mut left: Vec<_> = left.filter(|(_, response)| matches!(response.stored.status, Status::Running(_))).collect();
        // Owners and ids are in order already.
        left.sort_by_key(|(_, response)| response.stored.created_at);
        let mut found = Interrupted::default();
        // All texts first: what panics in making them leaves everything as it was.
        let bodies: Vec<Option<Json>> =
            left.iter().map(|(_, response)| (!is_resumable(&response.stored)).then(|| fail(&response.stored))).collect();
        for ((owner, response), body) in left.into_iter().zip(bodies) {
            let key = ResponseKey { owner: owner.clone(), id: response.stored.id.clone() };
            match body {
                None => {
                    response.generation = self.generation;
                    found.resumable.push(key);
                }
                Some(body) => {
                    // Recovery is not refused for want of room.
                    room.used = room.used.saturating_sub(response.stored.body.bytes()).saturating_add(body.bytes());
                    response.stored.body = body;
                    response.stored.status = Status::Ended(Outcome::Failed);
                    response.stored.ended_at = Some(now);
                    found.failed.push(key);
                }
            }
        }
        Ok(found)
    }

    fn purge_expired(&self, now: UnixMillis, limit: u32) -> Result<u32, StoreError> {
        let mut shelves = self.shelves();
        let Shelves { owners, room } = &mut *shelves;
        // The owner whose response has been over for longest comes first.
        let mut shelves: Vec<(Option<UnixMillis>, &mut Shelf)> = owners.values_mut().map(|shelf| (shelf.first_expiry(), shelf)).collect();
        shelves.retain(|(first, _)| first.is_some_and(|at| at <= now));
        shelves.sort_by_key(|(first, _)| *first);
        let mut purged = 0;
        for (_, shelf) in shelves {
            purged += shelf.purge(now, limit - purged, room);
        }
        Ok(purged)
    }
}

impl MemoryStore {
    fn one<T>(&self, owner: Owner<'_>, id: &str, read: impl FnOnce(&Response) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut shelves = self.shelves();
        let (shelf, _) = shelves.of(owner, Kind::Response, id)?;
        read(shelf.response(id)?)
    }
}

impl Shelf {
    fn response(&mut self, id: &str) -> Result<&mut Response, StoreError> {
        self.responses.get_mut(id).ok_or_else(|| StoreError::no(Kind::Response, id))
    }

    /// When the time of the first of its responses is over.
    fn first_expiry(&self) -> Option<UnixMillis> {
        self.responses.values().filter_map(|response| response.stored.expires_at).min()
    }

    /// Removes responses whose time is over, from the ends of their chains backwards.
    fn purge(&mut self, now: UnixMillis, limit: u32, room: &mut Room) -> u32 {
        let is_over = |one: &StoredResponse| one.expires_at.is_some_and(|at| at <= now) && matches!(one.status, Status::Ended(_));
        let mut followers: HashMap<String, u32> = HashMap::new();
        for stored in self.responses.values().map(|response| &response.stored) {
            if let Some(previous) = stored.previous.as_ref().filter(|previous| **previous != stored.id) {
                *followers.entry(previous.clone()).or_default() += 1;
            }
        }
        let unfollowed = self.responses.iter().filter(|(id, _)| !followers.contains_key(*id));
        let over = unfollowed.filter(|(_, response)| is_over(&response.stored));
        // What has been over for longest goes first: it is at the end of the list.
        let mut over: Vec<(Option<UnixMillis>, String)> = over.map(|(id, response)| (response.stored.expires_at, id.clone())).collect();
        over.sort_by(|one, other| other.cmp(one));
        let mut purged = 0;
        while purged < limit
            && let Some((_, id)) = over.pop()
            && let Some(gone) = self.responses.remove(&id)
        {
            room.give_back(gone.bytes());
            purged += 1;
            let Some(previous) = gone.stored.previous else { continue };
            let Some(left) = followers.get_mut(&previous) else { continue };
            *left = left.saturating_sub(1);
            if *left == 0 && self.responses.get(&previous).is_some_and(|response| is_over(&response.stored)) {
                over.push((None, previous));
            }
        }
        purged
    }
}

/// Was nothing done for it yet, and does nobody wait for it who is gone now?
fn is_resumable(response: &StoredResponse) -> bool {
    response.background && response.status == Status::Running(Running::Queued)
}

/// Takes `growth` and adds a response that ended with an answer to its conversation; or changes nothing.
fn append(room: &mut Room, growth: u64, response: &Response, conversation: Option<&mut Conversation>) -> Result<Appended, StoreError> {
    let is_answer = matches!(response.stored.status, Status::Ended(outcome) if outcome.is_answer());
    if !is_answer || response.stored.conversation.is_none() {
        room.take(growth)?;
        return Ok(Appended::Nothing);
    }
    let Some(conversation) = conversation else {
        room.take(growth)?;
        return Ok(Appended::ConversationGone);
    };
    let (new, repeated) = conversation.sort_out(response.input.iter().chain(&response.output));
    room.take(growth + bytes_of(&new))?;
    let added = new.len();
    conversation.items.extend(new);
    Ok(Appended::Items { added, repeated })
}
