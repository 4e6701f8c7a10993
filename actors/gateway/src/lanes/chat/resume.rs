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
    ids::Region,
    model::Resolution,
    routing::{reserve::Reservation, silence::PromptSize, strategy::Strategy},
};
use outcrop_translate::converse::resume::{Seam, continued};

use super::{
    ChatContext,
    attempt::{AttemptScope, Attempts},
    facts::RouteFacts,
    heavy,
    prepare::Prepared,
    reader::AnswerReader,
    stream::{Choice, first_event},
    tally::{CallLog, Opening},
    wire::Wire,
};
use crate::{ports::HeldMemory, settings::LiveSettings, targets::Answering};

/// Times that one answer may go on elsewhere. One that broke three times has more wrong with it than a region.
const MOST: usize = 2;

/// What an answer needs to go on elsewhere, kept for as long as it lasts: a stream without this keeps nothing of its request.
pub(super) struct Resumption {
    settings: Arc<LiveSettings>,
    resolution: Resolution,
    wire: Arc<Wire>,
    route: RouteFacts,
    log: Arc<CallLog>,
    deadline: Moment,
    /// `None` once it can no longer go on: nothing is kept for longer than it may be of use.
    kept: Option<Kept>,
    /// Where it broke.
    broke: Vec<Region>,
    /// Estimated tokens of the text that earlier calls wrote.
    earlier_tokens: u64,
}

/// What the next call is made of.
struct Kept {
    /// The body of the request.
    body: Bytes,
    /// What the edge counts the request's memory by.
    _held: Option<Arc<dyn HeldMemory>>,
    /// What the client has of the answer.
    text: String,
}

impl Resumption {
    /// `None`, where streams do not go on or this one could not.
    pub(super) fn of(
        settings: &Arc<LiveSettings>,
        prepared: &Prepared,
        choice: u32,
        log: &Arc<CallLog>,
        deadline: Moment,
    ) -> Option<Box<Self>> {
        let ask = prepared.ask_of(choice);
        let elsewhere = ask.route.strategy != Strategy::Disabled && prepared.resolution.targets.len() > 1;
        let may = settings.routing.resume && ask.continuable && elsewhere;
        may.then(|| {
            Box::new(Self {
                settings: Arc::clone(settings),
                resolution: prepared.resolution.clone(),
                wire: Arc::clone(&ask.wire),
                route: ask.route,
                log: Arc::clone(log),
                deadline,
                kept: Some(Kept { body: ask.bytes.clone(), _held: prepared.held.clone(), text: String::new() }),
                broke: Vec::new(),
                earlier_tokens: 0,
            })
        })
    }

    /// Notes what the client gets. An answer that becomes more than text cannot go on elsewhere.
    pub(super) fn note(&mut self, events: &[ChatEvent]) {
        let Some(kept) = &mut self.kept else { return };
        let text_alone = events.iter().all(|event| match event {
            ChatEvent::Text { text, .. } => {
                kept.text.push_str(text);
                true
            }
            ChatEvent::BlockStarted { kind, .. } => matches!(kind, BlockKind::Text),
            ChatEvent::Started | ChatEvent::BlockStopped { .. } => true,
            // It has come to its end, too.
            _ => false,
        });
        if !text_alone {
            self.kept = None;
        }
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
        passes_elsewhere && now < self.deadline
    }

    /// The body of the next call, what of the answer it must not repeat, and the tokens of the text so far.
    async fn next(&self, context: &ChatContext) -> Option<(Bytes, Seam, u64)> {
        let kept = self.kept.as_ref()?;
        let (body, text, seam) = (kept.body.clone(), kept.text.clone(), Seam::after(&kept.text));
        let tokens = estimate::text_tokens(u64::try_from(text.len()).unwrap_or(u64::MAX));
        let work = move || continued(&body, &text, tokens).map(Bytes::from);
        let body = heavy::by_size(context.ports.blocking.as_ref(), kept.body.len(), work).await.ok()??;
        Some((body, seam, tokens))
    }

    /// What routing must know of the call that goes on after so many tokens: they are read, and no longer to be written.
    fn facts(&self, tokens: u64) -> RouteFacts {
        let Reservation { input_estimate, max_tokens } = self.route.reservation;
        let input_estimate = input_estimate.saturating_add(tokens);
        let reservation = Reservation { input_estimate, max_tokens: max_tokens.saturating_sub(tokens) };
        RouteFacts { reservation, size: PromptSize::of(input_estimate), ..self.route }
    }

    /// Regions that are asked last: all where it broke, or that alone where it broke last when there is no other.
    fn avoided(&self) -> &[Region] {
        let unbroken = self.resolution.targets.iter().any(|target| !self.broke.contains(&target.region));
        if unbroken { &self.broke } else { self.broke.last().map_or(&[], std::slice::from_ref) }
    }
}

/// Opens a call that goes on with an answer that broke. False: the break stands.
pub(super) async fn go_on(context: &ChatContext, choice: &mut Choice, failure: &UpstreamFailure) -> bool {
    let Some(resumption) = choice.resumption.as_mut() else { return false };
    let now = context.ports.clock.now();
    // What passes as bytes is never resumed.
    let AnswerReader::Hub(reader) = &choice.reader else { return false };
    if reader.has_stopped() || !resumption.may_go_on(failure, now) {
        return false;
    }
    let Some((body, seam, tokens)) = resumption.next(context).await else { return false };
    resumption.broke.push(choice.target.region.clone());
    // The call that broke is done with: its quota is settled and its target told.
    let (usage, metering) = choice.heard.usage(choice.prompt_tokens);
    choice.lease.used(&usage, metering, choice.burn);
    choice.lease.failed(failure);
    choice.broke = false;
    let mut attempts = Attempts::new(AttemptScope {
        context,
        settings: &resumption.settings,
        resolution: &resumption.resolution,
        facts: resumption.facts(tokens),
        answering: Answering::Streamed,
        log: Arc::clone(&resumption.log),
        deadline: resumption.deadline,
        made_before: choice.made,
        aside: false,
    });
    resumption.avoided().iter().for_each(|region| attempts.avoid(region));
    let opened = attempts
        .run(|target, handle| {
            let left = resumption.deadline.since(context.ports.clock.now());
            let call = resumption.wire.call(target, &resumption.resolution.model.id, &body, &resumption.settings, left);
            let (first_byte, client) = (call.first_byte, Arc::clone(&handle.client));
            let mut reader = reader.clone();
            reader.resume(seam.clone());
            let reader = AnswerReader::Hub(reader);
            Box::pin(async move { first_event(client.open_stream(call).await?, reader, first_byte).await })
        })
        .await;
    choice.made = attempts.made();
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
    if resumption.broke.len() >= MOST {
        resumption.kept = None;
    }
    let prompt_tokens = choice.prompt_tokens;
    let opening = Opening { choice: choice.number, spec, target: &answered.target, prompt_tokens, goes_on: true };
    choice.heard = resumption.log.opened(opening);
    choice.earlier_bytes = choice.reader.produced_bytes();
    (choice.frames, choice.reader, choice.ready) = answered.value;
    choice.heard.produced(choice.reader.produced_bytes().saturating_sub(choice.earlier_bytes));
    (choice.target, choice.lease) = (answered.target, answered.lease);
    true
}
