//! Strings, byte strings and the two primitives that all packets are read and written with.

use core::{fmt, mem};

use super::error::write_rule;
use super::utf8::{IS_SMALL, to_str};
use super::{DecodeError, EncodeError, FixedHeader, PacketId, PacketType, RemainingLength};

/// Longest string or byte string that a two-byte length can say.
pub(super) const MAX_STRING_LEN: usize = 65_535;

/// UTF-8 encoded string (section 1.5.3): 0 to 65,535 bytes, without U+0000.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Utf8Str<'a>(&'a str);

impl<'a> Utf8Str<'a> {
    /// The string of no bytes.
    pub const EMPTY: Self = Self("");

    /// Checks `string`.
    ///
    /// # Errors
    /// [`StringError::TooLong`] over 65,535 bytes, [`StringError::Nul`] if it contains U+0000
    /// [MQTT-1.5.3-2].
    #[inline]
    pub const fn new(string: &'a str) -> Result<Self, StringError> {
        if string.len() > MAX_STRING_LEN {
            Err(StringError::TooLong)
        } else if has_nul(string.as_bytes()) {
            Err(StringError::Nul)
        } else {
            Ok(Self(string))
        }
    }

    /// The string itself.
    #[must_use]
    #[inline]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

impl fmt::Display for Utf8Str<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Byte string with a two-byte length: 0 to 65,535 bytes of anything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Binary<'a>(&'a [u8]);

impl<'a> Binary<'a> {
    /// The byte string of no bytes.
    pub const EMPTY: Self = Self(&[]);

    /// The bytes, `None` over 65,535 of them.
    #[must_use]
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() <= MAX_STRING_LEN {
            Some(Self(bytes))
        } else {
            None
        }
    }

    /// The bytes themselves.
    #[must_use]
    #[inline]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

/// Why a string cannot be sent: the caller's mistake.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum StringError {
    /// Over 65,535 bytes (section 1.5.3).
    TooLong,
    /// Contains U+0000 [MQTT-1.5.3-2].
    Nul,
}

impl StringError {
    /// The normative statement or section that forbids it.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::TooLong => "section 1.5.3",
            Self::Nul => "MQTT-1.5.3-2",
        }
    }
}

impl fmt::Display for StringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::TooLong => "string over 65,535 bytes",
            Self::Nul => "string contains U+0000",
        };
        write_rule(f, self.id(), words)
    }
}

impl core::error::Error for StringError {}

/// Reads fields from the body of a packet, front to back.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    #[inline]
    pub(super) const fn new(body: &'a [u8]) -> Self {
        Self(body)
    }

    #[inline]
    pub(super) const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// What has not been read.
    #[inline]
    pub(super) const fn rest(self) -> &'a [u8] {
        self.0
    }

    #[inline]
    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        let (&value, rest) = self.0.split_first().ok_or(DecodeError::PacketTooShort)?;
        self.0 = rest;
        Ok(value)
    }

    #[inline]
    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        let (&value, rest) = self
            .0
            .split_first_chunk()
            .ok_or(DecodeError::PacketTooShort)?;
        self.0 = rest;
        Ok(u16::from_be_bytes(value))
    }

    /// A Packet Identifier; 0 is the error `zero`.
    #[inline]
    pub(super) fn packet_id(&mut self, zero: DecodeError) -> Result<PacketId, DecodeError> {
        PacketId::new(self.u16()?).ok_or(zero)
    }

    /// A byte string after its two-byte length.
    #[inline]
    pub(super) fn binary(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = usize::from(self.u16()?);
        let (value, rest) = self
            .0
            .split_at_checked(len)
            .ok_or(DecodeError::PacketTooShort)?;
        self.0 = rest;
        Ok(value)
    }

    /// A string after its two-byte length, whose code points are not judged yet.
    #[inline]
    pub(super) fn str(&mut self) -> Result<&'a str, DecodeError> {
        utf8(self.binary()?)
    }

    pub(super) fn binary_field(&mut self) -> Result<Binary<'a>, DecodeError> {
        self.binary().map(Binary)
    }

    pub(super) fn utf8_str(&mut self) -> Result<Utf8Str<'a>, DecodeError> {
        Ok(Utf8Str::new(self.str()?)?)
    }

    /// Ends the packet: nothing may be left.
    #[inline]
    pub(super) fn finish(self) -> Result<(), DecodeError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::TrailingBytes)
        }
    }
}

/// Whether there is a U+0000. No `contains`: its search for words is long, and the strings are short.
#[inline(never)]
pub(super) const fn has_nul(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let [byte, after @ ..] = rest {
        if *byte == 0 {
            return true;
        }
        rest = after;
    }
    false
}

#[inline]
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, DecodeError> {
    to_str(bytes).ok_or(DecodeError::IllFormedUtf8)
}

