//! Bodies that pass but for the addresses in them: Bedrock fetches none, so what stands behind them is put in their place.

use std::sync::Arc;

use outcrop_domain::{adjust::Adjustments, error::GatewayError, model::ModelSpec};

use super::{
    ChatContext, heavy,
    input::{MessagesInput, RawRequest},
    media::Media,
    passage,
    prepare::{Purpose, fetch},
};
use crate::{
    ports::{ChatJob, HeldMemory},
    settings::LiveSettings,
};

/// A request whose addresses are settled.
pub(super) struct Linked {
    /// The request, with content in the place of addresses where the model takes it so.
    pub(super) raw: RawRequest,
    /// Bytes of its body.
    pub(super) bytes: usize,
    /// What was changed.
    pub(super) adjustments: Adjustments,
    /// What stands behind the addresses, when the model's own surface takes some of it in no form: the request is as it came,
    /// and needs a translation.
    pub(super) for_hub: Option<Media>,
}

impl Linked {
    fn untouched(raw: RawRequest, bytes: usize) -> Self {
        Self { raw, bytes, adjustments: Adjustments::default(), for_hub: None }
    }
}

/// Settles the addresses of a request that would pass without them; any other request stays as it is.
///
/// # Errors
/// Those of [`fetch`], and what may not stand where it was named. Both name the field.
pub(super) async fn settle(
    context: &ChatContext,
    settings: &LiveSettings,
    raw: RawRequest,
    model: &ModelSpec,
    job: &ChatJob,
    purpose: Purpose,
) -> Result<Linked, GatewayError> {
    let input = passage::with_addresses(&raw, model).cloned();
    match input {
        // In a box: few requests name addresses, and all would make room for it.
        Some(input) if purpose == Purpose::Sending => {
            Box::pin(follow(context, settings, raw, input, job.body_bytes, job.held.as_ref())).await
        }
        // What is only shown is shown with its addresses.
        _ => Ok(Linked::untouched(raw, job.body_bytes)),
    }
}

async fn follow(
    context: &ChatContext,
    settings: &LiveSettings,
    raw: RawRequest,
    input: MessagesInput,
    bytes: usize,
    held: Option<&Arc<dyn HeldMemory>>,
) -> Result<Linked, GatewayError> {
    let blocking = context.ports.blocking.as_ref();
    // The room stays with the bytes: the job may be dropped while they are in other hands.
    let (read, theirs) = (input.clone(), held.cloned());
    let named = move || {
        let _held = theirs;
        read.body().media_urls()
    };
    let urls = heavy::by_size(blocking, bytes, named).await?;
    let media = fetch(context, settings, urls, Purpose::Sending, held).await?;
    let size = bytes.saturating_add(media.bytes);
    let (sniff, theirs) = (context.sniff, held.cloned());
    let write = move || {
        let _held = theirs;
        let written = input.with_media(&media.fetched, sniff)?;
        // What a body holds by now need not be kept beside it.
        Ok::<_, GatewayError>(written.ok_or(media))
    };
    match heavy::by_size(blocking, size, write).await?? {
        Ok((input, adjustments)) => {
            let bytes = input.body().as_inner().len();
            let raw = if matches!(raw, RawRequest::Messages(_)) { RawRequest::Messages(input) } else { RawRequest::CountTokens(input) };
            Ok(Linked { raw, bytes, adjustments, for_hub: None })
        }
        Err(media) => Ok(Linked { for_hub: Some(media), ..Linked::untouched(raw, bytes) }),
    }
}
