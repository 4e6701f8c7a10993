//! What searches have found: blocks of their own where the model takes them, else text.

use std::borrow::Cow;

use outcrop_domain::{adjust::Adjustments, chat::SearchResult as Found, model::ChatCapabilities};
use outcrop_protocol::bedrock::converse::{CitationsSwitch, SearchResult, TextBlock};

/// Stands where neither source nor title says anything: Converse insists on both.
const NAMELESS: &str = "search result";

/// A search result on the wire.
pub(super) enum Written<'a> {
    /// As a block.
    Block(SearchResult<'a>),
    /// As text.
    Text(Cow<'a, str>),
}

/// Writes one.
pub(super) fn write<'a>(found: &'a Found, model: &ChatCapabilities, notes: &mut Adjustments) -> Written<'a> {
    let cited = citations(found.citations, "search_result.citations", model, notes);
    let (source, title) = match (found.source.trim(), found.title.trim()) {
        ("", "") => (NAMELESS, NAMELESS),
        (source, "") => (source, source),
        ("", title) => (title, title),
        both => both,
    };
    let blocks = found.blocks.iter().filter(|text| !text.trim().is_empty());
    if model.search_results && blocks.clone().next().is_some() {
        let content = blocks.map(|text| TextBlock { text: Cow::Borrowed(text) }).collect();
        return Written::Block(SearchResult {
            source: Cow::Borrowed(source),
            title: Cow::Borrowed(title),
            content,
            citations: cited.then_some(CitationsSwitch { enabled: true }),
        });
    }
    notes.note("messages.content.search_result", "text");
    let head = if source == title { title.to_owned() } else { format!("{title}\n{source}") };
    Written::Text(Cow::Owned(blocks.fold(head, |text, block| format!("{text}\n\n{block}"))))
}

/// Whether the model is asked to cite: it can, or the wish is reported.
pub(super) fn citations(wished: bool, field: &'static str, model: &ChatCapabilities, notes: &mut Adjustments) -> bool {
    if wished && !model.citations {
        notes.note(field, "dropped");
    }
    wished && model.citations
}
