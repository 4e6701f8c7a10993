//! What the tests keep.

use outcrop_store::{Ending, Item, Json, NewConversation, NewResponse, Outcome, Owner, Running, Stage, UnixMillis};

/// Whose things they are.
pub(crate) const ANN: Owner<'static> = Owner("key_ann");
/// Who must not see them.
pub(crate) const BOB: Owner<'static> = Owner("key_bob");
/// A cap that nothing here reaches.
pub(crate) const PLENTY: u64 = 1 << 20;

pub(crate) fn item(id: &str) -> Item {
    Item { id: id.to_owned(), json: Json(format!(r#"{{"id":"{id}"}}"#)) }
}

pub(crate) fn items(ids: &[&str]) -> Vec<Item> {
    ids.iter().map(|id| item(id)).collect()
}

pub(crate) fn ids(items: &[Item]) -> Vec<&str> {
    items.iter().map(|item| item.id.as_str()).collect()
}

pub(crate) fn body(of: &str) -> Json {
    Json(format!(r#"{{"body":"{of}"}}"#))
}

/// A response in progress, whose input is one item `{id}-in`.
pub(crate) fn running(id: &str) -> NewResponse {
    NewResponse {
        id: id.to_owned(),
        created_at: UnixMillis(1_000),
        expires_at: None,
        model: "a-model".to_owned(),
        body: body("begun"),
        input: vec![item(&format!("{id}-in"))],
        conversation: None,
        previous: None,
        background: false,
        stage: Stage::Running(Running::InProgress),
    }
}

/// How the response `id` ends: its output is one item `{id}-out`.
pub(crate) fn ending(id: &str, outcome: Outcome) -> Ending {
    Ending { outcome, at: UnixMillis(2_000), output: vec![item(&format!("{id}-out"))] }
}

/// A completed response of one item in and one out.
pub(crate) fn completed(id: &str) -> NewResponse {
    NewResponse { stage: Stage::Ended(ending(id, Outcome::Completed)), body: body(id), ..running(id) }
}

/// A completed response that follows another.
pub(crate) fn following(id: &str, previous: &str) -> NewResponse {
    NewResponse { previous: Some(previous.to_owned()), ..completed(id) }
}

/// A response in progress that is part of a conversation.
pub(crate) fn within(id: &str, conversation: &str) -> NewResponse {
    NewResponse { conversation: Some(conversation.to_owned()), ..running(id) }
}

/// An empty conversation.
pub(crate) fn conversation(id: &str) -> NewConversation {
    NewConversation { id: id.to_owned(), created_at: UnixMillis(500), metadata: Json::from("{}"), items: Vec::new() }
}
