//! Child processes and the folder they work in.
//!
//! How can it be that nothing keeps running, even after a panic, a Ctrl-C or `kill -9`? Each [`Sandbox`]
//! has a small guard: a shell in a process group of its own, that reads from a pipe which we alone hold
//! open. When we end, however that comes about, the system closes the pipe; the guard reads the end of
//! its input, kills what we had started and removes the folder. An orderly end takes the same way.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::error::{DemoError, Result};

/// What the guard runs. A process is killed only if its command line still names the folder, so that a
/// process id that the system has given to somebody else does no harm.
const GUARD: &str = r#"
trap '' INT TERM HUP
dir=$1
pids=
while read -r verb pid; do
    case $verb in
        started) pids="$pids $pid" ;;
        ended)
            kept=
            for p in $pids; do [ "$p" = "$pid" ] || kept="$kept $p"; done
            pids=$kept
            ;;
    esac
done
for p in $pids; do
    if tr '\0' ' ' <"/proc/$p/cmdline" 2>/dev/null | grep -qF -- "$dir"; then kill -9 "$p"; fi
done
rm -rf -- "$dir" || { sleep 1; rm -rf -- "$dir"; }
"#;

/// A folder of our own with the processes started in it. The last clone to go takes both away.
#[derive(Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
    guard: Child,
    /// Closed first on drop: that is what tells the guard to clean up.
    to_guard: Mutex<Option<ChildStdin>>,
}

impl Sandbox {
    /// Creates the folder `<parent>/<label>-<random>` and its guard.
    ///
    /// # Errors
    /// When the folder cannot be created or there is no `sh`.
    pub fn new(parent: &Path, label: &str) -> Result<Self> {
        let dir = parent.join(format!("{label}-{}-{:08x}", std::process::id(), rand::random::<u32>()));
        fs::create_dir_all(&dir)
            .map_err(|e| DemoError::io(format!("create the folder {}", dir.display()), e))?;
        let dir = dir.canonicalize().map_err(|e| DemoError::io(format!("resolve {}", dir.display()), e))?;
        let mut guard = Command::new("sh")
            .args(["-c", GUARD, "crossweave-guard"])
            .arg(&dir)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|e| DemoError::io("start the guard process with `sh`", e))?;
        let to_guard = Mutex::new(guard.stdin.take());
        Ok(Self { inner: Arc::new(Inner { dir, guard, to_guard }) })
    }

    /// A sandbox under the system's folder for temporary files.
    ///
    /// # Errors
    /// As [`Sandbox::new`].
    pub fn temporary(label: &str) -> Result<Self> {
        Self::new(&std::env::temp_dir(), label)
    }

    /// The folder, as an absolute path.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// Creates a folder inside and returns its path.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn subfolder(&self, name: &str) -> Result<PathBuf> {
        let dir = self.dir().join(name);
        fs::create_dir_all(&dir)
            .map_err(|e| DemoError::io(format!("create the folder {}", dir.display()), e))?;
        Ok(dir)
    }

    /// Starts `command` with both outputs appended to `log`, no input, in a process group of its own, so that
    /// a Ctrl-C in the terminal reaches us alone and we decide the order of the ending.
    ///
    /// The command line has to name the sandbox's folder; the guard recognises its processes by that.
    ///
    /// # Errors
    /// When the log cannot be opened or the program cannot be started.
    pub fn spawn(&self, name: &str, mut command: Command, log: &Path) -> Result<Process> {
        let opening = |e| DemoError::io(format!("open the log file {}", log.display()), e);
        let out = File::options().create(true).append(true).open(log).map_err(opening)?;
        let err = out.try_clone().map_err(opening)?;
        let child =
            command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0).spawn().map_err(|e| {
                DemoError::io(format!("start {name} ({})", command.get_program().to_string_lossy()), e)
            })?;
        self.inner.tell("started", child.id());
        Ok(Process { child, name: name.to_owned(), log: log.to_owned(), ended: None, sandbox: self.clone() })
    }
}

