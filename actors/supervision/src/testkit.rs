//! For tests here and in other crates: an actor that fails on request, and ways to end any actor and wait for
//! its successor without sleeping.

use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, Message};

use crate::{
    reply::Reply,
    slot::{Slot, Unavailable},
};

/// Longest wait for a successor: longer than any backoff of a test. On a paused clock it costs nothing.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Kills the actor in `slot` and waits for the next one.
///
/// # Errors
/// [`Unavailable`] when there is none to kill, or no successor within [`PATIENCE`].
pub async fn kill<M: Message>(slot: &Slot<M>) -> Result<ActorRef<M>, Unavailable> {
    let generation = slot.generation();
    slot.get()?.kill();
    slot.after(generation, PATIENCE).await
}

/// Sends the actor in `slot` a message that must end it, and waits for the next one.
///
/// # Errors
/// [`Unavailable`] when there is none to send to, or no successor within [`PATIENCE`].
pub async fn strike<M: Message>(slot: &Slot<M>, fatal: M) -> Result<ActorRef<M>, Unavailable> {
    let generation = slot.generation();
    slot.cast(fatal).map_err(|unsent| unsent.reason)?;
    slot.after(generation, PATIENCE).await
}

/// Kills the actor in `slot` and waits until its supervisor has noticed.
///
/// # Errors
/// [`Unavailable`] when there is none to kill, or nobody empties the slot within [`PATIENCE`].
pub async fn kill_and_see_it_gone<M: Message>(slot: &Slot<M>) -> Result<(), Unavailable> {
    slot.get()?.kill();
    slot.emptied(PATIENCE).await.map_err(|still| Unavailable { slot: still.slot })
}

/// An actor that does nothing but count, and fails on request.
///
/// * **Owns** the number of pings since its start, which a restart sets back.
/// * **Told by** tests. **Tells** nobody. **On restart** it counts from zero. **Bounded by** its test.
#[derive(Debug, Clone, Copy, Default)]
pub struct Probe;

/// What a [`Probe`] can be told.
#[derive(Debug)]
pub enum ProbeMsg {
    /// Answers how many pings there were since the start, this one included.
    Ping {
        /// Gets the count.
        reply: Reply<u64>,
    },
    /// Panics in `handle`.
    Panic,
    /// Panics in `handle` while it holds somebody's reply.
    PanicWith {
        /// Lost.
        reply: Reply<u64>,
    },
    /// Returns an error from `handle`.
    Fail,
    /// Works in `handle` until `work` ends; tells `started` first.
    Work {
        /// Told when the work has begun.
        started: Reply<()>,
        /// How long it takes.
        takes: Duration,
        /// Told when the work is done; lost when it is cut off.
        done: Reply<()>,
    },
    /// Stops normally.
    Stop,
}

impl Actor for Probe {
    type Msg = ProbeMsg;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _myself: ActorRef<ProbeMsg>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(&self, myself: ActorRef<ProbeMsg>, message: ProbeMsg, pings: &mut u64) -> Result<(), ActorProcessingErr> {
        match message {
            ProbeMsg::Ping { reply } => {
                *pings += 1;
                reply.send(*pings);
            }
            // Unwinds as a panic does, without the noise of the panic hook.
            ProbeMsg::Panic | ProbeMsg::PanicWith { .. } => std::panic::resume_unwind(Box::new("probe panicked".to_owned())),
            ProbeMsg::Fail => return Err("probe failed".into()),
            ProbeMsg::Work { started, takes, done } => {
                started.send(());
                tokio::time::sleep(takes).await;
                done.send(());
            }
            ProbeMsg::Stop => myself.stop(None),
        }
        Ok(())
    }
}
