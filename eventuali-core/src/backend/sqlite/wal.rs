//! What lies in a WAL behind damage, which SQLite takes for the end: a crash leaves a torn end, and
//! it goes on with what lies before the first bad frame.
//!
//! With full durability a commit is flushed before the next one is written. So a frame that follows
//! the end of a commit, behind a bad one, proves that the bad one was once on the device and whole: no
//! crash did that. The last commit alone may be torn, its end be there and its middle not.

use std::fs::File;
use std::io::{BufReader, ErrorKind as Io, Read};
use std::path::Path;

use super::ahead::wal_of;
use crate::error::{Error, ErrorKind, Result};

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// The last bit tells the order of the bytes that are summed up.
const MAGIC: u32 = 0x377f_0682;

type Sum = (u32, u32);

/// Refuses a database whose WAL holds commits behind damage, before SQLite drops them.
pub(super) fn inspect(path: &Path) -> Result<()> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let wal = wal_of(&path);
    let mut before = None;
    // Another process may be writing: what was not there yet is there when it is looked at again.
    loop {
        let found = match scan(&path, &wal) {
            Ok(found) => found,
            Err(cause) if cause.kind() == Io::NotFound => None,
            Err(cause) => {
                let text = format!("cannot read {}", wal.display());
                return Err(Error::new(ErrorKind::Unavailable, text).with_source(cause));
            }
        };
        let Some(bad) = found else { return Ok(()) };
        if before == found {
            let text = format!(
                "{}: frame {} is damaged, and there are commits after it. Restore a backup. If the \
                 store was written with relaxed durability, a power cut may have caused this; \
                 opened with relaxed durability, it continues with the commits before the frame",
                wal.display(),
                bad.1
            );
            return Err(Error::new(ErrorKind::Corrupted { position: None }, text));
        }
        before = found;
    }
}

/// The header, and the number of the first bad frame (0 for the header), where commits lie behind it.
fn scan(path: &Path, wal: &Path) -> std::io::Result<Option<([u8; HEADER], u64)>> {
    let mut file = BufReader::with_capacity(1 << 20, File::open(wal)?);
    let mut header = [0; HEADER];
    if !filled(&mut file, &mut header)? {
        return Ok(None);
    }
    let (magic, size) = (word(&header, 0), word(&header, 8) as usize);
    let reversed = if cfg!(target_endian = "big") { MAGIC } else { MAGIC | 1 };
    let sum = added((0, 0), &header[..24], magic == reversed);
    let whole = magic & !1 == MAGIC && sum == sum_at(&header, 24);
    let size = if whole { size } else { page_size(path)? };
    let mut frame = vec![0; FRAME_HEADER + size];
    let mut trail = Trail {
        salt: whole.then(|| word_pair(&header, 16)),
        reversed: whole && magic == reversed,
        good: sum,
        bad: (!whole).then_some(0),
        ends: Vec::new(),
    };
    let mut number = 0;
    while filled(&mut file, &mut frame)? {
        number += 1;
        if trail.proves(number, &frame) {
            return Ok(trail.bad.map(|bad| (header, bad)));
        }
    }
    Ok(None)
}

/// How far the frames were followed.
struct Trail {
    /// That of the frames that count; none where the header is damaged.
    salt: Option<(u32, u32)>,
    reversed: bool,
    /// The sum up to the last good frame.
    good: Sum,
    /// The first bad frame.
    bad: Option<u64>,
    /// Behind it: sums that the next frame may follow, with whether a commit ended before.
    ends: Vec<(Sum, bool)>,
}

impl Trail {
    /// Whether a frame proves that commits lie behind a bad one.
    fn proves(&mut self, number: u64, frame: &[u8]) -> bool {
        let (stored, salt) = (sum_at(frame, 16), word_pair(frame, 8));
        let ends_commit = word(frame, 4) != 0;
        let counts = self.salt.is_none_or(|present| present == salt);
        if self.bad.is_none() {
            let sum = self.sum(self.good, frame);
            if counts && sum == stored {
                self.good = sum;
            } else {
                // Whichever of its parts is damaged, what it was is one of these.
                self.bad = Some(number);
                self.ends = vec![(stored, ends_commit), (sum, ends_commit)];
            }
            return false;
        }
        let before = self.ends.iter().find(|(end, _)| counts && self.sum(*end, frame) == stored);
        let committed = before.is_some_and(|(_, committed)| *committed);
        self.ends.clear();
        if counts {
            self.ends.push((stored, ends_commit || committed));
        }
        committed
    }

    fn sum(&self, before: Sum, frame: &[u8]) -> Sum {
        let sum = added(before, &frame[..8], self.reversed);
        added(sum, &frame[FRAME_HEADER..], self.reversed)
    }
}

fn added((mut one, mut two): Sum, bytes: &[u8], reversed: bool) -> Sum {
    for pair in bytes.chunks_exact(8) {
        let native = |at: usize| {
            let word = u32::from_ne_bytes([pair[at], pair[at + 1], pair[at + 2], pair[at + 3]]);
            if reversed { word.swap_bytes() } else { word }
        };
        one = one.wrapping_add(native(0)).wrapping_add(two);
        two = two.wrapping_add(native(4)).wrapping_add(one);
    }
    (one, two)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn word_pair(bytes: &[u8], at: usize) -> (u32, u32) {
    (word(bytes, at), word(bytes, at + 4))
}

fn sum_at(bytes: &[u8], at: usize) -> Sum {
    word_pair(bytes, at)
}

/// The size of the database's pages.
fn page_size(path: &Path) -> std::io::Result<usize> {
    let mut header = [0; 18];
    let mut file = File::open(path)?;
    let known = filled(&mut file, &mut header);
    eventuali_locks::close(file);
    let known = known?;
    let size = usize::from(u16::from_be_bytes([header[16], header[17]]));
    Ok(match size {
        1 => 65_536,
        size if known && size.is_power_of_two() && size >= 512 => size,
        _ => 4096,
    })
}

/// Whether there was as much.
fn filled(file: &mut impl Read, bytes: &mut [u8]) -> std::io::Result<bool> {
    match file.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == Io::UnexpectedEof => Ok(false),
        Err(cause) => Err(cause),
    }
}
