//! The admin port against its own description, by a program that reads nothing else: schemathesis. It sends what the description allows and
//! what it forbids, and looks whether the answers are described.

use crate::support::{Origin, Reply};
use crate::world::{program, wanted};
use freshgate::clock::Clock;
use freshgate::serve::{self, File};
use freshgate::telemetry::Lines;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::path::Path;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// One API with something stored, a namespace, a rule for every event, and an administrator.
fn configuration(upstream: &str) -> String {
    let sha256 = Sha256::digest(SECRET).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [[admin.tokens]]\nname = \"ops\"\nrole = \"administrator\"\nsha256 = \"{sha256}\"\n\
         [objects]\nlisten = \"127.0.0.1:0\"\n[[objects.namespace]]\nname = \"codes\"\nttl = \"1d\"\n\
         [[events.rule]]\nwhen = {{ type = \"*\" }}\npurge = [{{ api = \"shop/v1\", tag = \"changed\" }}]\n\
         # The shop.\n[[api]]\nname = \"shop\"\nversion = \"v1\"\npath = \"/shop/v1\"\nupstream = [\"{upstream}\"]\nttl = \"10m\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_port_is_as_it_is_described() {
    if !wanted() {
        return;
    }
    let origin = Origin::start(async |_| Reply::ok("an answer")).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("freshgate.toml");
    std::fs::write(&path, configuration(&origin.url())).unwrap();
    let (file, loaded) = File::open(&path).unwrap();
    let lines = Lines::to(std::io::sink()).unwrap();
    let running = serve::start_from(Some(file), loaded.config, Clock::system(), lines, Vec::new()).await.unwrap();
    let admin = running.admin.unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = program(root.join("target/clients/bin/st"));
    command.current_dir(folder.path()).arg("--config-file").arg(root.join("tests/clients/schemathesis.toml"));
    command.args(["--no-color", "run", "--header", &format!("Authorization: Bearer {SECRET}")]);
    command.args(["--max-examples", "20", "--request-timeout", "20", "--continue-on-failure"]);
    // To sign in with what isn't a token is to guess: after twenty of them nobody is listened to.
    command.args(["--exclude-path", "/session"]);
    command.arg(format!("http://{admin}/openapi.json"));
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let output = output.unwrap_or_else(|e| panic!("schemathesis: {e}: run ./test.sh"));
    let (said, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complaint}");
    let cases = said.split_once(" generated, ").and_then(|(before, _)| before.split_whitespace().last()?.parse().ok());
    assert!(cases.is_some_and(|cases: u32| cases > 500), "so few say nothing: {said}");
    let file = std::fs::read_to_string(&path).unwrap();
    assert!(file.contains("# The shop.\n"), "{file}");
}
