//! Asking the server: its version, the size of what would be dumped, and the checks that every dump begins with.

use db_backup_plugin_sdk::{
    Answer, Expectation, Findings, Probe, ProbePlan, Problem, Refusal, Request, problem,
};

use crate::{
    MySql,
    client::Client,
    settings::{Flavor, Settings},
};

/// Named databases into which the probe looks; each costs two connections.
const MAX_LOOKED_INTO: usize = 6;

const VERSION: &str = "select version()";

const SIZE: &str =
    "select coalesce(sum(data_length + index_length), 0) from information_schema.tables where ";

impl Probe for MySql {
    fn probe(request: &Request, settings: &Settings) -> Result<ProbePlan, Refusal> {
        let flavor = Flavor::of(request)?;
        let version = settings.version(request, flavor)?;
        let named = looked_into(request, settings)?;
        let client = Client::of(request, flavor)?;
        let plan =
            ProbePlan::new().image(flavor.image_name(version)).query("version", client.query(None, VERSION));
        let plan = if named.is_empty() {
            let all = format!(
                "{SIZE} table_schema not in ('mysql', 'information_schema', 'performance_schema', 'sys')"
            );
            plan.query("size", client.query(None, &all))
        } else {
            let own = format!("{SIZE} table_schema = database()");
            named.iter().enumerate().fold(plan, |plan, (index, name)| {
                plan.query(format!("size-{}", index + 1), client.query(Some(name), &own))
            })
        };
        Ok(client
            .checks(settings, &named)
            .into_iter()
            .enumerate()
            .fold(plan, |plan, (index, check)| plan.query(format!("check-{}", index + 1), check.process)))
    }

    fn read(request: &Request, settings: &Settings, answers: &[Answer]) -> Findings {
        let findings = answers
            .iter()
            .find(|answer| answer.name == "version" && answer.succeeded())
            .map_or_else(Findings::new, |answer| Findings::new().version(answer.text()));
        // One connection that fails says it all.
        if let Some(failed) = answers.iter().find(|answer| !answer.succeeded()) {
            return findings.problem(problem::<Self>(request, failed));
        }
        let sizes = answers.iter().filter(|answer| answer.name.starts_with("size"));
        let findings = findings.size_bytes(sizes.filter_map(Answer::number).fold(0, u64::saturating_add));
        let missing = missing(request, settings, answers).unwrap_or_default();
        missing.into_iter().fold(findings, Findings::problem)
    }
}

/// The databases of which the probe asks.
fn looked_into(request: &Request, settings: &Settings) -> Result<Vec<String>, Refusal> {
    Ok(settings.databases(request)?.into_iter().take(MAX_LOOKED_INTO).collect())
}

/// The checks that do not hold, in their own words; each once.
fn missing(request: &Request, settings: &Settings, answers: &[Answer]) -> Result<Vec<Problem>, Refusal> {
    let client = Client::of(request, Flavor::of(request)?)?;
    let checks = client.checks(settings, &looked_into(request, settings)?);
    let asked = answers.iter().filter(|answer| answer.name.starts_with("check-"));
    let mut problems: Vec<_> = checks
        .into_iter()
        .zip(asked)
        .filter(|(check, answer)| match check.expectation {
            Expectation::StdoutAtLeast(least) => {
                answer.number().is_none_or(|number| number < u64::from(least))
            }
            Expectation::ExitZero | Expectation::StdoutEquals(_) => false,
        })
        .map(|(check, _)| Problem::blocking(check.reason, check.message))
        .collect();
    problems.dedup();
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use db_backup_plugin_sdk::{
        Connection,
        testing::{argv, assert_probe_is_total, findings_of, plan_of, probe_of, problems},
    };
    use serde_json::json;

    use super::*;

    fn request(database_type: &str) -> Request {
        Request::example(database_type)
            .with_connection(Connection::example("db"))
            .with_bindings(&["username", "password"])
    }

    #[test]
    fn the_server_is_asked_what_the_dump_will_check() {
        for (database_type, settings, expected) in [
            ("mysql", json!({}), &["version", "size", "check-1", "check-2"][..]),
            ("mariadb", json!({"checkGrants": false}), &["version", "size"]),
            (
                "mariadb",
                json!({"databases": ["a", "--help"]}),
                &["version", "size-1", "size-2", "check-1", "check-2", "check-3"],
            ),
        ] {
            let plan = probe_of::<MySql>(&request(database_type).with_settings(&settings));
            let names: Vec<_> = plan.queries.iter().map(|query| query.name.as_str()).collect();
            assert_eq!(names, expected);
            assert!(plan.queries.iter().all(|query| argv(&query.process)[0] == database_type));
        }
        let many: Vec<_> = (0..50).map(|number| format!("d{number}")).collect();
        probe_of::<MySql>(&request("mysql").with_settings(&json!({"databases": many})));
    }

    #[test]
    fn the_client_follows_the_server() {
        for (database_type, version, settings, image) in [
            ("mysql", None, json!({}), "mysql"),
            ("mysql", Some("9.7.4-2"), json!({}), "mysql"),
            ("mysql", Some("8.4.3"), json!({}), "mysql-8.4"),
            ("mysql", Some("5.7.44-log"), json!({}), "mysql-8.4"),
            ("mysql", Some("8.5.0"), json!({}), "mysql"),
            ("mysql", Some("8.4.3"), json!({"serverVersion": "9"}), "mysql"),
            ("mariadb", Some("10.11.18-MariaDB-0+deb12u1"), json!({}), "mariadb-10.11"),
            ("mariadb", Some("10.6.1-MariaDB"), json!({}), "mariadb-10.11"),
            ("mariadb", Some("11.8.2-MariaDB"), json!({}), "mariadb"),
            ("mariadb", Some("12.1.0-MariaDB"), json!({}), "mariadb"),
            ("mariadb", Some("?"), json!({}), "mariadb"),
        ] {
            let request = request(database_type).with_settings(&settings);
            let request = match version {
                Some(version) => request.with_server(version),
                None => request,
            };
            assert_eq!(plan_of::<MySql>(&request).image.as_deref(), Some(image), "{version:?} {settings}");
        }
    }

    #[test]
    fn what_is_wrong_is_found() {
        let read = |answers: &[_]| findings_of::<MySql>(&request("mysql"), answers);
        let (version, size) = ((0, "9.7.4-2\n", ""), (0, "3145728\n", ""));
        let good = read(&[version, size, (0, "4\n", ""), (0, "1\n", "")]);
        assert_eq!(
            (good.server.as_ref().unwrap().version.as_str(), good.size_mebibytes),
            ("9.7.4-2", Some(3))
        );
        assert_eq!(problems(&good), [""; 0]);
        let weak = read(&[version, size, (0, "3\n", ""), (0, "0\n", "")]);
        assert_eq!(problems(&weak), ["GrantMissing!", "GrantMissing!"]);
        let denied = (1, "", "ERROR 1045 (28000): Access denied for user 'a'@'b' (using password: YES)");
        assert_eq!(problems(&read(&[denied; 4])), ["PasswordRejected!"]);
        assert_eq!(read(&[version, size, denied, denied]).server.unwrap().version, "9.7.4-2");
    }

    #[test]
    fn any_answer_is_read() {
        assert_probe_is_total::<MySql>(&request("mysql"));
        assert_probe_is_total::<MySql>(&request("mariadb").with_settings(&json!({"databases": ["a"]})));
    }
}
