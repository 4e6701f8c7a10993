//! Keepers, discovery, and what their deaths leave behind.

use std::{sync::atomic::Ordering, time::Duration};

use outcrop_domain::{
    error::Cause,
    model::{CataloguePolicy, OfferPart, OfferProblem, RegionOffer},
    secret::SecretString,
};
use outcrop_gateway::{
    admission::{KeyEntry, KeySnapshot},
    ports::Reload,
    settings::{ChatPolicy, LiveSettings},
};

use super::kit::{MODEL, TestTree, book, failure, hello, offer, settings};

#[tokio::test(start_paused = true)]
async fn a_reload_replaces_settings_keys_and_model_policy_together() {
    let tree = TestTree::start(&["us-east-1"]).await;
    let ports = tree.gateway.ports();
    let reload = Reload {
        settings: LiveSettings { chat: ChatPolicy { max_choices: 1, ..ChatPolicy::default() }, ..settings() },
        keys: KeySnapshot::new(
            &[KeyEntry { id: "new".into(), secret: SecretString::new("sk-new".to_owned()), models: Vec::new(), strategy: None }],
            true,
            tree.world.entropy.as_ref(),
        ),
        book: book(),
        policy: CataloguePolicy {
            regions: vec!["us-east-1".into()],
            deny_models: vec!["amazon.*".to_owned()],
            ..CataloguePolicy::default()
        },
    };
    ports.tree.reload(reload).unwrap();
    tree.until(|| ports.keys.load().find("sk-new").is_some()).await;
    assert!(ports.keys.load().find("sk-team").is_none());
    tree.until(|| ports.catalogue.load().resolve(MODEL).is_err()).await;
    let report = ports.describe().await;
    assert_eq!((report.settings.unwrap().replaced, report.keys.unwrap().keys), (1, 1));
    // What was reloaded survives the death of the keepers.
    for name in ["settings-keeper", "key-directory", "catalogue-keeper"] {
        tree.kill(name).await;
    }
    assert!(ports.keys.load().find("sk-new").is_some());
    tree.until(|| ports.catalogue.load().is_ready()).await;
    assert!(ports.catalogue.load().resolve(MODEL).is_err(), "the reloaded policy is still in force");
}

