//! What holds for every Job, whatever stands in the spec and in the plan.

use dbbackup_api::{storage::WebIdentity, template::PodTemplate};
use k8s_openapi::api::core::v1::{Container, PodSpec};
use proptest::{option, prelude::*, sample::select};

use super::*;

/// Kubernetes' expansion of `$(NAME)` in environment values
/// (`third_party/forked/golang/expansion` of kubernetes/kubernetes), written anew.
fn expand(value: &str, known: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = after;
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some((name, tail)) = after.strip_prefix('(').and_then(|after| after.split_once(')')) {
            out.push_str(known.get(name).map_or(&format!("$({name})"), |value| value));
            rest = tail;
        } else {
            out.push('$');
        }
    }
    out + rest
}

fn pod(job: &Job) -> &PodSpec {
    job.spec.as_ref().unwrap().template.spec.as_ref().unwrap()
}

fn container<'a>(job: &'a Job, name: &str) -> &'a Container {
    pod(job).containers.iter().find(|container| container.name == name).unwrap()
}

/// The environment as the process in the container sees it.
pub(super) fn environment(job: &Job, name: &str) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::from([("POD_UID".to_owned(), "EXPANDED".to_owned())]);
    for variable in container(job, name).env.iter().flatten() {
        if let Some(value) = &variable.value {
            seen.insert(variable.name.clone(), expand(value, &seen));
        }
    }
    seen
}

fn names_of(job: &Job, name: &str) -> Vec<String> {
    container(job, name).env.iter().flatten().map(|variable| variable.name.clone()).collect()
}

/// Secrets whose volumes a container mounts.
pub(super) fn secrets_of(job: &Job, name: &str) -> Vec<String> {
    let mounts = container(job, name).volume_mounts.iter().flatten();
    let volumes = pod(job).volumes.as_ref().unwrap();
    mounts
        .flat_map(|mount| volumes.iter().filter(|volume| volume.name == mount.name))
        .filter_map(|volume| volume.projected.as_ref())
        .flat_map(|projected| projected.sources.iter().flatten())
        .filter_map(|source| source.secret.as_ref().map(|secret| secret.name.clone()))
        .collect()
}

/// What holds for every pod.
pub(super) fn assert_safe_pod(job: &Job, spec: &DatabaseBackupSpec) {
    let pod = pod(job);
    // Command lines are constants.
    let install = &pod.init_containers.as_ref().unwrap()[0];
    assert_eq!(install.command.as_ref().unwrap(), &["/bin/agent", "install", "/run/db-backup/agent"]);
    assert_eq!(container(job, "client").command.as_ref().unwrap(), &["/run/db-backup/agent/agent", "shim"]);
    assert_eq!(container(job, "mover").command.as_ref().unwrap(), &["/bin/agent", "move"]);
    assert_eq!((pod.containers.len(), pod.init_containers.as_ref().unwrap().len()), (2, 1));
    assert_restricted(job);
    assert!(
        [install, container(job, "mover")]
            .iter()
            .all(|it| it.image.as_deref() == Some(config().operator_image.as_str()))
    );
    // Volumes: sized emptyDirs, Secrets by named keys, the one claim, the one token.
    for volume in pod.volumes.iter().flatten() {
        match (&volume.empty_dir, &volume.projected, &volume.persistent_volume_claim) {
            (Some(empty), None, None) => assert!(empty.size_limit.is_some()),
            (None, Some(projected), None) => {
                assert_eq!(projected.default_mode, Some(0o440));
                for source in projected.sources.iter().flatten() {
                    if let Some(token) = &source.service_account_token {
                        assert_eq!((volume.name.as_str(), &source.secret), ("web-identity", &None));
                        assert_eq!(token.audience.as_deref(), Some("sts.amazonaws.com"));
                        assert_eq!(token.expiration_seconds, Some(600));
                        continue;
                    }
                    let secret = source.secret.as_ref().unwrap();
                    assert_eq!(secret.optional, Some(true));
                    for item in secret.items.as_ref().unwrap() {
                        assert!(!item.path.contains('/') && !item.path.starts_with('.'), "{}", item.path);
                    }
                }
            }
            (None, None, Some(claim)) => {
                assert_eq!(Some(&claim.claim_name), spec.storage_destination.pvc_name.as_ref());
            }
            _ => panic!("unexpected kind of volume {}", volume.name),
        }
    }
    // Mount points are constants, and the two sides share nothing but the socket.
    let mounts = |name: &str| -> Vec<String> {
        container(job, name).volume_mounts.iter().flatten().map(|mount| mount.name.clone()).collect()
    };
    let client = ["agent", "socket", "config", "scratch", "bindings", "database-tls"];
    let mover = ["socket", "storage-credentials", "storage-ca", "backups", "private-key", "web-identity"];
    assert!(mounts("client").iter().all(|name| client.contains(&name.as_str())), "{:?}", mounts("client"));
    assert!(mounts("mover").iter().all(|name| mover.contains(&name.as_str())), "{:?}", mounts("mover"));
    for mount in pod.containers.iter().chain([install]).flat_map(|it| it.volume_mounts.iter().flatten()) {
        assert!(
            mount.mount_path.starts_with("/run/db-backup/")
                || ["/credentials", "/backups"].contains(&mount.mount_path.as_str())
        );
        assert_eq!((&mount.sub_path, &mount.sub_path_expr, &mount.mount_propagation), (&None, &None, &None));
    }
}

