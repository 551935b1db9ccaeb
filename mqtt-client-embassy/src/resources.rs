use core::{fmt, mem::MaybeUninit, task::Waker};

use embassy_sync::blocking_mutex::raw::RawMutex;
use mqtt_codec::session::{AckSlot, Slot};

use crate::{
    Client, Connector, Limit, Options, OptionsError, Runner,
    state::{
        Board, Outbox, Packet, Place, Queue, Received, Route, Routes, Seat, Shared, State,
        Transmit, Wakers,
    },
};

/// Memory of a client, given by the caller: a `ConstStaticCell`, which takes no code since all of it is zero at first, or
/// anything that outlives the client.
///
/// `M` guards it: `NoopRawMutex` if all tasks run on one executor, else `CriticalSectionRawMutex`.
///
/// - `OUTBOX`: messages at QoS 1 that wait for their acknowledgement or their turn
/// - `QUEUE`: received messages that wait for their inboxes, half of them, rounded up, at most at QoS 0, or are held by
///   the application; one more may wait behind them. With 0 the client only sends: what the broker still delivers for an
///   earlier run is dropped at QoS 0, and left with the broker, unacknowledged, at QoS 1
/// - `SUBSCRIPTIONS`: filters subscribed to
/// - `MESSAGE`: bytes of topic and payload of each of those messages; what is longer is sent from the caller's memory,
///   and received as a stream
/// - `BUFFER`: bytes of the receive buffer and of the transmit buffer; at least 16, and the length of CONNECT
/// - `TASKS`: tasks that wait for the client at a time and are woken at once; each further one looks every 20 ms, by a
///   timer of embassy-time, which without a generic queue knows tasks of Embassy's executor alone
///
/// Bytes on a processor of 32 bits, at most: `(OUTBOX + QUEUE + 1) × MESSAGE + 2 × BUFFER`, and `48 × OUTBOX +
/// 52 × QUEUE + 12 × SUBSCRIPTIONS + 8 × TASKS + 528`.
pub struct Resources<
    'a,
    M,
    const OUTBOX: usize,
    const QUEUE: usize,
    const SUBSCRIPTIONS: usize,
    const MESSAGE: usize,
    const BUFFER: usize,
    const TASKS: usize = 4,
> {
    publishes: [Slot<&'a mut Packet<'a>>; OUTBOX],
    controls: [Slot<&'a mut Packet<'a>>; 1],
    acks: [[AckSlot; ACKS]; QUEUE],
    outgoing: [[u8; MESSAGE]; OUTBOX],
    packets: [Packet<'a>; OUTBOX],
    request: Packet<'a>,
    places: [Place<'a>; OUTBOX],
    incoming: [[u8; MESSAGE]; QUEUE],
    arriving: [u8; MESSAGE],
    received: [MaybeUninit<Received<'a>>; QUEUE],
    in_arrival: MaybeUninit<Received<'a>>,
    seats: [Seat<'a>; QUEUE],
    routes: [Route<'a>; SUBSCRIPTIONS],
    wakers: [Option<Waker>; TASKS],
    receive: [u8; BUFFER],
    transmit: [u8; BUFFER],
    transmitting: MaybeUninit<Transmit<'a>>,
    state: MaybeUninit<State<'a>>,
    shared: MaybeUninit<Shared<'a, M>>,
}

/// What is documented, for some capacities.
#[cfg(target_pointer_width = "32")]
const _: () = {
    use embassy_sync::blocking_mutex::raw::{CriticalSectionRawMutex, NoopRawMutex};

    type Small = Resources<'static, NoopRawMutex, 1, 1, 1, 16, 64, 1>;
    assert!(size_of::<Small>() <= 3 * 16 + 2 * 64 + 48 + 52 + 12 + 8 + 528);
    type Large = Resources<'static, CriticalSectionRawMutex, 100, 50, 20, 256, 1_024, 10>;
    const LARGE: usize = 151 * 256 + 2 * 1_024 + 48 * 100 + 52 * 50 + 12 * 20 + 8 * 10 + 528;
    assert!(size_of::<Large>() <= LARGE);
};

/// Acknowledgements that may wait for those before them to leave, for each place of the queue: more than one, so that a
/// transient session can acknowledge what it discards behind messages that are held.
const ACKS: usize = 4;
/// The smallest receive buffer that the session works with.
const MIN_BUFFER: usize = 16;

impl<
    'a,
    M,
    const OUTBOX: usize,
    const QUEUE: usize,
    const SUBSCRIPTIONS: usize,
    const MESSAGE: usize,
    const BUFFER: usize,
    const TASKS: usize,
> Resources<'a, M, OUTBOX, QUEUE, SUBSCRIPTIONS, MESSAGE, BUFFER, TASKS>
{
    /// Memory that no client uses yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            publishes: [const { Slot::EMPTY }; OUTBOX],
            controls: [const { Slot::EMPTY }; 1],
            acks: [[AckSlot::EMPTY; ACKS]; QUEUE],
            outgoing: [[0; MESSAGE]; OUTBOX],
            packets: [const { Packet::EMPTY }; OUTBOX],
            request: Packet::EMPTY,
            places: [const { Place::EMPTY }; OUTBOX],
            incoming: [[0; MESSAGE]; QUEUE],
            arriving: [0; MESSAGE],
            received: [const { MaybeUninit::uninit() }; QUEUE],
            in_arrival: MaybeUninit::uninit(),
            seats: [const { None }; QUEUE],
            routes: [const { Route::EMPTY }; SUBSCRIPTIONS],
            wakers: [const { None }; TASKS],
            receive: [0; BUFFER],
            transmit: [0; BUFFER],
            transmitting: MaybeUninit::uninit(),
            state: MaybeUninit::uninit(),
            shared: MaybeUninit::uninit(),
        }
    }
}

impl<
    M,
    const OUTBOX: usize,
    const QUEUE: usize,
    const SUBSCRIPTIONS: usize,
    const MESSAGE: usize,
    const BUFFER: usize,
    const TASKS: usize,
> Default for Resources<'_, M, OUTBOX, QUEUE, SUBSCRIPTIONS, MESSAGE, BUFFER, TASKS>
{
    fn default() -> Self {
        Self::new()
    }
}

impl<
    M,
    const OUTBOX: usize,
    const QUEUE: usize,
    const SUBSCRIPTIONS: usize,
    const MESSAGE: usize,
    const BUFFER: usize,
    const TASKS: usize,
> fmt::Debug for Resources<'_, M, OUTBOX, QUEUE, SUBSCRIPTIONS, MESSAGE, BUFFER, TASKS>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resources").finish_non_exhaustive()
    }
}

/// Makes a client of these resources: a handle for any number of tasks, and the runner, whose
/// [`run`](Runner::run) one task awaits.
///
/// Nothing happens before that; messages may be published and inboxes taken meanwhile. `random` yields numbers that are
/// uniform over all `u32`: they spread the attempts to reconnect.
///
/// # Errors
/// The options are wrong, or ask for more than the resources hold.
#[allow(
    clippy::type_complexity,
    reason = "a pair of two types that users name"
)]
pub fn new<
    'a,
    M: RawMutex,
    C: Connector,
    R: FnMut() -> u32,
    const OUTBOX: usize,
    const QUEUE: usize,
    const SUBSCRIPTIONS: usize,
    const MESSAGE: usize,
    const BUFFER: usize,
    const TASKS: usize,
