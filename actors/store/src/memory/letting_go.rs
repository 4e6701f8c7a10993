//! What goes first when its time is over, or when its owner needs the room.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Conversation, Response, Room, Shelf};
use crate::{Keep, Status, StoredResponse, UnixMillis};

impl Shelf {
    /// When the time of the first of its responses is over.
    pub(super) fn first_expiry(&self) -> Option<UnixMillis> {
        self.responses.values().filter_map(|response| response.stored.expires_at).min()
    }

    /// Conversations that running responses are part of.
    pub(super) fn busy_conversations(&self) -> HashSet<String> {
        let running = self.responses.values().filter(|response| matches!(response.stored.status, Status::Running(_)));
        running.filter_map(|response| response.stored.conversation.clone()).collect()
    }

    /// Removes responses whose time is over, `limit` at most.
    pub(super) fn purge(&mut self, now: UnixMillis, limit: u32, room: &mut Room) -> u32 {
        if limit == 0 {
            return 0;
        }
        let mut left = limit;
        let gone = self.removable(now, None, |_| {
            left -= 1;
            left == 0
        });
        self.remove(&gone, &[], room)
    }

    /// Removes what `missing` bytes need, or nothing when it would not do.
    pub(super) fn make_room(&mut self, missing: u64, keep: Keep<'_>, room: &mut Room) -> u32 {
        match self.expendable(missing, keep) {
            Some((responses, conversations)) => self.remove(&responses, &conversations, room),
            None => 0,
        }
    }

    /// Responses and conversations that have `missing` bytes; `None` when all that may go have fewer.
    pub(super) fn expendable(&self, missing: u64, keep: Keep<'_>) -> Option<(Vec<String>, Vec<String>)> {
        let mut freed = 0_u64;
        if missing == 0 {
            return Some((Vec::new(), Vec::new()));
        }
        // As if the time of all were over.
        let responses = self.removable(UnixMillis(i64::MAX), keep.response, |response| {
            freed = freed.saturating_add(response.bytes());
            freed >= missing
        });
        let mut conversations = Vec::new();
        if freed < missing {
            let busy = self.busy_conversations();
            let stays = |id: &str| busy.contains(id) || keep.conversation == Some(id);
            let mut idle: Vec<(&String, &Conversation)> = self.conversations.iter().filter(|(id, _)| !stays(id)).collect();
            idle.sort_by_key(|(_, conversation)| conversation.used_at);
            for (id, conversation) in idle {
                if freed >= missing {
                    break;
                }
                freed = freed.saturating_add(conversation.bytes());
                conversations.push(id.clone());
            }
        }
        (freed >= missing).then_some((responses, conversations))
    }

    fn remove(&mut self, responses: &[String], conversations: &[String], room: &mut Room) -> u32 {
        let mut shelf = self.open(room);
        let (mut removed, mut bytes) = (0, 0);
        for gone in responses.iter().filter_map(|id| shelf.responses.remove(id)) {
            (removed, bytes) = (removed + 1, bytes + gone.bytes());
        }
        for gone in conversations.iter().filter_map(|id| shelf.conversations.remove(id)) {
            (removed, bytes) = (removed + 1, bytes + gone.bytes());
        }
        shelf.room.give_back(bytes);
        removed
    }

    /// Responses whose time is over, in the order in which they may go, until it is `enough`: from the ends of their chains backwards,
    /// those first whose time has been over for longest. The chain up to `follows` stays.
    fn removable(&self, now: UnixMillis, follows: Option<&str>, mut enough: impl FnMut(&Response) -> bool) -> Vec<String> {
        let is_over = |one: &StoredResponse| one.expires_at.is_some_and(|at| at <= now) && matches!(one.status, Status::Ended(_));
        let mut followers = followers(&self.responses);
        if let Some(followed) = follows {
            *followers.entry(followed.to_owned()).or_default() += 1;
        }
        let unfollowed = self.responses.iter().filter(|(id, _)| !followers.contains_key(*id));
        let over = unfollowed.filter(|(_, response)| is_over(&response.stored));
        // What has been over for longest goes first: it is at the end of the list.
        let mut over: Vec<(Option<UnixMillis>, &str)> = over.map(|(id, response)| (response.stored.expires_at, id.as_str())).collect();
        over.sort_by(|one, other| other.cmp(one));
        let mut gone = Vec::new();
        while let Some((_, id)) = over.pop()
            && let Some(response) = self.responses.get(id)
        {
            gone.push(id.to_owned());
            if enough(response) {
                break;
            }
            let Some(previous) = response.stored.previous.as_deref() else { continue };
            let Some(left) = followers.get_mut(previous) else { continue };
            *left = left.saturating_sub(1);
            if *left == 0 && self.responses.get(previous).is_some_and(|response| is_over(&response.stored)) {
                over.push((None, previous));
            }
        }
        gone
    }
}

/// How many responses follow each.
fn followers(responses: &BTreeMap<String, Response>) -> HashMap<String, u32> {
    let mut followers = HashMap::new();
    for stored in responses.values().map(|response| &response.stored) {
        if let Some(previous) = stored.previous.as_ref().filter(|previous| **previous != stored.id) {
            *followers.entry(previous.clone()).or_default() += 1;
        }
    }
    followers
}
