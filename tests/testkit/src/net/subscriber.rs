use std::process::Stdio;

use tokio::process::{Child, Command};

use super::mosquitto::{Listener, Mosquitto, spawn};
use super::output::Output;

/// `mosquitto_sub` at QoS 1: says what a broker delivers, in its order, without any code of ours. Reconnects by itself
/// when the broker restarts. Killed when dropped.
#[derive(Debug)]
pub struct Subscriber {
    output: Output,
    _process: Child,
}

/// A message that a [`Subscriber`] has printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Where it was published to.
    pub topic: String,
    /// 0 or 1.
    pub qos: u8,
    /// RETAIN flag, 0 or 1.
    pub retain: u8,
    /// The message.
    pub payload: Vec<u8>,
}

impl Subscriber {
    /// Subscribes, and waits until the broker has acknowledged it. The session ends with the connection.
    ///
    /// # Panics
    /// The program is missing, or the broker refuses.
    pub async fn start(broker: &Mosquitto, filter: &str) -> Self {
        Self::launch(broker, filter, &[]).await
    }

    /// As [`start`](Self::start), in the persistent session of this client id.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub async fn persistent(broker: &Mosquitto, client_id: &str, filter: &str) -> Self {
        Self::launch(broker, filter, &["-c", "-i", client_id]).await
    }

    async fn launch(broker: &Mosquitto, filter: &str, session: &[&str]) -> Self {
        // Unless it prints line by line, its debugging output waits for the first message.
        let mut process = spawn(
            Command::new("stdbuf")
                .args(["-oL", "mosquitto_sub", "-h", "127.0.0.1", "-p"])
                .arg(broker.address(Listener::Plain).port().to_string())
                .args(["-q", "1", "-d", "-F", FORMAT, "-t", filter])
                .args(session)
                .stdout(Stdio::piped()),
        );
        let pipe = process.stdout.take().expect("is piped");
        let output = Output::collect(pipe, |line| !line.starts_with("Client "));
        let is_active = |lines: &[String]| lines.iter().any(|line| line.starts_with("Subscribed"));
        let active = output.wait("subscription", is_active).await;
        assert!(active, "mosquitto_sub has ended:\n{}", output.text());
        Self {
            output,
            _process: process,
        }
    }

    /// Everything received so far, in order.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.output
            .read(|lines| lines.iter().filter_map(|line| parse_line(line)).collect())
    }

    /// Waits for at least `count` messages.
    ///
    /// # Panics
    /// They do not come in time, or `count` is 0.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let mut seen = 0;
        self.wait(|_| {
            seen += 1;
            seen >= count
        })
        .await
    }

    /// Waits until this payload has come.
    ///
    /// # Panics
    /// It does not come in time.
    pub async fn wait_for_payload(&self, payload: &[u8]) -> Vec<Received> {
        self.wait(|received| received.payload == payload).await
    }

    /// Shows each message once to `last`, until that is the last one to wait for.
    async fn wait(&self, mut last: impl FnMut(&Received) -> bool) -> Vec<Received> {
        let (mut shown, mut found) = (0, false);
        let came = self
            .output
            .wait("message", |lines| {
                found = found
                    || lines[shown..]
                        .iter()
                        .filter_map(|line| parse_line(line))
                        .any(|received| last(&received));
                shown = lines.len();
                found
            })
            .await;
        assert!(came, "mosquitto_sub has ended:\n{}", self.output.text());
        self.received()
    }
}

/// The payload in hexadecimal, the topic last: it alone may contain blanks.
const FORMAT: &str = "MESSAGE %q %r %x %t";

fn parse_line(line: &str) -> Option<Received> {
    let mut fields = line.strip_prefix("MESSAGE ")?.splitn(4, ' ');
    Some(Received {
        qos: fields.next()?.parse().ok()?,
        retain: fields.next()?.parse().ok()?,
        payload: parse_hex(fields.next()?)?,
        topic: fields.next()?.to_owned(),
    })
}

/// In plain loops: payloads of megabytes come here in builds without optimisation.
fn parse_hex(hex: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(hex.len() / 2);
    let (pairs, []) = hex.as_bytes().as_chunks() else {
        return None;
    };
    for &[high, low] in pairs {
        bytes.push(parse_digit(high)? << 4 | parse_digit(low)?);
    }
    Some(bytes)
}

fn parse_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sees_everything_published_after_it_was_started() {
        let broker = Mosquitto::start().await;
        let subscriber = Subscriber::start(&broker, "a/+").await;
        broker
            .publish("a/with blank", 1, ["one".to_owned(), String::new()])
            .await;
        broker.publish("a/b", 0, ["three".to_owned()]).await;
        let received = subscriber.wait_for_payload(b"three").await;
        assert_eq!(
            received,
            [
                ("a/with blank", 1, b"one".as_slice()),
                ("a/with blank", 1, b""),
                ("a/b", 0, b"three"),
            ]
            .map(|(topic, qos, payload)| Received {
                topic: topic.to_owned(),
                qos,
                retain: 0,
                payload: payload.to_vec(),
            })
        );
    }

    #[tokio::test]
    async fn a_persistent_one_gets_what_was_published_while_it_was_gone() {
        let broker = Mosquitto::start().await;
        drop(Subscriber::persistent(&broker, "judge", "t").await);
        broker.publish("t", 1, (0..50).map(|n| n.to_string())).await;
        let subscriber = Subscriber::persistent(&broker, "judge", "t").await;
        let received = subscriber.wait_for(50).await;
        assert!(
            received
                .iter()
                .map(|received| received.payload.clone())
                .eq((0..50).map(|n| n.to_string().into_bytes()))
        );
    }
}
