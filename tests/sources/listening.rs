//! Sources that are listened to, and everything that they have said.

use crate::support::within;
use freshgate::clock::Clock;
use freshgate::config::{Surroundings, parse};
use freshgate::events::{News, Shown, Source, Sources, Tell};
use freshgate::tasks::Tasks;
use freshgate::upstream::TlsClient;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Sources with somebody who writes down what they say.
pub(crate) struct Listening {
    pub(crate) sources: Sources,
    pub(crate) tasks: Tasks,
    said: UnboundedSender<News>,
    heard: UnboundedReceiver<News>,
}

/// `[[events.source]]` of a configuration.
pub(crate) fn read(text: &str) -> Vec<Source> {
    let around = Surroundings { env: &|_| None, memory_limit: None };
    parse(text, "test.toml", &around).unwrap_or_else(|faults| panic!("{faults}")).config.events.sources
}

impl Listening {
    /// To the sources of this configuration.
    pub(crate) fn to(text: &str) -> Listening {
        let listening = Listening::to_none();
        listening.change(text);
        listening
    }

    pub(crate) fn to_none() -> Listening {
        let ((said, heard), tasks) = (unbounded_channel(), Tasks::default());
        let sources = Sources::new(tasks.clone(), Clock::system(), TlsClient::system());
        Listening { sources, tasks, said, heard }
    }

    pub(crate) fn change(&self, text: &str) {
        self.sources.change(&read(text), |_| {
            let said = self.said.clone();
            Arc::new(move |news| drop(said.send(news)))
        });
    }

    /// The same, where `tell` is called before anything is written down.
    pub(crate) fn to_and(text: &str, tell: impl Fn(&News) + Send + Sync + 'static) -> Listening {
        let listening = Listening::to_none();
        let (said, tell) = (Mutex::new(listening.said.clone()), Arc::new(tell));
        let both: Tell = Arc::new(move |news| {
            tell(&news);
            drop(said.lock().unwrap().send(news));
        });
        listening.sources.change(&read(text), |_| Arc::clone(&both));
        listening
    }

    /// What is said next.
    pub(crate) async fn next(&mut self) -> News {
        within("news", self.heard.recv()).await.unwrap()
    }

    /// A gap is said next.
    pub(crate) async fn gap(&mut self) {
        assert_eq!(self.next().await, News::Gap);
    }

    /// These messages are said next, each a channel and a payload.
    pub(crate) async fn messages(&mut self, expected: &[(&str, &str)]) {
        for (number, (channel, payload)) in expected.iter().enumerate() {
            assert_eq!(self.next().await, message(channel, payload), "message {number}");
        }
    }

    /// Everything until this message, which is left out.
    pub(crate) async fn until(&mut self, channel: &str, payload: &str) -> Vec<News> {
        let (mut all, last) = (Vec::new(), message(channel, payload));
        loop {
            match self.next().await {
                news if news == last => return all,
                news => all.push(news),
            }
        }
    }

    /// How the only source is.
    pub(crate) fn shown(&self) -> Shown {
        let mut shown = self.sources.shown();
        assert_eq!(shown.len(), 1);
        shown.remove(0)
    }

    /// Waits until the only source is as `right` wants it.
    pub(crate) async fn is(&self, what: &str, right: impl Fn(&Shown) -> bool) -> Shown {
        within(what, async {
            loop {
                let shown = self.shown();
                if right(&shown) {
                    return shown;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    pub(crate) async fn connected(&self) -> Shown {
        self.is("the connection", |shown| shown.connected).await
    }
}

pub(crate) fn message(channel: &str, payload: &str) -> News {
    News::Message { channel: channel.into(), payload: payload.to_owned().into() }
}
