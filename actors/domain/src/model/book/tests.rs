use std::collections::BTreeSet;

use super::{listed_ids::LISTED_IDS, *};
use crate::{
    chat::{CacheTtl, Effort, ServiceTier},
    model::{
        BareId, ChatCapabilities, EffortField, FieldStanding, FlagStanding, ForcedTools, ImageTask, Lifecycle, MidSystem, Modality,
        ModelKind, PriceUnit, ProfileClass, ReasoningDialect, ReasoningReplay, SamplingRule, Structured, Surface, SystemSupport, ToolIds,
        ToolResultImages, ToolSupport, TopKField, UnprovenFlags, cost, unit_cost,
    },
    money::MicroUsd,
    usage::Usage,
};

mod betas;

fn book() -> ModelBook {
    ModelBook::load(BUILTIN).unwrap_or_else(|problems| panic!("{}", problems.iter().map(|p| format!("{p}\n")).collect::<String>()))
}

fn chat(book: &ModelBook, id: &str) -> ChatCapabilities {
    book.get(id).unwrap_or_else(|| panic!("{id} is not in the book")).chat.clone().unwrap_or_else(|| panic!("{id} has no chat table"))
}

fn load(extra: &str) -> Result<ModelBook, Vec<String>> {
    let mut files = BUILTIN.to_vec();
    files.push(("mine.toml", extra));
    ModelBook::load(&files).map_err(|problems| problems.iter().map(DataProblem::to_string).collect())
}

#[test]
fn every_builtin_file_loads_and_every_listed_id_is_present() {
    let book = book();
    let known: BTreeSet<&str> = book.models().map(|spec| spec.id.as_str()).collect();
    let listed: BTreeSet<&str> = LISTED_IDS.into_iter().collect();
    assert_eq!(listed.len(), 145);
    assert_eq!(known, listed);
}

#[test]
fn every_row_hangs_together() {
    let book = book();
    for spec in book.models() {
        let id = &spec.id;
        assert!(!spec.input.is_empty() && !spec.output.is_empty(), "{id}");
        assert_eq!(spec.chat.is_some(), spec.has_surface(Surface::Converse), "{id}: chat table exactly where Converse is");
        assert_eq!(spec.embedding_sizes.is_empty(), spec.kind != ModelKind::Embedding, "{id}");
        assert_eq!(spec.image_tasks.is_empty(), spec.kind != ModelKind::Image, "{id}");
        assert_eq!(spec.output.contains(&Modality::Embedding), spec.kind == ModelKind::Embedding, "{id}");
        if let Some(chat) = &spec.chat {
            assert!(spec.context_tokens.is_some() && spec.max_output_tokens.is_some(), "{id}");
            assert!(spec.price.is_some(), "{id} has no price");
            assert_eq!(chat.images, spec.input.contains(&Modality::Image), "{id}: images");
            assert_eq!(chat.video, spec.input.contains(&Modality::Video), "{id}: video");
            assert_eq!(chat.audio, spec.input.contains(&Modality::Speech), "{id}: audio");
            if chat.tools == ToolSupport::None {
                assert!(!chat.tool_choice_any && !chat.tool_choice_named && !chat.strict_tools, "{id}: choice without tools");
            }
            if let Some(cache) = &chat.cache {
                assert!(cache.min_tokens >= 512 && cache.max_points == 4 && cache.ttls.first() == Some(&CacheTtl::FiveMinutes), "{id}");
                let price = spec.price.as_ref().unwrap();
                assert!(price.cache_read.is_some(), "{id} caches but has no price for it");
                assert_eq!(cache.ttls.contains(&CacheTtl::OneHour), price.cache_write_1h.is_some(), "{id}: one-hour cache and its price");
            }
            let taken = chat.betas.converse.flags.iter().filter(|(_, standing)| **standing == FlagStanding::Accepted);
            for (flag, _) in taken.filter(|(flag, _)| flag.as_str() != "structured-outputs-2025-11-13") {
                assert!(chat.betas.invoke.accepts(flag), "{id}: {flag} is taken on Converse but not on InvokeModel");
            }
            assert_eq!(chat.invoke_messages, spec.id_prefix() == "anthropic", "{id}");
            assert_eq!(chat.betas.invoke.unproven == UnprovenFlags::Pass, chat.invoke_messages, "{id}");
        }
        if spec.mantle_only() {
            assert_eq!(spec.bare_id, BareId::Mantle, "{id}");
            assert!(spec.price.is_none() && spec.family.is_none(), "{id}");
        }
        if let Some(flag) = &spec.long_context_beta {
            let chat = spec.chat.as_ref().unwrap();
            assert!(chat.betas.converse.accepts(flag) && chat.betas.invoke.accepts(flag), "{id}");
        }
    }
    let counted = |kind| book.models().filter(|spec| spec.kind == kind).count();
    assert_eq!(counted(ModelKind::Embedding), 10);
    assert_eq!(counted(ModelKind::Image), 16);
    assert_eq!((counted(ModelKind::Rerank), counted(ModelKind::Speech), counted(ModelKind::Video)), (2, 2, 1));
    assert_eq!(book.models().filter(|spec| spec.mantle_only()).count(), 18);
    assert_eq!(book.models().filter(|spec| spec.lifecycle == Lifecycle::Legacy).count(), 15);
}

