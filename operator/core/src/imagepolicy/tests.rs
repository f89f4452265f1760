use dbbackup_protocol::contract::Image;
use proptest::prelude::*;
use rstest::rstest;

use super::*;

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn description() -> Description {
    Description {
        id: "postgres".into(),
        version: "1.0.0".into(),
        summary: String::new(),
        database_types: vec![],
        default_port: None,
        bindings: vec![],
        images: vec![Image {
            name: "client-18".into(),
            reference: "docker.io/library/postgres:18".into(),
            server_versions: None,
        }],
        settings_schema: "{}".into(),
        labels: vec![],
    }
}

fn policy(allowed: &[&str], mirrors: &[(&str, &str)]) -> ImagePolicy {
    ImagePolicy::new(allowed.iter().copied(), mirrors.iter().copied()).unwrap()
}

fn resolve(policy: &ImagePolicy, image: &str) -> Result<String, Issue> {
    policy.resolve(Some("client-18"), Some(image), &description())
}

#[rstest]
#[case("docker.io/library/postgres", "postgres:17", "docker.io/library/postgres:17")]
#[case("docker.io/library/postgres", "library/postgres:17", "docker.io/library/postgres:17")]
#[case("docker.io/library/postgres", "index.docker.io/postgres:17", "docker.io/library/postgres:17")]
#[case("postgres", "docker.io/library/postgres:17", "docker.io/library/postgres:17")]
#[case("docker.io/library/*", "mysql:9", "docker.io/library/mysql:9")]
#[case("ghcr.io/*", "ghcr.io/acme/tools/pg:1", "ghcr.io/acme/tools/pg:1")]
#[case("ghcr.io/acme/*", "ghcr.io/acme/a/b/c:1", "ghcr.io/acme/a/b/c:1")]
#[case("localhost:5000/*", "localhost:5000/pg:1", "localhost:5000/pg:1")]
#[case("acme/*", "acme/pg:1", "docker.io/acme/pg:1")]
#[case("postgres:17", "postgres:17", "docker.io/library/postgres:17")]
#[case(
    "postgres",
    "postgres:17@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "docker.io/library/postgres:17@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)]
fn allowed(#[case] pattern: &str, #[case] image: &str, #[case] full: &str) {
    assert_eq!(resolve(&policy(&[pattern], &[]), image).as_deref(), Ok(full));
}

#[rstest]
#[case::longer_name("docker.io/library/postgres", "docker.io/library/postgres-evil:1")]
#[case::deeper("docker.io/library/postgres", "docker.io/library/postgres/evil:1")]
#[case::other_registry("docker.io/library/postgres", "evil.io/library/postgres:1")]
#[case::other_folder("postgres", "evil/postgres:1")]
#[case::folder_is_no_prefix("ghcr.io/acme/*", "ghcr.io/acme-evil/pg:1")]
#[case::folder_itself("ghcr.io/acme/*", "ghcr.io/acme:1")]
#[case::registry_is_no_prefix("ghcr.io/*", "ghcr.io.evil.com/pg:1")]
#[case::port("ghcr.io/*", "ghcr.io:5000/pg:1")]
#[case::other_tag("postgres:17", "postgres:18")]
#[case::tag_and_digest_is_another(
    "postgres:17",
    "postgres:17@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)]
fn refused(#[case] pattern: &str, #[case] image: &str) {
    let issue = resolve(&policy(&[pattern], &[]), image).unwrap_err();
    assert_eq!((issue.path.as_str(), issue.reason.as_str()), ("/image", "ImageNotAllowed"), "{issue:?}");
    assert!(issue.message.contains("--allowed-image=postgres="), "{}", issue.message);
}

#[rstest]
#[case("")]
#[case("postgres")]
#[case("Postgres:1")]
#[case("postgres:")]
#[case("postgres@sha256:00")]
#[case("postgres :1")]
#[case("https://docker.io/postgres:1")]
#[case("docker.io/../postgres:1")]
#[case("docker.io//postgres:1")]
#[case("docker.io/library/postgres:1\n")]
#[case("GHCR.io/x:1")]
#[case("-x.io/x:1")]
#[case("a..b/x:1")]
#[case("a:b:c/x:1")]
fn no_reference(#[case] image: &str) {
    let issue = resolve(&policy(&["*/*"; 0], &[]), image).unwrap_err();
    assert_eq!((issue.path.as_str(), issue.reason.as_str()), ("/image", "ImageInvalid"));
}

