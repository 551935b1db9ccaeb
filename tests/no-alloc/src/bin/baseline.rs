//! The frame alone: what the other programs are measured against.
#![no_std]
#![no_main]

no_alloc::entry!(main);

fn main() -> ! {
    let mut buffer = [0; 256];
    loop {
        no_alloc::transmit(no_alloc::receive(&mut buffer));
    }
}
