//! The body of a response that is streamed as bytes: what comes, with signs of life in silence.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream::Stream as _;
use http_body::{Body as HttpBody, Frame};
use outcrop_domain::error::GatewayError;
use outcrop_gateway::ports::{EventBytes, ResponsesAnswer};
use outcrop_translate::openai_responses::stream::{EventWriter, error_event};
use tokio::time::{Sleep, sleep};

/// An answer that has not come when its stream was opened.
pub(super) type PendingAnswer = Pin<Box<dyn Future<Output = Result<ResponsesAnswer, GatewayError>> + Send>>;

/// Where the stream stands.
enum State {
    /// The job has not answered.
    Waiting(PendingAnswer),
    /// Events come.
    Flowing(EventBytes),
    /// The last byte was given.
    Ended,
}

/// The response body.
pub(super) struct EventBody {
    state: State,
    silence: Pin<Box<Sleep>>,
    /// Longest silence.
    every: Duration,
}

impl EventBody {
    /// A stream whose first events are there.
    pub(super) fn flowing(events: EventBytes, every: Duration) -> Body {
        Body::new(Self { state: State::Flowing(events), silence: Box::pin(sleep(every)), every })
    }

    /// A stream that is opened before the job has answered. The first comment goes out at once: the client sees that it is connected.
    pub(super) fn waiting(answer: PendingAnswer, every: Duration) -> Body {
        Body::new(Self { state: State::Waiting(answer), silence: Box::pin(sleep(Duration::ZERO)), every })
    }

    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<Bytes> {
        if self.silence.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.restart_silence();
        // The new deadline must be polled once, or nobody would wake us for it.
        if self.silence.as_mut().poll(context).is_ready() {
            context.waker().wake_by_ref();
        }
        let mut comment = Vec::new();
        EventWriter::keep_alive(&mut comment);
        Poll::Ready(comment.into())
    }

    fn restart_silence(&mut self) {
        self.silence.set(sleep(self.every));
    }
}

impl HttpBody for EventBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        loop {
            let events = match &mut this.state {
                State::Ended => return Poll::Ready(None),
                State::Waiting(answer) => match answer.as_mut().poll(context) {
                    Poll::Pending => return this.poll_silence(context).map(|comment| Some(Ok(Frame::data(comment)))),
                    Poll::Ready(answer) => {
                        let (state, told) = begun(answer);
                        this.state = state;
                        if told.is_empty() {
                            continue;
                        }
                        return Poll::Ready(Some(Ok(Frame::data(told.into()))));
                    }
                },
                State::Flowing(events) => events,
            };
            return match Pin::new(events).poll_next(context) {
                Poll::Pending => this.poll_silence(context).map(|comment| Some(Ok(Frame::data(comment)))),
                Poll::Ready(Some(bytes)) => {
                    this.restart_silence();
                    Poll::Ready(Some(Ok(Frame::data(bytes))))
                }
                Poll::Ready(None) => {
                    this.state = State::Ended;
                    Poll::Ready(None)
                }
            };
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Ended)
    }
}

/// How the stream goes on when the job has answered, and what is told at once.
fn begun(answer: Result<ResponsesAnswer, GatewayError>) -> (State, Vec<u8>) {
    let error = match answer {
        Ok(ResponsesAnswer::Stream { events, .. }) => return (State::Flowing(events), Vec::new()),
        Ok(ResponsesAnswer::Whole { .. }) => GatewayError::Internal { message: "a streamed request was answered whole".to_owned() },
        Err(error) => error,
    };
    let mut told = Vec::new();
    error_event(&error, &mut told);
    (State::Ended, told)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_waits_sees_that_it_is_connected_and_reads_what_went_wrong() {
        let answer: PendingAnswer = Box::pin(async {
            sleep(Duration::from_secs(20)).await;
            Err(GatewayError::WorkerLost)
        });
        let body = EventBody::waiting(answer, Duration::from_secs(15)).collect().await.unwrap().to_bytes();
        let text = std::str::from_utf8(&body).unwrap();
        assert_eq!(text.matches(": ping\n\n").count(), 2, "{text}");
        assert!(text.contains("event: error\ndata: {\"type\":\"error\",\"sequence_number\":0,"), "{text}");
    }
}
