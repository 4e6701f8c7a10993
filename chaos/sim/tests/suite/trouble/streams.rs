//! Layer S: what happens inside streams.

use super::*;

/// The events of `after` are those of `before`, but for this change.
fn changed(before: &Sight, after: &Sight, change: impl Fn(&mut Vec<(String, Value)>)) -> bool {
    let mut expected = before.events();
    change(&mut expected);
    after.end == End::Whole && after.events() == expected
}

#[tokio::test(start_paused = true)]
async fn a_stall_is_a_silence_at_its_place() {
    let pause = Duration::from_secs(5);
    let after_it = |before: &Sight, after: &Sight| before.body() == after.body() && after.took == before.took + pause;
    prove("kind = \"stall\"\nafter_events = 3\npause = \"5s\"", &stream(), after_it).await;
    prove("kind = \"stall\"\nafter_events = \"random\"\npause = \"5s\"", &stream(), after_it).await;
    prove("kind = \"stall\"\npause = \"5s\"", &stream(), after_it).await;
    prove("kind = \"stall\"\nafter_bytes = 100\npause = \"5s\"", &converse(), after_it).await;
    prove("kind = \"stall\"\nafter_events = 3", &stream(), |before, after| {
        after.end == End::Silent && after.events() == before.events()[..3] && after.body().len() == frames(&before.body(), 3)
    })
    .await;
    for bytes in [0, 1, 100, 777] {
        let text = format!("kind = \"stall\"\nafter_bytes = {bytes}");
        prove(&text, &stream(), |before, after| after.end == End::Silent && after.body() == before.body()[..bytes]).await;
    }
    prove("kind = \"stall\"\nafter_bytes = \"random\"", &stream(), |before, after| {
        after.end == End::Silent && after.body().len() < before.body().len() && before.body().starts_with(&after.body())
    })
    .await;
}

/// Bytes of the first `count` frames.
fn frames(body: &[u8], count: usize) -> usize {
    (0..count).fold(0, |at, _| at + u32::from_be_bytes(body[at..at + 4].try_into().unwrap()) as usize)
}

#[tokio::test(start_paused = true)]
async fn exceptions_and_errors_replace_the_rest_of_a_stream() {
    let text = "kind = \"exception_frame\"\ntype = \"throttlingException\"\nafter_events = 4\ntext = \"enough\"";
    prove(text, &stream(), |before, after| {
        changed(before, after, |events| {
            events.truncate(4);
            events.push(("throttlingException".to_owned(), serde_json::json!({"message": "enough"})));
        })
    })
    .await;
    prove("kind = \"exception_frame\"\ntype = \"modelStreamErrorException\"", &stream(), |before, after| {
        let (events, seen) = (before.events(), after.events());
        let (last, good) = seen.split_last().unwrap();
        events.starts_with(good)
            && good.len() < events.len()
            && last.0 == "modelStreamErrorException"
            && last.1["originalStatusCode"] == 500
    })
    .await;
    prove("kind = \"error_frame\"\ncode = \"InternalFailure\"\nafter_events = 0\ntext = \"x\"", &stream(), |_, after| {
        let body = String::from_utf8_lossy(&after.body()).into_owned();
        after.end == End::Whole && body.contains(":error-code") && body.contains("InternalFailure") && after.events().len() == 1
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn missing_late_and_doubled_events() {
    prove("kind = \"no_stop\"", &stream(), |before, after| {
        changed(before, after, |events| events.retain(|(kind, _)| kind != "messageStop"))
    })
    .await;
    prove("kind = \"no_usage\"", &stream(), |before, after| changed(before, after, |events| events.retain(|(kind, _)| kind != "metadata")))
        .await;
    prove("kind = \"late_usage\"\ndelay = \"30s\"", &stream(), |before, after| {
        after.took == before.took + Duration::from_secs(30) && before.body() == after.body()
    })
    .await;
    prove("kind = \"duplicate_event\"\nafter_events = 2", &stream(), |before, after| {
        changed(before, after, |events| events.insert(2, events[2].clone()))
    })
    .await;
    prove("kind = \"duplicate_event\"", &stream(), |before, after| {
        let (events, seen) = (before.events(), after.events());
        seen.len() == events.len() + 1 && (0..events.len()).any(|at| seen[..=at] == events[..=at] && seen[at + 1..] == events[at..])
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn corrupt_frames_differ_in_one_byte_of_their_field() {
    for (field, place) in [
        ("length", [3, 4]),
        ("prelude_crc", [8, 12]),
        ("header", [13, 24]),
        ("payload", [12, usize::MAX]),
        ("message_crc", [12, usize::MAX]),
    ] {
        let text = format!("kind = \"corrupt_frame\"\nfield = \"{field}\"\nafter_events = 2");
        prove(&text, &stream(), |before, after| {
            let (good, bad) = (before.body(), after.body());
            let differing: Vec<usize> = (0..good.len()).filter(|at| good.get(*at) != bad.get(*at)).collect();
            let (start, end) = (frames(&good, 2), frames(&good, 3));
            let inside = differing.first().is_some_and(|at| {
                let within = at - start;
                let last = end - start - 1;
                let is_crc = within > last - 4;
                (place[0]..place[1]).contains(&within) && is_crc == (field == "message_crc")
            });
            good.len() == bad.len() && differing.len() == 1 && inside && after.end == End::Whole
        })
        .await;
    }
    prove("kind = \"corrupt_frame\"\nfield = \"payload\"", &stream(), |before, after| {
        let (good, bad) = (before.body(), after.body());
        good.len() == bad.len() && good.iter().zip(&bad).filter(|(a, b)| a != b).count() == 1
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_truncated_frame_ends_the_connection_in_its_middle() {
    prove("kind = \"truncate_frame\"\nafter_events = 2\nkeep_bytes = 5", &stream(), |before, after| {
        let whole = before.body();
        after.end == End::Closed && after.body() == whole[..frames(&whole, 2) + 5]
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn stream_faults_leave_unstreamed_calls_alone() {
    let simulator = simulator(1);
    for text in ["kind = \"no_stop\"", "kind = \"corrupt_frame\"\nfield = \"header\"", "kind = \"exception_frame\"\ntype = \"x\""] {
        simulator.install(fault(text)).unwrap();
    }
    assert_eq!(look(&simulator, EAST, &converse()).await.seen().status, 200);
    assert!(simulator.faults().iter().all(|status| status.hits == 0));
}
