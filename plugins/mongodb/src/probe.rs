//! Asking the server with the only tool that the image has for sure: an archive of what does not exist holds nothing of the
//! user's, and yet the tool has to connect, to log in and to list. The archive's beginning tells the server's version.

use db_backup_plugin_sdk::{Answer, Findings, Probe, ProbePlan, Refusal, Request, problem};

use crate::{IMAGE, MongoDb, mongodump, settings::Settings};

/// Nobody has a database of this name.
const NO_DATABASE: &str = "--db=db-backup-probe";

/// Nor a collection of this one. Without a collection of this name the tool writes no archive.
const NO_COLLECTION: &str = "--collection=db-backup.probe";

/// Named databases of which the probe asks; each costs a connection.
const MAX_ASKED: usize = 8;

/// The key in the archive's first document (BSON: type, key, NUL, length in four bytes, text, NUL).
const VERSION: &str = "server_version\0";

impl Probe for MongoDb {
    fn probe(request: &Request, settings: &Settings) -> Result<ProbePlan, Refusal> {
        let named = settings.databases(request)?;
        let tool = mongodump(request, settings)?;
        let plan = ProbePlan::new().image(IMAGE).query("version", tool.clone().arg(NO_DATABASE));
        Ok(named.iter().take(MAX_ASKED).enumerate().fold(plan, |plan, (index, name)| {
            let process = tool.clone().args([NO_COLLECTION, &format!("--db={name}")]);
            plan.query(format!("database-{}", index + 1), process)
        }))
    }

    fn read(request: &Request, _: &Settings, answers: &[Answer]) -> Findings {
        let findings = answers
            .iter()
            .find_map(|answer| version(&answer.stdout))
            .map_or_else(Findings::new, |version| Findings::new().version(version));
        // Who may read only the named databases may not ask of others.
        let needed = answers.get(1..).filter(|named| !named.is_empty()).unwrap_or(answers);
        match needed.iter().find(|answer| !answer.succeeded()) {
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

    /// The archive of a database that does not exist, as mongodump wrote it; the magic number is no UTF-8.
    const ARCHIVE: &str = "m\u{fffd}\u{fffd}\u{fffd}|\0\0\0\u{10}concurrent_collections\0\u{4}\0\0\0\u{2}version\0\u{4}\0\0\0\
                           0.1\0\u{2}server_version\0\u{7}\0\0\x007.0.42\0\u{2}tool_version\0\u{1d}\0\0\0built\0\0\u{fffd}";

    #[test]
    fn nothing_of_the_users_is_asked_for() {
        let plan = probe_of::<MongoDb>(&request());
        let [query] = &plan.queries[..] else { panic!("{plan:?}") };
        assert_eq!(argv(&query.process).last().unwrap(), "--db=db-backup-probe");
        let plan = probe_of::<MongoDb>(&request().with_settings(&json!({"databases": ["a", "--out=x"]})));
        let [_, first, second] = &plan.queries[..] else { panic!("{plan:?}") };
        for (query, name) in [(first, "--db=a"), (second, "--db=--out=x")] {
            assert!(argv(&query.process).ends_with(&["--collection=db-backup.probe".into(), name.into()]));
        }
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
        let named = request().with_settings(&json!({"databases": ["a"]}));
        let (refused, fine) =
            ((1, "", "Failed: (Unauthorized) not authorized on db-backup-probe"), (0, "", ""));
        assert_eq!(
            problems(&findings_of::<MongoDb>(&named, &[refused, fine])),
            [""; 0],
            "it may read what is named"
        );
        assert_eq!(
            problems(&findings_of::<MongoDb>(&named, &[(0, ARCHIVE, ""), refused])),
            ["GrantMissing!"]
        );
        assert_probe_is_total::<MongoDb>(&named);
    }
}
