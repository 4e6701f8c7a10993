//! A web server of the test's own, for what callers name by URL.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// A picture of one pixel.
pub const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0, 0x90,
    0x77, 0x53, 0xde, 0, 0, 0, 0x0c, b'I', b'D', b'A', b'T', 8, 0xd7, 0x63, 0xf8, 0xcf, 0xc0, 0, 0, 3, 1, 1, 0, 0x18, 0xdd, 0x8d, 0xb0, 0,
    0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

/// [`PNG`] as a data URL.
pub fn png_data_url() -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(PNG))
}

/// A document, as far as anybody looks into it.
pub const PDF: &[u8] = b"%PDF-1.7 a report";

/// A text with characters that JSON escapes.
pub const NOTES: &str = "He said \"caf\u{e9}\".\nThen he left.";

/// Serves `/pixel.png`, `/large.png?BYTES`, `/endless.png` (of no declared length), `/report.pdf`, `/notes.txt`, `/page.html`, `/to-pixel` (a
/// redirect) and `/to-metadata` (a redirect to where nobody may go); the rest is not found.
#[derive(Debug)]
pub struct WebServer {
    pub address: SocketAddr,
    serving: JoinHandle<()>,
}

/// Certificates made for the tests of the transport, for `localhost`.
const CERTIFICATE: &[u8] = include_bytes!("../../actors/upstream/src/transport/fixtures/server.pem");
const PRIVATE: &[u8] = include_bytes!("../../actors/upstream/src/transport/fixtures/server.key");

impl WebServer {
    /// Over plain HTTP.
    pub async fn plain() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
        Self { address, serving }
    }

    /// Over TLS, as `localhost`.
    pub async fn secure() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = acceptor();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream).await;
                    }
                });
            }
        });
        Self { address, serving }
    }

    /// The authority behind [`WebServer::secure`].
    pub fn authority() -> String {
        format!("{}/actors/upstream/src/transport/fixtures/ca.pem", env!("CARGO_MANIFEST_DIR"))
    }

    /// The URL of a path, over plain HTTP.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn acceptor() -> TlsAcceptor {
    let certificates = CertificateDer::pem_slice_iter(CERTIFICATE).collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(PRIVATE).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) {
    let service =
        hyper::service::service_fn(|request: Request<Incoming>| async move { answer(request.uri().path(), request.uri().query()) });
    // A client that leaves is no fault of the server's.
    drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

type WebBody = UnsyncBoxBody<Bytes, Infallible>;

fn answer(path: &str, query: Option<&str>) -> http::Result<Response<WebBody>> {
    let response = Response::builder();
    let whole = |bytes: Bytes| Full::new(bytes).boxed_unsync();
    match path {
        "/pixel.png" => response.header("content-type", "image/png").body(whole(Bytes::from_static(PNG))),
        "/large.png" => {
            let bytes = query.and_then(|bytes| bytes.parse().ok()).expect("a size");
            let mut picture = PNG.to_vec();
            picture.resize(bytes, 0);
            response.header("content-type", "image/png").body(whole(picture.into()))
        }
        "/endless.png" => {
            let rest = stream::repeat(Bytes::from_static(&[0; 64 << 10]));
            let pieces = stream::iter([Bytes::from_static(PNG)]).chain(rest).map(|piece| Ok(Frame::data(piece)));
            response.header("content-type", "image/png").body(StreamBody::new(pieces).boxed_unsync())
        }
        "/report.pdf" => response.header("content-type", "application/pdf").body(whole(Bytes::from_static(PDF))),
        "/notes.txt" => response.header("content-type", "text/plain; charset=utf-8").body(whole(NOTES.into())),
        "/page.html" => response.header("content-type", "image/png").body(whole("<html><body>not a picture</body></html>".into())),
        "/to-pixel" => response.status(302).header("location", "/pixel.png").body(whole(Bytes::new())),
        "/to-metadata" => response.status(302).header("location", "http://169.254.169.254/latest/meta-data/").body(whole(Bytes::new())),
        _ => response.status(404).body(whole("nothing here".into())),
    }
}
