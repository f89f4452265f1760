//! A plugin's plan, as `wit/types.wit` has it: the doc comments there are the specification.

use serde::{Deserialize, Serialize};

/// One character and what stands for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Substitution {
    /// What is replaced.
    pub character: char,
    /// By what.
    pub replacement: String,
}

/// A way to write a secret that none of the named encodings covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escape {
    /// In one pass: a replacement is not looked at again.
    pub substitutions: Vec<Substitution>,
    /// Characters that the format cannot hold.
    pub refuse: String,
    /// Longest result in bytes.
    pub max: Option<u32>,
}

/// How a secret is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// As it is.
    Raw,
    /// RFC 3986, all but unreserved characters.
    Percent,
    /// RFC 4648 with padding.
    Base64,
    /// A JSON string with its quotes.
    JsonString,
    /// The plan's own.
    Escaped(Escape),
}

/// A secret value to fill in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretRef {
    /// Name of a binding of the descriptor.
    pub binding: String,
    /// How to write it.
    pub encoding: Encoding,
}

/// A piece of a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fragment {
    /// Literally.
    Text(String),
    /// Filled in inside the pod.
    Secret(SecretRef),
    /// The current item.
    Item,
}

/// A piece of an argument: no secret can stand here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArgumentPiece {
    /// Literally.
    Text(String),
    /// The current item; only behind a literal `--` argument.
    Item,
}

/// One whole argument: its pieces joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Argument {
    /// Joined without anything between them.
    pub pieces: Vec<ArgumentPiece>,
}

/// An environment variable of one process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvVar {
    /// Its name.
    pub name: String,
    /// Joined without anything between them.
    pub value: Vec<Fragment>,
}

/// A file that exists while its process runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigFile {
    /// Without a slash.
    pub name: String,
    /// Joined without anything between them.
    pub content: Vec<Fragment>,
}

/// A process to start, without a shell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The first one is the program.
    pub argv: Vec<Argument>,
    /// All that the process gets.
    pub env: Vec<EnvVar>,
    /// Written before it starts, removed after.
    pub files: Vec<ConfigFile>,
}

/// These bytes must occur near the end of the output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// What must occur.
    pub bytes: Vec<u8>,
    /// Within so many last bytes.
    pub within: u32,
}

/// How to know that a dump is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// Exit codes that mean success.
    pub exit_codes: Vec<i32>,
    /// First bytes of the output.
    pub header: Option<Vec<u8>>,
    /// Last bytes of the output.
    pub tail: Option<Tail>,
    /// Reads the same bytes and must exit 0.
    pub verifier: Option<Process>,
    /// Must occur in standard error.
    pub stderr_required: Option<String>,
    /// Fewer bytes than this are no dump.
    pub minimum_bytes: u32,
}

/// Where the process leaves its dump.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// Standard output.
    Stdout,
    /// A file of this path under the scratch folder.
    File(String),
    /// A folder of this path under the scratch folder, stored as a tar archive.
    Directory(String),
}

/// One object in storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Unique in the plan.
    pub name: String,
    /// Extension of the stored object, without a dot.
    pub extension: String,
    /// Media type of the plain bytes; [`Self::is_compressed`].
    pub media_type: String,
    /// What makes the dump.
    pub process: Process,
    /// Where it leaves it.
    pub output: Output,
    /// How to know that it is whole.
    pub completion: Completion,
    /// Last command of a restore by hand.
    pub restore_command: Option<String>,
}

/// Media types (RFC 6838) of bytes that no compressor makes smaller; `wit/types.wit` has the same list.
const COMPRESSED: [&str; 9] = [
    "application/gzip",
    "application/x-gzip",
    "application/zstd",
    "application/x-xz",
    "application/x-bzip2",
    "application/x-lz4",
    "application/x-lzip",
    "application/x-7z-compressed",
    "application/zip",
];
/// Suffixes of media types (RFC 6839 and the like) that mean the same.
const COMPRESSED_SUFFIXES: [&str; 3] = ["+gzip", "+zip", "+zstd"];

impl Part {
    /// Whether its plain bytes are compressed already, by their media type.
    pub fn is_compressed(&self) -> bool {
        let media_type = self.media_type.to_ascii_lowercase();
        COMPRESSED.contains(&media_type.as_str())
            || COMPRESSED_SUFFIXES.iter().any(|suffix| media_type.ends_with(suffix))
    }
}

/// How an items process separates what it prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Separator {
    /// Each item ends with NUL.
    Nul,
    /// Each item ends with a newline.
    Newline,
    /// As `newline`, with `\n`, `\t`, `\0` and `\\` inside an item.
    BackslashNewline,
}

/// One part for each item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerItem {
    /// Prints the items.
    pub items: Process,
    /// How it separates them.
    pub separator: Separator,
    /// The part of one item.
    pub each: Part,
}

/// Parts known beforehand, or only once the server was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartSource {
    /// Known beforehand.
    One(Part),
    /// One for each item that the server lists.
    PerItem(PerItem),
}

impl PartSource {
    /// The part, of each item where there are several.
    pub fn part(&self) -> &Part {
        match self {
            Self::One(part) | Self::PerItem(PerItem { each: part, .. }) => part,
        }
    }
}

/// What a check must give.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expectation {
    /// Exit code 0.
    ExitZero,
    /// Exit code 0, and standard output without its final newline is this.
    StdoutEquals(String),
    /// Exit code 0, and standard output is an integer of at least this.
    StdoutAtLeast(u32),
}

/// Runs before the dump.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// For logs.
    pub name: String,
    /// What runs.
    pub process: Process,
    /// What it must give.
    pub expectation: Expectation,
    /// Stable CamelCase word.
    pub reason: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// The plan of one backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupPlan {
    /// Name of an image of the descriptor; none: the user's.
    pub image: Option<String>,
    /// Run in this order before the dump.
    pub checks: Vec<Check>,
    /// Made in this order.
    pub parts: Vec<PartSource>,
    /// Size of the scratch folder.
    pub scratch_mebibytes: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_is_known_by_its_media_type() {
        let process = Process { argv: vec![], env: vec![], files: vec![] };
        let completion = Completion {
            exit_codes: vec![0],
            header: None,
            tail: None,
            verifier: None,
            stderr_required: None,
            minimum_bytes: 1,
        };
        let mut part = Part {
            name: "p".into(),
            extension: "x".into(),
            media_type: String::new(),
            process,
            output: Output::Stdout,
            completion,
            restore_command: None,
        };
        for (media_type, compressed) in [
            ("application/gzip", true),
            ("Application/ZSTD", true),
            ("application/vnd.example+gzip", true),
            ("application/x-tar", false),
            ("application/octet-stream", false),
            ("application/vnd.gzip.example", false),
        ] {
            part.media_type = media_type.into();
            assert_eq!(part.is_compressed(), compressed, "{media_type}");
        }
    }
}
