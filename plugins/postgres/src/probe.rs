//! Asking the server: its version, the size of what would be dumped, and whether the role may read it.

use db_backup_plugin_sdk::{Answer, Cause, Findings, Probe, ProbePlan, Problem, Refusal, Request, problem};

use crate::{MAJORS, Postgres, dump::Client, settings::Settings};

/// Named databases into which the probe looks; each costs a connection.
const MAX_LOOKED_INTO: usize = 12;

/// Rows of the form `kind|value`.
const SERVER: &str = "select unnest(array['version|' || current_setting('server_version'), \
     'standby|' || pg_is_in_recovery(), \
     'reads-all|' || (select bool_or(rolsuper or (rolname = 'pg_read_all_data' and pg_has_role(oid, 'usage'))) \
                      from pg_catalog.pg_roles where rolname in (current_user, 'pg_read_all_data'))])";

/// What is wrong with some of the databases, a few of each kind, and the size of them all.
const DATABASES: &str = "\
    select 'size|' || coalesce(sum(pg_catalog.pg_database_size(oid)), 0) from wanted \
      where pg_catalog.has_database_privilege(oid, 'connect') \
    union all (select 'not-to-enter|' || datname from wanted \
      where not pg_catalog.has_database_privilege(oid, 'connect') order by datname limit 3)";

/// What in a database the role may not read: tables and sequences, rows, large objects.
const READABLE: &str = "with relation as (select c.oid, c.oid::regclass::text as name, c.relkind from pg_catalog.pg_class c \
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
      where c.relkind in ('r', 'p', 'm', 'S') and c.relpersistence <> 't' \
      and n.nspname !~ '^pg_' and n.nspname <> 'information_schema') \
    (select 'not-to-read|' || name from relation where case relkind \
       when 'S' then not pg_catalog.has_sequence_privilege(oid, 'select') \
       else not pg_catalog.has_table_privilege(oid, 'select') end order by name limit 3) \
    union all (select 'row-security|' || name from relation \
      where relkind in ('r', 'p') and pg_catalog.row_security_active(oid) order by name limit 3) \
    union all (select 'large-object|' || oid from pg_catalog.pg_largeobject_metadata o \
      where not pg_catalog.pg_has_role(lomowner, 'usage') and not exists (select from pg_catalog.aclexplode(lomacl) a \
        where a.privilege_type = 'SELECT' and (a.grantee = 0 or pg_catalog.pg_has_role(a.grantee, 'usage'))) \
      order by oid limit 3)";

impl Probe for Postgres {
    fn probe(request: &Request, settings: &Settings) -> Result<ProbePlan, Refusal> {
        let named = settings.databases(request)?;
        let client = Client::of(request)?;
        let database = named.first().unwrap_or(&settings.maintenance_database);
        let databases = if named.is_empty() {
            let wanted = "wanted as (select oid, datname from pg_catalog.pg_database where datallowconn and not datistemplate)";
            client.query(database, &format!("with {wanted} {DATABASES}"))
        } else {
            client.about_named(database, &request.config_dir, &named, |names| {
                format!(
                    "with wanted as (select oid, datname from pg_catalog.pg_database where datname = any({names})) {DATABASES} \
                     union all select 'not-there|' || name from unnest({names}) name \
                     where name not in (select datname from wanted)"
                )
            })
        };
        let plan = ProbePlan::new()
            .image(settings.major(request.server_version()).to_string())
            .query("server", client.query(database, SERVER))
            .query("databases", databases);
        Ok(named.iter().take(MAX_LOOKED_INTO).enumerate().fold(plan, |plan, (index, name)| {
            plan.query(format!("readable-{}", index + 1), client.query(name, READABLE))
        }))
    }

    fn read(request: &Request, settings: &Settings, answers: &[Answer]) -> Findings {
        let mut findings = of_server(answers);
        let reads_all = rows(answers).any(|row| row == ("reads-all", "true"));
        let named = settings.databases(request).is_ok_and(|named| !named.is_empty());
        if !reads_all && !named && findings.server.is_some() {
            findings = findings.problem(
                Problem::warning(
                    "GrantMissing",
                    "the role is neither a superuser nor in pg_read_all_data: what it may not read fails the backup",
                )
                .hint("GRANT pg_read_all_data to the role"),
            );
        }
        let found = [
            too_old(&findings, settings),
            forbidden(
                answers,
                "not-there",
                Cause::DatabaseNotFound,
                "the server has no database",
                Cause::DatabaseNotFound.hint(),
            ),
            forbidden(
                answers,
                "not-to-enter",
                Cause::GrantMissing,
                "the role may not connect to database",
                "GRANT CONNECT ON DATABASE … to the role",
            ),
            forbidden(
                answers,
                "not-to-read",
                Cause::GrantMissing,
                "the role may not read",
                "GRANT pg_read_all_data to the role",
            )
            .map(|problem| selected(problem, settings)),
            forbidden(
                answers,
                "row-security",
                Cause::RowSecurityActive,
                "row security would hide rows of",
                "ALTER ROLE … BYPASSRLS, or leave the table out by spec.settings.excludeTables",
            )
            .map(|problem| selected(problem, settings)),
            forbidden(
                answers,
                "large-object",
                Cause::GrantMissing,
                "the role may not read large object",
                "GRANT SELECT ON LARGE OBJECT … to the role: pg_read_all_data does not cover them",
            )
            .map(|problem| selected(problem, settings)),
        ];
        let findings = found.into_iter().flatten().fold(findings, Findings::problem);
        // A connection that fails, unless the other answers say more exactly why.
        let failed = answers.iter().find(|answer| !answer.succeeded());
        match failed.filter(|_| findings.problems.iter().all(|problem| !problem.blocking)) {
            Some(failed) => findings.problem(problem::<Self>(request, failed)),
            None => findings,
        }
    }
}

