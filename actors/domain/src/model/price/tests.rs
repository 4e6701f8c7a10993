use proptest::prelude::*;

use super::*;

fn usd(text: &str) -> PicoUsdPerToken {
    PicoUsdPerToken::from_usd_per_million(text).unwrap()
}

fn factor(text: &str) -> Factor {
    text.parse().unwrap()
}

fn geography(prefix: &str) -> ProfileClass {
    ProfileClass::Geography(prefix.into())
}

/// $3 in, $15 out, cache 0.3 / 3.75 / 6, +10 % in a geography, +20 % in us-gov, twice the price over 1,000 tokens of prompt.
fn list() -> PriceList {
    PriceList {
        input: usd("3"),
        output: usd("15"),
        cache_read: Some(usd("0.3")),
        cache_write: Some(usd("3.75")),
        cache_write_1h: Some(usd("6")),
        units: BTreeMap::from([(PriceUnit::Image, PicoUsd::from_usd("0.04").unwrap())]),
        rule: PriceRule {
            geography: factor("1.1"),
            geographies: BTreeMap::from([("us-gov".into(), factor("1.2"))]),
            flex: factor("0.5"),
            priority: factor("1.75"),
            batch: factor("0.5"),
            long_context: Some(LongContextPrice { above_tokens: 1_000, input_factor: factor("2"), output_factor: factor("1.5") }),
        },
    }
}

fn million_output() -> Usage {
    Usage { output: 1_000_000, ..Usage::default() }
}

#[test]
fn each_kind_of_token_has_its_own_price() {
    let usage = Usage { input: 100, output: 200, cache_read: 300, cache_write_5m: 100, cache_write_1h: 50, reasoning: Some(9) };
    // 300 + 3000 + 90 + 375 + 300 micro-dollars
    assert_eq!(cost(&list(), &usage, &ProfileClass::OnDemand, None), MicroUsd(4_065));
}

#[test]
fn missing_cache_prices_fall_back_to_a_higher_one_and_never_to_zero() {
    let plain = PriceList { input: usd("2"), output: usd("4"), ..PriceList::default() };
    let cached = Usage { cache_read: 1_000, cache_write_5m: 1_000, cache_write_1h: 1_000, ..Usage::default() };
    assert_eq!(cost(&plain, &cached, &ProfileClass::OnDemand, None), MicroUsd(6_000));
    let five_minutes = PriceList { cache_write: Some(usd("3")), ..plain };
    assert_eq!(cost(&five_minutes, &cached, &ProfileClass::OnDemand, None), MicroUsd(8_000));
}

#[test]
fn profiles_and_tiers_multiply() {
    let prices = list();
    let of = |class: ProfileClass, tier| cost(&prices, &million_output(), &class, tier).0;
    assert_eq!(of(ProfileClass::OnDemand, None), 15_000_000);
    assert_eq!(of(ProfileClass::Global, Some(ServiceTier::Default)), 15_000_000);
    assert_eq!(of(geography("eu"), None), 16_500_000);
    assert_eq!(of(geography("us-gov"), None), 18_000_000);
    assert_eq!(of(ProfileClass::Application(None), None), 15_000_000);
    assert_eq!(of(ProfileClass::Application(Some("us".into())), None), 16_500_000);
    assert_eq!(of(ProfileClass::OnDemand, Some(ServiceTier::Flex)), 7_500_000);
    assert_eq!(of(geography("eu"), Some(ServiceTier::Priority)), 28_875_000);
    assert_eq!(of(ProfileClass::OnDemand, Some(ServiceTier::Reserved)), 15_000_000);
    assert_eq!(of(ProfileClass::Provisioned, None), 0);
    assert_eq!(batch_cost(&prices, &million_output(), &geography("eu")), MicroUsd(8_250_000));
}

#[test]
fn a_long_prompt_raises_the_price_of_the_whole_call() {
    let short = Usage { input: 400, cache_read: 600, output: 10, ..Usage::default() };
    assert_eq!(cost(&list(), &short, &ProfileClass::OnDemand, None), MicroUsd(1_200 + 180 + 150));
    let long = Usage { input: 401, ..short };
    // (401 * 3 + 600 * 0.3) * 2 + 10 * 15 * 1.5
    assert_eq!(cost(&list(), &long, &ProfileClass::OnDemand, None), MicroUsd(2_766 + 225));
}

#[test]
fn units_are_paid_by_the_piece() {
    assert_eq!(unit_cost(&list(), PriceUnit::Image, 3, &ProfileClass::OnDemand), Some(MicroUsd(120_000)));
    assert_eq!(unit_cost(&list(), PriceUnit::Image, 3, &geography("us")), Some(MicroUsd(132_000)));
    assert_eq!(unit_cost(&list(), PriceUnit::Query, 3, &ProfileClass::OnDemand), None);
}

