//! What of an object decides what a probe asks, and what an earlier one found.

use std::fmt::Write as _;

use dbbackup_api::{DatabaseBackup, DatabaseBackupSpec, status::ServerStatus};
use dbbackup_protocol::contract::{Fact, Server};
use serde_json::json;
use sha2::{Digest, Sha256};

/// 16 hex digits of a hash of everything that decides what is asked, and of whom. Equal input gives the same.
pub fn inputs(spec: &DatabaseBackupSpec) -> String {
    let DatabaseBackupSpec { database_type, connection, settings, image, .. } = spec;
    let all = json!([database_type, connection, settings, image]).to_string();
    Sha256::digest(all).iter().take(8).fold(String::with_capacity(16), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// What is known of the server of an object as it is now: what was found for another connection says nothing.
pub fn known_server(object: &DatabaseBackup) -> Option<Server> {
    let server = object.status.as_ref()?.server.as_ref()?;
    let ServerStatus { version, facts, .. } = server;
    let facts = facts.iter().map(|(key, value)| Fact { key: key.clone(), value: value.clone() });
    (server.inputs == inputs(&object.spec))
        .then(|| Some(Server { version: version.clone()?, facts: facts.collect() }))
        .flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn spec(change: impl FnOnce(&mut Value)) -> DatabaseBackupSpec {
        let mut spec = json!({
            "schedule": "@daily", "databaseType": "postgres",
            "connection": {"host": "db", "credentials": {"secretName": "s", "keys": {"password": "p", "username": "u"}}},
            "settings": {"b": 1, "a": [2]},
            "storageDestination": {"type": "pvc", "pvcName": "backups"}
        });
        change(&mut spec);
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn what_is_asked_decides_and_nothing_else() {
        let plain = inputs(&spec(|_| {}));
        assert_eq!(plain.len(), 16);
        for (field, value) in [
            ("/databaseType", json!("mysql")),
            ("/connection/host", json!("other")),
            ("/connection/credentials/secretName", json!("other")),
            ("/settings/b", json!(2)),
        ] {
            assert_ne!(inputs(&spec(|spec| *spec.pointer_mut(field).unwrap() = value)), plain, "{field}");
        }
        assert_ne!(inputs(&spec(|spec| spec["image"] = json!("x:1"))), plain);
        for (field, value) in
            [("schedule", json!("@hourly")), ("suspend", json!(true)), ("backoffLimit", json!(3))]
        {
            assert_eq!(inputs(&spec(|spec| spec[field] = value)), plain, "{field}");
        }
    }

    #[test]
    fn what_was_found_holds_for_the_same_inputs_only() {
        let mut object = DatabaseBackup::new("orders", spec(|_| {}));
        assert_eq!(known_server(&object), None);
        let server = ServerStatus {
            version: Some("17.2".into()),
            facts: [("standby".into(), "false".into())].into(),
            inputs: inputs(&object.spec),
            ..ServerStatus::default()
        };
        object.status =
            Some(dbbackup_api::DatabaseBackupStatus { server: Some(server), ..Default::default() });
        let known = known_server(&object).unwrap();
        assert_eq!((known.version.as_str(), known.facts.len()), ("17.2", 1));
        object.spec.connection.as_mut().unwrap().port = Some(1);
        assert_eq!(known_server(&object), None);
    }
}
