//! Arguments of a script, one behind the other in one piece of memory.

pub struct Args {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Args {
    pub fn with_capacity(args: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(args) }
    }

    pub fn push(&mut self, arg: impl AsRef<[u8]>) {
        self.fill(|bytes| bytes.extend_from_slice(arg.as_ref()));
    }

    pub fn number(&mut self, number: impl itoa::Integer) {
        self.push(itoa::Buffer::new().format(number));
    }

    /// One argument, written in place.
    pub fn fill(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    pub fn slices(&self) -> Vec<&[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_come_out_as_they_went_in() {
        let mut args = Args::with_capacity(0, 0);
        args.push("a");
        args.push("");
        args.number(-12_i64);
        args.fill(|bytes| bytes.extend([0xc1, 0]));
        assert_eq!(args.slices(), [b"a".as_slice(), b"", b"-12", &[0xc1, 0]]);
    }
}
