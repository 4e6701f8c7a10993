//! What can be asked of a stored response.

use std::time::Duration;

use outcrop_domain::{error::GatewayError, ids::KeyId, json::JsonText};
use outcrop_protocol::openai::responses::ResponseDeleted;
use outcrop_store::{Owner, Running, Status, StoredResponse};
use outcrop_translate::openai_responses::{Include, response, stream::replay};

use super::{Room, StoredContext, shown, shown_page};
use crate::{
    archive::{EventBytes, Shelves, body_of, cancel as cancel_stored, of_responses},
    ports::{ResponseAsk, StoredAnswer},
};

/// Answers a question about a response.
pub(super) async fn answer(
    context: &StoredContext,
    owner: KeyId,
    id: String,
    ask: ResponseAsk,
    room: Room,
) -> Result<StoredAnswer, GatewayError> {
    match ask {
        ResponseAsk::Retrieve { include } => {
            let taken = room.clone();
            let found = context.vault.ask("get_response", move |shelves| {
                let stored = get(shelves, &owner, &id)?;
                taken.take(stored.body.bytes())?;
                as_shown(&stored, include)
            });
            Ok(StoredAnswer::Body(room.answer(found.await??)))
        }
        ResponseAsk::Events { include, starting_after } => events(context, owner, id, include, starting_after, room).await,
        ResponseAsk::Delete => {
            // One that is under way in the background has no reader any more.
            if let Some(live) = context.live.find(&owner, &id) {
                live.cancel();
            }
            let (deleted_by, deleted_id) = (owner.clone(), id.clone());
            let deleted = context.vault.ask("delete_response", move |shelves| -> Result<_, GatewayError> {
                // It is no answer and takes no room: what is to make room must not need any.
                let left = get(shelves, &owner, &id)?;
                shelves.responses().delete_response(Owner(owner.as_str()), &id).map_err(|error| of_responses(&error))?;
                let told = match left.status {
                    Status::Running(Running::Queued) => Some(last_told(&response::cancelled(&body_of(&left)?)?.0)?),
                    _ => None,
                };
                Ok((shown(&ResponseDeleted::new(&id))?, told))
            });
            let (body, told) = deleted.await??;
            context.live.forget(&deleted_by, &deleted_id);
            if let Some(told) = told {
                context.live.end_unbegun(&deleted_by, &deleted_id, told);
            }
            Ok(StoredAnswer::Body(room.answer(body)))
        }
        ResponseAsk::Cancel => cancel(context, owner, id, &room).await.map(|body| StoredAnswer::Body(room.answer(body))),
        ResponseAsk::InputItems { page, include } => {
            let taken = room.clone();
            let listed = context.vault.ask("list_input_items", move |shelves| {
                let listing = shelves.responses().list_input_items(Owner(owner.as_str()), &id, &page);
                shown_page(&listing.map_err(|error| of_responses(&error))?, include, &taken)
            });
            Ok(StoredAnswer::Body(room.answer(listed.await??)))
        }
    }
}

fn get(shelves: &Shelves<'_>, owner: &KeyId, id: &str) -> Result<StoredResponse, GatewayError> {
    shelves.responses().get_response(Owner(owner.as_str()), id).map_err(|error| of_responses(&error))
}

fn as_shown(stored: &StoredResponse, include: Include) -> Result<JsonText, GatewayError> {
    response::shown(&body_of(stored)?, include)
}

/// The events of a response: as they come, when it is under way in the background, else told once more.
async fn events(
    context: &StoredContext,
    owner: KeyId,
    id: String,
    include: Include,
    starting_after: Option<u64>,
    room: Room,
) -> Result<StoredAnswer, GatewayError> {
    if let Some(live) = context.live.told(&owner, &id) {
        return Ok(StoredAnswer::Stream(live.events(starting_after)));
    }
    let told = context.vault.ask("replay_response", move |shelves| {
        let stored = get(shelves, &owner, &id)?;
        room.take(stored.body.bytes())?;
        if let Status::Running(_) = stored.status {
            // It is being read by the client that asked for it; or it was in the background of another process.
            let message = format!("Response with id '{id}' is {}, and its events go to the client that asked for it.", stored.status);
            return Err(GatewayError::invalid("stream", message));
        }
        let mut out = Vec::new();
        replay(&body_of(&stored)?, include, starting_after, &mut out)?;
        // Its events repeat it several times over, and they are what is held from now on.
        out.shrink_to_fit();
        let written = u64::try_from(out.len()).unwrap_or(u64::MAX);
        room.take(written.saturating_sub(stored.body.bytes()))?;
        Ok(StoredAnswer::Stream(EventBytes::of(room.answer(out))))
    });
    told.await?
}

/// Longest wait for a job that was asked to end: it does so at its next await.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// Cancels a response in the background. One that has ended is shown as it is: cancelling twice is no error. Room for the answer is
/// taken before anything is changed, by the size of what is stored; what it says meanwhile is not counted.
async fn cancel(context: &StoredContext, owner: KeyId, id: String, room: &Room) -> Result<JsonText, GatewayError> {
    let (asked_by, asked_for) = (owner.clone(), id.clone());
    let stored = context.vault.ask("get_response", move |shelves| get(shelves, &asked_by, &asked_for)).await??;
    if !stored.background {
        let message = "Cannot cancel a synchronous response: only responses that were created with 'background' can be cancelled.";
        return Err(GatewayError::InvalidRequest { message: message.to_owned(), param: None, code: None });
    }
    room.take(stored.body.bytes())?;
    if let Some(live) = context.live.find(&owner, &id) {
        live.cancel();
        // One that waits for its turn is ended below.
        if stored.status != Status::Running(Running::Queued) {
            live.ended(ENDS_WITHIN).await;
        }
    }
    let (asked_by, asked_for, taken) = (owner.clone(), id.clone(), room.clone());
    let ended = context.vault.ask("cancel_response", move |shelves| -> Result<(JsonText, Option<Vec<u8>>), GatewayError> {
        // It stays with the bytes: the job may be dropped while they are in other hands.
        let _room = taken;
        let stored = get(shelves, &owner, &id)?;
        if let Status::Ended(_) = stored.status {
            return Ok((as_shown(&stored, Include::default())?, None));
        }
        match cancel_stored(shelves, Owner(owner.as_str()), &id)? {
            Some(body) => Ok((response::shown(&body, Include::default())?, Some(last_told(&body)?))),
            // It has ended meanwhile, by itself.
            None => Ok((as_shown(&get(shelves, &owner, &id)?, Include::default())?, None)),
        }
    });
    let (body, told) = ended.await??;
    if let Some(told) = told {
        context.live.end_unbegun(&asked_by, &asked_for, told);
    }
    Ok(body)
}

/// What whoever waits for the events of a response reads when it ends before it has begun: those after `response.queued`, its second.
fn last_told(body: &JsonText) -> Result<Vec<u8>, GatewayError> {
    const QUEUED: u64 = 1;
    let mut out = Vec::new();
    replay(body, Include::default(), Some(QUEUED), &mut out)?;
    Ok(out)
}
