//! Where a request names media.

use outcrop_protocol::openai::{
    chat::{ChatCompletionRequest, ContentPart, MediaObject, MediaReference, MessageContent},
    loose::TextOr,
};

use super::{is_responses_body, parts::Place};
use crate::{
    dialect::media::{MediaUrl, UrlList},
    openai_responses::cursor,
};

/// The web addresses of a request, each once, in order.
#[must_use]
pub fn media_urls(request: &ChatCompletionRequest) -> Vec<MediaUrl> {
    if is_responses_body(request) {
        return cursor::media_urls(request);
    }
    let mut urls = UrlList::default();
    for (message, content) in
        request.messages.iter().flatten().enumerate().filter_map(|(at, message)| Some((at, message.content.as_ref()?)))
    {
        let MessageContent::List(parts) = content else { continue };
        for (part, content) in parts.iter().enumerate() {
            let place = Place { message, part };
            for (member, url) in addresses(content).into_iter().filter_map(|(member, url)| Some((member, url?))) {
                urls.add(url, || place.of(member));
            }
        }
    }
    urls.into_urls()
}

fn addresses(part: &ContentPart) -> [(&'static str, Option<&str>); 7] {
    let file = part.file.as_ref();
    [
        ("image_url", part.image_url.as_ref().and_then(borrowed_url)),
        ("video_url", part.video_url.as_ref().and_then(borrowed_url)),
        ("audio_url", part.audio_url.as_ref().and_then(borrowed_url)),
        ("file.file_data", file.and_then(|file| file.file_data.as_deref())),
        ("file.file_url", file.and_then(|file| file.file_url.as_deref())),
        ("file_data", part.file_data.as_deref()),
        ("file_url", part.file_url.as_deref()),
    ]
}

fn borrowed_url(reference: &MediaReference) -> Option<&str> {
    match reference {
        TextOr::Text(url) => Some(url),
        TextOr::Object(object) => object.url.as_deref(),
    }
}

/// Address, detail and bucket owner of a reference.
pub(crate) fn url_of(reference: MediaReference) -> (Option<String>, Option<String>, Option<String>) {
    match reference {
        TextOr::Text(url) => (Some(url), None, None),
        TextOr::Object(MediaObject { url, detail, bucket_owner }) => (url, detail, bucket_owner),
    }
}
