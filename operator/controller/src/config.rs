//! What an administrator can set: flags, each with an environment variable. Read once, in `main`.

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf};

use clap::Parser;
use dbbackup_core::admit::Caps;
use dbbackup_plugin_host::{AllowMode, Pin};
use jiff::SignedDuration;
use k8s_controller::LeaderElection;

/// What the built-in plugins use. A test keeps the two together.
pub(crate) const DEFAULT_IMAGES: &str =
    "docker.io/library/postgres,docker.io/library/mariadb,docker.io/library/mysql,docker.io/library/mongo";

/// The Lease of the replica that works.
const LEASE: &str = "db-backup-operator";

/// Schedules verified database backups, planned by sandboxed WebAssembly plugins.
#[derive(Clone, Debug, Parser)]
#[command(name = "operator", version, about)]
pub struct Config {
    /// Directories with plugins (`*.wasm`), separated by commas. They are followed: a file that comes, changes or goes needs
    /// no restart.
    #[arg(long, env = "PLUGIN_DIRS", value_delimiter = ',', default_value = "/plugins")]
    pub plugin_dirs: Vec<PathBuf>,

    /// Seconds between two looks at the plugin directories. A change counts when two looks find it.
    #[arg(long, env = "PLUGIN_POLL_SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=3600))]
    pub plugin_poll_seconds: u16,

    /// Folder for compiled plugins, which is made if it does not exist. What is in it runs as code of the operator, so it must
    /// belong to the operator's user alone (mode 700). Without it every start compiles all plugins anew.
    #[arg(long, env = "PLUGIN_CACHE_DIR")]
    pub plugin_cache_dir: Option<PathBuf>,

    /// Memory that compiling one plugin may take, in MiB. The memory limit of the operator's pod has to cover it.
    #[arg(long, env = "PLUGIN_COMPILE_MEBIBYTES", default_value_t = 768, value_parser = clap::value_parser!(u32).range(128..=65536))]
    pub plugin_compile_mebibytes: u32,

    /// Which of several plugins serves a type, as `TYPE=ID`, `TYPE=ID@VERSION` or `TYPE=ID@sha256:…`, where an object does
    /// not say so itself. Separated by commas.
    #[arg(long, env = "PLUGIN_FOR", value_delimiter = ',', value_parser = plugin_for)]
    pub plugin_for: Vec<(String, Pin)>,

    /// Digests of plugins that are known, as `sha256:…`, separated by commas. Those of the operator's own image always are.
    #[arg(long, env = "PLUGIN_ALLOW", value_delimiter = ',')]
    pub plugin_allow: Vec<String>,

    /// A file with more of them, one a line; what stands behind the digest, and lines that begin with `#`, are comments.
    #[arg(long, env = "PLUGIN_ALLOW_FILE")]
    pub plugin_allow_file: Option<PathBuf>,

    /// What happens to a plugin that is not known: `off` (it is loaded), `warn` (it is loaded, and logged) or `enforce` (it is
    /// not loaded).
    #[arg(long, env = "PLUGIN_ALLOW_MODE", default_value = "off", value_parser = allow_mode)]
    pub plugin_allow_mode: AllowMode,

    /// Folder of the operator's image with the plugins that it brings.
    #[arg(long, env = "BUILTIN_PLUGINS", default_value = "/builtin-plugins")]
    pub builtin_plugins: PathBuf,

    /// The operator's own image: pods run its agent.
    #[arg(long, env = "OPERATOR_IMAGE")]
    pub operator_image: String,

    /// Watch this namespace only. Default: all.
    #[arg(long, env = "WATCH_NAMESPACE")]
    pub watch_namespace: Option<String>,

    /// Images that may run as client, those of plugins too: repositories (any tag) such as
    /// `registry.example.com/tools/dump`, whole references, or `registry.example.com/tools/*` for all below one.
    /// With `PLUGIN-ID=` in front, only where that plugin plans. Separated by commas. Setting it replaces the default, which is
    /// what the built-in plugins use.
    #[arg(long, env = "ALLOWED_IMAGES", value_delimiter = ',', default_value = DEFAULT_IMAGES)]
    pub allowed_image: Vec<String>,

    /// Rewrites of image repositories for clusters with a mirror, as `docker.io/library=registry.example.com/hub`.
    /// Separated by commas; the longest match wins.
    #[arg(long, env = "IMAGE_MIRRORS", value_delimiter = ',', value_parser = mirror)]
    pub image_mirror: Vec<(String, String)>,

