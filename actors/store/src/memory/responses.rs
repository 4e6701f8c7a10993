//! Responses in memory.

use std::collections::BTreeMap;

use super::{Conversation, MemoryStore, Opened, Place, Response, Shelf, Shelves, list};
use crate::{
    Appended, ChainBound, Ending, Interrupted, Item, Json, Keep, Kind, Listing, NewResponse, Outcome, Owner, Page, ResponseKey,
    ResponseStore, Running, Status, StoreError, StoredResponse, UnixMillis,
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
        let Opened { responses, conversations, mut room } = owners.entry(owner.0.to_owned()).or_default().open(room);
        if responses.contains_key(&response.id) {
            return Err(StoreError::exists(Kind::Response, &response.id));
        }
        let conversation = response.conversation.as_deref().and_then(|id| conversations.get_mut(id));
        if let (Status::Running(_), Some(id), None) = (new.stored.status, &response.conversation, &conversation) {
            return Err(StoreError::no(Kind::Conversation, id));
        }
        let appended = append(&mut room, new.bytes(), &new, conversation)?;
        responses.insert(response.id.clone(), new);
        Ok(appended)
    }

    fn get_response(&self, owner: Owner<'_>, id: &str) -> Result<StoredResponse, StoreError> {
        self.one(owner, id, |response| Ok(response.stored.clone()))
    }

    fn update_status(&self, owner: Owner<'_>, id: &str, from: Running, to: Running, body: &Json) -> Result<(), StoreError> {
        let mut shelves = self.shelves();
        let mut shelf = shelves.of(owner, Kind::Response, id)?;
        let stored = &mut response(shelf.responses, id)?.stored;
        if stored.status != Status::Running(from) {
            return Err(StoreError::Conflict { id: id.to_owned(), status: stored.status });
        }
        shelf.room.replace(stored.body.bytes(), body.bytes())?;
        stored.body = body.clone();
        stored.status = Status::Running(to);
        Ok(())
    }

    fn finish(&self, owner: Owner<'_>, id: &str, body: &Json, ending: &Ending, max_bytes: u64) -> Result<Appended, StoreError> {
        check_unique(&ending.output)?;
        let mut shelves = self.shelves();
        let mut shelf = shelves.of(owner, Kind::Response, id)?;
        let old = response(shelf.responses, id)?;
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
        let appended = append(&mut shelf.room, growth, &ended, conversation)?;
        shelf.room.give_back(shrinkage);
        shelf.responses.insert(id.to_owned(), ended);
        Ok(appended)
    }

    fn delete_response(&self, owner: Owner<'_>, id: &str) -> Result<(), StoreError> {
        let mut shelves = self.shelves();
        let mut shelf = shelves.of(owner, Kind::Response, id)?;
        let gone = shelf.responses.remove(id).ok_or_else(|| StoreError::no(Kind::Response, id))?;
        shelf.room.give_back(gone.bytes());
        Ok(())
    }

    fn chain(&self, owner: Owner<'_>, id: &str, bound: ChainBound) -> Result<Vec<Item>, StoreError> {
        let mut shelves = self.shelves();
        let shelf = shelves.of(owner, Kind::Response, id)?;
        let (links, _) = links(&shelf, id, bound)?;
        Ok(links.into_iter().rev().flat_map(|link| link.input.iter().chain(&link.output)).cloned().collect())
    }

    fn chain_bytes(&self, owner: Owner<'_>, id: &str, bound: ChainBound) -> Result<u64, StoreError> {
        let mut shelves = self.shelves();
        let shelf = shelves.of(owner, Kind::Response, id)?;
        links(&shelf, id, bound).map(|(_, bytes)| bytes)
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
        let mut exchanged = Vec::new();
        for ((owner, response), body) in left.into_iter().zip(bodies) {
            let key = ResponseKey { owner: owner.clone(), id: response.stored.id.clone() };
            match body {
                None => {
                    response.generation = self.generation;
                    found.resumable.push(key);
                }
                Some(body) => {
                    exchanged.push((owner.clone(), response.stored.body.bytes(), body.bytes()));
                    response.stored.body = body;
                    response.stored.status = Status::Ended(Outcome::Failed);
                    response.stored.ended_at = Some(now);
                    found.failed.push(key);
                }
            }
        }
        for (owner, old, new) in exchanged {
            // Recovery is not refused for want of room.
            owners.entry(owner).or_default().open(room).room.exchange(old, new);
        }
        Ok(found)
    }

    fn running_since(&self, before: UnixMillis) -> Result<Vec<ResponseKey>, StoreError> {
        let shelves = self.shelves();
        let all = shelves.owners.iter().flat_map(|(owner, shelf)| shelf.responses.values().map(move |response| (owner, &response.stored)));
        let old = all.filter(|(_, stored)| matches!(stored.status, Status::Running(_)) && stored.created_at < before);
        Ok(old.map(|(owner, stored)| ResponseKey { owner: owner.clone(), id: stored.id.clone() }).collect())
    }

    fn check_room(&self, owner: Owner<'_>, bytes: u64) -> Result<(), StoreError> {
        let mut shelves = self.shelves();
        let Shelves { owners, room } = &mut *shelves;
        let shelf = owners.entry(owner.0.to_owned()).or_default();
        let missing = shelf.open(room).room.missing(bytes);
        match shelf.expendable(missing, Keep::default()) {
            Some(_) => Ok(()),
            None => Err(StoreError::Full { place: "memory".to_owned(), missing: Some(missing) }),
        }
    }

    fn make_room(&self, owner: Owner<'_>, missing: u64, keep: Keep<'_>) -> Result<u32, StoreError> {
        let mut shelves = self.shelves();
        let Shelves { owners, room } = &mut *shelves;
        Ok(owners.get_mut(owner.0).map_or(0, |shelf| shelf.make_room(missing, keep, room)))
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
        let shelf = shelves.of(owner, Kind::Response, id)?;
        read(response(shelf.responses, id)?)
    }
}

/// A response and those that it follows, newest first, and the bytes of their items.
fn links<'s>(shelf: &'s Opened<'_>, id: &str, bound: ChainBound) -> Result<(Vec<&'s Response>, u64), StoreError> {
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
    Ok((links, bytes))
}

fn response<'r>(responses: &'r mut BTreeMap<String, Response>, id: &str) -> Result<&'r mut Response, StoreError> {
    responses.get_mut(id).ok_or_else(|| StoreError::no(Kind::Response, id))
}

/// Was nothing done for it yet, and does nobody wait for it who is gone now?
fn is_resumable(response: &StoredResponse) -> bool {
    response.background && response.status == Status::Running(Running::Queued)
}

/// Takes `growth` and adds a response that ended with an answer to its conversation; or changes nothing.
fn append(room: &mut Place<'_>, growth: u64, response: &Response, conversation: Option<&mut Conversation>) -> Result<Appended, StoreError> {
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
    if let Some(ended_at) = response.stored.ended_at {
        conversation.used_at = conversation.used_at.max(ended_at);
    }
    let added = new.len();
    conversation.items.extend(new);
    Ok(Appended::Items { added, repeated })
}
