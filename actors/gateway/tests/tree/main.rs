//! The tree as a whole, over scripted regions and a paused clock: one test per message and per restart path.

mod chat;
mod keepers;
mod kit;
mod targets;
