//! The data files that are built in.

/// Name and text of every file of `config/models`, in reading order: presets and names before models.
pub const BUILTIN: &[(&str, &str)] = &[
    ("families.toml", include_str!("../../../../../config/models/families.toml")),
    ("betas.toml", include_str!("../../../../../config/models/betas.toml")),
    ("geographies.toml", include_str!("../../../../../config/models/geographies.toml")),
    ("aliases.toml", include_str!("../../../../../config/models/aliases.toml")),
    ("retired.toml", include_str!("../../../../../config/models/retired.toml")),
    ("anthropic.toml", include_str!("../../../../../config/models/anthropic.toml")),
    ("amazon.toml", include_str!("../../../../../config/models/amazon.toml")),
    ("openai.toml", include_str!("../../../../../config/models/openai.toml")),
    ("meta.toml", include_str!("../../../../../config/models/meta.toml")),
    ("mistral.toml", include_str!("../../../../../config/models/mistral.toml")),
    ("deepseek.toml", include_str!("../../../../../config/models/deepseek.toml")),
    ("qwen.toml", include_str!("../../../../../config/models/qwen.toml")),
    ("moonshot.toml", include_str!("../../../../../config/models/moonshot.toml")),
    ("minimax.toml", include_str!("../../../../../config/models/minimax.toml")),
    ("zai.toml", include_str!("../../../../../config/models/zai.toml")),
    ("xai.toml", include_str!("../../../../../config/models/xai.toml")),
    ("google.toml", include_str!("../../../../../config/models/google.toml")),
    ("nvidia.toml", include_str!("../../../../../config/models/nvidia.toml")),
    ("writer.toml", include_str!("../../../../../config/models/writer.toml")),
    ("ai21.toml", include_str!("../../../../../config/models/ai21.toml")),
    ("cohere.toml", include_str!("../../../../../config/models/cohere.toml")),
    ("twelvelabs.toml", include_str!("../../../../../config/models/twelvelabs.toml")),
    ("stability.toml", include_str!("../../../../../config/models/stability.toml")),
    ("luma.toml", include_str!("../../../../../config/models/luma.toml")),
];