#[test]
fn structured_answers_are_native_only_where_the_source_flags_them() {
    let native: Vec<String> = book()
        .models()
        .filter(|spec| spec.chat.as_ref().is_some_and(|chat| chat.structured == Structured::Native))
        .map(|spec| spec.id.to_string())
        .collect();
    assert_eq!(
        native,
        [
            "anthropic.claude-haiku-4-5-20251001-v1:0",
            "anthropic.claude-haiku-5-5",
            "anthropic.claude-opus-4-5-20251101-v1:0",
            "anthropic.claude-opus-4-6-v1",
            "anthropic.claude-opus-4-8",
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "anthropic.claude-sonnet-4-6",
            "anthropic.claude-sonnet-5",
            "anthropic.claude-sonnet-5-5",
            "deepseek.v3-v1:0",
            "deepseek.v3.2",
            "minimax.minimax-m2",
            "mistral.ministral-3-14b-instruct",
            "mistral.ministral-3-3b-instruct",
            "mistral.ministral-3-8b-instruct",
            "mistral.mistral-large-3-675b-instruct",
            "mistral.voxtral-mini-3b-2507",
            "mistral.voxtral-small-24b-2507",
            "moonshot.kimi-k2-thinking",
            "nvidia.nemotron-nano-3-30b",
            "qwen.qwen3-235b-a22b-2507-v1:0",
            "qwen.qwen3-32b-v1:0",
            "qwen.qwen3-coder-30b-a3b-v1:0",
            "qwen.qwen3-coder-480b-a35b-v1:0",
            "qwen.qwen3-next-80b-a3b",
            "qwen.qwen3-vl-235b-a22b",
            "zai.glm-5",
            "zai.glm-5.3",
        ]
    );
}

