//! The program itself: started, asked, told to reload, told to stop.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::Method;
use outcrop_sim::{DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, Simulator};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    net::TcpStream,
    process::{Child, Command},
    task::JoinHandle,
};

use crate::{
    chat::says,
    responses::{RESPONSES, asks, events, said, with},
    support::{Client, Event, eventually, soon},
};

/// `outcrop local` as a child process.
struct Program {
    child: Child,
    client: Client,
    operator: Client,
    lines: Arc<Mutex<Vec<String>>>,
    reading: JoinHandle<()>,
}

/// What [`Program::disk`] makes of the disk.
enum Disk {
    Full,
    Free,
}

fn outcrop(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outcrop"));
    command.env_clear().current_dir(directory).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn signal(child: &Child, name: &str) {
    let process = child.id().expect("it runs").to_string();
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {process}")]).status().await.unwrap();
    assert!(sent.success());
}

impl Program {
    async fn start(directory: &Path, config: &str, arguments: &[&str]) -> Self {
        let (settings, ready) = (Self::settings(directory), directory.join("ready.env"));
        std::fs::write(&settings, config).unwrap();
        let mut command = outcrop(directory);
        command.args(["local", "--port", "0", "--set", "log.format=json", "--set", "models.check_availability=false"]);
        command.arg("--config").arg(&settings).arg("--ready-file").arg(&ready).args(arguments);
        let mut child = command.spawn().unwrap();
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let kept = Arc::clone(&lines);
        let reading = tokio::spawn(async move {
            while let Ok(Some(line)) = output.next_line().await {
                kept.lock().unwrap().push(line);
            }
        });
        let told =
            |name: &str| lines.lock().unwrap().iter().find_map(|line| line.trim().strip_prefix(name).map(|rest| rest.trim().to_owned()));
        eventually("the program tells where it listens", async || told("metrics").is_some() && ready.exists()).await;
        let address = |url: String| -> SocketAddr { url.trim_start_matches("http://").split('/').next().unwrap().parse().unwrap() };
        let client = Client { address: address(told("base URL").unwrap()), key: Some("sk-local".to_owned()) };
        let operator = Client { address: address(told("metrics").unwrap()), key: None };
        let file = std::fs::read_to_string(&ready).unwrap();
        let url_and_key = format!("OUTCROP_URL=http://{}/v1\nOUTCROP_KEY=sk-local\nOUTCROP_FAULTS=http://127.0.0.1:", client.address);
        assert!(file.starts_with(&url_and_key) && file.ends_with("/faults\n"), "{file}");
        Self { child, client, operator, lines, reading }
    }

    fn settings(directory: &Path) -> PathBuf {
        directory.join("outcrop.toml")
    }

    async fn signal(&self, name: &str) {
        signal(&self.child, name).await;
    }

    /// Whether it can write to files.
    fn disk(&self, disk: Disk) {
        let process = Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap());
        let current = match disk {
            Disk::Full => Some(0),
            Disk::Free => None,
        };
        prlimit(process, Resource::Fsize, Rlimit { current, maximum: getrlimit(Resource::Fsize).maximum }).unwrap();
    }

    /// The log lines with this message.
    fn logged(&self, message: &str) -> Vec<Value> {
        let lines = self.lines.lock().unwrap();
        let logs = lines.iter().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str::<Value>(line).unwrap());
        logs.filter(|line| line["message"] == message).collect()
    }

    /// The exit code and what was said on standard error.
    async fn end(mut self) -> (Option<i32>, String) {
        let mut errors = String::new();
        let mut standard_error = self.child.stderr.take().unwrap();
        let status = soon("the program ends", async {
            standard_error.read_to_string(&mut errors).await.unwrap();
            self.child.wait().await.unwrap()
        })
        .await;
        soon("its output ends", self.reading).await.unwrap();
        (status.code(), errors)
    }
}

