//! The simulated clinic: a cloud, gateways that are enrolled the real way, instruments in lanes, a
//! schedule of today, and people who sign in.

use crate::{
    cloud::{Cloud, Setup, TENANT},
    gateway::{Claim, Gateway, Imaging, Link},
    http::Http,
    imager::Imager,
    instrument::Attachment,
    mosquitto::{Certificates, Mosquitto},
    net,
    network::{CLOUD_HOST, Cable},
    postgres::Postgres,
    process,
    station::{self, Station, Wire},
    wait,
};
use anyhow::{Context, Result};
use chiasm_cloud::{Core, config::Config, fleet::jobs, store::Db};
use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};
use tempfile::TempDir;

pub const LOCATION: &str = "main";
/// By which an external broker knows the cloud.
const CLOUD_NAME: &str = "chiasm-cloud";
/// Every account of the simulated clinic has this password.
pub const PASSWORD: &str = "a simulated clinic";

/// What stands around the cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbours {
    pub postgres: bool,
    pub mosquitto: bool,
}

impl Neighbours {
    /// One machine: SQLite and the embedded broker.
    pub const NONE: Self = Self { postgres: false, mosquitto: false };
    /// A larger installation.
    pub const ALL: Self = Self { postgres: true, mosquitto: true };
}

/// A running clinic. Dropped, all of it is gone.
pub struct Clinic {
    pub cloud: Cloud,
    pub mosquitto: Option<Mosquitto>,
    pub gateways: Vec<Gateway>,
    pub stations: Vec<Station>,
    pub postgres: Option<Postgres>,
    folder: TempDir,
}

/// A patient of today's schedule.
#[derive(Debug, Clone)]
pub struct Patient {
    pub chart_number: String,
    pub family_name: String,
    pub given_name: String,
    pub birth_date: String,
}

/// Invented people, as many as are asked for.
pub fn patients(count: usize) -> Vec<Patient> {
    const FAMILY: [&str; 8] =
        ["Abel", "Brandt", "Castillo", "Dubois", "Eriksen", "Fontana", "Garcia", "Holm"];
    const GIVEN: [&str; 5] = ["Ada", "Bruno", "Clara", "Dario", "Elif"];
    (0..count)
        .map(|index| Patient {
            chart_number: format!("P{:05}", 1001 + index),
            family_name: FAMILY[index % FAMILY.len()].into(),
            given_name: GIVEN[index % GIVEN.len()].into(),
            birth_date: format!(
                "{}-{:02}-{:02}",
                1940 + index % 70,
                1 + index % 12,
                1 + index % 28
            ),
        })
        .collect()
}

impl Clinic {
    /// Sets up a cloud with its neighbours, a practice, a location and its people; no gateway yet.
    pub async fn open(neighbours: Neighbours, lanes: &[&str], patients: usize) -> Result<Self> {
        Self::open_below(&std::env::temp_dir(), neighbours, lanes, patients).await
    }

    /// The same, with everything that has to be durable below a given folder.
    pub async fn open_below(
        parent: &Path,
        neighbours: Neighbours,
        lanes: &[&str],
        patients: usize,
    ) -> Result<Self> {
        Self::open_at(parent, neighbours, None, lanes, patients).await
    }

    /// With a cloud that gateways in networks of their own reach.
    pub async fn open_in_network(lanes: &[&str], patients: usize) -> Result<Self> {
        let (parent, host) = (std::env::temp_dir(), Some(CLOUD_HOST.to_owned()));
        Self::open_at(&parent, Neighbours::NONE, host, lanes, patients).await
    }

