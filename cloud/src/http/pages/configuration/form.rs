//! The form of one instrument, and the draft that every form carries along.

use super::remove;
use crate::app::configure::Draft;
use chiasm_drivers::{DriverSpec, Evidence, Transport, handbook, registry};
use chiasm_proto::{
    LaneId, LinkId,
    config::{
        Attachment, DOCUMENT_LEN_MAX, Document, FlowControl, FolderTable, LinkTable, Parity,
        SerialTable, TcpClientTable, TcpServerTable,
    },
};
use serde::Deserialize;
use std::str::FromStr;

/// What every form of the page carries along.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct CarriedForm {
    base: String,
    document: String,
    lanes: String,
}

impl CarriedForm {
    pub fn draft(&self) -> Result<Draft, String> {
        let malformed = |what: &str| format!("The page's {what} is malformed: load it again.");
        if self.document.len() > DOCUMENT_LEN_MAX {
            return Err(malformed("draft"));
        }
        let lanes: Vec<(LaneId, String)> = match self.lanes.is_empty() {
            true => Vec::new(),
            false => serde_json::from_str(&self.lanes).map_err(|_| malformed("list of lanes"))?,
        };
        Ok(Draft {
            base: self.base.parse().map_err(|_| malformed("version"))?,
            document: Document::from_json(&self.document).map_err(|_| malformed("draft"))?,
            lanes,
        })
    }
}

/// A step of a draft, and the fields of the instrument that it is about.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct DraftForm {
    #[serde(flatten)]
    pub carried: CarriedForm,
    /// `choose` a driver for a new one, `edit`, `put`, `remove`.
    step: String,
    /// The name before, of one that is changed.
    was: String,
    id: String,
    lane: String,
    driver: String,
    model: String,
    attached: String,
    at: String,
    baud: String,
    data_bits: String,
    parity: String,
    stop_bits: String,
    flow_control: String,
    listen_only: Option<String>,
}

/// Which instrument the page shows a form for.
pub enum Editing {
    Nothing,
    New {
        driver: &'static DriverSpec,
        at: String,
    },
    Link(LinkId),
    /// What was typed, which was not right.
    Again(Box<DraftForm>),
}

/// The form of one instrument with what helps to fill it in.
pub struct Editor {
    pub spec: &'static DriverSpec,
    pub models: String,
    pub line_settings: String,
    pub is_folder: bool,
    pub was: String,
    pub id: String,
    pub lane: String,
    pub model: String,
    pub attached: Vec<(&'static str, &'static str, bool)>,
    pub at: String,
    pub baud: String,
    pub data_bits: String,
    pub parity: Vec<(&'static str, bool)>,
    pub stop_bits: String,
    pub flow_control: Vec<(&'static str, bool)>,
    pub listen_only: bool,
}

impl DraftForm {
    /// Does what was asked to the draft.
    pub fn step(&self, draft: &mut Draft) -> Result<Editing, String> {
        match self.step.as_str() {
            "choose" => Ok(Editing::New { driver: self.spec()?, at: self.at.clone() }),
            "edit" => Ok(Editing::Link(parse(&self.id)?)),
            "remove" => {
                remove(&mut draft.document, &parse(&self.id)?);
                Ok(Editing::Nothing)
            }
            "put" => {
                self.put(&mut draft.document)?;
                Ok(Editing::Nothing)
            }
            _ => Ok(Editing::Nothing),
        }
    }

    fn spec(&self) -> Result<&'static DriverSpec, String> {
        registry::find(&self.driver).ok_or_else(|| "Choose an instrument from the list.".into())
    }

    fn put(&self, document: &mut Document) -> Result<(), String> {
        let id: LinkId = parse(&self.id)?;
        let was: Option<LinkId> = (!self.was.is_empty()).then(|| parse(&self.was)).transpose()?;
        let is_taken = document.link.iter().any(|it| it.id == id && was.as_ref() != Some(&id));
        if is_taken || document.imager.iter().any(|it| it.id == id) {
            return Err(format!("There is an instrument {id} already: choose another name."));
        }
        let at = was.as_ref().and_then(|was| document.link.iter().position(|it| it.id == *was));
        let kept = at.map(|at| document.link[at].clone());
        let mut link = LinkTable {
            id,
            lane: parse(&self.lane)?,
            driver: self.spec()?.id.to_owned(),
            model: Some(self.model.trim().to_owned()).filter(|model| !model.is_empty()),
            listen_only: self.listen_only.is_some(),
            date_order: kept.as_ref().and_then(|it| it.date_order),
            columns: kept.as_ref().map(|it| it.columns.clone()).unwrap_or_default(),
            serial: None,
            tcp_client: None,
            tcp_server: None,
            folder: None,
        };
        self.attach(&mut link, kept.and_then(|it| it.serial))?;
        match at {
            Some(at) => document.link[at] = link,
            None => document.link.push(link),
        }
        Ok(())
    }

    fn attach(&self, link: &mut LinkTable, kept: Option<SerialTable>) -> Result<(), String> {
        let at = self.at.trim().to_owned();
        if at.is_empty() {
            return Err("Say where it is attached.".into());
        }
        let how = Attachment::parse(&self.attached).ok_or("Say how it is attached.")?;
        match how {
            Attachment::Serial => {
                link.serial = Some(SerialTable {
                    port: at,
                    baud: number("baud", &self.baud)?,
                    data_bits: number("data bits", &self.data_bits)?,
                    parity: Parity::parse(&self.parity),
                    stop_bits: number("stop bits", &self.stop_bits)?,
                    flow_control: FlowControl::parse(&self.flow_control).unwrap_or_default(),
                    dtr: kept.as_ref().is_none_or(|it| it.dtr),
                    rts: kept.as_ref().is_none_or(|it| it.rts),
                });
            }
            Attachment::TcpClient => link.tcp_client = Some(TcpClientTable { address: at }),
            Attachment::TcpServer => link.tcp_server = Some(TcpServerTable { listen: at }),
            Attachment::Folder => link.folder = Some(FolderTable { path: at.into() }),
        }
        Ok(())
    }
}

fn parse<T: FromStr<Err = impl std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|error| format!("{error}."))
}