/// What holds for a pod whose mover is alone.
pub(super) fn assert_safe_mover(job: &Job) {
    assert_restricted(job);
    let pod = pod(job);
    assert_eq!((pod.containers.len(), &pod.init_containers), (1, &None));
    let mover = container(job, "mover");
    assert_eq!(mover.command.as_ref().unwrap(), &["/bin/agent", "move"]);
    assert_eq!(mover.image.as_deref(), Some(config().operator_image.as_str()));
    for volume in pod.volumes.iter().flatten() {
        let known = ["storage-credentials", "storage-ca", "backups", "web-identity"];
        assert!(known.contains(&volume.name.as_str()), "{}", volume.name);
        if volume.name == "web-identity" {
            continue;
        }
        let secrets = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
        assert!(secrets.clone().all(|source| source.secret.as_ref().unwrap().items.is_some()));
        assert!(volume.projected.is_some() != volume.persistent_volume_claim.is_some());
    }
}

/// The Restricted Pod Security Standard, and nothing besides.
fn assert_restricted(job: &Job) {
    let pod = pod(job);
    // Restricted Pod Security Standard.
    let host = [pod.host_network, pod.host_pid, pod.host_ipc, pod.share_process_namespace];
    assert_eq!((host, &pod.node_name, &pod.ephemeral_containers), ([None; 4], &None, &None));
    assert_eq!((pod.automount_service_account_token, pod.enable_service_links), (Some(false), Some(false)));
    let security = pod.security_context.as_ref().unwrap();
    assert_eq!((security.run_as_non_root, security.run_as_user), (Some(true), Some(65532)));
    assert_eq!(security.seccomp_profile.as_ref().unwrap().type_, "RuntimeDefault");
    assert_eq!((&security.sysctls, &security.supplemental_groups), (&None, &None));
    for container in pod.containers.iter().chain(pod.init_containers.iter().flatten()) {
        assert_eq!((&container.args, &container.env_from, &container.lifecycle), (&None, &None, &None));
        assert_eq!((&container.volume_devices, &container.ports, container.stdin), (&None, &None, None));
        let security = container.security_context.as_ref().unwrap();
        assert_eq!(security.allow_privilege_escalation, Some(false));
        assert_eq!(security.read_only_root_filesystem, Some(true));
        assert_eq!(
            (security.privileged, security.run_as_user, &security.seccomp_profile),
            (Some(false), None, &None)
        );
        let capabilities = security.capabilities.as_ref().unwrap();
        assert_eq!(
            (&capabilities.add, capabilities.drop.as_ref().unwrap()),
            (&None, &vec!["ALL".to_owned()])
        );
        assert!(
            container.resources.is_some() && container.image_pull_policy.as_deref() == Some("IfNotPresent")
        );
    }
}

