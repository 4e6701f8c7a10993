//! Every route that takes a body, in every dialect: what a good request is there, and how a bad one is refused.

use bytes::Bytes;
use http::Method;
use outcrop_sim::Operation;
use serde_json::{Value, json};

use crate::support::{Answer, CLAUDE, Client, EAST, TestGateway};

/// A model that takes no body of Anthropic's: messages reach it through the hub.
pub const NOVA: &str = "amazon.nova-lite-v1:0";

/// Longest answer that a refusal may be, whatever was sent.
const LONGEST_REFUSAL: usize = 4096;

/// In whose words a route refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope {
    OpenAi,
    Anthropic,
    Aws,
}

/// What is wrong with a request, as far as every envelope tells it apart.
#[derive(Debug, Clone, Copy)]
pub enum Wrong {
    Request,
    Size,
    Key,
    Model,
    Method,
}

/// A refusal, out of its envelope.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub status: u16,
    pub kind: String,
    pub message: String,
    /// OpenAI's alone; the others name the field in their words.
    pub param: Option<String>,
    pub answer: Answer,
}

impl Envelope {
    /// Status and type of what is wrong.
    fn face(self, wrong: Wrong) -> (u16, &'static str) {
        match (self, wrong) {
            (Self::OpenAi, Wrong::Request) => (400, "invalid_request_error"),
            (Self::OpenAi, Wrong::Size) => (413, "invalid_request_error"),
            (Self::OpenAi, Wrong::Key) => (401, "invalid_request_error"),
            (Self::OpenAi, Wrong::Model) => (404, "invalid_request_error"),
            (Self::OpenAi, Wrong::Method) => (405, "invalid_request_error"),
            (Self::Anthropic, Wrong::Request) => (400, "invalid_request_error"),
            (Self::Anthropic, Wrong::Size) => (413, "request_too_large"),
            (Self::Anthropic, Wrong::Key) => (401, "authentication_error"),
            (Self::Anthropic, Wrong::Model) => (404, "not_found_error"),
            (Self::Anthropic, Wrong::Method) => (405, "invalid_request_error"),
            (Self::Aws, Wrong::Request) => (400, "ValidationException"),
            (Self::Aws, Wrong::Size) => (413, "RequestEntityTooLargeException"),
            (Self::Aws, Wrong::Key) => (403, "UnrecognizedClientException"),
            (Self::Aws, Wrong::Model) => (404, "ResourceNotFoundException"),
            (Self::Aws, Wrong::Method) => (405, "UnknownOperationException"),
        }
    }

    /// Takes a refusal of ours out of its envelope, which must be complete and hold nothing else.
    #[track_caller]
    pub fn open(self, answer: Answer) -> Refusal {
        assert!(answer.body.len() <= LONGEST_REFUSAL, "{} bytes: {}", answer.body.len(), shown(answer.text()));
        self.open_upstreams(answer)
    }

    /// As [`Envelope::open`] of one that may hold upstream's words, which are never cut.
    #[track_caller]
    fn open_upstreams(self, answer: Answer) -> Refusal {
        assert!((400..500).contains(&answer.status), "{}: {}", answer.status, shown(answer.text()));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert!(answer.header("x-request-id").is_some_and(|id| id.starts_with("req_")), "{:?}", answer.headers);
        printable_headers(&answer);
        let body = answer.json();
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("no text: {body}")).to_owned();
        let (kind, message) = match self {
            Self::OpenAi => {
                let kind = text(&body["error"]["type"]);
                let message = answer.refusal(answer.status, &kind, body["error"]["code"].as_str());
                assert_eq!(members(&body), ["error"], "{body}");
                (kind, message)
            }
            Self::Anthropic => {
                assert_eq!((members(&body), &body["type"]), (vec!["error", "request_id", "type"], &json!("error")), "{body}");
                assert_eq!(members(&body["error"]), ["message", "type"], "{body}");
                assert_eq!(body["request_id"].as_str(), answer.header("request-id"), "{body}");
                assert_eq!(answer.header("request-id"), answer.header("x-request-id"));
                (text(&body["error"]["type"]), text(&body["error"]["message"]))
            }
            Self::Aws => {
                assert_eq!(members(&body), ["message"], "{body}");
                assert!(answer.header("x-amzn-requestid").is_some_and(|id| !id.is_empty()), "{:?}", answer.headers);
                let kind = answer.header("x-amzn-errortype").unwrap_or_else(|| panic!("no type: {body}"));
                (kind.to_owned(), text(&body["message"]))
            }
        };
        assert!(!message.trim().is_empty(), "{body}");
        Refusal { status: answer.status, kind, message, param: body["error"]["param"].as_str().map(str::to_owned), answer }
    }
}

/// Bodies that are no JSON, one of them the beginning of `whole`.
pub fn no_json(whole: &str) -> [&[u8]; 9] {
    let cut = &whole.as_bytes()[..whole.len() - 1];
    [b"", b" ", b"{", b"{\"model\":}", b"not json", b"{'model': 'x'}", cut, b"\xef\xbb\xbf{}", b"{}{}"]
}

