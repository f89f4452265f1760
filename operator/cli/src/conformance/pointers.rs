//! Whether a JSON pointer leads to a place that a `DatabaseBackup`'s `spec` has or can have.

use dbbackup_api::DatabaseBackup;
use kube::CustomResourceExt;
use serde_json::Value;

/// The places of `spec`.
pub(super) struct Pointers {
    spec: Value,
    settings: Value,
}

impl Pointers {
    /// `settings` is the schema of `spec.settings`, without references.
    pub(super) fn new(settings: &Value) -> Self {
        let definition = serde_json::to_value(DatabaseBackup::crd()).unwrap_or_default();
        let spec = definition.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec").cloned();
        Self { spec: spec.unwrap_or_default(), settings: settings.clone() }
    }

    /// Empty is the whole of `spec`.
    pub(super) fn lead_somewhere(&self, pointer: &str) -> bool {
        let segments: Vec<_> = pointer.split('/').skip(1).map(unescape).collect();
        match segments.split_first() {
            None => pointer.is_empty(),
            Some((first, rest)) if first == "settings" => leads(&self.settings, rest),
            Some(_) => leads(&self.spec, &segments),
        }
    }
}

fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

fn leads(schema: &Value, segments: &[String]) -> bool {
    let Some((first, rest)) = segments.split_first() else { return true };
    let object = |keyword: &str| schema.get(keyword);
    if let Some(property) = object("properties").and_then(|properties| properties.get(first)) {
        return leads(property, rest);
    }
    if first.parse::<usize>().is_ok() {
        let listed = object("prefixItems").and_then(Value::as_array).into_iter().flatten();
        if listed.chain(object("items")).any(|item| leads(item, rest)) {
            return true;
        }
    }
    let patterns =
        object("patternProperties").and_then(Value::as_object).into_iter().flat_map(|p| p.values());
    let free = object("additionalProperties").filter(|free| *free != &Value::Bool(false));
    if patterns.chain(free).any(|free| free == &Value::Bool(true) || leads(free, rest)) {
        return true;
    }
    ["allOf", "anyOf", "oneOf"]
        .into_iter()
        .filter_map(|keyword| object(keyword)?.as_array())
        .flatten()
        .any(|branch| leads(branch, segments))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_of_the_spec_and_of_the_settings() {
        let pointers = Pointers::new(&json!({"type": "object", "properties": {
            "jobs": {"type": "integer"},
            "a/b": {"type": "array", "items": {"type": "object", "properties": {"c": {}}}},
            "env": {"additionalProperties": {"type": "string"}},
            "form": {"oneOf": [{"properties": {"x": {}}}, {"type": "string"}]},
        }, "additionalProperties": false}));
        for good in [
            "",
            "/settings",
            "/settings/jobs",
            "/settings/a~1b/3/c",
            "/settings/env/HOME",
            "/settings/form/x",
            "/connection/database",
            "/connection/tls/caSecret/name",
            "/connection/credentials/keys/password",
            "/image",
            "/databaseType",
        ] {
            assert!(pointers.lead_somewhere(good), "{good}");
        }
        for bad in [
            "settings",
            "/",
            "/setings",
            "/settings/job",
            "/settings/a",
            "/settings/a~1b/c",
            "/connection/hosts",
            "/settings/jobs/0",
        ] {
            assert!(!pointers.lead_somewhere(bad), "{bad}");
        }
    }
}
