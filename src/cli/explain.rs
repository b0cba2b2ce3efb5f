//! `freshgate explain`: asks a running gateway what it would do with a request, and why.

use super::admin_client::{Access, AdminClient, Fault, printable, told};
use http::Method;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write;

/// Asks a running gateway what it would do with a request, and why; nothing is done.
#[derive(Clone, clap::Args)]
pub struct Args {
    /// The request's method
    pub method: String,
    /// Its public URL: /path?query, or with scheme and host
    pub url: String,
    /// A field of it; as often as you like
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
    /// The content of a QUERY
    #[arg(long, value_name = "TEXT")]
    pub content: Option<String>,
    /// As if this caller had been let in, without its token
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// With --user: what it may do, in place of what the file says of its key; as often as you like
    #[arg(long = "right", value_name = "RIGHT", requires = "user")]
    pub rights: Vec<String>,
    /// The address that it comes from
    #[arg(long)]
    pub address: Option<String>,
    /// Print the answer as the gateway gives it
    #[arg(long)]
    pub json: bool,
    /// Which gateway.
    #[command(flatten)]
    pub access: Access,
}

/// Asks, prints the answer to `out`, or what went wrong to `err`. Gives the exit code: 0 it is explained, 1 the gateway says no, 2 wrong usage or
/// no gateway.
pub async fn run(args: &Args, out: impl Write, err: impl Write) -> u8 {
    told("explain", explain(args).await, out, err)
}

async fn explain(args: &Args) -> Result<String, Fault> {
    let question = question(args)?;
    let client = AdminClient::of(&args.access)?;
    let answer = client.ask(Method::POST, "/v1/explain", Some(&question)).await?;
    if args.json {
        return Ok(format!("{answer:#}"));
    }
    said(&answer).ok_or_else(|| client.stranger())
}

/// The body of `POST /v1/explain`.
fn question(args: &Args) -> Result<Value, Fault> {
    let mut headers = Vec::new();
    for line in &args.headers {
        let pair = line.split_once(':').filter(|(name, _)| !name.trim().is_empty());
        let (name, value) = pair.ok_or_else(|| Fault::Usage("-H: write a field as \"Name: value\"".into()))?;
        headers.push(json!([name.trim(), value.trim()]));
    }
    let mut question = json!({ "method": args.method, "url": args.url, "headers": headers });
    if let Some(user) = &args.user {
        question["caller"] = if args.rights.is_empty() {
            json!({ "user": user })
        } else {
            json!({ "user": user, "rights": args.rights })
        };
    }
    for (name, text) in [("content", &args.content), ("address", &args.address)] {
        if let Some(text) = text {
            question[name] = json!(text);
        }
    }
    Ok(question)
}

/// The answer for a terminal; `None` when it isn't one of a Freshgate.
fn said(answer: &Value) -> Option<String> {
    let (request, verdict) = (&answer["request"], &answer["verdict"]);
    let mut page = String::new();
    let query = request["query"].as_str().map(|query| format!("?{query}")).unwrap_or_default();
    line(
        &mut page,
        &format!("{} {}{}{query}", text(&request["method"])?, text(&request["host"])?, text(&request["path"])?),
    );
    let status = verdict["status"].as_u64().map(|status| format!(" {status}")).unwrap_or_default();
    let reason = verdict["reason"].as_str().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let decision = format!("{}{status}{reason}", text(&verdict["decision"])?);
    line(&mut page, &format!("{decision}: {} [{}]", text(&verdict["says"])?, text(&verdict["section"])?));
    if let Some(status) = verdict["cache_status"].as_str() {
        line(&mut page, &format!("Cache-Status: {status}"));
    }
    line(&mut page, "");
    let route = answer["route"].as_str().map(|route| format!(", route {route}")).unwrap_or_default();
    line(&mut page, &format!("api     {}{route}", answer["api"].as_str().unwrap_or("none")));
    let caller = &answer["caller"];
    let user = caller["user"].as_str().unwrap_or("nobody by name");
    line(&mut page, &format!("caller  {user}, partition {}: {}", text(&caller["partition"])?, text(&caller["how"])?));
    for step in answer["steps"].as_array()? {
        let places: Vec<&str> = ["section", "config"].iter().filter_map(|name| step[*name].as_str()).collect();
        let places = if places.is_empty() { String::new() } else { format!(" [{}]", places.join(", ")) };
        line(&mut page, &format!("  {:<10}{}{places}", text(&step["step"])?, text(&step["says"])?));
    }
    for (title, of) in [("stored", stored(answer)?), ("what would change it", changes(answer)?)] {
        if !of.is_empty() {
            line(&mut page, "");
            line(&mut page, title);
            of.iter().for_each(|one| line(&mut page, &format!("  {one}")));
        }
    }
    page.truncate(page.trim_end().len());
    Some(page)
}

fn stored(answer: &Value) -> Option<Vec<String>> {
    let entry = |entry: &Value| {
        let query = entry["query"].as_str().map(|query| format!("?{query}")).unwrap_or_default();
        let left = entry["ttl"].as_i64().map_or("without end".to_owned(), |ttl| format!("ttl {ttl} s"));
        let whose = entry["partition"].as_str().map(|whose| format!(", of {whose}")).unwrap_or_default();
        let mut shown = format!(
            "{} {}{query}: {}, age {} s, {left}, {} bytes, {} hits{whose}",
            text(&entry["status"])?,
            text(&entry["path"])?,
            text(&entry["state"])?,
            entry["age"],
            entry["bytes"],
            entry["hits"]
        );
        for (name, value) in entry["selection"].as_object()? {
            let _ = write!(shown, ", {name}: {}", value.as_str().unwrap_or("none"));
        }
        Some(shown)
    };
    answer["stored"].as_array()?.iter().map(entry).collect()
}

fn changes(answer: &Value) -> Option<Vec<String>> {
    answer["changes"].as_array()?.iter().map(|change| change.as_str().map(|change| format!("- {change}"))).collect()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(String::from).or_else(|| value.as_u64().map(|number| number.to_string()))
}

fn line(page: &mut String, text: &str) {
    page.push_str(&printable(text));
    page.push('\n');
}
