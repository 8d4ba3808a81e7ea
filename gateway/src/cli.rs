//! The commands and their options.

use crate::config::{DEFAULT_PATH, DateOrderWord, FlowControl};
use chiasm_drivers::{
    DriverOptions,
    registry::{self, DRIVERS},
};
use chiasm_proto::Sha256;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// The edge gateway of an eye clinic: reads the instruments and hands every reading to the cloud.
#[derive(Debug, Parser)]
#[command(name = "chiasm-gateway", version, about, max_term_width = 100)]
pub struct Cli {
    /// The configuration file
    #[arg(long, global = true, value_name = "FILE", default_value = DEFAULT_PATH)]
    pub config: PathBuf,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway until it is told to stop (SIGTERM)
    #[command(
        after_help = "Example:\n  chiasm-gateway run --config /etc/chiasm-gateway/gateway.toml\n\n\
        The log's detail is set by CHIASM_LOG, such as `info` or `chiasm_gateway=debug`."
    )]
    Run,
    /// Check the configuration file and say what it means
    #[command(after_help = "Example:\n  chiasm-gateway check-config --config gateway.toml")]
    CheckConfig,
    /// Which links and imagers count: those of the file, or those that the cloud has sent
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Get this gateway's certificate with a claim code
    #[command(
        after_help = "Example:\n  chiasm-gateway enrol --cloud https://cloud.example:8443 \\\n    \
        --authority-sha256 5f3c... --code ABCD2345\n\n\
        Code and hash stand beside each other on the cloud's page of the gateway."
    )]
    Enrol(EnrolArgs),
    /// Ask for a new key and certificate now; a running gateway puts them in use within seconds
    #[command(after_help = "Example:\n  sudo -u chiasm-gateway chiasm-gateway renew\n\n\
        Certificates are renewed by themselves after a third of their time. The old one is refused \
        when the new one has been seen to work.")]
    Renew,
    /// List the serial ports by the names that stay
    #[command(after_help = "Example:\n  chiasm-gateway ports")]
    Ports,
    /// Show live what comes from a port or a configured link: raw bytes and readings
    #[command(after_help = "Examples:\n  chiasm-gateway listen ark\n  \
        chiasm-gateway listen /dev/ttyUSB0 --driver nidek_ark --baud 9600 --parity odd\n\n\
        A link that the running gateway reads is in use; stop the gateway first.")]
    Listen(ListenArgs),
    /// Decode files: one JSON document per line
    #[command(after_help = "Examples:\n  chiasm-gateway decode capture.raw\n  \
        chiasm-gateway decode --driver nidek_ark *.raw\n\n\
        Exit code 1 if a file could not be decoded; the reason is on standard error.")]
    Decode(DecodeArgs),
    /// Say which driver fits a file, or which driver and line settings fit a port, or why none does
    #[command(after_help = "Examples:\n  chiasm-gateway detect capture.raw\n  \
        chiasm-gateway detect /dev/ttyUSB0\n  \
        chiasm-gateway detect usb:A50285BI --driver nidek_ark\n\n\
        On a port it listens at one documented setting after the other: press Print each time it \
        says so. Only a whole transmission that a driver reads is trusted. Exit code 1 if nothing \
        fits.")]
    Detect(DetectArgs),
    /// List the drivers, or show how the instruments of one are wired, set and tried
    #[command(after_help = "Examples:\n  chiasm-gateway drivers\n  \
        chiasm-gateway drivers nidek_ark\n  chiasm-gateway drivers --markdown > instruments.md")]
    Drivers {
        /// The driver
        #[arg(value_name = "ID")]
        driver: Option<String>,
        /// The whole table of instruments as Markdown
        #[arg(long, conflicts_with = "driver")]
        markdown: bool,
    },
    /// Show which visits an imager would find
    #[command(after_help = "Examples:\n  chiasm-gateway worklist\n  \
        chiasm-gateway worklist --ae CIRRUS --date 2026-11-30 --name 'mil*'\n\n\
        Names patients on standard output, and nowhere else.")]
    Worklist(WorklistArgs),
    /// Ask an imager whether it is there (C-ECHO)
    #[command(after_help = "Example:\n  chiasm-gateway echo oct-1\n\n\
        The other way round, from the imager: its DICOM settings have a test, which asks the \
        running gateway. Exit code 1 if the imager does not answer.")]
    Echo {
        /// The id of an imager that has an address
        #[arg(value_name = "IMAGER")]
        imager: String,
    },
    /// Look into the spool
    #[command(subcommand)]
    Spool(SpoolCommand),
    /// How many DICOM instances wait for the cloud
    #[command(after_help = "Example:\n  chiasm-gateway instances --json")]
    Instances {
        /// One JSON document instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Destroy everything that this gateway holds, and tell the cloud in a signed record
    #[command(after_help = "Examples:\n  sudo systemctl disable --now chiasm-gateway\n  \
        sudo chiasm-gateway wipe --by 'Jo Meyer, clinic IT'\n\n\
        Refuses while anything is not at the cloud, unless --lose-readings is said. The record goes \
        to the cloud, which shuts the gateway out; without a connection it stays in the data folder, \
        to be brought there with `chiasm-cloud admin gateway wiped FILE`. Interrupted, it goes on \
        when it is started again.")]
    Wipe(WipeArgs),
    /// Show where the gateway's own page is, and its certificate's fingerprint to compare
    #[command(after_help = "Example:\n  sudo -u chiasm-gateway chiasm-gateway lane-page\n\n\
        The page is for the time when the internet is down. A browser warns of its certificate the \
        first time: compare the fingerprint that it shows with this one.")]
    LanePage,
    /// Write one file that says how this gateway is, for whoever helps from afar
    #[command(after_help = "Examples:\n  sudo chiasm-gateway support-bundle bundle.tar.gz\n  \
        sudo chiasm-gateway support-bundle bundle.tar.gz --with-data \\\n    \
        --person 'Sam Lee' --reason 'the maker asks for what the tonometer sends'\n\n\
        Without --with-data it holds nothing of a patient: of bytes that could not be read only \
        their structure. With it, the cloud is told who took it and why.")]
    SupportBundle(SupportBundleArgs),
    /// Write the completion script of a shell to standard output
    #[command(after_help = "Example:\n  chiasm-gateway completion bash \\\n    \
        > /etc/bash_completion.d/chiasm-gateway")]
    Completion { shell: clap_complete::Shell },
    /// Write the manual pages into a directory
    #[command(after_help = "Example:\n  chiasm-gateway man /usr/share/man/man1")]
    Man { dir: PathBuf },
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say which configuration counts and show it
    #[command(after_help = "Example:\n  chiasm-gateway config show\n\n\
        Once the cloud has sent links and imagers and they were kept, they count, and those of the \
        file do not. `accept = false` in a [remote] table of the file turns it round.")]
    Show,
}

