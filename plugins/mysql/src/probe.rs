//! Asking the server: its version, the size of what would be dumped, and the checks that every dump begins with.

use db_backup_plugin_sdk::{
    Answer, Check, Expectation, Findings, Probe, ProbePlan, Problem, Refusal, Request, problem,
};

use crate::{
    MySql,
    checks::in_scope,
    client::Client,
    settings::{Flavor, Settings},
};

const VERSION: &str = "select version()";

impl Probe for MySql {
    fn probe(request: &Request, settings: &Settings) -> Result<ProbePlan, Refusal> {
        let flavor = Flavor::of(request)?;
        let version = settings.version(request.server_version(), flavor)?;
        let (client, named) = (Client::of(request, flavor)?, settings.databases(request)?);
        let size = format!(
            "select coalesce(sum(t.data_length + t.index_length), 0) from information_schema.tables as t where {}",
            in_scope(&named)
        );
        let plan = ProbePlan::new()
            .image(flavor.image_name(version))
            .query("version", client.query(VERSION))
            .query("size", client.query(&size));
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
        let size = answers.iter().find(|answer| answer.name == "size").and_then(Answer::number);
        let findings = size.into_iter().fold(findings, Findings::size_bytes);
        let missing = missing(request, settings, answers).unwrap_or_default();
        missing.into_iter().fold(findings, Findings::problem)
    }
}

/// The checks that do not hold, in their own words and with what was found instead.
fn missing(request: &Request, settings: &Settings, answers: &[Answer]) -> Result<Vec<Problem>, Refusal> {
    let client = Client::of(request, Flavor::of(request)?)?;
    let checks = client.checks(settings, &settings.databases(request)?);
    let asked = answers.iter().filter(|answer| answer.name.starts_with("check-"));
    let problem = |(check, answer): (Check, &Answer)| {
        let Check { expectation, reason, message, .. } = check;
        match expectation {
            Expectation::StdoutAtLeast(least) => {
                let holds = answer.number().is_some_and(|number| number >= u64::from(least));
                (!holds).then(|| Problem::blocking(reason, message))
            }
            Expectation::StdoutEquals(wanted) => (answer.text() != wanted)
                .then(|| Problem::blocking(reason, format!("{message} (found: {})", answer.text()))),
            Expectation::ExitZero => None,
        }
    };
    Ok(checks.into_iter().zip(asked).filter_map(problem).collect())
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
            ("mysql", json!({}), &["version", "size", "check-1", "check-2", "check-3"][..]),
            ("mariadb", json!({"checkGrants": false}), &["version", "size", "check-1"]),
            (
                "mariadb",
                json!({"databases": ["a", "--help"]}),
                &["version", "size", "check-1", "check-2", "check-3", "check-4"],
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
        let fine = (0, "fine\n", "");
        let good = read(&[version, size, fine, (0, "1\n", ""), fine]);
        assert_eq!(
            (good.server.as_ref().unwrap().version.as_str(), good.size_mebibytes),
            ("9.7.4-2", Some(3))
        );
        assert_eq!(problems(&good), [""; 0]);
        let (lacking, mixed) = ((0, "no EVENT on *.*\n", ""), (0, "shop.log (MyISAM)\n", ""));
        let weak = read(&[version, size, lacking, (0, "0\n", ""), mixed]);
        assert_eq!(problems(&weak), ["GrantMissing!", "GrantMissing!", "TablesNotTransactional!"]);
        assert!(weak.problems[2].message.contains("(found: shop.log (MyISAM))"));
        let denied = (1, "", "ERROR 1045 (28000): Access denied for user 'a'@'b' (using password: YES)");
        assert_eq!(problems(&read(&[denied; 5])), ["PasswordRejected!"]);
        assert_eq!(read(&[version, size, denied, denied, denied]).server.unwrap().version, "9.7.4-2");
    }

    #[test]
    fn any_answer_is_read() {
        assert_probe_is_total::<MySql>(&request("mysql"));
        assert_probe_is_total::<MySql>(&request("mariadb").with_settings(&json!({"databases": ["a"]})));
    }
}
