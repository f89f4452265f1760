//! Checks before the dump, because it is green even where the account cannot see everything: without SELECT on
//! the whole database tables are missing, without TRIGGER triggers, and without a look at their source routines.
//! It is green as well where tables cannot take part in its one transaction.
//!
//! Each check is a query with an answer: one that cannot be asked is a failed connection and no finding.

use std::fmt::Write as _;

use db_backup_plugin_sdk::{Check, Expectation, TlsMode};

use crate::{
    client::Client,
    dump::SYSTEM_DATABASES,
    settings::{Flavor, Settings},
};

/// The account as `information_schema` writes a grantee, `'user'@'host'`. A host has no `@`, a user may.
const ME: &str = "concat('''', left(current_user(), \
                  length(current_user()) - length(substring_index(current_user(), '@', -1)) - 1), \
                  '''@''', substring_index(current_user(), '@', -1), '''')";

/// What a query answers that found nothing. A finding is answered by its own words, for the user.
const FINE: &str = "fine";

impl Client {
    /// What has to hold before the dump starts.
    pub(crate) fn checks(&self, settings: &Settings, named: &[String]) -> Vec<Check> {
        let encrypted = self.flavor == Flavor::MariaDb && self.tls == TlsMode::Require;
        [
            encrypted.then(|| self.encrypted()),
            settings.check_grants.then(|| self.grants(settings, named)),
            (settings.check_grants && settings.routines).then(|| self.sees_routines()),
            (settings.check_grants && self.flavor == Flavor::MariaDb).then(|| self.executes(named)),
            (!settings.allow_non_transactional).then(|| self.transactional(settings, named)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// MariaDB's client takes a connection without TLS when it need not verify.
    fn encrypted(&self) -> Check {
        let sql = "select count(*) from information_schema.session_status \
                   where variable_name = 'Ssl_cipher' and variable_value <> ''";
        Check::new("encrypted", self.query(sql), Expectation::StdoutAtLeast(1)).or_fail_with(
            "TlsNotOffered",
            "the server does not offer TLS, but spec.connection.tls.mode is require: switch TLS on in the server, or \
             choose another mode",
        )
    }

    /// The privileges on each database, or on all. What an account has only through a role cannot be seen.
    fn grants(&self, settings: &Settings, named: &[String]) -> Check {
        let kinds = [
            (true, "SELECT"),
            (true, "SHOW VIEW"),
            (settings.triggers, "TRIGGER"),
            (settings.events, "EVENT"),
        ];
        let needed: Vec<_> = kinds.into_iter().filter_map(|(needed, name)| needed.then_some(name)).collect();
        let of_me = format!("grantee = {ME} and privilege_type = needed.privilege");
        let mut on = "'*.*'";
        let mut from = rows("privilege", needed.iter().map(|name| format!("'{name}'")), "needed");
        let mut granted = format!("exists (select * from information_schema.user_privileges where {of_me})");
        if !named.is_empty() {
            // A grant's database is a pattern.
            let _ = write!(
                granted,
                " or exists (select * from information_schema.schema_privileges where {of_me} \
                 and wanted.name like lower(table_schema))"
            );
            let _ = write!(
                from,
                " cross join {}",
                rows("name", named.iter().map(|name| literal(name)), "wanted")
            );
            on = "convert(wanted.name using utf8mb4)";
        }
        let finding = format!("concat('no ', needed.privilege, ' on ', {on})");
        let sql = format!("select {} from {from} where not ({granted})", findings(&finding));
        let on = if named.is_empty() { "*.*, because no database is named" } else { "each named database" };
        Check::new("grants", self.query(&sql), fine()).or_fail_with(
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
        Check::new("routines", self.query(&sql), Expectation::StdoutAtLeast(1)).or_fail_with(
            "GrantMissing",
            format!(
                "the account cannot read stored procedures and functions: without an error the dump would lack them. \
                 {grant} to the account, or leave them out by spec.settings.routines: false"
            ),
        )
    }

    /// Whether the account may look into views that call functions, which MariaDB wants EXECUTE for: the columns of the others cannot
    /// be seen. That is so of invalid views as well, which are not for this check to tell.
    fn executes(&self, named: &[String]) -> Check {
        let quoted = |name: &str| format!("concat('`', replace({name}, '`', '``'), '`')");
        // A view names the database of a function only where its author did.
        let (database, name) = (quoted("r.routine_schema"), quoted("r.routine_name"));
        let call = format!(
            "locate(concat({name}, '('), t.view_definition) > 0 and (r.routine_schema = t.table_schema \
             or locate(concat({database}, '.', {name}, '('), t.view_definition) > 0)"
        );
        let of_me = format!("grantee = {ME} and privilege_type = 'EXECUTE'");
        let finding =
            "concat(t.table_schema, '.', t.table_name, ' calls ', r.routine_schema, '.', r.routine_name)";
        let sql = format!(
            "select {} from information_schema.views as t join information_schema.routines as r \
             on {call} where {} \
             and not exists (select * from information_schema.columns as c \
             where c.table_schema = t.table_schema and c.table_name = t.table_name) \
             and not exists (select * from information_schema.user_privileges where {of_me}) \
             and not exists (select * from information_schema.schema_privileges where {of_me} \
             and r.routine_schema like table_schema)",
            findings(finding),
            in_scope(named)
        );
        Check::new("functions", self.query(&sql), fine()).or_fail_with(
            "GrantMissing",
            "the account needs EXECUTE on the functions that views call: MariaDB lets nobody else look into these views. GRANT \
             EXECUTE ON *.*, or on these functions, to the account",
        )
    }

    /// Whether the dump's one transaction covers every table. A BLACKHOLE holds nothing that could change.
    fn transactional(&self, settings: &Settings, named: &[String]) -> Check {
        let scope = in_scope(named);
        let excluded: Vec<_> = settings.exclude_tables.iter().map(|table| literal(table)).collect();
        let excluded = if excluded.is_empty() {
            String::new()
        } else {
            format!(" and lower(concat(t.table_schema, '.', t.table_name)) not in ({})", excluded.join(", "))
        };
        let finding = "concat(t.table_schema, '.', t.table_name, ' (', t.engine, ')')";
        let sql = format!(
            "select {} from information_schema.tables as t join information_schema.engines as e \
             on e.engine = t.engine where e.transactions <> 'YES' and t.engine <> 'BLACKHOLE' and {scope}{excluded}",
            findings(finding)
        );
        Check::new("transactional", self.query(&sql), fine()).or_fail_with(
            "TablesNotTransactional",
            "tables without transactions would be dumped at another moment than the rest, so the backup would not be \
             consistent: change them (ALTER TABLE … ENGINE=InnoDB), leave them out (spec.settings.excludeTables), or \
             accept it (spec.settings.allowNonTransactional: true)",
        )
    }
}

/// Condition for a row `t` of `information_schema.tables`: it belongs to what is backed up.
pub(crate) fn in_scope(named: &[String]) -> String {
    if named.is_empty() {
        return format!("t.table_schema not in {SYSTEM_DATABASES}");
    }
    let literals: Vec<_> = named.iter().map(|name| literal(name)).collect();
    format!("lower(t.table_schema) in ({})", literals.join(", "))
}

/// Answers [`FINE`] or all findings, on one line.
fn findings(finding: &str) -> String {
    format!("if(count(*) = 0, '{FINE}', group_concat({finding} order by {finding} separator ', '))")
}

fn fine() -> Expectation {
    Expectation::StdoutEquals(FINE.to_owned())
}

/// A derived table of one column.
fn rows(column: &str, values: impl Iterator<Item = String>, name: &str) -> String {
    let rows: Vec<_> = values.map(|value| format!("select {value} as {column}")).collect();
    format!("({}) as {name}", rows.join(" union all "))
}

/// A name as a literal in which no character can end it, in lower case, since servers and tools disagree on whether it
/// matters: to be compared with `lower(…)`, byte by byte.
fn literal(name: &str) -> String {
    name.to_lowercase().bytes().fold("0x".to_owned(), |mut literal, byte| {
        // Writing to a String cannot fail.
        let _ = write!(literal, "{byte:02x}");
        literal
    })
}
