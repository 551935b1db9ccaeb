//! The application that runs on the real chips as well.

use testkit::net::{Listener, Mosquitto, Subscriber};

use super::{Lab, Measured};

/// The LED is switched by `mosquitto_pub`, uptime and free heap are seen by `mosquitto_sub`.
pub(crate) async fn application(lab: Lab) -> Measured {
    let broker = Mosquitto::start().await;
    let judge = Subscriber::start(&broker, "mqboard/#").await;
    let port = broker.address(Listener::Plain).port();
    let machine = lab.firmware("application").with("port", port).start();
    let seen = judge.wait_for(4).await;
    for (topic, at_least) in [("mqboard/uptime", 0), ("mqboard/heap", 100_000)] {
        let values: Vec<u64> = seen
            .iter()
            .filter(|message| message.topic == topic)
            .map(|message| String::from_utf8_lossy(&message.payload).parse())
            .collect::<Result<_, _>>()
            .expect("numbers are published");
        assert!(values.len() >= 2, "{topic}: {values:?}");
        assert!(
            values.iter().all(|&value| value >= at_least),
            "{topic}: {values:?}"
        );
    }

    for (message, lines) in [
        ("on", &["the pin of the LED is on", "LED on"][..]),
        ("dim", &["neither `on` nor `off`"]),
        ("off", &["the pin of the LED is off", "LED off"]),
    ] {
        broker.publish("mqboard/led", 1, [message.to_owned()]).await;
        for line in lines {
            machine.wait_for(line).await;
        }
    }
    vec!["LED switched, uptime and free heap seen".to_owned()]
}
