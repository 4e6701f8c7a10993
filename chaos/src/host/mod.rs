//! Faults of the gateway's process: signals, and deaths of single actors through its admin port.
//!
//! The admin port of a gateway that is built for it offers:
//!
//! | Route | Answer |
//! |---|---|
//! | `GET /chaos/actors` | 200 and a JSON list of the names of the actors that run, `job` among them while a request does |
//! | `POST /chaos/actors/{name}/kill` | 200 when it was killed, 404 when it does not run |
//! | `POST /chaos/actors/{name}/panic` | 200 when it will panic at its next message |
//! | `POST /chaos/actors/{name}/stall?for=500ms` | 200 when it will take no message for so long |
//!
//! Any other answer is noted as declined; a fault that is always declined has struck nobody, and the run is vacuous.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::process::Signal;
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    draw::Draw,
    history::HostFact,
    scenario::{ActorDeed, HostFault},
    target::{Gateway, HostBook, fetch},
};

/// One fault of the scenario, ready to be done.
pub struct HostDeed {
    /// Its number in the scenario.
    pub index: u64,
    /// What.
    pub fault: HostFault,
    /// When it begins.
    pub from: Instant,
    /// When it ends.
    pub until: Instant,
    /// Seed of its draws.
    pub seed: u64,
    /// How often it struck.
    pub hits: Arc<AtomicU64>,
}

/// A process is looked for this often.
const LOOK_FOR_PROCESSES: Duration = Duration::from_millis(20);

impl HostDeed {
    /// Does it, and returns when it is over.
    pub async fn run(self, gateway: Arc<Gateway>, book: HostBook) {
        sleep_until(self.from).await;
        match &self.fault {
            HostFault::Terminate { replica, then_after } => self.restart(&gateway, *replica, Signal::TERM, *then_after).await,
            HostFault::Kill { replica, then_after } => self.restart(&gateway, *replica, Signal::KILL, *then_after).await,
            HostFault::DiskFull => self.fill_disks(&gateway).await,
            HostFault::Actor { deed, name, every } => {
                let mut draw = Draw::stream(self.seed, "actors", self.index);
                loop {
                    sleep(every.draw(&mut draw)).await;
                    if Instant::now() >= self.until {
                        return;
                    }
                    self.strike(&gateway, &book, *deed, name.as_deref(), &mut draw).await;
                }
            }
        }
    }

    async fn restart(&self, gateway: &Gateway, replica: u32, signal: Signal, then_after: Duration) {
        let index = usize::try_from(replica).unwrap_or(usize::MAX);
        if let Some(replica) = gateway.replicas.get(index) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            replica.restart(signal, then_after).await;
        }
    }

    /// Of all replicas, also of those that are started meanwhile.
    async fn fill_disks(&self, gateway: &Gateway) {
        while Instant::now() < self.until {
            for replica in &gateway.replicas {
                if replica.fill_disk(true) {
                    self.hits.fetch_add(1, Ordering::Relaxed);
                }
            }
            sleep(LOOK_FOR_PROCESSES).await;
        }
        for replica in &gateway.replicas {
            replica.fill_disk(false);
        }
    }

    async fn strike(&self, gateway: &Gateway, book: &HostBook, deed: ActorDeed, name: Option<&str>, draw: &mut Draw) {
        let count = u64::try_from(gateway.replicas.len()).unwrap_or(1);
        let number = draw.below(count);
        let Some(replica) = usize::try_from(number).ok().and_then(|index| gateway.replicas.get(index)) else { return };
        let number = u32::try_from(number).unwrap_or(0);
        let chosen = match name {
            Some(name) => Ok(name.to_owned()),
            None => any_actor(replica.admin, draw).await,
        };
        let done = match chosen {
            Ok(name) => order(replica.admin, deed, &name).await.map(|()| name),
            Err(why) => Err(why),
        };
        match done {
            Ok(name) => {
                self.hits.fetch_add(1, Ordering::Relaxed);
                book.note(
                    number,
                    match deed {
                        ActorDeed::Kill => HostFact::ActorKilled { name },
                        ActorDeed::Panic => HostFact::ActorPanicked { name },
                        ActorDeed::Stall { .. } => HostFact::ActorStalled { name },
                    },
                );
            }
            Err(why) => book.note(number, HostFact::Declined { why }),
        }
    }
}

async fn any_actor(admin: std::net::SocketAddr, draw: &mut Draw) -> Result<String, String> {
    let answer = fetch(admin, "GET", "/chaos/actors").await.map_err(|error| format!("{error:#}"))?;
    if answer.status != 200 {
        return Err(format!("GET /chaos/actors answered {}", answer.status));
    }
    let names: Vec<String> = serde_json::from_slice(&answer.body).map_err(|error| format!("GET /chaos/actors: {error}"))?;
    let index = usize::try_from(draw.below(u64::try_from(names.len()).unwrap_or(0))).unwrap_or(0);
    names.get(index).cloned().ok_or_else(|| "no actor runs".to_owned())
}

async fn order(admin: std::net::SocketAddr, deed: ActorDeed, name: &str) -> Result<(), String> {
    let path = match deed {
        ActorDeed::Kill => format!("/chaos/actors/{name}/kill"),
        ActorDeed::Panic => format!("/chaos/actors/{name}/panic"),
        ActorDeed::Stall { lasting } => format!("/chaos/actors/{name}/stall?for={}ms", lasting.as_millis()),
    };
    let answer = fetch(admin, "POST", &path).await.map_err(|error| format!("{error:#}"))?;
    if answer.status == 200 { Ok(()) } else { Err(format!("POST {path} answered {}", answer.status)) }
}
