//! The target: what is there before, and the steps around the loading.

use std::collections::BTreeSet;

use dbbackup_protocol::{
    plan::Process,
    report::{Phase, Reason},
    restore::{Mode, RestoreOrder, Signs, Stage, Step},
};

use super::{ledger::Ledger, select::Chosen};
use crate::{
    failure::{Failure, failed_process},
    mover::{
        client::Client,
        judge::{exit, program_of},
        listing,
        parts::collect,
    },
    wire::{Ended, Request},
};

/// What prints a target's contents prints a few lines.
const MAX_CONTENTS: usize = 64 * 1024;
/// Where bytes are looked for instead: the beginning of an archive names all collections of a server.
const MAX_SIGNED: usize = 32 * 1024 * 1024;
/// So many of them are told, in so many characters.
const TOLD: usize = 5;
const TOLD_CHARACTERS: usize = 150;
/// So many targets that are not empty are named: a report has room for little more.
const NAMED: usize = 3;

/// What was found of one part's target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It is not there.
    Absent,
    /// It is there and empty, or nobody can say.
    Empty,
    /// This is in it, and it may be replaced.
    Full(String),
}

/// Looks at all targets and touches none.
///
/// # Errors
/// [`Reason::TargetNotEmpty`] names what is in the way, of all targets.
pub(super) async fn look(
    client: &mut Client,
    order: &RestoreOrder,
    chosen: &[Chosen<'_>],
) -> Result<Vec<Found>, Failure> {
    let existing = existing(client, order).await?;
    let mut all = Vec::with_capacity(chosen.len());
    let mut in_the_way = Vec::new();
    for part in chosen {
        let found = found(client, part, existing.as_ref()).await?;
        if let Found::Full(contents) = &found {
            in_the_way.push(format!("{} holds {contents}", name(part)));
        }
        all.push(found);
    }
    if order.mode == Mode::Refuse && !in_the_way.is_empty() {
        let more = match in_the_way.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        in_the_way.truncate(NAMED);
        return Err(Failure::new(
            Reason::TargetNotEmpty,
            format!(
                "the target is not empty: {}{more}; nothing was changed. Restore under another name (spec.renames), or let it \
                 be replaced (spec.mode: Replace)",
                in_the_way.join("; ")
            ),
        ));
    }
    Ok(all)
}

/// Looks once more right before a part is loaded for the first time: the first look may be hours ago, in which all bytes were proved
/// and others were loaded.
///
/// # Errors
/// As [`look_again`].
pub(super) async fn look_before_loading(
    client: &mut Client,
    order: &RestoreOrder,
    part: &Chosen<'_>,
    found: &Found,
) -> Result<Found, Failure> {
    if order.mode == Mode::Replace || part.plan.contents.is_none() {
        return Ok(found.clone());
    }
    look_again(client, order, part).await
}

/// What is in one target whose first look found nothing in the way.
///
/// # Errors
/// The target does not say; or something has come that nobody allowed to replace: [`Reason::TargetNotEmpty`].
pub(super) async fn look_again(
    client: &mut Client,
    order: &RestoreOrder,
    part: &Chosen<'_>,
) -> Result<Found, Failure> {
    let existing = existing(client, order).await?;
    let found = found(client, part, existing.as_ref()).await?;
    match &found {
        Found::Full(contents) if order.mode == Mode::Refuse => Err(Failure::new(
            Reason::TargetNotEmpty,
            format!(
                "{} holds {contents}, which this restore did not bring and which was not there when it began: that stays as it is. Find \
                 out who writes there; then restore anew, under another name (spec.renames), or let it be replaced (spec.mode: \
                 Replace)",
                name(part)
            ),
        )),
        _ => Ok(found),
    }
}

/// Clears what a load that has just failed has left in its own target. Nothing of it was there before, or it might be replaced.
///
/// # Errors
/// The target does not say, or cannot be cleared.
pub(super) async fn clear_leftovers(
    client: &mut Client,
    order: &RestoreOrder,
    part: &Chosen<'_>,
) -> Result<(), Failure> {
    let existing = existing(client, order).await?;
    let is_listed = !is_absent(part, existing.as_ref());
    match contents(client, part).await {
        Ok(Found::Full(_)) => {}
        // Not listed and there all the same: the server has made it under another spelling of its name, which a later look would
        // take for somebody else's.
        Ok(_) if !is_listed => {}
        Ok(_) => return Ok(()),
        // It is not there, so it cannot be looked into.
        Err(failure) if !is_listed && failure.process.is_some() => return Ok(()),
        Err(failure) => return Err(failure),
    }
    steps(client, part, Stage::Clear).await
}

fn is_absent(part: &Chosen<'_>, existing: Option<&BTreeSet<String>>) -> bool {
    let absent = |item: &String| existing.is_some_and(|existing| !existing.contains(item));
    part.item.as_ref().is_some_and(absent)
}

async fn found(
    client: &mut Client,
    part: &Chosen<'_>,
    existing: Option<&BTreeSet<String>>,
) -> Result<Found, Failure> {
    if is_absent(part, existing) { Ok(Found::Absent) } else { contents(client, part).await }
}

/// None: the plan does not ask.
async fn existing(client: &mut Client, order: &RestoreOrder) -> Result<Option<BTreeSet<String>>, Failure> {
    let Some(listing) = &order.plan.existing else { return Ok(None) };
    client.ask(&Request::Existing).await?;
    let output = output(client, &listing.items, "what is there", None, listing::MAX_BYTES, None).await?;
    if output.is_empty() {
        return Ok(Some(BTreeSet::new()));
    }
    listing::items(&output, listing.separator).map(|items| Some(items.into_iter().collect()))
}

async fn contents(client: &mut Client, part: &Chosen<'_>) -> Result<Found, Failure> {
    let Some(process) = &part.plan.contents else { return Ok(Found::Empty) };
    client.ask(&Request::Contents { part: part.index, item: part.item.clone() }).await?;
    let about = "whether it is empty";
    if let Some(signs) = &part.plan.signs {
        let until = signs.until.as_deref();
        let output = output(client, process, about, Some(part), MAX_SIGNED, until).await?;
        return Ok(if tells(signs, &output) { Found::Full(signs.meaning.clone()) } else { Found::Empty });
    }
    let output = output(client, process, about, Some(part), MAX_CONTENTS, None).await?;
    let text = String::from_utf8_lossy(&output);
    let things: Vec<_> =
        text.split(['\n', '\0']).map(str::trim).filter(|thing| !thing.is_empty()).take(TOLD).collect();
    Ok(if things.is_empty() {
        Found::Empty
    } else {
        Found::Full(things.join(", ").chars().take(TOLD_CHARACTERS).collect())
    })
}

/// Whether there is a sign of something in the target.
fn tells(Signs { any_of, but_not_before, meaning: _, until }: &Signs, output: &[u8]) -> bool {
    let end = until.as_ref().and_then(|until| find(output, until)).unwrap_or(output.len());
    let looked_at = output.get(..end).unwrap_or_default();
    let is_sign = |rest: &[u8]| !but_not_before.iter().any(|other| rest.starts_with(other));
    (0..looked_at.len())
        .filter_map(|at| looked_at.get(at..))
        .any(|from| any_of.iter().filter_map(|sign| from.strip_prefix(sign.as_slice())).any(is_sign))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len().max(1)).position(|window| window == wanted)
}

