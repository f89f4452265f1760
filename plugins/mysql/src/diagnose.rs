//! What MySQL, MariaDB and their tools say when they fail.

use db_backup_plugin_sdk::{Cause, Diagnose, Diagnosis, Failure, Symptom, diagnose};

use crate::MySql;

const GRANTS: &str = "GRANT the account what the README lists for this engine: SELECT, SHOW VIEW, TRIGGER and EVENT, and the right to \
                      read routines";

const SYMPTOMS: [Symptom; 39] = [
    Symptom::new(Cause::GrantMissing, &["access denied for user", "to database"]).hint(GRANTS),
    Symptom::new(Cause::GrantMissing, &["execute command denied to user"])
        .hint("GRANT the account EXECUTE on the functions that views call"),
    Symptom::new(Cause::GrantMissing, &["command denied to user"]).hint(GRANTS),
    Symptom::new(Cause::GrantMissing, &["access denied; you need"]).hint(GRANTS),
    Symptom::new(Cause::LoginRefused, &["account is locked"]).hint("ALTER USER … ACCOUNT UNLOCK"),
    Symptom::new(Cause::LoginRefused, &["is not allowed to connect"])
        .hint("CREATE USER for the addresses of the pods, for example 'backup'@'%'"),
    Symptom::new(Cause::LoginRefused, &["is blocked because of many connection errors"]).hint("FLUSH HOSTS in the server"),
    Symptom::new(Cause::LoginRefused, &["password has expired"]).hint("ALTER USER … PASSWORD EXPIRE NEVER"),
    Symptom::new(Cause::LoginRefused, &["must reset your password"]).hint("ALTER USER … IDENTIFIED BY …"),
    Symptom::new(Cause::PasswordRejected, &["access denied for user"])
        .hint("correct the Secret that spec.connection.credentials names, or the account's password, host or need of TLS in the server"),
    Symptom::new(Cause::TlsRequired, &["requires secure connection"]),
    Symptom::new(Cause::TlsRequired, &["insecure transport are prohibited"]),
    Symptom::new(Cause::LoginMethodNotSupported, &["authentication plugin", "cannot be loaded"])
        .hint("set spec.settings.serverVersion to 8.4, whose client knows the method, or give the account caching_sha2_password"),
    Symptom::new(Cause::TooManyConnections, &["too many connections"]),
    Symptom::new(Cause::TooManyConnections, &["max_user_connections"]),
    Symptom::new(Cause::TooManyConnections, &["'max_connections_per_hour' resource"]),
    Symptom::new(Cause::HostNotFound, &["unknown server host"]),
    Symptom::new(Cause::HostNotFound, &["unknown mysql server host"]),
    Symptom::new(Cause::ServerUnreachable, &["can't connect to", "(110)"]),
    Symptom::new(Cause::ServerUnreachable, &["can't connect to", "(113)"]),
    // MariaDB's client says 115, "in progress", for both; a refusal is the likelier one.
    Symptom::new(Cause::ConnectionRefused, &["can't connect to"]),
    Symptom::new(Cause::ServerUnreachable, &["initial communication packet"])
        .hint("check spec.connection.port, and whether what listens there is this kind of server"),
    Symptom::new(Cause::ServerNotReady, &["server shutdown in progress"]),
    Symptom::new(Cause::ConnectionLost, &["lost connection to"]),
    Symptom::new(Cause::ServerResourcesExhausted, &["packet bigger than"])
        .hint("raise max_allowed_packet in the server: a row has to fit, as hexadecimal digits where it is no text"),
    Symptom::new(Cause::ConnectionLost, &["server has gone away"])
        .hint("the server's log says whether it was restarted; a row that is larger than its max_allowed_packet has the same effect"),
    Symptom::new(Cause::TlsNotOffered, &["ssl is required", "support it"]),
    Symptom::new(Cause::CertificateRejected, &["ssl", "certificate"]),
    Symptom::new(Cause::TlsFailed, &["ssl connection error"]),
    Symptom::new(Cause::TlsFailed, &["tls/ssl error"]),
    Symptom::new(Cause::DatabaseNotFound, &["unknown database"]),
    Symptom::new(Cause::LockTimeout, &["lock wait timeout exceeded"]),
    Symptom::new(Cause::StatementCancelled, &["deadlock found"]),
    Symptom::new(Cause::StatementTimeout, &["max_statement_time exceeded"]),
    Symptom::new(Cause::StatementTimeout, &["maximum statement execution time exceeded"]),
    Symptom::new(Cause::SchemaChanged, &["table definition has changed"]),
    Symptom::new(Cause::ObjectInvalid, &["references invalid table"]).hint("drop the view that is named, or create it anew"),
    Symptom::new(Cause::DataDamaged, &["marked as crashed"]),
    Symptom::new(Cause::DataDamaged, &["doesn't exist in engine"]),
];

impl Diagnose for MySql {
    fn explain(failure: &Failure) -> Option<Diagnosis> {
        diagnose(failure, &SYMPTOMS)
    }
}

#[cfg(test)]
mod tests {
    use db_backup_plugin_sdk::testing::assert_explained;

