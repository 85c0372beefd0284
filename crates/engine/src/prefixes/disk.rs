//! Earlier texts in a file, so that a process that starts anew need not read them again.
//!
//! The file has a head (eight letters, a version, the digest of all that keys and values depend on),
//! the number of pages, then each page: which one it follows, which adapter it was read with, its tokens,
//! its keys and values layer by layer, and the SHA-256 of all that. Numbers are little-endian. It is written beside its place and
//! then renamed, so that what is there is always whole; what is damaged all the same is not used.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rushlight_kernels::PAGE;
use sha2::{Digest, Sha256};

use super::{Identity, Node, Prefixes};
use crate::cache::Cache;
use crate::{Error, ErrorKind};

const MAGIC: &[u8; 8] = b"rushlkv\n";
const VERSION: u32 = 2;
/// What stands for no parent.
const NONE: u32 = u32::MAX;
/// What stands for no adapter; no digest is known that is this.
const NO_ADAPTER: Identity = [0; 32];

impl Prefixes {
    /// Writes pages, those that were used last, of at most so many bytes. Gives how many, or `None` if
    /// `enough`, which is asked before each of them.
    pub(crate) fn save(
        &self,
        cache: &Cache,
        key: &[u8; 32],
        path: &Path,
        most_bytes: u64,
        enough: &mut dyn FnMut() -> bool,
    ) -> Result<Option<usize>, Error> {
        let most = most_bytes / page_bytes(cache);
        let failed = |e| unusable(path, "cannot be written").because(e);
        let nodes = self.latest(usize::try_from(most).unwrap_or(usize::MAX));
        let mut aside = path.as_os_str().to_owned();
        aside.push(".part");
        let aside = Path::new(&aside);
        let written = write(aside, cache, key, &nodes, enough).and_then(|whole| {
            if whole { fs::rename(aside, path).map(|()| whole) } else { Ok(whole) }
        });
        if !written.as_ref().is_ok_and(|whole| *whole) {
            // What failed says more than that its rest stays.
            let _ = fs::remove_file(aside);
        }
        Ok(written.map_err(failed)?.then_some(nodes.len()))
    }

    /// Takes the pages of a file while there is room. Gives how many; none if the file is of another
    /// model, cache or version.
    pub(crate) fn load(
        &mut self,
        cache: &mut Cache,
        key: &[u8; 32],
        path: &Path,
        v: usize,
    ) -> Result<usize, Error> {
        let failed = |e| unusable(path, "cannot be read").because(e);
        let length = match fs::metadata(path) {
            Ok(meta) if !meta.is_file() => return Err(foreign(path)),
            Ok(meta) => meta.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(failed(error)),
        };
        let mut from = BufReader::with_capacity(1 << 20, File::open(path).map_err(failed)?);
        let mut head = [0; 8 + 4 + 32 + 4];
        let (magic, rest) = head.split_at_mut(MAGIC.len());
        if length == 0 {
            return Ok(0);
        }
        if from.read_exact(magic).is_err() || magic != MAGIC {
            return Err(foreign(path));
        }
        from.read_exact(rest).map_err(failed)?;
        let (start, count) = head.split_at(8 + 4 + 32);
        if start != head_of(key) {
            return Ok(0);
        }
        let count = count.try_into().map(u32::from_le_bytes).unwrap_or(0);
        let mut places: Vec<usize> = Vec::new();
        // The first ones were used last.
        let begin = self.clock;
        self.clock += u64::from(count);
        for place in 0..count {
            if cache.available() == 0 {
                break;
            }
            let node = self.read(cache, &mut from, &places, v).map_err(failed)?;
            let Some(mut node) = node else {
                return Err(unusable(path, &format!("is damaged after `{}` pages", places.len()))
                    .with_hint("those before are used; the file is written anew"));
            };
            node.used = begin + u64::from(count - place);
            places.push(self.insert(node));
        }
        Ok(places.len())
    }

    /// One page, which is in nobody's way if it is not as it should be.
    fn read(
        &self,
        cache: &mut Cache,
        from: &mut impl Read,
        places: &[usize],
        v: usize,
    ) -> io::Result<Option<Node>> {
        let mut hash = Sha256::new();
        let mut adapter = NO_ADAPTER;
        let mut number = || -> io::Result<u32> {
            let mut bytes = [0; 4];
            from.read_exact(&mut bytes)?;
            hash.update(bytes);
            Ok(u32::from_le_bytes(bytes))
        };
        let parent = match number()? {
            NONE => None,
            at => match places.get(at as usize) {
                Some(place) if self.node(*place).tokens.len() == PAGE => Some(*place),
                _ => return Ok(None),
            },
        };
        for bytes in adapter.as_chunks_mut::<4>().0 {
            *bytes = number()?.to_le_bytes();
        }
        let adapter = (adapter != NO_ADAPTER).then_some(adapter);
        if parent.is_some_and(|parent| self.node(parent).adapter != adapter) {
            return Ok(None);
        }
        let length = number()? as usize;
        if length == 0 || length > PAGE {
            return Ok(None);
        }
        let tokens = (0..length).map(|_| number()).collect::<io::Result<Vec<u32>>>()?;
        if tokens.iter().any(|token| *token as usize >= v) {
            return Ok(None);
        }
        let page = cache.take_page().map_err(io::Error::other)?;
        let read = (0..cache.layers()).try_for_each(|layer| {
            let bytes = cache.layer_of_mut(layer, page);
            from.read_exact(bytes)?;
            hash.update(&*bytes);
            Ok(())
        });
        let mut digest = [0; 32];
        match read.and_then(|()| from.read_exact(&mut digest)) {
            Ok(()) if digest == *hash.finalize() => {
                let (children, used) = (Vec::new(), self.clock);
                Ok(Some(Node { parent, adapter, tokens, page, children, used }))
            }
            read => {
                cache.release(page);
                read.map(|()| None)
            }
        }
    }

