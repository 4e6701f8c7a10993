//! What is measured, and how.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use bytes::Bytes;
use serde::Serialize;

use super::{
    ACCESS_KEY, MODEL, Plan, SECRET_KEY,
    dialects::{self, Beside, Dialect, DialectRow, HistoryRow},
    load::{self, Check, Shot},
    process::Server,
    strategies::{self, StrategyRow},
    upstream, words,
};

/// Who takes part.
pub(super) struct Lineup {
    pub(super) gateway: PathBuf,
    pub(super) harness: PathBuf,
    pub(super) fast_upstream: String,
    pub(super) slow_upstream: String,
    pub(super) paced_upstream: String,
    /// Bodies of a long history in every dialect.
    pub(super) histories: Vec<(Dialect, Bytes)>,
    /// Bodies of a coding agent's everyday request in every dialect.
    pub(super) turns: Vec<(Dialect, Bytes)>,
}

/// A contestant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Contestant {
    Gateway,
    Sdk,
    Proxy,
}

impl Contestant {
    const ALL: [Self; 3] = [Self::Gateway, Self::Sdk, Self::Proxy];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gateway => "outcrop",
            Self::Sdk => "bare SDK handler",
            Self::Proxy => "plain proxy",
        }
    }
}

/// The numbers of one contestant.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    pub(super) contestant: Contestant,
    /// CPU seconds per 1,000 answers.
    pub(super) cpu_per_1000_answers: f64,
    /// CPU seconds per 1,000 streams of 100 deltas that upstream writes all at once.
    pub(super) cpu_per_1000_streams: f64,
    /// The same, when upstream writes a delta every few milliseconds.
    pub(super) cpu_per_1000_paced_streams: f64,
    /// Microseconds added to a call that goes to the simulator directly, at one connection.
    pub(super) added_p50_us: i64,
    pub(super) added_p99_us: i64,
    /// At 64 connections.
    pub(super) requests_per_second: f64,
    /// KiB per open stream, at each number of streams.
    pub(super) rss_kib_per_stream: [f64; 2],
    /// Milliseconds from spawn to ready.
    pub(super) start_ms: f64,
    /// MiB after start.
    pub(super) idle_rss_mib: f64,
}

/// The gateway's CPU over the bare SDK handler's: the median of the rounds, each of which sets neighbours in time against each
/// other, and the lowest and highest round.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Ratio {
    pub(super) median: f64,
    pub(super) lowest: f64,
    pub(super) highest: f64,
}

/// What a run showed.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) rows: Vec<Row>,
    pub(super) answers: Ratio,
    pub(super) streams: Ratio,
    pub(super) strategies: Vec<StrategyRow>,
    pub(super) dialects: Vec<DialectRow>,
    pub(super) histories: Vec<HistoryRow>,
    pub(super) beside: Beside,
}

/// Connections while CPU is measured: busy, not saturated.
pub(super) const BUSY_CONNECTIONS: u64 = 16;

