//! Layer A: what calls are answered.

use super::*;

fn refused(after: &Sight, status: u16, kind: &str, text: &str) -> bool {
    after.end == End::Whole && after.refusal() == (status, kind.to_owned(), text.to_owned())
}

#[tokio::test(start_paused = true)]
async fn throttles_speak_with_the_words_of_their_limit() {
    for (limit, words) in [
        ("requests", "Too many requests, please wait before trying again."),
        ("tokens", "Too many tokens, please wait before trying again."),
        ("day", "Too many tokens per day, please wait before trying again."),
    ] {
        let text = format!("kind = \"throttle\"\nlimit = \"{limit}\"");
        prove(&text, &converse(), |_, after| refused(after, 429, "ThrottlingException", words)).await;
    }
    let text = "kind = \"throttle\"\nstatus = 503\ntext = \"slow down\"";
    prove(text, &stream(), |_, after| refused(after, 503, "ThrottlingException", "slow down")).await;
}

#[tokio::test(start_paused = true)]
async fn errors_have_their_status_words_and_advice() {
    for (code, status) in [
        ("ServiceUnavailableException", 503),
        ("InternalServerException", 500),
        ("ModelNotReadyException", 429),
        ("ModelErrorException", 424),
        ("ValidationException", 400),
    ] {
        let text = format!("kind = \"error\"\ncode = \"{code}\"\ntext = \"words\"");
        prove(&text, &converse(), |_, after| refused(after, status, code, "words")).await;
    }
    let text = "kind = \"error\"\ncode = \"Odd\"\nstatus = 418\nretry_after = \"2s\"";
    prove(text, &converse(), |_, after| {
        after.end == End::Whole && after.seen().status == 418 && after.seen().header("x-amz-retry-after").as_deref() == Some("2000")
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn error_texts_can_name_their_call() {
    let simulator = simulator(1);
    simulator.install(fault("kind = \"error\"\ncode = \"InternalServerException\"\ntext = \"call {call} failed\"")).unwrap();
    for call in 1..=3 {
        assert_eq!(look(&simulator, EAST, &converse()).await.refusal().2, format!("call {call} failed"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_timeout_comes_after_its_silence() {
    let words = "Model has timed out in processing the request. Try your request again.";
    prove("kind = \"model_timeout\"\nafter = \"60s\"", &converse(), |_, after| {
        refused(after, 408, "ModelTimeoutException", words) && after.took == Duration::from_secs(60)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn lost_access_and_gone_models_are_refused_in_awss_words() {
    let words = "You don't have access to the model with the specified model ID.";
    prove("kind = \"access_lost\"", &converse(), |_, after| refused(after, 403, "AccessDeniedException", words)).await;
    let words = "This model version has reached the end of its life. Please refer to the AWS documentation for more details.";
    prove("kind = \"model_gone\"", &converse(), |_, after| refused(after, 404, "ResourceNotFoundException", words)).await;
}

#[tokio::test(start_paused = true)]
async fn latencies_delay_what_they_say() {
    let later = |before: &Sight, after: &Sight, by: Duration| same_text(before, after) && after.took == before.took + by;
    let second = Duration::from_secs(1);
    prove("kind = \"latency\"\np50 = \"3s\"", &converse(), |before, after| later(before, after, 3 * second)).await;
    prove("kind = \"latency\"\np50 = \"3s\"", &stream(), |before, after| later(before, after, 3 * second)).await;
    let usual = Duration::from_millis(50);
    prove("kind = \"first_token\"\np50 = \"2s\"", &stream(), |before, after| later(before, after, 2 * second - usual)).await;
    prove("kind = \"inter_token\"\np50 = \"110ms\"", &stream(), |before, after| {
        let deltas = before.events().iter().filter(|(kind, _)| kind == "contentBlockDelta").count();
        later(before, after, Duration::from_millis(100) * u32::try_from(deltas).unwrap())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_brownout_is_slow_and_fails_as_often_as_it_says() {
    let delay = Duration::from_secs(2);
    prove("kind = \"brownout\"\np50 = \"2s\"", &stream(), |before, after| same_text(before, after) && after.took == before.took + delay)
        .await;
    let words = "Bedrock is unable to process your request.";
    prove("kind = \"brownout\"\np50 = \"2s\"\nerrors = 1", &stream(), |_, after| {
        refused(after, 503, "ServiceUnavailableException", words) && after.took == delay
    })
    .await;
    let simulator = simulator(5);
    simulator.install(fault("kind = \"brownout\"\np50 = \"1ms\"\nerrors = 0.5")).unwrap();
    let mut failed = 0;
    for _ in 0..100 {
        failed += usize::from(look(&simulator, EAST, &converse()).await.seen().status == 503);
    }
    assert!((30..70).contains(&failed), "{failed}");
}

#[tokio::test(start_paused = true)]
async fn a_storm_throttles_its_count_within_its_time_and_then_no_more() {
    let status = async |simulator: &Simulator| look(simulator, EAST, &converse()).await.seen().status;
    let simulator = simulator(1);
    let storm = simulator.install(fault("kind = \"storm\"\ncount = 3\nwithin = \"1s\"")).unwrap();
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(status(&simulator).await);
    }
    assert_eq!(seen, [429, 429, 429, 200, 200]);
    assert_eq!(simulator.faults()[0].hits, 3);
    assert!(simulator.uninstall(storm));
    simulator.install(fault("kind = \"storm\"\ncount = 3\nwithin = \"1s\"")).unwrap();
    assert_eq!(status(&simulator).await, 429);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(status(&simulator).await, 200, "it is over");
}
