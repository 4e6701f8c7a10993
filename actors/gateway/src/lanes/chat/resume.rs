//! A plain text stream that breaks goes on from another region, where the operator wants that.
//!
//! The model there is shown the text that the client has as its own begun answer. What it adds is not what the first call
//! would have written, but it reads on; so this is for text only, and the client is told.

use std::sync::Arc;

use bytes::Bytes;
use outcrop_domain::{
    chat::{BlockKind, ChatEvent},
    clock::Moment,
    error::{Cause, UpstreamFailure},
    estimate,
    model::Resolution,
    routing::strategy::Strategy,
};
use outcrop_translate::converse::{
    Mode,
    resume::{Seam, continued},
};

use super::{
    ChatContext,
    attempt::{AttemptScope, Attempts},
    facts::RouteFacts,
    heavy,
    prepare::Prepared,
    stream::{Choice, first_event},
    tally::{CallLog, Opening},
    upstream_call,
};
use crate::{ports::HeldMemory, settings::LiveSettings, targets::Answering};

/// Times that one answer may go on elsewhere. One that broke three times has more wrong with it than a region.
const MOST: u32 = 2;

/// What an answer needs to go on elsewhere, kept for as long as it lasts: a stream without this keeps nothing of its request.
pub(super) struct Resumption {
    settings: Arc<LiveSettings>,
    resolution: Resolution,
    route: RouteFacts,
    /// The body of the request.
    body: Bytes,
    /// What the edge counts the request's memory by.
    _held: Option<Arc<dyn HeldMemory>>,
    log: Arc<CallLog>,
    deadline: Moment,
    /// What the client has of the answer.
    text: String,
    /// Estimated tokens of the text that earlier calls wrote.
    earlier_tokens: u64,
    left: u32,
}

impl Resumption {
    /// `None`, where streams do not go on or this one could not.
    pub(super) fn of(settings: &Arc<LiveSettings>, prepared: &Prepared, log: &Arc<CallLog>, deadline: Moment) -> Option<Box<Self>> {
        let may = settings.routing.resume && prepared.body.continuable && prepared.route.strategy != Strategy::Disabled;
        may.then(|| {
            Box::new(Self {
                settings: Arc::clone(settings),
                resolution: prepared.resolution.clone(),
                route: prepared.route,
                body: prepared.bytes.clone(),
                _held: prepared.held.clone(),
                log: Arc::clone(log),
                deadline,
                text: String::new(),
                earlier_tokens: 0,
                left: MOST,
            })
        })
    }

    /// Notes what the client gets. False: the answer has become more than text, and cannot go on elsewhere.
    pub(super) fn note(&mut self, events: &[ChatEvent]) -> bool {
        events.iter().all(|event| match event {
            ChatEvent::Text { text, .. } => {
                self.text.push_str(text);
                true
            }
            ChatEvent::BlockStarted { kind, .. } => matches!(kind, BlockKind::Text),
            ChatEvent::Started | ChatEvent::BlockStopped { .. } | ChatEvent::Stopped { .. } | ChatEvent::Finished { .. } => true,
            _ => false,
        })
    }

    /// Makes the tokens that the last call told those of the whole answer: what the calls before it wrote was output of this
    /// answer, and is part of the last call's input.
    pub(super) fn complete(&self, events: &mut [ChatEvent]) {
        for event in events {
            if let ChatEvent::Finished { usage, .. } = event
                && usage.total() > 0
            {
                usage.output = usage.output.saturating_add(self.earlier_tokens);
                usage.input = usage.input.saturating_sub(self.earlier_tokens);
            }
        }
    }

    fn may_go_on(&self, failure: &UpstreamFailure, now: Moment) -> bool {
        let passes_elsewhere = failure.cause == Cause::BrokenStream || failure.cause.try_elsewhere();
        passes_elsewhere && self.left > 0 && now < self.deadline
    }

    /// The body of the next call, and the tokens of the text so far.
    async fn body(&self, context: &ChatContext) -> Option<(Bytes, u64)> {
        let (body, text) = (self.body.clone(), self.text.clone());
        let tokens = estimate::text_tokens(u64::try_from(text.len()).unwrap_or(u64::MAX));
        let work = move || continued(&body, &text, tokens).map(Bytes::from);
        let body = heavy::by_size(context.ports.blocking.as_ref(), self.body.len(), work).await.ok()??;
        Some((body, tokens))
    }
}

/// Opens a call that goes on with an answer that broke. False: the break stands.
pub(super) async fn go_on(context: &ChatContext, choice: &mut Choice, failure: &UpstreamFailure) -> bool {
    let Some(resumption) = choice.resumption.as_mut() else { return false };
    let now = context.ports.clock.now();
    if choice.reader.has_stopped() || !resumption.may_go_on(failure, now) {
        return false;
    }
    let Some((body, tokens)) = resumption.body(context).await else { return false };
    // Paid as every further call is: a brown-out must not be amplified.
    if !context.board.shared().retry(now) {
        return false;
    }
    resumption.left -= 1;
    // The call that broke is done with: its quota is settled and its target told.
    choice.lease.used(&choice.heard.usage(choice.prompt_tokens), choice.burn);
    choice.lease.failed(failure);
    choice.broke = false;
    let mut attempts = Attempts::new(AttemptScope {
        context,
        settings: &resumption.settings,
        resolution: &resumption.resolution,
        facts: resumption.route,
        answering: Answering::Streamed,
        log: Arc::clone(&resumption.log),
        deadline: resumption.deadline,
    });
    attempts.avoid(&choice.target.region);
    let opened = attempts
        .run(|target, handle| {
            let left = resumption.deadline.since(context.ports.clock.now());
            let call = upstream_call(Mode::Stream, target, &body, &resumption.settings, left);
            let (first_byte, client) = (call.first_byte, Arc::clone(&handle.client));
            let mut reader = choice.reader.clone();
            reader.resume(Seam::after(&resumption.text));
            Box::pin(async move { first_event(client.open_stream(call).await?, reader, first_byte).await })
        })
        .await;
    let answered = match opened {
        Ok(answered) => answered,
        Err(error) => {
            tracing::info!(model.id = %resumption.resolution.model.id, error = error.class(), "a broken stream could not go on elsewhere");
            return false;
        }
    };
    let spec = &resumption.resolution.model;
    tracing::info!(model.id = %spec.id, region.broke = %choice.target.region, region = %answered.target.region, "a broken stream goes on");
    metrics::counter!("outcrop_streams_resumed_total", "model" => spec.id.to_string()).increment(1);
    choice.prompt_tokens = choice.prompt_tokens.saturating_sub(resumption.earlier_tokens).saturating_add(tokens);
    resumption.earlier_tokens = tokens;
    let opening = Opening { choice: choice.number, spec, target: &answered.target, goes_on_from: Some(tokens) };
    choice.heard = resumption.log.opened(opening);
    choice.earlier_bytes = choice.reader.produced_bytes();
    (choice.frames, choice.reader, choice.ready) = answered.value;
    (choice.target, choice.lease) = (answered.target, answered.lease);
    true
}