fn assert_safe(job: &Job, spec: &DatabaseBackupSpec) {
    assert_safe_pod(job, spec);
    // The environment is what was written, unexpanded.
    let all = ["DB_TYPE", "STORAGE_TYPE", "BUCKET", "BACKUP_PATH", "WORK_ORDER", "POD_UID"];
    assert_eq!(
        (names_of(job, "mover"), names_of(job, "client")),
        (all.map(String::from).to_vec(), all[..5].iter().map(|&name| name.into()).collect())
    );
    for name in ["client", "mover"] {
        let env = environment(job, name);
        assert_eq!(env["DB_TYPE"], spec.database_type);
        assert_eq!(env["BACKUP_PATH"], spec.storage_destination.path.clone().unwrap_or_default());
        let order = WorkOrder::parse(&env["WORK_ORDER"]).unwrap();
        assert_eq!(order.database_type, spec.database_type);
        assert!(order.limits.deadline_seconds > 0);
    }
    // What finds the Job and its pods is ours.
    let template = job.spec.as_ref().unwrap().template.metadata.as_ref().unwrap();
    for labels in [&job.metadata.labels, &template.labels] {
        let labels = labels.as_ref().unwrap();
        assert_eq!((labels["app"].as_str(), labels[NAME_LABEL].as_str()), ("db-backup-operator", "orders"));
        assert!(!labels.contains_key("job-name") && !labels.contains_key("batch.kubernetes.io/job-name"));
    }
    let owner = &job.metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!((owner.kind.as_str(), owner.controller), ("DatabaseBackup", Some(true)));
}

#[test]
fn the_wall_between_the_two_secrets_stands() {
    let job = rendered(s3_spec()).unwrap();
    assert_eq!(secrets_of(&job, "client"), ["orders-db-backup", "orders-db-ca", "orders-db-client"]);
    assert_eq!(secrets_of(&job, "mover"), ["backup-store", "store-ca"]);
    assert!(pod(&job).init_containers.as_ref().unwrap()[0].volume_mounts.as_ref().unwrap().len() == 1);
    assert_safe(&job, &object(s3_spec()).spec);
    assert_safe(&rendered(pvc_spec()).unwrap(), &object(pvc_spec()).spec);
}

#[test]
fn kubernetes_expands_what_is_not_escaped() {
    let known = BTreeMap::from([("POD_UID".to_owned(), "x".to_owned())]);
    assert_eq!(expand("a $(POD_UID) $$(POD_UID) $(NO) $$$$ $", &known), "a x $(POD_UID) $(NO) $$ $");
}

const NASTY: [&str; 12] = [
    "$(POD_UID)",
    "$$(POD_UID)",
    "$",
    "a$$b$(",
    "; rm -rf /",
    "`id`",
    "../../etc",
    "\u{0}",
    "-x\n--y",
    "\"}],\"x\":[{\"",
    "ünï\u{202e}",
    "",
];

fn nasty() -> impl Strategy<Value = String> {
    prop_oneof![3 => select(NASTY.to_vec()).prop_map(String::from), 1 => ".{0,40}"]
}

/// Where nonsense is refused: sense, mostly, so that the rest is reached.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![9 => "[a-z][a-z0-9-]{0,8}[a-z]", 1 => nasty()]
}

fn key_ref() -> impl Strategy<Value = SecretKeyRef> {
    (name(), prop_oneof![9 => "[a-zA-Z._]{1,9}", 1 => nasty()])
        .prop_map(|(name, key)| SecretKeyRef { name, key })
}

