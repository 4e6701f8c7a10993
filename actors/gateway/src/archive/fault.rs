//! What the store refuses, as clients know it. Words and codes are OpenAI's where it has some; what belongs to another key is
//! told like what does not exist.

use std::time::Duration;

use outcrop_domain::error::GatewayError;
use outcrop_store::{Kind, StoreError};

fn unknown(message: String, param: Option<&str>, code: Option<&'static str>) -> GatewayError {
    GatewayError::UnknownReference { message, param: param.map(str::to_owned), code }
}

/// There is no such response.
fn missing_response(id: &str) -> GatewayError {
    unknown(format!("Response with id '{id}' not found."), None, None)
}

/// There is no such response to go on from.
pub(crate) fn missing_previous(id: &str) -> GatewayError {
    let message = format!("Previous response with id '{id}' not found.");
    unknown(message, Some("previous_response_id"), Some("previous_response_not_found"))
}

/// There is no such conversation.
pub(crate) fn missing_conversation(id: &str, param: Option<&str>) -> GatewayError {
    unknown(format!("Conversation with id '{id}' not found."), param, None)
}

/// There is no such item.
pub(crate) fn missing_item(id: &str, param: Option<&str>) -> GatewayError {
    unknown(format!("Item with id '{id}' not found."), param, None)
}

/// When to come back after a trouble of the place: disks and locks recover within seconds, or not by themselves.
const RETRY_SOON: Duration = Duration::from_secs(5);

/// A trouble of the place where things are kept. The operator reads what it is; the client reads that it is ours.
pub(crate) fn of_place(error: &StoreError) -> GatewayError {
    metrics::counter!("outcrop_store_errors_total").increment(1);
    tracing::error!(%error, "the store of responses and conversations");
    match error {
        StoreError::Full { .. } => GatewayError::Unavailable {
            message: "the gateway has no room left to store responses; with `store: false` nothing is stored".to_owned(),
            retry_after: RETRY_SOON,
        },
        _ => GatewayError::Unavailable { message: "the gateway's store of responses is in trouble".to_owned(), retry_after: RETRY_SOON },
    }
}

/// What a call on responses was refused for.
pub(crate) fn of_responses(error: &StoreError) -> GatewayError {
    match error {
        StoreError::NotFound { kind: Kind::Item, id } => missing_item(id, None),
        StoreError::NotFound { kind: Kind::Conversation, id } => missing_conversation(id, Some("conversation")),
        StoreError::NotFound { id, .. } => missing_response(id),
        StoreError::Exists { kind: Kind::Item, id } => twice(id),
        StoreError::Conflict { id, status } => {
            GatewayError::InvalidRequest { message: format!("Response with id '{id}' is {status}."), param: None, code: None }
        }
        StoreError::TooLarge { bytes, max, .. } => too_large(*bytes, *max),
        StoreError::TooDeep { max, .. } => GatewayError::invalid(
            "previous_response_id",
            format!("The chain of previous responses has more than {max} responses. Begin a new one, or use a conversation."),
        ),
        other => of_place(other),
    }
}

/// What a call on conversations was refused for.
pub(crate) fn of_conversations(error: &StoreError) -> GatewayError {
    match error {
        StoreError::NotFound { kind: Kind::Item, id } => missing_item(id, None),
        StoreError::NotFound { id, .. } => missing_conversation(id, None),
        StoreError::Exists { id, .. } => twice(id),
        StoreError::TooMany { given, max } => {
            let message = format!(
                "Invalid 'items': array too long. Expected an array with maximum length {max}, but got an array with length {given} instead."
            );
            GatewayError::invalid_with_code("items", message, "array_above_max_length")
        }
        StoreError::TooLarge { bytes, max, .. } => too_large(*bytes, *max),
        other => of_place(other),
    }
}

/// An id that a list has twice.
pub(super) fn twice(id: &str) -> GatewayError {
    let message = format!("Duplicate item found with id {id}. Remove duplicate items from your input and try again.");
    GatewayError::invalid("input", message)
}

/// More than is kept.
pub(crate) fn too_large(bytes: u64, max: u64) -> GatewayError {
    let message = format!("{bytes} bytes are more than the {max} that this gateway keeps of one response or conversation.");
    GatewayError::invalid_with_code("input", message, "string_above_max_length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_exist_is_told_in_openais_words() {
        let told = |error: GatewayError| match error {
            GatewayError::UnknownReference { message, param, code } => (message, param, code),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            told(missing_previous("resp_1")),
            (
                "Previous response with id 'resp_1' not found.".to_owned(),
                Some("previous_response_id".to_owned()),
                Some("previous_response_not_found")
            )
        );
        assert_eq!(told(missing_response("resp_1")), ("Response with id 'resp_1' not found.".to_owned(), None, None));
        let gone = StoreError::NotFound { kind: Kind::Conversation, id: "conv_1".to_owned() };
        assert_eq!(told(of_conversations(&gone)), ("Conversation with id 'conv_1' not found.".to_owned(), None, None));
    }

    #[test]
    fn troubles_of_the_place_are_ours_and_name_no_path() {
        let error = StoreError::Io { path: "/var/lib/outcrop/outcrop.db".into(), detail: "disk I/O error".to_owned() };
        let told = of_responses(&error);
        assert!(told.retryable(), "{told:?}");
        assert!(!told.to_string().contains("/var"), "{told}");
    }
}
