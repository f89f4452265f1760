//! Buckets in memory, with everything in them that is no backup.

use std::{collections::BTreeSet, sync::Arc};

use object_store::{ObjectStore as _, ObjectStoreExt as _, memory::InMemory};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const SHA: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn run_id(day: usize) -> String {
    format!("2026{:02}{:02}T023000Z-0badcafe", day / 28 + 1, day % 28 + 1)
}

fn manifest(run: &str) -> Value {
    let (slot, discriminator) = parse_run_id(run).unwrap();
    json!({
        "version": 1, "namespace": "shop", "name": "orders", "uid": "u", "job": "j", "slot": slot,
        "trigger": if discriminator.starts_with('m') { "manual" } else { "schedule" },
        "databaseType": "postgres", "clientImage": "postgres:18", "restoreByHand": [], "serverVersion": "18.1",
        "plugin": {"id": "postgres", "version": "0.1.0", "digest": "sha256:00"},
        "startedAt": slot, "finishedAt": slot,
        "parts": [{
            "name": "p", "object": "deadbeef/a.sql", "mediaType": "m", "bytes": 7, "sha256": SHA,
            "storedBytes": 3, "storedSha256": SHA, "compression": {"algorithm": "none"}, "restore": [],
        }],
    })
}

/// A bucket to fill.
struct Bucket(Arc<InMemory>);

impl Bucket {
    fn new() -> Self {
        Self(Arc::new(InMemory::new()))
    }

    async fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) -> &Self {
        let (path, bytes) = (Path::parse(format!("p/shop/orders/{path}")).unwrap(), bytes.into());
        self.0.put(&path, bytes.into()).await.unwrap();
        self
    }

    async fn backup(&self, run: &str) -> &Self {
        self.put(&format!("{run}/deadbeef/a.sql"), "abc").await;
        self.put(&format!("{run}/manifest.json"), manifest(run).to_string()).await
    }

    async fn look(&self, scope: &Scope) -> CatalogueReport {
        let whose = Whose { namespace: "shop", name: "orders", folder: Path::from("p/shop/orders") };
        let report = look(&Store::of_bucket(self.0.clone()), &whose, scope).await.unwrap();
        CatalogueReport::parse(&report.to_termination_message()).unwrap()
    }

    /// All pages, as the operator asks for them.
    async fn all(&self) -> Vec<CatalogueReport> {
        let mut pages = vec![self.look(&Scope::All { after: None }).await];
        while let Some(after) = pages.last().and_then(|page| page.next.clone()) {
            pages.push(self.look(&Scope::All { after: Some(after) }).await);
        }
        pages
    }
}

fn names(pages: &[CatalogueReport]) -> Vec<String> {
    pages.iter().flat_map(|page| &page.runs).map(|found| found.run.clone()).collect()
}

#[tokio::test]
async fn each_backup_is_found_once_however_many_pages_it_takes() {
    let bucket = Bucket::new();
    let wanted: Vec<_> = (0..130).map(run_id).collect();
    for run in &wanted {
        bucket.backup(run).await;
        bucket.put(&format!("{run}.txt"), "x").await.put(&format!("{run}x/a"), "x").await;
    }
    let pages = bucket.all().await;
    assert!(pages.len() > 3, "{}", pages.len());
    assert_eq!(names(&pages), wanted);
    assert_eq!(pages.iter().map(|page| page.odd).sum::<u64>(), 260, "none is counted twice");
    let found = &pages[0].runs[0];
    assert_eq!((found.bytes_read, found.bytes_stored, found.parts), (7, 3, 1));
    let origin = &pages[0].origins[found.origin];
    assert_eq!((origin.uid.as_str(), origin.server_version.as_deref()), ("u", Some("18.1")));
    assert_eq!(
        bucket.0.list(None).try_collect::<Vec<_>>().await.unwrap().len(),
        130 * 4,
        "nothing was touched"
    );
}

