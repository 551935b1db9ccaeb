use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::{fs, io};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::PATIENCE;
use super::certificates::{Certificates, files};
use super::output::Output;
use super::port::{ReservedPort, loopback};

/// A mosquitto of one's own, with every kind of listener at once, killed when dropped.
#[derive(Debug)]
pub struct Mosquitto {
    running: Option<Running>,
    ports: [ReservedPort; Listener::ALL.len()],
    folder: TempDir,
    certificates: Certificates,
    /// What earlier processes have printed.
    earlier: Vec<Output>,
}

/// Where a [`Mosquitto`] listens. Each has a port of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Anyone.
    Plain,
    /// User [`Mosquitto::USER`] with [`Mosquitto::PASSWORD`].
    Password,
    /// TLS, with the right certificate.
    Tls,
    /// TLS, and the client needs a certificate too.
    ClientCertificate,
    /// TLS, with an expired certificate.
    Expired,
    /// TLS, with a certificate for another name.
    WrongName,
}

/// Settings of a [`Mosquitto`].
#[derive(Clone, Debug)]
pub struct MosquittoOptions {
    /// Default: [`Persistence::On`].
    pub persistence: Persistence,
    /// Messages that wait for one client. Default 0: no limit.
    pub max_queued_messages: u32,
    /// Further lines for its configuration, before its listeners. Default none.
    pub extra: String,
}

/// Whether sessions outlive the broker's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Persistence {
    /// Stored when it stops.
    #[default]
    On,
    /// Forgotten.
    Off,
}

#[derive(Debug)]
struct Running {
    process: Child,
    output: Output,
}

impl Listener {
    const ALL: [Self; 6] = [
        Self::Plain,
        Self::Password,
        Self::Tls,
        Self::ClientCertificate,
        Self::Expired,
        Self::WrongName,
    ];

    /// The name of the certificate's file.
    const fn certificate(self) -> Option<&'static str> {
        match self {
            Self::Plain | Self::Password => None,
            Self::Tls | Self::ClientCertificate => Some("server"),
            Self::Expired => Some("expired"),
            Self::WrongName => Some("wrong_name"),
        }
    }
}

impl Default for MosquittoOptions {
    fn default() -> Self {
        Self {
            persistence: Persistence::On,
            max_queued_messages: 0,
            extra: String::new(),
        }
    }
}

impl Mosquitto {
    /// Name of the user of [`Listener::Password`].
    pub const USER: &str = "user";
    /// Password of that user.
    pub const PASSWORD: &str = "secret";

    /// Starts one with the default options, and waits until it accepts connections.
    ///
    /// # Panics
    /// It is not installed, or does not start.
    pub async fn start() -> Self {
        Self::start_with(MosquittoOptions::default()).await
    }

    /// Starts one, and waits until it accepts connections.
    ///
    /// # Panics
    /// It is not installed, or does not start.
    pub async fn start_with(options: MosquittoOptions) -> Self {
        let folder = TempDir::new().expect("a folder can be made");
        let certificates = Certificates::new();
        certificates
            .write(folder.path())
            .expect("the folder can be written to");
        write_password(folder.path()).await;
        let mut mosquitto = Self {
            running: None,
            ports: Listener::ALL.map(|_| ReservedPort::new()),
            folder,
            certificates,
            earlier: Vec::new(),
        };
        mosquitto
            .configure(&options)
            .expect("the folder can be written to");
        if !mosquitto.launch().await {
            panic!("mosquitto does not start:\n{}", mosquitto.log());
        }
        mosquitto
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self, listener: Listener) -> SocketAddr {
        loopback(self.ports[listener as usize].number())
    }

    /// Path of its Unix socket, open to anyone.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Its certificates, and the client's.
    #[must_use]
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Everything it has printed, the earlier processes too.
    #[must_use]
    pub fn log(&self) -> String {
        let running = self.running.iter().map(|running| &running.output);
        let texts: Vec<String> = self
            .earlier
            .iter()
            .chain(running)
            .map(Output::text)
            .collect();
        texts.join("\n---\n")
    }

