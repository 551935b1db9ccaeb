use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// A port of the loopback interface that nobody listens on.
///
/// Below the range from which outgoing connections take theirs, so that nobody else takes it while its owner is
/// stopped for a while. Drawn at random, so that tests running at once hardly ever draw the same.
pub(super) fn free_port() -> u16 {
    loop {
        let random = RandomState::new().hash_one(()) as u16;
        let port = 10_000 + random % 22_000;
        if TcpListener::bind(loopback(port)).is_ok() {
            return port;
        }
    }
}

pub(super) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
