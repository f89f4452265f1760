//! Objects to begin with: whatever a user can say apart from settings, for each type that the plugin serves.

use dbbackup_api::DatabaseBackup;
use dbbackup_core::request;
use dbbackup_plugin_host::Plugin;
use dbbackup_protocol::contract::{Description, Issue, Request};
use serde_json::{Map, Value, json};

/// Stands for the user's own image where the plugin brings none.
const IMAGE: &str = "registry.example.com/client:1";

/// An object to begin with.
#[derive(Clone, Debug)]
pub(super) struct Seed {
    /// What is special about it.
    pub about: String,
    pub object: DatabaseBackup,
    /// Settings are varied on it; the others show that the rest of an object is understood.
    pub varied: bool,
}

impl Seed {
    /// What the plugin would be told with these settings.
    ///
    /// # Errors
    /// What the operator finds wrong with them.
    pub(super) fn request(
        &self,
        plugin: &Plugin,
        settings: &Map<String, Value>,
    ) -> Result<Request, Vec<Issue>> {
        let settings = plugin.validate_settings(Some(settings))?;
        let metadata = &self.object.metadata;
        let [namespace, name] =
            [&metadata.namespace, &metadata.name].map(|part| part.as_deref().unwrap_or_default());
        let settings = Value::Object(settings).to_string();
        request::prepare((namespace, name), &self.object.spec, plugin.description(), None, settings)
            .map(|prepared| prepared.request)
    }
}

/// The author's samples, and general objects for each type.
pub(super) fn seeds(plugin: &Plugin, samples: &[DatabaseBackup]) -> Vec<Seed> {
    let served = &plugin.description().database_types;
    let own = samples.iter().filter(|object| served.contains(&object.spec.database_type));
    let own = own.map(|object| {
        let about = format!("sample {}", object.metadata.name.as_deref().unwrap_or_default());
        Seed { about, object: object.clone(), varied: true }
    });
    own.chain(served.iter().flat_map(|kind| general(kind, plugin.description()))).collect()
}

/// The connections that a user can describe, with all secret values, and one with the required ones only.
fn general(kind: &str, description: &Description) -> Vec<Seed> {
    let all: Map<_, _> = description
        .bindings
        .iter()
        .map(|binding| (binding.name.clone(), binding.name.as_str().into()))
        .collect();
    let credentials = json!({"secretName": "credentials", "keys": all});
    let connection = |more: Value| {
        let mut connection = json!({"host": "db.example", "credentials": credentials});
        if let (Value::Object(connection), Value::Object(more)) = (&mut connection, more) {
            connection.extend(more);
        }
        connection
    };
    let authority = json!({"name": "authority"});
    let cases = [
        ("all of a server", true, connection(json!({}))),
        ("one database", true, connection(json!({"database": "shop"}))),
        ("a port of its own", false, connection(json!({"port": 12345}))),
        (
            "required secret values only",
            false,
            json!({"host": "db.example", "credentials": {"secretName": "c"}}),
        ),
        ("TLS disable", false, connection(json!({"tls": {"mode": "disable"}}))),
        ("TLS require", false, connection(json!({"tls": {"mode": "require"}}))),
        ("TLS verify-ca", false, connection(json!({"tls": {"mode": "verify-ca", "caSecret": authority}}))),
        (
            "TLS verify-full with a certificate",
            false,
            connection(
                json!({"tls": {"mode": "verify-full", "caSecret": authority, "clientSecretName": "own"}}),
            ),
        ),
    ];
    let image = description.images.is_empty().then_some(IMAGE);
    let seed = |(about, varied, connection): (&str, bool, Value)| {
        let object = json!({
            "apiVersion": "db.example.io/v1alpha1",
            "kind": "DatabaseBackup",
            "metadata": {"namespace": "shop", "name": "orders"},
            "spec": {
                "schedule": "@daily",
                "databaseType": kind,
                "connection": connection,
                "image": image,
                "storageDestination": {"type": "pvc", "pvcName": "backups"},
            },
        });
        let object = serde_json::from_value(object).ok()?;
        Some(Seed { about: format!("{kind}, {about}"), object, varied })
    };
    cases.into_iter().filter_map(seed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_general_objects_are_objects() {
        let description = Description {
            id: "x".into(),
            version: "1.0.0".into(),
            summary: String::new(),
            database_types: vec!["x".into()],
            default_port: None,
            bindings: vec![],
            images: vec![],
            settings_schema: "{}".into(),
            labels: vec![],
        };
        let seeds = general("x", &description);
        assert_eq!(seeds.len(), 8);
        assert_eq!(seeds.iter().filter(|seed| seed.varied).count(), 2);
        assert!(seeds.iter().all(|seed| seed.object.spec.image.as_deref() == Some(IMAGE)));
    }
}
