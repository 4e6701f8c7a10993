//! Every layer of faults on InvokeModel and its stream: they happen to chunks as they happen to the events of Converse.

use super::*;
use crate::support::{CLAUDE_HELLO, claude_path, native};

const METRICS: &str = "amazon-bedrock-invocationMetrics";

fn invoke() -> Vec<u8> {
    post(&claude_path("invoke"), CLAUDE_HELLO)
}

fn chunks() -> Vec<u8> {
    post(&claude_path("invoke-with-response-stream"), CLAUDE_HELLO)
}

fn nova() -> Vec<u8> {
    post(&path("invoke-with-response-stream"), HELLO)
}

fn gpt_oss() -> Vec<u8> {
    post("/model/openai.gpt-oss-120b-1%3A0/invoke-with-response-stream", r#"{"messages":[{"role":"user","content":"hello"}]}"#)
}

/// The native events of a sight.
fn natives(sight: &Sight) -> Vec<Value> {
    sight.events().iter().map(|(_, payload)| native(payload)).collect()
}

/// The native events of `after` are those of `before`, but for this change.
fn changed(before: &Sight, after: &Sight, change: impl Fn(&mut Vec<Value>)) -> bool {
    let mut expected = natives(before);
    change(&mut expected);
    after.end == End::Whole && natives(after) == expected
}

/// The answer is the same but for when it came and what it says of that.
fn same_words(before: &Sight, after: &Sight) -> bool {
    let words = |sight: &Sight| {
        let mut events = natives(sight);
        for event in &mut events {
            event.as_object_mut().unwrap().remove(METRICS);
        }
        events
    };
    after.end == End::Whole && words(before) == words(after) && after.body().len() >= before.body().len()
}

#[tokio::test(start_paused = true)]
async fn streams_of_chunks_lose_their_end_and_their_usage() {
    prove("kind = \"no_stop\"", &chunks(), |before, after| {
        changed(before, after, |events| events.retain(|event| event["type"] != "message_stop"))
    })
    .await;
    prove("kind = \"no_usage\"", &chunks(), |before, after| {
        changed(before, after, |events| {
            for event in events {
                if event["type"] == "message_delta" {
                    event.as_object_mut().unwrap().remove("usage");
                }
                event.as_object_mut().unwrap().remove(METRICS);
            }
        })
    })
    .await;
    prove("kind = \"late_usage\"\ndelay = \"30s\"", &chunks(), |before, after| {
        after.took == before.took + Duration::from_secs(30) && before.body() == after.body()
    })
    .await;
    prove("kind = \"no_stop\"", &nova(), |before, after| {
        changed(before, after, |events| events.retain(|event| event.get("messageStop").is_none()))
    })
    .await;
    prove("kind = \"no_usage\"", &nova(), |before, after| {
        changed(before, after, |events| events.retain(|event| event.get("metadata").is_none()))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn chat_streams_lose_their_end_and_their_usage() {
    // They name the second they were made in: no two of them are the same to the last bit.
    let events = async |text: Option<&str>| {
        let simulator = simulator(1);
        text.map(|text| simulator.install(fault(text)).unwrap());
        let mut events = natives(&look(&simulator, EAST, &gpt_oss()).await);
        events.iter_mut().for_each(|event| event["created"] = Value::Null);
        events
    };
    let whole = events(None).await;
    let without = |lost: &dyn Fn(&Value) -> bool| whole.iter().filter(|event| !lost(event)).cloned().collect::<Vec<_>>();
    let (stop, usage) =
        (without(&|event| event["choices"][0]["finish_reason"].is_string()), without(&|event| event.get(METRICS).is_some()));
    assert_eq!((stop.len(), usage.len()), (whole.len() - 1, whole.len() - 1));
    assert_eq!(events(Some("kind = \"no_stop\"")).await, stop);
    assert_eq!(events(Some("kind = \"no_usage\"")).await, usage);
}

#[tokio::test(start_paused = true)]
async fn streams_of_chunks_break_in_the_middle() {
    let text = "kind = \"exception_frame\"\ntype = \"modelStreamErrorException\"\nafter_events = 4\ntext = \"enough\"";
    prove(text, &chunks(), |before, after| {
        let (mut expected, seen) = (before.events(), after.events());
        expected.truncate(4);
        after.end == End::Whole && seen.len() == 5 && seen[..4] == expected[..] && seen[4].1["message"] == "enough"
    })
    .await;
    prove("kind = \"error_frame\"\ncode = \"InternalFailure\"\nafter_events = 2", &chunks(), |before, after| {
        after.end == End::Whole && after.events()[..2] == before.events()[..2] && after.events()[2].0 == "InternalFailure"
    })
    .await;
    prove("kind = \"stall\"\nafter_events = 3\npause = \"5s\"", &chunks(), |before, after| {
        before.body() == after.body() && after.took == before.took + Duration::from_secs(5)
    })
    .await;
    prove("kind = \"stall\"\nafter_bytes = 900", &chunks(), |before, after| {
        after.end == End::Silent && after.body() == before.body()[..900]
    })
    .await;
    prove("kind = \"duplicate_event\"\nafter_events = 2", &chunks(), |before, after| {
        changed(before, after, |events| events.insert(2, events[2].clone()))
    })
    .await;
    prove("kind = \"truncate_frame\"\nafter_events = 2\nkeep_bytes = 5", &chunks(), |before, after| {
        let whole = before.body();
        after.end == End::Closed && whole.starts_with(&after.body()) && after.events() == before.events()[..2]
    })
    .await;
    for field in ["length", "prelude_crc", "header", "payload", "message_crc"] {
        let text = format!("kind = \"corrupt_frame\"\nfield = \"{field}\"\nafter_events = 2");
        prove(&text, &chunks(), |before, after| {
            let (good, bad) = (before.body(), after.body());
            after.end == End::Whole && good.len() == bad.len() && good.iter().zip(&bad).filter(|(a, b)| a != b).count() == 1
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn cuts_let_exactly_their_bytes_out() {
    for request in [invoke(), chunks(), nova()] {
        for bytes in [0, 1, 200, 700] {
            for (kind, end) in [("reset", End::Reset), ("close", End::Closed), ("half_close", End::Closed)] {
                let text = format!("kind = \"{kind}\"\nat_byte = {bytes}");
                prove(&text, &request, |before, after| (after.end, undated(&after.wire)) == (end, undated(&before.wire[..bytes]))).await;
            }
        }
    }
    prove("kind = \"reset\"\nat = \"headers\"", &invoke(), |before, after| {
        after.end == End::Reset && undated(&after.wire) == undated(&before.wire[..before.head()])
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn native_calls_are_refused_and_slowed_down_as_others() {
    let refused =
        |after: &Sight, status: u16, kind: &str| after.end == End::Whole && after.refusal().0 == status && after.refusal().1 == kind;
    for request in [invoke(), chunks()] {
        prove("kind = \"throttle\"", &request, |_, after| refused(after, 429, "ThrottlingException")).await;
        prove("kind = \"error\"\ncode = \"ModelNotReadyException\"", &request, |_, after| refused(after, 429, "ModelNotReadyException"))
            .await;
        prove("kind = \"model_timeout\"\nafter = \"60s\"", &request, |_, after| {
            refused(after, 408, "ModelTimeoutException") && after.took == Duration::from_secs(60)
        })
        .await;
        prove("kind = \"region_down\"\nmode = \"5xx\"", &request, |_, after| refused(after, 503, "ServiceUnavailableException")).await;
        prove("kind = \"blackhole\"", &request, |_, after| (after.end, after.wire.len()) == (End::Silent, 0)).await;
    }
    let later = |before: &Sight, after: &Sight, by: Duration| same_words(before, after) && after.took == before.took + by;
    prove("kind = \"latency\"\np50 = \"3s\"", &chunks(), |before, after| later(before, after, Duration::from_secs(3))).await;
    prove("kind = \"first_token\"\np50 = \"2s\"", &chunks(), |before, after| later(before, after, Duration::from_millis(1_950))).await;
    prove("kind = \"inter_token\"\np50 = \"110ms\"", &chunks(), |before, after| {
        let deltas = natives(before).iter().filter(|event| event["type"] == "content_block_delta").count();
        later(before, after, Duration::from_millis(100) * u32::try_from(deltas).unwrap())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn faults_choose_native_operations_by_name() {
    let simulator = simulator(1);
    simulator.install(fault("kind = \"throttle\"\noperation = \"InvokeModelWithResponseStream\"")).unwrap();
    for (request, status) in [(invoke(), 200), (stream(), 200), (chunks(), 429)] {
        assert_eq!(look(&simulator, EAST, &request).await.seen().status, status);
    }
}
