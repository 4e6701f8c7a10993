//! Media: data URLs, plain base64, fetched web addresses, S3 objects.
//!
//! Base64 stays text from the client to the wire; it is only checked, and a few hundred characters of it are
//! decoded to tell the format. What a client *says* a file is does not count where its bytes tell.

mod base64_text;

use std::{cell::Cell, collections::HashMap};

use outcrop_domain::{
    chat::{Content, Media, MediaFormat, MediaKind, MediaSource},
    error::GatewayError,
};

use super::Sniff;

/// A web address that must be fetched before a request is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaUrl {
    /// Path of the member that holds it, for errors.
    pub param: String,
    /// The address.
    pub url: String,
    /// How often the request names it: what stands behind it is sent as often.
    pub mentions: usize,
}

/// What was fetched, by address.
#[derive(Debug, Clone, Default)]
pub struct FetchedMedia(HashMap<String, Fetched>);

/// A fetched medium.
#[derive(Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Standard base64 without line breaks.
    pub base64: String,
    /// What the fetcher found it to be.
    pub format: MediaFormat,
}

impl std::fmt::Debug for Fetched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fetched({:?}, {} characters)", self.format, self.base64.len())
    }
}

impl FetchedMedia {
    /// Adds what was found at `url` (the address as the request has it, before redirects).
    pub fn insert(&mut self, url: String, fetched: Fetched) {
        self.0.insert(url, fetched);
    }

    /// Characters of base64 that so many addresses stand for, as far as a [`MediaReader`] hands them out.
    pub(crate) fn characters<'u>(&self, urls: impl Iterator<Item = &'u str>) -> usize {
        let all = urls.filter_map(|url| self.0.get(url)).fold(0, |sum: usize, found| sum.saturating_add(found.base64.len()));
        all.min(MOST_FETCHED)
    }
}

/// Collects the web addresses of a request, each once, in order.
#[derive(Default)]
pub(crate) struct UrlList {
    /// Places in `urls`.
    seen: HashMap<String, usize>,
    urls: Vec<MediaUrl>,
}

impl UrlList {
    /// Adds `url` when it is a web address, and counts it when it is listed already. `param` is its path.
    pub(crate) fn add(&mut self, url: &str, param: impl FnOnce() -> String) {
        if !is_web(url) {
            return;
        }
        match self.seen.get(url).and_then(|place| self.urls.get_mut(*place)) {
            Some(listed) => listed.mentions += 1,
            None => {
                self.seen.insert(url.to_owned(), self.urls.len());
                self.urls.push(MediaUrl { param: param(), url: url.to_owned(), mentions: 1 });
            }
        }
    }

    /// The list.
    pub(crate) fn into_urls(self) -> Vec<MediaUrl> {
        self.urls
    }
}

/// Kind of medium that a block may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// An image. Other media pass where the client does not call them an image: many clients have no other part
    /// for videos and PDFs.
    Image,
    /// A video.
    Video,
    /// An audio clip.
    Audio,
    /// A document.
    Document,
    /// Whatever models take.
    Any,
}

/// What the block says of its medium.
pub(crate) struct Wanted {
    /// What may stand there.
    pub(crate) expected: Expected,
    /// What the client calls it.
    pub(crate) content_type: Option<String>,
    /// File name.
    pub(crate) name: Option<String>,
    /// Account that owns the bucket of an `s3:` address.
    pub(crate) bucket_owner: Option<String>,
}

/// Most characters of base64 that the web addresses of one request may stand for. One address may be named any number of
/// times, and every time its medium is sent: a short request could become one that fills the memory. No model takes so much.
const MOST_FETCHED: usize = 64 * 1024 * 1024;

/// Turns references into media blocks.
pub(crate) struct MediaReader<'a> {
    fetched: &'a FetchedMedia,
    sniff: Sniff,
    /// Characters of base64 that web addresses may still stand for.
    left: Cell<usize>,
}

