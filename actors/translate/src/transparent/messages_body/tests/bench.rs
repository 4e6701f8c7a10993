//! How long it takes, printed. Run by hand, in release: `cargo test --release -p outcrop-translate bench -- --ignored --nocapture`.

use std::{fmt::Write, time::Instant};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::*;
use crate::transparent::{
    heal,
    stream::{ChunkRelay, RelayMode},
};

/// An agent's history of some two megabytes: 200 turns, 40 tools, code full of escapes.
fn history() -> String {
    let code = "fn main() {\\n    println!(\\\"{}\\\", value);\\n    // a line of prose that goes on for a while\\n}\\n".repeat(105);
    let mut body = String::from("{\"model\":\"claude-opus-5\",\"max_tokens\":32000,\"stream\":true,\"tools\":[");
    for tool in 0..40 {
        let comma = if tool == 0 { "" } else { "," };
        let description = "Does something with a file, and says so at length. ".repeat(30);
        write!(body, "{comma}{{\"name\":\"tool_{tool}\",\"description\":\"{description}\",\"input_schema\":{{\"type\":\"object\",\"properties\":{{\"path\":{{\"type\":\"string\"}}}}}}}}").unwrap();
    }
    body.push_str(
        "],\"system\":[{\"type\":\"text\",\"text\":\"You are an agent.\",\"cache_control\":{\"type\":\"ephemeral\"}}],\"messages\":[",
    );
    for turn in 0..100 {
        let comma = if turn == 0 { "" } else { "," };
        let asks = if turn == 0 {
            "{\"type\":\"text\",\"text\":\"begin\"}".to_owned()
        } else {
            format!("{{\"type\":\"tool_result\",\"tool_use_id\":\"t{turn}\",\"content\":[{{\"type\":\"text\",\"text\":\"{code}\"}}]}}")
        };
        write!(body, "{comma}{{\"role\":\"user\",\"content\":[{asks}]}},{{\"role\":\"assistant\",\"content\":[{{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"{}\"}},{{\"type\":\"text\",\"text\":\"\"}},{{\"type\":\"tool_use\",\"id\":\"t{}\",\"name\":\"tool_1\",\"input\":{{\"text\":\"{code}\"}}}}]}}", "Q".repeat(800), turn + 1).unwrap();
    }
    body.push_str(",{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t100\",\"content\":\"done\",\"cache_control\":{\"type\":\"ephemeral\"}}]}]}");
    body
}

/// The best of some runs, in milliseconds.
fn best<T>(mut work: impl FnMut() -> T) -> f64 {
    let runs = (0..20).map(|_| {
        let start = Instant::now();
        std::hint::black_box(work());
        start.elapsed().as_secs_f64() * 1e3
    });
    runs.fold(f64::INFINITY, f64::min)
}

#[test]
#[ignore = "a measurement"]
#[allow(clippy::print_stdout, reason = "a measurement is there to be read")]
fn bench_a_stream_of_a_thousand_deltas() {
    let event = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"some twenty characters"}}"#;
    let frame = format!("{{\"bytes\":\"{}\",\"p\":\"abcdefghijklmnop\"}}", STANDARD.encode(event));
    for mode in [RelayMode::Messages { model: None }, RelayMode::Native] {
        let mut out = Vec::with_capacity(1 << 20);
        let took = best(|| {
            out.clear();
            let mut relay = ChunkRelay::new(mode.clone());
            (0..1000).for_each(|_| relay.chunk(frame.as_bytes(), &mut out).unwrap());
            relay.produced_bytes()
        });
        println!("{mode:?}: {took:.3} microseconds a delta");
    }
}

#[test]
#[ignore = "a measurement"]
#[allow(clippy::print_stdout, reason = "a measurement is there to be read")]
fn bench_two_megabytes_of_history() {
    let body = history();
    let options = options(claude("opus-5"));
    let reading = best(|| read(body.as_str(), Purpose::Answer).unwrap());
    let whole = best(|| read(body.as_str(), Purpose::Answer).unwrap().invoke(&options).unwrap());
    let hash = best(|| read(body.as_str(), Purpose::Answer).unwrap().affinity(&["k", "m"], None)) - reading;
    let upstream = read(body.as_str(), Purpose::Answer).unwrap().invoke(&options).unwrap();
    let healing = best(|| heal::without_thinking(&upstream.bytes).unwrap());
    let serde = best(|| serde_json::from_str::<serde_json::Value>(&body).unwrap());
    println!(
        "{:.2} MB, {} repairs: read {reading:.2} ms, read and written {whole:.2} ms, hashed {hash:.2} ms, healed {healing:.2} ms; a tree of it {serde:.2} ms",
        body.len() as f64 / 1e6,
        upstream.adjustments.iter().count(),
    );
}