#[test]
fn rounding_happens_once_and_half_up() {
    let prices = PriceList { input: usd("0.5"), output: usd("0.5"), ..PriceList::default() };
    let one_each = Usage { input: 1, output: 1, ..Usage::default() };
    // Half a micro-dollar twice is one, not two.
    assert_eq!(cost(&prices, &one_each, &ProfileClass::OnDemand, None), MicroUsd(1));
    let one = Usage { input: 1, ..Usage::default() };
    assert_eq!(cost(&prices, &one, &ProfileClass::OnDemand, None), MicroUsd(1));
}

#[test]
fn the_largest_numbers_saturate_instead_of_wrapping() {
    let huge = Usage {
        input: u64::MAX,
        output: u64::MAX,
        cache_read: u64::MAX,
        cache_write_5m: u64::MAX,
        cache_write_1h: u64::MAX,
        reasoning: None,
    };
    let prices = PriceList { input: PicoUsdPerToken(u64::MAX), output: PicoUsdPerToken(u64::MAX), ..list() };
    assert_eq!(cost(&prices, &huge, &geography("us"), Some(ServiceTier::Priority)), MicroUsd(i64::MAX));
}

fn any_usage(most: u64) -> impl Strategy<Value = Usage> {
    (0..most, 0..most, 0..most, 0..most, 0..most).prop_map(|(input, output, cache_read, cache_write_5m, cache_write_1h)| Usage {
        input,
        output,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        reasoning: None,
    })
}

fn any_class() -> impl Strategy<Value = ProfileClass> {
    prop_oneof![
        Just(ProfileClass::OnDemand),
        Just(ProfileClass::Global),
        Just(geography("eu")),
        Just(geography("us-gov")),
        Just(ProfileClass::Application(Some("us-gov".into()))),
    ]
}

fn any_tier() -> impl Strategy<Value = Option<ServiceTier>> {
    prop_oneof![Just(None), Just(Some(ServiceTier::Flex)), Just(Some(ServiceTier::Priority)), Just(Some(ServiceTier::Default))]
}

proptest! {
    /// The same sum over hundredths: every factor and price of `list()` is a whole number of them.
    #[test]
    fn cost_equals_exact_rational_arithmetic(usage in any_usage(5_000_000), class in any_class(), tier in any_tier()) {
        let long = usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h > 1_000;
        let (input_tenths, output_tenths) = if long { (20u128, 15u128) } else { (10, 10) };
        let class_tenths = match &class {
            ProfileClass::OnDemand | ProfileClass::Global => 10u128,
            ProfileClass::Geography(eu) if eu.as_str() == "eu" => 11,
            _ => 12,
        };
        let tier_hundredths = match tier { Some(ServiceTier::Flex) => 50u128, Some(ServiceTier::Priority) => 175, _ => 100 };
        let cents_of_micro = 300 * u128::from(usage.input) + 30 * u128::from(usage.cache_read)
            + 375 * u128::from(usage.cache_write_5m) + 600 * u128::from(usage.cache_write_1h);
        let numerator = (cents_of_micro * input_tenths + 1_500 * u128::from(usage.output) * output_tenths) * class_tenths * tier_hundredths;
        let denominator = 100u128 * 10 * 10 * 100;
        let expected = (2 * numerator + denominator) / (2 * denominator);
        prop_assert_eq!(cost(&list(), &usage, &class, tier), MicroUsd(i64::try_from(expected).unwrap()));
    }

    #[test]
    fn cost_is_never_negative_whatever_the_numbers(
        input in any::<u64>(), output in any::<u64>(), price in any::<u64>(), class in any_class(), tier in any_tier(),
    ) {
        let prices = PriceList { input: PicoUsdPerToken(price), ..list() };
        let usage = Usage { input, output, ..Usage::default() };
        prop_assert!(cost(&prices, &usage, &class, tier) >= MicroUsd(0));
    }

    #[test]
    fn more_tokens_never_cost_less_and_the_parts_add_up(
        a in any_usage(200_000), b in any_usage(200_000), class in any_class(), tier in any_tier(),
    ) {
        let mut prices = list();
        let mut both = a;
        both.add(&b);
        prop_assert!(cost(&prices, &both, &class, tier) >= cost(&prices, &a, &class, tier));
        prices.rule.long_context = None;
        let parts = cost(&prices, &a, &class, tier).0 + cost(&prices, &b, &class, tier).0;
        prop_assert!((cost(&prices, &both, &class, tier).0 - parts).abs() <= 1, "each part is rounded by at most half a micro-dollar");
    }
}