/// Measures everybody.
pub(super) async fn all(lineup: &Lineup, plan: Plan) -> anyhow::Result<Measured> {
    let mut rounds: [Vec<Round>; Contestant::ALL.len()] = Default::default();
    for round in 0..plan.rounds {
        let measured = one_round(lineup, plan).await.with_context(|| format!("round {}", round + 1))?;
        let answers: Vec<String> = measured.iter().map(|measured| format!("{:.3}", measured.cpu_answers)).collect();
        note(&format!("round {} of {}: CPU s / 1,000 answers: {}", round + 1, plan.rounds, answers.join(", ")))?;
        for (of_contestant, measured) in rounds.iter_mut().zip(measured) {
            of_contestant.push(measured);
        }
    }
    let strategies = strategies::rows(&lineup.gateway, &lineup.fast_upstream, plan).await?;
    let mut dialect_rounds = Vec::new();
    for round in 0..plan.dialect_rounds {
        note(&format!("dialects, round {} of {}", round + 1, plan.dialect_rounds))?;
        dialect_rounds.push(dialects::round(lineup, plan).await.with_context(|| format!("dialects, round {}", round + 1))?);
    }
    let mut rows = Vec::new();
    for (contestant, mine) in Contestant::ALL.into_iter().zip(&rounds) {
        note(&format!("paced streams and memory: {}", contestant.name()))?;
        rows.push(Row {
            contestant,
            cpu_per_1000_answers: median(mine.iter().map(|round| round.cpu_answers)),
            cpu_per_1000_streams: median(mine.iter().map(|round| round.cpu_streams)),
            cpu_per_1000_paced_streams: paced(lineup, contestant, plan).await?,
            added_p50_us: median(mine.iter().map(|round| round.added_p50)) as i64,
            added_p99_us: median(mine.iter().map(|round| round.added_p99)) as i64,
            requests_per_second: median(mine.iter().map(|round| round.per_second)),
            rss_kib_per_stream: memory(lineup, contestant, plan).await?,
            start_ms: median(mine.iter().map(|round| round.start_ms)),
            idle_rss_mib: median(mine.iter().map(|round| round.idle_rss_mib)),
        });
    }
    let [gateway, sdk, _] = &rounds;
    let ratio = |pick: fn(&Round) -> f64| Ratio::of(gateway.iter().zip(sdk).map(|(ours, theirs)| pick(ours) / pick(theirs)).collect());
    let (answers, streams) = (ratio(|round| round.cpu_answers), ratio(|round| round.cpu_streams));
    let dialects = dialects::rows(lineup, plan, &dialect_rounds).await?;
    note("long histories")?;
    let gateway = start(lineup, Contestant::Gateway, &lineup.fast_upstream).await?;
    let proxy = start(lineup, Contestant::Proxy, &lineup.fast_upstream).await?;
    let histories = dialects::histories(lineup, plan, &proxy, &gateway).await.context("long histories")?;
    let beside = dialects::beside(lineup, plan, &gateway).await?;
    Ok(Measured { rows, answers, streams, strategies, dialects, histories, beside })
}

/// Tells progress.
pub(super) fn note(text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    writeln!(std::io::stderr(), "  {text}").context("telling progress")
}

async fn start(lineup: &Lineup, contestant: Contestant, upstream: &str) -> anyhow::Result<Server> {
    match contestant {
        Contestant::Gateway => start_gateway(lineup, upstream).await,
        Contestant::Sdk | Contestant::Proxy => {
            let url = format!("http://{upstream}");
            let kind = if contestant == Contestant::Sdk { "sdk" } else { "proxy" };
            let arguments = ["baseline", kind, "--upstream", &url].map(str::to_owned);
            Server::announced(&lineup.harness, &arguments).await.with_context(|| format!("the {kind} baseline"))
        }
    }
}

/// The gateway in front of a simulated region, which is at `host:port`.
pub(super) async fn start_gateway(lineup: &Lineup, upstream: &str) -> anyhow::Result<Server> {
    start_gateway_with(&lineup.gateway, upstream, &["us-east-1"], "").await
}

/// The same with these regions, which are all the same to it, and with more settings.
pub(super) async fn start_gateway_with(gateway: &Path, upstream: &str, regions: &[&str], settings: &str) -> anyhow::Result<Server> {
    let port = free_port().await?;
    let regions = regions.iter().map(|region| format!("\"{region}\"")).collect::<Vec<_>>().join(", ");
    let config = format!(
        r#"
[server]
bind = "127.0.0.1"
port = {port}
[admin]
enabled = false
[lanes.chat]
concurrency = 8192
[lanes.responses]
concurrency = 8192
[aws]
regions = [{regions}]
credentials = {{ access_key_id = "{ACCESS_KEY}", secret_access_key = "{SECRET_KEY}" }}
[aws.endpoints]
default = "http://{upstream}"
[[keys.key]]
id = "bench"
secret = "sk-bench"
{settings}
"#
    );
    let path = std::env::temp_dir().join(format!("outcrop-bench-{}-{port}.toml", std::process::id()));
    std::fs::write(&path, config).with_context(|| format!("writing {}", path.display()))?;
    let arguments = ["serve".to_owned(), "--config".to_owned(), path.display().to_string()];
    let server = Server::probed(gateway, &arguments, format!("127.0.0.1:{port}")).await.context("the gateway");
    // They are read once, at the start: a benchmark starts hundreds of gateways, and leaves none of their settings behind.
    std::fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
    server
}

