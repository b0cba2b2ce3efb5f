//! Keys in a file of their own, which changes while the gateway runs.

use crate::support::Gateway;
use crate::{BOB, get, key, numbered};
use std::fmt::Write as _;

const CAROL: (&str, &str) = ("X-Api-Key", "carol-secret");
const DAVE: (&str, &str) = ("X-Api-Key", "dave-secret");

fn list(keys: &[String]) -> String {
    format!("keys = [\n{}\n]\n", keys.join(",\n"))
}

fn api(path: &std::path::Path) -> String {
    let own = key("bob", "", "bob-secret");
    format!("auth = {{ kind = \"api-key\", keys = [{own}], keys_file = \"{}\" }}", path.display())
}

#[tokio::test]
async fn a_key_that_was_taken_out_of_its_file_is_unknown_at_the_next_look() {
    let (origin, folder) = (numbered().await, tempfile::tempdir().unwrap());
    let path = folder.path().join("keys.toml");
    std::fs::write(&path, list(&[key("carol", "", "carol-secret")])).unwrap();
    let gateway = Gateway::before(&origin, &api(&path)).await;
    for (caller, text) in [(CAROL, "0"), (BOB, "1"), (CAROL, "0")] {
        assert_eq!(get(&gateway, "/a", &[caller]).await.text(), text, "both places count");
    }
    assert_eq!(get(&gateway, "/a", &[DAVE]).await.status, 401);

    let one = key("dave", "", "dave-secret");
    std::fs::write(&path, one.replace("{ ", "[[keys]]\n").replace(", ", "\n").replace(" }", "")).unwrap();
    assert_eq!(get(&gateway, "/a", &[CAROL]).await.text(), "0", "nobody has looked");
    gateway.running.look_at_files();
    assert_eq!(get(&gateway, "/a", &[CAROL]).await.status, 401, "though her answer is stored");
    assert_eq!(get(&gateway, "/a", &[DAVE]).await.text(), "2");
    assert_eq!(get(&gateway, "/a", &[BOB]).await.text(), "1", "his is in the configuration");

    for bad in ["keys = 1", "keys = [", "[[keys]]\nuser = \"x\"", "keyz = []", "\u{7f}"] {
        std::fs::write(&path, bad).unwrap();
        gateway.running.look_at_files();
        assert_eq!(get(&gateway, "/a", &[DAVE]).await.text(), "2", "{bad}: what was in force stays so");
    }
    std::fs::remove_file(&path).unwrap();
    gateway.running.look_at_files();
    assert_eq!(get(&gateway, "/a", &[DAVE]).await.text(), "2", "gone");
    std::fs::write(&path, list(&[])).unwrap();
    gateway.running.look_at_files();
    assert_eq!(get(&gateway, "/a", &[DAVE]).await.status, 401, "empty isn't gone");
}

/// As orchestrators do it: the content changes, and the link's own time, and its length, may not.
#[cfg(unix)]
#[tokio::test]
async fn a_link_that_is_turned_to_another_file_is_a_change() {
    let (origin, folder) = (numbered().await, tempfile::tempdir().unwrap());
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("one"), list(&[key("carol", "", "carol-secret")])).unwrap();
    std::fs::write(at("two"), list(&[key("dave1", "", "dave-secret")])).unwrap();
    std::os::unix::fs::symlink(at("one"), at("keys.toml")).unwrap();
    let gateway = Gateway::before(&origin, &api(&at("keys.toml"))).await;
    assert_eq!(get(&gateway, "/a", &[CAROL]).await.status, 200);
    std::os::unix::fs::symlink(at("two"), at("next")).unwrap();
    std::fs::rename(at("next"), at("keys.toml")).unwrap();
    gateway.running.look_at_files();
    assert_eq!(get(&gateway, "/a", &[CAROL]).await.status, 401);
    assert_eq!(get(&gateway, "/a", &[DAVE]).await.status, 200);
}

#[tokio::test]
async fn a_file_may_have_more_keys_than_the_configuration_and_not_without_end() {
    let (origin, folder) = (numbered().await, tempfile::tempdir().unwrap());
    let path = folder.path().join("keys.toml");
    let mut keys: Vec<String> = (0..3000).map(|n| key(&format!("u{n}"), "", &format!("secret-{n}"))).collect();
    std::fs::write(&path, list(&keys)).unwrap();
    let gateway = Gateway::before(&origin, &api(&path)).await;
    for n in [0, 1500, 2999] {
        assert_eq!(get(&gateway, "/a", &[("X-Api-Key", &format!("secret-{n}"))]).await.status, 200, "{n}");
    }
    keys.push(keys[7].clone());
    std::fs::write(&path, list(&keys[1..])).unwrap();
    gateway.running.look_at_files();
    assert_eq!(get(&gateway, "/a", &[("X-Api-Key", "secret-0")]).await.status, 200, "one stands twice: not taken");
    let mut long = list(&keys[1..3000]);
    write!(long, "# {}", "x".repeat(16 << 20)).unwrap();
    std::fs::write(&path, long).unwrap();
    gateway.running.look_at_files();
    assert_eq!(get(&gateway, "/a", &[("X-Api-Key", "secret-0")]).await.status, 200, "too long: not taken");
    std::fs::write(&path, list(&keys[1..3000])).unwrap();
    gateway.running.look_at_files();
    assert_eq!(get(&gateway, "/a", &[("X-Api-Key", "secret-0")]).await.status, 401);
}
