//! The commands, one file each.

mod admin_client;
mod check;
pub mod demo;
pub mod explain;
pub mod hash_token;
mod pages;
pub mod purge;
mod run;
pub mod top;

pub use admin_client::Access;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use std::io::{Write, stderr, stdin, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

/// The exit code of wrong usage and of what can't start; 1 means that the answer is no.
const CANNOT: u8 = 2;

/// A caching gateway for REST APIs that is never stale after a write.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway. Prints a ready line once every listener is bound.
    Run {
        /// The configuration file.
        #[arg(long, env = "FRESHGATE_CONFIG")]
        config: PathBuf,
    },
    /// Try it: a bookstore's REST API behind a gateway, with lines to paste.
    Demo(demo::Args),
    /// Validate a configuration: every fault with file:line:column. Exit code 0: valid, 1: invalid.
    Check {
        /// The configuration file.
        file: PathBuf,
    },
    /// Ask a running gateway to invalidate what it has stored.
    Purge(Box<purge::Args>),
    /// Watch a running gateway: traffic, hit ratio and latency of every API.
    Top(top::Args),
    /// Ask a running gateway what it would do with a request, and why.
    Explain(Box<explain::Args>),
    /// Read a secret on stdin and print the SHA-256 that the configuration file wants.
    HashToken(hash_token::Args),
    /// Print what a shell needs to complete command lines.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual, as roff: `freshgate man | man -l -`.
    Man,
}

/// Runs the command that the arguments of this process name.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { config } => run::run(&config),
        Command::Demo(args) => demo::run(&args),
        Command::Check { file } => check::check(&file),
        Command::Purge(args) => {
            let done = run::block_on(async { purge::run(&args, stdout(), stderr()).await });
            ExitCode::from(done.unwrap_or(CANNOT))
        }
        Command::Top(args) => {
            let done = run::block_on(async { top::run(&args, stdout(), stderr()).await });
            ExitCode::from(done.unwrap_or(CANNOT))
        }
        Command::Explain(args) => {
            let done = run::block_on(async { explain::run(&args, stdout(), stderr()).await });
            ExitCode::from(done.unwrap_or(CANNOT))
        }
        Command::HashToken(args) => ExitCode::from(hash_token::run(&args, stdin(), stdout(), stderr())),
        Command::Completions { shell } => {
            pages::completions(Arguments::command(), shell, &mut stdout());
            ExitCode::SUCCESS
        }
        Command::Man => {
            drop(pages::man(Arguments::command(), &mut stdout())); // who closes the pipe wants no more
            ExitCode::SUCCESS
        }
    }
}

/// Says on stderr what stands in the way; where nobody listens the exit code still tells.
fn complain(why: &str) {
    drop(writeln!(stderr(), "freshgate: {why}"));
}
