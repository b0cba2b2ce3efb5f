//! APIs that are registered, changed and removed while the gateway runs.

use super::Rooms;
use crate::admin::{ApiView, Change, Changed, Condition, Conflict, NotChanged, Place, Registry};
use crate::audit::Audit;
use crate::policy::{Effect, Fate};
use crate::serve::rewrite::Done;
use serde_json::{Map, Value, json};

/// The keys whose values the audit tells.
const TOLD: [&str; 3] = ["ttl", "grace", "keep_on_error"];

impl Registry for Rooms {
    fn page(&self, after: Option<&Place>, limit: usize) -> (Vec<ApiView>, Option<Place>) {
        // The tags first: one that is older than what is shown with it makes a writer read again, one that is younger would let him overwrite.
        let written = self.reloader.written.load_full();
        let in_force = self.current.load_full();
        let begin = after.map_or(0, |after| match in_force.apis.get(&after.id) {
            Some(mounted) => mounted.number + 1,
            None => after.number,
        });
        let mut rest = in_force.apis.iter().skip(begin);
        let page: Vec<_> = rest.by_ref().take(limit).collect();
        let last = page.last().map(|last| Place { number: last.number, id: last.id.to_string() });
        let last = last.filter(|_| rest.next().is_some());
        (page.into_iter().map(|mounted| self.view(&in_force, mounted, &written)).collect(), last)
    }

    fn change(
        &self,
        (name, version): (&str, &str),
        change: &Change,
        condition: &Condition,
    ) -> Result<Changed, NotChanged> {
        let id = format!("{name}/{version}");
        let namespace = self.current.load().apis.get(&id).is_some_and(|mounted| mounted.api.namespace.is_some());
        if namespace {
            let why =
                format!("`{id}` is a namespace of [objects]; change [[objects.namespace]] `{version}` in the file");
            return Err(NotChanged::Conflict(Conflict::Namespace, why));
        }
        let done = self.reloader.rewrite((name, version), change, condition)?;
        let Done { rewritten, report, in_force, written, warnings } = done;
        let fate = report.apis.iter().find(|change| *change.id == *id).map(|change| change.fate);
        let cache = match fate.map(Fate::effect) {
            Some(Effect::Hard) => "cleared",
            Some(Effect::Soft) => "outdated",
            Some(Effect::Nothing) | None => "kept",
        };
        let keys: Vec<String> = rewritten.changed().into_iter().map(str::to_owned).collect();
        let old = |key: &str| rewritten.old.as_ref().and_then(|old| old.get(key));
        let values: Map<String, Value> = TOLD
            .into_iter()
            .filter(|key| keys.iter().any(|changed| changed == key))
            .map(|key| (key.to_owned(), json!({ "old": old(key), "new": rewritten.new.get(key) })))
            .collect();
        let view = in_force.apis.get(&id).map(|mounted| self.view(&in_force, mounted, &written));
        let view = view.filter(|_| *change != Change::Remove);
        Ok(Changed { view, created: rewritten.old.is_none(), cache, keys, values, warnings })
    }

    fn audit(&self) -> &Audit {
        &self.foundation.audit
    }
}
