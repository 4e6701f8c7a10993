//! One model of every family, as the catalogue's data will describe it.

use outcrop_domain::{
    chat::{CacheTtl, Effort},
    model::{
        BetaRules, CacheSupport, ChatCapabilities, EffortField, ForcedTools, MidSystem, ModelBetas, ReasoningDialect, ReasoningReplay,
        SamplingRule, Structured, SystemSupport, ToolIds, ToolResultImages, ToolSupport, TopKField,
    },
};

/// Every preset by its name.
pub(super) fn all() -> Vec<(&'static str, ChatCapabilities)> {
    vec![
        ("claude_budget", claude_budget()),
        ("claude_adaptive", claude_adaptive()),
        ("claude_always_on", claude_always_on()),
        ("nova", nova()),
        ("nova_2", nova_2()),
        ("gpt_oss", gpt_oss()),
        ("gpt", gpt()),
        ("llama", llama()),
        ("mistral", mistral()),
        ("mistral_7b", mistral_7b()),
        ("deepseek_r1", deepseek_r1()),
        ("deepseek_v3", deepseek_v3()),
    ]
}

fn cache(tools: bool, ttls: &[CacheTtl]) -> Option<CacheSupport> {
    Some(CacheSupport { min_tokens: 1024, max_points: 4, ttls: ttls.to_vec(), system: true, messages: true, tools })
}

pub(super) fn claude_budget() -> ChatCapabilities {
    ChatCapabilities {
        tool_choice_any: true,
        tool_choice_named: true,
        forced_tools: ForcedTools::NotWithReasoning,
        strict_tools: true,
        parallel_switch: true,
        tool_result_status: true,
        images: true,
        search_results: true,
        citations: true,
        prefill: true,
        sampling: SamplingRule::OneOf,
        top_k: TopKField::TopK,
        max_stop_sequences: 8191,
        reasoning: ReasoningDialect::ClaudeBudget { min_budget: 1024, max_effort: None },
        reasoning_replay: ReasoningReplay::Signed,
        structured: Structured::Native,
        cache: cache(true, &[CacheTtl::FiveMinutes, CacheTtl::OneHour]),
        reports_thinking_tokens: true,
        reports_stop_sequence: true,
        betas: ModelBetas {
            converse: BetaRules::accepting(["context-1m-2025-08-07", "effort-2025-11-24"]).into(),
            invoke: BetaRules::default().into(),
        },
        ..ChatCapabilities::default()
    }
}

pub(super) fn claude_adaptive() -> ChatCapabilities {
    ChatCapabilities {
        mid_system: MidSystem::Native,
        strict_tools: false,
        prefill: false,
        sampling: SamplingRule::Refused,
        reasoning: ReasoningDialect::ClaudeAdaptive {
            can_disable: true,
            budget_allowed: false,
            hidden_by_default: true,
            on_by_default: false,
            max_effort: Effort::Max,
        },
        ..claude_budget()
    }
}

pub(super) fn claude_always_on() -> ChatCapabilities {
    ChatCapabilities {
        tool_choice_any: false,
        tool_choice_named: false,
        reasoning: ReasoningDialect::ClaudeAdaptive {
            can_disable: false,
            budget_allowed: false,
            hidden_by_default: true,
            on_by_default: true,
            max_effort: Effort::Xhigh,
        },
        ..claude_adaptive()
    }
}

pub(super) fn nova() -> ChatCapabilities {
    ChatCapabilities {
        tool_choice_any: true,
        tool_choice_named: true,
        tool_result_status: true,
        images: true,
        video: true,
        s3_sources: true,
        prefill: true,
        top_k: TopKField::InferenceConfig,
        max_stop_sequences: 4,
        cache: cache(false, &[CacheTtl::FiveMinutes]),
        reasoning_tags: vec!["thinking".to_owned()],
        ..ChatCapabilities::default()
    }
}

pub(super) fn nova_2() -> ChatCapabilities {
    ChatCapabilities {
        system_tools: vec!["nova_grounding".to_owned(), "nova_code_interpreter".to_owned()],
        reasoning: ReasoningDialect::NovaConfig,
        ..nova()
    }
}

pub(super) fn gpt_oss() -> ChatCapabilities {
    ChatCapabilities {
        tool_choice_any: true,
        reasoning: ReasoningDialect::Effort {
            field: EffortField::ReasoningEffort,
            min: Effort::Low,
            max: Effort::High,
            can_disable: false,
        },
        passed_parameters: vec!["frequency_penalty".to_owned()],
        ..ChatCapabilities::default()
    }
}

pub(super) fn gpt() -> ChatCapabilities {
    ChatCapabilities {
        tool_choice_any: true,
        tool_choice_named: true,
        tool_result_images: ToolResultImages::Beside,
        images: true,
        sampling: SamplingRule::NotWithReasoning,
        max_stop_sequences: 0,
        min_max_tokens: 16,
        reasoning: ReasoningDialect::Effort {
            field: EffortField::ReasoningObject,
            min: Effort::Low,
            max: Effort::Xhigh,
            can_disable: true,
        },
        structured: Structured::Native,
        ..ChatCapabilities::default()
    }
}

pub(super) fn llama() -> ChatCapabilities {
    ChatCapabilities { tools: ToolSupport::WithoutStreaming, ..ChatCapabilities::default() }
}

pub(super) fn mistral() -> ChatCapabilities {
    ChatCapabilities {
        tool_choice_any: true,
        tool_ids: ToolIds::NineAlphanumerics,
        prefill: true,
        top_k: TopKField::TopK,
        passed_parameters: vec!["seed".to_owned()],
        ..ChatCapabilities::default()
    }
}

pub(super) fn mistral_7b() -> ChatCapabilities {
    ChatCapabilities { system: SystemSupport::FirstUserTurn, tools: ToolSupport::None, ..mistral() }
}

pub(super) fn deepseek_r1() -> ChatCapabilities {
    ChatCapabilities { tools: ToolSupport::None, reasoning: ReasoningDialect::AlwaysOn, ..ChatCapabilities::default() }
}

pub(super) fn deepseek_v3() -> ChatCapabilities {
    ChatCapabilities {
        tool_choice_any: true,
        forced_tools: ForcedTools::NotWithReasoning,
        reasoning: ReasoningDialect::Effort { field: EffortField::ReasoningEffort, min: Effort::Low, max: Effort::High, can_disable: true },
        reasoning_replay: ReasoningReplay::Plain,
        reasoning_tags: vec!["think".to_owned()],
        ..ChatCapabilities::default()
    }
}
