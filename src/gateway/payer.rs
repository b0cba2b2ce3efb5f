//! To whom a stored answer is charged (`limits.keys_per_caller`): the authenticated user of an API, else the address. Where a trusted
//! proxy names no address nobody is charged.

use super::address::{address, network};
use super::admit::Admitted;
use crate::store::{Accounts, Payer};
use std::net::IpAddr;

/// Whose account it is. Users of two APIs may have one name and be two.
pub(super) fn payer(
    accounts: &Accounts,
    admitted: &Admitted,
    peer: IpAddr,
    trusts: impl Fn(IpAddr) -> bool,
) -> Option<Payer> {
    if admitted.routed.mounted.api.namespace.is_some() {
        return None; // a namespace has bounds of its own
    }
    if let Some(user) = &admitted.shown {
        return Some(accounts.payer(&(&*admitted.routed.mounted.id, &**user)));
    }
    address(&admitted.fields, peer, trusts).map(|address| accounts.payer(&network(address)))
}
