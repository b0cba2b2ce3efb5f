//! Sends the spans that have ended to a collector: OpenTelemetry's protocol (OTLP) over gRPC.
//!
//! A thread of its own with a runtime of its own takes them from the queue, lets them gather for a second or until a batch is full, and sends the batch.
//! Nothing else ever waits for the collector: while it is slow or gone the queue fills, and what has no room is lost and counted. A batch
//! that isn't taken is tried again a few times within `timeout` and then lost, and counted as well; that is said once in the log, and once more
//! when the collector takes them again. At the end of a drain what is in the queue is sent, for two seconds at the most.

mod settings;
mod spans;

pub use settings::Settings;

use super::exposition::Gauges;
use super::record::Record;
use super::redact;
use crate::clock::Clock;
use crate::trace::{OfRequest, Span, Tracer};
use arc_swap::ArcSwap;
use opentelemetry::KeyValue;
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter as _;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// Spans of one message.
const BATCH: usize = 512;
/// How long spans gather for a message that isn't full.
const GATHER: Duration = Duration::from_secs(1);
/// How long nothing is sent after a message that wasn't taken.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the end of the process waits for the collector.
const FLUSH: Duration = Duration::from_secs(2);

/// Traces that are being sent.
pub struct Traces {
    tracer: Arc<Tracer>,
    /// Names of parameters whose values aren't told.
    redact: Arc<ArcSwap<Vec<String>>>,
    sent: Arc<AtomicU64>,
    flush: mpsc::Sender<oneshot::Sender<()>>,
}

impl Traces {
    /// Begins to send, without the values of these parameters.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(settings: &Settings, redact: &[String], clock: Clock) -> io::Result<Traces> {
        let (tracer, spans) = Tracer::new(settings.sample, settings.queue, clock);
        let (flush, hurry) = mpsc::channel(1);
        let redact = Arc::new(ArcSwap::from_pointee(redact.to_vec()));
        let sent = Arc::<AtomicU64>::default();
        let (settings, tell) = (settings.clone(), (Arc::clone(&redact), Arc::clone(&sent)));
        // It holds no tracer: when the last one is gone the queue ends, and with it the thread.
        let lost = Arc::downgrade(&tracer);
        let run = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return tracing::error!(%error, "traces can't be sent"),
            };
            runtime.block_on(async {
                match exporter(&settings) {
                    Ok(exporter) => {
                        let (redact, sent) = tell;
                        let wait = settings.timeout;
                        Sender { spans, hurry, exporter, redact, sent, lost, wait, failing: None }.run().await;
                    }
                    Err(error) => tracing::error!(%error, "traces can't be sent"),
                }
            });
        };
        std::thread::Builder::new().name("traces".into()).spawn(run)?;
        Ok(Traces { tracer, redact, sent, flush })
    }

    /// Begins traces.
    pub fn tracer(&self) -> &Arc<Tracer> {
        &self.tracer
    }

    /// After a reload: the values of these parameters aren't told from now on.
    pub(super) fn change(&self, redact: &[String]) {
        self.redact.store(Arc::new(redact.to_vec()));
    }

    /// Sends what has ended so far; gives up after 2 s.
    pub async fn flush(&self) {
        let (done, is_done) = oneshot::channel();
        let all = async {
            if self.flush.send(done).await.is_ok() {
                drop(is_done.await);
            }
        };
        if timeout(FLUSH, all).await.is_err() {
            tracing::warn!("the collector doesn't take the last traces in time");
        }
    }

    pub(super) fn measure(&self, gauges: &mut Gauges) {
        let help = "Spans that the collector has taken.";
        gauges.count("freshgate_spans_sent_total", help, &[], self.sent.load(Relaxed));
        let help = "Spans lost: there was no room for them in the queue, or the collector didn't take them.";
        gauges.count("freshgate_spans_lost_total", help, &[], self.tracer.all_lost());
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Traces({} lost)", self.tracer.all_lost())
    }
}

