//! Operating a peer: its log files, bundles and the service manager, with real processes.

use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Longest wait for what should come at once.
const PATIENCE: Duration = Duration::from_secs(60);
const PASSPHRASE: &str = "correct horse battery staple";

struct Peer {
    directory: tempfile::TempDir,
}

/// A peer that runs; killed if the test forgets it.
struct Running {
    child: Child,
    link: String,
    _stdout: BufReader<ChildStdout>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended in order before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Peer {
    fn new() -> Self {
        let peer = Self { directory: tempfile::tempdir().expect("a directory") };
        peer.run(&["init", "--name", "ann", "--broker", &invite()]);
        peer
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netpay"));
        command.arg("--home").arg(self.home()).env("NETPAY_PASSPHRASE", PASSPHRASE).env_remove("NETPAY_HOME");
        command
    }

    fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> String {
        let output = self.command().args(args).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn up(&self, more: impl FnOnce(&mut Command)) -> Running {
        let mut command = self.command();
        more(&mut command);
        command.args(["--json", "up", "--listen", "/ip4/127.0.0.1/tcp/0", "--api", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it runs");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut said = String::new();
        stdout.read_line(&mut said).expect("where it is");
        let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
        Running { child, link: said["link"].as_str().expect("a link").to_owned(), _stdout: stdout }
    }
}

/// Of a broker that is not there: a peer runs without.
fn invite() -> String {
    let key = netpay_core::keys::SecretKey::from_seed(&[9; 32]).public();
    let node = libp2p::identity::Keypair::ed25519_from_bytes([8; 32]).expect("a key").public().to_peer_id();
    format!("netpay://{key}@town/ip4/127.0.0.1/tcp/9/p2p/{node}")
}

fn contains(bytes: &[u8], secret: &[u8]) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret)
}

#[test]
fn the_log_and_the_bundle_tell_no_secret() {
    let peer = Peer::new();
    let mut running = peer.up(|command| {
        command.arg("-vv");
    });
    let link: serde_json::Value = serde_json::from_str(&peer.run(&["--json", "open"])).expect("JSON");
    let other = link["url"].as_str().expect("a link").to_owned();
    peer.run(&["status"]);
    let first = peer.path().join("running.tar");
    peer.run(&[OsStr::new("support-bundle"), first.as_os_str()]);
    peer.run(&["stop"]);
    assert!(running.child.wait().expect("it ends").success());
    let second = peer.path().join("stopped.tar");
    peer.run(&[OsStr::new("support-bundle"), second.as_os_str()]);

    let log = peer.run(&["logs", "-n", "1000000"]);
    assert!(log.contains("starting") && log.contains("stopped"), "{log}");
    let token = |name: &str| fs::read_to_string(peer.home().join(name)).expect("a token").trim().to_owned();
    let key = |link: &str| link.split_once("key=").expect("a key").1.to_owned();
    let identity = fs::read(peer.home().join("identity.key")).expect("a key");
    let secrets = [
        PASSPHRASE.to_owned(),
        token("api-token"),
        token("api-token-read"),
        key(&running.link),
        key(&other),
        data_encoding::HEXLOWER.encode(&identity),
    ];
    let mut written = vec![first.clone(), second.clone()];
    let logs = fs::read_dir(peer.home().join("logs")).expect("logs");
    written.extend(logs.map(|file| file.expect("a file").path()));
    assert!(written.len() > 2);
    for path in &written {
        let bytes = fs::read(path).expect("a file");
        for secret in &secrets {
            let told = contains(&bytes, secret.as_bytes());
            assert!(secret.len() >= 16 && !told, "{} tells {secret}", path.display());
        }
        assert!(!contains(&bytes, &identity), "{}", path.display());
    }
    for bundle in [first, second] {
        let mut parts = tar::Archive::new(fs::File::open(&bundle).expect("a bundle"));
        let parts = parts.entries().expect("a tar file").map(|part| part.expect("a part"));
        let names: Vec<String> =
            parts.map(|part| part.path().expect("a name").display().to_string()).collect();
        for name in ["version.json", "settings.json", "doctor.json", "status.json", "sizes.json"] {
            assert!(names.iter().any(|other| other == name), "{name} is not among {names:?}");
        }
        assert!(names.iter().all(|name| name.ends_with(".json") || name.starts_with("logs/")), "{names:?}");
    }
}

#[test]
fn the_service_manager_hears_when_it_is_ready_and_when_it_stops() {
    let peer = Peer::new();
    let path = peer.path().join("manager");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    manager.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let hear = || {
        let mut said = [0; 256];
        let length = manager.recv(&mut said).expect("the peer says something");
        String::from_utf8_lossy(&said[..length]).trim().to_owned()
    };
    for signal in [Signal::TERM, Signal::INT] {
        let mut running = peer.up(|command| {
            command.env("NOTIFY_SOCKET", &path);
        });
        assert_eq!(hear(), "READY=1");
        peer.run(&["status"]);
        kill_process(Pid::from_child(&running.child), signal).expect("it runs");
        assert_eq!(hear(), "STOPPING=1");
        assert!(running.child.wait().expect("it ends").success());
        assert!(!peer.home().join("api-address").exists());
    }
}
