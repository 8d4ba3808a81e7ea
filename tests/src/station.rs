//! An instrument in its lane: how it is attached, and what it prints. What is printed comes from
//! the simulators of `device-drivers`, which encode from the makers' layouts and not by the
//! decoders' code.

use crate::{
    gateway::{Endpoint, Link},
    instrument::{Attachment, Handshake, Transmission},
    pty::Pty,
};
use anyhow::{Context, Result, bail, ensure};
use chiasm_drivers::{
    Transport, registry,
    sim::{self, Knobs, SimPrint, Simulator, nidek_wire},
};
use chiasm_proto::{Eye, Measurement};
use std::{fs, path::Path, time::Instant};

/// So many prints in a row that leave out an eye are no chance.
const PRINTS_OF_ONE_EYE_MAX: usize = 20;

/// The simulated instruments of a clinic that has one for every driver, and every model of those
/// families that measure different things.
pub fn one_of_each_kind() -> Vec<&'static Simulator> {
    sim::SIMULATORS.to_vec()
}

/// Whether an instrument writes files instead of sending over a line.
pub fn writes_files(simulator: &Simulator) -> Result<bool> {
    let spec = registry::find(simulator.driver)
        .with_context(|| format!("no driver is called {}", simulator.driver))?;
    Ok(matches!(spec.transport, Transport::Folder { .. }))
}

/// NIDEK mode: the instrument asks first.
fn nidek_handshake() -> Handshake {
    Handshake {
        request: nidek_wire::REQUEST_TO_SEND.into(),
        is_permission: nidek_wire::is_go_ahead,
    }
}

/// How an instrument is attached to its gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    Serial,
    /// Serial, and the instrument asks before it sends.
    SerialAsking,
    /// A device server that listens.
    TcpClient,
    /// A device server that connects to this port.
    TcpServer(u16),
    Folder,
}

/// One print: what goes out, and what has to be filed.
#[derive(Debug, Clone)]
pub struct Print {
    /// The instrument's own running number; empty where its format has none.
    pub number: String,
    pub transmission: Transmission,
    pub measurements: Vec<Measurement>,
}

impl Print {
    fn new(print: SimPrint) -> Self {
        let mut transmission = Transmission::of(print.bytes);
        if let Some(name) = print.file_name {
            transmission.file_name = name;
        }
        Self {
            number: print.running_number.unwrap_or_default(),
            transmission,
            measurements: print.measurements,
        }
    }

    /// Whether a reading was made of these bytes. White space around them may be missing, or have
    /// come from a neighbour.
    pub fn is_raw(&self, raw: &[u8]) -> bool {
        let is_blank = |byte: &&u8| byte.is_ascii_whitespace() || **byte == 0;
        let core = |bytes: &[u8]| -> Vec<u8> {
            let end = bytes.len() - bytes.iter().rev().take_while(is_blank).count();
            bytes[..end].iter().skip_while(is_blank).copied().collect()
        };
        core(raw) == core(&self.transmission.bytes)
    }

    /// Fails with the first value that is not what the instrument sent.
    pub fn check(&self, filed: &[Measurement]) -> Result<()> {
        for (at, sent) in self.measurements.iter().enumerate() {
            let got = filed.get(at);
            ensure!(
                got == Some(sent),
                "print {}, measurement {at}: sent {}, filed {}",
                self.number,
                json(Some(sent)),
                json(got)
            );
        }
        let (sent, filed) = (self.measurements.len(), filed.len());
        ensure!(sent == filed, "print {}: {sent} measurements sent, {filed} filed", self.number);
        Ok(())
    }
}

fn json(measurement: Option<&Measurement>) -> String {
    serde_json::to_string(&measurement).unwrap_or_else(|error| error.to_string())
}

/// A model's name as part of a link's: `ark-1a`.
fn slug(model: &str) -> String {
    let plain = |character: char| match character {
        'A'..='Z' => character.to_ascii_lowercase(),
        'a'..='z' | '0'..='9' => character,
        _ => '-',
    };
    let words: String = model.chars().map(plain).collect();
    words.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}