#[test]
fn cache_minimums_take_the_stricter_source() {
    let book = book();
    let expected = [
        ("anthropic.claude-fable-5", Some(512)),
        ("anthropic.claude-fable-5-1", Some(512)),
        ("anthropic.claude-opus-5", Some(512)),
        ("anthropic.claude-opus-5-5", Some(512)),
        ("anthropic.claude-sonnet-5-5", Some(512)),
        ("anthropic.claude-haiku-5-5", Some(512)),
        ("anthropic.claude-opus-4-8", Some(1024)),
        ("anthropic.claude-sonnet-5", Some(1024)),
        ("anthropic.claude-opus-4-7", Some(4096)),
        ("anthropic.claude-opus-4-6-v1", Some(4096)),
        ("anthropic.claude-opus-4-5-20251101-v1:0", Some(4096)),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", Some(4096)),
        ("anthropic.claude-sonnet-4-6", Some(2048)),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", Some(1024)),
        ("anthropic.claude-opus-4-1-20250805-v1:0", Some(1024)),
        ("anthropic.claude-sonnet-4-20250514-v1:0", Some(1024)),
        ("anthropic.claude-3-7-sonnet-20250219-v1:0", Some(1024)),
        ("anthropic.claude-3-haiku-20240307-v1:0", None),
        ("amazon.nova-pro-v1:0", Some(1024)),
        ("amazon.nova-lite-v1:0", Some(1536)),
        ("amazon.nova-micro-v1:0", Some(1536)),
        ("amazon.nova-2-lite-v1:0", Some(1536)),
        ("openai.gpt-6-sol", None),
        ("moonshotai.kimi-k3", None),
        ("zai.glm-5.3", None),
    ];
    for (id, minimum) in expected {
        assert_eq!(chat(&book, id).cache.map(|cache| cache.min_tokens), minimum, "{id}");
    }
    for id in ["openai.gpt-6-sol", "moonshotai.kimi-k3", "zai.glm-5.3"] {
        assert_eq!(chat(&book, id).implicit_cache_min_tokens, 1024, "{id} caches what nobody marked");
    }
    assert_eq!(chat(&book, "anthropic.claude-sonnet-4-6").implicit_cache_min_tokens, 0);
    let nova = chat(&book, "amazon.nova-pro-v1:0").cache.unwrap();
    assert!(nova.system && nova.messages && !nova.tools && nova.ttls == [CacheTtl::FiveMinutes]);
    let claude = chat(&book, "anthropic.claude-sonnet-4-6").cache.unwrap();
    assert!(claude.system && claude.messages && claude.tools && claude.ttls == [CacheTtl::FiveMinutes, CacheTtl::OneHour]);
}

/// id, tools, toolChoice any, named, images, documents: section 3.1 of the reference, unconfirmed choices off.
#[test]
fn tool_and_media_support_follows_the_family_table() {
    use ToolSupport::{Full, None as No, WithoutStreaming};
    let book = book();
    let rows = [
        ("anthropic.claude-3-haiku-20240307-v1:0", Full, true, true, true, true),
        ("anthropic.claude-sonnet-4-6", Full, true, true, true, true),
        ("anthropic.claude-fable-5", Full, true, true, true, true),
        ("anthropic.claude-fable-5-1", Full, false, false, true, true),
        ("anthropic.claude-opus-5-5", Full, false, false, true, true),
        ("anthropic.claude-sonnet-5-5", Full, false, false, true, true),
        ("amazon.nova-micro-v1:0", Full, true, true, false, false),
        ("amazon.nova-lite-v1:0", Full, true, true, true, true),
        ("amazon.nova-2-lite-v1:0", Full, true, true, true, true),
        ("openai.gpt-oss-120b-1:0", Full, false, false, false, true),
        ("openai.gpt-5.4", Full, true, true, true, true),
        ("openai.gpt-6.1-sol", Full, true, true, true, true),
        ("meta.llama3-1-8b-instruct-v1:0", WithoutStreaming, false, false, false, true),
        ("meta.llama3-3-70b-instruct-v1:0", WithoutStreaming, false, false, false, true),
        ("meta.llama4-scout-17b-instruct-v1:0", WithoutStreaming, false, false, true, true),
        ("meta.llama3-8b-instruct-v1:0", No, false, false, false, true),
        ("mistral.mistral-7b-instruct-v0:2", No, false, false, false, true),
        ("mistral.mixtral-8x7b-instruct-v0:1", No, false, false, false, true),
        ("mistral.mistral-large-2402-v1:0", WithoutStreaming, false, false, false, true),
        ("mistral.mistral-large-2407-v1:0", WithoutStreaming, true, false, false, true),
        ("mistral.mistral-large-3-675b-instruct", Full, false, false, true, true),
        ("mistral.devstral-2-123b", Full, true, false, false, true),
        ("mistral.pixtral-large-2502-v1:0", Full, false, false, true, true),
        ("mistral.voxtral-mini-3b-2507", No, false, false, false, false),
        ("deepseek.r1-v1:0", No, false, false, false, true),
        ("deepseek.v3.2", Full, true, false, false, true),
        ("qwen.qwen3-32b-v1:0", Full, false, false, false, true),
        ("qwen.qwen3-vl-235b-a22b", Full, false, false, true, true),
        ("moonshot.kimi-k2-thinking", Full, false, false, false, true),
        ("moonshotai.kimi-k2.5", Full, false, false, true, true),
        ("minimax.minimax-m2.5", Full, false, false, false, true),
        ("zai.glm-4.7", Full, true, false, false, true),
        ("zai.glm-5.3", Full, true, true, false, true),
        ("google.gemma-3-27b-it", Full, false, false, true, true),
        ("nvidia.nemotron-nano-12b-v2", Full, false, false, true, true),
        ("nvidia.nemotron-nano-3-30b", Full, true, false, false, true),
        ("xai.grok-4.7", Full, true, true, true, true),
        ("writer.palmyra-x5-v1:0", Full, false, false, false, true),
        ("ai21.jamba-1-5-mini-v1:0", Full, false, false, false, true),
    ];
    for (id, tools, any, named, images, documents) in rows {
        let chat = chat(&book, id);
        let found = (chat.tools, chat.tool_choice_any, chat.tool_choice_named, chat.images, chat.documents);
        assert_eq!(found, (tools, any, named, images, documents), "{id}");
    }
}