/// A port nobody listens on at this moment.
async fn free_port() -> anyhow::Result<u16> {
    Ok(tokio::net::TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port())
}

/// What one round showed of one contestant; as in [`Row`].
#[derive(Debug, Clone, Default)]
struct Round {
    start_ms: f64,
    idle_rss_mib: f64,
    cpu_answers: f64,
    cpu_streams: f64,
    added_p50: f64,
    added_p99: f64,
    per_second: f64,
}

/// A round measures one thing of everybody before it goes on to the next: the machine is the same for them. Each has a new
/// process: where its memory happens to lie makes a tenth of its speed.
async fn one_round(lineup: &Lineup, plan: Plan) -> anyhow::Result<Vec<Round>> {
    let mut servers = Vec::new();
    let mut rounds = Vec::new();
    for contestant in Contestant::ALL {
        let server = start(lineup, contestant, &lineup.fast_upstream).await?;
        let (start_ms, idle_rss_mib) = (server.started_in.as_secs_f64() * 1000.0, server.rss_kib()? as f64 / 1024.0);
        rounds.push(Round { start_ms, idle_rss_mib, ..Round::default() });
        servers.push((contestant, server));
    }
    for (round, (contestant, server)) in rounds.iter_mut().zip(&servers) {
        let (whole, _) = checks(*contestant, upstream::text());
        round.cpu_answers = cpu_of(server, &chat(server, *contestant, false), whole, plan.answers).await.context("answers")?;
    }
    for (round, (contestant, server)) in rounds.iter_mut().zip(&servers) {
        let (_, streamed) = checks(*contestant, upstream::text());
        round.cpu_streams = cpu_of(server, &chat(server, *contestant, true), streamed, plan.streams).await.context("streams")?;
    }
    for (round, (contestant, server)) in rounds.iter_mut().zip(&servers) {
        let whole = chat(server, *contestant, false);
        let direct = load::volley(&direct(lineup), plan.lone_requests, 1, None).await?.latency;
        let through = load::volley(&whole, plan.lone_requests, 1, None).await?.latency;
        let added = |quantile: f64| through.value_at_quantile(quantile) as f64 - direct.value_at_quantile(quantile) as f64;
        round.added_p50 = added(0.5);
        round.added_p99 = added(0.99);
        let crowd = load::volley(&whole, plan.answers, 64, None).await?;
        round.per_second = crowd.answers as f64 / crowd.took.as_secs_f64();
    }
    Ok(rounds)
}

/// CPU seconds of a server per 1,000 requests while it is busy.
async fn cpu_of(server: &Server, shot: &Shot, check: Check, count: u64) -> anyhow::Result<f64> {
    cpu_with(server, shot, check, count, BUSY_CONNECTIONS).await
}

/// CPU seconds of a server per 1,000 requests over so many connections, after some to warm up.
pub(super) async fn cpu_with(server: &Server, shot: &Shot, check: Check, count: u64, connections: u64) -> anyhow::Result<f64> {
    load::volley(shot, (count / 10).max(connections), connections, check.clone()).await.context("warming up")?;
    let before = server.cpu()?;
    let answered = load::volley(shot, count, connections, check).await?.answers;
    Ok(per_thousand(server.cpu()?.since(&before), answered))
}

/// Every word of every answer must arrive. The proxy hands on binary frames, which are searched for the last word.
fn checks(contestant: Contestant, streamed: String) -> (Check, Check) {
    let whole_text = upstream::text();
    let whole: Check = Some(Arc::new(move |body: &[u8]| contains(body, whole_text.as_bytes())));
    let stream: Check = match contestant {
        Contestant::Proxy => Some(Arc::new(|body: &[u8]| contains(body, b"word99"))),
        Contestant::Gateway | Contestant::Sdk => Some(Arc::new(move |body: &[u8]| words::of_chat(body) == streamed)),
    };
    (whole, stream)
}

