//! Outcrop: an OpenAI- and Anthropic-compatible gateway to AWS AI services.
