use mqtt_codec::wire::PacketType;

/// What a [`ScriptedPeer`](super::ScriptedPeer) does on one connection, step by step. After the last step it waits
/// until the client closes, and answers nothing.
///
/// ```text
/// script().accept().expect(PacketType::Publish).send(b"\x40\x02\x00\x01").close()
/// ```
#[derive(Clone, Debug, Default)]
pub struct PeerScript {
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Expect(PacketType),
    ExpectBytes(Vec<u8>),
    ExpectClose,
    Send(Vec<u8>),
    Reply,
    CloseWrite,
    Close,
    Stall,
}

/// A script without a step.
#[must_use]
pub fn script() -> PeerScript {
    PeerScript::default()
}

impl PeerScript {
    /// Takes CONNECT and accepts: no session.
    #[must_use]
    pub fn accept(self) -> Self {
        self.expect(PacketType::Connect).send([0x20, 2, 0, 0])
    }

    /// Takes CONNECT and accepts: session present.
    #[must_use]
    pub fn resume(self) -> Self {
        self.expect(PacketType::Connect).send([0x20, 2, 1, 0])
    }

    /// Takes CONNECT and refuses with this code.
    #[must_use]
    pub fn refuse(self, code: u8) -> Self {
        self.expect(PacketType::Connect).send([0x20, 2, 0, code])
    }

    /// Takes the next packet, which must be of this type.
    #[must_use]
    pub fn expect(self, packet_type: PacketType) -> Self {
        self.step(Step::Expect(packet_type))
    }

    /// Takes so many bytes, which must be these.
    #[must_use]
    pub fn expect_bytes(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(Step::ExpectBytes(bytes.into()))
    }

    /// Waits until the client closes, which it must do before it sends anything but DISCONNECT.
    #[must_use]
    pub fn expect_close(self) -> Self {
        self.step(Step::ExpectClose)
    }

    /// Sends these bytes.
    #[must_use]
    pub fn send(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Send(bytes.into()))
    }

    /// Answers the packet taken last: CONNACK without session, PUBACK, SUBACK with what was asked for, UNSUBACK,
    /// PINGRESP.
    #[must_use]
    pub fn reply(self) -> Self {
        self.step(Step::Reply)
    }

    /// Sends no more, but goes on to receive.
    #[must_use]
    pub fn close_write(self) -> Self {
        self.step(Step::CloseWrite)
    }

    /// Closes the connection.
    #[must_use]
    pub fn close(self) -> Self {
        self.step(Step::Close)
    }

    /// The last step: neither sends nor receives, and keeps the connection open.
    #[must_use]
    pub fn stall(self) -> Self {
        self.step(Step::Stall)
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}
