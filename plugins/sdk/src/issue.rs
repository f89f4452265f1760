//! Saying no.

use std::fmt::Display;

use crate::{Issue, Refusal};

/// A JSON pointer (RFC 6901) from its segments: `pointer(["settings", "a/b"])` is `/settings/a~1b`.
pub fn pointer<S: Display>(segments: impl IntoIterator<Item = S>) -> String {
    segments.into_iter().fold(String::new(), |pointer, segment| {
        pointer + "/" + &segment.to_string().replace('~', "~0").replace('/', "~1")
    })
}

impl Issue {
    /// `path` is a JSON pointer into `spec`, `reason` a stable CamelCase word, `message` a sentence that says what
    /// is wrong and what to write instead.
    pub fn new(path: impl Into<String>, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), reason: reason.into(), message: message.into() }
    }
}

impl From<Issue> for Refusal {
    fn from(issue: Issue) -> Self {
        Self { issues: vec![issue] }
    }
}

/// Collects issues, so that a user sees all of them at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issues(Vec<Issue>);

impl Issues {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more, see [`Issue::new`].
    pub fn add(&mut self, path: impl Into<String>, reason: impl Into<String>, message: impl Into<String>) {
        self.0.push(Issue::new(path, reason, message));
    }

    /// Goes on only when there are none.
    ///
    /// # Errors
    /// A [`Refusal`] with all of them.
    pub fn refuse_any(self) -> Result<(), Refusal> {
        if self.0.is_empty() { Ok(()) } else { Err(Refusal { issues: self.0 }) }
    }
}

/// Both values, or the issues of both refusals.
///
/// # Errors
/// A [`Refusal`] with all issues, the first one's first.
pub fn both<A, B>(first: Result<A, Refusal>, second: Result<B, Refusal>) -> Result<(A, B), Refusal> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (Err(refusal), Ok(_)) | (Ok(_), Err(refusal)) => Err(refusal),
        (Err(mut first), Err(second)) => {
            first.issues.extend(second.issues);
            Err(first)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_escaped() {
        assert_eq!(pointer(["settings", "a/b~c"]), "/settings/a~1b~0c");
        assert_eq!(pointer(Vec::<String>::new()), "");
    }

    #[test]
    fn all_issues_are_kept() {
        let mut issues = Issues::new();
        issues.clone().refuse_any().unwrap();
        issues.add("/settings/a", "A", "a");
        let image: Result<(), _> = Err(Issue::new("/image", "B", "b").into());
        let refusal = both(issues.refuse_any(), image).unwrap_err();
        let paths: Vec<_> = refusal.issues.into_iter().map(|issue| issue.path).collect();
        assert_eq!(paths, ["/settings/a", "/image"]);
        assert_eq!(both(Ok(1), Ok(2)), Ok((1, 2)));
        assert_eq!(both(Ok(1), Err::<(), _>(Issue::new("", "", "").into())).unwrap_err().issues.len(), 1);
    }
}
