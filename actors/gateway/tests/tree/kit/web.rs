//! The web that callers name, in memory.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use outcrop_upstream::{
    fetch::{ByteStream, Dialer, FetchSettings, Fetcher, Resolver},
    ports::BoxFuture,
};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};

/// What a picture begins with.
pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n picture";
pub(crate) const PDF: &[u8] = b"%PDF-1.7 report";
pub(crate) const NOTES: &str = "a \"note\"\nand an \u{e9}";

/// `web.example` on the public internet, which has `/PIXEL.png` under any name that ends so, `.pdf`, `.txt`, `.docx`,
/// `/large.png` of 2 MiB and `/page.png` that is none; the rest is not found. `inside.example` is on a private network.
#[derive(Debug, Default)]
pub(crate) struct Web {
    /// Paths that were asked for.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Web {
    pub(crate) fn fetcher(self: &Arc<Self>) -> Arc<Fetcher> {
        let (resolver, dialer) = (Arc::clone(self) as Arc<dyn Resolver>, Arc::clone(self) as Arc<dyn Dialer>);
        Arc::new(Fetcher::with_parts(&FetchSettings::default(), resolver, dialer).unwrap())
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Resolver for Web {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let address: Result<IpAddr, io::Error> = match host {
            "web.example" => Ok([93, 184, 215, 14].into()),
            "inside.example" => Ok([10, 0, 0, 7].into()),
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        Box::pin(std::future::ready(address.map(|address| vec![address])))
    }
}

impl Dialer for Web {
    fn dial(&self, _: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn ByteStream>>> {
        let (near, far) = tokio::io::duplex(64 << 10);
        let asked = Arc::clone(&self.asked);
        Box::pin(async move {
            tokio::spawn(serve(far, asked));
            Ok(Box::new(near) as Box<dyn ByteStream>)
        })
    }
}

/// Answers one request. A reader that leaves is no fault of the server's.
async fn serve(stream: DuplexStream, asked: Arc<Mutex<Vec<String>>>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    asked.lock().unwrap().push(path.clone());
    let (status, kind, body) = page(&path);
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.shutdown().await
}

fn page(path: &str) -> (&'static str, &'static str, Vec<u8>) {
    let ending = path.split('?').next().and_then(|path| path.rsplit_once('.')).map_or("", |(_, ending)| ending);
    match (path, ending) {
        ("/large.png", _) => ("200 OK", "image/png", [PNG, &vec![0; 2 << 20]].concat()),
        ("/page.png", _) => ("200 OK", "image/png", b"<html>no picture</html>".to_vec()),
        (_, "png") => ("200 OK", "image/png", PNG.to_vec()),
        (_, "pdf") => ("200 OK", "application/pdf", PDF.to_vec()),
        (_, "txt") => ("200 OK", "text/plain; charset=utf-8", NOTES.into()),
        (_, "docx") => ("200 OK", "application/octet-stream", b"PK\x03\x04 word/document.xml".to_vec()),
        _ => ("404 Not Found", "text/plain", b"nothing here".to_vec()),
    }
}
