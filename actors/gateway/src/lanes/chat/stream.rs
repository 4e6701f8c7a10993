//! Streamed answers: opened with failover, held until the first event, then handed on as they come.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use http::HeaderMap;
use outcrop_domain::{
    chat::{ChatEvent, ChatResponse},
    clock::Moment,
    error::{Cause, GatewayError, UpstreamFailure},
    model::Target,
};
use outcrop_translate::converse::stream::replay;
use outcrop_upstream::frames::FrameStream;
use tokio::sync::mpsc;

use super::{
    ChatContext,
    attempt::{AttemptScope, Attempts},
    heal,
    prepare::Prepared,
    reader::{AnswerReader, Ready},
    resume::{Resumption, go_on},
    run::{ChatReply, deliver, each_choice, upstream_request_id},
    tally::{CallLog, Heard, Opening, Tally},
    wire::{Reading, passed_headers},
};
use crate::{
    ports::{AnswerFacts, ChatAnswer, StreamItem},
    record::JobOutcome,
    settings::LiveSettings,
    targets::{Answering, Lease},
};

/// Batches a client may lag behind before upstream is held back. Each is one network read of a model's stream.
const CHANNEL_DEPTH: usize = 16;

/// A reader that takes nothing for this long is given up: its socket and our buffers are full all the time.
const STALLED_READER: Duration = Duration::from_secs(120);

/// Longest wait for the end of a connection whose answer is complete. It comes with the last event or right after it, and
/// the connection is then used again; one that stays open is not worth more than a new one.
const LAST_CHUNK: Duration = Duration::from_secs(1);

/// A request whose every choice has its first event. Nothing else of it is kept: a prompt may be megabytes, a stream
/// may last an hour.
pub(super) struct Opened {
    choices: Vec<Choice>,
    about: AnswerFacts,
}

/// An open stream on its way to its reader.
pub(super) struct Streaming {
    pub(super) opened: Opened,
    pub(super) reply: ChatReply,
    pub(super) tally: Tally,
    pub(super) deadline: Moment,
    /// The time limit that `deadline` came of.
    pub(super) total: Duration,
}

/// One choice, open.
pub(super) struct Choice {
    pub(super) number: u32,
    pub(super) frames: FrameStream,
    pub(super) reader: AnswerReader,
    /// Read so far and not yet handed on.
    pub(super) ready: Ready,
    pub(super) target: Target,
    /// Counts the call as under way until the answer has ended.
    pub(super) lease: Lease,
    /// Tells the account what was used.
    pub(super) heard: Arc<Heard>,
    request_id: Option<String>,
    /// Headers of the answer, for native clients.
    passed: Option<Box<HeaderMap>>,
    /// Upstream broke the answer.
    pub(super) broke: bool,
    /// Estimated input, should upstream not tell what the call used.
    pub(super) prompt_tokens: u64,
    /// Quota tokens that an output token burns.
    pub(super) burn: u32,
    /// Goes on elsewhere, should upstream break it.
    pub(super) resumption: Option<Box<Resumption>>,
    /// Of what the reader has read, what calls before this one wrote.
    pub(super) earlier_bytes: u64,
    /// Calls made for it so far.
    pub(super) made: usize,
}

/// Opens every choice, all at once. A target that fails before its first event is left for the next.
pub(super) async fn open(
    context: &ChatContext,
    settings: &Arc<LiveSettings>,
    prepared: &Prepared,
    tally: &mut Tally,
    deadline: Moment,
) -> Result<Opened, GatewayError> {
    // Exactly as many: a growing vector starts with room for four, kilobytes for as long as the stream lasts.
    let mut choices: Vec<Choice> = Vec::with_capacity(prepared.choices as usize);
    let mut failed = None;
    let log = tally.calls();
    {
        // Dropped at the end of this block, with all that it borrows.
        let open = |number| open_one(context, settings, prepared, Arc::clone(&log), number, deadline);
        let mut calls = pin!(each_choice(prepared.choices, open));
        while let Some(result) = calls.next().await {
            match result {
                Ok(mut choice) => {
                    tally.identified(choice.request_id.take());
                    let (spec, target) = (&prepared.resolution.model, &choice.target);
                    let prompt_tokens = choice.prompt_tokens;
                    choice.heard = log.opened(Opening { choice: choice.number, spec, target, prompt_tokens, goes_on: false });
                    choice.heard.produced(choice.reader.produced_bytes());
                    choice.resumption = Resumption::of(settings, prepared, choice.number, &log, deadline);
                    choices.push(choice);
                }
                Err(error) => {
                    tally.identified(upstream_request_id(&error));
                    failed = failed.or(Some(error));
                }
            }
        }
    }
    choices.sort_by_key(|choice| choice.number);
    if let Some(error) = failed {
        return Err(error);
    }
    let Some(region) = choices.first().map(|choice| choice.target.region.clone()) else {
        return Err(GatewayError::Internal { message: "a request without choices was opened".to_owned() });
    };
    tally.first_event();
    let resumes = choices.iter().any(|choice| choice.resumption.is_some());
    let mut about = AnswerFacts { resumes, ..prepared.facts(context, settings, region, tally.attempts()) };
    about.adjustments.extend(tally.healed());
    about.passed = choices.first_mut().and_then(|only| only.passed.take());
    Ok(Opened { choices, about })
}

