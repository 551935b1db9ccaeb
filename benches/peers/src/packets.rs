//! The few packet encodings that the sink, the raw sockets and the codec inputs need.

/// Appends a PUBLISH head: everything up to the payload.
pub fn push_publish_head(
    out: &mut Vec<u8>,
    topic: &str,
    packet_id: Option<u16>,
    payload_len: usize,
) {
    let id_len = if packet_id.is_some() { 2 } else { 0 };
    out.push(if packet_id.is_some() { 0x32 } else { 0x30 });
    push_remaining_length(out, 2 + topic.len() + id_len + payload_len);
    out.extend_from_slice(&(topic.len() as u16).to_be_bytes());
    out.extend_from_slice(topic.as_bytes());
    if let Some(id) = packet_id {
        out.extend_from_slice(&id.to_be_bytes());
    }
}

/// Appends a whole PUBLISH.
pub fn push_publish(out: &mut Vec<u8>, topic: &str, packet_id: Option<u16>, payload: &[u8]) {
    push_publish_head(out, topic, packet_id, payload.len());
    out.extend_from_slice(payload);
}

/// A CONNECT with a clean session and a keep alive of 60 s.
pub fn connect(client_id: &str) -> Vec<u8> {
    let mut out = vec![0x10];
    push_remaining_length(&mut out, 12 + client_id.len());
    out.extend_from_slice(b"\x00\x04MQTT\x04\x02\x00\x3c");
    out.extend_from_slice(&(client_id.len() as u16).to_be_bytes());
    out.extend_from_slice(client_id.as_bytes());
    out
}

/// The length of the fixed header and the remaining length, once both are there.
pub fn fixed_header(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (index, byte) in bytes.iter().skip(1).take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((2 + index, value));
        }
    }
    None
}

fn push_remaining_length(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
