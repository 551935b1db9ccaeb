use std::io::IoSlice;

use bytes::Bytes;
use mqtt_codec::wire::Dup;

/// Bytes for the transport, in order: small ones copied into one buffer, large payloads shared
/// between them.
///
/// ```text
/// buffer   ├──────a──────┼───b───┤          shared  (at a: P), (at b: Q)
/// output   ├──────a──────┤P├─────b─────┤Q├──
/// ```
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// Initialised to its whole length; bytes up to `end` count.
    buffer: Vec<u8>,
    end: usize,
    /// Payloads that stand behind the first so many bytes of the buffer.
    shared: Vec<(usize, Bytes)>,
    len: usize,
    /// Bytes already written, of the buffer and of the first `shared` ones.
    buffer_written: usize,
    shared_written: usize,
    first_shared: usize,
    /// Bytes written since it was last empty; places are counted from there, too.
    written: usize,
    /// Where QoS 0 messages end.
    qos0_ends: Vec<usize>,
    /// Where QoS 1 messages begin.
    qos1_begins: Vec<(usize, Dup)>,
    begun: Begun,
}

/// QoS 1 messages of which the transport has taken the first byte, by their DUP flag.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) first: u64,
    pub(crate) repeated: u64,
}

/// Payloads from this size on are not copied, bytes.
pub(crate) const SHARED_FROM: usize = 8 * 1_024;
/// Enough for one turn of the driver, bytes: of those that are copied, and of all. Several large payloads to a turn keep
/// the transport busy while publishers wait for theirs.
const ENOUGH_COPIED: usize = 64 * 1_024;
pub(crate) const ENOUGH: usize = 256 * 1_024;
const FIRST_BUFFER: usize = 256;
const KEPT_BUFFER: usize = 1_024;
/// Slices of one vectored write.
pub(crate) const SLICES: usize = 16;

