//! Images, documents, video, audio.

use outcrop_domain::{
    chat::{CacheMark, ChatRequest, Content, Media, MediaFormat, MediaKind, MediaSource, ToolResultPart, ToolResultStatus},
    model::ChatCapabilities,
};
use serde_json::json;

use super::{asking, assistant, call, presets, refused, text, tool, user, users, with_tools, written};

fn media(kind: MediaKind, name: &'static str, source: MediaSource) -> Media {
    Media { format: MediaFormat { kind, name }, source, name: None, context: None, citations: false }
}

fn bytes(text: &str) -> MediaSource {
    MediaSource::Base64(text.to_owned())
}

fn image() -> Media {
    media(MediaKind::Image, "png", bytes("aW1n"))
}

fn pdf(name: &str) -> Media {
    Media { name: Some(name.to_owned()), ..media(MediaKind::Document, "pdf", bytes("cGRm")) }
}

fn sending(items: Vec<Media>) -> ChatRequest {
    asking(vec![users(std::iter::once(text("See")).chain(items.into_iter().map(Content::Media)).collect())])
}

#[test]
fn every_kind_has_its_block() {
    let s3 = MediaSource::S3 { uri: "s3://bucket/clip.mp4".to_owned(), bucket_owner: Some("123456789012".to_owned()) };
    let model = ChatCapabilities { audio: true, ..presets::nova() };
    let items = vec![image(), media(MediaKind::Video, "mp4", s3), media(MediaKind::Audio, "wav", bytes("d2F2")), pdf("a.pdf")];
    let written = written(&sending(items), &model);
    assert_eq!(
        written.messages()[0]["content"],
        json!([
            {"text": "See"},
            {"image": {"format": "png", "source": {"bytes": "aW1n"}}},
            {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://bucket/clip.mp4", "bucketOwner": "123456789012"}}}},
            {"audio": {"format": "wav", "source": {"bytes": "d2F2"}}},
            {"document": {"name": "a", "format": "pdf", "source": {"bytes": "cGRm"}}},
        ])
    );
    assert_eq!(written.adjusted(), "document.name=renamed");
}

#[test]
fn what_the_model_does_not_take_is_refused_by_kind_and_place() {
    let refusal = |item: Media, model: &ChatCapabilities| refused(&sending(vec![item]), model);
    assert_eq!(
        refusal(image(), &presets::llama()),
        ("model `test-model` does not accept images".to_owned(), "messages[0].content[1]".to_owned())
    );
    assert_eq!(
        refusal(media(MediaKind::Video, "mp4", bytes("eA==")), &presets::claude_budget()).0,
        "model `test-model` does not accept video"
    );
    assert_eq!(refusal(media(MediaKind::Audio, "mp3", bytes("eA==")), &presets::nova()).0, "model `test-model` does not accept audio");
    let s3 = MediaSource::S3 { uri: "s3://b/k".to_owned(), bucket_owner: None };
    let (message, _) = refusal(media(MediaKind::Image, "png", s3), &presets::claude_budget());
    assert_eq!(message, "model `test-model` does not accept s3:// sources; send the bytes instead");
}

#[test]
fn pain_37_limits_are_found_before_the_call() {
    let model = presets::nova();
    let sized = |kind, name, bytes: usize| sending(vec![media(kind, name, MediaSource::Base64("A".repeat(bytes / 3 * 4)))]);
    assert_eq!(refused(&sized(MediaKind::Image, "png", 3_932_163), &model).0, "image is 3932163 bytes; Bedrock takes at most 3.75 MB");
    assert_eq!(refused(&sized(MediaKind::Document, "pdf", 4_718_595), &model).0, "document is 4718595 bytes; Bedrock takes at most 4.5 MB");
    assert_eq!(refused(&sized(MediaKind::Video, "mp4", 26_214_402), &model).0, "video is 26214402 bytes; Bedrock takes at most 25 MB");
    assert_eq!(refused(&sized(MediaKind::Image, "png", 0), &model).0, "image is empty");
    written(&sized(MediaKind::Image, "png", 3_932_160), &model);
    let (message, param) =
        refused(&asking(vec![user("a"), assistant(vec![text("b")]), sending(vec![image(); 21]).messages.remove(0)]), &model);
    assert_eq!(message, "the user turn that begins with messages[2] holds 21 images; Bedrock takes at most 20 in one turn");
    assert_eq!(param, "messages[2]");
    assert!(refused(&sending(vec![pdf("a"); 6]), &model).0.contains("holds 6 documents"));
}

#[test]
fn pain_36_names_are_unique_across_messages_and_tool_results() {
    let in_result = Content::ToolResult {
        id: "1".to_owned(),
        parts: vec![ToolResultPart::Media(pdf("report.pdf"))],
        status: ToolResultStatus::Unstated,
    };
    let turns = vec![sending(vec![pdf("report.pdf")]).messages.remove(0), assistant(vec![call("1", "f")]), users(vec![in_result])];
    let written = written(&with_tools(turns, vec![tool("f")]), &presets::claude_budget());
    assert_eq!(written.messages()[0]["content"][1]["document"]["name"], "report");
    assert_eq!(written.messages()[2]["content"][0]["toolResult"]["content"][0]["document"]["name"], "report (2)");
}

#[test]
fn a_document_alone_gets_company() {
    let written = written(&asking(vec![users(vec![Content::Media(pdf("a"))])]), &presets::nova());
    assert_eq!(written.messages()[0]["content"][1], json!({"text": "See the attached document."}));
    assert_eq!(written.adjusted(), "messages.content=text_added_to_document");
}

#[test]
fn a_text_document_is_sent_as_a_file_unless_it_is_to_be_cited() {
    let plain = media(MediaKind::Document, "txt", MediaSource::Text("hi".to_owned()));
    let cited = Media { citations: true, context: Some("ctx".to_owned()), name: Some("n".to_owned()), ..plain.clone() };
    let written = written(&sending(vec![plain, cited]), &presets::claude_budget());
    assert_eq!(
        written.messages()[0]["content"][1],
        json!({"document": {"name": "document-1", "format": "txt", "source": {"bytes": "aGk="}}})
    );
    assert_eq!(
        written.messages()[0]["content"][2],
        json!({"document": {"name": "n", "format": "txt", "source": {"text": "hi"}, "context": "ctx", "citations": {"enabled": true}}})
    );
}

#[test]
fn pain_14_no_mark_stands_directly_behind_a_text_document() {
    let document = Content::Media(media(MediaKind::Document, "txt", MediaSource::Text("hi".to_owned())));
    let mark = Content::CachePoint(CacheMark { ttl: None });
    let point = json!({"cachePoint": {"type": "default"}});
    let before = written(&asking(vec![users(vec![text("a"), document.clone(), mark.clone()])]), &presets::claude_budget());
    assert_eq!(before.messages()[0]["content"][1], point);
    let after = written(&asking(vec![users(vec![document, mark, text("a")])]), &presets::claude_budget());
    assert_eq!(after.messages()[0]["content"][2], point);
    assert_eq!(after.adjusted(), "cache_control=moved");
}

#[test]
fn images_of_a_tool_result_stand_beside_it_where_the_model_wants_them_there() {
    let seen = |id: &str| Content::ToolResult {
        id: id.to_owned(),
        parts: vec![ToolResultPart::Media(image())],
        status: ToolResultStatus::Unstated,
    };
    let turns = vec![user("a"), assistant(vec![call("1", "f"), call("2", "f")]), users(vec![seen("1"), seen("2")])];
    let request = with_tools(turns, vec![tool("f")]);
    let inside = written(&request, &presets::claude_budget());
    assert_eq!(inside.messages()[2]["content"][0]["toolResult"]["content"][0]["image"]["format"], "png");
    let beside = written(&request, &presets::gpt());
    let kinds: Vec<_> = beside.messages()[2]["content"]
        .as_array()
        .unwrap()
        .iter()
        .map(|block| block.as_object().unwrap().keys().next().unwrap().clone())
        .collect();
    assert_eq!(kinds, ["toolResult", "toolResult", "image", "image"]);
    assert_eq!(beside.messages()[2]["content"][0]["toolResult"]["content"], json!([{"text": "(see the attached file)"}]));
    assert_eq!(beside.adjusted(), "messages.tool.content=media_moved_beside");
}

#[test]
fn an_image_in_an_assistant_turn_is_dropped_and_told() {
    let written = written(&asking(vec![user("a"), assistant(vec![text("b"), Content::Media(image())]), user("c")]), &presets::nova());
    assert_eq!(written.messages()[1]["content"], json!([{"text": "b"}]));
    assert_eq!(written.adjusted(), "messages.content=assistant_media_dropped");
}
