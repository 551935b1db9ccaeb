//! The application whose size is measured, while its broker restarts and its connections are cut.

use testkit::net::{
    Counters, Direction, Fault, Listener, Mosquitto, MosquittoOptions, Plan, Proxy, Subscriber,
};

use super::{Lab, Measured};
use crate::machine::{Figures, Machine};

const COMMANDS: usize = 300;

/// The broker restarts while commands and answers are under way.
pub(crate) async fn broker_restarted(lab: Lab) -> Measured {
    let mut trial = Trial::begin(&lab, Plan::faithful()).await;
    let under_way = |counters: &Counters| counters.pubacks >= COMMANDS / 4;
    trial.proxy.wait_until(under_way).await;
    trial.broker.restart().await;
    let (figures, counters) = trial.end().await;
    assert!(figures.number::<usize>("connections_lost") >= 1);
    measured(&figures, counters)
}

/// Connections are cut at all kinds of places, in the midst of packets too.
pub(crate) async fn link_cut(lab: Lab) -> Measured {
    const CUTS: usize = 10;
    let faults = (0..CUTS).map(|number| Some(fault(number as u32)));
    let trial = Trial::begin(&lab, Plan::scripted(faults)).await;
    let (figures, counters) = trial.end().await;
    assert_eq!(
        counters.cuts, CUTS,
        "not all were made while there was traffic"
    );
    assert!(counters.repeats > 0, "no cut left a message unacknowledged");
    measured(&figures, counters)
}

/// Beginning behind CONNECT, SUBSCRIBE and the first ping.
fn fault(number: u32) -> Fault {
    use Direction::{ToBroker, ToClient};
    match number % 5 {
        0 => Fault::CutInFlight { messages: 2 },
        1 => Fault::CutInPacket {
            direction: ToBroker,
            packets: 20 + number,
            bytes: 1 + number,
        },
        2 => Fault::CutInPacket {
            direction: ToClient,
            packets: 20 + number,
            bytes: 1 + number,
        },
        3 => Fault::CutAfterPackets {
            direction: ToBroker,
            packets: 30,
        },
        _ => Fault::CutAfterBytes {
            direction: ToClient,
            bytes: 500 + u64::from(number),
        },
    }
}

/// A board that repeats commands, its broker with a proxy in between, and a judge of what arrives.
struct Trial {
    broker: Mosquitto,
    judge: Subscriber,
    proxy: Proxy,
    machine: Machine,
}

impl Trial {
    /// Lets the board wait for its first ping, then sends the commands.
    async fn begin(lab: &Lab, plan: Plan) -> Self {
        // The board has room for three messages. mosquitto 2.0.11 lets more be under way than its limit says, five at a
        // limit of three; at a limit of one it keeps to it.
        let options = MosquittoOptions {
            extra: "max_inflight_messages 1\nset_tcp_nodelay true".to_owned(),
            ..MosquittoOptions::default()
        };
        let broker = Mosquitto::start_with(options).await;
        // Its session keeps what comes while it is not connected itself.
        let judge = Subscriber::persistent(&broker, "judge", "resumer/#").await;
        let proxy = Proxy::start(broker.address(Listener::Password), plan).await;
        let port = proxy.address().port();
        let machine = lab.firmware("resume").with("port", port).start();
        machine.wait_for("ready").await;
        proxy.wait_until(|counters| counters.pings > 0).await;
        broker
            .publish("resumer/commands", 1, (0..COMMANDS).map(command))
            .await;
        Self {
            broker,
            judge,
            proxy,
            machine,
        }
    }

    /// Lets the board come to its end. Each command must have been repeated to both topics, first repetitions in order,
    /// and each connection but the first must have resumed the session.
    async fn end(mut self) -> (Figures, Counters) {
        let empty = String::new();
        self.broker.publish("resumer/commands", 1, [empty]).await;
        let figures = self.machine.end().await;
        // Behind everything that the board has had acknowledged.
        self.broker
            .publish("resumer/over", 1, ["over".to_owned()])
            .await;
        let received = self.judge.wait_for_payload(b"over").await;
        for topic in ["resumer/begun", "resumer/done"] {
            let mut first = Vec::new();
            for message in received.iter().filter(|message| message.topic == topic) {
                let text = String::from_utf8_lossy(&message.payload).into_owned();
                if !first.contains(&text) {
                    first.push(text);
                }
            }
            let all: Vec<_> = (0..COMMANDS).map(command).collect();
            assert!(first == all, "{topic}: {first:?}");
        }
        let counters = self.proxy.counters();
        let resumed = self.machine.count("Connected { session: Present }");
        assert_eq!(resumed, counters.connections as usize - 1);
        (figures, counters)
    }
}

fn command(number: usize) -> String {
    format!("command {number:03}")
}

fn measured(figures: &Figures, counters: Counters) -> Measured {
    vec![
        format!("{COMMANDS} commands"),
        format!("{} connections", counters.connections),
        format!("{} messages repeated", counters.repeats),
        format!("{} pings", counters.pings),
        format!("stack {} B", figures.number::<u32>("stack")),
    ]
}
