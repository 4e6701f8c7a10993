//! [`Estate`]: what outlives a lane actor, so that its death costs nobody a request.
//!
//! While a lane runs, its jobs belong to its state alone. When it dies, the waiting jobs and the addresses of the
//! running ones fall to the estate (on `Drop`, so also after a panic or a kill), and the next lane takes
//! them over before its first message. Messages that died in the mailbox fall to it in the same way. The lock
//! is taken at deaths and births only, never on the way of a request.

use std::{
    collections::VecDeque,
    fmt, mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwap;
use ractor::{ActorCell, ActorId, ActorRef};
use tokio::time::Instant;
use tracing::Span;

use super::{
    LaneMsg,
    job::{Job, JobOutcome, LaneObserver},
    report::Tally,
};
use crate::{intake::IntakeLimits, refusal::Refusal, slot::send_to, time::now};

/// A job on its way to a start.
pub(super) struct Ticket<J> {
    pub(super) job: J,
    pub(super) since: Instant,
    pub(super) span: Span,
}

/// A job that was started.
pub(super) struct Running {
    pub(super) cell: ActorCell,
    pub(super) since: Instant,
}

/// What all lane actors of one name share, one after the other.
pub struct Estate<J: Job> {
    pub(super) name: Arc<str>,
    pub(super) limits: ArcSwap<IntakeLimits>,
    pub(super) tally: Tally,
    pub(super) observer: Arc<dyn LaneObserver>,
    /// Jobs in the mailbox and in the will.
    on_the_way: AtomicUsize,
    will: Mutex<Will<J>>,
}

/// What waits for the next lane.
struct Will<J: Job> {
    state: LaneStateOfAffairs,
    lane: Option<ActorRef<LaneMsg<J>>>,
    queue: VecDeque<Ticket<J>>,
    running: Vec<Running>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LaneStateOfAffairs {
    /// No lane ran yet: there is nobody to wait for.
    NotStarted,
    /// A lane runs, or will again.
    Open,
    /// The last lane ended on purpose.
    Closed,
}

impl<J: Job> Estate<J> {
    pub(super) fn new(name: Arc<str>, limits: IntakeLimits, observer: Arc<dyn LaneObserver>) -> Self {
        let will = Will { state: LaneStateOfAffairs::NotStarted, lane: None, queue: VecDeque::new(), running: Vec::new() };
        Self {
            name,
            limits: ArcSwap::from_pointee(limits),
            tally: Tally::default(),
            observer,
            on_the_way: AtomicUsize::new(0),
            will: Mutex::new(will),
        }
    }

    /// Puts a new job on its way, unless as many are as the lane could ever take on: so the mailbox is bounded.
    pub(super) fn envelope(self: &Arc<Self>, job: J) -> Option<Envelope<J>> {
        let limits = self.limits.load();
        let bound = limits.running.saturating_add(limits.queued);
        if self.on_the_way.fetch_add(1, Ordering::Relaxed) >= bound {
            self.left_the_way(1);
            self.refuse(job, Refusal::QueueFull);
            return None;
        }
        Some(Envelope { ticket: Some(Ticket { job, since: now(), span: Span::current() }), estate: Arc::clone(self) })
    }

    /// Refuses a job, and counts it.
    pub(super) fn refuse(&self, job: J, refusal: Refusal) {
        self.tally.refused(refusal);
        self.observer.refused(refusal);
        job.refused(refusal);
    }

    /// A new lane takes everything over; from here on messages reach it.
    pub(super) fn take_over(&self, lane: ActorRef<LaneMsg<J>>) -> (VecDeque<Ticket<J>>, Vec<Running>) {
        let (queue, running, former) = {
            let mut will = self.will();
            will.state = LaneStateOfAffairs::Open;
            (mem::take(&mut will.queue), mem::take(&mut will.running), will.lane.replace(lane))
        };
        drop(former);
        self.left_the_way(queue.len());
        (queue, running)
    }

    /// The lane that runs takes nothing new, and what is left when it ends is refused.
    pub(super) fn close(&self) {
        self.will().state = LaneStateOfAffairs::Closed;
    }

    /// No lane runs, and none will: everything left is refused or killed.
    pub(super) fn wind_up(&self) {
        let (queue, running) = {
            let mut will = self.will();
            will.state = LaneStateOfAffairs::Closed;
            (mem::take(&mut will.queue), mem::take(&mut will.running))
        };
        self.left_the_way(queue.len());
        self.dispose(queue, running);
    }

    /// A lane ends and leaves this behind.
    fn inherit(self: &Arc<Self>, from: ActorId, mut queue: VecDeque<Ticket<J>>, mut running: Vec<Running>) {
        let mut will = self.will();
        if will.state == LaneStateOfAffairs::Closed {
            drop(will);
            self.dispose(queue, running);
            return;
        }
        // On another thread the dying lane's state can be dropped after its successor has started.
        let heir = will.lane.as_ref().filter(|lane| lane.get_id() != from).cloned();
        let former = match heir {
            Some(heir) => {
                drop(will);
                let share = Share { estate: Arc::clone(self), of: heir.get_id(), queue, running };
                // If the heir is dead too, dropping the share leads here again, with nobody else to inherit.
                drop(send_to(&heir, LaneMsg::Inherit(share)));
                return;
            }
            None => {
                self.on_the_way.fetch_add(queue.len(), Ordering::Relaxed);
                // What waited in the lane came before what was still in its mailbox.
                queue.append(&mut will.queue);
                will.queue = queue;
                will.running.append(&mut running);
                let former = will.lane.take();
                drop(will);
                former
            }
        };
        drop(former);
    }

    /// A job that found no lane, or whose lane died with it in the mailbox.
    fn redirect(self: &Arc<Self>, ticket: Ticket<J>) {
        let mut will = self.will();
        let refusal = match will.state {
            LaneStateOfAffairs::NotStarted => Refusal::Unavailable,
            LaneStateOfAffairs::Closed => Refusal::ShuttingDown,
            LaneStateOfAffairs::Open => {
                let mut envelope = Envelope { ticket: Some(ticket), estate: Arc::clone(self) };
                let mut former = None;
                if let Some(lane) = &will.lane {
                    match send_to(lane, LaneMsg::Submit(envelope)) {
                        Ok(()) => return,
                        Err(LaneMsg::Submit(unsent)) => envelope = unsent,
                        Err(_) => return,
                    }
                    former = will.lane.take();
                }
                will.queue.extend(envelope.ticket.take());
                drop(will);
                drop(former);
                return;
            }
        };
        drop(will);
        self.left_the_way(1);
        self.refuse(ticket.job, refusal);
    }

    fn dispose(&self, queue: VecDeque<Ticket<J>>, running: Vec<Running>) {
        for ticket in queue {
            self.refuse(ticket.job, Refusal::ShuttingDown);
        }
        for job in running {
            self.tally.ended(JobOutcome::Killed);
            job.cell.kill();
        }
    }

    fn left_the_way(&self, jobs: usize) {
        self.on_the_way.fetch_sub(jobs, Ordering::Relaxed);
    }

    /// Never hold this while a job or the last reference to an actor is dropped: their `Drop` may come back here.
    fn will(&self) -> MutexGuard<'_, Will<J>> {
        // Nothing panics under the lock that could leave the will half-written.
        self.will.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J: Job> Drop for Estate<J> {
    fn drop(&mut self) {
        self.wind_up();
    }
}

impl<J: Job> fmt::Debug for Estate<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Estate").field("name", &self.name).field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// A submitted job in a lane's mailbox. Dropped unopened, it goes to the next lane.
pub struct Envelope<J: Job> {
    ticket: Option<Ticket<J>>,
    estate: Arc<Estate<J>>,
}

impl<J: Job> Envelope<J> {
    pub(super) fn open(mut self) -> Option<Ticket<J>> {
        self.estate.left_the_way(1);
        self.ticket.take()
    }
}

impl<J: Job> Drop for Envelope<J> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let estate = Arc::clone(&self.estate);
            estate.redirect(ticket);
        }
    }
}

/// What a dead lane left behind. Dropped unclaimed, it goes to the next lane.
pub struct Share<J: Job> {
    estate: Arc<Estate<J>>,
    /// The lane that holds it: whoever else runs when it is dropped is the next.
    of: ActorId,
    pub(super) queue: VecDeque<Ticket<J>>,
    pub(super) running: Vec<Running>,
}

impl<J: Job> Share<J> {
    pub(super) fn new(estate: Arc<Estate<J>>, of: ActorId, queue: VecDeque<Ticket<J>>, running: Vec<Running>) -> Self {
        Self { estate, of, queue, running }
    }

    /// Takes the share over.
    pub(super) fn claim(mut self) -> (VecDeque<Ticket<J>>, Vec<Running>) {
        (mem::take(&mut self.queue), mem::take(&mut self.running))
    }
}

impl<J: Job> Drop for Share<J> {
    fn drop(&mut self) {
        let (queue, running) = (mem::take(&mut self.queue), mem::take(&mut self.running));
        if !queue.is_empty() || !running.is_empty() {
            self.estate.inherit(self.of, queue, running);
        }
    }
}
