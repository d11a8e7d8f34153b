//! A record as bytes, with a checksum of its own.

use sha2::{Digest, Sha256};

/// A record as bytes that can be told from any others, even outside the database's pages:
///
/// ```text
/// mark 4 | bytes of key 2 | bytes of value 4 | number 8 | key | value | checksum 8
/// ```
///
/// Numbers are little-endian. `number` counts the records ever written, so that of two with the same
/// key the newer one is known. The checksum is the beginning of a SHA-256 of everything before it:
/// slow beside a CRC, but nothing beside an fsync.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sealed<'a> {
    pub(super) key: &'a str,
    pub(super) value: &'a [u8],
    pub(super) number: u64,
}

/// The first bytes of a sealed record.
pub(super) const MARK: [u8; 4] = *b"\xF1rr\x01";
/// Bytes before the key.
const HEAD: usize = 4 + 2 + 4 + 8;
const CHECKSUM: usize = 8;

impl<'a> Sealed<'a> {
    /// The bytes; empty for a key or value too large for its length, which no registration is.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let Ok(key_bytes) = u16::try_from(self.key.len()) else { return Vec::new() };
        let Ok(value_bytes) = u32::try_from(self.value.len()) else { return Vec::new() };
        let mut bytes = Vec::with_capacity(HEAD + self.key.len() + self.value.len() + CHECKSUM);
        bytes.extend_from_slice(&MARK);
        bytes.extend_from_slice(&key_bytes.to_le_bytes());
        bytes.extend_from_slice(&value_bytes.to_le_bytes());
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(self.key.as_bytes());
        bytes.extend_from_slice(self.value);
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        bytes
    }

    /// The record at the start of `bytes`, and how many it takes; `None` if there is no whole one.
    pub(super) fn read(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let head: &[u8; HEAD] = bytes.first_chunk()?;
        let [m0, m1, m2, m3, k0, k1, v0, v1, v2, v3, number @ ..] = *head;
        if [m0, m1, m2, m3] != MARK {
            return None;
        }
        let key_end = HEAD + usize::from(u16::from_le_bytes([k0, k1]));
        let value_bytes = usize::try_from(u32::from_le_bytes([v0, v1, v2, v3])).ok()?;
        let value_end = key_end.checked_add(value_bytes)?;
        let content = bytes.get(..value_end)?;
        if *bytes.get(value_end..)?.first_chunk()? != checksum(content) {
            return None;
        }
        let sealed = Self {
            key: std::str::from_utf8(content.get(HEAD..key_end)?).ok()?,
            value: content.get(key_end..)?,
            number: u64::from_le_bytes(number),
        };
        Some((sealed, value_end + CHECKSUM))
    }
}

fn checksum(content: &[u8]) -> [u8; CHECKSUM] {
    let digest: [u8; 32] = Sha256::digest(content).into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    [a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_record_is_read_whole_or_not_at_all() {
        let sealed = Sealed { key: "instance/json/h/1", value: br#"{"a":1}"#, number: 7 };
        let bytes = sealed.to_bytes();
        let after = [&bytes[..], b"others"].concat();
        assert_eq!(Sealed::read(&after), Some((sealed, bytes.len())));
        for end in 0..bytes.len() {
            assert_eq!(Sealed::read(&bytes[..end]), None, "{end} bytes");
        }
        for at in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            assert_eq!(Sealed::read(&flipped), None, "bit {at}");
        }
    }

    #[test]
    fn any_bytes_are_a_record_or_none() {
        rpc_fuzz::bytes("sealed_record", |bytes| {
            if let Some((sealed, length)) = Sealed::read(bytes) {
                assert_eq!(sealed.to_bytes(), &bytes[..length]);
            }
        });
    }
}
