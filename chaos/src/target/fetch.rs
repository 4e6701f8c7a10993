//! One small HTTP request on a connection of its own.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

/// Longest time of such a request.
const LONGEST: Duration = Duration::from_secs(2);

/// What came back.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Status.
    pub status: u16,
    /// Body.
    pub body: Bytes,
}

/// Sends it.
///
/// # Errors
/// No connection, or no whole answer within two seconds.
pub async fn fetch(address: SocketAddr, method: &str, path: &str) -> anyhow::Result<Fetched> {
    let ask = async {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Ends with its sender.
        tokio::spawn(async move { drop(connection.await) });
        let request =
            Request::builder().method(method).uri(path).header(header::HOST, address.to_string()).body(Full::new(Bytes::new()))?;
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        anyhow::Ok(Fetched { status, body: response.into_body().collect().await?.to_bytes() })
    };
    timeout(LONGEST, ask).await.with_context(|| format!("{method} {path}: no answer within {LONGEST:?}"))?
}
