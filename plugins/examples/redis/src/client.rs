//! How `redis-cli` reaches the server.

use crate::{
    DEFAULT_PORT, PASSWORD,
    db_backup::plugin::types::{
        Argument, ArgumentPiece, Connection, Encoding, EnvVar, Fragment, Issue, Process, Request, Secret,
        Tls, TlsMode,
    },
    issue,
    settings::Settings,
};

/// Starts `redis-cli`.
pub(crate) struct Client {
    argv: Vec<String>,
    has_password: bool,
}

impl Client {
    /// # Errors
    /// Everything in the request that `redis-cli` cannot do.
    pub(crate) fn of(request: &Request, settings: &Settings) -> Result<Self, Vec<Issue>> {
        let Some(connection) = &request.connection else {
            let message = "missing; say at least in connection.host where the server is";
            return Err(vec![issue("/connection", "ConnectionMissing", message)]);
        };
        let has_password = request.bindings.iter().any(|name| name == PASSWORD);
        let faults = faults(connection, settings, has_password);
        if !faults.is_empty() {
            return Err(faults);
        }
        let port = connection.port.unwrap_or(DEFAULT_PORT).to_string();
        let mut argv = words(&["redis-cli", "-h", &connection.host, "-p", &port]);
        if let Some(username) = &settings.username {
            argv.extend(words(&["--user", username]));
        }
        argv.extend(tls(&connection.tls));
        Ok(Self { argv, has_password })
    }

    /// With these further arguments. The password is in the environment, where no list of processes shows it.
    pub(crate) fn process(&self, arguments: &[&str]) -> Process {
        let password = self.has_password.then(|| EnvVar {
            name: "REDISCLI_AUTH".to_owned(),
            value: vec![Fragment::Secret(Secret { binding: PASSWORD.to_owned(), encoding: Encoding::Raw })],
        });
        Process {
            argv: self.argv.iter().cloned().chain(words(arguments)).map(argument).collect(),
            env: password.into_iter().collect(),
            files: vec![],
        }
    }
}

/// A program without a server.
pub(crate) fn program(argv: &[&str]) -> Process {
    Process { argv: words(argv).into_iter().map(argument).collect(), env: vec![], files: vec![] }
}

fn argument(text: String) -> Argument {
    Argument { pieces: vec![ArgumentPiece::Text(text)] }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn faults(connection: &Connection, settings: &Settings, has_password: bool) -> Vec<Issue> {
    let host = &connection.host;
    let mut faults = vec![];
    if host.is_empty() || host.starts_with('-') || host.contains('\0') {
        faults.push(issue(
            "/connection/host",
            "ConnectionInvalid",
            "no name of a host; write one, or an address",
        ));
    }
    if connection.database.is_some() {
        let message = "a dump of Redis holds every database of the server; leave the database out";
        faults.push(issue("/connection/database", "DatabaseNotSupported", message));
    }
    if connection.tls.mode == TlsMode::VerifyFull {
        let message = "redis-cli never compares the certificate's name with the host's; write verify-ca, with an \
                       authority of your own";
        faults.push(issue("/connection/tls/mode", "TlsModeNotSupported", message));
    }
    if settings.username.is_some() && !has_password {
        let message = "settings.username needs a password: map `password` to a key of the Secret in \
                       spec.connection.credentials.keys";
        faults.push(issue("/connection/credentials", "CredentialsMissing", message));
    }
    faults
}

/// A port of Redis speaks TLS or does not, so that `prefer` has nothing to try.
fn tls(tls: &Tls) -> Vec<String> {
    let (verified, files) = match tls.mode {
        TlsMode::Disable | TlsMode::Prefer => return vec![],
        TlsMode::Require => (false, [None, tls.certificate_file.as_ref(), tls.key_file.as_ref()]),
        TlsMode::VerifyCa | TlsMode::VerifyFull => {
            (true, [tls.ca_file.as_ref(), tls.certificate_file.as_ref(), tls.key_file.as_ref()])
        }
    };
    let mut argv = words(if verified { &["--tls"] } else { &["--tls", "--insecure"] });
    for (option, file) in ["--cacert", "--cert", "--key"].into_iter().zip(files) {
        if let Some(file) = file {
            argv.extend(words(&[option, file]));
        }
    }
    argv
}