#[test]
fn claude_generations_differ_as_their_documents_say() {
    let book = book();
    let of = |name: &str| chat(&book, &format!("anthropic.claude-{name}"));
    for (name, sampling, prefill, strict) in [
        ("3-haiku-20240307-v1:0", SamplingRule::Both, true, false),
        ("3-7-sonnet-20250219-v1:0", SamplingRule::NotWithReasoning, true, false),
        ("opus-4-1-20250805-v1:0", SamplingRule::OneOf, true, false),
        ("sonnet-4-5-20250929-v1:0", SamplingRule::OneOf, true, true),
        ("haiku-4-5-20251001-v1:0", SamplingRule::OneOf, true, true),
        ("opus-4-6-v1", SamplingRule::OneOf, false, true),
        ("sonnet-4-6", SamplingRule::OneOf, false, true),
        ("opus-4-7", SamplingRule::Refused, false, false),
        ("opus-5", SamplingRule::Refused, false, false),
        ("haiku-5-5", SamplingRule::Refused, false, false),
        ("fable-5-1", SamplingRule::Refused, false, false),
    ] {
        let chat = of(name);
        assert_eq!((chat.sampling, chat.prefill, chat.strict_tools), (sampling, prefill, strict), "{name}");
        assert_eq!(chat.mid_system, MidSystem::UserTurn, "{name}");
        assert_eq!(chat.max_stop_sequences, 8191, "{name}");
    }
    assert_eq!(of("3-haiku-20240307-v1:0").reasoning, ReasoningDialect::None);
    assert_eq!(of("sonnet-4-20250514-v1:0").reasoning, ReasoningDialect::ClaudeBudget { min_budget: 1024, max_effort: None });
    assert_eq!(of("opus-4-5-20251101-v1:0").reasoning, ReasoningDialect::ClaudeBudget { min_budget: 1024, max_effort: Some(Effort::High) });
    let adaptive = |can_disable, budget_allowed, hidden_by_default, on_by_default| ReasoningDialect::ClaudeAdaptive {
        can_disable,
        budget_allowed,
        hidden_by_default,
        on_by_default,
        max_effort: Effort::Max,
    };
    assert_eq!(of("opus-4-6-v1").reasoning, adaptive(true, true, false, false));
    assert_eq!(of("opus-4-6-v1").missing_efforts, [Effort::Minimal, Effort::Xhigh]);
    assert_eq!(of("opus-4-7").reasoning, adaptive(false, false, true, false));
    assert_eq!(of("opus-4-8").reasoning, adaptive(true, false, true, false));
    assert_eq!(of("sonnet-5").reasoning, adaptive(true, false, true, true));
    assert_eq!(of("opus-5-5").reasoning, adaptive(false, false, true, true));
    assert_eq!(of("fable-5").reasoning, adaptive(false, false, true, true));
    assert_eq!(of("opus-5").reasoning_replay, ReasoningReplay::Signed);
    assert_eq!(of("opus-5").forced_tools, ForcedTools::NotWithReasoning);
    for (name, native) in [("opus-5", true), ("opus-4-8", true), ("sonnet-5-5", true), ("opus-4-7", false), ("sonnet-4-6", false)] {
        assert_eq!(of(name).invoke_mid_system == MidSystem::Native, native, "{name}");
    }
}

