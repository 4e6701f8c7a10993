use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::testkit::{FakeServer, Received, answer, streaming};

const PUBLIC: &str = "93.184.215.14";

/// Gives each name its next list of addresses; the last one stays.
#[derive(Debug, Default)]
struct ScriptedResolver {
    names: HashMap<&'static str, Vec<Vec<IpAddr>>>,
    asked: Mutex<Vec<String>>,
}

impl ScriptedResolver {
    fn with(names: &[(&'static str, &[&[&str]])]) -> Arc<Self> {
        let parse = |list: &&[&str]| list.iter().map(|address| address.parse().unwrap()).collect();
        let names = names.iter().map(|(name, answers)| (*name, answers.iter().map(parse).collect())).collect();
        Arc::new(Self { names, asked: Mutex::default() })
    }
}

impl Resolver for ScriptedResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let mut asked = self.asked.lock().unwrap();
        let times = asked.iter().filter(|name| *name == host).count();
        asked.push(host.to_owned());
        let answer = self.names.get(host).and_then(|answers| answers.get(times).or(answers.last()).cloned());
        Box::pin(std::future::ready(answer.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))))
    }
}

/// Leads every address to one server in memory and notes where it was asked to go.
struct MemoryDialer {
    server: FakeServer,
    dialled: Mutex<Vec<SocketAddr>>,
}

impl fmt::Debug for MemoryDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryDialer")
    }
}

impl Dialer for MemoryDialer {
    fn dial(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn ByteStream>>> {
        self.dialled.lock().unwrap().push(address);
        if address.ip().to_string() == "192.0.9.9" {
            return Box::pin(std::future::ready(Err(io::Error::from(io::ErrorKind::ConnectionRefused))));
        }
        let stream: Box<dyn ByteStream> = Box::new(self.server.connect());
        Box::pin(std::future::ready(Ok(stream)))
    }
}

struct World {
    fetcher: Fetcher,
    resolver: Arc<ScriptedResolver>,
    dialer: Arc<MemoryDialer>,
}

impl World {
    fn new(server: &FakeServer, resolver: Arc<ScriptedResolver>, settings: &FetchSettings) -> Self {
        let dialer = Arc::new(MemoryDialer { server: server.clone(), dialled: Mutex::default() });
        let fetcher = Fetcher::with_parts(settings, resolver.clone(), dialer.clone()).unwrap();
        Self { fetcher, resolver, dialer }
    }

    fn simple(server: &FakeServer) -> Self {
        let resolver = ScriptedResolver::with(&[("cdn.example", &[&[PUBLIC]]), ("other.example", &[&["1.1.1.1"]])]);
        Self::new(server, resolver, &FetchSettings::default())
    }

    fn dialled(&self) -> Vec<String> {
        self.dialer.dialled.lock().unwrap().iter().map(ToString::to_string).collect()
    }

