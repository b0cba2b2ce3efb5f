//! What an API keeps of itself when it is read from the file anew.
//!
//! Some settings have a state: keys that were fetched, answers of a judge that are remembered, requests that were counted. Where the new
//! settings are the same as the old ones the old values go on in their place, and their state with them.

use super::settings::{Api, Route, Rules};
use crate::limit::Limiter;
use std::sync::Arc;

/// Puts into `new` what of `old`, the same API before, goes on.
pub(super) fn inherit(old: &Api, new: &mut Api) {
    let own = Arc::clone(&new.rules);
    for route in &mut new.routes {
        let before = old.routes.iter().find(|before| takes_same(before, route));
        // A limit that a route has from its API goes on being its API's.
        let shared = |rate: &Limiter| own.rate.as_ref().is_some_and(|own| own.counts_with(rate));
        let before = match &route.rules.rate {
            Some(rate) if shared(rate) => Some(&old.rules),
            _ => before.map(|before| &before.rules),
        };
        inherit_rules(old, before, &mut route.rules);
    }
    inherit_rules(old, Some(&old.rules), &mut new.rules);
}

fn takes_same(a: &Route, b: &Route) -> bool {
    (&a.methods, &a.path) == (&b.methods, &b.path)
}

/// `counted` has the limit that was counted by.
fn inherit_rules(old: &Api, counted: Option<&Arc<Rules>>, new: &mut Arc<Rules>) {
    let all = std::iter::once(&old.rules).chain(old.routes.iter().map(|route| &route.rules));
    let auth = all.map(|rules| &rules.auth).find(|auth| **auth == new.auth).cloned();
    let rate = counted.and_then(|rules| rules.rate.clone()).filter(|rate| new.rate.as_ref() == Some(rate));
    let rules = Arc::make_mut(new);
    rules.auth = auth.unwrap_or_else(|| rules.auth.clone());
    rules.rate = rate.or_else(|| rules.rate.take());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Surroundings};

    fn api(lines: &str) -> Api {
        let text =
            format!("[[api]]\nname = \"a\"\nversion = \"1\"\npath = \"/a\"\nupstream = [\"http://h\"]\n{lines}\n");
        let around = Surroundings { env: &|_| None, memory_limit: None };
        let loaded = config::parse(&text, "f.toml", &around).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
        loaded.config.apis.into_iter().next().unwrap()
    }

    fn rate(rules: &Rules) -> &Limiter {
        rules.rate.as_ref().unwrap()
    }

    #[test]
    fn counts_go_on_where_the_limit_is_the_same_one() {
        let one = "rate = { per_caller = { requests = 1, per = \"1m\" } }\n";
        let routes = "[[api.route]]\non = \"GET /own\"\nrate = { per_caller = { requests = 1, per = \"1m\" } }\n\
                      [[api.route]]\non = \"GET /inherited\"\n";
        let old = api(&format!("{one}{routes}"));
        let mut new = api(&format!("{one}{routes}"));
        assert!(!rate(&new.rules).counts_with(rate(&old.rules)));
        inherit(&old, &mut new);
        assert!(rate(&new.rules).counts_with(rate(&old.rules)));
        assert!(rate(&new.routes[1].rules).counts_with(rate(&old.rules)), "a route's that is its API's");
        assert!(rate(&new.routes[0].rules).counts_with(rate(&old.routes[0].rules)), "a route's own");
        assert!(!rate(&new.routes[0].rules).counts_with(rate(&new.rules)));
        let mut other = api("rate = { per_caller = { requests = 2, per = \"1m\" } }");
        inherit(&old, &mut other);
        assert!(!rate(&other.rules).counts_with(rate(&old.rules)));
        assert_eq!(rate(&other.rules).per_caller().unwrap().requests, 2);
    }

    #[test]
    fn who_was_let_in_is_remembered_where_the_same_is_asked() {
        let judge = |url: &str| format!("auth = {{ kind = \"forward\", url = \"{url}\", headers = [\"cookie\"] }}");
        let old = api(&judge("http://j/"));
        let mut same = api(&judge("http://j/"));
        assert!(!same.rules.auth.is(&old.rules.auth));
        inherit(&old, &mut same);
        assert!(same.rules.auth.is(&old.rules.auth));
        let mut other = api(&judge("http://k/"));
        inherit(&old, &mut other);
        assert!(!other.rules.auth.is(&old.rules.auth) && other.rules.auth != old.rules.auth);
    }
}
