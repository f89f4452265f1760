//! What a restore has done so far: it can end at any moment, and its report has to be true then.

use std::cell::{Cell, RefCell};

use dbbackup_protocol::restore::{Restored, Target};

/// Most notes that are kept.
const MAX_NOTES: usize = 20;

/// Kept while working.
#[derive(Debug)]
pub(super) struct Ledger {
    target: Cell<Target>,
    parts: Cell<u32>,
    notes: RefCell<Vec<String>>,
}

impl Ledger {
    /// `notes` come first.
    pub(super) fn new(notes: &[String]) -> Self {
        Self {
            target: Cell::new(Target::Unchanged),
            parts: Cell::new(0),
            notes: RefCell::new(notes.to_vec()),
        }
    }

    /// From now on something may be missing in the target; gives what it was before.
    pub(super) fn begin(&self) -> Target {
        self.target.replace(Target::Incomplete)
    }

    /// What was begun is certain to have changed nothing.
    pub(super) fn undo(&self, before: Target) {
        self.target.set(before);
    }

    pub(super) fn part_done(&self) {
        self.parts.set(self.parts.get().saturating_add(1));
    }

    pub(super) fn complete(&self) {
        self.target.set(Target::Complete);
    }

    pub(super) fn note(&self, note: String) {
        tracing::info!(note, "restore");
        let mut notes = self.notes.borrow_mut();
        if notes.len() < MAX_NOTES {
            notes.push(note);
        }
    }

    /// Restored parts.
    pub(super) fn parts(&self) -> u32 {
        self.parts.get()
    }

    pub(super) fn restored(&self) -> Restored {
        Restored { target: self.target.get(), notes: self.notes.borrow().clone() }
    }
}
