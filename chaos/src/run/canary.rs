//! After the run: one small request for each part, again and again until it succeeds or its time is over.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::JoinSet, time::sleep};

use crate::{
    draw::Draw,
    history::{Request, Role},
    load::{Asked, CANARY_KEY, Client, LOAD_KEY},
    plan::{Prompts, nonce_text},
    scenario::{Dialect, Scenario},
};

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);
/// Ids of canaries lie far from those of the load.
const FIRST_ID: u64 = 1 << 40;

/// Sends canaries to every region, or to the target as a whole where regions cannot be named.
pub(super) async fn send(
    scenario: &Arc<Scenario>,
    client: &Client,
    prompts: &Prompts,
    seed: u64,
    by_region: bool,
    records: &mpsc::UnboundedSender<Request>,
) {
    let parts: Vec<Option<String>> =
        if by_region { scenario.regions.iter().map(|region| Some(region.name.clone())).collect() } else { vec![None] };
    let began = tokio::time::Instant::now();
    let patience = Duration::from(scenario.rules.longest_backoff);
    let mut waiting: Vec<(Option<String>, bool)> = parts.iter().flat_map(|part| [(part.clone(), true), (part.clone(), false)]).collect();
    let mut id = FIRST_ID;
    while !waiting.is_empty() && began.elapsed() < patience {
        let mut still = Vec::new();
        for (region, stream) in waiting {
            id += 1;
            let done = canary(scenario, client, prompts, seed, id, region.as_deref(), stream).await;
            if !done.succeeded() {
                still.push((region, stream));
            }
            if records.send(done).is_err() {
                tracing::error!("nobody takes the records of canaries");
            }
        }
        waiting = still;
        if !waiting.is_empty() {
            sleep(PAUSE).await;
        }
    }
}

/// Spends at once what the load's key must have left.
pub(super) async fn spend(
    scenario: &Arc<Scenario>,
    client: &Client,
    prompts: &Prompts,
    seed: u64,
    records: &mpsc::UnboundedSender<Request>,
) {
    let mut running = JoinSet::new();
    for number in 0..scenario.rules.spend {
        let id = FIRST_ID * 2 + number;
        let Some(model) = scenario.models.first() else { return };
        let nonce = Draw::stream(seed, "spend", id).bits();
        let now = client.now();
        let request = Request {
            id,
            kind: "spend".to_owned(),
            role: Role::Spend,
            nonce: nonce_text(nonce),
            key: LOAD_KEY.to_owned(),
            model: model.ask.clone(),
            model_id: model.id.clone(),
            stream: true,
            intended: now,
            deadline: now.plus(scenario.load.deadline.into()),
            ..Request::default()
        };
        let Ok(body) = prompts.small(&request.model, nonce, true) else { return };
        let client = client.clone();
        running.spawn(async move { client.ask(Asked { request, dialect: Dialect::Chat, body, deed: None }).await });
    }
    while let Some(done) = running.join_next().await {
        if done.is_ok_and(|done| records.send(done).is_err()) {
            tracing::error!("nobody takes the records of what was spent");
        }
    }
}

async fn canary(
    scenario: &Scenario,
    client: &Client,
    prompts: &Prompts,
    seed: u64,
    id: u64,
    region: Option<&str>,
    stream: bool,
) -> Request {
    let nonce = Draw::stream(seed, "canary", id).bits();
    let now = client.now();
    let form = if stream { "streamed" } else { "whole" };
    let Some(model) = scenario.models.first() else { return Request::default() };
    let request = Request {
        id,
        kind: "canary".to_owned(),
        role: Role::Canary { part: region.map_or_else(|| form.to_owned(), |region| format!("{region}, {form}")) },
        nonce: nonce_text(nonce),
        key: CANARY_KEY.to_owned(),
        model: region.map_or_else(|| model.ask.clone(), |region| format!("bedrock/{region}/{}", model.id)),
        model_id: model.id.clone(),
        fence: region.map(str::to_owned).into_iter().collect(),
        stream,
        intended: now,
        deadline: now.plus(scenario.load.deadline.into()),
        ..Request::default()
    };
    match prompts.small(&request.model, nonce, stream) {
        Ok(body) => client.ask(Asked { request, dialect: Dialect::Chat, body, deed: None }).await,
        Err(error) => {
            tracing::error!(%error, "a canary's body could not be written");
            request
        }
    }
}
