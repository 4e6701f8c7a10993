//! Waiting for what must come, with an end.

use std::time::Duration;

/// Longest wait for anything that must happen. Far above what it takes, so that a loaded machine fails no test.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Between two looks at a state that announces no changes.
const LOOK: Duration = Duration::from_millis(2);

/// The future's value, within [`LIMIT`].
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, future).await {
        Ok(value) => value,
        Err(_) => panic!("not within {LIMIT:?}: {what}"),
    }
}

/// Looks until the condition holds, within [`LIMIT`]. For states that announce no changes.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let looking = async {
        let mut looks = tokio::time::interval(LOOK);
        while !condition().await {
            looks.tick().await;
        }
    };
    soon(what, looking).await;
}
