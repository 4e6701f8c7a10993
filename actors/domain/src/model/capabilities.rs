//! What a chat model takes and refuses. Rows of `config/models/*.toml`; no code asks for a model's name.

use serde::{Deserialize, Serialize};

use super::ModelBetas;
use crate::chat::{CacheTtl, Effort};

/// Everything that the ways to a model must know of it: on Converse, unless a field says InvokeModel. Defaults describe a
/// cautious, unknown model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChatCapabilities {
    /// `system` blocks.
    pub system: SystemSupport,
    /// `system` turns in mid-conversation.
    pub mid_system: MidSystem,
    /// Function tools.
    pub tools: ToolSupport,
    /// `toolChoice: any` is taken.
    pub tool_choice_any: bool,
    /// `toolChoice: tool` is taken.
    pub tool_choice_named: bool,
    /// Forced choices (any, named).
    pub forced_tools: ForcedTools,
    /// `toolSpec.strict` is taken.
    pub strict_tools: bool,
    /// `disable_parallel_tool_use` is taken (as an extra `tool_choice` member).
    pub parallel_switch: bool,
    /// Form of tool-call ids in history.
    pub tool_ids: ToolIds,
    /// `toolResult.status` is taken.
    pub tool_result_status: bool,
    /// Where images of a tool result go.
    pub tool_result_images: ToolResultImages,
    /// Names of Bedrock-run tools the model has, e.g. `nova_grounding`.
    pub system_tools: Vec<String>,
    /// Image blocks.
    pub images: bool,
    /// Document blocks.
    pub documents: bool,
    /// Video blocks.
    pub video: bool,
    /// Audio blocks.
    pub audio: bool,
    /// `searchResult` blocks, in turns and in tool results.
    pub search_results: bool,
    /// The answer can cite documents and search results (`citations.enabled`).
    pub citations: bool,
    /// `s3Location` sources.
    pub s3_sources: bool,
    /// A final assistant turn is continued.
    pub prefill: bool,
    /// `temperature`, `topP`, `topK`.
    pub sampling: SamplingRule,
    /// `temperature`, `topP` and `topK` are taken while reasoning is on (as far as `sampling` takes them at all).
    pub sampling_while_reasoning: bool,
    /// Where `top_k` goes.
    pub top_k: TopKField,
    /// Most stop sequences; 0 = the model takes none.
    pub max_stop_sequences: u32,
    /// Least value of `maxTokens`.
    pub min_max_tokens: u32,
    /// OpenAI sampling fields that go into `additionalModelRequestFields` as they are, e.g. `seed`.
    pub passed_parameters: Vec<String>,
    /// How reasoning is asked for.
    pub reasoning: ReasoningDialect,
    /// Effort words below the highest one that the model refuses; the next higher word it has is meant instead
    /// (Claude Opus 4.6 has `max` but no `xhigh`).
    pub missing_efforts: Vec<Effort>,
    /// Which reasoning may be sent back.
    pub reasoning_replay: ReasoningReplay,
    /// JSON-schema answers.
    pub structured: Structured,
    /// Explicit prompt caching.
    pub cache: Option<CacheSupport>,
    /// Prompts are cached without being marked, in the region that read them, from so many tokens on; 0 = they are not.
    pub implicit_cache_min_tokens: u32,
    /// `/usage/output_tokens_details` may be asked for through `additionalModelResponseFieldPaths`.
    pub reports_thinking_tokens: bool,
    /// `/stop_sequence` may be asked for through `additionalModelResponseFieldPaths`.
    pub reports_stop_sequence: bool,
    /// `anthropic_beta` flags and the fields that go with them. Not a field of these rows: see `betas.toml`.
    #[serde(skip)]
    pub betas: ModelBetas,
    /// InvokeModel takes bodies of the Anthropic Messages API: a client's own body can pass through.
    pub invoke_messages: bool,
    /// `system` turns in mid-conversation, on InvokeModel.
    pub invoke_mid_system: MidSystem,
    /// `thinking: {type: between_tools}` is taken, on InvokeModel.
    pub between_tools: bool,
    /// Reasoning arrives as tags in the text (`think`, `reasoning`, `thinking`): tag names to lift out.
    pub reasoning_tags: Vec<String>,
    /// Metadata and guardrails work on every Converse model; guardrails are refused by a few.
    pub guardrails: bool,
}

