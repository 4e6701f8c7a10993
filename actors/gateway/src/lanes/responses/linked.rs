//! What a request goes on from, and what it leaves behind.

use outcrop_domain::{error::GatewayError, json::JsonText};
use outcrop_protocol::openai::responses::ResponsesRequest;
use outcrop_store::{ChainBound, Item, Kind, Owner, StoreError};
use outcrop_translate::openai_responses::{
    ids,
    request::{Earlier, ItemReference, Linkage, input_resources, is_sealed},
};

use crate::{
    archive::{Shelves, items_of, missing_conversation, missing_item, missing_previous, of_responses, too_large},
    ports::HeldMemory,
};

/// Everything stored that belongs to a request.
#[derive(Debug, Default)]
pub(super) struct Linked {
    /// What the model reads before the input.
    pub(super) earlier: Earlier,
    /// The input as it is stored; empty when it is not.
    pub(super) input: Vec<Item>,
}

/// How much was read.
pub(super) fn bytes_of(earlier: &Earlier) -> usize {
    let items = earlier.items.iter().chain(earlier.referenced.values());
    items.map(|item| item.get().len()).fold(0, usize::saturating_add)
}

/// Does the request name anything that is stored?
pub(super) fn goes_on(linkage: &Linkage) -> bool {
    linkage.previous_response_id.is_some()
        || linkage.conversation.is_some()
        || !linkage.references.is_empty()
        || !linkage.unsealed.is_empty()
}

/// Reads what the request names. Blocks.
///
/// # Errors
/// `UnknownReference` for what its key does not have; what is too long to go on from; troubles of the place.
pub(super) fn earlier(
    shelves: &Shelves<'_>,
    owner: Owner<'_>,
    linkage: &Linkage,
    held: Option<&dyn HeldMemory>,
) -> Result<Earlier, GatewayError> {
    let mut earlier = Earlier::default();
    let policy = shelves.policy();
    // Room is taken for what is there before it is read.
    let grow = |bytes: u64| held.map_or(Ok(()), |held| held.grow(usize::try_from(bytes).unwrap_or(usize::MAX)));
    if let Some(previous) = &linkage.previous_response_id {
        let bound = ChainBound { responses: policy.max_chain, bytes: policy.max_bytes };
        grow(shelves.responses().chain_bytes(owner, previous, bound).map_err(|error| of_chain(&error))?)?;
        let chain = shelves.responses().chain(owner, previous, bound).map_err(|error| of_chain(&error))?;
        earlier.items = texts(chain)?;
    }
    if let Some(conversation) = &linkage.conversation {
        let bytes = shelves.conversations().item_bytes(owner, conversation).map_err(|error| of_conversation(&error))?;
        if bytes <= policy.max_bytes {
            grow(bytes)?;
        }
        shelves.conversations().touch_conversation(owner, conversation, shelves.now()).map_err(|error| of_conversation(&error))?;
        let items = shelves.conversations().all_items(owner, conversation, policy.max_bytes);
        earlier.items = texts(items.map_err(|error| of_conversation(&error))?)?;
    }
    let mut bytes = 0_u64;
    for reference in &linkage.references {
        let item = referenced(shelves, owner, linkage, reference)?;
        bytes = bytes.saturating_add(item.get().len() as u64);
        if bytes > policy.max_bytes {
            return Err(too_large(bytes, policy.max_bytes));
        }
        grow(item.get().len() as u64)?;
        earlier.referenced.insert(reference.id.clone(), item);
    }
    // The newest first: models insist on that. What finds no room is lost as what is not there, which is told when the input is read.
    for thought in linkage.unsealed.iter().rev() {
        let Some(item) = sealed(shelves, owner, linkage, &thought.id) else { continue };
        bytes = bytes.saturating_add(item.get().len() as u64);
        if bytes > policy.max_bytes || grow(item.get().len() as u64).is_err() {
            break;
        }
        earlier.referenced.insert(thought.id.clone(), item);
    }
    Ok(earlier)
}

