//! One request of one client, from the first byte sent to the last byte read.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use http::{Request as HttpRequest, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    answer::{Answer, Read},
    raw,
    wire::{Exchange, Failed, Net},
};
use crate::{
    history::{ClientFault, End, Micros, Request},
    plan::ClientDeed,
    scenario::{ClientPlan, Dialect},
};

/// Secrets by id of the key.
pub type Keys = BTreeMap<String, String>;

/// How clients reach what is tested.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its connections.
    pub net: Net,
    /// Value of `host`.
    pub host: String,
    /// Path before `/chat/completions`.
    pub prefix: String,
    /// Keys.
    pub keys: Keys,
    /// The beginning of all times.
    pub origin: Instant,
}

/// What is to be sent.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The record as far as it is known before.
    pub request: Request,
    /// What its client speaks.
    pub dialect: Dialect,
    /// Body.
    pub body: Bytes,
    /// What the client does to it.
    pub deed: Option<ClientDeed>,
}

/// How a client speaks, waits and reads.
#[derive(Clone, Copy)]
struct Manner {
    dialect: Dialect,
    until: Instant,
    giving_up: End,
    bytes_per_s: Option<u64>,
}

/// Where AWS names the type of an error.
const ERROR_TYPE: &str = "x-amzn-errortype";

impl Client {
    /// Time since the beginning.
    #[must_use]
    pub fn now(&self) -> Micros {
        self.origin.elapsed().into()
    }

    /// Sends and reads; whatever happens, there is a record.
    pub async fn ask(&self, asked: Asked) -> Request {
        let Asked { mut request, dialect, body, deed } = asked;
        request.sent = Some(self.now());
        request.fault = deed.map(|deed| fault_of(deed.plan));
        let deadline = self.origin + Duration::from(request.deadline);
        let patient = Manner { dialect, until: deadline, giving_up: End::Timeout, bytes_per_s: None };
        match deed.map(|deed| deed.plan) {
            Some(ClientPlan::HalfOpen) => {
                let half = body.slice(..body.len() / 2);
                self.misuse(&mut request, body.len() as u64, &half, patient).await;
            }
            Some(ClientPlan::HugeBody { bytes }) => self.misuse(&mut request, bytes, &body, patient).await,
            Some(ClientPlan::BadBody) => {
                let bad = body.slice(..body.len().saturating_sub(7));
                self.converse(&mut request, bad, patient).await;
            }
            Some(ClientPlan::Vanish { .. }) => {
                let leaves = Instant::now() + deed.map_or(Duration::ZERO, |deed| deed.after);
                let hasty = if leaves < deadline { Manner { until: leaves, giving_up: End::Left, ..patient } } else { patient };
                self.converse(&mut request, body, hasty).await;
            }
            Some(ClientPlan::SlowReader { bytes_per_s }) => {
                self.converse(&mut request, body, Manner { bytes_per_s: Some(bytes_per_s), ..patient }).await;
            }
            Some(ClientPlan::RetryStorm { .. }) | None => self.converse(&mut request, body, patient).await,
        }
        request.ended = Some(self.now());
        request
    }

    fn http(&self, request: &Request, dialect: Dialect, body: Bytes) -> Result<HttpRequest<Full<Bytes>>, http::Error> {
        let key = self.keys.get(&request.key).map_or("", String::as_str);
        let mut built = HttpRequest::post(dialect.path(&self.prefix, &request.model, request.stream))
            .header(header::HOST, &self.host)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {key}"));
        if let Some((talk, _)) = request.conversation {
            built = built.header("x-session-id", format!("talk-{talk}"));
        }
        built.body(Full::new(body))
    }

    async fn converse(&self, request: &mut Request, body: Bytes, how: Manner) {
        let Ok(http) = self.http(request, how.dialect, body) else {
            request.end = End::Malformed;
            return;
        };
        let Manner { until, giving_up, .. } = how;
        let exchange = match timeout_at(until, self.net.send(http)).await {
            Err(_) => {
                request.end = giving_up;
                return;
            }
            Ok(Err(Failed::Unreachable)) => {
                request.end = End::Unreachable;
                return;
            }
            Ok(Err(Failed::Cut)) => {
                request.end = End::Cut;
                return;
            }
            Ok(Ok(exchange)) => exchange,
        };
        request.head = Some(self.now());
        head(request, &exchange.response);
        self.read(request, exchange, how).await;
    }

