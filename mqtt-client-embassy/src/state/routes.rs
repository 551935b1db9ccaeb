//! Subscriptions: which inbox a message is for, and what the broker is to be asked for.

use mqtt_codec::wire::{QoS, SubAckCode, TopicFilter, TopicName};

use super::{
    Received,
    item::{Packet, What},
};
use crate::{Limit, SubscribeError, Unmatched};

/// Stands for messages that match no subscription.
pub(crate) const UNMATCHED: u16 = u16::MAX;

#[derive(Debug)]
pub(crate) struct Routes<'a> {
    routes: &'a mut [Route<'a>],
    /// For SUBSCRIBE and UNSUBSCRIBE, unless the session has it: one at a time, so that no more than one subscription
    /// awaits an answer.
    packet: Option<&'a mut Packet<'a>>,
    unmatched: Unmatched,
    pub(crate) unmatched_holder: Holder,
}

#[derive(Debug)]
pub(crate) struct Route<'a> {
    filter: Option<TopicFilter<'a>>,
    qos: QoS,
    pub(crate) stage: Stage,
    pub(crate) holder: Holder,
}

/// How the broker stands to a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Or there is none.
    Refused,
    Left,
    /// SUBSCRIBE is to be sent.
    Wanted,
    Asked,
    Granted,
    /// UNSUBSCRIBE is to be sent.
    Unwanted,
    Leaving,
}

/// Who has the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holder {
    /// Nobody any more; its subscription goes on.
    Nobody,
    /// Nobody any more; its subscription ends.
    Never,
    /// Nobody yet: it was declared.
    Declared,
    Somebody,
}

impl Route<'_> {
    pub(crate) const EMPTY: Self = Self {
        filter: None,
        qos: QoS::AtMostOnce,
        stage: Stage::Refused,
        holder: Holder::Nobody,
    };
}

