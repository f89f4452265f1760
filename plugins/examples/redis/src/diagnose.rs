//! What a failure means.

use crate::exports::db_backup::plugin::diagnose::{Diagnosis, Failure};

/// A failure that is known by its words.
pub(crate) struct Known {
    words: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) message: &'static str,
    pub(crate) hint: &'static str,
    pub(crate) retryable: bool,
}

/// By what stands on standard error. The first one that fits counts: a client that was not let in is also refused each
/// command afterwards.
const KNOWN: [Known; 14] = [
    Known {
        words: "WRONGPASS",
        reason: "PasswordRejected",
        message: "Redis does not accept the password, or the user is disabled.",
        hint: "Look at the Secret of spec.connection.credentials and at settings.username.",
        retryable: false,
    },
    // What servers before 6 and those without any password say.
    Known {
        words: "ERR invalid password",
        reason: "PasswordRejected",
        message: "Redis does not accept the password.",
        hint: "Look at the Secret of spec.connection.credentials.",
        retryable: false,
    },
    Known {
        words: "without any password configured",
        reason: "PasswordNotExpected",
        message: "The server has no password for the default user, and one was given.",
        hint: "Take the credentials out of spec.connection, or name the right user in settings.username.",
        retryable: false,
    },
    Known {
        words: "NOAUTH",
        reason: "PasswordMissing",
        message: "The server wants a password, and none was given.",
        hint: "Map `password` to a key of the Secret in spec.connection.credentials.keys.",
        retryable: false,
    },
    Known {
        words: "NOPERM",
        reason: "GrantMissing",
        message: "The user may not copy the server.",
        hint: "Grant it: ACL SETUSER <user> +sync +psync +replconf +info",
        retryable: false,
    },
    Known {
        words: "NOMASTERLINK",
        reason: "ReplicaNotInSync",
        message: "The server is a replica that has lost its master.",
        hint: "It gives dumps again once it is in sync.",
        retryable: true,
    },
    Known {
        words: "LOADING",
        reason: "ServerStarting",
        message: "Redis is still loading its data.",
        hint: "",
        retryable: true,
    },
    Known {
        words: "max number of clients reached",
        reason: "TooManyConnections",
        message: "The server takes no further client.",
        hint: "Raise maxclients if that happens often.",
        retryable: true,
    },
    Known {
        words: "certificate verify failed",
        reason: "CertificateNotTrusted",
        message: "The server's certificate is signed by none of the authorities that are trusted.",
        hint: "Name the right authority in spec.connection.tls.caSecret.",
        retryable: false,
    },
    Known {
        words: "SSL_connect failed",
        reason: "TlsFailed",
        message: "The server does not speak TLS at this port, or does not take what the client offers.",
        hint: "Look at spec.connection.port and spec.connection.tls.",
        retryable: false,
    },
    Known {
        words: "Name or service not known",
        reason: "HostNotFound",
        message: "There is no host of this name.",
        hint: "Look at spec.connection.host.",
        retryable: false,
    },
    Known {
        words: "Could not connect to Redis",
        reason: "ServerNotReachable",
        message: "No connection to Redis at this host and port.",
        hint: "Look at spec.connection, and whether a network policy is in the way.",
        retryable: true,
    },
    Known {
        words: "reading RDB payload",
        reason: "ConnectionLost",
        message: "The server ended the connection in the middle of the dump.",
        hint: "If it goes on, raise the limit for replicas in client-output-buffer-limit.",
        retryable: true,
    },
    Known {
        words: "Connection reset by peer",
        reason: "ConnectionLost",
        message: "The server ended the connection.",
        hint: "If its port speaks TLS, set spec.connection.tls.mode.",
        retryable: true,
    },
];

/// The failure with these words in it.
pub(crate) fn known(stderr: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| stderr.contains(known.words))
}

/// None: the operator's own sentence is as good.
pub(crate) fn explain(failure: &Failure) -> Option<Diagnosis> {
    if let Some(known) = known(&failure.stderr) {
        return Some(Diagnosis {
            reason: known.reason.to_owned(),
            message: known.message.to_owned(),
            hint: known.hint.to_owned(),
            retryable: known.retryable,
        });
    }
    // redis-check-rdb says why on standard output.
    (failure.phase == "verify" && failure.exit_code == Some(1)).then(|| Diagnosis {
        reason: "DumpRejected".to_owned(),
        message: "redis-check-rdb does not accept the dump.".to_owned(),
        hint: "A server newer than the client image is the usual cause: name a newer one in spec.image."
            .to_owned(),
        retryable: true,
    })
}
