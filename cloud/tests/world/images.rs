//! Images as imagers make them, drawn by formula: a retina in slices with its layers, pit and
//! speckle, the same eye from the front, and what cannot be shown. Nobody's eye.

use super::{
    TENANT, World,
    dicom::{EXPLICIT, Set},
};
use chiasm_cloud::{
    app::intake::{self, Arrived, Source},
    args,
    imaging::archive::Archive,
    store::encounter,
};
use chiasm_proto::{ClockState, Sha256};
use jiff::{Timestamp, tz::TimeZone};
use object_store::ObjectStoreExt;
use std::collections::BTreeMap;
use uuid::Uuid;

pub const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";
pub const OPT: &str = "1.2.840.10008.5.1.4.1.1.77.1.5.4";
pub const PHOTO: &str = "1.2.840.10008.5.1.4.1.1.77.1.5.1";
pub const PDF: &str = "1.2.840.10008.5.1.4.1.1.104.1";
pub const RAW: &str = "1.2.840.10008.5.1.4.1.1.66";

/// Side of the fundus picture, in pixels; it shows 9 mm.
const FUNDUS_SIDE: u16 = 384;
const FUNDUS_MM: f64 = 9.0;
/// Side of the square that a volume covers, around the fovea.
const VOLUME_MM: f64 = 6.0;
/// Depth that a scan shows.
const DEPTH_MM: f64 = 2.0;

/// Whose, when and which, as the header says it.
#[derive(Debug, Clone)]
pub struct Taken {
    /// `R` or `L`.
    pub eye: &'static str,
    pub study: String,
    /// UIDs are made of it: `{uid}.1` the volume's, `{uid}.2` the fundus picture's …
    pub uid: String,
    /// `20261130100500`, by the imager's clock.
    pub at: String,
    pub patient_id: String,
    /// `YYYYMMDD`.
    pub birth_date: String,
    /// How much the retina is swollen under the fovea, in mm.
    pub oedema_mm: f64,
}

/// Numbers that look random and are the same every time.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
    /// As coherent light has it: strong, never negative.
    fn speckle(&mut self) -> f64 {
        (-2.0 * self.next().max(1e-9).ln()).sqrt() * 0.62
    }
}

impl Taken {
    fn head(&self, class: &str, (series, place): (u8, u8), modality: &str) -> Set {
        Set::default()
            .text(0x0008_0005, "CS", "ISO_IR 192")
            .text(0x0008_0016, "UI", class)
            .text(0x0008_0018, "UI", &format!("{}.{place}", self.uid))
            .text(0x0008_002A, "DT", &self.at)
            .text(0x0008_0060, "CS", modality)
            .text(0x0008_0070, "LO", "Testmaker")
            .text(0x0008_1090, "LO", "Scanner 3")
            .text(0x0010_0010, "PN", "Bergström^Lars")
            .text(0x0010_0020, "LO", &self.patient_id)
            .text(0x0010_0030, "DA", &self.birth_date)
            .text(0x0018_1000, "LO", "SN-7")
            .text(0x0020_000D, "UI", &self.study)
            .text(0x0020_000E, "UI", &format!("{}.100.{series}", self.uid))
            .text(0x0020_0011, "IS", &series.to_string())
            .text(0x0020_0013, "IS", "1")
    }

