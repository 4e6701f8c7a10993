//! The harness's own prices.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context as _;
use serde::Deserialize;

use crate::history::Price;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    price: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    model: String,
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write: u64,
    geography_percent: u64,
}

/// Prices by foundation model.
///
/// # Errors
/// A file that is not there or is none of prices.
pub fn read(file: &Path) -> anyhow::Result<BTreeMap<String, Price>> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let file: File = toml::from_str(&text).with_context(|| format!("reading {}", file.display()))?;
    let price = |row: Row| {
        let Row { model, input, output, cache_read, cache_write, geography_percent } = row;
        (model, Price { input, output, cache_read, cache_write, geography_percent })
    };
    Ok(file.price.into_iter().map(price).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_prices_are_read() {
        let prices = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("prices.toml")).unwrap();
        assert_eq!(prices["anthropic.claude-sonnet-4-6"].output, 15_000_000);
    }
}
