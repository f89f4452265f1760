//! What object stores are asked and how, and what their refusals become. That they work is tested on the cluster.

use std::fs;

use dbbackup_protocol::{
    pod,
    report::Reason,
    work_order::{Azure, Gcs, S3, Storage},
};

use crate::{
    fixture::{Pod, part, s3},
    http::{Server, error},
};

/// A pod with this destination and these keys in the Secret `store`.
pub(crate) fn pod_to(storage: Storage, keys: &[(&str, &str)]) -> Pod {
    let mut pod = Pod::of(part("seq 9"));
    pod.order.storage = storage;
    let folder = pod.path(pod::STORAGE_CREDENTIALS_DIR);
    fs::create_dir_all(&folder).unwrap();
    for (key, value) in keys {
        fs::write(folder.join(key), value).unwrap();
    }
    pod
}

pub(crate) const KEYS: [(&str, &str); 2] =
    [(pod::S3_ACCESS_KEY_ID, "AKIA"), (pod::S3_SECRET_ACCESS_KEY, "secret\n")];

fn azure(endpoint: &str) -> Storage {
    Storage::Azure(Azure {
        container: "c".into(),
        path: "prod".into(),
        endpoint: Some(endpoint.into()),
        secret: "store".into(),
        ca: None,
    })
}

/// Neither the metadata server of the node nor an empty signature.
#[test]
fn without_a_secret_google_gets_requests_that_nobody_signed() {
    let metadata = Server::refusing(404, "NotHere");
    let store = Server::start(|asked| match asked.line.split(' ').next() {
        Some("GET") if asked.line.contains("list-type") => {
            (200, "<ListBucketResult></ListBucketResult>".into())
        }
        Some("GET") => (404, error("NoSuchKey")),
        _ => (403, error("AccessDenied")),
    });
    let endpoint = Some(format!("http://{}", store.address));
    let gcs = Gcs { bucket: "b".into(), path: "prod".into(), endpoint, secret: None, ca: None };
    let mut pod = pod_to(Storage::Gcs(gcs), &[]);
    for variable in ["GCE_METADATA_HOST", "GCE_METADATA_ROOT", "GCE_METADATA_IP"] {
        pod.variables.push((variable, metadata.address.clone()));
    }
    pod.run().failed(
        Reason::StorageDenied,
        &["AccessDenied: m AccessDenied;", "no spec.storageDestination.secretName"],
    );
    let asked = store.asked();
    assert!(
        asked.iter().any(|asked| asked.line.starts_with("POST ") && asked.line.contains("uploads")),
        "{asked:?}"
    );
    assert!(asked.iter().all(|asked| asked.header("authorization").is_none()), "{asked:?}");
    assert!(metadata.asked().is_empty(), "{:?}", metadata.asked());
}

#[test]
fn keys_that_cannot_be_are_named_and_not_shown() {
    let gcs = |endpoint: &str| {
        let (endpoint, secret) = (Some(endpoint.to_owned()), Some("store".into()));
        Storage::Gcs(Gcs { bucket: "b".into(), path: "prod".into(), endpoint, secret, ca: None })
    };
    let key_file = r#"{"type": "service_account", "client_email": "a@b", "private_key_id": "1", "private_key": "hidden"}"#;
    let account = (pod::AZURE_ACCOUNT, "backups");
    let nowhere = "http://127.0.0.1:1";
    for (storage, keys, words) in [
        (gcs(nowhere), vec![], vec!["GOOGLE_APPLICATION_CREDENTIALS", "\"store\""]),
        (gcs(nowhere), vec![(pod::GCS_CREDENTIALS, "hidden")], vec!["JSON key file of a service account"]),
        (
            gcs(nowhere),
            vec![(pod::GCS_CREDENTIALS, key_file)],
            vec!["GOOGLE_APPLICATION_CREDENTIALS", "cannot be used"],
        ),
        (azure(nowhere), vec![], vec!["AZURE_STORAGE_ACCOUNT", "\"store\""]),
        (
            azure(nowhere),
            vec![(pod::AZURE_ACCOUNT, "hidden.example.com")],
            vec!["3 to 24 lower case letters"],
        ),
        (azure(nowhere), vec![account], vec!["AZURE_STORAGE_KEY", "no AZURE_STORAGE_SAS_TOKEN either"]),
        (
            azure(nowhere),
            vec![account, (pod::AZURE_KEY, "hidden!")],
            vec!["AZURE_STORAGE_KEY", "cannot be used"],
        ),
        (azure(nowhere), vec![account, (pod::AZURE_SAS_TOKEN, "hidden")], vec!["SAS token such as"]),
    ] {
        let ended = pod_to(storage, &keys).run();
        ended.failed(Reason::SecretMissing, &words);
        assert!(!format!("{:?}{}", ended.report, ended.logs()).contains("hidden"), "{}", ended.logs());
    }
}