async fn open_one(
    context: &ChatContext,
    settings: &LiveSettings,
    prepared: &Prepared,
    log: Arc<CallLog>,
    number: u32,
    deadline: Moment,
) -> Result<Choice, GatewayError> {
    let asked = prepared.ask_of(number);
    let mut attempts = Attempts::new(AttemptScope {
        context,
        settings,
        resolution: &prepared.resolution,
        facts: asked.route,
        answering: Answering::Streamed,
        log: Arc::clone(&log),
        deadline,
        made_before: 0,
        aside: false,
    });
    let opened = heal::run(context, prepared, asked, &log, &mut attempts, |body, target, handle| {
        let left = deadline.since(context.ports.clock.now());
        let call = asked.wire.call(target, &prepared.resolution.model.id, body, settings, left);
        let first_byte = call.first_byte;
        let (client, reader) = (Arc::clone(&handle.client), asked.wire.reader());
        Box::pin(async move { first_event(client.open_stream(call).await?, reader, first_byte).await })
    })
    .await;
    let made = attempts.made();
    opened.map(|answered| {
        let (mut frames, reader, ready) = answered.value;
        let request_id = frames.request_id().map(str::to_owned);
        let passed = matches!(asked.wire.reading, Reading::Native { .. }).then(|| {
            let told = frames.take_told().unwrap_or_default();
            Box::new(passed_headers(&told, request_id.as_deref()))
        });
        Choice {
            number,
            frames,
            reader,
            ready,
            target: answered.target,
            lease: answered.lease,
            heard: Arc::default(),
            request_id,
            passed,
            broke: false,
            prompt_tokens: asked.prompt_tokens,
            burn: prepared.resolution.model.burndown,
            resumption: None,
            earlier_bytes: 0,
            made,
        }
    })
}

/// Waits for the first event: until then another target may still answer.
pub(super) async fn first_event(
    mut frames: FrameStream,
    mut reader: AnswerReader,
    within: Duration,
) -> Result<(FrameStream, AnswerReader, Ready), UpstreamFailure> {
    let mut ready = reader.ready();
    while ready.is_empty() {
        let frame = match tokio::time::timeout(within, frames.next()).await {
            Ok(Some(frame)) => frame.map_err(broken_before_event)?,
            Ok(None) => {
                return Err(UpstreamFailure::own(Cause::Connection, "TruncatedStream", "the stream ended before its first event"));
            }
            Err(_) => return Err(UpstreamFailure::own(Cause::Timeout, "FirstEventTimeout", format!("no event within {within:?}"))),
        };
        reader.read(&frame, &mut ready)?;
    }
    Ok((frames, reader, ready))
}

/// What broke before its first event was a connection, not an answer: another target may answer.
fn broken_before_event(failure: UpstreamFailure) -> UpstreamFailure {
    match failure.cause {
        Cause::BrokenStream => UpstreamFailure { cause: Cause::Connection, ..failure },
        _ => failure,
    }
}

