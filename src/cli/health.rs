//! `outcrop health`: the health check of a container without a shell.

use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use http::{Request, header};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::output::line;

/// Whom to ask.
#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    /// Host and port of the gateway.
    #[arg(long, default_value = "127.0.0.1:8080")]
    address: String,
}

/// A gateway that does not answer within this time is not well.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

pub(super) async fn run(arguments: HealthArgs) -> anyhow::Result<()> {
    tokio::time::timeout(ANSWER_WITHIN, ask(&arguments.address)).await.context("no answer in time")?
}

async fn ask(address: &str) -> anyhow::Result<()> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/health/ready").header(header::HOST, address).body(Empty::<bytes::Bytes>::new())?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        anyhow::Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    let (answered, _) = tokio::join!(exchange, connection);
    let (status, body) = answered?;
    if !status.is_success() {
        bail!("not ready: {body}");
    }
    line(body)
}
