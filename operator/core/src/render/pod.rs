//! The pod: two containers and the one that installs the agent, under the Restricted Pod Security Standard.

use std::collections::{BTreeMap, BTreeSet};

use dbbackup_api::{
    CATALOGUE, DatabaseBackupSpec, GROUP, PROBE, PURPOSE_LABEL, storage::StorageType, template::PodTemplate,
};
use dbbackup_protocol::{
    pod::{
        AGENT, AGENT_DIR, AGENT_IN_IMAGE, CLIENT, ENV_BACKUP_PATH, ENV_BUCKET, ENV_CATALOGUE_ORDER,
        ENV_DB_TYPE, ENV_POD_UID, ENV_PROBE_ORDER, ENV_REMOVAL_ORDER, ENV_RESTORE_ORDER, ENV_STORAGE_TYPE,
        ENV_WORK_ORDER, INSTALL, MOVER,
    },
    work_order::BoundSecret,
};
use k8s_openapi::{
    api::batch::v1::JobSpec,
    api::core::v1::{
        Capabilities, Container, EnvVar, EnvVarSource, LocalObjectReference, ObjectFieldSelector,
        PodSecurityContext, PodSpec, PodTemplateSpec, ResourceRequirements, SeccompProfile, SecurityContext,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};

use super::{
    Owner, RenderConfig,
    volumes::{self, Mounted, Mounter, SecretFiles},
};

/// Time between SIGTERM and SIGKILL for the pod: the agent ends the plan's processes, which have their own, shorter
/// grace period, aborts its uploads and reports.
const TERMINATION_GRACE_SECONDS: i64 = 60;

/// What a pod is made of.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) spec: &'a DatabaseBackupSpec,
    pub(super) config: &'a RenderConfig,
    pub(super) owner: &'a Owner<'a>,
    /// Full reference of the client image.
    pub(super) image: &'a str,
    pub(super) bindings: &'a [BoundSecret],
    /// None: the smallest.
    pub(super) scratch_mebibytes: Option<u32>,
    pub(super) purpose: Purpose,
    /// The order, already escaped for an environment value.
    pub(super) order: &'a str,
    pub(super) tls: Vec<SecretFiles>,
    /// Opens the backup of a restore.
    pub(super) private_key: Vec<SecretFiles>,
    /// Memory that the mover needs beyond the administrator's figure.
    pub(super) mover_mebibytes: u32,
}

impl<'a> Parts<'a> {
    /// Of a pod whose mover is alone: no client, and nothing of the database.
    pub(super) fn without_client(
        (spec, config): (&'a DatabaseBackupSpec, &'a RenderConfig),
        owner: &'a Owner<'a>,
        purpose: Purpose,
        order: &'a str,
    ) -> Self {
        Self {
            spec,
            config,
            owner,
            image: "",
            bindings: &[],
            scratch_mebibytes: None,
            purpose,
            order,
            tls: vec![],
            private_key: vec![],
            mover_mebibytes: 0,
        }
    }
}

/// Of a Job that finds something out: one attempt, for the operator makes the next one, under another name.
pub(super) fn errand(parts: &Parts<'_>, deadline_seconds: i64) -> JobSpec {
    JobSpec {
        active_deadline_seconds: Some(deadline_seconds),
        backoff_limit: Some(0),
        pod_replacement_policy: Some("Failed".into()),
        template: template(parts),
        ..JobSpec::default()
    }
}

/// What a pod is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It makes a backup.
    Backup,
    /// It asks the server; there is nothing of the storage in it.
    Probe,
    /// It brings a backup back; the storage is only read.
    Restore,
    /// It removes a backup; the mover is alone.
    Removal,
    /// It looks which backups are in storage, which is only read; the mover is alone.
    Catalogue,
}

/// The pod template of the Job.
pub(super) fn template(parts: &Parts<'_>) -> PodTemplateSpec {
    let own = PodTemplate::default();
    let wishes = parts.spec.pod_template.as_ref().unwrap_or(&own);
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels(wishes, parts)),
            annotations: Some(wished(&wishes.annotations)).filter(|all| !all.is_empty()),
            ..ObjectMeta::default()
        }),
        spec: Some(pod_spec(parts, wishes)),
    }
}

