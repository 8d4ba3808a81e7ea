//! A private PostgreSQL cluster for one test binary, and a fresh database for each test.

use std::{
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};
use tempfile::TempDir;

const MISSING: &str = "PostgreSQL's server programs are needed: apt-get install postgresql";

struct Cluster {
    dir: TempDir,
    bin: PathBuf,
}

static CLUSTER: OnceLock<Cluster> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The URL of a new empty database, as a role that is no superuser, so that row-level security
/// holds.
pub async fn fresh_database() -> String {
    let cluster = CLUSTER.get_or_init(Cluster::start);
    let name = format!("test{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    cluster.psql(&format!("CREATE DATABASE {name} OWNER chiasm"));
    let socket = cluster.dir.path().display().to_string().replace('/', "%2F");
    format!("postgres://chiasm@{socket}/{name}")
}

impl Cluster {
    fn start() -> Self {
        let bin = server_programs();
        let dir = tempfile::Builder::new().prefix("chiasm-pg").tempdir_in("/tmp").unwrap();
        let path = dir.path().to_owned();
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&path));
        }
        let cluster = Self { dir, bin };
        let data = path.join("data");
        let mut initdb = cluster.program("initdb");
        run(initdb.arg("-D").arg(&data).args(["-A", "trust", "-U", "postgres", "-E", "UTF8"]));
        // No network; and gone with the last test process, whatever happens to that.
        let options = format!("-k {} -c listen_addresses= -c max_connections=200", path.display());
        let mut start = cluster.program("pg_ctl");
        let log = path.join("log");
        run(start.arg("-D").arg(&data).arg("-l").arg(log).args(["-w", "-o", &options, "start"]));
        watch(std::process::id(), &cluster.bin, &data);
        cluster.psql("CREATE ROLE chiasm LOGIN");
        cluster
    }

    fn program(&self, name: &str) -> Command {
        as_postgres(self.bin.join(name))
    }

    fn psql(&self, sql: &str) {
        let mut psql = self.program("psql");
        psql.arg("-h").arg(self.dir.path()).args(["-U", "postgres", "-d", "postgres", "-c", sql]);
        run(&mut psql);
    }
}

/// Statics are not dropped: a shell waits for the end of this process and stops the cluster.
#[expect(clippy::zombie_processes, reason = "the shell outlives this process on purpose")]
fn watch(pid: u32, bin: &Path, data: &Path) {
    let (ctl, data) = (bin.join("pg_ctl"), data.display());
    let script = format!(
        "while kill -0 {pid} 2>/dev/null; do sleep 1; done; {} -D {data} -m immediate stop; \
         rm -rf {data}/..",
        ctl.display()
    );
    let mut shell = Command::new("sh");
    shell.arg("-c");
    if is_root() {
        // Root may always ask whether the process lives; the server's user may not.
        shell.arg(script.replace(
            &format!("{} -D", ctl.display()),
            &format!("runuser -u postgres -- {} -D", ctl.display()),
        ));
    } else {
        shell.arg(script);
    }
    let null = std::process::Stdio::null;
    shell.stdin(null()).stdout(null()).stderr(null()).process_group(0);
    shell.spawn().expect("a shell can be started");
}

fn server_programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect(MISSING);
    let mut bins: Vec<_> = versions.map(|version| version.unwrap().path().join("bin")).collect();
    bins.retain(|bin| bin.join("initdb").exists());
    bins.sort();
    bins.pop().expect(MISSING)
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("`id` runs");
    id.stdout == b"0\n"
}

/// The server refuses to run as root.
fn as_postgres(program: PathBuf) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program).current_dir("/tmp");
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|err| panic!("{MISSING} ({err})"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}");
}