#[derive(Debug, Args)]
pub struct WorklistArgs {
    /// The imager's AE title; without it, that of the first imager
    #[arg(long, value_name = "TITLE")]
    pub ae: Option<String>,
    /// A day, or a range as imagers write it: 20261130-20261201
    #[arg(long, value_name = "DAY")]
    pub date: Option<String>,
    /// A name, with * and ?
    #[arg(long)]
    pub name: Option<String>,
}

#[derive(Debug, Args)]
pub struct WipeArgs {
    /// Who wipes it; stands in the record
    #[arg(long, value_name = "NAME")]
    pub by: String,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Wipe it although readings or images are not at the cloud: they are lost
    #[arg(long)]
    pub lose_readings: bool,
}

#[derive(Debug, Args)]
pub struct SupportBundleArgs {
    /// The file to make
    #[arg(value_name = "OUT.tar.gz")]
    pub out: PathBuf,
    /// With the last readings and captures as they are: they name patients
    #[arg(long, requires_all = ["person", "reason"])]
    pub with_data: bool,
    /// Who wants it with data
    #[arg(long, requires = "with_data")]
    pub person: Option<String>,
    /// And why
    #[arg(long, requires = "with_data")]
    pub reason: Option<String>,
}

#[derive(Debug, Args)]
pub struct EnrolArgs {
    /// The cloud's address
    #[arg(long, value_name = "URL")]
    pub cloud: String,
    /// SHA-256 of the authority's certificate, 64 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    pub authority_sha256: Sha256,
    /// The claim code
    #[arg(long)]
    pub code: String,
}

