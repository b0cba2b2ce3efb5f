//! Connections that are kept, and when they aren't.

use crate::support::{Gateway, Origin, Reply, within};

async fn before(origin: &Origin, pool: &str) -> Gateway {
    Gateway::before(origin, &format!("cache = false\npool = {{ {pool} }}\n")).await
}

async fn ask(gateway: &Gateway, times: usize) {
    for _ in 0..times {
        assert_eq!(gateway.client().await.get("/x").await.text(), "a");
    }
}

#[tokio::test]
async fn one_is_used_again_and_none_is_kept_where_none_may_be() {
    for (pool, connections) in [("", 1), ("idle = 0", 5)] {
        let origin = Origin::always(Reply::ok("a")).await;
        let gateway = before(&origin, pool).await;
        ask(&gateway, 5).await;
        assert_eq!(origin.connections(), connections, "{pool}");
    }
}

#[tokio::test]
async fn an_idle_one_is_closed() {
    let origin = Origin::always(Reply::ok("a")).await;
    let gateway = before(&origin, "idle_timeout = \"100ms\"").await;
    ask(&gateway, 1).await;
    origin.ended(1).await;
    ask(&gateway, 1).await;
    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn an_old_one_serves_no_further_request() {
    let origin = Origin::always(Reply::ok("a")).await;
    let gateway = before(&origin, "lifetime = \"1s\"").await;
    within("a second connection", async {
        while origin.connections() < 2 {
            ask(&gateway, 1).await;
        }
    })
    .await;
    assert!(origin.count() > 2, "the first one was used more than once");
}
