//! What is in a store, seen from outside the operator.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    clouds::Cloud,
    kubectl::kubectl,
    server::{Engine, Server},
    world::World,
};

/// Bucket of all tests. Their namespaces keep them apart.
const BUCKET: &str = "e2e-backups";
/// The one with object lock.
const LOCKED_BUCKET: &str = "e2e-locked";

/// A place for backups.
#[derive(Clone, Debug)]
pub enum Store {
    /// A bucket.
    S3 {
        /// Where it is.
        server: Server,
        /// The test's namespace, under which its backups are.
        namespace: String,
    },
    /// A claim.
    Claim {
        /// The test's namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A bucket or container of another vendor.
    Cloud(Cloud),
}

impl Store {
    /// A server's bucket, which is made if need be.
    pub(crate) fn s3(server: &Server, namespace: &str) -> Result<Self> {
        s3(server, &["mb", BUCKET])?;
        Ok(Self::S3 { server: server.clone(), namespace: namespace.to_owned() })
    }

    /// A pod looks into the claim.
    pub(crate) fn claim(world: &World, name: &str) -> Result<Self> {
        let pod = inspector(name);
        world.apply(&json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": false,
                "securityContext": {
                    "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"}
                },
                "containers": [{
                    "name": "inspect", "image": "db-backup.test/busybox:1", "imagePullPolicy": "Never",
                    "command": ["sleep", "3600"],
                    "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                    "volumeMounts": [{"name": "claim", "mountPath": "/claim"}]
                }],
                "volumes": [{"name": "claim", "persistentVolumeClaim": {"claimName": name}}]
            }
        }))?;
        let pod = format!("pod/{pod}");
        world.kubectl(["wait", &pod, "--for=condition=Ready", "--timeout=120s"]).text()?;
        Ok(Self::Claim { namespace: world.namespace().to_owned(), name: name.to_owned() })
    }

    /// `spec.storageDestination` for it.
    pub fn destination(&self) -> Value {
        match self {
            Self::S3 { server, .. } => json!({
                "type": "s3", "bucket": BUCKET, "path": "some/folder",
                "endpoint": format!("http://{}:7070", server.host()), "secretName": "store"
            }),
            Self::Cloud(cloud) => cloud.destination(),
            Self::Claim { name, .. } => json!({"type": "pvc", "pvcName": name, "path": "some/folder"}),
        }
    }

    /// Every file or object of the test's namespace, whatever its name, as keys.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub fn keys(&self) -> Result<Vec<String>> {
        let listing = match self {
            Self::S3 { server, namespace } => {
                s3(server, &["ls", BUCKET, &format!("some/folder/{namespace}/")])?
            }
            Self::Cloud(cloud) => return cloud.keys_of_objects(),
            // Whatever lies on a claim is the test's; mkfs made lost+found.
            Self::Claim { namespace, name } => {
                let find = "cd /claim && find . -type f ! -path './lost+found*' | sed 's,^[.]/,,'";
                exec(namespace, name, &["sh", "-c", find]).text()?
            }
        };
        Ok(listing.lines().map(str::to_owned).collect())
    }

    /// Multipart uploads that nobody completed or aborted.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub fn unfinished(&self) -> Result<Vec<String>> {
        match self {
            Self::S3 { server, namespace } => {
                let uploads = s3(server, &["uploads", BUCKET, &format!("some/folder/{namespace}/")])?;
                Ok(uploads.lines().map(str::to_owned).collect())
            }
            Self::Cloud(cloud) => cloud.unfinished(),
            Self::Claim { .. } => Ok(vec![]),
        }
    }

    /// Leaves an unfinished upload and an object of the object `name` behind, as an attempt did that was killed long ago.
    ///
    /// # Errors
    /// Where the store does not take them.
    pub fn killed_long_ago(&self, name: &str) -> Result<()> {
        let Self::S3 { server, namespace } = self else { return Ok(()) };
        let folder = format!("some/folder/{namespace}/{name}/20260101T000000Z-0badcafe/deadbeef");
        let left = |verb: &str, file: &str| {
            let args = [verb, BUCKET, &format!("{folder}/{file}")].map(str::to_owned).to_vec();
            server.exec([server.client("s3probe"), args].concat()).input("part").text()
        };
        left("put", "whole.sql.zst")?;
        let upload = left("begin", "upload.sql.zst")?;
        // The server tells the age of both by their files.
        let age = format!(
            "cd /data/buckets/{BUCKET} && touch -d '2026-01-01 00:00' {folder}/whole.sql.zst .sgwtmp/multipart/*/{}",
            upload.trim()
        );
        server.exec(["sh", "-c", &age]).text().map(drop)
    }

    /// Leaves an unfinished upload and an object in a folder.
    ///
    /// # Errors
    /// Where the store does not take them.
    pub fn litter(&self, folder: &str) -> Result<()> {
        let Self::S3 { server, .. } = self else { return Ok(()) };
        for (verb, file) in [("put", "deadbeef/whole.zst"), ("begin", "deadbeef/upload.zst")] {
            let args = [verb, BUCKET, &format!("{folder}/{file}")].map(str::to_owned).to_vec();
            server.exec([server.client("s3probe"), args].concat()).input("part").text()?;
        }
        Ok(())
    }

    /// Puts an object into a bucket.
    ///
    /// # Errors
    /// Where the store does not take it, or is none.
    pub fn put(&self, key: &str, content: &str) -> Result<()> {
        let Self::S3 { server, .. } = self else { anyhow::bail!("no bucket of the tests' own") };
        let args = ["put", BUCKET, key].map(str::to_owned).to_vec();
        server.exec([server.client("s3probe"), args].concat()).input(content).text().map(drop)
    }

    /// The same place in another bucket, in which every object is locked for a day.
    ///
    /// # Errors
    /// Where the store does not make it, or is a claim.
    pub fn locked(&self) -> Result<Value> {
        let Self::S3 { server, .. } = self else { anyhow::bail!("a claim has no object lock") };
        s3(server, &["mb", "-l", LOCKED_BUCKET])?;
        let mut destination = self.destination();
        let bucket = destination.get_mut("bucket").context("a bucket")?;
        *bucket = json!(LOCKED_BUCKET);
        Ok(destination)
    }

    /// Makes sure that the test's namespace has left nothing: no manifest, no part, no unfinished upload.
    ///
    /// # Errors
    /// What is there.
    pub fn holds_nothing(&self) -> Result<()> {
        let (keys, uploads) = (self.keys()?, self.unfinished()?);
        ensure!(keys.is_empty(), "the store holds {keys:?}");
        ensure!(uploads.is_empty(), "the store holds unfinished uploads {uploads:?}");
        Ok(())
    }

    /// Fetches everything under a prefix into a folder, as the first step of restoring by hand says.
    pub(crate) fn fetch(&self, prefix: &str, into: &Path) -> Result<()> {
        for key in self.keys()?.iter().filter(|key| key.starts_with(prefix)) {
            let relative = key.strip_prefix(prefix).unwrap_or(key).trim_start_matches('/');
            let file = into.join(relative);
            fs::create_dir_all(file.parent().unwrap_or(into))?;
            fs::write(&file, self.read(key)?)
                .with_context(|| format!("{} cannot be written", file.display()))?;
        }
        Ok(())
    }

    /// One object.
    ///
    /// # Errors
    /// Where it is not there.
    pub fn read(&self, key: &str) -> Result<Vec<u8>> {
        match self {
            Self::S3 { server, .. } => server
                .exec([server.client("s3probe"), vec!["get".into(), BUCKET.into(), key.into()]].concat())
                .bytes(),
            Self::Cloud(cloud) => cloud.read(key),
            Self::Claim { namespace, name } => {
                exec(namespace, name, &["cat", &format!("/claim/{key}")]).bytes()
            }
        }
    }
}

