//! Background responses that this process is at work on: what they have said so far, and the way to cancel them.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use dashmap::DashMap;
use futures_util::stream::{self, Stream};
use outcrop_domain::ids::KeyId;
use tokio::sync::{mpsc, watch};

/// The background responses under way, by owner and id. Each entry begins with what is told when work is accepted; from its begin the
/// job that makes the response is its only writer, and takes it away at its end. Who ends it before that writes its end. What was told
/// is kept for a while: a reader whose connection broke goes on by the number of the last event it has, and what is written anew from
/// the store has other numbers.
#[derive(Debug, Default)]
pub(crate) struct LiveResponses {
    under_way: DashMap<ResponseKey, Arc<Live>>,
    /// Held for a push or a look, over no await.
    past: Mutex<Past>,
}

type ResponseKey = (KeyId, String);

/// What ended responses told, the oldest first.
#[derive(Debug, Default)]
struct Past {
    told: VecDeque<(ResponseKey, Arc<Live>, usize)>,
    bytes: usize,
}

/// Most that is kept of ended responses, bytes: thousands of usual ones.
const PAST_BYTES: usize = 32 * 1024 * 1024;

impl Past {
    fn keep(&mut self, key: ResponseKey, live: Arc<Live>) {
        let bytes = live.recorded.borrow().pieces.iter().map(Bytes::len).sum::<usize>();
        // One that was cancelled may have been deleted as well: the store knows.
        if bytes == 0 || bytes > PAST_BYTES || *live.cancelled.borrow() {
            return;
        }
        self.bytes += bytes;
        self.told.push_back((key, live, bytes));
        while self.bytes > PAST_BYTES {
            let Some((_, _, gone)) = self.told.pop_front() else { break };
            self.bytes -= gone;
        }
    }

    fn forget(&mut self, key: &ResponseKey) {
        let Self { told, bytes } = self;
        told.retain(|(kept, _, size)| {
            let stays = kept != key;
            *bytes -= if stays { 0 } else { *size };
            stays
        });
    }
}

impl LiveResponses {
    /// Enters a response that has told so much of itself and waits for its turn; it is under way for as long as the guard lives.
    pub(crate) fn enter(self: &Arc<Self>, owner: KeyId, id: String, told: Bytes) -> LiveGuard {
        let recorded = Recorded { pieces: vec![told], ..Recorded::default() };
        let live = Arc::new(Live { cancelled: watch::Sender::new(false), recorded: watch::Sender::new(recorded) });
        let key = (owner, id);
        self.under_way.insert(key.clone(), Arc::clone(&live));
        LiveGuard { board: Arc::clone(self), key, live }
    }

    /// The response, if it is under way here.
    pub(crate) fn find(&self, owner: &KeyId, id: &str) -> Option<Arc<Live>> {
        self.under_way.get(&(owner.clone(), id.to_owned())).map(|live| Arc::clone(&live))
    }

    /// What the response has told, if it is under way here or was lately.
    pub(crate) fn told(&self, owner: &KeyId, id: &str) -> Option<Arc<Live>> {
        let past = || {
            let key = (owner.clone(), id.to_owned());
            self.past().told.iter().find(|(kept, ..)| *kept == key).map(|(_, live, _)| Arc::clone(live))
        };
        self.find(owner, id).or_else(past)
    }

    /// Nobody may read any more what the response told.
    pub(crate) fn forget(&self, owner: &KeyId, id: &str) {
        self.past().forget(&(owner.clone(), id.to_owned()));
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a response that waits for its turn, with the rest of what is told of it: its job, whenever the turn comes, has nothing more
    /// to tell.
    pub(crate) fn end_unbegun(&self, owner: &KeyId, id: &str, told: Vec<u8>) {
        if self.find(owner, id).is_some_and(|live| live.end_unbegun(told.into())) {
            self.under_way.remove(&(owner.clone(), id.to_owned()));
        }
    }

    /// How many are under way.
    pub(crate) fn len(&self) -> usize {
        self.under_way.len()
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
    /// Its job has told something.
    begun: bool,
    ended: bool,
}

impl Live {
    /// Asks its job to end.
    pub(crate) fn cancel(&self) {
        self.cancelled.send_replace(true);
    }

    fn end_unbegun(&self, told: Bytes) -> bool {
        self.recorded.send_if_modified(|recorded| {
            if recorded.ended || recorded.begun {
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
                    recorded.begun = true;
                }
                !recorded.ended
            });
        }
    }
}

impl Drop for LiveGuard {
    fn drop(&mut self) {
        self.board.under_way.remove(&self.key);
        self.live.recorded.send_modify(|recorded| recorded.ended = true);
        self.board.past().keep(self.key.clone(), Arc::clone(&self.live));
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
    pub(crate) fn of(bytes: Bytes) -> Self {
        Self(Box::pin(stream::iter([bytes])))
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
        let guard = board.enter("ann".into(), "resp_1".to_owned(), event(0));
        (board, guard)
    }

    #[tokio::test]
    async fn who_comes_late_reads_everything_and_who_comes_back_the_rest() {
        let (_board, guard) = entered();
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
        assert_eq!(all(live.events(Some(0))).await, "");
    }

    #[tokio::test]
    async fn one_that_waits_is_ended_from_outside_and_one_that_has_begun_by_its_job() {
        let (board, guard) = entered();
        let waiting = guard.live().events(None);
        board.end_unbegun(&"ann".into(), "resp_1", event(1).to_vec());
        guard.record(event(2));
        let told = all(waiting).await;
        assert!(told.contains(":0}") && told.contains(":1}") && !told.contains(":2}"), "{told}");
        let (board, guard) = entered();
        let begun = guard.live().events(None);
        guard.record(event(1));
        board.end_unbegun(&"ann".into(), "resp_1", event(9).to_vec());
        guard.record(event(2));
        drop(guard);
        let told = all(begun).await;
        assert!(told.contains(":2}") && !told.contains(":9}"), "{told}");
    }

    #[tokio::test]
    async fn what_an_ended_response_told_is_read_on_by_number_until_it_is_deleted() {
        let (board, guard) = entered();
        let owner = KeyId::from("ann");
        guard.record(event(1));
        drop(guard);
        assert!(board.find(&owner, "resp_1").is_none(), "it is not under way");
        let rest = all(board.told(&owner, "resp_1").unwrap().events(Some(0))).await;
        assert!(rest.contains(":1}") && !rest.contains(":0}"), "{rest}");
        assert!(board.told(&KeyId::from("bob"), "resp_1").is_none());
        board.forget(&owner, "resp_1");
        assert!(board.told(&owner, "resp_1").is_none());
    }

    #[test]
    fn what_was_told_is_kept_up_to_a_bound() {
        let board = Arc::new(LiveResponses::default());
        let owner = KeyId::from("k");
        for number in 0..5 {
            let guard = board.enter(owner.clone(), format!("resp_{number}"), event(0));
            guard.record(Bytes::from(vec![b'x'; PAST_BYTES / 4]));
        }
        assert!(board.told(&owner, "resp_0").is_none(), "the oldest went");
        assert!(board.told(&owner, "resp_4").is_some());
        assert!(board.past().bytes <= PAST_BYTES);
    }
}
