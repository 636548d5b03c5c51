//! Where one request of a client ends and the next begins (RESP: an array of strings).

/// Takes bytes as they come, gives whole requests. What is no such array (TLS, a line typed by hand) passes as it is, and so
/// does everything behind it.
#[derive(Default)]
pub struct Requests {
    begun: Vec<u8>,
    foreign: bool,
}

impl Requests {
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.begun.extend_from_slice(bytes);
        let mut whole = Vec::new();
        while !self.foreign && !self.begun.is_empty() {
            match request_len(&self.begun) {
                Ok(Some(len)) => whole.push(self.begun.drain(..len).collect()),
                Ok(None) => return whole,
                Err(Foreign) => self.foreign = true,
            }
        }
        if !self.begun.is_empty() {
            whole.push(std::mem::take(&mut self.begun));
        }
        whole
    }

    /// What was begun and never finished.
    pub fn rest(self) -> Vec<u8> {
        self.begun
    }
}

struct Foreign;

/// How long the request at the beginning of `bytes` is, if all of it is there.
fn request_len(bytes: &[u8]) -> Result<Option<usize>, Foreign> {
    let Some((strings, mut at)) = header(bytes, 0, b'*')? else { return Ok(None) };
    for _ in 0..strings {
        let Some((len, begin)) = header(bytes, at, b'$')? else { return Ok(None) };
        at = begin + len + b"\r\n".len();
    }
    Ok((at <= bytes.len()).then_some(at))
}

/// The number in a line that begins with `kind`, and where the next begins.
fn header(bytes: &[u8], at: usize, kind: u8) -> Result<Option<(usize, usize)>, Foreign> {
    let line = bytes.get(at..).unwrap_or_default();
    let Some(end) = line.iter().position(|byte| *byte == b'\n') else {
        return if line.first().is_none_or(|first| *first == kind) { Ok(None) } else { Err(Foreign) };
    };
    let number = line[..end].strip_prefix(&[kind]).and_then(|digits| digits.strip_suffix(b"\r"));
    let number = number.and_then(|digits| str::from_utf8(digits).ok()?.parse().ok()).ok_or(Foreign)?;
    Ok(Some((number, at + end + 1)))
}
