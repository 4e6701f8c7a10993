//! [`Slot`]: where to find an actor that may be restarted.
//!
//! After a restart the old `ActorRef` is dead for good, so nobody keeps one. A slot is refilled by the
//! supervisor at every start; while it is empty, callers learn so at once instead of waiting.

use std::{fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use ractor::{ActorCell, ActorRef, ActorStatus, Message, MessagingErr};
use tokio::{sync::watch, time::timeout_at};

use crate::{
    reply::{CallError, Reply},
    time::now,
};

/// The current address of one actor. Clones are cheap and show the same actor.
///
/// Reading costs one atomic load of the slot and one of the actor's status; there is no lock.
pub struct Slot<M> {
    inner: Arc<Inner<M>>,
}

struct Inner<M> {
    name: Box<str>,
    current: ArcSwapOption<ActorRef<M>>,
    filling: watch::Sender<Filling>,
}

/// What waiters are told about.
#[derive(Debug, Clone, Copy, Default)]
struct Filling {
    generation: u64,
    filled: bool,
}

/// The actor does not run: not started, restarting, finishing or gone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{slot}` is not running")]
pub struct Unavailable {
    /// Name of the slot.
    pub slot: String,
}

/// A message that could not be sent, because its actor does not run.
#[derive(thiserror::Error)]
#[error("{reason}")]
pub struct Unsent<M> {
    /// The message, to answer or to send elsewhere.
    pub message: M,
    /// Which actor.
    pub reason: Unavailable,
}

impl<M> fmt::Debug for Unsent<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsent").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<M: Message> Slot<M> {
    /// An empty slot. The name is for errors and logs; it is not registered anywhere.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into().into_boxed_str();
        Self { inner: Arc::new(Inner { name, current: ArcSwapOption::empty(), filling: watch::Sender::new(Filling::default()) }) }
    }

    /// Name of the slot.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// How many times the slot was filled: 0 before the first start, one more with every restart.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.inner.filling.borrow().generation
    }

    /// The actor, for use right now; do not keep it.
    ///
    /// # Errors
    /// [`Unavailable`] when the slot is empty, or its actor takes no more messages.
    pub fn get(&self) -> Result<ActorRef<M>, Unavailable> {
        match self.inner.current.load().as_deref() {
            Some(actor) if takes_messages(actor) => Ok(actor.clone()),
            _ => Err(self.unavailable()),
        }
    }

    /// Sends `message` without waiting for anything.
    ///
    /// # Errors
    /// [`Unsent`] with the message when the actor does not run.
    pub fn cast(&self, message: M) -> Result<(), Unsent<M>> {
        let current = self.inner.current.load();
        match current.as_deref() {
            Some(actor) => send_to(actor, message).map_err(|message| Unsent { message, reason: self.unavailable() }),
            None => Err(Unsent { message, reason: self.unavailable() }),
        }
    }

    /// Sends the message that `make` builds around a reply, and waits for the answer, at most `timeout`.
    ///
    /// # Errors
    /// [`CallError::Unavailable`] at once when the actor does not run, [`CallError::WorkerLost`] when it ends
    /// without answering, [`CallError::Refused`] when it refuses, [`CallError::Timeout`] after `timeout`.
    pub async fn call<T>(&self, make: impl FnOnce(Reply<T>) -> M, timeout: Duration) -> Result<T, CallError> {
        let (reply, answer) = Reply::channel();
        // The message of a call holds only the reply's half, so nothing is lost with it.
        self.cast(make(reply)).map_err(|unsent| unsent.reason)?;
        answer.within(timeout).await
    }

    /// Waits until the actor runs, at most `within`: for start-up and tests. Cancel-safe.
    ///
    /// # Errors
    /// [`Unavailable`] when it does not run by then.
    pub async fn ready(&self, within: Duration) -> Result<ActorRef<M>, Unavailable> {
        self.after(0, within).await
    }

    /// Waits until a generation later than `generation` runs, at most `within`. Cancel-safe.
    ///
    /// # Errors
    /// [`Unavailable`] when none does by then.
    pub async fn after(&self, generation: u64, within: Duration) -> Result<ActorRef<M>, Unavailable> {
        let deadline = now() + within;
        let mut filling = self.inner.filling.subscribe();
        loop {
            let seen = *filling.borrow_and_update();
            if seen.filled
                && seen.generation > generation
                && let Ok(actor) = self.get()
            {
                return Ok(actor);
            }
            match timeout_at(deadline, filling.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(self.unavailable()),
            }
        }
    }

    /// Waits until the supervisor has emptied the slot, at most `within`. Cancel-safe.
    ///
    /// # Errors
    /// [`StillFilled`] when it is filled all that time.
    pub async fn emptied(&self, within: Duration) -> Result<(), StillFilled> {
        let mut filling = self.inner.filling.subscribe();
        match timeout_at(now() + within, filling.wait_for(|seen| !seen.filled)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(StillFilled { slot: self.name().to_owned() }),
        }
    }

    /// Puts an actor in. Supervisors do this; tests may do it with an actor they spawned themselves.
    pub fn fill(&self, actor: ActorRef<M>) {
        self.inner.current.store(Some(Arc::new(actor)));
        self.inner.filling.send_modify(|filling| {
            filling.generation += 1;
            filling.filled = true;
        });
    }

    /// Takes the actor out.
    pub fn clear(&self) {
        self.inner.current.store(None);
        self.inner.filling.send_if_modified(|filling| std::mem::replace(&mut filling.filled, false));
    }

    fn unavailable(&self) -> Unavailable {
        Unavailable { slot: self.name().to_owned() }
    }
}