    /// A stack of `frames` scans with `rows` by `columns` pixels, each with its line on the fundus
    /// picture. Pixels are as far from square as imagers make them.
    pub fn volume(&self, (frames, rows, columns): (u32, u16, u16)) -> Set {
        let spacing =
            format!("{:.6}\\{:.6}", DEPTH_MM / f64::from(rows), VOLUME_MM / f64::from(columns));
        let measures = Set::default().text(0x0028_0030, "DS", &spacing);
        let anatomy = Set::default().text(0x0020_9072, "CS", self.eye);
        let shared =
            Set::default().items(0x0028_9110, vec![measures]).items(0x0020_9071, vec![anatomy]);
        let mut pixels =
            Vec::with_capacity(frames as usize * usize::from(rows) * usize::from(columns));
        for frame in 0..frames {
            self.scan(&mut pixels, (frame, frames), (rows, columns));
        }
        format(self.head(OPT, (1, 1), "OPT"), (rows, columns), 1)
            .text(0x0008_103E, "LO", "Macula cube")
            .items(0x0008_2218, vec![code("5665001", "Retina")])
            .text(0x0020_0062, "CS", self.eye)
            .text(0x0028_0004, "CS", "MONOCHROME2")
            .text(0x0028_0008, "IS", &frames.to_string())
            .text(0x0028_0301, "CS", "NO")
            .text(0x0028_2110, "CS", "00")
            .items(0x5200_9229, vec![shared])
            .items(0x5200_9230, (0..frames).map(|frame| self.place(frame, frames)).collect())
            .pixels(8, &pixels)
    }

    /// Where a scan lies: its place in the stack, and its line on the fundus picture.
    fn place(&self, frame: u32, frames: u32) -> Set {
        let per_mm = f64::from(FUNDUS_SIDE) / FUNDUS_MM;
        let (left, width) =
            (f64::from(FUNDUS_SIDE) / 2.0 - VOLUME_MM / 2.0 * per_mm, VOLUME_MM * per_mm);
        let row = (left + width * f64::from(frame) / f64::from(frames.max(2) - 1)) as f32;
        let line = Set::default()
            .text(0x0008_1150, "UI", PHOTO)
            .text(0x0008_1155, "UI", &format!("{}.2", self.uid))
            .fl(0x0022_0032, &[row, left as f32, row, (left + width) as f32]);
        let content = Set::default()
            .text(0x0020_9056, "SH", "1")
            .ul(0x0020_9057, &[frame + 1])
            .ul(0x0020_9157, &[1, frame + 1]);
        Set::default().items(0x0020_9111, vec![content]).items(0x0022_0031, vec![line])
    }

    /// One scan through the retina, from the vitreous above to the choroid below.
    fn scan(&self, pixels: &mut Vec<u8>, (frame, frames): (u32, u32), (rows, columns): (u16, u16)) {
        let mut noise =
            Noise(0x9E37_79B9_7F4A_7C15 ^ (u64::from(frame) << 7) ^ self.uid.len() as u64);
        let y_mm = (f64::from(frame) / f64::from(frames.max(2) - 1) - 0.5) * VOLUME_MM;
        let start = pixels.len();
        pixels.resize(start + usize::from(rows) * usize::from(columns), 0);
        for column in 0..columns {
            let x_mm = (f64::from(column) / f64::from(columns) - 0.5) * VOLUME_MM;
            let layers = self.layers(x_mm, y_mm);
            // A vessel's shadow.
            let shade = if ((x_mm * 2.1 + y_mm * 0.7).sin() > 0.985) && x_mm.hypot(y_mm) > 1.2 {
                0.45
            } else {
                1.0
            };
            for row in 0..rows {
                let depth_mm = (f64::from(row) + 0.5) / f64::from(rows) * DEPTH_MM;
                let value =
                    brightness(&layers, depth_mm) * shade * noise.speckle() + noise.next() * 9.0;
                let at = start + usize::from(row) * usize::from(columns) + usize::from(column);
                pixels[at] = value.clamp(0.0, 255.0) as u8;
            }
        }
    }

