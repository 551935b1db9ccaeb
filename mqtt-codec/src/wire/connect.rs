use core::fmt;

use super::error::write_rule;
use super::string::{Reader, Writer, packet_len};
use super::{
    ClientId, DecodeError, EncodeError, FixedHeader, Login, PacketType, Password, QoS, Retain,
    TopicError, TopicName, Will,
};

/// CONNECT: opens a session (section 3.1).
///
/// ```
/// use mqtt_codec::wire::{CleanSession, ClientId, Connect, Login, Password, Utf8Str};
///
/// let mut connect = Connect::new(ClientId::new("gw1")?, CleanSession::Persistent)?;
/// connect.keep_alive = 30;
/// connect.login = Some(Login {
///     user_name: Utf8Str::new("user")?,
///     password: Password::new(b"secret"),
/// });
/// let mut buffer = [0; 64];
/// let len = connect.encode(&mut buffer)?;
/// # assert_eq!(&buffer[..2], [0x10, (len - 2) as u8]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Connect<'a> {
    client_id: ClientId<'a>,
    clean_session: CleanSession,
    /// Keep Alive in seconds: the longest time that the client will be silent; 0 turns the
    /// supervision off (section 3.1.2.10).
    pub keep_alive: u16,
    /// Message for the case that the connection ends without DISCONNECT, `None` for none.
    pub will: Option<Will<'a>>,
    /// User name and password, `None` to send neither.
    pub login: Option<Login<'a>>,
}

/// Clean Session flag: how long the session shall live (section 3.1.2.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CleanSession {
    /// Clean Session 1: starts empty and ends with the connection [MQTT-3.1.2-6].
    Clean,
    /// Clean Session 0: goes on from the stored session and is stored afterwards
    /// [MQTT-3.1.2-4].
    Persistent,
}

impl<'a> Connect<'a> {
    /// A CONNECT with Keep Alive 0, without will and login.
    ///
    /// # Errors
    /// A persistent session with the empty client identifier [MQTT-3.1.3-7].
    #[inline]
    pub const fn new(
        client_id: ClientId<'a>,
        clean_session: CleanSession,
    ) -> Result<Self, ClientIdRequired> {
        if let (true, CleanSession::Persistent) = (client_id.is_empty(), clean_session) {
            return Err(ClientIdRequired);
        }
        Ok(Self {
            client_id,
            clean_session,
            keep_alive: 0,
            will: None,
            login: None,
        })
    }

    /// Client identifier; the empty one asks the server to make one up.
    #[must_use]
    #[inline]
    pub const fn client_id(&self) -> ClientId<'a> {
        self.client_id
    }

    /// How long the session shall live.
    #[must_use]
    #[inline]
    pub const fn clean_session(&self) -> CleanSession {
        self.clean_session
    }

    /// Reads the packet from its fixed header and the body after it.
    ///
    /// # Errors
    /// Each rule of section 3.1 has its own. After
    /// [`UnacceptableProtocolLevel`](DecodeError::UnacceptableProtocolLevel) and
    /// [`EmptyClientIdWithPersistentSession`](DecodeError::EmptyClientIdWithPersistentSession) a
    /// server answers with CONNACK before it closes; after the others it only closes
    /// [MQTT-3.1.4-1].
    pub fn decode(header: FixedHeader, body: &'a [u8]) -> Result<Self, DecodeError> {
        header.expect(PacketType::Connect, body)?;
        let mut reader = Reader::new(body);
        if reader.binary()? != PROTOCOL_NAME {
            return Err(DecodeError::UnknownProtocolName);
        }
        if reader.u8()? != PROTOCOL_LEVEL {
            return Err(DecodeError::UnacceptableProtocolLevel);
        }
        let flags = ConnectFlags::new(reader.u8()?)?;
        let keep_alive = reader.u16()?;
        let client_id = ClientId::from(reader.utf8_str()?);
        let will = match flags.will() {
            Some((qos, retain)) => Some(Will {
                topic: will_topic(reader.str()?)?,
                payload: reader.binary_field()?,
                qos,
                retain,
            }),
            None => None,
        };
        let login = if flags.has(USER_NAME_BIT) {
            Some(Login {
                user_name: reader.utf8_str()?,
                password: if flags.has(PASSWORD_BIT) {
                    Some(Password::from(reader.binary_field()?))
                } else {
                    None
                },
            })
        } else {
            None
        };
        reader.finish()?;
        let connect = Self::new(client_id, flags.clean_session())
            .map_err(|ClientIdRequired| DecodeError::EmptyClientIdWithPersistentSession)?;
        Ok(Self {
            keep_alive,
            will,
            login,
            ..connect
        })
    }

    /// Bytes of the whole packet.
    ///
    /// # Errors
    /// None: the longest CONNECT has some 328,000 bytes. The form is that of all packets.
    pub const fn encoded_len(&self) -> Result<usize, EncodeError> {
        packet_len(self.fields().parts().2)
    }

    /// Writes the packet to the beginning of `out` and returns its length.
    ///
    /// # Errors
    /// [`EncodeError::BufferTooSmall`]
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        self.fields().encode(out)
    }

    const fn fields(&self) -> ConnectFields<'a, '_> {
        ConnectFields {
            client_id: self.client_id,
            clean_session: self.clean_session,
            keep_alive: self.keep_alive,
            will: self.will.as_ref(),
            login: self.login.as_ref(),
        }
    }
}