impl Inner {
    fn tell(&self, verb: &str, pid: u32) {
        if let Some(pipe) = self.to_guard.lock().as_mut() {
            // A guard that somebody has killed cannot be told; our own `Drop` still cleans up.
            let _ = writeln!(pipe, "{verb} {pid}");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(self.to_guard.lock().take());
        let _ = self.guard.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// One running program. Dropping it kills it and waits for its end.
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
    ended: Option<ExitStatus>,
    sandbox: Sandbox,
}

/// How often a process is asked whether it has ended. A blocking wait would have to own the process, and an
/// asynchronous one belongs to one runtime, while tests share servers between runtimes.
const POLL: Duration = Duration::from_millis(5);

impl Process {
    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it is called in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that holds what it has printed.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines that it has printed, for messages.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        log_tail(&self.log, lines)
    }

    /// The exit status if it has ended, without waiting.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none()
            && let Ok(Some(status)) = self.child.try_wait()
        {
            self.sandbox.inner.tell("ended", self.child.id());
            self.ended = Some(status);
        }
        self.ended
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) {
        if self.ended().is_some() {
            return;
        }
        let _ = self.child.kill();
        if let Ok(status) = self.child.wait() {
            self.sandbox.inner.tell("ended", self.child.id());
            self.ended = Some(status);
        }
    }

    /// Sends a signal by its name, say `TERM` or `INT`.
    ///
    /// # Errors
    /// When the process has ended or the signal's name is unknown.
    pub fn signal(&mut self, signal: &str) -> Result<()> {
        let sent = match self.ended() {
            Some(status) => Err(io::Error::other(format!("it has ended with {status}"))),
            None => Command::new("sh")
                .args(["-c", "kill -s \"$1\" \"$2\"", "sh", signal, &self.id().to_string()])
                .stderr(Stdio::null())
                // Or a second Ctrl-C would end it before it has sent anything.
                .process_group(0)
                .status(),
        };
        match sent {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(DemoError::io(
                format!("send {signal} to {}", self.name),
                io::Error::other(format!("`kill` ended with {status}")),
            )),
            Err(e) => Err(DemoError::io(format!("send {signal} to {}", self.name), e)),
        }
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// When it is still running after `limit`; it goes on running then.
    pub async fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                return Err(DemoError::StillRunning {
                    name: self.name.clone(),
                    waited: limit,
                    log: self.log.clone(),
                    tail: self.log_tail(20),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// What `attempt` gives once it succeeds; until then it is made again and again.
    ///
    /// # Errors
    /// When the process ends first, or `limit` has passed; the error has the last attempt's reason and shows the end
    /// of the log.
    pub async fn until<T>(
        &mut self,
        limit: Duration,
        mut attempt: impl AsyncFnMut() -> std::result::Result<T, String>,
    ) -> Result<T> {
        let deadline = Instant::now() + limit;
        loop {
            let last = match attempt().await {
                Ok(made) => return Ok(made),
                Err(reason) => reason,
            };
            if let Some(status) = self.ended() {
                return Err(self.died(status));
            }
            if Instant::now() > deadline {
                return Err(DemoError::NotReady {
                    name: self.name.clone(),
                    waited: limit,
                    last,
                    log: self.log.clone(),
                    tail: self.log_tail(20),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// SIGTERM, then waits for the end.
    ///
    /// # Errors
    /// When it is still running after `limit`; it is killed then.
    pub async fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.ended() {
            return Ok(status);
        }
        self.signal("TERM")?;
        let ended = self.wait(limit).await;
        if ended.is_err() {
            self.kill();
        }
        ended
    }

    /// The error for a process that ended while it was still needed, with the end of its log.
    #[must_use]
    pub fn died(&self, status: ExitStatus) -> DemoError {
        DemoError::Died {
            name: self.name.clone(),
            status: status.to_string(),
            log: self.log.clone(),
            tail: self.log_tail(20),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The last `lines` lines of a file; empty when it cannot be read.
#[must_use]
pub fn log_tail(file: &Path, lines: usize) -> String {
    let text = fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let all: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// The ports that [`free_port`] gives: below those that Linux hands to outgoing connections, so that a server
/// which is stopped for a while finds its port free again.
const PORTS: std::ops::Range<u32> = 20_000..32_000;

/// A port on loopback that nobody listens on, and that this process has not been given before (until all
/// have been given once).
///
/// # Errors
/// When none is free.
pub fn free_port() -> Result<u16> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    static START: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    let count = PORTS.end - PORTS.start;
    let start = *START.get_or_init(|| rand::random_range(0..count));
    for _ in 0..count {
        let offset = (start + GIVEN.fetch_add(1, Ordering::Relaxed)) % count;
        let Ok(port) = u16::try_from(PORTS.start + offset) else { continue };
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(DemoError::NoFreePort { from: PORTS.start, to: PORTS.end })
}