    async fn fetch(&self, url: &str) -> Result<Fetched, FetchError> {
        self.fetcher.fetch(url, limits(), &|_| Ok(())).await
    }
}

fn limits() -> FetchLimits {
    FetchLimits { max_bytes: 1000, total: Duration::from_secs(20) }
}

fn png() -> FakeServer {
    FakeServer::answering(200, &[("content-type", "image/png")], "\u{89}PNG")
}

#[tokio::test]
async fn a_public_url_is_fetched_from_the_address_that_was_judged() {
    let server = png();
    let world = World::simple(&server);
    let fetched = world.fetch("http://cdn.example/a/b.png?sig=secret#top").await.unwrap();
    assert_eq!((fetched.bytes.as_ref(), fetched.content_type.as_deref()), ("\u{89}PNG".as_bytes(), Some("image/png")));
    assert_eq!(fetched.final_url, "http://cdn.example/a/b.png?sig=secret#top");
    assert_eq!(world.dialled(), [format!("{PUBLIC}:80")]);
    let received = server.received().remove(0);
    assert_eq!(received.path_and_query, "/a/b.png?sig=secret");
    assert_eq!((received.header("host"), received.header("accept-encoding")), ("cdn.example", "identity"));
    assert!(!format!("{fetched:?}").contains("secret"));
}

#[tokio::test]
async fn internal_addresses_are_refused_in_every_notation_before_anything_is_sent() {
    let server = png();
    let world = World::simple(&server);
    for host in [
        "127.0.0.1",
        "localhost.",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "0x7f.1",
        "127.1",
        "10.0.0.1",
        "169.254.169.254",
        "0xa9fea9fe",
        "[::1]",
        "[::ffff:169.254.169.254]",
        "[::ffff:7f00:1]",
        "[fd00:ec2::254]",
        "[64:ff9b::a00:1]",
        "[2002:7f00:1::]",
        "0.0.0.0",
        "100.64.0.1",
        "192.168.1.1",
        "224.0.0.1",
        "255.255.255.255",
        "\u{ff11}27.0.0.1",
    ] {
        let world = World::new(&server, ScriptedResolver::with(&[("localhost.", &[&["127.0.0.1"]])]), &FetchSettings::default());
        let refused = world.fetch(&format!("http://{host}/latest/meta-data/")).await;
        assert!(matches!(refused, Err(FetchError::Forbidden { .. })), "{host}: {refused:?}");
        assert_eq!(world.dialled(), Vec::<String>::new());
    }
    assert_eq!(world.dialled(), Vec::<String>::new());
}

#[tokio::test]
async fn a_name_that_points_inside_is_refused_even_if_it_points_outside_too() {
    let server = png();
    let resolver = ScriptedResolver::with(&[("both.example", &[&[PUBLIC, "10.0.0.1"]]), ("in.example", &[&["::ffff:10.0.0.1"]])]);
    let world = World::new(&server, resolver, &FetchSettings::default());
    for host in ["both.example", "in.example"] {
        let refused = world.fetch(&format!("https://{host}/")).await.unwrap_err();
        assert_eq!(refused, FetchError::Forbidden { host: host.to_owned(), reason: "a private address" });
        assert!(!refused.to_string().contains("10.0.0.1"), "callers must not learn what names resolve to");
    }
    assert_eq!(world.dialled(), Vec::<String>::new());
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_resolved_once_per_hop_and_judged_each_time() {
    let server = FakeServer::new(|received: Received| {
        std::future::ready(if received.path_and_query == "/first" {
            answer(302, &[("location", "/second")], "")
        } else {
            answer(200, &[], "never")
        })
    });
    let resolver = ScriptedResolver::with(&[("rebind.example", &[&[PUBLIC], &["169.254.169.254"]])]);
    let world = World::new(&server, resolver, &FetchSettings::default());
    let refused = world.fetch("http://rebind.example/first").await.unwrap_err();
    assert_eq!(refused, FetchError::Forbidden { host: "rebind.example".to_owned(), reason: "a link-local address" });
    assert_eq!(world.dialled(), [format!("{PUBLIC}:80")], "the connection went to the judged address only");
    assert_eq!(world.resolver.asked.lock().unwrap().len(), 2);
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn redirects_are_followed_anew_and_never_inside() {
    let server = FakeServer::new(|received: Received| {
        std::future::ready(match received.path_and_query.as_str() {
            "/metadata" => answer(302, &[("location", "http://169.254.169.254/latest/meta-data/")], ""),
            "/octal" => answer(307, &[("location", "http://0251.0376.0251.0376/")], ""),
            "/port" => answer(301, &[("location", "http://other.example:22/")], ""),
            "/file" => answer(302, &[("location", "file:///etc/passwd")], ""),
            "/user" => answer(302, &[("location", "http://u:p@other.example/")], ""),
            "/elsewhere" => answer(303, &[("location", "//other.example/end?x=1")], ""),
            "/nowhere" => answer(302, &[("location", "http://[")], ""),
            "/lost" => answer(302, &[], ""),
            "/loop" => answer(308, &[("location", "/loop")], ""),
            _ => answer(200, &[], received.header("host").to_owned()),
        })
    });
    let world = World::simple(&server);
    let fetch = |path: &str| world.fetcher.fetch(Box::leak(format!("http://cdn.example{path}").into_boxed_str()), limits(), &|_| Ok(()));
    assert!(matches!(fetch("/metadata").await, Err(FetchError::Forbidden { .. })));
    assert!(matches!(fetch("/octal").await, Err(FetchError::Forbidden { .. })));
    assert!(matches!(fetch("/port").await, Err(FetchError::Port { port: 22, .. })));
    assert!(matches!(fetch("/file").await, Err(FetchError::Scheme { .. })));
    assert!(matches!(fetch("/user").await, Err(FetchError::UserInfo)));
    assert!(matches!(fetch("/nowhere").await, Err(FetchError::Redirect { .. })));
    assert!(matches!(fetch("/lost").await, Err(FetchError::Status { status: 302, .. })));
    let fetched = fetch("/elsewhere").await.unwrap();
    assert_eq!((fetched.bytes.as_ref(), fetched.final_url.as_str()), (b"other.example".as_slice(), "http://other.example/end?x=1"));
    let before = server.received().len();
    assert_eq!(fetch("/loop").await, Err(FetchError::TooManyRedirects { limit: 5 }));
    assert_eq!(server.received().len() - before, 6);
}

#[test]
fn a_redirect_from_https_to_http_is_refused_and_the_other_way_is_not() {
    let secure = Url::parse("https://a.example/x").unwrap();
    assert!(matches!(next_url(&secure, "http://a.example/x"), Err(FetchError::Redirect { .. })));
    assert_eq!(next_url(&secure, "../y").unwrap().as_str(), "https://a.example/y");
    let plain = Url::parse("http://a.example/x").unwrap();
    assert_eq!(next_url(&plain, "https://a.example/x").unwrap().as_str(), "https://a.example/x");
}

#[tokio::test]
async fn bodies_over_the_cap_are_refused_announced_or_not() {
    let announced = FakeServer::answering(200, &[], Box::leak("x".repeat(1001).into_boxed_str()));
    let endless = FakeServer::new(|_| async {
        let (feed, response) = streaming(200, &[]);
        tokio::spawn(async move { while feed.send(Ok(Bytes::from_static(&[0; 300]))).await.is_ok() {} });
        response
    });
    for server in [announced, endless] {
        let refused = World::simple(&server).fetch("http://cdn.example/").await;
        assert_eq!(refused, Err(FetchError::TooLarge { host: "cdn.example".to_owned(), limit_bytes: 1000 }));
    }
    let exact = FakeServer::answering(200, &[], Box::leak("x".repeat(1000).into_boxed_str()));
    assert_eq!(World::simple(&exact).fetch("http://cdn.example/").await.unwrap().bytes.len(), 1000);
}

#[tokio::test]
async fn every_piece_is_asked_for_and_a_refusal_ends_the_fetch() {
    let endless = FakeServer::new(|_| async {
        let (feed, response) = streaming(200, &[]);
        tokio::spawn(async move { while feed.send(Ok(Bytes::from_static(&[0; 300]))).await.is_ok() {} });
        response
    });
    let taken = AtomicUsize::new(0);
    let full = || GatewayError::Overloaded { message: "no room".to_owned(), retry_after: Duration::from_secs(2) };
    let admit = |bytes: usize| if taken.fetch_add(bytes, Ordering::SeqCst) + bytes > 700 { Err(full()) } else { Ok(()) };
    let world = World::simple(&endless);
    let refused = world.fetcher.fetch("http://cdn.example/", limits(), &admit).await.unwrap_err();
    assert!((701..=1000).contains(&taken.load(Ordering::SeqCst)), "{taken:?}");
    assert_eq!(refused.for_field(Some("messages".to_owned())), full(), "not the fault of the URL");
}

#[tokio::test]
async fn a_content_length_that_lies_is_noticed() {
    for (head, outcome) in [("content-length: 50", None), ("content-length: 3", Some("abc"))] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            assert!(socket.read(&mut request).await.unwrap() > 0);
            socket.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\nabcdef").as_bytes()).await.unwrap();
        });
        let fetcher = Fetcher::new(&FetchSettings { allow: vec!["127.0.0.0/8".to_owned()], ..FetchSettings::default() }).unwrap();
        let fetched = fetcher.fetch(&format!("http://127.0.0.1:{port}/"), limits(), &|_| Ok(())).await;
        serving.await.unwrap();
        match outcome {
            Some(body) => assert_eq!(fetched.unwrap().bytes, body),
            None => assert!(matches!(fetched, Err(FetchError::Connection { .. })), "{fetched:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_ends_with_the_total_limit_and_closes_the_connection() {
    let closed = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&closed);
    let server = FakeServer::new(move |_| {
        let seen = Arc::clone(&seen);
        async move {
            let (feed, response) = streaming(200, &[]);
            tokio::spawn(async move {
                while feed.send(Ok(Bytes::from_static(b"."))).await.is_ok() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                seen.fetch_add(1, Ordering::SeqCst);
            });
            response
        }
    });
    let started = tokio::time::Instant::now();
    let refused = World::simple(&server).fetch("http://cdn.example/").await;
    assert_eq!(refused, Err(FetchError::Timeout { host: "cdn.example".to_owned(), after: Duration::from_secs(20) }));
    assert_eq!(started.elapsed(), Duration::from_secs(20));
    while closed.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_refuses() {
    let server = png();
    let resolver = ScriptedResolver::with(&[("cdn.example", &[&["192.0.9.9", PUBLIC]]), ("down.example", &[&["192.0.9.9"]])]);
    let world = World::new(&server, resolver, &FetchSettings::default());
    world.fetch("http://cdn.example/").await.unwrap();
    assert_eq!(world.dialled(), ["192.0.9.9:80".to_owned(), format!("{PUBLIC}:80")]);
    assert!(matches!(world.fetch("http://down.example/").await, Err(FetchError::Connection { .. })));
    assert_eq!(world.fetch("http://unknown.example/").await, Err(FetchError::Unresolved { host: "unknown.example".to_owned() }));
}

#[tokio::test]
async fn ports_and_hosts_open_only_as_the_settings_say() {
    let server = png();
    let resolver = || {
        ScriptedResolver::with(&[("cdn.example", &[&[PUBLIC]]), ("minio.corp", &[&["10.1.2.3"]]), ("bucket.minio.corp", &[&["10.9.9.9"]])])
    };
    let closed = World::new(&server, resolver(), &FetchSettings::default());
    assert!(matches!(closed.fetch("http://cdn.example:8080/").await, Err(FetchError::Port { port: 8080, .. })));
    assert!(matches!(closed.fetch("http://minio.corp/").await, Err(FetchError::Forbidden { .. })));
    let settings = FetchSettings {
        ports: vec![80, 8080],
        allow: vec!["10.1.0.0/16".to_owned(), "*.minio.corp:9000".to_owned()],
        ..FetchSettings::default()
    };
    let open = World::new(&server, resolver(), &settings);
    open.fetch("http://cdn.example:8080/").await.unwrap();
    open.fetch("http://minio.corp:9000/").await.unwrap();
    open.fetch("http://bucket.minio.corp:9000/").await.unwrap();
    assert!(matches!(open.fetch("http://bucket.minio.corp/").await, Err(FetchError::Forbidden { .. })));
    assert!(matches!(open.fetch("http://127.0.0.1:9000/").await, Err(FetchError::Forbidden { .. })));
}

#[tokio::test]
async fn encoded_bodies_and_other_statuses_are_refused() {
    let encoded = FakeServer::answering(200, &[("content-encoding", "gzip")], "x");
    assert_eq!(World::simple(&encoded).fetch("http://cdn.example/").await, Err(FetchError::Encoded { host: "cdn.example".to_owned() }));
    let identity = FakeServer::answering(200, &[("content-encoding", "identity")], "x");
    assert_eq!(World::simple(&identity).fetch("http://cdn.example/").await.unwrap().bytes, "x");
    for status in [204, 206, 304, 404, 500] {
        let server = FakeServer::answering(status, &[], "");
        let refused = World::simple(&server).fetch("http://cdn.example/").await;
        assert_eq!(refused, Err(FetchError::Status { host: "cdn.example".to_owned(), status }));
    }
}

#[tokio::test]
async fn errors_never_show_path_or_query() {
    let server = FakeServer::answering(403, &[], "");
    let world = World::simple(&server);
    let url = "http://cdn.example/private/path?X-Amz-Signature=abc";
    let refused = world.fetch(url).await.unwrap_err();
    assert_eq!(refused.to_string(), "`cdn.example` answered with status 403");
    let GatewayError::FetchFailed { message, param } = refused.for_field(Some("messages[0].content[1]".to_owned())) else {
        panic!("a fetch failure");
    };
    assert_eq!((message.as_str(), param.as_deref()), ("`cdn.example` answered with status 403", Some("messages[0].content[1]")));
    assert!(matches!(world.fetch("not a url").await, Err(FetchError::Invalid { .. })));
    assert!(!format!("{:?}", world.fetcher).contains("path"));
}