/// Version and size, as far as the answers have them.
fn of_server(answers: &[Answer]) -> Findings {
    let value = |kind: &str| rows(answers).find(|row| row.0 == kind).map(|row| row.1);
    let mut findings = Findings::new();
    // Packagers add their own: `18.6 (Debian 18.6-3)`.
    if let Some(version) = value("version").and_then(|version| version.split_whitespace().next()) {
        findings = findings.version(version).fact("standby", value("standby").unwrap_or("unknown"));
    }
    if let Some(size) = value("size").and_then(|size| size.parse().ok()) {
        findings = findings.size_bytes(size);
    }
    findings
}

/// All rows of all answers. They end with NUL: names may hold newlines.
fn rows(answers: &[Answer]) -> impl Iterator<Item = (&str, &str)> {
    answers.iter().flat_map(|answer| answer.stdout.split('\0')).filter_map(|row| row.split_once('|'))
}

/// A client that was chosen by the user and is older than the server.
fn too_old(findings: &Findings, settings: &Settings) -> Option<Problem> {
    let version = &findings.server.as_ref()?.version;
    let server: u16 = version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    let [newest, ..] = MAJORS;
    if settings.server_version.is_some_and(|client| client < server) {
        let message =
            format!("the server has version {version}, which is newer than spec.settings.serverVersion");
        return Some(
            Problem::blocking(Cause::ClientTooOld.reason(), message).hint(Cause::ClientTooOld.hint()),
        );
    }
    (server > newest).then(|| {
        let message =
            format!("the server has version {version}, the newest client image of this plugin is {newest}");
        Problem::warning(Cause::ClientTooOld.reason(), message)
            .hint("name a newer client image in spec.image")
    })
}

fn forbidden(answers: &[Answer], kind: &str, cause: Cause, what: &str, hint: &str) -> Option<Problem> {
    let names: Vec<_> = rows(answers).filter(|row| row.0 == kind).map(|row| format!("{:?}", row.1)).collect();
    (!names.is_empty())
        .then(|| Problem::blocking(cause.reason(), format!("{what} {}", names.join(", "))).hint(hint))
}

/// Where the user selects tables the probe cannot tell whether what it found would be dumped at all.
fn selected(problem: Problem, settings: &Settings) -> Problem {
    let Settings { include_schemas, exclude_schemas, include_tables, exclude_tables, .. } = settings;
    let selections = [include_schemas, exclude_schemas, include_tables, exclude_tables];
    Problem { blocking: problem.blocking && selections.iter().all(|list| list.is_empty()), ..problem }
}

#[cfg(test)]
mod tests {
    use db_backup_plugin_sdk::{
        Connection,
        testing::{argv, assert_probe_is_total, env, file, findings_of, plan_of, probe_of, problems},
    };
    use serde_json::json;

    use super::*;

    fn request() -> Request {
        Request::example("postgres")
            .with_connection(Connection::example("db"))
            .with_bindings(&["username", "password"])
    }

    const GOOD: (i32, &str, &str) = (0, "version|17.2 (Debian 17.2-1)\0standby|false\0reads-all|true\0", "");

    #[test]
    fn the_whole_server_is_asked_through_the_maintenance_database() {
        let request = request().with_settings(&json!({"maintenanceDatabase": "admin"}));
        let plan = probe_of::<Postgres>(&request);
        assert_eq!(plan.image.as_deref(), Some("18"));
        let names: Vec<_> = plan.queries.iter().map(|query| query.name.as_str()).collect();
        assert_eq!(names, ["server", "databases"]);
        for query in &plan.queries {
            assert_eq!(argv(&query.process)[0], "psql");
            assert_eq!(env(&query.process, "PGDATABASE").as_deref(), Some("admin"));
            assert_eq!(env(&query.process, "PGPASSWORD").as_deref(), Some("{password}"));
        }
    }

