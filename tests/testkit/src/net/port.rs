use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A port of the loopback interface for a program of ours to listen on, kept for it while it is stopped for a while.
///
/// It is below the range from which outgoing connections take theirs.
#[derive(Debug)]
pub(super) struct ReservedPort {
    number: u16,
    /// Bound, and not listening: it lets a listener in that reuses addresses, as brokers do, and no reservation.
    _socket: TcpSocket,
}

impl ReservedPort {
    /// One that nobody has, drawn at random.
    pub(super) fn new() -> Self {
        loop {
            let random = RandomState::new().hash_one(()) as u16;
            let number = 10_000 + random % 22_000;
            if let Ok(socket) = reserve(number) {
                return Self {
                    number,
                    _socket: socket,
                };
            }
        }
    }

    pub(super) const fn number(&self) -> u16 {
        self.number
    }
}

fn reserve(port: u16) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // alone, to begin with: it fails beside any other socket of that port
    socket.set_reuseaddr(false)?;
    socket.bind(loopback(port))?;
    socket.set_reuseaddr(true)?;
    Ok(socket)
}

pub(super) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn lets_its_listener_in_again_and_again_and_nobody_else_meanwhile() {
        let port = ReservedPort::new();
        for _ in 0..3 {
            assert!(reserve(port.number()).is_err());
            // one that reuses addresses
            let listener = TcpListener::bind(loopback(port.number())).unwrap();
            assert!(reserve(port.number()).is_err());
            drop(listener);
        }
        let number = port.number();
        drop(port);
        assert!(reserve(number).is_ok());
    }
}
