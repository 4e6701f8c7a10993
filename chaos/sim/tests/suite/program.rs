//! The simulator as a program.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
};

use crate::support::{HELLO, LIMIT, exchange_on, path, post};

async fn start(arguments: &[&str]) -> (Child, Vec<(String, String)>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_outcrop-sim"))
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut endpoints = Vec::new();
    for _ in 0..2 {
        let line = tokio::time::timeout(LIMIT, lines.next_line()).await.unwrap().unwrap().unwrap();
        let (region, endpoint) = line.split_once(' ').unwrap();
        endpoints.push((region.to_owned(), endpoint.to_owned()));
    }
    (child, endpoints)
}

#[tokio::test]
async fn the_program_prints_its_endpoints_answers_and_ends_when_asked() {
    let (mut child, endpoints) = start(&["--regions", "us-east-1=0,us-west-2", "--requests-per-minute", "1", "--no-auth"]).await;
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
async fn a_port_that_is_no_port_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_outcrop-sim")).args(["--regions", "us-east-1=many"]).output().await.unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("`many` of region `us-east-1` is not a port"));
}
