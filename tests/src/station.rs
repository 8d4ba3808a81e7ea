//! An instrument in its lane: how it is attached, and what it prints. What is printed comes from
//! the simulators of `device-drivers`, which encode from the makers' layouts and not by the
//! decoders' code.

use crate::{
    gateway::{Endpoint, Link},
    instrument::{Attachment, Handshake, Transmission},
    pty::Pty,
};
use anyhow::{Result, ensure};
use chiasm_drivers::{
    joia,
    sim::{ArkPrint, LmPrint, NtPrint, TonorefPrint, nidek_wire},
};
use chiasm_proto::Measurement;
use std::{fs, path::Path, time::Instant};

/// An instrument that can be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Autorefractor and keratometer.
    Ark,
    Lensmeter,
    /// Non-contact tonometer.
    Tonometer,
    /// Autorefractor, keratometer, tonometer and pachymeter in one.
    Tonoref,
    /// Writes files.
    Joia(joia::sim::Model),
}

impl Model {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Model::Ark => "NIDEK ARK-1a",
            Model::Lensmeter => "NIDEK LM-7P",
            Model::Tonometer => "NIDEK NT-530",
            Model::Tonoref => "NIDEK TONOREF III",
            Model::Joia(joia::sim::Model::Kr1) => "Topcon KR-1",
            Model::Joia(joia::sim::Model::Kr800S) => "Topcon KR-800S",
            Model::Joia(joia::sim::Model::Cl300) => "Topcon CL-300",
            Model::Joia(joia::sim::Model::Ct1P) => "Topcon CT-1P",
            Model::Joia(joia::sim::Model::Trk2P) => "Topcon TRK-2P",
        }
    }

    /// Part of the link's name.
    pub fn link_name(self) -> &'static str {
        match self {
            Model::Ark => "ark",
            Model::Lensmeter => "lensmeter",
            Model::Tonometer => "tonometer",
            Model::Tonoref => "tonoref",
            Model::Joia(joia::sim::Model::Kr1) => "kr1",
            Model::Joia(joia::sim::Model::Kr800S) => "kr800s",
            Model::Joia(joia::sim::Model::Cl300) => "cl300",
            Model::Joia(joia::sim::Model::Ct1P) => "ct1p",
            Model::Joia(joia::sim::Model::Trk2P) => "trk2p",
        }
    }

    pub fn driver(self) -> &'static str {
        match self {
            Model::Ark => "nidek_ark",
            Model::Lensmeter => "nidek_lm",
            Model::Tonometer => "nidek_nt",
            Model::Tonoref => "nidek_tonoref",
            Model::Joia(_) => "joia_xml",
        }
    }

    /// The print with this running number, to 9999.
    pub fn print(self, number: u32) -> Print {
        let seed = u64::from(number);
        let no = u16::try_from(number % 10_000).unwrap_or(0);
        let (bytes, measurements) = match self {
            Model::Ark => {
                let print = ArkPrint { no, ..ArkPrint::random(seed) };
                (print.bytes(), print.measurements())
            }
            Model::Lensmeter => {
                let print = LmPrint { no: Some(no), ..LmPrint::random(seed) };
                (print.bytes(), print.measurements())
            }
            Model::Tonometer => {
                let print = NtPrint { no, ..NtPrint::random(seed) };
                (print.bytes(), print.measurements())
            }
            Model::Tonoref => {
                let print = TonorefPrint::random(seed);
                (print.bytes(), print.measurements())
            }
            Model::Joia(model) => {
                let print = joia::sim::Print::random(model, seed, &joia::sim::Knobs::default());
                let print = joia::sim::Print { running_number: no, ..print };
                let transmission = Transmission {
                    file_name: print.file_name(),
                    ..Transmission::of(print.encode())
                };
                let number = print.running_number();
                return Print { number, transmission, measurements: print.measurements };
            }
        };
        Print { number: format!("{no:04}"), transmission: Transmission::of(bytes), measurements }
    }
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
    /// The instrument's own running number.
    pub number: String,
    pub transmission: Transmission,
    pub measurements: Vec<Measurement>,
}

impl Print {
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

/// An instrument in a lane.
pub struct Station {
    /// For people: `ARK-1s`.
    pub name: String,
    pub link: Link,
    pub attachment: Attachment,
    pub model: Model,
    wire: Wire,
    next_number: u32,
}

impl Station {
    /// Attaches an instrument; files of lines and shares are made below the folder.
    pub async fn attach(folder: &Path, lane: &str, model: Model, wire: Wire) -> Result<Self> {
        let id = format!("{lane}-{}", model.link_name());
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
            driver: model.driver().into(),
            model: None,
            listen_only: false,
            endpoint,
        };
        Ok(Self { name: model.name().into(), link, attachment, model, wire, next_number: 1 })
    }

    /// What the instrument would print next; nothing is sent.
    pub fn next_print(&mut self) -> Result<Print> {
        let number = self.next_number;
        self.next_number += 1;
        let mut print = self.model.print(number);
        if self.wire == Wire::SerialAsking {
            print.transmission.handshake = Some(nidek_handshake());
        }
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
