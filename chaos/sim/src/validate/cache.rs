//! Cache points: support, number, order of TTLs, places.

use super::shape::{Block, CachePoint, Placed, Source, SystemBlock, Tool, Ttl};
use super::{Case, Refusal};
use crate::models::{CacheMode, Dialect};

/// Most cache points in one request.
pub(super) const MOST: usize = 4;

/// Checks every cache point, in the order the prefix is built: tools, system, messages.
pub(super) fn check(case: &Case<'_, '_>) -> Result<(), Refusal> {
    let points = points(case);
    if points.is_empty() {
        return Ok(());
    }
    match case.traits.cache {
        CacheMode::None => {
            return Err(Refusal::validation(
                "You invoked an unsupported model or your request did not allow prompt caching. See the documentation for more information.",
            ));
        }
        CacheMode::Implicit => return Err(Refusal::unsupported_field("cachePoint")),
        CacheMode::Explicit => {}
    }
    if let Some((index, _)) = tool_points(case).next()
        && !case.traits.cache_tools
    {
        return Err(Refusal::validation(format!(
            "Malformed input request: #/toolConfig/tools/{index}: extraneous key [cachePoint] is not permitted, please reformat your input and try again."
        )));
    }
    if points.len() > MOST {
        return Err(Refusal::model(format!("A maximum of 4 blocks with cache_control may be provided. Found {}.", points.len())));
    }
    if let Some((at, _)) = points.iter().find(|(_, point)| point.ttl == Ttl::OneHour)
        && !case.traits.cache_hour
    {
        return Err(Refusal::model(format!("{at}.cache_control.ephemeral.ttl: Extra inputs are not permitted")));
    }
    lives(&points)?;
    for (index, message) in case.request.messages.iter().enumerate() {
        neighbours(case, &message.content, index)?;
    }
    Ok(())
}

/// Longer lives come first.
pub(super) fn lives(points: &[(String, CachePoint)]) -> Result<(), Refusal> {
    let mut shortest = Ttl::OneHour;
    for (at, point) in points {
        if point.ttl > shortest {
            return Err(Refusal::model(format!(
                "{at}.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. Note that blocks are processed in the following order: `tools`, `system`, `messages`."
            )));
        }
        shortest = point.ttl;
    }
    Ok(())
}

fn tool_points<'c>(case: &'c Case<'_, '_>) -> impl Iterator<Item = (usize, CachePoint)> + 'c {
    case.request.tools.iter().flat_map(|config| config.tools.iter().enumerate()).filter_map(|(index, (_, tool))| match tool {
        Tool::CachePoint(point) => Some((index, *point)),
        _ => None,
    })
}

/// All cache points with the place of the block they mark, in Anthropic's words.
fn points(case: &Case<'_, '_>) -> Vec<(String, CachePoint)> {
    let mut points: Vec<(String, CachePoint)> =
        tool_points(case).map(|(index, point)| (format!("tools.{}", index.saturating_sub(1)), point)).collect();
    for (index, (_, block)) in case.request.system.iter().enumerate() {
        if let SystemBlock::CachePoint(point) = block {
            points.push((format!("system.{}", index.saturating_sub(1)), *point));
        }
    }
    for (index, message) in case.request.messages.iter().enumerate() {
        for (place, placed) in message.content.iter().enumerate() {
            if let Block::CachePoint(point) = placed.block {
                points.push((format!("messages.{index}.content.{}", place.saturating_sub(1)), point));
            }
        }
    }
    points
}

/// Claude takes no marker on thinking or on plain-text documents.
fn neighbours(case: &Case<'_, '_>, content: &[Placed<'_>], index: usize) -> Result<(), Refusal> {
    if case.traits.dialect != Dialect::Claude {
        return Ok(());
    }
    for (place, pair) in content.windows(2).enumerate() {
        let [marked, Placed { block: Block::CachePoint(_), .. }] = pair else { continue };
        let at = format!("messages.{index}.content.{place}");
        match &marked.block {
            Block::Reasoning { .. } | Block::Redacted(_) => {
                return Err(Refusal::model(format!("{at}.thinking.cache_control: Extra inputs are not permitted")));
            }
            Block::Document(document)
                if matches!(document.format, Some("txt" | "md" | "csv" | "html"))
                    || matches!(document.source, Source::Text(_) | Source::Content(_)) =>
            {
                return Err(Refusal::model(format!("{at}: cache_control cannot be set for text documents")));
            }
            _ => {}
        }
    }
    Ok(())
}
