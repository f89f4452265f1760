//! What a plugin is told of an object, and which secrets its pod mounts.
//!
//! The operator reads no Secret: it knows names of Secrets and keys, and whether a key is there is found out in
//! the pod.

use dbbackup_api::{
    DatabaseBackupSpec,
    backup::{self, Credentials, DatabaseTls},
};
use dbbackup_protocol::{
    contract::{Connection, Description, Issue, Request, Server, Tls, TlsMode},
    pod::{CONFIG_DIR, DATABASE_CA, DATABASE_CERTIFICATE, DATABASE_KEY, SCRATCH_DIR},
    work_order::BoundSecret,
};

use crate::secrets;

/// Where the reader of an issue finds the credentials.
const CREDENTIALS: &str = "/connection/credentials";

/// A request, and where its bindings come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// For the plugin. Its `bindings` are the names of [`Self::bindings`].
    pub request: Request,
    /// For the pod, in the descriptor's order.
    pub bindings: Vec<BoundSecret>,
}

/// Builds the request for one object. `server` is what a probe found. `settings` is `spec.settings` after validation: JSON text with the schema's
/// defaults filled in. Equal input gives an equal request.
///
/// Supplied is every binding that the plugin requires (under the key of its own name where the user maps none)
/// and every one that the user maps.
///
/// # Errors
/// Everything that is wrong with the credentials; never empty.
pub fn prepare(
    (namespace, name): (&str, &str),
    spec: &DatabaseBackupSpec,
    description: &Description,
    server: Option<Server>,
    settings: String,
) -> Result<Prepared, Vec<Issue>> {
    let credentials = spec.connection.as_ref().and_then(|connection| connection.credentials.as_ref());
    let bindings = match credentials {
        Some(credentials) => bind(credentials, description)?,
        None => none_needed(description)?,
    };
    let request = Request {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        database_type: spec.database_type.clone(),
        connection: spec.connection.as_ref().map(|wanted| connection(wanted, description.default_port)),
        bindings: bindings.iter().map(|bound| bound.name.clone()).collect(),
        server,
        settings,
        config_dir: CONFIG_DIR.into(),
        scratch_dir: SCRATCH_DIR.into(),
        facts: vec![],
    };
    Ok(Prepared { request, bindings })
}

fn bind(credentials: &Credentials, description: &Description) -> Result<Vec<BoundSecret>, Vec<Issue>> {
    let Credentials { secret_name, keys } = credentials;
    let declared: Vec<_> = description.bindings.iter().map(|binding| binding.name.as_str()).collect();
    let unknown = keys.keys().filter(|name| !declared.contains(&name.as_str())).map(|name| Issue {
        path: format!("{CREDENTIALS}/keys/{}", secrets::pointer_segment(name)),
        reason: "BindingUnknown".into(),
        message: format!(
            "plugin {} knows no secret value {name:?}; it knows {}",
            description.id,
            list(&declared)
        ),
    });
    let wrong_keys = keys.iter().filter(|(_, key)| !secrets::is_key(key)).map(|(name, key)| {
        secrets::key_issue(&format!("{CREDENTIALS}/keys/{}", secrets::pointer_segment(name)), key)
    });
    let wrong_name = secrets::name_issue(&format!("{CREDENTIALS}/secretName"), secret_name);
    let issues: Vec<_> = wrong_name.into_iter().chain(unknown).chain(wrong_keys).collect();
    if !issues.is_empty() {
        return Err(issues);
    }
    let supplied = description
        .bindings
        .iter()
        .filter(|binding| binding.required || keys.contains_key(&binding.name))
        .map(|binding| BoundSecret {
            name: binding.name.clone(),
            secret: secret_name.clone(),
            key: keys.get(&binding.name).unwrap_or(&binding.name).clone(),
        });
    Ok(supplied.collect())
}

