//! The DICOM node and its imagers.

use super::{ConfigError, check::Check};
use chiasm_proto::{LaneId, LinkId};
use serde::Deserialize;
use std::{collections::BTreeSet, net::IpAddr};

/// Most imagers of one gateway.
pub const IMAGERS_MAX: usize = 64;
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
}

impl Default for Dicom {
    fn default() -> Self {
        Self { listen: "0.0.0.0:11112".into(), ae_title: "CHIASM".into(), any_called_ae: false }
    }
}

/// An instrument that speaks DICOM.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Imager {
    pub id: LinkId,
    pub lane: LaneId,
    pub calling_ae: String,
    /// `host:port` where it listens itself, for commitment reports and C-ECHO.
    pub address: Option<String>,
    /// The only address that it may call from.
    pub peer_ip: Option<IpAddr>,
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
        if imagers.len() > IMAGERS_MAX {
            let problem = format!("{} imagers, at most {IMAGERS_MAX} are allowed", imagers.len());
            return Err(self.fail("imager", problem, "split them among several gateways"));
        }
        let mut callers = BTreeSet::new();
        for imager in imagers {
            self.imager(imager, &mut callers)?;
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
            (format!("[dicom]\n{OCT}tls = true\n"), "unknown field `tls`"),
        ] {
            let message = check(&tables).unwrap_err();
            assert!(message.contains(words), "{message}");
        }
    }
}
