//! `freshgate top`: what a running gateway does, now and over the last hour, in the terminal.
//!
//! A task asks the gateway, a thread has the terminal; what was answered last lies between them. So the keys work while an answer takes its time.
//! The terminal is given back on every way out, by dropping what has it (`screen`).

mod draw;
mod figures;
mod plain;
mod screen;
mod state;
mod words;

pub use draw::draw;
pub use figures::{Api, Figures, Health, Hour, Quantiles};
pub use state::State;

use super::admin_client::{Access, AdminClient, Fault};
use figures::Latest;
use http::Method;
use serde_json::Value;
use std::io::{IsTerminal, Write, stdout};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Pages of `/v1/apis` that are read.
const PAGES: usize = 100;

/// Watches a running gateway.
#[derive(Clone, clap::Args)]
pub struct Args {
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub interval: u64,
    /// Print one table and end, as it does where the output isn't a terminal
    #[arg(long)]
    pub once: bool,
    /// Which gateway.
    #[command(flatten)]
    pub access: Access,
}

/// Shows it until somebody has seen enough. What goes wrong goes to `err`. Gives the exit code: 0 fine, 1 the gateway says no, 2 wrong usage, no
/// gateway or no terminal.
pub async fn run(args: &Args, mut out: impl Write, mut err: impl Write) -> u8 {
    let shown = async {
        let client = AdminClient::of(&args.access)?;
        let figures = ask(&client).await?;
        if args.once || !stdout().is_terminal() {
            return write!(out, "{}", plain::text(&figures)).map_err(|error| Fault::Usage(error.to_string()));
        }
        watch(args, &client, figures).await
    };
    let Err(fault) = shown.await else { return 0 };
    let (code, why) = fault.told();
    drop(writeln!(err, "freshgate top: {why}"));
    code
}

/// What the gateway says of itself.
async fn ask(client: &AdminClient) -> Result<Figures, Fault> {
    let mut apis = Vec::new();
    let mut call = "/v1/apis".to_owned();
    for _ in 0..PAGES {
        let mut page = client.ask(Method::GET, &call, None).await?;
        let some = serde_json::from_value::<Vec<Api>>(page["apis"].take()).map_err(|_| client.stranger())?;
        apis.extend(some);
        let Some(cursor) = page["cursor"].as_str() else { break };
        call = format!(
            "/v1/apis?cursor={}",
            percent_encoding::utf8_percent_encode(cursor, percent_encoding::NON_ALPHANUMERIC)
        );
    }
    let hour: Value = client.ask(Method::GET, "/v1/traffic", None).await?;
    let hour = serde_json::from_value(hour).map_err(|_| client.stranger())?;
    Ok(Figures { apis, hour })
}

/// The view that goes on.
async fn watch(args: &Args, client: &AdminClient, first: Figures) -> Result<(), Fault> {
    let failed = |error: std::io::Error| Fault::Usage(error.to_string());
    let (tell, latest) = watch::channel(Latest { figures: first, fault: None });
    let (enough, mut told) = (CancellationToken::new(), Told::listen().map_err(failed)?);
    let (state, until) = (State::new(&args.access.admin, args.interval), enough.clone());
    let screen = tokio::task::spawn_blocking(move || screen::show(state, latest, &until));
    let asking = async {
        loop {
            tokio::time::sleep(Duration::from_secs(args.interval)).await;
            match ask(client).await {
                Ok(figures) => tell.send_modify(|latest| *latest = Latest { figures, fault: None }),
                Err(fault) => tell.send_modify(|latest| latest.fault = Some(fault.told().1)),
            }
        }
    };
    tokio::select! { () = enough.cancelled() => {}, () = asking => {}, () = told.ended() => {} }
    enough.cancel();
    screen.await.map_err(|error| failed(error.into()))?.map_err(failed)
}

/// The signals that end it; in a terminal Ctrl-C is a key.
struct Told([Signal; 3]);

impl Told {
    fn listen() -> std::io::Result<Self> {
        let of = |kind| signal(kind);
        Ok(Told([of(SignalKind::terminate())?, of(SignalKind::interrupt())?, of(SignalKind::hangup())?]))
    }

    async fn ended(&mut self) {
        let [terminate, interrupt, hangup] = &mut self.0;
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {}, _ = hangup.recv() => {} }
    }
}
