use std::sync::Arc;

use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use super::*;

/// Certificates made for these tests; the authority's key was thrown away.
const CA: &[u8] = include_bytes!("fixtures/ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("fixtures/server.pem");
const KEY: &[u8] = include_bytes!("fixtures/server.key");

fn trusting() -> TransportSettings {
    TransportSettings { extra_ca_pem: Some(CA.to_vec()), ..TransportSettings::default() }
}

fn acceptor() -> TlsAcceptor {
    let certificates = CertificateDer::pem_slice_iter(CERTIFICATE).collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    // Offers HTTP/2 too: the client must not take it.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// Answers each request with its request line, as many as come.
async fn echo_requests<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) {
    let service = hyper::service::service_fn(|request: Request<Incoming>| async move {
        let authorization = request.headers().get("proxy-authorization").map_or("", |value| value.to_str().unwrap());
        let line = format!("{} {} {authorization}", request.method(), request.uri());
        Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from(line))))
    });
    drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

/// A TLS server on a port of this machine.
async fn tls_server() -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            if let Ok(stream) = acceptor().accept(socket).await {
                assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
                echo_requests(stream).await;
            }
        }
    });
    (port, serving)
}

async fn get(transport: &Transport, url: &str) -> Result<String, hyper_util::client::legacy::Error> {
    let mut request = Request::get(url).body(Full::default()).unwrap();
    if let Some(authorization) = transport.proxy_authorization(request.uri()) {
        request.headers_mut().insert("proxy-authorization", authorization);
    }
    let body = transport.send(request).await?.into_body().collect().await.unwrap().to_bytes();
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_server_of_the_operators_own_authority_is_trusted_only_with_the_bundle() {
    let (port, _serving) = tls_server().await;
    let url = format!("https://localhost:{port}/a");
    assert_eq!(get(&Transport::new(&trusting()).unwrap(), &url).await.unwrap(), "GET /a ");
    let refused = get(&Transport::new(&TransportSettings::default()).unwrap(), &url).await.unwrap_err();
    assert!(refused.is_connect() && error_chain(&refused).contains("certificate"), "{}", error_chain(&refused));
}

#[tokio::test]
async fn a_certificate_of_another_name_is_refused() {
    let (port, _serving) = tls_server().await;
    let refused = get(&Transport::new(&trusting()).unwrap(), &format!("https://127.0.0.1:{port}/")).await.unwrap_err();
    assert!(refused.is_connect() && error_chain(&refused).contains("certificate"), "{}", error_chain(&refused));
}

#[tokio::test]
async fn https_goes_through_a_tunnel_that_knows_the_password() {
    let (target, _serving) = tls_server().await;
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = proxy.local_addr().unwrap().port();
    let proxying = tokio::spawn(async move {
        let (socket, _) = proxy.accept().await.unwrap();
        let mut client = BufReader::new(socket);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(client.read_line(&mut head).await.unwrap() > 0);
        }
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut server = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
        head
    });
    let proxy = ProxySettings { https: Some(format!("http://user:pass@127.0.0.1:{port}")), ..ProxySettings::default() };
    let transport = Transport::new(&TransportSettings { proxy, ..trusting() }).unwrap();
    assert_eq!(get(&transport, "https://bedrock.test/b").await.unwrap(), "GET /b ");
    let head = proxying.await.unwrap().to_lowercase();
    assert!(head.starts_with("connect bedrock.test:443 http/1.1"), "{head}");
    assert!(head.contains("proxy-authorization: basic dxnlcjpwyxnz"), "{head}");
}

#[tokio::test]
async fn plain_http_is_forwarded_with_the_whole_url() {
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = proxy.local_addr().unwrap().port();
    tokio::spawn(async move { echo_requests(proxy.accept().await.unwrap().0).await });
    let proxy = ProxySettings { http: Some(format!("user:pass@127.0.0.1:{port}")), ..ProxySettings::default() };
    let transport = Transport::new(&TransportSettings { proxy, ..TransportSettings::default() }).unwrap();
    let answer = get(&transport, "http://bedrock.test/c?d=e").await.unwrap();
    assert_eq!(answer, "GET http://bedrock.test/c?d=e Basic dXNlcjpwYXNz");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_shakes_hands_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let refused = get(&Transport::new(&trusting()).unwrap(), &format!("https://localhost:{port}/")).await.unwrap_err();
    assert!(refused.is_connect() && error_chain(&refused).contains("no connection within 5s"), "{}", error_chain(&refused));
}

#[test]
fn an_errors_causes_are_told_once_each() {
    let inner = std::io::Error::other("reset by peer");
    let outer = std::io::Error::other(inner);
    assert_eq!(error_chain(&outer), "reset by peer");
    #[derive(Debug, thiserror::Error)]
    #[error("sending failed")]
    struct Sending(#[source] std::io::Error);
    assert_eq!(error_chain(&Sending(outer)), "sending failed: reset by peer");
}
