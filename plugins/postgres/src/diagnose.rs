//! What PostgreSQL and its tools say when they fail. A server may be set to another language: then only what the client says
//! itself is understood.

use db_backup_plugin_sdk::{Cause, Diagnose, Diagnosis, Failure, Symptom, diagnose};

use crate::Postgres;

const SYMPTOMS: [Symptom; 47] = [
    Symptom::new(Cause::PasswordRejected, &["password authentication failed"]),
    Symptom::new(Cause::PasswordRejected, &["no password supplied"])
        .hint("the password in the Secret that spec.connection.credentials names is empty: correct it"),
    Symptom::new(Cause::PasswordRejected, &["fatal: ", "role \"", "does not exist"]),
    Symptom::new(Cause::LoginRefused, &["no pg_hba.conf entry"])
        .hint("allow the pods of this namespace in pg_hba.conf; where it has only hostssl, set spec.connection.tls.mode to require"),
    Symptom::new(Cause::LoginRefused, &["pg_hba.conf rejects"])
        .hint("allow the pods of this namespace in pg_hba.conf"),
    Symptom::new(Cause::LoginRefused, &["is not permitted to log in"]).hint("ALTER ROLE … LOGIN"),
    Symptom::new(Cause::LoginRefused, &["is not currently accepting connections"])
        .hint("ALTER DATABASE … ALLOW_CONNECTIONS true, or leave the database out"),
    Symptom::new(Cause::LoginMethodNotSupported, &["authentication method", "not supported"]),
    Symptom::new(Cause::TooManyConnections, &["too many connections for"]),
    Symptom::new(Cause::TooManyConnections, &["too many clients already"]),
    Symptom::new(Cause::TooManyConnections, &["connection slots are reserved"]),
    Symptom::new(Cause::ServerNotReady, &["the database system is"]),
    Symptom::new(Cause::ServerNotReady, &["not yet accepting connections"]),
    Symptom::new(Cause::HostNotFound, &["could not translate host name"]),
    Symptom::new(Cause::ServerUnreachable, &["timeout expired"]),
    Symptom::new(Cause::WrongServer, &["received invalid response to ssl negotiation"]),
    Symptom::new(Cause::WrongServer, &["expected authentication request from server"]),
    Symptom::new(Cause::TlsNotOffered, &["server does not support ssl"]),
    Symptom::new(Cause::CertificateRejected, &["server certificate for", "does not match host name"]),
    Symptom::new(Cause::CertificateRejected, &["could not read root certificate file"]),
    Symptom::new(Cause::CertificateRejected, &["certificate verify failed"]),
    Symptom::new(Cause::TlsFailed, &["ssl error"]),
    Symptom::new(Cause::TlsFailed, &["certificate file"]),
    Symptom::new(Cause::TlsFailed, &["private key file"]),
    Symptom::new(Cause::StatementCancelled, &["conflict with recovery"])
        .hint("back up from the primary, or raise max_standby_streaming_delay on this standby"),
    Symptom::new(Cause::ConnectionLost, &["terminating connection"]),
    Symptom::new(Cause::ConnectionLost, &["server closed the connection unexpectedly"]),
    Symptom::new(Cause::ConnectionLost, &["no connection to the server"]),
    Symptom::new(Cause::DatabaseNotFound, &["fatal: ", "database \"", "does not exist"]),
    Symptom::new(Cause::SelectionMatchesNothing, &["no matching tables were found"]),
    Symptom::new(Cause::SelectionMatchesNothing, &["no matching schemas were found"]),
    Symptom::new(Cause::ClientTooOld, &["server version mismatch"]),
    // What a newer `pg_restore` begins with: no backup of a server of this version that its own client made does.
    Symptom::new(Cause::ClientTooNew, &["unrecognized configuration parameter"]).hint(
        "restore into a server of at least the version that was backed up; if this is one, its version was not known yet when it \
         was backed up: take a new backup, if need be with spec.settings.serverVersion, and restore that",
    ),
    Symptom::new(Cause::BackupTooNew, &["unsupported version", "in file header"]),
    Symptom::new(Cause::GrantMissing, &["permission denied for large object"])
        .hint("GRANT SELECT ON LARGE OBJECT … to the role: pg_read_all_data does not cover them"),
    Symptom::new(Cause::GrantMissing, &["permission denied for database"])
        .hint("GRANT CONNECT ON DATABASE … to the role"),
    Symptom::new(Cause::GrantMissing, &["permission denied for"]).hint("GRANT pg_read_all_data to the role"),
    Symptom::new(Cause::RowSecurityActive, &["row-level security"])
        .hint("ALTER ROLE … BYPASSRLS, or leave the table out by spec.settings.excludeTables"),
    Symptom::new(Cause::LockTimeout, &["lock timeout"]),
    Symptom::new(Cause::LockTimeout, &["statement timeout", "lock table"]),
    Symptom::new(Cause::StatementTimeout, &["statement timeout"]).hint("ALTER ROLE … SET statement_timeout = 0"),
    Symptom::new(Cause::ServerResourcesExhausted, &["out of shared memory"])
        .hint("raise max_locks_per_transaction in the server"),
    Symptom::new(Cause::ServerResourcesExhausted, &["out of memory"]),
    Symptom::new(Cause::DataDamaged, &["invalid page in block"]),
    Symptom::new(Cause::DataDamaged, &["could not read block"]),
    Symptom::new(Cause::DataDamaged, &["chunk number", "for toast value"]),
    Symptom::new(Cause::SchemaChanged, &["could not open relation with oid"]),
];

