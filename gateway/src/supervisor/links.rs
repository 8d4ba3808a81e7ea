//! The links that run, and the DICOM node for its imagers. Another configuration stops only those
//! that are different in it, each between two steps, so that no byte that was read is lost.

use super::{AbortOnDrop, RESTART_PAUSE, keep_node};
use crate::{
    config::{Dicom, Imager, Link},
    dicom::{Node, tls::Tls, worklist::WorklistCache},
    instances::Instances,
    link,
    session::{SessionError, Shared},
};
use chiasm_proto::LinkId;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// All links. Dropped, they end.
pub struct Links {
    shared: Shared,
    running: BTreeMap<LinkId, Running>,
    node: Option<NodeParts>,
    imagers: Vec<Imager>,
    node_task: Option<AbortOnDrop<()>>,
}

struct Running {
    link: Link,
    stop: CancellationToken,
    task: AbortOnDrop<()>,
}

/// What a DICOM node needs besides its imagers.
pub struct NodeParts {
    pub dicom: Dicom,
    pub data_dir: PathBuf,
    pub instances: Instances,
    pub worklist: WorklistCache,
}

impl Links {
    /// Nothing runs yet. Without `node` there are no imagers.
    pub fn new(shared: Shared, node: Option<NodeParts>) -> Self {
        let (running, imagers) = (BTreeMap::new(), Vec::new());
        Self { shared, running, node, imagers, node_task: None }
    }

    /// Lets these run, and no others. What is as before goes on undisturbed.
    pub fn apply(&mut self, links: &[Link], imagers: &[Imager]) {
        self.shared.health.replace(links, imagers);
        let mut before = std::mem::take(&mut self.running);
        for link in links {
            let running = match before.remove(&link.id) {
                Some(running) if running.link == *link => running,
                other => self.begin(link, other),
            };
            self.running.insert(link.id.clone(), running);
        }
        for (id, gone) in before {
            tracing::info!(link = %id, "the link is not configured any more");
            gone.stop.cancel();
            // It ends by itself when what it has read is written down.
            drop(tokio::spawn(gone.task.join()));
        }
        if self.node_task.is_none() || self.imagers != imagers {
            self.begin_node(imagers);
        }
    }

    /// A link reads its journal back before anything else, so the one before has to be done with it.
    fn begin(&self, link: &Link, before: Option<Running>) -> Running {
        let stop = CancellationToken::new();
        let (shared, token) = (self.shared.clone(), stop.clone());
        let own = Arc::new(link.clone());
        let task = tokio::spawn(async move {
            if let Some(before) = before {
                before.stop.cancel();
                let _ = before.task.join().await;
            }
            keep_link(own, shared, token).await;
        });
        Running { link: link.clone(), stop, task: AbortOnDrop(task) }
    }

    /// Associations that are under way end; an imager that was not answered sends again.
    fn begin_node(&mut self, imagers: &[Imager]) {
        self.node_task = None;
        self.imagers = imagers.to_vec();
        let Some(parts) = &self.node else {
            for imager in imagers {
                let why = "there is no DICOM node, or its folder cannot be used; see the log";
                self.shared.health.down(&imager.id, why);
            }
            return;
        };
        let tls = Tls::new(parts.dicom.tls.clone(), &parts.data_dir);
        let node = Node::new(
            parts.dicom.clone(),
            tls,
            imagers.to_vec(),
            parts.instances.clone(),
            parts.worklist.clone(),
            self.shared.clone(),
        );
        self.node_task = Some(AbortOnDrop(tokio::spawn(keep_node(Arc::new(node)))));
    }
}

async fn keep_link(link: Arc<Link>, shared: Shared, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let task = link::run(link.clone(), shared.clone(), stop.clone());
        let task = AbortOnDrop(tokio::spawn(task));
        let reason = match task.join().await {
            Ok(SessionError::Stopped) => return,
            Ok(error) => error.to_string(),
            Err(error) if error.is_cancelled() => return,
            Err(_) => "its task panicked; this is a defect".into(),
        };
        shared.health.down(&link.id, &reason);
        tokio::select! {
            () = sleep(RESTART_PAUSE) => {}
            () = stop.cancelled() => {}
        }
    }
}
