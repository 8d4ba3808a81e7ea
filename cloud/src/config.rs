//! The configuration file. Unknown keys are errors: a misspelt key that is ignored is a fault that
//! nobody sees.

use crate::domain::check_in::Tolerances;
use serde::Deserialize;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Holds the authority's key, certificates and, by default, the database.
    pub data_dir: PathBuf,
    #[serde(default)]
    pub http: Http,
    #[serde(default)]
    pub gateway_endpoint: GatewayEndpoint,
    #[serde(default)]
    pub store: Store,
    #[serde(default)]
    pub broker: Broker,
    /// Sign-in by an identity provider, beside passwords.
    pub oidc: Option<Oidc>,
    #[serde(default)]
    pub optical: Optical,
    #[serde(default)]
    pub images: Images,
    #[serde(default)]
    pub metrics: Metrics,
    #[serde(default)]
    pub notices: Notices,
}

/// Who outside is told of incidents.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Notices {
    pub webhook: Option<Webhook>,
}

/// Where incidents are posted as JSON.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    pub url: String,
    /// Holds the secret that signs what is posted, and nothing else.
    pub secret_file: PathBuf,
}

/// Numbers for monitoring.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Where `/metrics` is, without sign-in; nowhere by default.
    pub listen: Option<SocketAddr>,
}

/// Where DICOM instances are kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Images {
    /// By default `instances` in the data directory. Replicas share it. With a bucket only uploads
    /// are collected here.
    pub folder: Option<PathBuf>,
    /// What is kept free on the disk of that folder, in MiB: uploads that would need it are
    /// refused, and wait at their gateways.
    pub disk_reserve_mb: u64,
    /// A bucket for the objects, in place of the folder.
    pub s3: Option<S3>,
}

impl Default for Images {
    fn default() -> Self {
        Self { folder: None, disk_reserve_mb: 2048, s3: None }
    }
}

/// A bucket of AWS S3 or of a server that speaks the same. The access key comes from AWS' usual
/// environment variables, from the machine's own role, or from a file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3 {
    pub bucket: String,
    /// Everything lies below it: `chiasm` or `clinic/images`. By default the whole bucket is ours.
    #[serde(default)]
    pub prefix: String,
    /// By default `AWS_REGION`, else `us-east-1`.
    pub region: Option<String>,
    /// `https://s3.example.org`; by default that of AWS in the region.
    pub endpoint: Option<String>,
    /// Whether the bucket stands in the path, as most servers but AWS want it, or in the name.
    #[serde(default = "yes")]
    pub path_style: bool,
    /// In the form of AWS' file `credentials`; its first profile is used.
    pub credentials_file: Option<PathBuf>,
}

fn yes() -> bool {
    true
}

impl S3 {
    /// The endpoint, with the bucket in its name where it stands there.
    pub fn endpoint_of_bucket(&self) -> Option<String> {
        let endpoint = self.endpoint.as_ref()?;
        match endpoint.split_once("://") {
            Some((scheme, host)) if !self.path_style => {
                Some(format!("{scheme}://{}.{host}", self.bucket))
            }
            _ => Some(endpoint.clone()),
        }
    }

    fn fault(&self) -> Option<(&'static str, &'static str)> {
        if self.bucket.is_empty() || self.bucket.contains(['/', ':', ' ']) {
            return Some(("images.s3.bucket", "give the bucket's name alone, without `s3://`"));
        }
        let is_url = |it: &str| it.starts_with("https://") || it.starts_with("http://");
        if self.endpoint.as_deref().is_some_and(|it| !is_url(it)) {
            return Some(("images.s3.endpoint", "must begin with `https://` (or `http://`)"));
        }
        None
    }
}

/// Glasses that are made from signed prescriptions.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Optical {
    pub tolerances: Tolerances,
}

