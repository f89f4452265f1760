//! The words for what goes wrong with every engine: one vocabulary for all plugins, so that a user, a dashboard and an
//! alert need to know only one.

use crate::{Diagnosis, Failure};

/// Why a process failed. Its name is the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The host's name has no address.
    HostNotFound,
    /// Nobody listens there.
    ConnectionRefused,
    /// No answer in time, or no way there.
    ServerUnreachable,
    /// The server starts, stops or recovers.
    ServerNotReady,
    /// The server went away in the middle.
    ConnectionLost,
    /// All its connections are taken.
    TooManyConnections,
    /// Another kind of server answers.
    WrongServer,
    /// User name or password are wrong.
    PasswordRejected,
    /// The account is right, but may not log in: locked, or not from here.
    LoginRefused,
    /// The client cannot prove the account in the way that the server wants.
    LoginMethodNotSupported,
    /// TLS is asked for, and the server has none.
    TlsNotOffered,
    /// The server insists on TLS.
    TlsRequired,
    /// The server's certificate was not accepted.
    CertificateRejected,
    /// Another trouble with TLS.
    TlsFailed,
    /// There is no such database.
    DatabaseNotFound,
    /// A selection in `settings` matches nothing.
    SelectionMatchesNothing,
    /// The account lacks a right.
    GrantMissing,
    /// Row security would hide rows from the dump.
    RowSecurityActive,
    /// The client is older than the server.
    ClientTooOld,
    /// The client is newer than the server.
    ClientTooNew,
    /// The backup was made by a newer client than the one that is to restore it.
    BackupTooNew,
    /// A lock was not to be had in time.
    LockTimeout,
    /// The server ended a statement that took too long.
    StatementTimeout,
    /// The server ended the statement for another reason that passes.
    StatementCancelled,
    /// A table was changed while it was dumped.
    SchemaChanged,
    /// An object in the database cannot be used any more.
    ObjectInvalid,
    /// Data in the server is damaged.
    DataDamaged,
    /// The server has no disk space left.
    ServerDiskFull,
    /// The server ran out of memory or of another resource.
    ServerResourcesExhausted,
    /// The program is not in the image, or the image lacks something it needs.
    ProgramNotUsable,
}

impl Cause {
    /// The stable word.
    pub fn reason(self) -> String {
        format!("{self:?}")
    }

    /// With the facts of a failure: a sentence, a hint, and whether trying again may help.
    pub fn diagnosis(self, failure: &Failure) -> Diagnosis {
        Diagnosis::new(self.reason(), self.message(failure)).hint(self.hint()).retryable(self.passes())
    }

    fn message(self, failure: &Failure) -> String {
        let server = failure.server();
        match self {
            Self::HostNotFound => format!("the name of the server {server} cannot be resolved"),
            Self::ConnectionRefused => format!("nothing listens at {server}"),
            Self::ServerUnreachable => format!("the server {server} does not answer"),
            Self::ServerNotReady => format!("the server {server} is starting, stopping or recovering"),
            Self::ConnectionLost => format!("the connection to the server {server} was lost"),
            Self::TooManyConnections => {
                format!("the server {server} has no connection left for this account")
            }
            Self::WrongServer => format!("what answers at {server} is another kind of server"),
            Self::PasswordRejected => format!("the server {server} rejected the user name or the password"),
            Self::LoginRefused => format!("the server {server} does not let this account log in"),
            Self::LoginMethodNotSupported => {
                format!("the client cannot prove the account in the way that the server {server} asks for")
            }
            Self::TlsNotOffered => format!("TLS is asked for, and the server {server} does not offer it"),
            Self::TlsRequired => format!("the server {server} takes no connection without TLS"),
            Self::CertificateRejected => {
                format!("the certificate of the server {server} could not be verified")
            }
            Self::TlsFailed => format!("TLS with the server {server} failed"),
            Self::DatabaseNotFound => match failure.fact("database") {
                Some(database) => format!("the server {server} has no database {database:?}"),
                None => format!("the server {server} has no such database"),
            },
            Self::SelectionMatchesNothing => "a selection in spec.settings matches nothing".to_owned(),
            Self::GrantMissing => format!("the account may not read everything on the server {server}"),
            Self::RowSecurityActive => "row security would hide rows from the backup".to_owned(),
            Self::ClientTooOld => format!("the client image is older than the server {server}"),
            Self::ClientTooNew => {
                format!("the client image says what the server {server} does not know, because it is older")
            }
            Self::BackupTooNew => {
                "a newer client made the backup than the one that is to restore it".to_owned()
            }
            Self::LockTimeout => format!("a lock on the server {server} was not to be had in time"),
            Self::StatementTimeout => format!("the server {server} ended a statement that took too long"),
            Self::StatementCancelled => format!("the server {server} cancelled a statement"),
            Self::SchemaChanged => "a table was changed while it was dumped".to_owned(),
            Self::ObjectInvalid => {
                "an object in the database refers to what does not exist any more".to_owned()
            }
            Self::DataDamaged => format!("data on the server {server} is damaged and cannot be read"),
            Self::ServerDiskFull => "there is no disk space left".to_owned(),
            Self::ServerResourcesExhausted => {
                format!("the server {server} ran out of memory or of another resource")
            }
            Self::ProgramNotUsable => "the program does not run in the client image".to_owned(),
        }
    }

