//! What the events of a namespace tell, beside what status says: a user who reads either knows the same.

use dbbackup_api::status::{RunRecord, RunResult};
use k8s_openapi::api::events::v1::Event;
use kube::{Api, api::ListParams};

use crate::{
    fault::Fault,
    run::{Broken, Run},
    shared::Shared,
};

/// Each run and each slot that status tells of has its event, and only one, however often the operator died meanwhile.
///
/// # Errors
/// Something was not told, or told twice.
pub(super) async fn check(run: &Run) -> Result<(), Broken> {
    let shared = &run.shared;
    let events: Api<Event> = Api::namespaced(shared.direct.clone(), &shared.namespace);
    let listed = events.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
    let runs: Vec<_> = {
        let ledger = shared.ledger.lock().unwrap();
        ledger
            .backups
            .values()
            .filter_map(|backup| backup.status.clone())
            .flat_map(|it| it.recent_runs)
            .collect()
    };
    for run in &runs {
        let told = listed.items.iter().filter(|event| is_of(event, run)).count();
        // An event that the API server does not take is lost, as ARCHITECTURE.md says.
        if told == 0 && !loses_events(shared) {
            return Err(format!("no event tells of {run:?}"));
        }
        if told > 1 && run.result != RunResult::Missed {
            return Err(format!("{told} events tell of {run:?}"));
        }
    }
    Ok(())
}

fn is_of(event: &Event, run: &RunRecord) -> bool {
    let note = event.note.as_deref().unwrap_or_default();
    let reason = match run.result {
        RunResult::Running => "BackupStarted",
        RunResult::Succeeded => "BackupSucceeded",
        RunResult::Failed => "BackupFailed",
        RunResult::Skipped => "BackupSkipped",
        RunResult::Missed => "BackupMissed",
    };
    // Two runs that a user asked for may have one second.
    let manifest = run.manifest.as_deref().unwrap_or_default();
    let names_it =
        run.result == RunResult::Missed || note.contains(&run.slot.0.to_string()) && note.contains(manifest);
    event.reason.as_deref() == Some(reason) && names_it
}

/// What goes wrong goes wrong with an event itself.
fn loses_events(shared: &Shared) -> bool {
    shared.plan.request.as_ref().is_some_and(|(call, _, fault)| {
        call == "create events" && !matches!(fault, Fault::Slow | Fault::Crash(_))
    })
}
