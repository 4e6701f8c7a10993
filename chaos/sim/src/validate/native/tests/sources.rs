//! Images and documents of a Messages body.

use base64::Engine as _;

use super::*;

fn image(media_type: &str, bytes: &[u8]) -> Value {
    json!({"type": "image", "source": {"type": "base64", "media_type": media_type, "data": STANDARD.encode(bytes)}})
}

fn document(source: Value) -> Value {
    json!({"type": "document", "source": source, "title": "report", "citations": {"enabled": true}})
}

#[test]
fn images_are_what_they_claim_and_not_too_large() {
    accepted(SONNET_45, &content(json!([image("image/png", &png(100, 100))])));
    refused(
        SONNET_45,
        &content(json!([image("image/jpeg", &png(100, 100))])),
        "messages.0.content.0.image.source.base64: The image was specified using the image/jpeg media type, but the image appears to be a image/png image",
    );
    refused(
        SONNET_45,
        &content(json!([image("image/png", b"x")])),
        "messages.0.content.0.image.source.base64.data: Could not process image",
    );
    refused(
        SONNET_45,
        &content(json!([image("image/tiff", &png(1, 1))])),
        "image.source.base64.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'",
    );
    refused(
        SONNET_45,
        &content(json!([image("image/png", &png(8001, 10))])),
        "At least one of the image dimensions exceed max allowed size: 8000 pixels",
    );
    let mut heavy = png(10, 10);
    heavy.resize(5_242_881, 0);
    refused(SONNET_45, &content(json!([image("image/png", &heavy)])), "image exceeds 5 MB maximum: 5242881 bytes > 5242880 bytes");
    let mut bad = image("image/png", &png(1, 1));
    bad["source"]["data"] = json!("%");
    refused(SONNET_45, &content(json!([bad])), "messages.0.content.0.image.source.base64.data: Invalid base64 data");
}

#[test]
fn nothing_is_fetched() {
    for kind in ["url", "file"] {
        let source = json!({"type": kind, "url": "https://example.com/a.png"});
        refused(
            SONNET_45,
            &content(json!([{"type": "image", "source": source.clone()}])),
            &format!(
                "messages.0.content.0.image.source: Input tag '{kind}' found using 'type' does not match any of the expected tags: 'base64'"
            ),
        );
        refused(SONNET_45, &content(json!([document(source)])), &format!("messages.0.content.0.document.source: Input tag '{kind}'"));
    }
}

#[test]
fn of_many_images_each_must_be_smaller() {
    let many = |count: usize, width: u32| content(json!(vec![image("image/png", &png(width, 10)); count]));
    accepted(SONNET_45, &many(20, 2_001));
    accepted(SONNET_45, &many(21, 2_000));
    refused(SONNET_45, &many(21, 2_001), "exceed max allowed size for many-image requests: 2000 pixels");
}

#[test]
fn documents_are_pdf_text_or_parts() {
    let pdf = |bytes: &[u8]| json!({"type": "base64", "media_type": "application/pdf", "data": STANDARD.encode(bytes)});
    accepted(SONNET_45, &content(json!([document(pdf(b"%PDF-1.7"))])));
    refused(SONNET_45, &content(json!([document(pdf(b"PK"))])), "The PDF specified was not valid.");
    accepted(SONNET_45, &content(json!([document(json!({"type": "text", "media_type": "text/plain", "data": "words"}))])));
    refused(
        SONNET_45,
        &content(json!([document(json!({"type": "text", "media_type": "text/html", "data": "words"}))])),
        "document.source.text.media_type: Input should be 'text/plain'",
    );
    let parts = json!({"type": "content", "content": [{"type": "text", "text": "a"}, image("image/png", &png(1, 1))]});
    accepted(SONNET_45, &content(json!([document(parts)])));
    let odd = json!({"type": "content", "content": [{"type": "audio"}]});
    refused(SONNET_45, &content(json!([document(odd)])), "content.0: Input tag 'audio'");
    let mut switched = document(json!({"type": "text", "media_type": "text/plain", "data": "words"}));
    switched["citations"] = json!({"enable": true});
    refused(SONNET_45, &content(json!([switched])), "document.citations.enable: Extra inputs are not permitted");
    let found = |text: Value| json!({"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": text}]});
    accepted(SONNET_45, &content(json!([found(json!("x"))])));
    refused(SONNET_45, &content(json!([found(json!(1))])), "search_result.content.0.text: Input should be a valid string");
}
