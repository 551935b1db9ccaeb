/// Follows the packets of a stream of bytes without holding more than their beginnings.
#[derive(Debug, Default)]
pub(super) struct Framing {
    head: Vec<u8>,
    /// Bytes of the packet that have passed, and the length of the whole, known after its fixed header.
    passed: u64,
    len: Option<u64>,
}

/// A packet that has passed, or a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    /// Its first bytes.
    pub(super) head: Vec<u8>,
    /// Bytes that have passed.
    pub(super) passed: u64,
}

/// Bytes of a packet that are kept.
const KEPT: usize = 256;

impl Framing {
    /// The next bytes belong to the packet under way: how many, at most all of `bytes`, until its end is reached or
    /// its length becomes known.
    pub(super) fn step(&self, bytes: &[u8]) -> usize {
        match self.len {
            Some(len) => (len - self.passed).min(bytes.len() as u64) as usize,
            None => bytes.len().min(1),
        }
    }

    /// These bytes, as many as [`step`](Self::step) told, have passed. The packet, when they were its last.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Option<Passed> {
        let room = KEPT - self.head.len();
        self.head.extend(&bytes[..bytes.len().min(room)]);
        self.passed += bytes.len() as u64;
        if self.len.is_none() {
            self.len = whole_len(&self.head);
        }
        (self.len == Some(self.passed)).then(|| self.take())
    }

    /// Bytes of the packet under way that have passed.
    pub(super) const fn passed(&self) -> u64 {
        self.passed
    }

    /// Bytes of the packet under way that have not passed, `None` while its length is unknown.
    pub(super) fn missing(&self) -> Option<u64> {
        self.len.map(|len| len - self.passed)
    }

    /// What has passed of the packet under way.
    pub(super) fn take(&mut self) -> Passed {
        let Self { head, passed, .. } = std::mem::take(self);
        Passed { head, passed }
    }
}

/// Length of the packet that begins so; `None` if that takes more bytes. A fifth byte of length is none of ours.
fn whole_len(head: &[u8]) -> Option<u64> {
    let mut len = 0;
    for (position, &byte) in head.iter().skip(1).enumerate() {
        len |= u64::from(byte & 0x7F) << (7 * position);
        if byte & 0x80 == 0 || position == 3 {
            return Some(len + position as u64 + 2);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(stream: &[u8], piece: usize) -> (Vec<u64>, u64) {
        let mut framing = Framing::default();
        let mut lens = Vec::new();
        for mut bytes in stream.chunks(piece) {
            while !bytes.is_empty() {
                let step = framing.step(bytes);
                let (now, rest) = bytes.split_at(step);
                lens.extend(framing.pass(now).map(|passed| passed.passed));
                bytes = rest;
            }
        }
        (lens, framing.passed())
    }

    #[test]
    fn finds_the_packets_in_pieces_of_any_size() {
        let mut stream = vec![0xC0, 0, 0x30, 0xC8, 0x01];
        stream.extend([7; 200]);
        stream.extend([0x40, 2, 0, 1, 0x30, 9, 0]);
        for piece in 1..stream.len() {
            assert_eq!(frames(&stream, piece), (vec![2, 203, 4], 3));
        }
    }

    #[test]
    fn keeps_only_the_beginning_of_a_large_packet() {
        let mut framing = Framing::default();
        for byte in [0x30, 0xFF, 0xFF, 0x7F] {
            assert_eq!(framing.pass(&[byte]), None);
        }
        assert_eq!(framing.missing(), Some(2_097_151));
        let passed = framing.pass(&vec![1; 2_097_151]).unwrap();
        assert_eq!((passed.head.len(), passed.passed), (KEPT, 2_097_155));
    }
}
