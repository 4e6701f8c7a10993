//! A half-open target's probe, dropped at every await of the request that holds it.

use outcrop_domain::routing::Gate;
use outcrop_supervision::Slot;
use ractor::Actor as _;

use super::{super::*, world::*};
use crate::targets::{Target as TargetActor, TargetArgs};

/// How the call ends whose awaits are counted.
#[derive(Debug, Clone, Copy)]
enum Ending {
    Answer,
    BadRequest,
    Outage,
}

/// Awaits within the call.
const AWAITS: usize = 4;

fn call(ending: Ending) -> BoxFuture<'static, Result<(), UpstreamFailure>> {
    Box::pin(async move {
        for _ in 0..AWAITS {
            let mut waited = false;
            std::future::poll_fn(
                |_| if std::mem::replace(&mut waited, true) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending },
            )
            .await;
        }
        match ending {
            Ending::Answer => Ok(()),
            Ending::BadRequest => Err(failure(Cause::BadRequest)),
            Ending::Outage => Err(failure(Cause::Unavailable)),
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_probe_dropped_at_any_await_is_given_back() {
    for ending in [Ending::Answer, Ending::BadRequest, Ending::Outage] {
        for polls in 1..=AWAITS + 2 {
            let world = World::new().await;
            world.half_open().await;
            let mut attempts = world.attempts();
            let mut running = Box::pin(attempts.run(|_, _| call(ending)));
            for poll in 1..=polls {
                // A future that has ended must not be polled again.
                if futures_util::poll!(running.as_mut()).is_ready() {
                    break;
                }
                if poll <= AWAITS {
                    assert!(world.gate(0).1, "{ending:?}: the probe is out during the call");
                }
            }
            drop(running);
            world.learned().await;
            assert!(!world.gate(0).1, "{ending:?}: dropped after {polls} polls, the probe is still out");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_report_nobody_reads_is_given_back() {
    let world = World::new().await;
    world.half_open().await;
    // Its mailbox is closed from now on, and no supervisor starts another.
    world.owner(0).get().unwrap().stop_and_wait(None, None).await.unwrap();
    let mut lease = world.lease(0).unwrap();
    assert_eq!(world.gate(0), (Gate::HalfOpen, true));
    lease.answered();
    assert_eq!(world.gate(0), (Gate::HalfOpen, false), "though the lease lives as long as the stream does");
}

#[tokio::test(start_paused = true)]
async fn a_claim_from_before_a_restart_does_not_free_the_probe_of_another() {
    let world = World::new().await;
    world.half_open().await;
    let take = || world.lease(0);
    let old = take().unwrap();
    assert!(take().is_none(), "one probe at a time");
    let args = TargetArgs {
        region: REGIONS[0].into(),
        board: Arc::clone(&world.context.board),
        settings: Arc::clone(&world.context.settings),
        waiting: Slot::new("waiting-room"),
        ports: world.context.ports.clone(),
    };
    let (_next, _join) = TargetActor::spawn(None, TargetActor, args).await.unwrap();
    let new = take().expect("a restart frees all probes");
    drop(old);
    assert!(take().is_none(), "the new probe is still out");
    drop(new);
    assert!(take().is_some());
}
