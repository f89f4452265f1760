//! A namespace of its own for each test, and what happens around a test.

use std::{
    io::{Write as _, stderr},
    panic::{AssertUnwindSafe, catch_unwind},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Instant,
};

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};

use crate::{
    backup::{Backup, Spec},
    comeback::Restore,
    kubectl::{Call, kubectl},
    leaks, nasty_secret,
    seed::Login,
    server::{Engine, Server},
    servers,
    store::Store,
};

/// Where the operator runs.
pub const OPERATOR_NAMESPACE: &str = "db-backup-system";

/// Label of everything that a run of the tests makes, with the run's id.
const RUN_LABEL: &str = "db-backup.test/run";

/// One test's namespace, under the restricted Pod Security Standard.
#[derive(Debug)]
pub struct World {
    namespace: String,
}

/// Runs a test in a namespace of its own. Afterwards nothing in it but its Secrets may hold a secret, then it is
/// removed. A failure comes with everything that helps to find its cause.
///
/// # Errors
/// The test's, or a secret that was found.
pub fn run(name: &str, test: impl FnOnce(&World) -> Result<()>) -> Result<()> {
    let (world, began) = (World::make(name)?, Instant::now());
    // A failed assertion shall be reported and tidied up like any other failure.
    let result = catch_unwind(AssertUnwindSafe(|| test(&world)))
        .unwrap_or_else(|_| Err(anyhow!("an assertion failed, see above")))
        .and_then(|()| leaks::none_in(&world.namespace, began.elapsed()))
        .map_err(|error| error.context(world.describe()));
    let _ = kubectl(["delete", "namespace", &world.namespace, "--wait=false"]).text();
    // Not by a macro, whose text is only shown of a test that failed.
    let _ = writeln!(stderr(), "{name}: {} s", began.elapsed().as_secs());
    result
}

impl World {
    fn make(test: &str) -> Result<Self> {
        let namespace = format!("e2e-{test}-{}", run_id());
        make_namespace(&namespace)?;
        Ok(Self { namespace })
    }

    /// The test's namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// A call in the test's namespace.
    pub fn kubectl<S: Into<String>>(&self, args: impl IntoIterator<Item = S>) -> Call {
        let namespace = ["--namespace".to_owned(), self.namespace.clone()];
        kubectl(namespace.into_iter().chain(args.into_iter().map(Into::into)))
    }

    /// Applies an object.
    ///
    /// # Errors
    /// The API server's refusal.
    pub fn apply(&self, object: &Value) -> Result<()> {
        self.kubectl(["apply", "--filename", "-"]).input(object.to_string()).text().map(drop)
    }

    /// Makes a Secret.
    ///
    /// # Errors
    /// The API server's refusal.
    pub fn secret(&self, name: &str, entries: &[(&str, &str)]) -> Result<()> {
        let data: serde_json::Map<_, _> =
            entries.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
        self.kubectl(["create", "--filename", "-"]).input(secret.to_string()).text().map(drop)
    }

    /// Makes the Secret `login` of an account.
    ///
    /// # Errors
    /// The API server's refusal.
    pub fn login(&self, login: &Login) -> Result<()> {
        self.secret("login", &[("username", &login.username), ("password", &login.password)])
    }

    /// The shared S3 store, with a Secret `store` for it in this namespace.
    ///
    /// # Errors
    /// Where the store does not start.
    pub fn s3(&self) -> Result<Store> {
        self.s3_at(servers::shared(Engine::S3)?)
    }