/// An instrument in a lane.
pub struct Station {
    /// For people: `ARK-1s`.
    pub name: String,
    pub link: Link,
    pub attachment: Attachment,
    pub simulator: &'static Simulator,
    wire: Wire,
    next_number: u32,
}

impl Station {
    /// Attaches an instrument; files of lines and shares are made below the folder.
    /// `model` is the name of a simulated instrument: `ARK-1a`.
    pub async fn attach(folder: &Path, lane: &str, model: &str, wire: Wire) -> Result<Self> {
        let simulator =
            sim::find(model).with_context(|| format!("no simulated instrument is a {model}"))?;
        let id = format!("{lane}-{}", slug(model));
        let (attachment, endpoint) = match wire {
            Wire::Serial | Wire::SerialAsking => {
                let path = folder.join(format!("{id}.tty"));
                (Attachment::Serial(Pty::plug_in(&path)?), Endpoint::Serial(path))
            }
            Wire::TcpClient => {
                let attachment = Attachment::listening().await?;
                let port = attachment.port()?;
                (attachment, Endpoint::TcpClient(port))
            }
            Wire::TcpServer(port) => (Attachment::connecting(port), Endpoint::TcpServer(port)),
            Wire::Folder => {
                let path = folder.join(format!("{id}-share"));
                fs::create_dir_all(&path)?;
                (Attachment::Folder(path.clone()), Endpoint::Folder(path))
            }
        };
        let link = Link {
            id,
            lane: lane.into(),
            driver: simulator.driver.into(),
            model: Some(simulator.model.into()),
            listen_only: false,
            endpoint,
        };
        let name = format!("{} {}", simulator.vendor, simulator.model);
        Ok(Self { name, link, attachment, simulator, wire, next_number: 1 })
    }

    /// An instrument that has printed before: two of a model then print other values.
    pub fn counting_from(self, number: u32) -> Self {
        Self { next_number: number, ..self }
    }

    /// What the instrument would print next; nothing is sent.
    pub fn next_print(&mut self) -> Result<Print> {
        self.next_print_with(&Knobs::default())
    }

    /// The same, with something about it that is out of the ordinary.
    pub fn next_print_with(&mut self, knobs: &Knobs) -> Result<Print> {
        let number = self.next_number;
        self.next_number += 1;
        let print = (self.simulator.print)(number.into(), knobs);
        let mut print = Print::new(print);
        if self.wire == Wire::SerialAsking {
            print.transmission.handshake = Some(nidek_handshake());
        }
        Ok(print)
    }

    /// Prints a measurement of both eyes; some prints have one only.
    pub async fn print_both_eyes(&mut self) -> Result<Print> {
        for _ in 0..PRINTS_OF_ONE_EYE_MAX {
            let print = self.next_print()?;
            let has = |eye: Eye| print.measurements.iter().any(|it| it.eye == eye);
            if has(Eye::Right) && has(Eye::Left) {
                self.send(&print).await?;
                return Ok(print);
            }
        }
        bail!("{} does not measure both eyes", self.name)
    }

    /// Prints with this patient's id in the data.
    pub async fn print_for(&mut self, patient_id: &str) -> Result<Print> {
        let knobs = Knobs { patient_id: Some(patient_id.into()), ..Knobs::default() };
        let print = self.next_print_with(&knobs)?;
        self.send(&print).await?;
        Ok(print)
    }

    /// Sends a print and gives back when its last byte went out.
    pub async fn send(&mut self, print: &Print) -> Result<Instant> {
        self.attachment.transmit(&print.transmission).await
    }

    /// Presses Print.
    pub async fn press_print(&mut self) -> Result<(Print, Instant)> {
        let print = self.next_print()?;
        let at = self.send(&print).await?;
        Ok((print, at))
    }
}
