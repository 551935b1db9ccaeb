use crate::wire::PacketId;

/// One place of the ring of outgoing packets. Only the engine looks inside.
#[derive(Debug)]
pub struct Slot<H> {
    handle: Option<H>,
    /// Where its first byte stands in the output of this connection, modulo 2³².
    start: u32,
    /// Transmissions that may have reached a transport and count for the present session: DUP.
    touched: bool,
    /// Handed out to its last byte at least once; without `touched` that was in vain, once the connection is over.
    complete: bool,
    attempts: u8,
}

impl<H> Slot<H> {
    /// A slot that holds nothing.
    pub const EMPTY: Self = Self {
        handle: None,
        start: 0,
        touched: false,
        complete: false,
        attempts: 0,
    };

    pub(super) fn handle(&self) -> Option<&H> {
        self.handle.as_ref()
    }

    pub(super) const fn touched(&self) -> bool {
        self.touched
    }
}

/// The packet ids of one ring: consecutive, wrapping from `last` to `first`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    pub(super) first: u16,
    pub(super) last: u16,
}

impl Ids {
    const fn span(self) -> u16 {
        self.last - self.first + 1
    }
}

/// An ordered ring of packets that stay until they are acknowledged.
///
/// ```text
///        head                  sent                    len
///          ├── in flight, holes ┼── waiting ────────────┤        offsets count from head
///              ├ reached ┤
/// reached ≤ sent ≤ len ≤ capacity;  the slot at head is never a hole
/// ```
///
/// Ids run with the offsets, so that the slot of an id is a subtraction, and none is reused while its slot is
/// held. A new connection moves `sent` back to the head: what lies behind it is the replay.
#[derive(Debug)]
pub(super) struct Ring {
    ids: Ids,
    head: u16,
    head_id: u16,
    len: u16,
    sent: u16,
    /// Packets whose first byte the transport has taken.
    reached: u16,
    /// Sent on this connection and not acknowledged.
    in_flight: u16,
}