impl<'a> MediaReader<'a> {
    /// A reader of media that `fetched` holds as far as they are named by web address.
    pub(crate) fn new(fetched: &'a FetchedMedia, sniff: Sniff) -> Self {
        Self { fetched, sniff, left: Cell::new(MOST_FETCHED) }
    }

    /// Reads one reference as a block of content.
    pub(crate) fn read(&self, reference: String, wanted: Wanted, param: &str) -> Result<Content, GatewayError> {
        self.media(reference, wanted, param).map(Content::Media)
    }

    /// Reads one reference: a URL, or (files, audio) plain base64.
    pub(crate) fn media(&self, reference: String, wanted: Wanted, param: &str) -> Result<Media, GatewayError> {
        let named_by_address = name_in_address(&reference);
        let (format, source) = if is_web(&reference) {
            self.fetched(&reference, wanted.expected, param)?
        } else if reference.starts_with("s3://") {
            self.in_s3(reference, &wanted, param)?
        } else if is_data(&reference) {
            self.data_url(reference, &wanted, param)?
        } else if matches!(wanted.expected, Expected::Any | Expected::Audio) {
            self.inline(reference, wanted.content_type.as_deref(), &wanted, param)?
        } else {
            return Err(invalid_value(param, format!("`{param}` must be a `data:`, `http(s):` or `s3:` URL")));
        };
        let name = wanted.name.or_else(|| named_by_address.filter(|_| format.kind == MediaKind::Document));
        Ok(Media { format, source, name, context: None, citations: false })
    }

    fn fetched(&self, url: &str, expected: Expected, param: &str) -> Result<(MediaFormat, MediaSource), GatewayError> {
        let Some(found) = self.fetched.0.get(url) else {
            let message = format!("`{param}`: the address was not fetched");
            return Err(GatewayError::FetchFailed { message, param: Some(param.to_owned()) });
        };
        let format = fit(Some(found.format), None, expected, param)?;
        let Some(left) = self.left.get().checked_sub(found.base64.len()) else {
            let message = format!("`{param}`: the addresses of this request stand for more than {MOST_FETCHED} characters of base64");
            return Err(invalid_value(param, message));
        };
        self.left.set(left);
        Ok((format, MediaSource::Base64(found.base64.clone())))
    }

    /// An S3 object is not read here; its name must tell its format.
    fn in_s3(&self, uri: String, wanted: &Wanted, param: &str) -> Result<(MediaFormat, MediaSource), GatewayError> {
        let path =
            uri.strip_prefix("s3://").and_then(|path| path.split_once('/')).filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty());
        let Some((_, key)) = path else {
            return Err(invalid_value(param, format!("`{param}` must be of the form s3://bucket/key")));
        };
        let name = wanted.name.as_deref().filter(|name| name.contains('.')).or_else(|| key.rsplit('/').next());
        let Some(format) = (self.sniff)(&[], None, name) else {
            return Err(invalid_value(param, format!("`{param}`: the file extension does not tell a format that models take")));
        };
        let format = fit(Some(format), None, wanted.expected, param)?;
        Ok((format, MediaSource::S3 { uri, bucket_owner: wanted.bucket_owner.clone() }))
    }

    fn data_url(&self, mut url: String, wanted: &Wanted, param: &str) -> Result<(MediaFormat, MediaSource), GatewayError> {
        let Some((head, _)) = url.split_once(',') else {
            return Err(invalid_value(param, format!("`{param}` is not a data URL: it has no comma")));
        };
        let start = head.len() + 1;
        let settings = head.get("data:".len()..).unwrap_or_default();
        let encoded = settings.rsplit(';').next().is_some_and(|last| last.trim().eq_ignore_ascii_case("base64"));
        let content_type = settings.split(';').next().map(|kind| kind.trim().to_ascii_lowercase()).filter(|kind| kind.contains('/'));
        url.drain(..start);
        let text = if encoded { url } else { base64_text::of_percent_encoded(&url) };
        self.inline(text, content_type.as_deref(), wanted, param)
    }

    /// Reads plain base64.
    pub(crate) fn base64(&self, text: String, wanted: Wanted, param: &str) -> Result<Media, GatewayError> {
        let (format, source) = self.inline(text, wanted.content_type.as_deref(), &wanted, param)?;
        Ok(Media { format, source, name: wanted.name, context: None, citations: false })
    }

    fn inline(
        &self,
        text: String,
        content_type: Option<&str>,
        wanted: &Wanted,
        param: &str,
    ) -> Result<(MediaFormat, MediaSource), GatewayError> {
        let Some(text) = base64_text::standard(text) else {
            return Err(invalid_value(param, format!("`{param}` does not hold valid base64")));
        };
        let found = (self.sniff)(&base64_text::first_bytes(&text), content_type, wanted.name.as_deref());
        Ok((fit(found, content_type, wanted.expected, param)?, MediaSource::Base64(text)))
    }
}

