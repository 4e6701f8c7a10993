//! What the edge may ask of responses and conversations.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use outcrop_domain::json::JsonText;
use outcrop_protocol::openai::responses::{ConversationBody, ResponsesRequest};
use outcrop_store::Page;
use outcrop_translate::openai_responses::Include;

use super::{AnswerFacts, HeldMemory, RequestOverrides};
use crate::{admission::Principal, archive::EventBytes, record::RequestRecord};

/// A request for a response of OpenAI's API.
#[derive(Debug, Clone)]
pub struct ResponsesJob {
    /// The request's record, shared with the edge.
    pub record: Arc<RequestRecord>,
    /// Who asks.
    pub principal: Arc<Principal>,
    /// What is wanted of it.
    pub task: ResponsesTask,
    /// The decoded body. Spent when it was read.
    pub wire: Box<ResponsesRequest>,
    /// Size of the body it was decoded from.
    pub body_bytes: usize,
    /// What headers asked for.
    pub overrides: RequestOverrides,
    /// As in [`ChatJob`](super::ChatJob).
    pub held: Option<Arc<dyn HeldMemory>>,
}

/// What is wanted of a conversation in OpenAI's items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponsesTask {
    /// A response to it.
    Create,
    /// The same conversation in short.
    Compact,
    /// How many tokens its input has.
    Count,
}

/// How a request for a response was answered.
#[derive(Debug)]
pub enum ResponsesAnswer {
    /// At once.
    Whole {
        /// The body.
        body: JsonText,
        /// About the answer.
        about: Option<AnswerFacts>,
    },
    /// As it is written.
    Stream {
        /// Server-sent events.
        events: EventBytes,
        /// About the answer.
        about: Option<AnswerFacts>,
    },
}

/// What is asked of stored things. What a key does not have is told as unknown.
#[derive(Debug)]
pub enum StoredAsk {
    /// About a response.
    Response {
        /// `resp_...`, as the client wrote it.
        id: String,
        /// What.
        ask: ResponseAsk,
    },
    /// About a conversation.
    Conversation(ConversationAsk),
}

/// What is asked of a stored response.
#[derive(Debug)]
pub enum ResponseAsk {
    /// The response as it is now.
    Retrieve {
        /// What it shall hold beyond the usual.
        include: Include,
    },
    /// Its events: those to come, too, while it is under way in the background.
    Events {
        /// What it shall hold beyond the usual.
        include: Include,
        /// The number of the last event that is not wanted again.
        starting_after: Option<u64>,
    },
    /// That it be removed.
    Delete,
    /// That it end, when it is under way in the background.
    Cancel,
    /// A page of its input.
    InputItems {
        /// Which.
        page: Page,
        /// What the items shall hold beyond the usual.
        include: Include,
    },
}

/// What is asked of conversations. Ids are as the client wrote them.
pub enum ConversationAsk {
    /// A new one.
    Create {
        /// Its beginning.
        body: Box<ConversationBody>,
    },
    /// One.
    Retrieve {
        /// Which.
        id: String,
    },
    /// Other labels.
    Update {
        /// Which.
        id: String,
        /// The labels.
        body: Box<ConversationBody>,
    },
    /// That it be removed.
    Delete {
        /// Which.
        id: String,
    },
    /// That it grow.
    AddItems {
        /// Which.
        id: String,
        /// The items.
        body: Box<ConversationBody>,
    },
    /// A page of its items.
    Items {
        /// Which.
        id: String,
        /// Which page.
        page: Page,
        /// What they shall hold beyond the usual.
        include: Include,
    },
    /// One item.
    Item {
        /// Of which.
        id: String,
        /// Which.
        item: String,
        /// What it shall hold beyond the usual.
        include: Include,
    },
    /// That an item be removed.
    DeleteItem {
        /// Of which.
        id: String,
        /// Which.
        item: String,
    },
}

impl fmt::Debug for ConversationAsk {
    /// Ids only: the caller's content stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, id) = match self {
            Self::Create { .. } => ("Create", None),
            Self::Retrieve { id } => ("Retrieve", Some(id)),
            Self::Update { id, .. } => ("Update", Some(id)),
            Self::Delete { id } => ("Delete", Some(id)),
            Self::AddItems { id, .. } => ("AddItems", Some(id)),
            Self::Items { id, .. } => ("Items", Some(id)),
            Self::Item { id, .. } => ("Item", Some(id)),
            Self::DeleteItem { id, .. } => ("DeleteItem", Some(id)),
        };
        f.debug_struct(what).field("id", &id).finish_non_exhaustive()
    }
}

/// What is answered of stored things.
#[derive(Debug)]
pub enum StoredAnswer {
    /// A body in JSON. It keeps the room of what it was made of.
    Body(Bytes),
    /// Server-sent events.
    Stream(EventBytes),
}
