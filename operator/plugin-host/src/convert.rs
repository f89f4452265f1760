//! Between the generated types and those of `dbbackup_protocol`, field by field: a field or case that one side
//! gains and the other lacks does not compile.

use dbbackup_protocol::{contract, optional, plan, restore};

use crate::bindings::db_backup::plugin::types as wit;
use crate::bindings::exports::db_backup::plugin::{
    descriptor as wit_descriptor, diagnose as wit_diagnose, probe as wit_probe, restore as wit_restore,
};

/// A conversion that cannot fail. `From` would do, were it not for lists and options.
pub(crate) trait Convert<T> {
    fn convert(self) -> T;
}

impl<T: Convert<B>, B> Convert<Vec<B>> for Vec<T> {
    fn convert(self) -> Vec<B> {
        self.into_iter().map(Convert::convert).collect()
    }
}

impl<T: Convert<B>, B> Convert<Option<B>> for Option<T> {
    fn convert(self) -> Option<B> {
        self.map(Convert::convert)
    }
}

macro_rules! same {
    ($($type:ty),*) => { $(impl Convert<$type> for $type {
        fn convert(self) -> $type {
            self
        }
    })* };
}
same!(String, bool, char, u8, u16, u32, i32);

macro_rules! record {
    ($from:path => $to:path { $($field:ident),* $(,)? }) => {
        impl Convert<$to> for $from {
            fn convert(self) -> $to {
                let Self { $($field),* } = self;
                $to { $($field: $field.convert()),* }
            }
        }
    };
}

macro_rules! variant {
    ($from:ident :: $name:ident => $to:ident :: $other:ident { $($plain:ident),* ; $($holder:ident),* }) => {
        impl Convert<$to::$other> for $from::$name {
            fn convert(self) -> $to::$other {
                match self {
                    $(Self::$plain => $to::$other::$plain,)*
                    $(Self::$holder(inner) => $to::$other::$holder(inner.convert()),)*
                }
            }
        }
    };
}

// What a plugin is told.
record!(contract::Fact => wit::Fact { key, value });
variant!(contract::TlsMode => wit::TlsMode { Disable, Prefer, Require, VerifyCa, VerifyFull; });
record!(contract::Tls => wit::Tls { mode, ca_file, certificate_file, key_file });
record!(contract::Connection => wit::Connection { host, port, database, tls });
record!(contract::Server => wit::Server { version, facts });
record!(contract::Request => wit::Request {
    namespace, name, database_type, connection, bindings, server, settings, config_dir, scratch_dir, facts,
});

// What it says of itself.
record!(wit::Fact => contract::Fact { key, value });
record!(wit_descriptor::Binding => contract::Binding { name, required, summary });
record!(wit_descriptor::Image => contract::Image { name, reference, server_versions });
record!(wit_descriptor::Description => contract::Description {
    id, version, summary, database_types, default_port, bindings, images, settings_schema, labels,
});

// What it answers.
record!(wit::Issue => contract::Issue { path, reason, message });
record!(wit::Substitution => plan::Substitution { character, replacement });
record!(wit::Escape => plan::Escape { substitutions, refuse, max });
variant!(wit::Encoding => plan::Encoding { Raw, Percent, Base64, JsonString; Escaped });
record!(wit::Secret => plan::SecretRef { binding, encoding });
variant!(wit::Fragment => plan::Fragment { Item; Text, Secret });
variant!(wit::ArgumentPiece => plan::ArgumentPiece { Item; Text });
record!(wit::Argument => plan::Argument { pieces });
record!(wit::EnvVar => plan::EnvVar { name, value });
record!(wit::ConfigFile => plan::ConfigFile { name, content });
record!(wit::Process => plan::Process { argv, env, files });
record!(wit::Tail => plan::Tail { bytes, within });
record!(wit::Completion => plan::Completion {
    exit_codes, header, tail, verifier, stderr_required, minimum_bytes,
});
variant!(wit::Output => plan::Output { Stdout; File, Directory });
record!(wit::Part => plan::Part { name, extension, media_type, process, output, completion, restore_command });
variant!(wit::Separator => plan::Separator { Nul, Newline, BackslashNewline; });
record!(wit::PerItem => plan::PerItem { items, separator, each });
variant!(wit::PartSource => plan::PartSource { ; One, PerItem });
variant!(wit::Expectation => plan::Expectation { ExitZero; StdoutEquals, StdoutAtLeast });
record!(wit::Check => plan::Check { name, process, expectation, reason, message });
record!(wit::BackupPlan => plan::BackupPlan { image, checks, parts, scratch_mebibytes });

// Optional interfaces: what it is told, and what it answers.
record!(optional::Answer => wit_probe::Answer { name, exit_code, stdout, stderr, truncated });
record!(optional::Failure => wit_diagnose::Failure { phase, part, exit_code, signal, stderr, facts });
record!(wit::Server => contract::Server { version, facts });
record!(wit_probe::Query => optional::Query { name, process });
record!(wit_probe::ProbePlan => optional::ProbePlan { image, queries });
record!(wit_probe::Problem => optional::Problem { reason, message, hint, blocking });
record!(wit_probe::Findings => optional::Findings { server, size_mebibytes, problems });
variant!(restore::Mode => wit_restore::Mode { Refuse, Replace; });
record!(restore::Rename => wit_restore::Rename { source, target });
record!(restore::RestoreRequest => wit_restore::RestoreRequest { target, databases, renames, mode, facts });
record!(wit_restore::Step => restore::Step { purpose, process, exit_codes });
variant!(wit_restore::Input => restore::Input { Stdin; File, Directory });
variant!(wit_restore::Effect => restore::Effect { AtEnd, Gradual; });
record!(wit_restore::Load => restore::Load { process, input, effect, exit_codes, stderr_required });
record!(wit_restore::Signs => restore::Signs { any_of, but_not_before, meaning, until });
record!(wit_restore::PartRestore => restore::PartRestore {
    part, required, contents, signs, create, clear, load, finish,
});
record!(wit_restore::Listing => restore::Listing { items, separator });
record!(wit_restore::RestorePlan => restore::RestorePlan { image, existing, parts, skipped, scratch_mebibytes });
record!(wit_diagnose::Diagnosis => optional::Diagnosis { reason, message, hint, retryable });
