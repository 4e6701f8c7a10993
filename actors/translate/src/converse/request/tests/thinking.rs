//! Reasoning: replay and request, dialect by dialect.

use outcrop_domain::{
    chat::{ChatRequest, Content, Effort, Reasoning, ReasoningMode, ReasoningRequest, ReasoningVisibility, Sampling, ToolChoice},
    model::{ChatCapabilities, ReasoningDialect},
};
use serde_json::{Value, json};

use super::{Written, asking, assistant, call, options, presets, result, signed, text, tool, unsigned, user, users, written, written_with};

fn thinking(effort: Option<Effort>, budget_tokens: Option<u32>, max_tokens: Option<u32>) -> ChatRequest {
    let reasoning = ReasoningRequest { mode: ReasoningMode::On, effort, budget_tokens, ..ReasoningRequest::default() };
    ChatRequest { reasoning, max_tokens, ..asking(vec![user("Hi")]) }
}

fn off() -> ChatRequest {
    let reasoning = ReasoningRequest { mode: ReasoningMode::Off, ..ReasoningRequest::default() };
    ChatRequest { reasoning, ..asking(vec![user("Hi")]) }
}

fn outcome(written: &Written) -> (Value, Value, String) {
    (written.fields().clone(), written.json["inferenceConfig"]["maxTokens"].clone(), written.adjusted())
}

fn history() -> Vec<Content> {
    vec![
        text("Answer."),
        signed("because"),
        Content::Reasoning(Reasoning::Text { text: String::new(), signature: Some("only".to_owned()) }),
        Content::Reasoning(Reasoning::Redacted("cmVk".to_owned())),
        unsigned("loose"),
    ]
}

#[test]
fn pain_02_signed_and_redacted_reasoning_returns_byte_for_byte_and_unsigned_does_not() {
    let written = written(&asking(vec![user("a"), assistant(history()), user("b")]), &presets::claude_budget());
    assert_eq!(
        written.messages()[1]["content"],
        json!([
            {"reasoningContent": {"reasoningText": {"text": "because", "signature": "c2ln"}}},
            {"reasoningContent": {"reasoningText": {"text": "", "signature": "only"}}},
            {"reasoningContent": {"redactedContent": "cmVk"}},
            {"text": "Answer."},
        ])
    );
    assert_eq!(written.adjusted(), "messages.reasoning=dropped,messages.content=reordered");
}

#[test]
fn pain_11_other_families_get_plain_reasoning_or_none() {
    let request = asking(vec![user("a"), assistant(history()), user("b")]);
    let plain = written(&request, &presets::deepseek_v3());
    assert_eq!(
        plain.messages()[1]["content"],
        json!([
            {"reasoningContent": {"reasoningText": {"text": "because"}}},
            {"reasoningContent": {"reasoningText": {"text": "loose"}}},
            {"text": "Answer."},
        ])
    );
    let none = written(&request, &presets::nova());
    assert_eq!(none.messages()[1]["content"], json!([{"text": "Answer."}]));
    assert_eq!(none.adjusted(), "messages.reasoning=dropped");
}

#[test]
fn pain_02_a_tool_loop_without_signed_reasoning_is_continued_without_thinking() {
    let turns = |first| vec![user("a"), assistant(vec![first, call("1", "f")]), users(vec![result("1", "x")])];
    let request = |first| ChatRequest { messages: turns(first), tools: vec![tool("f")], ..thinking(None, None, None) };
    let lost = written(&request(unsigned("hm")), &presets::claude_budget());
    assert_eq!(lost.fields(), &Value::Null);
    assert_eq!(lost.adjusted(), "messages.reasoning=dropped,reasoning=disabled_for_unsigned_history");
    let kept = written(&request(signed("hm")), &presets::claude_budget());
    assert_eq!(kept.fields()["thinking"]["type"], "enabled");
    let adaptive = written(&request(unsigned("hm")), &presets::claude_adaptive());
    assert_eq!(adaptive.fields()["thinking"]["type"], "adaptive");
}

