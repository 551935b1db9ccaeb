//! The network card, virtio-net, as a driver for embassy-net.

use core::{
    cell::RefCell,
    sync::atomic::{AtomicU32, Ordering, fence},
    task::Context,
};

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState};
use embassy_sync::waitqueue::AtomicWaker;
use riscv::interrupt::Interrupt;
use static_cell::ConstStaticCell;
use virtio_drivers::{device::net::VirtIONetRaw, transport::DeviceType};

use crate::{
    registers::{self, virtio_interrupt},
    virtio::{self, Memory, Transport},
};

/// Frames of each direction that can be with the device at once.
const FRAMES: usize = 8;
/// Ethernet's header and the longest packet.
const FRAME_LEN: usize = 1514;
/// What virtio puts before a frame.
const HEADER_LEN: usize = 12;

const RECEIVE_QUEUE: u32 = 0;
const TRANSMIT_QUEUE: u32 = 1;

/// The network card.
pub struct Network(RefCell<Card>);

struct Card {
    slot: u32,
    device: VirtIONetRaw<Memory, Transport, FRAMES>,
    /// By their token: frames that the device may fill.
    receiving: Frames,
    /// By their token: frames that the device sends.
    sending: Frames,
    /// Frames to send with.
    idle: Frames,
}

struct Buffer([u8; HEADER_LEN + FRAME_LEN]);

type Frame = &'static mut Buffer;
type Frames = [Option<Frame>; FRAMES];

/// Wakes the network's task when the device has filled or sent a frame.
static WAKER: AtomicWaker = AtomicWaker::new();
/// Where the card is, for the interrupt.
static SLOT: AtomicU32 = AtomicU32::new(0);

impl Network {
    pub(crate) fn take() -> Option<Self> {
        static RECEIVING: ConstStaticCell<[Buffer; FRAMES]> =
            ConstStaticCell::new([Buffer::EMPTY; FRAMES]);
        static SENDING: ConstStaticCell<[Buffer; FRAMES]> =
            ConstStaticCell::new([Buffer::EMPTY; FRAMES]);

        let (slot, transport) = virtio::take(DeviceType::Network)?;
        let mut card = Card {
            slot,
            device: VirtIONetRaw::new(transport).ok()?,
            receiving: [const { None }; FRAMES],
            sending: [const { None }; FRAMES],
            idle: SENDING.take().each_mut().map(Some),
        };
        for frame in RECEIVING.take() {
            card.offer(frame);
        }
        enable_interrupt(slot);
        Some(Self(RefCell::new(card)))
    }

    fn card(&mut self) -> &mut Card {
        self.0.get_mut()
    }
}

impl Buffer {
    const EMPTY: Self = Self([0; HEADER_LEN + FRAME_LEN]);
}

impl Card {
    /// Lets the device fill a frame.
    fn offer(&mut self, frame: Frame) {
        // SAFETY: it goes into the table, which nobody looks into until the device has returned it.
        let token =
            unsafe { self.device.receive_begin(&mut frame.0) }.expect("one frame for each place");
        self.receiving[usize::from(token)] = Some(frame);
        self.notify(RECEIVE_QUEUE);
    }

    /// A frame that the device has filled, and how much of it.
    fn received(&mut self) -> Option<(Frame, usize)> {
        let token = self.device.poll_receive()?;
        let frame = self.receiving[usize::from(token)]
            .take()
            .expect("it was offered");
        // SAFETY: the frame that was offered when this token was given.
        let (_, len) =
            unsafe { self.device.receive_complete(token, &mut frame.0) }.expect("it has a header");
        // That told the device whether to interrupt again; only then may be looked whether there is more.
        fence(Ordering::SeqCst);
        Some((frame, len))
    }

    /// Sends a frame whose header and first `len` bytes are filled.
    fn send(&mut self, frame: Frame, len: usize) {
        self.device
            .fill_buffer_header(&mut frame.0)
            .expect("it has room for a header");
        // SAFETY: it goes into the table, which nobody looks into until the device has returned it.
        let token = unsafe { self.device.transmit_begin(&frame.0[..HEADER_LEN + len]) };
        self.sending[usize::from(token.expect("one frame for each place"))] = Some(frame);
        self.notify(TRANSMIT_QUEUE);
    }

