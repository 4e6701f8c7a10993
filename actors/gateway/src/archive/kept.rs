//! One response on its way into the store.

use std::{borrow::Cow, collections::HashSet, time::SystemTime};

use outcrop_domain::{error::GatewayError, ids::KeyId, json::JsonText};
use outcrop_protocol::openai::responses::Status;
use outcrop_store::{
    Appended, Ending, Item, Json, Keep, Kind, NewResponse, Outcome, Owner, Running, Stage, StoreError, StoredResponse, UnixMillis,
};
use outcrop_translate::openai_responses::response::{self, FinalResponse};
use serde::Deserialize;

use super::{
    fault::{of_responses, twice},
    vault::{Claim, Shelves, Vault},
};

/// What is left of a response when it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeptAs {
    /// The response itself.
    Response,
    /// Its items in its conversation, and nothing else: it was asked for with `store: false`.
    ConversationItems,
}

/// A response that is to be stored.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Whose it is.
    pub(crate) owner: KeyId,
    /// `resp_...`.
    pub(crate) id: String,
    /// When it was asked for.
    pub(crate) created_at: UnixMillis,
    /// The model, by the caller's name.
    pub(crate) model: String,
    /// What its request brought.
    pub(crate) input: Vec<Item>,
    /// The conversation it is part of.
    pub(crate) conversation: Option<String>,
    /// The response it follows.
    pub(crate) previous: Option<String>,
    /// Nobody waits for it.
    pub(crate) background: bool,
    /// What is left of it.
    pub(crate) kept_as: KeptAs,
    /// It is in the store already.
    pub(crate) begun: bool,
    /// Held while it runs.
    pub(crate) claim: Option<Claim>,
}

impl Kept {
    /// Stores it as running. A response of which only the items are kept is not stored before its end.
    ///
    /// # Errors
    /// What the store refuses, and troubles of the place.
    pub(crate) fn begin(mut self, shelves: &Shelves<'_>, vault: Vault, running: Running, body: &JsonText) -> Result<Entered, GatewayError> {
        if self.kept_as == KeptAs::Response {
            self.claim = Some(vault.claim(self.owner.as_str(), &self.id));
            let new = self.new_response(shelves, Json::from(body.get()), Stage::Running(running));
            let max = shelves.policy().max_bytes;
            let put = shelves.with_room(Owner(self.owner.as_str()), self.keep(), |shelves| {
                shelves.responses().put_response(Owner(self.owner.as_str()), &new, max)
            });
            put.map_err(|error| of_responses(&error))?;
            self.begun = true;
        }
        Ok(Entered { kept: Some(self), vault })
    }

    /// Stores how it ended. A response that another one ended meanwhile stays so: gives what is stored then.
    ///
    /// # Errors
    /// What the store refuses, that it was deleted meanwhile, and troubles of the place: the response must not seem to be there then.
    pub(crate) fn end(mut self, shelves: &Shelves<'_>, response: &FinalResponse) -> Result<Option<JsonText>, GatewayError> {
        let outcome = outcome_of(response.status());
        if self.kept_as == KeptAs::ConversationItems && !outcome.is_answer() {
            return Ok(None);
        }
        match self.write(shelves, response, outcome) {
            Ok(written) => self.judge(shelves, written),
            Err(error) => {
                self.give_up(shelves, &error);
                Err(error)
            }
        }
    }

    fn write(
        &mut self,
        shelves: &Shelves<'_>,
        response: &FinalResponse,
        outcome: Outcome,
    ) -> Result<Result<Appended, StoreError>, GatewayError> {
        let output = items_of(&response.items()?)?;
        let max = shelves.policy().max_bytes;
        if self.kept_as == KeptAs::ConversationItems {
            return Ok(self.append(shelves, output, max));
        }
        let body = Json::from(response.stored()?.get());
        let ending = Ending { outcome, at: shelves.now(), output };
        let new = (!self.begun).then(|| self.new_response(shelves, body.clone(), Stage::Ended(ending.clone())));
        let owner = Owner(self.owner.as_str());
        Ok(shelves.with_room(owner, self.keep(), |shelves| match &new {
            None => shelves.responses().finish(owner, &self.id, &body, &ending, max),
            Some(new) => shelves.responses().put_response(owner, new, max),
        }))
    }

