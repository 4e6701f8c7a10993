//! Integers and numbers within bounds.

use serde_json::{Map, Number, Value};

use super::super::hints::Hints;

/// An integer for the schema, from the text if one fits.
pub(super) fn integer(schema: &Map<String, Value>, hints: &Hints, variant: usize) -> Value {
    let bounds = Bounds::of(schema);
    let low = bounds.low.map(|(low, open)| if open { (low.floor() + 1.0).max(low.ceil()) } else { low.ceil() });
    let high = bounds.high.map(|(high, open)| if open { (high.ceil() - 1.0).min(high.floor()) } else { high.floor() });
    let step = bounds.step.filter(|step| *step >= 1.0 && step.fract() == 0.0).unwrap_or(1.0);
    let shift = i64::try_from(variant).unwrap_or(i64::MAX);
    let spoken = hints.numbers.get(variant).and_then(Number::as_i64).filter(|number| {
        let number = *number as f64;
        low.is_none_or(|low| number >= low) && high.is_none_or(|high| number <= high) && number % step == 0.0
    });
    if let Some(number) = spoken {
        return Value::Number(Number::from(number));
    }
    let start = match (low, high) {
        (Some(low), _) => (low / step).ceil() as i64,
        (None, Some(high)) if high < 1.0 => (high / step).floor() as i64,
        _ => i64::from(step == 1.0),
    };
    let last = high.map(|high| (high / step).floor() as i64);
    Value::Number(Number::from(stepped(start, last, shift, low.is_some()).saturating_mul(step as i64)))
}

/// The `shift`-th count from `start`: upwards to `last`, then around again, or downwards where nothing bounds it below.
fn stepped(start: i64, last: Option<i64>, shift: i64, bounded_below: bool) -> i64 {
    let Some(last) = last else { return start.saturating_add(shift) };
    let span = last.saturating_sub(start).saturating_add(1).max(1);
    match (shift < span, bounded_below) {
        (true, _) => start.saturating_add(shift),
        (false, true) => start.saturating_add(shift % span),
        (false, false) => start.saturating_sub(shift - span + 1),
    }
}

/// A number for the schema, whole where possible.
pub(super) fn number(schema: &Map<String, Value>, hints: &Hints, variant: usize) -> Value {
    let bounds = Bounds::of(schema);
    let shift = u32::try_from(variant).map_or(f64::MAX, f64::from);
    if let Some(number) = hints.numbers.get(variant).filter(|number| number.as_f64().is_some_and(|number| bounds.hold(number))) {
        return Value::Number(number.clone());
    }
    if let Some(step) = bounds.step {
        let least = bounds.low.map(|(low, open)| {
            let count = (low / step).ceil();
            if open && count * step <= low { count + 1.0 } else { count }
        });
        let most = bounds.high.map(|(high, open)| {
            let count = (high / step).floor();
            if open && count * step >= high { count - 1.0 } else { count }
        });
        let start = least.unwrap_or_else(|| most.map_or(0.0, |most| most.min(0.0)));
        let count = stepped(start as i64, most.map(|most| most as i64), i64::try_from(variant).unwrap_or(i64::MAX), least.is_some());
        return plain(count as f64 * step);
    }
    let low = bounds.low.map(|(low, _)| low);
    let high = bounds.high.map(|(high, _)| high);
    let candidates = match (low, high) {
        (Some(low), Some(high)) => [low.ceil() + shift, low.floor() + 1.0 + shift, low + (high - low) / (2.0 + shift), low],
        (Some(low), None) => [low.ceil() + shift, low.floor() + 1.0 + shift, low + 1.0 + shift, low],
        (None, Some(high)) => [high.floor() - shift, high.ceil() - 1.0 - shift, high - 1.0 - shift, high],
        (None, None) => [1.0 + shift; 4],
    };
    plain(candidates.into_iter().find(|number| bounds.hold(*number)).unwrap_or(candidates[2]))
}

/// Whole numbers are written without a fraction.
fn plain(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e15 {
        return Value::Number(Number::from(number as i64));
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// Bounds with their openness.
struct Bounds {
    low: Option<(f64, bool)>,
    high: Option<(f64, bool)>,
    step: Option<f64>,
}

impl Bounds {
    fn of(schema: &Map<String, Value>) -> Self {
        let number = |key: &str| schema.get(key).and_then(Value::as_f64);
        // Draft 4 writes the exclusive form as a flag.
        let flag = |key: &str| schema.get(key) == Some(&Value::Bool(true));
        let low = tighter(number("minimum").map(|low| (low, flag("exclusiveMinimum"))), number("exclusiveMinimum"), |old, new| new >= old);
        let high =
            tighter(number("maximum").map(|high| (high, flag("exclusiveMaximum"))), number("exclusiveMaximum"), |old, new| new <= old);
        Self { low, high, step: number("multipleOf").filter(|step| *step > 0.0) }
    }

    fn hold(&self, number: f64) -> bool {
        let above = self.low.is_none_or(|(low, open)| if open { number > low } else { number >= low });
        let below = self.high.is_none_or(|(high, open)| if open { number < high } else { number <= high });
        let fits = self.step.is_none_or(|step| {
            let count = number / step;
            (count - count.round()).abs() < 1e-9
        });
        above && below && fits
    }
}

fn tighter(closed: Option<(f64, bool)>, open: Option<f64>, stricter: fn(f64, f64) -> bool) -> Option<(f64, bool)> {
    match (closed, open) {
        (Some((closed, _)), Some(open)) if stricter(closed, open) => Some((open, true)),
        (None, Some(open)) => Some((open, true)),
        (closed, _) => closed,
    }
}

/// Whether a JSON number satisfies the bounds of a schema.
pub(super) fn within(schema: &Map<String, Value>, number: f64) -> bool {
    Bounds::of(schema).hold(number)
}
