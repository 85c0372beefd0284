//! What JSON objects look like: tables beside the code that reads and writes them.
//!
//! A request's table is given to [`Fields::end`](crate::fields::Fields::end), which in debug builds
//! compares it with what was read; `openapi` makes a document of all tables.

mod json;

pub(crate) use json::Components;

/// An object.
#[derive(Debug)]
pub(crate) struct Object {
    /// The name in the document, which no other has.
    pub(crate) name: &'static str,
    /// Its fields, in groups that objects may share.
    pub(crate) fields: &'static [&'static [Field]],
}

impl Object {
    /// All fields.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'static Field> {
        self.fields.iter().flat_map(|group| group.iter())
    }
}

/// A field of an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) presence: Presence,
    /// For people; may be empty.
    pub(crate) doc: &'static str,
}

/// Whether a field is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Always.
    Needed,
    /// In a request: it may be left out or `null`.
    Optional,
    /// In a response: it may be left out.
    Sometimes,
}

/// What a value is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A string.
    Text,
    /// A string of at least and at most so many characters.
    Sized(usize, usize),
    /// A string that a regular expression matches.
    Pattern(&'static str),
    /// One of these strings.
    Words(&'static [&'static str]),
    /// A truth.
    Flag,
    /// This truth alone.
    Only(bool),
    /// A number from the first to the second.
    Number(f64, f64),
    /// A whole number from the first to the second.
    Integer(i64, i64),
    /// A whole number from this on; what is too much depends on the model.
    From(i64),
    /// A list of a kind.
    List(&'static Kind),
    /// A list of at least and at most so many of a kind.
    Bounded(&'static Kind, usize, usize),
    /// An object whose fields may have any name and value.
    Map,
    /// An object whose fields may have any name, and values of a kind.
    MapOf(&'static Kind),
    Object(&'static Object),
    /// One of several.
    AnyOf(&'static [Kind]),
    /// What may also be `null`.
    OrNull(&'static Kind),
    /// `null`: what an API has and this server has not, or what never has a value.
    Null,
    /// What says nothing: `null`, `false`, `0`, an empty text or list.
    Empty,
    /// Any value.
    Any,
}

/// A number of things.
pub(crate) const COUNT: Kind = Kind::Integer(0, i64::MAX);
/// Any number.
pub(crate) const REAL: Kind = Kind::Number(f64::MIN, f64::MAX);

/// A field that is always there.
pub(crate) const fn needed(name: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field { name, kind, presence: Presence::Needed, doc }
}

/// A field of a request that may be left out or `null`.
pub(crate) const fn optional(name: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field { name, kind, presence: Presence::Optional, doc }
}

/// A field of a response that may be left out.
pub(crate) const fn sometimes(name: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field { name, kind, presence: Presence::Sometimes, doc }
}

/// Fields of a request that have all the same kind, and may be left out.
pub(crate) const fn all_of<const N: usize>(
    names: [&'static str; N],
    kind: Kind,
    doc: &'static str,
) -> [Field; N] {
    let mut fields = [optional("", kind, doc); N];
    let mut at = 0;
    while at < N {
        fields[at].name = names[at];
        at += 1;
    }
    fields
}