    async fn read(&self, request: &mut Request, mut exchange: Exchange, how: Manner) {
        let Manner { dialect, until, giving_up, bytes_per_s } = how;
        let refused = request.status.is_none_or(|status| status >= 400);
        let content_type = exchange.response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let json = content_type.starts_with("application/json");
        let stream_type = if dialect == Dialect::Converse { "application/vnd.amazon.eventstream" } else { "text/event-stream" };
        let streamed = !refused && content_type.starts_with(stream_type);
        let kind = exchange.response.headers().get(ERROR_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut answer = Answer::new(dialect);
        let clean = loop {
            let frame = match timeout_at(until, exchange.response.body_mut().frame()).await {
                Err(_) => {
                    take(request, answer.abandoned(giving_up));
                    return;
                }
                Ok(None) => break true,
                Ok(Some(Err(_))) => break false,
                Ok(Some(Ok(frame))) => frame,
            };
            let Ok(bytes) = frame.into_data() else { continue };
            if streamed {
                answer.stream(&bytes, self.now());
            } else {
                answer.body(&bytes);
            }
            if let Some(rate) = bytes_per_s {
                sleep(Duration::from_micros(bytes.len() as u64 * 1_000_000 / rate.max(1))).await;
            }
        };
        if clean {
            exchange.keep(&self.net);
        }
        let read = match (refused, streamed) {
            (true, _) => answer.end_of_error(clean, json, kind.as_deref()),
            (false, true) => answer.end_of_stream(clean),
            (false, false) => answer.end_of_body(clean, self.now()),
        };
        take(request, read);
    }

    /// Announces more than it sends, and waits for what comes.
    async fn misuse(&self, request: &mut Request, announced: u64, body: &[u8], how: Manner) {
        let key = self.keys.get(&request.key).map_or("", String::as_str);
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\nauthorization: Bearer {key}\r\ncontent-length: {announced}\r\n\r\n",
            how.dialect.path(&self.prefix, &request.model, request.stream),
            self.host
        );
        let exchange = async {
            let mut io = self.net.raw().await?;
            raw::exchange(&mut *io, &head, body).await
        };
        match timeout_at(how.until, exchange).await {
            Err(_) => request.end = End::Timeout,
            Ok(Err(_)) => request.end = End::Cut,
            Ok(Ok(reply)) => {
                let header = |name: &str| reply.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone());
                request.status = reply.status;
                request.request_id = header("x-request-id");
                let json = header("content-type").is_some_and(|value| value.starts_with("application/json"));
                let mut answer = Answer::new(how.dialect);
                answer.body(&reply.body);
                take(request, answer.end_of_error(reply.status.is_some(), json, header(ERROR_TYPE).as_deref()));
            }
        }
    }
}

fn fault_of(plan: ClientPlan) -> ClientFault {
    match plan {
        ClientPlan::Vanish { .. } => ClientFault::Vanish,
        ClientPlan::SlowReader { .. } => ClientFault::SlowReader,
        ClientPlan::HalfOpen => ClientFault::HalfOpen,
        ClientPlan::BadBody => ClientFault::BadBody,
        ClientPlan::HugeBody { .. } => ClientFault::HugeBody,
        ClientPlan::RetryStorm { .. } => ClientFault::RetryStorm,
    }
}

fn head(request: &mut Request, response: &Response<Incoming>) {
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    request.status = Some(response.status().as_u16());
    request.request_id = header("x-request-id");
    request.retry_after = header("retry-after");
    request.region = header("x-outcrop-region");
}

fn take(request: &mut Request, read: Read) {
    let Read { end, said, word_times, error, usage, first_content } = read;
    request.end = end;
    request.said = said;
    request.word_times = word_times;
    request.error = error;
    request.usage = usage;
    request.first_content = first_content;
}