    /// Refuse client images without a digest (`@sha256:…`): a tag can be moved.
    #[arg(long, env = "REQUIRE_IMAGE_DIGEST")]
    pub require_image_digest: bool,

    /// Names of Secrets to pull images with, looked up in the namespace of each Job. Separated by commas.
    #[arg(long, env = "IMAGE_PULL_SECRETS", value_delimiter = ',')]
    pub image_pull_secret: Vec<String>,

    /// Leave user and group ids of pods to the cluster, for those that assign them by namespace (OpenShift).
    #[arg(long, env = "CLUSTER_ASSIGNS_IDS")]
    pub cluster_assigns_ids: bool,

    /// ServiceAccount of the pods, without any token mounted. Default: the namespace's own.
    #[arg(long, env = "RUNNER_SERVICE_ACCOUNT")]
    pub runner_service_account: Option<String>,

    /// Memory limit of the mover, the container that stores and fetches. The default carries about 180 GB in one object; beyond
    /// that it needs 2/1000 of the size more, and 2304Mi for any. What a spec makes it need besides (compression, fewer parts)
    /// comes on top by itself.
    #[arg(long, env = "MOVER_MEMORY", default_value = "512Mi", value_parser = mebibytes)]
    pub mover_memory: u32,

    /// Shortest time between two slots of a schedule, for example `5m`: a schedule that comes due more often is refused, and
    /// the object says so. The default allows everything that five fields can say.
    #[arg(long, env = "MIN_INTERVAL", default_value = "1m")]
    pub min_interval: SignedDuration,

    /// How many runs may run at a time in the whole operator; unset: any number. Who waits sees why, and at which place.
    #[arg(long, env = "MAX_RUNS")]
    pub max_runs: Option<NonZeroUsize>,

    /// How many runs may run at a time in one namespace; unset: any number.
    #[arg(long, env = "MAX_RUNS_PER_NAMESPACE")]
    pub max_runs_per_namespace: Option<NonZeroUsize>,

    /// How many runs may write at a time to one bucket or claim; unset: any number. A claim that is not `ReadWriteMany` takes one.
    #[arg(long, env = "MAX_RUNS_PER_DESTINATION")]
    pub max_runs_per_destination: Option<NonZeroUsize>,

    /// How many runs may read at a time from one database server; unset: any number.
    #[arg(long, env = "MAX_RUNS_PER_SERVER")]
    pub max_runs_per_server: Option<NonZeroUsize>,

    /// Let one of several replicas work at a time, by a Lease. Each needs `POD_NAME` and `POD_NAMESPACE`.
    #[arg(long, env = "LEADER_ELECT", requires_all = ["pod_name", "pod_namespace"])]
    pub leader_elect: bool,

    /// Name of the operator's pod, by which the others know it in the Lease.
    #[arg(long, env = "POD_NAME")]
    pub pod_name: Option<String>,

    /// Namespace of the operator's pod, where the Lease is.
    #[arg(long, env = "POD_NAMESPACE")]
    pub pod_namespace: Option<String>,

    /// How many objects are reconciled at the same time.
    #[arg(long, env = "CONCURRENCY", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub concurrency: u16,

    /// Address of `/healthz`, `/readyz` and `/metrics`.
    #[arg(long, env = "HTTP_ADDRESS", default_value = "0.0.0.0:8080")]
    pub http_address: SocketAddr,

    /// Log filter in the syntax of `tracing`, for example `info` or `info,kube=debug`.
    #[arg(long, env = "LOG", default_value = "info")]
    pub log: String,
}

impl Config {
    /// How many runs may run at a time.
    pub(crate) fn caps(&self) -> Caps {
        let cap = |cap: Option<NonZeroUsize>| cap.map(NonZeroUsize::get);
        Caps {
            all: cap(self.max_runs),
            namespace: cap(self.max_runs_per_namespace),
            destination: cap(self.max_runs_per_destination),
            server: cap(self.max_runs_per_server),
        }
    }

    /// Who may work, where several replicas could.
    pub(crate) fn election(&self, client: &kube::Client) -> Option<LeaderElection> {
        let (Some(name), Some(namespace)) = (&self.pod_name, &self.pod_namespace) else { return None };
        // 2 s after a release, 15 s after a death: the times of Kubernetes' own controllers.
        self.leader_elect.then(|| LeaderElection::new(client.clone(), namespace, LEASE, name))
    }
}

fn mirror(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((from, to)) if !from.is_empty() && !to.is_empty() => Ok((from.to_owned(), to.to_owned())),
        _ => Err(format!("{text:?} is no FROM=TO, for example docker.io/library=registry.example.com/hub")),
    }
}