#[tokio::test]
async fn the_program_answers_logs_reloads_and_stops_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let program = Program::start(directory.path(), "", &["--pace-ms", "10"]).await;
    // One JSON line per request.
    let answer = program.client.chat(&says("say exactly: a secret word")).await;
    answer.ok();
    eventually("the request is logged", async || program.logged("request").len() == 1).await;
    let line = program.logged("request").remove(0);
    for (field, value) in [
        ("level", json!("INFO")),
        ("request.id", json!(answer.header("x-request-id").unwrap())),
        ("status", json!(200)),
        ("method", json!("POST")),
        ("path", json!("/v1/chat/completions")),
        ("model.id", json!("anthropic.claude-sonnet-4-6")),
        ("key.id", json!("env-1")),
        ("outcome", json!("completed")),
        ("attempts", json!(1)),
        ("client_gone", json!(false)),
    ] {
        assert_eq!(line[field], value, "{field}: {line}");
    }
    for field in ["timestamp", "regions", "duration_ms", "queue_wait_ms", "tokens.input", "tokens.output", "cost.micro_usd"] {
        assert!(!line[field].is_null(), "{field}: {line}");
    }
    assert!(program.operator.get("/metrics").await.text().contains(r#"outcrop_http_responses_total{status="200"} 1"#));

    // A good reload is applied, a bad one changes nothing and says why.
    let settings = Program::settings(directory.path());
    std::fs::write(&settings, "[models.aliases]\nmine = \"claude-haiku-4-5\"\n").unwrap();
    program.signal("HUP").await;
    let mine = json!({"model": "mine", "messages": [{"role": "user", "content": "hello"}]});
    eventually("the alias is known", async || program.client.chat(&mine).await.status == 200).await;
    std::fs::write(&settings, "[models]\naliasses = 5\n[chat]\nmax_tools = \"many\"\n").unwrap();
    let refused = program.operator.method(Method::POST, "/reload").await;
    assert_eq!(refused.status, 400);
    assert!(
        refused.text().contains("aliasses") && refused.text().contains("max_tools") && refused.text().contains("outcrop.toml"),
        "{}",
        refused.text()
    );
    assert_eq!(program.client.chat(&mine).await.status, 200);

    // A running stream is finished, new connections are not taken, and the end is a good one.
    let mut running = program.client.open(&says("count to 60")).await;
    running.chunk().await;
    program.signal("TERM").await;
    let address = program.client.address;
    eventually("no connection is taken", async || TcpStream::connect(address).await.is_err()).await;
    let rest = running.fold().await;
    assert_eq!((rest.done, rest.error.is_none(), rest.text().ends_with("59, 60")), (1, true, true), "{}", rest.text());
    let lines = Arc::clone(&program.lines);
    let (code, errors) = program.end().await;
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let lines = lines.lock().unwrap();
    assert!(lines.last().unwrap().contains("stopped"), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("secret word")), "a prompt was logged");
}

#[tokio::test]
async fn a_full_disk_costs_no_request_and_no_older_state() {
    let directory = tempfile::tempdir().unwrap();
    let kept = directory.path().join("kept");
    std::fs::create_dir(&kept).unwrap();
    let file = kept.join("routing.json");
    let setting = format!("routing.state_file={}", file.display());
    let program = Program::start(directory.path(), "", &["--set", &setting]).await;
    program.client.chat(&says("hello")).await.ok();
    eventually("the state is kept", async || file.exists()).await;

    program.disk(Disk::Full);
    let before = std::fs::read(&file).unwrap();
    let problem = "what was learned of the targets cannot be kept for the next start";
    eventually("the operator is told", async || program.logged(problem).len() == 1).await;
    program.client.chat(&says("hello")).await.ok();
    assert_eq!(std::fs::read(&file).unwrap(), before, "the older state is as it was");
    assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 1, "nothing half written lies about");

    program.disk(Disk::Free);
    eventually("the state is kept again", async || std::fs::read(&file).unwrap() != before).await;
    program.signal("TERM").await;
    assert_eq!(program.end().await, (Some(0), String::new()));
}

