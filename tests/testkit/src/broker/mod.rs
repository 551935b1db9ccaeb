mod link;
mod state;

use std::collections::BTreeMap;

use mqtt_codec::wire::{
    AckType, CleanSession, ConnAck, Connect, ConnectRefusal, Delivery, Dup, Empty, Packet,
    PacketId, Publish, QoS, SessionPresent, SubAck, SubAckCode, TopicFilter,
};

use crate::{Frame, Random};

use link::Link;
use state::State;

/// A connection of a [`Broker`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkId(pub usize);

/// When PUBACKs for the client's messages leave.
#[derive(Clone, Debug)]
pub enum AckOrder {
    /// At once, in order of receipt.
    AsReceived,
    /// When the test calls [`Broker::release_acks`].
    Held,
    /// In groups of random size and order, whenever the network is quiet: legal for nobody, survived by us.
    Shuffled(Random),
}

/// One packet that a client sent, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub link: LinkId,
    pub frame: Frame,
}

/// A broker without input and output, for several clients: sessions, subscriptions, QoS 0 and 1 both ways. It
/// judges each client by the rules and notes what it complains about.
#[derive(Debug)]
pub struct Broker {
    pub ack_order: AckOrder,
    /// Answers CONNECT with this refusal.
    pub refusal: Option<ConnectRefusal>,
    /// Answers SUBSCRIBE for this filter with a refusal, and does not subscribe.
    pub refused_filter: Option<&'static str>,
    /// Closes the connection on a PUBLISH to this topic, without an answer.
    pub close_on_topic: Option<String>,
    /// Takes every byte and answers nothing.
    pub swallows: bool,
    /// Unacknowledged messages that a client is sent at a time.
    pub max_in_flight: usize,
    sessions: BTreeMap<String, State>,
    links: Vec<Link>,
    arrivals: Vec<Arrival>,
    wills: Vec<Vec<u8>>,
    complaints: Vec<String>,
}

impl Default for Broker {
    fn default() -> Self {
        Self {
            ack_order: AckOrder::AsReceived,
            refusal: None,
            refused_filter: None,
            close_on_topic: None,
            swallows: false,
            max_in_flight: 20,
            sessions: BTreeMap::new(),
            links: Vec::new(),
            arrivals: Vec::new(),
            wills: Vec::new(),
            complaints: Vec::new(),
        }
    }
}

impl Broker {
    /// A transport to a client is open.
    pub fn open(&mut self) -> LinkId {
        self.links.push(Link::default());
        LinkId(self.links.len() - 1)
    }

