//! What a parser took of an object, compared with the object's table: in debug builds, which tests
//! are, a table that says something else than the code fails.

use crate::schema::{Kind, Object, Presence};

/// How a field was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Taken {
    /// As it is; what reads it checks it.
    Value,
    Text,
    Flag,
    Number(f64, f64),
    Integer(i64, i64),
    List,
    Map,
    Object,
    /// It has to be there.
    Needed,
}

impl Taken {
    /// Whether that is how a value of this kind is taken.
    fn is_of(self, kind: &Kind) -> bool {
        match (self, *kind) {
            (Taken::Value | Taken::Needed, _)
            | (Taken::Text, Kind::Text | Kind::Sized(..) | Kind::Pattern(_) | Kind::Words(_))
            | (Taken::Flag, Kind::Flag | Kind::Only(_))
            | (Taken::List, Kind::List(_) | Kind::Bounded(..))
            | (Taken::Map, Kind::Map | Kind::MapOf(_))
            | (Taken::Object, Kind::Object(_)) => true,
            (Taken::Number(least, most), Kind::Number(from, to)) => (least, most) == (from, to),
            (Taken::Integer(least, most), Kind::Integer(from, to)) => (least, most) == (from, to),
            (Taken::Integer(least, _), Kind::From(from)) => least == from,
            (Taken::Object, Kind::AnyOf(kinds)) => kinds.iter().all(|kind| self.is_of(kind)),
            _ => false,
        }
    }
}

/// What was taken; nothing in release builds.
#[derive(Debug, Default)]
pub(super) struct Record(Vec<(String, Taken)>);

impl Record {
    /// Notes that a field was taken.
    pub(super) fn note(&mut self, field: &str, taken: Taken) {
        if cfg!(debug_assertions) {
            self.0.push((field.to_owned(), taken));
        }
    }

    /// Compares what was taken with a table.
    ///
    /// # Panics
    /// In debug builds, if they differ.
    pub(super) fn check(&self, table: &Object) {
        if cfg!(debug_assertions) {
            let found = self.differences(table);
            assert!(
                found.is_empty(),
                "the table `{}` differs from its code: {found:?}",
                table.name
            );
        }
    }

    fn differences(&self, table: &Object) -> Vec<String> {
        let mut found = Vec::new();
        for field in table.all() {
            let name = field.name;
            let mut taken = self.0.iter().filter(|(taken, _)| taken == name).peekable();
            if taken.peek().is_none() {
                found.push(format!("`{name}` is not read"));
                continue;
            }
            let mut needed = false;
            for (_, taken) in taken {
                needed |= *taken == Taken::Needed;
                if !taken.is_of(&field.kind) {
                    found.push(format!("`{name}` is read as {taken:?}, not {:?}", field.kind));
                }
            }
            if needed != (field.presence == Presence::Needed) {
                found.push(format!("`{name}` is {:?}, needed: {needed}", field.presence));
            }
        }
        for (name, _) in &self.0 {
            if table.all().all(|field| field.name != name) {
                found.push(format!("`{name}` is read and not in the table"));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{needed, optional};

    static TABLE: Object = Object {
        name: "Table",
        fields: &[
            &[needed("text", Kind::Text, "")],
            &[optional("number", Kind::Number(0.0, 2.0), ""), optional("any", Kind::Empty, "")],
        ],
    };

    #[test]
    fn tables_that_say_something_else_are_found() {
        let good = [
            ("text", Taken::Text),
            ("text", Taken::Needed),
            ("number", Taken::Number(0.0, 2.0)),
            ("any", Taken::Value),
        ];
        let with = |at: usize, taken| {
            let mut all = good;
            all[at].1 = taken;
            all.to_vec()
        };
        let cases = [
            (good.to_vec(), ""),
            (with(0, Taken::Flag), "`text` is read as Flag, not Text"),
            (with(2, Taken::Number(0.0, 1.0)), "`number` is read as Number(0.0, 1.0), not"),
            (with(2, Taken::Integer(0, 2)), "`number` is read as Integer(0, 2), not"),
            (with(2, Taken::Needed), "`number` is Optional, needed: true"),
            (good[..3].to_vec(), "`any` is not read"),
            ([&good[..1], &good[2..]].concat(), "`text` is Needed, needed: false"),
            (
                [&good[..], &[("more", Taken::Value)]].concat(),
                "`more` is read and not in the table",
            ),
        ];
        for (taken, want) in cases {
            let record = Record(taken.iter().map(|(n, taken)| ((*n).to_owned(), *taken)).collect());
            let found = record.differences(&TABLE);
            assert_eq!(found.len(), usize::from(!want.is_empty()), "{found:?}");
            assert!(found.iter().all(|found| found.starts_with(want)), "{found:?} {want}");
        }
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "`Table` differs")]
    fn a_difference_fails() {
        Record::default().check(&TABLE);
    }
}