#[tokio::test(start_paused = true)]
async fn killing_any_actor_leaves_a_gateway_that_answers() {
    let tree = TestTree::start(&["us-east-1", "us-west-2"]).await;
    let names: Vec<String> = tree.gateway.ports().tree.killables().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), 23, "{names:?}");
    for name in names {
        tree.kill(&name).await;
        tree.until(|| tree.gateway.ports().tree.not_ready().is_empty()).await;
        assert!(tree.ask_text().await.is_ok(), "after {name} was killed");
        // Let the restart window pass: this test is about single deaths.
        tokio::time::sleep(Duration::from_secs(61)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_chance_in_every_restart_delay_comes_from_the_port() {
    let tree = TestTree::start(&["us-east-1"]).await;
    for (name, _) in tree.gateway.ports().tree.killables() {
        let before = tree.ported.drawn();
        tree.kill(&name).await;
        assert_eq!(tree.ported.drawn(), before + 1, "{name}");
        tree.until(|| tree.gateway.ports().tree.not_ready().is_empty()).await;
        tokio::time::sleep(Duration::from_secs(61)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn discovery_asks_on_its_timer_and_survives_a_failing_region() {
    let tree = TestTree::start(&["us-east-1", "us-west-2"]).await;
    assert_eq!(tree.controls[0].asked.load(Ordering::Relaxed), 1);
    tree.controls[0].answers.lock().unwrap().push_back(Err(failure(Cause::AccessDenied, "not authorized to list models")));
    tokio::time::sleep(Duration::from_secs(901)).await;
    let report = tree.gateway.ports().describe().await;
    let first = &report.discovery[0];
    assert_eq!(first.failures_in_a_row, 1);
    assert!(first.last_failure.as_ref().unwrap().contains("not authorized to list models"));
    assert!(report.catalogue.unwrap().regions["us-east-1"].failure.is_some());
    assert!(tree.ask_text().await.is_ok(), "what the region offered before stays");
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(tree.gateway.ports().describe().await.discovery[0].failures_in_a_row, 0, "it was asked again soon");
}

#[tokio::test(start_paused = true)]
async fn half_an_offer_takes_nothing_away_and_is_asked_for_again_soon() {
    let tree = TestTree::start(&["us-east-1"]).await;
    let problem = OfferProblem { part: OfferPart::Models, words: "ListFoundationModels: TotalTimeout".to_owned() };
    let half = RegionOffer { models: Vec::new(), problems: vec![problem], ..offer("us-east-1") };
    tree.controls[0].answers.lock().unwrap().push_back(Ok(half));
    tree.gateway.ports().tree.refresh_models();
    tree.until(|| tree.controls[0].asked.load(Ordering::Relaxed) == 2).await;
    let report = tree.gateway.ports().describe().await.discovery;
    assert_eq!((report[0].failures_in_a_row, report[0].last_failure.as_deref()), (1, Some("ListFoundationModels: TotalTimeout")));
    assert!(tree.ask_text().await.is_ok(), "what the list held before still counts");
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(tree.controls[0].asked.load(Ordering::Relaxed), 3);
    assert_eq!(tree.gateway.ports().describe().await.discovery[0].failures_in_a_row, 0);
}

#[tokio::test(start_paused = true)]
async fn an_offer_that_nobody_took_is_asked_for_again_soon() {
    let tree = TestTree::start(&["us-east-1"]).await;
    // Its place is empty until it is started again.
    tree.cell("catalogue-keeper").unwrap().kill();
    tree.until(|| tree.cell("catalogue-keeper").is_none()).await;
    tree.gateway.ports().tree.refresh_models();
    tree.until(|| tree.controls[0].asked.load(Ordering::Relaxed) == 2).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(tree.controls[0].asked.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_asks_every_region_at_once() {
    let tree = TestTree::start(&["us-east-1", "us-west-2"]).await;
    tree.gateway.ports().tree.refresh_models();
    tree.until(|| tree.controls.iter().all(|control| control.asked.load(Ordering::Relaxed) == 2)).await;
    tokio::time::sleep(Duration::from_secs(901)).await;
    assert_eq!(tree.controls[0].asked.load(Ordering::Relaxed), 3, "one timer, however often it is refreshed");
}

#[tokio::test(start_paused = true)]
async fn a_model_that_leaves_a_region_leaves_its_routes() {
    let tree = TestTree::start(&["us-east-1", "us-west-2"]).await;
    let mut without = offer("us-east-1");
    without.models.clear();
    tree.controls[0].answers.lock().unwrap().push_back(Ok(without));
    tree.gateway.ports().tree.refresh_models();
    let catalogue = &tree.gateway.ports().catalogue;
    tree.until(|| catalogue.load().resolve(MODEL).is_ok_and(|resolution| resolution.targets.len() == 1)).await;
    tree.ask(&hello(false)).await.unwrap();
    assert_eq!((tree.regions[0].calls(), tree.regions[1].calls()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_restart_storm_in_one_place_ends_the_tree_rather_than_hiding() {
    let mut tree = TestTree::start(&["us-east-1"]).await;
    let ended = async {
        loop {
            if let Some(cell) = tree.cell("settings-keeper") {
                cell.kill();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            if tree
                .gateway
                .ports()
                .describe()
                .await
                .tree
                .is_some_and(|tree| !matches!(tree.status, outcrop_supervision::SupervisorStatus::Running))
            {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(600), ended).await.unwrap();
    assert!(matches!(tree.gateway.ended().await, outcrop_supervision::RootExit::Failed { .. }));
}
