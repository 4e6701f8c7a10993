//! One more try for a request that upstream refused for something it can do without.

use std::sync::Arc;

use bytes::Bytes;
use outcrop_domain::{
    error::{Cause, GatewayError, UpstreamFailure},
    model::{BetaRules, Target},
};
use outcrop_translate::{
    dialect::notes::Strictness,
    transparent::{
        count,
        heal::{Healed, Remedy, heal},
    },
};
use outcrop_upstream::ports::BoxFuture;

use super::{
    ChatContext,
    attempt::{Answered, Attempts},
    heavy,
    prepare::{Ask, Prepared, strictness},
    tally::CallLog,
    wire::Reading,
};
use crate::{
    catalogue::{FlagKeeperMsg, Refusal},
    targets::RegionHandle,
};

/// Calls until a target answers, with a body that is healed where upstream refuses it: each remedy once, on the same target.
///
/// # Errors
/// As [`Attempts::run`].
pub(super) async fn run<T, F>(
    context: &ChatContext,
    prepared: &Prepared,
    ask: &Ask,
    log: &CallLog,
    attempts: &mut Attempts<'_>,
    mut call: F,
) -> Result<Answered<T>, GatewayError>
where
    F: FnMut(&Bytes, &Target, &RegionHandle) -> BoxFuture<'static, Result<T, UpstreamFailure>>,
{
    let mut body = ask.bytes.clone();
    let mut tried: Vec<Remedy> = Vec::new();
    let mut refused: Vec<String> = Vec::new();
    // The refusal that was healed, and the calls made by then.
    let mut before: Option<(GatewayError, usize)> = None;
    loop {
        let answered = attempts.run(|target, handle| call(&body, target, handle)).await;
        if let Some((refusal, made)) = before.take().filter(|_| answered.is_err())
            && made == attempts.made()
        {
            // No call was left for the healed body: what upstream said last is what there is to say.
            return Err(refusal);
        }
        let failure = match &answered {
            Err(GatewayError::Upstream(failure)) if failure.cause == Cause::BadRequest => failure.clone(),
            _ => {
                if answered.is_ok() && !refused.is_empty() {
                    remember(context, prepared, refused);
                }
                return answered;
            }
        };
        // In a box: few bodies are refused, and all would make room for it.
        let healed = Box::pin(healed(context, prepared, ask, &body, &failure, strictness(&attempts.settings.chat))).await;
        let Some(healed) = healed.filter(|healed| !tried.contains(&healed.remedy)) else { return answered };
        if !attempts.once_more() {
            return answered;
        }
        let model = &prepared.resolution.model.id;
        tracing::info!(model.id = %model, remedy = healed.remedy.as_str(), error = %failure.message, "a refused body is sent once more without what was refused");
        metrics::counter!("outcrop_healed_total", "model" => model.to_string(), "remedy" => healed.remedy.as_str()).increment(1);
        tried.push(healed.remedy);
        log.healed(healed.adjustments);
        // What is refused to a count may be taken by a call: the two are different services.
        if !ask.wire.is_aside() {
            refused.extend(healed.refused_flags);
        }
        body = Bytes::from(healed.body);
        before = Some((GatewayError::Upstream(failure), attempts.made()));
    }
}

async fn healed(
    context: &ChatContext,
    prepared: &Prepared,
    ask: &Ask,
    body: &Bytes,
    failure: &UpstreamFailure,
    strictness: Strictness,
) -> Option<Healed> {
    type Heal = fn(&[u8], &str, &BetaRules, Strictness) -> Option<Healed>;
    let (rules, heal): (_, Heal) = match &ask.wire.reading {
        Reading::Messages(rules) => (rules, heal),
        Reading::Count(Some(rules)) => (rules, count::heal),
        Reading::Count(None) | Reading::Native { .. } | Reading::Hub(_) => return None,
    };
    let (rules, body, words): (Arc<BetaRules>, Bytes, String) = (Arc::clone(rules), body.clone(), failure.message.clone());
    let held = prepared.held.clone();
    heavy::by_size(context.ports.blocking.as_ref(), body.len(), move || {
        let _held = held;
        heal(&body, &words, &rules, strictness)
    })
    .await
    .ok()?
}

/// The next requests do without these flags at once.
fn remember(context: &ChatContext, prepared: &Prepared, flags: Vec<String>) {
    let refusal = Refusal { model: prepared.resolution.model.id.clone(), flags };
    if context.flag_keeper.cast(FlagKeeperMsg::Refused(refusal)).is_err() {
        tracing::debug!("the flag keeper is restarting: the flags are found out once more");
    }
}
