//! The simulator as a program.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
};

use crate::support::{HELLO, LIMIT, exchange_on, path, post};

async fn start(arguments: &[&str], lines_expected: usize) -> (Child, Vec<(String, String)>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_outcrop-sim"))
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut endpoints = Vec::new();
    for _ in 0..lines_expected {
        let line = tokio::time::timeout(LIMIT, lines.next_line()).await.unwrap().unwrap().unwrap();
        let (region, endpoint) = line.split_once(' ').unwrap();
        endpoints.push((region.to_owned(), endpoint.to_owned()));
    }
    (child, endpoints)
}

#[tokio::test]
async fn the_program_prints_its_endpoints_answers_and_ends_when_asked() {
    let (mut child, endpoints) = start(&["--regions", "us-east-1=0,us-west-2", "--requests-per-minute", "1", "--no-auth"], 2).await;
    assert_eq!(endpoints.iter().map(|(region, _)| region.as_str()).collect::<Vec<_>>(), ["us-east-1", "us-west-2"]);
    for (_, endpoint) in &endpoints {
        let mut stream = TcpStream::connect(endpoint.strip_prefix("http://").unwrap()).await.unwrap();
        for status in [200, 429] {
            assert_eq!(exchange_on(&mut stream, &post(&path("converse"), HELLO)).await.unwrap().status, status);
        }
    }
    let process = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &process]).status().await.unwrap().success());
    assert!(tokio::time::timeout(LIMIT, child.wait()).await.unwrap().unwrap().success());
}

#[tokio::test]
async fn the_program_takes_faults_from_a_file_and_from_its_control_port() {
    let file = std::env::temp_dir().join(format!("outcrop-sim-faults-{}.toml", std::process::id()));
    std::fs::write(&file, "fault = [{ kind = \"throttle\", operation = \"Converse\" }]").unwrap();
    let arguments = ["--regions", "us-east-1", "--control-port", "0", "--no-auth", "--faults", file.to_str().unwrap()];
    let (_child, endpoints) = start(&arguments, 2).await;
    std::fs::remove_file(&file).unwrap();
    let [(region, east), (word, control)] = &endpoints[..] else { panic!("{endpoints:?}") };
    assert_eq!((region.as_str(), word.as_str()), ("us-east-1", "control"));
    let dial = async |endpoint: &str| TcpStream::connect(endpoint.strip_prefix("http://").unwrap()).await.unwrap();
    assert_eq!(exchange_on(&mut dial(east).await, &post(&path("converse"), HELLO)).await.unwrap().status, 429);
    let request = b"DELETE /faults HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n\r\n";
    assert_eq!(exchange_on(&mut dial(control).await, request).await.unwrap().status, 204);
    assert_eq!(exchange_on(&mut dial(east).await, &post(&path("converse"), HELLO)).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_file_that_does_not_describe_faults_is_named() {
    let file = std::env::temp_dir().join(format!("outcrop-sim-no-faults-{}.toml", std::process::id()));
    std::fs::write(&file, "fault = [{ kind = \"throttle\", share = 3 }]").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_outcrop-sim"))
        .args(["--regions", "us-east-1", "--faults", file.to_str().unwrap()])
        .output()
        .await
        .unwrap();
    std::fs::remove_file(&file).unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("does not describe faults") && said.contains("between 0 and 1"), "{said}");
}

#[tokio::test]
async fn a_port_that_is_no_port_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_outcrop-sim")).args(["--regions", "us-east-1=many"]).output().await.unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("`many` of region `us-east-1` is not a port"));
}
