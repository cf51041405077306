//! CRC32C (RFC 3720) over bytes that come in small pieces.

/// Pieces are gathered up to this length: one long run is summed up faster than many short ones.
const GATHERED: usize = 512;

/// A sum in the making; how the bytes are cut into pieces does not matter.
pub(crate) struct Checksum {
    sum: u32,
    gathered: [u8; GATHERED],
    length: usize,
}

impl Checksum {
    pub(crate) fn new() -> Self {
        Self { sum: 0, gathered: [0; GATHERED], length: 0 }
    }

    /// Adds a piece.
    pub(crate) fn add(&mut self, piece: &[u8]) {
        if self.length + piece.len() > GATHERED {
            self.sum = self.value();
            self.length = 0;
        }
        if piece.len() > GATHERED {
            self.sum = crc32c::crc32c_append(self.sum, piece);
        } else {
            self.gathered[self.length..self.length + piece.len()].copy_from_slice(piece);
            self.length += piece.len();
        }
    }

    /// The sum of all that was added.
    pub(crate) fn value(&self) -> u32 {
        crc32c::crc32c_append(self.sum, &self.gathered[..self.length])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cuts_do_not_matter() {
        let bytes: Vec<u8> = (0..5000_u32).map(|n| (n * 7 % 251) as u8).collect();
        for cut in [1, 3, 56, 511, 512, 513, 1000, 4999] {
            let mut sum = Checksum::new();
            bytes.chunks(cut).for_each(|piece| sum.add(piece));
            assert_eq!(sum.value(), crc32c::crc32c(&bytes), "pieces of {cut}");
        }
    }
}