    use super::*;

    /// What a function in a view and a row that is too large give.
    #[test]
    fn a_missing_execute_and_a_large_row_have_a_meaning() {
        assert_explained::<MySql>(&[
            (
                "mariadb-dump: Couldn't execute 'SHOW FIELDS FROM `v`': execute command denied to user 'backup'@'%' for routine \
                 'shop.f' (1370)\n",
                Some("GrantMissing"),
            ),
            (
                "ERROR 1153 (08S01) at line 5: Got a packet bigger than '…' bytes\n",
                Some("ServerResourcesExhausted"),
            ),
        ]);
    }

    /// What the tools of MySQL 9.7 and MariaDB 10.11 said to their servers; the last ones are of their lists of errors.
    #[test]
    fn the_words_of_the_tools_have_a_meaning() {
        assert_explained::<MySql>(&[
            (
                "ERROR 1045 (28000): Access denied for user 'root'@'127.0.0.1' (using password: YES)\n",
                Some("PasswordRejected"),
            ),
            (
                "mariadb-dump: Got error: 1045: \"Access denied for user 'root'@'127.0.0.1' (using password: YES)\" when \
                 trying to connect\n",
                Some("PasswordRejected"),
            ),
            (
                "mysqldump: Got error: 1045: Access denied for user 'root'@'127.0.0.1' (using password: YES) when trying to \
                 connect\n",
                Some("PasswordRejected"),
            ),
            ("ERROR 2005 (HY000): Unknown server host 'no-such-db.shop.svc' (-2)\n", Some("HostNotFound")),
            (
                "ERROR 2005 (HY000): Unknown MySQL server host 'no-such-db.shop.svc' (-2)\n",
                Some("HostNotFound"),
            ),
            ("ERROR 2002 (HY000): Can't connect to server on '127.0.0.1' (115)\n", Some("ConnectionRefused")),
            (
                "ERROR 2003 (HY000): Can't connect to MySQL server on '127.0.0.1:1' (111)\n",
                Some("ConnectionRefused"),
            ),
            (
                "ERROR 2003 (HY000): Can't connect to MySQL server on 'db:3306' (110)\n",
                Some("ServerUnreachable"),
            ),
            (
                "ERROR 1142 (42000) at line 1: SELECT command denied to user 'weak'@'127.0.0.1' for table `shop`.`t`\n",
                Some("GrantMissing"),
            ),
            (
                "ERROR 1044 (42000): Access denied for user 'weak'@'%' to database 'shop'\n",
                Some("GrantMissing"),
            ),
            (
                "mariadb-dump: Couldn't execute 'show create table `v`': SHOW VIEW command denied to user \
                 'half'@'127.0.0.1' for table `shop`.`v` (1142)\n",
                Some("GrantMissing"),
            ),
            (
                "mysqldump: Couldn't execute 'FLUSH /*!40101 LOCAL */ TABLES': Access denied; you need (at least one of) the \
                 RELOAD or FLUSH_TABLES privilege(s) for this operation (1227)\n",
                Some("GrantMissing"),
            ),
            (
                "mysqldump: Got error: 1049: Unknown database 'shpo' when selecting the database\n",
                Some("DatabaseNotFound"),
            ),
            ("ERROR 4151 (HY000): Access denied, this account is locked\n", Some("LoginRefused")),
            (
                "ERROR 3118 (HY000): Access denied for user 'locked'@'127.0.0.1'. Account is locked.\n",
                Some("LoginRefused"),
            ),
            (
                "ERROR 2013 (HY000): Lost connection to MySQL server at 'waiting for initial communication packet', system \
                 error: 110\n",
                Some("ServerUnreachable"),
            ),
            (
                "ERROR 2061 (HY000): Authentication plugin 'caching_sha2_password' reported error: Authentication requires \
                 secure connection.\n",
                Some("TlsRequired"),
            ),
            (
                "ERROR 2026 (HY000): TLS/SSL error: SSL is required, but the server does not support it\n",
                Some("TlsNotOffered"),
            ),
            (
                "ERROR 2026 (HY000): SSL connection error: SSL_CTX_set_default_verify_paths failed\n",
                Some("TlsFailed"),
            ),
            (
                "ERROR 2059 (HY000): Authentication plugin 'mysql_native_password' cannot be loaded: \
                 /usr/lib/mysql/plugin/mysql_native_password.so: cannot open shared object file: No such file or directory\n",
                Some("LoginMethodNotSupported"),
            ),
            (
                "ERROR 1130 (HY000): Host '10.0.0.1' is not allowed to connect to this MySQL server\n",
                Some("LoginRefused"),
            ),
            ("ERROR 1040 (HY000): Too many connections\n", Some("TooManyConnections")),
            (
                "mysqldump: Error 2013: Lost connection to MySQL server during query when dumping table `t` at row: 5\n",
                Some("ConnectionLost"),
            ),
            (
                "mysqldump: Error 1412: Table definition has changed, please retry transaction when dumping table `t` at \
                 row: 0\n",
                Some("SchemaChanged"),
            ),
        ]);
    }
}
