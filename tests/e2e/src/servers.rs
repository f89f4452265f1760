//! The servers that all tests share, filled once: nobody may change what is in them.

use std::sync::OnceLock;

use anyhow::{Result, anyhow};

use crate::{
    kubectl::kubectl,
    seed,
    server::{Engine, Server},
    sha256, world,
};

/// Where they are.
pub const SERVERS_NAMESPACE: &str = "e2e-servers";

/// A shared server, started and filled by the first test that asks for it.
///
/// # Errors
/// Where it does not start: for every test that asks.
pub fn shared(engine: Engine) -> Result<&'static Server> {
    static SERVERS: [OnceLock<Result<Server, String>>; 9] = [const { OnceLock::new() }; 9];
    let place = SERVERS.get(engine as usize).ok_or_else(|| anyhow!("no place for {engine:?}"))?;
    let server = place.get_or_init(|| start(engine).map_err(|error| format!("{error:#}")));
    server.as_ref().map_err(|error| anyhow!("the shared server {} is not there: {error}", engine.name()))
}

fn start(engine: Engine) -> Result<Server> {
    namespace()?;
    // A server of an earlier run is good if its pod is the one that was filled, with the same data.
    let version = format!("{:.16}", sha256(seed::source(engine).concat()));
    let label = format!("db-backup.test/filled={version}");
    let selector = format!("app={},{label}", engine.name());
    let running = kubectl([
        "get",
        "pods",
        "-n",
        SERVERS_NAMESPACE,
        "-l",
        &selector,
        "--field-selector=status.phase=Running",
        "-o",
        "name",
    ])
    .text()?;
    if !running.trim().is_empty() {
        return Ok(Server { engine, namespace: SERVERS_NAMESPACE.into() });
    }
    let (deployment, secret) =
        (format!("deployment/{}", engine.name()), format!("secret/{}-admin", engine.name()));
    kubectl([
        "delete",
        "-n",
        SERVERS_NAMESPACE,
        "--ignore-not-found",
        "--cascade=foreground",
        &deployment,
        &secret,
    ])
    .text()?;
    let server = Server::start(engine, SERVERS_NAMESPACE)?;
    seed::fill(&server)?;
    let app = format!("app={}", engine.name());
    kubectl(["label", "pods", "-n", SERVERS_NAMESPACE, "-l", &app, &label]).text()?;
    Ok(server)
}

/// Made once; one that the run before is still removing is awaited.
fn namespace() -> Result<()> {
    static MADE: OnceLock<Result<(), String>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        if !world::keep_servers() {
            kubectl(["delete", "namespace", SERVERS_NAMESPACE, "--ignore-not-found", "--timeout=240s"])
                .text()
                .map_err(|error| format!("{error:#}"))?;
        }
        world::make_namespace(SERVERS_NAMESPACE).map_err(|error| format!("{error:#}"))
    });
    made.clone().map_err(|error| anyhow!(error))
}
