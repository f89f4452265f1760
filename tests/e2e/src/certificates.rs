//! Certificates for servers in a test's namespace.

use std::{fs, process::Command};

use anyhow::{Context, Result, ensure};

use crate::folder::Folder;

/// A server's certificate and key, and the authority that signed it: all PEM.
#[derive(Debug)]
pub struct Certificates {
    /// The authority's certificate.
    pub authority: String,
    /// The server's certificate.
    pub certificate: String,
    /// The server's key.
    pub key: String,
}

impl Certificates {
    /// For a server of this name, by an authority of its own.
    ///
    /// # Errors
    /// Where `openssl` fails.
    pub fn of(host: &str) -> Result<Self> {
        let folder = Folder::make()?;
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
        let script = format!(
            "set -e; openssl req -x509 {key} -keyout ca.key -out ca.crt -subj /CN=e2e\n\
             openssl req -x509 {key} -keyout tls.key -out tls.crt -subj /CN=e2e-server -CA ca.crt -CAkey ca.key \
             -addext subjectAltName=DNS:{host} -addext basicConstraints=critical,CA:FALSE"
        );
        let output = Command::new("sh")
            .args(["-c", &script])
            .current_dir(folder.path())
            .output()
            .context("sh cannot be started")?;
        ensure!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
        let read = |name| fs::read_to_string(folder.path().join(name)).with_context(|| format!("no {name}"));
        Ok(Self { authority: read("ca.crt")?, certificate: read("tls.crt")?, key: read("tls.key")? })
    }
}
