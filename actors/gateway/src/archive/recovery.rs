//! What an earlier process left running is ended before this one takes requests.

use outcrop_domain::{error::GatewayError, json::JsonText};
use outcrop_store::{Ending, Interrupted, Json, Outcome, Owner, StoreError, StoredResponse, UnixMillis};
use outcrop_translate::openai_responses::response;

use super::Stores;

/// Ends everything that an earlier process left queued or in progress as failed, so that nobody polls for what will not come. Gives how
/// many. Blocks; to be called once, before requests are taken.
///
/// Background responses that had not begun are failed too: of what they were asked with, only what the response repeats is stored.
///
/// # Errors
/// Troubles of the place.
pub fn settle_interrupted(stores: &Stores, now: UnixMillis) -> Result<usize, StoreError> {
    let Interrupted { failed, resumable } = stores.responses.mark_interrupted(now, &failed_body)?;
    for key in &resumable {
        let owner = Owner(&key.owner);
        let left = stores.responses.get_response(owner, &key.id)?;
        let ending = Ending { outcome: Outcome::Failed, at: now, output: Vec::new() };
        stores.responses.finish(owner, &key.id, &failed_body(&left), &ending, u64::MAX)?;
    }
    Ok(failed.len() + resumable.len())
}

/// The body of a response that was cut off by the end of its process. One that cannot be read stays as it is: its status tells.
fn failed_body(left: &StoredResponse) -> Json {
    let error = GatewayError::Internal { message: "the gateway was stopped before this response was complete; ask again".to_owned() };
    JsonText::parse(left.body.as_str().to_owned())
        .ok()
        .and_then(|body| response::failed_later(&body, &error).ok())
        .map_or_else(|| left.body.clone(), |(body, _changed)| Json::from(body.get()))
}
