//! The tokens with a role.

use super::Tokenizer;

/// Their ids, where the vocabulary has them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Roles {
    pub(crate) bos: Option<u32>,
    pub(crate) eos: Option<u32>,
    pub(crate) unk: Option<u32>,
    pub(crate) sep: Option<u32>,
    pub(crate) pad: Option<u32>,
    pub(crate) cls: Option<u32>,
    pub(crate) mask: Option<u32>,
    pub(crate) eot: Option<u32>,
    pub(crate) eom: Option<u32>,
}

impl Tokenizer {
    /// Beginning of text.
    pub fn bos(&self) -> Option<u32> {
        self.roles.bos
    }

    /// End of text.
    pub fn eos(&self) -> Option<u32> {
        self.roles.eos
    }

    /// End of turn.
    pub fn eot(&self) -> Option<u32> {
        self.roles.eot
    }

    /// Padding.
    pub fn pad(&self) -> Option<u32> {
        self.roles.pad
    }

    /// What stands for text that no token spells.
    pub fn unk(&self) -> Option<u32> {
        self.roles.unk
    }

    /// Separator, of embedders.
    pub fn sep(&self) -> Option<u32> {
        self.roles.sep
    }

    /// Start of a classified text, of embedders.
    pub fn cls(&self) -> Option<u32> {
        self.roles.cls
    }

    /// Mask, of embedders.
    pub fn mask(&self) -> Option<u32> {
        self.roles.mask
    }

    /// Whether [`EncodeOptions::special`](crate::EncodeOptions) puts BOS before a text.
    pub fn adds_bos(&self) -> bool {
        self.roles.bos.is_some() && self.before.first().copied() == self.roles.bos
    }

    /// Whether [`EncodeOptions::special`](crate::EncodeOptions) puts EOS after a text.
    pub fn adds_eos(&self) -> bool {
        self.roles.eos.is_some() && self.after.last().copied() == self.roles.eos
    }
}
