//! The user's own probe, and what tools of all kinds say when they fail.

use db_backup_plugin_sdk::{
    Answer, Cause, Diagnose, Diagnosis, Failure, Findings, Probe, ProbePlan, Problem, Refusal, Request,
    Symptom, diagnose, problem,
};

use crate::{Generic, process, settings::Settings};

impl Probe for Generic {
    fn probe(request: &Request, settings: &Settings) -> Result<ProbePlan, Refusal> {
        let plan = ProbePlan::new();
        if settings.probe.is_empty() {
            return Ok(plan);
        }
        Ok(plan.query("probe", process(request, settings, ("probe", &settings.probe))?))
    }

    /// Here the user says what has to succeed, so that every failure counts.
    fn read(request: &Request, _: &Settings, answers: &[Answer]) -> Findings {
        let Some(answer) = answers.first() else { return Findings::new() };
        if !answer.succeeded() {
            let problem = Problem { blocking: true, ..problem::<Self>(request, answer) };
            return Findings::new().problem(problem);
        }
        match answer.text().lines().next() {
            Some(line) => Findings::new().version(line),
            None => Findings::new(),
        }
    }
}

/// Tools of which nobody knows anything: only words that are hard to misunderstand.
const SYMPTOMS: [Symptom; 9] = [
    Symptom::new(Cause::PasswordRejected, &["authentication failed"]),
    Symptom::new(Cause::PasswordRejected, &["access denied for user"]),
    Symptom::new(Cause::PasswordRejected, &["invalid username or password"]),
    Symptom::new(Cause::PasswordRejected, &["invalid password"]),
    Symptom::new(Cause::PasswordRejected, &["wrongpass"]),
    Symptom::new(Cause::LoginRefused, &["noauth authentication required"])
        .hint("the server wants a login: give the command the secret in spec.settings.secretEnv"),
    Symptom::new(Cause::TlsNotOffered, &["first record does not look like a tls handshake"]),
    Symptom::new(Cause::ServerUnreachable, &["context deadline exceeded"]),
    Symptom::new(Cause::HostNotFound, &["bad address"]),
];

impl Diagnose for Generic {
    fn explain(failure: &Failure) -> Option<Diagnosis> {
        diagnose(failure, &SYMPTOMS)
    }
}

#[cfg(test)]
mod tests {
    use db_backup_plugin_sdk::testing::{
        argv, assert_explained, assert_probe_is_total, env, findings_of, probe_of, problems,
    };
    use serde_json::json;

    use super::*;

    fn request() -> Request {
        let settings =
            json!({"argv": ["dump"], "probe": ["ask", "{scratchDir}"], "secretEnv": {"P": "password"}});
        Request::example("generic").with_bindings(&["password"]).with_settings(&settings)
    }

    #[test]
    fn without_a_probe_nothing_is_asked() {
        let request = Request::example("generic").with_settings(&json!({"argv": ["dump"]}));
        assert_eq!(probe_of::<Generic>(&request).queries.len(), 0);
    }

    #[test]
    fn the_users_command_asks_in_the_users_image() {
        let plan = probe_of::<Generic>(&request());
        assert_eq!(
            (plan.image, argv(&plan.queries[0].process)),
            (None, vec!["ask".into(), "/run/db-backup/scratch".into()])
        );
        assert_eq!(env(&plan.queries[0].process, "P").as_deref(), Some("{password}"));
        let version =
            |stdout| findings_of::<Generic>(&request(), &[(0, stdout, "")]).server.map(|it| it.version);
        assert_eq!((version("3.5.1\nhealthy"), version("\n")), (Some("3.5.1".to_owned()), None));
        for (stderr, reason) in
            [("dial tcp: connection refused", "ConnectionRefused!"), ("unhealthy", "ProbeFailed!")]
        {
            assert_eq!(problems(&findings_of::<Generic>(&request(), &[(1, "", stderr)])), [reason]);
        }
        assert_probe_is_total::<Generic>(&request());
    }

    #[test]
    fn the_words_of_many_tools_have_a_meaning() {
        assert_explained::<Generic>(&[
            (
                "(error) WRONGPASS invalid username-password pair or user is disabled.",
                Some("PasswordRejected"),
            ),
            ("NOAUTH Authentication required.", Some("LoginRefused")),
            ("Could not connect to Redis at db:6379: Connection refused", Some("ConnectionRefused")),
            ("curl: (6) Could not resolve host: db", Some("HostNotFound")),
            ("wget: bad address 'db'", Some("HostNotFound")),
            ("x509: certificate signed by unknown authority", Some("CertificateRejected")),
            ("cp: error writing 'x': No space left on device", Some("ServerDiskFull")),
            ("dump: exit", None),
        ]);
    }
}
