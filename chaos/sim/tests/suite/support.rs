//! Clients: the SDK's typed ones, and one that sees every byte.

use std::{io, time::Duration};

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::config::{BehaviorVersion, Region, retry::RetryConfig};
use aws_smithy_http_client::Builder;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use outcrop_sim::{
    DEFAULT_ACCESS_KEY, DEFAULT_BEARER_TOKEN, DEFAULT_SECRET_KEY, Simulator,
    brain::{Block, Turn, TurnUsage},
};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

pub(crate) const EAST: &str = "us-east-1";
pub(crate) const WEST: &str = "us-west-2";
/// A model callable by its bare id in both regions.
pub(crate) const MODEL: &str = "amazon.nova-lite-v1:0";
pub(crate) const HELLO: &str = r#"{"messages":[{"role":"user","content":[{"text":"hello"}]}]}"#;
/// No test waits longer for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) async fn simulator() -> Simulator {
    Simulator::builder().regions([EAST, WEST]).seed(7).start().await.unwrap()
}

pub(crate) fn credentials() -> Credentials {
    Credentials::new(DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, None, None, "test")
}

pub(crate) fn runtime(simulator: &Simulator, region: &str) -> aws_sdk_bedrockruntime::Client {
    runtime_with(simulator, region, region, credentials())
}

/// A runtime client that signs for `scope` with `credentials`.
pub(crate) fn runtime_with(simulator: &Simulator, region: &str, scope: &str, credentials: Credentials) -> aws_sdk_bedrockruntime::Client {
    let config = aws_sdk_bedrockruntime::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(scope.to_owned()))
        .endpoint_url(simulator.endpoint(region))
        .credentials_provider(credentials)
        .retry_config(RetryConfig::disabled())
        .http_client(Builder::new().build_http())
        .build();
    aws_sdk_bedrockruntime::Client::from_conf(config)
}

pub(crate) fn control(simulator: &Simulator, region: &str) -> aws_sdk_bedrock::Client {
    let config = aws_sdk_bedrock::Config::builder()
        .behavior_version(aws_sdk_bedrock::config::BehaviorVersion::latest())
        .region(aws_sdk_bedrock::config::Region::new(region.to_owned()))
        .endpoint_url(simulator.endpoint(region))
        .credentials_provider(credentials())
        .retry_config(aws_sdk_bedrock::config::retry::RetryConfig::disabled())
        .http_client(Builder::new().build_http())
        .build();
    aws_sdk_bedrock::Client::from_conf(config)
}

/// A plain answer of known words and usage.
pub(crate) fn turn(text: &str) -> Turn {
    Turn {
        blocks: vec![Block::Text(text.to_owned())],
        stop_reason: "end_turn",
        stop_sequence: None,
        usage: TurnUsage { input: 10, output: 100, ..TurnUsage::default() },
        guardrail_trace: None,
        service_tier: None,
        additional_response_fields: None,
    }
}

/// What a raw client saw of one answer.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) head: String,
    /// Body without HTTP framing, as far as it arrived.
    pub(crate) body: Vec<u8>,
    /// Sizes of the HTTP chunks.
    pub(crate) chunks: Vec<usize>,
    /// Why it ended before its framing said so.
    pub(crate) broken: Option<io::ErrorKind>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.to_owned())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Types and payloads of the whole frames of an event stream, checksums verified.
    pub(crate) fn events(&self) -> Vec<(String, Value)> {
        let (mut events, mut rest) = (Vec::new(), &self.body[..]);
        while rest.len() >= 16 {
            let total = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
            if rest.len() < total {
                break;
            }
            let (frame, after) = rest.split_at(total);
            assert_eq!(crc32fast::hash(&frame[..total - 4]).to_be_bytes(), frame[total - 4..]);
            let headers = u32::from_be_bytes(frame[4..8].try_into().unwrap()) as usize;
            let kind_length = usize::from(frame[12]);
            let value_at = 12 + 1 + kind_length + 3;
            let value_length = usize::from(u16::from_be_bytes(frame[value_at - 2..value_at].try_into().unwrap()));
            let kind = String::from_utf8(frame[value_at..value_at + value_length].to_vec()).unwrap();
            events.push((kind, serde_json::from_slice(&frame[12 + headers..total - 4]).unwrap_or(Value::Null)));
            rest = after;
        }
        events
    }

    /// The native events of a stream of chunks.
    pub(crate) fn natives(&self) -> Vec<Value> {
        self.events().iter().map(|(_, payload)| native(payload)).collect()
    }

    pub(crate) fn text(&self) -> String {
        self.events().iter().filter_map(|(_, payload)| payload["delta"]["text"].as_str().map(str::to_owned)).collect()
    }
}