/// Tells of a request that has ended, if it has a trace and that is sampled.
pub(super) fn tell(record: &Record) {
    let Some(trace) = record.trace.as_ref().filter(|trace| trace.is_sampled()) else { return };
    let host = record.host.as_ref().map(|host| String::from_utf8_lossy(redact::host(host.as_bytes())));
    let outcome = &record.outcome;
    // What the log calls 499 was answered nothing.
    let status = Some(record.status).filter(|status| status.as_u16() != 499);
    trace.ended(OfRequest {
        method: record.method.clone(),
        host: host.map(|host| crate::trace::cut(&host).into()),
        target: record.target.as_ref().map(|target| crate::trace::cut(target.as_str()).into()),
        version: record.version,
        status,
        took: record.took,
        api: outcome.api.clone(),
        outcome: outcome.kind.name(),
        reason: outcome.reason,
        stored: outcome.stored,
        failed: status.is_none_or(|status| status.is_server_error()),
    });
}

fn exporter(settings: &Settings) -> Result<SpanExporter, Box<dyn std::error::Error>> {
    let fields = settings.headers.iter().cloned().collect();
    let mut exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(&settings.otlp)
        .with_timeout(settings.timeout)
        .with_metadata(MetadataMap::from_headers(fields));
    if settings.otlp.starts_with("https:") {
        // By itself it would trust nobody.
        exporter = exporter.with_tls_config(ClientTlsConfig::new().with_native_roots());
    }
    let mut exporter = exporter.build()?;
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_attribute(version).with_service_name(settings.service_name.clone());
    exporter.set_resource(&resource.build());
    Ok(exporter)
}

/// The other end of the queue.
struct Sender {
    spans: mpsc::Receiver<Span>,
    hurry: mpsc::Receiver<oneshot::Sender<()>>,
    exporter: SpanExporter,
    redact: Arc<ArcSwap<Vec<String>>>,
    sent: Arc<AtomicU64>,
    lost: std::sync::Weak<Tracer>,
    /// How long a message may take.
    wait: Duration,
    /// How many were lost before, while messages aren't taken.
    failing: Option<u64>,
}

impl Sender {
    async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let waits = tokio::select! {
                taken = self.spans.recv_many(&mut batch, BATCH) => match taken {
                    0 => return,
                    _ => self.gather(&mut batch).await,
                },
                Some(done) = self.hurry.recv() => Some(done),
            };
            let mut taken = self.send(&mut batch).await;
            while waits.is_some() && taken {
                match self.spans.try_recv() {
                    Ok(span) => batch.push(span),
                    Err(_) if batch.is_empty() => break,
                    Err(_) => taken = self.send(&mut batch).await,
                }
                if batch.len() == BATCH {
                    taken = self.send(&mut batch).await;
                }
            }
            drop(waits);
            if !taken {
                tokio::select! { () = sleep(PAUSE) => {}, done = self.hurry.recv() => drop(done) }
            }
        }
    }

    /// Fills up a batch; who waits meanwhile ends that.
    async fn gather(&mut self, batch: &mut Vec<Span>) -> Option<oneshot::Sender<()>> {
        let end = Instant::now() + GATHER;
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            let more = tokio::select! {
                more = timeout_at(end, self.spans.recv_many(batch, room)) => more,
                Some(done) = self.hurry.recv() => return Some(done),
            };
            if !matches!(more, Ok(1..)) {
                break; // the time is over, or there won't be more
            }
        }
        None
    }

    /// Sends a batch; whether it was taken.
    async fn send(&mut self, batch: &mut Vec<Span>) -> bool {
        if batch.is_empty() {
            return true;
        }
        let count = batch.len() as u64;
        let redact = self.redact.load_full();
        let spans = batch.drain(..).map(|span| spans::told(&span, &redact)).collect();
        // The exporter keeps that time itself, but for what happens before it has a connection.
        let result = timeout(self.wait, self.exporter.export(spans)).await;
        let error = match result {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("it takes too long".into()),
        };
        let lost = |more| {
            self.lost.upgrade().map_or(0, |tracer| {
                tracer.lost(more);
                tracer.all_lost()
            })
        };
        match (error, self.failing) {
            (None, failing) => {
                self.sent.fetch_add(count, Relaxed);
                if let Some(before) = failing {
                    let lost = lost(0).saturating_sub(before);
                    tracing::info!(lost, "the collector takes traces again; so many spans are lost");
                }
                self.failing = None;
                true
            }
            (Some(error), failing) => {
                let all = lost(count);
                if failing.is_none() {
                    tracing::warn!(%error, "the collector doesn't take traces; spans are lost until it does");
                    self.failing = Some(all.saturating_sub(count));
                }
                false
            }
        }
    }
}
