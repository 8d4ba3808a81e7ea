//! Faults of the connection in words: what is wrong and what to do, in one line.

use rustls::{AlertDescription, CertificateError, Error as TlsError};
use std::io;

/// A fault of the network or of TLS, which hides inside I/O errors.
pub fn describe_io(error: &io::Error) -> String {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    if let Some(tls) = tls {
        return describe_tls(tls);
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "connection refused; the broker is not running or the port is wrong".into()
        }
        io::ErrorKind::TimedOut => "no answer; check the network and the firewall".into(),
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => closed().into(),
        _ => describe_text(&error.to_string()),
    }
}

/// The same from a text, where the library keeps no more than that.
pub fn describe_text(text: &str) -> String {
    let known = [
        ("CertificateExpired", expired()),
        ("CertificateUnknown", unknown_gateway()),
        ("CertificateRevoked", unknown_gateway()),
        ("UnknownCA", unknown_gateway()),
        ("AccessDenied", unknown_gateway()),
        ("lookup address", "the broker's name is not known; check DNS and the network"),
        ("NotAuthorized", "the broker refused a topic of this gateway; enrol it again"),
        ("closed by peer", closed()),
        ("close_notify", closed()),
        ("Connection reset", closed()),
    ];
    let found = known.iter().find(|(sign, _)| text.contains(sign));
    found.map_or_else(|| text.replace('\n', " "), |(_, words)| (*words).to_owned())
}

/// A broker that refuses a gateway after the handshake says no more than this.
fn closed() -> &'static str {
    "the broker closed the connection; if this goes on, the gateway was revoked or replaced: enrol \
     it again or ask the cloud's staff"
}

fn expired() -> &'static str {
    "the gateway's certificate has expired; enrol it again"
}

fn unknown_gateway() -> &'static str {
    "the broker does not accept the gateway's certificate; enrol it again or ask the cloud's staff \
     whether it was revoked"
}

fn describe_tls(error: &TlsError) -> String {
    let words = match error {
        TlsError::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "the broker's certificate has expired; ask the cloud's staff, and check this clock",
        TlsError::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => "this gateway's clock stands before the start of the broker's certificate; set it",
        TlsError::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the broker's certificate is not from the authority of the enrolment; enrol the \
             gateway again, or somebody reads along"
        }
        TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the broker's certificate is for another name; check the broker's address",
        TlsError::AlertReceived(AlertDescription::CertificateExpired) => expired(),
        TlsError::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateRequired
            | AlertDescription::AccessDenied,
        ) => unknown_gateway(),
        other => return format!("TLS: {other}"),
    };
    words.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_to_do() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert!(describe_io(&refused).contains("not running"));
        let tls = TlsError::InvalidCertificate(CertificateError::NotValidYet);
        let hidden = io::Error::new(io::ErrorKind::InvalidData, tls);
        assert!(describe_io(&hidden).contains("clock"));
        let alert = TlsError::AlertReceived(AlertDescription::CertificateExpired);
        assert!(describe_io(&io::Error::other(alert)).contains("enrol"));
    }
}