/// Addresses that stand for this machine or its network, in the spellings they have; `port` is one on which something listens.
pub fn addresses_within(port: u16) -> Vec<String> {
    let mut addresses = [
        "http://127.0.0.1:1/x.png",
        "http://169.254.169.254/latest/meta-data/iam",
        "http://10.0.0.7/x.png",
        "http://[::1]/x.png",
        "http://[::ffff:127.0.0.1]/x.png",
        "http://2130706433/x.png",
        "http://0x7f000001/x.png",
        "http://0177.0.0.1/x.png",
    ]
    .map(str::to_owned)
    .to_vec();
    addresses.push(format!("http://localhost:{port}/pixel.png"));
    addresses
}

fn members(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}")).keys().map(String::as_str).collect()
}

/// The beginning of a text that may be a megabyte.
pub fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(300)]
}

/// No header holds what a client has put into it but visible text of a sane length.
#[track_caller]
pub fn printable_headers(answer: &Answer) {
    assert!(answer.header("set-cookie").is_none(), "{:?}", answer.headers);
    for (name, value) in &answer.headers {
        let printable = value.as_bytes().iter().all(|byte| (b' '..=b'~').contains(byte));
        assert!(printable && value.len() <= 2048, "{name}: {value:?}");
    }
}

impl Refusal {
    /// It is a refusal of this.
    #[track_caller]
    pub fn of(self, envelope: Envelope, wrong: Wrong) -> Self {
        assert_eq!((self.status, self.kind.as_str()), envelope.face(wrong), "{}", shown(&self.message));
        self
    }

    /// It names this field, wherever its envelope has room for that.
    #[track_caller]
    pub fn names(&self, field: &str) {
        let named = self.param.as_deref() == Some(field) || (self.param.is_none() && self.message.starts_with(field));
        assert!(named, "not `{field}`: {:?} {}", self.param, self.message);
    }
}

/// Where a request names its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelIn {
    Body,
    Path,
    Nowhere,
}

/// A route and a good request to it.
#[derive(Debug, Clone)]
pub struct Route {
    pub name: &'static str,
    pub path: String,
    pub envelope: Envelope,
    pub model: ModelIn,
    pub body: Value,
    /// The member that holds what is said.
    pub said: &'static str,
    /// Its bodies pass as they are, and what is in them is for the model to judge.
    pub transparent: bool,
    /// The last word of the path of an operation of Bedrock's.
    verb: &'static str,
}

impl Route {
    fn new(name: &'static str, path: impl Into<String>, envelope: Envelope, said: &'static str, body: Value) -> Self {
        let model = if body.get("model").is_some() { ModelIn::Body } else { ModelIn::Nowhere };
        Self { name, path: path.into(), envelope, model, body, said, transparent: false, verb: "" }
    }

    fn transparent(self) -> Self {
        Self { transparent: true, ..self }
    }

    fn native(verb: &'static str, model: &str, said: &'static str, body: Value) -> Self {
        let route = Self::new(verb, native_path(model, verb), Envelope::Aws, said, body);
        Self { model: ModelIn::Path, verb, transparent: true, ..route }
    }

    /// The body with another member, or another value of it.
    pub fn with(&self, member: &str, value: impl Into<Value>) -> Value {
        let mut body = self.body.clone();
        body[member] = value.into();
        body
    }

    /// Path and body of the same request to another model; `None` where there is none to ask.
    pub fn of_model(&self, model: &str) -> Option<(String, Value)> {
        match self.model {
            ModelIn::Body => Some((self.path.clone(), self.with("model", model))),
            ModelIn::Path => Some((native_path(model, self.verb), self.body.clone())),
            ModelIn::Nowhere => None,
        }
    }

    /// Is it one of Anthropic's that is read into the hub?
    pub fn is_hub_messages(&self) -> bool {
        self.envelope == Envelope::Anthropic && !self.transparent
    }

    /// Does it take a Responses body?
    pub fn is_responses(&self) -> bool {
        self.said == "input" && self.envelope == Envelope::OpenAi
    }
}

/// The path of an operation of Bedrock's.
pub fn native_path(model: &str, verb: &str) -> String {
    format!("/model/{}/{verb}", encoded(model))
}

/// A text as a segment of a path.
pub fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// A gateway, and every route of it that takes a body.
pub struct Everywhere {
    pub gateway: TestGateway,
    pub routes: Vec<Route>,
}

impl Everywhere {
    /// Default settings and one region.
    pub async fn start() -> Self {
        Self::with(None).await
    }

    /// With a setting: `path=value`.
    pub async fn with(setting: Option<&str>) -> Self {
        let builder = TestGateway::builder().regions([EAST]);
        let builder = setting.into_iter().fold(builder, |builder, setting| builder.set(setting));
        let gateway = builder.start().await;
        let conversation = gateway.post("/v1/conversations", &json!({})).await.ok();
        let routes = routes(conversation["id"].as_str().expect("an id"));
        Self { gateway, routes }
    }

    /// The calls of models, and of their counters, that AWS has seen.
    fn asked(&self) -> usize {
        let asks = [
            Operation::Converse,
            Operation::ConverseStream,
            Operation::InvokeModel,
            Operation::InvokeModelWithResponseStream,
            Operation::CountTokens,
        ];
        self.gateway.simulator.journal().calls().iter().filter(|call| asks.contains(&call.operation)).count()
    }