impl Output {
    /// Bytes not written yet.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it holds enough for one turn of the driver.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.end >= ENOUGH_COPIED || self.len >= ENOUGH
    }

    /// Bytes that may still be put for this turn.
    pub(crate) fn room(&self) -> usize {
        ENOUGH.saturating_sub(self.len)
    }

    /// At least `len` bytes to write into; [`commit`](Self::commit) says how many were used.
    #[inline]
    pub(crate) fn reserve(&mut self, len: usize) -> &mut [u8] {
        if self.buffer.len() - self.end < len {
            self.grow(len);
        }
        &mut self.buffer[self.end..]
    }

    #[inline]
    pub(crate) fn commit(&mut self, len: usize) {
        self.end += len;
        self.len += len;
    }

    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.commit(bytes.len());
    }

    pub(crate) fn put_shared(&mut self, bytes: Bytes) {
        if bytes.len() < SHARED_FROM {
            return self.put(&bytes);
        }
        self.len += bytes.len();
        self.shared.push((self.end, bytes));
    }

    /// A QoS 0 message ends here.
    #[inline]
    pub(crate) fn end_qos0(&mut self) {
        self.qos0_ends.push(self.written + self.len);
    }

    /// A QoS 1 message begins here.
    pub(crate) fn begin_qos1(&mut self, dup: Dup) {
        self.qos1_begins.push((self.written + self.len, dup));
    }

    /// QoS 0 messages that are not wholly written.
    pub(crate) fn unwritten_qos0(&self) -> u64 {
        let written = self.qos0_ends.partition_point(|&end| end <= self.written);
        (self.qos0_ends.len() - written) as u64
    }

    /// QoS 1 messages begun since this was last asked.
    pub(crate) fn take_begun(&mut self) -> Begun {
        std::mem::take(&mut self.begun)
    }

    /// The bytes to write next; returns the number of slices filled.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES]) -> usize {
        let mut count = 0;
        let mut from = self.buffer_written;
        let mut skip = self.shared_written;
        for (at, bytes) in &self.shared[self.first_shared..] {
            if count + 2 > SLICES {
                return count;
            }
            if *at > from {
                slices[count] = IoSlice::new(&self.buffer[from..*at]);
                count += 1;
                from = *at;
            }
            slices[count] = IoSlice::new(&bytes[skip..]);
            count += 1;
            skip = 0;
        }
        if self.end > from && count < SLICES {
            slices[count] = IoSlice::new(&self.buffer[from..self.end]);
            count += 1;
        }
        count
    }

    /// The transport took the next `n` bytes.
    pub(crate) fn advance(&mut self, mut n: usize) {
        self.len -= n;
        self.written += n;
        self.count_begun();
        while let Some((at, bytes)) = self.shared.get(self.first_shared) {
            let before = at - self.buffer_written;
            if n < before {
                break;
            }
            n -= before;
            self.buffer_written = *at;
            let left = bytes.len() - self.shared_written;
            if n < left {
                self.shared_written += n;
                return;
            }
            n -= left;
            self.shared_written = 0;
            self.first_shared += 1;
        }
        self.buffer_written += n;
        if self.len == 0 {
            self.clear();
        }
    }

    /// Forgets everything, keeping the buffer.
    pub(crate) fn clear(&mut self) {
        self.end = 0;
        self.shared.clear();
        self.len = 0;
        self.buffer_written = 0;
        self.shared_written = 0;
        self.first_shared = 0;
        self.written = 0;
        self.qos0_ends.clear();
        self.qos1_begins.clear();
    }

    fn count_begun(&mut self) {
        let written = self.written;
        let begun = self.qos1_begins.partition_point(|(at, _)| *at < written);
        for (_, dup) in self.qos1_begins.drain(..begun) {
            match dup {
                Dup::First => self.begun.first += 1,
                Dup::Repeat => self.begun.repeated += 1,
            }
        }
    }

    /// Frees a large buffer, for an idle connection.
    pub(crate) fn shrink(&mut self) {
        if self.len == 0 && self.buffer.len() > KEPT_BUFFER {
            self.buffer = Vec::new();
            self.qos0_ends = Vec::new();
            self.qos1_begins = Vec::new();
        }
    }

    #[cold]
    fn grow(&mut self, len: usize) {
        let needed = (self.end + len)
            .max(self.buffer.len() * 2)
            .max(FIRST_BUFFER);
        self.buffer.resize(needed, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(output: &mut Output, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while !output.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = output.slices(&mut slices);
            let bytes = slices[..count].iter().flat_map(|slice| slice.iter());
            let before = all.len();
            all.extend(bytes.take(step));
            let n = all.len() - before;
            output.advance(n);
        }
        all
    }

    #[test]
    fn keeps_the_order_of_copied_and_shared_bytes_whatever_the_writes_take() {
        let large = |byte| Bytes::from(vec![byte; SHARED_FROM]);
        for step in [1, 7, 4_096, SHARED_FROM, SHARED_FROM + 3, 1 << 20] {
            let mut output = Output::default();
            for round in 0..2 {
                output.put_shared(large(1));
                output.put(b"abc");
                output.put_shared(large(2));
                output.put_shared(large(3));
                output.put(b"de");
                let mut expected = vec![1; SHARED_FROM];
                expected.extend(b"abc");
                expected.extend([2; SHARED_FROM]);
                expected.extend([3; SHARED_FROM]);
                expected.extend(b"de");
                assert_eq!(output.len(), expected.len());
                assert!(
                    drain(&mut output, step) == expected,
                    "step {step}, round {round}"
                );
            }
        }
    }

    #[test]
    fn knows_which_messages_were_written_whatever_the_writes_take() {
        for step in [1, 2, 3, 100] {
            let mut output = Output::default();
            for round in 0..2u64 {
                output.put(b"01");
                output.end_qos0();
                output.begin_qos1(Dup::First);
                output.put(b"2");
                output.begin_qos1(Dup::Repeat);
                output.put(b"34");
                output.put(b"56");
                output.end_qos0();
                let (mut written, mut first, mut repeated) = (0, 0, 0);
                while written < 7 {
                    let n = step.min(7 - written);
                    output.advance(n);
                    written += n;
                    let ends = [2, 7].iter().filter(|&&end| end > written).count();
                    assert_eq!(output.unwritten_qos0(), ends as u64, "{written}");
                    let begun = output.take_begun();
                    first += begun.first;
                    repeated += begun.repeated;
                    assert_eq!(first, u64::from(written > 2), "{written}, round {round}");
                    assert_eq!(repeated, u64::from(written > 3), "{written}, round {round}");
                }
            }
        }
    }

    #[test]
    fn more_payloads_than_slices_go_out_in_several_writes() {
        let mut output = Output::default();
        for byte in 0..40 {
            output.put(&[byte]);
            output.put_shared(Bytes::from(vec![byte; SHARED_FROM]));
        }
        let bytes = drain(&mut output, usize::MAX);
        let firsts: Vec<u8> = bytes
            .chunks(SHARED_FROM + 1)
            .map(|chunk| chunk[0])
            .collect();
        assert_eq!(firsts, (0..40).collect::<Vec<u8>>());
    }
}
