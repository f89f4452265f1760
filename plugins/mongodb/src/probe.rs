//! Asking the server with the only tool that the image has for sure: an archive of a collection that does not exist is
//! small, and yet the tool has to connect, to log in and to list. The archive's beginning tells the server's version.

use db_backup_plugin_sdk::{Answer, Findings, Probe, ProbePlan, Refusal, Request, problem};

use crate::{IMAGE, MongoDb, mongodump, settings::Settings};

/// Nobody has a collection of this name; if somebody has, what is in it is cut and not looked at.
const NO_COLLECTION: &str = "--collection=db-backup.probe";

/// Databases of which the probe asks; each costs a connection.
const MAX_ASKED: usize = 8;

/// The key in the archive's first document (BSON: type, key, NUL, length in four bytes, text, NUL).
const VERSION: &str = "server_version\0";

impl Probe for MongoDb {
    fn probe(request: &Request, settings: &Settings) -> Result<ProbePlan, Refusal> {
        let mut databases = settings.databases(request)?;
        if databases.is_empty() {
            databases.push("admin".to_owned());
        }
        let tool = mongodump(request, settings)?.arg(NO_COLLECTION);
        let plan = ProbePlan::new().image(IMAGE);
        Ok(databases.iter().take(MAX_ASKED).enumerate().fold(plan, |plan, (index, name)| {
            plan.query(format!("database-{}", index + 1), tool.clone().arg(format!("--db={name}")))
        }))
    }

    fn read(request: &Request, _: &Settings, answers: &[Answer]) -> Findings {
        let findings = answers
            .iter()
            .find_map(|answer| version(&answer.stdout))
            .map_or_else(Findings::new, |version| Findings::new().version(version));
        match answers.iter().find(|answer| !answer.succeeded()) {
            Some(failed) => findings.problem(problem::<Self>(request, failed)),
            None => findings,
        }
    }
}

/// The version in an archive.
fn version(archive: &str) -> Option<&str> {
    let (_, behind) = archive.split_once(VERSION)?;
    let (text, _) = behind.get(4..)?.split_once('\0')?;
    (!text.is_empty() && text.chars().all(|c| c.is_ascii_graphic())).then_some(text)
}

#[cfg(test)]
mod tests {
    use db_backup_plugin_sdk::{
        Connection,
        testing::{argv, assert_probe_is_total, findings_of, probe_of, problems},
    };
    use serde_json::json;

    use super::*;

    fn request() -> Request {
        Request::example("mongodb")
            .with_connection(Connection::example("db"))
            .with_bindings(&["username", "password"])
    }

    /// The archive of a collection that does not exist, as mongodump wrote it; the magic number is no UTF-8.
    const ARCHIVE: &str = "m\u{fffd}\u{fffd}\u{fffd}|\0\0\0\u{10}concurrent_collections\0\u{4}\0\0\0\u{2}version\0\u{4}\0\0\0\
                           0.1\0\u{2}server_version\0\u{7}\0\0\x007.0.42\0\u{2}tool_version\0\u{1d}\0\0\0built\0\0\u{fffd}";

    #[test]
    fn nothing_of_the_users_is_asked_for() {
        let plan = probe_of::<MongoDb>(&request());
        let [query] = &plan.queries[..] else { panic!("{plan:?}") };
        assert!(
            argv(&query.process).ends_with(&["--collection=db-backup.probe".into(), "--db=admin".into()])
        );
        let plan = probe_of::<MongoDb>(&request().with_settings(&json!({"databases": ["a", "--out=x"]})));
        let last: Vec<_> =
            plan.queries.iter().map(|query| argv(&query.process).last().unwrap().clone()).collect();
        assert_eq!(last, ["--db=a", "--db=--out=x"]);
    }

    #[test]
    fn the_archive_tells_the_version() {
        let findings = findings_of::<MongoDb>(&request(), &[(0, ARCHIVE, "namespace … does not exist")]);
        assert_eq!(findings.server.as_ref().unwrap().version, "7.0.42");
        assert_eq!(problems(&findings), [""; 0]);
        for nonsense in [
            "server_version\0",
            "server_version\0\0\0\0\0x",
            "server_version\0\0\0\0\0\0\0",
            "server_version\0ää",
        ] {
            assert_eq!(findings_of::<MongoDb>(&request(), &[(0, nonsense, "")]).server, None, "{nonsense:?}");
        }
    }

    #[test]
    fn a_login_that_fails_is_found() {
        let denied = (
            1,
            "",
            "Failed: can't create session: auth error: (AuthenticationFailed) Authentication failed.",
        );
        let findings = findings_of::<MongoDb>(&request(), &[denied]);
        assert_eq!(
            (findings.server.is_none(), problems(&findings)),
            (true, vec!["PasswordRejected!".to_owned()])
        );
        assert_probe_is_total::<MongoDb>(&request());
    }
}
