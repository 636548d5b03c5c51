//! Lines of a body as it arrives in pieces, each of bounded length: a longer one is told of, in its place, and never kept.

/// One line, without its end. Blank ones are not told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line<'a> {
    Whole(&'a [u8]),
    TooLong,
}

/// Splits at `\n`; a `\r` before it belongs to the line's end.
#[derive(Debug)]
pub struct Lines {
    limit: usize,
    /// The beginning of a line whose end has not arrived.
    begun: Vec<u8>,
    /// The line that has begun is longer than the limit: wait for its end.
    overlong: bool,
}

impl Lines {
    pub fn new(limit: usize) -> Self {
        Self { limit, begun: Vec::new(), overlong: false }
    }

    /// Takes the next piece and tells of the lines that end in it.
    pub fn push<E>(&mut self, piece: &[u8], mut tell: impl FnMut(Line) -> Result<(), E>) -> Result<(), E> {
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = (&rest[..end], &rest[end + 1..]);
            rest = after;
            if self.begun.is_empty() && !self.overlong {
                told(line, self.limit, &mut tell)?;
                continue;
            }
            self.begin(line);
            self.end(&mut tell)?;
        }
        self.begin(rest);
        Ok(())
    }

    /// Tells of the last line, where it has no end of its own.
    pub fn finish<E>(mut self, mut tell: impl FnMut(Line) -> Result<(), E>) -> Result<(), E> {
        self.end(&mut tell)
    }

    fn begin(&mut self, part: &[u8]) {
        // One more than the limit: a `\r` may still turn out to belong to the line's end.
        if self.overlong || self.begun.len() + part.len() > self.limit + 1 {
            self.overlong = true;
            self.begun = Vec::new();
        } else {
            self.begun.extend_from_slice(part);
        }
    }

    fn end<E>(&mut self, tell: &mut impl FnMut(Line) -> Result<(), E>) -> Result<(), E> {
        let answer = if self.overlong { tell(Line::TooLong) } else { told(&self.begun, self.limit, tell) };
        self.begun.clear();
        self.overlong = false;
        answer
    }
}

fn told<E>(line: &[u8], limit: usize, tell: &mut impl FnMut(Line) -> Result<(), E>) -> Result<(), E> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > limit {
        tell(Line::TooLong)
    } else if line.trim_ascii().is_empty() {
        Ok(())
    } else {
        tell(Line::Whole(line))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    /// The lines of `text` arriving in pieces of `size`; one that is too long shows as `!`.
    fn split(text: &[u8], size: usize, limit: usize) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        let mut keep = |line: Line| {
            found.push(match line {
                Line::Whole(line) => line.to_vec(),
                Line::TooLong => b"!".to_vec(),
            });
            Ok::<(), Infallible>(())
        };
        let mut lines = Lines::new(limit);
        for piece in text.chunks(size) {
            let Ok(()) = lines.push(piece, &mut keep);
        }
        let Ok(()) = lines.finish(&mut keep);
        found
    }

    #[test]
    fn ends_and_blanks() {
        assert_eq!(split(b"a\r\n\n \t\r\nb\nc", 3, 9), [b"a", b"b", b"c"]);
        assert!(split(b"", 3, 9).is_empty() && split(b"\n\n", 1, 9).is_empty());
    }

    #[test]
    fn a_long_line_costs_only_itself() {
        for size in 1..12 {
            assert_eq!(split(b"ab\nabcdef\ncd\r\nabc", size, 2), [&b"ab"[..], b"!", b"cd", b"!"], "in pieces of {size}");
        }
    }

    proptest! {
        /// How the body is cut makes no difference.
        #[test]
        fn pieces_do_not_matter(text in "[a-c\r\n ]{0,60}", size in 1..20_usize) {
            prop_assert_eq!(split(text.as_bytes(), size, 4), split(text.as_bytes(), 1_000, 4));
        }
    }
}
