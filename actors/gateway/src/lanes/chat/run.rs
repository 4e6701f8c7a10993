//! One request, from admission to settlement.

use std::{sync::Arc, time::Duration};

use outcrop_domain::{chat::ChatResponse, clock::Moment, error::GatewayError};
use outcrop_supervision::{Delivery, Reply};
use outcrop_translate::converse::{self, Mode};

use super::{
    ChatContext,
    attempt::Attempts,
    explain,
    prepare::{Fetching, Prepared, prepare},
    stream,
    tally::Tally,
    upstream_call,
};
use crate::{
    ports::{AnswerFacts, ChatAnswer, ChatJob},
    record::JobOutcome,
    settings::LiveSettings,
};

/// The answer's way back.
pub(super) type ChatReply = Reply<Result<ChatAnswer, GatewayError>>;

/// Runs a request. Every way out settles its account: returning, failing, the client leaving, a panic, a kill.
pub(super) async fn run(context: Arc<ChatContext>, job: ChatJob, mut reply: ChatReply, queue_wait: Duration) {
    let settings = context.settings.load_full();
    let ledger = context.ledger.clone();
    let clock = Arc::clone(&context.ports.clock);
    let mut tally = Tally::open(Arc::clone(&job.record), ledger, job.principal.key.clone(), clock, Arc::clone(&context.board), queue_wait);
    tally.asked(job.request.model.as_deref().unwrap_or_default());
    let deadline = job.record.began().after(settings.timeouts.total);
    let worked = tokio::select! {
        biased;
        // Nobody waits for the answer any more: dropping the work drops the upstream call.
        () = reply.closed() => None,
        worked = Box::pin(answer(&context, &settings, job, &mut tally, deadline)) => Some(worked),
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
        Some(Ok(Worked::Opened(opened))) => stream::forward(&context, &settings, *opened, reply, tally, deadline).await,
    }
}

pub(super) fn deliver(reply: ChatReply, answer: Result<ChatAnswer, GatewayError>) {
    if reply.send(answer) == Delivery::CallerGone {
        metrics::counter!("outcrop_answers_unread_total").increment(1);
    }
}

/// How far a request came before its reply.
enum Worked {
    /// Complete.
    Whole(ChatAnswer),
    /// Every choice has its first event.
    Opened(Box<stream::Opened>),
}

async fn answer(
    context: &ChatContext,
    settings: &LiveSettings,
    job: ChatJob,
    tally: &mut Tally,
    deadline: Moment,
) -> Result<Worked, GatewayError> {
    let prepared = prepare(context, settings, &job.principal, *job.request, &job.overrides, Fetching::Real).await?;
    tally.resolved(&prepared.resolution.model.id);
    tally.adjusted(&prepared.adjustments);
    match (prepared.client_mode, prepared.body.mode) {
        (Mode::Stream, Mode::Stream) => {
            stream::open(context, settings, prepared, tally, deadline).await.map(|opened| Worked::Opened(Box::new(opened)))
        }
        (Mode::Stream, Mode::Whole) => {
            // The model cannot stream this: the whole answer is fetched and replayed as events.
            let (choices, about) = whole(context, settings, &prepared, tally, deadline).await?;
            Ok(Worked::Whole(stream::replayed(choices, about)))
        }
        (Mode::Whole, _) => {
            let (choices, about) = whole(context, settings, &prepared, tally, deadline).await?;
            Ok(Worked::Whole(ChatAnswer::Whole { choices, about }))
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
) -> Result<(Vec<ChatResponse>, AnswerFacts), GatewayError> {
    let wanted = prepared.read.choices;
    let results = futures_util::future::join_all((0..wanted).map(|_| one_whole(context, settings, prepared, deadline))).await;
    let mut choices = Vec::with_capacity(results.len());
    let mut region = None;
    let mut failed = None;
    for (choice, (called, result)) in results.into_iter().enumerate() {
        match result {
            Ok(answered) => {
                tally.attempted(&called, answered.request_id);
                tally.first_event();
                let number = u32::try_from(choice).unwrap_or(u32::MAX);
                let response = &answered.response;
                tally.used(
                    number,
                    &prepared.resolution.model,
                    &answered.target,
                    &response.usage,
                    response.service_tier,
                    JobOutcome::Completed,
                );
                region.get_or_insert(answered.target.region);
                choices.push(answered.response);
            }
            Err(error) => {
                tally.attempted(&called, None);
                failed.get_or_insert(error);
            }
        }
    }
    match (failed, region) {
        (None, Some(region)) => Ok((choices, prepared.facts(region, tally.attempts()))),
        (Some(error), _) => Err(error),
        (None, None) => Err(GatewayError::Internal { message: "a request without choices was answered".to_owned() }),
    }
}

struct WholeAnswer {
    response: ChatResponse,
    target: outcrop_domain::model::Target,
    request_id: Option<String>,
}

async fn one_whole(
    context: &ChatContext,
    settings: &LiveSettings,
    prepared: &Prepared,
    deadline: Moment,
) -> (Vec<outcrop_domain::ids::Region>, Result<WholeAnswer, GatewayError>) {
    let mut attempts = Attempts::new(context, settings, &prepared.resolution, deadline);
    let result = attempts
        .run(|target, handle| {
            let call = upstream_call(Mode::Whole, target, &prepared.bytes, settings, deadline.since(context.ports.clock.now()));
            handle.client.call(call)
        })
        .await;
    let called = std::mem::take(&mut attempts.called);
    let result = result.and_then(|answered| {
        let response = converse::response::read(&answered.value.body, &prepared.body.reply).map_err(GatewayError::Upstream)?;
        Ok(WholeAnswer { response, target: answered.target, request_id: answered.value.request_id })
    });
    (called, result)
}

/// Explains a request instead of running it.
pub(super) async fn explain(
    context: Arc<ChatContext>,
    job: ChatJob,
    reply: Reply<Result<crate::ports::Explanation, GatewayError>>,
    queue_wait: Duration,
) {
    let settings = context.settings.load_full();
    let clock = Arc::clone(&context.ports.clock);
    let mut tally = Tally::open(
        Arc::clone(&job.record),
        context.ledger.clone(),
        job.principal.key.clone(),
        clock,
        Arc::clone(&context.board),
        queue_wait,
    );
    tally.asked(job.request.model.as_deref().unwrap_or_default());
    let prepared = prepare(&context, &settings, &job.principal, *job.request, &job.overrides, Fetching::StandIn).await;
    let explained = prepared.and_then(|prepared| explain::explain(&context, &prepared));
    match &explained {
        Ok(_) => tally.settle(JobOutcome::Completed, None),
        Err(error) => tally.settle(JobOutcome::Failed, Some(error)),
    }
    if reply.send(explained) == Delivery::CallerGone {
        metrics::counter!("outcrop_answers_unread_total").increment(1);
    }
}
