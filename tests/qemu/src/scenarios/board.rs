//! The board by itself, without a client.

use std::time::{SystemTime, UNIX_EPOCH};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{Lab, Measured};

/// Clock, time of day, random numbers.
pub(crate) async fn sources(lab: Lab) -> Measured {
    let before = unix_ms();
    let first = lab.firmware("sources").start().end().await;
    let second = lab.firmware("sources").start().end().await;
    let after = unix_ms();
    for figures in [&first, &second] {
        let told: u128 = figures.number("unix_ms");
        // QEMU sets this clock to a whole second when it starts.
        assert!(
            (before - 1000..=after).contains(&told),
            "{told} is not between {before} and {after}"
        );
        let [timer, other]: [u32; 2] =
            ["timer_us", "other_timer_us"].map(|name| figures.number(name));
        // The upper bounds are for a host that is busy with something else.
        assert!((20_000..5_000_000).contains(&timer), "{timer}");
        assert!((50_000..5_000_000).contains(&other), "{other}");
    }
    let random = ["random_1", "random_2"]
        .map(|name| [&first, &second].map(|figures| figures.number::<u64>(name)));
    let mut random = random.concat();
    random.sort_unstable();
    random.dedup();
    assert_eq!(random.len(), 4, "a random number came twice");
    vec![format!(
        "a timer of 20 ms took {} us",
        first.number::<u32>("timer_us")
    )]
}

/// What is in flash survives a reset and a new start of QEMU.
pub(crate) async fn flash(lab: Lab) -> Measured {
    let folder = TempDir::new().expect("a folder can be made");
    for starts in [3, 4] {
        let firmware = lab.firmware("flash").with("starts", starts);
        let figures = firmware.start_in(folder.path()).end().await;
        assert_eq!(figures.number::<u32>("starts"), starts);
    }
    vec!["2 resets and 1 new QEMU survived".to_owned()]
}

/// DHCP, and bytes over TCP that come back.
pub(crate) async fn network(lab: Lab) -> Measured {
    const PIECES: usize = 500;
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("there is a port");
    let port = listener.local_addr().expect("it is bound").port();
    let firmware = lab
        .firmware("network")
        .with("port", port)
        .with("pieces", PIECES);
    let echoed = tokio::spawn(echo(listener));
    let figures = firmware.start().end().await;
    assert_eq!(echoed.await.expect("it does not panic"), PIECES * 1000);
    let took: u32 = figures.number("exchange_us");
    vec![
        format!("address after {} us", figures.number::<u32>("dhcp_us")),
        format!(
            "{} round trips of 1,000 bytes/s",
            PIECES as u64 * 1_000_000 / u64::from(took)
        ),
        format!("stack {} B", figures.number::<u32>("stack")),
    ]
}

/// Sends back to one peer what it sends, and says how much that was.
async fn echo(listener: TcpListener) -> usize {
    let (mut peer, _) = listener.accept().await.expect("it listens");
    let mut echoed = 0;
    let mut buffer = [0; 4096];
    loop {
        match peer.read(&mut buffer).await.expect("the board sends") {
            0 => return echoed,
            len => {
                peer.write_all(&buffer[..len])
                    .await
                    .expect("the board reads");
                echoed += len;
            }
        }
    }
}

fn unix_ms() -> u128 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.expect("it is later than 1970").as_millis()
}