#[test]
fn other_families_reason_and_refuse_as_listed() {
    let book = book();
    let effort = |id: &str| match chat(&book, id).reasoning {
        ReasoningDialect::Effort { field, min, max, can_disable } => (field, min, max, can_disable),
        other => panic!("{id}: {other:?}"),
    };
    assert_eq!(effort("openai.gpt-oss-20b-1:0"), (EffortField::ReasoningEffort, Effort::Low, Effort::High, false));
    assert_eq!(effort("openai.gpt-5.5"), (EffortField::ReasoningObject, Effort::Low, Effort::Max, true));
    assert_eq!(effort("openai.gpt-6-astra"), (EffortField::ReasoningObject, Effort::Low, Effort::Max, false));
    assert_eq!(effort("openai.gpt-6.1-sol"), (EffortField::ReasoningObject, Effort::Low, Effort::Max, false));
    assert_eq!(effort("xai.grok-4.6"), (EffortField::ReasoningEffort, Effort::Low, Effort::Xhigh, false));
    assert_eq!(chat(&book, "amazon.nova-2-lite-v1:0").reasoning, ReasoningDialect::NovaConfig);
    assert_eq!(chat(&book, "amazon.nova-pro-v1:0").reasoning, ReasoningDialect::None);
    assert_eq!(chat(&book, "deepseek.r1-v1:0").reasoning, ReasoningDialect::AlwaysOn);
    assert_eq!(chat(&book, "mistral.magistral-small-2509").reasoning, ReasoningDialect::AlwaysOn);
    assert_eq!(chat(&book, "mistral.mistral-7b-instruct-v0:2").system, SystemSupport::FirstUserTurn);
    assert_eq!(chat(&book, "mistral.mistral-large-2407-v1:0").tool_ids, ToolIds::NineAlphanumerics);
    assert_eq!(chat(&book, "openai.gpt-6-sol").tool_result_images, ToolResultImages::Beside);
    assert_eq!(chat(&book, "amazon.nova-lite-v1:0").top_k, TopKField::InferenceConfig);
    assert!(chat(&book, "amazon.nova-lite-v1:0").s3_sources && !chat(&book, "amazon.nova-micro-v1:0").s3_sources);
    assert_eq!(chat(&book, "amazon.nova-2-lite-v1:0").system_tools, ["nova_grounding", "nova_code_interpreter"]);
    for (id, stops, least) in [
        ("openai.gpt-5.4", 2500, 16),
        ("openai.gpt-5.6-sol", 0, 16),
        ("xai.grok-4.7", 0, 16),
        ("moonshotai.kimi-k3", 0, 16),
        ("moonshotai.kimi-k2.5", 0, 1),
        ("amazon.nova-pro-v1:0", 4, 1),
    ] {
        let chat = chat(&book, id);
        assert_eq!((chat.max_stop_sequences, chat.min_max_tokens), (stops, least), "{id}");
    }
}

#[test]
fn limits_surfaces_and_dates_are_those_of_the_list() {
    let book = book();
    let of = |id: &str| book.get(id).unwrap();
    assert_eq!(
        (of("meta.llama4-scout-17b-instruct-v1:0").context_tokens, of("meta.llama4-scout-17b-instruct-v1:0").max_output_tokens),
        (Some(10_000_000), Some(8192))
    );
    assert_eq!(of("anthropic.claude-sonnet-4-6").max_output_tokens, Some(64_000));
    assert_eq!(of("zai.glm-4.7").shutdown.map(|date| date.to_string()).as_deref(), Some("2027-03-30"));
    assert_eq!(of("anthropic.claude-opus-4-1-20250805-v1:0").shutdown.map(|date| date.to_string()).as_deref(), Some("2027-01-08"));
    assert_eq!(of("anthropic.claude-haiku-4-5-20251001-v1:0").shutdown, None);
    assert_eq!(of("anthropic.claude-sonnet-4-5-20250929-v1:0").released.map(|date| date.to_string()).as_deref(), Some("2025-09-29"));
    assert!(
        of("anthropic.claude-opus-5-5").has_surface(Surface::MantleMessages)
            && of("anthropic.claude-opus-5-5").has_surface(Surface::Converse)
    );
    assert!(of("openai.gpt-6-sol").has_surface(Surface::OpenaiResponses) && !of("xai.grok-4.6").has_surface(Surface::OpenaiResponses));
    assert!(of("xai.grok-4.3").mantle_only() && !of("xai.grok-4.6").mantle_only());
    assert_eq!(
        (of("openai.gpt-5.4").bare_id, of("amazon.nova-pro-v1:0").bare_id, of("xai.grok-4.7").bare_id),
        (BareId::Mantle, BareId::Runtime, BareId::Unlisted)
    );
    assert_eq!(of("amazon.titan-embed-text-v2:0").embedding_sizes, [1024, 512, 256]);
    assert_eq!(of("stability.stable-image-inpaint-v1:0").image_tasks, [ImageTask::Inpaint]);
    for (id, burn) in [
        ("anthropic.claude-3-7-sonnet-20250219-v1:0", 5),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", 1),
        ("anthropic.claude-haiku-5-5", 5),
        ("openai.gpt-6-sol", 1),
    ] {
        assert_eq!(of(id).burndown, burn, "{id}");
    }
}

