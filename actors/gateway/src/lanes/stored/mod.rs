//! The lane of stored things: one actor per question or change, each a call or two to the store.

mod conversations;
mod responses;
mod room;

use std::{fmt, sync::Arc, time::Duration};

use outcrop_domain::{error::GatewayError, ids::KeyId, json::JsonText};
use outcrop_protocol::openai::responses::ItemList;
use outcrop_store::Listing;
use outcrop_supervision::{CallError, Delivery, Job, JobFuture, LaneHandle, LaneReport, Refusal, Reply};
use outcrop_translate::openai_responses::{Include, response};
use serde::Serialize;

use self::room::Room;
use super::{Sniff, chat::unanswered};
use crate::{
    archive::{LiveResponses, Vault},
    ports::{ConversationAsk, HeldMemory, ResponseAsk, StoredAnswer, StoredAsk},
};

/// What every job of this lane needs of the rest of the gateway.
pub struct StoredContext {
    /// What is stored.
    pub(crate) vault: Vault,
    /// Background responses under way.
    pub(crate) live: Arc<LiveResponses>,
    /// Tells what a file is that is added to a conversation.
    pub(crate) sniff: Sniff,
}

/// The answer's way back.
type StoredReply = Reply<Result<StoredAnswer, GatewayError>>;

/// Work of the lane of stored things.
pub struct StoredWork {
    context: Arc<StoredContext>,
    owner: KeyId,
    ask: StoredAsk,
    room: Room,
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
    let StoredWork { context, owner, ask, room, reply } = work;
    // What was asked for is done, also when nobody waits for the answer any more: a deletion is a deletion.
    let answer = match ask {
        StoredAsk::Response { id, ask } => responses::answer(&context, owner, id, ask, room).await,
        StoredAsk::Conversation(ask) => {
            conversations::answer(&context, owner, ask, &room).await.map(|body| StoredAnswer::Body(room.answer(body)))
        }
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

    /// Asks on behalf of a key. What is loaded for the answer is counted by `held`, until the answer is dropped.
    ///
    /// # Errors
    /// `UnknownReference` for what the key does not have, `Overloaded` for what there is no room for; whatever else went wrong, as
    /// data.
    pub async fn ask(&self, owner: &KeyId, ask: StoredAsk, held: Option<Arc<dyn HeldMemory>>) -> Result<StoredAnswer, GatewayError> {
        let (reply, answer) = Reply::channel();
        let (context, room) = (Arc::clone(&self.context), Room::new(held));
        self.lane.submit(StoredWork { context, owner: owner.clone(), ask, room, reply });
        answer.await.unwrap_or_else(|error| Err(unanswered(&error, LANE)))
    }

    /// As [`StoredPort::ask`], about a response.
    ///
    /// # Errors
    /// As there.
    pub async fn response(
        &self,
        owner: &KeyId,
        id: String,
        ask: ResponseAsk,
        held: Option<Arc<dyn HeldMemory>>,
    ) -> Result<StoredAnswer, GatewayError> {
        self.ask(owner, StoredAsk::Response { id, ask }, held).await
    }

    /// As [`StoredPort::ask`], about a conversation.
    ///
    /// # Errors
    /// As there.
    pub async fn conversation(
        &self,
        owner: &KeyId,
        ask: ConversationAsk,
        held: Option<Arc<dyn HeldMemory>>,
    ) -> Result<StoredAnswer, GatewayError> {
        self.ask(owner, StoredAsk::Conversation(ask), held).await
    }

    /// What the lane does.
    ///
    /// # Errors
    /// When it does not run or does not answer in time.
    pub async fn describe(&self, within: Duration) -> Result<LaneReport, CallError> {
        self.lane.describe(within).await
    }
}

/// A page that was read, as clients read it.
fn shown_page(listing: &Listing, include: Include, room: &Room) -> Result<JsonText, GatewayError> {
    room.take(listing.items.iter().map(|item| item.json.bytes()).sum())?;
    shown_list(listing, include)
}

/// Items as clients read them.
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
