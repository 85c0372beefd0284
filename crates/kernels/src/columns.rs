//! Disjoint column ranges of one matrix, for threads that each compute some of its columns.
#![expect(unsafe_code, reason = "column ranges of a row-major matrix cannot be borrowed apart")]

use std::marker::PhantomData;

/// Columns `start..end` of a row-major `(tokens, width)` matrix, exclusively borrowed.
#[derive(Debug)]
pub struct Columns<'a> {
    data: *mut f32,
    tokens: usize,
    width: usize,
    start: usize,
    end: usize,
    borrow: PhantomData<&'a mut [f32]>,
}

// SAFETY: a `Columns` is an exclusive borrow of plain floats, like `&mut [f32]`.
unsafe impl Send for Columns<'_> {}

impl<'a> Columns<'a> {
    /// All columns of `data`, which is row-major with rows of `width`.
    ///
    /// # Panics
    /// If `data` is not a whole number of rows.
    pub fn new(data: &'a mut [f32], width: usize) -> Self {
        assert!(width > 0 && data.len().is_multiple_of(width), "not whole rows of `{width}`");
        let tokens = data.len() / width;
        Self { data: data.as_mut_ptr(), tokens, width, start: 0, end: width, borrow: PhantomData }
    }

    /// Splits into columns before and from `at`, counted from this range's start.
    ///
    /// # Panics
    /// If `at` is past the end.
    pub fn split_at(self, at: usize) -> (Self, Self) {
        let middle = self.start + at;
        assert!(middle <= self.end, "column `{at}` is past the end");
        (Self { end: middle, ..self }, Self { start: middle, ..self })
    }

    /// Splits into ranges of `chunk` columns, the last one possibly shorter.
    pub fn chunks(self, chunk: usize) -> Vec<Self> {
        let mut rest = self;
        let mut out = Vec::with_capacity(rest.columns().div_ceil(chunk));
        while rest.columns() > chunk {
            let (head, tail) = rest.split_at(chunk);
            out.push(head);
            rest = tail;
        }
        out.push(rest);
        out
    }

    /// Splits into rows before and from `at`.
    ///
    /// # Panics
    /// If `at` is past the end.
    pub fn split_rows_at(self, at: usize) -> (Self, Self) {
        assert!(at <= self.tokens, "row `{at}` of `{}`", self.tokens);
        // SAFETY: `at <= tokens`, so the pointer stays inside (or one past the end of) the
        // allocation of `tokens * width` floats that `new` borrowed.
        let data = unsafe { self.data.add(at * self.width) };
        (Self { tokens: at, ..self }, Self { data, tokens: self.tokens - at, ..self })
    }

    /// Number of columns in this range.
    pub fn columns(&self) -> usize {
        self.end - self.start
    }

    /// Number of rows.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// This range's part of one row.
    ///
    /// # Panics
    /// If `token` is out of range.
    pub fn row(&mut self, token: usize) -> &mut [f32] {
        assert!(token < self.tokens, "row `{token}` of `{}`", self.tokens);
        // SAFETY: `start <= width` and `token < tokens`, so this stays inside (or one past the
        // end of) the allocation of `tokens * width` floats that `new` borrowed.
        let first = unsafe { self.data.add(token * self.width + self.start) };
        // SAFETY: these floats lie inside `data`; no other `Columns` covers them, since
        // `split_at` hands out disjoint ranges, and `&mut self` excludes this one's other rows.
        unsafe { std::slice::from_raw_parts_mut(first, self.columns()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_halves_are_disjoint_and_cover_all() {
        let mut data = vec![0.0; 15];
        let (mut top, bottom) = Columns::new(&mut data, 3).split_rows_at(2);
        let (_, mut right) = bottom.split_at(1);
        top.row(1).fill(1.0);
        right.row(2).fill(2.0);
        assert_eq!(data[3..6], [1.0; 3]);
        assert_eq!(data[12..], [0.0, 2.0, 2.0]);
        assert_eq!(data.iter().sum::<f32>(), 7.0);
    }

    #[test]
    fn chunks_cover_every_element_once() {
        for (tokens, width, chunk) in [(1, 1, 1), (3, 7, 2), (2, 16, 16), (4, 5, 9)] {
            let mut data = vec![0.0; tokens * width];
            for (i, mut part) in
                Columns::new(&mut data, width).chunks(chunk).into_iter().enumerate()
            {
                for t in 0..tokens {
                    part.row(t).iter_mut().enumerate().for_each(|(c, x)| {
                        *x += (t * width + i * chunk + c) as f32 + 1.0;
                    });
                }
            }
            let want: Vec<f32> = (1..=tokens * width).map(|x| x as f32).collect();
            assert_eq!(data, want, "({tokens}, {width}) by {chunk}");
        }
    }
}