    /// So many nodes, those that were used last, each after its parent.
    fn latest(&self, most: usize) -> Vec<(Option<usize>, &Node)> {
        let mut nodes: Vec<(usize, &Node)> = self
            .nodes
            .iter()
            .enumerate()
            .filter_map(|(at, node)| node.as_ref().map(|node| (at, node)))
            .collect();
        // Who is used uses those that it builds on, so these are never later in this order.
        let depths = self.depths();
        nodes.sort_by_key(|(at, node)| (u64::MAX - node.used, depths[*at]));
        nodes.truncate(most.min(NONE as usize));
        let mut places = vec![None; self.nodes.len()];
        nodes.iter().enumerate().for_each(|(place, (at, _))| places[*at] = Some(place));
        nodes.iter().map(|(_, node)| (node.parent.and_then(|at| places[at]), *node)).collect()
    }

    /// How many nodes each node builds on.
    fn depths(&self) -> Vec<usize> {
        let mut depths = vec![0; self.nodes.len()];
        let mut next: Vec<usize> = self.roots.clone();
        while let Some(at) = next.pop() {
            for &child in &self.node(at).children {
                depths[child] = depths[at] + 1;
                next.push(child);
            }
        }
        depths
    }
}

fn write(
    path: &Path,
    cache: &Cache,
    key: &[u8; 32],
    nodes: &[(Option<usize>, &Node)],
    enough: &mut dyn FnMut() -> bool,
) -> io::Result<bool> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Whoever reads it can read the texts. A new one: neither somebody else's nor by a link.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut to = BufWriter::with_capacity(1 << 20, file);
    to.write_all(&head_of(key))?;
    to.write_all(&(nodes.len() as u32).to_le_bytes())?;
    for (parent, node) in nodes {
        if enough() {
            return Ok(false);
        }
        let mut hash = Sha256::new();
        let mut put = |bytes: &[u8]| {
            hash.update(bytes);
            to.write_all(bytes)
        };
        put(&parent.map_or(NONE, |at| at as u32).to_le_bytes())?;
        put(&node.adapter.unwrap_or(NO_ADAPTER))?;
        put(&(node.tokens.len() as u32).to_le_bytes())?;
        for token in &node.tokens {
            put(&token.to_le_bytes())?;
        }
        for layer in 0..cache.layers() {
            put(cache.layer_of(layer, node.page))?;
        }
        to.write_all(&hash.finalize())?;
    }
    to.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    Ok(true)
}

fn head_of(key: &[u8; 32]) -> Vec<u8> {
    [MAGIC.as_slice(), &VERSION.to_le_bytes(), key].concat()
}

/// Bytes of a page in the file, about.
fn page_bytes(cache: &Cache) -> u64 {
    ((0..cache.layers()).map(|_| cache.layer_bytes()).sum::<usize>() + 4 * PAGE + 72) as u64
}

/// Something else is there, which must stay.
fn foreign(path: &Path) -> Error {
    Error::new(ErrorKind::Option, format!("`{}` is no file of earlier texts", path.display()))
        .with_hint("it is left as it is: name another file")
}

fn unusable(path: &Path, what: &str) -> Error {
    Error::new(
        ErrorKind::Prefixes,
        format!("the file of earlier texts `{}` {what}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// A long text, and many that follow its beginning: in the time of one pass over them, not of one
    /// for each.
    #[test]
    fn the_latest_are_found_in_little_time_and_follow_what_they_build_on() {
        const COUNT: usize = 200_000;
        let mut prefixes = Prefixes::default();
        let node = |parent, page, used| {
            let (tokens, children) = (vec![0; PAGE], Vec::new());
            Node { parent, adapter: None, tokens, page, children, used }
        };
        let begin = Instant::now();
        for page in 0..COUNT {
            // Every tenth was used a second time, with those before it.
            let used = if page < COUNT / 10 { 2 } else { 1 };
            let parent = if page % 2 == 0 { page.checked_sub(2) } else { Some(0) };
            prefixes.insert(node(parent, page, used));
        }
        for most in [1, 7, COUNT / 2, usize::MAX] {
            let latest = prefixes.latest(most);
            assert_eq!(latest.len(), most.min(COUNT));
            for (at, (parent, node)) in latest.iter().enumerate() {
                assert_eq!(parent.is_none(), node.parent.is_none(), "{at}");
                assert!(parent.is_none_or(|parent| parent < at));
                let page = parent.map(|parent| latest[parent].1.page);
                assert_eq!(page, node.parent);
                assert_eq!(node.used == 2, at < COUNT / 10, "{at}");
            }
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    }
}
