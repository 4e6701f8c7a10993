//! What a call costs: exact integers from the price row to the micro-dollar, rounded once at the end.

use std::{collections::BTreeMap, str::FromStr};

use serde::{Deserialize, Serialize};

use super::ProfileClass;
use crate::{
    chat::ServiceTier,
    ids::Geography,
    money::{DecimalError, MicroUsd, PicoUsd, PicoUsdPerToken, parse_decimal},
    usage::Usage,
};

/// Cost of one call.
///
/// `class` is how the target was called, `tier` the tier that *served* the call (Bedrock echoes it), not the one asked for.
/// Provisioned throughput is paid by the hour, so its calls cost nothing more. Saturates instead of overflowing.
#[must_use]
pub fn cost(prices: &PriceList, usage: &Usage, class: &ProfileClass, tier: Option<ServiceTier>) -> MicroUsd {
    let tier = match tier {
        Some(ServiceTier::Flex) => prices.rule.flex,
        Some(ServiceTier::Priority) => prices.rule.priority,
        // Reserved capacity has its own contract; its overflow is served, and paid, as standard.
        Some(ServiceTier::Default | ServiceTier::Reserved) | None => Factor::ONE,
    };
    token_cost(prices, usage, class, tier)
}

/// Cost of one line of a batch job. Batch jobs know no tiers.
#[must_use]
pub fn batch_cost(prices: &PriceList, usage: &Usage, class: &ProfileClass) -> MicroUsd {
    token_cost(prices, usage, class, prices.rule.batch)
}

/// Cost of `count` units that are not tokens (images, queries, seconds). `None`: the row has no price for the unit.
#[must_use]
pub fn unit_cost(prices: &PriceList, unit: PriceUnit, count: u64, class: &ProfileClass) -> Option<MicroUsd> {
    let price = prices.units.get(&unit)?;
    let pico = u128::from(price.0) * u128::from(count);
    Some(scaled(pico.saturating_mul(Factor::SCALE), class_factor(&prices.rule, class), Factor::ONE))
}

/// Prices of one model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PriceList {
    /// Uncached input tokens.
    pub input: PicoUsdPerToken,
    /// Output tokens, reasoning included.
    pub output: PicoUsdPerToken,
    /// Tokens read from the prompt cache; `None` = as input.
    pub cache_read: Option<PicoUsdPerToken>,
    /// Tokens written with the five-minute lifetime; `None` = as input.
    pub cache_write: Option<PicoUsdPerToken>,
    /// Tokens written with the one-hour lifetime; `None` = as the five-minute ones.
    pub cache_write_1h: Option<PicoUsdPerToken>,
    /// Prices of units that are not tokens.
    pub units: BTreeMap<PriceUnit, PicoUsd>,
    /// Factors on all of them.
    pub rule: PriceRule,
}

impl PriceList {
    /// What an id of this kind costs, relative to the listed prices: for comparing the targets of one model.
    #[must_use]
    pub fn relative(&self, class: &ProfileClass) -> f64 {
        f64::from(class_factor(&self.rule, class).0) / f64::from(Factor::ONE.0)
    }
}

/// Factors that whole families share.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PriceRule {
    /// On calls through a geography profile.
    pub geography: Factor,
    /// Instead of `geography`, for some geographies.
    pub geographies: BTreeMap<Geography, Factor>,
    /// On the flex tier.
    pub flex: Factor,
    /// On the priority tier.
    pub priority: Factor,
    /// In batch jobs.
    pub batch: Factor,
    /// On long prompts.
    pub long_context: Option<LongContextPrice>,
}

impl Default for PriceRule {
    fn default() -> Self {
        Self {
            geography: Factor::ONE,
            geographies: BTreeMap::new(),
            flex: Factor::ONE,
            priority: Factor::ONE,
            batch: Factor::ONE,
            long_context: None,
        }
    }
}

/// Surcharge on the whole call when its prompt is long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongContextPrice {
    /// Prompts of more tokens than this (cached ones count) pay the surcharge.
    pub above_tokens: u64,
    /// On input and cache prices.
    pub input_factor: Factor,
    /// On the output price.
    pub output_factor: Factor,
}

/// Something paid by the piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceUnit {
    /// One rerank or text query.
    Query,
    /// One image, made or read.
    Image,
    /// One second of video.
    VideoSecond,
    /// One second of audio.
    AudioSecond,
    /// One input token of audio.
    AudioInputToken,
    /// One output token of audio.
    AudioOutputToken,
}

/// A multiplier, exact to four decimal places: `"1.75"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Factor(u32);

impl Factor {
    /// Times one.
    pub const ONE: Self = Self(10_000);
    /// Times nothing.
    const NOTHING: Self = Self(0);
    /// Units of one.
    const SCALE: u128 = 10_000;

    /// In ten-thousandths.
    #[must_use]
    pub fn ten_thousandths(self) -> u32 {
        self.0
    }

    fn of(self, pico: u128) -> u128 {
        pico.saturating_mul(u128::from(self.0))
    }
}

impl FromStr for Factor {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let value = parse_decimal(text, 4)?;
        u32::try_from(value).map(Self).map_err(|_| DecimalError::TooLarge { text: text.to_owned() })
    }
}

impl TryFrom<String> for Factor {
    type Error = DecimalError;

    fn try_from(text: String) -> Result<Self, DecimalError> {
        text.parse()
    }
}

fn token_cost(prices: &PriceList, usage: &Usage, class: &ProfileClass, tier: Factor) -> MicroUsd {
    let cache_read = prices.cache_read.unwrap_or(prices.input);
    let cache_write = prices.cache_write.unwrap_or(prices.input);
    let cache_write_1h = prices.cache_write_1h.unwrap_or(cache_write);
    let input = prices
        .input
        .times(usage.input)
        .saturating_add(cache_read.times(usage.cache_read))
        .saturating_add(cache_write.times(usage.cache_write_5m))
        .saturating_add(cache_write_1h.times(usage.cache_write_1h));
    let output = prices.output.times(usage.output);
    let long = prices.rule.long_context.filter(|long| usage.prompt() > long.above_tokens);
    let (input_factor, output_factor) = long.map_or((Factor::ONE, Factor::ONE), |long| (long.input_factor, long.output_factor));
    let weighted = input_factor.of(input).saturating_add(output_factor.of(output));
    scaled(weighted, class_factor(&prices.rule, class), tier)
}

fn class_factor(rule: &PriceRule, class: &ProfileClass) -> Factor {
    match class {
        ProfileClass::OnDemand | ProfileClass::Global | ProfileClass::Application(None) => Factor::ONE,
        ProfileClass::Geography(geography) | ProfileClass::Application(Some(geography)) => {
            rule.geographies.get(geography).copied().unwrap_or(rule.geography)
        }
        ProfileClass::Provisioned => Factor::NOTHING,
    }
}

/// `weighted` is in pico-dollars times [`Factor::SCALE`]. The one place that rounds: half up.
fn scaled(weighted: u128, class: Factor, tier: Factor) -> MicroUsd {
    const PICO_PER_MICRO: u128 = 1_000_000;
    const DIVISOR: u128 = PICO_PER_MICRO * Factor::SCALE * Factor::SCALE * Factor::SCALE;
    // 2^128 / DIVISOR is beyond i64::MAX, so a saturated product still becomes the largest amount, never a small one.
    let micro = tier.of(class.of(weighted)).saturating_add(DIVISOR / 2) / DIVISOR;
    MicroUsd(i64::try_from(micro).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