/// Whether bytes hold these bytes.
pub(super) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// What every small request asks.
pub(super) fn question() -> String {
    "Tell me something about the sea, its tides and its storms. ".repeat(12)
}

fn chat(server: &Server, contestant: Contestant, stream: bool) -> Shot {
    let text = question();
    let body = match contestant {
        // A proxy does not translate: its clients speak Converse.
        Contestant::Proxy => format!(r#"{{"messages":[{{"role":"user","content":[{{"text":"{text}"}}]}}]}}"#),
        Contestant::Gateway | Contestant::Sdk => {
            format!(r#"{{"model":"{MODEL}","messages":[{{"role":"user","content":"{text}"}}],"stream":{stream}}}"#)
        }
    };
    Shot { address: server.address.clone(), path: "/v1/chat/completions".to_owned(), body: Bytes::from(body), stream }
}

fn direct(lineup: &Lineup) -> Shot {
    let body = Bytes::from_static(br#"{"messages":[{"role":"user","content":[{"text":"hi"}]}]}"#);
    Shot { address: lineup.fast_upstream.clone(), path: format!("/model/{MODEL}/converse"), body, stream: false }
}

/// CPU seconds per 1,000.
pub(super) fn per_thousand(cpu: Duration, count: u64) -> f64 {
    cpu.as_secs_f64() * 1000.0 / count as f64
}

impl Ratio {
    /// Of the ratios of the rounds.
    pub(super) fn of(rounds: Vec<f64>) -> Self {
        let lowest = rounds.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = rounds.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self { median: median(rounds.into_iter()), lowest, highest }
    }
}

/// The middle one.
pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// CPU of streams whose deltas come one by one, as a model's do.
async fn paced(lineup: &Lineup, contestant: Contestant, plan: Plan) -> anyhow::Result<f64> {
    let server = start(lineup, contestant, &lineup.paced_upstream).await?;
    let (_, check) = checks(contestant, upstream::paced_text());
    let stream = chat(&server, contestant, true);
    load::volley(&stream, plan.streams / 5, PACED_CONNECTIONS, check.clone()).await.context("warming up paced streams")?;
    let before = server.cpu()?;
    let streams = load::volley(&stream, plan.streams, PACED_CONNECTIONS, check).await?.answers;
    Ok(per_thousand(server.cpu()?.since(&before), streams))
}

/// Paced streams at once: enough to keep the run short, few enough that nobody waits for a core.
pub(super) const PACED_CONNECTIONS: u64 = 32;

/// Streams opened and closed before memory is counted.
const WARMING_STREAMS: usize = 50;

/// For what is in flight or already freed to be done with.
const SETTLING: Duration = Duration::from_secs(1);

/// KiB that each open slow stream adds.
async fn memory(lineup: &Lineup, contestant: Contestant, plan: Plan) -> anyhow::Result<[f64; 2]> {
    let mut result = [f64::NAN; 2];
    for (slot, count) in result.iter_mut().zip(plan.open_streams) {
        let server = start(lineup, contestant, &lineup.slow_upstream).await?;
        *slot = memory_of(&server, &chat(&server, contestant, true), count).await?;
    }
    Ok(result)
}

/// KiB that each of so many open streams adds to a new server.
pub(super) async fn memory_of(server: &Server, stream: &Shot, count: usize) -> anyhow::Result<f64> {
    // What the first requests of a process cost once and for all is no stream's.
    drop(load::hold_open(stream, WARMING_STREAMS).await.context("warming up")?);
    tokio::time::sleep(SETTLING).await;
    let before = server.rss_kib()?;
    let open = load::hold_open(stream, count).await.with_context(|| format!("{count} open streams"))?;
    tokio::time::sleep(SETTLING).await;
    let added = (server.rss_kib()? as f64 - before as f64) / count as f64;
    drop(open);
    Ok(added)
}
