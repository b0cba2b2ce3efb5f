//! `freshgate completions SHELL` and `freshgate man`: made of the same declaration that reads the arguments.

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use std::io::{self, Write};

/// What a shell reads in order to complete the command line.
pub(super) fn completions(mut command: Command, shell: Shell, out: &mut impl Write) {
    let mut page = Vec::new();
    clap_complete::generate(shell, &mut command, "freshgate", &mut page);
    drop(out.write_all(&page)); // who closes the pipe wants no more
}

/// The manual: a page for the program, and behind it one for each of its commands, as roff.
///
/// # Errors
/// When it can't be written.
pub(super) fn man(command: Command, out: &mut impl Write) -> io::Result<()> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    Man::new(command.clone()).render(out)?;
    for part in command.get_subcommands().filter(|part| part.get_name() != "help") {
        Man::new(part.clone()).render(out)?;
    }
    Ok(())
}
