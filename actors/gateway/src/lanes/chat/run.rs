//! One request, from admission to settlement.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::{
    StreamExt as _,
    future::Either,
    stream::{self as streams, FuturesUnordered, Stream},
};
use outcrop_domain::{chat::ChatResponse, clock::Moment, error::GatewayError, model::Target};
use outcrop_supervision::{Delivery, Reply};
use outcrop_translate::converse::Mode;

use super::{
    ChatContext,
    attempt::{AttemptScope, Attempts},
    fallback, heal, overflow,
    prepare::{Prepared, Purpose, prepare},
    stream,
    tally::{CallLog, Tally},
    wire::{Billed, RawAnswer, Whole},
};
use crate::{
    ports::{AnswerFacts, ChatAnswer, ChatJob},
    record::JobOutcome,
    settings::LiveSettings,
    targets::Answering,
};

/// The answer's way back.
pub(super) type ChatReply = Reply<Result<ChatAnswer, GatewayError>>;

/// Runs a request. Every way out settles its account: returning, failing, the client leaving, a panic, a kill.
pub(super) async fn run(context: Arc<ChatContext>, job: ChatJob, reply: ChatReply, queue_wait: Duration) {
    // The way to the first event needs much more room than the stream after it: its box is freed in between.
    if let Some(streaming) = Box::pin(begin(Arc::clone(&context), job, reply, queue_wait)).await {
        Box::pin(stream::forward(context, streaming)).await;
    }
}

/// Answers, or opens the stream.
async fn begin(context: Arc<ChatContext>, job: ChatJob, mut reply: ChatReply, queue_wait: Duration) -> Option<Box<stream::Streaming>> {
    let settings = context.settings.load_full();
    let usage = Arc::clone(&context.usage);
    let clock = Arc::clone(&context.ports.clock);
    let mut tally = Tally::open(Arc::clone(&job.record), usage, job.principal.key.clone(), clock, Arc::clone(&context.board), queue_wait);
    tally.asked(job.request.model().unwrap_or_default());
    let deadline = job.record.began().after(settings.timeouts.total);
    // Over everything, fetches and look-ups included.
    let left = deadline.since(context.ports.clock.now());
    let worked = tokio::select! {
        biased;
        // Nobody waits for the answer any more: dropping the work drops the upstream call.
        () = reply.closed() => None,
        worked = tokio::time::timeout(left, answer(&context, &settings, job, &mut tally, deadline)) => Some(
            worked.unwrap_or(Err(GatewayError::DeadlineExceeded { after: settings.timeouts.total })),
        ),
    };
    match worked {
        None => tally.settle(JobOutcome::Cancelled, None),
        Some(Err(error)) => {
            tally.settle(JobOutcome::Failed, Some(&error));
            deliver(reply, Err(error));
        }
        Some(Ok(Worked::Whole(answer))) => {
            tally.settle(JobOutcome::Completed, None);
            deliver(reply, Ok(answer));
        }
        Some(Ok(Worked::Opened(opened))) => {
            return Some(Box::new(stream::Streaming { opened: *opened, reply, tally, deadline, total: settings.timeouts.total }));
        }
    }
    None
}

pub(super) fn deliver(reply: ChatReply, answer: Result<ChatAnswer, GatewayError>) {
    if reply.send(answer) == Delivery::CallerGone {
        metrics::counter!("outcrop_answers_unread_total").increment(1);
    }
}

/// How far a request came before its reply.
#[allow(clippy::large_enum_variant, reason = "it lives for a moment")]
enum Worked {
    /// Complete.
    Whole(ChatAnswer),
    /// Every choice has its first event.
    Opened(Box<stream::Opened>),
}

