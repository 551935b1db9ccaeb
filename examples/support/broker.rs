//! A broker in this process, so that an example runs without any installation.
use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};

/// Starts a broker on a free port of the loopback interface and returns where it listens. It ends with the process.
///
/// It is a broker for examples: it forgets everything with the process, and it wants a keep alive above zero.
pub fn start_broker() -> Result<SocketAddr> {
    let address = free_address().context("no free port for the broker in this process")?;
    let mut broker = Broker::new(config(address));
    // `start` returns only if it failed, for instance because somebody else took the port meanwhile
    let running = thread::Builder::new()
        .name("broker".to_owned())
        .spawn(move || drop(broker.start()))?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(address).is_err() {
        let alive = !running.is_finished() && Instant::now() < deadline;
        ensure!(alive, "the broker in this process did not start");
        thread::sleep(Duration::from_millis(5));
    }
    Ok(address)
}

fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn config(listen: SocketAddr) -> Config {
    let server = ServerSettings {
        name: "examples".to_owned(),
        listen,
        tls: None,
        next_connection_delay_ms: 1,
        connections: ConnectionSettings {
            connection_timeout_ms: 10_000,
            // the largest packet of MQTT
            max_payload_size: 268_435_460,
            max_inflight_count: 100,
            auth: None,
            external_auth: None,
            // without it a message that nobody has subscribed to yet ends its publisher's connection
            dynamic_filters: true,
        },
    };
    Config {
        router: RouterConfig {
            max_connections: 100,
            max_outgoing_packet_count: 200,
            max_segment_size: 104_857_600,
            max_segment_count: 10,
            ..RouterConfig::default()
        },
        v4: Some(HashMap::from([("examples".to_owned(), server)])),
        ..Config::default()
    }
}