/// Replies with the channel and fills it until every choice has ended, one broke, or the client left.
pub(super) async fn forward(context: Arc<ChatContext>, mut streaming: Box<Streaming>) {
    // Fields are used where they lie: what is moved out would take its room twice in this future.
    let (sender, events) = mpsc::channel(CHANNEL_DEPTH + 1);
    // Room that is kept for the last word: a reader that pauses over a full channel must hear the end all the same.
    let kept = sender.clone().try_reserve_owned().ok();
    deliver(streaming.reply, Ok(ChatAnswer::Stream { events, about: streaming.opened.about }));
    let left = streaming.deadline.since(context.ports.clock.now());
    let ended = match tokio::time::timeout(left, forward_all(&context, &mut streaming.opened.choices, &sender)).await {
        Ok(ended) => ended.map_err(|ended| ended.or_out_of_time(context.ports.clock.now() >= streaming.deadline, streaming.total)),
        Err(_) => Err(Ended::Broken(GatewayError::DeadlineExceeded { after: streaming.total })),
    };
    let outcome = match &ended {
        Ok(()) => JobOutcome::Completed,
        Err(Ended::ClientGone) => JobOutcome::Cancelled,
        Err(Ended::Broken(_)) => JobOutcome::Failed,
    };
    for choice in &mut streaming.opened.choices {
        let (usage, metering) = choice.heard.usage(choice.prompt_tokens);
        choice.lease.used(&usage, metering, choice.burn);
    }
    if let Err(Ended::Broken(GatewayError::Upstream(failure))) = &ended {
        // Told for its log and its count: what broke a stream that had begun closes nothing by itself.
        for choice in streaming.opened.choices.iter_mut().filter(|choice| choice.broke) {
            choice.lease.failed(failure);
        }
    }
    if outcome != JobOutcome::Completed {
        // Closes the upstream connections of choices that have not ended, and gives the leases back.
        streaming.opened.choices.clear();
    }
    let error = match ended {
        Err(Ended::Broken(error)) => Some(error),
        Ok(()) | Err(Ended::ClientGone) => None,
    };
    streaming.tally.settle(outcome, error.as_ref());
    // A reader that was given up gets no last word: an answer of which it lacks the end must not look complete to it. That
    // the channel closes without one tells the edge so.
    if outcome != JobOutcome::Cancelled {
        let last = error.map_or(StreamItem::Done, |error| StreamItem::Failed(Box::new(error)));
        if sender.is_closed() {
            metrics::counter!("outcrop_answers_unread_total").increment(1);
        }
        if let Some(room) = kept {
            // What it gives back is the channel, which ends here.
            drop(room.send(last));
        }
    }
    // No client waits for the end of a connection.
    drop(sender);
    see_out(&mut streaming.opened.choices).await;
}

/// Reads connections whose answers are complete to their ends, so that they can be used again.
async fn see_out(choices: &mut [Choice]) {
    let ends = async {
        for choice in choices {
            // Whatever still comes, also that it broke: the answer was complete before.
            while choice.frames.next().await.is_some() {}
        }
    };
    if tokio::time::timeout(LAST_CHUNK, ends).await.is_err() {
        tracing::debug!("a connection stayed open after its answer was complete: it is closed");
    }
}

/// Why a stream ended before its end.
enum Ended {
    ClientGone,
    Broken(GatewayError),
}

impl Ended {
    /// A stream that ran into the time limit of the whole request has not failed: its own timer and ours run to the same
    /// moment, and which of them is heard first says nothing of the target.
    fn or_out_of_time(self, spent: bool, total: Duration) -> Self {
        match self {
            Self::Broken(GatewayError::Upstream(failure)) if spent && failure.cause == Cause::Timeout => {
                Self::Broken(GatewayError::DeadlineExceeded { after: total })
            }
            other => other,
        }
    }
}

async fn forward_all(context: &ChatContext, choices: &mut [Choice], sender: &mpsc::Sender<StreamItem>) -> Result<(), Ended> {
    match choices {
        [only] => forward_one(context, only, sender).await,
        several => {
            futures_util::future::try_join_all(several.iter_mut().map(|choice| forward_one(context, choice, sender))).await.map(|_| ())
        }
    }
}

async fn forward_one(context: &ChatContext, choice: &mut Choice, sender: &mpsc::Sender<StreamItem>) -> Result<(), Ended> {
    loop {
        let failure = match forward_call(choice, sender).await {
            Err(Ended::Broken(GatewayError::Upstream(failure))) => failure,
            ended => return ended,
        };
        // In a box: few streams break, and all would make room for it.
        let goes_on = tokio::select! {
            biased;
            () = sender.closed() => return Err(Ended::ClientGone),
            goes_on = Box::pin(go_on(context, choice, &failure)) => goes_on,
        };
        if !goes_on {
            return Err(Ended::Broken(GatewayError::Upstream(failure)));
        }
        tell(StreamItem::Resumed { choice: choice.number, region: choice.target.region.clone() }, sender).await?;
    }
}

