//! [`Intake`]: the rules of a bounded queue in front of a bounded number of running jobs.
//!
//! A value, not an actor: a lane (or any actor with its own jobs) holds one and asks it what to do. Time is
//! passed in; nothing here waits.

use std::{collections::VecDeque, time::Duration};

use serde::Serialize;
use tokio::time::Instant;

use crate::refusal::Refusal;

/// How much is taken on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct IntakeLimits {
    /// Jobs that may run at once.
    pub running: usize,
    /// Jobs that may wait for a place.
    pub queued: usize,
    /// Longest wait for a place; after it the job is refused with [`Refusal::QueueTimeout`].
    pub max_wait: Duration,
}

/// What becomes of an offered job.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission<J> {
    /// Start it now. [`Intake::finished`] must be called when it ends, however it ends.
    Admitted(J),
    /// It waits in the queue.
    Queued,
    /// It is handed back.
    Refused {
        /// Why.
        reason: Refusal,
        /// The job, to answer.
        job: J,
    },
}

/// A job that leaves the queue.
#[derive(Debug, PartialEq, Eq)]
pub struct Waited<J> {
    /// The job.
    pub job: J,
    /// When it was offered.
    pub since: Instant,
    /// How long it was in the queue.
    pub waited: Duration,
}

/// What to do after a change.
#[derive(Debug, PartialEq, Eq)]
pub struct Turn<J> {
    /// Start these, in this order; each counts as running already.
    pub start: Vec<Waited<J>>,
    /// Refuse these: they waited too long.
    pub expired: Vec<Waited<J>>,
}

/// A first-in-first-out queue with a limit in front of a bounded number of places.
#[derive(Debug)]
pub struct Intake<J> {
    limits: IntakeLimits,
    running: usize,
    queue: VecDeque<(J, Instant)>,
    draining: bool,
}

impl<J> Intake<J> {
    /// An idle intake.
    #[must_use]
    pub fn new(limits: IntakeLimits) -> Self {
        Self { limits, running: 0, queue: VecDeque::new(), draining: false }
    }

    /// Offers a job that came in at `since`. Nobody overtakes: while others wait, it waits too.
    pub fn offer(&mut self, job: J, since: Instant) -> Admission<J> {
        if self.draining {
            return Admission::Refused { reason: Refusal::ShuttingDown, job };
        }
        if self.queue.is_empty() && self.running < self.limits.running {
            self.running += 1;
            return Admission::Admitted(job);
        }
        if self.queue.len() >= self.limits.queued {
            return Admission::Refused { reason: Refusal::QueueFull, job };
        }
        self.queue.push_back((job, since));
        Admission::Queued
    }

    /// One running job ended: its place is free.
    pub fn finished(&mut self, now: Instant) -> Turn<J> {
        self.running = self.running.saturating_sub(1);
        self.turn(now)
    }

    /// Takes out the jobs that have waited too long.
    pub fn expire(&mut self, now: Instant) -> Vec<Waited<J>> {
        let mut expired = Vec::new();
        while self.next_expiry().is_some_and(|expiry| expiry <= now) {
            expired.extend(self.pop(now));
        }
        expired
    }

