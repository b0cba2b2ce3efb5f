//! What callers have and what was counted of them goes on where the same is asked of them.

use super::support::{Client, Gateway, Origin, Reply, TOKEN, sha256};
use super::{api, numbered};

/// SHA-256 of `alice-key` and `bob-key`.
fn keys(users: &[&str]) -> String {
    let key = |user: &&str| format!("{{ user = \"{user}\", sha256 = \"{}\" }}", sha256(&format!("{user}-key")));
    let all: Vec<String> = users.iter().map(key).collect();
    format!("ttl = \"10m\"\nauth = {{ kind = \"api-key\", header = \"x-api-key\", keys = [{}] }}", all.join(", "))
}

async fn get(gateway: &Gateway, fields: &[(&str, &str)]) -> (u16, bool) {
    let answer = gateway.client().await.get_with("/a/1", fields).await;
    gateway.settled().await;
    (answer.status, answer.cache_says("hit"))
}

#[tokio::test]
async fn a_check_that_is_new_counts_at_once_and_nobody_gets_what_strangers_were_given() {
    let origin = numbered().await;
    let gateway = Gateway::with("", &api("a", "/a", &origin, "ttl = \"10m\"")).await;
    assert_eq!(get(&gateway, &[]).await, (200, false));
    gateway.reload(&api("a", "/a", &origin, &keys(&["alice"])));
    let alice = [("x-api-key", "alice-key")];
    assert_eq!(get(&gateway, &[]).await, (401, false));
    assert_eq!(get(&gateway, &alice).await, (200, false));
    assert_eq!(get(&gateway, &alice).await, (200, true));
    gateway.reload(&api("a", "/a", &origin, "ttl = \"10m\""));
    assert_eq!(get(&gateway, &[]).await, (200, false), "and nobody what alice was given");
}

#[tokio::test]
async fn keys_come_and_go_and_answers_stay() {
    let origin = numbered().await;
    let gateway = Gateway::with("", &api("a", "/a", &origin, &keys(&["alice", "bob"]))).await;
    let (alice, bob) = ([("x-api-key", "alice-key")], [("x-api-key", "bob-key")]);
    assert_eq!((get(&gateway, &alice).await, get(&gateway, &bob).await), ((200, false), (200, false)));
    gateway.reload(&api("a", "/a", &origin, &keys(&["alice"])));
    assert_eq!((get(&gateway, &alice).await, get(&gateway, &bob).await), ((200, true), (401, false)));
}

#[tokio::test]
async fn what_a_judge_has_said_is_remembered() {
    let (origin, judge) = (numbered().await, Origin::always(Reply::ok("yes").field("X-User", "alice")).await);
    let a = |more: &str| {
        let url = judge.url();
        api(
            "a",
            "/a",
            &origin,
            &format!(
                "ttl = \"10m\"\nauth = {{ kind = \"forward\", url = \"{url}/\", headers = [\"authorization\"], user_header = \"X-User\", remember = \"1m\" }}\n{more}"
            ),
        )
    };
    let gateway = Gateway::with("", &a("")).await;
    let fields = [("authorization", "Bearer alice")];
    assert_eq!(get(&gateway, &fields).await, (200, false));
    gateway.reload(&a("timeouts = { first_byte = \"7s\" }"));
    assert_eq!(get(&gateway, &fields).await, (200, true));
    assert_eq!(judge.count(), 1);
}

#[tokio::test]
async fn what_was_counted_against_a_rate_counts_on() {
    let origin = numbered().await;
    let rate = |requests: u32| format!("rate = {{ per_caller = {{ requests = {requests}, per = \"1h\" }} }}");
    let a = |more: &str| api("a", "/a", &origin, more);
    let gateway = Gateway::with("", &a(&rate(2))).await;
    assert_eq!((get(&gateway, &[]).await.0, get(&gateway, &[]).await.0), (200, 200));
    gateway.reload(&a(&format!("{}\nttl = \"1m\"", rate(2))));
    assert_eq!(get(&gateway, &[]).await.0, 429);
    gateway.reload(&a(&rate(3)));
    assert_eq!(get(&gateway, &[]).await.0, 200, "another rate begins anew");
}

/// `[admin.limits]`: wrong tokens count for the admin port and for the object cache, each for itself, and from a reload on as it says.
#[tokio::test]
async fn the_admin_port_s_limits_are_those_of_the_file() {
    let origin = numbered().await;
    let apis = api("a", "/a", &origin, "");
    let rest = |wrong: u32| {
        format!(
            "[admin.limits]\nconnections = 4\nwrong_tokens = {wrong}\n\
             [objects]\nlisten = \"127.0.0.1:0\"\n[[objects.namespace]]\nname = \"codes\"\nttl = \"1h\"\n\
             [[objects.tokens]]\nname = \"o\"\nrole = \"operator\"\nsha256 = \"{}\"\n",
            sha256(TOKEN)
        )
    };
    let gateway = Gateway::with(&rest(2), &apis).await;
    let ports = [(gateway.admin, "/v1/config"), (gateway.running.objects.unwrap(), "/codes/none")];
    let ask = async |(port, target), secret: &str| {
        let bearer = format!("Bearer {secret}");
        Client::connect(port).await.get_with(target, &[("authorization", &bearer)]).await.status
    };
    for port in ports {
        let answers = [ask(port, "guess").await, ask(port, TOKEN).await, ask(port, "guess").await];
        assert!(answers[0] == 401 && answers[1] < 405 && answers[1] != 401 && answers[2] == 401, "{answers:?}");
        assert_eq!(ask(port, TOKEN).await, 429);
    }
    gateway.reload_all("", &rest(3), &apis).unwrap();
    for port in ports {
        assert!(![401, 429].contains(&ask(port, TOKEN).await), "two are not too many any more");
        assert_eq!(ask(port, "guess").await, 401);
        assert_eq!(ask(port, TOKEN).await, 429);
    }
    gateway.step(60);
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut client = Client::connect(gateway.admin).await;
        assert_eq!(client.get("/livez").await.status, 200);
        open.push(client);
    }
    let bearer = format!("Bearer {TOKEN}");
    let metrics = open[0].get_with("/metrics", &[("authorization", &bearer)]).await;
    let reached = metrics.text().lines().find_map(|line| {
        line.strip_prefix("freshgate_limit_reached_total{limit=\"admin_connections\"} ")?.parse::<u64>().ok()
    });
    assert!(reached.is_some_and(|times| times > 0), "the next one waits: {reached:?}");
}