#[tokio::test]
async fn a_full_disk_of_the_store_costs_what_is_to_be_stored_and_no_answer() {
    let directory = tempfile::tempdir().unwrap();
    let store = format!("store.file={}", directory.path().join("outcrop.db").display());
    let started = async |name: &str| {
        let directory = directory.path().join(name);
        std::fs::create_dir(&directory).unwrap();
        Program::start(&directory, "", &["--set", &store, "--pace-ms", "10"]).await
    };
    let program = started("first").await;
    let (client, conversations) = (&program.client, "/v1/conversations");
    let at = |response: &Value| format!("{RESPONSES}/{}", response["id"].as_str().unwrap());
    let streamed = |body: Value| with(body, "stream", true);
    let kept = client.post(RESPONSES, &asks("say exactly: before")).await.ok();
    let talk = client.post(conversations, &json!({"items": [{"role": "user", "content": "hello"}]})).await.ok();
    let items = format!("{conversations}/{}/items", talk["id"].as_str().unwrap());
    let json_body = [("content-type", "application/json")];
    let mut caught = client.send(Method::POST, RESPONSES, &json_body, streamed(asks("count to 150")).to_string().into()).await;
    let caught_at = at(&caught.chunk().await["response"]);

    program.disk(Disk::Full);
    // What was stored as running has no end that anybody could ask for: it is told as an error, and not as complete.
    let mut last = Value::Null;
    while let Some(event) = caught.next().await {
        if let Event::Data(data) = event {
            last = serde_json::from_str(&data).unwrap();
        }
    }
    assert_eq!((&last["type"], &last["code"]), (&json!("error"), &json!("server_error")), "{last}");
    // What a model gave is given, and says that it is not stored.
    let whole = client.post(RESPONSES, &asks("say exactly: paid for")).await;
    let stream = client.post(RESPONSES, &streamed(asks("say exactly: paid for"))).await;
    for answer in [&whole, &stream] {
        assert!(answer.header("x-outcrop-adjusted").is_some_and(|told| told.contains("store=not_stored")), "{answer:?}");
    }
    let told = events(&stream, 0);
    let (first, end) = (&told[0]["response"], told.last().unwrap());
    assert_eq!((&first["store"], &end["type"]), (&json!(false), &json!("response.completed")), "{told:?}");
    for response in [&whole.ok(), &end["response"]] {
        assert_eq!((said(response).as_str(), &response["store"]), ("paid for", &json!(false)));
        client.get(&at(response)).await.refusal(404, "invalid_request_error", None);
    }
    // What is only to be stored is refused, with a time to come back.
    let more = json!({"items": [{"role": "user", "content": "and?"}]});
    for (path, body) in [(RESPONSES, with(asks("later"), "background", true)), (conversations, json!({})), (&items, more.clone())] {
        let refused = client.post(path, &body).await;
        let words = refused.refusal(503, "server_error", None);
        assert!(refused.header("retry-after").is_some() && words.contains("store") && !words.contains("outcrop.db"), "{words}");
    }
    // Everything else is as always.
    client.chat(&says("hello")).await.ok();
    assert_eq!(client.post(RESPONSES, &with(asks("hello"), "store", false)).await.header("x-outcrop-adjusted"), None);
    let unstored = streamed(with(asks("hello"), "store", false));
    assert_eq!(events(&client.post(RESPONSES, &unstored).await, 0).last().unwrap()["type"], "response.completed");
    assert_eq!(client.get(&at(&kept)).await.ok(), kept);
    client.post(RESPONSES, &with(with(asks("go on"), "previous_response_id", kept["id"].clone()), "store", false)).await.ok();
    assert!(!program.logged("the store of responses and conversations").is_empty(), "the operator is told");
    assert!(program.operator.get("/metrics").await.text().contains("\noutcrop_store_errors_total "), "and counts it");

    program.disk(Disk::Free);
    let again = client.post(RESPONSES, &with(asks("say exactly: again"), "previous_response_id", kept["id"].clone())).await;
    assert_eq!((again.header("x-outcrop-adjusted"), &again.ok()["store"]), (None, &json!(true)));
    client.post(&items, &more).await.ok();
    program.signal("KILL").await;
    assert_eq!(program.end().await.0, None);

    // A process that cannot begin its part of the file says so. One that came up without it would tell that nothing was ever stored.
    let mut refused = Command::new("sh");
    refused.args(["-c", "ulimit -f 0; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_outcrop"), "local", "--port", "0", "--set", &store]);
    let refused = soon("the program ends", refused.env_clear().output()).await.unwrap();
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && words.contains("store.file") && words.contains("outcrop.db"), "{words}");

    // The next process finds what was stored, and ends what has no end.
    let program = started("second").await;
    assert_eq!(program.client.get(&at(&again.ok())).await.ok(), again.ok());
    assert_eq!(program.client.get(&items).await.ok()["data"].as_array().unwrap().len(), 2);
    assert_eq!(program.client.get(&caught_at).await.ok()["status"], "failed");
}

