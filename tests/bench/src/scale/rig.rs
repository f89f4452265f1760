//! An API server of its own, with etcd and nothing else: no Job controller, no kubelet. So what is measured is how fast Jobs are
//! made, and no pod of theirs is in the way.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, Config,
    api::PostParams,
    config::{KubeConfigOptions, Kubeconfig},
};
use tempfile::TempDir;

/// How long a program may take to answer.
const PATIENCE: Duration = Duration::from_mins(1);
/// Whoever has it may do everything; the server ends with the benchmark.
const TOKEN: &str = "bench-admin";

/// etcd and the API server.
pub(crate) struct Rig {
    root: TempDir,
    components: PathBuf,
    processes: Vec<Child>,
}

impl Rig {
    /// `components` is the cluster's binary; `crds` the folder of the definitions.
    ///
    /// # Errors
    /// A program does not start.
    pub(crate) async fn start(components: &Path, crds: &Path) -> anyhow::Result<Self> {
        let [etcd, peer, port] = [free_port()?, free_port()?, free_port()?];
        let mut rig = Self { root: TempDir::new()?, components: components.to_owned(), processes: vec![] };
        fs::write(rig.path("tokens"), format!("{TOKEN},admin,admin,system:masters\n"))?;
        rig.account_key()?;
        fs::write(rig.kubeconfig(), kubeconfig(port))?;
        let url = |port| format!("http://127.0.0.1:{port}");
        rig.spawn(
            "etcd",
            &[
                ("--data-dir", rig.text("etcd")),
                ("--listen-client-urls", url(etcd)),
                ("--advertise-client-urls", url(etcd)),
                ("--listen-peer-urls", url(peer)),
                ("--initial-advertise-peer-urls", url(peer)),
                ("--initial-cluster", format!("default={}", url(peer))),
                ("--quota-backend-bytes", (6_u64 << 30).to_string()),
                ("--unsafe-no-fsync", "true".into()),
            ],
        )?;
        rig.spawn(
            "kube-apiserver",
            &[
                ("--etcd-servers", url(etcd)),
                ("--secure-port", port.to_string()),
                ("--bind-address", "127.0.0.1".into()),
                ("--cert-dir", rig.text("certs")),
                ("--token-auth-file", rig.text("tokens")),
                ("--authorization-mode", "RBAC".into()),
                ("--service-account-issuer", "https://bench".into()),
                ("--service-account-key-file", rig.text("account.key")),
                ("--service-account-signing-key-file", rig.text("account.key")),
                ("--service-cluster-ip-range", "198.19.0.0/24".into()),
                // Without the account controller no namespace has an account, and no pod is made that would need one.
                ("--disable-admission-plugins", "ServiceAccount".into()),
            ],
        )?;
        let client = rig.ready().await?;
        define(&client, crds).await?;
        Ok(rig)
    }

    /// For programs.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    /// For whoever measures.
    ///
    /// # Errors
    /// A defect.
    pub(crate) async fn client(&self) -> anyhow::Result<Client> {
        let config = Kubeconfig::read_from(self.kubeconfig())?;
        let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }

    /// The controller of `CronJob`s alone; it ends when the answer is dropped.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn cron_controller(&self, flags: &[&str]) -> anyhow::Result<Ended> {
        let kubeconfig = self.text("kubeconfig");
        let process = Command::new(&self.components)
            .args(["kube-controller-manager", "--controllers=cronjob-controller", "--leader-elect=false"])
            .args([format!("--kubeconfig={kubeconfig}"), "--secure-port=0".to_owned()])
            .args(flags)
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.path("kube-controller-manager.log"))?)
            .spawn()?;
        Ok(Ended(process))
    }

    async fn ready(&self) -> anyhow::Result<Client> {
        let began = Instant::now();
        loop {
            if let Ok(client) = self.client().await
                && client.apiserver_version().await.is_ok()
            {
                return Ok(client);
            }
            if began.elapsed() > PATIENCE {
                bail!("the API server does not answer: {}", self.log("kube-apiserver"));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn spawn(&mut self, program: &str, flags: &[(&str, String)]) -> anyhow::Result<()> {
        let process = Command::new(&self.components)
            .arg(program)
            .args(flags.iter().map(|(flag, value)| format!("{flag}={value}")))
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.path(&format!("{program}.log")))?)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        self.processes.push(process);
        Ok(())
    }

    fn account_key(&self) -> anyhow::Result<()> {
        let made = Command::new("openssl")
            .args(["genrsa", "-out", &self.text("account.key"), "2048"])
            .stderr(Stdio::null())
            .status()
            .context("openssl makes the key of service accounts")?;
        ensure!(made.success(), "openssl genrsa failed");
        Ok(())
    }

    fn log(&self, program: &str) -> String {
        let log = fs::read_to_string(self.path(&format!("{program}.log"))).unwrap_or_default();
        log.lines().rev().take(5).collect::<Vec<_>>().join("\n")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// A program that ends with whoever holds it.
pub(crate) struct Ended(pub(crate) Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that nobody listens at.
///
/// # Errors
/// There is none.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn kubeconfig(port: u16) -> String {
    serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "bench",
        "clusters": [{"name": "bench", "cluster": {"server": format!("https://127.0.0.1:{port}"), "insecure-skip-tls-verify": true}}],
        "users": [{"name": "bench", "user": {"token": TOKEN}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
    })
    .to_string()
}

async fn define(client: &Client, crds: &Path) -> anyhow::Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for kind in ["databasebackups", "databasesnapshots", "databaserestores"] {
        let text = fs::read_to_string(crds.join(format!("{kind}.yaml")))?;
        let crd: CustomResourceDefinition = serde_saphyr::from_str(&text)?;
        api.create(&PostParams::default(), &crd).await?;
        let name = crd.metadata.name.unwrap_or_default();
        let established = kube::runtime::conditions::is_crd_established();
        let waiting = kube::runtime::wait::await_condition(api.clone(), &name, established);
        tokio::time::timeout(PATIENCE, waiting).await??;
    }
    Ok(())
}
