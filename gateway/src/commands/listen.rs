//! `listen`: what comes from a port, live.

use super::decode::why_not;
use crate::{
    cli::{ListenArgs, ParityWord},
    clock,
    config::{self, Endpoint, Serial},
    drivers,
    link::serial,
};
use anyhow::Context;
use chiasm_drivers::{
    Decoder, DriverOptions, DriverSpec, Event, LineSettings, Parity, detect, handbook,
};
use std::{
    io::{self, Write},
    path::Path,
    pin::pin,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep_until},
};

/// Bytes kept to say which drivers would fit.
const SNIFF_LEN_MAX: usize = 64 * 1024;
/// Silence after which a transmission is taken to be over, where no driver says so.
const SILENCE: Duration = Duration::from_millis(800);
/// Bytes in one line of the dump.
const DUMP_WIDTH: usize = 16;

struct Target {
    endpoint: Endpoint,
    driver: Option<&'static DriverSpec>,
    options: DriverOptions,
}

pub(super) async fn listen(config: &Path, args: ListenArgs) -> anyhow::Result<()> {
    let target = target(config, &args)?;
    if let Some(spec) = target.driver {
        write!(io::stdout(), "{}", handbook::setup(spec))?;
    }
    let mut ear = Ear::new(&target);
    match &target.endpoint {
        Endpoint::Serial(serial) => {
            writeln!(io::stdout(), "listening on {}, {}", serial.port, describe(serial))?;
            let mut stream = serial::open(serial)?;
            ear.run(&mut stream).await
        }
        Endpoint::TcpClient { address } => {
            let mut stream = TcpStream::connect(address)
                .await
                .with_context(|| format!("cannot reach {address}"))?;
            writeln!(io::stdout(), "listening to {address}")?;
            ear.run(&mut stream).await
        }
        Endpoint::TcpServer { listen } => {
            let listener = TcpListener::bind(listen)
                .await
                .with_context(|| format!("cannot listen on {listen}"))?;
            writeln!(io::stdout(), "waiting for a call on {listen}")?;
            let (mut stream, peer) = listener.accept().await?;
            writeln!(io::stdout(), "{peer} calls")?;
            ear.run(&mut stream).await
        }
        Endpoint::Folder { path, .. } => anyhow::bail!(
            "link {} reads a folder; try `chiasm-gateway decode` on a file in {}",
            args.target,
            path.display()
        ),
    }
}

fn target(config: &Path, args: &ListenArgs) -> anyhow::Result<Target> {
    let given = args.driver.as_deref().map(drivers::named).transpose()?;
    let is_port = args.target.starts_with('/') || args.target.starts_with("usb:");
    if !is_port {
        let (config, _) = crate::remote::load(config)?;
        let link =
            config.links.into_iter().find(|link| link.id.as_str() == args.target).with_context(
                || format!("`{}` is neither a port nor a configured link", args.target),
            )?;
        let listen_only = link.listen_only || args.listen_only;
        let options = DriverOptions { listen_only, ..link.driver_options() };
        let mut endpoint = link.endpoint;
        if let Endpoint::Serial(serial) = &mut endpoint {
            apply(serial, args);
        }
        return Ok(Target { endpoint, driver: Some(given.unwrap_or(link.driver)), options });
    }
    let usual = LineSettings { baud: 9600, data_bits: 8, parity: Parity::None, stop_bits: 1 };
    let mut serial = Serial {
        port: args.target.clone(),
        line: given.and_then(drivers::first_line_settings).unwrap_or(usual),
        flow_control: config::FlowControl::None,
        dtr: true,
        rts: true,
    };
    apply(&mut serial, args);
    let options = DriverOptions { listen_only: args.listen_only, ..Default::default() };
    Ok(Target { endpoint: Endpoint::Serial(serial), driver: given, options })
}

fn apply(serial: &mut Serial, args: &ListenArgs) {
    let line = &mut serial.line;
    line.baud = args.baud.unwrap_or(line.baud);
    line.data_bits = args.data_bits.unwrap_or(line.data_bits);
    line.stop_bits = args.stop_bits.unwrap_or(line.stop_bits);
    line.parity = args.parity.map_or(line.parity, |word| match word {
        ParityWord::None => Parity::None,
        ParityWord::Even => Parity::Even,
        ParityWord::Odd => Parity::Odd,
    });
    serial.flow_control = args.flow_control.unwrap_or(serial.flow_control);
}

