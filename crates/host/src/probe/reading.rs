//! A value with its unit and source, or the reason why there is none.

use std::fmt;
use std::io;

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value of this machine with its unit and where it was read, or why it could not be.
///
/// As JSON: `{"value": 41.5, "unit": "°C", "source": "sys/class/…"}`, or with `"value": null` and
/// `"reason"` and `"detail"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading<T> {
    /// The value, or why there is none.
    pub value: Result<T, Absent>,
    /// What `value` counts.
    pub unit: Unit,
    /// Where it comes from: a path below the root, or a library and its function.
    pub source: String,
}

/// Why a value is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absent {
    /// For code that decides by it.
    pub reason: Reason,
    /// For a person: what is missing, in a few words without a full stop.
    pub detail: String,
}

/// The kinds of absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The machine has no such thing, or the kernel does not show it.
    NotFound,
    /// It is there, but this user may not read it.
    Permission,
    /// A driver or a library that would tell is missing.
    Driver,
    /// The driver says that it cannot tell.
    Unsupported,
    /// What was read makes no sense.
    Damaged,
}

/// What a value counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Unit {
    /// A name, a version, a yes or no, or a plain number.
    #[default]
    #[serde(rename = "")]
    None,
    /// Bytes.
    #[serde(rename = "B")]
    Bytes,
    /// Bytes per second.
    #[serde(rename = "B/s")]
    BytesPerSecond,
    /// Hertz.
    #[serde(rename = "Hz")]
    Hertz,
    /// Degrees Celsius.
    #[serde(rename = "°C")]
    Celsius,
    /// Watts.
    #[serde(rename = "W")]
    Watts,
    /// Joules.
    #[serde(rename = "J")]
    Joules,
    /// Volts.
    #[serde(rename = "V")]
    Volts,
    /// Amperes.
    #[serde(rename = "A")]
    Amperes,
    /// Per cent.
    #[serde(rename = "%")]
    Percent,
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// Turns per minute.
    #[serde(rename = "rpm")]
    Rpm,
}

impl<T> Reading<T> {
    /// A value of `unit` from `source`.
    pub fn new(value: T, unit: Unit, source: impl Into<String>) -> Self {
        Self { value: Ok(value), unit, source: source.into() }
    }

    /// No value, and why.
    pub fn absent(
        reason: Reason,
        detail: impl Into<String>,
        unit: Unit,
        source: impl Into<String>,
    ) -> Self {
        let absent = Absent { reason, detail: detail.into() };
        Self { value: Err(absent), unit, source: source.into() }
    }

    /// The value, if there is one.
    pub fn get(&self) -> Option<&T> {
        self.value.as_ref().ok()
    }

    /// The value changed by `change`; what is absent stays so.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Reading<U> {
        Reading { value: self.value.map(change), unit: self.unit, source: self.source }
    }

    /// The value turned into another of `unit`, or [`Reason::Damaged`] with what `change` says is
    /// wrong.
    pub fn check<U>(self, unit: Unit, change: impl FnOnce(T) -> Result<U, String>) -> Reading<U> {
        let value = self.value.and_then(|value| {
            change(value).map_err(|detail| Absent { reason: Reason::Damaged, detail })
        });
        Reading { value, unit, source: self.source }
    }

    /// This reading, or `other` where this one is absent; if both are, the one that is more than not
    /// found.
    pub fn or_else(self, other: impl FnOnce() -> Self) -> Self {
        let Err(absent) = &self.value else { return self };
        let other = other();
        match other.value {
            Err(_) if absent.reason != Reason::NotFound => self,
            _ => other,
        }
    }
}