fn none_needed(description: &Description) -> Result<Vec<BoundSecret>, Vec<Issue>> {
    let required: Vec<_> = description
        .bindings
        .iter()
        .filter(|binding| binding.required)
        .map(|binding| binding.name.as_str())
        .collect();
    if required.is_empty() {
        return Ok(vec![]);
    }
    Err(vec![Issue {
        path: CREDENTIALS.into(),
        reason: "CredentialsMissing".into(),
        message: format!(
            "plugin {} needs {}: name a Secret with these keys in connection.credentials.secretName",
            description.id,
            list(&required)
        ),
    }])
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// The default port is filled in here, so that the plan shows where it goes.
fn connection(wanted: &backup::Connection, default_port: Option<u16>) -> Connection {
    let backup::Connection { host, port, database, credentials: _, tls } = wanted;
    Connection {
        host: host.clone(),
        port: port.or(default_port),
        database: database.clone(),
        tls: tls.as_ref().map_or(UNSAID, encryption),
    }
}

/// Without `connection.tls`: encrypted where the server can, as the engines' own clients do.
const UNSAID: Tls = Tls { mode: TlsMode::Prefer, ca_file: None, certificate_file: None, key_file: None };

fn encryption(wanted: &DatabaseTls) -> Tls {
    let DatabaseTls { mode, ca_secret, client_secret_name } = wanted;
    let client = |path: &str| client_secret_name.as_ref().map(|_| path.to_owned());
    Tls {
        mode: match mode {
            backup::TlsMode::Disable => TlsMode::Disable,
            backup::TlsMode::Require => TlsMode::Require,
            backup::TlsMode::VerifyCa => TlsMode::VerifyCa,
            backup::TlsMode::VerifyFull => TlsMode::VerifyFull,
        },
        ca_file: ca_secret.as_ref().map(|_| DATABASE_CA.to_owned()),
        certificate_file: client(DATABASE_CERTIFICATE),
        key_file: client(DATABASE_KEY),
    }
}

#[cfg(test)]
mod tests {
    use dbbackup_protocol::contract::Binding;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn description() -> Description {
        let binding = |name: &str, required| Binding { name: name.into(), required, summary: String::new() };
        Description {
            id: "postgres".into(),
            version: "1.0.0".into(),
            summary: String::new(),
            database_types: vec!["postgres".into()],
            default_port: Some(5432),
            bindings: vec![
                binding("username", true),
                binding("password", true),
                binding("passphrase", false),
            ],
            images: vec![],
            settings_schema: "{}".into(),
            labels: vec![],
        }
    }

    fn prepared(connection: Value) -> Result<Prepared, Vec<Issue>> {
        let mut spec = json!({
            "schedule": "@daily",
            "databaseType": "postgres",
            "storageDestination": {"type": "pvc", "pvcName": "backups"}
        });
        spec["connection"] = connection;
        let spec = serde_json::from_value(spec).unwrap();
        prepare(("shop", "orders"), &spec, &description(), None, "{}".into())
    }

    fn keys(prepared: &Prepared) -> Vec<(&str, &str)> {
        prepared.bindings.iter().map(|bound| (bound.name.as_str(), bound.key.as_str())).collect()
    }

    #[test]
    fn required_bindings_are_supplied_under_their_own_name() {
        let prepared = prepared(json!({"host": "db", "credentials": {"secretName": "s"}})).unwrap();
        assert_eq!(keys(&prepared), [("username", "username"), ("password", "password")]);
        assert_eq!(prepared.request.bindings, ["username", "password"]);
        assert_eq!(prepared.request.connection.unwrap().port, Some(5432));
        assert!(prepared.bindings.iter().all(|bound| bound.secret == "s"));
    }

    #[test]
    fn mapped_bindings_are_supplied_in_the_order_of_the_descriptor() {
        let keys_of = json!({"passphrase": "x", "password": "pg-password"});
        let prepared = prepared(
            json!({"host": "db", "port": 5433, "credentials": {"secretName": "s", "keys": keys_of}}),
        )
        .unwrap();
        assert_eq!(
            keys(&prepared),
            [("username", "username"), ("password", "pg-password"), ("passphrase", "x")]
        );
        assert_eq!(prepared.request.connection.unwrap().port, Some(5433));
    }

    #[rstest]
    #[case::no_connection(json!(null), "/connection/credentials", "CredentialsMissing")]
    #[case::no_credentials(json!({"host": "db"}), "/connection/credentials", "CredentialsMissing")]
    #[case::unknown(json!({"host": "db", "credentials": {"secretName": "s", "keys": {"a/b~": "k"}}}), "/connection/credentials/keys/a~1b~0", "BindingUnknown")]
    #[case::bad_key(json!({"host": "db", "credentials": {"secretName": "s", "keys": {"password": "../x"}}}), "/connection/credentials/keys/password", "SecretKeyInvalid")]
    #[case::hidden_key(json!({"host": "db", "credentials": {"secretName": "s", "keys": {"password": "..x"}}}), "/connection/credentials/keys/password", "SecretKeyInvalid")]
    #[case::key_with_space(json!({"host": "db", "credentials": {"secretName": "s", "keys": {"password": "a b"}}}), "/connection/credentials/keys/password", "SecretKeyInvalid")]
    #[case::bad_name(json!({"host": "db", "credentials": {"secretName": "S$"}}), "/connection/credentials/secretName", "NameInvalid")]
    fn wrong_credentials(#[case] connection: Value, #[case] pointer: &str, #[case] reason: &str) {
        let issues = prepared(connection).unwrap_err();
        let found: Vec<_> = issues.iter().map(|issue| (issue.path.as_str(), issue.reason.as_str())).collect();
        assert_eq!(found, [(pointer, reason)]);
    }

    #[test]
    fn a_plugin_without_required_bindings_needs_no_connection() {
        let mut description = description();
        description.bindings.retain(|binding| !binding.required);
        let spec = serde_json::from_value(json!({
            "schedule": "@daily", "databaseType": "x", "storageDestination": {"type": "pvc", "pvcName": "b"}
        }))
        .unwrap();
        let prepared = prepare(("shop", "orders"), &spec, &description, None, "{}".into()).unwrap();
        assert_eq!((prepared.request.connection, prepared.bindings), (None, vec![]));
    }

    #[test]
    fn tls_files_are_where_the_pod_has_them() {
        let connection = |tls: Value| {
            let wanted = json!({"host": "db", "credentials": {"secretName": "s"}, "tls": tls});
            prepared(wanted).unwrap().request.connection.unwrap().tls
        };
        let all =
            connection(json!({"mode": "verify-full", "caSecret": {"name": "ca"}, "clientSecretName": "c"}));
        assert_eq!(
            all,
            Tls {
                mode: TlsMode::VerifyFull,
                ca_file: Some(DATABASE_CA.into()),
                certificate_file: Some(DATABASE_CERTIFICATE.into()),
                key_file: Some(DATABASE_KEY.into())
            }
        );
        assert_eq!(connection(json!({"mode": "require"})), Tls { mode: TlsMode::Require, ..UNSAID });
        assert_eq!(connection(json!(null)), UNSAID);
    }
}
