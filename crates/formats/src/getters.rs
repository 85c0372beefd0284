//! Getters by key and type, the same for every file of keys and values.

/// Makes each getter and its `need_` twin.
///
/// The type needs `get(key) -> Option<&V>` and `place(key) -> String`; the module that invokes
/// this needs `describe(&V) -> String` and, in a module `read`, one function for each getter from
/// `&V` to `Result<Option<T>, Error>`, where `None` stands for a value of another type.
macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident, $need:ident -> $out:ty, $expected:literal;)*) => {
        $(
            $(#[$doc])*
            ///
            /// `None` when the key is absent.
            ///
            /// # Errors
            /// The value is of another type or does not fit.
            pub fn $name(&self, key: &str) -> Result<Option<$out>, Error> {
                let Some(value) = self.get(key) else { return Ok(None) };
                match read::$name(value) {
                    Ok(Some(read)) => Ok(Some(read)),
                    Ok(None) => Err(Error::new(
                        ErrorKind::Type,
                        self.place(key),
                        describe(value),
                        $expected,
                    )),
                    Err(error) => Err(error.within(self.place(key))),
                }
            }

            #[doc = concat!("[`Self::", stringify!($name), "`] of a key that must be there.")]
            ///
            /// # Errors
            /// The key is absent, or the value is of another type or does not fit.
            pub fn $need(&self, key: &str) -> Result<$out, Error> {
                self.$name(key)?.ok_or_else(|| {
                    Error::new(ErrorKind::Missing, self.place(key), "nothing", $expected)
                })
            }
        )*
    };
}

pub(crate) use getters;
