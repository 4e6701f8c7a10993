//! Text with citations: of the web by Nova's grounding, and of documents that want to be cited.

use serde::Serialize;
use serde_json::Value;

use super::Block;
use super::memory::Call;
use super::scene::Scene;
use super::words::keywords;
use crate::validate::shape::{Block as Given, Request, Source};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Citation {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_content: Option<[SourceContent; 1]>,
    location: Location,
}

#[derive(Serialize)]
struct SourceContent {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Location {
    Web(Web),
    DocumentChar { document_index: usize, start: usize, end: usize },
}

#[derive(Serialize)]
struct Web {
    url: String,
    domain: &'static str,
}

#[derive(Serialize)]
struct Query<'a> {
    query: &'a str,
}

/// A grounded answer, if the request offers grounding and the user asks something worth looking up. What was found is hidden, and the
/// sources stand behind the text that they are of, without a text of their own. Source: answers of Nova 2 Lite.
pub(super) fn cited(request: &Request<'_>, scene: &Scene<'_>, call: Call) -> Option<Vec<Block>> {
    const NAME: &str = "nova_grounding";
    let topics = keywords(&scene.said, 4);
    if !request.offers_system_tool(NAME) || topics.is_empty() {
        return None;
    }
    let topic = topics.join(" ");
    let citation = Citation {
        title: None,
        source_content: None,
        location: Location::Web(Web { url: format!("https://www.example.com/{}", topics.join("-")), domain: "www.example.com" }),
    };
    let citations = serde_json::to_value([citation]).ok()?;
    let id = call.tool_id(0);
    let input = serde_json::to_value(Query { query: &topic }).ok()?;
    Some(vec![
        Block::SystemToolUse { id: id.clone(), name: NAME, input },
        Block::SystemToolResult { id, kind: "nova_grounding_result", text: "[HIDDEN]".to_owned(), failed: false },
        Block::Text(format!("According to a recent page, {topic} is well documented")),
        Block::Cited { text: String::new(), citations },
        Block::Text(". More is not known.".to_owned()),
    ])
}

/// An answer that quotes the first sentence of each text among the documents that want to be cited.
pub(super) fn quoted(request: &Request<'_>) -> Option<Vec<Block>> {
    let documents = request.messages.iter().flat_map(|message| &message.content).filter_map(|placed| match &placed.block {
        Given::Document(document) => Some((placed.raw, document)),
        _ => None,
    });
    let mut blocks = Vec::new();
    for (document_index, (raw, document)) in documents.enumerate() {
        let wanted = ["/citations/enabled", "/document/citations/enabled"].iter().any(|path| raw.pointer(path) == Some(&Value::Bool(true)));
        let text = match &document.source {
            Source::Text(text) => text,
            Source::Content(texts) => texts.first().copied().unwrap_or_default(),
            Source::Bytes(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
            Source::S3 => "",
        };
        let quote = text.split_inclusive(". ").next().unwrap_or_default().trim_end();
        if !wanted || quote.is_empty() {
            continue;
        }
        let citation = Citation {
            title: Some(document.name.to_owned()),
            source_content: Some([SourceContent { text: quote.to_owned() }]),
            location: Location::DocumentChar { document_index, start: 0, end: quote.chars().count() },
        };
        blocks.push(Block::Text("It is written: ".to_owned()));
        blocks.push(Block::Cited { text: quote.to_owned(), citations: serde_json::to_value([citation]).ok()? });
    }
    (!blocks.is_empty()).then_some(blocks)
}
