//! How the client programs reach the server: one option file, the only one they read.

use db_backup_plugin_sdk::{Connection, Escape, Issue, Process, Refusal, Request, TlsMode, Value, secret};

use crate::{DEFAULT_PORT, settings::Flavor};

/// Name of the option file.
const OPTION_FILE: &str = "client.cnf";

/// Text between double quotes in an option file: the same in both engines. Their reader cuts a line after 4095
/// bytes and takes the rest for another option.
fn quoted() -> Escape {
    Escape::new([('\\', r"\\"), ('"', "\\\""), ('\n', r"\n")]).refuse("\0").max(4000)
}

/// Starts the client programs of one flavor.
pub(crate) struct Client {
    pub(crate) flavor: Flavor,
    pub(crate) tls: TlsMode,
    defaults_file: String,
    options: Value,
}

impl Client {
    /// Refuses a request without server or credentials.
    pub(crate) fn of(request: &Request, flavor: Flavor) -> Result<Self, Refusal> {
        let connection = request.server_connection()?;
        request.require_bindings(&["username", "password"])?;
        Ok(Self {
            flavor,
            tls: connection.tls.mode,
            defaults_file: format!("--defaults-file={}/{OPTION_FILE}", request.config_dir),
            options: options(connection, flavor)?,
        })
    }

    /// A program with the option file as its first argument, where it has to be. Files with options that lie
    /// about in the image are not read: one with `skip-comments` would take the dump's end mark.
    pub(crate) fn process(&self, program: &str) -> Process {
        Process::new(program).arg(self.defaults_file.clone()).file(OPTION_FILE, self.options.clone())
    }

    /// The client that reads SQL.
    pub(crate) fn program(&self) -> &'static str {
        match self.flavor {
            Flavor::MySql => "mysql",
            Flavor::MariaDb => "mariadb",
        }
    }

    /// Runs one query and prints its rows, with `\n`, `\t`, `\0` and `\\` inside a value.
    pub(crate) fn query(&self, sql: &str) -> Process {
        self.process(self.program())
            .args([
                "--batch",
                "--skip-column-names",
                "--connect-timeout=30",
                "--default-character-set=utf8mb4",
            ])
            .arg(format!("--execute={sql}"))
    }
}

/// The file's content.
fn options(connection: &Connection, flavor: Flavor) -> Result<Value, Refusal> {
    let Some(host) = quoted().apply(&connection.host) else {
        return Err(Issue::new("/connection/host", "ConnectionInvalid", "the host's name is too long").into());
    };
    let port = connection.port_or(DEFAULT_PORT);
    // Without the protocol the clients take `localhost` for a socket.
    let mut options = Value::new()
        .text(format!("[client]\nprotocol=tcp\nhost=\"{host}\"\nport={port}\nuser=\""))
        .secret(secret("username").escaped(quoted()))
        .text("\"\npassword=\"")
        .secret(secret("password").escaped(quoted()))
        .text("\"\n")
        .text(tls_mode(connection.tls.mode, flavor));
    let verified = matches!(connection.tls.mode, TlsMode::VerifyCa | TlsMode::VerifyFull);
    let files = [
        ("ssl-ca", connection.tls.ca_file.as_ref().filter(|_| verified)),
        ("ssl-cert", connection.tls.certificate_file.as_ref()),
        ("ssl-key", connection.tls.key_file.as_ref()),
    ];
    for (option, file) in files {
        if let Some(path) = file.and_then(|file| quoted().apply(file)) {
            options = options.text(format!("{option}=\"{path}\"\n"));
        }
    }
    Ok(options)
}

/// MariaDB's client knows no verification without the host's name, so that `verify-ca` is as strict as
/// `verify-full`; and where it need not verify it also takes a server without TLS, see [`Client::checks`].
/// Accounts of MySQL log in without TLS only with the server's public key.
fn tls_mode(mode: TlsMode, flavor: Flavor) -> &'static str {
    match (flavor, mode) {
        (Flavor::MySql, TlsMode::Disable) => "ssl-mode=DISABLED\nget-server-public-key\n",
        (Flavor::MySql, TlsMode::Prefer) => "ssl-mode=PREFERRED\nget-server-public-key\n",
        (Flavor::MySql, TlsMode::Require) => "ssl-mode=REQUIRED\n",
        (Flavor::MySql, TlsMode::VerifyCa) => "ssl-mode=VERIFY_CA\n",
        (Flavor::MySql, TlsMode::VerifyFull) => "ssl-mode=VERIFY_IDENTITY\n",
        (Flavor::MariaDb, TlsMode::Disable) => "skip-ssl\n",
        (Flavor::MariaDb, TlsMode::Prefer | TlsMode::Require) => "ssl\nskip-ssl-verify-server-cert\n",
        (Flavor::MariaDb, TlsMode::VerifyCa | TlsMode::VerifyFull) => "ssl\nssl-verify-server-cert\n",
    }
}
