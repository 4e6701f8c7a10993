//! What each metric counts, as scrapers read it.

use metrics::{describe_counter, describe_gauge, describe_histogram};

/// Describes every metric to the recorder in force.
pub(super) fn describe_metrics() {
    describe_edge();
    describe_jobs();
    describe_store();
    describe_routing();
    describe_targets();
}

fn describe_edge() {
    describe_counter!("outcrop_http_responses_total", "HTTP responses, by status");
    describe_gauge!("outcrop_body_bytes_held", "Bytes of large requests in memory, with what was fetched for them");
    describe_counter!("outcrop_handler_panics_total", "Panics in HTTP handlers");
    describe_counter!("outcrop_log_lines_dropped_total", "Log lines dropped because the log could not be written fast enough");
}

fn describe_jobs() {
    describe_counter!("outcrop_requests_total", "Jobs, by model, outcome and error class");
    describe_histogram!("outcrop_request_duration_seconds", "From the job's start to its settlement");
    describe_histogram!("outcrop_time_to_first_event_seconds", "From the job's start to the first upstream event");
    describe_histogram!("outcrop_lane_wait_seconds", "Time a job waited in its lane's queue");
    describe_gauge!("outcrop_lane_queued", "Jobs waiting in a lane");
    describe_gauge!("outcrop_lane_running", "Jobs running in a lane");
    describe_counter!("outcrop_lane_refused_total", "Jobs a lane refused, by reason");
    describe_counter!("outcrop_upstream_attempts_total", "Upstream calls, by model");
    describe_counter!("outcrop_tokens_total", "Tokens, by model, region, kind, and whether upstream told them");
    describe_counter!(
        "outcrop_cost_micro_usd_total",
        "Cost in millionths of a US dollar, by model, region, and whether upstream told the tokens"
    );
    describe_counter!("outcrop_ledger_rows_lost_total", "Usage rows beyond those that may wait for a ledger that does not run");
    describe_counter!("outcrop_answers_unread_total", "Answers whose client had left");
    describe_counter!("outcrop_healed_total", "Refused bodies that were sent once more without what was refused, by model and remedy");
}

fn describe_store() {
    describe_histogram!("outcrop_store_duration_seconds", "Calls to the store of responses and conversations, by operation");
    describe_counter!("outcrop_store_errors_total", "Calls to that store that failed for a reason of its own");
    describe_counter!("outcrop_stored_responses_expired_total", "Stored responses that were removed when their time was over");
    describe_counter!("outcrop_stored_conversations_expired_total", "Conversations that were removed because nobody used them for so long");
    describe_counter!(
        "outcrop_stored_let_go_total",
        "Stored responses and conversations that were let go before their time, for want of memory"
    );
}

fn describe_routing() {
    describe_histogram!(
        "outcrop_routing_wait_seconds",
        "Time a request stood in line for room, by model and the region that had it (none: none had in time)"
    );
    describe_counter!("outcrop_hedges_total", "Copies of calls that were sent because a first byte was late, by model");
    describe_counter!(
        "outcrop_fallbacks_total",
        "Requests that went on to this model, because no region could serve the one before it in its alias"
    );
    describe_counter!("outcrop_streams_resumed_total", "Streams that broke and went on in another region, by model");
}

fn describe_targets() {
    describe_gauge!("outcrop_target_in_flight", "Calls under way, by model and region");
    describe_gauge!("outcrop_target_open", "1 while a model is closed to traffic in a region");
    describe_counter!("outcrop_target_trips_total", "Times a target was closed to traffic, by cause");
    describe_gauge!(
        "outcrop_target_level_ratio",
        "How full a quota is as far as it is known, by model, region and resource: 1 nothing used, 0 all"
    );
    describe_gauge!("outcrop_target_rate_per_minute", "A quota as it was learned or told, by model, region and resource");
    describe_counter!(
        "outcrop_target_refused_total",
        "Calls that a quota refused, by model, region and resource (requests, tokens, day, unnamed)"
    );
    describe_counter!(
        "outcrop_target_probes_total",
        "Calls that were sent although a quota seemed used up, by model, region and outcome (granted, refused)"
    );
    describe_counter!("outcrop_target_moves_total", "Conversations that moved here, away from their prompt cache, by model and region");
}
