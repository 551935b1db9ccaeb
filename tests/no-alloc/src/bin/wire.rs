//! Decodes and encodes all fourteen packets.
#![no_std]
#![no_main]

use mqtt_codec::wire::Packet;
use no_alloc::{receive, transmit};

no_alloc::entry!(main);

fn main() -> ! {
    let mut input = [0; 256];
    let mut output = [0; 256];
    loop {
        if let Ok(Some((packet, _))) = Packet::decode(receive(&mut input))
            && let Ok(length) = packet.encode(&mut output)
        {
            transmit(output.get(..length).unwrap_or_default());
        }
    }
}
