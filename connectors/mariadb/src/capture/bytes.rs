//! A cursor over bytes that a server wrote. Why can a damaged event never panic? Everything that reads an event
//! reads through here, and reading past the end is an error.

/// The bytes ended before what they announce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Truncated;

/// What is left to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that is left.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Truncated> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Truncated> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Truncated> {
        self.array().map(u64::from_le_bytes)
    }

    /// A little-endian number of `width` bytes, at most 8.
    pub(super) fn uint(&mut self, width: usize) -> Result<u64, Truncated> {
        self.take(width).map(little_endian)
    }

    /// A number in MySQL's length-encoded form.
    pub(super) fn length_encoded(&mut self) -> Result<u64, Truncated> {
        match self.u8()? {
            0xfc => self.uint(2),
            0xfd => self.uint(3),
            0xfe => self.u64(),
            0xff | 0xfb => Err(Truncated),
            small => Ok(small.into()),
        }
    }

    /// As [`length_encoded`](Self::length_encoded), as a length of something in memory.
    pub(super) fn length(&mut self) -> Result<usize, Truncated> {
        usize::try_from(self.length_encoded()?).map_err(|_| Truncated)
    }

    /// Bytes after their length in one byte.
    pub(super) fn short(&mut self) -> Result<&'a [u8], Truncated> {
        let length = self.u8()?;
        self.take(length.into())
    }

    /// A name after its length in one byte, with a zero byte after it.
    pub(super) fn name(&mut self) -> Result<&'a [u8], Truncated> {
        let name = self.short()?;
        self.take(1)?;
        Ok(name)
    }
}

/// The value of at most 8 little-endian bytes.
pub(super) fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// The value of at most 8 big-endian bytes.
pub(super) fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// Whether bit `index` of a bitmap is set, counted from the lowest bit of the first byte.
pub(super) fn bit(bitmap: &[u8], index: usize) -> bool {
    bitmap.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_end_with_their_bytes() {
        let mut bytes = Bytes::new(&[1, 2, 0, 0xfc, 0, 1, 5]);
        assert_eq!(bytes.u8(), Ok(1));
        assert_eq!(bytes.u16(), Ok(2));
        assert_eq!(bytes.length_encoded(), Ok(256));
        assert_eq!(bytes.u32(), Err(Truncated));
        assert_eq!(bytes.rest(), [5]);
        assert_eq!(Bytes::new(&[0xfd, 1]).length_encoded(), Err(Truncated));
        assert_eq!(Bytes::new(&[3, 1, 2]).short(), Err(Truncated));
        assert_eq!(little_endian(&[1, 2, 3]), 0x03_02_01);
        assert_eq!(big_endian(&[1, 2, 3]), 0x01_02_03);
    }
}
