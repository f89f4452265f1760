//! PostgreSQL: every dump is restored into an empty server as its manifest says, and compared.

use anyhow::Result;
use dbbackup_e2e::{Engine, Spec, run, shared};

#[test]
#[ignore = "needs a cluster: make e2e"]
fn a_whole_server_with_hostile_names_comes_back_with_its_roles() -> Result<()> {
    run("pg-server", |world| {
        let (source, store) = (shared(Engine::Postgres18)?, world.s3()?);
        world.login(&source.backup_login())?;
        let backup = world.backup("server", Spec::of(source, &store))?;
        let download = backup.run_now()?.ended()?.succeeded()?;
        let target = world.server(Engine::Postgres18)?;
        download.restore_into(&target)?;
        source.fingerprint(true)?.came_back(&target.fingerprint(true)?)
    })
}
