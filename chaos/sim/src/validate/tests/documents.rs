//! Images, documents, video, audio.

use super::*;

#[test]
fn images_need_support_and_honest_bytes() {
    let good = content(json!([{"text": "what is it"}, image("png", &png(64, 64))]));
    for id in [SONNET_45, NOVA, GPT, GROK, KIMI] {
        accepted(id, &good);
    }
    for id in [NOVA_MICRO, LLAMA, GPT_OSS, DEEPSEEK_R1] {
        refused(id, &good, "This model doesn't support the image field");
    }
    let lying = content(json!([image("jpeg", &png(64, 64))]));
    refused(SONNET_45, &lying, "The image was specified using the image/jpeg media type, but the image appears to be a image/png image");
    refused(SONNET_45, &content(json!([image("png", b"not an image")])), "Could not process image");
    refused(SONNET_45, &content(json!([image("png", &png(8001, 10))])), "exceed max allowed size: 8000 pixels");
    let mut heavy = png(64, 64);
    heavy.resize(3_932_161, 0);
    refused(SONNET_45, &content(json!([image("png", &heavy)])), "image exceeds 3.75 MB maximum");
}

#[test]
fn images_are_counted_per_message_and_shrink_when_many() {
    let message = |count: usize, size: u32| {
        let mut blocks = vec![json!({"text": "look"})];
        blocks.extend((0..count).map(|_| image("png", &png(size, size))));
        json!(blocks)
    };
    accepted(SONNET_45, &content(message(20, 2500)));
    refused(SONNET_45, &content(message(21, 10)), "The number of images in messages.0 is 21");
    let two = |size: u32| {
        json!({"messages": [{"role": "user", "content": message(11, size)}, {"role": "assistant", "content": [{"text": "ok"}]},
            {"role": "user", "content": message(11, size)}]})
    };
    accepted(SONNET_45, &two(2000));
    refused(SONNET_45, &two(2001), "max allowed size for many-image requests: 2000 pixels");
    accepted(NOVA, &two(2001));
}

#[test]
fn image_headers_tell_their_size() {
    let gif = b"GIF89a\x40\x00\x20\x00".to_vec();
    let jpeg = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08\x00\x30\x00\x50".to_vec();
    let mut webp = b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0".to_vec();
    webp.extend_from_slice(&[99, 0, 0, 49, 0, 0]);
    for (bytes, size) in [(png(7, 9), (7, 9)), (gif, (64, 32)), (jpeg, (80, 48)), (webp, (100, 50))] {
        assert_eq!(dimensions(&bytes), Some(size));
    }
    assert_eq!(dimensions(b"\x89PNG\r\n\x1a\n"), None);
}

#[test]
fn images_in_tool_results_follow_the_model() {
    let with_image = exchange(vec![], json!([{"toolResult": {"toolUseId": "tool_1", "content": [image("png", &png(8, 8))]}}]));
    accepted(SONNET_45, &with_image);
    refused(GPT, &with_image, "toolResult.content.image");
    let sibling = exchange(vec![], json!([result("tool_1"), image("png", &png(8, 8))]));
    accepted(GPT, &sibling);
}

#[test]
fn documents_need_plain_unique_names_and_a_text() {
    let with = |documents: Vec<Value>| {
        let mut blocks = vec![json!({"text": "read"})];
        blocks.extend(documents);
        content(json!(blocks))
    };
    let pdf = |name: &str| document(name, "pdf", b"%PDF-1.7");
    accepted(SONNET_45, &with(vec![pdf("My report (final) [v2]-x")]));
    for name in ["report.pdf", "a  b", "snake_case", "caf\u{e9}"] {
        refused(SONNET_45, &with(vec![pdf(name)]), "The document file name contains invalid characters");
    }
    refused(SONNET_45, &with(vec![pdf("")]), "length greater than or equal to 1");
    refused(SONNET_45, &with(vec![pdf(&"x".repeat(201))]), "length less than or equal to 200");
    refused(SONNET_45, &with(vec![pdf("a"), pdf("a")]), "Messages can not contain duplicate document names");
    accepted(SONNET_45, &with(vec![pdf("a"), pdf("b")]));
    refused(SONNET_45, &content(json!([pdf("a")])), "A text block must be included when using documents");
    let six: Vec<Value> = (0..6).map(|index| pdf(&format!("d{index}"))).collect();
    refused(SONNET_45, &with(six), "exceeds the limit of 5 documents");
    let in_result = exchange(vec![], json!([{"toolResult": {"toolUseId": "tool_1", "content": [pdf("a"), pdf("a")]}}]));
    refused(SONNET_45, &in_result, "duplicate document names");
}

#[test]
fn documents_need_support_and_honest_bytes() {
    let with = |format: &str, bytes: &[u8]| content(json!([{"text": "read"}, document("a", format, bytes)]));
    refused(NOVA_MICRO, &with("txt", b"x"), "This model doesn't support documents");
    refused(SONNET_45, &with("pdf", b"plain"), "The PDF specified was not valid.");
    refused(SONNET_45, &with("docx", b"plain"), "The DOCX specified was not valid.");
    refused(SONNET_45, &with("txt", b"\xff\xfe"), "The TXT specified was not valid.");
    refused(SONNET_45, &with("rtf", b"x"), "enum value set: [pdf, csv,");
    accepted(SONNET_45, &with("docx", b"PK\x03\x04rest"));
    accepted(LLAMA, &with("md", b"# Title"));
    let mut heavy = b"%PDF-".to_vec();
    heavy.resize(4_718_593, b'x');
    refused(SONNET_45, &with("pdf", &heavy), "exceeds the maximum size of 4.5 MB");
    accepted(
        SONNET_45,
        &content(json!([{"text": "read"}, {"document": {"name": "a", "source": {"text": "words"}, "citations": {"enabled": true}}}])),
    );
}

#[test]
fn video_audio_and_s3_follow_the_model() {
    let video = content(json!([{"text": "x"}, {"video": {"format": "mp4", "source": {"bytes": "AAAA"}}}]));
    accepted(NOVA, &video);
    refused(SONNET_45, &video, "This model doesn't support the video field");
    let audio = content(json!([{"text": "x"}, {"audio": {"format": "mp3", "source": {"bytes": "AAAA"}}}]));
    accepted("mistral.voxtral-mini-3b-2507", &audio);
    refused(NOVA, &audio, "This model doesn't support the audio field");
    let stored = |uri: &str| {
        content(json!([{"text": "x"}, {"image": {"format": "png", "source": {"s3Location": {"uri": uri, "bucketOwner": "123456789012"}}}}]))
    };
    accepted(NOVA, &stored("s3://my-bucket/key.png"));
    refused(SONNET_45, &stored("s3://my-bucket/key.png"), "s3Location");
    refused(NOVA, &stored("https://example.com/x"), "Member must satisfy regular expression pattern: s3://");
}

#[test]
fn search_results_are_for_claude() {
    let found = content(
        json!([{"text": "x"}, {"searchResult": {"source": "s", "title": "t", "content": [{"text": "c"}], "citations": {"enabled": true}}}]),
    );
    accepted(SONNET_45, &found);
    refused(NOVA, &found, "searchResult");
    refused(
        SONNET_45,
        &content(json!([{"searchResult": {"source": "s", "content": []}}])),
        "searchResult.title' failed to satisfy constraint",
    );
}
