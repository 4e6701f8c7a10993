//! What stands behind addresses, in their place.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use outcrop_domain::chat::{MediaFormat, MediaKind};
use proptest::{prelude::*, sample::select};

use super::*;
use crate::dialect::{
    media::{Fetched, FetchedMedia},
    sniffer::sniff,
};

const PNG: &str = "https://a.example/1.png";
const PDF: &str = "https://a.example/2.pdf";
const TEXT: &str = "http://a.example/3.txt";
const NOTES: &str = "say \"a\\b\"\n\u{e9}";

fn fetched() -> FetchedMedia {
    let mut media = FetchedMedia::default();
    let all: [(&str, MediaKind, &'static str, &[u8]); 6] = [
        (PNG, MediaKind::Image, "png", b"\x89PNG"),
        (PDF, MediaKind::Document, "pdf", b"%PDF"),
        (TEXT, MediaKind::Document, "txt", NOTES.as_bytes()),
        ("https://a.example/4.docx", MediaKind::Document, "docx", b"PK"),
        ("https://a.example/5.html", MediaKind::Document, "html", b"<html>"),
        ("https://a.example/6.log", MediaKind::Document, "txt", &[1; 9]),
    ];
    for (url, kind, name, bytes) in all {
        media.insert(url.to_owned(), Fetched { base64: STANDARD.encode(bytes), format: MediaFormat { kind, name } });
    }
    media
}

fn body(content: &str) -> String {
    format!(
        r#" {{"max_tokens":1,"x":[1.50,"\u00e9"], "messages":[{{"role":"user","content":"a"}} ,{{"content" :{content},"role":"user"}}] }}"#
    )
}

fn image(url: &str) -> String {
    format!(r#"{{"type":"image","source":{{"type":"url","url":"{url}"}}}}"#)
}

fn document(url: &str) -> String {
    image(url).replace("image", "document")
}

fn inlined(content: &str) -> Result<Option<(String, String)>, GatewayError> {
    let body = body(content);
    let inlined = read(body.as_str(), Purpose::Answer).unwrap().with_media(&fetched(), sniff)?;
    Ok(inlined.map(|inlined| (String::from_utf8(inlined.bytes).unwrap(), inlined.adjustments.to_string())))
}

/// A source as it is written, by its address.
fn written(url: &str) -> String {
    match url {
        PNG => r#"{"type":"base64","media_type":"image/png","data":"iVBORw=="}"#.to_owned(),
        PDF => r#"{"type":"base64","media_type":"application/pdf","data":"JVBERg=="}"#.to_owned(),
        _ => format!(r#"{{"type":"text","media_type":"text/plain","data":{}}}"#, serde_json::to_string(NOTES).unwrap()),
    }
}

#[test]
fn only_the_source_changes_and_everything_around_it_stays_to_the_byte() {
    let source = |url: &str| format!(r#"{{ "url" : "{url}", "new":[1.0e2,{{}}],"type": "url" }}"#);
    let asked = |one: &str, two: &str, three: &str| {
        body(&format!(
            r#"[ {{"type":"image" , "source" :{one},"cache_control":{{"type":"ephemeral"}}}},{{"citations":{{"enabled":true}},"source":{two}
,"title":"a\u0062","type":"docu\u006dent"}} , {{"type":"document","source":{three} }}]"#
        ))
    };
    let before = asked(&source(PNG), &source(&PDF.replace("https", "htt\\u0070s").replace('/', "\\/")), &source(TEXT));
    let read = read(before.as_str(), Purpose::Answer).unwrap();
    let urls: Vec<(String, String)> = read.media_urls().into_iter().map(|found| (found.param, found.url)).collect();
    let at = |block: usize, url: &str| (format!("messages.1.content.{block}.source.url"), url.to_owned());
    assert_eq!(urls, [at(0, PNG), at(1, PDF), at(2, TEXT)]);
    let after = read.with_media(&fetched(), sniff).unwrap().unwrap();
    assert_eq!(std::str::from_utf8(&after.bytes).unwrap(), asked(&written(PNG), &written(PDF), &written(TEXT)));
    assert_eq!(after.adjustments.to_string(), "messages.content.source=fetched");
    assert!(after.bytes.capacity() <= after.bytes.len() + 3 * 128, "no second room: {}", after.bytes.capacity());
    assert!(!super::read(&after.bytes, Purpose::Answer).unwrap().names_urls());
}

#[test]
fn addresses_in_results_and_in_documents_of_blocks_are_found_and_each_is_named_once() {
    let content = |one: &str, two: &str| {
        format!(
            r#"[{{"type":"tool_result","tool_use_id":"t","content":[{{"type":"text","text":"https://a.example/no.png"}},{one},{two}]}},
            {{"source":{{"content":[{one}],"type":"content"}},"type":"document"}},{{"type":"novel","content":[{one}]}}]"#
        )
    };
    let asked = content(&image(PNG), &document(PDF));
    let text = body(&asked);
    let read = read(text.as_str(), Purpose::Answer).unwrap();
    let urls: Vec<(String, String)> = read.media_urls().into_iter().map(|found| (found.param, found.url)).collect();
    assert_eq!(
        urls,
        [
            ("messages.1.content.0.content.1.source.url".to_owned(), PNG.to_owned()),
            ("messages.1.content.0.content.2.source.url".to_owned(), PDF.to_owned())
        ]
    );
    let (of, source) = (|kind: &str, url| format!(r#"{{"type":"{kind}","source":{}}}"#, written(url)), inlined(&asked).unwrap().unwrap().0);
    assert_eq!(source, body(&content(&of("image", PNG), &of("document", PDF))));
}

#[test]
fn what_names_nothing_here_stays() {
    for content in [
        r#""https://a.example/1.png""#.to_owned(),
        format!(r#"[{{"type":"video","source":{{"type":"url","url":"{PNG}"}}}}]"#),
        format!(r#"[{{"type":"search_result","source":"{PNG}","title":"t","content":[]}}]"#),
        r#"[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"url","url":"https://a.example/no.png"}}]"#
            .to_owned(),
        format!(r#"[{{"type":"tool_use","id":"t","name":"f","input":{}}}]"#, image(PNG)),
    ] {
        assert_eq!(inlined(&content).unwrap().unwrap(), (body(&content), String::new()));
        assert!(read(body(&content), Purpose::Answer).unwrap().media_urls().is_empty(), "{content}");
    }
}

#[test]
fn content_in_the_address_itself_is_put_there_as_well() {
    let (text, adjusted) = inlined(&format!("[{}]", image("data:image/png;base64,iVBORw=="))).unwrap().unwrap();
    assert_eq!(
        (text, adjusted),
        (body(&format!(r#"[{{"type":"image","source":{}}}]"#, written(PNG))), "messages.content.source=inlined".to_owned())
    );
}

#[test]
fn what_the_api_has_no_source_for_is_left_to_translation() {
    for block in [
        document("https://a.example/4.docx"),
        document("https://a.example/5.html"),
        document("https://a.example/6.log"),
        document("s3://bucket/key.pdf"),
        // Many clients call everything an image.
        image(PDF),
        image("data:image/png;base64,!!"),
        r#"{"type":"image","source":{"type":"url"}}"#.to_owned(),
        r#"{"type":"image","source":{"type":"url","url":5}}"#.to_owned(),
    ] {
        assert_eq!(inlined(&format!("[{},{block}]", image(PNG))), Ok(None), "{block}");
    }
}

#[test]
fn what_may_not_stand_there_names_its_field() {
    let refused = |block: String| inlined(&format!("[{},{block}]", image(PNG))).unwrap_err();
    let error = refused(document(PNG));
    let GatewayError::InvalidRequest { param, message, .. } = &error else { panic!("{error:?}") };
    assert_eq!(param.as_deref(), Some("messages.1.content.1.source.url"));
    assert!(message.contains("is not a document"), "{message}");
    let error = refused(image("https://a.example/other.png"));
    assert!(
        matches!(&error, GatewayError::FetchFailed { param: Some(param), .. } if param == "messages.1.content.1.source.url"),
        "{error:?}"
    );
}

#[test]
fn a_document_counts_by_what_was_found() {
    let mut media = FetchedMedia::default();
    let format = MediaFormat { kind: MediaKind::Document, name: "pdf" };
    media.insert(PDF.to_owned(), Fetched { base64: "A".repeat(1 << 20), format });
    let asked = read(body(&format!("[{}]", document(PDF))), Purpose::Answer).unwrap();
    let sent = read(asked.with_media(&media, sniff).unwrap().unwrap().bytes, Purpose::Answer).unwrap();
    assert_eq!(sent.prompt_tokens() - asked.prompt_tokens(), 786_432 / 32 - 2_000);
    assert_eq!(sent.affinity(&[], None), asked.affinity(&[], None), "it is the same conversation");
}

proptest! {
    #[test]
    fn any_nesting_of_addresses_is_resolved_and_nothing_else_changes(
        blocks in prop::collection::vec((select(vec![Some(PNG), Some(PDF), Some(TEXT), None]), select(vec!["", "r", "d", "rr", "rd"]), select(vec!["", " ", "\n"])), 0..7),
    ) {
        let text = |with: &dyn Fn(&str) -> String| {
            let written = blocks.iter().map(|(url, nesting, space)| {
                let block = url.map_or_else(
                    || r#"{"type":"text","text":"\u0061 https://a.example/1.png"}"#.to_owned(),
                    |url| format!(r#"{{{space}"type":"{}","source"{space}:{}}}"#, if url == PNG { "image" } else { "document" }, with(url)),
                );
                nesting.chars().rev().fold(block, |inner, kind| match kind {
                    'r' => format!(r#"{{"content":[{inner}{space}],"type":"tool_result"}}"#),
                    _ => format!(r#"{{"source":{{"type":"content",{space}"content":[{inner}]}},"type":"document"}}"#),
                })
            });
            body(&format!("[{}]", written.collect::<Vec<_>>().join(" ,")))
        };
        let asked = text(&|url| format!(r#"{{"url":"{url}","type":"url"}}"#));
        let after = read(asked, Purpose::Answer).unwrap().with_media(&fetched(), sniff).unwrap().unwrap();
        prop_assert_eq!(String::from_utf8(after.bytes).unwrap(), text(&written));
    }
}