    async fn open_at(
        parent: &Path,
        neighbours: Neighbours,
        host: Option<String>,
        lanes: &[&str],
        patients: usize,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("chiasm-clinic-").tempdir_in(parent)?;
        let postgres = if neighbours.postgres { Some(Postgres::start().await?) } else { None };
        let store_url = match &postgres {
            Some(postgres) => Some(postgres.create_database("chiasm")?),
            None => None,
        };
        let [broker_port] = net::free_ports()?;
        let broker_port = neighbours.mosquitto.then_some(broker_port);
        let mut cloud =
            Cloud::new(&folder.path().join("cloud"), &Setup { store_url, broker_port, host })?;
        set_up(&cloud, lanes)?;
        import_schedule(&cloud, LOCATION, &self::patients(patients))?;
        let mosquitto = match broker_port {
            Some(port) => Some(start_mosquitto(&cloud, port).await?),
            None => None,
        };
        cloud.start().await?;
        Ok(Self { cloud, mosquitto, gateways: vec![], stations: vec![], postgres, folder })
    }

    /// One lane with these instruments on serial lines.
    pub async fn with_one_lane(models: &[&str], patients: usize) -> Result<Self> {
        let mut clinic = Self::open(Neighbours::NONE, &["lane-1"], patients).await?;
        let mut stations = Vec::new();
        for model in models {
            let folder = clinic.folder();
            stations.push(Station::attach(folder, "lane-1", model, Wire::Serial).await?);
        }
        clinic.add_gateway("gw-1", stations).await?;
        Ok(clinic)
    }

    /// Two gateways with two lanes each and every simulated instrument, attached in every way.
    pub async fn with_all_instruments(neighbours: Neighbours, patients: usize) -> Result<Self> {
        const LANES: [&str; 4] = ["lane-1", "lane-2", "lane-3", "lane-4"];
        /// For device servers that connect.
        const PORTS: usize = 24;
        let mut clinic = Self::open(neighbours, &LANES, patients).await?;
        let mut lanes: [Vec<Station>; 4] = Default::default();
        let mut ports = net::free_ports::<PORTS>()?.into_iter();
        for (index, simulator) in station::one_of_each_kind().into_iter().enumerate() {
            let lane = index % LANES.len();
            let wire = match index / LANES.len() % 3 {
                _ if station::writes_files(simulator)? => Wire::Folder,
                _ if simulator.driver == "nidek_nt" => Wire::SerialAsking,
                0 => Wire::Serial,
                1 => Wire::TcpClient,
                _ => Wire::TcpServer(ports.next().context("more device servers than ports")?),
            };
            let folder = clinic.folder();
            let station = Station::attach(folder, LANES[lane], simulator.model, wire).await?;
            lanes[lane].push(station);
        }
        let [first, second, third, fourth] = lanes;
        clinic.add_gateway("gw-1", first.into_iter().chain(second).collect()).await?;
        clinic.add_gateway("gw-2", third.into_iter().chain(fourth).collect()).await?;
        Ok(clinic)
    }

