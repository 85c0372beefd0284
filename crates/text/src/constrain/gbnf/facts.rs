//! What is known of a grammar's parts: what their texts begin with, and what may come after them.

use std::cell::Cell;

use super::{Chars, Node, Rules, fail};
use crate::error::Error;

/// The most parts that are looked at, over and over, until nothing new is known of them.
const MOST_WORK: u64 = 4_000_000;

/// What is known of a part's texts, all from above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Facts {
    /// Whether the empty text is one of them.
    empty: bool,
    /// What they begin with.
    first: Chars,
    /// What may go on with a whole one such that it is the beginning of another.
    more: Chars,
    /// Every character in them.
    all: Chars,
}

/// Rules and what is known of them.
pub(super) struct Known<'r> {
    pub(super) rules: &'r Rules,
    facts: Vec<Facts>,
    /// Whether each rule is regular: refers, at last, to no rule that refers to itself.
    regular: Vec<bool>,
    /// What may come after each rule.
    after: Vec<Chars>,
    /// How many parts were looked at.
    work: Cell<u64>,
}

impl<'r> Known<'r> {
    /// # Errors
    /// `Grammar` when the rules refer to each other beyond the limits.
    pub(super) fn of(rules: &'r Rules) -> Result<Self, Error> {
        let count = rules.bodies.len();
        let mut users: Vec<Vec<usize>> = vec![Vec::new(); count];
        for (number, body) in rules.bodies.iter().enumerate() {
            body.each_rule(&mut |used| {
                users.get_mut(used).into_iter().for_each(|u| u.push(number))
            });
        }
        let mut known = Self {
            rules,
            facts: vec![Facts::default(); count],
            regular: regular(rules, &users),
            after: vec![Chars::NONE; count],
            work: Cell::new(0),
        };
        known.learn_facts(&users)?;
        known.learn_after()?;
        Ok(known)
    }

    /// Fills in the facts, until nothing new is.
    fn learn_facts(&mut self, users: &[Vec<usize>]) -> Result<(), Error> {
        let mut waiting: Vec<usize> = (0..self.facts.len()).collect();
        while let Some(number) = waiting.pop() {
            let Some(body) = self.rules.bodies.get(number) else { continue };
            let facts = self.facts(body);
            if let Some(known) = self.facts.get_mut(number)
                && *known != facts
            {
                *known = facts;
                waiting.extend(users.get(number).into_iter().flatten());
            }
            self.check()?;
        }
        Ok(())
    }

