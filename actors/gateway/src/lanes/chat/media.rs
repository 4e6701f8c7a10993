//! Fetches the media that a request names by URL.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use outcrop_domain::{
    chat::{MediaFormat, MediaKind},
    error::GatewayError,
};
use outcrop_translate::openai_chat::request::{Fetched, FetchedMedia, MediaUrl};

use super::{ChatContext, heavy};
use crate::{ports::HeldMemory, settings::LiveSettings};

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
    /// How much it is in base64, as often as the request names it.
    pub(super) bytes: usize,
}

/// Fetches every URL. The first failure fails the request and names its field.
///
/// What is fetched takes room in the memory for requests as it arrives, as often as it is named: nobody knows before how much it
/// will be, and the body that named it may have been tiny.
pub(super) async fn fetch_all(
    context: &ChatContext,
    urls: Vec<MediaUrl>,
    settings: &LiveSettings,
    held: Option<&Arc<dyn HeldMemory>>,
) -> Result<Media, GatewayError> {
    if let Some(first_beyond) = urls.get(MOST_URLS) {
        let message = format!("at most {MOST_URLS} different URLs can be fetched for one request");
        return Err(GatewayError::invalid(first_beyond.param.clone(), message));
    }
    let (total, sent) = (&AtomicUsize::new(0), &AtomicUsize::new(0));
    let fetches = stream::iter(urls).map(|wanted| async move {
        let param = Some(wanted.param.clone());
        let admit = |bytes: usize| {
            if total.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > MOST_BYTES {
                let message = format!("the URLs of this request hold more than {} MiB together", MOST_BYTES / (1024 * 1024));
                return Err(GatewayError::FetchFailed { message, param: param.clone() });
            }
            let all = in_base64(bytes).saturating_mul(wanted.mentions);
            sent.fetch_add(all, Ordering::Relaxed);
            held.map_or(Ok(()), |held| held.grow(all))
        };
        let fetched = context.fetcher.fetch(&wanted.url, settings.fetch, &admit).await;
        let fetched = fetched.map_err(|error| error.for_field(param.clone()))?;
        let format = (context.sniff)(&fetched.bytes, fetched.content_type.as_deref(), None).ok_or_else(|| GatewayError::FetchFailed {
            message: "the URL holds nothing that a model can take (image, document, video or audio)".to_owned(),
            param,
        })?;
        let (bytes, held) = (fetched.bytes, held.cloned());
        let base64 = heavy::by_size(context.ports.blocking.as_ref(), bytes.len(), move || {
            // The room stays with the bytes: the job may be dropped while they are in other hands.
            let _held = held;
            STANDARD.encode(&bytes)
        })
        .await?;
        Ok::<_, GatewayError>((wanted.url, Fetched { base64, format }))
    });
    let fetched: Vec<(String, Fetched)> = fetches.buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(Media { fetched: collect(fetched), bytes: sent.load(Ordering::Relaxed) })
}

/// How many bytes so many are in base64, which is what they are kept and sent in.
fn in_base64(bytes: usize) -> usize {
    bytes.div_ceil(3).saturating_mul(4)
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
