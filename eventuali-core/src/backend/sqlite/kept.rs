//! What a row that is passed unread still says of itself: half of its checksum is over what decides
//! whether it is passed.

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;

use crate::error::Result;

/// The checksum that is stored: below, that of the whole event; above, that of what is looked at where
/// rows are passed.
pub(super) fn stored(whole: u32, stream: i64, kind: i64, metadata: &[u8]) -> i64 {
    i64::from(digest(stream, kind, metadata)) << 32 | i64::from(whole)
}

/// The checksum of the whole event, of the one that is stored.
pub(super) fn whole(stored: i64) -> u32 {
    stored as u32
}

/// Gives a connection the function `kept (checksum, stream, kind, metadata)`: whether a row is what was
/// written, as far as it is looked at. One that was written before there was such a half is not known to be.
pub(super) fn install(conn: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_DIRECTONLY;
    conn.create_scalar_function("kept", 4, flags, |given| {
        let number = |index| match given.get_raw(index) {
            ValueRef::Integer(number) => Some(number),
            _ => None,
        };
        let metadata: &[u8] = match given.get_raw(3) {
            ValueRef::Null => &[],
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes,
            _ => return Ok(false),
        };
        let (Some(sum), Some(stream), Some(kind)) = (number(0), number(1), number(2)) else {
            return Ok(false);
        };
        Ok(sum >> 32 == i64::from(digest(stream, kind, metadata)))
    })?;
    Ok(())
}

/// Never 0, which stands for none.
fn digest(stream: i64, kind: i64, metadata: &[u8]) -> u32 {
    let mut numbers = [0; 16];
    numbers[..8].copy_from_slice(&stream.to_le_bytes());
    numbers[8..].copy_from_slice(&kind.to_le_bytes());
    let sum = crc32c::crc32c_append(crc32c::crc32c(&numbers), metadata);
    (sum >> 1).max(1)
}
