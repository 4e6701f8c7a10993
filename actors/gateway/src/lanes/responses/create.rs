//! One response, from its request to the store.

use std::sync::Arc;

use outcrop_domain::{chat::ChatResponse, clock::random_id, error::GatewayError, json::JsonText};
use outcrop_protocol::openai::responses::{ResponsesRequest, Status};
use outcrop_store::{Owner, Running, UnixMillis};
use outcrop_translate::openai_responses::{
    ResponseMeta, ResponseShape,
    request::{Earlier, Linkage, linkage},
    response::{self, FinalResponse},
    stream::EventWriter,
};
use tokio::sync::mpsc;

use super::{
    ResponsesContext, ResponsesReply, background, deliver,
    linked::{self, Linked},
    pump::pump,
    telling::{Telling, Way},
};
use crate::{
    archive::{Kept, KeptAs, of_responses, unix_seconds},
    lanes::by_size,
    ports::{
        AnswerDialect, AnswerFacts, ChatAnswer, ChatJob, ClientRequest, HeldMemory, ResponsesAnswer, ResponsesAsk, ResponsesJob, StreamItem,
    },
};

/// Makes a response. The client may leave at any time: what it has begun to read is stored as cancelled then.
pub(super) async fn run(context: Arc<ResponsesContext>, job: ResponsesJob, mut reply: ResponsesReply) {
    let begun = tokio::select! {
        biased;
        // Nobody waits for the answer any more: dropping the work drops the call to the model.
        () = reply.closed() => return,
        begun = Box::pin(begin(&context, job)) => begun,
    };
    match begun {
        Err(error) => deliver(reply, Err(error)),
        Ok(Begun::Answered(answer)) => deliver(reply, Ok(answer)),
        Ok(Begun::Streaming { answer, telling, events }) => {
            deliver(reply, Ok(answer));
            pump(*telling, events).await;
        }
    }
}

/// How far a request came before its reply.
enum Begun {
    /// Complete, or on its way in the background.
    Answered(ResponsesAnswer),
    /// Its first events are there.
    Streaming { answer: ResponsesAnswer, telling: Box<Telling>, events: mpsc::Receiver<StreamItem> },
}

/// A request whose place among what is stored is known.
pub(super) struct Placed {
    /// `resp_...`.
    pub(super) id: String,
    /// The request.
    pub(super) wire: Box<ResponsesRequest>,
    /// What it goes on from and what it leaves.
    pub(super) linkage: Linkage,
    /// What was stored of it.
    pub(super) linked: Linked,
    /// Wall-clock time at its beginning.
    pub(super) created_at: UnixMillis,
}

async fn begin(context: &Arc<ResponsesContext>, mut job: ResponsesJob) -> Result<Begun, GatewayError> {
    let placed = place(context, &mut job).await?;
    if placed.linkage.background {
        return background::accept(context, job, placed).await.map(Begun::Answered);
    }
    let Placed { id, wire, linkage, linked, created_at } = placed;
    let kept = kept(&job, &wire, &linkage, &id, created_at, linked.input);
    let (body_bytes, held) = (job.body_bytes, job.held.clone());
    let created_unix = unix_seconds(context.vault.ports().clock.wall());
    check_room(context, kept.as_ref(), body_bytes).await?;
    let asked = chat_job(job, ask_of(wire, linked.earlier));
    match context.chat.submit(asked).await? {
        ChatAnswer::Whole { choices, mut about } => {
            let (meta, shape) = written_as(id, created_unix, &about)?;
            let Shown { body, lost } = whole(context, choices, meta, shape, kept, body_bytes).await?;
            if lost {
                about.adjustments.note("store", "not_stored");
            }
            Ok(Begun::Answered(ResponsesAnswer::Whole { body, about: Some(about) }))
        }
        ChatAnswer::Stream { events, mut about } => {
            let (meta, shape) = written_as(id, created_unix, &about)?;
            // Before it is stored: what is stored as running must have its end in nobody else's hands.
            let opening = begin_writing(context, body_bytes, held.clone(), &meta, &shape).await?;
            let (opening, kept) = match put_running(context, kept, Running::InProgress, &meta, &shape).await {
                Ok(kept) => (opening, kept),
                // Given all the same, as a whole answer is: the model is at it, and would be paid anew for whoever asked again.
                Err(GatewayError::Unavailable { .. }) => {
                    tracing::warn!(response.id = meta.id, "a stream is given and not stored");
                    about.adjustments.note("store", "not_stored");
                    (begin_writing(context, body_bytes, held, &meta, &shape.unstored()).await?, None)
                }
                Err(error) => return Err(error),
            };
            let (writer, first) = opening;
            let (way, reader) = Way::client()?;
            let telling = Telling::begun(writer, first, way, kept, context.vault.clone());
            let answer = ResponsesAnswer::Stream { events: reader, about: Some(about) };
            Ok(Begun::Streaming { answer, telling: Box::new(telling), events })
        }
        ChatAnswer::Raw { .. } | ChatAnswer::Counted { .. } => {
            Err(GatewayError::Internal { message: "a response was asked for, and something else answered".to_owned() })
        }
    }
}

