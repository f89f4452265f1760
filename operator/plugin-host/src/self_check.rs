//! What a plugin has to stand before it is used: a request that is made up for it.

use dbbackup_protocol::contract::{Connection, Request, Tls, TlsMode};
use dbbackup_protocol::optional::Failure;
use dbbackup_protocol::pod;
use dbbackup_protocol::restore::{Mode, RestoreRequest};
use serde_json::{Map, Value};

use crate::Plugin;
use crate::error::{CallError, LoadError};
use crate::stats::Function;

impl Plugin {
    /// Calls each function that it has with a request that is made up from its own description, the default settings and
    /// all bindings, and the planning one twice. What it answers is its business, as long as it answers, and equally. A plugin
    /// whose settings have no defaults is not asked for plans. Blocks, for at most the deadline of each call.
    ///
    /// # Errors
    /// [`LoadError::SelfCheck`].
    pub fn self_check(&self) -> Result<(), LoadError> {
        let failed = |function: Function| move |error| LoadError::SelfCheck { call: function.name(), error };
        if let Ok(settings) = self.validate_settings(None) {
            let request = self.made_up(settings);
            self.check(&request).map_err(failed(Function::Check))?;
            let plans =
                [self.plan(&request), self.plan(&request)].map(|plan| plan.map_err(failed(Function::Plan)));
            let [first, second] = plans;
            if first? != second? {
                return Err(failed(Function::Plan)(CallError::BadOutput {
                    at: "the plan".to_owned(),
                    why: "equal requests got different answers".to_owned(),
                }));
            }
            if let Some(answer) = self.probe_plan(&request) {
                answer.map(drop).map_err(failed(Function::ProbePlan))?;
            }
            let restore = RestoreRequest {
                target: request,
                databases: vec![],
                renames: vec![],
                mode: Mode::Refuse,
                facts: vec![],
            };
            if let Some(answer) = self.restore_plan(&restore) {
                answer.map(drop).map_err(failed(Function::RestorePlan))?;
            }
        }
        let failure = Failure {
            phase: "dump".to_owned(),
            part: Some("self-check".to_owned()),
            exit_code: Some(1),
            signal: None,
            stderr: "self-check".to_owned(),
            facts: vec![],
        };
        self.explain(&failure).map(drop).map_err(failed(Function::Explain))
    }

    fn made_up(&self, settings: Map<String, Value>) -> Request {
        let description = self.description();
        let tls = Tls { mode: TlsMode::Prefer, ca_file: None, certificate_file: None, key_file: None };
        let (host, port) = ("self-check.invalid".to_owned(), description.default_port);
        Request {
            namespace: "self-check".to_owned(),
            name: "self-check".to_owned(),
            database_type: description.database_types.first().cloned().unwrap_or_default(),
            connection: Some(Connection { host, port, database: None, tls }),
            bindings: description.bindings.iter().map(|binding| binding.name.clone()).collect(),
            server: None,
            settings: Value::Object(settings).to_string(),
            config_dir: pod::CONFIG_DIR.to_owned(),
            scratch_dir: pod::SCRATCH_DIR.to_owned(),
            facts: vec![],
        }
    }
}
