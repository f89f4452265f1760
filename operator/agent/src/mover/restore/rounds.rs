//! Loads one part after the other, and once more what needs what came later: a view of one database over a table of another, which
//! stand in the backup by their names.

use dbbackup_protocol::{
    report::Reason,
    restore::{Effect, RestoreOrder},
};

use super::{
    Backup,
    ledger::Ledger,
    load,
    select::Chosen,
    target::{self, Found},
};
use crate::{
    failure::Failure,
    mover::{client::Client, progress::Progress},
};

/// So many parts may wait for others. More do not fail for the want of each other.
const MAX_ASIDE: usize = 100;

/// All that loading takes.
pub(super) struct Rounds<'a> {
    pub(super) client: &'a mut Client,
    pub(super) backup: &'a Backup,
    pub(super) order: &'a RestoreOrder,
    pub(super) progress: &'a Progress,
    pub(super) ledger: &'a Ledger,
}

/// A part that could not be loaded yet.
struct Aside<'a> {
    part: &'a Chosen<'a>,
    /// What was in its target before anything was done.
    found: Found,
    failure: Failure,
    /// How many parts had been loaded then.
    loaded: u32,
}

impl Rounds<'_> {
    /// Loads all parts. What fails and may need another one is cleared, put aside, and loaded again after the others, in rounds, as
    /// long as one more part comes in each.
    ///
    /// # Errors
    /// Of what does not come in the end the first failure.
    pub(super) async fn all(mut self, chosen: &[Chosen<'_>], found: &[Found]) -> Result<(), Failure> {
        let mut aside = Vec::new();
        let mut left = chosen.len();
        for (part, found) in chosen.iter().zip(found) {
            left -= 1;
            let found = target::look_before_loading(self.client, self.order, part, found).await?;
            match self.load(part, &found, &found).await {
                Ok(()) => {}
                Err(failure)
                    if may_need_others(part, &failure)
                        && left + aside.len() > 0
                        && aside.len() < MAX_ASIDE =>
                {
                    aside.push(self.aside(part, found, failure).await?);
                }
                Err(failure) => return Err(failure),
            }
        }
        while !aside.is_empty() {
            aside = self.round(aside).await?;
        }
        Ok(())
    }

    /// Gives what is still aside: less than before.
    async fn round<'p>(&mut self, aside: Vec<Aside<'p>>) -> Result<Vec<Aside<'p>>, Failure> {
        let before = aside.len();
        let mut still = Vec::new();
        for waiting in aside {
            if waiting.loaded == self.ledger.parts() {
                // Nothing has come since that it could have needed.
                still.push(waiting);
                continue;
            }
            let Aside { part, found, .. } = waiting;
            let now = target::look_again(self.client, self.order, part).await?;
            match self.load(part, &found, &now).await {
                Ok(()) => self.ledger.note(format!(
                    "{} failed at first and was loaded again after the others: it needs what they bring",
                    part.what()
                )),
                Err(failure) if may_need_others(part, &failure) => {
                    still.push(self.aside(part, found, failure).await?);
                }
                Err(failure) => return Err(failure),
            }
        }
        if still.len() < before {
            return Ok(still);
        }
        let others = still.len().saturating_sub(1);
        match still.into_iter().next().map(|first| first.failure) {
            None => Ok(vec![]),
            Some(failure) if others == 0 => Err(failure),
            Some(failure) => {
                let message = format!("{}; {others} more could not be loaded either", failure.message);
                Err(Failure { message, ..failure })
            }
        }
    }

    /// `found` is what is told of the target, `now` what is done about it.
    async fn load(&mut self, part: &Chosen<'_>, found: &Found, now: &Found) -> Result<(), Failure> {
        let Self { client, backup, progress, ledger, .. } = self;
        let (_, fetched) = progress.totals();
        target::prepare(client, part, now, ledger).await?;
        let loading = load::load(client, backup, part, progress, ledger);
        if let Err(failure) = progress.follow(&format!("loading {}", part.what()), loading).await {
            if may_need_others(part, &failure) {
                let (_, now) = progress.totals();
                progress.fetches_again(now - fetched);
            }
            return Err(failure);
        }
        target::finish(client, part).await?;
        ledger.part_done();
        ledger.note(target::deeds(part, found));
        Ok(())
    }

    /// Clears at once what the load has left: whatever is there later may be somebody else's.
    ///
    /// # Errors
    /// That of the load, if its target cannot be cleared now.
    async fn aside<'p>(
        &mut self,
        part: &'p Chosen<'p>,
        found: Found,
        failure: Failure,
    ) -> Result<Aside<'p>, Failure> {
        tracing::warn!(
            part = part.what(),
            error = failure.message,
            "put aside: it may need what another part brings"
        );
        if let Err(error) = target::clear_leftovers(self.client, self.order, part).await {
            tracing::warn!(part = part.what(), error = error.message, "what it left could not be cleared");
            return Err(failure);
        }
        Ok(Aside { part, found, failure, loaded: self.ledger.parts() })
    }
}

/// Whether another part may be all that was missing: the process itself gave up, over an item of several, and what it has left can be
/// cleared. A signal, the storage, damaged bytes and a lost client have causes of their own.
fn may_need_others(part: &Chosen<'_>, failure: &Failure) -> bool {
    let plan = part.plan;
    part.item.is_some()
        && plan.load.effect == Effect::Gradual
        && plan.contents.is_some()
        && !plan.clear.is_empty()
        && failure.reason == Reason::LoadFailed
        && failure.process.as_ref().is_some_and(|process| process.exit_code.is_some())
}
