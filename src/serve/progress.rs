//! Whatever takes long says every few seconds that it goes on, and how far it has come.
//!
//! When that is due is a matter of the gateway's clock; how often it is looked at is not, since what is waited for happens outside.

use super::notify;
use crate::clock::Clock;
use crate::snapshot;
use crate::telemetry::Gauges;
use std::cell::Cell;
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::timeout;

/// What takes less than this is over before anybody asks.
const FIRST: Duration = Duration::from_secs(2);
/// Between two lines.
const NEXT: Duration = Duration::from_secs(5);
/// How often it is looked whether one is due.
const LOOK: Duration = Duration::from_millis(250);

/// When the next line is due.
#[derive(Debug)]
pub(super) struct Pace<'a> {
    clock: &'a Clock,
    began: Duration,
    due: Cell<Duration>,
}

impl<'a> Pace<'a> {
    /// It begins now.
    pub(super) fn begin(clock: &'a Clock) -> Self {
        let began = clock.uptime();
        Pace { clock, began, due: Cell::new(began + FIRST) }
    }

    /// How long it has taken so far, if a line is due now.
    pub(super) fn due(&self) -> Option<Duration> {
        let now = self.clock.uptime();
        let due = now >= self.due.get();
        due.then(|| {
            self.due.set(now + NEXT);
            now.saturating_sub(self.began)
        })
    }
}

/// Waits for `what`; `say` is told every few seconds for how long by now.
pub(super) async fn patiently<T>(clock: &Clock, what: impl Future<Output = T>, mut say: impl FnMut(Duration)) -> T {
    let (pace, mut what) = (Pace::begin(clock), pin!(what));
    loop {
        if let Ok(outcome) = timeout(LOOK, what.as_mut()).await {
            return outcome;
        }
        if let Some(since) = pace.due() {
            say(since);
        }
    }
}

/// How far loading and saving a snapshot have come, in thousandths and one more; 0 is not begun.
#[derive(Debug, Default)]
pub(super) struct Shares {
    load: AtomicU64,
    save: AtomicU64,
}

/// What is done with a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Load,
    Save,
}

impl Shares {
    fn of(&self, what: What) -> &AtomicU64 {
        match what {
            What::Load => &self.load,
            What::Save => &self.save,
        }
    }

    pub(super) fn measure(&self, gauges: &mut Gauges) {
        for (name, what) in [("load", What::Load), ("save", What::Save)] {
            let help = "How much of the snapshot is loaded, or saved, from 0 to 1; nothing before it begins.";
            if let Some(thousandths) = self.of(what).load(Relaxed).checked_sub(1) {
                gauges.put("freshgate_snapshot_progress", help, &[("what", name)], thousandths as f64 / 1e3);
            }
        }
    }
}

/// Tells how far a snapshot has come.
pub(super) struct Teller<'a> {
    what: What,
    file: &'a Path,
    pace: Pace<'a>,
    shares: &'a Shares,
    /// Whether anybody was told.
    told: Cell<bool>,
}

impl<'a> Teller<'a> {
    /// It begins now.
    pub(super) fn begin(what: What, file: &'a Path, clock: &'a Clock, shares: &'a Shares) -> Self {
        shares.of(what).store(1, Relaxed);
        Teller { what, file, pace: Pace::begin(clock), shares, told: Cell::new(false) }
    }

    /// It has come so far.
    pub(super) fn at(&self, progress: snapshot::Progress) {
        let snapshot::Progress { entries, done, total } = progress;
        let thousandths = if total == 0 { 1000 } else { (u128::from(done) * 1000 / u128::from(total)).min(1000) };
        self.shares.of(self.what).store(1 + u64::try_from(thousandths).unwrap_or_default(), Relaxed);
        let Some(since) = self.pace.due() else { return };
        let (file, seconds, percent) = (self.file.display(), since.as_secs(), thousandths / 10);
        let (message, status) = match self.what {
            What::Load => ("the snapshot is being loaded", "loading the snapshot"),
            What::Save => ("the snapshot is being saved", "saving the snapshot"),
        };
        tracing::info!(%file, entries, bytes = done, of = total, seconds, "{message}");
        notify::status(&format!("{status}: {percent} %"));
        self.told.set(true);
    }
}

impl Drop for Teller<'_> {
    fn drop(&mut self) {
        if self.told.get() {
            notify::status("");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Apis;
    use crate::store::{Limits, Settings, Store};
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};
    use tokio::sync::oneshot;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged meanwhile.
    fn logged(run: impl FnOnce()) -> Vec<serde_json::Value> {
        let page = Page::default();
        let to = page.clone();
        let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || to.clone()).finish();
        tracing::subscriber::with_default(subscriber, run);
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn the_first_line_is_due_after_two_seconds_and_the_next_ones_every_five() {
        let clock = Clock::steppable();
        let pace = Pace::begin(&clock);
        let mut due = Vec::new();
        for second in 1..=14 {
            clock.step(Duration::from_secs(1));
            due.extend(pace.due().map(|since| (second, since.as_secs())));
        }
        assert_eq!(due, [(2, 2), (7, 7), (12, 12)]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_says_so_and_gets_what_it_waits_for() {
        let clock = Clock::steppable();
        let (sender, receiver) = oneshot::channel();
        let (mut sender, mut said) = (Some(sender), Vec::new());
        clock.step(Duration::from_secs(1));
        let outcome = {
            let (stepped, said) = (clock.clone(), &mut said);
            // Each look finds the clock three seconds further on.
            let waits = async {
                stepped.step(Duration::from_secs(3));
                receiver.await
            };
            patiently(&clock, waits, |since| {
                said.push(since.as_secs());
                if said.len() == 2 {
                    let _ = sender.take().map(|sender| sender.send(7));
                }
                stepped.step(Duration::from_secs(6));
            })
            .await
        };
        assert_eq!((outcome, said), (Ok(7), vec![3, 9]));
    }

    #[test]
    fn a_snapshot_says_how_far_it_has_come_when_it_takes_long() {
        let folder = tempfile::tempdir().unwrap();
        let (file, clock, shares) = (folder.path().join("s"), Clock::steppable(), Shares::default());
        let limits = Limits { variants_per_path: 8, keys_per_caller: 8 };
        let store = Store::new(&Settings::default(), limits, Arc::default());
        let apis = Apis::new(Vec::new());
        let slowly = |by: u64| {
            logged(|| {
                let teller = Teller::begin(What::Save, &file, &clock, &shares);
                for done in 0..=4 {
                    clock.step(Duration::from_secs(by));
                    teller.at(snapshot::Progress { entries: done, done: done * 10, total: 40 });
                }
            })
        };
        assert_eq!(slowly(0), [""; 0], "what is soon over says nothing");
        let lines = slowly(2);
        let said: Vec<_> = lines.iter().map(|line| (&line["entries"], &line["bytes"], &line["of"])).collect();
        assert_eq!(said, [(&0.into(), &0.into(), &40.into()), (&3.into(), &30.into(), &40.into())]);
        assert_eq!(lines[0]["message"], "the snapshot is being saved");
        // An empty one is whole at once.
        let teller = Teller::begin(What::Save, &file, &clock, &shares);
        snapshot::save(&file, &store, &apis, &|_| false, &|progress| teller.at(progress)).unwrap();
        let mut gauges = Gauges::default();
        shares.measure(&mut gauges);
        assert!(format!("{gauges:?}").contains("what=\\\"save\\\"} 1"), "{gauges:?}");
        assert!(!format!("{gauges:?}").contains("what=\\\"load"));
    }
}
