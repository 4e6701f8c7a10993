//! The gateway's other dialects against its own chat path: what is near to the model's wire should cost less.
//!
//! A round asks all of them of the same processes, in turns: the machine is the same for them.

use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use serde::Serialize;
use tokio::task::JoinHandle;

use super::{
    MODEL, Plan,
    load::{self, Check, Shot},
    measure::{self, Lineup, Ratio, contains, median},
    process::Server,
    slices::{Turn, slices},
    upstream, words,
};

/// The model that Anthropic's dialect names: as its clients do, for the gateway to find the profile.
const CLAUDE: &str = "claude-sonnet-4-6";

/// The same model by the name that AWS's clients must know.
const PROFILE: &str = "us.anthropic.claude-sonnet-4-6";

/// A way of asking the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Dialect {
    /// OpenAI chat, translated to Converse: what the others are compared with.
    Chat,
    /// Anthropic's Messages to a Claude: its bytes are passed to InvokeModel.
    Messages,
    /// Bedrock's Converse.
    Converse,
    /// Bedrock's InvokeModel.
    Invoke,
    /// Anthropic's Messages to another model: translated to Converse.
    TranslatedMessages,
    /// OpenAI's Responses, translated to Converse, nothing stored.
    Responses,
}

/// The CPU of a dialect over that of chat, and what its open streams hold.
#[derive(Debug, Clone, Serialize)]
pub(super) struct DialectRow {
    pub(super) dialect: Dialect,
    pub(super) answers: Ratio,
    pub(super) streams: Ratio,
    /// Answers to a request as coding agents send them: a tenth of a megabyte.
    pub(super) turns: Ratio,
    /// Of streams whose deltas come one by one.
    pub(super) paced_streams: Ratio,
    /// KiB per open stream, at each number of streams.
    pub(super) rss_kib_per_stream: [f64; 2],
}

