//! From the command line to a `DatabaseRestore`.

use dbbackup_api::{
    DatabaseBackup, DatabaseRestore, DatabaseRestoreSpec,
    backup::{Connection, Credentials},
    restore::{PrivateKey, RestoreMode, RestoreSource, Which},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::Arguments;
use crate::ending::Unusable;

/// Longest part of the source's name in that of the restore, which is at most 40 characters long.
const SOURCE_IN_NAME: usize = 28;

/// The object; `backup` is what the source is of, if that is there.
pub(super) fn restore(
    arguments: &Arguments,
    namespace: &str,
    backup: Option<&DatabaseBackup>,
    now: Timestamp,
) -> Result<DatabaseRestore, Unusable> {
    let source = RestoreSource {
        backup_name: arguments.backup.clone(),
        snapshot_name: arguments.snapshot.clone(),
        run_id: arguments.run.clone(),
        which: arguments.verified.then_some(Which::LatestVerified),
        as_of: arguments.as_of.map(Time),
        storage: None,
    };
    let plain = json!({"source": source, "target": target(arguments, backup)?});
    let plain: DatabaseRestoreSpec = serde_json::from_value(plain)
        .map_err(|error| Unusable::Input(format!("the arguments make no DatabaseRestore: {error}")))?;
    let spec = DatabaseRestoreSpec {
        databases: arguments.databases.clone(),
        renames: arguments.renames.iter().cloned().collect(),
        mode: if arguments.replace { RestoreMode::Replace } else { RestoreMode::Refuse },
        decryption: arguments.decryption_secret.as_deref().map(private_key),
        dry_run: arguments.dry_run,
        ..plain
    };
    let name = arguments.name.clone().unwrap_or_else(|| name(arguments, now));
    let mut restore = DatabaseRestore::new(&name, spec);
    restore.metadata.namespace = Some(namespace.to_owned());
    Ok(restore)
}

/// The server that was backed up, unless another one is named. Its login is another's only where that is said.
fn target(arguments: &Arguments, backup: Option<&DatabaseBackup>) -> Result<Connection, Unusable> {
    let own = backup.and_then(|backup| backup.spec.connection.clone());
    let own = own.map(|own| Connection { database: None, ..own });
    let keys = own.as_ref().and_then(|own| own.credentials.as_ref()).map(|own| own.keys.clone());
    let target = match (&arguments.host, own) {
        (Some(host), _) => {
            Connection { host: host.clone(), port: None, database: None, credentials: None, tls: None }
        }
        (None, Some(own)) => own,
        (None, None) => {
            let message = "it is not known which server was backed up: name one by --host, and its login by --credentials";
            return Err(Unusable::Input(message.into()));
        }
    };
    let credentials = arguments.credentials.as_ref().map(|secret| Credentials {
        secret_name: secret.clone(),
        keys: if arguments.keys.is_empty() {
            keys.unwrap_or_default()
        } else {
            arguments.keys.iter().cloned().collect()
        },
    });
    Ok(Connection {
        port: arguments.port.or(target.port),
        credentials: credentials.or(target.credentials),
        ..target
    })
}

fn private_key(secret: &str) -> PrivateKey {
    let (secret_name, key) = secret.split_once('/').unwrap_or((secret, "identity"));
    PrivateKey { secret_name: secret_name.to_owned(), key: key.to_owned() }
}

/// Two in one second have the same one, and the second is refused.
fn name(arguments: &Arguments, now: Timestamp) -> String {
    let source = arguments.backup.as_ref().or(arguments.snapshot.as_ref()).map_or("", |name| name.as_str());
    let source: String =
        source.chars().take(SOURCE_IN_NAME).map(|c| if c == '.' { '-' } else { c }).collect();
    format!("{}-{:x}", source.trim_end_matches('-'), now.as_second())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::Value;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn backup() -> DatabaseBackup {
        serde_json::from_value(json!({
            "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseBackup", "metadata": {"name": "orders"},
            "spec": {
                "schedule": "@daily", "databaseType": "postgres", "storageDestination": {"type": "pvc", "pvcName": "b"},
                "connection": {
                    "host": "db", "port": 1, "database": "shop", "tls": {"mode": "require"},
                    "credentials": {"secretName": "login", "keys": {"username": "user"}}
                }
            }
        }))
        .unwrap()
    }

    fn made(line: &str, backup: Option<&DatabaseBackup>) -> Result<Value, String> {
        let line = std::iter::once("restore").chain(line.split_whitespace());
        let line = Line::try_parse_from(line).map_err(|error| error.to_string())?;
        let now = "2026-11-24T12:00:00Z".parse().unwrap();
        let made = restore(&line.arguments, "shop", backup, now).map_err(|error| error.to_string())?;
        assert!(made.metadata.name.as_ref().unwrap().len() <= 40);
        Ok(serde_json::to_value(made).unwrap())
    }

    #[test]
    fn what_the_line_says_is_in_the_object() {
        let object = made(
            "orders --verified --as-of 2026-11-24T02:30:00+01:00 --database a --database b --rename a=c --replace --dry-run \
             --decryption-secret key/age",
            Some(&backup()),
        )
        .unwrap();
        let spec = &object["spec"];
        assert_eq!(
            spec["source"],
            json!({"backupName": "orders", "which": "LatestVerified", "asOf": "2026-11-24T01:30:00Z"})
        );
        assert_eq!((&spec["databases"], &spec["renames"]), (&json!(["a", "b"]), &json!({"a": "c"})));
        assert_eq!((&spec["mode"], &spec["dryRun"]), (&json!("Replace"), &json!(true)));
        assert_eq!(spec["decryption"], json!({"secretName": "key", "key": "age"}));
        assert_eq!(object["metadata"], json!({"name": "orders-6b057c40", "namespace": "shop"}));
    }

    #[test]
    fn the_target_is_the_servers_own_unless_another_is_named() {
        let target = |line: &str| made(line, Some(&backup())).unwrap()["spec"]["target"].clone();
        let own = json!({
            "host": "db", "port": 1, "tls": {"mode": "require"},
            "credentials": {"secretName": "login", "keys": {"username": "user"}}
        });
        assert_eq!(target("orders"), own, "but for the database, which is the backup's");
        let mut admin = own;
        admin["credentials"]["secretName"] = json!("admin");
        assert_eq!(target("orders --credentials admin"), admin);
        assert_eq!(target("orders --host other --port 2"), json!({"host": "other", "port": 2}));
        let keys =
            target("orders --host other --credentials s --key username=u --key password=p")["credentials"]
                .clone();
        assert_eq!(keys, json!({"secretName": "s", "keys": {"username": "u", "password": "p"}}));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (line, words) in [
            ("", "required"),
            ("orders --snapshot s", "cannot be used with"),
            ("--snapshot s --verified", "cannot be used with"),
            ("orders --run r --verified", "cannot be used with"),
            ("orders --as-of yesterday", "yesterday"),
            ("orders --rename a", "no '='"),
            ("--snapshot s", "--host"),
        ] {
            let said = made(line, None).unwrap_err();
            assert!(said.contains(words), "{line}: {said}");
        }
        let snapshot = made("--snapshot orders.a-very-long-name-that-somebody-chose --host h", None).unwrap();
        assert_eq!(snapshot["metadata"]["name"], "orders-a-very-long-name-that-6b057c40");
    }
}
