//! `input_tokens`: how many tokens the input of a response would have.

use std::sync::Arc;

use outcrop_domain::{error::GatewayError, json::JsonText};
use outcrop_protocol::openai::responses::InputTokens;
use outcrop_translate::converse::count_tokens::without_count;

use super::{
    ResponsesContext, ResponsesReply,
    create::{Placed, ask_of, chat_job, place},
    deliver,
    linked::Linked,
};
use crate::ports::{ChatAnswer, ClientRequest, ResponsesAnswer, ResponsesJob};

/// Counts what a response to the same request would read, exactly: where AWS has no count, there is none.
pub(super) async fn run(context: Arc<ResponsesContext>, job: ResponsesJob, mut reply: ResponsesReply) {
    let counted = tokio::select! {
        biased;
        () = reply.closed() => return,
        counted = Box::pin(count(&context, job)) => counted,
    };
    deliver(reply, counted);
}

async fn count(context: &ResponsesContext, mut job: ResponsesJob) -> Result<ResponsesAnswer, GatewayError> {
    // No members of this body; all of them would ask for a response.
    (job.wire.store, job.wire.background, job.wire.stream) = (Some(false), None, None);
    let Placed { wire, linked: Linked { earlier, .. }, .. } = place(context, &mut job).await?;
    let mut asked = chat_job(job, ask_of(wire, earlier));
    asked.request = match asked.request {
        ClientRequest::Responses(ask) => ClientRequest::Counting(ask),
        other => other,
    };
    match context.chat.submit(asked).await.map_err(without_count)? {
        ChatAnswer::Counted { tokens, about } => {
            let body = JsonText::of(&InputTokens::new(tokens))
                .map_err(|error| GatewayError::Internal { message: format!("the count has no JSON form: {error}") })?;
            Ok(ResponsesAnswer::Whole { body, about: Some(about) })
        }
        ChatAnswer::Whole { .. } | ChatAnswer::Stream { .. } | ChatAnswer::Raw { .. } => {
            Err(GatewayError::Internal { message: "a request was answered instead of counted".to_owned() })
        }
    }
}
