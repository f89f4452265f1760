//! Image references, written out in full as container runtimes do it: without a registry it is `docker.io`, and
//! there a repository without a folder is in `library`. A registry is a first segment with a dot or a port, or
//! `localhost`.

/// Longest reference that the container runtimes take: repository, tag and digest.
const MAX_LENGTH: usize = 512;

/// The registry of references without one.
const DOCKER: &str = "docker.io";

/// A reference in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// Registry and path.
    pub(super) repository: String,
    /// `:tag`, `@sha256:…`, or both.
    pub(super) version: Option<String>,
}

impl Reference {
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_LENGTH {
            return Err(format!("it has more than {MAX_LENGTH} characters"));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        // A colon in the last segment starts a tag, an earlier one a port.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(format!("{tag:?} is no tag"));
        }
        if let Some(digest) = digest.filter(|digest| !is_digest(digest)) {
            return Err(format!("{digest:?} is no digest: sha256: and 64 hex digits"));
        }
        let version = tag.map(|tag| format!(":{tag}")).unwrap_or_default()
            + &digest.map(|digest| format!("@{digest}")).unwrap_or_default();
        Ok(Self { repository: full(name)?, version: Some(version).filter(|version| !version.is_empty()) })
    }
}

impl Reference {
    pub(super) fn has_digest(&self) -> bool {
        self.version.as_ref().is_some_and(|version| version.contains('@'))
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.repository, self.version.as_deref().unwrap_or_default())
    }
}

/// The beginning of repositories at whole segments: a registry alone, or with folders. `acme` is a folder of
/// docker.io, not a repository in its `library`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn folder(text: &str) -> Result<String, String> {
    if is_registry(text) {
        return registry(text).map(Into::into);
    }
    let (registry, path) = located(text)?;
    Ok(format!("{registry}/{path}"))
}

fn full(name: &str) -> Result<String, String> {
    let (registry, path) = located(name)?;
    let library = if registry == DOCKER && !path.contains('/') { "library/" } else { "" };
    Ok(format!("{registry}/{library}{path}"))
}

/// Registry and path, both valid.
fn located(name: &str) -> Result<(&str, &str), String> {
    let (registry_text, path) = match name.split_once('/') {
        Some((first, path)) if is_registry(first) => (first, path),
        _ => (DOCKER, name),
    };
    match path.split('/').find(|segment| !is_segment(segment)) {
        Some(segment) => Err(format!("{segment:?} is no part of a repository's name")),
        None => Ok((registry(registry_text)?, path)),
    }
}

fn registry(text: &str) -> Result<&str, String> {
    match text {
        "index.docker.io" => Ok(DOCKER),
        text if is_valid_registry(text) => Ok(text),
        _ => Err(format!("{text:?} is no registry")),
    }
}

fn is_registry(segment: &str) -> bool {
    !segment.contains('/') && (segment.contains(['.', ':']) || segment == "localhost")
}

fn is_valid_registry(registry: &str) -> bool {
    let (host, port) = registry.split_once(':').unwrap_or((registry, "1"));
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &str| {
        label.bytes().next().is_some_and(word)
            && label.bytes().next_back().is_some_and(word)
            && label.bytes().all(|byte| word(byte) || byte == b'-')
    };
    host.split('.').all(label) && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// Lower case letters and digits; single dots, up to two underscores, or any number of dashes between them.
fn is_segment(segment: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    segment.bytes().next().is_some_and(word)
        && segment.bytes().next_back().is_some_and(word)
        && segment.bytes().all(|byte| word(byte) || b"._-".contains(&byte))
        && segment
            .split(|c: char| c.is_ascii_alphanumeric())
            .all(|gap| matches!(gap, "." | "_" | "__") || gap.bytes().all(|byte| byte == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || b".-".contains(&byte))
}

fn is_digest(digest: &str) -> bool {
    digest.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}
