//! A client: one connection per request, so that each test sees the whole life of its own.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::{
    sse::{Connection, EventStream, Folded},
    wait::soon,
};

/// Asks one server with one key.
#[derive(Debug, Clone)]
pub struct Client {
    pub address: SocketAddr,
    pub key: Option<String>,
}

/// A complete answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Client {
    /// Asks and returns the head and the stream of what follows.
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> EventStream {
        let stream = soon("a connection", TcpStream::connect(self.address)).await.expect("the server accepts");
        let (mut sender, connection) =
            hyper::client::conn::http1::Builder::new().max_headers(300).handshake(TokioIo::new(stream)).await.expect("a handshake");
        // From here on the connection ends with whoever waits for the answer.
        let connection = Connection(tokio::spawn(async move { drop(connection.await) }));
        let mut request = Request::builder().method(method).uri(path).header("host", "gateway.test");
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).expect("a request");
        let response = soon("a response head", sender.send_request(request)).await.expect("a response");
        EventStream::new(response, sender, connection)
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
        self.send(method, path, headers, body).await.answer().await
    }

    /// `GET path`.
    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], Bytes::new()).await
    }

    /// `GET path` with headers.
    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask(Method::GET, path, headers, Bytes::new()).await
    }

    /// Any method without a body.
    pub async fn method(&self, method: Method, path: &str) -> Answer {
        self.ask(method, path, &[], Bytes::new()).await
    }

    /// `POST path` with JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_with(path, &[], body).await
    }

    /// `POST path` with JSON and further headers.
    pub async fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        self.post_bytes(path, headers, body.to_string()).await
    }

    /// `POST path` with any bytes.
    pub async fn post_bytes(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let headers: Vec<(&str, &str)> = [("content-type", "application/json")].into_iter().chain(headers.iter().copied()).collect();
        self.ask(Method::POST, path, &headers, body.into()).await
    }

    /// A chat request; whatever the answer.
    pub async fn chat(&self, body: &Value) -> Answer {
        self.post(CHAT, body).await
    }

    /// A chat request that must be answered.
    pub async fn completion(&self, body: &Value) -> Value {
        self.chat(body).await.ok()
    }

    /// A streamed chat request, as it comes; `stream` is added.
    pub async fn open(&self, body: &Value) -> EventStream {
        let mut body = body.clone();
        body["stream"] = Value::Bool(true);
        self.send(Method::POST, CHAT, &[("content-type", "application/json")], body.to_string().into()).await
    }

    /// A streamed chat request that must be answered, put together. Usage is asked for.
    pub async fn streamed(&self, body: &Value) -> Folded {
        let mut body = body.clone();
        body["stream_options"] = serde_json::json!({"include_usage": true});
        let stream = self.open(&body).await;
        if stream.head.status != StatusCode::OK {
            panic!("{}", stream.answer().await.text());
        }
        let folded = stream.fold().await;
        folded.check();
        folded
    }
}

/// The chat endpoint.
const CHAT: &str = "/v1/chat/completions";

impl Answer {
    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a printable header"))
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|fault| panic!("{fault}: {}", self.text()))
    }

    /// The body of a success.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/json"));
        self.json()
    }

    /// The message of a refusal with this status, type and code; checks OpenAI's envelope.
    #[track_caller]
    pub fn refusal(&self, status: u16, kind: &str, code: Option<&str>) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert!(self.header("x-request-id").is_some_and(|id| id.starts_with("req_")), "{:?}", self.headers);
        let body = self.json();
        let error = body["error"].as_object().unwrap_or_else(|| panic!("no error: {body}"));
        let members: Vec<&str> = error.keys().map(String::as_str).collect();
        assert_eq!(members, ["code", "message", "param", "type"], "{body}");
        assert_eq!(error["type"], kind, "{body}");
        assert_eq!(error["code"].as_str(), code, "{body}");
        assert!(error["param"].is_null() || error["param"].is_string(), "{body}");
        let message = error["message"].as_str().expect("a message").to_owned();
        assert!(!message.is_empty());
        message
    }

    /// `error.param` of a refusal.
    pub fn param(&self) -> Option<String> {
        self.json()["error"]["param"].as_str().map(str::to_owned)
    }
}

impl EventStream {
    /// Reads the rest as one answer.
    pub async fn answer(self) -> Answer {
        let EventStream { head, body, .. } = self;
        let collected = soon("a whole body", body.collect()).await.expect("a body that ends well");
        Answer { status: head.status.as_u16(), headers: head.headers, body: collected.to_bytes() }
    }
}