    /// Stops it with SIGTERM, so that it stores its sessions, and waits until it has ended.
    ///
    /// # Panics
    /// It does not end.
    pub async fn stop(&mut self) {
        let Some(mut running) = self.running.take() else {
            return;
        };
        let pid = running
            .process
            .id()
            .and_then(|pid| Pid::from_raw(pid as i32));
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM).expect("it is our child");
        }
        let ended = timeout(PATIENCE, running.process.wait()).await;
        self.earlier.push(running.output);
        ended
            .unwrap_or_else(|_| panic!("mosquitto does not end:\n{}", self.log()))
            .expect("it is our child");
    }

    /// Starts it again on the same ports, with what it has stored.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start_again(&mut self) {
        if self.running.is_none() && !self.launch().await {
            panic!("mosquitto does not start again:\n{}", self.log());
        }
    }

    /// [`stop`](Self::stop), then [`start_again`](Self::start_again).
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }

    /// As [`restart`](Self::restart), but everything that it had stored is gone.
    ///
    /// # Panics
    /// It does not start again, or its store cannot be removed.
    pub async fn wipe_store(&mut self) {
        self.stop().await;
        match fs::remove_file(self.folder.path().join("mosquitto.db")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("{error}"),
            _ => self.start_again().await,
        }
    }

    /// Publishes with `mosquitto_pub`, one message for each line that `payloads` yields, and waits until it has ended.
    ///
    /// # Panics
    /// It fails, or a payload contains a line feed.
    pub async fn publish(&self, topic: &str, qos: u8, payloads: impl IntoIterator<Item = String>) {
        let lines = payloads.into_iter().map(|payload| {
            assert!(!payload.contains('\n'), "one message is one line");
            format!("{payload}\n").into_bytes()
        });
        self.publish_input(topic, qos, "-l", lines).await;
    }

    /// Publishes one message of whatever bytes with `mosquitto_pub`, and waits until it has ended.
    ///
    /// # Panics
    /// It fails.
    pub async fn publish_bytes(&self, topic: &str, qos: u8, payload: Vec<u8>) {
        self.publish_input(topic, qos, "-s", [payload]).await;
    }

    async fn publish_input(
        &self,
        topic: &str,
        qos: u8,
        how: &str,
        pieces: impl IntoIterator<Item = Vec<u8>>,
    ) {
        let mut child = spawn(
            Command::new("mosquitto_pub")
                .args(["-h", "127.0.0.1", "-p"])
                .arg(self.address(Listener::Plain).port().to_string())
                .args(["-t", topic, "-q", &qos.to_string(), how])
                .stdin(Stdio::piped()),
        );
        let mut input = child.stdin.take().expect("is piped");
        for piece in pieces {
            input.write_all(&piece).await.expect("mosquitto_pub reads");
        }
        drop(input);
        let status = timeout(PATIENCE, child.wait())
            .await
            .expect("mosquitto_pub ends");
        assert!(status.expect("it is our child").success());
    }

    /// False if it ended at once.
    async fn launch(&mut self) -> bool {
        let mut process = spawn(
            Command::new(program())
                .arg("-c")
                .arg(self.folder.path().join("mosquitto.conf"))
                .stderr(Stdio::piped()),
        );
        let output = Output::collect(process.stderr.take().expect("is piped"), |_| true);
        // Printed when all listeners listen.
        let is_up = |lines: &[String]| lines.iter().any(|line| line.ends_with(" running"));
        let runs = output.wait("sign of mosquitto running", is_up).await;
        self.running = Some(Running { process, output });
        if runs {
            self.greet().await.expect("it accepts connections");
        } else {
            self.stop().await;
        }
        runs
    }

    /// Connects and disconnects. Before its main loop answers, a SIGTERM would be forgotten.
    async fn greet(&self) -> io::Result<()> {
        let mut stream = UnixStream::connect(self.socket()).await?;
        stream
            .write_all(b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04test")
            .await?;
        stream.read_exact(&mut [0; 4]).await?;
        stream.write_all(&[0xE0, 0]).await
    }

    fn configure(&self, options: &MosquittoOptions) -> io::Result<()> {
        let folder = self.folder.path();
        let persistence = options.persistence == Persistence::On;
        let mut text = format!(
            "per_listener_settings true\nuser root\nlog_dest stderr\nlog_type error\nlog_type warning\n\
             log_type notice\nlog_type information\npersistence {persistence}\npersistence_location {}/\n\
             max_queued_messages {}\n{}\nlistener 0 {}\nallow_anonymous true\n",
            folder.display(),
            options.max_queued_messages,
            options.extra,
            self.socket().display(),
        );
        for (listener, port) in Listener::ALL.into_iter().zip(&self.ports) {
            write_listener(&mut text, listener, port.number(), folder);
        }
        fs::write(folder.join("mosquitto.conf"), text)
    }
}

fn write_listener(text: &mut String, listener: Listener, port: u16, folder: &Path) {
    let anonymous = listener != Listener::Password;
    let folder_name = folder.display();
    let mut line = |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("is a string");
    line(format_args!("listener {port} 127.0.0.1"));
    line(format_args!("allow_anonymous {anonymous}"));
    if !anonymous {
        line(format_args!("password_file {folder_name}/passwords"));
    }
    if let Some(name) = listener.certificate() {
        let [certificate, key] = files(folder, name);
        line(format_args!("cafile {folder_name}/authority.pem"));
        line(format_args!("certfile {}", certificate.display()));
        line(format_args!("keyfile {}", key.display()));
    }
    if listener == Listener::ClientCertificate {
        line(format_args!("require_certificate true"));
    }
}

async fn write_password(folder: &Path) {
    let mut child = spawn(
        Command::new("mosquitto_passwd")
            .args(["-b", "-c"])
            .arg(folder.join("passwords"))
            .args([Mosquitto::USER, Mosquitto::PASSWORD]),
    );
    let status = timeout(PATIENCE, child.wait())
        .await
        .expect("mosquitto_passwd ends");
    assert!(status.expect("it is our child").success());
}

