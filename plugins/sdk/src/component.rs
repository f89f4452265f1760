//! Between a [`Plugin`] and the generated bindings; only `export!` names it.

use std::{marker::PhantomData, panic, sync::Once};

use crate::{
    Answer, BackupPlan, Description, Diagnose, Diagnosis, Failure, Findings, Issue, Level, Plugin, Probe,
    ProbePlan, Refusal, Request, Restore, RestorePlan, RestoreRequest,
    bindings::{
        exports::db_backup::plugin::{backup, descriptor},
        with_diagnose::exports::db_backup::plugin::diagnose,
        with_probe::exports::db_backup::plugin::probe,
        with_restore::exports::db_backup::plugin::restore,
    },
    plugin, probe as asking, restore as returning,
};

/// A [`Plugin`] as the contract wants it.
#[derive(Debug)]
pub struct Component<P>(PhantomData<P>);

impl<P: Plugin> descriptor::Guest for Component<P> {
    fn describe() -> Description {
        report_panics();
        P::describe()
    }
}

impl<P: Plugin> backup::Guest for Component<P> {
    fn check(request: Request) -> Vec<Issue> {
        report_panics();
        plugin::check::<P>(&request)
    }

    fn plan(request: Request) -> Result<BackupPlan, Refusal> {
        report_panics();
        plugin::plan::<P>(&request)
    }
}

impl<P: Probe> probe::Guest for Component<P> {
    fn plan(request: Request) -> Result<ProbePlan, Refusal> {
        report_panics();
        asking::probe::<P>(&request)
    }

    fn read(request: Request, answers: Vec<Answer>) -> Findings {
        report_panics();
        asking::read::<P>(&request, &answers)
    }
}

impl<P: Diagnose> diagnose::Guest for Component<P> {
    fn explain(failure: Failure) -> Option<Diagnosis> {
        report_panics();
        P::explain(&failure)
    }
}

impl<P: Restore> restore::Guest for Component<P> {
    fn plan(request: RestoreRequest) -> Result<RestorePlan, Refusal> {
        report_panics();
        returning::restore::<P>(&request)
    }
}

/// A trap carries no text: the panic hook hands it to the operator before the trap happens.
fn report_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| panic::set_hook(Box::new(|info| plugin::log(Level::Panic, &info.to_string()))));
}
