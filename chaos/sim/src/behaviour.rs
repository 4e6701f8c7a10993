//! How models behave when nothing is wrong: how fast they answer, how much, and what their prompt cache keeps.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{lock::held, pace::Latency, span::Span};

/// The form of a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dist {
    /// Log-normal, the usual form of service times.
    #[default]
    Lognormal,
}

/// A distribution of delays by two percentiles. With `p50` alone it is that delay, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delay {
    /// Its form.
    #[serde(default)]
    pub dist: Dist,
    /// Median.
    pub p50: Span,
    /// 99th percentile, at least the median; the median if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<Span>,
    /// No draw is longer; four times the 99th percentile if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<Span>,
}

impl Delay {
    /// Always the same delay.
    #[must_use]
    pub const fn fixed(delay: Span) -> Self {
        Self { dist: Dist::Lognormal, p50: delay, p99: None, cap: None }
    }

    pub(crate) fn latency(&self) -> Latency {
        let p99 = self.p99.unwrap_or(self.p50).0;
        let cap = self.cap.map_or(p99.saturating_mul(TAIL), Duration::from);
        Latency::LogNormal { p50: self.p50.0, p99, cap }
    }
}

/// Draws are cut at this multiple of the 99th percentile unless a cap is given: far enough out to matter, and a
/// single draw cannot outlast a run.
const TAIL: u32 = 4;

/// A log-normal distribution of counts by two percentiles. With `p50` alone it is that count, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amount {
    /// Median.
    pub p50: u64,
    /// 99th percentile, at least the median; the median if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<u64>,
    /// No draw is larger; four times the 99th percentile if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<u64>,
}

/// Behaviour of one model in one region. What is `None` stays as it is without it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// From the end of the request to the first token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token: Option<Delay>,
    /// Before each delta of a stream; an unstreamed answer waits one of these for each delta it would have had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inter_token: Option<Delay>,
    /// Watermarked answers in place of the mock model's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<Watermark>,
    /// The prompt cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<CachePolicy>,
}

/// Answers made of words `<call>.<index>`: each word tells which call of the journal it comes from, and its place.
///
/// Indices count through the whole answer (thinking, text, tool arguments). Token counts are drawn without regard to
/// the words and appear in the usage alone, so that nobody can compute a bill from the text. Tool calls are answered
/// as the mock model would, with valid arguments whose free strings are such words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Watermark {
    /// Words of the text, each one delta of a stream.
    pub words: Amount,
    /// Output tokens that are billed; the request's `maxTokens` is their upper limit.
    pub output_tokens: Amount,
    /// Input tokens that are billed, relative to the simulator's own count: 1.25 makes every estimate 20 % too small.
    pub input_factor: f64,
    /// Standard deviation of a normal factor around `input_factor` (cut at three deviations), drawn by the first message of the
    /// prompt: the same text always counts the same, and a conversation repeats its own.
    pub input_noise: f64,
}

impl Default for Watermark {
    /// 40 words (300 at the 99th percentile), 180 tokens (1,500), input within some 8 % of the count.
    fn default() -> Self {
        Self {
            words: Amount { p50: 40, p99: Some(300), cap: None },
            output_tokens: Amount { p50: 180, p99: Some(1_500), cap: None },
            input_factor: 1.0,
            input_noise: 0.08,
        }
    }
}

/// What the prompt cache of a region keeps, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CachePolicy {
    /// Life of an entry since its last use.
    pub ttl: Span,
    /// Life of an entry written with `ttl: "1h"`.
    pub long_ttl: Span,
    /// Shortest prefix that is kept, in tokens; `None` = the model's own minimum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_tokens: Option<u64>,
}

impl Default for CachePolicy {
    /// Five minutes and one hour. Source: Bedrock user guide, prompt caching.
    fn default() -> Self {
        Self { ttl: Span::secs(300), long_ttl: Span::secs(3_600), min_tokens: None }
    }
}

/// Stands for every region, or every model.
pub(crate) const EVERY: &str = "*";

/// The behaviours of all places.
#[derive(Debug, Default)]
pub(crate) struct Behaviours {
    /// By region and model, either of them `*`.
    book: Mutex<BTreeMap<(String, String), Behaviour>>,
}

impl Behaviours {
    pub(crate) fn set(&self, region: &str, model: &str, behaviour: Behaviour) {
        held(&self.book).insert((region.to_owned(), model.to_owned()), behaviour);
    }

    /// How `model` behaves in `region`: each part from the most special place that says something about it.
    pub(crate) fn of(&self, region: &str, model: &str) -> Behaviour {
        let book = held(&self.book);
        let places = [(region, model), (region, EVERY), (EVERY, model), (EVERY, EVERY)];
        let found = places.into_iter().filter_map(|(region, model)| book.get(&(region.to_owned(), model.to_owned())));
        found.fold(Behaviour::default(), |sum, next| Behaviour {
            first_token: sum.first_token.or(next.first_token),
            inter_token: sum.inter_token.or(next.inter_token),
            watermark: sum.watermark.or_else(|| next.watermark.clone()),
            cache: sum.cache.or(next.cache),
        })
    }

    /// Whether any answer is watermarked: then errors are as well.
    pub(crate) fn mark_errors(&self) -> bool {
        held(&self.book).values().any(|behaviour| behaviour.watermark.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_comes_from_the_most_special_place_that_has_it() {
        let book = Behaviours::default();
        let slow = |seconds| Some(Delay::fixed(Span::secs(seconds)));
        book.set(EVERY, EVERY, Behaviour { first_token: slow(1), inter_token: slow(1), ..Behaviour::default() });
        book.set("r", EVERY, Behaviour { first_token: slow(2), ..Behaviour::default() });
        book.set("r", "m", Behaviour { cache: Some(CachePolicy::default()), ..Behaviour::default() });
        let here = book.of("r", "m");
        assert_eq!((here.first_token, here.inter_token, here.cache), (slow(2), slow(1), Some(CachePolicy::default())));
        assert_eq!(book.of("elsewhere", "m").first_token, slow(1));
        assert!(!book.mark_errors());
    }

    #[test]
    fn behaviours_are_read_strictly() {
        let text = "first_token = { p50 = \"350ms\", p99 = \"2s\" }\nwatermark = { output_tokens = { p50 = 180, p99 = 1500 } }";
        let read: Behaviour = toml::from_str(text).unwrap();
        let first = Delay { p99: Some(Span::secs(2)), ..Delay::fixed(Span::millis(350)) };
        assert_eq!((read.first_token, &read.watermark), (Some(first), &Some(Watermark::default())));
        assert_eq!(toml::from_str::<Behaviour>(&toml::to_string(&read).unwrap()).unwrap(), read);
        for wrong in ["first_token = { p50 = 350 }", "watermarks = {}", "watermark = { word = 3 }", "first_token = { p99 = \"2s\" }"] {
            assert!(toml::from_str::<Behaviour>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_delay_of_one_percentile_is_constant_and_none_is_longer_than_its_cap() {
        let mut stream = crate::draw::stream(1, "delays", 0);
        let constant = Delay::fixed(Span::millis(20)).latency();
        assert!((0..100).all(|_| constant.draw(&mut stream) == std::time::Duration::from_millis(20)));
        let wide = Delay { p99: Some(Span::secs(1)), ..Delay::fixed(Span::millis(20)) }.latency();
        let longest = (0..100_000).map(|_| wide.draw(&mut stream)).max().unwrap();
        assert!(longest > std::time::Duration::from_secs(2) && longest <= std::time::Duration::from_secs(4), "{longest:?}");
    }
}
