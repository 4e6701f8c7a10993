//! One process of the real gateway: its settings, its start, its ends.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::bail;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};
use tokio::{sync::Mutex as AsyncMutex, time::Instant};

use super::{HostBook, Launch, LogBook, Process, Seen, Usage, Watch, free_port};
use crate::history::HostFact;

/// Longest start.
const START: Duration = Duration::from_secs(20);
/// Longest wait for a process after the end of its grace.
const OVERTIME: Duration = Duration::from_secs(10);

/// A process that can be ended and started again at the same address.
pub struct Replica {
    number: u32,
    launch: Launch,
    book: HostBook,
    log: Arc<Mutex<LogBook>>,
    /// Where clients connect.
    pub address: SocketAddr,
    /// Where operators connect.
    pub admin: SocketAddr,
    process: AsyncMutex<Option<Process>>,
    pid: Mutex<Option<u32>>,
    seen: Seen,
    watch: Mutex<Option<Watch>>,
}

impl Replica {
    pub(super) async fn start(number: u32, launch: Launch, book: HostBook, log: Arc<Mutex<LogBook>>) -> anyhow::Result<Self> {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (address, admin) = (local(free_port()?), local(free_port()?));
        let seen = Seen::default();
        let watch = Watch::start(number, address, seen.clone(), book.clone());
        let wait = !launch.plan.start_unready;
        let replica = Self {
            number,
            launch,
            book,
            log,
            address,
            admin,
            process: AsyncMutex::new(None),
            pid: Mutex::new(None),
            seen,
            watch: Mutex::new(Some(watch)),
        };
        replica.launch(wait).await?;
        Ok(replica)
    }

