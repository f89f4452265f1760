//! The connection string, in a file that `mongodump` reads: its arguments hold no secret.

use db_backup_plugin_sdk::{Connection, Refusal, Request, TlsMode, Value, both, percent, secret};

use crate::settings::{AuthMechanism, Settings};

/// Where MongoDB listens.
pub(crate) const DEFAULT_PORT: u16 = 27017;

/// The file: YAML with one double-quoted string. Everything in it that is not ours is percent-encoded, so that it
/// holds neither a quote nor a backslash.
pub(crate) fn config(request: &Request, settings: &Settings) -> Result<Value, Refusal> {
    let (connection, with_login) = both(request.server_connection(), login(request))?;
    let (scheme, port) = if settings.srv {
        ("mongodb+srv", String::new())
    } else {
        ("mongodb", format!(":{}", connection.port_or(DEFAULT_PORT)))
    };
    // An IPv6 address stands in brackets, and its colons stay.
    let host = if connection.host.contains(':') {
        format!("[{}]", connection.host.split(':').map(percent).collect::<Vec<_>>().join(":"))
    } else {
        percent(&connection.host)
    };
    let mut config = Value::new().text(format!("uri: \"{scheme}://"));
    if with_login {
        config = config
            .secret(secret("username").percent())
            .text(":")
            .secret(secret("password").percent())
            .text("@");
    }
    let options = options(connection, settings, with_login)
        .into_iter()
        .map(|(name, value)| format!("{name}={}", percent(&value)))
        .collect::<Vec<_>>();
    Ok(config.text(format!("{host}{port}/?{}\"\n", options.join("&"))))
}

/// A server may do without login. Half a login is a mistake.
fn login(request: &Request) -> Result<bool, Refusal> {
    if request.has_binding("username") || request.has_binding("password") {
        request.require_bindings(&["username", "password"])?;
        return Ok(true);
    }
    Ok(false)
}

/// Said even where it is the usual one: `mongodump --db=NAME` would look for the user in that database.
fn auth_source(settings: &Settings) -> String {
    let usual = || if settings.auth_mechanism == Some(AuthMechanism::Plain) { "$external" } else { "admin" };
    settings.auth_source.as_deref().unwrap_or_else(usual).to_owned()
}

fn options(connection: &Connection, settings: &Settings, with_login: bool) -> Vec<(&'static str, String)> {
    let tls = &connection.tls;
    let files = [
        (
            "tlsCAFile",
            tls.ca_file.as_ref().filter(|_| matches!(tls.mode, TlsMode::VerifyCa | TlsMode::VerifyFull)),
        ),
        ("tlsCertificateFile", tls.certificate_file.as_ref()),
        ("tlsPrivateKeyFile", tls.key_file.as_ref()),
    ];
    let all = [
        with_login.then(|| ("authSource", auth_source(settings))),
        settings.auth_mechanism.map(|mechanism| ("authMechanism", mechanism.as_str().to_owned())),
        settings.replica_set.as_deref().map(|name| ("replicaSet", name.to_owned())),
        settings.read_preference.map(|preference| ("readPreference", preference.as_str().to_owned())),
        settings.direct_connection.then(|| ("directConnection", "true".to_owned())),
        (tls.mode == TlsMode::Disable).then(|| ("tls", "false".to_owned())),
        uses_tls(tls.mode).then(|| ("tls", "true".to_owned())),
        (tls.mode == TlsMode::Require).then(|| ("tlsInsecure", "true".to_owned())),
    ];
    let paths = files.into_iter().filter_map(|(name, path)| Some((name, path?.clone())));
    all.into_iter().flatten().chain(paths.filter(|_| uses_tls(tls.mode))).collect()
}

/// Where nothing is said the tools decide: a DNS record means TLS, everything else no TLS. They have no way to
/// verify the authority without the host's name, so that `verify-ca` is as strict as `verify-full`.
fn uses_tls(mode: TlsMode) -> bool {
    match mode {
        TlsMode::Disable | TlsMode::Prefer => false,
        TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => true,
    }
}