    /// Adds the items to their conversation, and stores nothing else.
    fn append(&mut self, shelves: &Shelves<'_>, output: Vec<Item>, max: u64) -> Result<Appended, StoreError> {
        let Some(conversation) = self.conversation.clone() else { return Ok(Appended::Nothing) };
        let mut items = std::mem::take(&mut self.input);
        items.extend(output);
        let bytes: u64 = items.iter().map(|item| item.json.bytes()).sum();
        if bytes > max {
            return Err(StoreError::TooLarge { kind: Kind::Response, id: self.id.clone(), bytes, max });
        }
        let owner = Owner(self.owner.as_str());
        shelves.with_room(owner, self.keep(), |shelves| shelves.conversations().append_answer(owner, &conversation, &items, shelves.now()))
    }

    /// What room for it must not be made of.
    fn keep(&self) -> Keep<'_> {
        Keep { response: self.previous.as_deref(), conversation: self.conversation.as_deref() }
    }

    /// Bytes that it needs at least, when its request had `body_bytes`: its input, once more in a conversation, and some for an answer.
    pub(crate) fn least_bytes(&self, body_bytes: usize) -> u64 {
        const SHORT_ANSWER: u64 = 16 << 10;
        let input: u64 = self.input.iter().map(|item| item.json.bytes()).sum();
        let copies = if self.conversation.is_some() { input } else { 0 };
        input.max(body_bytes as u64).saturating_add(copies).saturating_add(SHORT_ANSWER)
    }

    fn judge(&self, shelves: &Shelves<'_>, written: Result<Appended, StoreError>) -> Result<Option<JsonText>, GatewayError> {
        match written {
            Ok(Appended::Items { repeated, .. }) if !repeated.is_empty() => {
                tracing::debug!(response.id = self.id, repeated = repeated.len(), "items that the conversation had already");
                Ok(None)
            }
            Ok(Appended::ConversationGone) => {
                tracing::warn!(response.id = self.id, "a response ended after its conversation was deleted");
                Ok(None)
            }
            Ok(_) => Ok(None),
            Err(StoreError::Conflict { .. }) if self.begun => {
                let stored = shelves.responses().get_response(Owner(self.owner.as_str()), &self.id);
                body_of(&stored.map_err(|error| of_responses(&error))?).map(Some)
            }
            Err(error @ StoreError::NotFound { kind: Kind::Response, .. }) if self.begun => Err(of_responses(&error)),
            Err(error) => {
                let told = of_responses(&error);
                self.give_up(shelves, &told);
                Err(told)
            }
        }
    }

    /// Ends a stored response that cannot be stored with its answer.
    fn give_up(&self, shelves: &Shelves<'_>, told: &GatewayError) {
        if !self.begun {
            return;
        }
        let owner = Owner(self.owner.as_str());
        let ended = shelves.responses().get_response(owner, &self.id).and_then(|left| {
            let failed = JsonText::parse(left.body.as_str().to_owned()).ok().and_then(|body| response::failed_later(&body, told).ok());
            let body = failed.map_or_else(|| left.body.clone(), |(body, _changed)| Json::from(body.get()));
            let ending = Ending { outcome: Outcome::Failed, at: shelves.now(), output: Vec::new() };
            shelves.with_room(owner, self.keep(), |shelves| shelves.responses().finish(owner, &self.id, &body, &ending, u64::MAX))
        });
        if let Err(error) = ended {
            tracing::error!(response.id = self.id, %error, "a response that could not be stored is left in progress");
        }
    }

    fn new_response(&mut self, shelves: &Shelves<'_>, body: Json, stage: Stage) -> NewResponse {
        let lifetime = i64::try_from(shelves.policy().retention.as_millis()).unwrap_or(i64::MAX);
        NewResponse {
            id: self.id.clone(),
            created_at: self.created_at,
            expires_at: Some(UnixMillis(self.created_at.0.saturating_add(lifetime))),
            model: self.model.clone(),
            body,
            // From here on the store has them.
            input: std::mem::take(&mut self.input),
            conversation: self.conversation.clone(),
            previous: self.previous.clone(),
            background: self.background,
            stage,
        }
    }
}

