//! A selector as JSON says it, read from the body of `POST /v1/purge`.

use super::schema::schema;
use crate::purge::{Selector, Target};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use std::fmt;
use std::marker::PhantomData;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// The selector that `body` means, or which member is wrong and why.
pub(super) fn parsed(body: &[u8]) -> Result<Selector, String> {
    let Object(asked): Object<Asked> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    asked.selector()
}

/// Something written as a JSON object; by itself serde takes an array of a struct's values as well.
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<T>, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(Object)
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// The body of `POST /v1/purge` as it is described. What reads it is [`Asked`], whose errors say more.
pub(super) struct Purge;

impl ToSchema for Purge {}

impl PartialSchema for Purge {
    fn schema() -> RefOr<Schema> {
        let path = json!({ "type": "string", "pattern": "^/", "description": "A public path." });
        let name = json!({ "type": ["string", "null"], "minLength": 1 });
        let given = json!({ "type": "string", "minLength": 1 });
        let one = |what: &str, schema: &Value, narrowed: &[&str], says: &str| {
            let mut members = json!({
                what: schema,
                "soft": { "type": "boolean", "default": false, "description": "Only marks it stale." },
                "dry_run": { "type": "boolean", "default": false, "description": "Only counts." },
            });
            narrowed.iter().for_each(|member| members[*member] = name.clone());
            json!({
                "type": "object",
                "description": says,
                "properties": members,
                "required": [what],
                "additionalProperties": false,
            })
        };
        schema(json!({ "oneOf": [
            one("path", &path, &["host", "api"], "One path, with every query and variant."),
            one("prefix", &path, &["host", "api"], "A path and everything below it."),
            one("tag", &given, &["api"], "What has this tag."),
            one("user", &given, &["api"], "What this caller has asked for."),
            one("api", &given, &[], "One API, `name/version`."),
            one("all", &json!({ "type": "boolean", "enum": [true] }), &[], "Everything; needs an administrator."),
        ] }))
    }
}

/// The body of `POST /v1/purge`, as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    api: Option<String>,
    path: Option<String>,
    prefix: Option<String>,
    tag: Option<String>,
    user: Option<String>,
    all: Option<bool>,
    host: Option<String>,
    #[serde(default)]
    soft: bool,
    #[serde(default)]
    dry_run: bool,
}

impl Asked {
    /// As meant. `api` is a target when it stands alone, and narrows when it doesn't.
    fn selector(self) -> Result<Selector, String> {
        let Asked { mut api, path, prefix, tag, user, all, host, soft, dry_run } = self;
        not_empty("api", api.as_deref())?;
        not_empty("tag", tag.as_deref())?;
        not_empty("user", user.as_deref())?;
        not_empty("host", host.as_deref())?;
        let narrows = host.is_some();
        let target = match (path, prefix, tag, user, all) {
            (None, None, None, None, None) => match api.take() {
                Some(api) => Target::Api(api),
                None => return Err("one of path, prefix, tag, user, api and all must be given".into()),
            },
            (Some(path), None, None, None, None) => Target::Path { host, path: public("path", path)? },
            (None, Some(path), None, None, None) => Target::Prefix { host, path: public("prefix", path)? },
            (None, None, Some(tag), None, None) => Target::Tag(tag),
            (None, None, None, Some(user), None) => Target::User(user),
            (None, None, None, None, Some(true)) => Target::All,
            (None, None, None, None, Some(false)) => return Err("`all` can only be true".into()),
            _ => return Err("only one of path, prefix, tag, user and all can be given".into()),
        };
        if target == Target::All && api.is_some() {
            return Err("`all` can't be narrowed by `api`; give `api` alone to clear one API".into());
        }
        if narrows && !matches!(target, Target::Path { .. } | Target::Prefix { .. }) {
            return Err("`host` only goes with path or prefix".into());
        }
        Ok(Selector { target, api, soft, dry_run })
    }
}

fn not_empty(member: &str, value: Option<&str>) -> Result<(), String> {
    if value == Some("") { Err(format!("`{member}` must not be empty")) } else { Ok(()) }
}

fn public(member: &str, path: String) -> Result<String, String> {
    if path.starts_with('/') { Ok(path) } else { Err(format!("`{member}` must begin with /")) }
}
