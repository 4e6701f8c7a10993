//! From the model's events to a told response.

use std::time::Duration;

use outcrop_domain::error::GatewayError;
use tokio::sync::mpsc;

use super::telling::{End, Telling};
use crate::ports::StreamItem;

/// Most batches written in one go, so that a fast model cannot starve the thread's other work.
const MAX_BATCHES: usize = 32;

/// A reader that takes nothing for this long is given up: its socket and our buffers are full all the time.
const STALLED_READER: Duration = Duration::from_secs(120);

/// Tells a response to its end. Ends early when nobody wants it: dropping `events` ends the call to the model.
pub(super) async fn pump(mut telling: Telling, mut events: mpsc::Receiver<StreamItem>) {
    loop {
        let handed_on = tokio::time::timeout(STALLED_READER, telling.hand_on()).await;
        if !matches!(handed_on, Ok(true)) {
            drop(events);
            return telling.end(End::GivenUp).await;
        }
        let next = tokio::select! {
            biased;
            // Cancel-safe, both: nothing is taken from the channel that is not seen here.
            () = telling.given_up() => None,
            next = events.recv() => Some(next),
        };
        let Some(next) = next else {
            // The call to the model ends before the response does, so that its account is settled.
            drop(events);
            return telling.end(End::GivenUp).await;
        };
        let mut next = next;
        for _ in 0..MAX_BATCHES {
            match next {
                Some(StreamItem::Events { events, .. }) => telling.write(&events),
                Some(StreamItem::Resumed { .. }) => telling.comment("the answer broke and goes on from another region"),
                Some(StreamItem::Done) => return telling.end(End::Complete).await,
                Some(StreamItem::Bytes(_)) => {
                    drop(events);
                    let error =
                        GatewayError::Internal { message: "a response was asked for, and bytes of another dialect came".to_owned() };
                    return telling.end(End::Broken(&error)).await;
                }
                Some(StreamItem::Failed(error)) => return telling.end(End::Broken(&error)).await,
                None => return telling.end(End::Broken(&GatewayError::WorkerLost)).await,
            }
            match events.try_recv() {
                Ok(more) => next = Some(more),
                // Whether it is empty or closed is seen at the next wait.
                Err(_) => break,
            }
        }
    }
}