/// A response that is stored as running and that nobody makes yet. Dropped as such, because whoever wanted it has gone meanwhile, it
/// is cancelled.
pub(crate) struct Entered {
    kept: Option<Kept>,
    vault: Vault,
}

impl Entered {
    /// Somebody makes it from now on, and ends it.
    pub(crate) fn into_kept(mut self) -> Option<Kept> {
        self.kept.take()
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        if let Some(kept) = self.kept.take().filter(|kept| kept.begun) {
            self.vault.tell("cancel_response", move |shelves| {
                if let Err(error) = cancel(shelves, Owner(kept.owner.as_str()), &kept.id) {
                    tracing::error!(response.id = kept.id, %error, "a response that nobody makes is left in progress");
                }
            });
        }
    }
}

/// Ends a stored response as cancelled, without output. Gives its body; `None` when it had ended before.
///
/// # Errors
/// What the store refuses, and troubles of the place.
pub(crate) fn cancel(shelves: &Shelves<'_>, owner: Owner<'_>, id: &str) -> Result<Option<JsonText>, GatewayError> {
    let refused = |error: StoreError| of_responses(&error);
    let stored = shelves.responses().get_response(owner, id).map_err(refused)?;
    let (body, _changed) = response::cancelled(&body_of(&stored)?)?;
    let ending = Ending { outcome: Outcome::Cancelled, at: shelves.now(), output: Vec::new() };
    match shelves.responses().finish(owner, id, &Json::from(body.get()), &ending, u64::MAX) {
        Ok(_) => Ok(Some(body)),
        Err(StoreError::Conflict { .. }) => Ok(None),
        Err(error) => Err(refused(error)),
    }
}

/// The body of a stored response.
///
/// # Errors
/// `Internal` when what is stored is no JSON.
pub(crate) fn body_of(stored: &StoredResponse) -> Result<JsonText, GatewayError> {
    JsonText::parse(stored.body.as_str().to_owned())
        .map_err(|error| GatewayError::Internal { message: format!("the stored response `{}` cannot be read: {error}", stored.id) })
}

/// Items with their ids, as the store takes them.
///
/// # Errors
/// `InvalidRequest` for an id that is there twice.
pub(crate) fn items_of(texts: &[JsonText]) -> Result<Vec<Item>, GatewayError> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
    }
    let mut seen = HashSet::with_capacity(texts.len());
    let mut items = Vec::with_capacity(texts.len());
    for text in texts {
        let named: Named<'_> =
            serde_json::from_str(text.get()).map_err(|error| GatewayError::Internal { message: format!("an item has no id: {error}") })?;
        let id = named.id.into_owned();
        if !seen.insert(id.clone()) {
            return Err(twice(&id));
        }
        items.push(Item { id, json: Json::from(text.get()) });
    }
    Ok(items)
}

fn outcome_of(status: Status) -> Outcome {
    match status {
        Status::Completed => Outcome::Completed,
        Status::Incomplete => Outcome::Incomplete,
        Status::Cancelled => Outcome::Cancelled,
        Status::Failed | Status::Queued | Status::InProgress => Outcome::Failed,
    }
}

