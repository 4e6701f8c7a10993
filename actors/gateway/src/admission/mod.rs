//! Who may ask, and for what.

mod key_directory;

pub use key_directory::{KeyDirectory, KeyDirectoryArgs, KeyDirectoryMsg, KeyEntry, KeyReport, KeySnapshot, Principal};
