//! The load of a scenario.

use std::time::Duration;

use outcrop_sim::Amount;

use super::{Arrivals, ConversationPlan, Dialect, KindPlan, LoadPlan, ModelPlan, RegionPlan, parts::foreign, section::Section};

/// Requests at once, unless told otherwise: more than any scenario needs while it goes well.
const MAX_IN_FLIGHT: u64 = 2_000;
/// Longest time of a request, unless told otherwise.
const DEADLINE: Duration = Duration::from_secs(60);
/// Clients that come back when they were told to. Source: invariant I8.
const OBEDIENT: f64 = 0.1;
/// Tokens of a chat turn, unless told otherwise.
const INPUT_TOKENS: Amount = Amount { p50: 300, p99: Some(2_000), cap: None };
/// `max_tokens`, unless told otherwise.
const MAX_TOKENS: u64 = 1_000;
/// Time between two turns of a conversation, unless told otherwise.
const THINK: Duration = Duration::from_secs(25);

pub(super) fn load(section: &mut Section, models: &[ModelPlan], regions: &[RegionPlan]) -> LoadPlan {
    let nothing =
        || LoadPlan { arrivals: Arrivals::Poisson, max_in_flight: 0, deadline: DEADLINE, reuse: true, obedient: OBEDIENT, mix: Vec::new() };
    let Some(mut load) = section.section("load") else {
        section.complain(&section.place.clone(), "a scenario needs `load`");
        return nothing();
    };
    let arrivals = match load.text("arrivals").as_deref() {
        None | Some("poisson") => Arrivals::Poisson,
        Some("even") => Arrivals::Even,
        Some(other) => {
            load.complain(&load.place.clone(), format!("arrivals are \"poisson\" or \"even\", not {other:?}"));
            Arrivals::Poisson
        }
    };
    let plan = LoadPlan {
        arrivals,
        max_in_flight: usize::try_from(load.whole("max_in_flight").unwrap_or(MAX_IN_FLIGHT)).unwrap_or(usize::MAX),
        deadline: load.duration("deadline").unwrap_or(DEADLINE),
        reuse: load.truth("reuse").unwrap_or(true),
        obedient: load.share("obedient").unwrap_or(OBEDIENT),
        mix: load.sections("mix").into_iter().map(|kind| self::kind(kind, models, regions)).collect(),
    };
    if plan.mix.is_empty() {
        load.complain(&load.place.clone(), "the load needs a `mix`");
    }
    load.finish();
    plan
}

fn kind(mut section: Section, models: &[ModelPlan], regions: &[RegionPlan]) -> KindPlan {
    let dialect = dialect(&mut section);
    let model = match section.text("model") {
        None => Some(0),
        Some(name) => {
            let index = models.iter().position(|model| model.ask == name || model.id == name);
            if index.is_none() {
                section.complain(&section.place.clone(), format!("there is no model `{name}`"));
            }
            index
        }
    };
    let stream = section.truth("stream").unwrap_or(true);
    let tools = section.whole("tools").unwrap_or(0);
    let fence = section.texts("regions");
    for region in fence.iter().filter(|region| !regions.iter().any(|known| known.name == **region)) {
        section.complain(&section.place.clone(), format!("there is no region `{region}`"));
    }
    if fence.len() > 1 {
        section.complain(&section.place.clone(), "a kind runs everywhere or in one region");
    }
    let conversation = section.section("conversation").map(conversation);
    let usual = match (&conversation, stream) {
        (Some(_), _) => "agent",
        (None, true) => "chat",
        (None, false) => "whole",
    };
    let kind = KindPlan {
        name: section.text("name").unwrap_or_else(|| usual.to_owned()),
        weight: section.number("weight").unwrap_or(1.0),
        dialect,
        model: model.unwrap_or(0),
        stream,
        tools,
        image_kb: section.whole("image_kb").unwrap_or(0),
        input_tokens: amount(&mut section, "input_tokens").unwrap_or(INPUT_TOKENS),
        max_tokens: section.whole("max_tokens").unwrap_or(MAX_TOKENS),
        conversation,
        fence,
    };
    section.finish();
    kind
}

fn dialect(section: &mut Section) -> Dialect {
    let Some(name) = section.text("dialect") else { return Dialect::default() };
    Dialect::named(&name).unwrap_or_else(|| {
        let known = Dialect::ALL.map(|(name, _)| name).join(", ");
        section.complain(&section.place.clone(), format!("`{name}` is no dialect that clients speak: {known}"));
        Dialect::default()
    })
}

fn conversation(mut section: Section) -> ConversationPlan {
    let plan = ConversationPlan {
        turns: u32::try_from(section.whole("turns").unwrap_or(6)).unwrap_or(u32::MAX).max(1),
        prefix_tokens: amount(&mut section, "prefix_tokens").unwrap_or(Amount { p50: 3_000, p99: None, cap: None }),
        grow_tokens: section.whole("grow_tokens").unwrap_or(0),
        think: section.duration("think").unwrap_or(THINK),
    };
    section.finish();
    plan
}

/// `300` or `{ p50 = 300, p99 = 2000, cap = 4000 }`.
fn amount(section: &mut Section, key: &str) -> Option<Amount> {
    let node = section.take(key)?;
    if let super::tree::Value::Whole(number) = node.value {
        return Some(Amount { p50: u64::try_from(number).unwrap_or(0), p99: None, cap: None });
    }
    foreign(section, &node)
}
