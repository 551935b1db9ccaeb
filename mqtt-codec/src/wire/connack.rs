use core::fmt;

use super::string::Reader;
use super::{DecodeError, EncodeError, FixedHeader, PacketType};

/// CONNACK: the server's answer to CONNECT (section 3.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ConnAck {
    /// Return code 0: the connection stands.
    Accepted {
        /// Whether the server still has the session.
        session: SessionPresent,
    },
    /// Return code 1 to 5: the server closes the connection [MQTT-3.2.2-5].
    Refused(ConnectRefusal),
}

/// Session Present flag: whether the server still has the session (section 3.2.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SessionPresent {
    /// The server has no session: subscriptions and unacknowledged messages are gone.
    Absent,
    /// The server goes on with the stored session.
    Present,
}

/// Why the server refuses (table 3.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum ConnectRefusal {
    /// The server does not speak MQTT 3.1.1.
    UnacceptableProtocolVersion = 1,
    /// The server does not allow the client identifier.
    IdentifierRejected = 2,
    /// The server is reachable but not in service: try again later.
    ServerUnavailable = 3,
    /// The user name or the password is malformed.
    BadUserNameOrPassword = 4,
    /// The client may not connect; what some servers send for a wrong password too.
    NotAuthorized = 5,
}

impl ConnAck {
    /// Bytes of the whole packet.
    pub const LEN: usize = 4;

    /// Reads the packet from its fixed header and the body after it.
    ///
    /// # Errors
    /// A body of other than two bytes, reserved flags (section 3.2.2.1), a reserved return code
    /// (section 3.2.2.3), Session Present in a refusal [MQTT-3.2.2-4].
    // As a call it returns through memory, which takes more code than all it does.
    #[inline(always)]
    pub fn decode(header: FixedHeader, body: &[u8]) -> Result<Self, DecodeError> {
        header.expect(PacketType::ConnAck, body)?;
        let &[flags, code, ref rest @ ..] = body else {
            return Err(DecodeError::PacketTooShort);
        };
        Reader::new(rest).finish()?;
        let (session, refusal) = Self::decode_fields(flags, code)?;
        Ok(match refusal {
            None => Self::Accepted { session },
            Some(refusal) => Self::Refused(refusal),
        })
    }

    /// Session Present and the return code.
    #[inline(always)]
    pub(crate) fn decode_fields(
        flags: u8,
        code: u8,
    ) -> Result<(SessionPresent, Option<ConnectRefusal>), DecodeError> {
        if flags > 1 {
            return Err(DecodeError::ReservedConnAckFlags);
        }
        if code > 5 {
            return Err(DecodeError::ReservedConnectReturnCode);
        }
        let session = match flags {
            0 => SessionPresent::Absent,
            _ => SessionPresent::Present,
        };
        let refusal = ConnectRefusal::from_code(code);
        if flags & u8::from(refusal.is_some()) != 0 {
            return Err(DecodeError::SessionPresentInRefusal);
        }
        Ok((session, refusal))
    }

    /// Bytes of the whole packet: [`LEN`](Self::LEN).
    ///
    /// # Errors
    /// None; the form is that of all packets.
    #[inline]
    pub const fn encoded_len(&self) -> Result<usize, EncodeError> {
        Ok(Self::LEN)
    }

    /// Writes the packet to the beginning of `out` and returns its length.
    ///
    /// # Errors
    /// [`EncodeError::BufferTooSmall`]
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let needed = Self::LEN;
        let room = out
            .first_chunk_mut()
            .ok_or(EncodeError::BufferTooSmall { needed })?;
        *room = self.to_bytes();
        Ok(needed)
    }

    /// The whole packet.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        let (flags, code) = match self {
            Self::Accepted { session } => (session as u8, 0),
            Self::Refused(refusal) => (0, refusal.code()),
        };
        [PacketType::ConnAck.first_byte(0), 2, flags, code]
    }
}

impl ConnectRefusal {
    /// The refusal with that return code, `None` for 0, which accepts, and for the reserved 6 to
    /// 255.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::UnacceptableProtocolVersion,
            2 => Self::IdentifierRejected,
            3 => Self::ServerUnavailable,
            4 => Self::BadUserNameOrPassword,
            5 => Self::NotAuthorized,
            _ => return None,
        })
    }

    /// The return code on the wire, 1 to 5.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for ConnectRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnacceptableProtocolVersion => "the server does not speak MQTT 3.1.1",
            Self::IdentifierRejected => "the server does not allow the client identifier",
            Self::ServerUnavailable => "the MQTT service is unavailable",
            Self::BadUserNameOrPassword => "the user name or the password is malformed",
            Self::NotAuthorized => "the client is not authorized to connect",
        })
    }
}

impl core::error::Error for ConnectRefusal {}
