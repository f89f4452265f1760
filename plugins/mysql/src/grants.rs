//! Checks before the dump, because it is green even where the account cannot see everything: without SELECT on
//! the whole database tables are missing, without TRIGGER triggers, and without a look at their source routines.
//!
//! Each check is a query with a number as its answer: one that cannot be asked is a failed connection, not a
//! missing grant.

use db_backup_plugin_sdk::{Check, Expectation, TlsMode};

use crate::{
    client::Client,
    settings::{Flavor, Settings},
};

/// The account as `information_schema` writes a grantee, `'user'@'host'`. A host has no `@`, a user may.
const ME: &str = "concat('''', left(current_user(), \
                  length(current_user()) - length(substring_index(current_user(), '@', -1)) - 1), \
                  '''@''', substring_index(current_user(), '@', -1), '''')";

impl Client {
    /// What has to hold before the dump starts.
    pub(crate) fn checks(&self, settings: &Settings, named: &[String]) -> Vec<Check> {
        let mut checks = Vec::new();
        if self.flavor == Flavor::MariaDb && self.tls == TlsMode::Require {
            checks.push(self.encrypted());
        }
        if settings.check_grants {
            if named.is_empty() {
                checks.push(self.grants(settings, None));
            } else {
                checks.extend(named.iter().map(|name| self.grants(settings, Some(name))));
            }
            if settings.routines {
                checks.push(self.sees_routines());
            }
        }
        checks
    }

    /// MariaDB's client takes a connection without TLS when it need not verify.
    fn encrypted(&self) -> Check {
        let sql = "select count(*) from information_schema.session_status \
                   where variable_name = 'Ssl_cipher' and variable_value <> ''";
        Check::new("encrypted", self.query(None, sql), Expectation::StdoutAtLeast(1)).or_fail_with(
            "TlsNotOffered",
            "the server does not offer TLS, but spec.connection.tls.mode is require: switch TLS on in the server, or \
             choose another mode",
        )
    }

    /// The privileges on one database, or on all. What an account has only through a role cannot be seen.
    fn grants(&self, settings: &Settings, database: Option<&str>) -> Check {
        let kinds = [
            (true, "SELECT"),
            (true, "SHOW VIEW"),
            (settings.triggers, "TRIGGER"),
            (settings.events, "EVENT"),
        ];
        let needed: Vec<_> = kinds.into_iter().filter_map(|(needed, name)| needed.then_some(name)).collect();
        let of_me = format!("grantee = {ME} and privilege_type in ('{}')", needed.join("', '"));
        let mut sources =
            format!("select privilege_type from information_schema.user_privileges where {of_me}");
        if database.is_some() {
            // A grant's database is a pattern.
            sources.push_str(
                " union all select privilege_type from information_schema.schema_privileges where ",
            );
            sources.push_str(&of_me);
            sources.push_str(" and database() like table_schema");
        }
        let sql = format!("select count(distinct privilege_type) from ({sources}) as granted");
        let count = u32::try_from(needed.len()).unwrap_or(u32::MAX);
        let on = if database.is_some() { "each named database" } else { "*.*, because no database is named" };
        Check::new("grants", self.query(database, &sql), Expectation::StdoutAtLeast(count)).or_fail_with(
            "GrantMissing",
            format!(
                "the account needs {} on {on}; without them the dump would lack tables, views, triggers or events and \
                 still look complete. GRANT them to the account itself (grants of a role cannot be checked: set \
                 spec.settings.checkGrants to false if a role has them)",
                needed.join(", ")
            ),
        )
    }

    /// Whether routines come with their source.
    fn sees_routines(&self) -> Check {
        let (sql, grant) = match self.flavor {
            Flavor::MySql => (
                format!(
                    "select count(*) from information_schema.user_privileges \
                     where grantee = {ME} and privilege_type in ('SELECT', 'SHOW_ROUTINE')"
                ),
                "GRANT SHOW_ROUTINE ON *.*",
            ),
            Flavor::MariaDb => (
                "select count(*) from information_schema.columns where table_schema = 'mysql' \
                 and table_name = 'proc' and find_in_set('select', privileges)"
                    .to_owned(),
                "GRANT SELECT ON mysql.proc",
            ),
        };
        Check::new("routines", self.query(None, &sql), Expectation::StdoutAtLeast(1)).or_fail_with(
            "GrantMissing",
            format!(
                "the account cannot read stored procedures and functions: without an error the dump would lack them. \
                 {grant} to the account, or leave them out by spec.settings.routines: false"
            ),
        )
    }
}
