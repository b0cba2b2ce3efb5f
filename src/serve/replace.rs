//! A file replaced by another content, as a whole or not at all.
//!
//! 1. What was there and what shall be there are written beside it, with the same mode and, where that is allowed, the same owner, and
//!    brought to the disk.
//! 2. The one takes the name `FILE.bak`: whoever changes his mind has the text of before.
//! 3. The other takes the file's name, in one step. What it displaces is looked at once more: if somebody has edited it, it is put back.
//! 4. The folder is brought to the disk.
//!
//! A crash leaves the old file or the new one, and beside it perhaps one that was being written (`.FILE.freshgate-new`, `.FILE.freshgate-bak`),
//! which the next time begins anew. A link stays one: what it leads to is replaced. What the system would let root write though nobody
//! may (mode 0444) was made so by somebody, and isn't written either.

use rustix::fs::{Access, access};
use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Called before each step, with its name. Nobody but a test has anything to do there.
pub(super) type Step<'a> = &'a mut dyn FnMut(&'static str);

/// Why a file wasn't replaced; it is as it was.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotReplaced {
    /// It has another content than was expected.
    Changed,
    /// It can't be written, for this reason.
    Unwritable(String),
}

/// Whether the file can be replaced, as far as that can be said without trying.
///
/// # Errors
/// Why not.
pub(super) fn may_be_replaced(path: &Path) -> Result<(), String> {
    place(path).map(drop)
}

/// The file itself, behind all links, and its folder.
fn place(path: &Path) -> Result<(PathBuf, PathBuf, Metadata), String> {
    let own = path.canonicalize().map_err(|error| format!("it can't be found: {error}"))?;
    let about = own.metadata().map_err(|error| format!("it can't be looked at: {error}"))?;
    if !about.is_file() {
        return Err("it isn't a regular file".into());
    }
    let folder = own.parent().unwrap_or(Path::new("/")).to_owned();
    let around = folder.metadata().map_err(|error| format!("its folder can't be looked at: {error}"))?;
    for (what, path, about) in [("it", &own, &about), ("its folder", &folder, &around)] {
        let mode = about.mode() & 0o7777;
        if mode & 0o222 == 0 {
            return Err(format!("{what} is read-only (mode {mode:04o})"));
        }
        access(path, Access::WRITE_OK).map_err(|error| format!("{what} can't be written: {error}"))?;
    }
    if about.dev() != around.dev() || is_mounted(&own) {
        return Err("it is mounted by itself and can't be replaced; mount its folder instead".into());
    }
    Ok((own, folder, about))
}