    /// Lanes with instruments.
    pub fn lanes(&self) -> BTreeSet<String> {
        self.stations.iter().map(|station| station.link.lane.clone()).collect()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Adds a gateway with its instruments, enrols it with a claim code and starts it.
    pub async fn add_gateway(&mut self, id: &str, stations: Vec<Station>) -> Result<()> {
        let links: Vec<Link> = stations.iter().map(|station| station.link.clone()).collect();
        let gateway = self.enrolled_gateway(id, links)?;
        self.stations.extend(stations);
        self.start_gateway(gateway).await
    }

    /// The same in a network of its own, at the end of a cable.
    pub async fn add_gateway_behind(
        &mut self,
        cable: &Cable,
        id: &str,
        stations: Vec<Station>,
    ) -> Result<()> {
        let links: Vec<Link> = stations.iter().map(|station| station.link.clone()).collect();
        let claim = self.claim(id)?;
        let mut gateway = Gateway::new(&self.folder.path().join(id), id, links)?;
        gateway.move_into(&cable.namespace);
        let (broker, endpoint) = (self.cloud.broker_port(), self.cloud.endpoint_port());
        gateway.enrol_at(CLOUD_HOST, endpoint, &claim)?;
        gateway.reach_cloud_by(CLOUD_HOST, broker, endpoint)?;
        self.stations.extend(stations);
        self.start_gateway(gateway).await
    }

    /// Starts a gateway that is enrolled and waits until it is online.
    pub async fn start_gateway(&mut self, gateway: Gateway) -> Result<()> {
        self.gateways.push(gateway);
        let gateway = self.gateways.last_mut().context("a gateway was just added")?;
        gateway.start().await?;
        gateway.process()?.says("online", wait::USUAL_MAX).await
    }

    /// A gateway in whose lanes an OCT stands: link `oct-1`, AE title `OCT`, in the first lane.
    pub async fn add_imaging_gateway(&mut self, id: &str) -> Result<Imager> {
        let (imager, gateway) = self.enrolled_imaging_gateway(id)?;
        self.start_gateway(gateway).await?;
        Ok(imager)
    }

    /// The same, not started.
    pub fn enrolled_imaging_gateway(&self, id: &str) -> Result<(Imager, Gateway)> {
        let [port] = net::free_ports()?;
        let imagers = vec![("oct-1".into(), "lane-1".into(), "OCT".into())];
        let mut gateway = self.enrolled_gateway(id, vec![])?;
        gateway.let_call(Imaging { port, imagers })?;
        Ok((Imager { ae: "OCT".into(), gateway_port: port }, gateway))
    }

    /// A gateway of the first location with a certificate that is not started.
    pub fn enrolled_gateway(&self, id: &str, links: Vec<Link>) -> Result<Gateway> {
        self.enrolled_gateway_at(LOCATION, id, links)
    }

    /// The same, at another location.
    pub fn enrolled_gateway_at(
        &self,
        location: &str,
        id: &str,
        links: Vec<Link>,
    ) -> Result<Gateway> {
        let claim = self.claim_at(location, id)?;
        let gateway = Gateway::new(&self.folder.path().join(id), id, links)?;
        gateway.enrol(self.cloud.endpoint_port(), &claim)?;
        Ok(gateway)
    }

    /// Announces a gateway to the cloud and gets its claim code.
    pub fn claim(&self, id: &str) -> Result<Claim> {
        self.claim_at(LOCATION, id)
    }

    fn claim_at(&self, location: &str, id: &str) -> Result<Claim> {
        let name = format!("Gateway {id}");
        let args = ["admin", "gateway", "add", TENANT, id, "--location", location];
        let added = self.cloud.run_json(&[&args[..], &["--name", &name, "--json"]].concat())?;
        let text = |key: &str| {
            let value = added.get(key).and_then(serde_json::Value::as_str);
            value.map(Into::into).with_context(|| format!("no `{key}` in {added}"))
        };
        Ok(Claim { code: text("claim_code")?, authority_sha256: text("authority_sha256")? })
    }

    /// Starts a gateway again, with its lines let go of.
    pub async fn restart_gateway(&mut self, index: usize) -> Result<()> {
        self.release_lines()?;
        self.gateways[index].start().await
    }

    /// Lets go of lines that a killed gateway held exclusively.
    pub fn release_lines(&self) -> Result<()> {
        for station in &self.stations {
            if let Attachment::Serial(pty) = &station.attachment {
                pty.release()?;
            }
        }
        Ok(())
    }

    /// Does what the cloud would do when so much time has passed: trays are emptied into the inbox,
    /// sessions without a reading end.
    pub async fn let_time_pass(&self, passed: jiff::SignedDuration) -> Result<()> {
        let db = Db::open(self.cloud.store_url()).await?;
        let core = Core::new(db, Config::load(self.cloud.config())?)?;
        let then = jiff::Timestamp::now() + passed;
        jobs::age_once(&core, then.as_microsecond()).await?;
        core.db.close().await;
        Ok(())
    }

    /// A second location with lanes of its own.
    pub fn add_location(&self, id: &str, name: &str, lanes: &[&str]) -> Result<()> {
        add_location(&self.cloud, (id, name), lanes)
    }

    /// Brings more visits of today in.
    pub fn schedule(&self, patients: &[Patient]) -> Result<()> {
        self.schedule_at(LOCATION, patients)
    }

    /// The same, at another location.
    pub fn schedule_at(&self, location: &str, patients: &[Patient]) -> Result<()> {
        import_schedule(&self.cloud, location, patients)
    }

    /// A client that the technician has signed in with.
    pub async fn technician(&self) -> Result<Http> {
        Http::sign_in(self.cloud.http_port(), "technician", PASSWORD).await
    }
    pub async fn doctor(&self) -> Result<Http> {
        Http::sign_in(self.cloud.http_port(), "doctor", PASSWORD).await
    }
}

fn set_up(cloud: &Cloud, lanes: &[&str]) -> Result<()> {
    cloud.run(&["admin", "tenant", "add", TENANT, "--name", "Acme Eye Care"])?;
    add_location(cloud, (LOCATION, "Main street"), lanes)?;
    for (login, role) in [
        ("technician", "technician"),
        ("colleague", "technician"),
        ("doctor", "doctor"),
        ("it", "clinic_it"),
    ] {
        let mut command = cloud.command();
        command.args(["admin", "user", "add", TENANT, login, "--role", role]);
        command.args(["--name", login, "--password-stdin"]);
        process::output_of_input(command, PASSWORD)?;
    }
    Ok(())
}

fn add_location(cloud: &Cloud, (id, name): (&str, &str), lanes: &[&str]) -> Result<()> {
    let location = ["admin", "location", "add", TENANT, id, "--name", name];
    cloud.run(&[&location[..], &["--time-zone", "UTC"]].concat())?;
    for lane in lanes {
        let name = format!("Lane {}", lane.trim_start_matches("lane-"));
        let args = ["admin", "lane", "add", TENANT, lane, "--location", id, "--name", &name];
        cloud.run(&args)?;
    }
    Ok(())
}

fn import_schedule(cloud: &Cloud, location: &str, patients: &[Patient]) -> Result<()> {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let mut csv = String::from(
        "appointment_key,location,scheduled_at,chart_number,\
         family_name,given_name,birth_date,reason\n",
    );
    for (index, patient) in patients.iter().enumerate() {
        let Patient { chart_number, family_name, given_name, birth_date } = patient;
        let (hour, minute) = (8 + index / 6 % 10, index % 6 * 10);
        writeln!(
            csv,
            "{today}-{location}-{chart_number},{location},{today}T{hour:02}:{minute:02},\
             {chart_number},\
             {family_name},{given_name},{birth_date},Check-up"
        )?;
    }
    let file = cloud.folder().join("schedule.csv");
    fs::write(&file, csv)?;
    let file = file.to_str().context("the folder of temporary files has a plain name")?;
    cloud.run(&["admin", "schedule", "import", TENANT, file])?;
    Ok(())
}

/// A broker with a certificate of the cloud's own authority.
async fn start_mosquitto(cloud: &Cloud, port: u16) -> Result<Mosquitto> {
    let folder = cloud.folder().join("mosquitto");
    fs::create_dir_all(&folder)?;
    let out = folder.to_str().context("the folder of temporary files has a plain name")?;
    let names = ["--name", "localhost", "--name", "127.0.0.1"];
    let issue = ["admin", "certificate", "issue", "--out", out];
    cloud.run(&[&issue[..], &names].concat())?;
    let certificates = Certificates {
        authority: &folder.join("authority.pem"),
        certificate: &folder.join("localhost.pem"),
        key: &folder.join("localhost.key"),
        cloud_name: CLOUD_NAME,
    };
    Mosquitto::start(&folder, port, &certificates).await
}
