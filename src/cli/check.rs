//! `freshgate check FILE`: is this configuration valid, and what would it mean?

use super::CANNOT;
use crate::config::{self, Config, Faults, Loaded};
use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// Prints every fault, warning and remark of the file. Exit code 0: valid, 1: invalid, 2: it can't be read.
pub(super) fn check(path: &Path) -> ExitCode {
    let mut out = io::stdout().lock();
    // Where nobody reads on (`check FILE | head -1`) the exit code still tells.
    match config::load(path) {
        Ok(loaded) => {
            let _ = valid(&mut out, path, &loaded);
            ExitCode::SUCCESS
        }
        Err(Faults::Invalid(faults)) => {
            let _ = invalid(&mut out, path, &faults);
            ExitCode::FAILURE
        }
        Err(unreadable @ Faults::Unreadable { .. }) => {
            let _ = writeln!(io::stderr(), "{unreadable}");
            ExitCode::from(CANNOT)
        }
    }
}

fn valid(out: &mut impl Write, path: &Path, loaded: &Loaded) -> io::Result<()> {
    for warning in &loaded.warnings {
        writeln!(out, "{warning} (warning)")?;
    }
    for remark in &loaded.remarks {
        writeln!(out, "{remark} (remark)")?;
    }
    let Config { apis, objects, events, .. } = &loaded.config;
    let namespaces = objects.as_ref().map_or(0, |objects| objects.namespaces.len());
    let mut all = vec![counted(apis.len(), "API", "APIs")];
    let more = [
        (namespaces, "namespace", "namespaces"),
        (events.rules.len(), "rule for events", "rules for events"),
        (events.sources.len(), "source of events", "sources of events"),
    ];
    all.extend(more.into_iter().filter(|(n, ..)| *n > 0).map(|(n, one, many)| counted(n, one, many)));
    writeln!(out, "{} is valid: {}", path.display(), all.join(", "))
}

fn invalid(out: &mut impl Write, path: &Path, faults: &[impl Display]) -> io::Result<()> {
    for fault in faults {
        writeln!(out, "{fault}")?;
    }
    writeln!(out, "{} is not valid: {}", path.display(), counted(faults.len(), "fault", "faults"))
}

fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
