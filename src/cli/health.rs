//! `outcrop health`: the health check of a container without a shell.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use url::Url;

use super::{SettingsArgs, output::line};
use crate::settings::Settings;

/// Whom to ask, and what.
#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    /// Ask this http URL, whatever answers there, instead of the gateway that the settings describe.
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
    /// Ask only whether the process runs (/health/live), not whether it can answer requests (/health/ready).
    #[arg(long, conflicts_with = "url")]
    live: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// A gateway that does not answer within this time is not well.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Health answers are some hundred bytes. Bytes.
const LONGEST_ANSWER: usize = 64 << 10;

/// What is shown of one. Characters.
const LONGEST_LINE: usize = 300;

pub(super) async fn run(arguments: HealthArgs) -> anyhow::Result<()> {
    let url = question(&arguments)?;
    line(tokio::time::timeout(ANSWER_WITHIN, ask(&url)).await.with_context(|| format!("{url}: no answer in time"))??)
}

/// The URL that the arguments mean.
fn question(arguments: &HealthArgs) -> anyhow::Result<Url> {
    if let Some(url) = &arguments.url {
        if url.scheme() != "http" || url.host().is_none() {
            bail!("`{url}` is no http URL");
        }
        return Ok(url.clone());
    }
    let address = Settings::listening(&arguments.settings.options())?;
    if address.port() == 0 {
        bail!("`server.port` is 0, so the settings do not tell the port: name it with --url");
    }
    let path = if arguments.live { "/health/live" } else { "/health/ready" };
    Ok(Url::parse(&format!("http://{}{path}", within(address)))?)
}

/// Where a process of this machine reaches what listens at `address`: "every interface" is none to connect to.
fn within(address: SocketAddr) -> SocketAddr {
    let host = match address.ip() {
        IpAddr::V4(every) if every.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(every) if every.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        one => one,
    };
    SocketAddr::new(host, address.port())
}

/// The first line of a good answer.
async fn ask(url: &Url) -> anyhow::Result<String> {
    let host = url.host_str().unwrap_or_default();
    // An IPv6 address stands in brackets in a URL, and without them everywhere else.
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let port = url.port_or_known_default().unwrap_or_default();
    let stream = TcpStream::connect((name, port)).await.with_context(|| format!("connecting to {host}:{port}"))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let request = Request::get(path).header(header::HOST, format!("{host}:{port}")).body(Empty::<bytes::Bytes>::new())?;
    // Owns the sender: dropping it closes the connection, which a server that keeps connections alive never would.
    let exchange = async move {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST_ANSWER).collect().await.map_err(|error| anyhow!(error))?.to_bytes();
        anyhow::Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    let (answered, _) = tokio::join!(exchange, connection);
    let (status, body) = answered?;
    told(status, &body)
}

fn told(status: StatusCode, body: &str) -> anyhow::Result<String> {
    let words: String = body.lines().next().unwrap_or_default().chars().take(LONGEST_LINE).collect();
    if status.is_success() { Ok(words) } else { Err(anyhow!("not ready ({}): {words}", status.as_u16())) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: HealthArgs,
    }

    fn asked_by(arguments: &[&str]) -> anyhow::Result<String> {
        let line = Line::try_parse_from(std::iter::once(&"health").chain(arguments))?;
        question(&line.arguments).map(Into::into)
    }

    /// A settings file, and the arguments that name it.
    fn file(text: &str) -> (tempfile::NamedTempFile, String) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        (file, path)
    }

    /// Answers one request and keeps the connection open until the client closes it: the request's head, and what was told.
    async fn asked(answer: &'static str) -> (String, anyhow::Result<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/health/ready?deep=1", listener.local_addr().unwrap())).unwrap();
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0, "the client closes the connection");
            String::from_utf8(head).unwrap()
        };
        let (told, head) = tokio::join!(ask(&url), serving);
        (head, told)
    }

    #[tokio::test]
    async fn a_server_that_keeps_the_connection_open_does_not_hold_the_answer() {
        let (head, told) = asked("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        assert_eq!(told.unwrap(), "ok");
        assert!(head.starts_with("GET /health/ready?deep=1 HTTP/1.1\r\nhost: 127.0.0.1:"), "{head}");
    }

    #[tokio::test]
    async fn a_gateway_that_is_not_ready_is_an_error_with_its_first_line() {
        let (_, told) = asked("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 9\r\n\r\nwait\nmore").await;
        assert_eq!(told.unwrap_err().to_string(), "not ready (503): wait");
    }

    #[tokio::test]
    async fn nobody_there_is_an_error_that_says_where() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = ask(&Url::parse(&format!("http://{address}/")).unwrap()).await.unwrap_err();
        assert_eq!(error.to_string(), format!("connecting to {address}"));
    }

    #[test]
    fn the_settings_say_where_and_every_interface_means_this_machine() {
        let (_kept, path) = file("[server]\nbind = \"0.0.0.0\"\nport = 9100\n");
        assert_eq!(asked_by(&["--config", &path]).unwrap(), "http://127.0.0.1:9100/health/ready");
        assert_eq!(asked_by(&["--config", &path, "--live"]).unwrap(), "http://127.0.0.1:9100/health/live");
        assert_eq!(asked_by(&["--config", &path, "--bind", "::", "--port", "9101"]).unwrap(), "http://[::1]:9101/health/ready");
        assert_eq!(asked_by(&["--config", &path, "--bind", "127.0.0.7"]).unwrap(), "http://127.0.0.7:9100/health/ready");
    }

    #[test]
    fn a_mistake_elsewhere_in_the_file_does_not_make_a_running_gateway_ill() {
        let (_kept, path) = file("[server]\nport = 9100\n[routing]\nstrategy = \"no such\"\n");
        assert_eq!(asked_by(&["--config", &path]).unwrap(), "http://127.0.0.1:9100/health/ready");
        let (_kept, path) = file("[server]\nport = \"no port\"\n");
        assert!(asked_by(&["--config", &path]).unwrap_err().to_string().contains("server.port"));
        assert!(asked_by(&["--config", "/no/such/file.toml"]).is_err());
    }

    #[test]
    fn a_port_that_the_system_chose_must_be_named() {
        let (_kept, path) = file("[server]\nport = 0\n");
        assert!(asked_by(&["--config", &path]).unwrap_err().to_string().contains("--url"));
    }

    #[test]
    fn a_url_is_asked_as_it_is_and_must_be_http() {
        assert_eq!(asked_by(&["--url", "http://other:4600/faults"]).unwrap(), "http://other:4600/faults");
        assert!(asked_by(&["--url", "https://other/"]).is_err());
        assert!(asked_by(&["--url", "other:80"]).is_err());
        assert!(asked_by(&["--url", "http://other/", "--live"]).is_err());
    }
}