prop_compose! {
    fn template()(
        labels in proptest::collection::btree_map(
            prop_oneof![nasty(), select(vec!["app", NAME_LABEL, "job-name", "batch.kubernetes.io/job-name"]).prop_map(String::from)],
            nasty(), 0..4),
        annotations in proptest::collection::btree_map(nasty(), nasty(), 0..4),
        node_selector in proptest::collection::btree_map(nasty(), nasty(), 0..3),
        priority_class_name in option::of(nasty()),
        image_pull_secrets in proptest::collection::vec(nasty(), 0..3),
    ) -> PodTemplate {
        PodTemplate { labels, annotations, node_selector, priority_class_name, image_pull_secrets, ..PodTemplate::default() }
    }
}

fn identity() -> impl Strategy<Value = WebIdentity> {
    (nasty(), name(), option::of(nasty())).prop_map(|(role_arn, service_account_name, sts_endpoint)| {
        WebIdentity { role_arn, service_account_name, sts_endpoint }
    })
}

prop_compose! {
    fn spec()(
        kind in prop_oneof![Just(StorageType::S3), Just(StorageType::Pvc), Just(StorageType::Gcs), Just(StorageType::Azure)],
        (database_type, host, database, image) in (nasty(), nasty(), nasty(), nasty()),
        (path, bucket, claim) in (prop_oneof![4 => "[a-z$/]{0,10}", 1 => nasty()], name(), name()),
        (endpoint, region) in (option::of(name().prop_map(|host| format!("https://{host}"))), option::of(nasty())),
        (credentials, secret, client_secret) in (name(), option::of(name()), option::of(name())),
        (ca, store_ca) in (option::of(key_ref()), option::of(key_ref())),
        identity in option::of(identity()),
        template in template(),
        (deadline, backoff, level) in any::<(i64, i32, i32)>(),
    ) -> DatabaseBackupSpec {
        let mut spec = object(s3_spec()).spec;
        spec.database_type = database_type;
        spec.image = Some(image);
        spec.pod_template = Some(template);
        spec.active_deadline_seconds = deadline;
        spec.backoff_limit = backoff;
        spec.compression.level = level;
        let connection = spec.connection.as_mut().unwrap();
        connection.host = host;
        connection.database = Some(database);
        connection.credentials.as_mut().unwrap().secret_name = credentials;
        let tls = connection.tls.as_mut().unwrap();
        tls.ca_secret = ca;
        tls.client_secret_name = client_secret;
        let storage = &mut spec.storage_destination;
        storage.type_ = kind;
        storage.web_identity = identity;
        storage.path = Some(path);
        storage.bucket = Some(bucket);
        storage.pvc_name = Some(claim);
        storage.endpoint = endpoint;
        storage.region = region;
        storage.secret_name = secret;
        storage.ca_secret = store_ca;
        spec
    }
}

proptest! {
    /// Hostile strings everywhere: a Job that keeps every promise, or none.
    #[test]
    fn no_spec_breaks_a_job(spec in spec(), words in proptest::collection::vec(nasty(), 1..5), token in option::of(nasty())) {
        let mut object = object(s3_spec());
        object.spec = spec;
        let (mut planned, config, job) = (planned(), config(), job(token.as_deref()));
        if let PartSource::One(part) = &mut planned.plan.parts[0] {
            part.process = process(&words.iter().map(String::as_str).collect::<Vec<_>>());
        }
        match render(&RenderInput { object: &object, job: &job, planned: &planned, config: &config }) {
            Ok(rendered) => {
                assert_safe(&rendered, &object.spec);
                prop_assert_eq!(work_order_of(&rendered, "client").plan, planned.plan);
            }
            Err(error) => prop_assert!(!error.issues().is_empty() && error.issues().iter().all(|issue| !issue.message.is_empty())),
        }
    }
}
