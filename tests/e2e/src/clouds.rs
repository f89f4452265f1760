//! Stand-ins for Google's and Azure's stores, each in its test's namespace: what they are is in `tests/images/README.md`.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    kubectl::{Call, kubectl},
    leaks,
    store::Store,
    world::World,
};

/// Bucket or container of all tests.
const BUCKET: &str = "e2e-backups";
/// What the S3 server behind Google's front takes, in its pod alone.
const BEHIND: [&str; 4] =
    ["env", "S3_ENDPOINT=http://127.0.0.1:7070", "AWS_ACCESS_KEY_ID=gcs", "AWS_SECRET_ACCESS_KEY=behind"];

/// Whose store it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// Cloud Storage.
    Google,
    /// Blob Storage.
    Azure,
}

/// A running one.
#[derive(Clone, Debug)]
pub struct Cloud {
    vendor: Vendor,
    namespace: String,
    /// The service account's private key, or the account's.
    key: String,
}

impl World {
    /// A store of this vendor, with a Secret `store` for it in this namespace.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn cloud(&self, vendor: Vendor) -> Result<(Cloud, Store)> {
        let cloud = Cloud::start(vendor, self)?;
        self.secret("store", &borrowed(&cloud.keys()))?;
        Ok((cloud.clone(), Store::Cloud(cloud)))
    }
}

/// As `World::secret` takes entries.
pub fn borrowed<'e>(entries: &'e [(&'static str, String)]) -> Vec<(&'static str, &'e str)> {
    entries.iter().map(|(key, value)| (*key, value.as_str())).collect()
}

/// The key file of a service account whose key is new, or this one.
///
/// # Errors
/// Where `openssl` fails.
pub fn key_file(key: Option<&str>) -> Result<String> {
    let key = key.map_or_else(private_key, |key| Ok(key.to_owned()))?;
    let file = json!({
        "type": "service_account", "project_id": "e2e", "private_key_id": leaks::core("key-id"), "private_key": key,
        "client_email": "backup@e2e.iam.gserviceaccount.com", "token_uri": "https://oauth2.googleapis.com/token",
    });
    Ok(file.to_string())
}

fn private_key() -> Result<String> {
    let arguments = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
    let output = Command::new("openssl").args(arguments).output().context("openssl cannot be started")?;
    ensure!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

impl Cloud {
    fn start(vendor: Vendor, world: &World) -> Result<Self> {
        let key = match vendor {
            Vendor::Google => private_key()?,
            // 24 characters of base64.
            Vendor::Azure => format!("{}aa", leaks::core("azure")),
        };
        let cloud = Self { vendor, namespace: world.namespace().to_owned(), key };
        let name = cloud.name();
        world.secret(&format!("{name}-admin"), &[("password", &cloud.key)])?;
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../images/servers/{name}.yaml"));
        world.kubectl(["apply", "-f", &manifest.to_string_lossy()]).text()?;
        let deployment = format!("deployment/{name}");
        world.kubectl(["rollout", "status", &deployment, "--timeout=240s"]).text()?;
        cloud.probe(&["mb", BUCKET]).text()?;
        Ok(cloud)
    }

    fn name(&self) -> &'static str {
        match self.vendor {
            Vendor::Google => "gcs",
            Vendor::Azure => "azurite",
        }
    }

    /// What belongs into a Secret for it.
    ///
    /// # Errors
    /// Never: the key is there.
    pub fn keys(&self) -> Vec<(&'static str, String)> {
        match self.vendor {
            Vendor::Google => {
                let file = key_file(Some(&self.key)).unwrap_or_default();
                vec![("GOOGLE_APPLICATION_CREDENTIALS", file)]
            }
            Vendor::Azure => {
                vec![("AZURE_STORAGE_ACCOUNT", "azurite".to_owned()), ("AZURE_STORAGE_KEY", self.key.clone())]
            }
        }
    }

    /// A token for the container, good for so many seconds.
    ///
    /// # Errors
    /// Not Azure's.
    pub fn sas(&self, seconds: u32) -> Result<String> {
        ensure!(self.vendor == Vendor::Azure, "only Azure has them");
        Ok(self.probe(&["sas", BUCKET, &seconds.to_string()]).text()?.trim().to_owned())
    }

    pub(crate) fn destination(&self) -> Value {
        let (kind, port) = match self.vendor {
            Vendor::Google => ("gcs", 4443),
            Vendor::Azure => ("azure", 10000),
        };
        json!({
            "type": kind, "bucket": BUCKET, "path": "some/folder", "secretName": "store",
            "endpoint": format!("http://{}.{}.svc:{port}", self.name(), self.namespace)
        })
    }

    pub(crate) fn keys_of_objects(&self) -> Result<Vec<String>> {
        let listing = self.probe(&["ls", BUCKET, &self.folder()]).text()?;
        Ok(listing.lines().map(str::to_owned).collect())
    }

    /// Uploads that nobody completed; of Azure's nothing could be left.
    pub(crate) fn unfinished(&self) -> Result<Vec<String>> {
        match self.vendor {
            Vendor::Google => {
                let uploads = self.probe(&["uploads", BUCKET, &self.folder()]).text()?;
                Ok(uploads.lines().map(str::to_owned).collect())
            }
            Vendor::Azure => Ok(vec![]),
        }
    }

    pub(crate) fn read(&self, key: &str) -> Result<Vec<u8>> {
        self.probe(&["get", BUCKET, key]).bytes()
    }

    fn folder(&self) -> String {
        format!("some/folder/{}/", self.namespace)
    }

    /// Runs the store's probe beside the server.
    fn probe(&self, args: &[&str]) -> Call {
        let key = format!("AZURE_STORAGE_KEY={}", self.key);
        let client: Vec<&str> = match self.vendor {
            Vendor::Google => [&BEHIND[..], &["s3probe"]].concat(),
            Vendor::Azure => vec![
                "env",
                "AZURE_ENDPOINT=http://127.0.0.1:10000/azurite",
                "AZURE_STORAGE_ACCOUNT=azurite",
                &key,
                "azprobe",
            ],
        };
        let deployment = format!("deployment/{}", self.name());
        let exec = ["exec", "-n", &self.namespace, &deployment, "-c", "server", "--"];
        kubectl(exec.into_iter().chain(client).chain(args.iter().copied()))
    }
}
