//! What a plugin says of itself and what it is told: `wit/descriptor.wit` and the request of `wit/types.wit`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    optional::{Answer, Diagnosis, Failure, Findings, ProbePlan},
    plan::BackupPlan,
    restore::{RestorePlan, RestoreRequest},
    work_order::PluginRef,
};

/// An open key and value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// Unknown keys are ignored.
    pub key: String,
    /// Free text.
    pub value: String,
}

/// A secret value that a plugin can use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// For example `username`.
    pub name: String,
    /// Taken from the credentials' Secret even where the user maps no key to it.
    pub required: bool,
    /// What it is, for the user.
    pub summary: String,
}

/// A container image with client tools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// How plans name it.
    pub name: String,
    /// Full reference.
    pub reference: String,
    /// Server versions that this client can dump; none: any.
    pub server_versions: Option<String>,
}

/// Who a plugin is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Unique among the loaded plugins.
    pub id: String,
    /// Semantic version of the plugin.
    pub version: String,
    /// One line.
    pub summary: String,
    /// Values of `spec.databaseType` that it serves.
    pub database_types: Vec<String>,
    /// Where such a server listens.
    pub default_port: Option<u16>,
    /// Secret values it can use.
    pub bindings: Vec<Binding>,
    /// Images its plans may name.
    pub images: Vec<Image>,
    /// JSON Schema 2020-12 of `spec.settings`.
    pub settings_schema: String,
    /// Unknown keys are ignored.
    pub labels: Vec<Fact>,
}

/// How the connection to the database is encrypted, in the words of libpq.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// Never TLS.
    Disable,
    /// TLS where the server offers it: nothing was said of TLS.
    Prefer,
    /// TLS, without a look at the certificate.
    Require,
    /// TLS, signed by a known authority.
    VerifyCa,
    /// TLS, signed by a known authority, for this host.
    VerifyFull,
}

/// TLS towards the database; the paths are files in the pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// What is asked for.
    pub mode: TlsMode,
    /// PEM file with the authorities to trust.
    pub ca_file: Option<String>,
    /// PEM file with the client's certificate.
    pub certificate_file: Option<String>,
    /// PEM file with the client's key.
    pub key_file: Option<String>,
}

/// Where the server is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Host name or address.
    pub host: String,
    /// none: the plugin's default.
    pub port: Option<u16>,
    /// The one database to back up.
    pub database: Option<String>,
    /// Encryption of the connection.
    pub tls: Tls,
}

/// What is known of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// As the server prints it.
    pub version: String,
    /// Whatever else a probe found.
    pub facts: Vec<Fact>,
}

/// What a plugin is told of one `DatabaseBackup`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
    /// `spec.databaseType`.
    pub database_type: String,
    /// `spec.connection`.
    pub connection: Option<Connection>,
    /// Names of the secret values that are supplied; never their values.
    pub bindings: Vec<String>,
    /// What a probe found.
    pub server: Option<Server>,
    /// `spec.settings` with the schema's defaults, as JSON text.
    pub settings: String,
    /// Folder of a process's files.
    pub config_dir: String,
    /// Writable folder.
    pub scratch_dir: String,
    /// Whatever a later version has to say.
    pub facts: Vec<Fact>,
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// JSON pointer into `spec`.
    pub path: String,
    /// Stable CamelCase word.
    pub reason: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl Issue {
    /// What is wrong with all of it.
    pub fn sentence(issues: &[Self]) -> String {
        issues.iter().map(|issue| issue.message.as_str()).collect::<Vec<_>>().join("; ")
    }
}

/// Why a plugin gave no usable answer: not the user's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Stable CamelCase word.
    pub reason: String,
    /// The cause.
    pub message: String,
}

/// A plugin as those see it who want a plan. The plugin host implements it; who plans need not know WebAssembly.
pub trait PlanSource {
    /// Who it is.
    fn identity(&self) -> PluginRef;

    /// What it says of itself; validated.
    fn description(&self) -> &Description;

    /// Settings with the schema's defaults filled in.
    ///
    /// # Errors
    /// Everything that is wrong with them; pointers begin with `/settings`.
    fn validate_settings(
        &self,
        settings: Option<&Map<String, Value>>,
    ) -> Result<Map<String, Value>, Vec<Issue>>;

    /// The plan, or the plugin's reasons (at least one) for having none.
    ///
    /// # Errors
    /// It gave no usable answer.
    fn plan(&self, request: &Request) -> Result<Result<BackupPlan, Vec<Issue>>, Fault>;

    /// What to ask the server, or the plugin's reasons (at least one) for not asking. None: it has no probe.
    ///
    /// # Errors
    /// It gave no usable answer.
    fn probe_plan(&self, _request: &Request) -> Result<Option<Result<ProbePlan, Vec<Issue>>>, Fault> {
        Ok(None)
    }

    /// What the answers of a probe mean. None: it has no probe.
    ///
    /// # Errors
    /// It gave no usable answer.
    fn probe_read(&self, _request: &Request, _answers: &[Answer]) -> Result<Option<Findings>, Fault> {
        Ok(None)
    }

    /// What a failure means. None: it has nothing better to say.
    ///
    /// # Errors
    /// It gave no usable answer.
    fn explain(&self, _failure: &Failure) -> Result<Option<Diagnosis>, Fault> {
        Ok(None)
    }

    /// How to restore, or the plugin's reasons (at least one) for not doing it. None: it cannot restore.
    ///
    /// # Errors
    /// It gave no usable answer.
    fn restore_plan(
        &self,
        _request: &RestoreRequest,
    ) -> Result<Option<Result<RestorePlan, Vec<Issue>>>, Fault> {
        Ok(None)
    }
}
