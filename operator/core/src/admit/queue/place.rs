//! A place, who waits for one, and how long one is kept.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{LAPSE, PASS, UNSEEN};
use crate::admit::{Key, Name, Uses, Waiter};

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) waiter: Waiter,
    /// How often it was called and did not come.
    pub(super) late: u32,
    /// What for; none: it was called.
    pub(super) line: Option<Key>,
}

impl Waiting {
    pub(super) fn turn(&self) -> Turn {
        Turn { late: self.late, slot: self.waiter.slot, job: self.waiter.job.clone() }
    }
}

/// The order in which those that wait are served.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    pub(super) late: u32,
    pub(super) slot: Timestamp,
    pub(super) job: Name,
}

#[derive(Debug)]
pub(super) struct Place {
    pub(super) uses: Uses,
    /// What it counts under.
    pub(super) counted: Vec<Key>,
    /// Where those count that it replaces, and it will once they are gone.
    pub(super) inherits: Vec<Key>,
    /// Those that it replaces.
    pub(super) replaces: Vec<Name>,
    pub(super) stands: Stands,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    /// It may start, and did not come yet.
    Called(Timestamp),
    /// It was let through, and its Job was not seen yet.
    Entered(Timestamp),
    /// Its Job was seen.
    Runs,
}

impl Stands {
    /// The same, from now on.
    pub(super) fn anew(self, now: Timestamp) -> Self {
        match self {
            Self::Called(_) => Self::Called(now),
            Self::Entered(_) => Self::Entered(now),
            Self::Runs => Self::Runs,
        }
    }
}

/// Places that are not kept for ever, by since when they are.
#[derive(Debug, Default)]
pub(super) struct Passing {
    pub(super) called: BTreeSet<(Timestamp, Name)>,
    pub(super) entered: BTreeSet<(Timestamp, Name)>,
}

impl Passing {
    pub(super) fn insert(&mut self, stands: Stands, job: &Name) {
        if let Some((all, since)) = self.of(stands) {
            all.insert((since, job.clone()));
        }
    }

    pub(super) fn remove(&mut self, stands: Stands, job: &Name) {
        if let Some((all, since)) = self.of(stands) {
            all.remove(&(since, job.clone()));
        }
    }

    /// Takes out one whose time is over.
    pub(super) fn take_late(&mut self, now: Timestamp) -> Option<Name> {
        let is_late = |all: &BTreeSet<(Timestamp, Name)>, limit| {
            all.first().is_some_and(|(since, _)| now.duration_since(*since) >= limit)
        };
        let late = if is_late(&self.called, LAPSE) {
            self.called.pop_first()
        } else if is_late(&self.entered, UNSEEN) {
            self.entered.pop_first()
        } else {
            None
        };
        late.map(|(_, job)| job)
    }

    /// Takes out one whose time has not begun yet.
    pub(super) fn take_ahead(&mut self, now: Timestamp) -> Option<Name> {
        let mut all = [&mut self.called, &mut self.entered].into_iter();
        let ahead = all.find(|all| all.last().is_some_and(|(since, _)| since.duration_since(now) > PASS))?;
        ahead.pop_last().map(|(_, job)| job)
    }

    fn of(&mut self, stands: Stands) -> Option<(&mut BTreeSet<(Timestamp, Name)>, Timestamp)> {
        match stands {
            Stands::Called(since) => Some((&mut self.called, since)),
            Stands::Entered(since) => Some((&mut self.entered, since)),
            Stands::Runs => None,
        }
    }
}
