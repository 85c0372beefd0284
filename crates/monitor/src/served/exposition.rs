//! Prometheus' text format, as far as a rushlight server writes it
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::collections::HashMap;

/// Values, at most.
const MOST: usize = 1 << 16;

/// Values by their names and models; those of other labels are added up.
#[derive(Debug, Default)]
pub(super) struct Values<'a> {
    all: HashMap<(&'a str, String), f64>,
}

impl<'a> Values<'a> {
    pub(super) fn read(text: &'a str) -> Self {
        let mut all = HashMap::new();
        let lines =
            text.lines().filter(|line| !line.starts_with('#') && line.starts_with("rushlight_"));
        for (name, model, value) in lines.filter_map(parse).take(MOST) {
            *all.entry((name, model)).or_insert(0.0) += value;
        }
        Self { all }
    }

    /// A value without the prefix, of a model; `None` if it is not told.
    pub(super) fn get(&self, name: &str, model: &str) -> Option<f64> {
        self.all.get(&(name, model.to_owned())).copied()
    }
}

/// `rushlight_NAME{model="…",other="…"} VALUE`
fn parse(line: &str) -> Option<(&str, String, f64)> {
    let line = line.strip_prefix("rushlight_")?;
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let (model, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (String::new(), rest),
    };
    let value: f64 = rest.split_ascii_whitespace().next()?.parse().ok()?;
    value.is_finite().then_some((name, model, value))
}

/// The label `model`, and what stands after all labels.
fn labels(mut rest: &str) -> Option<(String, &str)> {
    let mut model = String::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((model, rest));
        }
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut letters = after.char_indices();
        loop {
            match letters.next()?.1 {
                '"' => break,
                '\\' => match letters.next()?.1 {
                    'n' => value.push('\n'),
                    letter => value.push(letter),
                },
                letter => value.push(letter),
            }
        }
        rest = letters.as_str();
        if name == "model" {
            model = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_the_rest_is_left() {
        let text = "# HELP rushlight_x x\nrushlight_x_total{model=\"a\\\"b}\"} 5\nother 7\n\
                    rushlight_y{reason=\"r\",model=\"m\"} 2.5\nrushlight_y{reason=\"s\",model=\"m\"} 1\n\
                    rushlight_z 3 1700000000\nrushlight_nan{model=\"m\"} NaN\nrushlight_bad{model=\"m\n";
        let values = Values::read(text);
        assert_eq!(values.get("x_total", "a\"b}"), Some(5.0));
        assert_eq!(values.get("y", "m"), Some(3.5));
        assert_eq!(values.get("z", ""), Some(3.0));
        assert_eq!(values.get("nan", "m"), None);
        assert_eq!(values.get("bad", "m"), None);
    }
}
