//! Earlier texts whose keys and values are still in the cache, found by their tokens.
//!
//! A tree: each node is a page of tokens that follow those of its parent, so that texts which begin
//! alike share the pages of their beginning. Texts that are read with different adapters have nothing
//! in common: each adapter has a tree of its own. Who writes on from the middle of a page gets a copy of
//! it from the cache.

mod disk;

use std::sync::Arc;

use rushlight_kernels::PAGE;
use rushlight_model::Adapter;

use crate::Sequence;
use crate::cache::Cache;

/// The pages of earlier texts.
#[derive(Debug, Default)]
pub(crate) struct Prefixes {
    /// `None` for a place that is free.
    nodes: Vec<Option<Node>>,
    /// The places that are free.
    free: Vec<usize>,
    /// Nodes without a parent.
    roots: Vec<usize>,
    /// Counts the uses.
    clock: u64,
}

/// What tells adapters apart.
type Identity = [u8; 32];

/// A page and the tokens whose keys and values it has.
#[derive(Debug)]
struct Node {
    parent: Option<usize>,
    /// With which its keys and values are computed; that of its parent.
    adapter: Option<Identity>,
    /// As many as a page has, or fewer: then nothing follows.
    tokens: Vec<u32>,
    page: usize,
    children: Vec<usize>,
    /// The time of its last use.
    used: u64,
}

impl Prefixes {
    /// Begins a sequence with what is there of a text that is read with an adapter, or with none. Its
    /// length says how much that is.
    pub(crate) fn start(
        &mut self,
        cache: &mut Cache,
        adapter: Option<&Arc<Adapter>>,
        text: &[u32],
    ) -> Sequence {
        self.clock += 1;
        let identity = adapter.map(|adapter| adapter.identity());
        let (mut pages, mut len) = (Vec::new(), 0);
        let mut parent = None;
        while let Some((node, same)) = self.next(identity, parent, &text[len..]) {
            let clock = self.clock;
            self.node_mut(node).used = clock;
            pages.push(self.node(node).page);
            len += same;
            if same < PAGE {
                break;
            }
            parent = Some(node);
        }
        cache.start_with(adapter.cloned(), pages, len)
    }

    /// Keeps what a sequence has of `text`; only whole pages if it is still written to.
    pub(crate) fn keep(
        &mut self,
        cache: &mut Cache,
        sequence: Sequence,
        text: &[u32],
        whole: bool,
    ) {
        self.clock += 1;
        let len = cache.len(sequence).unwrap_or(0).min(text.len());
        let pages = cache.pages(sequence).to_vec();
        let adapter = cache.adapter(sequence).map(|adapter| adapter.identity());
        let mut parent = None;
        for (tokens, page) in text[..len].chunks(PAGE).zip(pages) {
            if whole && tokens.len() < PAGE {
                return;
            }
            let clock = self.clock;
            let node = match self.next(adapter, parent, tokens) {
                Some((node, same)) if same == tokens.len() => node,
                // The page goes on where the other one ended.
                Some((node, same)) if same == self.node(node).tokens.len() => {
                    cache.hold(page);
                    let node_mut = self.node_mut(node);
                    cache.release(std::mem::replace(&mut node_mut.page, page));
                    node_mut.tokens = tokens.to_vec();
                    node
                }
                _ => {
                    cache.hold(page);
                    let (tokens, children) = (tokens.to_vec(), Vec::new());
                    self.insert(Node { parent, adapter, tokens, page, children, used: clock })
                }
            };
            self.node_mut(node).used = clock;
            parent = Some(node);
        }
    }

    /// Gives up the page that has not been used for the longest time, of those that no sequence has.
    /// Those on which pages build that a sequence has stand behind them: these are forgotten then,
    /// until one is free. False if there is none.
    pub(crate) fn evict(&mut self, cache: &mut Cache) -> bool {
        while self.idle_pages(cache) > 0 {
            let leaf = |idle: bool| {
                let nodes = self.nodes.iter().enumerate();
                nodes
                    .filter_map(|(at, node)| node.as_ref().map(|node| (at, node)))
                    .filter(|(_, node)| node.children.is_empty())
                    .filter(|(_, node)| !idle || cache.holders(node.page) == 1)
                    .min_by_key(|(_, node)| node.used)
                    .map(|(at, _)| at)
            };
            let (idle, any) = (leaf(true), leaf(false));
            let Some(at) = idle.or(any) else { return false };
            self.remove(cache, at);
            if idle.is_some() {
                return true;
            }
        }
        false
    }

    fn remove(&mut self, cache: &mut Cache, at: usize) {
        let Some(node) = self.nodes[at].take() else { return };
        self.free.push(at);
        let siblings = match node.parent {
            Some(parent) => &mut self.node_mut(parent).children,
            None => &mut self.roots,
        };
        siblings.retain(|child| *child != at);
        cache.release(node.page);
    }

    /// Pages that are kept.
    pub(crate) fn pages(&self) -> usize {
        self.nodes.iter().flatten().count()
    }

    /// Pages that [`Prefixes::evict`] would come to give up.
    pub(crate) fn idle_pages(&self, cache: &Cache) -> usize {
        self.nodes.iter().flatten().filter(|node| cache.holders(node.page) == 1).count()
    }

    /// The node after `parent`, or of those without one of an adapter, that begins most like `text`,
    /// and how many tokens are the same.
    fn next(
        &self,
        adapter: Option<Identity>,
        parent: Option<usize>,
        text: &[u32],
    ) -> Option<(usize, usize)> {
        let children = match parent {
            Some(parent) => &self.node(parent).children,
            None => &self.roots,
        };
        let same = |node: &usize| {
            self.node(*node).tokens.iter().zip(text).take_while(|(a, b)| a == b).count()
        };
        let of_adapter = children.iter().filter(|node| self.node(**node).adapter == adapter);
        let best = of_adapter.map(|node| (*node, same(node))).max_by_key(|(_, same)| *same);
        best.filter(|(_, same)| *same > 0)
    }

    fn insert(&mut self, node: Node) -> usize {
        let parent = node.parent;
        let at = self.free.pop().unwrap_or_else(|| {
            self.nodes.push(None);
            self.nodes.len() - 1
        });
        self.nodes[at] = Some(node);
        match parent {
            Some(parent) => self.node_mut(parent).children.push(at),
            None => self.roots.push(at),
        }
        at
    }

    fn node(&self, at: usize) -> &Node {
        self.nodes[at].as_ref().expect("children and roots are nodes")
    }

    fn node_mut(&mut self, at: usize) -> &mut Node {
        self.nodes[at].as_mut().expect("children and roots are nodes")
    }
}
