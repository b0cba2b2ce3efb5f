//! What of a configuration can't change while the gateway runs.
//!
//! These settings have made something that lasts: a store of a size, a listener of the admin port, a count of places that are taken at this
//! moment. A reload keeps them as they are, names those that the file has otherwise, and applies everything else. Every structure is taken
//! apart by name, so that a new key doesn't compile before somebody has decided.

use crate::config::Config;
use crate::listener::{Limits, Settings};
use crate::{admin, objects, store, telemetry};

/// Puts what `running` has of these settings into `new`; the keys of those that differ.
pub(super) fn keep(running: &Config, new: &mut Config) -> Vec<&'static str> {
    let Config { server, cache, admin, objects, log, telemetry, events: _, apis: _ } = running;
    let mut later = Later(Vec::new());
    keep_server(server, &mut new.server, &mut later);
    keep_cache(cache, &mut new.cache, &mut later);
    keep_admin(admin, &mut new.admin, &mut later);
    keep_objects(objects.as_ref(), &mut new.objects, &mut later);
    keep_log(log, &mut new.log, &mut later);
    later.keep("telemetry", telemetry, &mut new.telemetry);
    later.0
}

struct Later(Vec<&'static str>);

impl Later {
    fn keep<T: PartialEq + Clone>(&mut self, key: &'static str, running: &T, new: &mut T) {
        if running != new {
            new.clone_from(running);
            self.0.push(key);
        }
    }
}

fn keep_server(running: &Settings, new: &mut Settings, later: &mut Later) {
    let Settings {
        listen: _,
        tls: _,
        http2: _,
        trusted_proxies: _,
        resolver,
        handover,
        purge_method: _,
        limits,
        drain_delay: _,
        drain_deadline: _,
    } = running;
    let Limits {
        connections,
        // New connections have these.
        connections_per_address: _,
        header_bytes: _,
        header_timeout: _,
        idle_timeout: _,
        body_min_rate: _,
        h2_streams: _,
        // New requests have these.
        header_count: _,
        request_body: _,
        query_body: _,
        compressions: _,
        // Recordings are watched by it as well as connections.
        write_stall,
        origin_requests,
        waiting_requests,
        variants_per_path,
        keys_per_caller,
        fills,
        background_refreshes,
    } = limits;
    later.keep("server.resolver", resolver, &mut new.resolver);
    later.keep("server.handover", handover, &mut new.handover);
    let new = &mut new.limits;
    later.keep("server.limits.connections", connections, &mut new.connections);
    later.keep("server.limits.write_stall", write_stall, &mut new.write_stall);
    later.keep("server.limits.origin_requests", origin_requests, &mut new.origin_requests);
    later.keep("server.limits.waiting_requests", waiting_requests, &mut new.waiting_requests);
    later.keep("server.limits.variants_per_path", variants_per_path, &mut new.variants_per_path);
    later.keep("server.limits.keys_per_caller", keys_per_caller, &mut new.keys_per_caller);
    later.keep("server.limits.fills", fills, &mut new.fills);
    later.keep("server.limits.background_refreshes", background_refreshes, &mut new.background_refreshes);
}

fn keep_cache(running: &store::Settings, new: &mut store::Settings, later: &mut Later) {
    let store::Settings { max_size, max_object_size, max_fill_time, eviction, snapshot } = running;
    later.keep("cache.max_size", max_size, &mut new.max_size);
    later.keep("cache.max_object_size", max_object_size, &mut new.max_object_size);
    later.keep("cache.max_fill_time", max_fill_time, &mut new.max_fill_time);
    later.keep("cache.eviction", eviction, &mut new.eviction);
    later.keep("cache.snapshot", snapshot, &mut new.snapshot);
}

fn keep_admin(running: &admin::Settings, new: &mut admin::Settings, later: &mut Later) {
    let admin::Settings { listen, tls, probe_listen, metrics_public, audit_file, tokens: _, sessions: _, limits } =
        running;
    later.keep("admin.listen", listen, &mut new.listen);
    later.keep("admin.tls", tls, &mut new.tls);
    later.keep("admin.probe_listen", probe_listen, &mut new.probe_listen);
    later.keep("admin.metrics_public", metrics_public, &mut new.metrics_public);
    later.keep("admin.audit_file", audit_file, &mut new.audit_file);
    later.keep("admin.limits.connections", &limits.connections, &mut new.limits.connections);
}

/// A listener that isn't there can't begin, and one that is can't end.
fn keep_objects(running: Option<&objects::Settings>, new: &mut Option<objects::Settings>, later: &mut Later) {
    match (running, new.as_mut()) {
        (None, None) => {}
        (None, Some(_)) | (Some(_), None) => {
            new.clone_from(&running.cloned());
            later.0.push("objects");
        }
        (Some(running), Some(new)) => {
            let objects::Settings { listen, tls, tokens: _, batch: _, refreshes, namespaces: _ } = running;
            later.keep("objects.listen", listen, &mut new.listen);
            later.keep("objects.tls", tls, &mut new.tls);
            later.keep("objects.refreshes", refreshes, &mut new.refreshes);
            // Who asks for no token is for this machine alone; what else there is to check has been checked for that address.
            if running.tokens.is_empty() != new.tokens.is_empty() && !running.listen.ip().is_loopback() {
                later.keep("objects.tokens", &running.tokens, &mut new.tokens);
            }
        }
    }
}

fn keep_log(running: &telemetry::Settings, new: &mut telemetry::Settings, later: &mut Later) {
    let telemetry::Settings { format, level, access: _, sample: _, file, redact_query: _ } = running;
    later.keep("log.format", format, &mut new.format);
    later.keep("log.level", level, &mut new.level);
    later.keep("log.file", file, &mut new.file);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Surroundings};

    fn read(text: &str) -> Config {
        let around = Surroundings { env: &|_| None, memory_limit: None };
        config::parse(text, "f.toml", &around).unwrap_or_else(|faults| panic!("{faults}\n{text}")).config
    }

    #[test]
    fn what_cannot_change_is_kept_and_named() {
        let running = read("");
        for (text, keys) in [
            ("", &[][..]),
            ("[server]\nlisten = [\"127.0.0.1:1\"]\npurge_method = true\n", &[]),
            ("[server.limits]\nheader_timeout = \"1s\"\nquery_body = \"1KiB\"\n", &[]),
            ("[server.limits]\nconnections = 7\nfills = 9\n", &["server.limits.connections", "server.limits.fills"]),
            ("[cache]\nmax_size = \"9MiB\"\n", &["cache.max_size"]),
            ("[cache]\neviction = \"tinylfu\"\n", &["cache.eviction"]),
            ("[cache]\nsnapshot = \"s\"\n[server]\nhandover = \"h\"\n", &["server.handover", "cache.snapshot"]),
            ("[admin]\nlisten = \"127.0.0.1:1\"\n", &["admin.listen"]),
            (
                "[admin.limits]\nconnections = 9\nsessions = 1\nwrong_tokens = 1\n",
                &["admin.listen", "admin.limits.connections"],
            ),
            ("[log]\nlevel = \"warn\"\nsample = 0.5\n", &["log.level"]),
            ("[log]\nfile = \"access.log\"\n[telemetry]\notlp = \"http://h:1\"\n", &["log.file", "telemetry"]),
        ] {
            let mut new = read(text);
            let wanted = new.clone();
            assert_eq!(keep(&running, &mut new), keys, "{text}");
            assert_eq!(keep(&running, &mut new), [""; 0], "{text}: now it is kept");
            assert_eq!(new == wanted, keys.is_empty(), "{text}");
        }
    }
}
