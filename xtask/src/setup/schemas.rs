//! What judges answers by their JSON schemas: Python packages, by pip.

use super::clients;
use anyhow::Result;
use rushlight_testkit::cache_dir;
use std::path::PathBuf;

/// The validator, and what it judges formats with.
const PACKAGES: &[&str] = &[
    "jsonschema==4.26.0",
    "rfc3339-validator==0.1.4",
    "fqdn==1.6.0",
    "isoduration==20.11.0",
    "rfc3986-validator==0.1.1",
];

/// The folder of the packages, fetched into the cache when it is not there.
pub(crate) fn packages() -> Result<PathBuf> {
    clients::fetched("JSON schemas", &cache_dir()?.join("schemas-jsonschema-4.26.0"), PACKAGES)
}
