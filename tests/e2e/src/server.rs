//! Database and storage servers in the cluster, from `tests/images/servers`.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use crate::{
    kubectl::{Call, kubectl, until},
    nasty_secret,
};

/// What a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// PostgreSQL 15.
    Postgres15,
    /// PostgreSQL 18.
    Postgres18,
    /// PostgreSQL 18 that refuses what is not encrypted.
    PostgresTls,
    /// MariaDB 10.11.
    MariaDb,
    /// MySQL 9.
    MySql,
    /// MongoDB's protocol.
    FerretDb,
    /// An S3 store.
    S3,
    /// Redis 8.
    Redis,
    /// etcd 3.5.
    Etcd,
}

impl Engine {
    /// Name of its manifest, Deployment, Service and label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres15 => "postgres15",
            Self::Postgres18 => "postgres18",
            Self::PostgresTls => "postgres-tls",
            Self::MariaDb => "mariadb",
            Self::MySql => "mysql",
            Self::FerretDb => "ferretdb",
            Self::S3 => "s3",
            Self::Redis => "redis",
            Self::Etcd => "etcd",
        }
    }

    /// `spec.databaseType` for it.
    pub fn database_type(self) -> &'static str {
        match self {
            Self::Postgres15 | Self::Postgres18 | Self::PostgresTls => "postgres",
            Self::MariaDb => "mariadb",
            Self::MySql => "mysql",
            Self::FerretDb => "mongodb",
            Self::S3 => "generic",
            Self::Redis | Self::Etcd => self.name(),
        }
    }

    /// Name of its administrator.
    pub fn admin(self) -> &'static str {
        match self {
            Self::Postgres15 | Self::Postgres18 | Self::PostgresTls => "postgres",
            Self::MariaDb | Self::MySql | Self::Etcd => "root",
            Self::Redis => "default",
            Self::FerretDb | Self::S3 => "admin",
        }
    }

    /// Password of its administrator, as nasty as it takes them.
    pub fn admin_password(self) -> String {
        let password = nasty_secret(&format!("{}-admin", self.name()));
        match self {
            // SCRAM's clients refuse control characters and what Unicode 3.2 did not know (SASLprep).
            Self::FerretDb => password.chars().filter(|&c| !c.is_control() && c < '\u{1f600}').collect(),
            _ => password,
        }
    }
}

/// A running server.
#[derive(Clone, Debug)]
pub struct Server {
    pub(crate) engine: Engine,
    pub(crate) namespace: String,
}