#[test]
fn prices_and_surcharges_are_those_of_the_list() {
    let book = book();
    let usage = |input, output| Usage { input, output, ..Usage::default() };
    let eu = ProfileClass::Geography("eu".into());
    let gov = ProfileClass::Geography("us-gov".into());
    let price =
        |id: &str, usage: &Usage, class: &ProfileClass, tier| cost(book.get(id).unwrap().price.as_ref().unwrap(), usage, class, tier).0;
    let million = usage(100_000, 100_000);
    assert_eq!(price("anthropic.claude-sonnet-4-6", &million, &ProfileClass::Global, None), 1_800_000);
    assert_eq!(price("anthropic.claude-sonnet-4-6", &million, &eu, None), 1_980_000);
    assert_eq!(price("anthropic.claude-sonnet-5", &million, &gov, None), 1_440_000);
    assert_eq!(price("anthropic.claude-sonnet-4-6", &million, &ProfileClass::Global, Some(ServiceTier::Flex)), 900_000);
    assert_eq!(price("amazon.nova-micro-v1:0", &million, &eu, None), 17_500);
    let cached = Usage { cache_read: 1_000_000, ..Usage::default() };
    assert_eq!(price("amazon.nova-micro-v1:0", &cached, &ProfileClass::OnDemand, None), 8_800);
    // GPT above 272K input tokens: twice the input, 1.5 times the output.
    assert_eq!(price("openai.gpt-6-sol", &usage(272_000, 1_000_000), &ProfileClass::Global, None), 10_544_000);
    assert_eq!(price("openai.gpt-6-sol", &usage(272_001, 1_000_000), &ProfileClass::Global, None), 16_088_004);
    // Haiku 5.5 above 100K: five times.
    assert_eq!(price("anthropic.claude-haiku-5-5", &usage(200_000, 0), &ProfileClass::Global, None), 100_000);
    let units = |id: &str, unit| unit_cost(book.get(id).unwrap().price.as_ref().unwrap(), unit, 10, &ProfileClass::OnDemand);
    assert_eq!(units("stability.stable-image-ultra-v1:1", PriceUnit::Image), Some(MicroUsd(1_400_000)));
    assert_eq!(units("cohere.rerank-v3-5:0", PriceUnit::Query), Some(MicroUsd(20_000)));
    assert_eq!(units("amazon.titan-embed-image-v1", PriceUnit::Image), Some(MicroUsd(600)));
    assert!(book.get("luma.ray-v2:0").unwrap().price.is_none());
}