/// The slot was not emptied in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{slot}` is still running")]
pub struct StillFilled {
    /// Name of the slot.
    pub slot: String,
}

impl<M> Clone for Slot<M> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<M> fmt::Debug for Slot<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filling = *self.inner.filling.borrow();
        f.debug_struct("Slot")
            .field("name", &self.inner.name)
            .field("generation", &filling.generation)
            .field("filled", &filling.filled)
            .finish()
    }
}

/// Sends, and gives the message back when the actor takes none.
pub(crate) fn send_to<M: Message>(actor: &ActorRef<M>, message: M) -> Result<(), M> {
    match actor.send_message(message) {
        // The other errors cannot come from a typed reference: the channel is not ours to receive on, and the type is right.
        Ok(()) | Err(MessagingErr::ChannelClosed | MessagingErr::InvalidActorType) => Ok(()),
        Err(MessagingErr::SendErr(message)) => Err(message),
    }
}

fn takes_messages(actor: &ActorCell) -> bool {
    actor.get_status() < ActorStatus::Draining
}

/// A slot without its message type, as a supervisor holds it.
pub(crate) trait AnySlot: Send + Sync {
    /// Puts the actor in, if it is of the slot's message type.
    fn fill_with(&self, actor: &ActorCell) -> Result<(), WrongActor>;
    fn clear(&self);
    fn generation(&self) -> u64;
}

/// The child a supervisor started takes other messages than its slot promises.
#[derive(Debug, thiserror::Error)]
#[error("started actor does not take the messages of slot `{slot}`")]
pub(crate) struct WrongActor {
    slot: String,
}

impl<M: Message> AnySlot for Slot<M> {
    fn fill_with(&self, actor: &ActorCell) -> Result<(), WrongActor> {
        if actor.is_message_type_of::<M>() == Some(false) {
            return Err(WrongActor { slot: self.name().to_owned() });
        }
        self.fill(actor.clone().into());
        Ok(())
    }

    fn clear(&self) {
        Slot::clear(self);
    }

    fn generation(&self) -> u64 {
        Slot::generation(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{Probe, ProbeMsg};
    use ractor::Actor;

    const LONG: Duration = Duration::from_secs(60);

    async fn probe() -> ActorRef<ProbeMsg> {
        Probe::spawn(None, Probe, ()).await.unwrap().0
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_slot_is_unavailable_at_once_and_gives_the_message_back() {
        let slot = Slot::<ProbeMsg>::new("target");
        let before = now();
        let call = slot.call(|reply| ProbeMsg::Ping { reply }, LONG).await;
        assert_eq!(call, Err(CallError::Unavailable(Unavailable { slot: "target".into() })));
        let unsent = slot.cast(ProbeMsg::Panic).unwrap_err();
        assert!(matches!(unsent.message, ProbeMsg::Panic));
        assert_eq!(unsent.to_string(), "`target` is not running");
        assert_eq!(now(), before, "nothing waited");
    }

    #[tokio::test(start_paused = true)]
    async fn a_filled_slot_calls_its_actor_and_clones_see_the_same() {
        let slot = Slot::new("target");
        let clone = slot.clone();
        slot.fill(probe().await);
        assert_eq!(clone.call(|reply| ProbeMsg::Ping { reply }, LONG).await, Ok(1));
        assert_eq!(clone.generation(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_actor_is_unavailable_before_anybody_empties_the_slot() {
        let slot = Slot::new("target");
        let actor = probe().await;
        slot.fill(actor.clone());
        actor.kill_and_wait(None).await.unwrap();
        assert!(slot.get().is_err());
        assert!(slot.cast(ProbeMsg::Panic).is_err());
        assert!(slot.ready(Duration::from_secs(1)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_with_the_next_filling_or_the_deadline() {
        let slot = Slot::new("target");
        assert!(slot.ready(Duration::from_secs(1)).await.is_err());
        let (ready, ()) = tokio::join!(slot.ready(LONG), async { slot.fill(probe().await) });
        assert!(ready.is_ok());
        assert!(slot.after(1, Duration::from_secs(1)).await.is_err());
        let (next, ()) = tokio::join!(slot.after(1, LONG), async { slot.fill(probe().await) });
        assert_eq!(next.unwrap().get_id(), slot.get().unwrap().get_id());
    }

    #[tokio::test(start_paused = true)]
    async fn emptying_is_seen_by_waiters() {
        let slot = Slot::new("target");
        slot.fill(probe().await);
        assert!(slot.emptied(Duration::from_secs(1)).await.is_err());
        let (emptied, ()) = tokio::join!(slot.emptied(LONG), async { slot.clear() });
        assert_eq!(emptied, Ok(()));
        assert!(slot.get().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_to_an_actor_that_panics_on_it_is_worker_lost() {
        let slot = Slot::new("target");
        slot.fill(probe().await);
        let call = slot.call(|reply| ProbeMsg::PanicWith { reply }, LONG).await;
        assert_eq!(call, Err(CallError::WorkerLost));
    }

    #[tokio::test(start_paused = true)]
    async fn an_actor_of_another_message_type_does_not_fit() {
        let slot = Slot::<u8>::new("bytes");
        let error = AnySlot::fill_with(&slot, &probe().await.get_cell()).unwrap_err();
        assert_eq!(error.to_string(), "started actor does not take the messages of slot `bytes`");
        assert!(slot.get().is_err());
    }
}