impl Dialect {
    pub(super) const ALL: [Self; 6] = [Self::Chat, Self::Messages, Self::Converse, Self::Invoke, Self::TranslatedMessages, Self::Responses];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Messages => "Messages, transparent",
            Self::Converse => "native Converse",
            Self::Invoke => "native InvokeModel",
            Self::TranslatedMessages => "Messages, translated",
            Self::Responses => "Responses",
        }
    }

    /// Where it is asked.
    pub(super) fn path(self, stream: bool) -> String {
        match self {
            Self::Chat => "/v1/chat/completions".to_owned(),
            Self::Messages | Self::TranslatedMessages => "/anthropic/v1/messages".to_owned(),
            Self::Converse => format!("/model/{MODEL}/{}", if stream { "converse-stream" } else { "converse" }),
            Self::Invoke => format!("/model/{PROFILE}/{}", if stream { "invoke-with-response-stream" } else { "invoke" }),
            Self::Responses => "/v1/responses".to_owned(),
        }
    }

    /// The body that asks a question of one turn.
    fn body(self, text: &str, stream: bool) -> String {
        let said = format!(r#""messages":[{{"role":"user","content":"{text}"}}]"#);
        match self {
            Self::Chat => format!(r#"{{"model":"{MODEL}",{said},"stream":{stream}}}"#),
            Self::Messages => format!(r#"{{"model":"{CLAUDE}","max_tokens":1000,{said},"stream":{stream}}}"#),
            Self::TranslatedMessages => format!(r#"{{"model":"{MODEL}","max_tokens":1000,{said},"stream":{stream}}}"#),
            Self::Converse => format!(r#"{{"messages":[{{"role":"user","content":[{{"text":"{text}"}}]}}]}}"#),
            Self::Invoke => format!(r#"{{"anthropic_version":"bedrock-2023-05-31","max_tokens":1000,{said}}}"#),
            Self::Responses => format!(r#"{{"model":"{MODEL}","input":"{text}","store":false,"stream":{stream}}}"#),
        }
    }

    pub(super) fn shot(self, address: &str, stream: bool) -> Shot {
        let body = Bytes::from(self.body(&measure::question(), stream));
        Shot { address: address.to_owned(), path: self.path(stream), body, stream }
    }

    /// Every word must arrive.
    pub(super) fn check(self, stream: bool, text: String) -> Check {
        Some(Arc::new(move |body: &[u8]| match (self, stream) {
            (_, false) => contains(body, text.as_bytes()),
            (Self::Chat, true) => words::of_chat(body) == text,
            (Self::Converse | Self::Invoke, true) => words::of_frames(body) == text,
            (Self::Messages | Self::TranslatedMessages | Self::Responses, true) => words::of_deltas(body) == text,
        }))
    }
}

/// CPU seconds of each dialect in one round, per 1,000: answers, streams, answers to an agent's turn, paced streams.
pub(super) type DialectRound = [[f64; KINDS]; Dialect::ALL.len()];

const KINDS: usize = 4;

/// Slices of a round in which the dialects take turns.
const SLICES: u64 = 8;

/// One round against processes of its own.
pub(super) async fn round(lineup: &Lineup, plan: Plan) -> anyhow::Result<DialectRound> {
    let server = measure::start_gateway(lineup, &lineup.fast_upstream).await?;
    let paced = measure::start_gateway(lineup, &lineup.paced_upstream).await?;
    let small = |dialect: Dialect, stream: bool| (dialect.shot(&server.address, stream), dialect.check(stream, upstream::text()));
    let turn = |dialect: Dialect| (prepared(&lineup.turns, dialect, &server.address), dialect.check(false, upstream::text()));
    let slow = |dialect: Dialect| (dialect.shot(&paced.address, true), dialect.check(true, upstream::paced_text()));
    let busy = measure::BUSY_CONNECTIONS;
    let kinds = [
        slices(&turns(&server, |dialect| small(dialect, false)), plan.answers, busy, SLICES).await.context("answers")?,
        slices(&turns(&server, |dialect| small(dialect, true)), plan.streams, busy, SLICES).await.context("streams")?,
        slices(&turns(&server, turn), plan.answers / 4, busy, SLICES).await.context("an agent's turn")?,
        slices(&turns(&paced, slow), plan.streams / 4, measure::PACED_CONNECTIONS, 2).await.context("paced streams")?,
    ];
    let mut round = DialectRound::default();
    for (row, cells) in round.iter_mut().enumerate() {
        for (cell, kind) in cells.iter_mut().zip(&kinds) {
            *cell = kind.get(row).copied().context("every dialect")?;
        }
    }
    Ok(round)
}

/// Every dialect, asked of one process.
fn turns(server: &Server, shot: impl Fn(Dialect) -> (Shot, Check)) -> [Turn<'_>; Dialect::ALL.len()] {
    Dialect::ALL.map(|dialect| {
        let (shot, check) = shot(dialect);
        Turn { name: dialect.name(), server, shot, check }
    })
}

/// What the rounds come to, and memory, which is measured once.
pub(super) async fn rows(lineup: &Lineup, plan: Plan, rounds: &[DialectRound]) -> anyhow::Result<Vec<DialectRow>> {
    let mut rows = Vec::new();
    for (index, dialect) in Dialect::ALL.into_iter().enumerate() {
        measure::note(&format!("memory: {}", dialect.name()))?;
        let ratio = |kind: usize| {
            let cell = |round: &DialectRound, row: usize| round.get(row).and_then(|cells| cells.get(kind)).copied().unwrap_or(f64::NAN);
            Ratio::of(rounds.iter().map(|round| cell(round, index) / cell(round, 0)).collect())
        };
        rows.push(DialectRow {
            dialect,
            answers: ratio(0),
            streams: ratio(1),
            turns: ratio(2),
            paced_streams: ratio(3),
            rss_kib_per_stream: memory(lineup, dialect, plan).await.with_context(|| format!("streams of {}", dialect.name()))?,
        });
    }
    Ok(rows)
}

async fn memory(lineup: &Lineup, dialect: Dialect, plan: Plan) -> anyhow::Result<[f64; 2]> {
    let mut result = [f64::NAN; 2];
    for (slot, count) in result.iter_mut().zip(plan.open_streams) {
        let server = measure::start_gateway(lineup, &lineup.slow_upstream).await?;
        *slot = measure::memory_of(&server, &dialect.shot(&server.address, true), count).await?;
    }
    Ok(result)
}

/// What a request with two megabytes of an agent's history costs.
#[derive(Debug, Clone, Serialize)]
pub(super) struct HistoryRow {
    /// The dialect; `None`: a plain proxy passes the chat body on, which is what the bytes alone cost.
    pub(super) dialect: Option<Dialect>,
    /// CPU milliseconds per answer: the median of the rounds.
    pub(super) cpu_ms: f64,
}

/// How long small requests take by themselves and while histories are translated beside them, microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Beside {
    pub(super) alone_p50_us: u64,
    pub(super) alone_p99_us: u64,
    pub(super) beside_p50_us: u64,
    pub(super) beside_p99_us: u64,
}

/// CPU per answer to a long history, by every dialect and by the plain proxy.
pub(super) async fn histories(lineup: &Lineup, plan: Plan, proxy: &Server, gateway: &Server) -> anyhow::Result<Vec<HistoryRow>> {
    let mut rows = Vec::new();
    for dialect in std::iter::once(None).chain(Dialect::ALL.map(Some)) {
        let server = if dialect.is_some() { gateway } else { proxy };
        let shot = prepared(&lineup.histories, dialect.unwrap_or(Dialect::Chat), &server.address);
        let check: Check = Some(Arc::new(|body: &[u8]| contains(body, upstream::text().as_bytes())));
        let mut rounds = Vec::new();
        for _ in 0..plan.history_rounds {
            rounds.push(measure::cpu_with(server, &shot, check.clone(), plan.histories, HISTORY_CONNECTIONS).await?);
        }
        rows.push(HistoryRow { dialect, cpu_ms: median(rounds.into_iter()) });
    }
    Ok(rows)
}

/// Histories at once.
const HISTORY_CONNECTIONS: u64 = 2;

/// A request with one of the bodies that were made before.
fn prepared(bodies: &[(Dialect, Bytes)], dialect: Dialect, address: &str) -> Shot {
    let body = bodies.iter().find(|(of, _)| *of == dialect).map(|(_, body)| body.clone()).unwrap_or_default();
    Shot { address: address.to_owned(), path: dialect.path(false), body, stream: false }
}

/// Bodies of a history of so many turns in every dialect.
pub(super) fn history_bodies(turns: usize) -> Vec<(Dialect, Bytes)> {
    let with = |dialect: Dialect, model: Option<&str>, mut body: serde_json::Value| {
        if let (Some(model), Some(members)) = (model, body.as_object_mut()) {
            members.insert("model".to_owned(), model.into());
        }
        (dialect, Bytes::from(body.to_string()))
    };
    vec![
        with(Dialect::Chat, Some(MODEL), super::history::chat(turns)),
        with(Dialect::Messages, Some(CLAUDE), super::history::messages(turns)),
        with(Dialect::Converse, None, super::history::converse(turns)),
        with(Dialect::Invoke, None, super::history::invoke(turns)),
        with(Dialect::TranslatedMessages, Some(MODEL), super::history::messages(turns)),
        with(Dialect::Responses, Some(MODEL), super::history::responses(turns)),
    ]
}

/// Small chat requests, one after the other, by themselves and beside a client that sends histories without a pause.
pub(super) async fn beside(lineup: &Lineup, plan: Plan, gateway: &Server) -> anyhow::Result<Beside> {
    let small = Dialect::Chat.shot(&gateway.address, false);
    let alone = load::volley(&small, plan.lone_requests, 1, None).await?.latency;
    let heavy = prepared(&lineup.histories, Dialect::Chat, &gateway.address);
    let histories: JoinHandle<anyhow::Error> = tokio::spawn(async move {
        loop {
            if let Err(error) = load::volley(&heavy, 10, 1, None).await {
                return error;
            }
        }
    });
    let beside = load::volley(&small, plan.lone_requests, 1, None).await;
    if histories.is_finished() {
        return Err(histories.await?.context("histories beside small requests"));
    }
    histories.abort();
    let beside = beside?.latency;
    Ok(Beside {
        alone_p50_us: alone.value_at_quantile(0.5),
        alone_p99_us: alone.value_at_quantile(0.99),
        beside_p50_us: beside.value_at_quantile(0.5),
        beside_p99_us: beside.value_at_quantile(0.99),
    })
}
