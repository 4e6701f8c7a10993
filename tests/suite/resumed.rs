//! Text streams that break and go on from another region.

use std::time::Duration;

use outcrop_gateway::record::JobOutcome;
use outcrop_sim::{Action, Chunking, CorruptField, CutManner, Operation, Rule, ScriptedError};
use serde_json::{Value, json};

use crate::support::{EAST, Event, TestGateway, WEST};

/// A model that goes on with a begun answer.
const MODEL: &str = "amazon.nova-lite-v1:0";

fn counting(to: u32) -> Value {
    json!({"model": MODEL, "messages": [{"role": "user", "content": format!("count to {to}")}], "stream_options": {"include_usage": true}})
}

fn counted(to: u32) -> String {
    (1..=to).map(|number| number.to_string()).collect::<Vec<_>>().join(", ")
}

async fn gateway() -> TestGateway {
    let builder = TestGateway::builder().set("routing.resume=true").set("timeouts.stream_idle=1s");
    builder.simulator(|sim| sim.chunking(Chunking::Framed)).start().await
}

#[tokio::test]
async fn however_a_text_stream_breaks_the_client_gets_every_word_once() {
    let (after_events, events) = (6, 6);
    let actions = [
        Action::ExceptionFrame { after_events, kind: "modelStreamErrorException".to_owned(), message: "the model stumbled".to_owned() },
        Action::ExceptionFrame { after_events, kind: "throttlingException".to_owned(), message: "slow down".to_owned() },
        Action::CutAfterEvents { events, manner: CutManner::Close },
        Action::CorruptFrame { after_events, field: CorruptField::MessageCrc },
        Action::TruncateFrame { after_events, keep_bytes: 20 },
        Action::StallAfterEvents { events, pause: Duration::from_secs(30) },
    ];
    for action in actions {
        let gateway = gateway().await;
        gateway.simulator.script(Rule::once(action.clone()).operation(Operation::ConverseStream).region(EAST));
        let stream = gateway.open(&counting(60)).await;
        assert_eq!(stream.head.headers["x-outcrop-resume"], "on");
        let stream = stream.fold().await;
        assert_eq!((stream.text(), stream.done, &stream.error), (counted(60), 1, &None), "{action:?}");
        assert_eq!((gateway.regions(), stream.comments), (vec![EAST.to_owned(), WEST.to_owned()], 1), "{action:?}");
        let job = gateway.records.only().await.job.unwrap();
        assert_eq!((job.outcome, job.adjusted.as_str(), job.estimated), (JobOutcome::Completed, "stream=resumed:us-west-2", true));
        gateway.end().await;
    }
}

#[tokio::test]
async fn the_comment_names_the_region_that_goes_on() {
    let gateway = gateway().await;
    gateway.simulator.script(Rule::once(Action::CutAfterEvents { events: 6, manner: CutManner::Close }).region(EAST));
    let mut stream = gateway.open(&counting(20)).await;
    let mut comments = Vec::new();
    while let Some(event) = stream.next().await {
        if let Event::Comment(words) = event {
            comments.push(words.trim().to_owned());
        }
    }
    assert_eq!(comments, ["choice 0 broke and goes on from us-west-2"]);
    gateway.end().await;
}

#[tokio::test]
async fn a_break_that_nobody_can_mend_is_told_as_it_was() {
    let gateway = gateway().await;
    let stumble =
        Action::ExceptionFrame { after_events: 6, kind: "modelStreamErrorException".to_owned(), message: "the model stumbled".to_owned() };
    gateway.simulator.script(Rule::once(stumble).region(EAST));
    gateway.simulator.script(Rule::always(Action::Error(ScriptedError::new(400, "ValidationException", "no such turn"))).region(WEST));
    let stream = gateway.open(&counting(60)).await.fold().await;
    assert_eq!((stream.done, &stream.error.unwrap()["error"]["message"]), (0, &json!("the model stumbled")));
    gateway.end().await;
}