/// Asks the model, and where its alias has a chain, those after it.
async fn answer(
    context: &ChatContext,
    settings: &Arc<LiveSettings>,
    mut job: ChatJob,
    tally: &mut Tally,
    deadline: Moment,
) -> Result<Worked, GatewayError> {
    let asked = job.request.model().unwrap_or_default().to_owned();
    let chain = fallback::chain(settings, &context.catalogue.load(), &job.request, &asked);
    // Without a chain, the usual case, nothing is copied.
    let first = if chain.is_empty() { None } else { Some(fallback::job_for(&job, &asked)) };
    let mut answered = answer_as(context, settings, &mut job, None, tally, deadline).await;
    for model in &chain {
        let (Err(error), Some(first)) = (&answered, &first) else { break };
        if !fallback::may_do_better(error) || context.ports.clock.now() >= deadline {
            break;
        }
        tracing::info!(request.id = %first.record.id(), model.asked = asked, model.next = model, error = error.class(), "another model is asked");
        metrics::counter!("outcrop_fallbacks_total", "model" => model.clone()).increment(1);
        let mut next = fallback::job_for(first, model);
        match answer_as(context, settings, &mut next, Some(&asked), tally, deadline).await {
            Ok(worked) => answered = Ok(worked),
            // What the model lacked that the caller asked for tells more than what the last of the chain lacks.
            Err(other) if fallback::may_do_better(&other) => {}
            Err(_) => break,
        }
    }
    answered
}

/// Asks one model. `instead_of`: the name that the caller used, when this model stands in for it.
async fn answer_as(
    context: &ChatContext,
    settings: &Arc<LiveSettings>,
    job: &mut ChatJob,
    instead_of: Option<&str>,
    tally: &mut Tally,
    deadline: Moment,
) -> Result<Worked, GatewayError> {
    let mut prepared = prepare(context, settings, job, Purpose::Sending, instead_of, tally).await?;
    if instead_of.is_some() {
        prepared.adjustments.note("model", format!("fallback:{}", prepared.resolution.model.id));
    }
    tally.adjusted(&prepared.adjustments);
    tally.prepared(prepared.tier);
    make_calls(context, settings, &prepared, tally, deadline).await.map_err(|error| overflow::told(error, &prepared))
}

/// Makes the calls of a prepared request.
async fn make_calls(
    context: &ChatContext,
    settings: &Arc<LiveSettings>,
    prepared: &Prepared,
    tally: &mut Tally,
    deadline: Moment,
) -> Result<Worked, GatewayError> {
    match (prepared.client_mode, prepared.ask.wire.mode()) {
        (Mode::Stream, Mode::Stream) => {
            stream::open(context, settings, prepared, tally, deadline).await.map(|opened| Worked::Opened(Box::new(opened)))
        }
        (Mode::Stream, Mode::Whole) => {
            // The model cannot stream this: the whole answer is fetched and replayed as events.
            let (answers, about) = whole(context, settings, prepared, tally, deadline).await?;
            Ok(Worked::Whole(stream::replayed(chosen(answers), about)))
        }
        (Mode::Whole, _) => {
            let (answers, about) = whole(context, settings, prepared, tally, deadline).await?;
            Ok(Worked::Whole(answered(answers, about)))
        }
    }
}

/// The answers that are in no dialect.
fn chosen(answers: Vec<Whole>) -> Vec<ChatResponse> {
    let choice = |answer| match answer {
        Whole::Choice(response) => Some(*response),
        Whole::Raw(_) | Whole::Counted(_) => None,
    };
    answers.into_iter().filter_map(choice).collect()
}

/// Answers as the edge has them. What passes as it is has one choice.
fn answered(mut answers: Vec<Whole>, mut about: AnswerFacts) -> ChatAnswer {
    match answers.pop() {
        Some(Whole::Raw(raw)) => {
            let RawAnswer { body, passed, .. } = *raw;
            about.passed = (!passed.is_empty()).then(|| Box::new(passed));
            ChatAnswer::Raw { body, about }
        }
        Some(Whole::Counted(tokens)) => ChatAnswer::Counted { tokens, about },
        last => {
            answers.extend(last);
            ChatAnswer::Whole { choices: chosen(answers), about }
        }
    }
}

