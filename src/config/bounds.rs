//! The least and the most of every number in the file; `config/complete.toml` says why. Defaults stand with the
//! settings that they are defaults of.

use std::ops::RangeInclusive;
use std::time::Duration;

type Durations = RangeInclusive<Duration>;
type Sizes = RangeInclusive<u64>;
type Counts = RangeInclusive<usize>;
type Shares = RangeInclusive<f64>;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

const fn times(unit: Duration, n: u32) -> Duration {
    unit.saturating_mul(n)
}

// [server]
pub(super) const LISTENS: usize = 64;
pub(super) const SOCKET_PATH: usize = 100;
pub(super) const PROXIES: usize = 1000;
pub(super) const RESOLVERS: usize = 8;
pub(super) const CONNECTIONS: Counts = 1..=1_000_000;
pub(super) const HEADER_BYTES: Sizes = 8 * KIB..=MIB;
pub(super) const HEADER_COUNT: Counts = 10..=1000;
pub(super) const HEADER_TIMEOUT: Durations = times(MS, 100)..=times(MINUTE, 5);
pub(super) const IDLE_TIMEOUT: Durations = times(MS, 100)..=HOUR;
pub(super) const REQUEST_BODY: Sizes = 0..=1024 * GIB;
pub(super) const LEEWAY: Durations = Duration::ZERO..=times(MINUTE, 10);
pub(super) const RATE: Counts = 1..=1_000_000_000;
pub(super) const RATE_PER: Durations = SECOND..=DAY;
pub(super) const KEYS: usize = 1000;
pub(super) const FILED_KEYS: usize = 100_000;
pub(super) const REMEMBER: Durations = Duration::ZERO..=HOUR;
pub(super) const JUDGE: Durations = MS..=MINUTE;
pub(super) const FIELDS: usize = 64;
pub(super) const SCOPES: usize = 100;
pub(super) const QUERY_BODY: Sizes = 0..=8 * MIB;
pub(super) const BODY_MIN_RATE: Sizes = 0..=GIB;
pub(super) const WRITE_STALL: Durations = times(MS, 100)..=HOUR;
pub(super) const H2_STREAMS: Counts = 1..=1000;
pub(super) const ORIGIN_REQUESTS: Counts = 1..=1_000_000;
pub(super) const WAITING_REQUESTS: Counts = 1..=1_000_000;
pub(super) const VARIANTS_PER_PATH: Counts = 1..=10_000;
pub(super) const KEYS_PER_CALLER: Counts = 1..=10_000_000;
pub(super) const FILLS: Counts = 1..=100_000;
pub(super) const BACKGROUND_REFRESHES: Counts = 1..=100_000;
pub(super) const COMPRESSIONS: Counts = 1..=10_000;
pub(super) const DRAIN: Durations = Duration::ZERO..=HOUR;

// [cache]
pub(super) const MAX_SIZE: Sizes = MIB..=16 * 1024 * GIB;
pub(super) const MAX_OBJECT_SIZE: Sizes = KIB..=GIB;
pub(super) const MAX_FILL_TIME: Durations = SECOND..=DAY;

// [admin], [log]
pub(super) const TOKENS: usize = 1000;
pub(super) const ADMIN_CONNECTIONS: Counts = 4..=10_000;
pub(super) const SESSIONS: Counts = 1..=10_000;
pub(super) const WRONG_TOKENS: Counts = 1..=10_000;
pub(super) const SESSION: Durations = MINUTE..=times(DAY, 30);
pub(super) const REDACTED_NAMES: usize = 1000;

// [telemetry]
pub(super) const TRACE_TIMEOUT: Durations = times(MS, 100)..=MINUTE;
pub(super) const SPANS: Counts = 1..=1_000_000;