    /// What to do about it, with any engine.
    pub fn hint(self) -> &'static str {
        match self {
            Self::HostNotFound => {
                "correct spec.connection.host; a Service of another namespace is written as name.namespace.svc"
            }
            Self::ConnectionRefused => "check that the server runs, and spec.connection.port",
            Self::ServerUnreachable => {
                "check that the server runs, spec.connection, and that no NetworkPolicy keeps this namespace's pods from it"
            }
            Self::ServerNotReady | Self::StatementCancelled => {
                "nothing, if it passes; otherwise the server's log says why"
            }
            Self::ConnectionLost => {
                "the server's log says whether it was restarted; otherwise something on the way cuts long connections"
            }
            Self::TooManyConnections => {
                "raise the limit of the server or of the account, or back up at another time"
            }
            Self::WrongServer => "correct spec.connection.host, spec.connection.port or spec.databaseType",
            Self::PasswordRejected => {
                "correct the Secret that spec.connection.credentials names, or the password in the server"
            }
            Self::LoginRefused => "allow the account to log in from the pods of this namespace, or unlock it",
            Self::LoginMethodNotSupported => {
                "use a client image that knows the method, or give the account another one"
            }
            Self::TlsNotOffered => "switch TLS on in the server, or choose another spec.connection.tls.mode",
            Self::TlsRequired => "set spec.connection.tls.mode to require, verify-ca or verify-full",
            Self::CertificateRejected => {
                "name the right authority in spec.connection.tls.caSecret, and the host as the certificate has it"
            }
            Self::TlsFailed => "check spec.connection.tls and the server's TLS settings",
            Self::DatabaseNotFound => "correct spec.connection.database or spec.settings.databases",
            Self::SelectionMatchesNothing => {
                "correct the selection: what it names does not exist in every database"
            }
            Self::GrantMissing => "grant the account what the README lists for this engine",
            Self::RowSecurityActive => "let the account see all rows",
            Self::ClientTooOld => "remove spec.settings.serverVersion or spec.image, or write a newer one",
            Self::ClientTooNew => {
                "restore into a server that is at least as new as the one that was backed up"
            }
            Self::BackupTooNew => {
                "remove spec.settings.serverVersion or spec.image, or write the version of that client"
            }
            Self::LockTimeout | Self::SchemaChanged => "back up at a time at which nobody changes tables",
            Self::StatementTimeout => "give the account no limit for the time of a statement",
            Self::ObjectInvalid => "repair or drop the object that is named",
            Self::DataDamaged => {
                "keep the older backups, and repair the server before anything is written to it"
            }
            Self::ServerDiskFull => "make room",
            Self::ServerResourcesExhausted => "give the server more of what it names",
            Self::ProgramNotUsable => "correct spec.image or the command",
        }
    }

    /// Whether the same again may go well, although nobody changes anything. A name that cannot be resolved is among
    /// them: the address of a server that restarts is gone for a while.
    fn passes(self) -> bool {
        match self {
            Self::HostNotFound
            | Self::ConnectionRefused
            | Self::ServerUnreachable
            | Self::ServerNotReady
            | Self::ConnectionLost
            | Self::TooManyConnections
            | Self::LockTimeout
            | Self::StatementCancelled
            | Self::SchemaChanged
            | Self::ServerResourcesExhausted => true,
            Self::WrongServer
            | Self::PasswordRejected
            | Self::LoginRefused
            | Self::LoginMethodNotSupported
            | Self::TlsNotOffered
            | Self::TlsRequired
            | Self::CertificateRejected
            | Self::TlsFailed
            | Self::DatabaseNotFound
            | Self::SelectionMatchesNothing
            | Self::GrantMissing
            | Self::RowSecurityActive
            | Self::ClientTooOld
            | Self::ClientTooNew
            | Self::BackupTooNew
            | Self::StatementTimeout
            | Self::ObjectInvalid
            | Self::DataDamaged
            | Self::ServerDiskFull
            | Self::ProgramNotUsable => false,
        }
    }
}
