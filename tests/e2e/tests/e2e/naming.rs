//! What a user may name in an object: Secrets, service accounts, backups.

use anyhow::{Result, ensure};
use dbbackup_e2e::{Call, Spec, World, run, until};
use serde_json::{Value, json};

use crate::policies::changed;

/// A user `writer` who may write `DatabaseBackups` and read the Secrets `mine` and `too`, and a user `reader` who may
/// read all.
fn users(world: &World) -> Result<()> {
    let verbs = ["create", "get", "patch", "update"];
    let kinds = ["databasebackups", "databaserestores", "databasesnapshots"];
    let write = json!({"apiGroups": ["db.example.io"], "resources": kinds, "verbs": verbs});
    let all = json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]});
    let some = json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["mine", "too"]});
    for (user, read) in [("writer", some), ("reader", all)] {
        world.apply(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": user},
            "rules": [write, read]
        }))?;
        world.apply(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": user},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]
        }))?;
    }
    Ok(())
}

/// Every place of a Secret's name, with what may stand there.
fn places(name: &str) -> [(&'static str, Value); 7] {
    [
        ("retention", json!({"keepLast": 1, "secretName": name})),
        ("connection.credentials.secretName", json!(name)),
        ("connection.tls", json!({"mode": "verify-ca", "caSecret": {"name": name}})),
        ("connection.tls", json!({"mode": "require", "clientSecretName": name})),
        ("storageDestination.secretName", json!(name)),
        ("storageDestination.caSecret", json!({"name": name})),
        ("podTemplate.imagePullSecrets", json!(["too", name])),
    ]
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn who_names_a_secret_may_read_it() -> Result<()> {
    run("secret-names", |world| {
        users(world)?;
        let spec = Spec::bare("postgres")
            .set("connection", json!({"host": "db", "credentials": {"secretName": "mine"}}))
            .set("storageDestination", json!({"type": "s3", "bucket": "b", "secretName": "too"}));
        let create = |user: &str, spec: &Spec| {
            let create = ["create", "--dry-run=server", "--filename", "-", &format!("--as={user}")];
            world.kubectl(create).input(spec.object("any").to_string())
        };
        for (path, value) in places("mine") {
            create("writer", &spec.clone().set(path, value)).text()?;
        }
        for (path, value) in places("theirs") {
            let spec = spec.clone().set(path, value);
            let said = create("writer", &spec).refusal()?;
            let sentence = "\"theirs\", which writer may not read";
            ensure!(said.contains(&format!("spec.{path}")) && said.contains(sentence), "{path}: {said}");
            create("reader", &spec).text()?;
        }
        // Each of these may be there and null, as templates like to write it.
        for path in [
            "connection",
            "connection.credentials",
            "connection.tls",
            "storageDestination.secretName",
            "podTemplate",
        ] {
            create("writer", &spec.clone().set(path, Value::Null)).text()?;
        }
        let many = spec.set("podTemplate.imagePullSecrets", json!(["mine", "too", "mine"]));
        let said = create("writer", &many).refusal()?;
        ensure!(said.contains("more than two Secrets"), "{said}");
        create("reader", &many).text().map(drop)
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn who_names_a_service_account_may_make_its_tokens() -> Result<()> {
    run("account-names", |world| {
        users(world)?;
        let token = ["--verb=create", "--resource=serviceaccounts/token", "--resource-name=mine"];
        world.kubectl(["create", "role", "tokens"].iter().chain(&token).copied()).text()?;
        world.kubectl(["create", "rolebinding", "tokens", "--role=tokens", "--user=writer"]).text()?;
        let destination = |account: &str| {
            let identity = json!({"roleArn": "arn:aws:iam::1:role/a", "serviceAccountName": account});
            json!({"type": "s3", "bucket": "b", "path": "a", "webIdentity": identity})
        };
        let backup = |account: &str| {
            Spec::bare("postgres").set("storageDestination", destination(account)).object("any")
        };
        let restore = |account: &str| {
            json!({
                "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseRestore", "metadata": {"name": "any"},
                "spec": {"source": {"storage": destination(account)}, "databaseType": "postgres", "target": {"host": "db"}}
            })
        };
        let create = |user: &str, object: &Value| {
            let create = ["create", "--dry-run=server", "--filename", "-", &format!("--as={user}")];
            world.kubectl(create).input(object.to_string())
        };
        until("the right to make tokens", || {
            Ok(create("writer", &backup("mine")).text().is_ok().then_some(()))
        })?;
        create("writer", &restore("mine")).text()?;
        // Who reads all Secrets is not who may be all service accounts.
        for (user, account) in [("writer", "theirs"), ("reader", "mine")] {
            for object in [backup(account), restore(account)] {
                let said = create(user, &object).refusal()?;
                let sentence = format!("\"{account}\", whose tokens {user} may not make");
                ensure!(
                    said.contains("webIdentity.serviceAccountName") && said.contains(&sentence),
                    "{said}"
                );
            }
        }
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn who_restores_may_read_what_is_restored() -> Result<()> {
    run("restore-names", |world| {
        users(world)?;
        let create = |user: &str, source: Value, secret: &str| {
            let restore = json!({
                "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseRestore", "metadata": {"name": "any"},
                "spec": {
                    "source": source, "databaseType": "postgres",
                    "target": {"host": "db", "credentials": {"secretName": secret}}
                }
            });
            let create = ["create", "--dry-run=server", "--filename", "-", &format!("--as={user}")];
            world.kubectl(create).input(restore.to_string())
        };
        let folder = |secret: &str| json!({"storage": {"type": "s3", "bucket": "b", "path": "a/b", "secretName": secret}});
        create("writer", folder("mine"), "too").text()?;
        for (source, secret, field) in [
            (folder("theirs"), "mine", "spec.source.storage.secretName"),
            (folder("mine"), "theirs", "spec.target.credentials.secretName"),
        ] {
            let said = create("writer", source.clone(), secret).refusal()?;
            ensure!(said.contains(field) && said.contains("\"theirs\", which writer may not read"), "{said}");
            create("reader", source, secret).text()?;
        }
        let said = create("writer", json!({"backupName": "orders"}), "mine").refusal()?;
        ensure!(said.contains("may not restore its backups") && said.contains("verb restore"), "{said}");
        let said = create("writer", json!({"snapshotName": "orders-1"}), "mine").refusal()?;
        ensure!(said.contains("\"orders-1\", and writer may not restore it"), "{said}");
        world
            .kubectl([
                "create",
                "role",
                "restorer",
                "--verb=restore",
                "--resource=databasebackups.db.example.io",
            ])
            .text()?;
        world.kubectl(["create", "rolebinding", "restorer", "--role=restorer", "--user=writer"]).text()?;
        until("the right to restore", || {
            Ok(create("writer", json!({"backupName": "orders"}), "mine").text().is_ok().then_some(()))
        })?;
        // On the one is not on the other.
        create("writer", json!({"snapshotName": "orders-1"}), "mine").refusal()?;
        let verb = ["--verb=restore", "--resource=databasesnapshots.db.example.io"];
        world.kubectl([&["create", "role", "snapshots"], &verb[..]].concat()).text()?;
        world.kubectl(["create", "rolebinding", "snapshots", "--role=snapshots", "--user=writer"]).text()?;
        until("the right to restore a snapshot", || {
            Ok(create("writer", json!({"snapshotName": "orders-1"}), "mine").text().is_ok().then_some(()))
        })
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_snapshots_data_is_removed_by_nobody_who_may_not_read_its_secrets() -> Result<()> {
    run("snapshot-names", |world| {
        users(world)?;
        let at = "2026-01-01T00:00:00Z";
        let snapshot = |namespace: &str, keys: &str, deletion: &str| {
            json!({
                "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseSnapshot", "metadata": {"name": "any"},
                "spec": {
                    "backup": {
                        "name": "orders", "uid": "u", "databaseType": "generic", "slot": at, "clientImage": "x",
                        "plugin": {"id": "x", "version": "1", "digest": "x"}
                    },
                    "location": {
                        "storage": {"type": "s3", "bucket": "b", "secretName": keys}, "url": "s3://b/x",
                        "folder": format!("{namespace}/orders/20260101T000000Z-0badcafe"), "manifestSha256": "0".repeat(64)
                    },
                    "contents": {"startedAt": at, "finishedAt": at, "bytesRead": 1, "bytesStored": 1, "parts": 1},
                    "deletionPolicy": "Delete", "deletionSecretName": deletion
                }
            })
        };
        let create = |user: &str, snapshot: &Value| {
            let create = ["create", "--dry-run=server", "--filename", "-", &format!("--as={user}")];
            world.kubectl(create).input(snapshot.to_string())
        };
        let own = world.namespace();
        create("writer", &snapshot(own, "mine", "too")).text()?;
        for (keys, deletion, field) in [
            ("theirs", "mine", "spec.location.storage.secretName"),
            ("mine", "theirs", "spec.deletionSecretName"),
        ] {
            let said = create("writer", &snapshot(own, keys, deletion)).refusal()?;
            ensure!(said.contains(field) && said.contains("\"theirs\", which writer may not read"), "{said}");
            create("reader", &snapshot(own, keys, deletion)).text()?;
        }
        let said = create("reader", &snapshot("elsewhere", "mine", "too")).refusal()?;
        ensure!(said.contains("folder of another namespace"), "{said}");
        for folder in
            ["orders", "x/orders", "x/other/20260101T000000Z-0badcafe", "x/orders/../../y/orders/latest"]
        {
            let odd = changed(&snapshot(own, "mine", "too"), "/spec/location/folder", Some(json!(folder)))?;
            let said = create("reader", &odd).refusal()?;
            ensure!(said.contains("spec.location.folder is that of one run"), "{folder}: {said}");
        }
        Ok(())
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn who_changes_a_spec_may_read_its_secrets() -> Result<()> {
    run("secret-edits", |world| {
        users(world)?;
        let spec = Spec::bare("postgres")
            .set("connection", json!({"host": "db", "credentials": {"secretName": "theirs"}}))
            .set("storageDestination", json!({"type": "s3", "bucket": "b"}));
        world.apply(&spec.object("any"))?;
        let patch = |user: &str, patch: Value| -> Call {
            let (patch, user) = (patch.to_string(), format!("--as={user}"));
            world.kubectl(["patch", "databasebackup", "any", "--type=merge", "--patch", &patch, &user])
        };
        // The name is old, and the password would go to another server.
        let elsewhere = json!({"spec": {"connection": {"host": "elsewhere"}}});
        let said = patch("writer", elsewhere.clone()).refusal()?;
        ensure!(said.contains("\"theirs\", which writer may not read"), "{said}");
        patch("reader", elsewhere).text()?;
        // A run by hand, and a way out.
        patch("writer", json!({"metadata": {"annotations": {"db.example.io/run-now": "now"}}})).text()?;
        patch("writer", json!({"spec": {"connection": {"credentials": {"secretName": "mine"}}}}))
            .text()
            .map(drop)
    })
}
