//! The web addresses of a request: they are fetched before it is read.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use outcrop_domain::json::JsonText;
use outcrop_protocol::openai::{
    body::decode_text,
    chat::ContentPart,
    loose::{TextOr, TextOrList, TextOrRaw},
    responses::{InputItem, InputParam, ResponsesRequest},
};

use super::{Earlier, linkage, place::Place};
use crate::dialect::media::{MediaUrl, UrlList};

/// The web addresses of a request and of what was stored earlier, each once, in order.
#[must_use]
pub fn media_urls(wire: &ResponsesRequest, earlier: &Earlier) -> Vec<MediaUrl> {
    let mut found = Found::default();
    for item in &earlier.items {
        found.item(item.get(), linkage::place_of_earlier(wire));
    }
    for item in earlier.referenced.values() {
        found.item(item.get(), linkage::REFERENCED);
    }
    if let Some(input) = &wire.input {
        found.input(input);
    }
    found.0.into_urls()
}

/// The web addresses of items alone.
pub(in crate::openai_responses) fn urls_of(input: &InputParam) -> Vec<MediaUrl> {
    let mut found = Found::default();
    found.input(input);
    found.0.into_urls()
}

/// The web addresses of items that are added to a conversation.
pub(super) fn urls_of_added(items: &[JsonText]) -> Vec<MediaUrl> {
    let mut found = Found::default();
    for (position, item) in items.iter().enumerate() {
        found.item(item.get(), Place::Added(position));
    }
    found.0.into_urls()
}

/// What `image_url` and `file_url` end with.
static URL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("_url\""));

static FILE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("file_data\""));

#[derive(Default)]
struct Found(UrlList);

impl Found {
    fn input(&mut self, input: &InputParam) {
        if let TextOrList::List(items) = input {
            for (position, item) in items.iter().enumerate() {
                self.item(item.get(), Place::Input(position));
            }
        }
    }

    fn item(&mut self, raw: &str, place: Place) {
        // Items are many and large, and few name an address: only those are parsed for it. What cannot be read is
        // reported when the items are.
        let may_name = URL.find(raw.as_bytes()).is_some() || FILE.find(raw.as_bytes()).is_some();
        let Some(item) = may_name.then(|| decode_text::<InputItem>(raw).ok()).flatten() else { return };
        if let Some(TextOrList::List(parts)) = &item.content {
            self.parts(parts, place, "content");
        }
        let raw = match item.output {
            Some(TextOrRaw::List(parts)) => parts,
            Some(TextOrRaw::Raw(part)) => vec![part],
            Some(TextOrRaw::Text(_)) | None => return,
        };
        // What is no part, such as the output of a shell, names no address.
        let parts: Vec<ContentPart> = raw.iter().map(|part| serde_json::from_str(part.get()).unwrap_or_default()).collect();
        self.parts(&parts, place, "output");
    }

    fn parts(&mut self, parts: &[ContentPart], place: Place, list: &'static str) {
        for (number, part) in parts.iter().enumerate() {
            for (member, url) in addresses(part) {
                if let Some(url) = url {
                    self.0.add(url, || place.part(list, number).of(member));
                }
            }
        }
    }
}

fn addresses(part: &ContentPart) -> [(&'static str, Option<&str>); 3] {
    let image = part.image_url.as_ref().and_then(|reference| match reference {
        TextOr::Text(url) => Some(url.as_str()),
        TextOr::Object(object) => object.url.as_deref(),
    });
    [("image_url", image), ("file_data", part.file_data.as_deref()), ("file_url", part.file_url.as_deref())]
}