// [[events.source]]
pub(super) const SOURCES: usize = 64;
pub(super) const CHANNELS: usize = 64;
pub(super) const SOURCE_BACKOFF: Durations = times(MS, 10)..=HOUR;
pub(super) const SOURCE_KEEPALIVE: Durations = SECOND..=HOUR;
pub(super) const SOURCE_BLOCK: Durations = times(MS, 100)..=MINUTE;
pub(super) const SOURCE_COUNT: Counts = 1..=10_000;

// [[api]]
pub(super) const APIS: usize = 10_000;
pub(super) const ROUTES: usize = 1000;
pub(super) const PURGES: usize = 1000;
pub(super) const PURGED: usize = 64;
pub(super) const ENDPOINTS: usize = 64;
pub(super) const WEIGHT: Counts = 1..=1000;
pub(super) const NAMES: usize = 256;
pub(super) const TTL: Durations = MS..=times(DAY, 3650);
pub(super) const GRACE: Durations = Duration::ZERO..=times(DAY, 365);
pub(super) const STALE_AFTER: Durations = MS..=HOUR;
pub(super) const REFRESH_AHEAD: Shares = 0.5..=0.99;
pub(super) const TTL_JITTER: Shares = 0.0..=0.5;
pub(super) const ENCODINGS: usize = 3;
pub(super) const COMPRESS_MIN: Sizes = 0..=GIB;
pub(super) const WRITE_SETTLE: Durations = Duration::ZERO..=HOUR;
pub(super) const CONNECT: Durations = MS..=times(MINUTE, 5);
pub(super) const FIRST_BYTE: Durations = MS..=HOUR;
pub(super) const BETWEEN_BYTES: Durations = MS..=HOUR;
pub(super) const TOTAL: Durations = MS..=DAY;
pub(super) const POOL_IDLE: Counts = 0..=10_000;
pub(super) const POOL_IDLE_TIMEOUT: Durations = times(MS, 100)..=HOUR;
pub(super) const POOL_LIFETIME: Durations = SECOND..=times(DAY, 30);
pub(super) const POOL_STREAMS: Counts = 1..=10_000;
pub(super) const HEALTH_FAILURES: Counts = 0..=10_000;
pub(super) const HEALTH_REST: Durations = times(MS, 100)..=DAY;
pub(super) const SLOW_START: Durations = Duration::ZERO..=HOUR;
pub(super) const CHECK_INTERVAL: Durations = times(MS, 10)..=HOUR;
pub(super) const CHECKS: Counts = 1..=1000;
pub(super) const STATUS: Counts = 200..=599;
pub(super) const BREAKER_QUEUE: Counts = 0..=1_000_000;
pub(super) const QUEUE_TIME: Durations = MS..=MINUTE;
pub(super) const BREAKER_CALLS: Counts = 1..=1_000_000;
pub(super) const BREAKER_TIME: Durations = times(MS, 100)..=HOUR;
pub(super) const RETRIES: Counts = 0..=10;
pub(super) const BACKOFF: Durations = Duration::ZERO..=MINUTE;
pub(super) const RETRY_BODY: Sizes = 0..=MIB;

// [events]
pub(super) const DUPLICATES_WINDOW: Durations = Duration::ZERO..=times(DAY, 7);
pub(super) const DUPLICATES_COUNT: Counts = 1..=1_000_000;
pub(super) const EVENT_BATCH: Counts = 1..=1000;
pub(super) const EVENT_BODY: Sizes = KIB..=64 * MIB;
pub(super) const EVENT_RULES: usize = 1000;
pub(super) const EVENT_ACTIONS: usize = 64;

// [objects]
pub(super) const NAMESPACES: usize = 1000;
pub(super) const NAMESPACE_SIZE: Sizes = 64 * KIB..=1024 * GIB;
pub(super) const NAMESPACE_ENTRIES: Counts = 1..=1_000_000_000;
pub(super) const OBJECT_BATCH: Counts = 1..=10_000;
pub(super) const OBJECT_REFRESHES: Counts = 1..=1_000_000;