#[tokio::test]
async fn a_drained_region_stays_drained_when_the_program_is_killed_and_started_again() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("routing.json");
    let setting = format!("routing.state_file={}", file.display());
    let started = async |name: &str| {
        let directory = directory.path().join(name);
        std::fs::create_dir(&directory).unwrap();
        let program = Program::start(&directory, "", &["--set", &setting]).await;
        let models = async || program.operator.get("/state").await.json()["catalogue"]["regions"]["us-east-1"]["models"].as_u64();
        eventually("the first region is discovered", async || models().await.is_some_and(|models| models > 0)).await;
        program
    };
    let kept = || std::fs::read_to_string(&file).unwrap_or_default();
    let told = "regions that an operator drained before this start stay drained: they get no traffic until they are restored";

    let program = started("first").await;
    assert_eq!(program.client.chat(&says("hello")).await.header("x-outcrop-region"), Some("us-east-1"));
    program.operator.method(Method::POST, "/routing/regions/us-east-1/drain").await.ok();
    eventually("the drain is kept", async || kept().contains(r#""drained":["us-east-1"]"#)).await;
    assert_eq!(program.logged(told).len(), 0);
    program.signal("KILL").await;
    assert_eq!(program.end().await.0, None);

    let program = started("second").await;
    let lines = program.logged(told);
    assert_eq!((lines.len(), &lines[0]["level"], &lines[0]["regions"]), (1, &json!("WARN"), &json!("us-east-1")), "{lines:?}");
    let health = program.client.get("/health/regions").await.json();
    assert_eq!(health["regions"][0]["status"], "drained", "{health}");
    let answer = program.client.chat(&says("hello")).await;
    answer.ok();
    assert_ne!(answer.header("x-outcrop-region"), Some("us-east-1"));
    program.operator.method(Method::POST, "/routing/regions/us-east-1/restore").await.ok();
    eventually("the drain is kept no longer", async || !kept().contains("drained")).await;
    program.signal("KILL").await;
    assert_eq!(program.end().await.0, None);

    let program = started("third").await;
    assert_eq!(program.client.chat(&says("hello")).await.header("x-outcrop-region"), Some("us-east-1"));
    assert_eq!(program.logged(told).len(), 0);
}

#[tokio::test]
async fn a_second_signal_ends_the_program_at_once_and_not_well() {
    for (first, second) in [("TERM", "TERM"), ("INT", "TERM")] {
        let directory = tempfile::tempdir().unwrap();
        let delay = if first == "INT" { "1m" } else { "0s" };
        let arguments = ["--pace-ms", "20", "--set", "server.shutdown_grace=1m", "--set", &format!("server.shutdown_delay={delay}")];
        let program = Program::start(directory.path(), "", &arguments).await;
        let mut running = program.client.open(&says("count to 9000")).await;
        running.chunk().await;
        program.signal(first).await;
        if first == "INT" {
            // Within the delay: requests are still accepted.
            eventually("it is not ready any more", async || program.client.get("/health/ready").await.status == 503).await;
        } else {
            let address = program.client.address;
            eventually("no connection is taken", async || TcpStream::connect(address).await.is_err()).await;
        }
        // A reload is no second wish to stop.
        program.signal("HUP").await;
        running.chunk().await;
        let began = std::time::Instant::now();
        program.signal(second).await;
        let (code, errors) = program.end().await;
        assert_eq!((code, errors.contains("a second time")), (Some(1), true), "{errors}");
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn health_checks_are_logged_only_for_those_who_look_closely() {
    let directory = tempfile::tempdir().unwrap();
    let program = Program::start(directory.path(), "", &[]).await;
    program.client.get("/health/ready").await;
    program.operator.get("/metrics").await;
    program.client.get("/v1/models").await;
    let paths = || program.logged("request").iter().map(|line| line["path"].clone()).collect::<Vec<_>>();
    eventually("a request is logged", async || paths().contains(&json!("/v1/models"))).await;
    assert_eq!(paths(), ["/v1/models"]);
    std::fs::write(Program::settings(directory.path()), "[log]\nlevel = \"debug\"\n").unwrap();
    program.signal("HUP").await;
    eventually("a health check is logged", async || {
        program.client.get("/health/ready").await;
        paths().contains(&json!("/health/ready"))
    })
    .await;
    let line = program.logged("request").into_iter().find(|line| line["path"] == "/health/ready").unwrap();
    assert_eq!((&line["level"], &line["outcome"]), (&json!("DEBUG"), &json!("completed")), "{line}");
}

#[tokio::test]
async fn bad_settings_end_the_program_at_once_with_every_problem() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(Program::settings(directory.path()), "[server]\nprot = 1\nbody_limit = \"huge\"\n").unwrap();
    let output = soon("the program ends", outcrop(directory.path()).args(["serve", "--config", "outcrop.toml"]).output()).await.unwrap();
    assert!(!output.status.success());
    let errors = String::from_utf8(output.stderr).unwrap();
    for word in ["prot", "body_limit", "outcrop.toml:2", "outcrop.toml:3"] {
        assert!(errors.contains(word), "{word}: {errors}");
    }
    assert!(!errors.contains("panicked"), "{errors}");
}

/// The warnings about the store that `outcrop serve` has logged once it listens, with these settings besides the necessary.
async fn store_warnings(directory: &Path, config: &str) -> usize {
    let simulator = Simulator::builder().regions(["us-east-1"]).start().await.unwrap();
    let aws = format!(
        "[aws]\nregions = [\"us-east-1\"]\nendpoints.us-east-1.default = \"{}\"\n\
         credentials = {{ access_key_id = \"{DEFAULT_ACCESS_KEY}\", secret_access_key = \"{DEFAULT_SECRET_KEY}\" }}\n\
         [server]\nbind = \"127.0.0.1\"\nport = 0\n[admin]\nenabled = false\n[keys]\nrequired = false\n",
        simulator.endpoint("us-east-1")
    );
    std::fs::write(Program::settings(directory), format!("{aws}{config}")).unwrap();
    let mut child = outcrop(directory).args(["serve", "--config", "outcrop.toml", "--set", "log.format=json"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut warnings = 0;
    // Whoever stops at once stops in order: every line is written by then.
    let told = soon("the program ends", async {
        while let Some(line) = lines.next_line().await.unwrap() {
            let line: Value = serde_json::from_str(&line).unwrap();
            let message = line["message"].as_str().unwrap_or_default();
            warnings += usize::from(line["level"] == "WARN" && message.contains("store.file"));
            if message == "listening" {
                signal(&child, "TERM").await;
            }
        }
        child.wait().await.unwrap()
    });
    assert!(told.await.success());
    simulator.shutdown().await;
    warnings
}

#[tokio::test]
async fn a_server_that_keeps_responses_in_memory_says_once_that_they_end_with_it() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(store_warnings(directory.path(), "").await, 1);
    assert_eq!(store_warnings(directory.path(), "[store]\nfile = \"outcrop.db\"\n").await, 0);
    let local = Program::start(directory.path(), "", &[]).await;
    local.signal("TERM").await;
    let lines = Arc::clone(&local.lines);
    local.end().await;
    assert!(!lines.lock().unwrap().iter().any(|line| line.contains("store.file")), "nothing outlives it anyway");
}

#[tokio::test]
async fn a_port_in_use_ends_the_program_with_a_reason() {
    let directory = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = outcrop(directory.path()).args(["local", "--port", &port]).output();
    let output = soon("the program ends", output).await.unwrap();
    assert!(!output.status.success());
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains(&port) && errors.contains("server.port"), "{errors}");
}

#[tokio::test]
async fn an_idle_program_stops_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let program = Program::start(directory.path(), "", &[]).await;
    // A client that only keeps its connection open does not hold the end.
    let _idle = TcpStream::connect(program.client.address).await.unwrap();
    let began = std::time::Instant::now();
    program.signal("INT").await;
    assert_eq!(program.end().await.0, Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
