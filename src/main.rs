//! The `crossweave` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    crossweave::cli::main()
}
