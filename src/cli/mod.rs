//! The commands. Each gives an exit status: 0 if all is well, 1 if something failed or `check` found an error, 2
//! if the command line is wrong. What failed goes to standard error in one form (`failure`).

mod args;
mod check;
mod client;
mod failure;
mod reload;
mod route;
mod serve;
mod sql;
mod status;
mod table;

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Runtime;

use self::args::{Arguments, Command};
use self::failure::Failure;

/// Runs the command that the process's arguments name.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failure::tell(&Failure::new(format!("threads cannot be started: {error}"))),
    };
    let done = runtime.block_on(async {
        match arguments.command {
            Command::Serve(arguments) => serve::run(&arguments).await,
            Command::Check(arguments) => check::run(&arguments).await,
            Command::Sql(arguments) => sql::run(&arguments).await,
            Command::Status(arguments) => status::run(&arguments).await,
            Command::Reload(arguments) => reload::run(&arguments).await,
            Command::Demo(arguments) => match crate::demo::run(arguments.options).await {
                Ok(()) => Ok(ExitCode::SUCCESS),
                Err(error) => Err(Failure::new(error.to_string())),
            },
        }
    });
    // Reading a terminal cannot be interrupted: nothing is waited for.
    runtime.shutdown_background();
    match done {
        Ok(code) => code,
        Err(failure) => failure::tell(&failure),
    }
}
