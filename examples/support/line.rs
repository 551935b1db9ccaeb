//! A link that can be cut.
use std::{future::Future, io, pin::Pin, sync::Arc};

use mqtt_client::Address;
use tokio::{
    io::{DuplexStream, copy_bidirectional, duplex},
    net::TcpStream,
    sync::watch,
};

/// The line between a client and its broker, to be cut at will.
///
/// Each connection goes through a task that copies bytes in both directions, and that ends as soon as the line changes:
/// to client and broker this looks like a cable that was pulled out.
#[derive(Debug, Clone)]
pub struct Line(Arc<watch::Sender<State>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Up,
    Down,
}

type Connecting = Pin<Box<dyn Future<Output = io::Result<DuplexStream>> + Send>>;

impl Line {
    /// A line that is up.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(State::Up)))
    }

    /// Ends every connection; new ones can be made at once.
    pub fn cut(&self) {
        self.0.send_replace(State::Up);
    }

    /// Ends every connection and takes no new one.
    pub fn take_down(&self) {
        self.0.send_replace(State::Down);
    }

    /// Takes new connections again.
    pub fn put_up(&self) {
        self.0.send_replace(State::Up);
    }

    /// Opens connections over this line, for [`ConnectOptions::connector`](mqtt_client::ConnectOptions::connector).
    pub fn connector(&self) -> impl Fn(Address) -> Connecting + Send + Sync + 'static {
        // the sender too: a line lasts as long as its connector
        let line = self.clone();
        move |address| Box::pin(connect(line.0.subscribe(), address))
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

async fn connect(mut line: watch::Receiver<State>, address: Address) -> io::Result<DuplexStream> {
    if *line.borrow() == State::Down {
        return Err(io::Error::new(
            io::ErrorKind::NetworkUnreachable,
            "the line is down",
        ));
    }
    let endpoint = address
        .endpoint()
        .ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "only TCP goes over a line"))?;
    let mut broker = TcpStream::connect((endpoint.host(), endpoint.port())).await?;
    broker.set_nodelay(true)?;
    let (client, mut far_end) = duplex(64 * 1_024);
    tokio::spawn(async move {
        tokio::select! {
            _ = line.changed() => {}
            _ = copy_bidirectional(&mut far_end, &mut broker) => {}
        }
    });
    Ok(client)
}
