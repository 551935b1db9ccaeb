//! A payload streamed at QoS 1 by a process of its own, which tells its peak memory; `mosquitto_sub` has the last word on
//! what has arrived.
mod noise;

use std::{
    fmt,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use mqtt_client::{BackoffOptions, Client, ConnectOptions, source_fn};
use ring::digest::{Context, SHA256};
use testkit::net::{Counters, Direction, Fault, Listener, Mosquitto, Plan, Proxy};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
    time::timeout,
};

use self::noise::Noise;
use crate::memory::peak_kib;

/// What is uploaded, and how.
#[derive(Clone, Copy, Debug)]
pub struct Upload {
    /// Length of the payload.
    pub bytes: u64,
    /// What happens to the link.
    pub link: Link,
}

/// What happens to the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Nothing.
    Whole,
    /// It is cut when half of the payload has gone through.
    CutAtHalf,
}

/// What has come of an [`Upload`].
#[derive(Clone, Debug)]
pub struct Report {
    /// What was uploaded.
    pub upload: Upload,
    /// SHA-256 of what was sent.
    pub sent: String,
    /// SHA-256 of what `mosquitto_sub` has got.
    pub received: String,
    /// Largest resident set of the sending process after 1 KiB, in KiB.
    pub peak_small: u64,
    /// The same after the whole.
    pub peak_large: u64,
    /// What the proxy saw.
    pub counters: Counters,
    /// From the first byte to the acknowledgement.
    pub duration: Duration,
}

const SMALL: u64 = 1_024;
const PATIENCE: Duration = Duration::from_secs(300);

impl Upload {
    /// Does it. `program` is the one that calls [`send`].
    ///
    /// # Errors
    /// The processes cannot be run, or fail.
    ///
    /// # Panics
    /// The broker or the proxy cannot be set up.
    pub async fn run(self, program: &Path) -> Result<Report> {
        let broker = Mosquitto::start().await;
        let fault = (self.link == Link::CutAtHalf).then_some(Fault::CutAfterBytes {
            direction: Direction::ToBroker,
            bytes: self.bytes / 2,
        });
        let proxy = Proxy::start(broker.address(Listener::Plain), Plan::scripted([fault])).await;

        // The broker keeps it for this session till it is asked for.
        let subscribed = judge(&broker).arg("-E").status().await?;
        ensure!(subscribed.success(), "mosquitto_sub: {subscribed}");

        let url = format!("mqtt://{}?client_id=upload", proxy.address());
        let mut sender = Command::new(program);
        sender.args(["send", &url, &self.bytes.to_string()]);
        let output = timeout(PATIENCE, sender.kill_on_drop(true).output()).await??;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "the sender has failed: {complaint}"
        );
        let [peak_small, peak_large, millis] = numbers(&said).context("not what a sender says")?;

        let mut receiver = judge(&broker)
            .args(["-N", "-C", "1"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let payload = receiver.stdout.take().context("is piped")?;
        let received = timeout(PATIENCE, digest(payload)).await??;
        Ok(Report {
            upload: self,
            sent: digest(Noise::new(self.bytes)).await?,
            received,
            peak_small,
            peak_large,
            counters: proxy.counters(),
            duration: Duration::from_millis(millis),
        })
    }
}

/// The sending process: 1 KiB first, so that all that any upload needs is there; then the whole.
///
/// # Errors
/// The broker is not there, or the client gives up.
pub async fn send(url: &str, bytes: u64) -> Result<()> {
    let options: ConnectOptions = url.parse()?;
    let soon = BackoffOptions::default().min(Duration::from_millis(10));
    let client = Client::connect(options.backoff(soon)).await?;
    let noise = |bytes| source_fn(bytes, move || async move { Ok(Noise::new(bytes)) });
    client.publish_stream("upload/small", noise(SMALL)).await?;
    let peak_small = peak_kib();
    let begin = Instant::now();
    client.publish_stream("upload/large", noise(bytes)).await?;
    let millis = begin.elapsed().as_millis();
    println!("{peak_small} {} {millis}", peak_kib());
    client.disconnect().await?;
    Ok(())
}

fn judge(broker: &Mosquitto) -> Command {
    let mut command = Command::new("mosquitto_sub");
    command
        .args(["-h", "127.0.0.1", "-p"])
        .arg(broker.address(Listener::Plain).port().to_string())
        .args(["-q", "1", "-c", "-i", "judge", "-t", "upload/large"]);
    command
}

fn numbers<const N: usize>(line: &str) -> Option<[u64; N]> {
    let numbers: Vec<u64> = line
        .split_whitespace()
        .map_while(|number| number.parse().ok())
        .collect();
    numbers.try_into().ok()
}

async fn digest(mut content: impl AsyncRead + Unpin) -> Result<String> {
    let mut context = Context::new(&SHA256);
    let mut chunk = vec![0; 64 * 1_024];
    let mut bytes = 0;
    loop {
        let read = content.read(&mut chunk).await?;
        if read == 0 {
            break;
        }
        context.update(&chunk[..read]);
        bytes += read;
    }
    let hash = context.finish();
    let hash: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    Ok(format!("{bytes} bytes, {hash}"))
}

impl Report {
    /// What the sender needed more for the whole than for 1 KiB, in KiB.
    #[must_use]
    pub const fn growth_kib(&self) -> u64 {
        self.peak_large - self.peak_small
    }

    /// Whether the content is right, memory has grown by less than 1 MiB, and the link was cut if it was to be.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let cuts = usize::from(self.upload.link == Link::CutAtHalf);
        self.sent == self.received && self.growth_kib() < 1_024 && self.counters.cuts == cuts
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.duration.as_secs_f64();
        writeln!(
            f,
            "link      {:?}, {} cuts",
            self.upload.link, self.counters.cuts
        )?;
        writeln!(f, "sent      {}", self.sent)?;
        writeln!(f, "received  {}", self.received)?;
        writeln!(f, "seconds   {seconds:.1}")?;
        write!(
            f,
            "VmHWM     {} KiB after 1 KiB, {} KiB after the whole: {} KiB more",
            self.peak_small,
            self.peak_large,
            self.growth_kib()
        )
    }
}
