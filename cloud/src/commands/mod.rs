//! The command line: one file per command, or per group of them.

mod archive;
mod audit;
mod authority;
mod configuration;
mod decode_again;
mod fleet;
mod gateway;
mod people;
mod reconcile;
mod restored;
pub mod serve;

use crate::{config::Config, store::Db};
use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use std::{
    io::{self, IsTerminal},
    path::PathBuf,
};
use tracing_subscriber::EnvFilter;

/// The cloud core of Chiasm: takes readings from gateways and files them into exam records.
#[derive(Debug, Parser)]
#[command(name = "chiasm-cloud", version, after_help = EXAMPLES)]
pub struct Cli {
    /// Configuration file.
    #[arg(
        long,
        value_name = "FILE",
        global = true,
        env = "CHIASM_CLOUD_CONFIG",
        default_value = "/etc/chiasm/cloud.toml"
    )]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  chiasm-cloud --config cloud.toml serve
  chiasm-cloud --config cloud.toml admin tenant add acme --name 'Acme Eye Care'
  chiasm-cloud --config cloud.toml admin gateway add acme gw-1 --location main --name 'Main street'";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the broker, ingest, pages and the gateway endpoint.
    Serve,
    /// Bring the database to this version and exit.
    Migrate,
    /// Manage practices, gateways and people; works beside a running `serve`.
    Admin {
        #[command(subcommand)]
        command: Admin,
    },
    /// Print a completion script for the shell.
    Completions { shell: clap_complete::Shell },
    /// Print the manual page.
    Man,
}

#[derive(Debug, Subcommand)]
enum Admin {
    #[command(flatten)]
    Fleet(fleet::FleetCommand),
    #[command(flatten)]
    Authority(authority::AuthorityCommand),
    #[command(flatten)]
    People(people::PeopleCommand),
    #[command(flatten)]
    Audit(audit::AuditCommand),
    /// Archives that readings are sent to as DICOM objects.
    #[command(subcommand)]
    Archive(archive::ArchiveCommand),
    /// Give stored bytes to the driver of this build again, after it was mended.
    DecodeAgain(decode_again::DecodeAgain),
    /// Once after the database was restored from a backup, before `serve`: ends the lane sessions
    /// that stand open in it.
    #[command(
        after_help = "Example:\n  chiasm-cloud admin restored --backup-from 2026-12-01T02:00:00Z\n\n\
        Gateways send again by themselves what the backup does not have. Who sat in which lane \
        since then nobody knows: what was measured waits for a person."
    )]
    Restored {
        /// When the backup was made.
        #[arg(long, value_name = "TIME")]
        backup_from: jiff::Timestamp,
    },
}

impl Cli {
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Completions { shell } => {
                clap_complete::generate(
                    shell,
                    &mut Self::command(),
                    "chiasm-cloud",
                    &mut io::stdout(),
                );
                return Ok(());
            }
            Command::Man => {
                clap_mangen::Man::new(Self::command()).render(&mut io::stdout())?;
                return Ok(());
            }
            _ => {}
        }
        start_log();
        // One provider for every TLS connection of the process; a second call would only say so.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = Config::load(&self.config)?;
        match self.command {
            Command::Serve => serve::run(config).await,
            Command::Migrate => open_store(&config).await.map(drop),
            Command::Admin { command: Admin::Fleet(command) } => {
                command.run(&open_store(&config).await?, &config).await
            }
            Command::Admin { command: Admin::Authority(command) } => command.run(&config),
            Command::Admin { command: Admin::Audit(command) } => {
                command.run(&open_store(&config).await?).await
            }
            Command::Admin { command: Admin::Archive(command) } => {
                command.run(&open_store(&config).await?).await
            }
            Command::Admin { command: Admin::DecodeAgain(command) } => {
                command.run(open_store(&config).await?, config).await
            }
            Command::Admin { command: Admin::Restored { backup_from } } => {
                restored::run(&open_store(&config).await?, backup_from).await
            }
            Command::Admin { command: Admin::People(command) } => {
                command.run(&open_store(&config).await?, &config).await
            }
            Command::Completions { .. } | Command::Man => Ok(()),
        }
    }
}

/// Logs go to standard error, so that answers on standard output can be piped.
fn start_log() {
    let filter = EnvFilter::try_from_env("CHIASM_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,rmqtt=warn,sqlx=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
}

/// Opens the database and brings it to this version.
async fn open_store(config: &Config) -> anyhow::Result<Db> {
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("cannot make data_dir {}", config.data_dir.display()))?;
    let db = Db::open(&config.store_url()).await?;
    db.migrate().await?;
    Ok(db)
}
