//! Messages both ways, and what they cost.

use testkit::net::{Listener, Mosquitto, Received, Subscriber};

use super::{Lab, Measured, thousands};
use crate::machine::Figures;

/// At each QoS, each way.
const COUNT: u32 = 2000;

/// Each message is compared byte by byte, and none is missing.
pub(crate) async fn messages(lab: Lab) -> Measured {
    let broker = Mosquitto::start().await;
    let judge = Subscriber::start(&broker, "up/#").await;
    let firmware = lab
        .firmware("messages")
        .with("port", broker.address(Listener::Plain).port());
    let mut machine = firmware
        .with("count", COUNT)
        .with("count_down", COUNT)
        .start();
    for (topic, qos) in [("down/1", 1), ("down/0", 0)] {
        machine.wait_for(&format!("ready for {topic}")).await;
        broker.publish(topic, qos, (0..COUNT).map(payload)).await;
    }
    let figures = machine.end().await;

    // mosquitto_sub subscribes at QoS 1, so that it is told the QoS of the publisher.
    let received = judge.wait_for(2 * COUNT as usize + 1).await;
    let at = |qos: u8| received.iter().filter(move |message| message.qos == qos);
    let expected = |topic, qos, payload: String| Received {
        topic: String::from(topic),
        qos,
        retain: 0,
        payload: payload.into_bytes(),
    };
    let end = expected("up/1", 1, "end".to_owned());
    let all = (0..COUNT).map(|number| expected("up/1", 1, payload(number)));
    assert!(
        at(1).cloned().eq(all.chain([end])),
        "the messages at QoS 1 differ"
    );
    let all = (0..COUNT).map(|number| expected("up/0", 0, payload(number)));
    assert!(at(0).cloned().eq(all), "the messages at QoS 0 differ");

    let mut measured: Vec<_> = ["qos1_out", "qos0_out", "qos1_in", "qos0_in"]
        .map(|way| format!("{way} {}/s", rate(&figures, way)))
        .to_vec();
    measured.push(format!("stack {} B", figures.number::<u32>("stack")));
    measured
}

/// Instructions for each message, network and all: what so many more of them cost, so that the rest falls out.
pub(crate) async fn instructions(lab: Lab) -> Measured {
    const FEW: u32 = 500;
    const MANY: u32 = 1500;
    let few = count(&lab, FEW).await;
    let many = count(&lab, MANY).await;
    ["qos1_out", "qos0_out", "qos1_in", "qos0_in"]
        .map(|way| {
            let name = format!("{way}_instructions");
            let more = many.number::<u32>(&name) - few.number::<u32>(&name);
            format!("{way} {}", thousands((more / (MANY - FEW)).into()))
        })
        .to_vec()
}

async fn count(lab: &Lab, messages: u32) -> Figures {
    let broker = Mosquitto::start().await;
    let firmware = lab
        .firmware("messages")
        .with("port", broker.address(Listener::Plain).port());
    let mut machine = firmware
        .with("count", messages)
        .with("count_down", messages)
        .counting()
        .start();
    for (topic, qos) in [("down/1", 1), ("down/0", 0)] {
        machine.wait_for(&format!("ready for {topic}")).await;
        broker.publish(topic, qos, (0..messages).map(payload)).await;
    }
    machine.end().await
}

fn rate(figures: &Figures, way: &str) -> String {
    let micros: u64 = figures.number(&format!("{way}_us"));
    thousands(u64::from(COUNT) * 1_000_000 / micros.max(1))
}

/// As the firmware makes them.
fn payload(number: u32) -> String {
    format!("{number:064x}")
}
