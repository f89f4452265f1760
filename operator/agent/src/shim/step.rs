//! Carries out one request: its process, perhaps with a verifier beside it.

use std::{path::Path, pin::pin, process::Stdio, time::Duration};

use dbbackup_protocol::{
    plan::{BackupPlan, Output, Part, PartSource, Process},
    restore::{Load, RestorePlan},
};
use tokio::{process::Child, sync::mpsc, time::timeout};

use super::{
    blank::Blanking,
    cut::Cut,
    output::{Place, Sink},
    process::{Groups, group, pipes, wait},
    redact::Redactor,
    render::{Command, Renderer},
    scribe::Scribe,
    secrets::Secrets,
};
use crate::{
    failure::Failure,
    order::Order,
    paths::PodPaths,
    wire::{End, Ended, Reply, Request, VerifierEnd},
};

/// No text has to occur.
const NOTHING: &[&str] = &[];

/// What all requests of a run share.
pub(crate) struct Workshop<'a> {
    pub(crate) order: &'a Order,
    pub(crate) paths: &'a PodPaths,
    pub(crate) secrets: Secrets,
    pub(crate) redactor: Redactor,
    pub(crate) groups: Groups,
}

/// One process to run, with what is done about its output.
struct Job<'a> {
    process: &'a Process,
    item: Option<&'a str>,
    output: &'a Output,
    /// With these the process may have left a dump in a file.
    success: &'a [i32],
    verifier: Option<&'a Process>,
    stderr_required: Option<&'a str>,
    /// What its standard output prints behind this nobody wants.
    until: Option<&'a [u8]>,
    /// Standard output may be shown to people.
    shown: bool,
    /// Standard error may hold rows, which nobody is shown.
    rows: bool,
}

impl<'a> Job<'a> {
    /// A process whose standard output is all that it gives.
    fn plain(process: &'a Process) -> Self {
        Self {
            process,
            item: None,
            output: &Output::Stdout,
            success: &[],
            verifier: None,
            stderr_required: None,
            until: None,
            shown: false,
            rows: false,
        }
    }

    /// One whose standard output people come to read: in a condition, or by way of the plugin.
    fn shown(process: &'a Process) -> Self {
        Self { shown: true, ..Self::plain(process) }
    }

    fn dump(part: &'a Part, item: Option<&'a str>) -> Self {
        let completion = &part.completion;
        Self {
            item,
            output: &part.output,
            success: &completion.exit_codes,
            verifier: completion.verifier.as_ref(),
            stderr_required: completion.stderr_required.as_deref(),
            ..Self::plain(&part.process)
        }
    }

    /// What is to be done for a request; none: the order has nothing for it.
    fn of(order: &'a Order, request: &'a Request) -> Option<Self> {
        match (order, request) {
            (Order::Backup(order), request) => Self::of_backup(&order.plan, request),
            (Order::Probe(order), Request::Query { index }) => {
                order.plan.queries.get(*index).map(|query| Self::shown(&query.process))
            }
            (Order::Probe(_) | Order::Removal(_) | Order::Catalogue(_), _) => None,
            (Order::Restore(order), request) => Self::of_restore(&order.plan, request),
        }
    }

    /// All but the loading, see [`loading`].
    fn of_restore(plan: &'a RestorePlan, request: &'a Request) -> Option<Self> {
        match request {
            Request::Existing => plan.existing.as_ref().map(|listing| Self::plain(&listing.items)),
            Request::Contents { part, item } => {
                let part = plan.parts.get(*part)?;
                let process = part.contents.as_ref()?;
                let job = match &part.signs {
                    None => Self::shown(process),
                    // Compared and not shown: redaction could replace a name that is looked for.
                    Some(signs) => Self { until: signs.until.as_deref(), ..Self::plain(process) },
                };
                Some(Self { item: item.as_deref(), ..job })
            }
            Request::Step { part, stage, index, item } => {
                let step = plan.parts.get(*part)?.steps(*stage).get(*index)?;
                Some(Self { item: item.as_deref(), rows: true, ..Self::shown(&step.process) })
            }
            _ => None,
        }
    }

    fn of_backup(plan: &'a BackupPlan, request: &'a Request) -> Option<Self> {
        match request {
            Request::Check { index } => plan.checks.get(*index).map(|check| Self::shown(&check.process)),
            Request::List { source } => match plan.parts.get(*source)? {
                PartSource::PerItem(per_item) => Some(Self::plain(&per_item.items)),
                PartSource::One(_) => None,
            },
            Request::Dump { source, item } => match (plan.parts.get(*source)?, item) {
                (PartSource::One(part), None) => Some(Self::dump(part, None)),
                (PartSource::PerItem(per_item), Some(item)) => Some(Self::dump(&per_item.each, Some(item))),
                (PartSource::One(_), Some(_)) | (PartSource::PerItem(_), None) => None,
            },
            _ => None,
        }
    }
}

/// What loads, and the name in the target.
fn loading<'a>(order: &'a Order, request: &'a Request) -> Option<(&'a Load, Option<&'a str>)> {
    match (order, request) {
        (Order::Restore(order), Request::Load { part, item }) => {
            order.plan.parts.get(*part).map(|part| (&part.load, item.as_deref()))
        }
        _ => None,
    }
}