async fn forward_call(choice: &mut Choice, sender: &mpsc::Sender<StreamItem>) -> Result<(), Ended> {
    loop {
        let read = choice.read_what_is_there();
        // What came before a break still reaches the client.
        choice.hand_on(sender).await?;
        if read? {
            return Ok(());
        }
        let frame = tokio::select! {
            biased;
            // Cancel-safe: a frame that is not complete stays in the stream's buffer.
            () = sender.closed() => return Err(Ended::ClientGone),
            frame = choice.frames.next() => frame,
        };
        let taken = choice.take(frame);
        if !matches!(taken, Ok(false)) {
            choice.hand_on(sender).await?;
            return taken.map(|_| ());
        }
    }
}

impl Choice {
    /// Reads the frames that have arrived, without waiting: several deltas become one write, and none waits for
    /// another. True at the end of the answer.
    fn read_what_is_there(&mut self) -> Result<bool, Ended> {
        while !self.ready.is_full() {
            match self.frames.try_next() {
                None => return Ok(false),
                some => {
                    if self.take(some)? {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    /// Takes one frame, or the end of the stream. True at the end of the answer, which may come before that of the stream:
    /// what the connection does after it (a reset, a last chunk that is missing) is no business of the client's.
    fn take(&mut self, frame: Option<Result<outcrop_upstream::frames::Frame, UpstreamFailure>>) -> Result<bool, Ended> {
        let taken = self.take_frame(frame);
        self.broke |= taken.is_err();
        taken
    }

    fn take_frame(&mut self, frame: Option<Result<outcrop_upstream::frames::Frame, UpstreamFailure>>) -> Result<bool, Ended> {
        let broken = |failure: UpstreamFailure| Ended::Broken(GatewayError::Upstream(failure));
        let Some(frame) = frame else {
            self.reader.end(&mut self.ready).map_err(broken)?;
            return Ok(true);
        };
        let frame = frame.map_err(broken)?;
        self.reader.read(&frame, &mut self.ready).map_err(broken)?;
        Ok(self.reader.is_finished())
    }

    async fn hand_on(&mut self, sender: &mpsc::Sender<StreamItem>) -> Result<(), Ended> {
        self.heard.produced(self.reader.produced_bytes().saturating_sub(self.earlier_bytes));
        if self.ready.is_empty() {
            return Ok(());
        }
        if let Ready::Events(events) = &mut self.ready {
            for event in events.iter() {
                if let ChatEvent::Finished { usage, service_tier, .. } = event {
                    self.heard.told(*usage, *service_tier);
                }
            }
            if let Some(resumption) = &mut self.resumption {
                resumption.complete(events);
                resumption.note(events);
            }
        }
        match self.reader.told() {
            Some((usage, tier)) if self.reader.is_finished() => self.heard.told(usage, tier),
            Some((usage, _)) => self.heard.begun(usage),
            None => {}
        }
        tell(self.ready.take(self.number), sender).await
    }
}

async fn tell(item: StreamItem, sender: &mpsc::Sender<StreamItem>) -> Result<(), Ended> {
    let sent = tokio::time::timeout(STALLED_READER, sender.send(item)).await;
    // A client that takes nothing for so long is as good as gone: upstream must not be held open for it.
    if matches!(sent, Ok(Ok(()))) { Ok(()) } else { Err(Ended::ClientGone) }
}

/// A whole answer as a stream that is already complete.
pub(super) fn replayed(choices: Vec<ChatResponse>, about: AnswerFacts) -> ChatAnswer {
    // One batch per choice and the end: the channel holds them all, nobody waits.
    let (sender, events) = mpsc::channel(choices.len() + 1);
    let batches = choices.into_iter().zip(0u32..).map(|(response, choice)| StreamItem::Events { choice, events: replay(response) });
    for item in batches.chain([StreamItem::Done]) {
        if sender.try_send(item).is_err() {
            tracing::error!("a replayed answer did not fit its channel");
        }
    }
    ChatAnswer::Stream { events, about }
}
