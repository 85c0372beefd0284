//! A template as instructions in which every value is bounded.
//!
//! minijinja counts steps, but one step may walk a value of any size: forty times
//! `{% set s = s + s %}`, or `[s, s]`, make a list that no comparison, `~` or `length` finishes.
//! So after every instruction that makes a container, and before those that walk two, a call of
//! [`bound`](super::bound) is put in, which refuses a value above a size.
//!
//! This uses minijinja's `unstable_machinery`, the only way to its instructions; `Cargo.toml` pins
//! the version.

use std::collections::BTreeMap;

use minijinja::machinery::{CodeGenerator, Instruction, Instructions, parse};
use minijinja::syntax::SyntaxConfig;

use super::bound;

/// The instructions of a template and of its blocks.
pub(super) struct Program<'s> {
    pub(super) main: Instructions<'s>,
    pub(super) blocks: BTreeMap<&'s str, Instructions<'s>>,
}

impl<'s> Program<'s> {
    /// Compiles `source`.
    pub(super) fn compile(
        name: &'s str,
        source: &'s str,
        syntax: SyntaxConfig,
    ) -> Result<Self, minijinja::Error> {
        let tree = parse(source, name, syntax)?;
        let mut generator = CodeGenerator::new(name, source);
        generator.compile_stmt(&tree);
        let (main, blocks) = generator.finish();
        Ok(Self {
            main: with_bounds(&main),
            blocks: blocks.iter().map(|(name, block)| (*name, with_bounds(block))).collect(),
        })
    }
}

/// A call of [`bound`] on the value at the top of the stack.
fn check<'s>() -> Instruction<'s> {
    Instruction::CallFunction(bound::NAME, Some(1))
}

/// A call of the check on a value that goes into a namespace.
fn check_stored<'s>() -> Instruction<'s> {
    Instruction::CallFunction(bound::STORED, Some(1))
}

/// What is put before and after an instruction.
fn around<'s>(instruction: &Instruction<'s>) -> (Vec<Instruction<'s>>, Option<Instruction<'s>>) {
    let both = || vec![check(), Instruction::Swap, check(), Instruction::Swap];
    match instruction {
        // Walk both operands and make a number, a truth or a text, which has its price in steps.
        Instruction::Eq
        | Instruction::Ne
        | Instruction::Gt
        | Instruction::Gte
        | Instruction::Lt
        | Instruction::Lte
        | Instruction::In
        | Instruction::CompareAndPreserve(_)
        | Instruction::StringConcat => (both(), None),
        // Makes a container of containers without walking them. Keyword arguments are none of
        // these: they are the callee's alone.
        Instruction::Add
        | Instruction::Mul
        | Instruction::Slice
        | Instruction::BuildMap(_)
        | Instruction::BuildList(_)
        | Instruction::BuildTuple(_)
        | Instruction::ApplyFilter(..)
        | Instruction::CallFunction(..)
        | Instruction::CallMethod(..)
        | Instruction::CallObject(_) => (Vec::new(), Some(check())),
        // Value and namespace, which lies on top.
        Instruction::SetAttr(_) => {
            (vec![Instruction::Swap, check_stored(), Instruction::Swap], None)
        }
        _ => (Vec::new(), None),
    }
}

/// A copy with checks, and jumps that go where they went.
fn with_bounds<'s>(old: &Instructions<'s>) -> Instructions<'s> {
    let mut starts = Vec::new();
    let mut at = 0u32;
    for instruction in (0..).map_while(|index| old.get(index)) {
        let (before, after) = around(instruction);
        starts.push(at);
        at += before.len() as u32 + 1 + u32::from(after.is_some());
    }
    // A jump may lead behind the last instruction.
    starts.push(at);
    let moved = |target: u32| starts.get(target as usize).copied().unwrap_or(at);

    let mut new = Instructions::new(old.name(), old.source());
    for index in 0..starts.len() as u32 - 1 {
        let Some(instruction) = old.get(index) else { break };
        let line = old.get_line(index).and_then(|line| u16::try_from(line).ok()).unwrap_or(0);
        let (before, after) = around(instruction);
        let instruction = match instruction {
            Instruction::Jump(target) => Instruction::Jump(moved(*target)),
            Instruction::JumpIfFalse(target) => Instruction::JumpIfFalse(moved(*target)),
            Instruction::JumpIfFalseOrPop(target) => Instruction::JumpIfFalseOrPop(moved(*target)),
            Instruction::JumpIfTrueOrPop(target) => Instruction::JumpIfTrueOrPop(moved(*target)),
            Instruction::Iterate(target) => Instruction::Iterate(moved(*target)),
            Instruction::BuildMacro(name, target, flags) => {
                Instruction::BuildMacro(name, moved(*target), *flags)
            }
            other => other.clone(),
        };
        for instruction in before.into_iter().chain([instruction]).chain(after) {
            new.add_with_line(instruction, line);
        }
    }
    new
}