    /// The store of another server, with a Secret `store` for it in this namespace.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub fn s3_at(&self, server: &Server) -> Result<Store> {
        let store = Store::s3(server, self.namespace())?;
        self.secret(
            "store",
            &[("AWS_ACCESS_KEY_ID", "admin"), ("AWS_SECRET_ACCESS_KEY", &nasty_secret("s3-admin"))],
        )?;
        Ok(store)
    }

    /// A claim of this size.
    ///
    /// # Errors
    /// The API server's refusal.
    pub fn claim(&self, name: &str, size: &str) -> Result<Store> {
        self.claim_of(name, size, "ReadWriteMany")
    }

    /// One of this access mode.
    ///
    /// # Errors
    /// The API server's refusal.
    pub fn claim_of(&self, name: &str, size: &str, mode: &str) -> Result<Store> {
        self.apply(&json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
            "spec": {"accessModes": [mode], "resources": {"requests": {"storage": size}}}
        }))?;
        Store::claim(self, name)
    }

    /// An empty server in this namespace, to restore into.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn server(&self, engine: Engine) -> Result<Server> {
        Server::start(engine, self.namespace())
    }

    /// An empty server in this namespace, to restore into by a `DatabaseRestore`.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn target(&self, engine: Engine) -> Result<Server> {
        let server = self.server(engine)?;
        self.aim_at(&server)?;
        Ok(server)
    }

    /// Makes the Secret `target` of a server's administrator.
    ///
    /// # Errors
    /// The API server's refusal.
    pub fn aim_at(&self, server: &Server) -> Result<()> {
        let login = server.admin_login();
        self.secret("target", &[("username", &login.username), ("password", &login.password)])
    }

    /// Applies a `DatabaseBackup`.
    ///
    /// # Errors
    /// The API server's refusal.
    pub fn backup(&self, name: &str, spec: Spec) -> Result<Backup<'_>> {
        Backup::apply(self, name, spec)
    }

    /// Applies a `DatabaseRestore`.
    ///
    /// # Errors
    /// The API server's refusal.
    pub fn restore(&self, name: &str, spec: &Value) -> Result<Restore<'_>> {
        Restore::apply(self, name, spec)
    }

    /// Everything that tells why a test failed.
    fn describe(&self) -> String {
        let show = |title: &str, call: Call| {
            format!("--- {title}\n{}\n", call.text().unwrap_or_else(|error| error.to_string()))
        };
        let mut report =
            show("databasebackups", self.kubectl(["describe", "databasebackups,databaserestores"]));
        report += &show("events", self.kubectl(["get", "events", "--sort-by=.lastTimestamp"]));
        report += &show("jobs and pods", self.kubectl(["get", "jobs,pods,pvc", "--output", "wide"]));
        let pods = self.kubectl(["get", "pods", "--output", "name"]).text().unwrap_or_default();
        for pod in pods.lines() {
            let log = ["logs", pod, "--all-containers", "--prefix", "--ignore-errors", "--tail=60"];
            report += &show(pod, self.kubectl(log));
        }
        let operator =
            kubectl(["logs", "-n", OPERATOR_NAMESPACE, "deployment/db-backup-operator", "--tail=2000"]);
        let log = operator.text().unwrap_or_else(|error| error.to_string());
        let about_us: Vec<_> = log.lines().filter(|line| line.contains(&self.namespace)).collect();
        let last = about_us.iter().rev().take(40).rev().copied().collect::<Vec<_>>().join("\n");
        format!("namespace {}\n{report}--- the operator's log\n{last}\n", self.namespace)
    }
}

/// Makes a namespace in which nothing runs that the restricted standard forbids, and which goes with this run.
pub(crate) fn make_namespace(name: &str) -> Result<()> {
    let mut labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    let kept = keep_servers() && name == servers::SERVERS_NAMESPACE;
    if let Some(labels) = labels.as_object_mut().filter(|_| !kept) {
        labels.insert(RUN_LABEL.into(), json!(run_id()));
    }
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    kubectl(["apply", "--filename", "-"]).input(namespace.to_string()).text().map(drop)
}

/// Whether the servers stay for the next run.
pub(crate) fn keep_servers() -> bool {
    std::env::var_os("E2E_KEEP").is_some()
}

/// Id of this run of the tests. Whoever asks for it makes something: from then on a child process waits for the end
/// of this one, however it comes, and removes what it leaves.
fn run_id() -> &'static str {
    static RUN: OnceLock<(String, Option<Child>)> = OnceLock::new();
    let (id, _) = RUN.get_or_init(|| {
        let id = format!("{:05x}", std::process::id() & 0xf_ffff);
        let janitor = janitor(&id);
        (id, janitor.ok())
    });
    id
}

/// Its standard input ends with this process.
fn janitor(run: &str) -> Result<Child> {
    use std::os::unix::process::CommandExt;
    let tidy =
        format!("cat >/dev/null; exec kubectl delete namespace --selector={RUN_LABEL}={run} --wait=false");
    Command::new("sh")
        .args(["-c", &tidy])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A Ctrl-C is for the tests, not for what tidies up after them.
        .process_group(0)
        .spawn()
        .context("sh cannot be started")
}
