//! A DICOM node inside the test's process, objects to send to it, and those who send them.

use super::{free_port, until};
use chiasm_gateway::{
    binding::Lanes,
    config,
    dicom::{
        Node,
        command::{AFFECTED_SOP_CLASS_UID, AFFECTED_SOP_INSTANCE_UID, C_STORE_RQ, Command, STATUS},
        data_set::{DataSet, Element, Syntax, Value},
        tls::Tls,
        worklist::{self, WorklistCache},
    },
    health::Health,
    instances::{Held, Instances},
    session::Shared,
    spool::{SharedLanes, Spool},
};
use chiasm_proto::{Body, LinkId, ScheduledVisit, Worklist};
use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use dicom_object::FileMetaTableBuilder;
use dicom_ul::{
    association::{AsyncClientAssociation, ClientAssociationOptions},
    pdu::{PDataValue, PDataValueType, Pdu},
};
use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::{Arc, Mutex},
};
use tokio::{net::TcpStream, process::Command as Process, task::JoinHandle};

pub const OPT: &str = uids::OPHTHALMIC_TOMOGRAPHY_IMAGE_STORAGE;
pub const IMPLICIT: &str = "1.2.840.10008.1.2";
pub const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub const RLE: &str = "1.2.840.10008.1.2.5";
pub const J2K: &str = "1.2.840.10008.1.2.4.90";

/// An OCT that nobody can call.
pub const OCT: &str = "[[imager]]\nid = \"oct-1\"\nlane = \"lane-1\"\ncalling_ae = \"OCT\"\n";

pub struct World {
    pub dir: tempfile::TempDir,
    pub port: u16,
    pub instances: Instances,
    pub worklist: WorklistCache,
    pub spool: Spool,
    pub health: Arc<Health>,
    pub lanes: SharedLanes,
    task: JoinHandle<()>,
}

impl World {
    pub async fn new() -> Self {
        Self::with(OCT).await
    }

    pub async fn with(imagers: &str) -> Self {
        Self::in_dir(tempfile::tempdir().unwrap(), imagers).await
    }

    /// The same data directory as a node before, after a kill.
    pub async fn in_dir(dir: tempfile::TempDir, imagers: &str) -> Self {
        let port = free_port();
        // Tables of imagers, perhaps with that of TLS in front.
        let text = format!(
            "data_dir = \"{}\"\n[dicom]\nlisten = \"127.0.0.1:{port}\"\n{imagers}",
            dir.path().display()
        );
        let config = config::parse(&dir.path().join("test.toml"), &text).unwrap();
        let (spool, _writer) =
            Spool::open(&dir.path().join("spool"), None, &super::key()).await.unwrap();
        let health = Arc::new(Health::new(&[], dir.path()).with_imagers(&config.imagers));
        let shared = Shared {
            spool: spool.clone(),
            health: health.clone(),
            lanes: Arc::new(Mutex::new(Lanes::default())),
            journal_dir: dir.path().join("journal").into(),
            key: super::key(),
            listening: Default::default(),
        };
        let lanes = shared.lanes.clone();
        let instances =
            Instances::open(&dir.path().join("instances"), &super::key()).await.unwrap();
        let worklist = worklist::open(dir.path(), &super::key());
        let dicom = config.dicom.unwrap();
        let tls = Tls::new(dicom.tls.clone(), dir.path());
        let node =
            Node::new(dicom, tls, config.imagers, instances.clone(), worklist.clone(), shared);
        let task = tokio::spawn(Arc::new(node).run());
        until("the node to listen", async || TcpStream::connect(("127.0.0.1", port)).await.ok())
            .await;
        Self { dir, port, instances, worklist, spool, health, lanes, task }
    }

    /// Stops in the middle of everything.
    pub async fn kill(self) -> tempfile::TempDir {
        self.task.abort();
        let _ = self.task.await;
        self.dir
    }

    pub async fn held(&self, uid: &str) -> Vec<Held> {
        self.instances.held(uid).await.unwrap()
    }

    /// The only instance under a UID, as a file.
    pub async fn file_of(&self, uid: &str) -> Vec<u8> {
        let held = self.held(uid).await;
        assert_eq!(held.len(), 1, "instances under {uid}");
        let content = self.instances.content(&held[0]).await.unwrap();
        content.read_at(0, usize::try_from(held[0].len_bytes).unwrap()).unwrap()
    }

    pub async fn file(&self, uid: &str) {
        for held in self.held(uid).await {
            self.instances.filed(held.id, jiff::Timestamp::now()).await.unwrap();
        }
    }