/// What a process prints that has to exit with 0, unless it was ended because it had printed `until`.
async fn output(
    client: &mut Client,
    process: &Process,
    about: &str,
    part: Option<&Chosen<'_>>,
    max: usize,
    until: Option<&[u8]>,
) -> Result<Vec<u8>, Failure> {
    let (output, stderr, ended) = collect(client, max).await?;
    let program = program_of(process);
    if let (Some(output), Some(until)) = (&output, until)
        && find(output, until).is_some()
    {
        return Ok(output.clone());
    }
    exit(&program, ended.end, &[0], Reason::StepFailed, &stderr).map_err(|failure| Failure {
        reason: Reason::StepFailed,
        message: format!("the target did not say {about}: {}", failure.message),
        process: Some(failed_process(Phase::Prepare, part.map(|part| part.stored.name.as_str()), ended.end)),
        ..failure
    })?;
    output.ok_or_else(|| {
        Failure::new(Reason::StepFailed, format!("asked {about}, {program} wrote more than {max} bytes"))
    })
}

/// Makes room for one part.
///
/// # Errors
/// [`Reason::StepFailed`].
pub(super) async fn prepare(
    client: &mut Client,
    part: &Chosen<'_>,
    found: &Found,
    ledger: &Ledger,
) -> Result<(), Failure> {
    let stage = match found {
        // A target that is made and stays empty is no change that anybody would miss.
        Found::Absent => Stage::Create,
        Found::Empty => return Ok(()),
        Found::Full(_) => {
            ledger.begin();
            Stage::Clear
        }
    };
    steps(client, part, stage).await
}

