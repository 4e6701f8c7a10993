//! The load: plain HTTP/1.1 connections that send one prepared request after the other.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use hdrhistogram::Histogram;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A request to send again and again.
#[derive(Debug, Clone)]
pub(super) struct Shot {
    /// `host:port`.
    pub(super) address: String,
    /// Path.
    pub(super) path: String,
    /// Body.
    pub(super) body: Bytes,
    /// The answer is a stream.
    pub(super) stream: bool,
}

/// Judges the body of an answer.
pub(super) type Check = Option<Arc<dyn Fn(&[u8]) -> bool + Send + Sync>>;

/// What a volley showed.
#[derive(Debug)]
pub(super) struct Volley {
    /// Answers that came whole.
    pub(super) answers: u64,
    /// From first to last.
    pub(super) took: Duration,
    /// Latency of each, microseconds.
    pub(super) latency: Histogram<u64>,
}

impl Shot {
    fn request(&self) -> anyhow::Result<Request<Full<Bytes>>> {
        let mut request = Request::post(&self.path)
            .header(header::HOST, &self.address)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, concat!("Bearer ", "sk-bench"));
        if self.stream {
            request = request.header("x-bench-stream", "1");
        }
        request.body(Full::new(self.body.clone())).context("building a request")
    }
}

async fn connect(address: &str) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Ends with its sender.
    tokio::spawn(connection);
    Ok(sender)
}

/// True when the server says that it is ready.
pub(super) async fn is_ready(address: &str) -> bool {
    let ask = async {
        let mut sender = connect(address).await?;
        let request = Request::get("/health/ready").header(header::HOST, address).body(Full::new(Bytes::new()))?;
        let response = sender.send_request(request).await?;
        anyhow::Ok(response.status().is_success())
    };
    matches!(tokio::time::timeout(Duration::from_secs(2), ask).await, Ok(Ok(true)))
}

/// Sends `count` requests over `connections` connections.
pub(super) async fn volley(shot: &Shot, count: u64, connections: u64, check: Check) -> anyhow::Result<Volley> {
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let (shot, check) = (shot.clone(), check.clone());
        let share = count / connections;
        tasks.spawn(async move { one_connection(&shot, share, check).await });
    }
    let mut latency = Histogram::new_with_bounds(1, 600_000_000, 3)?;
    let mut answers = 0;
    while let Some(done) = tasks.join_next().await {
        let part = done.context("a load task died")??;
        answers += part.len();
        latency.add(part)?;
    }
    Ok(Volley { answers, took: began.elapsed(), latency })
}

async fn one_connection(shot: &Shot, count: u64, check: Check) -> anyhow::Result<Histogram<u64>> {
    let mut latency = Histogram::new_with_bounds(1, 600_000_000, 3)?;
    let mut sender = connect(&shot.address).await?;
    for _ in 0..count {
        let began = Instant::now();
        sender.ready().await?;
        let response = sender.send_request(shot.request()?).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        latency.record(u64::try_from(began.elapsed().as_micros())?.max(1))?;
        if !status.is_success() {
            bail!("{} answered {status}: {}", shot.address, String::from_utf8_lossy(&body));
        }
        if check.as_ref().is_some_and(|check| !check(&body)) {
            bail!("{} did not deliver every word: {}", shot.address, String::from_utf8_lossy(&body));
        }
    }
    Ok(latency)
}

/// Streams held open: each has had its first bytes.
pub(super) struct OpenStreams {
    _tasks: tokio::task::JoinSet<anyhow::Result<()>>,
}

/// Opens `count` streams and reads them slowly for ever.
pub(super) async fn hold_open(shot: &Shot, count: usize) -> anyhow::Result<OpenStreams> {
    let mut tasks = tokio::task::JoinSet::new();
    let (first, mut firsts) = tokio::sync::mpsc::channel::<()>(count);
    for started in 0..count {
        let (shot, first) = (shot.clone(), first.clone());
        tasks.spawn(async move {
            let mut sender = connect(&shot.address).await?;
            let response = sender.send_request(shot.request()?).await?;
            if !response.status().is_success() {
                bail!("{} answered {}", shot.address, response.status());
            }
            let mut body = response.into_body();
            let mut told = false;
            while let Some(frame) = body.frame().await {
                frame?;
                if !told {
                    told = true;
                    first.send(()).await.context("nobody counts streams")?;
                }
            }
            bail!("a slow stream ended early")
        });
        // The kernel's accept queue is short: not all at once.
        if started % 100 == 99 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    for _ in 0..count {
        tokio::select! {
            opened = firsts.recv() => opened.context("the streams ended")?,
            Some(ended) = tasks.join_next() => ended.context("a stream task died")??,
            () = tokio::time::sleep(Duration::from_secs(30)) => bail!("streams did not open within 30 s"),
        }
    }
    Ok(OpenStreams { _tasks: tasks })
}
