//! Traces, collected by somebody who publishes them. A process of its own: which traces are wanted is kept for all
//! threads of one.
use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock, mpsc},
    task::{Context, Poll},
    thread,
    time::Duration,
};

use client_tests::World;
use mqtt_client::{Address, Client, ConnectOptions, QoS, source_fn};
use tokio::{
    io::{AsyncRead, ReadBuf},
    runtime::Builder,
};
use tracing::{Metadata, span};

/// Collects traces, and publishes each, as one that sends logs over MQTT does.
struct Collector {
    client: Arc<OnceLock<Client>>,
    told: mpsc::Sender<String>,
}

impl tracing::Subscriber for Collector {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        if let Some(client) = self.client.get() {
            let _ = client.stats();
            client.publish("log", "x").try_enqueue().ok();
        }
        let mut text = String::new();
        event.record(
            &mut |_: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                text += &format!("{value:?} ");
            },
        );
        self.told.send(text).unwrap();
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[test]
fn who_collects_traces_may_publish_them() {
    let (told, traces) = mpsc::channel();
    let thread = thread::spawn(|| {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build();
        runtime.unwrap().block_on(fail_in_every_way(told));
    });
    // a deadlock stops the other thread for good
    let mut texts = String::new();
    while !texts.contains("closed disconnected") {
        let text = traces.recv_timeout(Duration::from_secs(20));
        texts += &text.expect("no deadlock");
        texts.push('\n');
    }
    thread.join().unwrap();
    for expected in [
        "failed",
        "stalled",
        "while this",
        "undeliverable",
        "`Unmatched::Discard`",
    ] {
        assert!(texts.contains(expected), "{expected}: {texts}");
    }
}

async fn fail_in_every_way(told: mpsc::Sender<String>) {
    let client = Arc::new(OnceLock::new());
    let collector = Collector {
        client: Arc::clone(&client),
        told,
    };
    let _guard = tracing::subscriber::set_default(collector);
    let world = World::default();
    let dialing = world.clone();
    let options = ConnectOptions::new(Address::tcp("broker.test", 1883).unwrap())
        .connector(move |_: Address| {
            let stream = dialing.dial();
            async { stream }
        })
        .client_id("client")
        .write_timeout(Duration::from_secs(2))
        .max_attempts(4);
    let connected = Client::connect(options).await.unwrap();
    let client = client.get_or_init(|| connected);
    let short = source_fn(2, || async { Ok(&b"1"[..]) });
    client.publish_stream("t", short).await.unwrap_err();
    let stalls = source_fn(1, || async { Ok(Stalled) });
    client.publish_stream("t", stalls).await.unwrap_err();
    drop(client.subscribe("old", QoS::AtLeastOnce).await.unwrap());
    world.broker(|broker| broker.publish("old", b"x", QoS::AtLeastOnce));
    world.broker(|broker| broker.close_on_topic = Some("poison".into()));
    let poison = client.publish("poison", "x").qos(QoS::AtLeastOnce);
    poison.await.unwrap_err();
    client.disconnect_within(Duration::from_secs(1)).await.ok();
    // the driver writes its last trace after that
    world.all_closed().await;
    tokio::task::yield_now().await;
}

/// Has no byte to give, ever.
struct Stalled;

impl AsyncRead for Stalled {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}
