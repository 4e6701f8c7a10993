//! One run of a scenario with one strategy.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use outcrop_sim::Simulator;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep},
};

use super::{
    RunOptions, Upstream, about, canary,
    faults::{Stage, Timeline},
    sampler::{Books, Sampler},
};
use crate::{
    history::{self, About, History, HostEvent, Ledger, Micros, PhaseMark, Price, Record, Request, SampleKind, Writer},
    load::{Client, Dial, Generator, Keys, LiveCounts, Net, SelfWatch, TcpDial, keys, origin},
    plan::{Prompts, Resolved, Schedule, resolve},
    report::{Live, REFRESH, RunReport, Store},
    scenario::{FaultKind, Scenario, Target},
    target::{Credentials, Gateway, HostBook, Launch, LogBook},
    threads,
};

/// Runs it, stores its history and judges that.
///
/// # Errors
/// What keeps the harness itself from working. A gateway that does not start is told in the report.
pub async fn run_once(
    scenario: &Arc<Scenario>,
    strategy: &str,
    judged: bool,
    options: &RunOptions,
) -> anyhow::Result<(RunReport, History)> {
    let seed = options.seed.unwrap_or(scenario.seed);
    let resolved = resolve(scenario);
    let mut about = about::about(scenario, strategy, judged, seed, &resolved, options)?;
    let folder = options.store.fresh(&scenario.name, strategy)?;
    let file = Store::history_file(&folder);
    let books = Books::new(Writer::create(&file)?);
    let upstream = Arc::new(Upstream::start(scenario, seed).await.context("starting the simulator")?);
    let (hosts, mut host_events) = mpsc::unbounded_channel();
    let place = Place::Process { options: Box::new(options.clone()), folder, strategy: strategy.to_owned() };
    let run =
        Run { scenario: Arc::clone(scenario), seed, resolved, progress: options.progress, place, upstream, books: books.clone(), hosts };
    if let Err(error) = run.carry_out(&mut about).await {
        about.broken = Some(format!("{error:#}"));
    }
    drop(run);
    let scenario = Arc::clone(scenario);
    threads::behind(move || {
        let history = close_books(&books, &mut host_events, about, &file)?;
        Ok((RunReport::of(&history, &scenario), history))
    })
    .await?
}

/// A gateway within this process, for tests of the harness itself: no socket is needed, and under a paused clock no time.
pub struct Rehearsal {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// Seed.
    pub seed: u64,
    /// Its simulator.
    pub simulator: Simulator,
    /// How clients reach the gateway.
    pub dial: Arc<dyn Dial>,
    /// What the gateway writes.
    pub log: Arc<Mutex<LogBook>>,
    /// Secrets of its keys.
    pub keys: Keys,
    /// The harness's own prices, by foundation model.
    pub prices: BTreeMap<String, Price>,
    /// Called at the start of the load, for whatever happens to the gateway in the run.
    pub begin: Arc<dyn Fn(HostBook, Instant) + Send + Sync>,
}

/// Runs a scenario within this process; the history goes through `file`.
///
/// # Errors
/// What keeps the harness itself from working.
pub async fn rehearse(rehearsal: Rehearsal, file: &Path) -> anyhow::Result<(RunReport, History)> {
    let Rehearsal { scenario, seed, simulator, dial, log, keys, prices, begin } = rehearsal;
    let resolved = resolve(&scenario);
    let mut about = about::facts(&scenario, "rehearsal", seed, &resolved, &prices);
    let books = Books::new(Writer::create(file)?);
    let upstream = Arc::new(Upstream::with(simulator, &scenario)?);
    let (hosts, mut host_events) = mpsc::unbounded_channel();
    let place = Place::Within { dial, log, keys, begin };
    let run = Run { scenario: Arc::clone(&scenario), seed, resolved, progress: false, place, upstream, books: books.clone(), hosts };
    run.carry_out(&mut about).await?;
    drop(run);
    let history = close_books(&books, &mut host_events, about, file)?;
    Ok((RunReport::of(&history, &scenario), history))
}

fn close_books(books: &Books, hosts: &mut mpsc::UnboundedReceiver<HostEvent>, about: About, file: &Path) -> anyhow::Result<History> {
    while let Ok(event) = hosts.try_recv() {
        books.write(&Record::Host(event));
    }
    books.write(&Record::About(Box::new(about)));
    books.finish()?;
    Ok(history::read(file)?)
}

/// Where what is tested runs.
enum Place {
    /// In processes of its own, or elsewhere.
    Process { options: Box<RunOptions>, folder: PathBuf, strategy: String },
    /// In this one.
    Within { dial: Arc<dyn Dial>, log: Arc<Mutex<LogBook>>, keys: Keys, begin: Arc<dyn Fn(HostBook, Instant) + Send + Sync> },
}

