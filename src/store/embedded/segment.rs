//! One file of the log.
//!
//! A segment is a header and then frames. A frame is what one write brought: all its entries, under one checksum, made
//! durable before the next frame begins. So a frame that does not check out is either the last write, torn by a crash and
//! answered to nobody, or damage: whether a sound frame follows tells which.
//!
//! ```text
//! header  "adjlog", 0, version 1 | incarnation u64 | number u64
//! frame   "FRME" | payload length u32 | crc32 of (incarnation, offset in the file, payload) | payload
//! payload entries: partition u16 | ms u64 | seq u64 | length u32 | bytes, as `store::record` wrote them
//! ```
//! All numbers little-endian. The checksum covers where the frame stands, so that no text inside an event can pass for a
//! frame.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::super::{LogEntry, LogId, Unreadable};
use super::OpenError;
use crate::domain::PartitionId;
use crate::faults;
use crate::store::record;

const MAGIC: &[u8; 8] = b"adjlog\0\x01";
const FRAME_MAGIC: &[u8; 4] = b"FRME";
pub const HEADER_BYTES: usize = 24;
const FRAME_HEADER_BYTES: usize = 12;
const ENTRY_HEADER_BYTES: usize = 22;

/// Entries encoded by whoever appends, so that the log's thread has only their ids left to fill in.
#[derive(Default)]
pub struct Encoded {
    bytes: Vec<u8>,
    /// Where each entry begins.
    starts: Vec<usize>,
}

