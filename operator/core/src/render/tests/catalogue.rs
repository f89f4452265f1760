//! The Job of a look into storage.

use dbbackup_api::CATALOGUE;
use dbbackup_protocol::catalogue::{CatalogueOrder, Scope};

use super::{invariants::environment, *};
use crate::decide::NewCatalogue;

fn look(spec: serde_json::Value, scope: Scope) -> Job {
    let (object, config) = (object(spec), config());
    let new = NewCatalogue { name: "orders-1-c2".into(), scope };
    render_catalogue(&CatalogueInput { object: &object, new: &new, config: &config }).unwrap()
}

#[test]
fn a_look_into_storage() {
    let job = look(s3_spec(), Scope::All { after: Some("20261124T023000Z-0badcafe".into()) });
    invariants::assert_safe_mover(&job);
    insta::assert_yaml_snapshot!(job);
}

#[test]
fn it_reads_a_claim_and_has_nothing_of_the_database() {
    let job = look(pvc_spec(), Scope::Run("20261124T023000Z-0badcafe".into()));
    invariants::assert_safe_mover(&job);
    let spec = job.spec.as_ref().unwrap();
    let pod = spec.template.spec.as_ref().unwrap();
    let volumes: Vec<_> = pod.volumes.iter().flatten().map(|volume| volume.name.as_str()).collect();
    assert_eq!(volumes, ["backups"]);
    let mount = &pod.containers[0].volume_mounts.as_ref().unwrap()[0];
    assert_eq!((mount.name.as_str(), mount.read_only), ("backups", Some(true)));
    let order = CatalogueOrder::parse(&environment(&job, "mover")["CATALOGUE_ORDER"]).unwrap();
    assert_eq!(order.scope, Scope::Run("20261124T023000Z-0badcafe".into()));
    assert!(order.limits.deadline_seconds < spec.active_deadline_seconds.unwrap().unsigned_abs());
    for labels in [&job.metadata.labels, &spec.template.metadata.as_ref().unwrap().labels] {
        let labels = labels.as_ref().unwrap();
        assert_eq!(labels[PURPOSE_LABEL], CATALOGUE);
        assert_eq!(labels[NAME_LABEL], "orders");
    }
}
