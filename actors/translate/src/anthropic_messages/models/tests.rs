use std::sync::Arc;

use outcrop_domain::model::{BUILTIN, ModelBook};
use serde_json::{Value, json};

use super::*;

const NOVA: &str = "amazon.nova-2-lite-v1:0";

fn spec(id: &str) -> Arc<ModelSpec> {
    ModelBook::load(BUILTIN).unwrap().get(id).unwrap().clone()
}

/// Models that differ in name and age alone.
fn models(rows: &[(&str, Option<&str>, Lifecycle)]) -> Vec<ListedModel> {
    let nova = spec(NOVA);
    let of = |(id, released, lifecycle): &(&str, Option<&str>, Lifecycle)| {
        let released = released.map(|day| day.parse().unwrap());
        let spec = ModelSpec { id: (*id).into(), released, lifecycle: *lifecycle, ..(*nova).clone() };
        ListedModel { id: spec.id.clone(), spec: Arc::new(spec), regions: Vec::new(), aliases: Vec::new() }
    };
    rows.iter().map(of).collect()
}

fn entries(models: &[ListedModel]) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> = models.iter().map(|model| Entry { id: model.id.as_str(), model }).collect();
    newest_first(&mut entries);
    entries
}

/// Five models, `e` the newest.
fn five() -> Vec<ListedModel> {
    models(&[
        ("a", None, Lifecycle::Active),
        ("b", Some("2025-01-01"), Lifecycle::Legacy),
        ("c", Some("2025-06-01"), Lifecycle::Active),
        ("d", Some("2026-01-01"), Lifecycle::Active),
        ("e", Some("2026-06-01"), Lifecycle::Active),
    ])
}

/// Ids of a page, and the members beside them.
fn asked(query: &str) -> Result<(String, bool, Option<String>, Option<String>), String> {
    let models = five();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = PageQuery::parse(pairs).map_err(|error| error.to_string())?;
    let page = page(&entries(&models), &query).map_err(|error| error.to_string())?;
    let ids = page.data.iter().map(|model| model.id.as_ref()).collect();
    Ok((ids, page.has_more, page.first_id.map(Cow::into_owned), page.last_id.map(Cow::into_owned)))
}

fn page_of(ids: &str, more: bool) -> Result<(String, bool, Option<String>, Option<String>), String> {
    let end = |id: Option<char>| id.map(String::from);
    Ok((ids.to_owned(), more, end(ids.chars().next()), end(ids.chars().last())))
}

#[test]
fn the_newest_come_first_and_the_undated_last() {
    assert_eq!(asked(""), page_of("edcba", false));
}

#[test]
fn pages_follow_each_other_forwards_and_backwards() {
    assert_eq!(asked("limit=2"), page_of("ed", true));
    assert_eq!(asked("limit=2&after_id=d"), page_of("cb", true));
    assert_eq!(asked("limit=2&after_id=b&beta=true"), page_of("a", false));
    assert_eq!(asked("limit=2&before_id=b"), page_of("dc", true));
    assert_eq!(asked("limit=2&before_id=c"), page_of("ed", false));
    assert_eq!(asked("before_id=e"), Ok((String::new(), false, None, None)));
    assert_eq!(asked("after_id=a"), Ok((String::new(), false, None, None)));
}

#[test]
fn every_page_size_walks_the_whole_list() {
    for limit in 1..7 {
        let (mut walked, mut cursor) = (String::new(), String::new());
        loop {
            let (ids, more, _, last) = asked(&format!("limit={limit}{cursor}")).unwrap();
            walked.push_str(&ids);
            if !more {
                break;
            }
            cursor = format!("&after_id={}", last.unwrap());
        }
        assert_eq!(walked, "edcba", "{limit}");
    }
}

#[test]
fn stages_of_life_narrow_the_list() {
    assert_eq!(asked("lifecycle=deprecated"), page_of("b", false));
    assert_eq!(asked("lifecycle[]=active&limit=2&after_id=c"), page_of("a", false));
    assert_eq!(asked("lifecycle=active&lifecycle=deprecated"), page_of("edcba", false));
}

#[test]
fn wrong_queries_are_refused_in_anthropics_words() {
    for (query, words) in [
        ("limit=0", "limit: Input should be greater than or equal to 1"),
        ("limit=1001", "limit: Input should be less than or equal to 1000"),
        ("limit=99999999999999999999", "limit: Input should be a valid integer"),
        ("limit=many", "limit: Input should be a valid integer"),
        ("after_id=a&before_id=b", "before_id: only one of `after_id` and `before_id` may be given"),
        ("after_id=x", "after_id: no model of this id is in the list"),
        ("lifecycle=old", "lifecycle: Input should be 'active', 'deprecated' or 'retired'"),
    ] {
        assert_eq!(asked(query), Err(words.to_owned()), "{query}");
    }
}

#[test]
fn claude_codes_discovery_gets_everything_at_once() {
    assert_eq!(asked("limit=1000"), page_of("edcba", false));
}

#[test]
fn a_model_is_shown_with_every_member_the_official_client_knows() {
    let spec = spec(NOVA);
    let shown = serde_json::to_value(info("nova-2-lite", &spec)).unwrap();
    let yes = json!({"supported": true});
    let no = json!({"supported": false});
    assert_eq!(
        shown,
        json!({
            "type": "model", "id": "nova-2-lite", "display_name": "Nova 2 Lite", "created_at": EPOCH, "lifecycle": "active",
            "deprecated_at": null, "retires_at": null, "max_input_tokens": 1_000_000, "max_tokens": 64_000,
            "capabilities": {
                "batch": no, "citations": no, "code_execution": no, "context_management": no,
                "effort": {"supported": true, "low": yes, "medium": yes, "high": yes, "xhigh": no, "max": no},
                "image_input": yes, "pdf_input": yes,
                "server_tools": {"supported": true, "web_search": yes, "code_execution": yes},
                "structured_outputs": yes,
                "thinking": {"supported": true, "types": {"adaptive": yes, "between_tools": yes, "disabled": yes, "enabled": yes}},
            },
        })
    );
}

#[test]
fn days_are_written_as_points_in_time() {
    let spec = ModelSpec {
        released: Some("2025-05-14".parse().unwrap()),
        shutdown: Some("2027-03-30".parse().unwrap()),
        lifecycle: Lifecycle::Legacy,
        ..(*spec(NOVA)).clone()
    };
    let shown = info("x", &spec);
    assert_eq!(
        (shown.created_at.as_ref(), shown.retires_at.as_deref(), shown.lifecycle.as_ref()),
        ("2025-05-14T00:00:00Z", Some("2027-03-30T00:00:00Z"), "deprecated")
    );
}

#[test]
fn every_model_of_the_book_can_be_shown() {
    for spec in ModelBook::load(BUILTIN).unwrap().models() {
        let shown: Value = serde_json::to_value(info(spec.id.as_str(), spec)).unwrap();
        assert_eq!(shown["capabilities"].is_null(), spec.chat.is_none(), "{}", spec.id);
        let Some(chat) = &spec.chat else { continue };
        let efforts = &shown["capabilities"]["effort"];
        let any = ["low", "medium", "high", "xhigh", "max"].iter().any(|word| efforts[word]["supported"] == true);
        assert_eq!(efforts["supported"] == true, any, "{}", spec.id);
        assert_eq!(shown["capabilities"]["thinking"]["supported"] == true, chat.reasoning != ReasoningDialect::None, "{}", spec.id);
    }
}