    pub async fn documents(&self) -> Vec<Body> {
        let mut bodies = Vec::new();
        for seq in self.spool.pending_after(0, usize::MAX).await.unwrap() {
            let stored = self.spool.pending(seq).await.unwrap().unwrap();
            bodies.push(serde_json::from_str(&stored.body).unwrap());
        }
        bodies
    }

    /// Until everything has followed from what is held.
    pub async fn until_followed_up(&self) {
        until("the follow-ups", async || {
            self.instances.next_follow_ups().await.unwrap().is_empty().then_some(())
        })
        .await;
    }

    pub async fn until_event(&self, code: &str) -> String {
        until("an event", async || {
            self.documents().await.into_iter().find_map(|body| match body {
                Body::Event(event) if event.code == code => Some(event.detail),
                _ => None,
            })
        })
        .await
    }

    pub fn link() -> LinkId {
        LinkId::new("oct-1").unwrap()
    }

    /// A program of dcmtk, called as the imager `ae`.
    pub async fn dcmtk(&self, program: &str, ae: &str, args: &[&str]) -> Output {
        dcmtk(program, ae, self.port, args).await
    }
}

pub async fn dcmtk(program: &str, ae: &str, port: u16, args: &[&str]) -> Output {
    // By its path: pynetdicom puts programs of the same names on PATH.
    Process::new(format!("/usr/bin/{program}"))
        .args(["-aet", ae, "-aec", "CHIASM", "127.0.0.1", &port.to_string()])
        .args(args)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("dcmtk is installed (apt-get install dcmtk)")
}