/// The native event in the payload of a chunk; null where there is none.
pub(crate) fn native(payload: &Value) -> Value {
    let bytes = payload["bytes"].as_str().and_then(|text| STANDARD.decode(text).ok());
    bytes.map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).unwrap())
}

/// The bytes of a Converse request with the default API key.
pub(crate) fn post(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: sim\r\nauthorization: Bearer {DEFAULT_BEARER_TOKEN}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A Claude model that thinks, signs, caches and counts, by a profile that exists in both regions.
pub(crate) const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
pub(crate) const CLAUDE_HELLO: &str =
    r#"{"anthropic_version":"bedrock-2023-05-31","max_tokens":4000,"messages":[{"role":"user","content":"hello"}]}"#;

pub(crate) fn claude_path(operation: &str) -> String {
    format!("/model/{}/{operation}", CLAUDE.replace(':', "%3A"))
}

pub(crate) fn path(operation: &str) -> String {
    format!("/model/amazon.nova-lite-v1%3A0/{operation}")
}

pub(crate) async fn connect(simulator: &Simulator, region: &str) -> TcpStream {
    TcpStream::connect(simulator.address(region).unwrap()).await.unwrap()
}

/// Sends `request` on a connection of its own.
pub(crate) async fn exchange(simulator: &Simulator, region: &str, request: &[u8]) -> Result<Seen, io::ErrorKind> {
    let mut stream = connect(simulator, region).await;
    exchange_on(&mut stream, request).await
}

/// Sends `request` and reads one answer. `Err` when not even a head arrived.
pub(crate) async fn exchange_on<IO: AsyncRead + AsyncWrite + Unpin>(io: &mut IO, request: &[u8]) -> Result<Seen, io::ErrorKind> {
    io.write_all(request).await.map_err(|fault| fault.kind())?;
    tokio::time::timeout(Duration::from_secs(3600), read_answer(io)).await.expect("an answer within an hour")
}

async fn read_answer<IO: AsyncRead + Unpin>(io: &mut IO) -> Result<Seen, io::ErrorKind> {
    let mut reader = Reader { io, buffer: Vec::new(), at: 0 };
    let mut head = String::new();
    loop {
        let line = reader.line().await?;
        if line.is_empty() {
            break;
        }
        head.push_str(&line);
        head.push('\n');
    }
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut seen = Seen { status, head, body: Vec::new(), chunks: Vec::new(), broken: None };
    let framed = match seen.header("content-length") {
        Some(length) => reader.take(length.parse().unwrap(), &mut seen.body).await,
        None => reader.chunked(&mut seen).await,
    };
    seen.broken = framed.err();
    Ok(seen)
}

struct Reader<'a, IO> {
    io: &'a mut IO,
    buffer: Vec<u8>,
    at: usize,
}

impl<IO: AsyncRead + Unpin> Reader<'_, IO> {
    async fn byte(&mut self) -> Result<u8, io::ErrorKind> {
        if self.at == self.buffer.len() {
            self.buffer.resize(8192, 0);
            let read = self.io.read(&mut self.buffer).await.map_err(|fault| fault.kind())?;
            self.buffer.truncate(read);
            self.at = 0;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof);
            }
        }
        self.at += 1;
        Ok(self.buffer[self.at - 1])
    }

    async fn line(&mut self) -> Result<String, io::ErrorKind> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(self.byte().await?);
        }
        line.truncate(line.len() - 2);
        Ok(String::from_utf8(line).unwrap())
    }

    async fn take(&mut self, length: usize, into: &mut Vec<u8>) -> Result<(), io::ErrorKind> {
        for _ in 0..length {
            into.push(self.byte().await?);
        }
        Ok(())
    }

    async fn chunked(&mut self, seen: &mut Seen) -> Result<(), io::ErrorKind> {
        loop {
            let size = usize::from_str_radix(&self.line().await?, 16).unwrap();
            if size == 0 {
                self.line().await?;
                return Ok(());
            }
            seen.chunks.push(size);
            self.take(size, &mut seen.body).await?;
            self.line().await?;
        }
    }
}