struct Run {
    scenario: Arc<Scenario>,
    seed: u64,
    resolved: Resolved,
    progress: bool,
    place: Place,
    upstream: Arc<Upstream>,
    books: Books,
    hosts: mpsc::UnboundedSender<HostEvent>,
}

/// What is tested, once it is there.
struct Tested {
    gateway: Option<Arc<Gateway>>,
    credentials: Option<Credentials>,
    dial: Arc<dyn Dial>,
    host: String,
    prefix: String,
    keys: Keys,
    log: Option<Arc<Mutex<LogBook>>>,
    /// Names that pin a request to a region are understood.
    by_region: bool,
}

/// Log lines take so long at most from the end of a request to the harness.
const LAST_LINES: Duration = Duration::from_secs(1);
/// A ledger gathers what it is told for a moment before it counts it.
const LEDGER_GATHERS: Duration = Duration::from_millis(250);
/// What can only be shown of a process of ours, whose rows and log lines we read.
const OF_OUR_PROCESS: [&str; 2] = ["I5", "I14"];
/// Longest wait for upstream to come to rest.
const REST: Duration = Duration::from_secs(5);

impl Run {
    async fn carry_out(&self, about: &mut About) -> anyhow::Result<()> {
        let phases = self.phases();
        phases.iter().for_each(|phase| self.books.write(&Record::Phase(phase.clone())));
        let book = HostBook { events: self.hosts.clone(), origin: Arc::default() };
        if self.is_elsewhere() {
            about.rules.must.retain(|id| !OF_OUR_PROCESS.contains(&id.as_str()));
        }
        let early = matches!(&self.scenario.target, Target::Gateway(plan) if plan.start_unready);
        let timeline = Arc::new(Timeline::of(&self.scenario));
        // Faults of second 0 must be there before a gateway that is started into them.
        let at_once = early.then(|| self.begin(&book, None, None, &timeline));
        let tested = self.tested(&book).await?;
        let (origin, early_faults) = match at_once {
            Some((origin, task)) => (origin, Some(task)),
            None => (self.begin_at(&book), None),
        };
        if let Place::Within { begin, .. } = &self.place {
            begin(book.clone(), origin);
        }
        let faults = match early_faults {
            Some(task) => task,
            None => self.spawn_faults(origin, &book, tested.gateway.clone(), tested.credentials.clone(), &timeline),
        };
        let outcome = self.load(&tested, origin, &phases, &timeline, about).await;
        faults.abort();
        drop(faults.await);
        let counts = outcome?;
        timeline.finished(&counts).into_iter().for_each(|span| self.books.write(&Record::Fault(span)));
        Ok(())
    }

    /// Somebody else started what is tested.
    fn is_elsewhere(&self) -> bool {
        match &self.place {
            Place::Process { options, .. } => options.url.is_some() || matches!(self.scenario.target, Target::Url(_)),
            Place::Within { .. } => false,
        }
    }

    fn begin_at(&self, book: &HostBook) -> Instant {
        let origin = origin();
        *book.origin.lock().unwrap_or_else(PoisonError::into_inner) = Some(origin);
        origin
    }

    fn begin(
        &self,
        book: &HostBook,
        gateway: Option<Arc<Gateway>>,
        credentials: Option<Credentials>,
        timeline: &Arc<Timeline>,
    ) -> (Instant, tokio::task::JoinHandle<()>) {
        let origin = self.begin_at(book);
        (origin, self.spawn_faults(origin, book, gateway, credentials, timeline))
    }

    fn spawn_faults(
        &self,
        origin: Instant,
        book: &HostBook,
        gateway: Option<Arc<Gateway>>,
        credentials: Option<Credentials>,
        timeline: &Arc<Timeline>,
    ) -> tokio::task::JoinHandle<()> {
        let stage = Stage { origin, upstream: Arc::clone(&self.upstream), gateway, credentials, book: book.clone(), seed: self.seed };
        let (scenario, timeline) = (Arc::clone(&self.scenario), Arc::clone(timeline));
        tokio::spawn(async move { timeline.carry_out(&scenario, stage).await })
    }

    fn phases(&self) -> Vec<PhaseMark> {
        let mut begin = Duration::ZERO;
        let mark = |phase: &crate::scenario::Phase| {
            let from = begin;
            begin += phase.lasting;
            PhaseMark {
                name: phase.name.clone(),
                from: from.into(),
                until: begin.into(),
                judged: phase.judged,
                rate: self.resolved.words(phase.shape),
                settle: phase.faults_off,
            }
        };
        self.scenario.phases.iter().map(mark).collect()
    }