/// What CONNECT is written from: the large parts by reference.
pub(crate) struct ConnectFields<'a, 'f> {
    pub(crate) client_id: ClientId<'a>,
    pub(crate) clean_session: CleanSession,
    pub(crate) keep_alive: u16,
    pub(crate) will: Option<&'f Will<'a>>,
    pub(crate) login: Option<&'f Login<'a>>,
}

impl<'a> ConnectFields<'a, '_> {
    // As a call it returns through memory: 200 bytes on a small processor.
    #[cfg_attr(not(target_pointer_width = "64"), inline(always))]
    pub(crate) fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let (payload, flags, body_len) = self.parts();
        let (mut writer, needed) =
            Writer::begin(out, (PacketType::Connect, 0), body_len, body_len)?;
        let [high, low] = self.keep_alive.to_be_bytes();
        let level = PROTOCOL_LEVEL;
        // with the protocol's name after its length
        writer.bytes(&[0, 4, b'M', b'Q', b'T', b'T', level, flags, high, low]);
        payload.iter().flatten().for_each(|bytes| {
            writer.u16(bytes.len() as u16);
            writer.bytes(bytes);
        });
        Ok(needed)
    }

    /// The fields of the payload, whose order is fixed [MQTT-3.1.3-1], Connect Flags, and the length of the body.
    #[inline(always)]
    const fn parts(&self) -> ([Option<&'a [u8]>; 5], u8, usize) {
        let mut fields = [None; 5];
        let client_id = self.client_id.as_str().as_bytes();
        fields[0] = Some(client_id);
        let mut len = 2 + PROTOCOL_NAME.len() + 1 + 1 + 2 + 2 + client_id.len();
        let mut flags = match self.clean_session {
            CleanSession::Clean => CLEAN_SESSION_BIT,
            CleanSession::Persistent => 0,
        };
        if let Some(will) = self.will {
            let (topic, payload) = (will.topic.as_bytes(), will.payload.as_bytes());
            fields[1] = Some(topic);
            fields[2] = Some(payload);
            len += 2 + topic.len() + 2 + payload.len();
            flags |= WILL_BIT | will.qos.bits() << WILL_QOS_SHIFT;
            flags |= (will.retain as u8) << WILL_RETAIN_SHIFT;
        }
        if let Some(login) = self.login {
            let user_name = login.user_name.as_str().as_bytes();
            fields[3] = Some(user_name);
            len += 2 + user_name.len();
            flags |= USER_NAME_BIT;
            if let Some(password) = login.password {
                let password = password.as_bytes();
                fields[4] = Some(password);
                len += 2 + password.len();
                flags |= PASSWORD_BIT;
            }
        }
        (fields, flags, len)
    }
}

/// A persistent session needs a client identifier [MQTT-3.1.3-7]: the caller's mistake.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ClientIdRequired;

impl fmt::Display for ClientIdRequired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_rule(
            f,
            "MQTT-3.1.3-7",
            "a persistent session needs a client identifier",
        )
    }
}

impl core::error::Error for ClientIdRequired {}

const PROTOCOL_NAME: &[u8] = b"MQTT";
const PROTOCOL_LEVEL: u8 = 4;

const USER_NAME_BIT: u8 = 0b1000_0000;
const PASSWORD_BIT: u8 = 0b0100_0000;
const WILL_RETAIN_SHIFT: u32 = 5;
const WILL_RETAIN_BIT: u8 = 1 << WILL_RETAIN_SHIFT;
const WILL_QOS_SHIFT: u32 = 3;
const WILL_BIT: u8 = 0b0000_0100;
const CLEAN_SESSION_BIT: u8 = 0b0000_0010;
const RESERVED_BIT: u8 = 0b0000_0001;

/// Connect Flags whose combination is legal (section 3.1.2.3).
#[derive(Clone, Copy)]
struct ConnectFlags {
    bits: u8,
    will_qos: QoS,
}

impl ConnectFlags {
    fn new(bits: u8) -> Result<Self, DecodeError> {
        let flags = Self {
            bits,
            will_qos: QoS::from_bits(bits >> WILL_QOS_SHIFT & 0b11)
                .ok_or(DecodeError::InvalidWillQos)?,
        };
        if flags.has(RESERVED_BIT) {
            Err(DecodeError::ReservedConnectFlag)
        } else if !flags.has(WILL_BIT) && flags.will_qos != QoS::AtMostOnce {
            Err(DecodeError::WillQosWithoutWill)
        } else if !flags.has(WILL_BIT) && flags.has(WILL_RETAIN_BIT) {
            Err(DecodeError::WillRetainWithoutWill)
        } else if !flags.has(USER_NAME_BIT) && flags.has(PASSWORD_BIT) {
            Err(DecodeError::PasswordWithoutUserName)
        } else {
            Ok(flags)
        }
    }

    const fn has(self, bit: u8) -> bool {
        self.bits & bit != 0
    }

    fn will(self) -> Option<(QoS, Retain)> {
        let retain = if self.has(WILL_RETAIN_BIT) {
            Retain::Yes
        } else {
            Retain::No
        };
        self.has(WILL_BIT).then_some((self.will_qos, retain))
    }

    const fn clean_session(self) -> CleanSession {
        if self.has(CLEAN_SESSION_BIT) {
            CleanSession::Clean
        } else {
            CleanSession::Persistent
        }
    }
}

fn will_topic(topic: &str) -> Result<TopicName<'_>, DecodeError> {
    TopicName::new(topic).map_err(|error| match error {
        TopicError::Wildcard => DecodeError::WildcardInWillTopic,
        other => other.into(),
    })
}
