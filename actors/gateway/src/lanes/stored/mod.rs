//! The lane of stored things: one actor per question or change, each a call or two to the store.

mod conversations;
mod responses;

use std::{fmt, sync::Arc, time::Duration};

use outcrop_domain::{error::GatewayError, ids::KeyId, json::JsonText};
use outcrop_protocol::openai::responses::ItemList;
use outcrop_store::Listing;
use outcrop_supervision::{CallError, Delivery, Job, JobFuture, LaneHandle, LaneReport, Refusal, Reply};
use outcrop_translate::openai_responses::{Include, response};
use serde::Serialize;

use super::chat::unanswered;
use crate::{
    archive::{LiveResponses, Vault},
    ports::{ConversationAsk, ResponseAsk, StoredAnswer, StoredAsk},
};

/// What every job of this lane needs of the rest of the gateway.
pub struct StoredContext {
    /// What is stored.
    pub(crate) vault: Vault,
    /// Background responses under way.
    pub(crate) live: Arc<LiveResponses>,
}

/// The answer's way back.
type StoredReply = Reply<Result<StoredAnswer, GatewayError>>;

/// Work of the lane of stored things.
pub struct StoredWork {
    context: Arc<StoredContext>,
    owner: KeyId,
    ask: StoredAsk,
    reply: StoredReply,
}

impl Job for StoredWork {
    fn refused(self, refusal: Refusal) {
        let delivered = self.reply.refuse(refusal);
        tracing::debug!(refusal = refusal.as_str(), ?delivered, "job refused");
    }

    fn run(self) -> JobFuture {
        Box::pin(run(self))
    }

    fn abandoned(&self) -> bool {
        self.reply.is_closed()
    }
}

async fn run(work: StoredWork) {
    let StoredWork { context, owner, ask, reply } = work;
    // What was asked for is done, also when nobody waits for the answer any more: a deletion is a deletion.
    let answer = match ask {
        StoredAsk::Response { id, ask } => responses::answer(&context, owner, id, ask).await,
        StoredAsk::Conversation(ask) => conversations::answer(&context, owner, ask).await.map(StoredAnswer::Body),
    };
    if reply.send(answer) == Delivery::CallerGone {
        metrics::counter!("outcrop_answers_unread_total").increment(1);
    }
}

/// Name of the lane in messages.
const LANE: &str = "lane of stored responses";

/// Asks for stored responses and conversations, and changes them.
#[derive(Clone)]
pub struct StoredPort {
    lane: LaneHandle<StoredWork>,
    context: Arc<StoredContext>,
}

impl fmt::Debug for StoredPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredPort").field("lane", &self.lane).finish_non_exhaustive()
    }
}

impl StoredPort {
    /// A port over a lane that may not run yet.
    #[must_use]
    pub fn new(lane: LaneHandle<StoredWork>, context: Arc<StoredContext>) -> Self {
        Self { lane, context }
    }

    /// Asks on behalf of a key.
    ///
    /// # Errors
    /// `UnknownReference` for what the key does not have; whatever else went wrong, as data.
    pub async fn ask(&self, owner: &KeyId, ask: StoredAsk) -> Result<StoredAnswer, GatewayError> {
        let (reply, answer) = Reply::channel();
        self.lane.submit(StoredWork { context: Arc::clone(&self.context), owner: owner.clone(), ask, reply });
        answer.await.unwrap_or_else(|error| Err(unanswered(&error, LANE)))
    }

    /// As [`StoredPort::ask`], about a response.
    ///
    /// # Errors
    /// As there.
    pub async fn response(&self, owner: &KeyId, id: String, ask: ResponseAsk) -> Result<StoredAnswer, GatewayError> {
        self.ask(owner, StoredAsk::Response { id, ask }).await
    }

    /// As [`StoredPort::ask`], about a conversation.
    ///
    /// # Errors
    /// As there.
    pub async fn conversation(&self, owner: &KeyId, ask: ConversationAsk) -> Result<StoredAnswer, GatewayError> {
        self.ask(owner, StoredAsk::Conversation(ask)).await
    }

    /// What the lane does.
    ///
    /// # Errors
    /// When it does not run or does not answer in time.
    pub async fn describe(&self, within: Duration) -> Result<LaneReport, CallError> {
        self.lane.describe(within).await
    }
}

/// A page of items as clients read it.
fn shown_list(listing: &Listing, include: Include) -> Result<JsonText, GatewayError> {
    let items: Vec<JsonText> = listing.items.iter().map(|item| shown_item(item.json.as_str(), include)).collect::<Result<_, _>>()?;
    shown(&ItemList {
        object: "list",
        data: items.iter().map(JsonText::raw).collect(),
        first_id: listing.first_id().unwrap_or_default(),
        last_id: listing.last_id().unwrap_or_default(),
        has_more: listing.has_more,
    })
}

/// An item as clients read it.
fn shown_item(text: &str, include: Include) -> Result<JsonText, GatewayError> {
    let item = JsonText::parse(text.to_owned())
        .map_err(|error| GatewayError::Internal { message: format!("a stored item cannot be read: {error}") })?;
    response::shown_item(&item, include)
}

fn shown<T: Serialize>(answer: &T) -> Result<JsonText, GatewayError> {
    JsonText::of(answer).map_err(|error| GatewayError::Internal { message: format!("the answer has no JSON form: {error}") })
}