impl Diagnose for Postgres {
    fn explain(failure: &Failure) -> Option<Diagnosis> {
        diagnose(failure, &SYMPTOMS)
    }
}

#[cfg(test)]
mod tests {
    use db_backup_plugin_sdk::testing::assert_explained;

    use super::*;

    /// What the tools of PostgreSQL 18 and 15 said to servers of both; some are of the sources of libpq and of the server.
    #[test]
    fn the_words_of_the_tools_have_a_meaning() {
        let at = r#"connection to server at "127.0.0.1", port 25432 failed: "#;
        let failed = |tool: &str, rest: &str| format!("{tool}: error: {at}{rest}\n");
        let table = [
            (failed("pg_dump", r#"FATAL:  password authentication failed for user "postgres""#), Some("PasswordRejected")),
            (failed("psql", r#"FATAL:  password authentication failed for user "postgres""#), Some("PasswordRejected")),
            (failed("pg_dump", "fe_sendauth: no password supplied"), Some("PasswordRejected")),
            (failed("pg_dump", r#"FATAL:  role "nologin" is not permitted to log in"#), Some("LoginRefused")),
            (
                failed(
                    "pg_dump",
                    r#"FATAL:  no pg_hba.conf entry for host "198.18.0.9", user "postgres", database "shop", no encryption"#,
                ),
                Some("LoginRefused"),
            ),
            (failed("pg_dump", r#"FATAL:  database "closed" is not currently accepting connections"#), Some("LoginRefused")),
            (failed("pg_dump", r#"FATAL:  too many connections for role "lim""#), Some("TooManyConnections")),
            (failed("pg_dump", "FATAL:  the database system is starting up"), Some("ServerNotReady")),
            (failed("pg_dump", r#"FATAL:  database "shpo" does not exist"#), Some("DatabaseNotFound")),
            (
                failed(
                    "pg_dump",
                    "FATAL:  permission denied for database \"private\"\nDETAIL:  User does not have CONNECT privilege.",
                ),
                Some("GrantMissing"),
            ),
            (failed("pg_dump", "server does not support SSL, but SSL was required"), Some("TlsNotOffered")),
            (failed("pg_dump", "SSL error: certificate verify failed"), Some("CertificateRejected")),
            (failed("pg_dump", "received invalid response to SSL negotiation: H"), Some("WrongServer")),
            (failed("pg_dump", "timeout expired"), Some("ServerUnreachable")),
            (
                failed(
                    "pg_dump",
                    "Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?",
                ),
                Some("ConnectionRefused"),
            ),
            (
                "pg_dump: error: could not translate host name \"no-such-db.shop.svc\" to address: Name or service not known\n"
                    .to_owned(),
                Some("HostNotFound"),
            ),
            (
                "pg_dump: error: query failed: ERROR:  permission denied for table orders\npg_dump: detail: Query was: LOCK \
                 TABLE public.orders, private.t, public.rls IN ACCESS SHARE MODE\n"
                    .to_owned(),
                Some("GrantMissing"),
            ),
            ("ERROR:  permission denied for schema closed\n".to_owned(), Some("GrantMissing")),
            (
                "pg_dump: error: could not open large object 16402: ERROR:  permission denied for large object 16402\n"
                    .to_owned(),
                Some("GrantMissing"),
            ),
            (
                "pg_dump: error: query failed: ERROR:  query would be affected by row-level security policy for table \
                 \"rls\"\npg_dump: detail: Query was: COPY public.rls (i) TO stdout;\n"
                    .to_owned(),
                Some("RowSecurityActive"),
            ),
            (
                "pg_dump: error: aborting because of server version mismatch\npg_dump: detail: server version: 18.6 (Debian \
                 18.6-3); pg_dump version: 15.18 (Debian 15.18-0+deb12u1)\n"
                    .to_owned(),
                Some("ClientTooOld"),
            ),
            (
                "pg_dump: error: no matching tables were found for pattern \"nope\"\n".to_owned(),
                Some("SelectionMatchesNothing"),
            ),
            (
                "pg_dump: error: query failed: ERROR:  canceling statement due to statement timeout\npg_dump: detail: Query \
                 was: LOCK TABLE public.orders IN ACCESS SHARE MODE\n"
                    .to_owned(),
                Some("LockTimeout"),
            ),
            ("ERROR:  canceling statement due to lock timeout\n".to_owned(), Some("LockTimeout")),
            ("ERROR:  canceling statement due to statement timeout\n".to_owned(), Some("StatementTimeout")),
            (
                "pg_dump: error: Dumping the contents of table \"t\" failed: PQgetResult() failed.\npg_dump: detail: Error \
                 message from server: ERROR:  invalid page in block 7 of relation base/5/16384\n"
                    .to_owned(),
                Some("DataDamaged"),
            ),
            ("pg_restore: error: input file is too short (read 0, expected 5)\n".to_owned(), None),
            // As the agent passes it on, without what it quotes.
            (
                "pg_restore: error: could not execute query: ERROR:  unrecognized configuration parameter \"…\n".to_owned(),
                Some("ClientTooNew"),
            ),
            ("pg_restore: error: unsupported version (1.16) in file header\n".to_owned(), Some("BackupTooNew")),
            ("pg_restore: error: unsupported version (… in file header\n".to_owned(), Some("BackupTooNew")),
        ];
        let table: Vec<_> = table.iter().map(|(stderr, reason)| (stderr.as_str(), *reason)).collect();
        assert_explained::<Postgres>(&table);
    }

    #[test]
    fn a_diagnosis_names_what_is_known_and_what_to_do() {
        let explain = |stderr: &str| {
            let failure = Failure::example("dump", stderr).with_fact("database", "shpo");
            Postgres::explain(&failure).unwrap()
        };
        let found = explain("FATAL:  password authentication failed for user \"x\"");
        assert_eq!(found.message, "the server db:1234 rejected the user name or the password");
        assert!(found.hint.contains("spec.connection.credentials") && !found.retryable);
        let found = explain("FATAL:  database \"shpo\" does not exist");
        assert_eq!(found.message, "the server db:1234 has no database \"shpo\"");
        assert!(explain("FATAL:  the database system is shutting down").retryable);
    }
}
