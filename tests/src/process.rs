//! Child processes: started with their output in a file, killed or stopped on demand, and never
//! left behind, even if the harness itself is killed.

use crate::{story, wait};
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};
use std::{
    fs::OpenOptions,
    io::Write,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{LazyLock, mpsc},
    time::Duration,
};

/// How long a process may take to stop by itself when it is asked to.
pub const STOP_MAX: Duration = Duration::from_secs(20);

/// A running child process. Dropped, it is killed.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program with its output appended to the log file of this name.
    pub fn start(name: &str, command: Command) -> Result<Self> {
        Self::start_with_log(name, command, story::new_log(name)?)
    }

    /// Starts a program with its output appended to a given file, for one that is started often.
    pub fn start_with_log(name: &str, mut command: Command, log: PathBuf) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(&log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let program = command.get_program().to_owned();
        let child = spawn(command).with_context(|| format!("cannot start {program:?}"))?;
        Ok(Self { name: name.into(), child, log })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
    pub fn log_path(&self) -> &Path {
        &self.log
    }
    /// Everything that the process has written so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks the process to stop and waits until it has.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.exit(STOP_MAX).await
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(rustix::process::kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Waits until the process ends by itself.
    pub async fn exit(&mut self, within: Duration) -> Result<ExitStatus> {
        let name = self.name.clone();
        let child = &mut self.child;
        wait::until(&format!("{name} to end"), within, async || Ok(child.try_wait()?)).await
    }

    /// Waits until the log holds a text; fails at once if the process ends before.
    pub async fn says(&mut self, text: &str, within: Duration) -> Result<()> {
        let what = format!("{} to say `{text}`", self.name);
        wait::until(&what, within, async || {
            if self.log().contains(text) {
                return Ok(Some(()));
            }
            self.check_running()?;
            Ok(None)
        })
        .await
    }

    /// Fails with the end of the log if the process is not running any more.
    pub fn check_running(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended with {status}:\n{}", self.name, story::tail(&self.log));
        }
        Ok(())
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Proportional set size in bytes: shared pages count by their share.
    pub fn pss_bytes(&self) -> Result<u64> {
        let path = format!("/proc/{}/smaps_rollup", self.pid());
        let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
        let kib = text
            .lines()
            .find_map(|line| line.strip_prefix("Pss:"))
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|number| number.parse::<u64>().ok())
            .with_context(|| format!("{path} has no Pss line"))?;
        Ok(kib * 1024)
    }

    /// Processor time used so far, user and system.
    pub fn cpu_time(&self) -> Result<Duration> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        // The second field is the name in brackets and may itself hold blanks and brackets.
        let rest = text.rsplit_once(") ").context("stat has no name field")?.1;
        let ticks: u64 =
            rest.split(' ').skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
        Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already, which is what we want.
        let _ = self.kill();
    }
}

/// Runs a program to its end and gives back its standard output.
pub fn output(mut command: Command) -> Result<String> {
    let program = command.get_program().to_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot run {program:?}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} ended with {}:\n{stdout}{stderr}", output.status);
    }
    Ok(stdout)
}

/// Runs a program that reads its standard input to the end.
pub fn output_of_input(mut command: Command, input: &str) -> Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
    child.stdin.take().context("the input is a pipe")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!(
            "{command:?} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// One of the workspace's binaries, which cargo puts beside the program that runs now.
pub fn binary(name: &str) -> Result<PathBuf> {
    let mut folder = std::env::current_exe()?;
    while folder.pop() {
        let path = folder.join(name);
        if path.is_file() {
            return Ok(path);
        }
        if folder.file_name().is_some_and(|name| name == "debug" || name == "release") {
            break;
        }
    }
    bail!("{name} is not built: run `cargo build --workspace` (make does) before the tests")
}

/// A program of the system; `/usr/sbin` counts although it is not in everybody's PATH.
pub fn system_program(name: &str, install: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .with_context(|| format!("{name} is not installed: `apt-get install {install}`"))
}

type Spawned = std::io::Result<Child>;

/// The kernel kills a child when the *thread* that started it ends, so one thread that never ends
/// starts them all.
static SPAWNER: LazyLock<mpsc::SyncSender<(Command, mpsc::SyncSender<Spawned>)>> =
    LazyLock::new(|| {
        let (sender, receiver) = mpsc::sync_channel::<(Command, mpsc::SyncSender<Spawned>)>(1);
        std::thread::spawn(move || {
            for (mut command, reply) in receiver {
                // Who asked waits for the answer, so it is there.
                let _ = reply.send(command.spawn());
            }
        });
        sender
    });

fn spawn(mut command: Command) -> Spawned {
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; prctl is one.
    unsafe {
        command
            .pre_exec(|| Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?));
    }
    let (sender, receiver) = mpsc::sync_channel(1);
    SPAWNER.send((command, sender)).expect("the spawning thread never ends");
    receiver.recv().expect("the spawning thread always answers")
}
