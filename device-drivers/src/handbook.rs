//! What people are told about the instruments: the table of all, and the set-up of one. Written from
//! the registry, so that it says what the code does.

use crate::{
    DriverSpec, Ending, Evidence, LineSettings, Parity, Transport,
    registry::{DRIVERS, columns},
};
use std::fmt::{self, Write as _};

impl fmt::Display for LineSettings {
    /// `9600 8 E 1`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parity = match self.parity {
            Parity::None => 'N',
            Parity::Even => 'E',
            Parity::Odd => 'O',
        };
        write!(f, "{} {} {parity} {}", self.baud, self.data_bits, self.stop_bits)
    }
}

/// How an instrument is attached, in words.
pub fn attached_by(spec: &DriverSpec) -> String {
    match spec.transport {
        Transport::Serial(_) => "serial line, device server".into(),
        Transport::Folder { extension } => format!("shared folder (*.{extension})"),
    }
}

/// Line settings in the order in which to try them.
pub fn line_settings(spec: &DriverSpec) -> String {
    match spec.transport {
        Transport::Serial(settings) => {
            settings.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
        Transport::Folder { .. } => "–".into(),
    }
}

/// What is measured, in words.
pub fn measures(spec: &DriverSpec) -> String {
    match spec.yields {
        [] if spec.evidence == Evidence::NeedsCapture => "nothing yet: bytes are kept".into(),
        [] => "text only".into(),
        all => all.join(", ").replace('_', " "),
    }
}

/// How the end of a transmission is known.
pub fn ending(spec: &DriverSpec) -> &'static str {
    match (spec.ending, spec.transport) {
        (Ending::Marked, _) => "by a mark",
        (Ending::Silence, Transport::Serial(_)) => "by silence",
        (Ending::Silence, Transport::Folder { .. }) => "by the end of the file",
    }
}

/// The set-up of one driver's instruments, as plain text for a terminal.
pub fn setup(spec: &DriverSpec) -> String {
    let parts = [
        ("Instruments", format!("{} {}", spec.vendor, spec.models.join(", "))),
        ("Measures", measures(spec)),
        ("Attached by", attached_by(spec)),
        ("Line settings", line_settings(spec)),
        ("Wiring", spec.setup.wiring.into()),
        ("On the instrument", spec.setup.settings.into()),
        ("Dry test", spec.setup.dry_test.into()),
        ("Proved against", spec.evidence.in_words().into()),
        ("Limits", spec.limits.into()),
    ];
    let mut text = format!("{} (version {})\n", spec.id, spec.version);
    for (name, what) in parts.iter().filter(|(_, what)| what != "–") {
        let mut line = format!("  {name:<18}");
        for word in what.split_whitespace() {
            if line.chars().count() + 1 + word.chars().count() > 78 {
                text.push_str(line.trim_end());
                text.push('\n');
                line = " ".repeat(20);
            }
            let _ = write!(line, "{word} ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    for (name, meaning) in columns(spec) {
        let _ = writeln!(text, "  column {name:<24} {meaning}");
    }
    text
}

/// A link of the gateway's configuration with the first of the driver's line settings.
pub fn configuration(spec: &DriverSpec) -> String {
    let first = match spec.transport {
        Transport::Serial(settings) => settings.first().copied(),
        Transport::Folder { .. } => None,
    };
    match first {
        Some(line) => serial_configuration(spec, "usb:SERIAL-NUMBER-OF-THE-ADAPTER", line),
        None => link_table(spec) + "[link.folder]\npath = \"/srv/instruments/choose-a-folder\"\n",
    }
}

fn link_table(spec: &DriverSpec) -> String {
    format!(
        "[[link]]\nid = \"choose-a-name\"\nlane = \"choose-a-lane\"\ndriver = \"{}\"\n\n",
        spec.id
    )
}

/// The same for a serial port with these settings.
pub fn serial_configuration(spec: &DriverSpec, port: &str, line: LineSettings) -> String {
    let head = link_table(spec);
    let parity = format!("{:?}", line.parity).to_lowercase();
    format!(
        "{head}[link.serial]\nport = \"{port}\"\nbaud = {}\ndata_bits = {}\nparity = \"{parity}\"\n\
         stop_bits = {}\n",
        line.baud, line.data_bits, line.stop_bits
    )
}

/// The whole document of instruments, as Markdown.
pub fn document() -> String {
    let (read, kept): (Vec<&DriverSpec>, Vec<&DriverSpec>) =
        DRIVERS.iter().partition(|spec| spec.evidence != Evidence::NeedsCapture);
    let models: usize = read.iter().map(|spec| spec.models.len()).sum();
    let mut text = format!(
        "# Instruments\n\n\
         <!-- Written by `chiasm-gateway drivers --markdown`; a test fails when it is stale. -->\n\n\
         {} drivers read {models} models. \"Proved against\" says what a driver was built from and \
         checked with; none has been tried on an instrument yet. What is not known gives no values: \
         its bytes are kept.\n\n\
         `chiasm-gateway detect FILE|PORT` says which driver fits, and which line settings; \
         `chiasm-gateway drivers ID` shows one of the entries below.\n\n\
         | driver | instruments | measures | attached by | line settings, in the order to try | \
         proved against |\n|---|---|---|---|---|---|\n",
        read.len(),
    );
    for spec in &read {
        let _ = writeln!(
            text,
            "| [`{id}`](#{id}) | {} {} | {} | {} | {} | {} |",
            spec.vendor,
            spec.models.join(", "),
            measures(spec),
            attached_by(spec),
            line_settings(spec),
            spec.evidence.in_words(),
            id = spec.id,
        );
    }
    text.push_str(
        "\n## Not read yet\n\nA link may be configured for these: what they send is kept as \
         captures, up to 128 KiB of one transmission, and no value is guessed. With a capture a \
         driver can be written.\n\n\
         | driver | instruments | what is missing |\n|---|---|---|\n",
    );
    for spec in &kept {
        let models = spec.models.join(", ");
        let _ = writeln!(text, "| `{}` | {} {models} | {} |", spec.id, spec.vendor, spec.limits);
    }
    text.push_str("\n## Setting up\n");
    for spec in &read {
        let _ = write!(
            text,
            "\n### {}\n\n{} {}. The end of a transmission is known {}.\n\n\
             * **Wiring:** {}\n* **On the instrument:** {}\n* **Dry test:** {}\n* **Limits:** {}\n",
            spec.id,
            spec.vendor,
            spec.models.join(", "),
            ending(spec),
            spec.setup.wiring,
            spec.setup.settings,
            spec.setup.dry_test,
            spec.limits,
        );
        if !columns(spec).is_empty() {
            text.push_str("* **Columns** that a configuration may name:\n");
        }
        for (name, meaning) in columns(spec) {
            let _ = writeln!(text, "  * `{name}`: {meaning}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    /// `UPDATE_GOLDEN=1` writes it anew.
    #[test]
    fn the_document_in_the_repository_is_what_the_registry_says() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/instruments.md");
        let text = document();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &text).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == text,
            "docs/instruments.md is stale: UPDATE_GOLDEN=1 cargo test -p chiasm-drivers handbook"
        );
    }

    #[test]
    fn a_setup_fits_a_terminal_and_says_everything() {
        for spec in DRIVERS {
            let text = setup(spec);
            let is_column = |line: &&str| line.starts_with("  column ");
            let mut lines = text.lines().filter(|line| !is_column(line));
            assert!(lines.all(|line| line.chars().count() <= 79), "{text}");
            for word in ["Wiring", "On the instrument", "Dry test", "Limits"] {
                assert!(text.contains(word), "{text}");
            }
        }
    }
}