/// Writes the fields of a packet into room that was measured before: it never runs out.
pub(super) struct Writer<'o>(&'o mut [u8]);

impl<'o> Writer<'o> {
    /// Begins a packet of `body_len` bytes after its fixed header, of which `written_len` will be
    /// put here. Returns the writer and the bytes of the packet that end up in `out`.
    #[inline]
    pub(super) fn begin(
        out: &'o mut [u8],
        (packet_type, flags): (PacketType, u8),
        body_len: usize,
        written_len: usize,
    ) -> Result<(Self, usize), EncodeError> {
        let header = FixedHeader {
            packet_type,
            flags,
            remaining_length: RemainingLength::from_usize(body_len)?,
        };
        let needed = header.encoded_len() + written_len;
        let Some(out) = out.get_mut(..needed) else {
            return Err(EncodeError::BufferTooSmall { needed });
        };
        let header_len = header.encode(out)?;
        let mut writer = Self(out);
        writer.take(header_len);
        Ok((writer, needed))
    }

    #[inline]
    pub(super) fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    #[inline]
    pub(super) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    #[inline]
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        if let Some(room) = self.take(bytes.len()) {
            copy(room, bytes);
        }
    }

    /// A two-byte length, then `bytes`; at most 65,535 of them by the callers' types.
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(super) fn binary(&mut self, bytes: &[u8]) {
        self.u16(bytes.len() as u16);
        self.bytes(bytes);
    }

    #[inline]
    fn take(&mut self, len: usize) -> Option<&'o mut [u8]> {
        if len > self.0.len() {
            return None;
        }
        let (room, rest) = mem::take(&mut self.0).split_at_mut(len);
        self.0 = rest;
        Some(room)
    }
}

/// Copies `from` to `to`, which is as long.
///
/// Up to 64 bytes by two moves that overlap: two calls of `memcpy` took longer than all else that
/// encoding a short PUBLISH takes. Small processors get the call, which is shorter.
#[inline]
fn copy(to: &mut [u8], from: &[u8]) {
    let moved = !IS_SMALL
        && match from.len() {
            8..=16 => copy_ends::<8>(to, from),
            17..=32 => copy_ends::<16>(to, from),
            33..=64 => copy_ends::<32>(to, from),
            _ => false,
        };
    if !moved {
        to.copy_from_slice(from);
    }
}

/// Copies the first and the last `N` bytes, which is everything if there are `N` to `2 * N`.
#[inline]
fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8]) -> bool {
    let (Some(&first), Some(&last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) else {
        return false;
    };
    if let Some(room) = to.first_chunk_mut() {
        *room = first;
    }
    if let Some(room) = to.last_chunk_mut() {
        *room = last;
    }
    true
}

/// Length of a packet, fixed header included.
#[inline]
pub(super) const fn packet_len(body_len: usize) -> Result<usize, EncodeError> {
    match RemainingLength::from_usize(body_len) {
        Ok(length) => Ok(1 + length.encoded_len() + body_len),
        Err(error) => Err(error),
    }
}

/// Whether every byte is ASCII, and none is NUL, `+` or `#`.
///
/// A word at a time, the last overlapping the one before: topics are a few words long, for which
/// `core::str::from_utf8` alone takes longer than decoding all of a short PUBLISH.
#[inline(always)]
pub(super) const fn is_plain_ascii(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let Some(&last) = bytes.last_chunk() else {
        while let [byte, after @ ..] = rest {
            if !is_plain_word(LOW_BITS * *byte as usize) {
                return false;
            }
            rest = after;
        }
        return true;
    };
    while let Some((&word, after)) = rest.split_first_chunk() {
        if !is_plain_word(usize::from_ne_bytes(word)) {
            return false;
        }
        rest = after;
    }
    is_plain_word(usize::from_ne_bytes(last))
}

const LOW_BITS: usize = usize::MAX / 0xFF;
const HIGH_BITS: usize = LOW_BITS * 0x80;

#[inline]
const fn is_plain_word(word: usize) -> bool {
    // `+` and `#` differ in one bit. Adding 0x7F to a byte below 0x80 sets its high bit unless it
    // is 0. A byte from 0x80 keeps its high bit in one of the sums at most, with or without a
    // carry from its neighbour, and carries only where it fails itself.
    const DIFFERING_BIT: usize = LOW_BITS * (b'+' ^ b'#') as usize;
    const BOTH: usize = LOW_BITS * (b'+' | b'#') as usize;
    let not_nul = word.wrapping_add(HIGH_BITS - LOW_BITS);
    let not_wildcard = ((word | DIFFERING_BIT) ^ BOTH).wrapping_add(HIGH_BITS - LOW_BITS);
    not_nul & not_wildcard & HIGH_BITS == HIGH_BITS
}
