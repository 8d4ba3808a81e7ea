//! The DICOM node and its imagers.

use super::{ConfigError, check::Check};
pub use chiasm_proto::config::{IMAGERS_MAX, Imager, ImagerTls};
use serde::Deserialize;
use std::{collections::BTreeSet, net::IpAddr, path::PathBuf};

/// Longest AE title, in characters (PS3.5 6.2).
const AE_LEN_MAX: usize = 16;

/// How the gateway appears to imagers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dicom {
    pub listen: String,
    pub ae_title: String,
    /// Also take associations that call another AE title than ours.
    pub any_called_ae: bool,
    /// None: nothing listens for TLS.
    pub tls: Option<DicomTls>,
}

impl Default for Dicom {
    fn default() -> Self {
        Self {
            listen: "0.0.0.0:11112".into(),
            ae_title: "CHIASM".into(),
            any_called_ae: false,
            tls: None,
        }
    }
}

/// DICOM over TLS (PS3.15 B.9 and B.10), on a port of its own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DicomTls {
    pub listen: String,
    /// Our certificate and its chain, and its key, in PEM. Without them the gateway makes its own.
    pub certificate_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    /// Who signs the imagers' certificates, or these themselves, in PEM.
    pub authority_file: Option<PathBuf>,
    /// Whether imagers that call must show a certificate: required if there is an
    /// `authority_file`, unless this says otherwise.
    client_certificate: Option<ClientCertificate>,
}

impl Default for DicomTls {
    fn default() -> Self {
        Self {
            listen: "0.0.0.0:2762".into(),
            certificate_file: None,
            key_file: None,
            authority_file: None,
            client_certificate: None,
        }
    }
}

impl DicomTls {
    pub fn client_certificate(&self) -> ClientCertificate {
        self.client_certificate.unwrap_or(match self.authority_file {
            Some(_) => ClientCertificate::Required,
            None => ClientCertificate::None,
        })
    }
}

/// What an imager that calls by TLS shows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificate {
    /// It is not asked.
    None,
    /// It may have none; one that it shows must be right.
    Optional,
    Required,
}

