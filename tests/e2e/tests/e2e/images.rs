//! Client images that may not or cannot run.

use anyhow::Result;
use dbbackup_e2e::{Spec, run};
use serde_json::json;

#[test]
#[ignore = "needs a cluster: make e2e"]
fn an_image_that_is_not_allowed_is_refused_with_the_remedy() -> Result<()> {
    run("image-denied", |world| {
        let store = world.claim("backups", "64Mi")?;
        let spec = Spec::generic(&store, &["echo"]).set("image", json!("evil.example.com/tools/dump:1"));
        let backup = world.backup("any", spec)?;
        backup.is_refused("ImageNotAllowed", &["evil.example.com/tools/dump", "allowed-image"])?;
        backup.run_now()?;
        // The wish to run is not forgotten, and not granted.
        backup.is_refused("ImageNotAllowed", &[])?;
        let jobs = world.kubectl(["get", "jobs", "--output", "name"]).text()?;
        anyhow::ensure!(jobs.is_empty(), "{jobs}");
        store.holds_nothing()
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn an_image_that_cannot_be_pulled_is_told_while_the_run_waits() -> Result<()> {
    run("image-missing", |world| {
        let store = world.claim("backups", "64Mi")?;
        let spec = Spec::generic(&store, &["echo"]).set("image", json!("db-backup.test/busybox:no-such-tag"));
        let backup = world.backup("any", spec)?;
        backup.run_now()?.says_while_running("ImagePullFailed", &["busybox:no-such-tag"])?;
        store.holds_nothing()
    })
}
