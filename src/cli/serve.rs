//! `crossweave serve`.

use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::args::ServeArguments;
use super::failure::Failure;
use crate::config::Config;
use crate::server::{Server, init_logging};

/// Runs a server until it is told to end.
pub(super) async fn run(arguments: &ServeArguments) -> Result<ExitCode, Failure> {
    let config = Config::load(&arguments.config.config)?;
    init_logging(&config.log);
    let mut signals = Signals::new()?;
    let server = tokio::select! {
        started = Server::start(config) => started?,
        () = signals.next() => return Ok(ExitCode::SUCCESS),
    };
    signals.next().await;
    server.stop(signals.next()).await;
    Ok(ExitCode::SUCCESS)
}

/// SIGTERM and Ctrl-C.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::new(format!("signals cannot be listened to: {error}")))
        };
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