/// Whether something is mounted there, as containers mount single files; that can be written into and not replaced.
#[cfg(target_os = "linux")]
fn is_mounted(path: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    let about = statx(CWD, path, AtFlags::empty(), StatxFlags::BASIC_STATS);
    about.is_ok_and(|about| about.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Elsewhere it is seen when the file is to take its name.
#[cfg(not(target_os = "linux"))]
fn is_mounted(_: &Path) -> bool {
    false
}

/// Puts `new` in the place of `old`; the file at `path` has that now, and another one beside it that ends with `.bak`.
///
/// # Errors
/// Why the file is as it was.
pub(super) fn replace(path: &Path, old: &[u8], new: &[u8], step: Step<'_>) -> Result<(), NotReplaced> {
    let (own, folder, about) = place(path).map_err(NotReplaced::Unwritable)?;
    let name = own.file_name().unwrap_or_default();
    let beside = |before: &str, after: &str| {
        let mut beside = OsString::from(before);
        beside.push(name);
        beside.push(after);
        folder.join(beside)
    };
    let (kept, fresh) = (beside(".", ".freshgate-bak"), beside(".", ".freshgate-new"));
    let written = (|| {
        step("write the kept one");
        write_whole(&kept, old, &about)?;
        step("write the new one");
        write_whole(&fresh, new, &about)?;
        step("look at the old one");
        if fs::read(&own)? != old {
            return Ok(false);
        }
        step("name the kept one");
        fs::rename(&kept, beside("", ".bak"))?;
        step("name the new one");
        let replaced = take_place(&fresh, &own, old, &beside("", ".bak"))?;
        step("keep the names");
        Ok(replaced)
    })();
    match written {
        Ok(true) => {
            // What has its name can't be taken back any more.
            if let Err(error) = File::open(&folder).and_then(|folder| folder.sync_all()) {
                tracing::warn!(%error, folder = %folder.display(), "the folder of the configuration isn't on the disk yet");
            }
            step("end");
            Ok(())
        }
        outcome => {
            for left in [&kept, &fresh] {
                drop(fs::remove_file(left));
            }
            match outcome {
                Err(error) => Err(NotReplaced::Unwritable(reason(&error))),
                Ok(_) => Err(NotReplaced::Changed),
            }
        }
    }
}

/// Gives `fresh` the name of `own`; whether that had this content until then. Where the system can exchange two names, what is displaced is
/// looked at once more, and put back if somebody has edited it meanwhile; it is kept as `.bak`, so that what somebody still writes into
/// it, who had opened it before, is found there. Elsewhere such an edit may be lost, if it comes within that moment.
fn take_place(fresh: &Path, own: &Path, old: &[u8], kept: &Path) -> io::Result<bool> {
    match exchange(fresh, own) {
        Ok(true) => {}
        Ok(false) => return fs::rename(fresh, own).map(|()| true),
        Err(error) => return Err(error),
    }
    if fs::read(fresh).is_ok_and(|displaced| displaced == old) {
        // There is a copy of that name already.
        drop(fs::rename(fresh, kept).or_else(|_| fs::remove_file(fresh)));
        return Ok(true);
    }
    match exchange(fresh, own) {
        Ok(_) => Ok(false),
        Err(error) => {
            // Under the name of what is left over it would be taken away.
            drop(fs::rename(fresh, kept));
            Err(error)
        }
    }
}

/// Exchanges two names in one step; `false` where the system can't.
#[cfg(target_os = "linux")]
fn exchange(one: &Path, other: &Path) -> io::Result<bool> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The system can't, or not in this way.
#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> io::Result<bool> {
    Ok(false)
}

fn reason(error: &io::Error) -> String {
    let busy = error.kind() == io::ErrorKind::ResourceBusy;
    let hint = if busy { " (it is mounted by itself; mount its folder instead)" } else { "" };
    format!("it can't be replaced: {error}{hint}")
}

/// A file of its own with this content, on the disk. What a crash has left in its place goes; a link there isn't followed.
fn write_whole(path: &Path, content: &[u8], like: &Metadata) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    // Whoever may not give it away keeps it; then a group that isn't the one that was meant reads nothing.
    let given = fchown(&file, Some(like.uid()), Some(like.gid())).or_else(|_| fchown(&file, None, Some(like.gid())));
    let others = given.is_err() && file.metadata()?.gid() != like.gid();
    let mode = like.mode() & if others { 0o7707 } else { 0o7777 };
    file.set_permissions(PermissionsExt::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const STEPS: [&str; 7] = [
        "write the kept one",
        "write the new one",
        "look at the old one",
        "name the kept one",
        "name the new one",
        "keep the names",
        "end",
    ];

    fn quietly(path: &Path, old: &str, new: &str) -> Result<(), NotReplaced> {
        replace(path, old.as_bytes(), new.as_bytes(), &mut |_| {})
    }

    fn text(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    /// What the child does of the test below: it replaces the file and dies before the step that it is told.
    #[test]
    fn child_that_dies() {
        let Ok(told) = std::env::var("FRESHGATE_TEST_DIES") else { return };
        let (step, path) = told.split_once('|').unwrap();
        let (old, new) = ("old ".repeat(30_000), "new ".repeat(30_000));
        let _ = replace(Path::new(path), old.as_bytes(), new.as_bytes(), &mut |now| {
            if now == step {
                std::process::abort();
            }
        });
        panic!("it should have died before: {step}");
    }

    #[test]
    fn a_crash_before_any_step_leaves_the_old_or_the_new_file() {
        let (old, new) = ("old ".repeat(30_000), "new ".repeat(30_000));
        for (n, step) in STEPS.into_iter().enumerate() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("f.toml");
            fs::write(&path, &old).unwrap();
            let child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "serve::replace::tests::child_that_dies", "--nocapture"])
                .env("FRESHGATE_TEST_DIES", format!("{step}|{}", path.display()))
                .output()
                .unwrap();
            assert_eq!(std::os::unix::process::ExitStatusExt::signal(&child.status), Some(6), "{step}: {child:?}");
            let expected = if n <= 4 { &old } else { &new };
            assert!(text(&path) == *expected, "{step}");
            let kept = folder.path().join("f.toml.bak");
            assert!(if n < 4 { !kept.exists() } else { text(&kept) == old }, "{step}");
            // What it left is in nobody's way.
            quietly(&path, expected, "the next").unwrap();
            assert_eq!((text(&path).as_str(), &text(&kept)), ("the next", expected), "{step}");
            let names = fs::read_dir(folder.path()).unwrap().count();
            assert_eq!(names, 2, "{step}: nothing is left over");
        }
    }

    #[test]
    fn what_somebody_writes_in_the_last_moment_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.toml");
        fs::write(&path, "old").unwrap();
        let mut late = OpenOptions::new().append(true).open(&path).unwrap();
        let edited = replace(&path, b"old", b"new", &mut |step| {
            if step == "name the new one" {
                late.write_all(b" and edited").unwrap();
            }
        });
        if cfg!(target_os = "linux") {
            assert_eq!((edited, text(&path).as_str()), (Err(NotReplaced::Changed), "old and edited"));
            fs::write(&path, "old").unwrap();
            let mut open = OpenOptions::new().append(true).open(&path).unwrap();
            quietly(&path, "old", "new").unwrap();
            open.write_all(b" and late").unwrap();
            assert_eq!(
                (text(&path).as_str(), text(&folder.path().join("f.toml.bak")).as_str()),
                ("new", "old and late")
            );
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left over");
    }

    #[test]
    fn mode_and_links_stay_and_what_lies_in_the_way_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("real.toml"), "1").unwrap();
        fs::set_permissions(at("real.toml"), PermissionsExt::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("real.toml", at("link.toml")).unwrap();
        fs::write(at("victim"), "untouched").unwrap();
        std::os::unix::fs::symlink(at("victim"), at(".real.toml.freshgate-new")).unwrap();
        quietly(&at("link.toml"), "1", "2").unwrap();
        assert!(at("link.toml").is_symlink());
        assert_eq!(
            (text(&at("real.toml")), text(&at("real.toml.bak")), text(&at("victim"))),
            ("2".into(), "1".into(), "untouched".into())
        );
        for name in ["real.toml", "real.toml.bak"] {
            assert_eq!(at(name).metadata().unwrap().mode() & 0o7777, 0o640, "{name}");
        }
    }

    #[test]
    fn what_cannot_be_written_stays_and_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.toml");
        fs::write(&path, "1").unwrap();
        let says = |expected: &str| {
            let Err(NotReplaced::Unwritable(why)) = quietly(&path, "1", "2") else {
                panic!("{expected}: it was replaced")
            };
            assert!(why.contains(expected), "{why}");
            assert_eq!(may_be_replaced(&path), Err(why));
        };
        let mode = |path: &Path, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        mode(&path, 0o444);
        says("it is read-only (mode 0444)");
        mode(&path, 0o644);
        mode(folder.path(), 0o555);
        says("its folder is read-only (mode 0555)");
        mode(folder.path(), 0o755);
        assert_eq!(quietly(&path, "another", "2"), Err(NotReplaced::Changed));
        assert_eq!(
            (text(&path), fs::read_dir(folder.path()).unwrap().count()),
            ("1".into(), 1),
            "and nothing else is there"
        );
        assert_eq!(may_be_replaced(&path), Ok(()));
        fs::remove_file(&path).unwrap();
        says("it can't be found");
        fs::create_dir(&path).unwrap();
        says("it isn't a regular file");
    }
}
