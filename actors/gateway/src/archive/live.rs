//! Background responses that this process is at work on: what they have said so far, and the way to cancel them.

use std::{fmt, pin::Pin, sync::Arc, task, time::Duration};

use bytes::{Bytes, BytesMut};
use dashmap::DashMap;
use futures_util::stream::{self, Stream};
use outcrop_domain::ids::KeyId;
use tokio::sync::{mpsc, watch};

/// The background responses under way, by owner and id. Each entry has one writer, the job that makes the response, which takes
/// it away at its end.
#[derive(Debug, Default)]
pub(crate) struct LiveResponses(DashMap<(KeyId, String), Arc<Live>>);

impl LiveResponses {
    /// Enters a response; it is under way for as long as the guard lives.
    pub(crate) fn enter(self: &Arc<Self>, owner: KeyId, id: String) -> LiveGuard {
        let live = Arc::new(Live { cancelled: watch::Sender::new(false), recorded: watch::Sender::new(Recorded::default()) });
        let key = (owner, id);
        self.0.insert(key.clone(), Arc::clone(&live));
        LiveGuard { board: Arc::clone(self), key, live }
    }

    /// The response, if it is under way here.
    pub(crate) fn find(&self, owner: &KeyId, id: &str) -> Option<Arc<Live>> {
        self.0.get(&(owner.clone(), id.to_owned())).map(|live| Arc::clone(&live))
    }

    /// Ends a response of which nothing was told yet: its job, whenever its turn comes, has nothing more to tell.
    pub(crate) fn end_unbegun(&self, owner: &KeyId, id: &str, told: Vec<u8>) {
        if self.find(owner, id).is_some_and(|live| live.end_unbegun(told.into())) {
            self.0.remove(&(owner.clone(), id.to_owned()));
        }
    }

    /// How many are under way.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// One background response under way.
pub(crate) struct Live {
    cancelled: watch::Sender<bool>,
    recorded: watch::Sender<Recorded>,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("cancelled", &*self.cancelled.borrow()).finish_non_exhaustive()
    }
}

/// The events so far. Bounded by what a model may write.
#[derive(Default)]
struct Recorded {
    pieces: Vec<Bytes>,
    ended: bool,
}

impl Live {
    /// Asks its job to end.
    pub(crate) fn cancel(&self) {
        self.cancelled.send_replace(true);
    }

    fn end_unbegun(&self, told: Bytes) -> bool {
        self.recorded.send_if_modified(|recorded| {
            if recorded.ended || !recorded.pieces.is_empty() {
                return false;
            }
            recorded.pieces.push(told);
            recorded.ended = true;
            true
        })
    }

    /// Was it asked to end?
    pub(crate) fn is_cancelled(&self) -> bool {
        *self.cancelled.borrow()
    }

    /// Waits until it is asked to end. Cancel-safe.
    pub(crate) async fn cancelled(&self) {
        let mut asked = self.cancelled.subscribe();
        // The sender is `self`: it does not go away meanwhile.
        let _asked = asked.wait_for(|asked| *asked).await;
    }

    /// Waits until it has ended and is stored as such; false when it takes longer than `within`.
    pub(crate) async fn ended(&self, within: Duration) -> bool {
        let mut recorded = self.recorded.subscribe();
        tokio::time::timeout(within, recorded.wait_for(|recorded| recorded.ended)).await.is_ok()
    }

    /// Its events after number `starting_after`, or all: those that were, and those to come.
    pub(crate) fn events(&self, starting_after: Option<u64>) -> EventBytes {
        let reader = Reader { recorded: self.recorded.subscribe(), read: 0, skip: starting_after.map_or(0, |seen| seen.saturating_add(1)) };
        EventBytes(Box::pin(stream::unfold(reader, |mut reader| async move { reader.next().await.map(|bytes| (bytes, reader)) })))
    }
}

/// Keeps a response on the board.
pub(crate) struct LiveGuard {
    board: Arc<LiveResponses>,
    key: (KeyId, String),
    live: Arc<Live>,
}

impl LiveGuard {
    /// The response.
    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Adds events.
    pub(crate) fn record(&self, events: Bytes) {
        if !events.is_empty() {
            self.live.recorded.send_if_modified(|recorded| {
                if !recorded.ended {
                    recorded.pieces.push(events);
                }
                !recorded.ended
            });
        }
    }
}