    /// Depths of the layers' borders at a place, in mm, with the brightness below each.
    fn layers(&self, x_mm: f64, y_mm: f64) -> [(f64, f64); 10] {
        let from_fovea = x_mm.hypot(y_mm);
        let bell = |width: f64| (-(from_fovea / width).powi(2)).exp();
        let bow = 0.012 * (x_mm * x_mm + y_mm * y_mm) + 0.02 * (x_mm * 0.8).sin();
        let epithelium = 1.18 + bow - self.oedema_mm * 0.25 * bell(0.9);
        let (pit, rim) = (bell(0.42), bell(1.3) - bell(0.55));
        let inner = (0.235 + 0.055 * rim) * (1.0 - 0.93 * pit);
        let outer = 0.125 + 0.02 * bell(0.5) + self.oedema_mm * bell(0.8);
        // Nerve fibres thicken towards the disc, which lies on the nasal side.
        let nasal = if self.eye == "R" { x_mm } else { -x_mm };
        let fibres = (0.022 + 0.028 * ((nasal + 3.0) / 6.0)) * (1.0 - 0.97 * pit);
        let top = epithelium - outer - inner - fibres;
        let part = |share: f64| top + fibres + inner * share;
        [
            (top, 205.0),
            (top + fibres, 118.0),
            (part(0.34), 138.0),
            (part(0.62), 62.0),
            (part(0.82), 128.0),
            (part(1.0), 48.0),
            (epithelium - 0.062, 96.0),
            (epithelium - 0.048, 190.0),
            (epithelium - 0.022, 238.0),
            (epithelium + 0.012, 112.0),
        ]
    }

    /// The same eye from the front, as a scanning laser or a camera in colour sees it.
    pub fn fundus(&self, is_colour: bool) -> Set {
        let side = FUNDUS_SIDE;
        let mut noise = Noise(0xA5A5_1234_5678_9ABD);
        let mut pixels = Vec::new();
        for row in 0..side {
            for column in 0..side {
                let mm = |at: u16| (f64::from(at) / f64::from(side) - 0.5) * FUNDUS_MM;
                let grey = self.reflection(mm(column), mm(row)) * (0.94 + 0.12 * noise.next());
                if is_colour {
                    let tint = [1.25, 0.62, 0.34].map(|tint| (grey * tint).clamp(0.0, 255.0) as u8);
                    pixels.extend(tint);
                } else {
                    pixels.push(grey.clamp(0.0, 255.0) as u8);
                }
            }
        }
        let (place, samples) = if is_colour { (3, 3) } else { (2, 1) };
        let (device, words) =
            if is_colour { ("409898007", "Colour") } else { ("392001008", "Infrared") };
        let spacing = FUNDUS_MM / f64::from(side);
        format(self.head(PHOTO, (place, place), "OP"), (side, side), samples)
            .text(0x0008_103E, "LO", words)
            .text(0x0020_0062, "CS", self.eye)
            .items(0x0022_0015, vec![code(device, "camera")])
            .text(0x0028_0004, "CS", if is_colour { "RGB" } else { "MONOCHROME2" })
            .text(0x0028_0030, "DS", &format!("{spacing:.5}\\{spacing:.5}"))
            .pixels(8, &pixels)
    }

    fn reflection(&self, x_mm: f64, y_mm: f64) -> f64 {
        let nasal = if self.eye == "R" { 1.0 } else { -1.0 };
        // From here on the disc lies on the right.
        let (x, y) = (x_mm * nasal, y_mm);
        let edge = (FUNDUS_MM / 2.0 - x_mm.hypot(y_mm)) * 8.0;
        let disc = ((x - 3.4).powi(2) + ((y + 0.2) / 1.12).powi(2)).sqrt();
        let mut light =
            118.0 - 5.0 * x_mm.hypot(y_mm) - 42.0 * (-(x.hypot(y) / 0.75).powi(2)).exp();
        for (bend, reach, width) in [(0.62, 0.0, 0.10), (0.62, 0.35, 0.065), (0.95, 0.9, 0.06)] {
            for side in [-1.0, 1.0] {
                // Arcades: parabolas that open away from the disc.
                let along = (3.4 - x).max(0.0);
                let middle = side * (bend * along.sqrt() * 2.0 + reach * 0.2 * along) - 0.2;
                let thin = width * (1.0 - 0.08 * along).max(0.3);
                light -=
                    46.0 * (-((y - middle) / thin).powi(2)).exp() * f64::from(u8::from(x < 3.4));
            }
        }
        light += 128.0 * (1.0 / (1.0 + ((disc - 0.85) * 14.0).exp()));
        light += 26.0 * (1.0 / (1.0 + ((disc - 0.38) * 16.0).exp()));
        light * (1.0 / (1.0 + (-edge).exp()))
    }