fn pod_spec(parts: &Parts<'_>, wishes: &PodTemplate) -> PodSpec {
    let volumes = volumes::all(parts);
    let secrets: BTreeSet<_> =
        parts.config.image_pull_secrets.iter().chain(&wishes.image_pull_secrets).cloned().collect();
    let (init_containers, containers) = match parts.purpose {
        Purpose::Removal | Purpose::Catalogue => (None, vec![mover(parts, &volumes)]),
        Purpose::Backup | Purpose::Probe | Purpose::Restore => (
            Some(vec![install(parts, &volumes)]),
            vec![client(parts, wishes, &volumes), mover(parts, &volumes)],
        ),
    };
    PodSpec {
        init_containers,
        containers,
        volumes: Some(volumes.into_iter().map(|mounted| mounted.volume).collect()),
        restart_policy: Some("Never".into()),
        termination_grace_period_seconds: Some(TERMINATION_GRACE_SECONDS),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        service_account_name: service_account(parts),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: parts.config.run_as,
            run_as_group: parts.config.run_as,
            fs_group: parts.config.run_as,
            // A claim full of backups is not walked before each run.
            fs_group_change_policy: Some("OnRootMismatch".into()),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".into(),
                ..SeccompProfile::default()
            }),
            ..PodSecurityContext::default()
        }),
        image_pull_secrets: some(secrets.into_iter().map(|name| LocalObjectReference { name }).collect()),
        node_selector: Some(wishes.node_selector.clone()).filter(|all| !all.is_empty()),
        tolerations: some(wishes.tolerations.clone()),
        affinity: wishes.affinity.clone(),
        priority_class_name: wishes.priority_class_name.clone(),
        ..PodSpec::default()
    }
}

/// The administrator's, or the one whose role the store trusts; a probe has nothing to do with the store.
fn service_account(parts: &Parts<'_>) -> Option<String> {
    let destination = &parts.spec.storage_destination;
    let identity = destination.web_identity.as_ref();
    let trusted =
        identity.filter(|_| parts.purpose != Purpose::Probe && destination.type_ == StorageType::S3);
    let trusted = trusted.map(|identity| identity.service_account_name.clone());
    trusted.or_else(|| parts.config.service_account.clone())
}

/// Copies the agent to where the client, an image without it, can run it.
fn install(parts: &Parts<'_>, volumes: &[Mounted]) -> Container {
    Container {
        command: Some(words(&[AGENT_IN_IMAGE, "install", AGENT_DIR])),
        resources: Some(resources("10m", "16Mi", "64Mi")),
        ..container(INSTALL, &parts.config.operator_image, Mounter::Install, volumes)
    }
}

fn client(parts: &Parts<'_>, wishes: &PodTemplate, volumes: &[Mounted]) -> Container {
    let resources = match &wishes.resources {
        // Claims would name devices that the pod does not have.
        Some(own) => ResourceRequirements { claims: None, ..own.clone() },
        None => parts.config.client_resources.clone(),
    };
    Container {
        command: Some(words(&[AGENT, "shim"])),
        env: Some(env(parts)),
        resources: Some(resources),
        ..container(CLIENT, parts.image, Mounter::Client, volumes)
    }
}

fn mover(parts: &Parts<'_>, volumes: &[Mounted]) -> Container {
    let mut env = env(parts);
    env.push(EnvVar {
        name: ENV_POD_UID.into(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector { api_version: None, field_path: "metadata.uid".into() }),
            ..EnvVarSource::default()
        }),
    });
    Container {
        command: Some(words(&[AGENT_IN_IMAGE, "move"])),
        env: Some(env),
        resources: Some(larger(&parts.config.mover_resources, parts.mover_mebibytes)),
        // The run report; where there is none, the end of the log is better than nothing.
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        ..container(MOVER, &parts.config.operator_image, Mounter::Mover, volumes)
    }
}

