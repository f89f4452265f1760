//! Which client images may run, and where they are pulled from.
//!
//! Every image is first written out in full (`postgres:18` is `docker.io/library/postgres:18`), then matched by
//! whole repository against the administrator's list, then rewritten to a mirror.

mod reference;
#[cfg(test)]
mod tests;

use dbbackup_protocol::contract::{Description, Issue};

use reference::Reference;

/// The reason of an image that the administrator does not allow.
pub const IMAGE_NOT_ALLOWED: &str = "ImageNotAllowed";

/// Whether a text is an image reference.
///
/// # Errors
/// What is wrong with it.
pub fn check_reference(text: &str) -> Result<(), String> {
    Reference::parse(text).map(drop)
}

/// Why an administrator's setting cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImagePolicyError {
    /// Not a pattern.
    #[error(
        "--allowed-image {pattern:?}: {cause}; write a repository such as docker.io/library/postgres, one folder of \
         them such as ghcr.io/acme/*, or a whole reference with its tag or digest; with PLUGIN-ID= in front it counts for \
         that plugin only"
    )]
    Pattern {
        /// As the administrator wrote it.
        pattern: String,
        /// What is wrong.
        cause: String,
    },
    /// Not a mirror.
    #[error(
        "--image-mirror {from:?} to {to:?}: {cause}; both are repositories or beginnings of them, at whole segments, \
         such as docker.io/library"
    )]
    Mirror {
        /// What is rewritten.
        from: String,
        /// To what.
        to: String,
        /// What is wrong.
        cause: String,
    },
}

/// What an administrator allows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Allowed {
    /// Only where this plugin plans.
    plugin: Option<String>,
    pattern: Pattern,
}

/// Which images.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// Every repository below it, `/*` in writing.
    Folder(String),
    /// One repository; with a tag or digest exactly that.
    Image(Reference),
}

/// The administrator's word on images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImagePolicy {
    allowed: Vec<Allowed>,
    digests_required: bool,
    /// From and to, longest `from` first.
    mirrors: Vec<(String, String)>,
}

impl ImagePolicy {
    /// Reads the settings. `allowed` holds repositories (any tag), whole references (exactly these), or a folder of
    /// repositories (`ghcr.io/acme/*`, at any depth); each for all plugins or, with `ID=` in front, for one. `mirrors` rewrites
    /// beginnings of repositories.
    ///
    /// # Errors
    /// [`ImagePolicyError`] at the first one that cannot be read.
    pub fn new<'a>(
        allowed: impl IntoIterator<Item = &'a str>,
        mirrors: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, ImagePolicyError> {
        let allowed = allowed.into_iter().map(Allowed::parse).collect::<Result<_, _>>()?;
        let mut mirrors: Vec<_> =
            mirrors.into_iter().map(|(from, to)| mirror(from, to)).collect::<Result<_, _>>()?;
        mirrors.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        Ok(Self { allowed, digests_required: false, mirrors })
    }

    /// Whether images without a digest are refused: a tag can be moved.
    #[must_use]
    pub fn with_digests_required(self, digests_required: bool) -> Self {
        Self { digests_required, ..self }
    }

    /// The image to run: `spec.image`, or else the one that the plan names; allowed, and from its mirror.
    ///
    /// # Errors
    /// An issue at `/image` with the setting that would help.
    pub fn resolve(
        &self,
        plan_image: Option<&str>,
        spec_image: Option<&str>,
        description: &Description,
    ) -> Result<String, Issue> {
        let wanted = match (spec_image, plan_image) {
            (Some(image), _) => image,
            (None, Some(name)) => described(name, description)?,
            (None, None) => {
                let message = format!(
                    "plugin {} brings no image for this: name one with your tools in spec.image",
                    description.id
                );
                return Err(issue("ImageRequired", message));
            }
        };
        let reference = Reference::parse(wanted).map_err(|cause| {
            issue(
                "ImageInvalid",
                format!("image {:?}: {cause}", wanted.chars().take(100).collect::<String>()),
            )
        })?;
        if reference.version.is_none() {
            let message =
                format!("image {reference}: write a tag or a digest, so that every run uses the same tools");
            return Err(issue("ImageInvalid", message));
        }
        if self.digests_required && !reference.has_digest() {
            let message = format!(
                "image {reference} has no digest, and an administrator wants one (--require-image-digest): write \
                 {reference}@sha256:…"
            );
            return Err(issue("ImageNotPinned", message));
        }
        if !self.allowed.iter().any(|allowed| allowed.matches(&description.id, &reference)) {
            let message = format!(
                "image {reference} is not allowed here; allowed are {}. An administrator can add it with the \
                 operator's flag --allowed-image={}={}",
                self.list(&description.id),
                description.id,
                reference.repository
            );
            return Err(issue(IMAGE_NOT_ALLOWED, message));
        }
        Ok(self.mirrored(reference).to_string())
    }

