//! The `outcrop` command.

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;
use outcrop::cli::{self, CommandLine};

// Measured: a fifth to a quarter less CPU per request than the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("outcrop: cannot start the runtime: {error}")),
    };
    let result = runtime.block_on(cli::run(command_line));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("outcrop: {error:#}")),
    }
}

fn fail(words: &str) -> ExitCode {
    // Nothing can be told when standard error is closed.
    drop(writeln!(std::io::stderr(), "{words}"));
    ExitCode::FAILURE
}