/// What all containers have in common.
fn container(name: &str, image: &str, by: Mounter, volumes: &[Mounted]) -> Container {
    Container {
        name: name.into(),
        image: Some(image.to_owned()),
        image_pull_policy: Some("IfNotPresent".into()),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { add: None, drop: Some(vec!["ALL".into()]) }),
            privileged: Some(false),
            read_only_root_filesystem: Some(true),
            ..SecurityContext::default()
        }),
        volume_mounts: some(volumes.iter().filter_map(|mounted| mounted.mount(by)).collect()),
        ..Container::default()
    }
}

/// The variables that the original system gave, and the order.
fn env(parts: &Parts<'_>) -> Vec<EnvVar> {
    let spec = parts.spec;
    let destination = &spec.storage_destination;
    let order =
        |name: &str| EnvVar { name: name.into(), value: Some(parts.order.to_owned()), value_from: None };
    match parts.purpose {
        Purpose::Backup | Purpose::Restore | Purpose::Removal | Purpose::Catalogue => vec![
            literal(ENV_DB_TYPE, &spec.database_type),
            literal(ENV_STORAGE_TYPE, destination.type_.as_str()),
            literal(ENV_BUCKET, destination.bucket.as_deref().unwrap_or_default()),
            literal(ENV_BACKUP_PATH, destination.path.as_deref().unwrap_or_default()),
            order(match parts.purpose {
                Purpose::Restore => ENV_RESTORE_ORDER,
                Purpose::Removal => ENV_REMOVAL_ORDER,
                Purpose::Catalogue => ENV_CATALOGUE_ORDER,
                Purpose::Backup | Purpose::Probe => ENV_WORK_ORDER,
            }),
        ],
        Purpose::Probe => vec![literal(ENV_DB_TYPE, &spec.database_type), order(ENV_PROBE_ORDER)],
    }
}

/// Kubernetes expands `$(NAME)` in values and `$$` to `$`: a doubled `$` is what was written.
fn literal(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.into(), value: Some(value.replace('$', "$$")), value_from: None }
}

/// The user's labels under ours.
fn labels(wishes: &PodTemplate, parts: &Parts<'_>) -> BTreeMap<String, String> {
    let mut labels = wished(&wishes.labels);
    labels.extend(parts.owner.labels());
    let purpose = match parts.purpose {
        Purpose::Probe => Some(PROBE),
        Purpose::Catalogue => Some(CATALOGUE),
        Purpose::Backup | Purpose::Restore | Purpose::Removal => None,
    };
    labels.extend(purpose.map(|purpose| (PURPOSE_LABEL.to_owned(), purpose.to_owned())));
    labels
}

/// Labels or annotations that a user may set. Not ours, not those by which the Job finds its pods, not the old
/// annotations that switch off the node's confinement.
fn wished(wishes: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let reserved = |key: &str| {
        let domain = key.split_once('/').map_or("", |(domain, _)| domain);
        matches!(key, "job-name" | "controller-uid")
            || domain == "batch.kubernetes.io"
            || domain.ends_with("security.beta.kubernetes.io")
            || domain.ends_with("security.alpha.kubernetes.io")
            || domain.ends_with(GROUP)
    };
    wishes.iter().filter(|(key, _)| !reserved(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// No limit on processor time: a dump that is slowed down holds its snapshot for longer.
pub(super) fn resources(cpu: &str, memory: &str, memory_limit: &str) -> ResourceRequirements {
    let quantity = |text: &str| Quantity(text.into());
    ResourceRequirements {
        requests: Some(BTreeMap::from([("cpu".into(), quantity(cpu)), ("memory".into(), quantity(memory))])),
        limits: Some(BTreeMap::from([("memory".into(), quantity(memory_limit))])),
        claims: None,
    }
}

/// The same with a higher limit of memory. A figure that is not in `Mi` is the administrator's own affair.
fn larger(resources: &ResourceRequirements, mebibytes: u32) -> ResourceRequirements {
    let mut resources = resources.clone();
    let limit = resources.limits.as_mut().and_then(|limits| limits.get_mut("memory"));
    if let Some(limit) = limit
        && let Some(old) = limit.0.strip_suffix("Mi").and_then(|figure| figure.parse::<u32>().ok())
    {
        *limit = Quantity(format!("{}Mi", old.saturating_add(mebibytes)));
    }
    resources
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}
