//! What a failure means.

use crate::{Cause, Diagnosis, Failure, Plugin};

/// A plugin that says in words what a failure means.
pub trait Diagnose: Plugin {
    /// None: nothing better to say than what the operator says anyway, which includes the tool's last words.
    fn explain(failure: &Failure) -> Option<Diagnosis>;
}

impl Failure {
    /// A fact, for example `database`.
    pub fn fact(&self, key: &str) -> Option<&str> {
        self.facts.iter().find(|fact| fact.key == key).map(|fact| fact.value.as_str())
    }

    /// The server as `host:port`, as far as it is known.
    pub fn server(&self) -> String {
        let Some(host) = self.fact("host") else { return "the server".to_owned() };
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        self.fact("port").map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
    }
}

impl Diagnosis {
    /// `reason` is a stable CamelCase word ([`Cause`] has the usual ones), `message` a sentence that says what happened.
    pub fn new(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason: reason.into(), message: message.into(), hint: String::new(), retryable: false }
    }

    /// A sentence that says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The same again may go well, although nobody changes anything.
    #[must_use]
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.retryable = retryable;
        self
    }
}

/// How a cause shows in the words of a tool.
#[derive(Clone, Copy, Debug)]
pub struct Symptom {
    cause: Cause,
    words: &'static [&'static str],
    hint: Option<&'static str>,
}

impl Symptom {
    /// All of `words` stand in standard error, whatever their case.
    pub const fn new(cause: Cause, words: &'static [&'static str]) -> Self {
        Self { cause, words, hint: None }
    }

    /// What to do with this engine, instead of the cause's own hint.
    #[must_use]
    pub const fn hint(self, hint: &'static str) -> Self {
        Self { hint: Some(hint), ..self }
    }

    fn fits(&self, stderr: &str) -> bool {
        self.words.iter().all(|word| stderr.contains(&word.to_lowercase()))
    }
}

/// What programs of all kinds say of host, network, TLS and disk: to be asked after a plugin's own symptoms.
const COMMON_SYMPTOMS: [Symptom; 17] = [
    Symptom::new(Cause::HostNotFound, &["no such host"]),
    Symptom::new(Cause::HostNotFound, &["name or service not known"]),
    Symptom::new(Cause::HostNotFound, &["name resolution"]),
    Symptom::new(Cause::HostNotFound, &["could not resolve host"]),
    Symptom::new(Cause::HostNotFound, &["name does not resolve"]),
    Symptom::new(Cause::ConnectionRefused, &["connection refused"]),
    Symptom::new(Cause::ServerUnreachable, &["no route to host"]),
    Symptom::new(Cause::ServerUnreachable, &["network is unreachable"]),
    Symptom::new(Cause::ServerUnreachable, &["connection timed out"]),
    Symptom::new(Cause::ServerUnreachable, &["i/o timeout"]),
    Symptom::new(Cause::ConnectionLost, &["connection reset by peer"]),
    Symptom::new(Cause::ConnectionLost, &["broken pipe"]),
    Symptom::new(Cause::CertificateRejected, &["certificate verify failed"]),
    Symptom::new(Cause::CertificateRejected, &["x509: "]),
    Symptom::new(Cause::CertificateRejected, &["self-signed certificate"]),
    Symptom::new(Cause::ServerDiskFull, &["no space left on device"]),
    Symptom::new(Cause::ServerDiskFull, &["disk quota exceeded"]),
];

/// The diagnosis of the first symptom that fits: the special ones come before the general ones, and after all of them
/// those that all programs share.
pub fn diagnose(failure: &Failure, symptoms: &[Symptom]) -> Option<Diagnosis> {
    let stderr = failure.stderr.to_lowercase();
    let symptom = symptoms.iter().chain(&COMMON_SYMPTOMS).find(|symptom| symptom.fits(&stderr))?;
    let diagnosis = symptom.cause.diagnosis(failure);
    Some(match symptom.hint {
        Some(hint) => diagnosis.hint(hint),
        None => diagnosis,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYMPTOMS: [Symptom; 3] = [
        Symptom::new(Cause::TlsRequired, &["denied", "Encryption"]).hint("encrypt"),
        Symptom::new(Cause::PasswordRejected, &["denied"]),
        Symptom::new(Cause::LockTimeout, &["lock"]),
    ];

    #[test]
    fn the_first_symptom_that_fits_counts() {
        for (stderr, expected) in [
            ("Access Denied: no ENCRYPTION", Some(("TlsRequired", "encrypt", false))),
            ("access denied", Some(("PasswordRejected", Cause::PasswordRejected.hint(), false))),
            ("waiting for a lock", Some(("LockTimeout", Cause::LockTimeout.hint(), true))),
            ("dial tcp: lookup x: no such host", Some(("HostNotFound", Cause::HostNotFound.hint(), true))),
            ("something else", None),
            ("", None),
        ] {
            let found = diagnose(&Failure::example("dump", stderr), &SYMPTOMS);
            let found =
                found.as_ref().map(|found| (found.reason.as_str(), found.hint.as_str(), found.retryable));
            assert_eq!(found, expected, "{stderr}");
        }
    }

    #[test]
    fn the_server_is_named_as_far_as_it_is_known() {
        let failure = Failure::example("dump", "denied");
        assert_eq!(failure.server(), "db:1234");
        let facts = |facts: &[(&str, &str)]| {
            let mut failure = failure.clone();
            failure.facts.retain(|_| false);
            facts.iter().fold(failure, |failure, (key, value)| failure.with_fact(key, value)).server()
        };
        assert_eq!(facts(&[]), "the server");
        assert_eq!(facts(&[("host", "db")]), "db");
        assert_eq!(facts(&[("host", "fd00::1"), ("port", "5")]), "[fd00::1]:5");
    }
}
