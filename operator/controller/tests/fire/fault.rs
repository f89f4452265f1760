//! What can go wrong between the operator and the API server.

use std::fmt;

use http::Request;
use kube::client::Body;

/// When the process dies, seen from a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// The request is never sent.
    Before,
    /// It is carried out, and the answer comes too late.
    Applied,
    /// Right after the answer.
    Answered,
    /// Before, but the request lingers on the way and arrives when the next process has begun.
    Late,
}

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Crash(When),
    /// This answer instead of carrying it out: code and reason.
    Refuse(u16, &'static str),
    /// This answer although it was carried out.
    Deny(u16, &'static str),
    /// The connection ends before it is sent.
    Reset,
    /// The connection ends before the answer.
    ResetAfter,
    /// It is sent a while later.
    Slow,
    /// Half of the answer.
    Malformed,
}

impl Fault {
    /// Every answer that is none, each with its name.
    pub(super) const ANSWERS: [(&str, Self); 18] = [
        ("400", Self::Refuse(400, "BadRequest")),
        ("403", Self::Refuse(403, "Forbidden")),
        ("404", Self::Refuse(404, "NotFound")),
        ("409 conflict", Self::Refuse(409, "Conflict")),
        ("409 already exists", Self::Refuse(409, "AlreadyExists")),
        ("410", Self::Refuse(410, "Expired")),
        ("413", Self::Refuse(413, "RequestEntityTooLarge")),
        ("422", Self::Refuse(422, "Invalid")),
        ("429", Self::Refuse(429, "TooManyRequests")),
        ("500", Self::Refuse(500, "InternalError")),
        ("500 although applied", Self::Deny(500, "InternalError")),
        ("503", Self::Refuse(503, "ServiceUnavailable")),
        ("504 not applied", Self::Refuse(504, "Timeout")),
        ("504 applied", Self::Deny(504, "Timeout")),
        ("reset", Self::Reset),
        ("reset although applied", Self::ResetAfter),
        ("slow", Self::Slow),
        ("malformed", Self::Malformed),
    ];

    pub(super) const CRASHES: [(&str, Self); 3] = [
        ("crash before", Self::Crash(When::Before)),
        ("crash after it was applied", Self::Crash(When::Applied)),
        ("crash after the answer", Self::Crash(When::Answered)),
    ];
}

/// What happens to the events of watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disturbance {
    /// Each comes only after so many others, or when none has come for a while.
    Delay(usize),
    /// The watch ends well after every so many.
    Close(usize),
    /// The connection breaks after every so many.
    Break(usize),
    /// It is too old after every so many: the operator has to list again.
    Expire(usize),
    /// What happens to one object in a while comes as one event.
    Merge,
}

/// What goes wrong in one run.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// The n-th request of this kind.
    pub(super) request: Option<(String, usize, Fault)>,
    /// Of what kind of objects: part of the watch's name.
    pub(super) watches: Option<(&'static str, Disturbance)>,
    /// After a restart the first lists are so many versions old.
    pub(super) old: Option<usize>,
}

impl Plan {
    /// Nothing goes wrong.
    pub(super) fn is_calm(&self) -> bool {
        self.request.is_none() && self.watches.is_none() && self.old.is_none()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((call, number, fault)) = &self.request {
            write!(f, "{fault:?} at {call} {number} ")?;
        }
        if let Some((which, disturbance)) = self.watches {
            write!(f, "{disturbance:?} of watches of {which:?} ")?;
        }
        self.old.map_or(Ok(()), |versions| write!(f, "{versions} versions old after a restart"))
    }
}

/// The kind of a request: `patch databasebackups/status`, `list jobs`, `watch jobs of databaserestore`.
pub(super) fn call(request: &Request<Body>) -> String {
    let path = request.uri().path().trim_start_matches('/');
    // api/v1/… or apis/GROUP/VERSION/…
    let skip = if path.starts_with("api/") { 2 } else { 3 };
    let mut parts = path.split('/').skip(skip);
    // namespaces/NAME/
    let (resource, name, sub) = (parts.nth(2).unwrap_or_default(), parts.next(), parts.next());
    let query = request.uri().query().unwrap_or_default();
    let verb = match (request.method().as_str(), name) {
        ("GET", None) if query.contains("watch=true") => "watch",
        ("GET", None) => "list",
        ("GET", Some(_)) => "get",
        ("POST", _) => "create",
        ("PATCH", _) => "patch",
        ("PUT", _) => "update",
        _ => "delete",
    };
    let sub = sub.map(|sub| format!("/{sub}")).unwrap_or_default();
    // Only the lists of watches have a limit. They are told apart by whose label they ask for.
    let of = ["databasebackup", "databaserestore", "databasesnapshot"]
        .into_iter()
        .find(|kind| query.contains(&format!("{kind}.db.example.io")));
    let of = match (verb, of) {
        ("watch", Some(of)) => format!(" of {of}"),
        ("list", of) if query.contains("limit=") => {
            format!(" for the cache{}", of.map(|of| format!(" of {of}")).unwrap_or_default())
        }
        _ => String::new(),
    };
    format!("{verb} {resource}{sub}{of}")
}

/// Whether it changes anything.
pub(super) fn writes(call: &str) -> bool {
    ["create ", "patch ", "update ", "delete "].iter().any(|verb| call.starts_with(verb))
}
