//! Images and documents that stand behind addresses. Bedrock fetches none: what was found there takes the place of the
//! `source` that named it, and everything around stays as the client wrote it.

use std::{borrow::Cow, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use outcrop_domain::{
    adjust::Adjustments,
    chat::{Media, MediaKind, MediaSource},
    error::GatewayError,
};

use super::{MessagesBody, block::string};
use crate::{
    anthropic_messages::request::Place,
    dialect::{
        Sniff,
        media::{Expected, FetchedMedia, MediaReader, MediaUrl, UrlList, Wanted, is_data, is_web},
    },
    transparent::json::{Fault, Kind, Scanner, Span, Text},
};

/// Images that Claude takes. Source: Messages API, `Base64ImageSource`.
const IMAGES: [&str; 4] = ["gif", "jpeg", "png", "webp"];

/// Documents that are text as it stands. Source: Messages API, `PlainTextSource`.
const TEXTS: [&str; 3] = ["csv", "md", "txt"];

/// More bytes than a source has around its data. A body for which a few were missing would be moved to twice the room.
const SOURCE_FRAME: usize = 64;

/// A body that holds what its addresses stood for.
#[derive(PartialEq, Eq)]
pub struct Inlined {
    /// The JSON.
    pub bytes: Vec<u8>,
    /// That it was changed.
    pub adjustments: Adjustments,
}

impl fmt::Debug for Inlined {
    /// Callers' content never reaches logs: of the body only its size is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inlined").field("bytes", &self.bytes.len()).field("adjustments", &self.adjustments).finish()
    }
}

impl<B: AsRef<[u8]>> MessagesBody<B> {
    /// The web addresses of its images and documents, each once, in order: to be fetched before [`MessagesBody::with_media`].
    #[must_use]
    pub fn media_urls(&self) -> Vec<MediaUrl> {
        let mut urls = UrlList::default();
        for Link { url, param, .. } in self.links() {
            if let Some(url) = url {
                urls.add(&url, || param);
            }
        }
        urls.into_urls()
    }

    /// The body with what its images and documents name by address in the place of those addresses. `fetched` holds what
    /// [`MessagesBody::media_urls`] named. `None` when InvokeModel takes some of it in no form (office files, objects in S3):
    /// such a body needs a translation.
    ///
    /// # Errors
    /// `InvalidRequest` that names the field, for content that may not stand there and for too much of it; `FetchFailed` for
    /// an address that `fetched` lacks.
    pub fn with_media(&self, fetched: &FetchedMedia, sniff: Sniff) -> Result<Option<Inlined>, GatewayError> {
        let (text, links) = (self.text(), self.links());
        let reader = MediaReader::new(fetched, sniff);
        let added = fetched.characters(links.iter().filter_map(|link| link.url.as_deref()));
        let frames = links.len().saturating_mul(SOURCE_FRAME);
        let mut bytes = Vec::with_capacity(text.len().saturating_add(added).saturating_add(frames));
        let (mut done, mut adjustments) = (0, Adjustments::default());
        for link in links {
            let Some(address) = link.url else { return Ok(None) };
            let wanted = Wanted { expected: link.expected, content_type: None, name: None, bucket_owner: None };
            let (found, action) = if is_web(&address) {
                (reader.media(address.into_owned(), wanted, &link.param)?, "fetched")
            } else {
                // Its title may tell what its bytes do not: that is asked in the hub.
                let read = is_data(&address).then(|| reader.media(address.into_owned(), wanted, &link.param));
                let Some(Ok(found)) = read else { return Ok(None) };
                (found, "inlined")
            };
            bytes.extend_from_slice(Span { start: done, end: link.source.start }.of(text));
            if !write_source(&found, link.expected, &mut bytes) {
                return Ok(None);
            }
            done = link.source.end;
            adjustments.note("messages.content.source", action);
        }
        bytes.extend_from_slice(text.get(Span::at(done).range().start..).unwrap_or_default());
        Ok(Some(Inlined { bytes, adjustments }))
    }

    fn links(&self) -> Vec<Link<'_>> {
        let mut links = Vec::new();
        for (position, message) in self.index.messages.iter().enumerate().filter(|(_, message)| message.traits.link) {
            let Some(content) = message.content else { continue };
            let mut walk = Walk { scanner: Scanner::within(self.text(), content.span), links };
            // Read before, hence without a fault: what could be read is all there is.
            let _read = walk.list(&Place::top("messages", position), "content");
            links = walk.links;
        }
        // A block's own address may stand before or after those within it.
        links.sort_by_key(|link| link.source);
        links
    }
}

