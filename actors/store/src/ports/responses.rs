//! Stored responses: made by a call to a model, chained by `previous_response_id`, added to conversations.

use std::{fmt, fmt::Debug};

use super::record::{bytes_of, check_bytes, check_unique};
use crate::{Item, Json, Kind, Listing, Owner, Page, StoreError, UnixMillis};

/// Keeps responses. Every change is durable when its call returns, so that a client that is told of the end of a response can build
/// on it whatever happens to this process. All calls block.
///
/// A response is running or has ended ([`Status`]); once ended it never changes. Of several that try to end it, one does.
pub trait ResponseStore: Send + Sync + Debug {
    /// Keeps a new response. One that has ended with an answer is added to its conversation in the same step.
    ///
    /// # Errors
    /// `Exists` for its id, or for an item's that is twice in one list; `TooLarge` when its texts have more than `max_bytes`;
    /// `NotFound` for the conversation of a running response; troubles of the place. Nothing is kept then.
    fn put_response(&self, owner: Owner<'_>, response: &NewResponse, max_bytes: u64) -> Result<Appended, StoreError>;

    /// One, without its items.
    ///
    /// # Errors
    /// `NotFound`; troubles of the place.
    fn get_response(&self, owner: Owner<'_>, id: &str) -> Result<StoredResponse, StoreError>;

    /// Moves a running response from one state to another.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when it is not in `from`; troubles of the place. Nothing has changed then.
    fn update_status(&self, owner: Owner<'_>, id: &str, from: Running, to: Running, body: &Json) -> Result<(), StoreError>;

    /// Ends a running response, and adds it to its conversation when it ended with an answer.
    ///
    /// # Errors
    /// `NotFound`, also when it was deleted meanwhile; `Conflict` when it has ended already, with how; `TooLarge` when its texts, the
    /// input among them, have more than `max_bytes`; `Exists` for an item's id that is twice in the output; troubles of the place.
    /// It runs on then: what was `TooLarge` is best ended as failed, without output and without a bound.
    fn finish(&self, owner: Owner<'_>, id: &str, body: &Json, ending: &Ending, max_bytes: u64) -> Result<Appended, StoreError>;

    /// Removes a response and its items, and nothing else: a conversation keeps its copies, and responses that follow it stay, though
    /// their chain is broken.
    ///
    /// # Errors
    /// `NotFound`; troubles of the place.
    fn delete_response(&self, owner: Owner<'_>, id: &str) -> Result<(), StoreError>;

    /// What a model is to read before a response that follows `id`: input and output of the first response of the chain, of the second,
    /// and so on up to `id` itself. Conversations take no part in it.
    ///
    /// # Errors
    /// `NotFound` for `id`, or for one before it that was deleted; `Conflict` when one of them is still running; `TooDeep` and `TooLarge`
    /// beyond the bound, found out before items are read; troubles of the place.
    fn chain(&self, owner: Owner<'_>, id: &str, bound: ChainBound) -> Result<Vec<Item>, StoreError>;

    /// Bytes of what [`chain`](Self::chain) would read.
    ///
    /// # Errors
    /// As there.
    fn chain_bytes(&self, owner: Owner<'_>, id: &str, bound: ChainBound) -> Result<u64, StoreError>;

    /// A page of the input of a response: what its own request brought, not what came before. It ends early, and says that there is more,
    /// before it has more than [`PAGE_BYTES`](crate::PAGE_BYTES); one item is always in it.
    ///
    /// # Errors
    /// `NotFound` for it, or for an item that is a cursor; troubles of the place.
    fn list_input_items(&self, owner: Owner<'_>, id: &str, page: &Page) -> Result<Listing, StoreError>;

    /// The whole input of a response, in order: what a response that is taken up again needs. It has at most the bytes that it was put
    /// with.
    ///
    /// # Errors
    /// `NotFound`; troubles of the place.
    fn input_items(&self, owner: Owner<'_>, id: &str) -> Result<Vec<Item>, StoreError>;

    /// One item of a response, of its input or its output: what a later request names by the item's id. Where both sides have an item of
    /// that id, the output's.
    ///
    /// # Errors
    /// `NotFound` for the response or the item; troubles of the place.
    fn response_item(&self, owner: Owner<'_>, id: &str, item: &str) -> Result<Item, StoreError>;

    /// To be called once, before this process takes requests: settles what earlier processes left running.
    ///
    /// Background responses that were still queued stay so and are given back, to be taken up again. All others become failed at
    /// `now`, with the text that `fail` makes of them. What this process itself began is left alone.
    ///
    /// # Errors
    /// Troubles of the place. Nothing has changed then.
    fn mark_interrupted(&self, now: UnixMillis, fail: &dyn Fn(&StoredResponse) -> Json) -> Result<Interrupted, StoreError>;

    /// Every response that is running and was made before this time, whoever's it is.
    ///
    /// # Errors
    /// Troubles of the place.
    fn running_since(&self, before: UnixMillis) -> Result<Vec<ResponseKey>, StoreError>;

    /// Removes responses whose time is over at `now`, `limit` of them at most, and tells how many: call again while it is `limit`.
    ///
    /// A response that another one follows stays as long as that one does: its chain must not break under a client that is using it.
    /// One that is still running stays too. Until it is removed, a response whose time is over can be read.
    ///
    /// # Errors
    /// Troubles of the place. Nothing has changed then.
    fn purge_expired(&self, now: UnixMillis, limit: u32) -> Result<u32, StoreError>;

    /// Is there room for so many bytes more of this owner, what [`make_room`](Self::make_room) would let go counted in? To be asked before
    /// a model is paid for; another call may take the room meanwhile. A place that does not know its room says yes.
    ///
    /// # Errors
    /// `Full`; troubles of the place.
    fn check_room(&self, _owner: Owner<'_>, _bytes: u64) -> Result<(), StoreError> {
        Ok(())
    }

    /// Lets go of things of this owner alone until `missing` bytes are free, or of nothing, when all of them are too few: first of
    /// responses that have ended and may be removed some day, those first whose time is over first, then of conversations, those first
    /// that were not used for longest. `keep` stays, and so do conversations of running responses. Tells how many went. A place that does not make room lets go of nothing.
    ///
    /// # Errors
    /// Troubles of the place.
    fn make_room(&self, _owner: Owner<'_>, _missing: u64, _keep: Keep<'_>) -> Result<u32, StoreError> {
        Ok(0)
    }
}

/// What stays when room is made, because the room is for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep<'a> {
    /// The response that is gone on from, with all before it.
    pub response: Option<&'a str>,
    /// The conversation that grows.
    pub conversation: Option<&'a str>,
}

/// A response to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewResponse {
    /// Its id, new for this owner.
    pub id: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it may be removed; `None` = never.
    pub expires_at: Option<UnixMillis>,
    /// The name of the model, as the caller gave it.
    pub model: String,
    /// The response as clients read it.
    pub body: Json,
    /// What its own request brought; ids are unique in it.
    pub input: Vec<Item>,
    /// The conversation that it is part of.
    pub conversation: Option<String>,
    /// The response that it follows. That one need not be there any more.
    pub previous: Option<String>,
    /// Does it run without a client that waits for it?
    pub background: bool,
    /// How far it is.
    pub stage: Stage,
}

/// How far a new response is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// It has not ended.
    Running(Running),
    /// It has ended: background and conversation apart, the usual case.
    Ended(Ending),
}

/// How a response ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// With what.
    pub outcome: Outcome,
    /// When.
    pub at: UnixMillis,
    /// What the model said; ids are unique in it.
    pub output: Vec<Item>,
}

/// A response without its items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResponse {
    /// Its id.
    pub id: String,
    /// How far it is.
    pub status: Status,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it may be removed; `None` = never.
    pub expires_at: Option<UnixMillis>,
    /// When it ended; `None` = it runs.
    pub ended_at: Option<UnixMillis>,
    /// The name of the model, as the caller gave it.
    pub model: String,
    /// The response as clients read it.
    pub body: Json,
    /// The conversation that it is part of.
    pub conversation: Option<String>,
    /// The response that it follows.
    pub previous: Option<String>,
    /// Does it run without a client that waits for it?
    pub background: bool,
}

/// State of a response, in OpenAI's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It may still change.
    Running(Running),
    /// It may not.
    Ended(Outcome),
}

/// A state that is not the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Running {
    /// Nothing was done yet: it can be begun anew.
    Queued,
    /// A model is being asked.
    InProgress,
}

/// A last state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All was said.
    Completed,
    /// It was cut short: by a limit, or by a filter.
    Incomplete,
    /// There is no answer.
    Failed,
    /// Its client did not want it any more.
    Cancelled,
}

impl Outcome {
    /// Is there an answer that a conversation goes on from?
    #[must_use]
    pub fn is_answer(self) -> bool {
        matches!(self, Self::Completed | Self::Incomplete)
    }
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Running(Running::Queued),
        Self::Running(Running::InProgress),
        Self::Ended(Outcome::Completed),
        Self::Ended(Outcome::Incomplete),
        Self::Ended(Outcome::Failed),
        Self::Ended(Outcome::Cancelled),
    ];

    /// OpenAI's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running(Running::Queued) => "queued",
            Self::Running(Running::InProgress) => "in_progress",
            Self::Ended(Outcome::Completed) => "completed",
            Self::Ended(Outcome::Incomplete) => "incomplete",
            Self::Ended(Outcome::Failed) => "failed",
            Self::Ended(Outcome::Cancelled) => "cancelled",
        }
    }

    /// The state of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What became of a response's items in its conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// Nothing: it has no conversation, or there is no answer (yet).
    Nothing,
    /// Its input and then its output are at the end of the conversation.
    Items {
        /// So many of them.
        added: usize,
        /// Ids of those that were in the conversation already, and were left as they are: an answer that was paid for is not
        /// refused for them.
        repeated: Vec<String>,
    },
    /// The conversation is not there (any more). The response is kept: an answer that was paid for is not refused for that.
    ConversationGone,
}

