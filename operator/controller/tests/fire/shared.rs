//! What everybody of one run shares: the operator's line, the cluster that it acts on, and who watches both.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use dbbackup_controller::Clock;
use http::Request;
use jiff::{SignedDuration, Timestamp};
use kube::{Client, client::Body};
use tokio::sync::Notify;

use crate::{
    fault::{Fault, Plan, writes},
    ledger::Ledger,
};

/// So long a pass waits at most before it looks at the clock again.
const LONGEST_WAIT: Duration = Duration::from_millis(200);
/// Watches of a process whose caches are there.
pub(super) const WATCHES: usize = 10;

/// How Jobs end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Runs,
    Succeeds,
    Fails,
}

pub(super) struct Shared {
    pub(super) namespace: String,
    /// Where nothing goes wrong.
    pub(super) direct: Client,
    pub(super) plan: Plan,
    /// What was asked, in its order, with how many of its kind came before.
    pub(super) calls: Mutex<Vec<(String, usize)>>,
    counts: Mutex<BTreeMap<String, usize>>,
    /// What was planned has happened.
    pub(super) hit: AtomicBool,
    pub(super) crashed: Notify,
    /// By kind of write.
    pub(super) writes: AtomicUsize,
    in_flight: AtomicUsize,
    open: AtomicUsize,
    /// Seconds from the machine's time to that of the operator.
    ahead: AtomicI64,
    looks: AtomicUsize,
    quiet: Mutex<(Instant, usize)>,
    pub(super) fate: Mutex<Fate>,
    pub(super) ledger: Mutex<Ledger>,
    /// Something in the ledger or the fate of Jobs has changed.
    pub(super) work: Notify,
}

impl Shared {
    pub(super) fn new(namespace: String, direct: Client, plan: Plan) -> Arc<Self> {
        Arc::new(Self {
            namespace,
            direct,
            plan,
            calls: Mutex::default(),
            counts: Mutex::default(),
            hit: AtomicBool::new(false),
            crashed: Notify::new(),
            writes: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            ahead: AtomicI64::new(0),
            looks: AtomicUsize::new(0),
            quiet: Mutex::new((Instant::now(), 0)),
            fate: Mutex::new(Fate::Runs),
            ledger: Mutex::default(),
            work: Notify::new(),
        })
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(self.ahead.load(SeqCst))
    }

    /// The clock that the operator sees.
    pub(super) fn clock(self: &Arc<Self>) -> Clock {
        let shared = Arc::clone(self);
        let now = move || {
            shared.looks.fetch_add(1, SeqCst);
            shared.now()
        };
        Clock::new(now, LONGEST_WAIT)
    }

    pub(super) fn set_clock(&self, to: Timestamp) {
        self.ahead.store(to.duration_since(Timestamp::now()).as_secs() + 1, SeqCst);
        self.moved();
    }

    /// One more request of this kind: what is to happen to it.
    pub(super) fn asked(&self, call: &str) -> Option<Fault> {
        let number = {
            let mut counts = self.counts.lock().unwrap();
            let count = counts.entry(call.to_owned()).or_default();
            *count += 1;
            *count - 1
        };
        self.calls.lock().unwrap().push((call.to_owned(), number));
        let (planned, nth, fault) = self.plan.request.as_ref()?;
        let it_is = planned == call && *nth == number;
        if it_is {
            self.hit.store(true, SeqCst);
        }
        it_is.then_some(*fault)
    }

    pub(super) fn requests(&self) -> usize {
        self.calls.lock().unwrap().iter().filter(|(call, _)| !call.starts_with("watch ")).count()
    }

    pub(super) fn wrote(&self, call: &str) {
        debug_assert!(writes(call));
        self.writes.fetch_add(1, SeqCst);
    }

    pub(super) fn disturbed(&self) {
        self.hit.store(true, SeqCst);
    }

    /// The answer is as of so many versions ago.
    pub(super) fn take_to_the_past(&self, request: &mut Request<Body>) {
        let Some(versions) = self.plan.old else { return };
        let version = self.ledger.lock().unwrap().version_before(versions);
        let Some(version) = version else { return };
        self.disturbed();
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
        let query: Vec<_> = query.split('&').filter(|part| !part.starts_with("resourceVersion")).collect();
        let uri = format!("{path}?{}&resourceVersion={version}&resourceVersionMatch=Exact", query.join("&"));
        *request.uri_mut() = uri.parse().unwrap();
    }

    /// Something happened: whoever waits for rest waits anew.
    pub(super) fn moved(&self) {
        *self.quiet.lock().unwrap() = (Instant::now(), self.looks.load(SeqCst));
    }

    pub(super) fn busy(self: &Arc<Self>) -> impl Drop + use<> {
        self.moved();
        Guard::new(self, |shared| &shared.in_flight)
    }

    pub(super) fn watches(self: &Arc<Self>, _name: &str) -> impl Drop + use<> {
        self.moved();
        Guard::new(self, |shared| &shared.open)
    }

    /// How long nothing has happened.
    pub(super) fn quiet_for(&self) -> Duration {
        self.quiet.lock().unwrap().0.elapsed()
    }

    /// For whoever has to find out why something takes so long.
    pub(super) fn activity(&self) -> String {
        let (since, looks) = *self.quiet.lock().unwrap();
        let (looked, open) = (self.looks.load(SeqCst) - looks, self.open.load(SeqCst));
        let in_flight = self.in_flight.load(SeqCst);
        format!(
            "quiet for {:?}, {looked} looks at the clock, {in_flight} requests in flight, {open} watches",
            since.elapsed()
        )
    }

    /// Nothing is asked, everything is watched, and passes have looked again since anything happened. Without an object there
    /// are no passes.
    pub(super) fn rests(&self) -> bool {
        let (since, looks) = *self.quiet.lock().unwrap();
        let looked = self.looks.load(SeqCst) - looks;
        self.in_flight.load(SeqCst) == 0
            && self.open.load(SeqCst) >= WATCHES
            && (since.elapsed() > Duration::from_millis(120) && looked >= 4
                || since.elapsed() > Duration::from_millis(800))
    }
}

/// Counts as long as it lives.
struct Guard {
    shared: Arc<Shared>,
    of: fn(&Shared) -> &AtomicUsize,
}

impl Guard {
    fn new(shared: &Arc<Shared>, of: fn(&Shared) -> &AtomicUsize) -> Self {
        of(shared).fetch_add(1, SeqCst);
        Self { shared: Arc::clone(shared), of }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        (self.of)(&self.shared).fetch_sub(1, SeqCst);
        self.shared.moved();
    }
}
