//! What the program says of itself to shells and to `man`: every command, whatever it is made of.

#![cfg(test)]

use assert_cmd::cargo::CommandCargoExt;
use std::io::Write;
use std::process::{Command, Stdio};

fn said(args: &[&str]) -> String {
    let output = Command::cargo_bin("freshgate").unwrap().args(args).output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()), "{args:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The names of the commands, as the help has them.
fn commands() -> Vec<String> {
    let help = said(&["--help"]);
    let list = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let names = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next().map(String::from)).filter(|name| name != "help").collect()
}

#[test]
fn every_command_is_completed_and_has_its_page() {
    let commands = commands();
    assert!(commands.len() >= 7 && commands.contains(&"run".into()), "{commands:?}");
    let man = said(&["man"]);
    assert!(man.contains(".TH freshgate 1"));
    for name in &commands {
        assert!(man.contains(&format!(".TH freshgate-{name} 1")), "{name}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = said(&["completions", shell]);
        commands.iter().for_each(|name| assert!(script.contains(name.as_str()), "{shell}: {name}"));
    }
    let wrong = Command::cargo_bin("freshgate").unwrap().args(["completions", "none"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn bash_takes_the_script_and_completes() {
    let script = format!(
        "{}\nCOMP_WORDS=(freshgate comp); COMP_CWORD=1; _freshgate freshgate comp freshgate; echo \"${{COMPREPLY[*]}}\"\n",
        said(&["completions", "bash"])
    );
    let mut bash = Command::new("bash");
    bash.args(["--norc", "--noprofile"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut child) = bash.spawn() else { return }; // no bash here
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "completions");
}