fn describe(serial: &Serial) -> String {
    let line = serial.line;
    format!(
        "{} baud, {} data bits, parity {:?}, {} stop bits",
        line.baud, line.data_bits, line.parity, line.stop_bits
    )
}

/// Shows bytes and what a driver makes of them, or which driver would fit.
struct Ear {
    driver: Option<(&'static DriverSpec, Box<dyn Decoder>)>,
    /// Without a driver: what came since the line was last silent.
    heard: Vec<u8>,
    /// When silence ends the transmission that is being heard.
    silent_at: Option<Instant>,
    named: Vec<&'static str>,
}

impl Ear {
    fn new(target: &Target) -> Self {
        let driver = target.driver.map(|spec| (spec, (spec.new)(&target.options)));
        Self { driver, heard: Vec::new(), silent_at: None, named: Vec::new() }
    }

    async fn run<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
    ) -> anyhow::Result<()> {
        let mut interrupted = pin!(tokio::signal::ctrl_c());
        let mut buffer = vec![0; 4096];
        loop {
            let wake = self.driver.as_ref().and_then(|(_, decoder)| decoder.poll_timeout());
            let wake = wake.map(Instant::from_std).or(self.silent_at);
            tokio::select! {
                read = stream.read(&mut buffer) => {
                    let len = read.context("the port failed")?;
                    if len == 0 {
                        self.end()?;
                        anyhow::bail!("the other end is gone");
                    }
                    self.input(&buffer[..len])?;
                }
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                    match &mut self.driver {
                        Some((_, decoder)) => decoder.handle_timeout(clock::monotonic()),
                        None => self.explain()?,
                    }
                    self.show_events()?;
                }
                _ = &mut interrupted => return self.end(),
            }
            while let Some(answer) =
                self.driver.as_mut().and_then(|(_, decoder)| decoder.poll_transmit())
            {
                dump("<", &answer)?;
                stream.write_all(&answer).await?;
            }
        }
    }

    fn input(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        dump(">", bytes)?;
        if let Some((_, decoder)) = &mut self.driver {
            decoder.handle_input(clock::monotonic(), bytes);
            return self.show_events();
        }
        let room = SNIFF_LEN_MAX.saturating_sub(self.heard.len()).min(bytes.len());
        self.heard.extend_from_slice(&bytes[..room]);
        self.silent_at = Some(Instant::now() + SILENCE);
        Ok(())
    }

    /// The line is silent: which driver reads what came, and how its instrument is set; or why none
    /// does.
    fn explain(&mut self) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        self.silent_at = None;
        let heard = std::mem::take(&mut self.heard);
        let examination = detect::examine(clock::monotonic(), &heard, &DriverOptions::default());
        for reader in examination.readers() {
            writeln!(out, "parsed by {}: choose it with --driver {0}", reader.spec.id)?;
            if !self.named.contains(&reader.spec.id) {
                self.named.push(reader.spec.id);
                write!(out, "{}", handbook::setup(reader.spec))?;
            }
        }
        if examination.readers().next().is_none() {
            for trial in &examination.trials {
                writeln!(out, "not parsed by {}", why_not(trial))?;
            }
        }
        for hint in &examination.hints {
            writeln!(out, "{hint}")?;
        }
        Ok(())
    }

    fn end(&mut self) -> anyhow::Result<()> {
        if let Some((_, decoder)) = &mut self.driver {
            decoder.handle_end(clock::monotonic());
        }
        self.show_events()
    }

    fn show_events(&mut self) -> anyhow::Result<()> {
        let Some((spec, decoder)) = &mut self.driver else { return Ok(()) };
        let mut out = io::stdout().lock();
        while let Some(event) = decoder.poll_event() {
            match event {
                Event::Decoded { decoded, .. } => {
                    writeln!(out, "parsed by {}: {}", spec.id, serde_json::to_string(&decoded)?)?;
                }
                Event::Rejected { error, raw } => {
                    writeln!(out, "refused by {}: {} bytes, {error}", spec.id, raw.len())?;
                }
                Event::Control { what, .. } => writeln!(out, "{what}")?,
                Event::Overflow { raw } => writeln!(out, "{} more bytes, not kept", raw.len())?,
            }
        }
        Ok(())
    }
}

fn dump(direction: &str, bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for row in bytes.chunks(DUMP_WIDTH) {
        let hex: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        let text: String = row
            .iter()
            .map(|byte| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' })
            .collect();
        writeln!(out, "{direction} {:<width$}  {text}", hex.join(" "), width = DUMP_WIDTH * 3)?;
    }
    out.flush()
}
