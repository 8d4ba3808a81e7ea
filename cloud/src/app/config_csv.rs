//! A location's instruments as a spreadsheet (I7): lanes and instruments in, the same file out. A
//! file is taken whole or not at all.

use super::csv;
use chiasm_drivers::registry;
use chiasm_proto::{
    LaneId,
    config::{
        Attachment, DateOrder, Document, FlowControl, FolderTable, Imager, LinkTable, Parity,
        SerialTable, TcpClientTable, TcpServerTable,
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// The columns of an export, by their names in the first line. An import needs the first five and
/// one of `driver` and `model`; the others may be left out, and all may stand in any order.
pub const COLUMNS: [&str; 15] = [
    "lane",
    "lane_name",
    "instrument",
    "attached",
    "at",
    "driver",
    "model",
    "baud",
    "data_bits",
    "parity",
    "stop_bits",
    "flow_control",
    "listen_only",
    "date_order",
    "calls_from",
];
const NEEDED: [&str; 4] = ["lane", "instrument", "attached", "at"];
/// How an imager is attached.
const DICOM: &str = "dicom";
/// Most lines of one file.
const LINES_MAX: usize = 500;
/// Most faults that are listed.
const FAULTS_MAX: usize = 100;

/// What a file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    pub document: Document,
    /// Lanes that are named, with their names for people.
    pub lanes: Vec<(LaneId, String)>,
}

/// Reads a file. What it has no column for stays as it is in `before`. The error names the lines.
pub fn parse(text: &str, before: &Document) -> Result<Imported, Vec<String>> {
    let records = csv::parse(text, LINES_MAX).map_err(|error| vec![error])?;
    let mut records = records.into_iter();
    let (_, header) = records.next().ok_or_else(|| vec!["the file is empty".to_owned()])?;
    let header: Vec<String> = header.iter().map(|name| name.trim().to_lowercase()).collect();
    for needed in NEEDED {
        if !header.iter().any(|name| name == needed) {
            let columns = COLUMNS.join(",");
            return Err(vec![format!(
                "no column `{needed}` in the first line; there may be {columns}"
            )]);
        }
    }
    if let Some(unknown) = header.iter().find(|name| !COLUMNS.contains(&name.as_str())) {
        return Err(vec![format!(
            "column `{unknown}` is not known; there may be {}",
            COLUMNS.join(",")
        )]);
    }
    let (mut imported, mut faults) = (Imported::default(), Vec::new());
    for (number, record) in records {
        let fields = header.iter().map(String::as_str).zip(record.iter().map(|it| plain(it)));
        let line = Line(fields.filter(|(_, value)| !value.is_empty()).collect());
        if line.0.is_empty() {
            continue;
        }
        if let Err(fault) = line.take(before, &mut imported) {
            faults.push(format!("line {number}: {fault}"));
        }
    }
    faults.truncate(FAULTS_MAX);
    if faults.is_empty() { Ok(imported) } else { Err(faults) }
}

/// Without the apostrophe that keeps a spreadsheet from running a field.
fn plain(field: &str) -> &str {
    let field = field.trim();
    field.strip_prefix('\'').unwrap_or(field)
}

/// The fields of a line that are not empty, by column.
struct Line<'a>(BTreeMap<&'a str, &'a str>);

impl Line<'_> {
    fn get(&self, column: &str) -> Option<&str> {
        self.0.get(column).copied()
    }

    fn need(&self, column: &str) -> Result<&str, String> {
        self.get(column).ok_or_else(|| format!("`{column}` is empty"))
    }

    fn word<T>(
        &self,
        column: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, String> {
        self.get(column)
            .map(|word| parse(word).ok_or_else(|| format!("`{word}` is no {column}")))
            .transpose()
    }

    fn take(&self, before: &Document, imported: &mut Imported) -> Result<(), String> {
        let lane = LaneId::new(self.need("lane")?).map_err(|error| error.to_string())?;
        if !imported.lanes.iter().any(|(id, _)| *id == lane) {
            let name = self.get("lane_name").unwrap_or(lane.as_str()).to_owned();
            imported.lanes.push((lane.clone(), name));
        }
        // A lane may stand alone: its instruments come later.
        let Some(instrument) = self.get("instrument") else {
            return match self.0.keys().find(|column| !column.starts_with("lane")) {
                Some(column) => Err(format!("`instrument` is empty, but `{column}` is not")),
                None => Ok(()),
            };
        };
        let id = instrument.parse().map_err(|error| format!("{error}"))?;
        if self.need("attached")? == DICOM {
            let kept = before.imager.iter().find(|it| it.id == id);
            let imager = Imager {
                id,
                lane,
                calling_ae: self.need("at")?.to_owned(),
                address: kept.and_then(|it| it.address.clone()),
                peer_ip: self.word("calls_from", |text| text.parse().ok())?,
                tls: kept.map(|it| it.tls).unwrap_or_default(),
                certificate_sha256: kept.and_then(|it| it.certificate_sha256),
            };
            imported.document.imager.push(imager);
            return Ok(());
        }
        let kept = before.link.iter().find(|it| it.id == id);
        let mut link = LinkTable {
            id,
            lane,
            driver: self.driver()?,
            model: self.get("model").map(ToOwned::to_owned),
            listen_only: self.word("listen_only", yes_or_no)?.unwrap_or_default(),
            date_order: self.word("date_order", DateOrder::parse)?,
            columns: kept.map(|it| it.columns.clone()).unwrap_or_default(),
            serial: None,
            tcp_client: None,
            tcp_server: None,
            folder: None,
        };
        self.attach(&mut link, kept)?;
        imported.document.link.push(link);
        Ok(())
    }

    /// By its name, or by the only one that reads the model.
    fn driver(&self) -> Result<String, String> {
        if let Some(driver) = self.get("driver") {
            let known = registry::find(driver).is_some();
            return known.then(|| driver.to_owned()).ok_or_else(|| format!("no driver `{driver}`"));
        }
        let model = self.get("model").ok_or("give a driver or a model")?;
        let reads = |names: &&[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(model));
        let found: Vec<&str> = registry::DRIVERS
            .iter()
            .filter(|spec| reads(&spec.models))
            .map(|spec| spec.id)
            .collect();
        match found[..] {
            [only] => Ok(only.to_owned()),
            [] => Err(format!("no driver reads a model `{model}`; give the driver")),
            _ => Err(format!("`{model}` is read by {}: give the driver", found.join(" and "))),
        }
    }

    fn attach(&self, link: &mut LinkTable, kept: Option<&LinkTable>) -> Result<(), String> {
        let at = self.need("at")?.to_owned();
        match self.word("attached", Attachment::parse)? {
            Some(Attachment::Serial) => {
                let kept = kept.and_then(|it| it.serial.as_ref());
                link.serial = Some(SerialTable {
                    baud: self.word("baud", |text| text.parse().ok())?,
                    data_bits: self.word("data_bits", |text| text.parse().ok())?,
                    parity: self.word("parity", Parity::parse)?,
                    stop_bits: self.word("stop_bits", |text| text.parse().ok())?,
                    flow_control: self
                        .word("flow_control", FlowControl::parse)?
                        .unwrap_or_default(),
                    dtr: kept.is_none_or(|it| it.dtr),
                    rts: kept.is_none_or(|it| it.rts),
                    port: at,
                });
            }
            Some(Attachment::TcpClient) => link.tcp_client = Some(TcpClientTable { address: at }),
            Some(Attachment::TcpServer) => link.tcp_server = Some(TcpServerTable { listen: at }),
            Some(Attachment::Folder) => link.folder = Some(FolderTable { path: at.into() }),
            None => return Err("`attached` is empty".into()),
        }
        Ok(())
    }
}

fn yes_or_no(word: &str) -> Option<bool> {
    match word {
        "yes" | "true" => Some(true),
        "no" | "false" => Some(false),
        _ => None,
    }
}

/// The same file that an import takes, with every lane of the location.
pub fn export(document: &Document, lanes: &[(String, String)]) -> String {
    let mut text = csv::line(&COLUMNS);
    let name = |lane: &LaneId| {
        let found = lanes.iter().find(|(id, _)| id == lane.as_str());
        found.map_or(String::new(), |(_, name)| name.clone())
    };
    for link in &document.link {
        text.push_str(&link_line(link, &name(&link.lane)));
    }
    for imager in &document.imager {
        let peer = imager.peer_ip.map(|ip| ip.to_string()).unwrap_or_default();
        let (lane, id, ae) = (imager.lane.as_str(), imager.id.as_str(), &imager.calling_ae);
        let name = name(&imager.lane);
        let fields = [lane, &name, id, DICOM, ae, "", "", "", "", "", "", "", "", "", &peer];
        text.push_str(&csv::line(&fields));
    }
    let used = document.link.iter().map(|it| it.lane.as_str());
    let used = used.chain(document.imager.iter().map(|it| it.lane.as_str()));
    let used: BTreeSet<&str> = used.collect();
    for (lane, name) in lanes.iter().filter(|(lane, _)| !used.contains(lane.as_str())) {
        let mut fields = [""; COLUMNS.len()];
        (fields[0], fields[1]) = (lane, name);
        text.push_str(&csv::line(&fields));
    }
    text
}

fn link_line(link: &LinkTable, lane_name: &str) -> String {
    let (attached, at) = link
        .attached()
        .into_iter()
        .next()
        .map_or(("", String::new()), |(how, at)| (how.as_str(), at));
    let serial = link.serial.as_ref();
    let number = |value: Option<u32>| value.map(|it| it.to_string()).unwrap_or_default();
    let baud = number(serial.and_then(|it| it.baud));
    let data_bits = number(serial.and_then(|it| it.data_bits.map(u32::from)));
    let stop_bits = number(serial.and_then(|it| it.stop_bits.map(u32::from)));
    let flow = serial.map(|it| it.flow_control).filter(|it| *it != FlowControl::None);
    csv::line(&[
        link.lane.as_str(),
        lane_name,
        link.id.as_str(),
        attached,
        &at,
        &link.driver,
        link.model.as_deref().unwrap_or(""),
        &baud,
        &data_bits,
        serial.and_then(|it| it.parity).map_or("", Parity::as_str),
        &stop_bits,
        flow.map_or("", FlowControl::as_str),
        if link.listen_only { "yes" } else { "" },
        link.date_order.map_or("", DateOrder::as_str),
        "",
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "lane,lane_name,instrument,attached,at,model,driver,baud,parity\r\n\
        lane-1,Room 1,ark-1,serial,usb:A50285BI,ARK-1a,,9600,odd\r\n\
        lane-1,Room 1,nt-1,tcp_client,192.168.1.20:4001,,nidek_nt,,\r\n\
        lane-2,Room 2,oct-2,dicom,CIRRUS,,,,\r\n\
        lane-3,Room 3,,,,,,,\r\n";

    #[test]
    fn what_is_exported_is_imported_the_same() {
        let imported = parse(FILE, &Document::default()).unwrap();
        assert_eq!((imported.document.link.len(), imported.document.imager.len()), (2, 1));
        assert_eq!(imported.document.link[0].driver, "nidek_ark");
        assert_eq!(imported.lanes.len(), 3);
        let lanes: Vec<_> =
            imported.lanes.iter().map(|(id, name)| (id.to_string(), name.clone())).collect();
        let again = parse(&export(&imported.document, &lanes), &Document::default()).unwrap();
        assert_eq!(again, imported);
    }

    #[test]
    fn what_has_no_column_stays() {
        let mut before = parse(FILE, &Document::default()).unwrap().document;
        before.link[0].columns.insert("axial_length_right".into(), "OD AL".into());
        before.link[0].serial.as_mut().unwrap().dtr = false;
        before.imager[0].address = Some("10.0.0.7:104".into());
        assert_eq!(parse(FILE, &before).unwrap().document, before);
    }

    #[test]
    fn every_wrong_line_is_named_and_nothing_is_taken() {
        let text = "lane,instrument,attached,at,driver,model,baud\n\
            Lane 1,a,serial,usb:A,nidek_ark,,\n\
            lane-1,b,serial,usb:B,,No Such,\n\
            lane-1,c,wire,usb:C,nidek_ark,,\n\
            lane-1,d,serial,usb:D,nidek_ark,,fast\n\
            lane-1,,serial,usb:E,nidek_ark,,\n\
            lane-1,f,serial,,nidek_ark,,\n";
        let faults = parse(text, &Document::default()).unwrap_err();
        for (fault, words) in faults.iter().zip([
            "line 2: `Lane 1` is not a valid",
            "line 3: no driver reads a model `No Such`",
            "line 4: `wire` is no attached",
            "line 5: `fast` is no baud",
            "line 6: `instrument` is empty",
            "line 7: `at` is empty",
        ]) {
            assert!(fault.starts_with(words), "{fault}");
        }
        assert_eq!(faults.len(), 6);
        assert!(parse("lane,at\n", &Document::default()).unwrap_err()[0].contains("instrument"));
        assert!(parse("", &Document::default()).is_err());
    }
}
