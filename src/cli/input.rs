//! A file of events, or stdin: plain or gzipped, whichever its first two bytes say, one event a line.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, IsTerminal, Read};

use flate2::read::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};

use super::failure::Failure;
use super::output::{note, watched};

/// The longest line read: four times what the service takes by default; a file without line ends must not fill the memory.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Bad lines told one by one; the rest are counted.
const BAD_LINES_TOLD: u64 = 10;

/// The lines of an input.
pub struct Lines {
    reader: Box<dyn BufRead>,
    line: Vec<u8>,
    /// Of the line last read, from 1.
    pub number: u64,
    /// How far the file has been read, in its own bytes; hidden where nobody watches.
    pub bar: ProgressBar,
}

/// A line longer than [`LINE_BYTES_MAX`].
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "longer than {LINE_BYTES_MAX} bytes")
    }
}

impl Lines {
    /// Opens `path`; `-` is stdin.
    pub fn open(path: &str) -> Result<Self, Failure> {
        let reading = |error| Failure::failed(format_args!("{path}: {error}"));
        if path == "-" {
            let bar = if watched() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
            return Self::over(Box::new(bar.wrap_read(io::stdin())), bar).map_err(reading);
        }
        let file = File::open(path).map_err(reading)?;
        let size = file.metadata().map_err(reading)?.len();
        let bar = if watched() { ProgressBar::new(size) } else { ProgressBar::hidden() };
        Self::over(Box::new(bar.wrap_read(file)), bar).map_err(reading)
    }

    /// The lines of what is in memory.
    pub fn of(bytes: &'static [u8]) -> io::Result<Self> {
        Self::over(Box::new(bytes), ProgressBar::hidden())
    }

    fn over(mut raw: Box<dyn Read>, bar: ProgressBar) -> io::Result<Self> {
        // Nobody knows how much stdin still holds.
        let known = bar.length().is_some();
        let template = if known { "{bar:30} {percent:>3} %  {msg}  {eta} left" } else { "{spinner} {bytes} read  {msg}" };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let mut head = Vec::new();
        (&mut raw).take(2).read_to_end(&mut head)?;
        let gzipped = head == [0x1f, 0x8b];
        let whole = Cursor::new(head).chain(raw);
        let reader: Box<dyn BufRead> =
            if gzipped { Box::new(BufReader::new(MultiGzDecoder::new(whole))) } else { Box::new(BufReader::new(whole)) };
        Ok(Self { reader, line: Vec::new(), number: 0, bar })
    }

    /// The next line that is not blank, without its end. An error ends the input: what could not be read is not skipped.
    pub fn next(&mut self) -> Result<Option<Result<&[u8], TooLong>>, Failure> {
        loop {
            self.line.clear();
            let read = (&mut self.reader).take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut self.line);
            self.number += 1;
            match read {
                Err(error) => return Err(Failure::failed(format_args!("reading stopped at line {}: {error}", self.number))),
                Ok(0) => return Ok(None),
                Ok(_) => {}
            }
            if self.line.len() > LINE_BYTES_MAX && self.line.last() != Some(&b'\n') {
                self.skip_line()?;
                return Ok(Some(Err(TooLong)));
            }
            // What some editors put before the first line of a file is no part of it.
            if self.number == 1 && self.line.starts_with(BYTE_ORDER_MARK) {
                self.line.drain(..BYTE_ORDER_MARK.len());
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some(Ok(self.line.trim_ascii())));
            }
        }
    }

    fn skip_line(&mut self) -> Result<(), Failure> {
        loop {
            let chunk = self.reader.fill_buf().map_err(Failure::failed)?;
            if chunk.is_empty() {
                return Ok(());
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(chunk.len(), |end| end + 1);
            self.reader.consume(used);
            if end.is_some() {
                return Ok(());
            }
        }
    }
}

/// Tells of lines that cannot be used: the first few one by one, then only how many.
#[derive(Debug, Default)]
pub struct BadLines {
    pub count: u64,
}

impl BadLines {
    pub fn tell(&mut self, bar: &ProgressBar, number: u64, reason: impl fmt::Display) {
        self.count += 1;
        if self.count <= BAD_LINES_TOLD {
            bar.suspend(|| note(format_args!("line {number}: {reason}")));
        }
    }

    /// Says how many were not told one by one.
    pub fn finish(&self) {
        if self.count > BAD_LINES_TOLD {
            note(format_args!("… and {} more bad lines", self.count - BAD_LINES_TOLD));
        }
    }
}

/// Asks the person at the terminal. Where nobody is there, nobody has agreed.
pub fn confirmed(question: &str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage("there is nobody to ask: say --yes, or --preview"));
    }
    note(format_args!("{question} [y/N]"));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(Failure::failed)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