    /// A report on paper, with one line of text.
    pub fn report(&self) -> Set {
        let text = "BT /F1 18 Tf 60 740 Td (Macula thickness report) Tj ET";
        let pdf = format!(
            "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n\
             2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n\
             3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R\
             /Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>endobj\n\
             4 0 obj<</Length {}>>stream\n{text}\nendstream endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n",
            text.len()
        );
        self.head(PDF, (4, 4), "OPT")
            .text(0x0020_0060, "CS", self.eye)
            .text(0x0008_103E, "LO", "Thickness report")
            .raw(0x0042_0011, "OB", pdf.as_bytes())
            .text(0x0042_0010, "ST", "Macula thickness report")
            .text(0x0042_0012, "LO", "application/pdf")
            .ul(0x0042_0015, &[pdf.len() as u32])
    }

    /// What only the maker's own software understands.
    pub fn raw_data(&self) -> Set {
        self.head(RAW, (5, 5), "OPT")
            .text(0x0008_103E, "LO", "Archive data")
            .text(0x0020_0060, "CS", self.eye)
            .raw(0x0073_1010, "OB", &[0x5A; 4096])
    }

    /// A photo whose frame is a JPEG 2000 that no decoder reads.
    pub fn scrambled(&self) -> Set {
        format(self.head(OPT, (6, 6), "OPT"), (64, 64), 1)
            .text(0x0008_0070, "LO", "Carl Zeiss Meditec")
            .text(0x0008_1090, "LO", "CIRRUS HD-OCT 5000")
            .text(0x0020_0062, "CS", self.eye)
            .text(0x0028_0004, "CS", "MONOCHROME2")
            .text(0x0028_0008, "IS", "1")
            .fragments(&[], vec![(0..=255).cycle().take(2048).collect()])
    }
}

fn format(set: Set, (rows, columns): (u16, u16), samples: u16) -> Set {
    let set = set
        .us(0x0028_0002, &[samples])
        .us(0x0028_0010, &[rows])
        .us(0x0028_0011, &[columns])
        .us(0x0028_0100, &[8])
        .us(0x0028_0101, &[8])
        .us(0x0028_0102, &[7])
        .us(0x0028_0103, &[0]);
    if samples == 3 { set.us(0x0028_0006, &[0]) } else { set }
}

fn code(value: &str, meaning: &str) -> Set {
    Set::default().text(0x0008_0100, "SH", value).text(0x0008_0102, "SH", "SCT").text(
        0x0008_0104,
        "LO",
        meaning,
    )
}

/// How bright tissue is at a depth: dark vitreous, then layer by layer, then the choroid that fades.
fn brightness(layers: &[(f64, f64); 10], depth_mm: f64) -> f64 {
    let Some((top, below)) = layers.iter().rfind(|(top, _)| *top <= depth_mm) else {
        return 14.0;
    };
    let is_choroid = *top == layers[9].0;
    if is_choroid { below * (-(depth_mm - top) / 0.22).exp() + 12.0 } else { *below }
}

/// As a file in Explicit VR Little Endian, or in a syntax with frames that are compressed already.
pub fn file(set: &Set) -> Vec<u8> {
    set.file(EXPLICIT)
}

impl World {
    /// Files an instance as a gateway's upload would; gives its identifier.
    pub async fn image(&self, tenant: &str, set: &Set) -> String {
        self.image_file(tenant, file(set)).await
    }