#[test]
fn a_tool_loop_that_is_over_does_not_matter() {
    let turns = vec![user("a"), assistant(vec![call("1", "f")]), users(vec![result("1", "x")]), assistant(vec![text("b")]), user("c")];
    let request = ChatRequest { messages: turns, tools: vec![tool("f")], ..thinking(None, None, None) };
    assert_eq!(written(&request, &presets::claude_budget()).fields()["thinking"]["type"], "enabled");
}

#[test]
fn pain_19_a_budget_follows_the_effort_and_stays_below_the_limit() {
    let model = presets::claude_budget();
    let budget = |tokens: u32| json!({"thinking": {"type": "enabled", "budget_tokens": tokens}});
    let case = |effort, tokens, limit| outcome(&written(&thinking(effort, tokens, limit), &model));
    assert_eq!(case(Some(Effort::High), None, None), (budget(8192), Value::Null, String::new()));
    assert_eq!(case(Some(Effort::High), None, Some(20_000)), (budget(8192), json!(20_000), String::new()));
    assert_eq!(case(None, Some(500), Some(20_000)), (budget(1024), json!(20_000), "reasoning.budget_tokens=raised".to_owned()));
    assert_eq!(case(Some(Effort::High), None, Some(8000)), (budget(4000), json!(8000), "reasoning.budget_tokens=lowered".to_owned()));
    assert_eq!(
        case(Some(Effort::Medium), None, Some(1000)),
        (budget(1024), json!(2024), "reasoning.budget_tokens=lowered,max_tokens=raised".to_owned())
    );
    assert_eq!(case(None, Some(1024), Some(1024)), (budget(1024), json!(2048), "max_tokens=raised".to_owned()));
}

#[test]
fn a_budget_stays_below_what_the_model_can_produce() {
    let options = super::WriteOptions { max_output_tokens: Some(8192), ..options() };
    let written = written_with(&thinking(None, Some(30_000), None), &presets::claude_budget(), &options);
    assert_eq!(written.fields()["thinking"]["budget_tokens"], 4096);
    assert_eq!(written.adjusted(), "reasoning.budget_tokens=lowered");
}

#[test]
fn older_claude_takes_an_effort_beside_the_budget_with_its_flag() {
    let reasoning = ReasoningDialect::ClaudeBudget { min_budget: 1024, max_effort: Some(Effort::High) };
    let model = ChatCapabilities { reasoning, ..presets::claude_budget() };
    let written = written(&thinking(Some(Effort::Max), None, None), &model);
    assert_eq!(written.fields()["output_config"], json!({"effort": "high"}));
    assert_eq!(written.fields()["anthropic_beta"], json!(["effort-2025-11-24"]));
    assert_eq!(written.adjusted(), "reasoning.effort=clamped");
}

