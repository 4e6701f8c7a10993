//! Every message and every restart path of a supervisor, on a paused clock.

mod added;
mod endings;
mod restarts;
mod starts;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::{
    Backoff, CallError, ChildSpec, Intensity, Jitter, Reply, Restart, Root, Slot, Strategy, SupervisorMsg, SupervisorSpec,
    testkit::{Probe, ProbeMsg},
};

const SECOND: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(600);
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// Backoff without chance, so that delays can be compared.
const BACKOFF: Backoff = Backoff { first: FIRST_DELAY, max: SECOND, jitter: 0.0, quiet: Duration::from_secs(10) };

/// What happened, in order: `+a` when the state of `a` is built, `-a` when it is dropped.
#[derive(Debug, Clone, Default)]
struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    /// Everything since the last call, as one line.
    fn take(&self) -> String {
        std::mem::take(&mut *self.0.lock().unwrap()).join(" ")
    }
}

/// A probe that keeps a journal, and whose next starts can be made to fail.
#[derive(Clone)]
struct Child {
    slot: Slot<ProbeMsg>,
    journal: Journal,
    failing_starts: Arc<AtomicUsize>,
}

struct ChildState {
    pings: u64,
    name: String,
    journal: Journal,
}

impl Drop for ChildState {
    fn drop(&mut self) {
        self.journal.note(format!("-{}", self.name));
    }
}

impl Child {
    fn new(name: &str, journal: &Journal) -> Self {
        Self { slot: Slot::new(name), journal: journal.clone(), failing_starts: Arc::default() }
    }

    fn spec(&self) -> ChildSpec {
        let child = self.clone();
        ChildSpec::actor(&self.slot, move || (child.clone(), ()))
    }

    fn fail_next_starts(&self, starts: usize) {
        self.failing_starts.store(starts, Ordering::SeqCst);
    }

    async fn ping(&self) -> Result<u64, CallError> {
        self.slot.call(|reply| ProbeMsg::Ping { reply }, SECOND).await
    }

    /// Has the child work for `takes`; returns when it has begun.
    async fn work(&self, takes: Duration) -> crate::Answer<()> {
        let (started, has_started) = Reply::channel();
        let (done, is_done) = Reply::channel();
        self.slot.cast(ProbeMsg::Work { started, takes, done }).unwrap();
        has_started.await.unwrap();
        is_done
    }
}

impl Actor for Child {
    type Msg = ProbeMsg;
    type State = ChildState;
    type Arguments = ();

    async fn pre_start(&self, _myself: ActorRef<ProbeMsg>, (): ()) -> Result<ChildState, ActorProcessingErr> {
        if self.failing_starts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err("refuses to start".into());
        }
        let name = self.slot.name().to_owned();
        self.journal.note(format!("+{name}"));
        Ok(ChildState { pings: 0, name, journal: self.journal.clone() })
    }

    async fn handle(&self, myself: ActorRef<ProbeMsg>, message: ProbeMsg, state: &mut ChildState) -> Result<(), ActorProcessingErr> {
        Probe.handle(myself, message, &mut state.pings).await
    }
}

fn spec(strategy: Strategy) -> SupervisorSpec {
    SupervisorSpec::new("sup", strategy, Intensity::new(5, 60)).backoff(BACKOFF).jitter(Jitter::new(|| 0.0))
}

/// Three children a, b, c below one root.
struct Trio {
    root: Root,
    a: Child,
    b: Child,
    c: Child,
    journal: Journal,
}

impl Trio {
    async fn start(strategy: Strategy) -> Self {
        Self::start_with(spec(strategy), |child| child).await
    }

    async fn start_with(spec: SupervisorSpec, each: impl Fn(ChildSpec) -> ChildSpec) -> Self {
        let journal = Journal::default();
        let [a, b, c] = ["a", "b", "c"].map(|name| Child::new(name, &journal));
        let spec = spec.child(each(a.spec())).child(each(b.spec())).child(each(c.spec()));
        let root = crate::start(spec).await.unwrap();
        assert_eq!(journal.take(), "+a +b +c");
        Self { root, a, b, c, journal }
    }

    fn generations(&self) -> [u64; 3] {
        [&self.a, &self.b, &self.c].map(|child| child.slot.generation())
    }
}

async fn describe(supervisor: &ActorRef<SupervisorMsg>) -> crate::SupervisorReport {
    let (reply, answer) = Reply::channel();
    supervisor.send_message(SupervisorMsg::Describe { reply }).unwrap();
    answer.within(SECOND).await.unwrap()
}

fn temporary(child: ChildSpec) -> ChildSpec {
    child.restart(Restart::Temporary)
}
