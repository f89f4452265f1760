//! The line to the API server.

use std::time::Duration;

use anyhow::Context as _;
use kube::{Client, Config};

use crate::cache::WATCH_SECONDS;

/// A connection that is silent for so long is given up. A watch may be silent until the server ends it.
const SILENT: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 30);

/// Connects as the environment says: from inside a pod, or by a kubeconfig.
///
/// A server that takes a request and never answers it ends a pass after two minutes, and a list or a watch after four. Nothing is
/// tried again down here, where nobody knows whether it is still wanted: a pass that fails is repeated after a backoff of its own.
///
/// # Errors
/// There is no such environment, or it cannot be used.
pub async fn connect() -> anyhow::Result<Client> {
    let config =
        Config::infer().await.context("cannot find the API server: run in a pod or set KUBECONFIG")?;
    Client::try_from(patient(config)).context("cannot use what leads to the API server")
}

fn patient(mut config: Config) -> Config {
    config.read_timeout = Some(SILENT);
    config.reset_reader_on_write = true;
    config.default_retry = false;
    config
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use kube::Api;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_server_that_never_answers_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let silent = tokio::spawn(async move {
            let mut held = vec![];
            while let Ok((connection, _)) = listener.accept().await {
                held.push(connection);
            }
        });
        let mut config = patient(Config::new(url.parse().unwrap()));
        assert_eq!(config.read_timeout, Some(SILENT));
        config.read_timeout = Some(Duration::from_millis(50));
        let pods: Api<Pod> = Api::namespaced(Client::try_from(config).unwrap(), "default");
        assert!(pods.get("any").await.is_err());
        silent.abort();
    }
}
