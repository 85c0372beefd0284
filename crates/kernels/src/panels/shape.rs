//! What a panel of a format is made of.

use super::{LINE, PANEL_ROWS};
use crate::activations::GROUP;

/// How the integers of 32 values of each row are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planes {
    /// 2 bits.
    Pairs,
    /// 3 bits.
    PairsBit,
    /// 4 bits.
    Nibbles,
    /// 5 bits.
    NibblesBit,
    /// 6 bits.
    NibblesPairs,
    /// 8 bits.
    Bytes,
}

impl Planes {
    /// Bytes of a record.
    pub(crate) const fn bytes(self) -> usize {
        LINE * match self {
            Planes::Pairs => 2,
            Planes::PairsBit => 3,
            Planes::Nibbles => 4,
            Planes::NibblesBit => 5,
            Planes::NibblesPairs => 6,
            Planes::Bytes => 8,
        }
    }
}

/// How the scales and minima of a block of each row are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scales {
    /// An `f16`.
    Half,
    /// Two.
    HalfMin,
    /// An `f16` and so many `i8`.
    Groups(usize),
    /// Two and twice as many.
    GroupsMin(usize),
    /// Two and so many bytes: the scale low, the minimum high.
    NibblesMin(usize),
}

impl Scales {
    /// Bytes of the scales of a block of 16 rows.
    pub(crate) const fn bytes(self) -> usize {
        PANEL_ROWS
            * match self {
                Scales::Half => 2,
                Scales::HalfMin => 4,
                Scales::Groups(groups) => 2 + groups,
                Scales::GroupsMin(groups) => 4 + 2 * groups,
                Scales::NibblesMin(groups) => 4 + groups,
            }
    }
}

/// The two together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Values of a block.
    pub(crate) block: usize,
    pub(crate) planes: Planes,
    pub(crate) scales: Scales,
}

impl Shape {
    /// Bytes before the first record.
    pub(crate) const fn scales_bytes(self, n: usize) -> usize {
        (n / self.block * self.scales.bytes()).next_multiple_of(LINE)
    }

    /// Bytes of a panel of rows of `n` values; `None` if no machine has so many.
    pub(crate) const fn panel_bytes(self, n: usize) -> Option<usize> {
        match (n / GROUP).checked_mul(self.planes.bytes() + self.scales.bytes() + LINE) {
            Some(_) => Some(self.scales_bytes(n) + n / GROUP * self.planes.bytes()),
            None => None,
        }
    }
}
