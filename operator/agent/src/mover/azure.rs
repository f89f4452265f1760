//! The container of an Azure destination.
//!
//! An upload is blocks, which nobody sees and which Azure drops after a week, until a list makes them a blob: there is nothing
//! to abort, and nothing to sweep. That a container can be written shows with the first block.

use std::sync::Arc;

use dbbackup_protocol::{
    pod::{AZURE_ACCOUNT, AZURE_KEY, AZURE_SAS_TOKEN},
    work_order::Azure,
};
use object_store::azure::{MicrosoftAzure, MicrosoftAzureBuilder, split_sas};

use super::{
    access::{credential, malformed, options, retries},
    pace::PACE,
    place::innermost,
    store::Patience,
};
use crate::{failure::Failure, paths::PodPaths};

/// The container; nothing is sent yet.
///
/// # Errors
/// A missing or malformed secret, an unusable certificate.
pub(crate) fn container(
    azure: &Azure,
    paths: &PodPaths,
    patience: Patience,
) -> Result<Arc<MicrosoftAzure>, Failure> {
    let Azure { container, path: _, endpoint, secret, ca } = azure;
    let account = credential(paths, secret, AZURE_ACCOUNT)?;
    // It becomes a host name.
    if !is_account(&account) {
        let why = "it must be the name of a storage account, 3 to 24 lower case letters and digits";
        return Err(malformed(secret, AZURE_ACCOUNT, why));
    }
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(account)
        .with_container_name(container)
        .with_disable_tagging(true)
        .with_retry(retries(patience))
        .with_http_connector(PACE)
        .with_client_options(options(endpoint.as_deref(), ca.as_ref(), paths)?);
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
    }
    // The kind of credentials is always named: without one the client would ask the node's identity in the end.
    let (key, builder) = if let Ok(token) = credential(paths, secret, AZURE_SAS_TOKEN) {
        let pairs = split_sas(&token)
            .map_err(|_| malformed(secret, AZURE_SAS_TOKEN, "it must be a SAS token such as sv=…&sig=…"))?;
        let builder = builder.with_sas_authorization(pairs).with_credential_type("sas_token");
        (AZURE_SAS_TOKEN, builder)
    } else {
        let key = credential(paths, secret, AZURE_KEY).map_err(|failure| Failure {
            message: format!("{}, and there is no {AZURE_SAS_TOKEN} either", failure.message),
            ..failure
        })?;
        (AZURE_KEY, builder.with_access_key(key).with_credential_type("access_key"))
    };
    builder.build().map(Arc::new).map_err(|error| malformed(secret, key, &innermost(&error)))
}

fn is_account(name: &str) -> bool {
    (3..=24).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_one_label_of_a_host_name() {
        for (name, fine) in
            [("backups1", true), ("ab", false), ("evil.example.com/", false), ("UPPER", false), ("", false)]
        {
            assert_eq!(is_account(name), fine, "{name}");
        }
    }
}
