//! A real S3 server: s3s with its file system, over TCP, with signatures verified.

use http_body_util::BodyExt;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

pub const BUCKET: &str = "images";
pub const ACCESS_KEY: &str = "chiasm-test";
pub const SECRET: &str = "not-so-secret";

/// The server; it stops when this is dropped, and keeps its objects as long as this lives.
pub struct S3Server {
    dir: TempDir,
    pub address: SocketAddr,
    tasks: JoinSet<()>,
    /// Method, path with query, and range of each request.
    seen: Arc<Mutex<Vec<String>>>,
    /// Requests that hold this text wait until it is empty.
    held: watch::Sender<String>,
}

impl S3Server {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["root", "root/images"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let (tasks, seen, held) = (JoinSet::new(), Arc::default(), watch::Sender::default());
        let mut server = S3Server { dir, address, tasks, seen, held };
        server.start_again().await;
        server
    }

    /// On the same port as before.
    pub async fn start_again(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        let mut builder = S3ServiceBuilder::new(FileSystem::new(self.root()).unwrap());
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET));
        let service = builder.build();
        let (seen, held) = (self.seen.clone(), self.held.clone());
        self.tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (service, seen, held) = (service.clone(), seen.clone(), held.clone());
                let answer = service_fn(move |request: Request<Incoming>| {
                    let (service, seen) = (service.clone(), seen.clone());
                    let mut held = held.subscribe();
                    async move {
                        let range = request.headers().get("range");
                        let range = range.map(|it| it.to_str().unwrap()).unwrap_or_default();
                        let line = format!("{} {} {range}", request.method(), request.uri());
                        seen.lock().unwrap().push(line.clone());
                        let is_free = |it: &String| it.is_empty() || !line.contains(it.as_str());
                        held.wait_for(is_free).await.unwrap();
                        let response = hyper::service::Service::call(&service, request).await;
                        response.map(|it| it.map(BodyExt::boxed_unsync))
                    }
                });
                connections.spawn(async move {
                    let _ =
                        http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
    }

    /// Every connection breaks off.
    pub async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }

    /// From now on such requests wait; an empty text lets them go.
    pub fn hold(&self, text: &str) {
        self.held.send_replace(text.into());
    }

    /// What was asked since this was called the last time.
    pub fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    pub async fn wait_for(&self, text: &str) {
        let reached = async {
            while !self.seen.lock().unwrap().iter().any(|line| line.contains(text)) {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(super::PATIENCE, reached).await.expect("it is asked for");
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// Parts of uploads that have come to no end.
    pub fn loose_parts(&self) -> usize {
        let names = fs::read_dir(self.root()).unwrap().map(|it| it.unwrap().file_name());
        names.filter(|it| it.to_string_lossy().starts_with(".upload")).count()
    }

    /// Part of the cloud's configuration.
    pub fn config(&self) -> String {
        let credentials = self.dir.path().join("credentials");
        let text = format!(
            "[default]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET}\n"
        );
        fs::write(&credentials, text).unwrap();
        format!(
            "\n[images.s3]\nbucket = \"{BUCKET}\"\nprefix = \"clinic/a\"\nregion = \"eu-north-1\"\n\
             endpoint = \"http://{}\"\ncredentials_file = {credentials:?}\n",
            self.address
        )
    }
}