impl<'a> Routes<'a> {
    pub(crate) fn new(
        routes: &'a mut [Route<'a>],
        packet: &'a mut Packet<'a>,
        unmatched: Unmatched,
    ) -> Self {
        Self {
            routes,
            packet: Some(packet),
            unmatched,
            unmatched_holder: Holder::Declared,
        }
    }

    pub(crate) fn get(&mut self, index: u16) -> Option<&mut Route<'a>> {
        self.routes.get_mut(usize::from(index))
    }

    pub(crate) fn stage(&mut self, index: u16) -> Stage {
        self.get(index).map_or(Stage::Left, |route| route.stage)
    }

    /// Who has the inbox of a subscription, or that of [`UNMATCHED`].
    pub(crate) fn holder(&mut self, index: u16) -> &mut Holder {
        match self.routes.get_mut(usize::from(index)) {
            Some(route) => &mut route.holder,
            None => &mut self.unmatched_holder,
        }
    }

    /// Whether somebody reads this inbox.
    pub(crate) fn is_read(&self, index: u16) -> bool {
        let route = self.routes.get(usize::from(index));
        route.map_or(self.unmatched_holder, |route| route.holder) == Holder::Somebody
    }

    /// The inbox that a message is for, or waits for; `None` if nobody is to get it. A topic that it has no room for
    /// comes beside it.
    pub(crate) fn inbox_for(
        &self,
        received: &Received<'_>,
        long_topic: Option<TopicName<'_>>,
    ) -> Option<u16> {
        let topic = long_topic.unwrap_or_else(|| received.topic());
        let its = self.routes.get(usize::from(received.inbox()));
        if its.is_some_and(|its| its.holder == Holder::Somebody && its.stage != Stage::Refused) {
            return Some(received.inbox());
        }
        let is_kept = received.qos() == QoS::AtLeastOnce;
        let mut is_held = is_kept && self.unmatched == Unmatched::Hold;
        for (route, index) in self.routes.iter().zip(0..) {
            if !route.is_for(topic) {
                continue;
            }
            match (route.stage, route.holder) {
                (Stage::Refused, _) => {}
                // what the broker goes on to deliver for it
                (Stage::Left, _) | (_, Holder::Never) => is_held = false,
                (_, Holder::Somebody) => return Some(index),
                (_, Holder::Declared) => return is_kept.then_some(index),
                (_, Holder::Nobody) => return is_kept.then_some(UNMATCHED),
            }
        }
        (is_held || self.unmatched_holder == Holder::Somebody).then_some(UNMATCHED)
    }

    /// The subscription to this filter, in whatever stage.
    pub(crate) fn find(&mut self, filter: &str) -> Option<(u16, &mut Route<'a>)> {
        let has = |route: &Route<'_>| {
            !route.is_free() && route.filter.is_some_and(|f| f.as_str() == filter)
        };
        let mut routes = (0..).zip(self.routes.iter_mut());
        routes.find(|(_, route)| has(route))
    }

    /// Takes a free place.
    fn add(
        &mut self,
        filter: TopicFilter<'a>,
        qos: QoS,
        stage: Stage,
        holder: Holder,
    ) -> Result<u16, SubscribeError> {
        let mut free: Option<(&mut Route<'a>, u16)> = None;
        for (route, index) in self.routes.iter_mut().zip(0..) {
            // one of a subscription that has ended only if there is no other: it is still of use
            let is_better = free
                .as_ref()
                .is_none_or(|(free, _)| free.stage > route.stage);
            if route.is_free() && is_better {
                free = Some((route, index));
            }
        }
        let (route, index) = free.ok_or(SubscribeError::Limit(Limit::Subscriptions))?;
        *route = Route {
            filter: Some(filter),
            qos,
            stage,
            holder,
        };
        Ok(index)
    }

    pub(crate) fn declare(
        &mut self,
        filter: TopicFilter<'a>,
        qos: QoS,
    ) -> Result<(), SubscribeError> {
        self.add(filter, qos, Stage::Wanted, Holder::Declared)
            .map(drop)
    }

    /// Attaches an inbox to a filter and has SUBSCRIBE sent.
    pub(crate) fn subscribe(
        &mut self,
        filter: TopicFilter<'a>,
        qos: QoS,
    ) -> Result<u16, SubscribeError> {
        let Some((index, route)) = self.find(filter.as_str()) else {
            return self.add(filter, qos, Stage::Wanted, Holder::Somebody);
        };
        if route.holder == Holder::Somebody {
            return Err(SubscribeError::Taken);
        }
        // once more even if the broker has it: a new inbox expects the retained message
        route.stage = Stage::Wanted;
        route.qos = qos;
        route.holder = Holder::Somebody;
        Ok(index)
    }

    /// Has UNSUBSCRIBE sent, for a filter that may be of an earlier run.
    pub(crate) fn unsubscribe(&mut self, filter: TopicFilter<'a>) -> Result<u16, SubscribeError> {
        let Some((index, route)) = self.find(filter.as_str()) else {
            return self.add(filter, QoS::AtMostOnce, Stage::Unwanted, Holder::Nobody);
        };
        route.stage = Stage::Unwanted;
        Ok(index)
    }

    /// Attaches an inbox to a subscription that has none.
    pub(crate) fn attach(&mut self, filter: &str) -> Result<u16, SubscribeError> {
        let (index, route) = self.find(filter).ok_or(SubscribeError::Unknown)?;
        if route.holder == Holder::Somebody {
            return Err(SubscribeError::Taken);
        }
        route.holder = Holder::Somebody;
        Ok(index)
    }

    /// The next SUBSCRIBE that the broker has not acknowledged in its present session.
    pub(crate) fn next_subscribe(&mut self) -> Option<&'a mut Packet<'a>> {
        self.next(Stage::Wanted, Stage::Asked)
    }

    pub(crate) fn next_unsubscribe(&mut self) -> Option<&'a mut Packet<'a>> {
        self.next(Stage::Unwanted, Stage::Leaving)
    }

    /// Whether no SUBSCRIBE is still to be sent.
    pub(crate) fn are_asked_for(&self) -> bool {
        self.routes.iter().all(|route| route.stage != Stage::Wanted)
    }

    /// Whether every subscription is answered.
    pub(crate) fn are_settled(&self) -> bool {
        let mut stages = self.routes.iter().map(|route| route.stage);
        !stages.any(|stage| matches!(stage, Stage::Wanted | Stage::Asked))
    }

    /// Whether no SUBSCRIBE or UNSUBSCRIBE awaits its answer.
    pub(crate) fn are_answered(&self) -> bool {
        self.packet.is_some()
    }

    /// The broker may know nothing of what it has granted.
    pub(crate) fn renew(&mut self) {
        for route in self.routes.iter_mut() {
            if route.stage == Stage::Granted {
                route.stage = Stage::Wanted;
            }
        }
    }

    /// Of the subscriptions that were to end in a session that is lost, nothing is left, unless the next one is asked
    /// for them first: a SUBSCRIBE without an answer is sent again.
    pub(crate) fn handle_lost(&mut self) {
        let are_answered = self.are_answered();
        for route in self.routes.iter_mut() {
            match route.stage {
                Stage::Unwanted if are_answered => route.leave(),
                Stage::Left if route.is_free() => *route = Route::EMPTY,
                _ => {}
            }
        }
    }

    pub(crate) fn handle_suback(&mut self, packet: &'a mut Packet<'a>, code: Option<SubAckCode>) {
        if let Some(route) = self.answered(packet, Stage::Asked) {
            route.stage = match code {
                Some(SubAckCode::Granted(_)) => Stage::Granted,
                _ => Stage::Refused,
            };
        }
    }

    pub(crate) fn handle_unsuback(&mut self, packet: &'a mut Packet<'a>) {
        if let Some(route) = self.answered(packet, Stage::Leaving) {
            route.leave();
        }
    }

    /// The subscription that the answer is for, unless something else has become of it.
    fn answered(&mut self, packet: &'a mut Packet<'a>, stage: Stage) -> Option<&mut Route<'a>> {
        self.packet = Some(packet);
        self.routes.iter_mut().find(|route| route.stage == stage)
    }

    fn next(&mut self, from: Stage, to: Stage) -> Option<&'a mut Packet<'a>> {
        let route = self.routes.iter_mut().find(|route| route.stage == from)?;
        let filter = route.filter?;
        let packet = self.packet.take()?;
        route.stage = to;
        packet.content = match to {
            Stage::Asked => What::Subscribe(filter, route.qos),
            _ => What::Unsubscribe(filter),
        };
        Some(packet)
    }
}

impl Route<'_> {
    /// Nothing is left of it but that the broker may go on to deliver what it had for it (section 3.10.4).
    fn leave(&mut self) {
        self.stage = Stage::Left;
        if self.holder == Holder::Declared {
            self.holder = Holder::Nobody;
        }
    }

    /// Whether it matches a message of this topic.
    fn is_for(&self, topic: TopicName<'_>) -> bool {
        self.filter.is_some_and(|filter| filter.matches(topic))
    }

    /// Whether another subscription may have the place.
    fn is_free(&self) -> bool {
        self.stage <= Stage::Left && self.holder <= Holder::Never
    }
}
