//! What an idle client gives back.
use std::time::Duration;

use mqtt_client::{Address, Client, ConnectOptions, QoS};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::sleep,
};

use super::{answer, counting};

const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Messages of a burst, each way.
const BURST: usize = 200;

/// Bytes that stay: about 80 for each place of a message that waited for its acknowledgement, and as many for each message of
/// the stream's last batch, 256 places each.
const LEFT: isize = 45_000;

/// Answers, and sends QoS 0 messages back; takes the same memory always.
async fn serve(mut stream: DuplexStream) {
    let mut input = vec![0; 1_024];
    let mut output = Vec::with_capacity(4_096);
    let mut filled = 0;
    while let Ok(n @ 1..) = stream.read(&mut input[filled..]).await {
        filled += n;
        let at = answer(&input[..filled], &mut output);
        input.copy_within(at..filled, 0);
        filled -= at;
        if stream.write_all(&output).await.is_err() {
            return;
        }
        output.clear();
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_burst_took_is_given_back() {
    let options = ConnectOptions::new(Address::tcp("broker.test", 1883).unwrap())
        .keep_alive(KEEP_ALIVE)
        .connector(|_: Address| {
            let (ours, theirs) = duplex(1_024);
            tokio::spawn(serve(theirs));
            async { Ok(ours) }
        });
    let client = Client::connect(options).await.unwrap();
    let mut stream = client.subscribe("t", QoS::AtMostOnce).await.unwrap();
    sleep(3 * KEEP_ALIVE).await;
    counting::reset();
    let mut acks = Vec::new();
    for _ in 0..BURST {
        client.publish("t", &[7; 64]).await.unwrap();
        let publish = client.publish("t", &[7; 64]).qos(QoS::AtLeastOnce);
        acks.push(publish.try_enqueue().unwrap());
    }
    for ack in acks {
        ack.await.unwrap();
    }
    let busy = counting::heap().live;
    for _ in 0..BURST {
        drop(stream.next().await.unwrap().unwrap());
    }
    sleep(3 * KEEP_ALIVE).await;
    let idle = counting::heap().live;
    assert!(
        busy > 2 * LEFT && idle <= LEFT,
        "{idle} bytes are left of {busy}"
    );
}