impl Store {
    /// Damages one byte in the middle of an object on a claim.
    ///
    /// # Errors
    /// Where it is not there, or in a bucket.
    pub fn flip_a_byte(&self, key: &str) -> Result<()> {
        let Self::Claim { namespace, name } = self else { anyhow::bail!("a bucket's objects are whole") };
        let flip = "f=/claim/$1; half=$(($(wc -c <\"$f\") / 2)); \
                    byte=$(dd if=\"$f\" bs=1 skip=$half count=1 2>/dev/null | od -An -tu1 | tr -d ' '); \
                    printf \"\\\\$(printf %o $(((byte + 1) % 256)))\" | \
                    dd of=\"$f\" bs=1 seek=$half count=1 conv=notrunc 2>/dev/null";
        exec(namespace, name, &["sh", "-ec", flip, "sh", key]).text().map(drop)
    }
}

/// Name of the pod that looks into a claim.
fn inspector(claim: &str) -> String {
    format!("inspect-{claim}")
}

fn exec(namespace: &str, claim: &str, command: &[&str]) -> crate::kubectl::Call {
    let pod = inspector(claim);
    kubectl(["exec", "-n", namespace, &pod, "--"].iter().chain(command).copied())
}

/// Runs `s3probe` beside the server.
fn s3(server: &Server, args: &[&str]) -> Result<String> {
    debug_assert_eq!(server.engine(), Engine::S3);
    let args = args.iter().map(|&arg| arg.to_owned()).collect();
    server.exec([server.client("s3probe"), args].concat()).text()
}
