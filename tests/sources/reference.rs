//! The whole way of reference data: a database, a service that looks codes up in it, an application that looks them up through the object cache,
//! and an API whose answers hang on them.

use crate::postgres_server::Postgres;
use crate::support::{Answer, Client, Gateway, Origin, Reply, Request, within};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Mutex;

type Database = Arc<Mutex<Postgres>>;

/// What the database has for a code.
async fn rate(database: &Database, code: &str) -> String {
    let code = code.replace('\'', "''");
    let server = Arc::clone(database).lock_owned().await;
    let ask = move || server.sql(&format!("SELECT rate FROM codes WHERE code = '{code}'"));
    tokio::task::spawn_blocking(ask).await.unwrap()
}

async fn change(database: &Database, sql: &'static str) {
    let server = Arc::clone(database).lock_owned().await;
    tokio::task::spawn_blocking(move || drop(server.sql(sql))).await.unwrap();
}

/// The service that the codes come from.
async fn codes(database: &Database) -> Origin {
    let database = Arc::clone(database);
    Origin::start(move |request: Request| {
        let database = Arc::clone(&database);
        async move {
            match rate(&database, request.target.rsplit('/').next().unwrap_or_default()).await {
                rate if rate.is_empty() => Reply::status(404),
                rate => Reply::ok(rate),
            }
        }
    })
    .await
}

/// The shop: PUT of an order looks its code up through the object cache, and says what it found and how; GET of a price is made of
/// the database, for 100 days, with the code as its tag.
async fn shop(database: &Database, lookup: Arc<Mutex<Option<Client>>>) -> Origin {
    let database = Arc::clone(database);
    Origin::start(move |request: Request| {
        let (database, lookup) = (Arc::clone(&database), Arc::clone(&lookup));
        async move {
            let code = request.target.rsplit('/').next().unwrap_or_default().to_owned();
            if request.method == "PUT" {
                let found = lookup.lock().await.as_mut().unwrap().get(&format!("/tax-codes/{code}")).await;
                let how = if found.cache_says("hit") { "hit" } else { "miss" };
                return Reply::ok(format!("{} {how}", found.text()));
            }
            let tag = format!("code-{code}");
            Reply::ok(rate(&database, &code).await)
                .field("Surrogate-Key", tag)
                .field("Cache-Control", "max-age=8640000")
        }
    })
    .await
}

const WATCH: &str = "SELECT freshgate_watch('codes', 'codes_changed', 'code', 'nz.example.codes.updated')";

const RULES: &str = "[[events.rule]]\nwhen = { type = \"nz.example.codes.updated\" }\nrefresh = \"tax-codes/{subject}\"\n\
    purge = [{ api = \"shop/v1\", tag = \"code-{subject}\" }]\n";

fn file(database: &Postgres, codes: &Origin, shop: &Origin) -> (String, String) {
    let objects = format!(
        "[objects]\nlisten = \"127.0.0.1:0\"\n[[objects.namespace]]\nname = \"tax-codes\"\nttl = \"100d\"\n\
         source = \"{}/codes/{{key}}\"\n",
        codes.url()
    );
    let source = Postgres::source(&database.url(), &["codes_changed"], "");
    let api = format!(
        "[[api]]\nname = \"shop\"\nversion = \"v1\"\npath = \"/\"\nupstream = [\"{}\"]\n{RULES}{source}",
        shop.url()
    );
    (objects, api)
}

/// Until the gateway has counted so many of what a source says.
async fn counted(gateway: &Gateway, metric: &str, least: u64) {
    within(metric, async {
        loop {
            let all = gateway.admin("GET", "/metrics", "").await;
            let line = all.text().lines().find_map(|line| line.strip_prefix(metric)?.rsplit(' ').next()?.parse().ok());
            if line.is_some_and(|found: u64| found >= least) {
                return;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_is_changed_by_sql_is_seen_by_the_next_lookup() {
    let Some(server) = Postgres::start().await else { return };
    server.sql("CREATE TABLE codes (code text, rate text); INSERT INTO codes VALUES ('AT', '20'), ('CH', '8')");
    server.sql_file(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config/postgres-trigger.sql"));
    server.sql(WATCH);
    let lookup = Arc::new(Mutex::new(None));
    let database: Database = Arc::new(Mutex::new(server));
    let (codes, shop) = (codes(&database).await, shop(&database, Arc::clone(&lookup)).await);
    let (objects, apis) = file(&*database.lock().await, &codes, &shop);
    let gateway = Gateway::with(&objects, &apis).await;
    *lookup.lock().await = Some(Client::connect(gateway.running.objects.unwrap()).await);
    counted(&gateway, "freshgate_event_source_gaps_total", 1).await;

    let mut client = gateway.client().await;
    let text = |answer: Answer| answer.text().to_owned();
    assert_eq!(text(client.put("/orders/AT", "1").await), "20 miss");
    assert_eq!(text(client.put("/orders/AT", "1").await), "20 hit");
    assert_eq!(text(client.put("/orders/CH", "1").await), "8 miss");
    assert_eq!(text(client.get("/prices/AT").await), "20");
    assert!(client.get("/prices/AT").await.cache_says("hit"));
    assert_eq!(text(client.get("/prices/CH").await), "8");

    change(&database, "UPDATE codes SET rate = '21' WHERE code = 'AT'").await;
    counted(&gateway, "freshgate_event_source_messages_total", 1).await;
    assert!(text(client.put("/orders/AT", "1").await).starts_with("21 "), "loaded already, or waited for");
    assert_eq!(text(client.put("/orders/AT", "1").await), "21 hit");
    assert_eq!(text(client.put("/orders/CH", "1").await), "8 hit", "another code is another object");
    assert_eq!(text(client.get("/prices/AT").await), "21");
    assert!(client.get("/prices/CH").await.cache_says("hit"));

    gateway.step(99 * 86_400);
    assert_eq!(text(client.put("/orders/AT", "1").await), "21 hit");
    gateway.step(2 * 86_400);
    assert_eq!(text(client.put("/orders/AT", "1").await), "21 miss");
    assert_eq!(text(client.put("/orders/CH", "1").await), "8 miss");

    change(&database, "DELETE FROM codes WHERE code = 'CH'").await;
    counted(&gateway, "freshgate_event_source_messages_total", 2).await;
    assert!(client.put("/orders/CH", "1").await.text().contains("no-object"));
}