/// The writer of a stream, and its first events. They repeat parameters of the request, which may be long.
async fn begin_writing(
    context: &ResponsesContext,
    body_bytes: usize,
    held: Option<Arc<dyn HeldMemory>>,
    meta: &ResponseMeta,
    shape: &ResponseShape,
) -> Result<(EventWriter, Vec<u8>), GatewayError> {
    let (meta, shape) = (meta.clone(), shape.clone());
    let write = move || {
        let _held = held;
        let (mut writer, mut out) = (EventWriter::new(meta, shape), Vec::new());
        writer.begin(&mut out);
        (writer, out)
    };
    by_size(context.vault.ports().blocking.as_ref(), body_bytes, write).await
}

/// Finds out what the request goes on from, and reads it.
pub(super) async fn place(context: &ResponsesContext, job: &mut ResponsesJob) -> Result<Placed, GatewayError> {
    let ports = context.vault.ports().clone();
    let id = random_id("resp_", ports.entropy.as_ref());
    let created_at = UnixMillis::from(ports.clock.wall());
    let wire = std::mem::take(&mut job.wire);
    // The room stays with the bytes: the job may be dropped while they are in other hands.
    let held = job.held.clone();
    let read = by_size(ports.blocking.as_ref(), job.body_bytes, move || {
        let _held = held;
        linkage(&wire).map(|linkage| (wire, linkage))
    });
    let (wire, linkage) = read.await??;
    let (owner, held, response_id) = (job.principal.key.clone(), job.held.clone(), id.clone());
    let max_bytes = context.vault.policy().max_bytes;
    let read = move |wire: Box<ResponsesRequest>, linkage: Linkage, earlier: Earlier| -> Result<_, GatewayError> {
        let keeps = linkage.store || linkage.conversation.is_some();
        let input = if keeps { linked::input(&wire, &linkage, &earlier, &response_id, max_bytes)? } else { Vec::new() };
        Ok((wire, linkage, Linked { earlier, input }))
    };
    let (wire, linkage, linked) = if linked::goes_on(&linkage) {
        let found = context.vault.ask("read_earlier", move |shelves| {
            let earlier = linked::earlier(shelves, Owner(owner.as_str()), &linkage, held.as_deref())?;
            read(wire, linkage, earlier)
        });
        found.await??
    } else {
        let found = by_size(ports.blocking.as_ref(), job.body_bytes, move || {
            let _held = held;
            read(wire, linkage, Earlier::default())
        });
        found.await??
    };
    Ok(Placed { id, wire, linkage, linked, created_at })
}

/// How a response is stored; `None` when it is not.
pub(super) fn kept(
    job: &ResponsesJob,
    wire: &ResponsesRequest,
    linkage: &Linkage,
    id: &str,
    created_at: UnixMillis,
    input: Vec<outcrop_store::Item>,
) -> Option<Kept> {
    let kept_as = match (linkage.store, &linkage.conversation) {
        (true, _) => KeptAs::Response,
        (false, Some(_)) => KeptAs::ConversationItems,
        (false, None) => return None,
    };
    Some(Kept {
        owner: job.principal.key.clone(),
        id: id.to_owned(),
        created_at,
        model: wire.model.clone().unwrap_or_default(),
        input,
        conversation: linkage.conversation.clone(),
        previous: linkage.previous_response_id.clone(),
        background: linkage.background,
        kept_as,
        begun: false,
        claim: None,
    })
}

