//! The JSON object of one call, sign by sign.

/// What the next sign made of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It goes on.
    On,
    /// It is complete.
    Done,
    /// It is no call.
    Wrong,
}

/// A call's object as far as it was read.
#[derive(Debug, Clone, Default)]
pub(super) struct Object {
    place: Place,
    /// The text of the key or value that is being read, as JSON spells it.
    raw: String,
    nesting: Nesting,
    part: Part,
    /// The name, once it was read.
    pub(super) name: Option<String>,
    /// Arguments as text that nobody took yet.
    pub(super) arguments: String,
    /// Whether the arguments, or the object's end, were reached.
    pub(super) has_arguments: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// Before a key or the end.
    #[default]
    Key,
    InKey,
    Colon,
    Value,
    InValue,
    Comma,
}

/// Which value is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Part {
    Name,
    Arguments,
    #[default]
    Other,
}

/// How deep within a value the place is.
#[derive(Debug, Clone, Copy, Default)]
struct Nesting {
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl Nesting {
    /// Reads a sign. Whether the value, one that brackets or quotes surround, is complete.
    fn read(&mut self, sign: char) -> bool {
        if self.in_text {
            match sign {
                _ if self.escaped => self.escaped = false,
                '\\' => self.escaped = true,
                '"' => self.in_text = false,
                _ => {}
            }
        } else {
            match sign {
                '"' => self.in_text = true,
                '{' | '[' => self.depth += 1,
                '}' | ']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        self.depth == 0 && !self.in_text
    }
}

impl Object {
    /// Reads the sign after those that were read; the first is what comes after `{`.
    pub(super) fn read(&mut self, sign: char) -> Step {
        let is_space = sign.is_ascii_whitespace();
        match self.place {
            Place::Key | Place::Colon | Place::Value | Place::Comma if is_space => Step::On,
            Place::Key if sign == '"' => {
                self.begin(Place::InKey);
                self.nesting.read(sign);
                self.raw.push(sign);
                Step::On
            }
            Place::Key | Place::Comma if sign == '}' => self.done(),
            Place::InKey => {
                self.raw.push(sign);
                if self.nesting.read(sign) { self.key() } else { Step::On }
            }
            Place::Colon if sign == ':' => {
                self.place = Place::Value;
                Step::On
            }
            Place::Value => {
                self.begin(Place::InValue);
                self.value(sign)
            }
            Place::InValue => self.value(sign),
            Place::Comma if sign == ',' => {
                self.place = Place::Key;
                Step::On
            }
            _ => Step::Wrong,
        }
    }

    fn begin(&mut self, place: Place) {
        self.place = place;
        self.raw.clear();
        self.nesting = Nesting::default();
    }

    fn done(&mut self) -> Step {
        if !self.has_arguments {
            self.arguments = "{}".to_owned();
            self.has_arguments = true;
        }
        if self.name.is_some() { Step::Done } else { Step::Wrong }
    }

    fn key(&mut self) -> Step {
        self.place = Place::Colon;
        self.part = match self.raw.as_str() {
            "\"name\"" => Part::Name,
            "\"arguments\"" | "\"parameters\"" => Part::Arguments,
            "\"id\"" | "\"type\"" | "\"index\"" => Part::Other,
            _ => return Step::Wrong,
        };
        let again = match self.part {
            Part::Name => self.name.is_some(),
            Part::Arguments => self.has_arguments,
            Part::Other => false,
        };
        if again { Step::Wrong } else { Step::On }
    }

    fn value(&mut self, sign: char) -> Step {
        let is_first = self.raw.is_empty();
        let first = if is_first { Some(sign) } else { self.raw.chars().next() };
        if !matches!(first, Some('{' | '[' | '"')) {
            return self.bare(sign);
        }
        if self.part == Part::Arguments && first == Some('[') {
            return Step::Wrong;
        }
        self.raw.push(sign);
        if self.part == Part::Arguments && !self.raw.starts_with('"') {
            self.has_arguments = true;
            self.arguments.push(sign);
        }
        if self.nesting.read(sign) { self.complete() } else { Step::On }
    }

    /// A sign of a number or a word, which ends where the next sign is none of its own.
    fn bare(&mut self, sign: char) -> Step {
        if matches!(sign, ',' | '}') || sign.is_ascii_whitespace() {
            return match self.complete() {
                Step::On => self.read(sign),
                other => other,
            };
        }
        self.raw.push(sign);
        if sign.is_ascii_alphanumeric() || matches!(sign, '-' | '+' | '.') {
            Step::On
        } else {
            Step::Wrong
        }
    }

    /// The value is complete.
    fn complete(&mut self) -> Step {
        self.place = Place::Comma;
        match self.part {
            Part::Other => Step::On,
            Part::Name => {
                self.name = serde_json::from_str(&self.raw).ok();
                if self.name.is_some() { Step::On } else { Step::Wrong }
            }
            Part::Arguments => {
                self.has_arguments = true;
                if self.raw == "null" {
                    self.arguments = "{}".to_owned();
                } else if self.raw.starts_with('"') {
                    // Some write the object within a text.
                    match serde_json::from_str(&self.raw) {
                        Ok(text) => self.arguments = text,
                        Err(_) => return Step::Wrong,
                    }
                } else if !self.raw.starts_with('{') {
                    return Step::Wrong;
                }
                Step::On
            }
        }
    }
}
