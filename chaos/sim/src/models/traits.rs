//! What one model accepts on Converse, as data. Source of the values: the reference tables named in `models.toml`.

use serde::Deserialize;

/// Capabilities and limits the validation rules and the mock model read.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traits {
    /// Models of one lineage accept each other's reasoning signatures.
    pub lineage: String,
    /// Shape of `additionalModelRequestFields`, and whose voice errors have.
    pub dialect: Dialect,
    /// Context window in tokens.
    pub context: u64,
    /// Largest `maxTokens`.
    pub max_output: u64,
    /// Smallest `maxTokens`.
    #[serde(default = "one")]
    pub min_tokens: u64,
    /// Whether a system prompt is accepted.
    #[serde(default = "yes")]
    pub system: bool,
    /// Whether `role: system` is accepted inside `messages`.
    #[serde(default)]
    pub system_turns: bool,
    /// Tool use: none, only without streaming, or everywhere.
    pub tools: ToolSupport,
    /// Forced choices accepted beside `auto`: `any`, `tool`.
    #[serde(default)]
    pub tool_choice: Vec<String>,
    /// Whether `toolSpec.strict` is accepted.
    #[serde(default)]
    pub strict_tools: bool,
    /// Whether images are accepted inside tool results.
    #[serde(default)]
    pub tool_result_images: bool,
    /// Whether tool results and other content may share a user turn.
    #[serde(default = "yes")]
    pub mixed_tool_turns: bool,
    /// Tool-use ids must be exactly nine alphanumerics.
    #[serde(default)]
    pub nine_character_ids: bool,
    /// Whether regex lookaround is accepted in tool schemas.
    #[serde(default = "yes")]
    pub lookaround: bool,
    /// System tools offered, by name.
    #[serde(default)]
    pub system_tools: Vec<String>,
    /// Whether documents are accepted.
    #[serde(default = "yes")]
    pub documents: bool,
    /// Whether media may come from S3.
    #[serde(default)]
    pub s3_sources: bool,
    /// Whether the conversation may end with an assistant turn.
    #[serde(default)]
    pub prefill: bool,
    /// Which sampling parameters are accepted.
    pub sampling: Sampling,
    /// Most stop sequences accepted; 0 = the field is refused.
    pub stop_sequences: usize,
    /// Native `outputConfig.textFormat`.
    #[serde(default)]
    pub structured: bool,
    /// Whether `CountTokens` supports the model.
    #[serde(default)]
    pub count_tokens: bool,
    /// Whether `performanceConfig.latency = optimized` is accepted.
    #[serde(default)]
    pub latency_optimized: bool,
    /// What happens when input plus `maxTokens` exceed the window.
    #[serde(default)]
    pub overflow: Overflow,
    /// How reasoning is switched.
    pub thinking: ThinkingMode,
    /// Reasoning is on when the request says nothing.
    #[serde(default)]
    pub thinking_default: bool,
    /// Reasoning text is withheld unless `display: summarized` is asked.
    #[serde(default)]
    pub thinking_hidden: bool,
    /// Whether `thinking.type = between_tools` is accepted.
    #[serde(default)]
    pub between_tools: bool,
    /// Effort words accepted; empty = no effort parameter.
    #[serde(default)]
    pub efforts: Vec<String>,
    /// Beta flag `output_config.effort` needs, if any.
    pub effort_beta: Option<String>,
    /// Which reasoning blocks history may hold.
    pub reasoning_replay: Replay,
    /// Prompt caching.
    #[serde(default)]
    pub cache: CacheMode,
    /// Smallest cacheable prefix in tokens.
    #[serde(default)]
    pub cache_min: u64,
    /// Whether the one-hour TTL is accepted.
    #[serde(default)]
    pub cache_hour: bool,
    /// Whether a cache point may stand among the tools.
    #[serde(default)]
    pub cache_tools: bool,
    /// Tokens of a quota that one output token costs at settlement. Source: Bedrock quotas page, token burndown.
    #[serde(default = "one")]
    pub burndown: u64,
    /// Beta flags accepted in `anthropic_beta`.
    #[serde(default)]
    pub betas: Vec<String>,
    /// Computer-use beta of this model, accepted too.
    pub computer_use: Option<String>,
    /// Beta that raises the window to a million tokens.
    pub long_context_beta: Option<String>,
    /// Shape of the body InvokeModel takes.
    #[serde(default)]
    pub invoke: Invoke,
    /// Beta flags accepted in an InvokeModel body, beside those of this model's own that stand above.
    #[serde(default)]
    pub invoke_betas: Vec<String>,
    /// Whether InvokeModel refuses consecutive turns of one role instead of merging them.
    #[serde(default)]
    pub strict_turns: bool,
    /// Members of a prompt body beside the prompt.
    #[serde(default)]
    pub prompt_fields: Vec<String>,
    /// Members of `additionalModelRequestFields` accepted by a closed dialect.
    #[serde(default)]
    pub extra_fields: Vec<String>,
    /// Members of `additionalModelRequestFields` refused by an open dialect.
    #[serde(default)]
    pub refused_fields: Vec<String>,
}

/// Shape of the native body behind Converse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// Anthropic Messages; unknown members are refused.
    Claude,
    /// Amazon Nova; unknown members are refused.
    Nova,
    /// GPT-5 and later; only the listed members.
    Gpt,
    /// Grok; open, but the effort word is checked.
    Grok,
    /// Open-weight chat completions; unknown members pass.
    Open,
    /// Only the listed members.
    Closed,
}

/// Shape of the body of InvokeModel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Invoke {
    /// None that is simulated.
    #[default]
    None,
    /// Anthropic Messages.
    Messages,
    /// Nova, `messages-v1`.
    Nova,
    /// OpenAI chat completions.
    Chat,
    /// A prompt and its parameters: judged, never answered.
    Prompt,
}

/// Whether and how tools can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToolSupport {
    /// No tools.
    None,
    /// Tools with Converse, not with ConverseStream.
    Blocking,
    /// Tools with both.
    Streaming,
}

/// Accepted sampling parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sampling {
    /// Temperature and topP.
    Free,
    /// One of the two.
    Either,
    /// None.
    None,
}

/// Reaction to input plus `maxTokens` beyond the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// Refuse the request.
    Refuse,
    /// Answer until the window is full.
    #[default]
    Generate,
}

/// How a request switches reasoning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThinkingMode {
    /// The model does not reason.
    None,
    /// `thinking: enabled` with a budget.
    Budget,
    /// Budget or adaptive.
    BudgetOrAdaptive,
    /// Adaptive or disabled.
    Adaptive,
    /// Adaptive, never disabled.
    AdaptiveAlways,
    /// `reasoningConfig`.
    Nova,
    /// `reasoning_effort`, always on.
    Effort,
    /// `reasoning: {effort}`; text is never shown.
    Gpt,
    /// Always on, no parameter.
    Always,
    /// On when a raw `reasoning_effort` is passed.
    Passed,
}

/// Which reasoning blocks a model takes back in assistant turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replay {
    /// None.
    Refused,
    /// Text without signature.
    Plain,
    /// Signed text and redacted blocks.
    Signed,
}

/// Kind of prompt caching.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheMode {
    /// Cache points are refused.
    #[default]
    None,
    /// Cache points.
    Explicit,
    /// Automatic; cache points are refused.
    Implicit,
}

fn yes() -> bool {
    true
}

fn one() -> u64 {
    1
}
