//! The sending side: streams content in a process of its own, whose memory is measured.
use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    pin::Pin,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use mqtt_client::{Client, ConnectOptions, FileSource, PayloadSource, QoS, Subscription};
use support::Line;
use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader, ReadBuf},
    process::{Child, Command},
    time::timeout,
};

use crate::{
    arguments::{Place, Send},
    digest::Digest,
    memory::peak_kib,
    receive::READY,
};

/// Topic and payload of the longest message at QoS 1: the largest remaining length of MQTT without the length of the topic
/// and the packet id.
const LONGEST: u64 = 268_435_455 - 4;

pub(crate) async fn run(arguments: Send) -> Result<()> {
    let (path, _invented) = content(&arguments).await?;
    let mut place = arguments.place;
    let _receiver = if arguments.no_receiver {
        None
    } else {
        Some(start_receiver(&mut place).await?)
    };
    let url = place.broker.as_deref().context("no broker")?;
    let line = Line::new();
    let mut options: ConnectOptions = url.parse()?;
    if arguments.cut {
        options = options.connector(line.connector());
    }
    let client = Client::connect(options).await.context("cannot connect")?;
    let mut verdicts = client.subscribe(place.verdict(), QoS::AtLeastOnce).await?;

    // everything that a small upload needs is in memory after it: what a large one needs more is its own
    let small = invent(1_024)?;
    let mut upload = Upload {
        client: &client,
        place: &place,
        verdicts: &mut verdicts,
    };
    upload
        .send(Watched::new(small.path().into(), ProgressBar::hidden(), None).await?)
        .await?;
    let before = peak_kib();

    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(
        "{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
    )?);
    let cut = arguments.cut.then_some(line);
    let source = Watched::new(path, bar, cut).await?;
    println!("{}", upload.send(source).await?);
    let after = peak_kib();

    let stats = client.stats();
    println!("connections: {}", stats.connections);
    match before.zip(after) {
        Some((before, after)) => println!(
            "peak memory (VmHWM): {before} KiB after 1 KiB, {after} KiB after the whole: {} KiB more",
            after - before
        ),
        None => println!("peak memory: this system does not tell"),
    }
    drop(verdicts);
    client.disconnect().await?;
    Ok(())
}

struct Upload<'a> {
    client: &'a Client,
    place: &'a Place,
    verdicts: &'a mut Subscription,
}

impl Upload<'_> {
    /// Announces the content, sends it, and returns what the receiving side says about it.
    async fn send(&mut self, source: Watched) -> Result<String> {
        let digest = Digest::of(File::open(source.file.path())?)?;
        self.client
            .publish(self.place.announcement(), digest.as_str())
            .qos(QoS::AtLeastOnce)
            .await?;
        let bar = source.bar.clone();
        let topic = self.place.content();
        self.client
            .publish_stream(&topic, source)
            .await
            .context("cannot send the content")?;
        bar.finish();
        let verdict = timeout(Duration::from_secs(60), self.verdicts.next())
            .await
            .context("the receiving side does not answer")?
            .context("the stream has ended")??;
        let verdict = String::from_utf8_lossy(verdict.payload()).into_owned();
        ensure!(
            verdict == format!("right: {digest}"),
            "sent {digest}, and the receiving side says {verdict}"
        );
        Ok(format!("received {verdict}"))
    }
}

/// A file that tells how far it was read.
struct Watched {
    file: FileSource,
    bar: ProgressBar,
    cut: Option<Arc<Cut>>,
}

/// Cuts the line when half of the file was read for the first time.
struct Cut {
    line: Line,
    half: u64,
    done: AtomicBool,
}

impl Watched {
    async fn new(path: PathBuf, bar: ProgressBar, cut: Option<Line>) -> Result<Self> {
        let file = open(&path).await?;
        bar.set_length(file.len());
        let half = file.len() / 2;
        let cut = cut.map(|line| {
            Arc::new(Cut {
                line,
                half,
                done: AtomicBool::new(false),
            })
        });
        Ok(Self { file, bar, cut })
    }
}

impl PayloadSource for Watched {
    type Reader = WatchedReader;

    fn len(&self) -> u64 {
        self.file.len()
    }

    async fn open(&self) -> io::Result<WatchedReader> {
        // a lost connection begins it anew
        self.bar.set_position(0);
        Ok(WatchedReader {
            file: self.file.open().await?,
            bar: self.bar.clone(),
            cut: self.cut.clone(),
        })
    }
}

struct WatchedReader {
    file: tokio::fs::File,
    bar: ProgressBar,
    cut: Option<Arc<Cut>>,
}

impl AsyncRead for WatchedReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = buffer.filled().len();
        ready!(Pin::new(&mut self.file).poll_read(cx, buffer))?;
        self.bar.inc((buffer.filled().len() - filled) as u64);
        if let Some(cut) = &self.cut
            && self.bar.position() >= cut.half
            && !cut.done.swap(true, Ordering::Relaxed)
        {
            self.bar
                .suspend(|| println!("half is read: the connection is cut"));
            cut.line.cut();
        }
        Poll::Ready(Ok(()))
    }
}

/// The receiving side in another process; it ends with this value.
async fn start_receiver(place: &mut Place) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("receive").args(["--topic", &place.topic]);
    if let Some(url) = &place.broker {
        command.args(["--broker", url]);
    }
    let mut child = command
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start the receiving process")?;
    let output = child
        .stdout
        .take()
        .context("no output of the receiving process")?;
    let mut lines = BufReader::new(output).lines();
    let line = lines.next_line().await?.unwrap_or_default();
    let at = line
        .strip_prefix(READY)
        .context("the receiving process did not start")?;
    place.broker.get_or_insert_with(|| at.to_owned());
    Ok(child)
}

/// The file to send, and what keeps it if it is an invented one. Nothing was started yet: what is too long is refused.
async fn content(arguments: &Send) -> Result<(PathBuf, Option<NamedTempFile>)> {
    let len = match &arguments.file {
        Some(path) => open(path).await?.len(),
        None => arguments.size,
    };
    let longest = LONGEST - arguments.place.content().len() as u64;
    ensure!(
        len <= longest,
        "{len} bytes are too long for a message of MQTT, which holds {longest} with this topic"
    );
    match &arguments.file {
        Some(path) => Ok((path.clone(), None)),
        None => {
            let file = invent(arguments.size)?;
            Ok((file.path().to_owned(), Some(file)))
        }
    }
}

async fn open(path: &Path) -> Result<FileSource> {
    let is_url = path.to_string_lossy().contains("://");
    ensure!(!is_url, "FILE is a URL: a broker is named by --broker URL");
    let file = FileSource::new(path).await;
    file.with_context(|| format!("cannot read {}", path.display()))
}

/// A file of `len` bytes that do not repeat soon.
fn invent(len: u64) -> Result<NamedTempFile> {
    let file = NamedTempFile::new().context("cannot create a file")?;
    let mut out = BufWriter::new(file.as_file());
    for word in 0..len / 8 {
        out.write_all(&word.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())?;
    }
    out.write_all(&[0; 8][..(len % 8) as usize])?;
    out.flush()?;
    drop(out);
    Ok(file)
}
