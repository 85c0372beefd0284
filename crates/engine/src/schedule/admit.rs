//! Who leaves and who begins between passes, and who gets the room in the cache.

use std::time::Instant;

use rushlight_kernels::PAGE;

use super::Scheduler;
use super::active::Active;
use crate::forward::FINE;
use crate::{Finish, Sequence};

impl Scheduler {
    /// Ends what nobody waits for any more, and what is too late.
    pub(super) fn retire(&mut self) {
        let now = Instant::now();
        let mut ended = Vec::new();
        for list in [&mut self.queue, &mut self.running] {
            ended.extend(list.extract_if(.., |active| active.over(now).is_some()));
        }
        self.retire_texts(now);
        for mut active in ended {
            active.finish(active.over(now).unwrap_or(Finish::Cancelled));
            self.leave(active);
        }
    }

    /// Begins waiting requests while there is room for their prompts.
    pub(super) fn admit(&mut self) {
        while self.running.len() < self.options.most_running {
            let first = (0..self.queue.len()).min_by_key(|i| self.queue[*i].rank());
            let Some(first) = first else { return };
            // Texts that came before it have waited long enough for the room.
            if self.starved.is_some_and(|rank| {
                rank < self.queue[first].rank() && self.embeddings.iter().any(|e| e.rank() == rank)
            }) {
                return;
            }
            let Some(sequence) = self.start(first) else { return };
            let len = self.engine.len(sequence);
            let mut active = self.queue.swap_remove(first);
            if !active.has_begun() {
                self.counts.reused_tokens += len as u64;
            }
            if !active.begin(sequence, len) {
                active.finish(Finish::Cancelled);
                self.leave(active);
                continue;
            }
            let at = self.running.partition_point(|other| other.rank() < active.rank());
            self.running.insert(at, active);
        }
    }

    /// A sequence for a waiting request, with what the cache has of its tokens; `None` while there
    /// is no room for the others.
    fn start(&mut self, at: usize) -> Option<Sequence> {
        let tokens = self.queue[at].tokens();
        // The logits after the last token are needed, so it runs again; of a prompt all those that
        // have finer activations, so that the answer is the same as the first time.
        let fresh = if self.queue[at].answered() == 0 { FINE } else { 1 };
        let known = &tokens[..tokens.len().saturating_sub(fresh)];
        let adapter = self.queue[at].adapter();
        let sequence = self.prefixes.start(self.engine.cache_mut(), adapter, known);
        let cache = self.engine.cache();
        let to_come = |active: &Active, sequence: Option<Sequence>| {
            let (have, left) = (sequence.map_or(0, |s| self.engine.len(s)), active.left());
            let length = active.tokens().len();
            let room = (self.engine.context() + 1).saturating_sub(length);
            let more = length - have + left.min(self.options.ahead).min(room);
            sequence.map_or(0, |s| cache.needed(s, more))
        };
        let promised = self.running.iter().map(|other| to_come(other, other.sequence()));
        let texts = self.embeddings.iter().filter_map(|e| e.to_come());
        let texts: usize = texts.map(|(sequence, more)| cache.needed(sequence, more)).sum();
        let need = to_come(&self.queue[at], Some(sequence)) + promised.sum::<usize>() + texts;
        if need <= cache.available() + self.prefixes.idle_pages(cache) {
            return Some(sequence);
        }
        // A text that has begun and came before it comes to its end first.
        let rank = self.queue[at].rank();
        let text_first = self.embeddings.iter().any(|e| e.to_come().is_some() && e.rank() < rank);
        if !self.running.is_empty() || text_first {
            self.engine.end(sequence);
            return None;
        }
        // Alone it has all there is, but not beside a page that it would have to copy.
        let whole = self.engine.len(sequence) / PAGE * PAGE;
        self.engine.truncate(sequence, whole);
        Some(sequence)
    }

    /// Makes room for the rows that each of those who run is to have: gives up what no answer uses,
    /// then sends the last ones back to the queue, whose rows are dropped.
    pub(super) fn make_room(&mut self, rows: &mut Vec<usize>) {
        loop {
            let cache = self.engine.cache();
            let pages = |(active, rows): (&Active, &usize)| {
                active.sequence().map_or(0, |s| cache.needed(s, *rows))
            };
            let need: usize = self.running.iter().zip(rows.iter()).map(pages).sum();
            if need <= cache.available() {
                return;
            }
            if self.prefixes.evict(self.engine.cache_mut()) {
                continue;
            }
            if self.stop_text() {
                continue;
            }
            // One alone has the room: its context is what the cache holds.
            if self.running.len() <= 1 {
                return;
            }
            if let Some(last) = self.running.pop() {
                rows.truncate(self.running.len());
                self.counts.preemptions += 1;
                let last = self.leave(last);
                self.queue.push(last);
            }
        }
    }

    /// Takes a request off the cache, which keeps what it has while there is room.
    pub(super) fn leave(&mut self, mut active: Active) -> Active {
        if let Some(sequence) = active.sequence() {
            self.prefixes.keep(self.engine.cache_mut(), sequence, active.tokens(), false);
        }
        active.end(&mut self.engine);
        active
    }
}