#[test]
fn pain_19_adaptive_models_are_told_an_effort_and_asked_to_show() {
    let model = presets::claude_adaptive();
    let shown = written(&thinking(Some(Effort::Minimal), None, None), &model);
    assert_eq!(shown.fields(), &json!({"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}}));
    assert_eq!(shown.adjusted(), "reasoning.effort=clamped");
    let from_budget = written(&thinking(None, Some(9000), None), &model);
    assert_eq!(from_budget.fields()["output_config"], json!({"effort": "high"}));
    assert_eq!(from_budget.adjusted(), "reasoning.budget_tokens=as_effort");
    let mut hidden = thinking(None, None, None);
    hidden.reasoning.visibility = ReasoningVisibility::Hidden;
    let hidden = written(&hidden, &model);
    assert_eq!(hidden.fields(), &json!({"thinking": {"type": "adaptive"}}));
    assert_eq!(hidden.body.reply.reasoning, ReasoningVisibility::Hidden);
    assert_eq!(written(&off(), &model).fields(), &Value::Null);
}

#[test]
fn adaptive_models_that_still_take_budgets_get_the_clients() {
    let ReasoningDialect::ClaudeAdaptive { can_disable, hidden_by_default, max_effort, .. } = presets::claude_adaptive().reasoning else {
        unreachable!()
    };
    let reasoning =
        ReasoningDialect::ClaudeAdaptive { can_disable, hidden_by_default, max_effort, budget_allowed: true, on_by_default: true };
    let model = ChatCapabilities { reasoning, ..presets::claude_adaptive() };
    assert_eq!(
        written(&thinking(None, Some(9000), None), &model).fields(),
        &json!({"thinking": {"type": "enabled", "budget_tokens": 9000}})
    );
    assert_eq!(written(&off(), &model).fields(), &json!({"thinking": {"type": "disabled"}}));
}

#[test]
fn models_that_always_think_cannot_be_told_not_to() {
    let written_off = written(&off(), &presets::claude_always_on());
    assert_eq!(written_off.fields(), &json!({"output_config": {"effort": "low"}}));
    assert_eq!(written_off.adjusted(), "reasoning=cannot_disable");
    let silent = written(&asking(vec![user("Hi")]), &presets::claude_always_on());
    assert_eq!(silent.fields(), &json!({"thinking": {"type": "adaptive", "display": "summarized"}}));
    assert_eq!(written(&off(), &presets::deepseek_r1()).adjusted(), "reasoning=cannot_disable");
    let effort = written(&thinking(Some(Effort::Low), None, None), &presets::deepseek_r1());
    assert_eq!((effort.fields(), effort.adjusted()), (&Value::Null, "reasoning.effort=ignored".to_owned()));
}

#[test]
fn nova_at_high_effort_takes_neither_limit_nor_sampling() {
    let sampling = Sampling { temperature: Some(0.5), top_p: Some(0.5), top_k: Some(5), ..Sampling::default() };
    let high = ChatRequest { sampling: sampling.clone(), ..thinking(Some(Effort::Max), None, Some(100)) };
    let written_high = written(&high, &presets::nova_2());
    assert_eq!(written_high.fields(), &json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}));
    assert_eq!(written_high.json["inferenceConfig"], Value::Null);
    assert_eq!(written_high.adjusted(), "reasoning.effort=clamped,max_tokens=dropped,top_k=dropped,temperature=dropped,top_p=dropped");
    let low = ChatRequest { sampling, ..thinking(Some(Effort::Low), None, Some(100)) };
    let written_low = written(&low, &presets::nova_2());
    assert_eq!(written_low.json["inferenceConfig"], json!({"maxTokens": 100, "temperature": 0.5, "topP": 0.5}));
}

#[test]
fn effort_words_are_kept_within_what_the_model_knows() {
    let words = |request: &ChatRequest, model: &ChatCapabilities| {
        let written = written(request, model);
        (written.fields().clone(), written.adjusted())
    };
    let effort = |effort| thinking(Some(effort), None, None);
    assert_eq!(
        words(&effort(Effort::Max), &presets::gpt_oss()),
        (json!({"reasoning_effort": "high"}), "reasoning.effort=clamped".to_owned())
    );
    assert_eq!(
        words(&effort(Effort::Minimal), &presets::gpt()),
        (json!({"reasoning": {"effort": "low"}}), "reasoning.effort=clamped".to_owned())
    );
    assert_eq!(words(&off(), &presets::gpt()), (json!({"reasoning": {"effort": "none"}}), String::new()));
    assert_eq!(words(&off(), &presets::gpt_oss()), (json!({"reasoning_effort": "low"}), "reasoning=cannot_disable".to_owned()));
    assert_eq!(words(&thinking(None, None, None), &presets::deepseek_v3()), (json!({"reasoning_effort": "medium"}), String::new()));
    assert_eq!(words(&asking(vec![user("Hi")]), &presets::deepseek_v3()), (Value::Null, String::new()));
}

#[test]
fn pain_19_a_model_that_cannot_reason_says_so() {
    assert_eq!(written(&thinking(Some(Effort::Low), None, None), &presets::llama()).adjusted(), "reasoning=ignored");
    assert_eq!(written(&off(), &presets::llama()).adjusted(), "");
}

#[test]
fn thinking_narrows_the_sampling_parameters() {
    let sampling = Sampling { temperature: Some(0.3), top_p: Some(0.5), top_k: Some(5), ..Sampling::default() };
    let written_narrow = written(&ChatRequest { sampling, ..thinking(None, None, None) }, &presets::claude_budget());
    assert_eq!(written_narrow.json["inferenceConfig"], Value::Null);
    assert_eq!(written_narrow.adjusted(), "top_k=dropped,temperature=dropped,top_p=dropped");
    let fitting = Sampling { top_p: Some(0.97), ..Sampling::default() };
    let written_fitting = written(&ChatRequest { sampling: fitting, ..thinking(None, None, None) }, &presets::claude_budget());
    assert_eq!(written_fitting.json["inferenceConfig"], json!({"topP": 0.97}));
}

#[test]
fn forced_tools_yield_to_thinking() {
    let request = ChatRequest { tools: vec![tool("f")], tool_choice: ToolChoice::Any, ..thinking(None, None, None) };
    let written_forced = written(&request, &presets::claude_budget());
    assert_eq!(written_forced.json["toolConfig"]["toolChoice"], Value::Null);
    assert_eq!(written_forced.adjusted(), "tool_choice=auto");
    let in_extra = json!({"thinking": {"type": "enabled", "budget_tokens": 2000}}).as_object().unwrap().clone();
    let request = ChatRequest { reasoning: ReasoningRequest::default(), extra: in_extra, ..request };
    assert_eq!(written(&request, &presets::claude_budget()).adjusted(), "tool_choice=auto");
}

#[test]
fn a_begun_answer_and_thinking_exclude_each_other() {
    let request = ChatRequest { messages: vec![user("a"), assistant(vec![text("b")])], ..thinking(None, None, None) };
    assert_eq!(written(&request, &presets::claude_budget()).adjusted(), "messages=prefill_continued");
}

#[test]
fn thinking_tokens_are_asked_for_only_where_told_and_possible() {
    let paths = |request: &ChatRequest, model: &ChatCapabilities| written(request, model).json["additionalModelResponseFieldPaths"].clone();
    assert_eq!(paths(&thinking(None, None, None), &presets::claude_budget()), json!(["/usage/output_tokens_details"]));
    assert_eq!(paths(&asking(vec![user("a")]), &presets::claude_budget()), Value::Null);
    assert_eq!(paths(&asking(vec![user("a")]), &presets::claude_always_on()), json!(["/usage/output_tokens_details"]));
    assert_eq!(paths(&thinking(None, None, None), &presets::gpt_oss()), Value::Null);
}

#[test]
fn pain_19_an_effort_the_model_lacks_becomes_the_next_higher_it_has() {
    let model = ChatCapabilities { missing_efforts: vec![Effort::Minimal, Effort::Xhigh], ..presets::claude_adaptive() };
    let asked = |effort| {
        let written = written(&thinking(Some(effort), None, None), &model);
        (written.fields()["output_config"]["effort"].clone(), written.adjusted())
    };
    assert_eq!(asked(Effort::Xhigh), (json!("max"), "reasoning.effort=clamped".to_owned()));
    assert_eq!(asked(Effort::High), (json!("high"), String::new()));
}

#[test]
fn pain_19_sampling_is_left_out_while_a_model_that_refuses_it_then_thinks() {
    let model = ChatCapabilities { sampling_while_reasoning: false, ..presets::nova_2() };
    let sampling = Sampling { temperature: Some(0.5), top_p: Some(0.5), ..Sampling::default() };
    let thinking = written(&ChatRequest { sampling: sampling.clone(), ..thinking(Some(Effort::Low), None, Some(100)) }, &model);
    assert_eq!(thinking.json["inferenceConfig"], json!({"maxTokens": 100}));
    assert_eq!(thinking.adjusted(), "temperature=dropped,top_p=dropped");
    let silent = written(&ChatRequest { sampling, ..asking(vec![user("Hi")]) }, &model);
    assert_eq!(silent.json["inferenceConfig"], json!({"temperature": 0.5, "topP": 0.5}));
}