/// An amount of memory as Kubernetes writes it, in MiB. Not less than what the mover requests.
fn mebibytes(text: &str) -> Result<u32, String> {
    const LEAST: u32 = 128;
    let wrong = || format!("{text:?} is no amount of memory from {LEAST}Mi on, for example 512Mi or 2Gi");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (figure, unit) = text.split_at_checked(digits).ok_or_else(wrong)?;
    let unit: u64 = match unit {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => return Err(wrong()),
    };
    let bytes = figure.parse::<u64>().ok().and_then(|figure| figure.checked_mul(unit)).ok_or_else(wrong)?;
    u32::try_from(bytes >> 20).ok().filter(|mebibytes| *mebibytes >= LEAST).ok_or_else(wrong)
}

fn plugin_for(text: &str) -> Result<(String, Pin), String> {
    match text.split_once('=') {
        Some((served, plugin)) if !served.is_empty() => Ok((served.to_owned(), plugin.parse()?)),
        _ => Err(format!("{text:?} is no TYPE=PLUGIN, for example redis=redis.example.com@1.2.0")),
    }
}

fn allow_mode(text: &str) -> Result<AllowMode, String> {
    match text {
        "off" => Ok(AllowMode::Off),
        "warn" => Ok(AllowMode::Warn),
        "enforce" => Ok(AllowMode::Enforce),
        _ => Err("it is off, warn or enforce".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use dbbackup_core::imagepolicy::ImagePolicy;
    use dbbackup_protocol::contract::Description;

    use super::*;

    #[test]
    fn the_images_of_the_built_in_plugins_are_allowed() {
        use db_backup_plugin_sdk::Plugin;
        let allowed = ImagePolicy::new(DEFAULT_IMAGES.split(','), []).unwrap();
        let plugins = [
            postgres_plugin::Postgres::describe(),
            mysql_plugin::MySql::describe(),
            mongodb_plugin::MongoDb::describe(),
        ];
        for image in plugins.iter().flat_map(|plugin| &plugin.images) {
            let nothing = Description {
                id: "x".into(),
                version: "1.0.0".into(),
                summary: String::new(),
                database_types: vec![],
                default_port: None,
                bindings: vec![],
                images: vec![],
                settings_schema: "{}".into(),
                labels: vec![],
            };
            let resolved = allowed.resolve(None, Some(&image.reference), &nothing);
            assert_eq!(resolved.as_ref(), Ok(&image.reference));
        }
    }

    #[test]
    fn flags_are_consistent() {
        Config::command().debug_assert();
    }

    #[test]
    fn memory_is_written_as_kubernetes_writes_it() {
        for (text, expected) in [
            ("512Mi", Some(512)),
            ("2Gi", Some(2048)),
            ("1Ti", Some(1024 * 1024)),
            ("131072Ki", Some(128)),
            ("1G", Some(953)),
            ("536870912", Some(512)),
            ("127Mi", None),
            ("512", None),
            ("", None),
            ("Mi", None),
            ("-1Gi", None),
            ("1.5Gi", None),
            ("512MB", None),
            ("512 Mi", None),
            ("99999999999999999999Gi", None),
            ("18446744073709551615Ti", None),
        ] {
            assert_eq!(mebibytes(text).ok(), expected, "{text:?}");
        }
        let parsed = |given: &[&str]| {
            let given = [&["operator", "--operator-image=i"], given].concat();
            Config::try_parse_from(given).map(|config| config.mover_memory).ok()
        };
        assert_eq!([parsed(&[]), parsed(&["--mover-memory=1Gi"])], [Some(512), Some(1024)]);
    }

    #[test]
    fn a_mirror_needs_both_sides() {
        assert_eq!(mirror("a/b=c"), Ok(("a/b".into(), "c".into())));
        assert!(mirror("a/b").is_err() && mirror("=c").is_err() && mirror("a=").is_err());
    }
    #[test]
    fn a_preference_names_a_type_and_a_plugin() {
        let (served, plugin) = plugin_for("redis=redis.example.com@1.2.0").unwrap();
        assert_eq!((served.as_str(), plugin.to_string().as_str()), ("redis", "redis.example.com@1.2.0"));
        assert!(plugin_for("redis").is_err() && plugin_for("=x").is_err() && plugin_for("redis=").is_err());
        assert!(allow_mode("enforce").is_ok() && allow_mode("on").is_err());
    }
}