    /// Bytes of the client have arrived.
    pub fn handle_input(&mut self, id: LinkId, bytes: &[u8]) {
        if self.link(id).is_closed {
            return;
        }
        self.link(id).input.push(bytes);
        loop {
            match self.link(id).input.next() {
                Ok(Some(frame)) => {
                    self.arrivals.push(Arrival {
                        link: id,
                        frame: frame.clone(),
                    });
                    if !self.swallows {
                        self.handle_packet(id, frame.packet());
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    self.complain(id, &format!("malformed packet: {error}"));
                    return self.link(id).close();
                }
            }
            if self.link(id).is_closed {
                return;
            }
        }
    }

    /// Bytes for the client.
    pub fn take_output(&mut self, id: LinkId) -> Vec<u8> {
        std::mem::take(&mut self.link(id).output)
    }

    /// Whether the broker closes the transport once its output is sent.
    #[must_use]
    pub fn is_closed(&self, id: LinkId) -> bool {
        self.links[id.0].is_closed
    }

    /// The transport is gone.
    pub fn handle_closed(&mut self, id: LinkId) {
        let link = self.link(id);
        link.close();
        let Some(client) = link.client.take() else {
            return;
        };
        let will = link.will.take();
        self.wills.extend(will);
        if let Some(state) = self.sessions.get_mut(&client) {
            state.link = None;
            if state.clean_session == CleanSession::Clean {
                self.sessions.remove(&client);
            }
        }
    }

    /// Somebody else publishes.
    pub fn publish(&mut self, topic: &str, payload: &[u8], qos: QoS) {
        for state in self.sessions.values_mut() {
            if let Some(granted) = state.granted(topic) {
                state.queue(topic, payload, qos.min(granted));
            }
        }
        self.deliver_all();
    }

    /// The broker loses the session of a client; a connection of it is closed.
    pub fn forget_session(&mut self, client: &str) {
        if let Some(link) = self.sessions.remove(client).and_then(|state| state.link) {
            let link = self.link(link);
            link.client = None;
            link.close();
        }
    }

    /// Lets the PUBACKs go that [`AckOrder::Held`] holds back, the connection's `n`-th first for each `n` given.
    pub fn release_acks(&mut self, id: LinkId, order: &[usize]) {
        let link = self.link(id);
        let held = std::mem::take(&mut link.held_acks);
        for &n in order {
            link.send_ack(AckType::PubAck, held[n]);
        }
    }

    /// Nothing is on its way. True if the broker has something to say.
    pub fn handle_quiet(&mut self) -> bool {
        let AckOrder::Shuffled(random) = &mut self.ack_order else {
            return false;
        };
        let mut spoke = false;
        for link in &mut self.links {
            for _ in 0..random.below(link.held_acks.len()) + 1 {
                if !link.held_acks.is_empty() && !link.is_closed {
                    let id = link
                        .held_acks
                        .swap_remove(random.below(link.held_acks.len()));
                    link.send_ack(AckType::PubAck, id);
                    spoke = true;
                }
            }
        }
        spoke
    }

    /// Every packet of every client, in order of arrival.
    #[must_use]
    pub fn arrivals(&self) -> &[Arrival] {
        &self.arrivals
    }

    /// Payloads of the PUBLISH packets at QoS 1 that arrived, repeated ones as often as they came.
    #[must_use]
    pub fn published(&self) -> Vec<Vec<u8>> {
        let payload = |arrival: &Arrival| match arrival.frame.packet() {
            Packet::Publish(publish) if publish.delivery.qos() == QoS::AtLeastOnce => {
                Some(publish.payload.to_vec())
            }
            _ => None,
        };
        self.arrivals.iter().filter_map(payload).collect()
    }

    /// [`published`](Self::published) without repetitions: the order of first deliveries.
    #[must_use]
    pub fn first_deliveries(&self) -> Vec<Vec<u8>> {
        let mut seen = std::collections::HashSet::new();
        let mut all = self.published();
        all.retain(|payload| seen.insert(payload.clone()));
        all
    }

    /// Payloads of the wills that were published.
    #[must_use]
    pub fn wills(&self) -> &[Vec<u8>] {
        &self.wills
    }

    /// Subscriptions of a client, in order of their first SUBSCRIBE.
    #[must_use]
    pub fn subscriptions(&self, client: &str) -> Vec<(String, QoS)> {
        self.sessions
            .get(client)
            .map_or_else(Vec::new, |state| state.subscriptions.clone())
    }

    /// Messages that the broker keeps for a client until they are acknowledged.
    #[must_use]
    pub fn undelivered(&self, client: &str) -> usize {
        self.sessions.get(client).map_or(0, State::undelivered)
    }

    /// What clients did against the rules.
    #[must_use]
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    fn handle_packet(&mut self, id: LinkId, packet: Packet<'_>) {
        let Some(client) = self.link(id).client.clone() else {
            return match packet {
                Packet::Connect(connect) => self.handle_connect(id, &connect),
                _ => self.refuse(id, "the first packet is not CONNECT [MQTT-3.1.0-1]"),
            };
        };
        match packet {
            Packet::Connect(_) => self.refuse(id, "CONNECT twice [MQTT-3.1.0-2]"),
            Packet::Publish(publish) => self.handle_publish(id, &publish),
            Packet::PubAck(packet_id) => self.handle_puback(id, &client, packet_id),
            Packet::Subscribe(subscribe) => {
                let refused = self.refused_filter;
                let is_granted = |filter: TopicFilter<'_>| refused != Some(filter.as_str());
                let filters = subscribe.filters();
                let granted = filters.filter(|(filter, _)| is_granted(*filter));
                self.state(&client).subscribe(granted);
                let codes = filters.map(|(filter, qos)| match is_granted(filter) {
                    true => SubAckCode::Granted(qos.min(QoS::AtLeastOnce)),
                    false => SubAckCode::Failure,
                });
                let codes: Vec<_> = codes.collect();
                let suback = SubAck::new(subscribe.id(), codes.iter().copied());
                let mut bytes = vec![0; codes.len() + 8];
                let len = suback.expect("not empty").encode(&mut bytes).expect("room");
                self.link(id).output.extend_from_slice(&bytes[..len]);
            }
            Packet::Unsubscribe(unsubscribe) => {
                for filter in unsubscribe.filters() {
                    self.state(&client).unsubscribe(filter);
                }
                self.link(id).send_ack(AckType::UnsubAck, unsubscribe.id());
            }
            Packet::PingReq => self.link(id).output.extend(Empty::PingResp.to_bytes()),
            Packet::Disconnect => {
                self.link(id).will = None;
                if !self.link(id).input.rest().is_empty() {
                    self.complain(id, "bytes after DISCONNECT [MQTT-3.14.4-2]");
                }
                self.link(id).close();
            }
            _ => self.refuse(id, "a packet that a client of ours does not send"),
        }
    }

    fn handle_connect(&mut self, id: LinkId, connect: &Connect<'_>) {
        if let Some(refusal) = self.refusal {
            let link = self.link(id);
            link.output.extend(ConnAck::Refused(refusal).to_bytes());
            return link.close();
        }
        let client = connect.client_id().as_str().to_string();
        if let Some(older) = self.sessions.get(&client).and_then(|state| state.link) {
            self.handle_closed(older);
        }
        if connect.clean_session() == CleanSession::Clean {
            self.sessions.remove(&client);
        }
        let session = match self.sessions.contains_key(&client) {
            true => SessionPresent::Present,
            false => SessionPresent::Absent,
        };
        let max_in_flight = self.max_in_flight;
        let state = self.sessions.entry(client.clone()).or_default();
        state.clean_session = connect.clean_session();
        state.link = Some(id);
        state.max_in_flight = max_in_flight;
        state.rewind();
        let link = self.link(id);
        link.client = Some(client);
        link.will = connect.will.map(|will| will.payload.as_bytes().to_vec());
        link.output.extend(ConnAck::Accepted { session }.to_bytes());
        self.deliver_all();
    }

    fn handle_publish(&mut self, id: LinkId, publish: &Publish<'_>) {
        let topic = publish.topic.as_str();
        if self.close_on_topic.as_deref() == Some(topic) {
            return self.link(id).close();
        }
        if let Delivery::AtLeastOnce { id: packet_id, .. } = publish.delivery {
            let holds_ack = !matches!(self.ack_order, AckOrder::AsReceived);
            if self.link(id).held_acks.contains(&packet_id) {
                self.complain(id, "packet id is in use [MQTT-2.3.1-2]");
            }
            let link = self.link(id);
            if holds_ack {
                link.held_acks.push(packet_id);
            } else {
                link.send_ack(AckType::PubAck, packet_id);
            }
        }
        self.publish(topic, publish.payload, publish.delivery.qos());
    }

    fn handle_puback(&mut self, id: LinkId, client: &str, packet_id: PacketId) {
        if let Err(complaint) = self.state(client).acknowledge(packet_id) {
            self.complain(id, complaint);
        }
        self.deliver_all();
    }

    fn deliver_all(&mut self) {
        for state in self.sessions.values_mut() {
            let Some(link) = state.link else { continue };
            for message in state.due() {
                let delivery = match message.id {
                    None => Delivery::AtMostOnce,
                    Some(id) => Delivery::AtLeastOnce {
                        id,
                        dup: if message.sends > 1 {
                            Dup::Repeat
                        } else {
                            Dup::First
                        },
                    },
                };
                self.links[link.0].send_publish(&message.topic, &message.payload, delivery);
            }
        }
    }

    fn refuse(&mut self, id: LinkId, why: &str) {
        self.complain(id, why);
        self.link(id).close();
    }

    fn complain(&mut self, id: LinkId, why: &str) {
        self.complaints.push(format!("link {}: {why}", id.0));
    }

    fn link(&mut self, id: LinkId) -> &mut Link {
        &mut self.links[id.0]
    }

    fn state(&mut self, client: &str) -> &mut State {
        self.sessions.get_mut(client).expect("connected")
    }
}

/// Whether a filter of the tests matches a topic of the tests.
fn matches(filter: &str, topic: &str) -> bool {
    let filter = TopicFilter::new(filter).expect("checked when it came");
    filter.matches(topic.try_into().expect("checked when it came"))
}