pub fn said(output: &Output) -> String {
    let text = [output.stdout.clone(), output.stderr.clone()].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// A program of the tests on pynetdicom.
pub fn python(script: &str) -> Process {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let program = target.join("pynetdicom/bin/python");
    assert!(program.exists(), "run tests/pynetdicom/install.sh");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pynetdicom").join(script);
    let mut process = Process::new(program);
    process.arg(script).stdin(Stdio::null()).kill_on_drop(true);
    process
}

/// An object as its data set's bytes.
#[derive(Clone)]
pub struct Object {
    pub class: String,
    pub uid: String,
    pub syntax: String,
    pub data_set: Vec<u8>,
}

impl Object {
    /// One frame of 64 by 48, `seed` in its pixels.
    pub fn new(uid: &str, syntax: &str, seed: u8) -> Self {
        let pixels: Vec<u8> = (0..64 * 48).map(|at| (at as u8).wrapping_mul(7) ^ seed).collect();
        Self::with_pixels(uid, syntax, &pixels)
    }

    pub fn with_pixels(uid: &str, syntax: &str, pixels: &[u8]) -> Self {
        let mut set = DataSet::default();
        set.put(tags::SOP_CLASS_UID, OPT);
        set.put(tags::SOP_INSTANCE_UID, uid);
        set.put(tags::MODALITY, "OPT");
        set.put(tags::PATIENT_NAME, "Test^Otto");
        set.put(tags::PATIENT_ID, "T-1");
        set.put(tags::STUDY_INSTANCE_UID, "1.2.3");
        set.put(tags::SERIES_INSTANCE_UID, "1.2.3.4");
        for (tag, number) in [
            (tags::SAMPLES_PER_PIXEL, 1),
            (tags::ROWS, 48),
            (tags::COLUMNS, 64),
            (tags::BITS_ALLOCATED, 8),
            (tags::BITS_STORED, 8),
            (tags::HIGH_BIT, 7),
            (tags::PIXEL_REPRESENTATION, 0),
        ] {
            set.put_u16(tag, number);
        }
        set.put(tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2");
        let implicit = syntax == IMPLICIT;
        let mut data_set = if implicit || syntax == EXPLICIT {
            let vr = if implicit { VR::OW } else { VR::OB };
            set.put_element(tags::PIXEL_DATA, Element { vr, value: Value::Bytes(pixels.into()) });
            set.encode(Syntax::from_uid(syntax).unwrap())
        } else {
            set.encode(Syntax::ExplicitLittleEndian)
        };
        if !implicit && syntax != EXPLICIT {
            // Encapsulated: no offsets, two fragments, the end.
            data_set.extend(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\0\0\0\0");
            for fragment in pixels.chunks(pixels.len() / 2) {
                data_set.extend(b"\xfe\xff\x00\xe0");
                data_set.extend(u32::try_from(fragment.len()).unwrap().to_le_bytes());
                data_set.extend(fragment);
            }
            data_set.extend(b"\xfe\xff\xdd\xe0\0\0\0\0");
        }
        Self { class: OPT.into(), uid: uid.into(), syntax: syntax.into(), data_set }
    }

    pub fn write(&self, dir: &Path) -> PathBuf {
        let meta = FileMetaTableBuilder::new()
            .media_storage_sop_class_uid(&self.class)
            .media_storage_sop_instance_uid(&self.uid)
            .transfer_syntax(&self.syntax)
            .build()
            .unwrap();
        let mut file = vec![0; 128];
        file.extend(b"DICM");
        meta.write(&mut file).unwrap();
        file.extend(&self.data_set);
        let path = dir.join(format!("{}.dcm", self.uid));
        std::fs::write(&path, file).unwrap();
        path
    }
}

/// A sender that sends exactly the bytes it is told, by another implementation than the node's.
pub struct Sender {
    association: AsyncClientAssociation<TcpStream>,
    context: u8,
    next_id: u16,
}

impl Sender {
    pub async fn new(port: u16, class: &str, syntax: &str) -> Self {
        Self::calling("OCT", port, class, syntax).await.unwrap()
    }

    pub async fn calling(
        ae: &str,
        port: u16,
        class: &str,
        syntax: &str,
    ) -> Result<Self, dicom_ul::association::Error> {
        let association = ClientAssociationOptions::new()
            .calling_ae_title(ae)
            .called_ae_title("CHIASM")
            .with_presentation_context(class.to_owned(), vec![syntax.to_owned()])
            .establish_async(("127.0.0.1", port))
            .await?;
        let context = association.presentation_contexts()[0].id;
        Ok(Self { association, context, next_id: 1 })
    }

    /// The request, its fragments `chunk` bytes long.
    pub async fn command(&mut self, command: &Command, chunk: usize) {
        self.fragments(PDataValueType::Command, &command.encode(), chunk, true).await;
    }

    pub fn store_request(&mut self, class: &str, uid: &str) -> Command {
        self.next_id += 1;
        Command::request(C_STORE_RQ, self.next_id)
            .with_uid(AFFECTED_SOP_CLASS_UID, class)
            .with_uid(AFFECTED_SOP_INSTANCE_UID, uid)
            .with_data_set()
    }

    /// Data in fragments; without its end if it `is_whole` not.
    pub async fn data(&mut self, bytes: &[u8], chunk: usize, is_whole: bool) {
        self.fragments(PDataValueType::Data, bytes, chunk, is_whole).await;
    }

    async fn fragments(&mut self, kind: PDataValueType, bytes: &[u8], chunk: usize, whole: bool) {
        let count = bytes.len().div_ceil(chunk).max(1);
        for (index, part) in bytes.chunks(chunk).enumerate() {
            let value = PDataValue {
                presentation_context_id: self.context,
                value_type: kind.clone(),
                is_last: whole && index + 1 == count,
                data: part.to_vec(),
            };
            self.association.send(&Pdu::PData { data: vec![value] }).await.unwrap();
        }
    }

    pub async fn answer(&mut self) -> Result<Command, dicom_ul::association::Error> {
        let mut bytes = Vec::new();
        loop {
            match self.association.receive().await? {
                Pdu::PData { data } => {
                    for value in data {
                        bytes.extend(value.data);
                        if value.is_last {
                            return Ok(Command::parse(&bytes).unwrap());
                        }
                    }
                }
                Pdu::AbortRQ { source } => panic!("the node aborts: {source:?}"),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Sends an object and gives the status.
    pub async fn store(&mut self, object: &Object, chunk: usize) -> u16 {
        let request = self.store_request(&object.class, &object.uid);
        self.command(&request, chunk).await;
        self.data(&object.data_set, chunk, true).await;
        self.answer().await.unwrap().u16(STATUS).unwrap()
    }

    pub async fn release(self) {
        self.association.release().await.unwrap();
    }
}

pub fn visit(accession: &str, at: &str, family: &str, given: &str) -> ScheduledVisit {
    let number: u128 = accession.bytes().map(u128::from).sum();
    ScheduledVisit {
        accession: accession.into(),
        study_instance_uid: format!("2.25.{number}"),
        scheduled_at: at.parse().unwrap(),
        reason: "Macula".into(),
        chart_number: format!("P-{family}"),
        family_name: family.into(),
        given_name: given.into(),
        birth_date: "1961-02-03".parse().unwrap(),
    }
}

pub fn worklist(visits: Vec<ScheduledVisit>) -> Worklist {
    Worklist {
        generated_at: "2026-11-30T07:00:00Z".parse().unwrap(),
        location: "Main street".into(),
        visits,
    }
}