impl Workshop<'_> {
    /// Carries out `request`; `input` is what a loading process reads. Cancelled by dropping it; [`Groups::stop`] then ends the processes.
    ///
    /// # Errors
    /// It could not be done, or the mover has gone. Processes may still run.
    pub(crate) async fn carry_out(
        &self,
        request: &Request,
        replies: &mpsc::Sender<Reply>,
        input: mpsc::Receiver<Vec<u8>>,
    ) -> Result<Ended, Failure> {
        if let Some((load, item)) = loading(self.order, request) {
            return self.load(load, item, replies, input).await;
        }
        let unknown = || Failure::plan(format!("it has nothing for {request:?}"));
        let job = Job::of(self.order, request).ok_or_else(unknown)?;
        self.run(&job, replies).await
    }

    pub(super) fn renderer(&self) -> Renderer<'_> {
        Renderer {
            secrets: &self.secrets,
            config_dir: &self.paths.config,
            scratch_dir: &self.paths.scratch,
            image: self.order.client_image(),
        }
    }

    async fn run(&self, job: &Job<'_>, replies: &mpsc::Sender<Reply>) -> Result<Ended, Failure> {
        let place = Place::resolve(job.output, &self.paths.scratch)?;
        place.clear()?;
        let renderer = self.renderer();
        let command = renderer.command(job.process, job.item)?;
        let verifier = job.verifier.map(|process| renderer.command(process, job.item)).transpose()?;
        let mut verifier = match &verifier {
            Some(command) => Some((command, self.groups.spawn(command, Stdio::piped())?)),
            None => None,
        };
        let child = self.groups.spawn(&command, Stdio::null())?;
        let stdin = verifier.as_mut().and_then(|(_, child)| child.stdin.take());

        let redacting = job.shown.then(|| self.redactor.stream());
        let sink = Sink { replies, verifier: stdin, redacting, cut: job.until.map(Cut::new) };
        let dump = self.dump(job, &command, child, &place, sink);
        let verify = async {
            match verifier {
                Some((command, child)) => self.verify(command, child).await.map(Some),
                None => Ok(None),
            }
        };
        let ((end, stderr_required_found), verifier) = tokio::try_join!(dump, verify)?;
        place.clear()?;
        Ok(Ended { end, stderr_required_found, verifier, input_taken: true })
    }

    /// Runs the dump to its end and hands over all of its bytes; the sink's end is the verifier's end of input.
    async fn dump(
        &self,
        job: &Job<'_>,
        command: &Command,
        mut child: Child,
        place: &Place,
        mut sink: Sink<'_>,
    ) -> Result<(End, bool), Failure> {
        let name = program_name(&command.program);
        let group = group(&child);
        let (stdout, stderr) = pipes(&mut child)?;
        let replies = sink.replies;
        let mut errors = Scribe::new(&name, &self.redactor, job.stderr_required.as_slice());
        if job.rows {
            errors = errors.without(Blanking::of(&name));
        }
        let mut chatter = Scribe::new(&name, &self.redactor, NOTHING);
        let end = {
            let output = async {
                match place {
                    Place::Stdout => {
                        let copied = sink.copy(stdout, &name).await;
                        if sink.is_cut() {
                            self.groups.ended(group);
                        }
                        copied
                    }
                    Place::File(_) | Place::Directory(_) => chatter.follow(stdout, Some(replies)).await,
                }
            };
            let work = async { tokio::try_join!(output, wait(&mut child)).map(|((), end)| end) };
            self.with_stderr(work, errors.follow(stderr, Some(replies))).await?
        };
        self.groups.ended(group);
        if matches!(end, End::Exited(code) if job.success.contains(&code)) {
            sink.copy_left(place).await?;
        }
        Ok((end, errors.found()))
    }

    async fn verify(&self, command: &Command, mut child: Child) -> Result<VerifierEnd, Failure> {
        let name = program_name(&command.program);
        let group = group(&child);
        let (stdout, stderr) = pipes(&mut child)?;
        let mut errors = Scribe::new(&name, &self.redactor, NOTHING);
        let mut chatter = Scribe::new(&name, &self.redactor, NOTHING);
        let end = {
            let work = async {
                tokio::try_join!(chatter.follow(stdout, None), wait(&mut child)).map(|((), end)| end)
            };
            self.with_stderr(work, errors.follow(stderr, None)).await?
        };
        self.groups.ended(group);
        Ok(VerifierEnd { end, stderr_tail: errors.tail() })
    }

    /// Does `work` while following standard error. Standard output is read to its very end, whoever holds it:
    /// what is missing there is missing in the dump. A straggler that only holds standard error is given the
    /// grace period, then not listened to any more.
    pub(super) async fn with_stderr<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
        stderr: impl Future<Output = Result<(), Failure>>,
    ) -> Result<T, Failure> {
        let (mut work, mut stderr) = (pin!(work), pin!(stderr));
        tokio::select! {
            done = &mut work => {
                let done = done?;
                timeout(self.grace(), stderr).await.unwrap_or(Ok(()))?;
                Ok(done)
            }
            read = &mut stderr => {
                read?;
                work.await
            }
        }
    }

    /// Between SIGTERM and SIGKILL.
    pub(crate) fn grace(&self) -> Duration {
        Duration::from_secs(self.order.limits().grace_seconds)
    }
}

pub(super) fn program_name(program: &Path) -> String {
    program.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