impl Server {
    /// Starts it and waits until it answers.
    pub(crate) fn start(engine: Engine, namespace: &str) -> Result<Self> {
        let name = engine.name();
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": format!("{name}-admin")},
            "stringData": {"password": engine.admin_password()}
        });
        kubectl(["create", "-n", namespace, "-f", "-"]).input(secret.to_string()).text()?;
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../images/servers/{name}.yaml"));
        kubectl(["apply", "-n", namespace, "-f", &manifest.to_string_lossy()]).text()?;
        let server = Self { engine, namespace: namespace.to_owned() };
        server.wait().map(|()| server)
    }

    fn wait(&self) -> Result<()> {
        let deployment = format!("deployment/{}", self.engine.name());
        kubectl(["rollout", "status", "-n", &self.namespace, &deployment, "--timeout=240s"])
            .text()
            .with_context(|| {
                let pods = kubectl(["describe", "pods", "-n", &self.namespace]).text().unwrap_or_default();
                format!("server {} does not start: {pods}", self.engine.name())
            })
            .map(drop)
    }

    /// Starts it anew, empty, as a MariaDB that holds names for the same whose letters differ in case only.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start_ignoring_case(&self) -> Result<()> {
        let serve = "sed 's/^exec mariadbd --no-defaults/& --lower-case-table-names=1/' /usr/local/bin/serve >/tmp/serve && \
                     exec bash /tmp/serve";
        let patch = json!([{
            "op": "replace", "path": "/spec/template/spec/containers/0/command", "value": ["bash", "-c", serve]
        }]);
        let deployment = format!("deployment/{}", self.engine.name());
        kubectl(["patch", "-n", &self.namespace, &deployment, "--type=json", "--patch", &patch.to_string()])
            .text()?;
        self.wait()
    }

    /// What it is.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Name under which pods of any namespace reach it.
    pub fn host(&self) -> String {
        format!("{}.{}.svc", self.engine.name(), self.namespace)
    }

    /// A command inside its pod.
    pub fn exec<S: AsRef<str>>(&self, command: impl IntoIterator<Item = S>) -> Call {
        let deployment = format!("deployment/{}", self.engine.name());
        let exec =
            ["exec", "-i", "-n", &self.namespace, &deployment, "-c", "server", "--"].map(str::to_owned);
        kubectl(exec.into_iter().chain(command.into_iter().map(|word| word.as_ref().to_owned())))
    }

    /// Ends the server after this preparation, by a shell in its pod; it starts again with what then lies in its folder.
    pub(crate) fn restart_after(&self, preparation: &str, input: Vec<u8>) -> Result<()> {
        // A moment later, so that the command ends before its container does.
        let end = "(sleep 1; kill 1) </dev/null >/dev/null 2>&1 &";
        self.exec(["sh", "-c", &format!("set -e; {preparation}; {end}")]).input(input).text()?;
        let selector = format!("app={}", self.engine.name());
        until("the server's second start", || {
            let pods = kubectl(["get", "pods", "-n", &self.namespace, "-l", &selector]).json()?;
            let state =
                |field: &str| pods.pointer(&format!("/items/0/status/containerStatuses/0/{field}")).cloned();
            let again = state("restartCount").and_then(|count| count.as_u64()).is_some_and(|count| count > 0);
            Ok((again && state("ready") == Some(json!(true))).then_some(()))
        })
    }

    /// How its administrator's client is started inside its pod: program and arguments, to be completed.
    pub fn client(&self, program: &str) -> Vec<String> {
        let env = |name: &str, value: &str| format!("{name}={value}");
        let words = match self.engine {
            Engine::Postgres15 | Engine::Postgres18 | Engine::PostgresTls => {
                vec![env("PGHOST", "/tmp"), env("PGUSER", "postgres"), program.into()]
            }
            Engine::MariaDb | Engine::MySql => vec![
                env("MYSQL_PWD", &self.engine.admin_password()),
                program.into(),
                "--no-defaults".into(),
                format!("--socket=/tmp/{}.sock", self.engine.name()),
                "--user=root".into(),
                "--default-character-set=utf8mb4".into(),
            ],
            Engine::S3 => vec![
                env("S3_ENDPOINT", "http://127.0.0.1:7070"),
                env("AWS_ACCESS_KEY_ID", self.engine.admin()),
                env("AWS_SECRET_ACCESS_KEY", &self.engine.admin_password()),
                program.into(),
            ],
            Engine::Redis => {
                let password = env("REDISCLI_AUTH", &self.engine.admin_password());
                vec![password, program.into(), "-e".into()]
            }
            Engine::Etcd => vec![
                env("ETCDCTL_API", "3"),
                env("ETCDCTL_USER", self.engine.admin()),
                env("ETCDCTL_PASSWORD", &self.engine.admin_password()),
                // Its address without TLS.
                env("ETCDCTL_ENDPOINTS", "http://127.0.0.1:2381"),
                program.into(),
            ],
            // No shell and no `env` in its image.
            Engine::FerretDb => return vec![program.into(), self.mongo_uri("127.0.0.1")],
        };
        std::iter::once("env".to_owned()).chain(words).collect()
    }

    /// The administrator's connection string.
    pub(crate) fn mongo_uri(&self, host: &str) -> String {
        let password: String = self
            .engine
            .admin_password()
            .bytes()
            .map(|byte| match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => char::from(byte).to_string(),
                _ => format!("%{byte:02X}"),
            })
            .collect();
        format!("mongodb://admin:{password}@{host}:27017/?authSource=admin")
    }

    /// Runs SQL as the administrator; one row a line, values separated by `|` (PostgreSQL) or a tab.
    ///
    /// # Errors
    /// The server's.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let command = match self.engine {
            Engine::MariaDb => [self.client("mariadb"), words(&["--batch", "--skip-column-names"])].concat(),
            Engine::MySql => [self.client("mysql"), words(&["--batch", "--skip-column-names"])].concat(),
            _ => {
                let flags =
                    ["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1"];
                let mut client = self.client("psql");
                // Never an argument: a name such as `host=…` would be expanded.
                client.insert(1, format!("PGDATABASE={database}"));
                [client, words(&flags)].concat()
            }
        };
        self.exec(command).input(sql).text()
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
