//! A PostgreSQL cluster of one's own in a temporary folder, with full durability as installed.

use crate::{
    net,
    process::{self, Process, STOP_MAX},
    story, wait,
};
use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use std::{
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

const INSTALL: &str = "postgresql";
/// The owner of the databases of the product; no superuser, so that row-level security holds it.
pub const OWNER: &str = "chiasm";

/// A running cluster. Dropped, it is killed and its folder removed.
pub struct Postgres {
    server: Option<Process>,
    log: PathBuf,
    port: u16,
    programs: PathBuf,
    user: Option<User>,
    folder: TempDir,
}

#[derive(Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
}

impl Postgres {
    pub async fn start() -> Result<Self> {
        let programs = programs_folder()?;
        // PostgreSQL refuses to run as root; the package brings a user of its own.
        let user = if rustix::process::geteuid().is_root() { Some(system_user()?) } else { None };
        // Below the folder of temporary files, because another user must be able to get there.
        let folder = tempfile::Builder::new().prefix("chiasm-pg-").tempdir_in("/var/tmp")?;
        if let Some(user) = user {
            chown(folder.path(), Some(user.uid), Some(user.gid))?;
        }
        let data = folder.path().join("data");
        let mut initdb = command(&programs.join("initdb"), folder.path(), user);
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]);
        process::output(with_arg(initdb, "--pgdata", &data))?;
        let [port] = net::free_ports()?;
        let log = story::new_log("postgres")?;
        let mut cluster = Self { server: None, log, port, programs, user, folder };
        cluster.start_again().await?;
        cluster.sql("postgres", &format!("CREATE ROLE {OWNER} LOGIN CREATEDB"))?;
        Ok(cluster)
    }

    /// Ends every process of it at once, without a word to its clients; what was not committed is
    /// gone.
    pub async fn crash(&mut self) -> Result<()> {
        let mut server = self.server.take().context("PostgreSQL is not running")?;
        server.signal(Signal::QUIT)?;
        server.exit(STOP_MAX).await?;
        Ok(())
    }

    /// Starts the server and waits until it has recovered.
    pub async fn start_again(&mut self) -> Result<()> {
        let folder = self.folder.path();
        let mut server = command(&self.programs.join("postgres"), folder, self.user);
        server.arg("-D").arg(folder.join("data")).arg("-p").arg(self.port.to_string());
        server.arg("-k").arg(folder).args(["-h", "127.0.0.1"]);
        let mut server = Process::start_with_log("postgres", server, self.log.clone())?;
        wait::until("PostgreSQL to answer", wait::USUAL_MAX, async || {
            server.check_running()?;
            Ok(self.sql("postgres", "SELECT 1").ok().map(drop))
        })
        .await?;
        self.server = Some(server);
        Ok(())
    }

    /// Makes an empty database of the product's owner and gives its URL.
    pub fn create_database(&self, name: &str) -> Result<String> {
        self.sql("postgres", &format!("CREATE DATABASE {name} OWNER {OWNER}"))?;
        Ok(format!("postgres://{OWNER}@127.0.0.1:{}/{name}", self.port))
    }

    /// Runs SQL as the superuser and gives back unadorned rows.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let mut psql = command(&self.programs.join("psql"), self.folder.path(), self.user);
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"]);
        psql.args(["-U", "postgres", "-d", database, "-c", sql])
            .arg("-p")
            .arg(self.port.to_string());
        process::output(psql)
    }
}

fn command(program: &Path, folder: &Path, user: Option<User>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    if let Some(User { uid, gid }) = user {
        command.uid(uid).gid(gid);
    }
    command
}

fn with_arg(mut command: Command, name: &str, value: &Path) -> Command {
    command.arg(name).arg(value);
    command
}

/// Debian keeps the server's programs out of PATH, one folder per version; the newest is taken.
fn programs_folder() -> Result<PathBuf> {
    let mut folders: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, folder)| folder.join("initdb").is_file())
        .collect();
    folders.sort();
    if let Some((_, folder)) = folders.pop() {
        return Ok(folder);
    }
    let initdb = process::system_program("initdb", INSTALL)?;
    Ok(initdb.parent().context("a program stands in a folder")?.into())
}

fn system_user() -> Result<User> {
    let passwd = std::fs::read_to_string("/etc/passwd")?;
    for name in ["postgres", "nobody"] {
        let found = passwd.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [user, _, uid, gid, ..] = fields[..] else { return None };
            (user == name).then_some(())?;
            Some(User { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
        });
        if let Some(user) = found {
            return Ok(user);
        }
    }
    bail!("there is no user `postgres` or `nobody` to run PostgreSQL as")
}
