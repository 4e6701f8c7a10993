//! What an earlier process left running is ended before this one takes requests.

use outcrop_domain::{error::GatewayError, json::JsonText};
use outcrop_store::{Ending, Interrupted, Json, Keep, Outcome, Owner, StoreError, StoredResponse, UnixMillis};
use outcrop_translate::openai_responses::response;

use super::{Shelves, Stores};

/// Ends everything that an earlier process left queued or in progress as failed, so that nobody polls for what will not come. Gives how
/// many. Blocks; to be called once, before requests are taken.
///
/// Background responses that had not begun are failed too: of what they were asked with, only what the response repeats is stored.
///
/// # Errors
/// Troubles of the place.
pub fn settle_interrupted(stores: &Stores, now: UnixMillis) -> Result<usize, StoreError> {
    let Interrupted { failed, resumable } = stores.responses.mark_interrupted(now, &|left: &StoredResponse| failed_body(left, STOPPED))?;
    for key in &resumable {
        let owner = Owner(&key.owner);
        let left = stores.responses.get_response(owner, &key.id)?;
        let ending = Ending { outcome: Outcome::Failed, at: now, output: Vec::new() };
        stores.responses.finish(owner, &key.id, &failed_body(&left, STOPPED), &ending, u64::MAX)?;
    }
    Ok(failed.len() + resumable.len())
}

/// Ends responses as failed that are stored as running, that no job of this process makes, and that are older than a request may become:
/// their end could not be stored. Gives how many. Blocks.
///
/// # Errors
/// Troubles of the place.
pub(crate) fn settle_lost(shelves: &Shelves<'_>) -> Result<u32, StoreError> {
    let now = shelves.now();
    let longest = i64::try_from(shelves.longest_request().as_millis()).unwrap_or(i64::MAX);
    let mut settled = 0;
    for key in shelves.responses().running_since(UnixMillis(now.0.saturating_sub(longest)))? {
        if shelves.is_under_way(&key) {
            continue;
        }
        let owner = Owner(&key.owner);
        let ended = shelves.responses().get_response(owner, &key.id).and_then(|left| {
            let ending = Ending { outcome: Outcome::Failed, at: now, output: Vec::new() };
            let body = failed_body(&left, LOST);
            shelves.with_room(owner, Keep::default(), |shelves| shelves.responses().finish(owner, &key.id, &body, &ending, u64::MAX))
        });
        match ended {
            Ok(_) => settled += 1,
            // It has ended by itself meanwhile.
            Err(StoreError::NotFound { .. } | StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(settled)
}

/// Of a response that an earlier process was at.
const STOPPED: &str = "the gateway was stopped before this response was complete; ask again";

/// Of a response whose end is not known.
const LOST: &str = "the end of this response could not be stored; ask again";

/// The body of a response that was cut off. One that cannot be read stays as it is: its status tells.
fn failed_body(left: &StoredResponse, why: &str) -> Json {
    let error = GatewayError::Internal { message: why.to_owned() };
    JsonText::parse(left.body.as_str().to_owned())
        .ok()
        .and_then(|body| response::failed_later(&body, &error).ok())
        .map_or_else(|| left.body.clone(), |(body, _changed)| Json::from(body.get()))
}
