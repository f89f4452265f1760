//! Backups that the cluster writes and cannot read: restored as their manifest says, with the program `age`.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use dbbackup_e2e::{Engine, Spec, run, shared};
use dbbackup_protocol::manifest::Cipher;
use serde_json::json;

/// A public and a private key of `age-keygen`.
pub(crate) fn pair() -> Result<(String, String)> {
    let made = Command::new("age-keygen").output().context("age-keygen: tests/setup installs it")?;
    let private = String::from_utf8(made.stdout)?;
    let public =
        private.lines().find_map(|line| line.strip_prefix("# public key: ")).context("no public key")?;
    Ok((public.to_owned(), private))
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_whole_server_comes_back_with_the_private_key_and_not_without() -> Result<()> {
    run("encrypted", |world| {
        let (source, store) = (shared(Engine::Postgres18)?, world.s3()?);
        world.login(&source.backup_login())?;
        let ((ours, _), (theirs, key), (_, stranger)) = (pair()?, pair()?, pair()?);
        let spec = Spec::of(source, &store).set("encryption", json!({"recipients": [ours, theirs]}));
        let download = world.backup("server", spec)?.run_now()?.ended()?.succeeded()?;
        let manifest = &download.manifest;
        ensure!(
            manifest.encryption.as_ref().is_some_and(|encryption| encryption.recipients == [ours, theirs])
        );
        ensure!(manifest.parts.iter().all(|part| part.encryption == Cipher::Age), "{:?}", manifest.parts);
        for part in &manifest.parts {
            let stored = download.stored(part)?;
            ensure!(stored.starts_with(b"age-encryption.org/v1\n"), "{} is readable", part.object);
        }
        let target = world.server(Engine::Postgres18)?;
        download.with_key(&stranger)?;
        let refused = download.restore_into(&target).err().context("restored with the key of a stranger")?;
        ensure!(refused.to_string().contains("no identity matched"), "{refused}");
        download.with_key(&key)?;
        download.restore_into(&target)?;
        source.fingerprint(true)?.came_back(&target.fingerprint(true)?)
    })
}

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_mistyped_recipient_is_told_long_before_the_slot() -> Result<()> {
    run("recipient-mistyped", |world| {
        let (key, _) = pair()?;
        let mut mistyped = key.clone();
        let last = mistyped.pop();
        mistyped.push(if last == Some('q') { 'p' } else { 'q' });
        let spec = Spec::generic(&world.s3()?, &["echo", "dump"])
            .set("encryption", json!({"recipients": [key, mistyped]}));
        let backup = world.backup("any", spec)?;
        backup.is_refused("RecipientInvalid", &["spec.encryption.recipients[1]", "mistyped"]).map(drop)
    })
}
