use crate::wire::PacketId;

/// One received QoS 1 message that awaits its PUBACK. Only the engine looks inside.
#[derive(Clone, Copy, Debug)]
#[repr(align(4))] // which is its size: a word to load, and words to clear
pub struct AckSlot {
    /// `None` once it is given up.
    id: Option<PacketId>,
    pending: bool,
}

impl AckSlot {
    /// A slot that holds nothing.
    pub const EMPTY: Self = Self {
        id: None,
        pending: false,
    };
}

/// The right to acknowledge one received message, once, on the connection that brought it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AckToken {
    /// Of the message among all that the session received: on no two connections the same.
    sequence: usize,
}

/// Received messages in order of receipt; their PUBACKs leave in that order ([MQTT-4.6.0-2]).
#[derive(Debug)]
pub(super) struct Acks {
    head: u32,
    len: u32,
    head_sequence: usize,
}

impl Acks {
    /// `sequence`: of the first message to come, [`next_sequence`](Self::next_sequence) of the connection before.
    pub(super) const fn new(sequence: usize) -> Self {
        Self {
            head: 0,
            len: 0,
            head_sequence: sequence,
        }
    }

    pub(super) const fn next_sequence(&self) -> usize {
        self.head_sequence.wrapping_add(self.len as usize)
    }

    pub(super) const fn is_full(&self, slots: &[AckSlot]) -> bool {
        self.len as usize >= slots.len()
    }

    /// Whether more slots would help: all are taken, and they are fewer than packet ids.
    pub(super) fn may_grow(&self, slots: &[AckSlot]) -> bool {
        self.is_full(slots) && slots.len() < usize::from(u16::MAX)
    }

    /// Turns the slice so that the head is its first slot: then the slice may grow at its end.
    pub(super) fn straighten(&mut self, slots: &mut [AckSlot]) {
        if (self.head as usize) < slots.len() {
            slots.rotate_left(self.head as usize);
        }
        self.head = 0;
    }

    /// Takes a place for a message just received, which is acknowledged at once unless it is `pending`; `None` if all
    /// are taken.
    pub(super) fn push(
        &mut self,
        slots: &mut [AckSlot],
        id: PacketId,
        pending: bool,
    ) -> Option<AckToken> {
        if self.is_full(slots) {
            return None;
        }
        *self.slot(slots, self.len)? = AckSlot {
            id: Some(id),
            pending,
        };
        let sequence = self.next_sequence();
        self.len += 1;
        Some(AckToken { sequence })
    }

    pub(super) fn acknowledge(&self, slots: &mut [AckSlot], token: AckToken) -> bool {
        self.settle(slots, token).is_some()
    }

    pub(super) fn give_up(&self, slots: &mut [AckSlot], token: AckToken) -> bool {
        let Some(slot) = self.settle(slots, token) else {
            return false;
        };
        slot.id = None;
        true
    }

    /// Whether nothing is unacknowledged but what was given up.
    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The next PUBACK that may leave. `arriving`: the newest message is not complete yet and stays.
    pub(super) fn next_ready(&mut self, slots: &mut [AckSlot], arriving: bool) -> Option<PacketId> {
        while self.len > u32::from(arriving) {
            let slot = *self.slot(slots, 0)?;
            if slot.pending {
                return None;
            }
            self.head += 1;
            if self.head as usize >= slots.len() {
                self.head = 0;
            }
            self.head_sequence = self.head_sequence.wrapping_add(1);
            self.len -= 1;
            if slot.id.is_some() {
                return slot.id;
            }
        }
        None
    }

    /// The slot of a message that was neither acknowledged nor given up before.
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    fn settle<'s>(&self, slots: &'s mut [AckSlot], token: AckToken) -> Option<&'s mut AckSlot> {
        let offset = token.sequence.wrapping_sub(self.head_sequence);
        if offset >= self.len as usize {
            return None;
        }
        let slot = self.slot(slots, offset as u32)?;
        core::mem::take(&mut slot.pending).then_some(slot)
    }

    fn slot<'s>(&self, slots: &'s mut [AckSlot], offset: u32) -> Option<&'s mut AckSlot> {
        let mut index = (self.head + offset) as usize;
        if index >= slots.len() {
            index -= slots.len();
        }
        slots.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(value: u16) -> PacketId {
        PacketId::new(value).unwrap()
    }

    #[test]
    fn pubacks_leave_in_order_of_receipt() {
        let mut slots = [AckSlot::EMPTY; 4];
        let mut acks = Acks::new(1);
        let tokens = [7, 3, 9].map(|value| acks.push(&mut slots, id(value), true).unwrap());
        assert!(acks.acknowledge(&mut slots, tokens[1]));
        assert_eq!(acks.next_ready(&mut slots, false), None);
        assert!(acks.acknowledge(&mut slots, tokens[0]));
        assert_eq!(acks.next_ready(&mut slots, false), Some(id(7)));
        assert_eq!(acks.next_ready(&mut slots, false), Some(id(3)));
        assert_eq!(acks.next_ready(&mut slots, false), None);
    }

    #[test]
    fn a_place_given_up_lets_later_ones_go() {
        let mut slots = [AckSlot::EMPTY; 2];
        let mut acks = Acks::new(1);
        let tokens = [7, 3].map(|value| acks.push(&mut slots, id(value), true).unwrap());
        assert!(acks.acknowledge(&mut slots, tokens[1]));
        assert!(acks.give_up(&mut slots, tokens[0]));
        assert!(!acks.acknowledge(&mut slots, tokens[0]));
        assert_eq!(acks.next_ready(&mut slots, false), Some(id(3)));
    }

    #[test]
    fn a_token_is_good_once_and_on_its_own_connection() {
        let mut slots = [AckSlot::EMPTY; 2];
        let mut acks = Acks::new(1);
        let token = acks.push(&mut slots, id(7), true).unwrap();
        let mut later = Acks::new(acks.next_sequence());
        later.push(&mut slots, id(8), true).unwrap();
        assert!(!later.acknowledge(&mut slots, token));
        let mut acks = Acks::new(1);
        acks.push(&mut slots, id(7), true).unwrap();
        assert!(acks.acknowledge(&mut slots, token));
        assert!(!acks.acknowledge(&mut slots, token));
    }

    #[test]
    fn the_message_still_arriving_is_not_acknowledged() {
        let mut slots = [AckSlot::EMPTY; 2];
        let mut acks = Acks::new(1);
        let token = acks.push(&mut slots, id(7), true).unwrap();
        assert!(acks.acknowledge(&mut slots, token));
        assert_eq!(acks.next_ready(&mut slots, true), None);
        assert_eq!(acks.next_ready(&mut slots, false), Some(id(7)));
    }
}
