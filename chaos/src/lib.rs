//! The chaos and benchmark harness: it looks at a gateway from outside and believes nothing it says of itself.

pub mod baseline;
pub mod bench;
