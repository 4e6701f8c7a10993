//! What the tests of this path share: the models of the book.

use std::sync::{Arc, LazyLock};

use outcrop_domain::model::{BUILTIN, ChatCapabilities, ModelBook, ModelSpec};

static BOOK: LazyLock<ModelBook> = LazyLock::new(|| ModelBook::load(BUILTIN).unwrap());

/// A Claude model by the rest of its id.
pub(super) fn claude(name: &str) -> &'static ChatCapabilities {
    let spec: &'static Arc<ModelSpec> = BOOK.get(&format!("anthropic.claude-{name}")).unwrap_or_else(|| panic!("no model {name}"));
    spec.chat.as_ref().unwrap()
}