fn number<T: FromStr>(what: &str, text: &str) -> Result<Option<T>, String> {
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| format!("`{text}` is no number of {what}.")),
    }
}

/// The form for what is edited; none where that is not there any more.
pub fn editor(editing: Editing, draft: &Draft, lanes: &[(String, String)]) -> Option<Editor> {
    let lane = lanes.first().map(|(id, _)| id.clone()).unwrap_or_default();
    match editing {
        Editing::Nothing => None,
        Editing::New { driver, at } => {
            let form = DraftForm { lane, at, ..DraftForm::default() };
            Some(filled(driver, &form))
        }
        Editing::Link(id) => {
            let link = draft.document.link.iter().find(|link| link.id == id)?;
            Some(filled(registry::find(&link.driver)?, &of_link(link)))
        }
        Editing::Again(form) => Some(filled(form.spec().ok()?, &form)),
    }
}

fn of_link(link: &LinkTable) -> DraftForm {
    let (attached, at) = link.attached().into_iter().next().unzip();
    let serial = link.serial.as_ref();
    let text = |value: Option<u32>| value.map(|it| it.to_string()).unwrap_or_default();
    DraftForm {
        was: link.id.to_string(),
        id: link.id.to_string(),
        lane: link.lane.to_string(),
        driver: link.driver.clone(),
        model: link.model.clone().unwrap_or_default(),
        attached: attached.map_or("", Attachment::as_str).to_owned(),
        at: at.unwrap_or_default(),
        baud: text(serial.and_then(|it| it.baud)),
        data_bits: text(serial.and_then(|it| it.data_bits.map(u32::from))),
        parity: serial.and_then(|it| it.parity).map_or("", Parity::as_str).to_owned(),
        stop_bits: text(serial.and_then(|it| it.stop_bits.map(u32::from))),
        flow_control: serial.map_or("", |it| it.flow_control.as_str()).to_owned(),
        listen_only: link.listen_only.then(String::new),
        ..DraftForm::default()
    }
}

fn filled(spec: &'static DriverSpec, form: &DraftForm) -> Editor {
    let is_folder = matches!(spec.transport, Transport::Folder { .. });
    let fits = |how: &Attachment| (*how == Attachment::Folder) == is_folder;
    let attached = Attachment::ALL.into_iter().filter(fits);
    Editor {
        spec,
        models: spec.models.join(", "),
        line_settings: handbook::line_settings(spec),
        is_folder,
        was: form.was.clone(),
        id: form.id.clone(),
        lane: form.lane.clone(),
        model: form.model.clone(),
        attached: attached
            .map(|it| (it.as_str(), in_words(it), it.as_str() == form.attached))
            .collect(),
        at: form.at.clone(),
        baud: form.baud.clone(),
        data_bits: form.data_bits.clone(),
        parity: Parity::ALL.iter().map(|it| (it.as_str(), it.as_str() == form.parity)).collect(),
        stop_bits: form.stop_bits.clone(),
        flow_control: FlowControl::ALL
            .iter()
            .map(|it| (it.as_str(), it.as_str() == form.flow_control))
            .collect(),
        listen_only: form.listen_only.is_some(),
    }
}

/// Makers with their drivers, for choosing.
pub fn vendors() -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let mut vendors: Vec<(&'static str, Vec<(&'static str, String)>)> = Vec::new();
    for spec in registry::DRIVERS.iter().filter(|spec| spec.evidence != Evidence::NeedsCapture) {
        let entry = (spec.id, format!("{} {}", spec.vendor, spec.models.join(", ")));
        match vendors.iter_mut().find(|(vendor, _)| *vendor == spec.vendor) {
            Some((_, drivers)) => drivers.push(entry),
            None => vendors.push((spec.vendor, vec![entry])),
        }
    }
    vendors.sort_by_key(|(vendor, _)| vendor.to_lowercase());
    vendors
}

pub fn in_words(how: Attachment) -> &'static str {
    match how {
        Attachment::Serial => "Serial port",
        Attachment::TcpClient => "Network, we call",
        Attachment::TcpServer => "Network, it calls",
        Attachment::Folder => "Shared folder",
    }
}

/// Maker and model, as far as they are known.
pub fn instrument(driver: &str, model: Option<&str>) -> String {
    match (registry::find(driver), model) {
        (Some(spec), Some(model)) => format!("{} {model}", spec.vendor),
        (Some(spec), None) => format!("{} {}", spec.vendor, spec.models.join(", ")),
        (None, _) => driver.to_owned(),
    }
}

/// What was set of a line; nothing where the driver's own settings count.
pub fn settings(serial: &SerialTable) -> String {
    let number = |value: Option<u32>, unit: &str| value.map(|it| format!("{it} {unit}"));
    let parts = [
        number(serial.baud, "baud"),
        number(serial.data_bits.map(u32::from), "data bits"),
        serial.parity.map(|it| format!("parity {}", it.as_str())),
        number(serial.stop_bits.map(u32::from), "stop bits"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
