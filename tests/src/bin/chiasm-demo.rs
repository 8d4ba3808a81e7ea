//! The simulated clinic, to look at: a cloud, two gateways, an instrument of every kind and a
//! schedule. Prints where the pages are and who can sign in, then plays a day in fast motion until
//! Ctrl-C.

use anyhow::{Context, Result};
use chiasm_testbed::{
    clinic::{Clinic, Neighbours, PASSWORD},
    gateway::Endpoint,
    http::Http,
    imager::{self, Imager},
    outage,
    station::Print,
    stats::millis,
    story,
    table::table,
    visit::{self, Announced, Encounter},
};
use clap::Parser;
use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
    time::{Duration, Instant},
};

/// Plays a clinic with the real programs.
#[derive(Debug, Parser)]
struct Args {
    /// What to play; without it a day in fast motion.
    mode: Option<Mode>,
    /// One patient through every instrument: compares every value filed with every value sent,
    /// prints the table, and exits with 0 if all are there and right, with 1 otherwise.
    #[arg(long, conflicts_with = "mode")]
    once: bool,
    /// With --once: leave the clinic running afterwards, to look at the pages.
    #[arg(long, requires = "once")]
    keep: bool,
    /// Use PostgreSQL and Mosquitto, as a larger installation does, instead of SQLite and the
    /// embedded broker.
    #[arg(long)]
    large: bool,
    /// Patients on today's schedule.
    #[arg(long, default_value_t = 12)]
    patients: usize,
    /// Seconds between two prints.
    #[arg(long, default_value_t = 1.0)]
    pause: f64,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Mode {
    /// The internet of one clinic is cut for a simulated day; exits with 0 if afterwards the numbers
    /// of gateways and cloud agree, and every print is filed once, as it was sent.
    Outage,
}

fn main() -> ExitCode {
    let args = Args::parse();
    story::program(async {
        tokio::select! {
            code = run(&args) => code,
            stopped = tokio::signal::ctrl_c() => {
                stopped?;
                println!("\nstopped");
                Ok(ExitCode::SUCCESS)
            }
        }
    })
}

async fn run(args: &Args) -> Result<ExitCode> {
    if let Some(Mode::Outage) = args.mode {
        outage::play(args.patients).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let started = Instant::now();
    let neighbours = if args.large { Neighbours::ALL } else { Neighbours::NONE };
    println!("starting a cloud, gateways, an instrument of every kind and an OCT …");
    let mut clinic = Clinic::with_all_instruments(neighbours, args.patients.max(1)).await?;
    let imager = clinic.add_imaging_gateway("gw-imaging").await?;
    println!("ready after {:.1} s\n", started.elapsed().as_secs_f64());
    println!("  pages    http://localhost:{}/", clinic.cloud.http_port());
    println!("  sign in  technician, doctor, it; the password is \"{PASSWORD}\"");
    println!("  files    {}\n", clinic.folder().display());
    let http = clinic.technician().await?;
    let mut day = Day::begin(&clinic, http).await?;
    if !args.once {
        return day.play(&mut clinic, &imager, args).await;
    }
    let right = day.one_patient(&mut clinic, &imager).await;
    println!("{}", day.table(usize::MAX));
    for line in &day.images {
        println!("{line}");
    }
    if let Err(error) = &right {
        println!("FAILED: {error:#}");
    } else {
        println!("every value filed is the value that was sent");
    }
    if args.keep {
        println!("the clinic goes on until Ctrl-C");
        std::future::pending::<()>().await;
    }
    Ok(if right.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Lines of the table that are no instrument, and one to spare.
const TABLE_FRAME: usize = 4;

/// What has happened so far.
struct Day {
    http: Http,
    announced: Announced,
    encounters: Vec<Encounter>,
    rows: Vec<Row>,
    /// What became of volumes, in words.
    images: Vec<String>,
    /// The instrument that printed last.
    latest: usize,
    /// Lines of the table on the terminal, to be written over.
    drawn: usize,
}

fn told(what: &str, filed: imager::visit::Filed) -> String {
    format!(
        "{what}: {:.1} MB, stored after {} ms, filed after {} ms",
        filed.len_bytes as f64 / 1e6,
        millis(filed.stored_after),
        millis(filed.filed_after)
    )
}

/// One instrument.
struct Row {
    name: String,
    lane: String,
    attached: &'static str,
    sent: u32,
    filed: u32,
    in_tray: u32,
    latency: Option<Duration>,
}

impl Day {
    async fn begin(clinic: &Clinic, http: Http) -> Result<Self> {
        let (announced, _listener) = Announced::listen(&http).await?;
        let encounters = visit::schedule(&http).await?;
        let row = |station: &chiasm_testbed::station::Station| Row {
            name: station.name.clone(),
            lane: station.link.lane.clone(),
            attached: match station.link.endpoint {
                Endpoint::Serial(_) => "serial line",
                Endpoint::TcpClient(_) => "device server that listens",
                Endpoint::TcpServer(_) => "device server that connects",
                Endpoint::Folder(_) => "shared folder",
            },
            sent: 0,
            filed: 0,
            in_tray: 0,
            latency: None,
        };
        Ok(Self {
            http,
            announced,
            encounters,
            rows: clinic.stations.iter().map(row).collect(),
            images: vec![],
            latest: 0,
            drawn: 0,
        })
    }

    /// Everything, once, for the first patient of the day.
    async fn one_patient(&mut self, clinic: &mut Clinic, imager: &Imager) -> Result<()> {
        let patient = self.encounters.first().context("nobody is scheduled")?.clone();
        for lane in clinic.lanes() {
            visit::open_session(clinic, &self.http, &lane, &patient).await?;
        }
        let mut sent = Vec::new();
        for (station, row) in clinic.stations.iter_mut().zip(&mut self.rows) {
            let print = station.press_print().await;
            sent.push(print.with_context(|| format!("{} cannot print", station.name))?);
            row.sent += 1;
        }
        for (index, (print, sent_at)) in sent.iter().enumerate() {
            self.filed(clinic, index, &patient, (print, *sent_at)).await?;
        }
        self.images(clinic, imager, &patient).await
    }

    /// A volume at the end of the visit, and one that comes when the exam is signed.
    async fn images(
        &mut self,
        clinic: &Clinic,
        imager: &Imager,
        patient: &Encounter,
    ) -> Result<()> {
        let scheduled = imager::visit::find(imager, patient).await?;
        let first = imager::visit::take(imager, &self.http, &scheduled, "R").await?;
        self.images.push(told("OCT of the right eye, in the exam", first));
        let doctor = clinic.doctor().await?;
        imager::visit::sign(&doctor, patient).await?;
        let before = imager::visit::addenda(&doctor, patient).await?.len();
        let late = imager::visit::take(imager, &self.http, &scheduled, "L").await?;
        let addenda = imager::visit::addenda(&doctor, patient).await?;
        anyhow::ensure!(addenda.len() == before + 1, "a late volume is no addendum: {addenda:?}");
        self.images.push(told("OCT of the left eye, after the signature: an addendum", late));
        Ok(())
    }

    /// Patient after patient, instrument after instrument. Now and then somebody prints before the
    /// patient is chosen; that reading waits in the lane's tray.
    async fn play(
        &mut self,
        clinic: &mut Clinic,
        imager: &Imager,
        args: &Args,
    ) -> Result<ExitCode> {
        let pause = Duration::from_secs_f64(args.pause.clamp(0.05, 60.0));
        for round in 0_usize.. {
            let patient = self.encounters[round % self.encounters.len()].clone();
            if round % 4 == 3 {
                self.print_without_patient(clinic, round % clinic.stations.len()).await?;
                self.draw();
            }
            for lane in clinic.lanes() {
                visit::open_session(clinic, &self.http, &lane, &patient).await?;
            }
            for index in 0..clinic.stations.len() {
                self.print(clinic, index, &patient).await?;
                self.draw();
                tokio::time::sleep(pause).await;
            }
            // On the first day of the demo; another round sees the same patients again.
            if round < self.encounters.len() {
                let scheduled = imager::visit::find(imager, &patient).await?;
                imager::visit::take(imager, &self.http, &scheduled, "R").await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn print(
        &mut self,
        clinic: &mut Clinic,
        index: usize,
        patient: &Encounter,
    ) -> Result<()> {
        let (print, sent_at) = clinic.stations[index].press_print().await?;
        self.rows[index].sent += 1;
        self.latest = index;
        self.filed(clinic, index, patient, (&print, sent_at)).await
    }

    /// Waits until a print stands in the exam with every value that was sent.
    async fn filed(
        &mut self,
        clinic: &Clinic,
        index: usize,
        patient: &Encounter,
        sent: (&Print, Instant),
    ) -> Result<()> {
        let station = &clinic.stations[index];
        let link = &station.link.id;
        let outcome = visit::filed(&self.http, &self.announced, patient, link, sent).await;
        let outcome = outcome.with_context(|| station.name.clone())?;
        let row = &mut self.rows[index];
        row.filed += 1;
        row.latency = Some(outcome.latency);
        Ok(())
    }

    async fn print_without_patient(&mut self, clinic: &mut Clinic, index: usize) -> Result<()> {
        let station = &mut clinic.stations[index];
        let lane = &station.link.lane;
        let path = format!("/api/v1/lanes/{lane}/session/end");
        self.http.post(&path, serde_json::Value::Null).await?;
        let (print, _) = station.press_print().await?;
        let link = station.link.id.clone();
        self.rows[index].sent += 1;
        visit::waits(&self.http, &link, &print).await?;
        self.rows[index].in_tray += 1;
        Ok(())
    }

    /// All instruments, or as many as are asked for, up to the one that printed last.
    fn table(&self, count: usize) -> String {
        let header =
            ["instrument", "lane", "attached by", "sent", "filed", "in tray", "ms to the page"];
        let row = |row: &Row| {
            vec![
                row.name.clone(),
                row.lane.clone(),
                row.attached.into(),
                row.sent.to_string(),
                row.filed.to_string(),
                row.in_tray.to_string(),
                row.latency.map_or_else(|| "-".into(), millis),
            ]
        };
        let count = count.min(self.rows.len());
        let behind = (self.latest + 1).max(count);
        let shown = &self.rows[behind - count..behind];
        table(&header, &shown.iter().map(row).collect::<Vec<_>>())
    }

    /// The table anew in the same place, or one line per print where there is no terminal.
    fn draw(&mut self) {
        let mut out = std::io::stdout();
        if !out.is_terminal() {
            let (sent, filed, in_tray) = self.rows.iter().fold((0, 0, 0), |sum, row| {
                (sum.0 + row.sent, sum.1 + row.filed, sum.2 + row.in_tray)
            });
            println!("sent {sent}, filed {filed}, in tray {in_tray}");
            return;
        }
        // What does not fit would scroll away and could not be written over.
        let size = rustix::termios::tcgetwinsize(&out);
        let height = size.map_or(24, |size| usize::from(size.ws_row));
        let table = self.table(height.saturating_sub(TABLE_FRAME));
        let up = match std::mem::replace(&mut self.drawn, table.lines().count()) {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\x1b[J"),
        };
        // A terminal that is gone ends the program by itself.
        let _ = write!(out, "{up}{table}").and_then(|()| out.flush());
    }
}
