use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex},
    net::TcpListener,
};

use super::*;
use crate::options::ConnectOptions;

fn settings(options: ConnectOptions) -> Settings {
    options.settings().unwrap()
}

async fn open_first(options: ConnectOptions) -> Result<Transport, ConnectError> {
    let settings = settings(options);
    let deadline = Instant::now() + settings.tuning.connect_timeout;
    open(&settings, settings.address(0), deadline).await
}

/// Both ways through the transport, vectored out.
async fn carries_bytes(mut transport: Transport, mut peer: impl Stream) {
    assert!(
        transport
            .write_vectored(&[io::IoSlice::new(b"ping")])
            .await
            .unwrap()
            == 4
    );
    transport.flush().await.unwrap();
    let mut buffer = [0; 4];
    peer.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"ping");
    peer.write_all(b"pong").await.unwrap();
    transport.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"pong");
    transport.shutdown().await.unwrap();
    assert_eq!(peer.read(&mut buffer).await.unwrap(), 0);
}

#[tokio::test]
async fn opens_tcp_without_delay() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let transport = open_first(ConnectOptions::new(listener.local_addr().unwrap().into()))
        .await
        .unwrap();
    let Transport::Tcp(stream) = &transport else {
        panic!("{transport:?}");
    };
    assert!(stream.nodelay().unwrap());
    assert!(transport.is_write_vectored());
    let (peer, _) = listener.accept().await.unwrap();
    carries_bytes(transport, peer).await;
}

#[tokio::test]
async fn says_which_address_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = open_first(ConnectOptions::new(address.into()))
        .await
        .unwrap_err();
    assert!(
        matches!(error.failure(), ConnectFailure::Tcp(tcp) if tcp.attempts()[0].reason() == TcpReason::Refused)
    );
    assert_eq!(
        error.to_string(),
        format!("mqtt://{address}: {address} refused the connection")
    );
    assert!(!error.is_terminal());
}

#[tokio::test]
async fn says_which_name_is_not_found() {
    // RFC 6761: `invalid` never exists.
    let options = "mqtt://broker.invalid".parse().unwrap();
    let error = open_first(options).await.unwrap_err();
    assert!(
        matches!(error.failure(), ConnectFailure::NameNotFound(_)),
        "{error:?}"
    );
    let shown = error.to_string();
    assert!(
        shown.starts_with("mqtt://broker.invalid:1883: name not found"),
        "{shown}"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn opens_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let url = format!("unix:{}", path.display());
    let transport = open_first(url.parse().unwrap()).await.unwrap();
    assert!(transport.is_write_vectored());
    let (peer, _) = listener.accept().await.unwrap();
    carries_bytes(transport, peer).await;
}

#[cfg(unix)]
#[tokio::test]
async fn says_which_unix_socket_does_not_exist() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.sock");
    let error = open_first(ConnectOptions::new(Address::unix(&path).unwrap()))
        .await
        .unwrap_err();
    let not_found = matches!(error.failure(), ConnectFailure::UnixSocket(error) if error.kind() == io::ErrorKind::NotFound);
    assert!(not_found, "{error:?}");
    assert!(
        error.to_string().contains(path.to_str().unwrap()),
        "{error}"
    );
}

#[tokio::test]
async fn opens_what_a_connector_opens() {
    let (near, far) = duplex(64);
    let near = std::sync::Mutex::new(Some(near));
    let options: ConnectOptions = "mqtt://simulated".parse().unwrap();
    let options = options.connector(move |address: Address| {
        assert_eq!(address.to_string(), "mqtt://simulated:1883");
        let stream = near.lock().unwrap().take();
        async move { stream.ok_or_else(|| io::ErrorKind::AddrInUse.into()) }
    });
    carries_bytes(open_first(options.clone()).await.unwrap(), far).await;
    let error = open_first(options).await.unwrap_err();
    let told = matches!(error.failure(), ConnectFailure::Connector(error) if error.kind() == io::ErrorKind::AddrInUse);
    assert!(told, "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connector_must_be_done_within_the_connect_timeout() {
    struct Never;
    impl Connector for Never {
        type Stream = DuplexStream;

        async fn connect(&self, _: &Address) -> io::Result<DuplexStream> {
            std::future::pending().await
        }
    }
    let options: ConnectOptions = "mqtt://simulated?connect_timeout=7".parse().unwrap();
    let start = Instant::now();
    let error = open_first(options.connector(Never)).await.unwrap_err();
    let expected = ConnectPhase::Connector;
    assert!(matches!(error.failure(), ConnectFailure::TimedOut { during } if *during == expected));
    assert_eq!(start.elapsed().as_secs(), Duration::from_secs(7).as_secs());
}

#[cfg(feature = "ring")]
mod tls;