impl Absent {
    /// What an error of the operating system says about what was to be read.
    pub fn from_io(error: &io::Error) -> Self {
        let (reason, detail) = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                (Reason::NotFound, "there is no such file".to_owned())
            }
            io::ErrorKind::PermissionDenied => {
                (Reason::Permission, "only another user may read it, most likely root".to_owned())
            }
            io::ErrorKind::InvalidData => (Reason::Damaged, error.to_string()),
            // What drivers answer when the hardware does not tell: EINVAL, ENODATA, EOPNOTSUPP, EIO.
            _ => (Reason::Unsupported, format!("the driver answers: {error}")),
        };
        Self { reason, detail }
    }
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl Unit {
    /// The symbol, empty for what has none.
    pub fn symbol(self) -> &'static str {
        match self {
            Unit::None => "",
            Unit::Bytes => "B",
            Unit::BytesPerSecond => "B/s",
            Unit::Hertz => "Hz",
            Unit::Celsius => "°C",
            Unit::Watts => "W",
            Unit::Joules => "J",
            Unit::Volts => "V",
            Unit::Amperes => "A",
            Unit::Percent => "%",
            Unit::Seconds => "s",
            Unit::Rpm => "rpm",
        }
    }
}

impl<T: Serialize> Serialize for Reading<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields =
            2 + usize::from(self.unit != Unit::None) + 2 * usize::from(self.value.is_err());
        let mut out = serializer.serialize_struct("Reading", fields)?;
        out.serialize_field("value", &self.get())?;
        if self.unit != Unit::None {
            out.serialize_field("unit", &self.unit)?;
        }
        if let Err(absent) = &self.value {
            out.serialize_field("reason", &absent.reason)?;
            out.serialize_field("detail", &absent.detail)?;
        }
        out.serialize_field("source", &self.source)?;
        out.end()
    }
}

/// The other way round: what another process of this program has written.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Reading<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Fields<T> {
            value: Option<T>,
            #[serde(default)]
            unit: Unit,
            reason: Option<Reason>,
            #[serde(default)]
            detail: String,
            source: String,
        }
        let Fields { value, unit, reason, detail, source } = Fields::deserialize(deserializer)?;
        let value = match (value, reason) {
            (_, Some(reason)) => Err(Absent { reason, detail }),
            (Some(value), None) => Ok(value),
            (None, None) => return Err(serde::de::Error::missing_field("reason")),
        };
        Ok(Self { value, unit, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn absent(reason: Reason) -> Reading<u32> {
        Reading::absent(reason, "it is not there", Unit::Celsius, "a")
    }

    #[test]
    fn the_more_telling_absence_stays() {
        let present = || Reading::new(3, Unit::Celsius, "b");
        assert_eq!(absent(Reason::Permission).or_else(present), present());
        assert_eq!(present().or_else(|| absent(Reason::Damaged)), present());
        let kept = absent(Reason::Permission).or_else(|| absent(Reason::NotFound));
        assert_eq!(kept.value.unwrap_err().reason, Reason::Permission);
        let kept = absent(Reason::NotFound).or_else(|| absent(Reason::Driver));
        assert_eq!(kept.value.unwrap_err().reason, Reason::Driver);
    }

    #[test]
    fn json_has_a_value_or_a_reason() {
        let json = |reading: Reading<u32>| serde_json::to_string(&reading).unwrap();
        assert_eq!(
            json(Reading::new(41, Unit::Celsius, "sys/t")),
            r#"{"value":41,"unit":"°C","source":"sys/t"}"#
        );
        assert_eq!(json(Reading::new(4, Unit::None, "x")), r#"{"value":4,"source":"x"}"#);
        assert_eq!(
            json(absent(Reason::NotFound)),
            r#"{"value":null,"unit":"°C","reason":"not_found","detail":"it is not there","source":"a"}"#
        );
        for reading in [Reading::new(41, Unit::Celsius, "a"), absent(Reason::Permission)] {
            assert_eq!(
                serde_json::from_str::<Reading<u32>>(&json(reading.clone())).unwrap(),
                reading
            );
        }
        assert!(serde_json::from_str::<Reading<u32>>(r#"{"value":null,"source":"x"}"#).is_err());
        let damaged = Reading::new(4, Unit::None, "x")
            .check(Unit::Hertz, |n| if n < 4 { Ok(n) } else { Err(format!("{n} is too many")) });
        assert_eq!(damaged.value.unwrap_err().reason, Reason::Damaged);
    }
}