#[tokio::test]
async fn what_is_no_backup_is_named_and_why() {
    let changed = |run: &str, field: &str, value: Value| {
        let mut manifest = manifest(run);
        *manifest.pointer_mut(field).unwrap() = value;
        manifest.to_string()
    };
    let mut many = manifest(&run_id(1));
    let part = many["parts"][0].clone();
    many["parts"] = vec![part; 80_000].into();
    let big = many.to_string();
    assert!(big.len() > manifest::MAX_BYTES);
    for (content, words) in [
        ("{}".to_owned(), "its manifest is none (line 1, column 2)"),
        ("{\"version\": \"SECRET\"}".to_owned(), "its manifest is none"),
        (changed(&run_id(1), "/version", json!(2)), "has version 2"),
        (changed(&run_id(1), "/parts", json!([])), "names no part"),
        (changed(&run_id(1), "/namespace", json!("other")), "the namespace of another run"),
        (changed(&run_id(1), "/name", json!("other")), "the name of another run"),
        (changed(&run_id(1), "/trigger", json!("manual")), "the trigger of another run"),
        (manifest(&run_id(2)).to_string(), "the slot of another run"),
        (changed(&run_id(1), "/uid", json!("\u{1b}[2J")), "holds characters"),
        (changed(&run_id(1), "/clientImage", json!("i".repeat(9000))), "more than a report can carry"),
        (changed(&run_id(1), "/parts/0/object", json!("deadbeef/b.sql")), "is not there"),
        (changed(&run_id(1), "/parts/0/object", json!("../../../secret")), "is not there"),
        (changed(&run_id(1), "/parts/0/storedBytes", json!(4)), "has 3 bytes instead of 4"),
        (big, "has more than 16777216 bytes"),
    ] {
        let bucket = Bucket::new();
        bucket.backup(&run_id(0)).await.backup(&run_id(1)).await;
        bucket.put(&format!("{}/manifest.json", run_id(1)), content).await;
        for scope in [Scope::All { after: None }, Scope::Run(run_id(1))] {
            let page = bucket.look(&scope).await;
            let [odd] = &page.named[..] else { panic!("{page:?}") };
            assert!(odd.name == run_id(1) && odd.why.contains(words), "{words}: {odd:?}");
            assert!(!odd.why.contains("SECRET") && page.runs.iter().all(|found| found.run == run_id(0)));
        }
    }
}

#[tokio::test]
async fn one_run_is_there_or_not() {
    let bucket = Bucket::new();
    bucket.backup(&run_id(0)).await.put(&format!("{}/deadbeef/a.sql", run_id(1)), "x").await;
    for (day, found) in [(0, 1), (1, 0), (2, 0)] {
        let page = bucket.look(&Scope::Run(run_id(day))).await;
        assert_eq!((page.runs.len(), page.next), (found, None), "{day}");
    }
    let whose = Whose { namespace: "shop", name: "orders", folder: Path::from("p/shop/orders") };
    for scope in [Scope::Run("..".into()), Scope::All { after: Some("x/y".into()) }] {
        let refused = look(&Store::of_bucket(bucket.0.clone()), &whose, &scope).await.unwrap_err();
        assert_eq!(refused.reason, Reason::WorkOrderInvalid);
    }
}

#[tokio::test]
async fn a_folder_full_of_unfinished_runs_takes_more_than_one_page() {
    let bucket = Bucket::new();
    for minute in 0..LOOKED_AT + 10 {
        let run = format!("20261124T{:02}{:02}00Z-0badcafe", minute / 60, minute % 60);
        bucket.put(&format!("{run}/deadbeef/a"), "x").await;
    }
    let pages = bucket.all().await;
    assert_eq!(pages.iter().map(|page| page.odd).collect::<Vec<_>>(), [LOOKED_AT as u64, 10]);
    assert!(pages[0].named.iter().all(|odd| odd.why.contains("no manifest")));
}

proptest! {
    /// Whatever lies there: each whole backup is found, everything else counts as odd, and the report can be read.
    #[test]
    fn nothing_that_lies_there_hides_a_backup(
        litter in prop::collection::btree_set("[ -.0-~]{1,12}(/[ -.0-~]{1,8}){0,2}", 0..20),
        content in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let bucket = Bucket::new();
            for day in 0..3 {
                bucket.backup(&run_id(day)).await;
            }
            let mut odd = BTreeSet::new();
            for path in litter {
                let Ok(whole) = Path::parse(format!("p/shop/orders/{path}")) else { continue };
                bucket.0.put(&whole, content.clone().into()).await.unwrap();
                let (first, deeper) = path.split_once('/').map_or((&*path, false), |(first, _)| (first, true));
                odd.insert(format!("{first}{}", if deeper { "/" } else { "" }));
            }
            let pages = bucket.all().await;
            prop_assert_eq!(names(&pages), [0, 1, 2].map(run_id));
            prop_assert_eq!(pages.iter().map(|page| page.odd).sum::<u64>(), odd.len() as u64);
            Ok(())
        })?;
    }

    /// No bytes are more than one odd thing.
    #[test]
    fn a_manifest_may_be_anything(bytes in prop::collection::vec(any::<u8>(), 0..400), cut in any::<prop::sample::Index>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let whole = manifest(&run_id(1)).to_string().into_bytes();
        let half = whole[..cut.index(whole.len())].to_vec();
        for content in [bytes, half] {
            let page = runtime.block_on(async {
                let bucket = Bucket::new();
                bucket.put(&format!("{}/manifest.json", run_id(1)), content).await;
                bucket.look(&Scope::All { after: None }).await
            });
            prop_assert_eq!((page.runs.len(), page.odd), (0, 1));
        }
    }
}