impl Drop for LiveGuard {
    fn drop(&mut self) {
        self.board.0.remove(&self.key);
        self.live.recorded.send_modify(|recorded| recorded.ended = true);
    }
}

/// Someone who reads along.
struct Reader {
    recorded: watch::Receiver<Recorded>,
    /// Pieces read.
    read: usize,
    /// Events yet to be left out.
    skip: u64,
}

impl Reader {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let (new, ended) = {
                let recorded = self.recorded.borrow_and_update();
                let new = joined(recorded.pieces.get(self.read..).unwrap_or_default());
                self.read = recorded.pieces.len();
                (new, recorded.ended)
            };
            let new = without_events(new, &mut self.skip);
            if !new.is_empty() {
                return Some(new);
            }
            if ended || self.recorded.changed().await.is_err() {
                return None;
            }
        }
    }
}

fn joined(pieces: &[Bytes]) -> Bytes {
    match pieces {
        [] => Bytes::new(),
        [only] => only.clone(),
        several => several
            .iter()
            .fold(BytesMut::new(), |mut all, piece| {
                all.extend_from_slice(piece);
                all
            })
            .freeze(),
    }
}

/// Leaves out the first `skip` events, and comments before their ends. Pieces hold whole events.
fn without_events(mut events: Bytes, skip: &mut u64) -> Bytes {
    while *skip > 0 {
        let Some(end) = events.windows(2).position(|pair| pair == b"\n\n") else { return Bytes::new() };
        *skip -= u64::from(events.starts_with(b"event: "));
        events = events.split_off(end + 2);
    }
    events
}

/// The bytes of a stream of events, as they come. They end when the stream has told its end.
pub struct EventBytes(Pin<Box<dyn Stream<Item = Bytes> + Send>>);

impl EventBytes {
    /// What comes through a channel.
    pub(crate) fn channel(mut pieces: mpsc::Receiver<Bytes>) -> Self {
        Self(Box::pin(stream::poll_fn(move |context| pieces.poll_recv(context))))
    }

    /// What is there already.
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        Self(Box::pin(stream::iter([Bytes::from(bytes)])))
    }
}

impl Stream for EventBytes {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> task::Poll<Option<Bytes>> {
        self.0.as_mut().poll_next(context)
    }
}

impl fmt::Debug for EventBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventBytes(..)")
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    fn event(number: u64) -> Bytes {
        Bytes::from(format!("event: e\ndata: {{\"sequence_number\":{number}}}\n\n"))
    }

    async fn all(events: EventBytes) -> String {
        let pieces: Vec<Bytes> = events.collect().await;
        String::from_utf8(pieces.concat()).unwrap()
    }

    fn entered() -> (Arc<LiveResponses>, LiveGuard) {
        let board = Arc::<LiveResponses>::default();
        let guard = board.enter("ann".into(), "resp_1".to_owned());
        (board, guard)
    }

    #[tokio::test]
    async fn who_comes_late_reads_everything_and_who_comes_back_the_rest() {
        let (_board, guard) = entered();
        guard.record(event(0));
        guard.record(Bytes::from_static(b": a comment\n\n"));
        let (whole, rest) = (guard.live().events(None), guard.live().events(Some(1)));
        guard.record([event(1), event(2)].concat().into());
        guard.record(event(3));
        drop(guard);
        let told = all(whole).await;
        assert!((0..4).all(|number| told.contains(&format!(":{number}}}"))) && told.contains("a comment"), "{told}");
        let told = all(rest).await;
        assert!(told.starts_with("event: e\ndata: {\"sequence_number\":2}") && told.contains(":3}"), "{told}");
    }

    #[tokio::test]
    async fn a_response_leaves_the_board_with_its_job() {
        let (board, guard) = entered();
        let live = board.find(&"ann".into(), "resp_1").unwrap();
        assert!(board.find(&"bob".into(), "resp_1").is_none(), "another key's");
        assert!(!live.is_cancelled());
        live.cancel();
        guard.live().cancelled().await;
        drop(guard);
        assert!(live.ended(Duration::from_secs(1)).await);
        assert_eq!(board.len(), 0);
        assert_eq!(all(live.events(None)).await, "");
    }
}
