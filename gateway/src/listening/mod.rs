//! Listening for the cloud (I2): what comes over a link is told while it is read as always; a port
//! that no link reads is tried at one documented setting after the other. One at a time. Nothing of
//! what was measured leaves by this way.

pub mod ports;
mod search;

use crate::config::Link;
use chiasm_drivers::Event;
use chiasm_proto::{
    LinkId,
    fleet::LinkState,
    listening::{Command, DETECT_S_MAX, HEARD_LEN_MAX, Heard, LISTEN_S_MAX, VERDICTS_MAX, mask},
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};
use uuid::Uuid;

/// The ear of the cloud. Cheap to clone.
#[derive(Clone)]
pub struct Listening {
    inner: Arc<Mutex<Ear>>,
    told: watch::Sender<Option<Heard>>,
}

#[derive(Default)]
struct Ear {
    /// Which link is listened to.
    link: Option<LinkId>,
    heard: Option<Heard>,
    task: Option<JoinHandle<()>>,
}

impl Default for Listening {
    fn default() -> Self {
        Self { inner: Arc::default(), told: watch::Sender::new(None) }
    }
}

impl Listening {
    /// Wakes whenever something was heard; holds all of it.
    pub fn told(&self) -> watch::Receiver<Option<Heard>> {
        self.told.subscribe()
    }

    /// Begins what the cloud asks for, and ends what was before.
    pub fn begin(&self, command: Command, links: &[LinkState]) {
        let id = command.id();
        let mut ear = self.lock();
        if ear.heard.as_ref().is_some_and(|heard| heard.id == id) {
            return; // the broker may say it twice
        }
        if let Some(before) = ear.task.take() {
            before.abort();
        }
        let heard = Heard { id, bytes: 0, masked: String::new(), verdicts: vec![], ended: None };
        ear.heard = Some(heard);
        ear.link = match &command {
            Command::Listen { link, .. } => Some(link.clone()),
            Command::Detect { .. } => None,
        };
        ear.task = match refusal(&command, links) {
            Some(reason) => {
                ear.heard.iter_mut().for_each(|heard| heard.ended = Some(reason.clone()));
                None
            }
            None => Some(tokio::spawn(run(self.clone(), command))),
        };
        self.told.send_replace(ear.heard.clone());
    }

    /// A link has read these bytes.
    pub fn bytes(&self, link: &LinkId, bytes: &[u8]) {
        self.change(Some(link), |heard| {
            heard.bytes += bytes.len() as u64;
            heard.masked.push_str(&mask(&bytes[bytes.len().saturating_sub(HEARD_LEN_MAX)..]));
            let excess = heard.masked.len().saturating_sub(HEARD_LEN_MAX);
            // Masked text is ASCII.
            heard.masked.drain(..excess);
        });
    }

    /// What a link's decoder made of it, without values.
    pub fn event(&self, link: &Link, event: &Event) {
        if !self.is_on(&link.id) {
            return;
        }
        let driver = link.driver.id;
        let words = match event {
            Event::Decoded { decoded, .. } => {
                format!("read by {driver}: {} measurements", decoded.measurements.len())
            }
            Event::Rejected { error, .. } => {
                let field = error.field.as_ref().map_or_else(String::new, |it| format!(" ({it})"));
                format!(
                    "refused by {driver} at byte {}{field}: {}",
                    error.offset,
                    error.code.as_str()
                )
            }
            Event::Control { what, .. } => format!("{driver}: {what}"),
            Event::Overflow { raw } => format!("{driver}: {} more bytes, not kept", raw.len()),
        };
        self.change(Some(&link.id), |heard| say(heard, words));
    }

    fn is_on(&self, link: &LinkId) -> bool {
        self.lock().link.as_ref() == Some(link)
    }

    /// Changes what was heard and tells it; `None` for what comes from no link.
    fn change(&self, link: Option<&LinkId>, change: impl FnOnce(&mut Heard)) {
        let mut ear = self.lock();
        if ear.link.as_ref() != link {
            return;
        }
        let Some(heard) = ear.heard.as_mut().filter(|heard| heard.ended.is_none()) else { return };
        change(heard);
        self.told.send_replace(ear.heard.clone());
    }

    fn end(&self, id: Uuid, why: &str) {
        let mut ear = self.lock();
        let Some(heard) = ear.heard.as_mut().filter(|heard| heard.id == id) else { return };
        heard.ended = Some(why.to_owned());
        ear.link = None;
        self.told.send_replace(ear.heard.clone());
    }

    fn lock(&self) -> MutexGuard<'_, Ear> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn say(heard: &mut Heard, words: String) {
    heard.verdicts.push(words);
    let excess = heard.verdicts.len().saturating_sub(VERDICTS_MAX);
    heard.verdicts.drain(..excess);
}

/// Why it is not done. A cloud in wrong hands must not open what is no port.
fn refusal(command: &Command, links: &[LinkState]) -> Option<String> {
    match command {
        Command::Listen { link, .. } => {
            let is_known = links.iter().any(|it| it.link == *link);
            (!is_known).then(|| format!("there is no link {link}"))
        }
        Command::Detect { port, .. } => {
            let ports = match ports::look(links) {
                Ok(ports) => ports.ports,
                Err(error) => return Some(error.to_string()),
            };
            match ports.into_iter().find(|it| it.name == *port) {
                None => Some(format!("no port {port} is plugged in")),
                Some(it) => it.link.map(|link| format!("link {link} reads it: listen to that")),
            }
        }
    }
}

async fn run(listening: Listening, command: Command) {
    match command {
        Command::Listen { id, seconds, .. } => {
            sleep(Duration::from_secs(seconds.min(LISTEN_S_MAX).into())).await;
            listening.end(id, "the time is over");
        }
        Command::Detect { id, port, seconds } => {
            let within = Duration::from_secs(seconds.min(DETECT_S_MAX).into());
            let found = timeout(within, search::run(&listening, &port)).await;
            let why = found.unwrap_or_else(|_| "no print in time".into());
            listening.end(id, &why);
        }
    }
}
