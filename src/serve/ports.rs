//! The ports of clients: the data port and, where there is one, the object cache's. Bound first, served when everything is built.

use super::foundation::Foundation;
use super::front::{Cut, Door, Front};
use super::in_force::{Current, InForce};
use super::listeners::{Listeners, Opened, Plan};
use super::reload::{ObjectDoor, load};
use super::sockets::Found;
use super::start_error::StartError;
use crate::config::Config;
use crate::listener::Serving;
use crate::tls;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// Bound, and not served yet.
pub(super) struct Ports {
    listeners: Listeners,
    plan: Plan,
    objects: Option<(Opened, Option<Arc<tls::Server>>)>,
}

/// Served.
pub(super) struct Doors {
    /// To be dropped before the connections are.
    pub(super) cut: Vec<Cut>,
    /// Where the data port is, in the order of `server.listen`.
    pub(super) data: Vec<SocketAddr>,
    /// Where the object cache is.
    pub(super) objects: Option<SocketAddr>,
    pub(super) serving: Arc<Serving<Front>>,
    pub(super) object_door: Option<ObjectDoor>,
    pub(super) listeners: Arc<Mutex<Listeners>>,
}

impl Ports {
    /// Binds them, or takes them from `found`.
    ///
    /// # Errors
    /// Which address can't be bound, or which certificate can't be used.
    pub(super) fn open(config: &Config, found: &mut Found) -> Result<Self, StartError> {
        let listeners = Listeners::new(config.server.handover.is_some());
        let plan = listeners.plan(&config.server.listen, found)?;
        let objects = match &config.objects {
            None => None,
            Some(settings) => {
                let tls = load("objects.tls", settings.tls.as_ref(), &["h2", "http/1.1"])?;
                Some((listeners.bind_objects(settings.listen, found)?, tls))
            }
        };
        Ok(Ports { listeners, plan, objects })
    }

    /// What the object cache shows of itself.
    pub(super) fn object_tls(&self) -> Option<&Arc<tls::Server>> {
        self.objects.as_ref().and_then(|(_, tls)| tls.as_ref())
    }

    /// Serves them.
    pub(super) fn serve(
        self,
        foundation: &Foundation,
        in_force: &InForce,
        current: &Current,
        tls: Option<Arc<tls::Server>>,
    ) -> Doors {
        let Ports { mut listeners, plan, objects } = self;
        let server = &in_force.config.server;
        let front = |door| {
            let clock = foundation.clock().clone();
            Front::new(Arc::clone(current), door, Arc::clone(&foundation.telemetry), clock)
        };
        let serving = |front: &Front, tls| {
            Serving::new(server, tls, front.clone(), Arc::clone(&foundation.gate), foundation.clients.clone())
        };
        let (first, second) = (front(Door::Data), front(Door::Objects));
        let data = serving(&first, tls);
        let addresses = listeners.follow(plan, &data, &foundation.clients).opened;
        let (address, object_door) = objects
            .map(|(opened, tls)| {
                let door = ObjectDoor { serving: serving(&second, tls.clone()), tls };
                (listeners.serve_objects(opened, &door.serving, &foundation.clients), door)
            })
            .unzip();
        Doors {
            cut: vec![Cut(first), Cut(second)],
            data: addresses,
            objects: address,
            serving: data,
            object_door,
            listeners: Arc::new(Mutex::new(listeners)),
        }
    }
}
