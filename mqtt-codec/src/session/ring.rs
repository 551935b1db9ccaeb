use crate::wire::PacketId;

/// One place of the ring of outgoing packets. Only the engine looks inside.
#[derive(Debug)]
pub struct Slot<H> {
    handle: Option<H>,
    /// Where its first byte stands in the output of this connection, modulo 2³².
    start: u32,
    id: Option<PacketId>,
    marks: u8,
    attempts: u8,
}

/// Transmissions that may have reached a transport and count for the present session: DUP.
const TOUCHED: u8 = 1;
/// Handed out to its last byte at least once; without `TOUCHED` that was in vain, once the connection is over.
const COMPLETE: u8 = 2;

impl<H> Slot<H> {
    /// A slot that holds nothing.
    pub const EMPTY: Self = Self {
        handle: None,
        start: 0,
        id: None,
        marks: 0,
        attempts: 0,
    };

    pub(super) fn handle(&self) -> Option<&H> {
        self.handle.as_ref()
    }

    pub(super) const fn id(&self) -> Option<PacketId> {
        self.id
    }

    pub(super) const fn touched(&self) -> bool {
        self.marks & TOUCHED != 0
    }

    pub(super) fn complete(&mut self) {
        self.marks |= COMPLETE;
    }
}

/// The packet ids of one ring: consecutive, the first following the last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    pub(super) first: u16,
    pub(super) count: u16,
}

impl Ids {
    const fn has(self, id: PacketId) -> bool {
        id.get().wrapping_sub(self.first) < self.count
    }

    const fn after(self, id: u16) -> u16 {
        let next = id.wrapping_add(1);
        if next.wrapping_sub(self.first) == self.count {
            self.first
        } else {
            next
        }
    }
}

/// An ordered ring of packets that stay until they are acknowledged.
///
/// ```text
///        head                  sent                    len
///          ├── in flight, holes ┼── waiting ────────────┤        offsets count from head
///              ├ reached ┤
/// reached ≤ sent ≤ len ≤ slots ≤ ids;  the slot at head is never a hole
/// ```
///
/// Ids run with the offsets, so that the slot of an id is a subtraction, and none is reused while its slot is
/// held. A new connection moves `sent` back to the head: what lies behind it is the replay.
#[derive(Debug)]
pub(super) struct Ring {
    head: u32,
    len: u32,
    sent: u32,
    /// Packets whose first byte the transport has taken.
    reached: u32,
    /// Sent on this connection and not acknowledged.
    in_flight: u16,
    /// Id of the packet that comes to the tail.
    next_id: u16,
    ids: Ids,
}

impl Ring {
    pub(super) const fn new(ids: Ids) -> Self {
        Self {
            head: 0,
            len: 0,
            sent: 0,
            reached: 0,
            in_flight: 0,
            next_id: ids.first,
            ids,
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) const fn in_flight(&self) -> u16 {
        self.in_flight
    }

    /// Places between the send cursor and the tail: what this connection has yet to send. Counts holes of a replay.
    pub(super) const fn waiting(&self) -> u32 {
        self.len - self.sent
    }

    /// Whether all slots are taken, or all ids.
    pub(super) const fn is_full<H>(&self, slots: &[Slot<H>]) -> bool {
        let count = self.ids.count as usize;
        let bound = if slots.len() < count {
            slots.len()
        } else {
            count
        };
        self.len as usize >= bound
    }

    /// Whether more slots would help.
    pub(super) const fn may_grow<H>(&self, slots: &[Slot<H>]) -> bool {
        self.len as usize >= slots.len() && self.len < self.ids.count as u32
    }

    /// Turns the slice so that the head is its first slot: then the slice may grow at its end.
    pub(super) fn straighten<H>(&mut self, slots: &mut [Slot<H>]) {
        if (self.head as usize) < slots.len() {
            slots.rotate_left(self.head as usize);
        }
        self.head = 0;
    }

    /// Takes the next place, which the caller fills; `None` if all are taken.
    pub(super) fn push<'s, H>(
        &mut self,
        slots: &'s mut [Slot<H>],
    ) -> Option<(PacketId, &'s mut Option<H>)> {
        if self.is_full(slots) {
            return None;
        }
        let id = PacketId::new(self.next_id)?;
        let slot = self.slot(slots, self.len)?;
        slot.start = 0;
        slot.id = Some(id);
        slot.marks = 0;
        slot.attempts = 0;
        self.len += 1;
        self.next_id = self.ids.after(id.get());
        Some((id, &mut slot.handle))
    }

