//! From a restore and the plugin that serves it to a plan that may run; the same way as for backups.

use dbbackup_api::DatabaseRestore;
use dbbackup_protocol::{
    contract::{Issue, PlanSource},
    restore::{RestorePlan, RestoreRequest},
    work_order::{BoundSecret, PluginRef},
};

use super::{
    Administration, Refused,
    make::{Refusal, allowed, prepared},
};
use crate::{
    police,
    render::{RestoreInput, mode, renames, render_restore},
    restoring::Source,
};

/// A plan of a restore that may be rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedRestore {
    /// Who planned.
    pub plugin: PluginRef,
    /// What passed the police.
    pub plan: RestorePlan,
    /// Full reference of the client image, allowed and mirrored.
    pub image: String,
    /// Secret values to mount.
    pub bindings: Vec<BoundSecret>,
}

/// Asks `plugin` how to restore and looks at the answer.
///
/// # Errors
/// Why it cannot be done, for status.
pub fn plan_restore(
    restore: &DatabaseRestore,
    source: &Source,
    plugin: &impl PlanSource,
    administration: &Administration,
) -> Result<PlannedRestore, Refused> {
    planned(restore, source, plugin, administration).map_err(|refusal| {
        let refusal = match refusal {
            Refusal::Issues(issues) => Refusal::Issues(issues.into_iter().map(in_restore).collect()),
            other => other,
        };
        refusal.about(&plugin.identity(), false)
    })
}

fn planned(
    restore: &DatabaseRestore,
    source: &Source,
    plugin: &impl PlanSource,
    administration: &Administration,
) -> Result<PlannedRestore, Refusal> {
    let (spec, description) = (&source.object.spec, plugin.description());
    let prepared = prepared(&source.object, plugin)?;
    let request = RestoreRequest {
        target: prepared.request,
        databases: restore.spec.databases.clone(),
        renames: renames(restore),
        mode: mode(restore.spec.mode),
        facts: source.facts.clone(),
    };
    let Some(plan) = plugin.restore_plan(&request)? else {
        return Err(Refusal::Issues(vec![Issue {
            path: "/databaseType".into(),
            reason: "RestoreNotSupported".into(),
            message: format!(
                "plugin {} cannot restore; restore by hand, as the manifest beside the backup says",
                description.id
            ),
        }]));
    };
    let plan = plan.map_err(Refusal::Issues)?;
    let supplied: Vec<_> = prepared.bindings.iter().map(|bound| bound.name.clone()).collect();
    let violations = police::check_restore(&plan, description, &supplied);
    let image = allowed(violations, plan.image.as_deref(), spec, description, administration)?;
    let planned = PlannedRestore { plugin: plugin.identity(), plan, image, bindings: prepared.bindings };
    let config = &administration.render;
    render_restore(&RestoreInput { restore, name: "restore", source, planned: &planned, config })
        .map_err(|error| error.issues())?;
    Ok(planned)
}

/// A pointer into the backup that the restore looks like, as one into the restore.
fn in_restore(issue: Issue) -> Issue {
    let path = [("/connection", "/target"), ("/storageDestination", "/source/storage")]
        .into_iter()
        .find_map(|(from, to)| Some(format!("{to}{}", issue.path.strip_prefix(from)?)));
    Issue { path: path.unwrap_or(issue.path), ..issue }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use dbbackup_protocol::{
        contract::{Description, Fact, Fault, Request},
        plan::BackupPlan,
    };
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::{imagepolicy::ImagePolicy, render::RenderConfig, restoring::resolve};

    /// Remembers what it is asked, and refuses it.
    struct Asked(Description, RefCell<Vec<RestoreRequest>>);

    impl PlanSource for Asked {
        fn identity(&self) -> PluginRef {
            PluginRef { id: "x".into(), version: "1.0.0".into(), digest: "sha256:0".into() }
        }
        fn description(&self) -> &Description {
            &self.0
        }
        fn validate_settings(
            &self,
            settings: Option<&Map<String, Value>>,
        ) -> Result<Map<String, Value>, Vec<Issue>> {
            Ok(settings.cloned().unwrap_or_default())
        }
        fn plan(&self, _: &Request) -> Result<Result<BackupPlan, Vec<Issue>>, Fault> {
            Ok(Err(vec![]))
        }
        fn restore_plan(
            &self,
            request: &RestoreRequest,
        ) -> Result<Option<Result<RestorePlan, Vec<Issue>>>, Fault> {
            self.1.borrow_mut().push(request.clone());
            let message = "no".to_owned();
            Ok(Some(Err(vec![Issue { path: "/connection/host".into(), reason: "Refused".into(), message }])))
        }
    }

    #[test]
    fn a_plugin_is_told_of_the_backup_and_its_words_point_into_the_restore() {
        let restore: DatabaseRestore = serde_json::from_value(json!({
            "apiVersion": "db.example.io/v1alpha1", "kind": "DatabaseRestore", "metadata": {"namespace": "shop", "name": "back"},
            "spec": {
                "databaseType": "x", "target": {"host": "db"},
                "source": {"storage": {"type": "pvc", "pvcName": "backups", "path": "shop/orders/1"}}
            }
        }))
        .unwrap();
        let plugin = Asked(
            Description {
                id: "x".into(),
                version: "1.0.0".into(),
                summary: String::new(),
                database_types: vec!["x".into()],
                default_port: None,
                bindings: vec![],
                images: vec![],
                settings_schema: "{}".into(),
                labels: vec![],
            },
            RefCell::default(),
        );
        let mut source = resolve(&restore, &crate::restoring::Sources::default()).unwrap();
        source.facts = vec![Fact { key: "client-image".into(), value: "x:15".into() }];
        let administration =
            Administration { images: ImagePolicy::default(), render: RenderConfig::new("operator:1") };
        let refused = plan_restore(&restore, &source, &plugin, &administration).unwrap_err();
        assert_eq!(refused.message, "spec.target.host: no");
        let asked = plugin.1.borrow();
        assert_eq!(asked.iter().map(|request| &request.facts).collect::<Vec<_>>(), [&source.facts]);
    }
}