    async fn tested(&self, book: &HostBook) -> anyhow::Result<Tested> {
        let (options, folder, strategy) = match &self.place {
            Place::Process { options, folder, strategy } => (options, folder, strategy),
            Place::Within { dial, log, keys, .. } => {
                return Ok(Tested {
                    gateway: None,
                    credentials: None,
                    dial: Arc::clone(dial),
                    host: "within".to_owned(),
                    prefix: "/v1".to_owned(),
                    keys: keys.clone(),
                    log: Some(Arc::clone(log)),
                    by_region: true,
                });
            }
        };
        if let Some(url) = &options.url {
            return self.elsewhere(url, None).await;
        }
        let plan = match &self.scenario.target {
            Target::Url(plan) => {
                let url = plan.url.as_deref().context("this scenario needs `--url` with the gateway's address")?;
                return self.elsewhere(url, plan.key_env.as_deref()).await;
            }
            Target::Gateway(plan) => plan,
        };
        let expiring = self.scenario.faults.iter().any(|fault| fault.kind == FaultKind::Credentials);
        let credentials = expiring.then(|| Credentials::in_folder(folder.canonicalize()?)).transpose()?;
        if let Some(credentials) = &credentials {
            self.upstream.first_credentials(credentials)?;
        }
        let keys = keys(self.seed);
        let launch = Launch {
            program: options.gateway.clone(),
            plan: plan.clone(),
            strategy: strategy.clone(),
            regions: self.upstream.addresses(&self.scenario),
            keys: keys.clone(),
            quota_settings: quota_settings(&self.scenario, &plan.set_per_quota),
            credentials: credentials.clone(),
            shutdown_grace: self.scenario.rules.shutdown_grace,
            folder: folder.clone(),
        };
        let gateway = Arc::new(Gateway::start(&launch, book).await?);
        let (address, log) = (gateway.address, Some(Arc::clone(&gateway.log)));
        let (host, dial) = (address.to_string(), Arc::new(TcpDial(address)));
        Ok(Tested { gateway: Some(gateway), credentials, dial, host, prefix: "/v1".to_owned(), keys, log, by_region: true })
    }

    async fn elsewhere(&self, url: &str, key_env: Option<&str>) -> anyhow::Result<Tested> {
        let uri: http::Uri = url.trim_end_matches('/').parse().with_context(|| format!("the address {url}"))?;
        let host = uri.host().with_context(|| format!("{url} names no host"))?;
        let port = uri.port_u16().unwrap_or(80);
        let mut found = tokio::net::lookup_host((host, port)).await.with_context(|| format!("looking up {host}"))?;
        let address = found.next().with_context(|| format!("{host} has no address"))?;
        // One key for every kind of client: a peer's keys are not ours to make.
        let secret = std::env::var(key_env.unwrap_or("OUTCROP_CHAOS_KEY")).unwrap_or_default();
        let keys = keys(self.seed).into_keys().map(|id| (id, secret.clone())).collect();
        let (prefix, host) = (uri.path().to_owned(), address.to_string());
        Ok(Tested { gateway: None, credentials: None, dial: Arc::new(TcpDial(address)), host, prefix, keys, log: None, by_region: false })
    }

    async fn load(
        &self,
        tested: &Tested,
        origin: Instant,
        phases: &[PhaseMark],
        timeline: &Timeline,
        about: &mut About,
    ) -> anyhow::Result<Arc<LiveCounts>> {
        let counts = Arc::new(LiveCounts::default());
        let prompts = Arc::new(Prompts::new(self.seed));
        let net = self.net(&tested.dial);
        let client =
            Client { net: net.clone(), host: tested.host.clone(), prefix: tested.prefix.clone(), keys: tested.keys.clone(), origin };
        let (records, mut done) = mpsc::unbounded_channel::<Request>();
        let books = self.books.clone();
        let writing = tokio::spawn(async move {
            let mut watch = SelfWatch::default();
            while let Some(request) = done.recv().await {
                watch.see(&request);
                books.write(&Record::Request(Box::new(request)));
            }
            watch
        });
        let sampler = Sampler {
            origin,
            upstream: Arc::clone(&self.upstream),
            gateway: tested.gateway.clone(),
            counts: Arc::clone(&counts),
            books: self.books.clone(),
            own_process: matches!(self.place, Place::Within { .. }),
            expiries: timeline.expiries(),
        };
        sampler.sample(SampleKind::Before);
        let (stop, stopped) = watch::channel(false);
        let warm_at = phases.iter().find(|phase| phase.judged).map_or(Micros::ZERO, |phase| phase.from);
        let sampling = tokio::spawn(sampler.clone().run(warm_at, self.scenario.stop_if, stop));
        let showing = self.show(about, phases, timeline, &counts, origin);
        let generator = Generator {
            scenario: Arc::clone(&self.scenario),
            schedule: Schedule::of(&self.scenario, &self.resolved, self.seed),
            seed: self.seed,
            prompts: Arc::clone(&prompts),
            // Connections belong to the runtime that drives them, and the load has one of its own.
            client: Client { net: self.net(&tested.dial), ..client.clone() },
            counts: Arc::clone(&counts),
            records: records.clone(),
            bodies_aside: matches!(self.place, Place::Process { .. }),
        };
        let planned = self.generate(generator, stopped.clone()).await?;
        // The last phase is for settling: it is waited for, unless the run was given up.
        if !*stopped.borrow() {
            tokio::time::sleep_until(origin + self.scenario.lasting()).await;
        }
        canary::send(&self.scenario, &client, &prompts, self.seed, tested.by_region, &records).await;
        canary::spend(&self.scenario, &client, &prompts, self.seed, &records).await;
        net.close();
        self.come_to_rest().await;
        showing.abort();
        sampling.abort();
        drop(sampling.await);
        sampler.sample(SampleKind::Rest);
        drop((records, client));
        about.tainted = writing.await.context("the writer of requests died")?.taints(planned, self.scenario.rules.send_lag);
        self.close(tested, &sampler).await;
        Ok(counts)
    }

