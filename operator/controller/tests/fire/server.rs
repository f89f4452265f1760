//! A real etcd and a real kube-apiserver on free ports of this machine, and nothing else of Kubernetes: nobody runs Jobs or
//! collects garbage but `cluster.rs`.

use std::{
    env, fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use aws_lc_rs::{
    encoding::{AsDer as _, EcPrivateKeyRfc5915Der},
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use dbbackup_api::{DatabaseBackup, DatabaseRestore, DatabaseSnapshot};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, Config,
    api::{ListParams, PostParams},
    config::AuthInfo,
};

/// Long enough for a machine that does something else as well.
const PATIENCE: Duration = Duration::from_mins(1);

/// Starts both and ends them when its input is closed, which happens in any case when this process ends.
const WATCHDOG: &str = r#"
"$1" etcd --data-dir "$2/etcd" --unsafe-no-fsync --log-level error \
  --listen-client-urls "http://127.0.0.1:$3" --advertise-client-urls "http://127.0.0.1:$3" \
  --listen-peer-urls "http://127.0.0.1:$4" --initial-advertise-peer-urls "http://127.0.0.1:$4" \
  --initial-cluster "default=http://127.0.0.1:$4" >"$2/etcd.log" 2>&1 &
etcd=$!
"$1" kube-apiserver --etcd-servers "http://127.0.0.1:$3" --etcd-compaction-interval 0 \
  --bind-address 127.0.0.1 --advertise-address 127.0.0.1 --secure-port "$5" --cert-dir "$2" --endpoint-reconciler-type none \
  --token-auth-file "$2/tokens" --authorization-mode AlwaysAllow --disable-admission-plugins ServiceAccount \
  --service-account-issuer https://localhost --service-account-key-file "$2/key" \
  --service-account-signing-key-file "$2/key" --service-cluster-ip-range 10.0.0.0/24 --allow-privileged \
  --enable-priority-and-fairness=false --max-requests-inflight 0 --max-mutating-requests-inflight 0 --profiling=false \
  >"$2/kube-apiserver.log" 2>&1 &
apiserver=$!
read -r _
kill -9 "$etcd" "$apiserver" 2>/dev/null
wait
rm -rf "$2"
"#;

pub(super) struct Server {
    pub(super) client: Client,
    watchdog: Child,
}

impl Server {
    pub(super) async fn start() -> Self {
        let (components, folder) = (components(), tempfile::tempdir().unwrap().keep());
        let [etcd, peer, secure] = free_ports();
        fs::write(folder.join("tokens"), "admin,admin,admin,\"system:masters\"\n").unwrap();
        fs::write(folder.join("key"), key()).unwrap();
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "sh"])
            .args([&components, &folder])
            .args([etcd, peer, secure].map(|port| port.to_string()))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut config = Config::new(format!("https://127.0.0.1:{secure}").parse().unwrap());
        config.accept_invalid_certs = true;
        config.auth_info = AuthInfo { token: Some("admin".to_owned().into()), ..AuthInfo::default() };
        let server = Self { client: Client::try_from(config).unwrap(), watchdog };
        let began = Instant::now();
        while server.client.apiserver_version().await.is_err() || !server.ready().await {
            let log = fs::read_to_string(folder.join("kube-apiserver.log")).unwrap_or_default();
            assert!(began.elapsed() < PATIENCE, "kube-apiserver is not ready:\n{log}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        server.install_definitions().await;
        server
    }

    async fn ready(&self) -> bool {
        let request = http::Request::get("/readyz").body(vec![]).unwrap();
        self.client.request_text(request).await.is_ok()
    }

    /// As they are deployed.
    async fn install_definitions(&self) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/crds");
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        for kind in ["databasebackups", "databasesnapshots", "databaserestores"] {
            let text = fs::read_to_string(folder.join(format!("{kind}.yaml"))).unwrap();
            let definition = serde_saphyr::from_str(&text).unwrap();
            definitions.create(&PostParams::default(), &definition).await.unwrap();
        }
        let began = Instant::now();
        let one = ListParams::default().limit(1);
        while Api::<DatabaseBackup>::all(self.client.clone()).list(&one).await.is_err()
            || Api::<DatabaseSnapshot>::all(self.client.clone()).list(&one).await.is_err()
            || Api::<DatabaseRestore>::all(self.client.clone()).list(&one).await.is_err()
        {
            assert!(began.elapsed() < PATIENCE, "the definitions are not served");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// What `tests/cluster/build` made last, unless it is named.
fn components() -> PathBuf {
    if let Ok(named) = env::var("DBBACKUP_COMPONENTS") {
        return named.into();
    }
    let cache = env::var("DBBACKUP_CACHE").map(PathBuf::from);
    let cache =
        cache.unwrap_or_else(|_| PathBuf::from(env::var("HOME").unwrap()).join(".cache/db-backup-operator"));
    let built = fs::read_dir(cache.join("cluster")).into_iter().flatten().map(|entry| entry.unwrap().path());
    let built = built.filter(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("components-") && path.extension().is_none()
    });
    let last = built.max_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
    last.expect("there is no kube-apiserver: run tests/cluster/build")
}

/// Ports that were free a moment ago.
fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// A key that signs tokens of service accounts. Nobody asks for one.
fn key() -> String {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let key: EcPrivateKeyRfc5915Der<'_> = key.private_key().as_der().unwrap();
    format!(
        "-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----\n",
        STANDARD.encode(key.as_ref())
    )
}