    #[test]
    fn each_named_database_is_looked_into() {
        let names = ["shop", "o'clock"];
        let plan = probe_of::<Postgres>(&request().with_settings(&json!({"databases": names})));
        let databases: Vec<_> =
            plan.queries.iter().map(|query| env(&query.process, "PGDATABASE").unwrap()).collect();
        assert_eq!(databases, ["shop", "shop", "shop", "o'clock"]);
        let sql = file(&plan.queries[1].process, "databases.sql").unwrap();
        assert!(sql.contains("array[:'database0', :'database1']") && !sql.contains("o'clock"), "{sql}");
    }

    #[test]
    fn the_client_follows_the_server() {
        for (version, settings, image) in [
            (None, json!({}), "18"),
            (Some("15.18"), json!({}), "15"),
            (Some("18.6"), json!({}), "18"),
            (Some("9.6.24"), json!({}), "14"),
            (Some("19beta1"), json!({}), "18"),
            (Some("nonsense"), json!({}), "18"),
            (Some("15.18"), json!({"serverVersion": 17}), "17"),
        ] {
            let request = request().with_settings(&settings);
            let request = match version {
                Some(version) => request.with_server(version),
                None => request,
            };
            assert_eq!(plan_of::<Postgres>(&request).image.as_deref(), Some(image), "{version:?} {settings}");
            assert_eq!(probe_of::<Postgres>(&request).image.as_deref(), Some(image));
        }
    }

    #[test]
    fn what_is_wrong_is_found() {
        let size = (0, "size|132629565\0", "");
        let rejected =
            (2, "", "psql: error: connection to server failed: FATAL:  password authentication failed");
        let read = |settings: serde_json::Value, answers: &[_]| {
            findings_of::<Postgres>(&request().with_settings(&settings), answers)
        };
        let findings = read(json!({}), &[GOOD, size]);
        assert_eq!(
            (findings.server.as_ref().unwrap().version.as_str(), findings.size_mebibytes),
            ("17.2", Some(127))
        );
        assert_eq!(problems(&findings), [""; 0]);
        for (settings, answers, expected) in [
            (json!({}), vec![rejected, rejected], &["PasswordRejected!"][..]),
            (json!({}), vec![GOOD, (0, "size|1\0not-to-enter|private\0", "")], &["GrantMissing!"]),
            (json!({}), vec![(0, "version|17.2\0reads-all|false\0", ""), size], &["GrantMissing"]),
            (json!({"serverVersion": 16}), vec![GOOD, size], &["ClientTooOld!"]),
            (json!({}), vec![(0, "version|19.0\0reads-all|true\0", ""), size], &["ClientTooOld"]),
            (json!({}), vec![(1, "", "?"), size], &["ProbeFailed"]),
            (
                json!({"databases": ["a"]}),
                vec![
                    GOOD,
                    (0, "size|1\0", ""),
                    (0, "not-to-read|t\0not-to-read|a|b\nc\0row-security|r\0large-object|7\0", ""),
                ],
                &["GrantMissing!", "RowSecurityActive!", "GrantMissing!"],
            ),
            (
                json!({"databases": ["a"], "excludeTables": ["t"]}),
                vec![GOOD, (0, "size|1\0", ""), (0, "not-to-read|t\0", "")],
                &["GrantMissing"],
            ),
            (
                json!({"databases": ["a", "b"]}),
                vec![GOOD, (0, "size|1\0not-there|b\0", ""), (0, "", ""), (0, "", "")],
                &["DatabaseNotFound!"],
            ),
        ] {
            assert_eq!(problems(&read(settings.clone(), &answers)), expected, "{settings}");
        }
        let no_entry = (2, "", "FATAL:  permission denied for database \"b\"");
        let both = json!({"databases": ["a", "b"]});
        let told = read(both.clone(), &[GOOD, (0, "size|1\0not-to-enter|b\0", ""), (0, "", ""), no_entry]);
        assert_eq!(problems(&told), ["GrantMissing!"], "once, and with the name");
        assert!(told.problems[0].message.ends_with("\"b\""), "{told:?}");
        let told = read(both, &[GOOD, (0, "size|1\0", ""), (0, "", ""), no_entry]);
        assert_eq!(problems(&told), ["GrantMissing!"]);
        let long = read(json!({"databases": ["a"]}), &[GOOD, size, (0, "not-to-read|a|b\nc\0", "")]);
        assert!(
            long.problems[0].message.ends_with(r#"may not read "a|b\nc""#),
            "{}",
            long.problems[0].message
        );
    }

    #[test]
    fn any_answer_is_read() {
        assert_probe_is_total::<Postgres>(&request());
        assert_probe_is_total::<Postgres>(&request().with_settings(&json!({"databases": ["a", "b"]})));
    }
}
