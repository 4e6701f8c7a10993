//! Responses in the background: accepted at once, made without a client, asked for later.

use std::sync::Arc;

use outcrop_domain::{error::GatewayError, json::JsonText};
use outcrop_protocol::openai::responses::Status;
use outcrop_store::{Owner, Running, StoreError};
use outcrop_supervision::{CallError, Job, JobFuture, Refusal};
use outcrop_translate::openai_responses::{ResponseMeta, ResponseShape, response, stream::EventWriter};

use super::{
    ResponsesContext,
    create::{Placed, ask_of, chat_job, kept, put_running, written_as},
    linked::Linked,
    pump::pump,
    telling::{End, Telling, Way},
};
use crate::{
    archive::{of_responses, unix_seconds},
    lanes::{by_size, chat::unanswered},
    ports::{ChatAnswer, ChatJob, ResponsesAnswer, ResponsesJob},
};

/// Name of the lane in messages.
const LANE: &str = "background lane";

/// Checks a request, stores its response as queued, and hands it to the background.
pub(super) async fn accept(context: &Arc<ResponsesContext>, job: ResponsesJob, placed: Placed) -> Result<ResponsesAnswer, GatewayError> {
    let Placed { id, mut wire, linkage, linked: Linked { earlier, input }, created_at } = placed;
    let kept = kept(&job, &wire, &linkage, &id, created_at, input);
    let streams = wire.stream == Some(true);
    // A stream shows at any time how far the response is, and leaves what was said of one that is cancelled.
    wire.stream = Some(true);
    let created_unix = unix_seconds(context.vault.ports().clock.wall());
    let owner = job.principal.key.clone();
    let ask = ask_of(wire, earlier);
    // Whatever can be refused is refused now, while somebody hears it.
    let checked = context.chat.check(chat_job(job.clone(), ask.clone())).await?;
    let (meta, shape) = written_as(id.clone(), created_unix, &checked)?;
    let (written_meta, written_shape) = (meta.clone(), shape.clone());
    let blocking = context.vault.ports().blocking.as_ref();
    // The room stays with the bytes: the job may be dropped while they are in other hands.
    let held = job.held.clone();
    let write = move || {
        let _held = held;
        Opening::write(written_meta, written_shape)
    };
    let opening = by_size(blocking, job.body_bytes, write).await??;
    let kept = put_running(context, kept, Running::Queued, &meta, &shape).await?;
    let Opening { queued, in_progress, writer, accepted, begun } = opening;
    let guard = context.live.enter(owner.clone(), id.clone(), accepted.into());
    let live = Arc::clone(guard.live());
    let telling = Telling::accepted(writer, begun, Way::Board(guard), kept, context.vault.clone());
    let answer = match streams {
        true => ResponsesAnswer::Stream { events: live.events(None), about: Some(checked) },
        false => ResponsesAnswer::Whole { body: queued, about: Some(checked) },
    };
    let asked = chat_job(job, ask);
    context.background.submit(BackgroundWork { context: Arc::clone(context), asked, in_progress, id, telling });
    Ok(answer)
}

/// What is told of a response before its model says anything. All of it repeats parameters of the request, which may be long.
struct Opening {
    /// The response while it waits.
    queued: JsonText,
    /// The response while it is being made.
    in_progress: JsonText,
    /// Writes what follows.
    writer: EventWriter,
    /// The first events: it is there, and it waits.
    accepted: Vec<u8>,
    /// The event of its job's beginning.
    begun: Vec<u8>,
}

impl Opening {
    fn write(meta: ResponseMeta, shape: ResponseShape) -> Result<Self, GatewayError> {
        let queued = response::under_way(&meta, &shape, Status::Queued)?;
        let in_progress = response::under_way(&meta, &shape, Status::InProgress)?;
        let (mut writer, mut accepted, mut begun) = (EventWriter::new(meta, shape), Vec::new(), Vec::new());
        writer.accept(&mut accepted);
        writer.begin(&mut begun);
        Ok(Self { queued, in_progress, writer, accepted, begun })
    }
}

/// Work of the background lane.
pub struct BackgroundWork {
    context: Arc<ResponsesContext>,
    asked: ChatJob,
    /// The response while it is being made.
    in_progress: JsonText,
    id: String,
    telling: Telling,
}

impl Job for BackgroundWork {
    fn refused(self, refusal: Refusal) {
        tracing::warn!(response.id = self.id, refusal = refusal.as_str(), "a response in the background was not begun");
        if self.abandoned() {
            // Dropped, it ends as cancelled.
            return;
        }
        self.telling.fail(&unanswered(&CallError::Refused(refusal), LANE));
    }

    fn run(self) -> JobFuture {
        Box::pin(run(self))
    }

    /// A response that was cancelled meanwhile ends when it is dropped.
    fn abandoned(&self) -> bool {
        self.telling.live().is_some_and(|live| live.is_cancelled())
    }
}

async fn run(work: BackgroundWork) {
    let BackgroundWork { context, mut asked, in_progress, id, mut telling } = work;
    let owner = asked.principal.key.clone();
    let begun = context.vault.ask("update_status", move |shelves| {
        shelves.responses().update_status(Owner(owner.as_str()), &id, Running::Queued, Running::InProgress, &in_progress.get().into())
    });
    match begun.await {
        Ok(Ok(())) => {}
        // It was cancelled or deleted while it waited.
        Ok(Err(StoreError::NotFound { .. } | StoreError::Conflict { .. })) => return telling.end(End::GivenUp).await,
        Ok(Err(error)) => return telling.end(End::Broken(&of_responses(&error))).await,
        Err(error) => return telling.end(End::Broken(&error)).await,
    }
    telling.begin();
    telling.hand_on().await;
    // Its time begins now: how long it has waited is no business of the model's deadline.
    asked.record = asked.record.successor();
    let answered = tokio::select! {
        biased;
        () = telling.given_up() => None,
        answered = context.chat.submit(asked) => Some(answered),
    };
    match answered {
        None => telling.end(End::GivenUp).await,
        Some(Err(error)) => telling.end(End::Broken(&error)).await,
        Some(Ok(ChatAnswer::Stream { events, .. })) => pump(telling, events).await,
        Some(Ok(ChatAnswer::Whole { .. } | ChatAnswer::Raw { .. } | ChatAnswer::Counted { .. })) => {
            let error = GatewayError::Internal { message: "a streamed request was answered whole".to_owned() };
            telling.end(End::Broken(&error)).await;
        }
    }
}
