//! What each command does.

mod configuration;
mod decode;
mod detect;
mod dicom;
mod instances;
mod listen;
mod spool;
mod support_bundle;
mod wipe;

use crate::{
    cli::{Cli, Command, ConfigCommand, EnrolArgs},
    config, drivers, enrol,
    lane_page::certificate,
    link::serial,
    supervisor, wipe as wipe_records,
};
use anyhow::Context;
use chiasm_drivers::{handbook, registry};
use clap::CommandFactory;
use std::{
    io::{self, IsTerminal, Write},
    path::Path,
    process::ExitCode,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Runs one command and gives the process's exit code: 0, or 1 with the reason on standard error.
pub async fn execute(cli: Cli) -> ExitCode {
    let done = match cli.command {
        Command::Run => run(&cli.config).await,
        Command::CheckConfig => check_config(&cli.config),
        Command::Config(ConfigCommand::Show) => configuration::show(&cli.config),
        Command::Enrol(args) => enrol(&cli.config, args).await,
        Command::Renew => renew(&cli.config).await,
        Command::Ports => ports(),
        Command::Listen(args) => listen::listen(&cli.config, args).await,
        Command::Decode(args) => return decode::decode(&args),
        Command::Detect(args) => detect::detect(args).await,
        Command::Drivers { driver, markdown } => list_drivers(driver.as_deref(), markdown),
        Command::Instances { json } => instances::execute(&cli.config, json).await,
        Command::LanePage => lane_page(&cli.config),
        Command::Worklist(args) => dicom::worklist(&cli.config, &args),
        Command::Echo { imager } => dicom::echo(&cli.config, &imager).await,
        Command::Spool(command) => spool::execute(&cli.config, &command).await,
        Command::Wipe(args) => wipe::execute(&cli.config, &args).await,
        Command::SupportBundle(args) => support_bundle::execute(&cli.config, args).await,
        Command::Completion { shell } => completion(shell),
        Command::Man { dir } => {
            clap_mangen::generate_to(Cli::command(), &dir).map_err(anyhow::Error::from)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Standard output was a pipe whose reader has gone, such as `head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chiasm-gateway: {}", in_words(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes, each said once: some messages already say their cause.
fn in_words(error: &anyhow::Error) -> String {
    error.chain().skip(1).fold(error.to_string(), |words, cause| {
        let cause = cause.to_string();
        if words.contains(&cause) { words } else { format!("{words}: {cause}") }
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
}

fn start_log() {
    let filter = EnvFilter::try_from_env("CHIASM_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,rumqttc=error,sqlx=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
}

async fn run(path: &Path) -> anyhow::Result<()> {
    start_log();
    let config = config::load(path)?;
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        token.cancel();
    });
    let links = config.links.len();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), links, "starting");
    supervisor::run(config, stop).await?;
    Ok(())
}

async fn renew(path: &Path) -> anyhow::Result<()> {
    let config = config::load(path)?;
    enrol::renewal::ask(&config.data_dir).await?;
    println!("a new certificate is here; the running gateway, or its next start, puts it in use");
    Ok(())
}

fn lane_page(path: &Path) -> anyhow::Result<()> {
    let config = config::load(path)?;
    let mut out = io::stdout().lock();
    let Some(page) = &config.lane_page else {
        anyhow::bail!("{}: [lane_page] is missing: this gateway has no page", path.display());
    };
    let pem = certificate::load_or_make(&config.data_dir, &page.names)?;
    let fingerprint = certificate::fingerprint(&pem).context("the certificate is damaged")?;
    writeln!(out, "listens      https://{}", page.listen)?;
    writeln!(out, "certificate  {}", certificate::folder(&config.data_dir).display())?;
    writeln!(out, "fingerprint  SHA-256 {}", fingerprint)?;
    Ok(())
}

fn check_config(path: &Path) -> anyhow::Result<()> {
    let config = config::load(path)?;
    let mut out = io::stdout().lock();
    let (links, imagers) = (config.links.len(), config.imagers.len());
    writeln!(out, "{}: right, {links} links, {imagers} imagers", path.display())?;
    for link in &config.links {
        writeln!(
            out,
            "  {:<16} lane {:<16} driver {:<16} {}",
            link.id.as_str(),
            link.lane.as_str(),
            link.driver.id,
            describe(link)
        )?;
    }
    if let Some(dicom) = &config.dicom {
        writeln!(out, "  DICOM node {} on {}", dicom.ae_title, dicom.listen)?;
    }
    if let Some(page) = &config.lane_page {
        writeln!(out, "  lane page on https://{}", page.listen)?;
    }
    for imager in &config.imagers {
        writeln!(
            out,
            "  {:<16} lane {:<16} imager {:<16} {}",
            imager.id.as_str(),
            imager.lane.as_str(),
            imager.calling_ae,
            imager.address.as_deref().unwrap_or("cannot be called")
        )?;
    }
    Ok(())
}

fn describe(link: &config::Link) -> String {
    match &link.endpoint {
        config::Endpoint::Serial(serial) => format!(
            "{} at {} baud, {} data bits, parity {:?}, {} stop bits, flow control {:?}",
            serial.port,
            serial.line.baud,
            serial.line.data_bits,
            serial.line.parity,
            serial.line.stop_bits,
            serial.flow_control,
        ),
        config::Endpoint::TcpClient { address } => format!("calls {address}"),
        config::Endpoint::TcpServer { listen } => format!("waits for calls on {listen}"),
        config::Endpoint::Folder { path, extension } => {
            format!("*.{} in {}", extension.trim_start_matches('.'), path.display())
        }
    }
}

async fn enrol(path: &Path, args: EnrolArgs) -> anyhow::Result<()> {
    let config = config::load(path)?;
    wipe_records::begin_anew(&config)?;
    let data_dir = config.data_dir;
    let identity = enrol::enrol(&data_dir, &args.cloud, args.authority_sha256, &args.code).await?;
    println!(
        "enrolled as gateway {} of {}, broker {}",
        identity.gateway, identity.tenant, identity.broker_url
    );
    Ok(())
}

fn ports() -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let ports = serial::list()?;
    if ports.is_empty() {
        writeln!(out, "no serial ports are plugged in")?;
    }
    for port in ports {
        let usb = port.usb.as_ref().map_or("built in".into(), ToString::to_string);
        writeln!(out, "{}  {usb}", port.path.display())?;
        for name in &port.stable {
            writeln!(out, "    port = \"{}\"", name.display())?;
        }
        if let Some(serial) = port.usb.and_then(|usb| usb.serial) {
            writeln!(out, "    port = \"usb:{serial}\"")?;
        }
    }
    Ok(())
}

fn list_drivers(id: Option<&str>, markdown: bool) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    if markdown {
        write!(out, "{}", handbook::document())?;
        return Ok(());
    }
    if let Some(id) = id {
        write!(out, "{}", handbook::setup(drivers::named(id)?))?;
        return Ok(());
    }
    for spec in registry::DRIVERS {
        let models = spec.models.join(", ");
        writeln!(out, "{:<24} {} {models}: {}", spec.id, spec.vendor, handbook::measures(spec))?;
    }
    Ok(())
}

fn completion(shell: clap_complete::Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "chiasm-gateway", &mut script);
    io::stdout().write_all(&script)?;
    Ok(())
}
