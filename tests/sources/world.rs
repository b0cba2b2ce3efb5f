//! What the servers of these tests have in common: they are found, started as somebody who isn't root, and ended by their id.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Whether this server is there. `./test.sh` installs them and sets `FRESHGATE_SERVERS=required`; from then on a missing one is a failure.
pub(crate) fn wanted(found: Option<&PathBuf>, what: &str) -> bool {
    match std::env::var("FRESHGATE_SERVERS").as_deref() {
        Ok("required") => assert!(found.is_some(), "{what} is missing; ./test.sh installs it"),
        Ok(other) => panic!("FRESHGATE_SERVERS is {other:?}; it may be \"required\" or unset"),
        Err(_) if found.is_none() => eprintln!("skipped: {what} is missing; ./test.sh installs it"),
        Err(_) => {}
    }
    found.is_some()
}

/// A port that was free a moment ago.
pub(crate) fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A folder that `user` owns, inside one that goes with the test.
pub(crate) fn folder_of(user: &str, outer: &Path) -> PathBuf {
    let folder = outer.join(user);
    std::fs::create_dir(&folder).unwrap();
    own(user, &[outer, &folder]);
    folder
}

/// Gives these to `user`, where we are root.
pub(crate) fn own(user: &str, paths: &[&Path]) {
    if is_root() {
        let mut chown = Command::new("chown");
        chown.arg(user).args(paths);
        said(chown);
    }
}

/// A program as `user` where we are root, which PostgreSQL refuses to be.
pub(crate) fn as_user(user: &str, program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.arg("--reuid").arg(user).arg("--regid").arg(user).arg("--clear-groups").arg(program);
    command
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// What a command says, once it has ended well.
pub(crate) fn said(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {out}{err}");
    out.into_owned()
}

/// Ends a child with a signal and waits for its end.
pub(crate) fn end(child: &mut Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    child.wait().unwrap();
}