/// Debian's package puts it where only root looks.
fn program() -> &'static str {
    if Path::new("/usr/sbin/mosquitto").exists() {
        "/usr/sbin/mosquitto"
    } else {
        "mosquitto"
    }
}

/// Starts a program of the packages mosquitto and mosquitto-clients, killed when dropped.
pub(super) fn spawn(command: &mut Command) -> Child {
    command.kill_on_drop(true).spawn().unwrap_or_else(|error| {
        let program = command.as_std().get_program().display();
        panic!("{program}: {error}; `apt-get install mosquitto mosquitto-clients` installs it")
    })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;
    use crate::net::Subscriber;

    const CONNECT: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c";

    #[tokio::test]
    async fn accepts_connections_as_soon_as_it_is_started() {
        let mosquitto = Mosquitto::start().await;
        for listener in [Listener::Plain, Listener::Password] {
            let mut stream = TcpStream::connect(mosquitto.address(listener))
                .await
                .unwrap();
            stream.write_all(CONNECT).await.unwrap();
            let mut connack = [0; 4];
            stream.read_exact(&mut connack).await.unwrap();
            let code = if listener == Listener::Plain { 0 } else { 5 };
            assert_eq!(connack, [0x20, 2, 0, code]);
        }
        let mut stream = UnixStream::connect(mosquitto.socket()).await.unwrap();
        stream.write_all(CONNECT).await.unwrap();
        let mut connack = [0; 4];
        stream.read_exact(&mut connack).await.unwrap();
        assert_eq!(connack, [0x20, 2, 0, 0]);
    }

    /// What `mosquitto_pub` says of a listener.
    async fn try_publish(mosquitto: &Mosquitto, listener: Listener, arguments: &[&Path]) -> bool {
        let mut child = spawn(
            Command::new("mosquitto_pub")
                .args(["-h", "127.0.0.1", "-t", "t", "-m", "m", "-q", "1", "-p"])
                .arg(mosquitto.address(listener).port().to_string())
                .args(arguments)
                .stderr(Stdio::null()),
        );
        timeout(PATIENCE, child.wait())
            .await
            .unwrap()
            .unwrap()
            .success()
    }

    #[tokio::test]
    async fn each_listener_wants_what_it_is_named_after() {
        let mosquitto = Mosquitto::start().await;
        let folder = mosquitto.folder.path();
        let authority = folder.join("authority.pem");
        let [certificate, key] = files(folder, "client");
        fs::write(&certificate, &mosquitto.certificates().client.certificate).unwrap();
        fs::write(&key, &mosquitto.certificates().client.key).unwrap();
        let trust: &[&Path] = &["--cafile".as_ref(), &authority];
        let own = [
            trust,
            &["--cert".as_ref(), &certificate, "--key".as_ref(), &key],
        ]
        .concat();
        let login: &[&Path] = &[
            "-u".as_ref(),
            "user".as_ref(),
            "-P".as_ref(),
            "secret".as_ref(),
        ];
        for (listener, arguments, succeeds) in [
            (Listener::Password, login, true),
            (Listener::Password, &[], false),
            (Listener::Tls, trust, true),
            (Listener::Expired, trust, false),
            (Listener::WrongName, trust, false),
            (Listener::ClientCertificate, trust, false),
            (Listener::ClientCertificate, &own, true),
        ] {
            let succeeded = try_publish(&mosquitto, listener, arguments).await;
            assert_eq!(succeeded, succeeds, "{listener:?}\n{}", mosquitto.log());
        }
    }

    #[tokio::test]
    async fn keeps_sessions_over_a_restart_until_its_store_is_wiped() {
        let mut mosquitto = Mosquitto::start().await;
        let address = mosquitto.address(Listener::Plain);
        drop(Subscriber::persistent(&mosquitto, "judge", "t").await);
        mosquitto.publish("t", 1, ["kept".to_owned()]).await;
        mosquitto.restart().await;
        assert_eq!(mosquitto.address(Listener::Plain), address);
        let subscriber = Subscriber::persistent(&mosquitto, "judge", "t").await;
        subscriber.wait_for(1).await;
        drop(subscriber);
        mosquitto.publish("t", 1, ["lost".to_owned()]).await;
        mosquitto.wipe_store().await;
        let subscriber = Subscriber::persistent(&mosquitto, "judge", "t").await;
        mosquitto.publish("t", 1, ["new".to_owned()]).await;
        let received = subscriber.wait_for(1).await;
        assert_eq!(received[0].payload, b"new");
    }

    #[tokio::test]
    async fn is_gone_when_stopped_and_when_dropped() {
        let mut mosquitto = Mosquitto::start().await;
        let address = mosquitto.address(Listener::Plain);
        mosquitto.stop().await;
        assert!(TcpStream::connect(address).await.is_err());
        assert!(mosquitto.log().contains("terminating"));
        mosquitto.start_again().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        drop(mosquitto);
        assert!(matches!(stream.read(&mut [0; 8]).await, Ok(0) | Err(_)));
    }
}
