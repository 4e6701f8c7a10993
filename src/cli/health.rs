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
    // Owns the sender: dropping it closes the connection, which a server that keeps connections alive never would.
    let exchange = async move {
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

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// Answers one request and keeps the connection open until the client closes it.
    async fn asked(answer: &'static str) -> anyhow::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0, "the client closes the connection");
        };
        let (told, ()) = tokio::join!(ask(&address), serving);
        told
    }

    #[tokio::test]
    async fn a_server_that_keeps_the_connection_open_does_not_hold_the_answer() {
        asked("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
    }

    #[tokio::test]
    async fn a_gateway_that_is_not_ready_is_an_error_with_its_words() {
        let error = asked("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nwait").await.unwrap_err();
        assert_eq!(error.to_string(), "not ready: wait");
    }
}
