//! What MongoDB's tools say when they fail.

use db_backup_plugin_sdk::{Cause, Diagnose, Diagnosis, Failure, Symptom, diagnose};

use crate::MongoDb;

const SYMPTOMS: [Symptom; 22] = [
    Symptom::new(Cause::PasswordRejected, &["authenticationfailed"])
        .hint("correct the Secret that spec.connection.credentials names, the password in the server, or spec.settings.authSource"),
    Symptom::new(Cause::LoginMethodNotSupported, &["unable to authenticate using mechanism", "mechanismunavailable"])
        .hint("choose another spec.settings.authMechanism"),
    Symptom::new(Cause::PasswordRejected, &["unable to authenticate"])
        .hint("correct the Secret that spec.connection.credentials names, the password in the server, or spec.settings.authSource"),
    Symptom::new(Cause::LoginRefused, &["requires authentication"])
        .hint("the server wants a login: name a Secret with username and password in spec.connection.credentials"),
    Symptom::new(Cause::GrantMissing, &["(unauthorized)"]).hint("grant the user the role backup"),
    Symptom::new(Cause::GrantMissing, &["not authorized on"]).hint("grant the user the role backup"),
    Symptom::new(Cause::TlsNotOffered, &["first record does not look like a tls handshake"]),
    Symptom::new(Cause::CertificateRejected, &["failed to verify certificate"]),
    Symptom::new(Cause::CertificateRejected, &["x509: "]),
    Symptom::new(Cause::TlsFailed, &["tls: "]),
    Symptom::new(Cause::ServerUnreachable, &["no such host", "srv"])
        .hint("with spec.settings.srv the name in spec.connection.host needs an SRV record"),
    Symptom::new(Cause::HostNotFound, &["no such host"]),
    Symptom::new(Cause::HostNotFound, &["server misbehaving"]),
    Symptom::new(Cause::ConnectionRefused, &["connection refused"]),
    Symptom::new(Cause::ServerUnreachable, &["replicasetnoprimary"])
        .hint("the replica set has no primary that can be reached, or spec.settings.replicaSet is not its name"),
    Symptom::new(Cause::TlsFailed, &["server selection timeout", "eof"])
        .hint("check whether the server wants TLS (spec.connection.tls), and whether what listens there is MongoDB"),
    Symptom::new(Cause::ServerUnreachable, &["server selection"]),
    Symptom::new(Cause::ServerNotReady, &["interruptedatshutdown"]),
    Symptom::new(Cause::ServerNotReady, &["notwritableprimary"]),
    Symptom::new(Cause::StatementCancelled, &["cursornotfound"]),
    Symptom::new(Cause::StatementTimeout, &["maxtimemsexpired"]),
    Symptom::new(Cause::ConnectionLost, &["socket was unexpectedly closed"]),
];

impl Diagnose for MongoDb {
    fn explain(failure: &Failure) -> Option<Diagnosis> {
        let stderr = &failure.stderr;
        if stderr.contains("error getting oplog start") {
            let message = format!("the server {} has no oplog", failure.server());
            return Some(Diagnosis::new("OplogMissing", message).hint(
                "only members of a replica set have one: leave out spec.settings.oplog, or connect to a member",
            ));
        }
        // The tool is content with a database that does not exist.
        let of_database = failure.part.as_deref().is_some_and(|part| part.starts_with("database-"));
        if failure.phase == "dump"
            && failure.exit_code == Some(0)
            && of_database
            && !stderr.contains("done dumping")
        {
            return Some(Cause::DatabaseNotFound.diagnosis(failure).hint(
                "correct spec.connection.database or spec.settings.databases; a database without a collection does not exist",
            ));
        }
        let found = diagnose(failure, &SYMPTOMS)?;
        if failure.phase != "load" {
            return Some(found);
        }
        Some(match &*found.reason {
            "GrantMissing" => found.hint("grant the user the roles restore and backup"),
            _ => found,
        })
    }
}

#[cfg(test)]
mod tests {
    use db_backup_plugin_sdk::testing::assert_explained;

    use super::*;

    /// What mongodump said; the last ones are of MongoDB's own server and of Go's libraries.
    #[test]
    fn the_words_of_the_tools_have_a_meaning() {
        let session = "2026-11-24T20:59:53.232+0000\tFailed: can't create session: failed to connect to \
                       mongodb://admin:[redacted:password]@db/?authSource=admin: ";
        let topology = |error: &str| {
            format!(
                "{session}server selection error: server selection timeout, current topology: {{ Type: Single, Servers: \
                 [{{ Addr: db:1, Type: Unknown, Last error: {error} }}, ] }}\n"
            )
        };
        let table = [
            (
                format!(
                    "{session}connection() error occurred during connection handshake: auth error: unable to authenticate \
                     using mechanism \"SCRAM-SHA-256\": (AuthenticationFailed) Authentication failed.\n"
                ),
                Some("PasswordRejected"),
            ),
            (
                "Failed: error verifying collection info: (Unauthorized) Command listCollections requires authentication\n"
                    .to_owned(),
                Some("LoginRefused"),
            ),
            (topology("dial tcp: lookup no-such-db.shop.svc on 10.0.0.53:53: no such host"), Some("HostNotFound")),
            (topology("dial tcp 127.0.0.1:1: connect: connection refused"), Some("ConnectionRefused")),
            (topology("EOF"), Some("TlsFailed")),
            (
                topology("connection(127.0.0.1:25432[-7]) socket was unexpectedly closed: EOF"),
                Some("TlsFailed"),
            ),
            (
                format!(
                    "{session}server selection error: server selection timeout, current topology: {{ Type: \
                     ReplicaSetNoPrimary, Servers: [] }}\n"
                ),
                Some("ServerUnreachable"),
            ),
            (topology("dial tcp 10.0.0.1:27017: i/o timeout"), Some("ServerUnreachable")),
            (
                "Failed: error getting oplog start: error getting recent oplog entry: (InvalidNamespace) Invalid collection \
                 name: oplog.$main\n"
                    .to_owned(),
                Some("OplogMissing"),
            ),
            (
                "Failed: error counting shop.orders: (Unauthorized) not authorized on shop to execute command { count: \
                 \"orders\" }\n"
                    .to_owned(),
                Some("GrantMissing"),
            ),
            (
                topology("tls: failed to verify certificate: x509: certificate signed by unknown authority"),
                Some("CertificateRejected"),
            ),
            (topology("tls: first record does not look like a TLS handshake"), Some("TlsNotOffered")),
        ];
        let table: Vec<_> = table.iter().map(|(stderr, reason)| (stderr.as_str(), *reason)).collect();
        assert_explained::<MongoDb>(&table);
    }

    #[test]
    fn a_database_that_is_not_there_is_told_although_the_tool_is_content() {
        let failure = |part: &str, exit_code, stderr: &str| Failure {
            part: Some(part.to_owned()),
            exit_code: Some(exit_code),
            ..Failure::example("dump", stderr)
        };
        let reason = |failure| MongoDb::explain(&failure).map(|found| found.reason);
        assert_eq!(reason(failure("database-1-shpo", 0, "")), Some("DatabaseNotFound".to_owned()));
        assert_eq!(reason(failure("database-1-shop", 0, "done dumping shop.orders (3 documents)")), None);
        assert_eq!(reason(failure("database-1-shpo", 1, "")), None);
        assert_eq!(reason(failure("server", 0, "")), None);
    }
}
