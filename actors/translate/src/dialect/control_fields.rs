//! Fields that are addressed to gateways and clients, not to models.

/// Top-level fields that steer other gateways and clients. They are not the model's business: a model would
/// refuse the request for them, and some hold secrets. Sorted.
const CONTROL_FIELDS: &[&str] = &[
    "additional_drop_params",
    "allowed_openai_params",
    "api_base",
    "api_key",
    "api_version",
    "azure_ad_token",
    "base_model",
    "base_url",
    "cache",
    "caching",
    "chat_id",
    "client",
    "client_metadata",
    "context_window_fallback_dict",
    "cooldown_time",
    "custom_llm_provider",
    "custom_prompt_dict",
    "deployment_id",
    "disable_add_transform_inline_image_block",
    "drop_params",
    "extra_headers",
    "extra_query",
    "fallbacks",
    "force_timeout",
    "headers",
    "hf_model_name",
    "input_cost_per_token",
    "keep_alive",
    "logger_fn",
    "max_retries",
    "mock_response",
    "mock_tool_calls",
    "model_info",
    "model_list",
    "models",
    "no-log",
    "num_retries",
    "organization",
    "output_cost_per_token",
    "plugins",
    "preset",
    "project",
    "provider",
    "proxy_server_request",
    "request_timeout",
    "retry_policy",
    "retry_strategy",
    "route",
    "rpm",
    "secret_fields",
    "session_id",
    "ssl_verify",
    "stream_timeout",
    "tags",
    "timeout",
    "tpm",
    "transforms",
    "usage",
    "use_in_pass_through",
    "user_continue_message",
];

/// Prefixes of further control fields.
const CONTROL_PREFIXES: &[&str] = &["aws_", "litellm_", "vertex_"];

/// True for a field that is nothing to a model.
pub(crate) fn is_control(name: &str) -> bool {
    CONTROL_FIELDS.binary_search(&name).is_ok() || CONTROL_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_fields_are_sorted_for_the_search() {
        assert!(CONTROL_FIELDS.is_sorted());
        for name in CONTROL_FIELDS {
            assert!(is_control(name), "{name}");
        }
        assert!(is_control("aws_secret_access_key") && is_control("litellm_call_id"));
        assert!(!is_control("top_a"));
    }
}
