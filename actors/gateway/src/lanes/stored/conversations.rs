//! What can be asked of conversations.

use std::{borrow::Cow, collections::BTreeMap};

use outcrop_domain::{clock::random_id, error::GatewayError, ids::KeyId, json::JsonText};
use outcrop_protocol::openai::responses::{Conversation, ConversationBody, ConversationDeleted};
use outcrop_store::{Item, Json, Keep, Listing, NewConversation, Owner, StoreError, StoredConversation};
use outcrop_translate::openai_responses::{
    Include,
    conversation::{self, Metadata},
};

use super::{Room, StoredContext, shown, shown_item, shown_list, shown_page};
use crate::{
    archive::{Shelves, items_of, of_conversations, seconds_of},
    lanes::Sniff,
    ports::ConversationAsk,
};

/// Answers a question about a conversation, or changes one.
pub(super) async fn answer(context: &StoredContext, owner: KeyId, ask: ConversationAsk, room: &Room) -> Result<JsonText, GatewayError> {
    // It stays with the bytes: the job may be dropped while they are in other hands.
    let room = room.clone();
    let (entropy, sniff) = (context.vault.ports().entropy.clone(), context.sniff);
    match ask {
        ConversationAsk::Create { body } => {
            let (id, batch) = (random_id("conv_", entropy.as_ref()), random_id("", entropy.as_ref()));
            let made = context.vault.ask("create_conversation", move |shelves| {
                let _room = room;
                create(shelves, Owner(owner.as_str()), id, items(&body, &batch, sniff)?, &body)
            });
            made.await?
        }
        ConversationAsk::AddItems { id, body } => {
            let batch = random_id("", entropy.as_ref());
            let added = context.vault.ask("append_items", move |shelves| {
                let _room = room;
                required(body.items.is_some(), "items")?;
                add_items(shelves, Owner(owner.as_str()), &id, items(&body, &batch, sniff)?)
            });
            added.await?
        }
        other => context.vault.ask(operation(&other), move |shelves| stored(shelves, Owner(owner.as_str()), other, &room)).await?,
    }
}

fn operation(ask: &ConversationAsk) -> &'static str {
    match ask {
        ConversationAsk::Create { .. } => "create_conversation",
        ConversationAsk::Retrieve { .. } => "get_conversation",
        ConversationAsk::Update { .. } => "update_conversation",
        ConversationAsk::Delete { .. } => "delete_conversation",
        ConversationAsk::AddItems { .. } => "append_items",
        ConversationAsk::Items { .. } => "list_items",
        ConversationAsk::Item { .. } => "get_item",
        ConversationAsk::DeleteItem { .. } => "delete_item",
    }
}

/// All that draws no ids.
fn stored(shelves: &Shelves<'_>, owner: Owner<'_>, ask: ConversationAsk, room: &Room) -> Result<JsonText, GatewayError> {
    let store = shelves.conversations();
    let refused = |error: StoreError| of_conversations(&error);
    match ask {
        ConversationAsk::Retrieve { id } => shown_conversation(&store.get_conversation(owner, &id).map_err(refused)?),
        ConversationAsk::Update { id, body } => {
            // A null takes the labels away.
            required(body.metadata.is_some(), "metadata")?;
            let metadata = metadata(&body)?;
            let updated = shelves.with_room(owner, growing(&id), |shelves| shelves.conversations().update_metadata(owner, &id, &metadata));
            shown_conversation(&updated.map_err(refused)?)
        }
        ConversationAsk::Delete { id } => {
            store.delete_conversation(owner, &id).map_err(refused)?;
            shown(&ConversationDeleted::new(&id))
        }
        ConversationAsk::Items { id, page, include } => shown_page(&store.list_items(owner, &id, &page).map_err(refused)?, include, room),
        ConversationAsk::Item { id, item, include } => {
            let item = store.get_item(owner, &id, &item).map_err(refused)?;
            room.take(item.json.bytes())?;
            shown_item(item.json.as_str(), include)
        }
        ConversationAsk::DeleteItem { id, item } => shown_conversation(&store.delete_item(owner, &id, &item).map_err(refused)?),
        ConversationAsk::Create { .. } | ConversationAsk::AddItems { .. } => {
            Err(GatewayError::Internal { message: "a change that needs an id came without one".to_owned() })
        }
    }
}

fn create(
    shelves: &Shelves<'_>,
    owner: Owner<'_>,
    id: String,
    items: Vec<Item>,
    body: &ConversationBody,
) -> Result<JsonText, GatewayError> {
    let new = NewConversation { id, created_at: shelves.now(), metadata: metadata(body)?, items };
    let made = shelves.with_room(owner, Keep::default(), |shelves| shelves.conversations().create_conversation(owner, &new));
    made.map_err(|error| of_conversations(&error))?;
    let NewConversation { id, created_at, metadata, .. } = new;
    shown_conversation(&StoredConversation { id, created_at, metadata })
}

fn add_items(shelves: &Shelves<'_>, owner: Owner<'_>, id: &str, items: Vec<Item>) -> Result<JsonText, GatewayError> {
    let added = shelves.with_room(owner, growing(id), |shelves| {
        shelves.conversations().append_items(owner, id, &items)?;
        shelves.conversations().touch_conversation(owner, id, shelves.now())
    });
    added.map_err(|error| of_conversations(&error))?;
    shown_list(&Listing { items, has_more: false }, Include::default())
}

fn growing(id: &str) -> Keep<'_> {
    Keep { response: None, conversation: Some(id) }
}

fn required(given: bool, param: &str) -> Result<(), GatewayError> {
    if given {
        return Ok(());
    }
    Err(GatewayError::invalid_with_code(param, format!("Missing required parameter: '{param}'."), "missing_required_parameter"))
}

fn items(body: &ConversationBody, batch: &str, sniff: Sniff) -> Result<Vec<Item>, GatewayError> {
    items_of(&conversation::items(body, batch, sniff)?)
}

fn metadata(body: &ConversationBody) -> Result<Json, GatewayError> {
    let labels: Metadata = conversation::metadata(body)?;
    Ok(Json::from(shown(&labels)?.get()))
}

fn shown_conversation(stored: &StoredConversation) -> Result<JsonText, GatewayError> {
    let metadata: BTreeMap<String, String> = serde_json::from_str(stored.metadata.as_str())
        .map_err(|error| GatewayError::Internal { message: format!("the conversation `{}` cannot be read: {error}", stored.id) })?;
    shown(&Conversation {
        id: Cow::Borrowed(&stored.id),
        object: Cow::Borrowed("conversation"),
        created_at: seconds_of(stored.created_at),
        metadata: Cow::Owned(metadata),
    })
}
