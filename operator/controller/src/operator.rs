//! The operator as a whole: all but its process.

use std::{pin::Pin, sync::Arc};

use anyhow::Context as _;
use dbbackup_plugin_host::Compiler;
use kube::Client;

use crate::{
    clock::Clock, config::Config, context::Context, http::Readiness, metrics::Metrics, planner::Planner,
    plugins::Plugins, watch,
};

/// What runs until it fails or is told to stop. Boxed here, so that it is compiled here, and not by everyone who awaits it.
pub type Work = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// When to stop.
pub type Stop = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// The operator as a whole. It acts through one client and by one clock.
#[derive(Debug)]
pub struct Operator {
    config: Config,
    planner: Arc<Planner>,
    /// None: others keep up with the directories.
    plugins: Option<Plugins>,
    metrics: Arc<Metrics>,
    ready: Readiness,
}

impl Operator {
    /// One that loads its plugins, which `compiler` compiles.
    ///
    /// # Errors
    /// A flag that cannot be used, or no plugin engine.
    pub fn new(config: Config, compiler: Compiler) -> anyhow::Result<Self> {
        let metrics = Arc::new(Metrics::new());
        let plugins = Plugins::new(&config, compiler, Arc::clone(&metrics))?;
        let planner = plugins.planner();
        Ok(Self { config, planner, plugins: Some(plugins), metrics, ready: Readiness::default() })
    }

    /// One whose plugins are somebody else's business.
    pub fn with_planner(config: Config, planner: Arc<Planner>) -> Self {
        let metrics = Arc::new(Metrics::new());
        Self { config, planner, plugins: None, metrics, ready: Readiness::default() }
    }

    /// Serves `/healthz`, `/readyz` and `/metrics` for as long as the future lives.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn serve(&self) -> Work {
        let server =
            crate::http::serve(self.config.http_address, self.ready.clone(), Arc::clone(&self.metrics));
        Box::pin(async { server.await.context("the HTTP server ended") })
    }

    /// Runs passes until `stop`; passes under way are finished.
    ///
    /// # Errors
    /// A part of it died, or another process leads: this one has to begin anew.
    pub fn run(self, client: Client, clock: Clock, stop: Stop) -> Work {
        let Self { config, planner, plugins, metrics, ready } = self;
        let (context, caches) =
            Context::new(client, clock, planner, metrics, (config.min_interval, config.caps()));
        Box::pin(async move { watch::run(&config, context, caches, plugins, ready, stop).await })
    }
}