    /// When [`Intake::expire`] is due: when the longest waiting job has waited too long.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Instant> {
        self.queue.front().map(|(_, since)| *since + self.limits.max_wait)
    }

    /// From now on everything new is refused with [`Refusal::ShuttingDown`]; what waits still gets its turn.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Changes the limits. More places start waiting jobs; fewer never end running ones, nor does a shorter
    /// queue refuse those that already wait.
    pub fn set_limits(&mut self, limits: IntakeLimits, now: Instant) -> Turn<J> {
        self.limits = limits;
        self.turn(now)
    }

    /// Counts `running` jobs that were started before this intake existed and still run.
    pub fn adopt_running(&mut self, running: usize) {
        self.running += running;
    }

    /// Puts a job at the end of the queue whatever its limit: for jobs that were accepted before this intake existed.
    pub fn adopt_queued(&mut self, job: J, since: Instant) {
        self.queue.push_back((job, since));
    }

    /// Starts what may start: after jobs were adopted.
    pub fn turn(&mut self, now: Instant) -> Turn<J> {
        let expired = self.expire(now);
        let mut start = Vec::new();
        while self.running < self.limits.running
            && let Some(next) = self.pop(now)
        {
            self.running += 1;
            start.push(next);
        }
        Turn { start, expired }
    }

    /// Takes out the waiting jobs for which `keep` is false: those whose callers left.
    pub fn discard(&mut self, mut keep: impl FnMut(&J) -> bool) -> Vec<J> {
        let (kept, gone): (VecDeque<_>, VecDeque<_>) = self.queue.drain(..).partition(|(job, _)| keep(job));
        self.queue = kept;
        gone.into_iter().map(|(job, _)| job).collect()
    }

    /// Takes out everything that waits, first come first.
    pub fn take_queue(&mut self) -> impl Iterator<Item = (J, Instant)> {
        std::mem::take(&mut self.queue).into_iter()
    }

    /// Jobs that run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running
    }

    /// Jobs that wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> IntakeLimits {
        self.limits
    }

    /// Nothing runs and nothing waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.running == 0 && self.queue.is_empty()
    }

    /// Is everything new refused?
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    fn pop(&mut self, now: Instant) -> Option<Waited<J>> {
        let (job, since) = self.queue.pop_front()?;
        Some(Waited { job, since, waited: now.saturating_duration_since(since) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::now;

    const SECOND: Duration = Duration::from_secs(1);
    const LIMITS: IntakeLimits = IntakeLimits { running: 2, queued: 2, max_wait: Duration::from_secs(10) };

    fn jobs<J: Copy>(waited: &[Waited<J>]) -> Vec<J> {
        waited.iter().map(|entry| entry.job).collect()
    }

    #[test]
    fn the_first_run_the_next_wait_and_the_rest_is_refused() {
        let (mut intake, at) = (Intake::new(LIMITS), now());
        assert_eq!(intake.offer(1, at), Admission::Admitted(1));
        assert_eq!(intake.offer(2, at), Admission::Admitted(2));
        assert_eq!(intake.offer(3, at), Admission::Queued);
        assert_eq!(intake.offer(4, at), Admission::Queued);
        assert_eq!(intake.offer(5, at), Admission::Refused { reason: Refusal::QueueFull, job: 5 });
        assert_eq!((intake.running(), intake.queued()), (2, 2));
    }

    #[test]
    fn a_finished_job_makes_room_for_the_one_that_waited_longest() {
        let (mut intake, at) = (Intake::new(LIMITS), now());
        for job in 1..=4 {
            intake.offer(job, at);
        }
        let turn = intake.finished(at + SECOND);
        assert_eq!(turn.start, [Waited { job: 3, since: at, waited: SECOND }]);
        assert!(turn.expired.is_empty());
        assert_eq!(jobs(&intake.finished(at).start), [4]);
        assert!(intake.finished(at).start.is_empty());
        assert!(!intake.is_idle());
        intake.finished(at);
        assert!(intake.is_idle());
    }

    #[test]
    fn nobody_overtakes_those_who_wait() {
        let at = now();
        let mut intake = Intake::new(IntakeLimits { running: 0, ..LIMITS });
        intake.offer(1, at);
        let turn = intake.set_limits(IntakeLimits { running: 1, ..LIMITS }, at);
        assert_eq!(jobs(&turn.start), [1]);
        assert_eq!(intake.offer(2, at), Admission::Queued);

        let mut heir = Intake::new(LIMITS);
        heir.adopt_queued(1, at);
        assert_eq!(heir.offer(2, at), Admission::Queued, "although there are places: another comes first");
        assert_eq!(jobs(&heir.turn(at).start), [1, 2]);
    }

    #[test]
    fn a_job_that_waited_too_long_expires_and_never_starts() {
        let (mut intake, at) = (Intake::new(LIMITS), now());
        for job in 1..=3 {
            intake.offer(job, at);
        }
        intake.offer(4, at + SECOND);
        assert_eq!(intake.next_expiry(), Some(at + LIMITS.max_wait));
        assert!(intake.expire(at + LIMITS.max_wait - SECOND).is_empty());
        let turn = intake.finished(at + LIMITS.max_wait);
        assert_eq!((jobs(&turn.expired), jobs(&turn.start)), (vec![3], vec![4]));
        assert_eq!(intake.next_expiry(), None);
    }

    #[test]
    fn without_a_queue_a_busy_intake_refuses_at_once() {
        let at = now();
        let mut intake = Intake::new(IntakeLimits { running: 1, queued: 0, ..LIMITS });
        intake.offer(1, at);
        assert_eq!(intake.offer(2, at), Admission::Refused { reason: Refusal::QueueFull, job: 2 });
    }

    #[test]
    fn draining_refuses_the_new_and_keeps_the_old() {
        let at = now();
        let mut intake = Intake::new(IntakeLimits { running: 1, ..LIMITS });
        intake.offer(1, at);
        intake.offer(2, at);
        intake.drain();
        assert_eq!(intake.offer(3, at), Admission::Refused { reason: Refusal::ShuttingDown, job: 3 });
        assert_eq!(jobs(&intake.finished(at).start), [2]);
        assert!(!intake.is_idle());
        intake.finished(at);
        assert!(intake.is_idle());
    }

    #[test]
    fn lower_limits_end_nothing_and_refuse_nobody_who_waits() {
        let (mut intake, at) = (Intake::new(LIMITS), now());
        for job in 1..=4 {
            intake.offer(job, at);
        }
        let turn = intake.set_limits(IntakeLimits { running: 1, queued: 0, ..LIMITS }, at);
        assert!(turn.start.is_empty() && turn.expired.is_empty());
        assert!(intake.finished(at).start.is_empty(), "one still runs, and only one may");
        assert_eq!(jobs(&intake.finished(at).start), [3]);
    }

    #[test]
    fn a_shorter_wait_expires_those_who_are_over_it_already() {
        let (mut intake, at) = (Intake::new(IntakeLimits { running: 0, ..LIMITS }), now());
        intake.offer(1, at);
        let turn = intake.set_limits(IntakeLimits { running: 1, max_wait: SECOND, ..LIMITS }, at + SECOND);
        assert_eq!((jobs(&turn.expired), jobs(&turn.start)), (vec![1], vec![]));
    }

    #[test]
    fn those_whose_callers_left_can_be_discarded() {
        let (mut intake, at) = (Intake::new(IntakeLimits { running: 0, ..LIMITS }), now());
        intake.offer(1, at);
        intake.offer(2, at);
        assert_eq!(intake.discard(|job| *job == 2), [1]);
        assert_eq!(intake.take_queue().map(|(job, _)| job).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn adopted_jobs_count_and_wait_beyond_the_limit() {
        let (mut intake, at) = (Intake::new(LIMITS), now());
        intake.adopt_running(2);
        for job in 1..=3 {
            intake.adopt_queued(job, at);
        }
        assert!(intake.turn(at).start.is_empty());
        assert_eq!(intake.offer(4, at), Admission::Refused { reason: Refusal::QueueFull, job: 4 });
        assert_eq!(jobs(&intake.finished(at).start), [1]);
    }
}
