//! What the gateway is measured against: the least that a handler can do.

pub mod proxy;
pub mod sdk;

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::Router;
use tokio::net::TcpListener;

/// Announces the address on standard output (the benchmark reads it) and serves.
async fn announce_and_serve(bind: SocketAddr, router: Router) -> anyhow::Result<()> {
    use axum::serve::ListenerExt as _;
    let listener = TcpListener::bind(bind).await.with_context(|| format!("listening on {bind}"))?;
    announce(listener.local_addr()?)?;
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, router).await.context("serving")
}

/// One line: `listening on ADDRESS`.
pub(crate) fn announce(address: SocketAddr) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout();
    writeln!(out, "listening on {address}")?;
    out.flush().context("announcing the address")
}
