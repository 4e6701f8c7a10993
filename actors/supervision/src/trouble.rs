//! Trouble on purpose: a panic or a pause at an actor's next message.
//!
//! For chaos runs, and for nothing else. An actor that has no trouble pays one relaxed load per message.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ractor::{ActorCell, ActorId};

/// What happens at an actor's next message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It panics over it.
    Panic,
    /// It takes that long before it looks at it.
    Stall(Duration),
}

/// Actors with trouble ahead. Process-wide, as actor ids are.
static AHEAD: Mutex<Option<HashMap<ActorId, Trouble>>> = Mutex::new(None);

/// How many they are.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Puts trouble before an actor's next message; the last one told counts.
pub fn ahead(actor: &ActorCell, trouble: Trouble) {
    let mut ahead = AHEAD.lock().unwrap_or_else(PoisonError::into_inner);
    let actors = ahead.get_or_insert_default();
    actors.insert(actor.get_id(), trouble);
    COUNT.store(actors.len(), Ordering::Relaxed);
}

/// Meets the trouble that is ahead of `actor`, if any.
pub(crate) async fn meet(actor: ActorId) {
    if COUNT.load(Ordering::Relaxed) == 0 {
        return;
    }
    match take(actor) {
        None => {}
        // As a panic unwinds, without the report of one: nobody shall look for its cause.
        Some(Trouble::Panic) => std::panic::resume_unwind(Box::new(ON_PURPOSE)),
        Some(Trouble::Stall(lasting)) => tokio::time::sleep(lasting).await,
    }
}

/// An actor ended: nothing is ahead of it any more.
pub(crate) fn forget(actor: ActorId) {
    if COUNT.load(Ordering::Relaxed) > 0 {
        take(actor);
    }
}

const ON_PURPOSE: &str = "on purpose";

fn take(actor: ActorId) -> Option<Trouble> {
    let mut ahead = AHEAD.lock().unwrap_or_else(PoisonError::into_inner);
    let actors = ahead.as_mut()?;
    let taken = actors.remove(&actor);
    COUNT.store(actors.len(), Ordering::Relaxed);
    taken
}