#[test]
fn a_later_file_changes_only_the_fields_it_gives() {
    let book = load(
        r#"
        [[model]]
        id = "anthropic.claude-sonnet-4-6"
        max_output_tokens = 1000
        price = { output = "7" }
        chat = { prefill = true, cache = { min_tokens = 9999 } }

        [[model]]
        id = "amazon.nova-pro-v1:0"
        chat = { cache = false, reasoning = { kind = "always_on" } }

        [[model]]
        id = "acme.new-model"
        name = "New"
        provider = "Acme"
        kind = "chat"
        family = "qwen3"
        input = ["text"]
        output = ["text"]
        surfaces = ["converse"]
        "#,
    )
    .unwrap();
    let spec = book.get("anthropic.claude-sonnet-4-6").unwrap();
    assert_eq!((spec.name.as_str(), spec.max_output_tokens, spec.context_tokens), ("Claude Sonnet 4.6", Some(1000), Some(1_000_000)));
    let price = spec.price.as_ref().unwrap();
    assert_eq!((price.input.0, price.output.0, price.rule.geography.ten_thousandths()), (3_000_000, 7_000_000, 11_000));
    let sonnet = chat(&book, "anthropic.claude-sonnet-4-6");
    assert!(sonnet.prefill && sonnet.cache.as_ref().is_some_and(|cache| cache.min_tokens == 9999 && cache.max_points == 4));
    let nova = chat(&book, "amazon.nova-pro-v1:0");
    assert_eq!((nova.cache, nova.reasoning), (None, ReasoningDialect::AlwaysOn));
    assert_eq!(book.models().len(), 146);
}

#[test]
fn every_problem_is_told_at_once_with_its_line() {
    let text = r#"
[[model]]
id = "amazon.nova-pro-v1:0"
contxt_tokens = 5
streaming = "yes"
price = { input = "1,5", outptu = "3" }

[[model]]
id = "acme.half"
name = "Half"
family = "no-such-family"

[[model]]
id = "acme.half"

[[model]]
name = "nameless"

[[model]]
id = "amazon.nova-lite-v1:0"
chat = { prefil = true, sampling = "sometimes" }
price = { rule = "none-such" }

[family.bad]
extends = "worse"

[family.loop]
extends = "loop"

[alias]
"x" = "no.such-model"

[[retired]]
id = "acme.old*er"
use = ["acme.none"]
words = "gone"

[modles]
"#;
    let problems = load(text).unwrap_err();
    let expected = [
        ("mine.toml:4:", "contxt_tokens"),
        ("mine.toml:5:", "string \"yes\""),
        ("mine.toml:6:", "not a decimal"),
        ("mine.toml:6:", "unknown field `outptu`"),
        ("mine.toml:13:", "listed twice"),
        ("mine.toml:16:", "without `id`"),
        ("mine.toml:38:", "unknown section `modles`"),
        ("mine.toml:8:", "`kind` is missing"),
        ("mine.toml:8:", "`input` is missing"),
        ("mine.toml:8:", "family `no-such-family` does not exist"),
        ("mine.toml:19:", "`prefil`: unknown field"),
        ("mine.toml:19:", "`sampling`: unknown variant"),
        ("mine.toml:19:", "price rule `none-such` does not exist"),
        ("mine.toml:24:", "extends `worse`"),
        ("mine.toml:27:", "or itself"),
        ("mine.toml:30:", "names `no.such-model`"),
        ("mine.toml:33:", "`*` that is not its end"),
        ("mine.toml:33:", "names `acme.none`"),
    ];
    for (place, words) in expected {
        assert!(problems.iter().any(|problem| problem.starts_with(place) && problem.contains(words)), "{place} {words}\n{problems:#?}");
    }
}

#[test]
fn broken_toml_is_a_problem_and_not_a_panic() {
    for text in [
        "[[model]",
        "model = 3",
        "family = []",
        "[model]\nid = 1",
        "retired = {}",
        "a = = b\nc = ",
        "\u{feff}[[model]]\nid=\"x\"",
        "[family]\nx = 3",
    ] {
        let problems = ModelBook::load(&[("broken.toml", text)]).unwrap_err();
        assert!(problems.iter().all(|problem| problem.file == "broken.toml" && !problem.message.is_empty()), "{text}: {problems:?}");
    }
    assert!(ModelBook::load(&[]).is_ok_and(|book| book.models().len() == 0));
}

proptest::proptest! {
    #[test]
    fn any_text_loads_or_is_refused_without_panic(text in "[\\[\\]a-z=\"{}., \n0-9*-]{0,200}") {
        let _outcome = ModelBook::load(&[("any.toml", &text)]);
    }
}
