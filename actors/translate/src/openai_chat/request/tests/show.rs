//! What was read, as the snapshots show it.

use serde_json::{Value, json};

use super::ReadChat;
use crate::{
    dialect::show,
    openai_chat::{AnswerShape, request::Delivery},
};

pub(super) fn chat(chat: &ReadChat) -> Value {
    let mut shown = show::request(&chat.model, &chat.request, &chat.adjustments);
    if chat.choices != 1 {
        shown.insert("choices".to_owned(), json!(chat.choices));
    }
    if chat.delivery != Delivery::Whole {
        shown.insert("delivery".to_owned(), json!(format!("{:?}", chat.delivery)));
    }
    if chat.shape != AnswerShape::default() {
        shown.insert("shape".to_owned(), json!(format!("{:?}", chat.shape)));
    }
    Value::Object(shown)
}
