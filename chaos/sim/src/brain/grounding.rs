//! Nova's web grounding: text with web citations.

use serde::Serialize;

use super::Block;
use super::scene::Scene;
use super::words::keywords;
use crate::validate::shape::{Request, Tool};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Citation {
    title: String,
    source_content: [SourceContent; 1],
    location: Location,
}

#[derive(Serialize)]
struct SourceContent {
    text: String,
}

#[derive(Serialize)]
struct Location {
    web: Web,
}

#[derive(Serialize)]
struct Web {
    url: String,
    domain: &'static str,
}

/// A grounded answer, if the request offers grounding and the user asks something worth looking up.
pub(super) fn cited(request: &Request<'_>, scene: &Scene<'_>) -> Option<Vec<Block>> {
    let offered = request.tools.iter().flat_map(|config| &config.tools).any(|(_, tool)| matches!(tool, Tool::System("nova_grounding")));
    let topics = keywords(&scene.said, 4);
    if !offered || topics.is_empty() {
        return None;
    }
    let topic = topics.join(" ");
    let citation = Citation {
        title: format!("About {topic}"),
        source_content: [SourceContent { text: format!("A page about {topic}.") }],
        location: Location { web: Web { url: format!("https://www.example.com/{}", topics.join("-")), domain: "www.example.com" } },
    };
    let citations = serde_json::to_value([citation]).ok()?;
    Some(vec![
        Block::Text("I looked this up on the web. ".to_owned()),
        Block::Cited { text: format!("According to a recent page, {topic} is well documented."), citations },
    ])
}