    /// The same of a whole file.
    pub async fn image_file(&self, tenant: &str, file: Vec<u8>) -> String {
        let sha256 = Sha256::of(&file);
        let arrived = Arrived {
            tenant: tenant.into(),
            source: Source::Dicom,
            sender: "gw-main".into(),
            location: "main".into(),
            link: "oct".into(),
            lane: "lane-1".into(),
            lane_session: None,
            clock: ClockState::Synced,
            received_at_us: self.now_us,
            calling_ae: "OCT".into(),
            sha256,
            len_bytes: file.len() as u64,
            sop_class_uid: OPT.into(),
            sop_instance_uid: "2.25.1".into(),
            transfer_syntax_uid: EXPLICIT.into(),
            contradicts_earlier: false,
        };
        let store = self.core.archive.store().unwrap();
        store.put(&Archive::key(tenant, &sha256), file.into()).await.unwrap();
        intake::file(&self.core, &arrived, self.now_us).await.unwrap()
    }

    /// Whose eye an imager takes at a visit, with the study that the worklist gave it.
    pub async fn taken(&self, encounter: &str, eye: &'static str, uid: &str) -> Taken {
        let mut tx = self.core.db.tenant_read(TENANT).await.unwrap();
        let visit = encounter::by_id(&mut tx, TENANT, encounter).await.unwrap().unwrap();
        let zone = TimeZone::get("America/New_York").unwrap();
        let at = Timestamp::from_microsecond(visit.scheduled_at_us + 900_000_000).unwrap();
        // Visits of long ago had another worklist; their images go by chart number and birth date.
        let study = encounter
            .parse()
            .map_or_else(|_| format!("{uid}.9"), |id: Uuid| format!("2.25.{}", id.as_u128()));
        Taken {
            eye,
            study,
            uid: uid.into(),
            at: at.to_zoned(zone).strftime("%Y%m%d%H%M%S").to_string(),
            patient_id: visit.chart_number.clone(),
            birth_date: visit.birth_date.replace('-', ""),
            oedema_mm: 0.0,
        }
    }

    /// The visit before today's of a patient with a chart number.
    pub async fn last_visit(&self, chart: &str) -> String {
        let mut tx = self.core.db.tenant_read(TENANT).await.unwrap();
        let sql = "SELECT e.encounter_id FROM encounter e JOIN patient p
                ON p.tenant_id = e.tenant_id AND p.patient_id = e.patient_id
            WHERE e.tenant_id = $1 AND p.chart_number = $2
            ORDER BY e.scheduled_at_us DESC LIMIT 2";
        let found: Vec<(String,)> = tx.fetch_all(sql, args![TENANT, chart]).await.unwrap();
        found[1].0.clone()
    }

    /// Both eyes today and one of the last visit, with everything that a clinic's imagers send.
    /// Identifiers by a word: `volume`, `fellow`, `before`, `map`, `photo`, `report`, `raw`,
    /// `scrambled`.
    pub async fn imaged(
        &self,
        visits: &BTreeMap<String, String>,
    ) -> BTreeMap<&'static str, String> {
        const SIZE: (u32, u16, u16) = (24, 320, 192);
        let today = &visits["A-10977"];
        let right = self.taken(today, "R", "2.25.7001").await;
        let right = Taken { oedema_mm: 0.12, ..right };
        let left = self.taken(today, "L", "2.25.7002").await;
        let last = self.last_visit("A-10977").await;
        let before = self.taken(&last, "R", "2.25.7003").await;
        let sets = [
            ("map", right.fundus(false)),
            ("photo", right.fundus(true)),
            ("volume", right.volume(SIZE)),
            ("report", right.report()),
            ("raw", right.raw_data()),
            ("scrambled", right.scrambled()),
            ("fellow", left.volume(SIZE)),
            ("before", before.volume(SIZE)),
        ];
        let mut ids = BTreeMap::new();
        for (word, set) in sets {
            let syntax = if word == "scrambled" { JPEG_2000 } else { EXPLICIT };
            ids.insert(word, self.image_file(TENANT, set.file(syntax)).await);
        }
        ids
    }
}
