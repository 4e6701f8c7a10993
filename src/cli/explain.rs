//! `outcrop explain`: what a chat request would become upstream.

use std::{io::Read as _, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::Args;
use outcrop_domain::ids::{KeyId, RequestId};
use outcrop_gateway::{
    admission::Principal,
    ports::{ChatJob, ClientRequest, Disclosure, RequestOverrides},
    record::{RecordSink, RequestLine, RequestRecord},
};
use outcrop_protocol::openai::{body::decode, chat::ChatCompletionRequest};
use outcrop_translate::errors::openai::malformed_body;

use super::{SettingsArgs, local, models::discovered, output::line};
use crate::{settings::Settings, world};

/// Which request.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// A file with the JSON body of a chat completion request; `-` or nothing = standard input.
    request: Option<PathBuf>,
    /// Against the simulated AWS of `outcrop local` instead of a real account.
    #[arg(long)]
    local: bool,
}

pub(super) async fn run(arguments: ExplainArgs) -> anyhow::Result<()> {
    let body = read(arguments.request.as_ref())?;
    let request: ChatCompletionRequest = decode(&body).map_err(|fault| malformed_body(&fault))?;
    let simulator = if arguments.local { Some(local::simulated().await?) } else { None };
    let options = match &simulator {
        Some(simulator) => local::simulated_options(simulator, &arguments.settings),
        None => arguments.settings.options(),
    };
    let settings = Settings::load(&options)?;
    let gateway = discovered(&settings).await?;
    let world = world::real();
    let job = ChatJob {
        record: RequestRecord::open(RequestId::from("explain"), Arc::clone(&world.clock), Arc::new(NoLog)),
        principal: Arc::new(Principal { key: KeyId::from("command-line"), models: Vec::new(), strategy: None }),
        request: ClientRequest::OpenAiChat(Box::new(request)),
        body_bytes: body.len(),
        overrides: RequestOverrides::default(),
        held: None,
    };
    let explained = gateway.ports().chat.explain(job, Disclosure::Operator).await;
    gateway.drain(Duration::from_secs(1)).await;
    if let Some(simulator) = simulator {
        simulator.shutdown().await;
    }
    line(serde_json::to_string_pretty(&explained?)?)
}

fn read(file: Option<&PathBuf>) -> anyhow::Result<Vec<u8>> {
    match file {
        Some(path) if path.as_os_str() != "-" => std::fs::read(path).with_context(|| format!("reading {}", path.display())),
        _ => {
            let mut body = Vec::new();
            std::io::stdin().read_to_end(&mut body).context("reading the request from standard input")?;
            Ok(body)
        }
    }
}

/// Nothing was asked over HTTP: there is no line to write.
struct NoLog;

impl RecordSink for NoLog {
    fn write(&self, _line: &RequestLine<'_>) {}
}
