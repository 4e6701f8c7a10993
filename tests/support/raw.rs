//! A connection on which anything can be said, also what no HTTP library would.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{client::Answer, wait::soon};

/// One connection.
#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
    /// What was read beyond the last answer.
    read: Vec<u8>,
}

impl Raw {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = soon("a connection", TcpStream::connect(address)).await.expect("the server accepts");
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::new() }
    }

    /// Sends; false when the server has closed.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Says that nothing more will come, and still listens.
    pub async fn finish(&mut self) {
        drop(self.stream.shutdown().await);
    }

    /// Closes with a reset: what is under way is lost.
    pub fn reset(self) {
        self.stream.set_zero_linger().expect("a socket");
    }

    /// Everything until the server closes.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.read);
        // A reset after the last byte is an end, too.
        drop(soon("the server closes", self.stream.read_to_end(&mut bytes)).await);
        bytes
    }

    /// True when the server says nothing and stays connected for this long.
    pub async fn is_silent_for(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.stream.readable()).await.is_err()
    }

    /// One answer; `None` when the server closed without one.
    pub async fn answer(&mut self) -> Option<Answer> {
        loop {
            if let Some((answer, end)) = parse(&self.read) {
                self.read.drain(..end);
                return Some(answer);
            }
            let mut piece = [0; 8192];
            match soon("an answer", self.stream.read(&mut piece)).await {
                Ok(0) | Err(_) if self.read.is_empty() => return None,
                Ok(0) | Err(_) => panic!("closed within an answer: {}", String::from_utf8_lossy(&self.read)),
                Ok(read) => self.read.extend_from_slice(&piece[..read]),
            }
        }
    }
}

/// The answer at the start of `bytes` and where it ends, once it is whole. Only bodies of declared length: errors and JSON have one.
fn parse(bytes: &[u8]) -> Option<(Answer, usize)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).expect("a head of text");
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().expect("a status");
    let headers: HeaderMap = lines
        .map(|line| {
            let (name, value) = line.split_once(':').expect("a header");
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value.trim()).unwrap())
        })
        .collect();
    let length: usize = headers.get("content-length").map_or(0, |value| value.to_str().unwrap().parse().unwrap());
    let body = end + 4..end + 4 + length;
    let (body, end) = (bytes.get(body.clone())?, body.end);
    Some((Answer { status, headers, body: Bytes::copy_from_slice(body) }, end))
}