impl Encoded {
    pub fn push(&mut self, partition: PartitionId, entry: &[u8]) {
        self.starts.push(self.bytes.len());
        self.bytes.extend_from_slice(&partition.0.to_le_bytes());
        self.bytes.extend_from_slice(&[0; 16]);
        self.bytes.extend_from_slice(&(entry.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(entry);
    }

    /// Gives the entry at `index` its id.
    pub fn set_id(&mut self, index: usize, id: LogId) {
        let at = self.starts[index] + 2;
        self.bytes[at..at + 8].copy_from_slice(&id.ms.to_le_bytes());
        self.bytes[at + 8..at + 16].copy_from_slice(&id.seq.to_le_bytes());
    }

    /// In bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// The segment that is being written.
pub struct Segment {
    file: File,
    pub number: u64,
    /// In bytes; where the next frame goes.
    pub len: u64,
    incarnation: u64,
    buffer: Vec<u8>,
}

impl Segment {
    /// Creates the file, durable with its name when this returns. What a crash left of an earlier try is overwritten.
    pub fn create(dir: &Path, number: u64, incarnation: u64) -> io::Result<Self> {
        let path = segment_path(dir, number);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        faults::point("segment.created");
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(MAGIC);
        header[8..16].copy_from_slice(&incarnation.to_le_bytes());
        header[16..].copy_from_slice(&number.to_le_bytes());
        file.write_all(&header)?;
        file.sync_all()?;
        faults::point("segment.headed");
        sync_dir(dir)?;
        faults::point("segment.named");
        Ok(Self { file, number, len: HEADER_BYTES as u64, incarnation, buffer: Vec::new() })
    }

    /// Goes on behind the last sound frame; whatever follows it is cut off. All that was found is durable when this returns: a
    /// process that was killed may have written the last frame, or begun the file, and not have come to that.
    pub fn reopen(dir: &Path, number: u64, incarnation: u64, sound_bytes: u64) -> io::Result<Self> {
        use std::io::Seek;
        let mut file = OpenOptions::new().write(true).open(segment_path(dir, number))?;
        if file.metadata()?.len() != sound_bytes {
            file.set_len(sound_bytes)?;
        }
        file.sync_all()?;
        sync_dir(dir)?;
        file.seek(io::SeekFrom::Start(sound_bytes))?;
        Ok(Self { file, number, len: sound_bytes, incarnation, buffer: Vec::new() })
    }

    /// As on a disk that takes nothing any more.
    #[cfg(test)]
    pub fn become_read_only(&mut self, dir: &Path) {
        self.file = File::open(segment_path(dir, self.number)).unwrap();
    }

    /// Writes `parts` as one frame with one write, durable when this returns. After an error the file must not be written
    /// again: the kernel may have dropped the pages and would call the next attempt a success.
    pub fn write<'a>(&mut self, parts: impl Iterator<Item = &'a Encoded>) -> io::Result<()> {
        let buffer = &mut self.buffer;
        buffer.clear();
        buffer.extend_from_slice(FRAME_MAGIC);
        buffer.extend_from_slice(&[0; FRAME_HEADER_BYTES - 4]);
        parts.for_each(|part| buffer.extend_from_slice(&part.bytes));
        let payload_len = u32::try_from(buffer.len() - FRAME_HEADER_BYTES).map_err(io::Error::other)?;
        let crc = checksum(self.incarnation, self.len, &buffer[FRAME_HEADER_BYTES..]);
        buffer[4..8].copy_from_slice(&payload_len.to_le_bytes());
        buffer[8..12].copy_from_slice(&crc.to_le_bytes());
        self.file.write_all(buffer)?;
        faults::point("log.written");
        self.file.sync_data()?;
        faults::point("log.synced");
        self.len += buffer.len() as u64;
        Ok(())
    }
}

/// What a segment on disk holds.
pub struct Scan {
    pub incarnation: u64,
    /// Up to here every frame is sound; 0 when not even the header is.
    pub sound_bytes: u64,
    pub file_bytes: u64,
}

/// Reads a whole segment and hands every entry to `each`, in order. A torn end is accepted in the `last` segment only.
///
/// # Errors
/// [`OpenError::Damaged`] names the file and the offset; [`OpenError::Io`].
pub fn scan(path: &Path, last: bool, mut each: impl FnMut(PartitionId, LogId, &[u8])) -> Result<Scan, OpenError> {
    let bytes = std::fs::read(path).map_err(|cause| OpenError::io("read", path, cause))?;
    let damaged = |offset: usize| OpenError::Damaged { file: path.to_owned(), offset: offset as u64 };
    let mut scan = Scan { incarnation: 0, sound_bytes: 0, file_bytes: bytes.len() as u64 };
    if bytes.len() < HEADER_BYTES || &bytes[..8] != MAGIC {
        // Only a crash between creating a file and writing its header leaves one without: nothing can follow it.
        return if last && bytes.len() <= HEADER_BYTES { Ok(scan) } else { Err(damaged(0)) };
    }
    let incarnation = number(&bytes[8..16]);
    let mut offset = HEADER_BYTES;
    while offset < bytes.len() {
        let Some(payload) = sound_frame(&bytes, offset, incarnation) else {
            if !last || (offset + 1..bytes.len()).any(|later| sound_frame(&bytes, later, incarnation).is_some()) {
                return Err(damaged(offset));
            }
            break;
        };
        entries(payload, &mut each).ok_or_else(|| damaged(offset))?;
        offset += FRAME_HEADER_BYTES + payload.len();
    }
    scan.incarnation = incarnation;
    scan.sound_bytes = offset as u64;
    Ok(scan)
}

/// The payload of the frame at `offset`, if there is a whole one and its checksum fits.
fn sound_frame(bytes: &[u8], offset: usize, incarnation: u64) -> Option<&[u8]> {
    let header = bytes.get(offset..offset + FRAME_HEADER_BYTES)?;
    if &header[..4] != FRAME_MAGIC {
        return None;
    }
    let len = u32::from_le_bytes(header[4..8].try_into().ok()?) as usize;
    let crc = u32::from_le_bytes(header[8..12].try_into().ok()?);
    let start = offset + FRAME_HEADER_BYTES;
    let payload = bytes.get(start..start.checked_add(len)?)?;
    (checksum(incarnation, offset as u64, payload) == crc).then_some(payload)
}

fn entries(mut payload: &[u8], each: &mut impl FnMut(PartitionId, LogId, &[u8])) -> Option<()> {
    while !payload.is_empty() {
        let (header, rest) = payload.split_at_checked(ENTRY_HEADER_BYTES)?;
        let partition = PartitionId(u16::from_le_bytes(header[..2].try_into().ok()?));
        let id = LogId { ms: number(&header[2..10]), seq: number(&header[10..18]) };
        let len = u32::from_le_bytes(header[18..].try_into().ok()?) as usize;
        let (entry, rest) = rest.split_at_checked(len)?;
        each(partition, id, entry);
        payload = rest;
    }
    Some(())
}

#[expect(clippy::expect_used, reason = "every caller cuts out eight bytes")]
fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
}

fn checksum(incarnation: u64, offset: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&incarnation.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// An entry as it was read. Bytes nobody can decode are an entry too: the shard sets it aside, the log goes on.
pub fn decode(id: LogId, bytes: &[u8]) -> LogEntry {
    let unreadable =
        |error: record::RecordError| Unreadable { reason: error.to_string().into(), bytes: bytes.to_vec(), conversation: None };
    LogEntry { id, entry: record::decode_entry(bytes).map_err(unreadable), foreign: false }
}

pub fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.seg"))
}

/// The numbers of the segments in `dir`, in order.
pub fn segment_numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for file in std::fs::read_dir(dir)? {
        let name = file?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.strip_suffix(".seg")).and_then(|name| name.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Makes names in `dir` durable: without it, a file that was fsynced can be gone after a crash.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Every entry the segments under a store's directory still hold, in the order of acceptance, applied or not. Takes no
/// lock and ends quietly at a torn end: for checking a store from outside, best with `log_retention`.
pub fn read_log(store: &Path) -> impl Iterator<Item = Result<(PartitionId, LogEntry), OpenError>> + use<> {
    let dir = super::log_dir(store);
    let numbers = segment_numbers(&dir).map_err(|cause| OpenError::io("list", &dir, cause));
    let (numbers, error) = match numbers {
        Ok(numbers) => (numbers, None),
        Err(error) => (Vec::new(), Some(Err(error))),
    };
    let last = numbers.last().copied();
    let segments = numbers.into_iter().flat_map(move |number| {
        let mut found = Vec::new();
        let path = segment_path(&dir, number);
        let scanned = scan(&path, Some(number) == last, |p, id, bytes| found.push(Ok((p, decode(id, bytes)))));
        found.extend(scanned.err().map(Err));
        found
    });
    segments.chain(error)
}
