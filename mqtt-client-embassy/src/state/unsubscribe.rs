//! The end of subscriptions.

use core::fmt;

use super::{Holder, Packet, Route, Routes, Stage, State};
use crate::SessionStart;

/// What a client does whose subscriptions may end: by [`Client::unsubscribe`](crate::Client::unsubscribe), or with their
/// inboxes in a session that is transient. A program in which neither happens does not contain it.
pub(crate) struct Unsubscribing {
    /// The inbox of a subscription was dropped.
    pub(crate) detach: fn(&mut State<'_>, u16),
    /// The next UNSUBSCRIBE that is to be sent.
    pub(super) next: for<'a> fn(&mut Routes<'a>) -> Option<&'a mut Packet<'a>>,
    /// It was answered.
    pub(super) handle_unsuback: for<'a> fn(&mut State<'a>, &'a mut Packet<'a>),
    /// The broker has begun a new session.
    pub(super) handle_lost: fn(&mut State<'_>),
}

pub(crate) static UNSUBSCRIBING: Unsubscribing = Unsubscribing {
    detach: |state, index| state.end_with_inbox(index),
    next: |routes| routes.next_unsubscribe(),
    handle_unsuback: |state, packet| {
        state.routes.handle_unsuback(packet);
        state.sort();
    },
    handle_lost: |state| {
        state.routes.handle_lost();
        state.sort();
    },
};

impl fmt::Debug for Unsubscribing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unsubscribing")
    }
}

impl State<'_> {
    fn end_with_inbox(&mut self, index: u16) {
        let is_transient = self.session.config().start == SessionStart::Transient;
        // the next connection begins a session, and nothing is left to be sent in it
        let is_unasked = !self.session.is_connected() && self.routes.are_answered();
        let Some(route) = self.routes.get(index) else {
            return;
        };
        if is_transient {
            route.holder = Holder::Never;
        }
        match route.stage {
            Stage::Wanted if is_transient && is_unasked => *route = Route::EMPTY,
            // once more, perhaps: the broker may have it
            Stage::Wanted | Stage::Asked | Stage::Granted if is_transient => {
                route.stage = Stage::Unwanted;
            }
            _ => {}
        }
    }
}
