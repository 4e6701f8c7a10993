//! Credentials that can expire: the gateway reads them through `credential_process`, the harness rewrites what it reads.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use serde::Serialize;

/// A file that the gateway's credential process prints.
#[derive(Debug, Clone)]
pub struct Credentials {
    folder: PathBuf,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Printed<'a> {
    version: u32,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    expiration: &'a str,
}

impl Credentials {
    /// Files in `folder`.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn in_folder(folder: PathBuf) -> anyhow::Result<Self> {
        let credentials = Self { folder };
        let profile = format!("[default]\ncredential_process = /bin/cat {}\n", credentials.printed().display());
        fs::write(credentials.config(), profile).context("writing the AWS profile")?;
        Ok(credentials)
    }

    /// What the process prints from now on. They say that they last for a day: nobody can know that they will not.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn put(&self, access_key_id: &str, secret_access_key: &str) -> anyhow::Result<()> {
        // Far away, and a fixed date: the harness has no calendar.
        let expiration = "2099-01-01T00:00:00Z";
        let printed = Printed { version: 1, access_key_id, secret_access_key, expiration };
        // Renamed into place: a reader sees the old file or the new one.
        let fresh = self.printed().with_extension("fresh");
        fs::write(&fresh, serde_json::to_vec(&printed)?).context("writing the credentials")?;
        fs::rename(fresh, self.printed()).context("replacing the credentials")
    }

    /// Environment that makes a process use them.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let config = self.config().display().to_string();
        vec![
            ("AWS_CONFIG_FILE".to_owned(), config),
            ("AWS_SHARED_CREDENTIALS_FILE".to_owned(), "/dev/null".to_owned()),
            ("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned()),
        ]
    }

    fn printed(&self) -> PathBuf {
        self.folder.join("credentials.json")
    }

    fn config(&self) -> PathBuf {
        self.folder.join("aws-config")
    }
}
