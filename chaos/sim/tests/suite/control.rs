//! The control port, as another process uses it.

use outcrop_sim::{CallRecord, Simulator, control::State, faults::FaultStatus};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::support::{EAST, HELLO, MODEL, Seen, WEST, exchange, exchange_on, path, post};

async fn simulator() -> Simulator {
    Simulator::builder().regions([EAST, WEST]).seed(7).control(0).start().await.unwrap()
}

async fn control(simulator: &Simulator, line: &str, body: &Value) -> Seen {
    let address = simulator.control_endpoint().unwrap().strip_prefix("http://").unwrap().to_owned();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    // An answer without content has no length: the end of the connection is its end.
    let request = format!("{line} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    exchange_on(&mut stream, request.as_bytes()).await.unwrap_or_else(|fault| panic!("{line}: {fault}"))
}

async fn call(simulator: &Simulator) -> u16 {
    exchange(simulator, EAST, &post(&path("converse"), HELLO)).await.unwrap().status
}

#[tokio::test]
async fn faults_are_installed_listed_and_removed() {
    let simulator = simulator().await;
    let faults = json!([{"kind": "throttle", "region": EAST, "share": 1.0}, {"kind": "no_stop", "for": "1h"}]);
    assert_eq!(control(&simulator, "POST /faults", &faults).await.json(), json!([1, 2]));
    assert_eq!(call(&simulator).await, 429);
    let listed = control(&simulator, "GET /faults", &Value::Null).await.json();
    assert_eq!(serde_json::from_value::<Vec<FaultStatus>>(listed.clone()).unwrap().len(), 2);
    assert_eq!((&listed[0]["fault"]["kind"], &listed[0]["hits"], &listed[0]["in_force"]), (&json!("throttle"), &json!(1), &json!(true)));
    assert_eq!(control(&simulator, "DELETE /faults/1", &Value::Null).await.status, 204);
    assert_eq!(control(&simulator, "DELETE /faults/1", &Value::Null).await.status, 404);
    assert_eq!(call(&simulator).await, 200);
    assert_eq!(control(&simulator, "POST /faults", &json!({"kind": "throttle"})).await.json(), json!([3]));
    assert_eq!(control(&simulator, "DELETE /faults", &Value::Null).await.status, 204);
    assert!(simulator.faults().is_empty());
}

#[tokio::test]
async fn a_list_with_a_bad_fault_installs_none_and_says_why() {
    let simulator = simulator().await;
    for (bad, why) in [(json!({"kind": "meteor"}), "meteor"), (json!({"kind": "throttle", "region": "mars-1"}), "not simulated")] {
        let seen = control(&simulator, "POST /faults", &json!([{"kind": "throttle"}, bad])).await;
        assert_eq!(seen.status, 400);
        assert!(seen.json()["error"].as_str().unwrap().contains(why), "{:?}", seen.json());
        assert!(simulator.faults().is_empty());
    }
}

#[tokio::test]
async fn quotas_behaviours_and_regions_are_set() {
    let simulator = simulator().await;
    let place = json!({"region": EAST, "model": MODEL, "quota": {"rpm": 1}});
    assert_eq!(control(&simulator, "PUT /quotas", &place).await.status, 204);
    assert_eq!((call(&simulator).await, call(&simulator).await), (200, 429));
    assert_eq!(control(&simulator, "POST /quotas/scale", &json!({"region": EAST, "model": MODEL, "factor": 2})).await.status, 204);
    assert_eq!(control(&simulator, "POST /quotas/scale", &json!({"region": EAST, "model": "x", "factor": 2})).await.status, 404);
    assert_eq!(control(&simulator, "POST /quotas/scale", &json!({"region": EAST, "model": MODEL, "factor": 0})).await.status, 400);
    let entries = control(&simulator, "DELETE /buckets", &Value::Null).await.json();
    assert_eq!(
        entries.as_array().unwrap().iter().map(|entry| entry["change"]["is"].as_str().unwrap()).collect::<Vec<_>>(),
        ["made", "admitted", "settled", "refused", "changed"]
    );
    assert_eq!(control(&simulator, "DELETE /quotas", &Value::Null).await.status, 204);
    let behaviour = json!({"region": "*", "model": "*", "behaviour": {"watermark": {"words": {"p50": 2}}}});
    assert_eq!(control(&simulator, "PUT /behaviours", &behaviour).await.status, 204);
    let text = exchange(&simulator, EAST, &post(&path("converse"), HELLO)).await.unwrap().json();
    assert_eq!(text["output"]["message"]["content"][0]["text"], "3.0 3.1");
    assert_eq!(control(&simulator, &format!("PUT /regions/{EAST}"), &json!({"mode": "refuse"})).await.status, 204);
    assert!(TcpStream::connect(simulator.address(EAST).unwrap()).await.is_err());
    assert_eq!(control(&simulator, "PUT /regions/mars-1", &json!({"mode": "up"})).await.status, 400);
}

#[tokio::test]
async fn the_journal_is_read_and_taken() {
    let simulator = simulator().await;
    call(&simulator).await;
    let state: State = serde_json::from_value(control(&simulator, "GET /", &Value::Null).await.json()).unwrap();
    assert_eq!((state.regions, state.received), (vec![EAST.to_owned(), WEST.to_owned()], 1));
    for method in ["GET", "DELETE"] {
        let records: Vec<CallRecord> =
            serde_json::from_value(control(&simulator, &format!("{method} /calls"), &Value::Null).await.json()).unwrap();
        assert_eq!(records.len(), 1);
    }
    assert_eq!(control(&simulator, "GET /calls", &Value::Null).await.json(), json!([]));
    simulator.journal().wait_for(|_| simulator.open_connections(EAST) == 0, crate::support::LIMIT).await.unwrap_or_default();
    assert_eq!(control(&simulator, "GET /connections", &Value::Null).await.json().as_array().unwrap().len(), 1);
    assert_eq!(control(&simulator, "GET /gauges", &Value::Null).await.json()[0]["region"], EAST);
    assert_eq!(control(&simulator, "GET /nowhere", &Value::Null).await.status, 404);
    simulator.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn control_requests_are_answered_in_memory_as_well() {
    let simulator = Simulator::builder().region(EAST, 0).in_memory().unwrap();
    assert_eq!(simulator.control_endpoint(), None);
    let (mut near, far) = tokio::io::duplex(4096);
    tokio::spawn(simulator.serve_control(far));
    let seen = exchange_on(&mut near, b"GET / HTTP/1.1\r\nhost: sim\r\n\r\n").await.unwrap();
    assert_eq!(seen.json()["regions"], json!([EAST]));
}
