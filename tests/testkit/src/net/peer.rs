use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::net::SocketAddr;

use mqtt_codec::wire::{Packet, PacketId, PacketType, SubAck, SubAckCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::PATIENCE;
use super::port::loopback;
use super::step::{PeerScript, Step};
use crate::Frame;

/// A broker that plays a script for each connection, and closes those after the last script at once.
#[derive(Debug)]
pub struct ScriptedPeer {
    address: SocketAddr,
    played: watch::Receiver<Vec<Played>>,
    task: JoinHandle<()>,
}

/// How a script went.
#[derive(Clone, Debug)]
pub struct Played {
    /// Number of the connection, from 0.
    pub connection: usize,
    /// The whole packets that the client has sent.
    pub frames: Vec<Frame>,
    /// What did not go as the script said.
    pub failure: Option<String>,
}

impl ScriptedPeer {
    /// Listens, and plays the first script for the first connection and so on.
    ///
    /// # Panics
    /// There is no free port.
    pub async fn start(scripts: impl IntoIterator<Item = PeerScript>) -> Self {
        let listener = TcpListener::bind(loopback(0))
            .await
            .expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let (sender, played) = watch::channel(Vec::new());
        let task = tokio::spawn(serve(listener, scripts.into_iter().collect(), sender));
        Self {
            address,
            played,
            task,
        }
    }

    /// Where the client connects to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until so many scripts were played, each as it says.
    ///
    /// # Panics
    /// One was not, or not in time.
    pub async fn played(&self, count: usize) -> Vec<Played> {
        let mut played = self.played.clone();
        let enough = |played: &Vec<Played>| {
            played.len() >= count || played.iter().any(|one| one.failure.is_some())
        };
        let played = timeout(PATIENCE, played.wait_for(enough)).await;
        let Ok(Ok(played)) = played else {
            panic!(
                "{} of {count} scripts were played in time",
                self.played.borrow().len()
            );
        };
        for one in played.iter() {
            if let Some(failure) = &one.failure {
                panic!(
                    "connection {}: {failure}; received {:?}",
                    one.connection, one.frames
                );
            }
        }
        played.clone()
    }
}

impl Drop for ScriptedPeer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    scripts: VecDeque<PeerScript>,
    sender: watch::Sender<Vec<Played>>,
) {
    let mut scripts = scripts.into_iter().enumerate();
    let mut players = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        if let Some((connection, script)) = scripts.next() {
            players.spawn(play(stream, connection, script, sender.clone()));
        }
    }
}

async fn play(
    stream: TcpStream,
    connection: usize,
    script: PeerScript,
    sender: watch::Sender<Vec<Played>>,
) {
    let stalls = script.steps.last() == Some(&Step::Stall);
    let mut player = Player {
        stream,
        buffer: Vec::new(),
        frames: Vec::new(),
    };
    let failure = player.play(script).await.err();
    sender.send_modify(|played| {
        played.push(Played {
            connection,
            frames: std::mem::take(&mut player.frames),
            failure,
        });
    });
    if stalls {
        // The connection is kept open, unread.
        pending().await
    }
}

struct Player {
    stream: TcpStream,
    /// Received and not taken.
    buffer: Vec<u8>,
    frames: Vec<Frame>,
}

impl Player {
    async fn play(&mut self, script: PeerScript) -> Result<(), String> {
        for (number, step) in script.steps.into_iter().enumerate() {
            if matches!(step, Step::Close | Step::Stall) {
                return Ok(());
            }
            let what = format!("step {number}, {step:?}");
            match timeout(PATIENCE, self.step(step)).await {
                Err(_) => return Err(format!("{what}: not in time")),
                Ok(Err(failure)) => return Err(format!("{what}: {failure}")),
                Ok(Ok(())) => {}
            }
        }
        self.receive_rest().await
    }

    async fn step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Expect(packet_type) => {
                let frame = self.next_frame().await?;
                if frame.packet_type() != packet_type {
                    return Err(format!("got {frame:?}"));
                }
            }
            Step::ExpectBytes(bytes) => {
                while self.buffer.len() < bytes.len() {
                    self.receive_some().await?;
                }
                let got: Vec<u8> = self.buffer.drain(..bytes.len()).collect();
                if got != bytes {
                    return Err(format!("got {got:02x?}"));
                }
            }
            Step::ExpectClose => return self.expect_close().await,
            Step::Send(bytes) => self.send(&bytes).await?,
            Step::Reply => {
                let frame = self.frames.last().ok_or("nothing to answer")?;
                let reply = reply(frame.packet()).ok_or("nothing answers that")?;
                self.send(&reply).await?;
            }
            Step::CloseWrite => self.stream.shutdown().await.map_err(text)?,
            Step::Close | Step::Stall => {}
        }
        Ok(())
    }

    async fn expect_close(&mut self) -> Result<(), String> {
        let before = self.frames.len();
        self.receive_rest().await?;
        match &self.frames[before..] {
            [] => Ok(()),
            [one] if one.packet_type() == PacketType::Disconnect => Ok(()),
            more => Err(format!("got {more:?}")),
        }
    }

    /// Receives until the client closes.
    async fn receive_rest(&mut self) -> Result<(), String> {
        while self.receive().await.is_ok_and(|read| read > 0) {}
        while let Some(frame) = self.take_frame()? {
            self.frames.push(frame);
        }
        Ok(())
    }

    async fn next_frame(&mut self) -> Result<Frame, String> {
        loop {
            if let Some(frame) = self.take_frame()? {
                self.frames.push(frame.clone());
                return Ok(frame);
            }
            self.receive_some().await?;
        }
    }

    fn take_frame(&mut self) -> Result<Option<Frame>, String> {
        let Some((_, len)) = Packet::decode(&self.buffer).map_err(text)? else {
            return Ok(None);
        };
        let bytes: Vec<u8> = self.buffer.drain(..len).collect();
        Ok(Frame::all(&bytes).pop())
    }

    async fn receive_some(&mut self) -> Result<(), String> {
        match self.receive().await.map_err(text)? {
            0 => Err("the client has closed".to_owned()),
            _ => Ok(()),
        }
    }

    async fn receive(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 4096];
        let read = self.stream.read(&mut buffer).await?;
        self.buffer.extend(&buffer[..read]);
        Ok(read)
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.write_all(bytes).await.map_err(text)
    }
}

