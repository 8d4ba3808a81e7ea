//! Pictures of instances, made when they are asked for and kept for a while. One frame is read from
//! the object store at a time, so a volume is never in memory as a whole.

use super::{
    codec::{self, CodecError},
    frames::{self, FrameIndex, FramesError},
    header::{DocumentPlace, Header, Window},
    kept::Kept,
    object_reader::ObjectReader,
    render,
    walk::{self, WalkError},
};
use bytes::Bytes;
use dicom_dictionary_std::tags;
use object_store::{ObjectStore, ObjectStoreExt, path::Path as Key};
use std::{
    io::Cursor,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

/// Memory for rendered frames, in bytes.
pub const RENDERED_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Memory for data sets that were inflated, in bytes; one has at most
/// [`walk::INFLATED_BYTES_MAX`].
pub const INFLATED_KEPT_BYTES_MAX: usize = 192 * 1024 * 1024;
/// Instances whose frames have been found.
pub const OPENED_MAX: usize = 512;
/// Frames that are decoded at the same time.
pub const DECODED_AT_ONCE_MAX: usize = 4;
/// Longest document that is shown, in bytes.
pub const DOCUMENT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Why there is no picture.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ViewError {
    /// Nothing failed: there is nothing that could be shown, or not here. A sentence for people.
    #[error("{0}")]
    NotShown(String),
    #[error("the instance has {0} frames")]
    NoSuchFrame(usize),
    #[error("the object store does not give the instance: {0}")]
    Store(String),
    #[error("the picture could not be made: {0}")]
    Failed(String),
}

/// Bytes for a browser.
#[derive(Debug, Clone)]
pub struct Shown {
    pub media_type: &'static str,
    pub bytes: Bytes,
}

/// An instance whose frames have been found.
#[derive(Debug)]
pub struct Opened {
    pub header: Header,
    pub sha256: String,
    key: Key,
    len_bytes: u64,
    index: Result<FrameIndex, ViewError>,
    window: OnceCell<Window>,
}

/// What the record knows of an instance.
#[derive(Debug, Clone)]
pub struct Stored {
    pub object_key: String,
    pub len_bytes: u64,
    pub sha256: String,
    pub header: Header,
}

/// Tenant and instance; nothing of one tenant is ever found by another.
type Name = (String, String);
/// With the stored frame and the window's bits; thumbnails have no frame.
type PictureName = (Name, Option<usize>, Option<(u64, u64)>);

/// Makes and keeps pictures. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pictures {
    opened: Arc<Mutex<Kept<Name, Arc<Opened>>>>,
    rendered: Arc<Mutex<Kept<PictureName, Shown>>>,
    /// Data sets that are stored deflated; a key names its tenant.
    inflated: Arc<Mutex<Kept<Key, Bytes>>>,
    turns: Arc<Semaphore>,
}

impl Default for Pictures {
    fn default() -> Self {
        Pictures {
            opened: Arc::new(Mutex::new(Kept::new(OPENED_MAX))),
            rendered: Arc::new(Mutex::new(Kept::new(RENDERED_BYTES_MAX))),
            inflated: Arc::new(Mutex::new(Kept::new(INFLATED_KEPT_BYTES_MAX))),
            turns: Arc::new(Semaphore::new(DECODED_AT_ONCE_MAX)),
        }
    }
}

impl Opened {
    /// Frames that can be asked for.
    pub fn frames(&self) -> usize {
        self.index.as_ref().map_or(0, FrameIndex::len)
    }

    /// The stored frame that is shown at a place; both count from 0.
    fn stored_frame(&self, place: usize) -> Option<usize> {
        match &self.header.frame_order {
            Some(order) => order.get(place).map(|frame| *frame as usize - 1),
            None => (place < self.frames()).then_some(place),
        }
    }

    /// Where the displayed frames lie on another picture: for each the stored points.
    pub fn lines_on(&self, sop_instance_uid: &str) -> Option<Vec<&[f32]>> {
        let locations = &self.header.frame_locations;
        let location = locations.iter().find(|it| it.sop_instance_uid == sop_instance_uid)?;
        let points = |place| {
            let frame = self.stored_frame(place)?;
            Some(location.points.get(frame).map_or(&[][..], Vec::as_slice))
        };
        (0..self.frames()).map(points).collect()
    }

