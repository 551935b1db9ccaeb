//! What a received message holds.
use mqtt_client::{Address, Client, ConnectOptions, QoS};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::{answer, counting};

/// What is not the message: the receive buffer above all.
const OTHER: isize = 100_000;

/// Answers, and sends one message of `len` bytes to `t` once it is subscribed to.
async fn serve(mut stream: DuplexStream, len: usize) {
    let mut input = vec![0; 1_024];
    let mut output = Vec::new();
    while let Ok(n @ 1..) = stream.read(&mut input).await {
        answer(&input[..n], &mut output);
        stream.write_all(&output).await.unwrap();
        if input[0] == 0x82 {
            let remaining = len + 3;
            let byte = |shift: u32| (remaining >> shift) as u8;
            let header = [0x30, byte(0) | 0x80, byte(7) | 0x80, byte(14) & 0x7F];
            stream.write_all(&header).await.unwrap();
            stream.write_all(b"\x00\x01t").await.unwrap();
            for _ in 0..len / 1_000 {
                stream.write_all(&[7; 1_000]).await.unwrap();
            }
        }
        output.clear();
    }
}

#[tokio::test]
async fn a_message_holds_its_own_bytes_alone_however_it_came() {
    for len in [700_000, 900_000, 1_100_000, 1_400_000] {
        let address = Address::tcp("broker.test", 1883).unwrap();
        let options = ConnectOptions::new(address).connector(move |_: Address| {
            let (ours, theirs) = duplex(4_096);
            tokio::spawn(serve(theirs, len));
            async { Ok(ours) }
        });
        let client = Client::connect(options).await.unwrap();
        counting::reset();
        let mut stream = client.subscribe("t", QoS::AtMostOnce).await.unwrap();
        let message = stream.next().await.unwrap().unwrap();
        assert_eq!(message.payload().len(), len);
        let held = counting::heap().live;
        assert!(held < len as isize + OTHER, "{held} bytes for {len}");
    }
}
