use core::fmt::Write;

use heapless::String;

/// The name of a board at the broker, made by [`client_id`].
pub type ClientId = String<CLIENT_ID_LEN>;

/// Bytes of it: a word, and two digits for each byte of an address.
const CLIENT_ID_LEN: usize = PREFIX.len() + 2 * 6;
const PREFIX: &str = "mqboard";

/// The client id of a board that was given none: two of one name would end each other's connection for ever. `address`
/// is one that no other board has.
///
/// Letters and digits, at most 23: every broker takes it ([MQTT-3.1.3-5]).
#[must_use]
pub fn client_id(address: [u8; 6]) -> ClientId {
    let mut id = ClientId::new();
    // it has room for exactly this
    let _ = id.push_str(PREFIX);
    for byte in address {
        let _ = write!(id, "{byte:02x}");
    }
    id
}

#[cfg(test)]
mod tests {
    use super::client_id;

    #[test]
    fn boards_have_ids_of_their_own_that_every_broker_takes() {
        let id = client_id([0x60, 0x55, 0xf9, 0x00, 0x01, 0xab]);
        assert_eq!(id, "mqboard6055f90001ab");
        assert!(id.len() <= 23 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
}