impl Ring {
    pub(super) const fn new(ids: Ids) -> Self {
        Self {
            ids,
            head: 0,
            head_id: ids.first,
            len: 0,
            sent: 0,
            reached: 0,
            in_flight: 0,
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) const fn in_flight(&self) -> u16 {
        self.in_flight
    }

    /// Places between the send cursor and the tail: what this connection has yet to send. Counts holes of a replay.
    pub(super) const fn waiting(&self) -> u16 {
        self.len - self.sent
    }

    pub(super) fn capacity<H>(&self, slots: &[Slot<H>]) -> u16 {
        slots.len().min(usize::from(self.ids.span())) as u16
    }

    pub(super) fn is_full<H>(&self, slots: &[Slot<H>]) -> bool {
        self.len >= self.capacity(slots)
    }

    /// Whether more slots would help: all are taken, and ids are left.
    pub(super) fn may_grow<H>(&self, slots: &[Slot<H>]) -> bool {
        usize::from(self.len) >= slots.len() && self.len < self.ids.span()
    }

    /// Turns the slice so that the head is its first slot: then the slice may grow at its end.
    pub(super) fn straighten<H>(&mut self, slots: &mut [Slot<H>]) {
        let capacity = usize::from(self.capacity(slots));
        if let Some(used) = slots.get_mut(..capacity) {
            used.rotate_left(usize::from(self.head));
        }
        self.head = 0;
    }

    pub(super) fn push<H>(&mut self, slots: &mut [Slot<H>], handle: H) -> Result<PacketId, H> {
        let offset = self.len;
        if self.is_full(slots) {
            return Err(handle);
        }
        let (Some(slot), Some(id)) = (self.slot(slots, offset), self.id_at(offset)) else {
            return Err(handle);
        };
        *slot = Slot {
            handle: Some(handle),
            ..Slot::EMPTY
        };
        self.len += 1;
        Ok(id)
    }

    /// Puts back a packet of an earlier run under its own id; ids rise from call to call.
    pub(super) fn restore<H>(
        &mut self,
        slots: &mut [Slot<H>],
        id: PacketId,
        handle: H,
    ) -> Result<(), H> {
        let id = id.get();
        if id < self.ids.first || id > self.ids.last {
            return Err(handle);
        }
        if self.is_empty() {
            self.head_id = id;
        }
        let offset = self.distance(id);
        if offset < self.len || offset >= self.capacity(slots) {
            return Err(handle);
        }
        let Some(slot) = self.slot(slots, offset) else {
            return Err(handle);
        };
        *slot = Slot {
            handle: Some(handle),
            touched: true,
            complete: true,
            ..Slot::EMPTY
        };
        self.len = offset + 1;
        Ok(())
    }

    /// The id that the next packet takes; heeded only while the ring is empty.
    pub(super) fn set_next_id(&mut self, id: PacketId) {
        let id = id.get();
        if self.is_empty() && id >= self.ids.first && id <= self.ids.last {
            self.head_id = id;
        }
    }

    /// Moves the send cursor over the next packet, which begins at `start` of the output.
    pub(super) fn send_next<H>(&mut self, slots: &mut [Slot<H>], start: u32) -> Option<PacketId> {
        while self.sent < self.len {
            let offset = self.sent;
            let id = self.id_at(offset);
            let slot = self.slot(slots, offset)?;
            let is_hole = slot.handle.is_none();
            slot.start = start;
            slot.complete &= slot.touched;
            self.sent += 1;
            if !is_hole {
                self.in_flight += 1;
                return id;
            }
        }
        None
    }

    /// The packet before the send cursor: the one being transmitted, if one is.
    pub(super) fn last_sent<'s, H>(&self, slots: &'s mut [Slot<H>]) -> Option<&'s mut Slot<H>> {
        self.slot(slots, self.sent.checked_sub(1)?)
    }

    pub(super) fn last_sent_id(&self) -> Option<PacketId> {
        self.id_at(self.sent.checked_sub(1)?)
    }

    pub(super) fn complete_last_sent<H>(&mut self, slots: &mut [Slot<H>]) {
        if let Some(slot) = self.last_sent(slots) {
            slot.complete = true;
        }
    }

    /// The transport has taken the output up to `written`: whatever began before may have reached the peer.
    pub(super) fn handle_written<H>(&mut self, slots: &mut [Slot<H>], written: u32) {
        while self.reached < self.sent {
            let Some(slot) = self.slot(slots, self.reached) else {
                return;
            };
            if (written.wrapping_sub(slot.start) as i32) <= 0 {
                return;
            }
            slot.touched = true;
            self.reached += 1;
        }
    }

    /// Takes the handle of a packet that was sent on this connection, `None` for any other id. `half_sent`: the
    /// packet before the send cursor is not handed out to its end, so nothing can acknowledge it.
    pub(super) fn acknowledge<H>(
        &mut self,
        slots: &mut [Slot<H>],
        id: PacketId,
        half_sent: bool,
    ) -> Option<H> {
        let offset = self.offset_of(id)?;
        if offset >= self.sent - u16::from(half_sent && self.sent > 0) {
            return None;
        }
        let handle = self.slot(slots, offset)?.handle.take()?;
        self.in_flight -= 1;
        self.release(slots);
        Some(handle)
    }

    /// Takes a handle wherever it stands, and tells whether the peer may have the whole packet.
    pub(super) fn abandon<H>(&mut self, slots: &mut [Slot<H>], id: PacketId) -> Option<(H, bool)> {
        let offset = self.offset_of(id)?;
        let slot = self.slot(slots, offset)?;
        let handle = slot.handle.take()?;
        let is_sent = offset < self.sent;
        let complete = slot.complete && (slot.touched || is_sent);
        if is_sent {
            self.in_flight -= 1;
        }
        self.release(slots);
        Some((handle, complete))
    }

    /// The handle of the packet `id`, if it is held.
    pub(super) fn find<'s, H>(
        &self,
        slots: &'s mut [Slot<H>],
        id: PacketId,
    ) -> Option<&'s mut Slot<H>> {
        self.slot(slots, self.offset_of(id)?)
            .filter(|slot| slot.handle.is_some())
    }

    pub(super) fn is_in_flight<H>(&self, slots: &mut [Slot<H>], id: PacketId) -> bool {
        self.offset_of(id).is_some_and(|offset| offset < self.sent)
            && self.find(slots, id).is_some()
    }

    /// The id of the oldest packet that this connection has sent and nobody acknowledged.
    pub(super) fn oldest_in_flight(&self) -> Option<PacketId> {
        if self.sent == 0 { None } else { self.id_at(0) }
    }

    /// The id of the oldest packet that is held.
    pub(super) fn oldest(&self) -> Option<PacketId> {
        if self.is_empty() { None } else { self.id_at(0) }
    }

    /// Counts an ended connection against the oldest packet that reached it; returns its id and count.
    pub(super) fn count_attempt<H>(&mut self, slots: &mut [Slot<H>]) -> Option<(PacketId, u8)> {
        if self.reached == 0 {
            return None;
        }
        let id = self.id_at(0)?;
        let slot = self.slot(slots, 0)?;
        slot.attempts = slot.attempts.saturating_add(1);
        Some((id, slot.attempts))
    }

    /// Everything is to be sent again on the next connection.
    pub(super) fn rewind(&mut self) {
        self.sent = 0;
        self.reached = 0;
        self.in_flight = 0;
    }

    /// The broker has forgotten the session: what was sent before becomes new. True if anything had been.
    pub(super) fn forget<H>(&mut self, slots: &mut [Slot<H>]) -> bool {
        let mut any = false;
        for offset in 0..self.len {
            if let Some(slot) = self.slot(slots, offset) {
                any |= slot.touched;
                slot.touched = false;
                slot.complete = false;
            }
        }
        any
    }

    fn release<H>(&mut self, slots: &mut [Slot<H>]) {
        while self.len > 0
            && self
                .slot(slots, 0)
                .is_some_and(|slot| slot.handle.is_none())
        {
            self.head_id = if self.head_id == self.ids.last {
                self.ids.first
            } else {
                self.head_id + 1
            };
            self.head = if self.head + 1 >= self.capacity(slots) {
                0
            } else {
                self.head + 1
            };
            self.len -= 1;
            self.sent = self.sent.saturating_sub(1);
            self.reached = self.reached.saturating_sub(1);
        }
    }

    fn slot<'s, H>(&self, slots: &'s mut [Slot<H>], offset: u16) -> Option<&'s mut Slot<H>> {
        let capacity = usize::from(self.capacity(slots));
        let mut index = usize::from(self.head) + usize::from(offset);
        if index >= capacity {
            index -= capacity;
        }
        slots.get_mut(index)
    }

    fn id_at(&self, offset: u16) -> Option<PacketId> {
        let mut distance = u32::from(self.head_id - self.ids.first) + u32::from(offset);
        let span = u32::from(self.ids.span());
        if distance >= span {
            distance -= span;
        }
        PacketId::new(self.ids.first + distance as u16)
    }

    fn offset_of(&self, id: PacketId) -> Option<u16> {
        let id = id.get();
        if id < self.ids.first || id > self.ids.last {
            return None;
        }
        Some(self.distance(id)).filter(|&offset| offset < self.len)
    }

    fn distance(&self, id: u16) -> u16 {
        if id >= self.head_id {
            id - self.head_id
        } else {
            self.ids.span() - (self.head_id - id)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: Ids = Ids {
        first: 10,
        last: 16,
    };

    fn ring<const N: usize>() -> (Ring, [Slot<u32>; N]) {
        (Ring::new(IDS), [const { Slot::EMPTY }; N])
    }

    fn id(value: u16) -> PacketId {
        PacketId::new(value).unwrap()
    }

    #[test]
    fn never_reuses_an_id_that_is_held_through_wrap_around() {
        let (mut ring, mut slots) = ring::<4>();
        let mut held = std::collections::VecDeque::new();
        for round in 0..200_u32 {
            if let Ok(id) = ring.push(&mut slots, round) {
                assert!(!held.iter().any(|&(other, _)| other == id));
                held.push_back((id, round));
                assert_eq!(ring.send_next(&mut slots, 0), Some(id));
            }
            // acknowledge in an order that is not the order of sending
            let which = (round as usize * 7) % held.len();
            if round % 3 != 0 {
                let (id, value) = held.remove(which).unwrap();
                assert_eq!(ring.acknowledge(&mut slots, id, false), Some(value));
                assert_eq!(ring.acknowledge(&mut slots, id, false), None);
            }
        }
        assert!(held.len() <= 4);
    }

    #[test]
    fn a_hole_keeps_its_place_until_the_head_reaches_it() {
        let (mut ring, mut slots) = ring::<3>();
        for value in 0..3 {
            ring.push(&mut slots, value).unwrap();
            ring.send_next(&mut slots, 0);
        }
        assert_eq!(ring.acknowledge(&mut slots, id(11), false), Some(1));
        assert!(ring.push(&mut slots, 9).is_err());
        assert_eq!(ring.acknowledge(&mut slots, id(10), false), Some(0));
        assert_eq!(ring.push(&mut slots, 9), Ok(id(13)));
        assert_eq!(ring.push(&mut slots, 9), Ok(id(14)));
        assert!(ring.is_full(&slots));
    }

    #[test]
    fn only_what_the_transport_took_a_byte_of_is_touched() {
        let (mut ring, mut slots) = ring::<4>();
        for start in [100, 110, 120] {
            ring.push(&mut slots, start).unwrap();
            ring.send_next(&mut slots, start);
        }
        ring.handle_written(&mut slots, 110);
        assert_eq!(
            slots.each_ref().map(Slot::touched),
            [true, false, false, false]
        );
        ring.handle_written(&mut slots, 111);
        assert_eq!(
            slots.each_ref().map(Slot::touched),
            [true, true, false, false]
        );
    }

    #[test]
    fn refuses_acknowledgements_of_what_was_not_sent_here() {
        let (mut ring, mut slots) = ring::<4>();
        for value in 0..2 {
            ring.push(&mut slots, value).unwrap();
        }
        assert_eq!(ring.acknowledge(&mut slots, id(10), false), None);
        ring.send_next(&mut slots, 0);
        assert_eq!(ring.acknowledge(&mut slots, id(10), true), None);
        assert_eq!(ring.acknowledge(&mut slots, id(11), false), None);
        assert_eq!(ring.acknowledge(&mut slots, id(10), false), Some(0));
    }

    #[test]
    fn restores_entries_with_gaps_under_their_ids() {
        let (mut ring, mut slots) = ring::<4>();
        assert_eq!(ring.restore(&mut slots, id(15), 1), Ok(()));
        assert_eq!(ring.restore(&mut slots, id(10), 2), Ok(()));
        assert_eq!(ring.restore(&mut slots, id(10), 3), Err(3));
        assert_eq!(ring.restore(&mut slots, id(14), 3), Err(3));
        assert_eq!(ring.push(&mut slots, 4), Ok(id(11)));
        assert!(ring.push(&mut slots, 5).is_err());
        assert_eq!(
            [(); 3].map(|()| ring.send_next(&mut slots, 0)),
            [15, 10, 11].map(PacketId::new)
        );
    }

    #[test]
    fn grows_without_losing_order_or_ids() {
        let mut ring = Ring::new(Ids {
            first: 1,
            last: 100,
        });
        let mut slots: std::vec::Vec<Slot<u32>> = (0..3).map(|_| Slot::EMPTY).collect();
        for value in 0..3 {
            ring.push(&mut slots, value).unwrap();
            ring.send_next(&mut slots, 0);
        }
        ring.acknowledge(&mut slots, id(1), false).unwrap();
        assert_eq!(ring.push(&mut slots, 3), Ok(id(4)));
        ring.straighten(&mut slots);
        slots.extend((0..3).map(|_| Slot::EMPTY));
        assert_eq!(ring.push(&mut slots, 4), Ok(id(5)));
        assert_eq!(ring.acknowledge(&mut slots, id(3), false), Some(2));
        assert_eq!(ring.acknowledge(&mut slots, id(2), false), Some(1));
        assert_eq!(ring.send_next(&mut slots, 0), Some(id(4)));
    }
}