/// Fetches every choice whole, all at once.
async fn whole(
    context: &ChatContext,
    settings: &LiveSettings,
    prepared: &Prepared,
    tally: &mut Tally,
    deadline: Moment,
) -> Result<(Vec<Whole>, AnswerFacts), GatewayError> {
    let log = tally.calls();
    let ask = |choice| one_whole(context, settings, prepared, Arc::clone(&log), choice, deadline);
    let mut calls = pin!(each_choice(prepared.choices, ask));
    let mut choices = Vec::new();
    let mut region = None;
    let mut failed = None;
    // Each is booked as it completes, so that what was answered is on the account even if the rest never comes.
    while let Some((choice, result)) = calls.next().await {
        match result {
            Ok(answered) => {
                tally.identified(answered.request_id);
                tally.first_event();
                let prompt_tokens = prepared.ask_of(choice).prompt_tokens;
                tally.answered(&prepared.resolution.model, &answered.target, &answered.answer, prompt_tokens);
                region.get_or_insert(answered.target.region);
                choices.push((choice, answered.answer));
            }
            Err(error) => {
                tally.identified(upstream_request_id(&error));
                failed.get_or_insert(error);
            }
        }
    }
    choices.sort_by_key(|(choice, _)| *choice);
    let answers = choices.into_iter().map(|(_, answer)| answer).collect();
    match (failed, region) {
        (None, Some(region)) => {
            let mut about = prepared.facts(context, settings, region, tally.attempts());
            about.adjustments.extend(tally.healed());
            Ok((answers, about))
        }
        (Some(error), _) => Err(error),
        (None, None) => Err(GatewayError::Internal { message: "a request without choices was answered".to_owned() }),
    }
}

/// Runs a future for each choice and gives their results as they end. A single one, the usual case, is polled where it lies.
pub(super) fn each_choice<F: Future>(choices: u32, mut begin: impl FnMut(u32) -> F) -> impl Stream<Item = F::Output> {
    match choices {
        1 => Either::Left(streams::once(begin(0))),
        _ => Either::Right((0..choices).map(begin).collect::<FuturesUnordered<_>>()),
    }
}

struct WholeAnswer {
    answer: Whole,
    target: Target,
    request_id: Option<String>,
}

async fn one_whole(
    context: &ChatContext,
    settings: &LiveSettings,
    prepared: &Prepared,
    log: Arc<CallLog>,
    choice: u32,
    deadline: Moment,
) -> (u32, Result<WholeAnswer, GatewayError>) {
    let asked = prepared.ask_of(choice);
    let mut attempts = Attempts::new(AttemptScope {
        context,
        settings,
        resolution: &prepared.resolution,
        facts: asked.route,
        answering: Answering::Whole,
        log: Arc::clone(&log),
        deadline,
        made_before: 0,
        aside: asked.wire.is_aside(),
    });
    let result = heal::run(context, prepared, asked, &log, &mut attempts, |body, target, handle| {
        let left = deadline.since(context.ports.clock.now());
        let call = asked.wire.call(target, &prepared.resolution.model.id, body, settings, left);
        let (client, wire) = (Arc::clone(&handle.client), Arc::clone(&asked.wire));
        // Read inside the call: an answer that makes no sense is a failed call, and another target may do better.
        let asking = async move {
            let told = client.call(call).await?;
            let request_id = told.request_id.clone();
            Ok((wire.whole(told)?, request_id))
        };
        Box::pin(asking)
    })
    .await;
    let result = result.map(|answered| {
        let (answer, request_id) = answered.value;
        let mut lease = answered.lease;
        if let Some((usage, metering)) = answer.billed(asked.prompt_tokens).map(Billed::tokens) {
            lease.used(&usage, metering, prepared.resolution.model.burndown);
        }
        WholeAnswer { answer, target: answered.target, request_id }
    });
    (choice, result)
}

/// Upstream's id of a failed call, for support.
pub(super) fn upstream_request_id(error: &GatewayError) -> Option<String> {
    match error {
        GatewayError::Upstream(failure) => failure.request_id.clone(),
        _ => None,
    }
}
