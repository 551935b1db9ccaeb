//! The scenarios. None looks at which adapter it drives.
pub mod connecting;
pub mod consumers;
pub mod giving_up;
pub mod hostile;
pub mod keep_alive;
pub mod poison;
pub mod publishing;
pub mod resuming;
pub mod shutdown;
pub mod subscribing;
pub mod uploads;

use std::{fmt::Debug, future::Future, time::Duration};

use mqtt_codec::wire::{Delivery, Dup, Packet, QoS};
use testkit::Frame;
use tokio::{task::LocalSet, time::timeout};

use crate::{Adapter, Setup, World};

/// Runs one scenario; under the paused clock, one that hangs ends at once.
///
/// # Panics
/// It hangs.
pub async fn run(scenario: impl Future<Output = ()>) {
    let limited = timeout(Duration::from_secs(24 * 3_600), scenario);
    // clients whose futures stay on one thread are spawned on it
    LocalSet::new()
        .run_until(limited)
        .await
        .expect("the scenario comes to its end within a day");
}

/// Makes a test of each scenario, for the adapter given.
#[macro_export]
macro_rules! suite {
    ($adapter:ty) => {
        $crate::suite! {
            $adapter:
            connecting {
                connects_and_disconnects,
                each_refusal_ends_the_start_with_its_code,
                a_server_that_is_unavailable_is_tried_again,
                a_silent_server_fails_the_attempt_in_time,
                the_backoff_grows_while_nobody_listens,
                a_clean_slate_is_wiped_first_and_resumed_later,
                a_transient_session_is_clean_each_time,
            }
            publishing {
                qos_0_arrives_in_order,
                qos_1_completes_with_the_acknowledgement_and_not_before,
                a_window_of_messages_overlaps,
                acknowledgements_in_any_order_settle_their_own_messages,
                no_more_than_the_window_is_in_flight,
                a_full_outbox_makes_qos_1_wait,
                what_is_published_before_the_connection_arrives_in_order,
                flush_waits_for_the_transport,
            }
            resuming {
                a_cut_resends_with_dup_the_same_ids_and_order_before_anything_new,
                a_cut_at_every_byte_loses_and_reorders_nothing,
                a_cut_in_every_answer_of_the_broker_loses_nothing,
                random_cuts_lose_and_reorder_nothing,
                what_was_never_sent_goes_out_without_dup,
                a_lost_session_renews_subscriptions_before_any_publish,
                subscriptions_are_renewed_when_the_connack_of_a_new_session_was_lost,
                messages_that_outlived_their_session_outlive_a_resumed_connection_too,
                an_unacknowledged_subscribe_goes_out_again_with_its_id,
                an_unacknowledged_unsubscribe_goes_out_again_with_its_id,
                a_session_that_is_present_is_not_asked_for_subscriptions_again,
            }
            subscribing {
                a_subscription_receives_until_it_is_unsubscribed,
                declared_streams_keep_what_waited_at_the_broker,
                unmatched_messages_wait_for_the_default_stream,
                acknowledgements_leave_in_order_of_receipt,
                an_unacknowledged_message_comes_again,
                a_stale_acknowledgement_is_ignored,
                a_message_given_up_does_not_hold_back_the_later_ones,
                handling_a_message_may_publish_and_subscribe,
                handling_a_message_may_publish_with_a_queue_smaller_than_the_brokers_window,
            }
            poison {
                with_a_limit_it_fails_and_those_behind_it_arrive,
                without_a_limit_it_is_told_and_the_backoff_grows,
            }
            keep_alive {
                an_idle_link_is_kept_by_pings,
                a_link_that_only_receives_is_kept_by_pings,
                a_peer_that_swallows_everything_is_found_while_qos_0_flows,
                a_silent_peer_is_found_while_idle,
                a_transport_that_takes_nothing_is_dead,
                a_slow_transport_is_not_a_dead_one,
            }
            hostile {
                malformed_input_closes_with_the_rule_and_connects_again,
                unasked_answers_are_ignored,
            }
            consumers {
                a_full_queue_does_not_block_acknowledgements,
                a_consumer_that_awaits_publishes_gets_every_qos_1_message,
                a_sleeping_consumer_keeps_the_link_and_gets_every_qos_1_message,
            }
            giving_up {
                a_stream_dropped_unread_in_a_transient_session_leaves_the_window_open,
                unsubscribing_from_what_has_no_stream_leaves_the_window_open,
                unsubscribing_keeps_what_is_held_for_others,
                what_a_transient_session_gives_up_leaves_the_window_open,
                what_a_transient_session_discards_leaves_the_window_open,
                what_a_persistent_session_gives_up_comes_again_and_no_faster_than_the_stall_timeout,
            }
            uploads {
                a_source_arrives_whole,
                a_source_that_is_cut_is_sent_again,
                a_source_too_short_fails_alone,
                a_source_too_long_fails_alone,
                a_source_that_fails_half_way_fails_alone,
            }
            shutdown {
                disconnecting_drains,
                what_was_not_delivered_is_told,
                a_client_without_connection_still_ends,
                nothing_is_accepted_after_disconnect,
                streams_end_with_the_client,
            }
        }
    };
    ($adapter:ty: $($group:ident { $($scenario:ident,)* })*) => {
        $(mod $group {
            use super::*;
            $(
                #[::tokio::test(start_paused = true)]
                async fn $scenario() {
                    $crate::scenarios::run($crate::scenarios::$group::$scenario::<$adapter>()).await;
                }
            )*
        })*
    };
}

const QOS0: QoS = QoS::AtMostOnce;
const QOS1: QoS = QoS::AtLeastOnce;

/// A client that is connected.
async fn connect<A: Adapter>(world: &World, setup: Setup) -> A {
    let client = A::start(world, setup);
    client.connected().await.expect("the broker accepts");
    client
}

/// A PUBLISH at QoS 1, as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sent {
    id: u16,
    dup: Dup,
    payload: Vec<u8>,
}

/// Those of a connection, in order.
fn sent(frames: &[Frame]) -> Vec<Sent> {
    let publish = |frame: &Frame| match frame.packet() {
        Packet::Publish(publish) => match publish.delivery {
            Delivery::AtLeastOnce { id, dup } => Some(Sent {
                id: id.get(),
                dup,
                payload: publish.payload.to_vec(),
            }),
            _ => None,
        },
        _ => None,
    };
    frames.iter().filter_map(publish).collect()
}

/// The payload of the `n`-th message.
fn numbered(n: usize) -> Vec<u8> {
    n.to_string().into_bytes()
}

fn numbers(range: std::ops::Range<usize>) -> Vec<Vec<u8>> {
    range.map(numbered).collect()
}

/// It does not complete by itself.
async fn assert_pending<F>(future: &mut F)
where
    F: Future + Unpin,
    F::Output: Debug,
{
    let outcome = timeout(Duration::from_secs(1), future).await;
    assert!(outcome.is_err(), "completed: {outcome:?}");
}
