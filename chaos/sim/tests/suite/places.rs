//! Regions that go away and come back, over real sockets.

use std::{io::ErrorKind, time::Duration};

use outcrop_sim::{Action, Ending, RegionMode, Rule, Simulator};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{EAST, HELLO, LIMIT, WEST, connect, exchange, exchange_on, path, post, simulator};

async fn works(simulator: &Simulator, region: &str) -> bool {
    exchange(simulator, region, &post(&path("converse"), HELLO)).await.is_ok_and(|seen| seen.status == 200)
}

#[tokio::test]
async fn a_refusing_region_has_no_listener_and_keeps_its_port() {
    let simulator = simulator().await;
    let address = simulator.address(EAST).unwrap();
    let mut pooled = connect(&simulator, EAST).await;
    assert_eq!(exchange_on(&mut pooled, &post(&path("converse"), HELLO)).await.unwrap().status, 200);
    simulator.set_region(EAST, RegionMode::Refuse).await.unwrap();
    assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(pooled.read(&mut [0; 1]).await.map_err(|fault| fault.kind()), Err(ErrorKind::ConnectionReset));
    assert!(works(&simulator, WEST).await);
    simulator.set_region(EAST, RegionMode::Up).await.unwrap();
    assert_eq!(simulator.address(EAST), Some(address));
    assert!(works(&simulator, EAST).await);
}

#[tokio::test]
async fn a_resetting_region_accepts_and_resets() {
    let simulator = simulator().await;
    simulator.set_region(EAST, RegionMode::Reset).await.unwrap();
    let mut stream = connect(&simulator, EAST).await;
    assert_eq!(stream.read(&mut [0; 1]).await.map_err(|fault| fault.kind()), Err(ErrorKind::ConnectionReset));
    simulator.set_region(EAST, RegionMode::Up).await.unwrap();
    assert!(works(&simulator, EAST).await);
    assert_eq!(simulator.journal().received(), 1);
}

#[tokio::test]
async fn a_placewide_rule_refuses_connections_a_counted_number_of_times() {
    let simulator = simulator().await;
    let rule = simulator.script(Rule::once(Action::RefuseConnection).region(EAST).times(2));
    for _ in 0..2 {
        let mut stream = connect(&simulator, EAST).await;
        assert_eq!(stream.read(&mut [0; 1]).await.map_err(|fault| fault.kind()), Err(ErrorKind::ConnectionReset));
    }
    assert!(works(&simulator, EAST).await && works(&simulator, WEST).await);
    assert_eq!(simulator.rule_hits(rule), Some(2));
}

#[tokio::test]
async fn pooled_connections_can_be_cut_while_new_ones_are_served() {
    let simulator = simulator().await;
    let mut pooled = connect(&simulator, EAST).await;
    assert_eq!(exchange_on(&mut pooled, &post(&path("converse"), HELLO)).await.unwrap().status, 200);
    simulator.cut_connections(EAST).unwrap();
    assert_eq!(pooled.read(&mut [0; 1]).await.unwrap(), 0);
    assert!(works(&simulator, EAST).await);
}

#[tokio::test]
async fn shutting_down_closes_ports_and_records_open_calls() {
    let simulator = simulator().await;
    let address = simulator.address(EAST).unwrap();
    simulator.script(Rule::once(Action::DelayHead(Duration::from_secs(3600))));
    let mut stream = connect(&simulator, EAST).await;
    stream.write_all(&post(&path("converse"), HELLO)).await.unwrap();
    simulator.journal().wait_for(|calls| calls.iter().any(|call| call.rule.is_some()), LIMIT).await.unwrap();
    simulator.shutdown().await;
    assert_eq!(simulator.journal().call(1).unwrap().ending, Ending::Shutdown);
    assert_eq!(simulator.open_connections(EAST), 0);
    assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_taken_port_is_an_error() {
    let simulator = simulator().await;
    let taken = simulator.address(EAST).unwrap().port();
    let fault = Simulator::builder().region(EAST, taken).start().await.unwrap_err();
    assert!(fault.to_string().contains("cannot listen on 127.0.0.1"), "{fault}");
}