/// A source that names an address.
struct Link<'t> {
    /// The whole object.
    source: Span,
    /// What may stand there.
    expected: Expected,
    /// The address.
    url: Option<Cow<'t, str>>,
    /// Path of the address.
    param: String,
}

/// Where a source stands, and the address that it names.
type Named<'t> = (Span, Option<Cow<'t, str>>);

/// Goes through the blocks of a message, and through the blocks within them.
struct Walk<'t> {
    scanner: Scanner<'t>,
    links: Vec<Link<'t>>,
}

impl<'t> Walk<'t> {
    fn list(&mut self, parent: &Place<'_>, list: &'static str) -> Result<(), Fault> {
        if self.scanner.kind()? != Kind::Array {
            return self.scanner.skip().map(drop);
        }
        let mut members = self.scanner.enter()?;
        let mut position = 0;
        while self.scanner.element(&mut members)? {
            self.block(&parent.inside(list, position))?;
            position += 1;
        }
        Ok(())
    }

    fn block(&mut self, place: &Place<'_>) -> Result<(), Fault> {
        if self.scanner.kind()? != Kind::Object {
            return self.scanner.skip().map(drop);
        }
        let text = self.scanner.text();
        let (mut kind, mut source) = (None, None);
        let mut members = self.scanner.enter()?;
        while let Some(key) = self.scanner.key(&mut members)? {
            match key.decode(text).as_deref() {
                Some("type") => kind = string(&mut self.scanner)?,
                Some("source") => source = self.source(place)?,
                Some("content") => self.list(place, "content")?,
                _ => drop(self.scanner.skip()?),
            }
        }
        let expected = match kind.and_then(|kind: Text| kind.decode(text)).as_deref() {
            Some("image") => Expected::Image,
            Some("document") => Expected::Document,
            // Newer than this list: the model says what it thinks of it.
            _ => return Ok(()),
        };
        if let Some((source, url)) = source {
            self.links.push(Link { source, expected, url, param: place.of("source.url") });
        }
        Ok(())
    }

    /// `None` for a source that holds its content.
    fn source(&mut self, place: &Place<'_>) -> Result<Option<Named<'t>>, Fault> {
        if self.scanner.kind()? != Kind::Object {
            self.scanner.skip()?;
            return Ok(None);
        }
        let (text, start, before) = (self.scanner.text(), self.scanner.at(), self.links.len());
        let (mut kind, mut url): (Option<Text>, Option<Text>) = (None, None);
        let mut members = self.scanner.enter()?;
        while let Some(key) = self.scanner.key(&mut members)? {
            match key.decode(text).as_deref() {
                Some("type") => kind = string(&mut self.scanner)?,
                Some("url") => url = string(&mut self.scanner)?,
                Some("content") => self.list(place, "source.content")?,
                _ => drop(self.scanner.skip()?),
            }
        }
        if !kind.is_some_and(|kind| kind.is(text, "url")) {
            return Ok(None);
        }
        // What else stands in it goes with it.
        self.links.truncate(before);
        Ok(Some((Span::new(start, self.scanner.at()), url.and_then(|url| url.decode(text)))))
    }
}

/// Writes what was found as a source; false when the API has none for it.
fn write_source(found: &Media, expected: Expected, out: &mut Vec<u8>) -> bool {
    let MediaSource::Base64(data) = &found.source else { return false };
    let name = found.format.name;
    match (expected, found.format.kind) {
        (Expected::Image, MediaKind::Image) if IMAGES.contains(&name) => write_base64(&["image/", name], data, out),
        (Expected::Document, MediaKind::Document) if name == "pdf" => write_base64(&["application/", name], data, out),
        (Expected::Document, MediaKind::Document) if TEXTS.contains(&name) => write_text(data, out),
        _ => false,
    }
}

fn write_base64(media_type: &[&str], data: &str, out: &mut Vec<u8>) -> bool {
    let pieces =
        [r#"{"type":"base64","media_type":""#].into_iter().chain(media_type.iter().copied()).chain([r#"","data":""#, data, r#""}"#]);
    pieces.for_each(|piece| out.extend_from_slice(piece.as_bytes()));
    true
}

/// False for what is no plain text.
fn write_text(data: &str, out: &mut Vec<u8>) -> bool {
    let Some(text) = STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok()) else { return false };
    if escaped_length(&text) > text.len().saturating_mul(2) {
        return false;
    }
    out.extend_from_slice(br#"{"type":"text","media_type":"text/plain","data":"#);
    let written = serde_json::to_writer(&mut *out, &text);
    out.push(b'}');
    written.is_ok()
}

/// Bytes of a text in JSON. Control characters take six each, more than anybody has made room for: hardly any is a text.
fn escaped_length(text: &str) -> usize {
    let bytes = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    });
    bytes.sum()
}