    fn is_deflated(&self) -> bool {
        self.header.transfer_syntax_uid == walk::DEFLATED_LITTLE
    }
}

impl Pictures {
    /// An instance that was opened before.
    pub fn known(&self, tenant: &str, instance: &str) -> Option<Arc<Opened>> {
        lock(&self.opened).get(&(tenant.to_owned(), instance.to_owned()))
    }

    /// Finds the frames of an instance. What cannot be shown is opened too and says why.
    pub async fn open(
        &self,
        store: &Arc<dyn ObjectStore>,
        (tenant, instance): (&str, &str),
        stored: Stored,
    ) -> Result<Arc<Opened>, ViewError> {
        let Stored { object_key, len_bytes, sha256, header } = stored;
        let key = Key::parse(&object_key).map_err(|error| ViewError::Store(error.to_string()))?;
        let reader = ObjectReader::new(store.clone(), key.clone(), len_bytes);
        let is_deflated = header.transfer_syntax_uid == walk::DEFLATED_LITTLE;
        let inflated = match is_deflated && why_not(&header).is_none() {
            true => self.inflated(store, &key, len_bytes).await.map(Some),
            false => Ok(None),
        };
        let (header, index) = blocking(move || {
            let index = inflated.and_then(|inflated| index(reader, inflated, &header));
            Ok((header, index))
        })
        .await?;
        let window = OnceCell::new();
        let opened = Opened { header, sha256, key, len_bytes, index, window };
        let opened = Arc::new(opened);
        let name = (tenant.to_owned(), instance.to_owned());
        lock(&self.opened).put(name, opened.clone(), 1);
        Ok(opened)
    }

    /// The frame at a place, which counts from 1 in the order in which frames are shown.
    pub async fn frame(
        &self,
        store: &Arc<dyn ObjectStore>,
        (tenant, instance): (&str, &str),
        opened: &Arc<Opened>,
        (place, window): (usize, Option<Window>),
    ) -> Result<Shown, ViewError> {
        if let Err(error) = &opened.index {
            return Err(error.clone());
        }
        let stored = place.checked_sub(1).and_then(|place| opened.stored_frame(place));
        let frame = stored.ok_or(ViewError::NoSuchFrame(opened.frames()))?;
        let bits = window.map(|window| (window.center.to_bits(), window.width.to_bits()));
        let name = ((tenant.to_owned(), instance.to_owned()), Some(frame), bits);
        if let Some(shown) = lock(&self.rendered).get(&name) {
            return Ok(shown);
        }
        let first = match window {
            Some(window) => window,
            None => self.first_window(store, opened).await?,
        };
        let _turn = self.turn().await?;
        let bytes = self.read(store, opened, frame).await?;
        let made = opened.clone();
        let shown = blocking(move || shown(&made, &bytes, window, first)).await?;
        lock(&self.rendered).put(name, shown.clone(), shown.bytes.len());
        Ok(shown)
    }

    /// A small picture of the frame in the middle.
    pub async fn thumbnail(
        &self,
        store: &Arc<dyn ObjectStore>,
        (tenant, instance): (&str, &str),
        opened: &Arc<Opened>,
    ) -> Result<Shown, ViewError> {
        let name = ((tenant.to_owned(), instance.to_owned()), None, None);
        if let Some(shown) = lock(&self.rendered).get(&name) {
            return Ok(shown);
        }
        let first = self.first_window(store, opened).await?;
        let frame = opened.stored_frame(opened.frames() / 2);
        let frame = frame.ok_or(ViewError::NoSuchFrame(opened.frames()))?;
        let _turn = self.turn().await?;
        let bytes = self.read(store, opened, frame).await?;
        let made = opened.clone();
        let shown = blocking(move || {
            let picture = picture(&made, &bytes, Some(first))?;
            png(&picture.thumbnail(made.header.pixel_aspect()))
        })
        .await?;
        lock(&self.rendered).put(name, shown.clone(), shown.bytes.len());
        Ok(shown)
    }

