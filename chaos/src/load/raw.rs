//! Clients that break the protocol: half a body, or a body beyond every limit.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::wire::Io;

/// What came back on a connection that was misused.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RawReply {
    pub(super) status: Option<u16>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// Longest reply that is read.
const LONGEST: usize = 64 * 1024;

/// Announces `announced` bytes of body, sends only `body`, and reads until the answer is whole or the connection ends.
pub(super) async fn exchange(io: &mut dyn Io, head: &str, body: &[u8]) -> std::io::Result<RawReply> {
    io.write_all(head.as_bytes()).await?;
    io.write_all(body).await?;
    io.flush().await?;
    let mut bytes = Vec::new();
    let mut buffer = [0_u8; 4096];
    loop {
        let read = io.read(&mut buffer).await?;
        bytes.extend_from_slice(buffer.get(..read).unwrap_or_default());
        if read == 0 || bytes.len() > LONGEST || parse(&bytes).is_some_and(|(_, whole)| whole) {
            return Ok(parse(&bytes).map(|(reply, _)| reply).unwrap_or_default());
        }
    }
}

/// The reply as far as it came, and whether its body is whole.
fn parse(bytes: &[u8]) -> Option<(RawReply, bool)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok();
    let headers: Vec<(String, String)> =
        lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let body = bytes.get(end + 4..)?.to_vec();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse::<usize>().ok());
    let whole = length.is_some_and(|length| body.len() >= length);
    Some((RawReply { status, headers, body }, whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reply_to_half_a_request_is_read() {
        let (mut client, mut server) = tokio::io::duplex(4096);
        let answering = async {
            let mut buffer = vec![0; 64];
            let read = server.read(&mut buffer).await.unwrap();
            assert!(buffer[..read].starts_with(b"POST"));
            server.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
        };
        let (reply, ()) = tokio::join!(exchange(&mut client, "POST / HTTP/1.1\r\n\r\n", b"half"), answering);
        let reply = reply.unwrap();
        assert_eq!((reply.status, reply.body.as_slice()), (Some(413), b"{}".as_slice()));
    }

    #[test]
    fn an_unfinished_head_is_no_reply() {
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\nA: b"), None);
    }
}