/// A request with what it goes on from.
pub(super) fn ask_of(wire: Box<ResponsesRequest>, earlier: Earlier) -> Box<ResponsesAsk> {
    Box::new(ResponsesAsk::new(*wire, earlier))
}

/// The request as the chat lane takes it: what was stored counts for its size like what was sent.
pub(super) fn chat_job(job: ResponsesJob, ask: Box<ResponsesAsk>) -> ChatJob {
    let ResponsesJob { record, principal, body_bytes, overrides, held, .. } = job;
    let body_bytes = body_bytes.saturating_add(linked::bytes_of(&ask.earlier));
    ChatJob { record, principal, request: ClientRequest::Responses(ask), body_bytes, overrides, held }
}

/// Stores a response as running, before anybody is told its id.
pub(super) async fn put_running(
    context: &ResponsesContext,
    kept: Option<Kept>,
    running: Running,
    meta: &ResponseMeta,
    shape: &ResponseShape,
) -> Result<Option<Kept>, GatewayError> {
    let Some(kept) = kept else { return Ok(None) };
    let status = match running {
        Running::Queued => Status::Queued,
        Running::InProgress => Status::InProgress,
    };
    let (vault, meta, shape) = (context.vault.clone(), meta.clone(), shape.clone());
    // Written there, too: it repeats parameters of the request, which may be long.
    let put = context.vault.ask("put_response", move |shelves| {
        let body = response::under_way(&meta, &shape, status)?;
        kept.begin(shelves, vault, running, &body)
    });
    Ok(put.await??.into_kept())
}

/// A model is not paid for what there is no room for.
async fn check_room(context: &ResponsesContext, kept: Option<&Kept>, body_bytes: usize) -> Result<(), GatewayError> {
    let Some(kept) = kept.filter(|_| context.vault.knows_its_room()) else { return Ok(()) };
    let (owner, bytes) = (kept.owner.clone(), kept.least_bytes(body_bytes));
    let checked = context.vault.ask("check_room", move |shelves| shelves.responses().check_room(Owner(owner.as_str()), bytes));
    checked.await?.map_err(|error| of_responses(&error))
}

/// A whole answer as it is shown.
struct Shown {
    body: JsonText,
    /// It was to be stored and could not be.
    lost: bool,
}

/// Stores a whole answer, and then shows it. One that cannot be stored is shown all the same, since it was paid for: it says that it is
/// not stored.
async fn whole(
    context: &ResponsesContext,
    choices: Vec<ChatResponse>,
    meta: ResponseMeta,
    shape: ResponseShape,
    kept: Option<Kept>,
    bytes: usize,
) -> Result<Shown, GatewayError> {
    let Some(answer) = choices.into_iter().next() else {
        return Err(GatewayError::Internal { message: "the model's answer has no choice".to_owned() });
    };
    let ports = context.vault.ports();
    let completed_unix = unix_seconds(ports.clock.wall());
    let make = move || -> FinalResponse { response::render(answer, meta, shape, completed_unix) };
    match kept {
        None => {
            let body = by_size(ports.blocking.as_ref(), bytes, move || make().shown()).await??;
            Ok(Shown { body, lost: false })
        }
        Some(kept) => {
            let stored = context.vault.ask("put_response", move |shelves| {
                let made = make();
                let id = kept.id.clone();
                if let Err(error) = kept.end(shelves, &made) {
                    tracing::error!(response.id = id, %error, "an answer was given and not stored");
                    return made.unstored().shown().map(|body| Shown { body, lost: true });
                }
                made.shown().map(|body| Shown { body, lost: false })
            });
            stored.await?
        }
    }
}

/// What the answer is written as.
pub(super) fn written_as(id: String, created_unix: u64, about: &AnswerFacts) -> Result<(ResponseMeta, ResponseShape), GatewayError> {
    match &about.dialect {
        AnswerDialect::Responses { shape } => {
            let meta = ResponseMeta { id, created_unix, model_shown: about.model.to_string() };
            Ok((meta, shape.clone()))
        }
        _ => Err(GatewayError::Internal { message: "a response was asked for, and answered in another dialect".to_owned() }),
    }
}