    fn net(&self, dial: &Arc<dyn Dial>) -> Net {
        Net::new(Arc::clone(dial), self.scenario.load.reuse)
    }

    /// Sends the load; within this process, where the clock may be paused, on the one thread that there is.
    async fn generate(&self, generator: Generator, stopped: watch::Receiver<bool>) -> anyhow::Result<u64> {
        let net = generator.client.net.clone();
        let work = async move {
            let planned = generator.run(stopped).await;
            net.close();
            planned
        };
        match self.place {
            Place::Within { .. } => Ok(work.await),
            Place::Process { .. } => threads::ahead(|| work).await.context("the load"),
        }
    }

    /// Upstream calls end a moment after their requests.
    async fn come_to_rest(&self) {
        let began = Instant::now();
        while self.upstream.gauges().0 > 0 && began.elapsed() < REST {
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn close(&self, tested: &Tested, sampler: &Sampler) {
        if let Some(gateway) = &tested.gateway {
            gateway.search_metrics().await;
            self.ask_ledgers(gateway, sampler.origin).await;
            gateway.stop().await;
        }
        if let Some(log) = &tested.log {
            // The last lines are on their way through a pipe.
            sleep(LAST_LINES).await;
            let log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.rows().iter().for_each(|row| self.books.write(&Record::Row(Box::new(row.clone()))));
            log.scans().for_each(|scan| self.books.write(&Record::Scan(scan.clone())));
        }
        sampler.drain();
        for call in self.upstream.take_all(sampler.origin) {
            sampler.call(call);
        }
    }

    async fn ask_ledgers(&self, gateway: &Gateway, origin: Instant) {
        sleep(LEDGER_GATHERS).await;
        for (replica, totals) in (0..).zip(gateway.ledgers().await) {
            self.books.write(&Record::Ledger(Ledger { at: origin.elapsed().into(), replica, totals }));
        }
    }

    fn show(
        &self,
        about: &About,
        phases: &[PhaseMark],
        timeline: &Timeline,
        counts: &Arc<LiveCounts>,
        origin: Instant,
    ) -> tokio::task::JoinHandle<()> {
        let title = format!("{} ({}), seed {}: {}", about.scenario, about.strategy, self.seed, self.resolved);
        let (phases, spans, counts) = (phases.to_vec(), timeline.spans.clone(), Arc::clone(counts));
        let progress = self.progress;
        tokio::spawn(async move {
            if !progress {
                return;
            }
            let live = Live::start(&title, &phases);
            let _clear = Clear(&live);
            loop {
                live.tick(origin.elapsed().into(), &counts, &spans);
                sleep(REFRESH).await;
            }
        })
    }
}

/// Takes the display away however its task ends.
struct Clear<'l>(&'l Live);

impl Drop for Clear<'_> {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// `routing.quotas.{region}.tokens_per_minute={tpm}` for each region and model with a quota.
fn quota_settings(scenario: &Scenario, templates: &[String]) -> Vec<String> {
    let mut settings = Vec::new();
    for region in &scenario.regions {
        let Some(quota) = region.quota else { continue };
        for model in &scenario.models {
            for template in templates {
                let number = |limit: Option<u64>| limit.map(|limit| limit.to_string());
                let filled = template.replace("{region}", &region.name).replace("{model}", &model.id);
                let rpm = number(quota.requests_per_minute);
                let tpm = number(quota.tokens_per_minute);
                // A setting for a limit that does not exist is left out.
                if filled.contains("{rpm}") && rpm.is_none() || filled.contains("{tpm}") && tpm.is_none() {
                    continue;
                }
                settings.push(filled.replace("{rpm}", &rpm.unwrap_or_default()).replace("{tpm}", &tpm.unwrap_or_default()));
            }
        }
    }
    settings
}