    /// Fills in what comes after, until nothing new does.
    fn learn_after(&mut self) -> Result<(), Error> {
        let mut waiting: Vec<usize> = (0..self.after.len()).collect();
        while let Some(number) = waiting.pop() {
            let Some(body) = self.rules.bodies.get(number) else { continue };
            let after = self.after(number);
            self.spread(body, after, &mut waiting);
            self.check()?;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Error> {
        match self.work.get() {
            0..MOST_WORK => Ok(()),
            _ => Err(fail("refers to itself in more ways than can be followed")),
        }
    }

    fn facts(&self, node: &Node) -> Facts {
        self.work.set(self.work.get() + 1);
        match node {
            Node::Text(text) => {
                let chars = text.chars().map(|char| Chars::range(char, char));
                let first = chars.clone().next().unwrap_or_default();
                let all = chars.fold(Chars::NONE, Chars::and);
                Facts { empty: text.is_empty(), first, more: Chars::NONE, all }
            }
            Node::Class { chars, .. } => {
                Facts { empty: false, first: *chars, more: Chars::NONE, all: *chars }
            }
            Node::Rule(number) => self.facts.get(*number).copied().unwrap_or_default(),
            Node::Sequence(parts) => {
                parts.iter().map(|part| self.facts(part)).reduce(Facts::then).unwrap_or_default()
            }
            Node::Choice(parts) => {
                parts.iter().map(|part| self.facts(part)).reduce(Facts::or).unwrap_or_default()
            }
            Node::Repeat { part, least, most } => {
                let once = self.facts(part);
                let mut facts = if *most == Some(1) { once } else { once.then(once) };
                facts.empty = once.empty || *least == 0;
                if Some(*least) != *most {
                    facts.more = facts.more.and(once.first);
                }
                facts
            }
        }
    }

    /// Tells the rules within `node` that `after` may come after it. Those that did not know wait.
    fn spread(&mut self, node: &Node, after: Chars, waiting: &mut Vec<usize>) {
        match node {
            Node::Text(_) | Node::Class { .. } => {}
            Node::Rule(number) => {
                if let Some(known) = self.after.get_mut(*number)
                    && *known != known.and(after)
                {
                    *known = known.and(after);
                    waiting.push(*number);
                }
            }
            Node::Sequence(parts) => {
                let afters = self.afters(parts, after);
                for (part, after) in parts.iter().zip(afters) {
                    self.spread(part, after, waiting);
                }
            }
            Node::Choice(parts) => {
                parts.iter().for_each(|part| self.spread(part, after, waiting));
            }
            Node::Repeat { part, most, .. } => {
                let after = self.after_one(part, *most, after);
                self.spread(part, after, waiting);
            }
        }
    }

    /// What may come after the rule.
    pub(super) fn after(&self, number: usize) -> Chars {
        self.after.get(number).copied().unwrap_or(Chars::ALL)
    }

    /// What may come after one of up to `most` times `part`, after all of which comes `after`.
    pub(super) fn after_one(&self, part: &Node, most: Option<u32>, after: Chars) -> Chars {
        if most.is_some_and(|most| most <= 1) { after } else { after.and(self.facts(part).first) }
    }

    /// What may come after each part of a sequence that `after` comes after.
    pub(super) fn afters(&self, parts: &[Node], after: Chars) -> Vec<Chars> {
        let mut after = after;
        let mut afters: Vec<Chars> = parts
            .iter()
            .rev()
            .map(|part| {
                let here = after;
                let facts = self.facts(part);
                after = if facts.empty { after.and(facts.first) } else { facts.first };
                here
            })
            .collect();
        afters.reverse();
        afters
    }

    /// Whether `node`, read as far as it goes, is read right where `after` comes after it.
    pub(super) fn is_terminal(&self, node: &Node, after: Chars) -> bool {
        let mut is_regular = true;
        node.each_rule(&mut |number| is_regular &= self.regular.get(number) == Some(&true));
        is_regular && !self.facts(node).more.meets(after)
    }
}

/// Which rules are regular. Those are found from below: a rule all of whose rules are.
fn regular(rules: &Rules, users: &[Vec<usize>]) -> Vec<bool> {
    let mut regular = vec![false; rules.bodies.len()];
    let mut missing = vec![0usize; rules.bodies.len()];
    for (body, missing) in rules.bodies.iter().zip(&mut missing) {
        body.each_rule(&mut |_| *missing += 1);
    }
    let mut ready: Vec<usize> =
        (0..missing.len()).filter(|number| missing.get(*number) == Some(&0)).collect();
    while let Some(number) = ready.pop() {
        if let Some(regular) = regular.get_mut(number) {
            *regular = true;
        }
        for &user in users.get(number).into_iter().flatten() {
            if let Some(missing) = missing.get_mut(user) {
                *missing -= 1;
                if *missing == 0 {
                    ready.push(user);
                }
            }
        }
    }
    regular
}

impl Node {
    fn each_rule(&self, what: &mut impl FnMut(usize)) {
        match self {
            Self::Text(_) | Self::Class { .. } => {}
            Self::Rule(number) => what(*number),
            Self::Sequence(parts) | Self::Choice(parts) => {
                parts.iter().for_each(|part| part.each_rule(what));
            }
            Self::Repeat { part, .. } => part.each_rule(what),
        }
    }
}

impl Facts {
    fn then(self, next: Self) -> Self {
        let all = self.all.and(next.all);
        let more = if self.more.meets(next.first) {
            // The same text may fall into the two parts in several ways.
            all
        } else if next.empty {
            next.more.and(self.more).and(next.first)
        } else {
            next.more
        };
        let first = if self.empty { self.first.and(next.first) } else { self.first };
        Self { empty: self.empty && next.empty, first, more, all }
    }

    fn or(self, other: Self) -> Self {
        let all = self.all.and(other.all);
        let mut more = self.more.and(other.more);
        if self.first.meets(other.first) {
            // One may begin with the other.
            more = all;
        }
        if self.empty {
            more = more.and(other.first);
        }
        if other.empty {
            more = more.and(self.first);
        }
        let first = self.first.and(other.first);
        Self { empty: self.empty || other.empty, first, more, all }
    }
}
