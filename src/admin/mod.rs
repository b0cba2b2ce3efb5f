//! The admin port: who may look, who may change, and what they find.
//!
//! A request's way: `server` accepts it and holds the limits, `routes` is the table of what there is, `guard` asks who
//! is calling before anything else is looked at, `read`, `apis`, `entries`, `explain`, `traffic`, `purge`, `events`, `reload` and `audit` answer. Browsers load the
//! `panel` and sign in with a `session`. The rest of the house is seen through [`House`] only. Every error is a `problem`.

mod apis;
mod audit;
mod body;
mod connections;
mod entries;
mod events;
mod explain;
mod guard;
mod house;
mod leaving;
mod lockout;
mod openapi;
mod page;
mod panel;
mod problem;
mod purge;
mod read;
mod reload;
mod routes;
mod schema;
mod selector;
mod server;
mod session;
mod sessions;
mod settings;
mod strict;
mod tokens;
mod traffic;

pub use connections::Connections;
pub use guard::{Guard, Unheard, is_of_another_site};
pub use house::{
    ApiView, Change, Changed, Condition, Conflict, FieldFault, Health, House, Inspection, NotChanged, NotReloaded,
    Place, Registry, Traffic,
};
pub use settings::{Limits, Proof, Role, SessionTimes, Settings, Token};

use crate::reached::Reached;
use crate::tls;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Serves the admin API on `listener` to those whom `guard` knows, encrypted with `tls`, until `connections` are stopped. Which bounds are
/// reached is counted in `reached`.
pub fn run(
    listener: TcpListener,
    house: Arc<dyn House>,
    (guard, metrics_public): (Arc<Guard>, bool),
    tls: Option<Arc<tls::Server>>,
    reached: Arc<Reached>,
    connections: &Connections,
) {
    let router = routes::admin(house, guard, metrics_public);
    connections.spawn(server::serve(server::accepting(listener), router, tls, reached, connections.clone()));
}

/// Serves health and metrics on `listener` (`admin.probe_listen`), without tokens, until `connections` are stopped.
pub fn run_probe(listener: TcpListener, house: Arc<dyn House>, reached: Arc<Reached>, connections: &Connections) {
    let router = routes::probe(house);
    connections.spawn(server::serve(server::accepting(listener), router, None, reached, connections.clone()));
}