#[test]
fn a_sas_token_is_used_and_not_shown() {
    let store = Server::refusing(403, "AuthenticationFailed");
    let keys = [
        (pod::AZURE_ACCOUNT, "backups\n"),
        (pod::AZURE_SAS_TOKEN, "?sv=2023-11-03&sr=c&sp=rwdl&sig=hidden%2Bsignature%3D\n"),
    ];
    let ended = pod_to(azure(&format!("http://{}/", store.address)), &keys).run();
    ended.failed(
        Reason::StorageDenied,
        &["container \"c\"", "AuthenticationFailed: m AuthenticationFailed;", "\"store\""],
    );
    let asked = &store.asked()[0];
    assert!(
        asked.line.starts_with("GET /c/prod/shop/orders/") && asked.line.contains("sig=hidden"),
        "{asked:?}"
    );
    assert!(!format!("{:?}{}", ended.report, ended.logs()).contains("hidden"), "{}", ended.logs());
}

#[test]
fn a_session_token_goes_along_and_none_does_without() {
    let token = (pod::S3_SESSION_TOKEN, "the-token");
    for (keys, expected) in [(KEYS.to_vec(), None), ([&KEYS[..], &[token]].concat(), Some("the-token"))] {
        let store = Server::refusing(403, "InvalidAccessKeyId");
        let endpoint = format!("http://{}", store.address);
        let pod = pod_to(Storage::S3(S3 { region: Some("eu-west-1".into()), ..s3(&endpoint) }), &keys);
        pod.run().failed(Reason::StorageDenied, &["InvalidAccessKeyId", "\"store\""]);
        let asked = &store.asked()[0];
        assert_eq!(asked.header("x-amz-security-token"), expected, "{asked:?}");
        let signature = asked.header("authorization").unwrap();
        assert!(
            signature.contains("Credential=AKIA/") && signature.contains("/eu-west-1/s3/"),
            "{signature}"
        );
    }
}

/// The name of the bucket is in the host, which no name server here knows: a proxy sees it.
#[test]
fn in_virtual_hosted_style_the_bucket_is_in_the_host() {
    for (force_path_style, url) in [
        (false, "http://b.s3.example.test:9000/prod/shop/"),
        (true, "http://s3.example.test:9000/b/prod/shop/"),
    ] {
        let proxy = Server::refusing(403, "SignatureDoesNotMatch");
        let mut pod =
            pod_to(Storage::S3(S3 { force_path_style, ..s3("http://s3.example.test:9000") }), &KEYS);
        pod.variables.push(("http_proxy", format!("http://{}", proxy.address)));
        pod.run().failed(Reason::StorageDenied, &["SignatureDoesNotMatch"]);
        let asked = &proxy.asked()[0];
        assert!(asked.line.starts_with(&format!("GET {url}")), "{asked:?}");
    }
}

#[test]
fn a_wrong_clock_is_called_one() {
    let store = Server::refusing(403, "RequestTimeTooSkewed");
    let pod = pod_to(Storage::S3(s3(&format!("http://{}", store.address))), &KEYS);
    pod.run().failed(Reason::StorageDenied, &["RequestTimeTooSkewed", "the clock of the pod's node"]);
}