    /// Puts back a packet of an earlier run under its own id; ids rise from call to call.
    pub(super) fn restore<H>(
        &mut self,
        slots: &mut [Slot<H>],
        id: PacketId,
        handle: H,
    ) -> Result<(), H> {
        self.set_next_id(id);
        if !self.may_restore(id) {
            return Err(handle);
        }
        let offset = self.restored_offset(id);
        if offset as usize >= slots.len() {
            return Err(handle);
        }
        let Some(slot) = self.slot(slots, offset) else {
            return Err(handle);
        };
        *slot = Slot {
            handle: Some(handle),
            id: Some(id),
            marks: TOUCHED | COMPLETE,
            ..Slot::EMPTY
        };
        self.len = offset + 1;
        self.next_id = self.ids.after(id.get());
        Ok(())
    }

    /// Whether more slots could hold a packet of an earlier run under this id.
    pub(super) const fn may_restore(&self, id: PacketId) -> bool {
        self.ids.has(id) && self.restored_offset(id) < self.ids.count as u32
    }

    /// Where the packet that takes this id would stand, those before it left out.
    const fn restored_offset(&self, id: PacketId) -> u32 {
        self.len + self.ids.count as u32 - self.age(id)
    }

    /// The id that the next packet takes; heeded only while the ring is empty.
    pub(super) fn set_next_id(&mut self, id: PacketId) {
        if self.is_empty() && self.ids.has(id) {
            self.next_id = id.get();
        }
    }

    /// Moves the send cursor over the next packet, which begins at `start` of the output; false if there is none.
    pub(super) fn send_next<H>(&mut self, slots: &mut [Slot<H>], start: u32) -> bool {
        while self.sent < self.len {
            let Some(slot) = self.slot(slots, self.sent) else {
                return false;
            };
            self.sent += 1;
            slot.start = start;
            if !slot.touched() {
                slot.marks = 0;
            }
            if slot.handle.is_some() {
                self.in_flight += 1;
                return true;
            }
        }
        false
    }

    /// Moves the send cursor back before the last packet, which nothing has taken over.
    pub(super) const fn unsend(&mut self) {
        self.sent -= 1;
        self.in_flight -= 1;
    }