    fn mirrored(&self, reference: Reference) -> Reference {
        let rewritten = self.mirrors.iter().find_map(|(from, to)| {
            let rest = reference.repository.strip_prefix(from)?;
            (rest.is_empty() || rest.starts_with('/')).then(|| format!("{to}{rest}"))
        });
        match rewritten {
            Some(repository) => Reference { repository, ..reference },
            None => reference,
        }
    }

    fn list(&self, plugin: &str) -> String {
        let shown: Vec<_> = self
            .allowed
            .iter()
            .filter(|allowed| allowed.is_for(plugin))
            .map(|one| one.pattern.to_string())
            .collect();
        if shown.is_empty() { "none".into() } else { shown.join(", ") }
    }
}

impl Allowed {
    fn parse(text: &str) -> Result<Self, ImagePolicyError> {
        // No reference has this sign.
        let (plugin, pattern) = text.split_once('=').map_or((None, text), |(id, rest)| (Some(id), rest));
        let error = |cause: String| ImagePolicyError::Pattern { pattern: text.to_owned(), cause };
        if plugin == Some("") {
            return Err(error("the plugin's id before = is missing".to_owned()));
        }
        let pattern = Pattern::parse(pattern).map_err(error)?;
        Ok(Self { plugin: plugin.map(str::to_owned), pattern })
    }

    fn is_for(&self, plugin: &str) -> bool {
        self.plugin.as_ref().is_none_or(|id| id == plugin)
    }

    fn matches(&self, plugin: &str, reference: &Reference) -> bool {
        self.is_for(plugin) && self.pattern.matches(reference)
    }
}

impl Pattern {
    fn parse(pattern: &str) -> Result<Self, String> {
        match pattern.strip_suffix("/*") {
            Some(folder) => Ok(Self::Folder(reference::folder(folder)?)),
            None => Ok(Self::Image(Reference::parse(pattern)?)),
        }
    }

    /// Whole segments: `…/postgres` does not allow `…/postgres-evil`.
    fn matches(&self, reference: &Reference) -> bool {
        match self {
            Self::Folder(folder) => {
                reference.repository.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
            }
            Self::Image(image) => {
                image.repository == reference.repository
                    && (image.version.is_none() || image.version == reference.version)
            }
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{folder}/*"),
            Self::Image(image) => write!(f, "{image}"),
        }
    }
}

fn mirror(from: &str, to: &str) -> Result<(String, String), ImagePolicyError> {
    let folder = |text: &str| {
        reference::folder(text).map_err(|cause| ImagePolicyError::Mirror {
            from: from.to_owned(),
            to: to.to_owned(),
            cause,
        })
    };
    Ok((folder(from)?, folder(to)?))
}

fn described<'a>(name: &str, description: &'a Description) -> Result<&'a str, Issue> {
    description
        .images
        .iter()
        .find(|image| image.name == name)
        .map(|image| image.reference.as_str())
        .ok_or_else(|| {
            let message =
                format!("plugin {} plans with an image {name:?} that it does not describe", description.id);
            issue("ImageUnknown", message)
        })
}

fn issue(reason: &str, message: String) -> Issue {
    Issue { path: "/image".into(), reason: reason.into(), message }
}
