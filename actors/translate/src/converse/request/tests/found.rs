//! What the client's own searches have found, and documents of blocks.

use outcrop_domain::chat::{Content, Media, MediaFormat, MediaKind, MediaSource, SearchResult, ToolResultPart, ToolResultStatus};
use serde_json::json;

use super::{asking, assistant, call, presets, refused, result, text, tool, user, users, with_tools, written};

fn found(source: &str, title: &str, blocks: &[&str]) -> SearchResult {
    let blocks = blocks.iter().map(|text| (*text).to_owned()).collect();
    SearchResult { source: source.to_owned(), title: title.to_owned(), blocks, citations: true }
}

fn blocks(blocks: &[&str], citations: bool) -> Media {
    let source = MediaSource::TextBlocks(blocks.iter().map(|text| (*text).to_owned()).collect());
    Media {
        format: MediaFormat { kind: MediaKind::Document, name: "txt" },
        source,
        name: Some("Notes".to_owned()),
        context: None,
        citations,
    }
}

#[test]
fn a_search_result_is_a_block_of_its_own_where_the_model_takes_them() {
    let request = asking(vec![users(vec![text("Why?"), Content::SearchResult(found("https://a.example", "A", &["one", " ", "two"]))])]);
    let block = written(&request, &presets::claude_budget());
    assert_eq!(
        block.messages()[0]["content"][1],
        json!({"searchResult": {
            "source": "https://a.example", "title": "A", "content": [{"text": "one"}, {"text": "two"}], "citations": {"enabled": true}
        }})
    );
    assert_eq!(block.adjusted(), "");
    let as_text = written(&request, &presets::nova());
    assert_eq!(as_text.messages()[0]["content"][1], json!({"text": "A\nhttps://a.example\n\none\n\ntwo"}));
    assert_eq!(as_text.adjusted(), "search_result.citations=dropped,messages.content.search_result=text");
}

#[test]
fn a_search_result_may_stand_in_a_tool_result() {
    let parts = vec![ToolResultPart::Text("Found:".to_owned()), ToolResultPart::SearchResult(found("s", "t", &["x"]))];
    let answer = Content::ToolResult { id: "1".to_owned(), parts, status: ToolResultStatus::Unstated };
    let request = with_tools(vec![user("a"), assistant(vec![call("1", "f")]), users(vec![answer])], vec![tool("f")]);
    let block = written(&request, &presets::claude_budget());
    let content = &block.messages()[2]["content"][0]["toolResult"]["content"];
    assert_eq!(content[0], json!({"text": "Found:"}));
    assert_eq!(content[1]["searchResult"]["content"], json!([{"text": "x"}]));
    let as_text = written(&request, &presets::gpt());
    assert_eq!(as_text.messages()[2]["content"][0]["toolResult"]["content"][1], json!({"text": "t\ns\n\nx"}));
}

#[test]
fn a_search_result_without_names_or_text_still_keeps_the_rules() {
    let sent = |found: SearchResult| {
        let written = written(&asking(vec![users(vec![Content::SearchResult(found)])]), &presets::claude_budget());
        written.messages()[0]["content"][0].clone()
    };
    let nameless = sent(found(" ", "", &["x"]));
    assert_eq!(
        (&nameless["searchResult"]["source"], &nameless["searchResult"]["title"]),
        (&json!("search result"), &json!("search result"))
    );
    assert_eq!(sent(found("s", "", &["x"]))["searchResult"]["title"], json!("s"));
    assert_eq!(sent(found("s", "t", &[" "])), json!({"text": "t\ns"}));
}

#[test]
fn a_search_result_in_an_assistant_turn_is_dropped_and_told() {
    let result = Content::SearchResult(found("s", "t", &["x"]));
    let written = written(&asking(vec![user("a"), assistant(vec![text("b"), result]), user("c")]), &presets::claude_budget());
    assert_eq!(written.messages()[1]["content"], json!([{"text": "b"}]));
    assert_eq!(written.adjusted(), "messages.content=assistant_search_result_dropped");
}

#[test]
fn a_result_without_its_call_keeps_what_was_found() {
    let parts = vec![ToolResultPart::SearchResult(found("s", "t", &["x"]))];
    let orphan = Content::ToolResult { id: "9".to_owned(), parts, status: ToolResultStatus::Unstated };
    let written = written(&asking(vec![users(vec![orphan])]), &presets::claude_budget());
    assert_eq!(written.messages()[0]["content"][1]["searchResult"]["title"], json!("t"));
}

#[test]
fn a_document_of_blocks_keeps_them_where_they_are_cited_and_is_a_file_elsewhere() {
    let sent = |media: Media, model| {
        let written = written(&asking(vec![users(vec![text("See"), Content::Media(media)])]), &model);
        (written.messages()[0]["content"][1]["document"].clone(), written.adjusted())
    };
    let (cited, notes) = sent(blocks(&["one", " ", "two"], true), presets::claude_budget());
    assert_eq!(
        cited,
        json!({"name": "Notes", "format": "txt", "source": {"content": [{"text": "one"}, {"text": "two"}]}, "citations": {"enabled": true}})
    );
    assert_eq!(notes, "");
    let (file, _) = sent(blocks(&["one", "two"], false), presets::claude_budget());
    assert_eq!(file["source"], json!({"bytes": "b25lCgp0d28="}));
    let (uncited, notes) = sent(blocks(&["one", "two"], true), presets::nova());
    assert_eq!((&uncited["source"], notes.as_str()), (&json!({"bytes": "b25lCgp0d28="}), "document.citations=dropped"));
    assert!(uncited.get("citations").is_none());
    let (message, param) = refused(&asking(vec![users(vec![Content::Media(blocks(&[" "], true))])]), &presets::claude_budget());
    assert_eq!((message.as_str(), param.as_str()), ("document is empty", "messages[0].content[0]"));
}

#[test]
fn errors_name_the_clients_block_and_count_no_cache_marks() {
    use outcrop_domain::chat::CacheMark;
    let mark = Content::CachePoint(CacheMark { ttl: None });
    let request = asking(vec![users(vec![text("a"), mark, Content::Media(blocks(&[], false))])]);
    assert_eq!(refused(&request, &presets::claude_budget()).1, "messages[0].content[1]");
}

#[test]
fn sources_of_an_earlier_answer_are_left_out_and_told() {
    use outcrop_domain::chat::Citation;
    let source = Citation { title: None, source: None, quoted: Some("x".to_owned()), place: None };
    let cited = |citations| assistant(vec![Content::Cited { text: "b".to_owned(), citations }]);
    let with = written(&asking(vec![user("a"), cited(vec![source]), user("c")]), &presets::claude_budget());
    assert_eq!(
        (with.messages()[1]["content"].clone(), with.adjusted().as_str()),
        (json!([{"text": "b"}]), "messages.content.citations=dropped")
    );
    assert_eq!(written(&asking(vec![user("a"), cited(vec![]), user("c")]), &presets::claude_budget()).adjusted(), "");
}

#[test]
fn calls_of_another_providers_own_tools_are_no_models_business() {
    use outcrop_domain::chat::ToolOrigin;
    let search =
        Content::ToolUse { id: "s1".to_owned(), name: "web_search".to_owned(), input: super::json("{}"), origin: ToolOrigin::Server };
    let turns = vec![user("a"), assistant(vec![search, result("s1", "found"), text("So.")]), user("b")];
    let written = written(&asking(turns), &presets::nova_2());
    assert_eq!(written.messages()[1]["content"], json!([{"text": "So."}]));
    assert_eq!(written.adjusted(), "messages.server_tools=dropped");
}
