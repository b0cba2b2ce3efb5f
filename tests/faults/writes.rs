//! Writes of which one try may have been applied though another one was answered.

use crate::link::{Fault, Link};
use crate::support::{Gateway, Origin, Reply};

/// Two endpoints in turn, the first behind a link; what is read may be kept for a minute.
async fn pair(answer: Reply) -> (Link, [Origin; 2], Gateway) {
    let read = || Reply::ok("read").field("Cache-Control", "max-age=60");
    let serve = |answer: Reply| {
        Origin::start(move |request| {
            let reply = if request.method == "GET" { read() } else { answer.clone() };
            async move { reply }
        })
    };
    let origins = [serve(answer.clone()).await, serve(answer).await];
    let link = Link::to(origins[0].addr).await;
    let text = format!(
        "[[api]]\nname = \"test\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\", \"{}\"]\n\
         balance = \"round-robin\"\npool = {{ idle = 0 }}\ntimeouts = {{ first_byte = \"20s\" }}\n",
        link.url(),
        origins[1].url()
    );
    (link, origins, Gateway::with("", &text).await)
}

async fn is_hit(gateway: &Gateway) -> bool {
    let answer = gateway.client().await.get("/a").await;
    assert_eq!(answer.text(), "read");
    gateway.settled().await;
    answer.cache_says("hit")
}

/// The endpoint that said nothing may apply it yet: nothing that is asked for until then is kept.
#[tokio::test]
async fn a_write_that_was_answered_at_the_second_try_settles() {
    for method in ["PUT", "DELETE"] {
        let (link, origins, gateway) = pair(Reply::status(204)).await;
        assert!(!is_hit(&gateway).await); // by the first one
        assert!(is_hit(&gateway).await);
        assert_eq!(gateway.client().await.request("OPTIONS", "/b", &[], "").await.status, 204); // by the second one
        link.set(Fault::ResetRequest(1));
        let written = gateway.client().await.request(method, "/a", &[], "").await;
        assert_eq!([origins[0].count(), origins[1].count()], [2, 2], "{method}: both have seen it");
        assert_eq!(written.status, 204, "{method}");
        // It has its whole time, counted from when it was sent, and as long again to be applied.
        for _ in 0..2 {
            assert!(!is_hit(&gateway).await, "{method}");
            assert!(!is_hit(&gateway).await, "{method}");
            gateway.step(19);
        }
        assert!(!is_hit(&gateway).await, "{method}");
        gateway.step(3);
        assert!(!is_hit(&gateway).await);
        assert!(is_hit(&gateway).await, "{method}: once that can't be any more, all is as ever");
    }
}

/// 404 to the second try may be the work of the first one.
#[tokio::test]
async fn a_refusal_at_the_second_try_proves_nothing() {
    for status in [404, 412] {
        let (link, _origins, gateway) = pair(Reply::status(status)).await;
        assert_eq!(gateway.client().await.get("/other").await.status, 200); // by the first one
        assert!(!is_hit(&gateway).await); // by the second
        assert!(is_hit(&gateway).await);
        link.set(Fault::ResetRequest(1));
        let answer = gateway.client().await.request("DELETE", "/a", &[], "").await;
        assert_eq!(answer.status, status);
        assert!(!is_hit(&gateway).await, "{status}");
        // Without a doubt it is a refusal, and nothing has changed.
        let (_link, _origins, gateway) = pair(Reply::status(status)).await;
        assert!(!is_hit(&gateway).await);
        assert_eq!(gateway.client().await.request("DELETE", "/a", &[], "").await.status, status);
        assert!(is_hit(&gateway).await, "{status}");
    }
}