#[derive(Debug, Args)]
pub struct ListenArgs {
    /// A port's path, `usb:` and a serial number, or the id of a configured link
    #[arg(value_name = "PORT|LINK")]
    pub target: String,
    /// The driver that decodes; without one, drivers that fit are named
    #[arg(long, value_name = "ID")]
    pub driver: Option<String>,
    #[arg(long)]
    pub baud: Option<u32>,
    #[arg(long, value_parser = clap::value_parser!(u8).range(7..=8))]
    pub data_bits: Option<u8>,
    #[arg(long)]
    pub parity: Option<ParityWord>,
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub stop_bits: Option<u8>,
    #[arg(long)]
    pub flow_control: Option<FlowControl>,
    /// Do not answer an instrument that asks whether it may send
    #[arg(long)]
    pub listen_only: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ParityWord {
    None,
    Even,
    Odd,
}

#[derive(Debug, Args)]
pub struct DecodeArgs {
    /// The driver; without it, the one that fits best
    #[arg(long, value_name = "ID")]
    pub driver: Option<String>,
    #[command(flatten)]
    pub options: ReadingArgs,
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// What a format leaves to the site.
#[derive(Debug, Args)]
pub struct ReadingArgs {
    /// In which order the instrument writes day, month and year
    #[arg(long, value_name = "ORDER")]
    pub date_order: Option<DateOrderWord>,
    /// The heading of a column that the site chose: `axial_length_right="OD AL"`; may be repeated
    #[arg(long, value_name = "NAME=HEADING", value_parser = column)]
    pub column: Vec<(String, String)>,
}

fn column(text: &str) -> Result<(String, String), String> {
    let (name, heading) = text.split_once('=').ok_or("write it as name=heading")?;
    let known = || DRIVERS.iter().flat_map(|spec| registry::columns(spec)).map(|(known, _)| *known);
    if !known().any(|column| column == name) {
        let names: Vec<&str> = known().collect();
        return Err(format!("no driver takes it; choose one of: {}", names.join(", ")));
    }
    Ok((name.to_owned(), heading.to_owned()))
}

impl ReadingArgs {
    pub fn driver_options(&self) -> DriverOptions {
        DriverOptions {
            date_order: self.date_order.map(Into::into),
            columns: self.column.iter().cloned().collect(),
            ..DriverOptions::default()
        }
    }
}

#[derive(Debug, Args)]
pub struct DetectArgs {
    /// A file, a port's path, or `usb:` and an adapter's serial number
    #[arg(value_name = "FILE|PORT")]
    pub target: String,
    /// On a port: try only the line settings of this driver; may be repeated
    #[arg(long, value_name = "ID")]
    pub driver: Vec<String>,
    /// On a port: seconds until it gives up
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub timeout: u32,
    /// On a port: seconds without a byte until the next settings are tried
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub wait: u32,
    #[command(flatten)]
    pub options: ReadingArgs,
}

#[derive(Debug, Subcommand)]
pub enum SpoolCommand {
    /// How much waits for the cloud
    #[command(after_help = "Example:\n  chiasm-gateway spool status --json")]
    Status {
        /// One JSON document instead of a table
        #[arg(long)]
        json: bool,
    },
}