    /// The window that shows an instance as it is meant, the same for all of its frames.
    pub async fn first_window(
        &self,
        store: &Arc<dyn ObjectStore>,
        opened: &Arc<Opened>,
    ) -> Result<Window, ViewError> {
        let found = opened.window.get_or_try_init(async || {
            let index = opened.index.as_ref().map_err(Clone::clone)?;
            let format = opened.header.pixels.as_ref().ok_or_else(no_pixels)?;
            if let Some(window) = render::window_of_header(&opened.header, format) {
                return Ok(window);
            }
            let frame = opened.stored_frame(index.len() / 2);
            let frame = frame.ok_or(ViewError::NoSuchFrame(index.len()))?;
            let _turn = self.turn().await?;
            let bytes = self.read(store, opened, frame).await?;
            let made = opened.clone();
            blocking(move || {
                let header = &made.header;
                let format = header.pixels.as_ref().ok_or_else(no_pixels)?;
                let frame = codec::decode(format, &header.transfer_syntax_uid, &bytes);
                let frame = frame.map_err(|error| undecoded(header, &error))?;
                Ok(render::first_window(header, format, &frame))
            })
            .await
        });
        found.await.copied()
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, ViewError> {
        self.turns.acquire().await.map_err(|error| failed(&error))
    }

    /// A frame's bytes as they are stored, without the heads of its fragments.
    pub async fn read(
        &self,
        store: &Arc<dyn ObjectStore>,
        opened: &Arc<Opened>,
        frame: usize,
    ) -> Result<Bytes, ViewError> {
        let index = opened.index.as_ref().map_err(Clone::clone)?;
        let span = index.span(frame).ok_or(ViewError::NoSuchFrame(index.len()))?;
        if opened.is_deflated() {
            let inflated = self.inflated(store, &opened.key, opened.len_bytes).await?;
            let end = usize::try_from(span.offset + span.len).unwrap_or(usize::MAX);
            if end > inflated.len() {
                return Err(too_long(&opened.header));
            }
            return Ok(inflated.slice(span.offset as usize..end));
        }
        let read = store.get_range(&opened.key, span.offset..span.offset + span.len);
        let read = read.await.map_err(|error| ViewError::Store(error.to_string()))?;
        match index.payload(&read).map_err(|error| failed(&error))? {
            std::borrow::Cow::Borrowed(payload) => Ok(read.slice_ref(payload)),
            std::borrow::Cow::Owned(payload) => Ok(payload.into()),
        }
    }

    /// The data set of a deflated file; its frames lie in it, and not in the file.
    async fn inflated(
        &self,
        store: &Arc<dyn ObjectStore>,
        key: &Key,
        len_bytes: u64,
    ) -> Result<Bytes, ViewError> {
        if let Some(inflated) = lock(&self.inflated).get(key) {
            return Ok(inflated);
        }
        let reader = ObjectReader::new(store.clone(), key.clone(), len_bytes);
        let inflate = || walk::inflate_file(reader).map_err(|error| failed(&error));
        let inflated = Bytes::from(blocking(inflate).await?);
        lock(&self.inflated).put(key.clone(), inflated.clone(), inflated.len());
        Ok(inflated)
    }

    /// The encapsulated document.
    pub async fn document(
        &self,
        store: &Arc<dyn ObjectStore>,
        opened: &Arc<Opened>,
    ) -> Result<Bytes, ViewError> {
        let header = &opened.header;
        let Some(document) = &header.document else {
            return Err(ViewError::NotShown("This instance holds no document.".into()));
        };
        match document.place {
            DocumentPlace::At(span) if span.len > DOCUMENT_BYTES_MAX => Err(too_long(header)),
            DocumentPlace::At(span) if !opened.is_deflated() => {
                let read = store.get_range(&opened.key, span.offset..span.offset + span.len);
                read.await.map_err(|error| ViewError::Store(error.to_string()))
            }
            _ => {
                let reader = ObjectReader::new(store.clone(), opened.key.clone(), opened.len_bytes);
                blocking(move || short_document(reader)).await
            }
        }
    }
}

fn short_document(reader: ObjectReader) -> Result<Bytes, ViewError> {
    let walked = walk::walk(reader).map_err(|error| failed(&error))?;
    let bytes = walked.data_set.bytes(tags::ENCAPSULATED_DOCUMENT);
    let bytes = bytes.ok_or_else(|| failed(&WalkError::TooLong))?;
    Ok(Bytes::copy_from_slice(bytes))
}

fn index(
    reader: ObjectReader,
    inflated: Option<Bytes>,
    header: &Header,
) -> Result<FrameIndex, ViewError> {
    if let Some(sentence) = why_not(header) {
        return Err(ViewError::NotShown(sentence));
    }
    let found = match inflated {
        Some(inflated) => frames::index(Cursor::new(inflated), header),
        None => frames::index(reader, header),
    };
    found.map_err(|error| match error {
        FramesError::Read(error) => failed(&error),
        error => ViewError::NotShown(format!(
            "The frames of this instance cannot be found: {error}. It is stored as it was received."
        )),
    })
}

/// Why an instance has no picture here, in a sentence for people; none: it should have one.
pub fn why_not(header: &Header) -> Option<String> {
    let maker = header.manufacturer.as_deref().unwrap_or("its maker");
    let Some(format) = &header.pixels else {
        return match (&header.document, header.kind) {
            (Some(_), _) => None,
            (None, super::header::ImageKind::RawData) => Some(format!(
                "This is raw data of {maker}, stored as received. Only software of {maker} can \
                 show it."
            )),
            (None, kind) => Some(format!(
                "This instance ({}) holds no picture. It is stored as received.",
                kind.label()
            )),
        };
    };
    match codec::can_decode(format, &header.transfer_syntax_uid) {
        Err(CodecError::Unsupported(what)) => Some(format!(
            "Stored as received. Pictures in {what} cannot be shown here; software of {maker} or \
             another viewer can."
        )),
        Err(error) => Some(format!("Stored as received, but not to be shown: {error}.")),
        Ok(()) => None,
    }
}

/// What a browser gets for a frame: a stored JPEG as it is where nobody asks for another window.
fn shown(
    opened: &Opened,
    bytes: &Bytes,
    window: Option<Window>,
    first: Window,
) -> Result<Shown, ViewError> {
    let header = &opened.header;
    let is_as_stored = window.is_none() && header.window.is_none() && header.rescale.is_none();
    if is_as_stored && codec::is_for_browsers(header, bytes) {
        return Ok(Shown { media_type: "image/jpeg", bytes: bytes.clone() });
    }
    let is_colour = header.pixels.as_ref().is_some_and(|format| format.samples_per_pixel == 3);
    png(&picture(opened, bytes, if is_colour { window } else { Some(first) })?)
}

fn picture(
    opened: &Opened,
    bytes: &[u8],
    window: Option<Window>,
) -> Result<render::Picture, ViewError> {
    let header = &opened.header;
    let format = header.pixels.as_ref().ok_or_else(no_pixels)?;
    let frame = codec::decode(format, &header.transfer_syntax_uid, bytes);
    let frame = frame.map_err(|error| undecoded(header, &error))?;
    Ok(render::render(header, format, frame, window))
}

fn png(picture: &render::Picture) -> Result<Shown, ViewError> {
    let bytes = picture.png().map_err(|error| failed(&error))?;
    Ok(Shown { media_type: "image/png", bytes: bytes.into() })
}

fn no_pixels() -> ViewError {
    ViewError::NotShown("This instance holds no picture.".into())
}

fn too_long(header: &Header) -> ViewError {
    let what = header.kind.label();
    ViewError::NotShown(format!("This instance ({what}) is too long to be shown here."))
}

/// Carl Zeiss writes JPEG 2000 whose bytes are scrambled; no other software can show it.
fn undecoded(header: &Header, error: &CodecError) -> ViewError {
    let maker = header.manufacturer.as_deref().unwrap_or("its maker");
    let is_zeiss = maker.to_ascii_lowercase().contains("zeiss");
    ViewError::NotShown(match error {
        CodecError::Damaged { syntax: "JPEG 2000", .. } if is_zeiss => format!(
            "Stored as received. {maker} scrambles the pixels of this volume; only its own \
             software can show it."
        ),
        CodecError::Unsupported(what) => {
            format!("Stored as received. Pictures in {what} cannot be shown here.")
        }
        error => format!("Stored as received, but the picture cannot be read: {error}."),
    })
}

fn failed(error: &dyn std::error::Error) -> ViewError {
    ViewError::Failed(error.to_string())
}

/// Decoders are given bytes from outside: one that panics spoils one picture.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ViewError> + Send + 'static,
) -> Result<T, ViewError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| failed(&error))?
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