/// An OpenID Connect provider whose people may sign in to one practice.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// As the provider names itself: `https://login.example.org/tenant`.
    pub issuer: String,
    pub client_id: String,
    /// Holds the client's secret, and nothing else.
    pub client_secret_file: PathBuf,
    /// Where browsers reach this cloud, without a path: `https://chiasm.example.org`.
    pub public_url: String,
    /// On the button: "Sign in with …".
    pub name: String,
    /// The practice that the provider's people belong to.
    pub tenant: String,
    /// The claim by which clinic IT has prepared a person: `email` (verified ones only) or another.
    #[serde(default = "default_claim")]
    pub claim: String,
}

fn default_claim() -> String {
    "email".into()
}

/// Pages and API.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    pub listen: SocketAddr,
    /// A proxy in front speaks HTTPS to the browsers; without it, and away from loopback, a
    /// certificate is needed.
    pub behind_proxy: bool,
    /// PEM files.
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

/// Where gateways enrol.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayEndpoint {
    pub listen: SocketAddr,
    /// Names and addresses under which gateways reach the cloud: they stand in the certificates of
    /// this endpoint and of the embedded broker.
    pub names: Vec<String>,
    /// What gateways are told; by default `mqtts://` with the first name and the broker's port.
    pub broker_public_url: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// `sqlite:PATH` or `postgres://…`; by default `chiasm.db` in the data directory.
    pub url: Option<String>,
}

/// The embedded broker, or one elsewhere if `url` is given.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Broker {
    pub listen: SocketAddr,
    /// `mqtts://host:port` of an MQTT 5 broker that trusts our authority.
    pub url: Option<String>,
    /// Replicas with the same group share the gateways' messages of an external broker.
    pub shared_group: String,
}

impl Default for Http {
    fn default() -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 8080));
        Self { listen, behind_proxy: false, certificate: None, key: None }
    }
}
impl Default for GatewayEndpoint {
    fn default() -> Self {
        let listen = SocketAddr::from(([0, 0, 0, 0], 8443));
        Self { listen, names: vec!["localhost".into()], broker_public_url: None }
    }
}
impl Default for Broker {
    fn default() -> Self {
        let listen = SocketAddr::from(([0, 0, 0, 0], 8883));
        Self { listen, url: None, shared_group: "ingest".into() }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}: {source}; name the file with --config FILE")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}: {source}\nCorrect the key or remove it; unknown keys are errors.")]
    Parse { path: PathBuf, source: Box<toml::de::Error> },
    #[error("{path}: {key}: {what}")]
    Value { path: PathBuf, key: &'static str, what: String },
}

