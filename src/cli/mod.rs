//! The commands, one file each.

mod check;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// The exit code of wrong usage and of what can't start; 1 means that the answer is no.
const CANNOT: u8 = 2;

/// A caching gateway for REST APIs that is never stale after a write.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Validate a configuration: every fault with file:line:column. Exit code 0: valid, 1: invalid.
    Check {
        /// The configuration file.
        file: PathBuf,
    },
}

/// Runs the command that the arguments of this process name.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Check { file } => check::check(&file),
    }
}