/// How much a chain may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainBound {
    /// Responses.
    pub responses: u32,
    /// Bytes of their items.
    pub bytes: u64,
}

/// What an earlier process left running.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interrupted {
    /// Failed now; oldest first.
    pub failed: Vec<ResponseKey>,
    /// Still queued, to be taken up again; oldest first.
    pub resumable: Vec<ResponseKey>,
}

/// A response among all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseKey {
    /// Whose it is.
    pub owner: String,
    /// Its id.
    pub id: String,
}

impl NewResponse {
    /// What it is kept as, without its items.
    pub(crate) fn record(&self) -> StoredResponse {
        StoredResponse {
            id: self.id.clone(),
            status: self.stage.status(),
            created_at: self.created_at,
            expires_at: self.expires_at,
            ended_at: self.stage.ending().map(|ending| ending.at),
            model: self.model.clone(),
            body: self.body.clone(),
            conversation: self.conversation.clone(),
            previous: self.previous.clone(),
            background: self.background,
        }
    }

    /// What the model said so far.
    pub(crate) fn output(&self) -> &[Item] {
        self.stage.ending().map_or(&[], |ending| &ending.output)
    }

    /// Refuses what no backend keeps.
    pub(crate) fn check(&self, max_bytes: u64) -> Result<(), StoreError> {
        check_unique(&self.input)?;
        check_unique(self.output())?;
        let bytes = self.body.bytes() + bytes_of(&self.input) + bytes_of(self.output());
        check_bytes(Kind::Response, &self.id, bytes, max_bytes)
    }
}

impl Stage {
    fn status(&self) -> Status {
        match self {
            Self::Running(running) => Status::Running(*running),
            Self::Ended(ending) => Status::Ended(ending.outcome),
        }
    }

    pub(crate) fn ending(&self) -> Option<&Ending> {
        match self {
            Self::Running(_) => None,
            Self::Ended(ending) => Some(ending),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_own_word() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
        assert_eq!(Status::parse("done"), None);
    }
}