>(
    resources: &'a mut Resources<'a, M, OUTBOX, QUEUE, SUBSCRIPTIONS, MESSAGE, BUFFER, TASKS>,
    options: &'a Options<'a>,
    connector: C,
    random: R,
) -> Result<(Client<'a, M>, Runner<'a, M, C, R>), OptionsError> {
    let Resources {
        publishes,
        controls,
        acks,
        outgoing,
        packets,
        request,
        places,
        incoming,
        arriving,
        received,
        in_arrival,
        seats,
        routes,
        wakers,
        receive,
        transmit,
        transmitting,
        state,
        shared,
    } = resources;
    let mut routes = Routes::new(routes, request, options.unmatched);
    let lacks = match (QUEUE, MESSAGE) {
        (0, _) => Some(Limit::Queue),
        (_, 0) => Some(Limit::Message),
        _ => None,
    };
    check(options, &mut routes, lacks, BUFFER)?;
    let board = Board {
        slots: [publishes, controls],
        acks: acks.as_flattened_mut(),
        receive_buffer: BUFFER as u32,
    };
    for (((place, packet), block), index) in places.iter_mut().zip(packets).zip(outgoing).zip(0..) {
        place.set_up(index, packet, block);
    }
    for ((seat, received), block) in seats.iter_mut().zip(received).zip(incoming) {
        *seat = Some(received.write(Received::new(block)));
    }
    let state = state.write(State::new(
        options,
        board,
        Outbox::new(places, MESSAGE),
        Queue::new(seats, in_arrival.write(Received::new(arriving))),
        routes,
        transmitting.write(Transmit::new(transmit)),
        Wakers::new(wakers),
    ));
    let shared = &*shared.write(Shared::new(state));
    let runner = Runner::new(shared, options, connector, random, receive);
    Ok((Client { shared }, runner))
}

/// What the options ask for, against what there is; `lacks`: without which nothing can be received.
fn check<'a>(
    options: &Options<'a>,
    routes: &mut Routes<'a>,
    lacks: Option<Limit>,
    buffer: usize,
) -> Result<(), OptionsError> {
    options.check()?;
    let needed = options.connect_len.max(MIN_BUFFER);
    if buffer < needed {
        return Err(OptionsError::BufferTooSmall { needed });
    }
    for (filter, qos) in options.declared.iter() {
        if let Some(limit) = lacks {
            return Err(OptionsError::Limit(limit));
        }
        routes
            .declare(filter, qos)
            .map_err(OptionsError::Subscription)?;
    }
    Ok(())
}
