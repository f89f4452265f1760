//! What `deploy/` promises: the operator's rights, and the Jobs that it may create.

use anyhow::{Context, Result, ensure};
use dbbackup_e2e::{OPERATOR_NAMESPACE, kubectl, run};
use serde_json::{Value, json};

use crate::posture;

fn as_operator() -> String {
    format!("--as=system:serviceaccount:{OPERATOR_NAMESPACE}:db-backup-operator")
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn the_operator_has_no_right_to_secrets() -> Result<()> {
    let operator = as_operator();
    for (verb, resource) in [
        ("get", "secrets"),
        ("list", "secrets"),
        ("watch", "secrets"),
        ("create", "secrets"),
        ("create", "pods"),
        ("create", "pods/exec"),
        ("get", "configmaps"),
        ("update", "jobs"),
        ("update", "databasesnapshots"),
        ("update", "databasebackups"),
        ("patch", "databasebackups"),
        ("create", "databaserestores"),
        ("patch", "databaserestores"),
        ("patch", "validatingadmissionpolicies.admissionregistration.k8s.io"),
        ("create", "rolebindings"),
        ("impersonate", "users"),
    ] {
        kubectl(["auth", "can-i", verb, resource, "--all-namespaces", &operator]).refusal()?;
    }
    // The question is asked rightly.
    kubectl(["auth", "can-i", "create", "jobs", "--all-namespaces", &operator]).text().map(drop)
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn the_api_server_doubts_no_expression_of_a_policy() -> Result<()> {
    for policy in ["jobs", "secrets", "restores", "identities", "snapshots"] {
        let policy = &format!("db-backup-operator-{policy}");
        let object = kubectl(["get", "validatingadmissionpolicy", policy]).json()?;
        ensure!(object["status"]["typeChecking"] == json!({}), "{policy}: {:#}", object["status"]);
    }
    Ok(())
}

/// A copy of a document with a value at a JSON pointer, or without what is there. `/-` is behind the last of a list.
pub(crate) fn changed(document: &Value, pointer: &str, value: Option<Value>) -> Result<Value> {
    let mut copy = document.clone();
    let (parent, last) = pointer.rsplit_once('/').context("a pointer")?;
    match (copy.pointer_mut(parent).with_context(|| format!("nothing at {parent}"))?, value) {
        (Value::Array(items), Some(value)) => items.push(value),
        (Value::Object(fields), Some(value)) => drop(fields.insert(last.to_owned(), value)),
        (Value::Object(fields), None) => {
            ensure!(fields.remove(last).is_some(), "nothing at {pointer}");
        }
        (place, _) => anyhow::bail!("{pointer} is in {place}"),
    }
    Ok(copy)
}

fn token_volume(name: &str, audience: &str, seconds: u32) -> Value {
    let token = json!({"path": "token", "audience": audience, "expirationSeconds": seconds});
    json!({"name": name, "projected": {"sources": [{"serviceAccountToken": token}]}})
}

/// What no Job of the operator has: a place in its pod, what stands there, and what the refusal says.
fn dangerous_pods() -> Vec<(&'static str, Option<Value>, &'static str)> {
    let (node, token, restricted) = ("shares nothing with its node", "mounts no token", "restricted profile");
    let (mounts, environment, agent) =
        ("mounts only", "no Secret in its environment", "starts the agent and nothing else");
    let secret = json!({"name": "X", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}});
    let service_account = json!([{"serviceAccountToken": {"path": "token"}}]);
    let privileged = json!({"privileged": true, "runAsNonRoot": true, "capabilities": {"drop": ["ALL"]}});
    vec![
        ("/hostNetwork", Some(json!(true)), node),
        ("/hostPID", Some(json!(true)), node),
        ("/hostIPC", Some(json!(true)), node),
        ("/nodeName", Some(json!("node")), node),
        ("/containers/0/ports", Some(json!([{"containerPort": 80, "hostPort": 80}])), node),
        ("/automountServiceAccountToken", Some(json!(true)), token),
        ("/automountServiceAccountToken", None, token),
        ("/volumes/-", Some(json!({"name": "node", "hostPath": {"path": "/"}})), mounts),
        ("/volumes/-", Some(json!({"name": "token", "projected": {"sources": service_account}})), mounts),
        ("/volumes/-", Some(token_volume("token", "sts.amazonaws.com", 600)), mounts),
        ("/volumes/-", Some(token_volume("web-identity", "https://kubernetes.default.svc", 600)), mounts),
        ("/volumes/-", Some(token_volume("web-identity", "sts.amazonaws.com", 86_400)), mounts),
        ("/containers/0/envFrom", Some(json!([{"secretRef": {"name": "login"}}])), environment),
        ("/containers/0/env/-", Some(secret), environment),
        ("/containers/0/securityContext", Some(privileged), restricted),
        ("/containers/0/securityContext", None, restricted),
        ("/containers/0/securityContext/readOnlyRootFilesystem", Some(json!(false)), restricted),
        ("/containers/1/securityContext/capabilities/add", Some(json!(["NET_ADMIN"])), restricted),
        ("/initContainers/0/securityContext/runAsUser", Some(json!(0)), restricted),
        ("/securityContext/seccompProfile", None, restricted),
        ("/containers/0/command", Some(json!(["sh", "-c", "id"])), agent),
        ("/containers/0/command", None, agent),
        ("/containers/0/args", Some(json!(["x"])), agent),
        ("/containers/0/lifecycle", Some(json!({"preStop": {"exec": {"command": ["sh"]}}})), agent),
    ]
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn even_a_subverted_operator_creates_no_dangerous_job() -> Result<()> {
    run("policy", |world| {
        let operator = as_operator();
        let real = posture::job(world)?;
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {
                "name": "copy", "labels": {"app": "db-backup-operator", "databasebackup.db.example.io/name": "orders"},
                "ownerReferences": real["metadata"]["ownerReferences"]
            },
            "spec": {"template": {"spec": real["spec"]["template"]["spec"]}}
        });
        let create = |job: &Value| {
            world.kubectl(["create", "--dry-run=server", &operator, "--filename", "-"]).input(job.to_string())
        };
        create(&job).text()?;
        let token = token_volume("web-identity", "sts.amazonaws.com", 600);
        let with_token = changed(&job, "/spec/template/spec/volumes/-", Some(token))?;
        create(&with_token).text()?;
        let mount = json!({"name": "web-identity", "mountPath": "/run/token"});
        let shown = changed(&with_token, "/spec/template/spec/containers/0/volumeMounts/-", Some(mount))?;
        let said = create(&shown).refusal()?;
        ensure!(said.contains("to its mover only"), "{said}");
        let owned = "controlled by one DatabaseBackup";
        let refused = |pointer: &str, value: Option<Value>, sentence: &str| -> Result<()> {
            let said = create(&changed(&job, pointer, value.clone())?).refusal()?;
            ensure!(said.contains(sentence), "{pointer}: {value:?}: expected {sentence:?}, found: {said}");
            Ok(())
        };
        refused("/metadata/ownerReferences", None, owned)?;
        refused("/metadata/ownerReferences/0/kind", Some(json!("ConfigMap")), owned)?;
        refused("/metadata/labels/app", None, owned)?;
        // The label has to be that of its kind.
        refused("/metadata/ownerReferences/0/kind", Some(json!("DatabaseRestore")), owned)?;
        // A snapshot's Job is that of a removal: no client, nothing of the database.
        let mut removal = changed(&job, "/metadata/ownerReferences/0/kind", Some(json!("DatabaseSnapshot")))?;
        let name = removal["metadata"]["ownerReferences"][0]["name"].clone();
        removal["metadata"]["labels"]["databasesnapshot.db.example.io/name"] = name;
        let said = create(&removal).refusal()?;
        ensure!(said.contains("has the mover alone"), "{said}");
        // A Job that looks into storage is the mover's, too, and writes on no claim.
        let purpose = json!({
            "app": "db-backup-operator", "databasebackup.db.example.io/name": "orders",
            "databasebackup.db.example.io/purpose": "catalogue"
        });
        refused("/metadata/labels", Some(purpose), "a Job that looks into storage has the mover alone")?;
        for (pointer, value, sentence) in dangerous_pods() {
            refused(&format!("/spec/template/spec{pointer}"), value, sentence)?;
        }
        Ok(())
    })
}
