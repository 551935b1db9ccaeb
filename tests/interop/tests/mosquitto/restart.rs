//! A client's process that is gone for a while.
use std::process::Stdio;

use testkit::net::{Listener, Mosquitto, PATIENCE};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

#[tokio::test]
async fn what_waited_for_a_dead_process_is_received_by_the_next_one() {
    let broker = Mosquitto::start().await;
    // the declared subscription is the session's, once there is a message
    let mut first = Consumer::start(&broker, "0");
    first.expect("connected").await;
    broker.publish("late", 1, ["first".to_owned()]).await;
    first.expect("first").await;
    first.child.kill().await.unwrap();

    let payloads = || (0..100).map(|number| format!("waiting {number}"));
    broker.publish("late", 1, payloads()).await;

    let mut second = Consumer::start(&broker, "1000");
    second.expect("connected").await;
    let mut line = second.next().await;
    if line == "first" {
        // its acknowledgement died with the process
        line = second.next().await;
    }
    for payload in payloads() {
        assert_eq!(line, payload);
        if payload != "waiting 99" {
            line = second.next().await;
        }
    }
}

struct Consumer {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Consumer {
    fn start(broker: &Mosquitto, delay: &str) -> Self {
        let address = broker.address(Listener::Plain);
        let mut child = Command::new(env!("CARGO_BIN_EXE_late_consumer"))
            .args([&format!("mqtt://{address}?client_id=late"), "late", delay])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    async fn next(&mut self) -> String {
        timeout(PATIENCE, self.lines.next_line())
            .await
            .expect("a line in time")
            .unwrap()
            .expect("the process goes on")
    }

    async fn expect(&mut self, line: &str) {
        assert_eq!(self.next().await, line);
    }
}