    /// The packet before the send cursor: the one being transmitted, if one is.
    pub(super) fn last_sent<'s, H>(&self, slots: &'s mut [Slot<H>]) -> Option<&'s mut Slot<H>> {
        self.slot(slots, self.sent.checked_sub(1)?)
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
            slot.marks |= TOUCHED;
            self.reached += 1;
        }
    }

    /// The offset and the handle of a packet that is held.
    pub(super) fn find<'s, H>(
        &self,
        slots: &'s mut [Slot<H>],
        id: PacketId,
    ) -> Option<(u32, &'s H)> {
        let offset = self.len.checked_sub(self.age(id))?;
        let slot = self.slot(slots, offset)?;
        // the distance of a foreign id says nothing
        if slot.id != Some(id) {
            return None;
        }
        Some((offset, slot.handle.as_ref()?))
    }

    /// Whether the packet at `offset` can have been acknowledged: it was sent on this connection. `half_sent`: the
    /// one before the send cursor is not handed out to its end.
    pub(super) const fn is_sent(&self, offset: u32, half_sent: bool) -> bool {
        offset + (half_sent as u32) < self.sent
    }

    /// Takes the handle at an offset, and tells whether the peer may have the whole packet.
    pub(super) fn take<H>(&mut self, slots: &mut [Slot<H>], offset: u32) -> Option<(H, bool)> {
        let slot = slots.get_mut(self.index(slots, offset))?;
        let handle = slot.handle.take()?;
        let mut marks = slot.marks;
        if offset < self.sent {
            self.in_flight -= 1;
            marks |= TOUCHED;
        }
        self.release(slots);
        Some((handle, marks == TOUCHED | COMPLETE))
    }

    /// The id of the oldest packet that is held.
    pub(super) fn oldest<H>(&self, slots: &mut [Slot<H>]) -> Option<PacketId> {
        let slot = self.slot(slots, 0)?;
        slot.handle.as_ref().and(slot.id)
    }

    /// Counts an ended connection against the oldest packet that reached it; returns its id and count.
    pub(super) fn count_attempt<H>(&mut self, slots: &mut [Slot<H>]) -> Option<(PacketId, u8)> {
        if self.reached == 0 {
            return None;
        }
        let slot = self.slot(slots, 0)?;
        slot.attempts = slot.attempts.saturating_add(1);
        Some((slot.id?, slot.attempts))
    }

    /// Everything is to be sent again on the next connection.
    pub(super) fn rewind(&mut self) {
        self.sent = 0;
        self.reached = 0;
        self.in_flight = 0;
    }

    /// The broker has forgotten the session: what was sent before becomes new. True if anything had been.
    pub(super) fn forget<H>(slots: &mut [Slot<H>]) -> bool {
        let mut marks = 0;
        // a hole that was sent has a packet before it that was
        for slot in slots.iter_mut().filter(|slot| slot.handle.is_some()) {
            marks |= slot.marks;
            slot.marks = 0;
        }
        marks & TOUCHED != 0
    }

    /// Frees the places up to the next packet that is held.
    fn release<H>(&mut self, slots: &[Slot<H>]) {
        let mut freed = 0;
        let is_hole = |slot: &Slot<H>| slot.handle.is_none();
        while freed < self.len && slots.get(self.head as usize).is_some_and(is_hole) {
            freed += 1;
            self.head += 1;
            if self.head as usize >= slots.len() {
                self.head = 0;
            }
        }
        self.len -= freed;
        self.sent = self.sent.saturating_sub(freed);
        self.reached = self.reached.saturating_sub(freed);
    }

    /// How many ids before that of the tail it is, 1 or more; without meaning for an id of another ring.
    const fn age(&self, id: PacketId) -> u32 {
        let mut age = self.next_id as i32 - id.get() as i32;
        if age <= 0 {
            age += self.ids.count as i32;
        }
        age as u32
    }

    /// The slot at an offset up to `len`, if there are more slots.
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    fn slot<'s, H>(&self, slots: &'s mut [Slot<H>], offset: u32) -> Option<&'s mut Slot<H>> {
        slots.get_mut(self.index(slots, offset))
    }

    const fn index<H>(&self, slots: &[Slot<H>], offset: u32) -> usize {
        let index = (self.head + offset) as usize;
        match index < slots.len() {
            true => index,
            false => index - slots.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: Ids = Ids {
        first: 10,
        count: 7,
    };

    fn ring<const N: usize>() -> (Ring, [Slot<u32>; N]) {
        (Ring::new(IDS), [const { Slot::EMPTY }; N])
    }

    fn id(value: u16) -> PacketId {
        PacketId::new(value).unwrap()
    }

    fn push(ring: &mut Ring, slots: &mut [Slot<u32>], value: u32) -> Option<PacketId> {
        let (id, place) = ring.push(slots)?;
        *place = Some(value);
        Some(id)
    }

    fn send_next(ring: &mut Ring, slots: &mut [Slot<u32>]) -> Option<PacketId> {
        let is_sent = ring.send_next(slots, 0);
        is_sent.then(|| ring.last_sent(slots))??.id()
    }

    fn acknowledge(ring: &mut Ring, slots: &mut [Slot<u32>], id: PacketId) -> Option<u32> {
        let (offset, _) = ring.find(slots, id)?;
        let is_sent = ring.is_sent(offset, false);
        is_sent.then(|| ring.take(slots, offset))?.map(|it| it.0)
    }

    #[test]
    fn never_reuses_an_id_that_is_held_through_wrap_around() {
        let (mut ring, mut slots) = ring::<4>();
        let mut held = std::collections::VecDeque::new();
        for round in 0..200_u32 {
            if let Some(id) = push(&mut ring, &mut slots, round) {
                assert!(!held.iter().any(|&(other, _)| other == id));
                held.push_back((id, round));
                assert_eq!(send_next(&mut ring, &mut slots), Some(id));
            }
            // acknowledge in an order that is not the order of sending
            let which = (round as usize * 7) % held.len();
            if round % 3 != 0 {
                let (id, value) = held.remove(which).unwrap();
                assert_eq!(acknowledge(&mut ring, &mut slots, id), Some(value));
                assert_eq!(acknowledge(&mut ring, &mut slots, id), None);
            }
        }
        assert!(held.len() <= 4);
    }

    #[test]
    fn a_hole_keeps_its_place_until_the_head_reaches_it() {
        let (mut ring, mut slots) = ring::<3>();
        for value in 0..3 {
            push(&mut ring, &mut slots, value).unwrap();
            send_next(&mut ring, &mut slots);
        }
        assert_eq!(acknowledge(&mut ring, &mut slots, id(11)), Some(1));
        assert_eq!(push(&mut ring, &mut slots, 9), None);
        assert_eq!(acknowledge(&mut ring, &mut slots, id(10)), Some(0));
        assert_eq!(push(&mut ring, &mut slots, 9), Some(id(13)));
        assert_eq!(push(&mut ring, &mut slots, 9), Some(id(14)));
        assert!(ring.is_full(&slots));
    }

    #[test]
    fn finds_each_packet_when_every_id_is_held() {
        let (mut ring, mut slots) = ring::<7>();
        for value in 0..7 {
            push(&mut ring, &mut slots, value).unwrap();
            send_next(&mut ring, &mut slots);
        }
        assert!(ring.is_full(&slots));
        for (value, id) in (10..17).map(id).enumerate() {
            assert_eq!(
                ring.find(&mut slots, id),
                Some((value as u32, &(value as u32)))
            );
        }
    }

    #[test]
    fn only_what_the_transport_took_a_byte_of_is_touched() {
        let (mut ring, mut slots) = ring::<4>();
        for start in [100, 110, 120] {
            push(&mut ring, &mut slots, start).unwrap();
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
            push(&mut ring, &mut slots, value).unwrap();
        }
        assert_eq!(acknowledge(&mut ring, &mut slots, id(10)), None);
        send_next(&mut ring, &mut slots);
        assert!(!ring.is_sent(0, true));
        assert_eq!(acknowledge(&mut ring, &mut slots, id(11)), None);
        assert_eq!(acknowledge(&mut ring, &mut slots, id(10)), Some(0));
    }

    #[test]
    fn restores_entries_with_gaps_under_their_ids() {
        let (mut ring, mut slots) = ring::<4>();
        assert_eq!(ring.restore(&mut slots, id(15), 1), Ok(()));
        assert_eq!(ring.restore(&mut slots, id(10), 2), Ok(()));
        assert_eq!(ring.restore(&mut slots, id(10), 3), Err(3));
        assert_eq!(ring.restore(&mut slots, id(14), 3), Err(3));
        assert_eq!(push(&mut ring, &mut slots, 4), Some(id(11)));
        assert_eq!(push(&mut ring, &mut slots, 5), None);
        assert_eq!(
            [(); 3].map(|()| send_next(&mut ring, &mut slots)),
            [15, 10, 11].map(PacketId::new)
        );
    }

    #[test]
    fn grows_without_losing_order_or_ids() {
        let mut ring = Ring::new(Ids {
            first: 1,
            count: 100,
        });
        let mut slots: std::vec::Vec<Slot<u32>> = (0..3).map(|_| Slot::EMPTY).collect();
        for value in 0..3 {
            push(&mut ring, &mut slots, value).unwrap();
            send_next(&mut ring, &mut slots);
        }
        acknowledge(&mut ring, &mut slots, id(1)).unwrap();
        assert_eq!(push(&mut ring, &mut slots, 3), Some(id(4)));
        ring.straighten(&mut slots);
        slots.extend((0..3).map(|_| Slot::EMPTY));
        assert_eq!(push(&mut ring, &mut slots, 4), Some(id(5)));
        assert_eq!(acknowledge(&mut ring, &mut slots, id(3)), Some(2));
        assert_eq!(acknowledge(&mut ring, &mut slots, id(2)), Some(1));
        assert_eq!(send_next(&mut ring, &mut slots), Some(id(4)));
    }
}