impl Default for ChatCapabilities {
    fn default() -> Self {
        Self {
            system: SystemSupport::Native,
            mid_system: MidSystem::UserTurn,
            tools: ToolSupport::Full,
            tool_choice_any: false,
            tool_choice_named: false,
            forced_tools: ForcedTools::Always,
            strict_tools: false,
            parallel_switch: false,
            tool_ids: ToolIds::Any,
            tool_result_status: false,
            tool_result_images: ToolResultImages::Inside,
            system_tools: Vec::new(),
            images: false,
            documents: true,
            video: false,
            audio: false,
            search_results: false,
            citations: false,
            s3_sources: false,
            prefill: false,
            sampling: SamplingRule::Both,
            sampling_while_reasoning: true,
            top_k: TopKField::Unsupported,
            max_stop_sequences: 2500,
            min_max_tokens: 1,
            passed_parameters: Vec::new(),
            reasoning: ReasoningDialect::None,
            missing_efforts: Vec::new(),
            reasoning_replay: ReasoningReplay::Drop,
            structured: Structured::ForcedTool,
            cache: None,
            implicit_cache_min_tokens: 0,
            reports_thinking_tokens: false,
            reports_stop_sequence: false,
            betas: ModelBetas::default(),
            invoke_messages: false,
            invoke_mid_system: MidSystem::UserTurn,
            between_tools: false,
            reasoning_tags: Vec::new(),
            guardrails: true,
        }
    }
}

/// Where leading instructions go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SystemSupport {
    /// `system`.
    Native,
    /// Before the first user turn's text (models that refuse `system`).
    FirstUserTurn,
}

/// What becomes of `system` turns in mid-conversation. Always in place, so that the cached prefix holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MidSystem {
    /// `role: system`.
    Native,
    /// A user turn with a fixed note.
    UserTurn,
}

/// How far function tools work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolSupport {
    /// Not at all.
    None,
    /// Not on the streaming operation: the whole answer is fetched and streamed by us.
    WithoutStreaming,
    /// Everywhere.
    Full,
}

/// When a tool choice may be forced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForcedTools {
    /// Whenever the choice kind is taken at all.
    Always,
    /// Not while reasoning is on.
    NotWithReasoning,
}

/// Form of tool-call ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolIds {
    /// `[a-zA-Z0-9_.:-]{1,64}`, as Converse says.
    Any,
    /// `[a-zA-Z0-9_-]+`, as Claude's own bodies have it.
    Words,
    /// Exactly nine letters or digits (Mistral).
    NineAlphanumerics,
}

/// Where images of a tool result go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolResultImages {
    /// Into the result.
    Inside,
    /// Into the same turn, after the result.
    Beside,
}

/// Which sampling parameters are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SamplingRule {
    /// `temperature` and `topP`, together too.
    Both,
    /// One of them: `temperature` wins.
    OneOf,
    /// None of them.
    Refused,
    /// As `Both`, but none of them while reasoning is on.
    NotWithReasoning,
}

/// Where `top_k` goes in `additionalModelRequestFields`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopKField {
    /// Nowhere.
    Unsupported,
    /// `top_k`.
    TopK,
    /// `inferenceConfig.topK` (Nova).
    InferenceConfig,
    /// `k` (Cohere).
    K,
}

/// How a model is told to reason. Fields go into `additionalModelRequestFields`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum ReasoningDialect {
    /// It cannot.
    None,
    /// It always does, by itself; no field is taken.
    AlwaysOn,
    /// `thinking: {type: enabled, budget_tokens}`.
    ClaudeBudget {
        /// Least budget.
        min_budget: u32,
        /// Highest `output_config.effort`, where that is taken beside the budget.
        #[serde(default)]
        max_effort: Option<Effort>,
    },
    /// `thinking: {type: adaptive}` and `output_config: {effort}`.
    ClaudeAdaptive {
        /// Thinking can be switched off.
        can_disable: bool,
        /// `enabled` with a budget is still taken.
        budget_allowed: bool,
        /// `display: summarized` must be asked for, else the text stays hidden.
        hidden_by_default: bool,
        /// The model thinks unless told not to.
        #[serde(default)]
        on_by_default: bool,
        /// Highest effort.
        max_effort: Effort,
    },
    /// `reasoningConfig: {type, maxReasoningEffort}` (Nova 2).
    NovaConfig,
    /// An effort word.
    Effort {
        /// Where it goes.
        field: EffortField,
        /// Lowest word taken; lower wishes are raised to it.
        min: Effort,
        /// Highest word taken.
        max: Effort,
        /// The word `none` is taken.
        can_disable: bool,
    },
}

/// Field of an effort word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffortField {
    /// `reasoning_effort: "low"`.
    ReasoningEffort,
    /// `reasoning: {effort: "low"}`.
    ReasoningObject,
}

/// Which reasoning blocks of the history may be sent back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningReplay {
    /// None.
    Drop,
    /// Signed and redacted ones (Claude).
    Signed,
    /// Plain text ones.
    Plain,
}

/// How a JSON schema is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Structured {
    /// `outputConfig.textFormat`.
    Native,
    /// One tool that takes the schema; its call becomes the answer's text.
    ForcedTool,
}

/// Explicit prompt caching.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheSupport {
    /// Least tokens before a mark for it to count.
    pub min_tokens: u32,
    /// Most marks in a request.
    pub max_points: u32,
    /// Lifetimes taken; the first is the default.
    pub ttls: Vec<CacheTtl>,
    /// Marks in `system`.
    pub system: bool,
    /// Marks in `messages`.
    pub messages: bool,
    /// Marks in `toolConfig.tools`.
    pub tools: bool,
}
