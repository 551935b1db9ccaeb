use crate::wire::PacketId;

/// One received QoS 1 message that awaits its PUBACK. Only the engine looks inside.
#[derive(Clone, Copy, Debug)]
pub struct AckSlot {
    id: u16,
    place: Place,
}

impl AckSlot {
    /// A slot that holds nothing.
    pub const EMPTY: Self = Self {
        id: 0,
        place: Place::GivenUp,
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Pending,
    Ready,
    GivenUp,
}

/// The right to acknowledge one received message, once, on the connection that brought it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AckToken {
    connection: u32,
    sequence: u32,
}

/// Received messages in order of receipt; their PUBACKs leave in that order ([MQTT-4.6.0-2]).
#[derive(Debug)]
pub(super) struct Acks {
    connection: u32,
    head: u16,
    len: u16,
    head_sequence: u32,
    gave_up: bool,
}

impl Acks {
    pub(super) const fn new(connection: u32) -> Self {
        Self {
            connection,
            head: 0,
            len: 0,
            head_sequence: 0,
            gave_up: false,
        }
    }

    pub(super) fn is_full(&self, slots: &[AckSlot]) -> bool {
        self.len >= capacity(slots)
    }

    /// Whether more slots would help: all are taken, and they are fewer than packet ids.
    pub(super) fn may_grow(&self, slots: &[AckSlot]) -> bool {
        usize::from(self.len) >= slots.len() && self.len < u16::MAX
    }

    /// Turns the slice so that the head is its first slot: then the slice may grow at its end.
    pub(super) fn straighten(&mut self, slots: &mut [AckSlot]) {
        if let Some(used) = slots.get_mut(..usize::from(capacity(slots))) {
            used.rotate_left(usize::from(self.head));
        }
        self.head = 0;
    }

    /// Takes a place for a message just received; `None` if all are taken.
    pub(super) fn push(&mut self, slots: &mut [AckSlot], id: PacketId) -> Option<AckToken> {
        if self.is_full(slots) {
            return None;
        }
        let sequence = self.head_sequence.wrapping_add(u32::from(self.len));
        *self.slot(slots, self.len)? = AckSlot {
            id: id.get(),
            place: Place::Pending,
        };
        self.len += 1;
        Some(AckToken {
            connection: self.connection,
            sequence,
        })
    }

    pub(super) fn acknowledge(&mut self, slots: &mut [AckSlot], token: AckToken) -> bool {
        self.settle(slots, token, Place::Ready)
    }

    pub(super) fn give_up(&mut self, slots: &mut [AckSlot], token: AckToken) -> bool {
        let was_open = self.settle(slots, token, Place::GivenUp);
        self.gave_up |= was_open;
        was_open
    }

    /// Whether nothing is unacknowledged but what was given up, and something was.
    pub(super) const fn is_only_given_up(&self) -> bool {
        self.gave_up && self.len == 0
    }

    /// The next PUBACK that may leave. `arriving`: the newest message is not complete yet and stays.
    pub(super) fn next_ready(&mut self, slots: &mut [AckSlot], arriving: bool) -> Option<PacketId> {
        while self.len > u16::from(arriving) {
            let slot = *self.slot(slots, 0)?;
            if slot.place == Place::Pending {
                return None;
            }
            self.head = if self.head + 1 >= capacity(slots) {
                0
            } else {
                self.head + 1
            };
            self.head_sequence = self.head_sequence.wrapping_add(1);
            self.len -= 1;
            if slot.place == Place::Ready {
                return PacketId::new(slot.id);
            }
        }
        None
    }

    fn settle(&mut self, slots: &mut [AckSlot], token: AckToken, place: Place) -> bool {
        let offset = token.sequence.wrapping_sub(self.head_sequence);
        if token.connection != self.connection || offset >= u32::from(self.len) {
            return false;
        }
        match self.slot(slots, offset as u16) {
            Some(slot) if slot.place == Place::Pending => {
                slot.place = place;
                true
            }
            _ => false,
        }
    }

    fn slot<'s>(&self, slots: &'s mut [AckSlot], offset: u16) -> Option<&'s mut AckSlot> {
        let capacity = usize::from(capacity(slots));
        let mut index = usize::from(self.head) + usize::from(offset);
        if index >= capacity {
            index -= capacity;
        }
        slots.get_mut(index)
    }
}

fn capacity(slots: &[AckSlot]) -> u16 {
    slots.len().min(usize::from(u16::MAX)) as u16
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
        let tokens = [7, 3, 9].map(|value| acks.push(&mut slots, id(value)).unwrap());
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
        let tokens = [7, 3].map(|value| acks.push(&mut slots, id(value)).unwrap());
        assert!(acks.acknowledge(&mut slots, tokens[1]));
        assert!(acks.give_up(&mut slots, tokens[0]));
        assert!(!acks.acknowledge(&mut slots, tokens[0]));
        assert_eq!(acks.next_ready(&mut slots, false), Some(id(3)));
    }

    #[test]
    fn a_token_is_good_once_and_on_its_own_connection() {
        let mut slots = [AckSlot::EMPTY; 2];
        let mut acks = Acks::new(1);
        let token = acks.push(&mut slots, id(7)).unwrap();
        let mut later = Acks::new(2);
        later.push(&mut slots, id(8)).unwrap();
        assert!(!later.acknowledge(&mut slots, token));
        let mut acks = Acks::new(1);
        acks.push(&mut slots, id(7)).unwrap();
        assert!(acks.acknowledge(&mut slots, token));
        assert!(!acks.acknowledge(&mut slots, token));
    }

    #[test]
    fn the_message_still_arriving_is_not_acknowledged() {
        let mut slots = [AckSlot::EMPTY; 2];
        let mut acks = Acks::new(1);
        let token = acks.push(&mut slots, id(7)).unwrap();
        assert!(acks.acknowledge(&mut slots, token));
        assert_eq!(acks.next_ready(&mut slots, true), None);
        assert_eq!(acks.next_ready(&mut slots, false), Some(id(7)));
    }
}