/// What is done after the loading.
///
/// # Errors
/// [`Reason::StepFailed`].
pub(super) async fn finish(client: &mut Client, part: &Chosen<'_>) -> Result<(), Failure> {
    steps(client, part, Stage::Finish).await
}

async fn steps(client: &mut Client, part: &Chosen<'_>, stage: Stage) -> Result<(), Failure> {
    let phase = if stage == Stage::Finish { Phase::Finish } else { Phase::Prepare };
    for (index, Step { purpose, process, exit_codes }) in part.plan.steps(stage).iter().enumerate() {
        client.ask(&Request::Step { part: part.index, stage, index, item: part.item.clone() }).await?;
        let (_, stderr, Ended { end, .. }) = collect(client, MAX_CONTENTS).await?;
        exit(&program_of(process), end, exit_codes, Reason::StepFailed, &stderr).map_err(|failure| {
            Failure {
                reason: Reason::StepFailed,
                message: format!("could not {purpose} for {}: {}", name(part), failure.message),
                process: Some(failed_process(phase, Some(&part.stored.name), end)),
                ..failure
            }
        })?;
    }
    Ok(())
}

/// What is done with a part, for people.
pub(super) fn deeds(part: &Chosen<'_>, found: &Found) -> String {
    let (state, begin) = match found {
        Found::Absent => ("which is not there: ".to_owned(), Some(Stage::Create)),
        Found::Empty => (String::new(), None),
        Found::Full(contents) => (format!("which holds {contents}: "), Some(Stage::Clear)),
    };
    let purposes = |steps_of| part.plan.steps(steps_of).iter().map(|step| step.purpose.clone());
    let mut deeds: Vec<_> = begin.into_iter().flat_map(purposes).collect();
    deeds.push(format!("load {} bytes by {}", part.stored.bytes, program_of(&part.plan.load.process)));
    deeds.extend(purposes(Stage::Finish));
    let into = match (&part.item, &part.stored.item) {
        (Some(target), Some(source)) if target != source => format!(" as {target:?}"),
        _ => String::new(),
    };
    let comma = if state.is_empty() { ": " } else { ", " };
    format!("restore {}{into}{comma}{state}{}", part.what(), deeds.join(", "))
}

/// A target for people.
fn name(part: &Chosen<'_>) -> String {
    part.item
        .as_ref()
        .map_or_else(|| part.stored.name.clone(), |item| format!("{} {item:?}", part.stored.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_counts_unless_something_harmless_follows() {
        let signs = Signs {
            any_of: vec![b"db:".to_vec(), b"x=".to_vec()],
            but_not_before: vec![b"admin".to_vec(), b"config".to_vec()],
            meaning: "collections".into(),
            until: Some(b"END".to_vec()),
        };
        for (output, expected) in [
            ("", false),
            ("nothing", false),
            ("db:shop", true),
            ("db:admin, db:config END", false),
            ("db:admin, db:adm END", true),
            ("db:admin, x=1 END", true),
            ("db:admin END db:shop", false),
            ("db:", true),
        ] {
            assert_eq!(tells(&signs, output.as_bytes()), expected, "{output}");
        }
    }
}
