//! A store that trusts a service account instead of keys.

use super::*;

fn spec() -> serde_json::Value {
    let mut spec = s3_spec();
    spec["storageDestination"] = json!({
        "type": "s3", "bucket": "b", "region": "eu-west-1", "webIdentity": {
            "roleArn": "arn:aws:iam::1:role/backup", "serviceAccountName": "backups",
            "stsEndpoint": "https://sts.example.com"
        }
    });
    spec
}

#[test]
fn the_mover_alone_has_a_token_and_it_is_for_the_token_service_alone() {
    let job = rendered(spec()).unwrap();
    invariants::assert_safe_pod(&job, &object(spec()).spec);
    let pod = job.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
    assert_eq!(pod.service_account_name.as_deref(), Some("backups"));
    let mounts = |container: &k8s_openapi::api::core::v1::Container| {
        container.volume_mounts.iter().flatten().any(|mount| mount.name == "web-identity")
    };
    let all = pod.containers.iter().chain(pod.init_containers.iter().flatten());
    let with: Vec<_> = all.filter(|one| mounts(one)).map(|one| one.name.as_str()).collect();
    assert_eq!(with, ["mover"]);
    let Storage::S3(s3) = work_order_of(&job, "mover").storage else { panic!("not s3") };
    let identity = s3.web_identity.unwrap();
    assert_eq!((identity.role.as_str(), s3.secret), ("arn:aws:iam::1:role/backup", None));
}

#[test]
fn a_probe_is_nobody_that_a_store_trusts() {
    let probe = serde_json::to_string(&probe_job(spec())).unwrap();
    assert!(
        !probe.contains("web-identity") && !probe.contains("\"serviceAccountName\":\"backups\""),
        "{probe}"
    );
}

#[rstest]
#[case::keys(json!({"secretName": "store"}), json!({}), "/storageDestination/webIdentity", "CredentialsAmbiguous")]
#[case::plain(json!({}), json!({"stsEndpoint": "http://sts"}), "/storageDestination/webIdentity/stsEndpoint", "EndpointInvalid")]
#[case::name(json!({}), json!({"serviceAccountName": "A/b"}), "/storageDestination/webIdentity/serviceAccountName", "NameInvalid")]
fn what_is_refused(
    #[case] destination: serde_json::Value,
    #[case] identity: serde_json::Value,
    #[case] pointer: &str,
    #[case] reason: &str,
) {
    let mut spec = spec();
    let fields = |value: serde_json::Value| value.as_object().unwrap().clone();
    let storage = spec["storageDestination"].as_object_mut().unwrap();
    storage.extend(fields(destination));
    storage["webIdentity"].as_object_mut().unwrap().extend(fields(identity));
    let issues = rendered(spec).unwrap_err().issues();
    let found: Vec<_> = issues.iter().map(|issue| (issue.path.as_str(), issue.reason.as_str())).collect();
    assert_eq!(found, [(pointer, reason)]);
}