/// Checks that what was found may stand where it was sent.
fn fit(found: Option<MediaFormat>, said: Option<&str>, expected: Expected, param: &str) -> Result<MediaFormat, GatewayError> {
    let called_image = said.is_some_and(|said| said.starts_with("image/"));
    let fitting = found.filter(|format| match expected {
        Expected::Image => format.kind == MediaKind::Image || !called_image,
        Expected::Video => format.kind == MediaKind::Video,
        Expected::Audio => format.kind == MediaKind::Audio,
        Expected::Document => format.kind == MediaKind::Document,
        Expected::Any => true,
    });
    fitting.ok_or_else(|| {
        let what = match expected {
            Expected::Image => "an image in a format that models take (png, jpeg, gif, webp)",
            Expected::Video => "a video in a format that models take (mp4, mov, mkv, webm, flv, mpeg, wmv, 3gp)",
            Expected::Audio => "audio in a format that models take (mp3, wav, flac, ogg, opus, aac, m4a, webm)",
            Expected::Document => "a document in a format that models take (pdf, docx, xlsx, csv, html, txt, md)",
            Expected::Any => "a file in a format that models take",
        };
        invalid_value(param, format!("`{param}` is not {what}"))
    })
}

/// The file name at the end of a web or S3 address: documents want a name, and this one says something.
fn name_in_address(reference: &str) -> Option<String> {
    if !is_web(reference) && !reference.starts_with("s3://") {
        return None;
    }
    let path = reference.split(['?', '#']).next()?.split_once("://")?.1;
    let name = path.rsplit_once('/')?.1;
    (!name.is_empty()).then(|| name.to_owned())
}

/// An address that is fetched.
pub(crate) fn is_web(text: &str) -> bool {
    starts_with_ignoring_case(text, "https://") || starts_with_ignoring_case(text, "http://")
}

/// An address that holds its content itself.
pub(crate) fn is_data(text: &str) -> bool {
    starts_with_ignoring_case(text, "data:")
}

fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn invalid_value(param: &str, message: String) -> GatewayError {
    GatewayError::invalid_with_code(param, message, "invalid_value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_be_named_without_end() {
        let mut fetched = FetchedMedia::default();
        let url = "https://example.com/a.png";
        let format = MediaFormat { kind: MediaKind::Image, name: "png" };
        fetched.insert(url.to_owned(), Fetched { base64: "AAAA".to_owned(), format });
        let reader = MediaReader::new(&fetched, |_, _, _| None);
        reader.left.set(8);
        let wanted = || Wanted { expected: Expected::Image, content_type: None, name: None, bucket_owner: None };
        for _ in 0..2 {
            reader.read(url.to_owned(), wanted(), "messages[0]").unwrap();
        }
        let error = reader.read(url.to_owned(), wanted(), "messages[2]").unwrap_err();
        assert!(matches!(&error, GatewayError::InvalidRequest { param: Some(param), .. } if param == "messages[2]"), "{error}");
    }
}
