//! Stop strings in a stream of text.

/// Holds text back while it could be the beginning of a stop string.
#[derive(Clone, Debug)]
pub(crate) struct StopFilter {
    stops: Vec<String>,
    held: String,
}

impl StopFilter {
    pub(crate) fn new(stops: &[String]) -> Self {
        let stops = stops.iter().filter(|s| !s.is_empty()).cloned().collect();
        Self { stops, held: String::new() }
    }

    /// Takes text, gives what may be shown, and whether a stop string came, which is not shown.
    pub(crate) fn push(&mut self, text: &str) -> (String, bool) {
        if self.stops.is_empty() {
            return (text.to_owned(), false);
        }
        self.held.push_str(text);
        if let Some(at) = self.stops.iter().filter_map(|s| self.held.find(s.as_str())).min() {
            self.held.truncate(at);
            return (std::mem::take(&mut self.held), true);
        }
        let keep = self.stops.iter().map(|s| overlap(&self.held, s)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// What was held back, when no more text comes.
    pub(crate) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Bytes at the end of `text` that begin `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    let most = text.len().min(stop.len() - 1);
    (1..=most)
        .rev()
        .find(|n| {
            text.is_char_boundary(text.len() - n) && stop.starts_with(&text[text.len() - n..])
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_across_pieces_are_found_and_not_shown() {
        let cases: [(&[&str], &[&str], &str, bool); 6] = [
            (&["END"], &["hello E", "N", "D more"], "hello ", true),
            (&["END"], &["hello E", "N", "X"], "hello ENX", false),
            (&["\n\n", "."], &["a\n", "b.", "c"], "a\nb", true),
            (&["é!"], &["caf", "é", "?"], "café?", false),
            (&[], &["any", "thing"], "anything", false),
            (&["aab"], &["a", "a", "a", "b"], "a", true),
        ];
        for (stops, pieces, want, stopped) in cases {
            let stops: Vec<String> = stops.iter().map(|s| (*s).to_owned()).collect();
            let mut filter = StopFilter::new(&stops);
            let (mut shown, mut hit) = (String::new(), false);
            for piece in pieces {
                let (text, stop) = filter.push(piece);
                shown += &text;
                if stop {
                    hit = true;
                    break;
                }
            }
            if !hit {
                shown += &filter.finish();
            }
            assert_eq!((shown.as_str(), hit), (want, stopped), "{stops:?} {pieces:?}");
        }
    }
}