impl Check<'_> {
    pub(super) fn dicom(
        &self,
        dicom: Option<&Dicom>,
        imagers: &[Imager],
    ) -> Result<(), ConfigError> {
        let Some(dicom) = dicom else {
            return match imagers.first() {
                None => Ok(()),
                Some(imager) => {
                    let key = format!("imager \"{}\"", imager.id);
                    let remedy = "add a [dicom] table; an empty one takes the defaults";
                    Err(self.fail(&key, "there is no DICOM node for it", remedy))
                }
            };
        };
        self.address("dicom.listen", &dicom.listen)?;
        self.ae_title("dicom.ae_title", &dicom.ae_title)?;
        if let Some(tls) = &dicom.tls {
            self.dicom_tls(tls, &dicom.listen)?;
        }
        if imagers.len() > IMAGERS_MAX {
            let problem = format!("{} imagers, at most {IMAGERS_MAX} are allowed", imagers.len());
            return Err(self.fail("imager", problem, "split them among several gateways"));
        }
        let mut callers = BTreeSet::new();
        for imager in imagers {
            self.imager(imager, &mut callers)?;
            self.imager_tls(imager, dicom.tls.as_ref())?;
        }
        Ok(())
    }

    fn dicom_tls(&self, tls: &DicomTls, plain: &str) -> Result<(), ConfigError> {
        self.address("dicom.tls.listen", &tls.listen)?;
        if tls.listen == plain {
            let problem = format!("`{plain}` is the plain port");
            return Err(self.fail("dicom.tls.listen", problem, "2762 is usual for TLS"));
        }
        if tls.certificate_file.is_some() != tls.key_file.is_some() {
            let remedy = "give certificate_file and key_file, or neither";
            return Err(self.fail("dicom.tls", "one file does not do", remedy));
        }
        if tls.client_certificate() != ClientCertificate::None && tls.authority_file.is_none() {
            let problem = "nothing says which certificates are right";
            let remedy = "give authority_file";
            return Err(self.fail("dicom.tls.client_certificate", problem, remedy));
        }
        Ok(())
    }

    fn imager_tls(&self, imager: &Imager, tls: Option<&DicomTls>) -> Result<(), ConfigError> {
        let key = |word: &str| format!("imager \"{}\".{word}", imager.id);
        let is_required = imager.tls == ImagerTls::Required;
        let tls = match tls {
            None if is_required => {
                let problem = "nothing listens for TLS";
                return Err(self.fail(&key("tls"), problem, "add a [dicom.tls] table"));
            }
            other => other.filter(|_| is_required),
        };
        if tls.is_some_and(|tls| imager.address.is_some() && tls.authority_file.is_none()) {
            let problem = "its certificate could not be checked when we call it";
            return Err(self.fail(&key("tls"), problem, "give dicom.tls.authority_file"));
        }
        let shows_one =
            tls.is_some_and(|tls| tls.client_certificate() == ClientCertificate::Required);
        if imager.certificate_sha256.is_some() && !shows_one {
            let problem = "it could call without a certificate";
            let remedy = "set tls = \"required\" and dicom.tls.authority_file";
            return Err(self.fail(&key("certificate_sha256"), problem, remedy));
        }
        Ok(())
    }

    fn imager<'a>(
        &self,
        imager: &'a Imager,
        callers: &mut BTreeSet<(&'a str, Option<IpAddr>)>,
    ) -> Result<(), ConfigError> {
        let key = |word: &str| format!("imager \"{}\".{word}", imager.id);
        self.ae_title(&key("calling_ae"), &imager.calling_ae)?;
        if let Some(address) = &imager.address {
            self.address(&key("address"), address)?;
        }
        let caller = (imager.calling_ae.as_str(), imager.peer_ip);
        let is_ambiguous = callers.iter().any(|(ae, ip)| {
            *ae == caller.0 && (ip.is_none() || caller.1.is_none() || *ip == caller.1)
        });
        if is_ambiguous {
            let problem = format!("`{}` is another imager's too", imager.calling_ae);
            let remedy = "give each its own AE title, or tell them apart by peer_ip";
            return Err(self.fail(&key("calling_ae"), problem, remedy));
        }
        callers.insert(caller);
        Ok(())
    }

    fn ae_title(&self, key: &str, title: &str) -> Result<(), ConfigError> {
        let is_right = (1..=AE_LEN_MAX).contains(&title.len())
            && title.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'\\')
            && title.trim() == title;
        if is_right {
            return Ok(());
        }
        let problem = format!("`{title}` is not an AE title");
        Err(self.fail(key, problem, "1 to 16 ASCII characters, as set at the imager"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ConfigError, parse};
    use std::path::Path;

    fn check(tables: &str) -> Result<super::super::Config, String> {
        let text = format!("data_dir = \"/var/lib/x\"\n{tables}");
        parse(Path::new("gateway.toml"), &text).map_err(|error: ConfigError| error.to_string())
    }

    const OCT: &str = "[[imager]]\nid = \"oct\"\nlane = \"lane-1\"\ncalling_ae = \"OCT\"\n";

    #[test]
    fn an_empty_table_takes_the_defaults() {
        let config = check(&format!("[dicom]\n{OCT}")).unwrap();
        let dicom = config.dicom.unwrap();
        assert_eq!((dicom.listen.as_str(), dicom.ae_title.as_str()), ("0.0.0.0:11112", "CHIASM"));
        assert_eq!(config.imagers[0].calling_ae, "OCT");
        assert!(check("").unwrap().dicom.is_none());
    }

    #[test]
    fn the_example_is_right() {
        let example = include_str!("../../../deploy/gateway/example-gateway.toml");
        assert_eq!(parse(Path::new("gateway.toml"), example).unwrap().imagers.len(), 1);
    }

    #[test]
    fn mistakes_are_named_with_what_to_do() {
        let twice = OCT.replace("\"oct\"", "\"oct-2\"");
        let apart = |text: &str, ip: &str| format!("{text}peer_ip = \"{ip}\"\n");
        let both = format!("{}{}", apart(OCT, "10.0.0.1"), apart(&twice, "10.0.0.2"));
        assert!(check(&format!("[dicom]\n{both}")).is_ok());
        for (tables, words) in [
            (OCT.to_owned(), "add a [dicom] table"),
            (format!("[dicom]\nlisten = \"11112\"\n{OCT}"), "is not host:port"),
            (format!("[dicom]\nae_title = \"LONGER THAN SIXTEEN\"\n{OCT}"), "is not an AE title"),
            (format!("[dicom]\n{OCT}{twice}"), "tell them apart by peer_ip"),
            (format!("[dicom]\n{OCT}{}", apart(OCT, "10.0.0.1")), "is another imager's too"),
            (format!("[dicom]\n{OCT}address = \"oct\"\n"), "is not host:port"),
            (format!("[dicom]\n{OCT}tls = \"on\"\n"), "unknown variant"),
            (format!("[dicom]\n{OCT}tls = \"required\"\n"), "add a [dicom.tls] table"),
            (format!("[dicom.tls]\nlisten = \"0.0.0.0:11112\"\n{OCT}"), "is the plain port"),
            (format!("[dicom.tls]\nkey_file = \"/k\"\n{OCT}"), "or neither"),
            (
                format!("[dicom.tls]\nclient_certificate = \"optional\"\n{OCT}"),
                "give authority_file",
            ),
            (
                format!("[dicom.tls]\n{OCT}tls = \"required\"\naddress = \"10.0.0.7:104\"\n"),
                "give dicom.tls.authority_file",
            ),
            (
                format!(
                    "[dicom.tls]\nauthority_file = \"/a\"\n{OCT}certificate_sha256 = \"{}\"\n",
                    "0".repeat(64)
                ),
                "could call without a certificate",
            ),
        ] {
            let message = check(&tables).unwrap_err();
            assert!(message.contains(words), "{message}");
        }
    }
}
