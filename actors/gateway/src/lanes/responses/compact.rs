//! `compact`: a conversation in short.

use std::sync::Arc;

use outcrop_domain::error::GatewayError;
use outcrop_translate::openai_responses::{ResponseMeta, compact::render};

use super::{
    ResponsesContext, ResponsesReply,
    create::{Placed, ask_of, chat_job, place},
    deliver,
    linked::Linked,
};
use crate::{
    archive::unix_seconds,
    lanes::by_size,
    ports::{AnswerDialect, ChatAnswer, ClientRequest, ResponsesAnswer, ResponsesJob},
};

/// Shortens a conversation. Nothing is stored: the client sends on what it gets.
pub(super) async fn run(context: Arc<ResponsesContext>, job: ResponsesJob, mut reply: ResponsesReply) {
    let answered = tokio::select! {
        biased;
        () = reply.closed() => return,
        answered = Box::pin(compact(&context, job)) => answered,
    };
    deliver(reply, answered);
}

async fn compact(context: &ResponsesContext, mut job: ResponsesJob) -> Result<ResponsesAnswer, GatewayError> {
    // Neither is a member of this body, and both would store something.
    (job.wire.store, job.wire.background, job.wire.stream) = (Some(false), None, None);
    let Placed { id, wire, linked: Linked { earlier, .. }, .. } = place(context, &mut job).await?;
    let ports = context.vault.ports();
    let created_unix = unix_seconds(ports.clock.wall());
    let body_bytes = job.body_bytes;
    let mut asked = chat_job(job, ask_of(wire, earlier));
    asked.request = match asked.request {
        ClientRequest::Responses(ask) => ClientRequest::Compaction { ask, id: id.clone() },
        other => other,
    };
    match context.chat.submit(asked).await? {
        ChatAnswer::Whole { choices, about } => {
            let AnswerDialect::Compaction { kept } = about.dialect.clone() else { return Err(other_dialect()) };
            let meta = ResponseMeta { id, created_unix, model_shown: about.model.to_string() };
            let made = by_size(ports.blocking.as_ref(), body_bytes, move || {
                let answer = choices.into_iter().next().ok_or_else(other_dialect)?;
                render(&answer, kept.as_ref().clone(), &meta)
            });
            Ok(ResponsesAnswer::Whole { body: made.await??.body, about: Some(about) })
        }
        ChatAnswer::Stream { .. } | ChatAnswer::Raw { .. } | ChatAnswer::Counted { .. } => Err(other_dialect()),
    }
}

fn other_dialect() -> GatewayError {
    GatewayError::Internal { message: "a compaction was asked for, and something else answered".to_owned() }
}