    /// Sends a body.
    pub async fn send(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        self.gateway.send(Method::POST, path, headers, body.into()).await.answer().await
    }

    /// Sends what a route must refuse without asking AWS; afterwards it answers what is good.
    pub async fn refused(&self, route: &Route, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Refusal {
        self.refused_at(route, &route.path, headers, body).await
    }

    /// As [`Everywhere::refused`], at another path.
    pub async fn refused_at(&self, route: &Route, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Refusal {
        let (before, body) = (self.asked(), body.into());
        let sent = format!("{}: {}", route.name, shown(&String::from_utf8_lossy(&body)));
        let answer = self.send(path, headers, body).await;
        assert!((400..500).contains(&answer.status), "{} to {sent}: {}", answer.status, shown(&String::from_utf8_lossy(&answer.body)));
        assert_eq!(self.asked(), before, "AWS was asked: {sent}");
        let refusal = route.envelope.open(answer);
        self.answers(route).await;
        refusal
    }

    /// Sends what may be good or bad: it has an answer, a whole one, and what is good has one after it.
    pub async fn ended(&self, route: &Route, body: &Value) -> Answer {
        let before = self.asked();
        let answer = self.send(&route.path, &[], body.to_string()).await;
        printable_headers(&answer);
        if answer.status != 200 && self.asked() > before {
            route.envelope.open_upstreams(answer.clone());
        } else if answer.status != 200 {
            route.envelope.open(answer.clone());
        }
        self.answers(route).await;
        answer
    }

    /// A good request is answered.
    pub async fn answers(&self, route: &Route) {
        let answer = self.send(&route.path, &[], route.body.to_string()).await;
        assert_eq!(answer.status, 200, "{} no longer answers: {}", route.name, shown(&String::from_utf8_lossy(&answer.body)));
    }

    /// The same gateway to somebody else.
    pub fn client(&self, key: Option<&str>) -> Client {
        Client { address: self.gateway.address, key: key.map(str::to_owned) }
    }

    /// Nothing runs any more, and no line of the log has grown with what clients sent.
    pub async fn end(self) {
        self.gateway.idle().await;
        for line in self.gateway.records.lines() {
            let line = format!("{line:?}");
            assert!(line.len() < 8192, "a log line of {} bytes: {}", line.len(), shown(&line));
        }
        self.gateway.end().await;
    }
}

fn routes(conversation: &str) -> Vec<Route> {
    let turns = || json!([{"role": "user", "content": "hello"}]);
    let chat = || json!({"model": CLAUDE, "messages": turns()});
    let messages = |model: &str| json!({"model": model, "max_tokens": 50, "messages": turns()});
    let responses = || json!({"model": CLAUDE, "input": "hello"});
    let items = || json!([{"type": "message", "role": "user", "content": "hello"}]);
    let converse = || json!({"messages": [{"role": "user", "content": [{"text": "hello"}]}]});
    let claude = || json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 50, "messages": turns()});
    let kept = format!("/v1/conversations/{conversation}");
    vec![
        Route::new("chat", "/v1/chat/completions", Envelope::OpenAi, "messages", chat()),
        Route::new("completions", "/v1/completions", Envelope::OpenAi, "prompt", json!({"model": CLAUDE, "prompt": "hello"})),
        Route::new("messages", "/anthropic/v1/messages", Envelope::Anthropic, "messages", messages(CLAUDE)).transparent(),
        Route::new("messages without prefix", "/v1/messages", Envelope::Anthropic, "messages", messages(CLAUDE)).transparent(),
        Route::new("messages through the hub", "/anthropic/v1/messages", Envelope::Anthropic, "messages", messages(NOVA)),
        Route::new("count", "/anthropic/v1/messages/count_tokens", Envelope::Anthropic, "messages", chat()).transparent(),
        Route::new("count without prefix", "/v1/messages/count_tokens", Envelope::Anthropic, "messages", chat()).transparent(),
        Route::new("responses", "/v1/responses", Envelope::OpenAi, "input", responses()),
        Route::new("input tokens", "/v1/responses/input_tokens", Envelope::OpenAi, "input", responses()),
        Route::new("compact", "/v1/responses/compact", Envelope::OpenAi, "input", responses()),
        Route::new("conversations", "/v1/conversations", Envelope::OpenAi, "items", json!({"items": items()})),
        Route::new("conversation", kept.clone(), Envelope::OpenAi, "metadata", json!({"metadata": {"topic": "hello"}})),
        Route::new("conversation items", format!("{kept}/items"), Envelope::OpenAi, "items", json!({"items": items()})),
        Route::native("converse", NOVA, "messages", converse()),
        Route::native("converse-stream", NOVA, "messages", converse()),
        Route::native("invoke", CLAUDE, "messages", claude()),
        Route::native("invoke-with-response-stream", CLAUDE, "messages", claude()),
        Route::native("count-tokens", CLAUDE, "input", json!({"input": {"converse": converse()}})),
    ]
}