impl Config {
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    /// `path` is for messages only.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|source| ConfigError::Parse {
            path: path.to_owned(),
            source: source.into(),
        })?;
        match config.fault() {
            None => Ok(config),
            Some((key, what)) => {
                Err(ConfigError::Value { path: path.to_owned(), key, what: what.to_owned() })
            }
        }
    }

    /// Where DICOM instances are kept.
    pub fn images_folder(&self) -> PathBuf {
        self.images.folder.clone().unwrap_or_else(|| self.data_dir.join("instances"))
    }

    /// What the types do not say.
    fn fault(&self) -> Option<(&'static str, &'static str)> {
        let http = &self.http;
        if http.certificate.is_some() != http.key.is_some() {
            return Some(("http.certificate", "give both `certificate` and `key`, or neither"));
        }
        if !http.listen.ip().is_loopback() && !http.behind_proxy && http.certificate.is_none() {
            return Some((
                "http.listen",
                "passwords would travel in the clear: give `certificate` and `key`, or set \
                 `behind_proxy = true` if a proxy in front speaks HTTPS, or listen on 127.0.0.1",
            ));
        }
        if self.gateway_endpoint.names.is_empty() {
            return Some(("gateway_endpoint.names", "give at least one name or address"));
        }
        if self.broker.url.as_ref().is_some_and(|url| !url.starts_with("mqtts://")) {
            return Some((
                "broker.url",
                "must be `mqtts://host:port`: readings travel by TLS only",
            ));
        }
        let is_safe = |url: &str| {
            let host = url.split_once("://").map_or("", |(_, rest)| rest);
            let host = host.split([':', '/']).next().unwrap_or("");
            url.starts_with("https://")
                || url.starts_with("http://") && ["127.0.0.1", "localhost"].contains(&host)
        };
        if self.notices.webhook.as_ref().is_some_and(|it| !is_safe(&it.url)) {
            return Some(("notices.webhook.url", "must begin with `https://`"));
        }
        if let Some(oidc) = &self.oidc {
            if !is_safe(&oidc.issuer) {
                return Some(("oidc.issuer", "must begin with `https://`"));
            }
            if !is_safe(&oidc.public_url) || oidc.public_url.ends_with('/') {
                return Some((
                    "oidc.public_url",
                    "must begin with `https://` and end without `/`: browsers come back to it",
                ));
            }
        }
        if let Some(fault) = self.images.s3.as_ref().and_then(S3::fault) {
            return Some(fault);
        }
        let group = &self.broker.shared_group;
        if group.is_empty() || group.contains(['/', '+', '#']) {
            return Some(("broker.shared_group", "must be a word without `/`, `+` and `#`"));
        }
        self.optical.tolerances.fault().map(|what| ("optical.tolerances", what))
    }

    pub fn store_url(&self) -> String {
        let default = || format!("sqlite:{}", self.data_dir.join("chiasm.db").display());
        self.store.url.clone().unwrap_or_else(default)
    }

    /// The broker's address as gateways are told.
    pub fn broker_public_url(&self) -> String {
        let name = self.gateway_endpoint.names.first().map_or("localhost", String::as_str);
        let default = || format!("mqtts://{name}:{}", self.broker.listen.port());
        let external = || self.broker.url.clone().unwrap_or_else(default);
        self.gateway_endpoint.broker_public_url.clone().unwrap_or_else(external)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("cloud.toml"), text).map_err(|err| err.to_string())
    }

    #[test]
    fn has_defaults_for_one_machine() {
        let config = parse("data_dir = \"/var/lib/chiasm-cloud\"").unwrap();
        assert_eq!(config.store_url(), "sqlite:/var/lib/chiasm-cloud/chiasm.db");
        assert_eq!(config.broker_public_url(), "mqtts://localhost:8883");
    }

    #[test]
    fn the_shipped_example_is_right() {
        let text = include_str!("../../deploy/cloud/cloud.toml");
        let uncommented = text.replace("\n# [", "\n[").replace("\n#   ", "\n");
        for text in [text, &uncommented] {
            parse(text).unwrap();
        }
    }

    #[test]
    fn says_file_key_and_what_to_do() {
        let err = parse("data_dir = \"/d\"\n[broker]\nlisten_on = \"0.0.0.0:1\"").unwrap_err();
        for part in ["cloud.toml", "listen_on", "line 3", "remove it"] {
            assert!(err.contains(part), "{part} is missing in: {err}");
        }
        let err = parse("data_dir = \"/d\"\n[http]\nlisten = \"0.0.0.0:80\"").unwrap_err();
        assert!(err.contains("http.listen") && err.contains("behind_proxy"), "{err}");
        let err = parse("data_dir = \"/d\"\n[broker]\nurl = \"mqtt://h:1\"").unwrap_err();
        assert!(err.contains("broker.url"), "{err}");
        let err = parse("data_dir = \"/d\"\n[images.s3]\nbucket = \"s3://b\"").unwrap_err();
        assert!(err.contains("images.s3.bucket") && err.contains("without `s3://`"), "{err}");
        let err = parse("data_dir = \"/d\"\n[optical.tolerances]\nadd = []").unwrap_err();
        assert!(err.contains("optical.tolerances") && err.contains("up_to"), "{err}");
    }
}
