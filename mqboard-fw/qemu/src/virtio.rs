//! What virtio devices share: where they are, and the memory of their queues.

use core::{
    ptr::NonNull,
    sync::atomic::{AtomicU32, Ordering},
};

use static_cell::StaticCell;
use virtio_drivers::{
    BufferDirection, Hal, PAGE_SIZE, PhysAddr,
    transport::{DeviceType, Transport as _, mmio::MmioTransport},
};

use crate::registers::{VIRTIO_SLOT_LEN, VIRTIO_SLOTS, virtio_slot};

pub(crate) type Transport = MmioTransport<'static>;

/// Slots that have their user.
static TAKEN: AtomicU32 = AtomicU32::new(0);

/// The device of this type with its slot, unless somebody has it.
pub(crate) fn take(wanted: DeviceType) -> Option<(u32, Transport)> {
    (0..VIRTIO_SLOTS).find_map(|slot| {
        if TAKEN.load(Ordering::SeqCst) & 1 << slot != 0 {
            return None;
        }
        let header = NonNull::new(core::ptr::with_exposed_provenance_mut(virtio_slot(slot)))?;
        // SAFETY: a slot of the machine, which stays, and which has no user: there is one core, and no interrupt does
        // this.
        let transport = unsafe { MmioTransport::new(header, VIRTIO_SLOT_LEN) }.ok()?;
        if transport.device_type() != wanted {
            return None;
        }
        TAKEN.fetch_or(1 << slot, Ordering::SeqCst);
        Some((slot, transport))
    })
}

/// Memory for the queues: of each queue one page for each direction; two queues of the network, one of the entropy.
#[repr(align(4096))]
struct Page([u8; PAGE_SIZE]);

static PAGES: [StaticCell<Page>; 6] = [const { StaticCell::new() }; 6];

pub(crate) struct Memory;

// SAFETY: a page is handed out once, aligned, and zeroed; addresses are the same for devices and for the core.
unsafe impl Hal for Memory {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        assert_eq!(pages, 1, "the queues are short");
        let page = PAGES
            .iter()
            .find_map(|page| page.try_init_with(|| Page([0; PAGE_SIZE])))
            .expect("there is a page for each queue");
        let start = NonNull::from(&mut page.0).cast();
        (address(start), start)
    }

    unsafe fn dma_dealloc(_: PhysAddr, _: NonNull<u8>, _: usize) -> i32 {
        // Devices stay until the end.
        0
    }

    unsafe fn mmio_phys_to_virt(_: PhysAddr, _: usize) -> NonNull<u8> {
        unreachable!("there is no PCI")
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        address(buffer.cast())
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}

fn address(start: NonNull<u8>) -> PhysAddr {
    start.as_ptr().expose_provenance() as PhysAddr
}