#[test]
fn the_plans_image_is_described_and_allowed() {
    let policy = policy(&["docker.io/library/postgres"], &[]);
    let resolve = |plan| policy.resolve(plan, None, &description());
    assert_eq!(resolve(Some("client-18")).as_deref(), Ok("docker.io/library/postgres:18"));
    assert_eq!(resolve(Some("client-19")).unwrap_err().reason, "ImageUnknown");
    assert_eq!(resolve(None).unwrap_err().reason, "ImageRequired");
    let nothing = ImagePolicy::default();
    let refused = nothing.resolve(Some("client-18"), None, &description()).unwrap_err();
    assert!(refused.message.contains("allowed are none"), "{}", refused.message);
}

#[rstest]
#[case("postgres:18", "mirror.corp/special/pg:18")]
#[case("mysql:9", "mirror.corp/hub/library/mysql:9")]
#[case("acme/pg:1", "mirror.corp/hub/acme/pg:1")]
#[case("postgres-extra:1", "mirror.corp/hub/library/postgres-extra:1")]
#[case("ghcr.io/acme/pg:1", "ghcr.io/acme/pg:1")]
fn the_longest_mirror_wins(#[case] image: &str, #[case] pulled: &str) {
    let mirrors = [
        ("docker.io", "mirror.corp/hub"),
        ("docker.io/library/postgres", "mirror.corp/special/pg"),
        ("ghcr.io/ac", "mirror.corp/wrong"),
    ];
    let policy = policy(&["docker.io/*", "ghcr.io/*"], &mirrors);
    assert_eq!(resolve(&policy, image).as_deref(), Ok(pulled));
}

#[rstest]
#[case("")]
#[case("*")]
#[case("docker.io/postgres*")]
#[case("docker.io/*/postgres")]
#[case("a b")]
#[case("=docker.io/library/postgres")]
#[case("postgres=")]
#[case("postgres=docker.io/*/postgres")]
fn settings_that_cannot_be_read(#[case] text: &str) {
    let error = ImagePolicy::new([text], []).unwrap_err();
    assert!(error.to_string().starts_with("--allowed-image"), "{error}");
    assert!(
        ImagePolicy::new([], [("docker.io", text)]).unwrap_err().to_string().starts_with("--image-mirror")
    );
}

proptest! {
    /// Whatever is allowed has an allowed repository, and the result is a reference.
    #[test]
    fn nothing_slips_through(image in "(docker[.]io/)?(library/)?postgres[a-z:@/.\\-*]{0,12}(:1)?|\\PC{0,40}") {
        let policy = policy(&["docker.io/library/postgres"], &[]);
        if let Ok(full) = resolve(&policy, &image) {
            let rest = full.strip_prefix("docker.io/library/postgres").unwrap();
            prop_assert!(rest.starts_with([':', '@']) && !rest.contains('/'), "{}", full);
        }
    }

    #[test]
    fn full_references_stay_as_they_are(image in "[a-z]{1,5}[.]io/[a-z]{1,5}(/[a-z]{1,5}){0,2}:[a-z0-9]{1,5}") {
        let reference = Reference::parse(&image).unwrap();
        prop_assert_eq!(reference.to_string(), image);
    }
}

#[test]
fn an_image_can_be_allowed_for_one_plugin() {
    let policy = policy(&["docker.io/library/mysql", "postgres=ghcr.io/acme/*"], &[]);
    let resolve = |image: &str, id: &str| {
        policy.resolve(None, Some(image), &Description { id: id.into(), ..description() })
    };
    assert!(resolve("ghcr.io/acme/pg:1", "postgres").is_ok());
    let refused = resolve("ghcr.io/acme/pg:1", "other").unwrap_err();
    assert_eq!(refused.reason, "ImageNotAllowed");
    assert!(refused.message.contains("allowed are docker.io/library/mysql. An"), "{}", refused.message);
    assert!(refused.message.ends_with("--allowed-image=other=ghcr.io/acme/pg"), "{}", refused.message);
    assert!(resolve("mysql:9", "postgres").is_ok() && resolve("mysql:9", "other").is_ok());
}

#[test]
fn a_digest_can_be_required() {
    let policy = policy(&["postgres"], &[("docker.io", "mirror.corp/hub")]).with_digests_required(true);
    let refused = resolve(&policy, "postgres:18").unwrap_err();
    assert_eq!((refused.path.as_str(), refused.reason.as_str()), ("/image", "ImageNotPinned"));
    assert!(refused.message.contains("docker.io/library/postgres:18@sha256:"), "{}", refused.message);
    for image in [format!("postgres:18@{DIGEST}"), format!("postgres@{DIGEST}")] {
        let pulled = resolve(&policy, &image).unwrap();
        assert!(
            pulled.starts_with("mirror.corp/hub/library/postgres") && pulled.ends_with(DIGEST),
            "{pulled}"
        );
    }
}

#[test]
fn digests_are_kept() {
    let reference = Reference::parse(&format!("postgres@{DIGEST}")).unwrap();
    assert_eq!(reference.to_string(), format!("docker.io/library/postgres@{DIGEST}"));
}