/// What a broker without a session answers.
fn reply(packet: Packet<'_>) -> Option<Vec<u8>> {
    let with_id = |first: u8, id: PacketId| {
        let [high, low] = id.get().to_be_bytes();
        vec![first, 2, high, low]
    };
    Some(match packet {
        Packet::Connect(_) => vec![0x20, 2, 0, 0],
        Packet::Publish(publish) => with_id(0x40, publish.delivery.packet_id()?),
        Packet::Subscribe(subscribe) => {
            let codes = subscribe.filters().map(|(_, qos)| SubAckCode::Granted(qos));
            let suback = SubAck::new(subscribe.id(), codes)?;
            let mut bytes = vec![0; suback.encoded_len().ok()?];
            suback.encode(&mut bytes).ok()?;
            bytes
        }
        Packet::Unsubscribe(unsubscribe) => with_id(0xB0, unsubscribe.id()),
        Packet::PingReq => vec![0xD0, 0],
        _ => return None,
    })
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::script;

    const CONNECT: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c";
    const PUBLISH: &[u8] = b"\x32\x06\x00\x01t\x00\x07m";

    async fn connect(peer: &ScriptedPeer) -> TcpStream {
        let mut stream = TcpStream::connect(peer.address()).await.unwrap();
        stream.write_all(CONNECT).await.unwrap();
        stream
    }

    async fn read(stream: &mut TcpStream, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        stream.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    #[tokio::test]
    async fn plays_one_script_for_each_connection() {
        let peer = ScriptedPeer::start([
            script()
                .accept()
                .expect(PacketType::Publish)
                .reply()
                .close(),
            script()
                .resume()
                .expect_bytes(PUBLISH)
                .send([0xD0, 0])
                .expect_close(),
        ])
        .await;
        let mut first = connect(&peer).await;
        first.write_all(PUBLISH).await.unwrap();
        assert_eq!(read(&mut first, 8).await, [0x20, 2, 0, 0, 0x40, 2, 0, 7]);
        assert_eq!(first.read(&mut [0; 1]).await.unwrap(), 0);
        let mut second = connect(&peer).await;
        second.write_all(PUBLISH).await.unwrap();
        assert_eq!(read(&mut second, 6).await, [0x20, 2, 1, 0, 0xD0, 0]);
        drop(second);
        let played = peer.played(2).await;
        assert_eq!(played[0].frames[1].bytes(), PUBLISH);
        let mut third = TcpStream::connect(peer.address()).await.unwrap();
        assert_eq!(third.read(&mut [0; 1]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn answers_a_subscribe_for_each_of_its_filters() {
        let peer = ScriptedPeer::start([script()
            .accept()
            .expect(PacketType::Subscribe)
            .reply()
            .close_write()])
        .await;
        let mut stream = connect(&peer).await;
        stream
            .write_all(b"\x82\x0a\x00\x09\x00\x01a\x01\x00\x01b\x00")
            .await
            .unwrap();
        assert_eq!(read(&mut stream, 10).await[4..], [0x90, 4, 0, 9, 1, 0]);
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
        stream.write_all(&[0xC0, 0]).await.unwrap();
        drop(stream);
        assert_eq!(peer.played(1).await[0].frames.len(), 3);
    }

    #[tokio::test]
    #[should_panic(expected = "connection 0: step 0, Expect(Subscribe): got")]
    async fn tells_which_step_went_wrong() {
        let peer = ScriptedPeer::start([script().expect(PacketType::Subscribe)]).await;
        let _stream = connect(&peer).await;
        peer.played(1).await;
    }

    #[tokio::test]
    async fn a_stalled_connection_stays_open() {
        let peer = ScriptedPeer::start([script().accept().stall()]).await;
        let mut stream = connect(&peer).await;
        read(&mut stream, 4).await;
        peer.played(1).await;
        let more = timeout(std::time::Duration::from_millis(50), stream.read_u8());
        assert!(more.await.is_err());
        drop(peer);
        assert!(stream.read_u8().await.is_err());
    }
}