    /// Always: virtio-drivers 0.13 reads whether the device wants to be told without a fence behind its write, so that both
    /// may wait for each other, and compares counters of 16 bits as if they never began anew.
    fn notify(&self, queue: u32) {
        fence(Ordering::SeqCst);
        registers::virtio_queue_notify(self.slot).write(queue);
    }

    /// Takes back what the device has sent.
    fn reclaim(&mut self) {
        while let Some(token) = self.device.poll_transmit() {
            let frame = self.sending[usize::from(token)]
                .take()
                .expect("it was sent");
            // SAFETY: the frame that was given to the device with this token; its length counts for nothing but a
            // copy, which `Memory` does not make.
            unsafe { self.device.transmit_complete(token, &frame.0) }
                .expect("the token is the next one");
            fence(Ordering::SeqCst);
            let place = self.idle.iter_mut().find(|place| place.is_none());
            *place.expect("one place for each frame") = Some(frame);
        }
    }

    fn can_send(&mut self) -> bool {
        self.reclaim();
        self.idle.iter().any(Option::is_some)
    }
}

impl Driver for Network {
    type RxToken<'a> = RxToken<'a>;
    type TxToken<'a> = TxToken<'a>;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(RxToken<'_>, TxToken<'_>)> {
        // Before the look, so that an interrupt after it is not missed.
        WAKER.register(context.waker());
        let card = self.card();
        if card.device.poll_receive().is_none() || !card.can_send() {
            return None;
        }
        Some((RxToken(&self.0), TxToken(&self.0)))
    }

    fn transmit(&mut self, context: &mut Context<'_>) -> Option<TxToken<'_>> {
        WAKER.register(context.waker());
        self.card().can_send().then_some(TxToken(&self.0))
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = FRAME_LEN;
        capabilities.max_burst_size = Some(FRAMES);
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.0.borrow().device.mac_address())
    }
}

/// A frame that has come.
pub struct RxToken<'a>(&'a RefCell<Card>);

impl embassy_net_driver::RxToken for RxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, take: F) -> R {
        let (frame, len) = self
            .0
            .borrow_mut()
            .received()
            .expect("a token means that there is one");
        // Not under the borrow: what takes it may answer at once.
        let taken = take(&mut frame.0[HEADER_LEN..HEADER_LEN + len]);
        self.0.borrow_mut().offer(frame);
        taken
    }
}

/// Room for a frame.
pub struct TxToken<'a>(&'a RefCell<Card>);

impl embassy_net_driver::TxToken for TxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        let mut card = self.0.borrow_mut();
        let frame = card
            .idle
            .iter_mut()
            .find_map(Option::take)
            .expect("a token means that there is one");
        drop(card);
        let filled = fill(&mut frame.0[HEADER_LEN..HEADER_LEN + len]);
        self.0.borrow_mut().send(frame, len);
        filled
    }
}

fn enable_interrupt(slot: u32) {
    SLOT.store(slot, Ordering::Relaxed);
    let interrupt = virtio_interrupt(slot);
    registers::plic_priority(interrupt).write(1);
    registers::PLIC_THRESHOLD.write(0);
    registers::PLIC_ENABLE.write(1 << interrupt);
    // SAFETY: the handler below is in place, and no critical section is open during start-up.
    unsafe { riscv::register::mie::set_mext() };
}

#[riscv_rt::core_interrupt(Interrupt::MachineExternal)]
fn frames_moved() {
    let claimed = registers::PLIC_CLAIM.read();
    let slot = SLOT.load(Ordering::Relaxed);
    let reasons = registers::virtio_interrupt_status(slot).read();
    registers::virtio_interrupt_acknowledge(slot).write(reasons);
    WAKER.wake();
    registers::PLIC_CLAIM.write(claimed);
}
