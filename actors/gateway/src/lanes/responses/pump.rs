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
        for left in (0..MAX_BATCHES).rev() {
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
            // What is taken is written: the last pass takes nothing.
            if left == 0 {
                break;
            }
            match events.try_recv() {
                Ok(more) => next = Some(more),
                // Whether it is empty or closed is seen at the next wait.
                Err(_) => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arc_swap::ArcSwap;
    use futures_util::StreamExt as _;
    use outcrop_domain::chat::{ChatEvent, StopReason};
    use outcrop_store::MemoryStore;
    use outcrop_translate::openai_responses::{ResponseMeta, ResponseShape, stream::EventWriter};

    use super::{super::telling::Way, *};
    use crate::{
        archive::{Stores, Vault},
        settings::RoutingPolicy,
        testing::{live_settings, ports},
    };

    fn says(text: &str) -> StreamItem {
        StreamItem::Events { choice: 0, events: vec![ChatEvent::Text { index: 0, text: text.to_owned() }] }
    }

    /// What a client reads of an answer that came in `texts` batches before anybody looked.
    async fn told(texts: usize) -> String {
        let settings = Arc::new(ArcSwap::from_pointee(live_settings(RoutingPolicy::default())));
        let vault = Vault::new(Stores::of(Arc::new(MemoryStore::new(1)), true), settings, ports());
        let meta = ResponseMeta { id: "resp_1".to_owned(), created_unix: 1, model_shown: "m".to_owned() };
        let (way, reader) = Way::client().unwrap();
        let telling = Telling::begun(EventWriter::new(meta, ResponseShape::default()), Vec::new(), way, None, vault);
        let (sender, events) = mpsc::channel(texts + 2);
        for number in 0..texts {
            sender.try_send(says(&format!("<{number}>"))).unwrap();
        }
        let stop = ChatEvent::Stopped { reason: StopReason::EndTurn, stop_sequence: None };
        sender.try_send(StreamItem::Events { choice: 0, events: vec![stop] }).unwrap();
        sender.try_send(StreamItem::Done).unwrap();
        drop(sender);
        let (pieces, ()) = tokio::join!(reader.collect::<Vec<_>>(), pump(telling, events));
        String::from_utf8(pieces.concat()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn no_batch_is_lost_however_many_wait() {
        // With these the last word, the one before it, and one in the middle come just when a write is full.
        for texts in [MAX_BATCHES - 2, MAX_BATCHES - 1, MAX_BATCHES, 3 * MAX_BATCHES] {
            let told = told(texts).await;
            assert!(told.contains("event: response.completed"), "{texts}: {told}");
            let whole: String = (0..texts).map(|number| format!("<{number}>")).collect();
            assert!(told.contains(&whole), "{texts}: {told}");
        }
    }
}
