//! Hands the bytes of one part to the process that loads them.

use dbbackup_protocol::{
    report::{Phase, Reason},
    restore::Effect,
};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    Backup, PIECES,
    bytes::{Proof, fetch},
    decoded,
    ledger::Ledger,
    select::Chosen,
};
use crate::{
    failure::{Failure, failed_process},
    mover::{
        client::{Client, Listener, Speaker},
        judge::{exit, program_of},
        progress::Progress,
    },
    text::TextTail,
    wire::{End, Ended, Reply, Request},
};

/// Loads one part.
///
/// # Errors
/// The bytes are damaged, the storage fails, or the process does. Where the process works only at its end and has certainly not
/// come there, the ledger says that nothing has changed.
pub(super) async fn load(
    client: &mut Client,
    backup: &Backup,
    part: &Chosen<'_>,
    progress: &Progress,
    ledger: &Ledger,
) -> Result<(), Failure> {
    let path = backup.object(part)?;
    let before = ledger.begin();
    if part.proves_itself() {
        // Until the last bytes go out.
        ledger.undo(before);
    }
    client.ask(&Request::Load { part: part.index, item: part.item.clone() }).await?;

    let (to, from) = mpsc::channel(PIECES);
    let (plain, pieces) = mpsc::channel(PIECES);
    let proof = Proof::default();
    let decoding = backup.decode((part, &path), from, Some(plain), &proof);
    let (listener, speaker) = client.halves();
    let feeding = async {
        let sending = send(speaker, pieces, decoding, &proof, ledger, progress);
        tokio::try_join!(sending, fetch(&backup.store, &path, part.stored, to, progress)).map(drop)
    };
    let mut listening = std::pin::pin!(listen(listener));
    let (ended, whole) = tokio::select! {
        biased;
        fed = feeding => {
            fed?;
            (listening.await?, true)
        }
        ended = &mut listening => (ended?, false),
    };
    progress.works(false);
    let (ended, stderr) = ended;
    let end = ended.end;
    match end {
        // It says that it has come to its end, whatever it has read.
        End::Exited(code) if part.plan.load.exit_codes.contains(&code) => {
            ledger.begin();
        }
        // It says that it has not. One that was killed after the last bytes may have.
        End::Exited(_) if part.plan.load.effect == Effect::AtEnd => ledger.undo(before),
        End::Exited(_) | End::Signalled(_) => {}
    }
    judge(part, &ended, whole && ended.input_taken, &stderr)
}

fn judge(part: &Chosen<'_>, ended: &Ended, whole: bool, stderr: &str) -> Result<(), Failure> {
    let (load, end) = (&part.plan.load, ended.end);
    let program = program_of(&load.process);
    let process = || failed_process(Phase::Load, Some(&part.stored.name), end);
    exit(&program, end, &load.exit_codes, Reason::LoadFailed, stderr).map_err(|failure| Failure {
        reason: if matches!(end, End::Signalled(_)) { Reason::LoadKilled } else { Reason::LoadFailed },
        message: format!("{} was not restored: {}", part.what(), failure.message),
        process: Some(process()),
        ..failure
    })?;
    if whole && ended.stderr_required_found {
        return Ok(());
    }
    let why = if whole {
        format!(
            "did not say {}: the backup may not hold what was asked for",
            load.stderr_required.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(" and ")
        )
    } else {
        "had not read everything".into()
    };
    let message = format!("{} is not known to be restored: {program} ended well and {why}", part.what());
    Err(Failure {
        process: Some(process()),
        ..Failure::new(Reason::LoadIncomplete, message).with_stderr(stderr)
    })
}

/// Sends the plain bytes, and that they were all only when they are proved.
async fn send(
    mut speaker: Speaker<'_>,
    mut pieces: mpsc::Receiver<Vec<u8>>,
    decoding: JoinHandle<Result<(), Failure>>,
    proof: &Proof,
    ledger: &Ledger,
    progress: &Progress,
) -> Result<(), Failure> {
    while let Some(piece) = pieces.recv().await {
        if proof.is_there() {
            // From here on the process may come to its end.
            ledger.begin();
        }
        speaker.input(&piece).await?;
        progress.read(piece.len());
    }
    decoded(decoding).await?;
    ledger.begin();
    speaker.input_end().await?;
    progress.works(true);
    Ok(())
}

async fn listen(mut listener: Listener<'_>) -> Result<(Ended, String), Failure> {
    let mut stderr = TextTail::default();
    loop {
        match listener.next().await? {
            Reply::Data(_) => {}
            Reply::Stderr(piece) => stderr.push(&piece),
            Reply::Done(done) => return Ok((done?, stderr.text())),
        }
    }
}
