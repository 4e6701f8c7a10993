//! The chaos and benchmark harness.