/// Seconds since 1970.
pub(crate) fn unix_seconds(wall: SystemTime) -> u64 {
    wall.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Seconds since 1970 of a stored time.
pub(crate) fn seconds_of(stored: UnixMillis) -> u64 {
    u64::try_from(stored.0 / 1000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arc_swap::ArcSwap;
    use outcrop_domain::chat::{ChatEvent, StopReason};
    use outcrop_store::{ConversationStore as _, MemoryStore, NewConversation, ResponseStore as _, Status as StoredStatus};
    use outcrop_translate::openai_responses::{ResponseMeta, ResponseShape, response::under_way, stream::EventWriter};

    use super::*;
    use crate::{
        archive::Stores,
        settings::RoutingPolicy,
        testing::{live_settings, ports},
    };

    fn vault(store: &Arc<MemoryStore>) -> Vault {
        let settings = live_settings(RoutingPolicy::default());
        Vault::new(Stores::of(Arc::clone(store), true), Arc::new(ArcSwap::from_pointee(settings)), ports())
    }

    fn kept(id: &str) -> Kept {
        Kept {
            owner: KeyId::from("ann"),
            id: id.to_owned(),
            created_at: UnixMillis(1),
            model: "m".to_owned(),
            input: Vec::new(),
            conversation: None,
            previous: None,
            background: false,
            kept_as: KeptAs::Response,
            begun: false,
            claim: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_that_is_stored_when_nobody_wants_it_any_more_is_cancelled() {
        let store = Arc::new(MemoryStore::new(1 << 20));
        let vault = vault(&store);
        let entered = async |id: &str| {
            let meta = ResponseMeta { id: id.to_owned(), created_unix: 1, model_shown: "m".to_owned() };
            let body = under_way(&meta, &ResponseShape::default(), Status::InProgress).unwrap();
            let (kept, with) = (kept(id), vault.clone());
            vault.ask("put_response", move |shelves| kept.begin(shelves, with, Running::InProgress, &body)).await.unwrap().unwrap()
        };
        let status = |id: &str| store.get_response(Owner("ann"), id).unwrap().status;
        drop(entered("resp_1").await);
        assert_eq!(status("resp_1"), StoredStatus::Ended(Outcome::Cancelled));
        assert!(entered("resp_2").await.into_kept().is_some_and(|kept| kept.begun));
        assert_eq!(status("resp_2"), StoredStatus::Running(Running::InProgress), "somebody makes it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_that_is_not_to_be_stored_leaves_its_items_in_its_conversation_and_nothing_else() {
        let store = Arc::new(MemoryStore::new(1 << 20));
        let ann = Owner("ann");
        let new = NewConversation { id: "conv_1".to_owned(), created_at: UnixMillis(1), metadata: Json::from("{}"), items: Vec::new() };
        store.create_conversation(ann, &new).unwrap();
        let input = vec![Item { id: "msg_in".to_owned(), json: Json::from(r#"{"id":"msg_in"}"#) }];
        let kept = Kept { input, conversation: Some("conv_1".to_owned()), kept_as: KeptAs::ConversationItems, ..kept("resp_1") };
        let vault = vault(&store);
        let ended = vault.ask("put_response", move |shelves| {
            let meta = ResponseMeta { id: "resp_1".to_owned(), created_unix: 1, model_shown: "m".to_owned() };
            let mut writer = EventWriter::new(meta, ResponseShape::default());
            writer.write(&ChatEvent::Stopped { reason: StopReason::EndTurn, stop_sequence: None }, &mut Vec::new());
            kept.end(shelves, writer.close(1, &mut Vec::new()).response())
        });
        ended.await.unwrap().unwrap();
        assert_eq!(store.all_items(ann, "conv_1", 1 << 20).unwrap().len(), 1);
        assert!(matches!(store.get_response(ann, "resp_1"), Err(StoreError::NotFound { .. })));
    }

    #[test]
    fn items_are_kept_word_for_word_under_their_ids() {
        let text = r#"{"type":"message", "id":"msg_1"}"#;
        let items = items_of(&[JsonText::parse(text.to_owned()).unwrap()]).unwrap();
        assert_eq!(items, [Item { id: "msg_1".to_owned(), json: Json::from(text) }]);
    }

    #[test]
    fn an_id_that_is_there_twice_is_refused_by_name() {
        let item = JsonText::parse(r#"{"id":"msg_1"}"#.to_owned()).unwrap();
        let error = items_of(&[item.clone(), item]).unwrap_err();
        assert!(error.to_string().starts_with("Duplicate item found with id msg_1."), "{error}");
    }
}
