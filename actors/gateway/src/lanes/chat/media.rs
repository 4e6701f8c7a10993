//! Fetches the media that a request names by URL.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use outcrop_domain::{
    chat::{MediaFormat, MediaKind},
    error::GatewayError,
};
use outcrop_translate::openai_chat::request::{Fetched, FetchedMedia, MediaUrl};

use super::{ChatContext, heavy};
use crate::settings::LiveSettings;

/// URLs fetched at once for one request.
const AT_ONCE: usize = 8;

/// Most URLs of one request: Converse takes 20 images and 5 documents per message.
const MOST_URLS: usize = 64;

/// Most bytes fetched for one request: more would not fit into a call anyway.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// What stands behind the URLs of a request.
#[derive(Debug, Default)]
pub(super) struct Media {
    /// By URL.
    pub(super) fetched: FetchedMedia,
    /// How much it is, before base64.
    pub(super) bytes: usize,
}

/// Fetches every URL. The first failure fails the request and names its field.
pub(super) async fn fetch_all(context: &ChatContext, urls: Vec<MediaUrl>, settings: &LiveSettings) -> Result<Media, GatewayError> {
    if let Some(first_beyond) = urls.get(MOST_URLS) {
        let message = format!("at most {MOST_URLS} different URLs can be fetched for one request");
        return Err(GatewayError::invalid(first_beyond.param.clone(), message));
    }
    let total = AtomicUsize::new(0);
    let total = &total;
    let fetches = stream::iter(urls).map(|wanted| async move {
        let param = Some(wanted.param.clone());
        let fetched = context.fetcher.fetch(&wanted.url, settings.fetch).await.map_err(|error| error.for_field(param.clone()))?;
        if total.fetch_add(fetched.bytes.len(), Ordering::Relaxed) + fetched.bytes.len() > MOST_BYTES {
            let message = format!("the URLs of this request hold more than {} MiB together", MOST_BYTES / (1024 * 1024));
            return Err(GatewayError::FetchFailed { message, param });
        }
        let format = (context.sniff)(&fetched.bytes, fetched.content_type.as_deref(), None).ok_or_else(|| GatewayError::FetchFailed {
            message: "the URL holds nothing that a model can take (image, document, video or audio)".to_owned(),
            param,
        })?;
        let bytes = fetched.bytes;
        let base64 = heavy::by_size(context.ports.blocking.as_ref(), bytes.len(), move || STANDARD.encode(&bytes)).await?;
        Ok::<_, GatewayError>((wanted.url, Fetched { base64, format }))
    });
    let fetched: Vec<(String, Fetched)> = fetches.buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(Media { fetched: collect(fetched), bytes: total.load(Ordering::Relaxed) })
}

/// What stands for fetched content when nothing may be sent: an image of one pixel's worth of text.
pub(super) fn stand_ins(urls: Vec<MediaUrl>) -> Media {
    let fetched = collect(urls.into_iter().map(|wanted| {
        let base64 = STANDARD.encode(format!("content of {}", wanted.url));
        (wanted.url, Fetched { base64, format: MediaFormat { kind: MediaKind::Image, name: "png" } })
    }));
    Media { fetched, bytes: 0 }
}

fn collect(fetched: impl IntoIterator<Item = (String, Fetched)>) -> FetchedMedia {
    let mut media = FetchedMedia::default();
    for (url, content) in fetched {
        media.insert(url, content);
    }
    media
}
