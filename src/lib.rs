//! Outcrop: an OpenAI- and Anthropic-compatible gateway to AWS AI services, through several regions at once.
//!
//! HTTP handlers send jobs to actors, and the logic lives in the actors. This package is the edge:
//!
//! | Room | What it does |
//! |---|---|
//! | [`http`] | decodes requests, submits jobs, renders answers |
//! | [`settings`] | one TOML file, environment and flags; strict |
//! | [`app`] | the only composition root: settings to a running tree |
//! | [`live`] | settings to what a reload replaces |
//! | [`telemetry`] | logs, metrics, one line per request |
//! | [`shutdown`] | stop accepting, drain, stop the tree |
//! | [`cli`] | the command line |
//! | [`world`] | the real clock, randomness and threads |
//!
//! Everything behind the edge lives in `actors/`.

pub mod app;
pub mod cli;
pub mod http;
pub mod live;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
pub mod world;