/// The input as it is stored: items that were named by id stand in their places, and unsealed reasoning is whole again.
///
/// # Errors
/// `InvalidRequest` for an item that cannot be read, for an id that is there twice, and for more than `max_bytes`: it must be known
/// that it can be stored before a model is paid for.
pub(super) fn input(
    wire: &ResponsesRequest,
    linkage: &Linkage,
    earlier: &Earlier,
    response_id: &str,
    max_bytes: u64,
) -> Result<Vec<Item>, GatewayError> {
    let mut items = input_resources(wire.input.as_ref(), response_id)?;
    // In order: each place is right once all before it are filled.
    for reference in &linkage.references {
        if let Some(item) = earlier.referenced.get(&reference.id) {
            items.insert(reference.position.min(items.len()), item.clone());
        }
    }
    for thought in &linkage.unsealed {
        if let (Some(item), Some(sealed)) = (items.get_mut(thought.position), earlier.referenced.get(&thought.id)) {
            *item = sealed.clone();
        }
    }
    let items = items_of(&items)?;
    let bytes = items.iter().map(|item| item.json.bytes()).sum();
    if bytes > max_bytes {
        return Err(too_large(bytes, max_bytes));
    }
    Ok(items)
}

fn referenced(shelves: &Shelves<'_>, owner: Owner<'_>, linkage: &Linkage, reference: &ItemReference) -> Result<JsonText, GatewayError> {
    let ItemReference { param, id, .. } = reference;
    let in_conversation = linkage.conversation.as_ref().map(|conversation| shelves.conversations().get_item(owner, conversation, id));
    let found = match in_conversation {
        Some(Err(StoreError::NotFound { .. })) | None => match ids::response_of(id) {
            Some(response) => shelves.responses().response_item(owner, &response, id),
            None => Err(StoreError::NotFound { kind: Kind::Item, id: id.clone() }),
        },
        Some(found) => found,
    };
    match found {
        Ok(item) => text(item),
        Err(StoreError::NotFound { .. }) => Err(missing_item(id, Some(param))),
        Err(error) => Err(of_responses(&error)),
    }
}

/// Reasoning with what is sealed in it, by its id: as the conversation has it, or else the response that it is of. What cannot be had
/// is as good as not there.
fn sealed(shelves: &Shelves<'_>, owner: Owner<'_>, linkage: &Linkage, id: &str) -> Option<JsonText> {
    let in_conversation = linkage.conversation.iter().map(|conversation| shelves.conversations().get_item(owner, conversation, id));
    let in_response = ids::response_of(id).into_iter().map(|response| shelves.responses().response_item(owner, &response, id));
    let found = in_conversation.chain(in_response).filter_map(|found| match found {
        Ok(item) => text(item).ok(),
        Err(StoreError::NotFound { .. }) => None,
        Err(error) => {
            tracing::warn!(%error, item = id, "reasoning cannot be completed from the store");
            None
        }
    });
    found.into_iter().find(is_sealed)
}

fn of_chain(error: &StoreError) -> GatewayError {
    match error {
        StoreError::NotFound { id, .. } => missing_previous(id),
        StoreError::Conflict { id, status } => {
            GatewayError::invalid("previous_response_id", format!("Previous response with id '{id}' is {status}: wait until it has ended."))
        }
        other => of_responses(other),
    }
}

fn of_conversation(error: &StoreError) -> GatewayError {
    match error {
        StoreError::NotFound { id, .. } => missing_conversation(id, Some("conversation")),
        other => of_responses(other),
    }
}

fn texts(items: Vec<Item>) -> Result<Vec<JsonText>, GatewayError> {
    items.into_iter().map(text).collect()
}

fn text(item: Item) -> Result<JsonText, GatewayError> {
    JsonText::parse(item.json.0)
        .map_err(|error| GatewayError::Internal { message: format!("the stored item `{}` cannot be read: {error}", item.id) })
}
