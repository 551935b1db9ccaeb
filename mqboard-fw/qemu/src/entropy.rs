//! Random bytes, from the host's generator by way of virtio-rng.

use core::cell::RefCell;

use critical_section::Mutex;
use virtio_drivers::{device::rng::VirtIORng, transport::DeviceType};

use crate::virtio::{self, Memory, Transport};

static GENERATOR: Mutex<RefCell<Option<VirtIORng<Memory, Transport>>>> =
    Mutex::new(RefCell::new(None));

/// False if there is no such device.
pub(crate) fn init() -> bool {
    let device = virtio::take(DeviceType::EntropySource);
    let generator = device.and_then(|(_, transport)| VirtIORng::new(transport).ok());
    critical_section::with(|section| {
        let mut place = GENERATOR.borrow_ref_mut(section);
        *place = generator;
        place.is_some()
    })
}

/// Fills `bytes` with random ones. Waits for the host, which answers at once.
///
/// # Panics
/// The board was not started, or the device fails.
pub fn fill_random(bytes: &mut [u8]) {
    critical_section::with(|section| {
        let mut place = GENERATOR.borrow_ref_mut(section);
        let generator = place.as_mut().expect("the board is started");
        let mut filled = 0;
        while filled < bytes.len() {
            filled += generator
                .request_entropy(&mut bytes[filled..])
                .expect("the device works");
        }
    });
}

/// A random number.
///
/// # Panics
/// As [`fill_random`].
#[must_use]
pub fn random() -> u32 {
    let mut bytes = [0; 4];
    fill_random(&mut bytes);
    u32::from_ne_bytes(bytes)
}
