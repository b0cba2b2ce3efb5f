//! One endpoint of an origin: its addresses, its connections, and what goes out to it.

use super::connect::Way;
use super::error::{AskError, AskErrorKind};
use super::names::{Addresses, Resolver};
use super::pool::{Lease, Pool};
use super::request::{Draft, HostChoice, InterimFn, Outbound, Outgoing};
use super::settings::{Endpoint, Pooling};
use super::time::TryTime;
use super::tls::TlsClient;
use crate::descriptors::Spell;
use crate::tasks::Tasks;
use crate::trace::{Trace, Try};
use http::{HeaderValue, Request};
use std::sync::Arc;
use tokio::time::{Instant, timeout};

/// What all endpoints need.
#[derive(Clone)]
pub(super) struct Around {
    pub(super) tls: TlsClient,
    pub(super) resolver: Resolver,
    pub(super) tasks: Tasks,
}

/// One endpoint.
pub(super) struct Slot {
    pub(super) endpoint: Endpoint,
    pub(super) authority: Option<HeaderValue>,
    pub(super) pool: Arc<Pool>,
    pub(super) addresses: Addresses,
    /// Whether we have run out of what connections to it take.
    spell: Spell,
    /// Whether HTTP/2 may be spoken.
    pub(super) http2: bool,
}

impl Slot {
    /// Opens nothing yet.
    pub(super) fn new(endpoint: Endpoint, settings: &Pooling) -> Slot {
        Slot {
            authority: HeaderValue::try_from(endpoint.authority()).ok(),
            pool: Pool::new(settings.clone()),
            addresses: Addresses::of(&endpoint),
            spell: Spell::default(),
            http2: settings.http2,
            endpoint,
        }
    }

    fn moved(&self) {
        let addresses = self.addresses.all();
        tracing::info!(name = self.endpoint.host, ?addresses, "the name has other addresses");
        self.pool.lead_to(addresses);
    }

    fn way<'a>(&'a self, around: &'a Around, upgrade: bool) -> Way<'a> {
        let Around { tls, resolver, .. } = around;
        let (endpoint, addresses, spell) = (&self.endpoint, &self.addresses, &self.spell);
        Way { endpoint, addresses, resolver, tls, spell, http2: self.http2 && !upgrade }
    }

    /// A place on a new connection; of HTTP/2 on one that somebody else has made meanwhile, after `since` if need be. Who waits for the
    /// others longer than connecting may take connects for himself.
    pub(super) async fn lease(
        &self,
        upgrade: bool,
        around: &Around,
        time: &TryTime<'_>,
        since: Option<Instant>,
    ) -> Result<Lease, AskError> {
        if upgrade || !self.pool.hopes_for_http2() {
            return self.connect(upgrade, false, around, time).await;
        }
        let _one = timeout(time.to_connect().0, self.pool.connecting.lock()).await;
        match self.pool.share_soon(since).await {
            Some(lease) => Ok(lease),
            None => self.connect(upgrade, false, around, time).await,
        }
    }

    /// A place on a new connection, which is nobody else's if it is to stay `apart`.
    pub(super) async fn connect(
        &self,
        upgrade: bool,
        apart: bool,
        around: &Around,
        time: &TryTime<'_>,
    ) -> Result<Lease, AskError> {
        let (within, all) = time.to_connect();
        let stream = self.way(around, upgrade).connect(within).await.map_err(|error| {
            let over = error.kind == AskErrorKind::ConnectTimeout && within < all;
            if over { AskError::unsent(AskErrorKind::TotalTimeout) } else { error }
        })?;
        self.pool.open(stream, apart, &around.tasks).await
    }

    /// Asks for its addresses again when they are too old, while requests go on.
    pub(super) fn look_again(self: &Arc<Self>, around: &Around) {
        if self.addresses.are_old() {
            let (slot, resolver) = (Arc::clone(self), around.resolver.clone());
            around.tasks.spawn(async move {
                match slot.addresses.look(&slot.endpoint, &resolver).await {
                    Ok(true) => slot.moved(),
                    Ok(false) => {}
                    Err(error) => tracing::warn!(%error, name = slot.endpoint.host, "the name has no address"),
                }
            });
        }
    }

    /// A try to ask it.
    pub(super) fn span(&self, trace: &Arc<Trace>, draft: &Draft, tries: u32) -> Try {
        let Endpoint { host, port, base, tls, .. } = &self.endpoint;
        Try::begin(trace, draft.method(), (host, *port, *tls), (base, draft.target()), tries)
    }

    /// A request in the form that it gets.
    pub(super) fn request(
        &self,
        draft: &Draft,
        host: &HostChoice,
        http2: bool,
        interim: Option<&InterimFn>,
    ) -> Result<Request<Outbound>, AskError> {
        let unusable = || AskError::unsent(AskErrorKind::Request).because("the endpoint's name is no Host");
        let authority = self.authority.as_ref().ok_or_else(unusable)?;
        let (base, tls) = (self.endpoint.base.as_str(), self.endpoint.tls);
        draft.request(&Outgoing { base, authority, tls, host, http2, interim })
    }
}
