//! The `freshgate` program: arguments and exit code, nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    freshgate::cli::main()
}
