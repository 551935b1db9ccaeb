//! Random bytes, from the host's generator by way of virtio-rng.

use virtio_drivers::{device::rng::VirtIORng, transport::DeviceType};

use crate::virtio::{self, Memory, Transport};

/// The random number generator.
pub struct Entropy(VirtIORng<Memory, Transport>);

impl Entropy {
    pub(crate) fn take() -> Option<Self> {
        let (_, transport) = virtio::take(DeviceType::EntropySource)?;
        Some(Self(VirtIORng::new(transport).ok()?))
    }

    /// Fills `bytes` with random ones. Waits for the host, which answers at once.
    ///
    /// # Panics
    /// The device fails.
    pub fn fill(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let filled = self.0.request_entropy(bytes).expect("the device works");
            bytes = bytes.get_mut(filled..).unwrap_or_default();
        }
    }

    /// A random number.
    pub fn random(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_ne_bytes(bytes)
    }
}
