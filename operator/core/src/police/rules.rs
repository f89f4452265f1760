//! The rules' stable names: they reach logs, conditions and a plugin author's tests.

/// A rule for plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The whole plan fits into a Job.
    PlanSize,
    /// The image is one of the descriptor's.
    Image,
    /// The scratch folder has a size that a node can have.
    Scratch,
    /// There is a part.
    NoPart,
    /// Lists have an end.
    Count,
    /// A check's name is a word.
    CheckName,
    /// A check's reason is a CamelCase word.
    CheckReason,
    /// Sentences are sentences.
    Text,
    /// No NUL, anywhere.
    Nul,
    /// A part's name is a word.
    PartName,
    /// Parts have different names.
    PartNameTwice,
    /// An extension is one.
    Extension,
    /// A media type is one.
    MediaType,
    /// The output lies under the scratch folder.
    OutputPath,
    /// Some exit code means success.
    ExitCodes,
    /// An empty dump is no dump.
    MinimumBytes,
    /// What is looked for is neither nothing nor endless.
    Mark,
    /// A tail's window holds the tail and has an end.
    TailWindow,
    /// The program is known beforehand.
    Program,
    /// An item stands only behind a literal `--`.
    ItemPosition,
    /// An item stands only in a per-item part.
    ItemScope,
    /// A variable's name is one, and does not change how the program is loaded.
    EnvName,
    /// A variable is set once.
    EnvNameTwice,
    /// A file's name has no slash.
    FileName,
    /// A file is written once.
    FileNameTwice,
    /// A secret is one that the descriptor declares.
    BindingDeclared,
    /// A secret is one that the pod has.
    BindingSupplied,
    /// An encoding can be carried out.
    Encoding,
    /// A probe asks so much and no more.
    QueryCount,
    /// A query's name is a word.
    QueryName,
    /// Queries have different names.
    QueryNameTwice,
    /// What a plugin found out is a list that somebody can read.
    FindingCount,
    /// The reason of a problem or of a diagnosis is a CamelCase word.
    SpokenReason,
}

impl Rule {
    /// Its stable name.
    pub fn id(self) -> &'static str {
        match self {
            Self::PlanSize => "P001-plan-size",
            Self::Image => "P002-image",
            Self::Scratch => "P003-scratch",
            Self::NoPart => "P004-no-part",
            Self::Count => "P005-count",
            Self::CheckName => "P006-check-name",
            Self::CheckReason => "P007-check-reason",
            Self::Text => "P008-text",
            Self::Nul => "P009-nul",
            Self::PartName => "P010-part-name",
            Self::PartNameTwice => "P011-part-name-twice",
            Self::Extension => "P012-extension",
            Self::MediaType => "P013-media-type",
            Self::OutputPath => "P014-output-path",
            Self::ExitCodes => "P015-exit-codes",
            Self::MinimumBytes => "P016-minimum-bytes",
            Self::Mark => "P017-mark",
            Self::TailWindow => "P018-tail-window",
            Self::Program => "P019-program",
            Self::ItemPosition => "P020-item-position",
            Self::ItemScope => "P021-item-scope",
            Self::EnvName => "P022-env-name",
            Self::EnvNameTwice => "P023-env-name-twice",
            Self::FileName => "P024-file-name",
            Self::FileNameTwice => "P025-file-name-twice",
            Self::BindingDeclared => "P026-binding-declared",
            Self::BindingSupplied => "P027-binding-supplied",
            Self::Encoding => "P028-encoding",
            Self::QueryCount => "P029-query-count",
            Self::QueryName => "P030-query-name",
            Self::QueryNameTwice => "P031-query-name-twice",
            Self::FindingCount => "P032-finding-count",
            Self::SpokenReason => "P033-spoken-reason",
        }
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id())
    }
}
