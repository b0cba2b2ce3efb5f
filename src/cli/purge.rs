//! `freshgate purge`: asks a running gateway, over its admin port.

use super::admin_client::{Access, AdminClient, Fault, told};
use http::Method;
use serde_json::{Map, Value, json};
use std::io::Write;

/// Asks a running gateway to purge.
#[derive(Clone, clap::Args)]
#[command(group = clap::ArgGroup::new("target").args(["path", "prefix", "tag", "user", "all"]))]
#[command(group = clap::ArgGroup::new("what").args(["path", "prefix", "tag", "user", "all", "api"]).required(true).multiple(true))]
pub struct Args {
    /// One public path, with every query, for every caller
    #[arg(long)]
    pub path: Option<String>,
    /// A public path and everything below it
    #[arg(long)]
    pub prefix: Option<String>,
    /// Everything that carries this tag
    #[arg(long)]
    pub tag: Option<String>,
    /// Everything that was stored for this caller
    #[arg(long)]
    pub user: Option<String>,
    /// One API; beside another target, only within this API
    #[arg(long, value_name = "NAME/VERSION", conflicts_with = "all")]
    pub api: Option<String>,
    /// Everything
    #[arg(long)]
    pub all: bool,
    /// With --path or --prefix: only APIs of this host
    #[arg(long, conflicts_with_all = ["tag", "user", "all"])]
    pub host: Option<String>,
    /// Mark stale instead of invalidating
    #[arg(long)]
    pub soft: bool,
    /// Count what would go, change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Which gateway.
    #[command(flatten)]
    pub access: Access,
}

/// Asks, prints one line to `out`, or what went wrong to `err`. Gives the exit code: 0 purged (nothing stored is fine
/// too), 1 the gateway says no, 2 wrong usage or no gateway.
pub async fn run(args: &Args, out: impl Write, err: impl Write) -> u8 {
    told("purge", purge(args).await, out, err)
}

async fn purge(args: &Args) -> Result<String, Fault> {
    let client = AdminClient::of(&args.access)?;
    let answer = client.ask(Method::POST, "/v1/purge", Some(&selector(args))).await?;
    said(args, &answer).ok_or_else(|| client.stranger())
}

/// The body of `POST /v1/purge`.
fn selector(args: &Args) -> Value {
    let texts = [
        ("path", &args.path),
        ("prefix", &args.prefix),
        ("tag", &args.tag),
        ("user", &args.user),
        ("api", &args.api),
        ("host", &args.host),
    ];
    let flags = [("all", args.all), ("soft", args.soft), ("dry_run", args.dry_run)];
    let texts = texts.into_iter().filter_map(|(name, text)| text.as_ref().map(|text| (name.to_owned(), json!(text))));
    let flags = flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| (name.to_owned(), json!(true)));
    Value::Object(texts.chain(flags).collect::<Map<_, _>>())
}

/// The answer in words; `None` when it isn't one of a Freshgate.
fn said(args: &Args, answer: &Value) -> Option<String> {
    let epoch = answer["epoch"].as_u64()?;
    let invalidated = answer.get("invalidated")?;
    let count = match invalidated.as_u64() {
        Some(1) => "1 answer".to_owned(),
        Some(count) => format!("{count} answers"),
        None if invalidated.is_null() => "(not counted)".to_owned(),
        None => return None,
    };
    Some(match (args.dry_run, args.soft) {
        (true, false) => format!("would invalidate {count}"),
        (true, true) => format!("would mark stale {count}"),
        (false, false) => format!("invalidated {count}, epoch {epoch}"),
        (false, true) => format!("marked stale {count}, epoch {epoch}"),
    })
}
