//! Requests that are read and not sent: explained, or checked before they are accepted.

use std::{sync::Arc, time::Duration};

use outcrop_domain::error::GatewayError;
use outcrop_supervision::{Delivery, Reply};

use super::{
    ChatContext, explain, fallback,
    prepare::{Purpose, prepare},
    tally::Tally,
};
use crate::{
    ports::{AnswerFacts, ChatJob, Disclosure, Explanation},
    record::JobOutcome,
    settings::LiveSettings,
};

/// The way back of what was read.
type Told<T> = Reply<Result<T, GatewayError>>;

/// Explains a request instead of running it.
pub(super) async fn explain(
    context: Arc<ChatContext>,
    mut job: ChatJob,
    disclosure: Disclosure,
    mut reply: Told<Explanation>,
    queue_wait: Duration,
) {
    let settings = context.settings.load_full();
    let mut tally = account(&context, &job, queue_wait);
    let left = time_left(&context, &settings, &job);
    let explaining = async {
        let prepared = prepare(&context, &settings, &mut job, Purpose::Showing(disclosure), None, &mut tally).await?;
        explain::explain(&context, prepared, disclosure).await
    };
    let explained = heard(&mut reply, left, explaining).await;
    end(tally.uncounted(), reply, explained);
}

/// Reads a request, and tells what its answer would be written as. One that is accepted is counted when it is run; one that is
/// refused ends here, and is counted here.
pub(super) async fn check(context: Arc<ChatContext>, job: ChatJob, mut reply: Told<AnswerFacts>, queue_wait: Duration) {
    let settings = context.settings.load_full();
    let mut tally = account(&context, &job, queue_wait);
    let left = time_left(&context, &settings, &job);
    let checked = heard(&mut reply, left, checked(&context, &settings, job, &mut tally)).await;
    let tally = if matches!(checked, Some(Ok(_))) { tally.uncounted() } else { tally };
    end(tally, reply, checked);
}

/// Reads the request for its model, and where its alias has a chain, for those after it: as it will be run.
async fn checked(
    context: &ChatContext,
    settings: &Arc<LiveSettings>,
    mut job: ChatJob,
    tally: &mut Tally,
) -> Result<AnswerFacts, GatewayError> {
    let asked = job.request.model().unwrap_or_default().to_owned();
    let chain = fallback::chain(settings, &context.catalogue.load(), &job.request, &asked);
    let first = if chain.is_empty() { None } else { Some(fallback::job_for(&job, &asked)) };
    let mut checked = checked_as(context, settings, &mut job, None, tally).await;
    for model in &chain {
        let (Err(error), Some(first)) = (&checked, &first) else { break };
        if !fallback::may_do_better(error) {
            break;
        }
        let mut next = fallback::job_for(first, model);
        match checked_as(context, settings, &mut next, Some(&asked), tally).await {
            Ok(facts) => checked = Ok(facts),
            // As when it is run.
            Err(other) if fallback::may_do_better(&other) => {}
            Err(_) => break,
        }
    }
    checked
}

async fn checked_as(
    context: &ChatContext,
    settings: &Arc<LiveSettings>,
    job: &mut ChatJob,
    instead_of: Option<&str>,
    tally: &mut Tally,
) -> Result<AnswerFacts, GatewayError> {
    let prepared = prepare(context, settings, job, Purpose::Showing(Disclosure::Operator), instead_of, tally).await?;
    tally.adjusted(&prepared.adjustments);
    let region = prepared.resolution.targets.first().map(|target| target.region.clone());
    region
        .map(|region| prepared.facts(context, settings, region, 0))
        .ok_or_else(|| GatewayError::Internal { message: "a model without targets".to_owned() })
}

fn account(context: &ChatContext, job: &ChatJob, queue_wait: Duration) -> Tally {
    let (usage, board) = (Arc::clone(&context.usage), Arc::clone(&context.board));
    let clock = Arc::clone(&context.ports.clock);
    let mut tally = Tally::open(Arc::clone(&job.record), usage, job.principal.key.clone(), clock, board, queue_wait);
    tally.asked(job.request.model().unwrap_or_default());
    tally
}

/// Time that is left of the request, with its whole limit.
fn time_left(context: &ChatContext, settings: &LiveSettings, job: &ChatJob) -> (Duration, Duration) {
    let total = settings.timeouts.total;
    (job.record.began().after(total).since(context.ports.clock.now()), total)
}

/// Works as long as somebody waits for it and there is time; `None` when nobody does.
async fn heard<T>(
    reply: &mut Told<T>,
    (left, total): (Duration, Duration),
    work: impl Future<Output = Result<T, GatewayError>>,
) -> Option<Result<T, GatewayError>> {
    tokio::select! {
        biased;
        () = reply.closed() => None,
        worked = tokio::time::timeout(left, work) => Some(worked.unwrap_or(Err(GatewayError::DeadlineExceeded { after: total }))),
    }
}

fn end<T>(tally: Tally, reply: Told<T>, worked: Option<Result<T, GatewayError>>) {
    let Some(worked) = worked else {
        tally.settle(JobOutcome::Cancelled, None);
        return;
    };
    match &worked {
        Ok(_) => tally.settle(JobOutcome::Completed, None),
        Err(error) => tally.settle(JobOutcome::Failed, Some(error)),
    }
    if reply.send(worked) == Delivery::CallerGone {
        metrics::counter!("outcrop_answers_unread_total").increment(1);
    }
}