    /// What was seen of it last.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.seen.clone()
    }

    /// Memory and descriptors; `None` when it does not run.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        let pid = *self.pid.lock().unwrap_or_else(PoisonError::into_inner);
        pid.and_then(Usage::of)
    }

    /// Lets the process write no byte to any file, or all it wants again. True when there is a process whose state that changes.
    ///
    /// Told by the limit on file sizes, which a process meets as it meets a full disk: its write fails.
    pub fn fill_disk(&self, full: bool) -> bool {
        let pid = *self.pid.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(process) = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) else { return false };
        let own = getrlimit(Resource::Fsize);
        let wanted = Rlimit { current: if full { Some(0) } else { own.current }, maximum: own.maximum };
        match prlimit(Some(process), Resource::Fsize, wanted) {
            Ok(before) if before.current == wanted.current => false,
            Ok(_) => {
                self.book.note(self.number, if full { HostFact::DiskFilled } else { HostFact::DiskFreed });
                true
            }
            // It ended a moment ago.
            Err(rustix::io::Errno::SRCH) => false,
            Err(error) => {
                self.book.note(self.number, HostFact::Declined { why: format!("its files could not be limited: {error}") });
                false
            }
        }
    }

    /// Starts the process.
    async fn launch(&self, wait: bool) -> anyhow::Result<()> {
        self.seen.forget();
        let (log, number) = (Arc::clone(&self.log), self.number);
        let lines = move |line: &str, _error: bool| log.lock().unwrap_or_else(PoisonError::into_inner).line(number, line);
        let mut process = Process::start(&self.launch.program, &self.arguments(), &self.environment(), lines)?;
        self.book.note(self.number, HostFact::Started);
        self.set_pid(Some(process.pid()));
        let began = Instant::now();
        while wait && !self.seen.ready() {
            let runs = process.runs();
            if !runs || began.elapsed() > START {
                // Its last lines may still be on their way through the pipe.
                tokio::time::sleep(Duration::from_millis(100)).await;
                let words = self.log.lock().unwrap_or_else(PoisonError::into_inner).last_words();
                let how = if runs { format!("was not ready within {START:?}") } else { "ended before it was ready".to_owned() };
                bail!("the gateway {how}; its last words:\n{words}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        *self.process.lock().await = Some(process);
        Ok(())
    }

    /// SIGTERM or SIGKILL, and a new process after a pause.
    pub async fn restart(&self, signal: Signal, then_after: Duration) {
        self.end(signal, if signal == Signal::KILL { HostFact::Killed } else { HostFact::Terminated }).await;
        tokio::time::sleep(then_after).await;
        if let Err(error) = self.launch(true).await {
            self.book.note(self.number, HostFact::Declined { why: format!("{error:#}") });
        }
    }

    async fn end(&self, signal: Signal, fact: HostFact) {
        let mut guard = self.process.lock().await;
        let Some(mut process) = guard.take() else { return };
        let grace = if signal == Signal::KILL { Duration::ZERO } else { self.launch.shutdown_grace.into() };
        let limit = grace + OVERTIME;
        self.book.note(self.number, fact);
        if let Err(error) = process.signal(signal) {
            self.book.note(self.number, HostFact::Declined { why: format!("{error:#}") });
        }
        let code = match process.ended(limit).await {
            Some(code) => code,
            None => {
                tracing::warn!("a gateway did not end within {limit:?} of {signal:?}: it is killed");
                drop(process.signal(Signal::KILL));
                process.ended(OVERTIME).await.flatten()
            }
        };
        self.set_pid(None);
        self.book.note(self.number, HostFact::Exited { code });
    }

    /// Ends it for good.
    pub(super) async fn stop(&self) {
        // Nobody is served any more: what is seen of it from now on says nothing.
        drop(self.watch.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.end(Signal::TERM, HostFact::Stopped).await;
    }

    fn set_pid(&self, pid: Option<u32>) {
        *self.pid.lock().unwrap_or_else(PoisonError::into_inner) = pid;
    }

    fn environment(&self) -> Vec<(String, String)> {
        self.launch.credentials.as_ref().map_or_else(Vec::new, super::Credentials::environment)
    }

    fn arguments(&self) -> Vec<String> {
        let launch = &self.launch;
        let mut arguments = vec!["serve".to_owned()];
        if let Some(config) = &launch.plan.config {
            arguments.extend(["--config".to_owned(), config.display().to_string()]);
        }
        let regions: Vec<&str> = launch.regions.iter().map(|(name, _)| name.as_str()).collect();
        let keys: Vec<String> = launch.keys.iter().map(|(id, secret)| format!("{id}:{secret}")).collect();
        let mut set = vec![
            format!("aws.regions={}", regions.join(",")),
            format!("keys.secrets={}", keys.join(",")),
            "server.bind=127.0.0.1".to_owned(),
            format!("server.port={}", self.address.port()),
            "admin.bind=127.0.0.1".to_owned(),
            format!("admin.port={}", self.admin.port()),
            "log.format=json".to_owned(),
            format!("routing.strategy={}", launch.strategy),
            format!("server.shutdown_grace={}ms", launch.shutdown_grace.0 / 1_000),
            // A question for each model and region at every start, which the simulator answers alike.
            "models.check_availability=false".to_owned(),
        ];
        set.extend(launch.regions.iter().map(|(name, address)| format!("aws.endpoints.{name}.default=http://{address}")));
        if launch.credentials.is_none() {
            set.push(format!("aws.credentials.access_key_id={}", outcrop_sim::DEFAULT_ACCESS_KEY));
            set.push(format!("aws.credentials.secret_access_key={}", outcrop_sim::DEFAULT_SECRET_KEY));
        }
        set.extend(launch.quota_settings.iter().cloned());
        // The scenario's own settings come last: they win.
        let (folder, number) = (launch.folder.display().to_string(), self.number.to_string());
        let filled = |value: &String| value.replace("{folder}", &folder).replace("{replica}", &number);
        set.extend(launch.plan.set.iter().map(|(path, value)| format!("{path}={}", filled(value))));
        arguments.extend(set.into_iter().flat_map(|assignment| ["--set".to_owned(), assignment]));
        arguments
    }
}
