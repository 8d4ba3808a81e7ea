//! What goes into a bundle of the configuration and of the log.

/// Words in the names of keys whose values nobody else has to know.
const SECRETS: [&str; 5] = ["password", "secret", "token", "credential", "passphrase"];
const REMOVED: &str = "removed";

/// Fields of log lines that hold names and numbers of ours. All others may hold what an instrument or
/// a folder said: the name of a file, a fault in the words of another program.
const FIELDS: [&str; 14] = [
    "link", "driver", "code", "bytes", "seq", "version", "links", "open", "upto", "session",
    "epoch", "broker", "listen", "lane",
];

/// The configuration without comments and without secrets.
pub fn config(text: &str) -> String {
    match text.parse::<toml::Table>() {
        Ok(mut table) => {
            table.iter_mut().for_each(|(key, value)| clear(key, value));
            toml::to_string(&table).unwrap_or_else(|error| format!("# {error}\n"))
        }
        // The message would quote the text.
        Err(_) => "# this is no TOML: see chiasm-gateway check-config\n".into(),
    }
}

fn clear(key: &str, value: &mut toml::Value) {
    let is_secret = SECRETS.iter().any(|word| key.to_lowercase().contains(word));
    match value {
        toml::Value::Table(table) => table.iter_mut().for_each(|(key, value)| clear(key, value)),
        toml::Value::Array(all) => all.iter_mut().for_each(|value| clear(key, value)),
        value if is_secret => *value = REMOVED.into(),
        _ => {}
    }
}

/// A line of the log: what was said, which our own code wrote, and of its fields those that are known
/// to name nobody.
pub fn log_line(line: &str) -> String {
    let Some(first) = field(line, 0) else { return line.to_owned() };
    let mut kept = line[..first.begin].trim_end().to_owned();
    let mut next = Some(first);
    while let Some(it) = next {
        let name = &line[it.begin..it.equals];
        let value = &line[it.equals + 1..it.end];
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:\"".contains(c);
        let is_known = FIELDS.contains(&name) && value.chars().all(is_plain);
        kept.push_str(&format!(" {name}={}", if is_known { value } else { REMOVED }));
        next = field(line, it.end);
    }
    kept
}

/// Where a field of a line stands.
struct Field {
    begin: usize,
    equals: usize,
    end: usize,
}

/// The next field that begins at a position or after it: a name, an equals sign, and a value up to
/// the next field. A value may hold blanks.
fn field(line: &str, from: usize) -> Option<Field> {
    let (begin, equals) = name(line, from)?;
    let end = name(line, equals + 1).map_or(line.len(), |(next, _)| next);
    let end = equals + 1 + line[equals + 1..end].trim_end().len();
    Some(Field { begin, equals, end })
}

/// Beginning and end of the next name of a field.
fn name(line: &str, from: usize) -> Option<(usize, usize)> {
    for (at, _) in line[from..].match_indices('=') {
        let equals = from + at;
        let before = &line[from..equals];
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let len = before.len() - before.trim_end_matches(is_name).len();
        let begin = equals - len;
        if len > 0 && (begin == 0 || line[..begin].ends_with(' ')) {
            return Some((begin, equals));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_comments_are_not_in_the_configuration() {
        let text = "# ask Dr. Quixote\ndata_dir = \"/d\"\n[a]\nproxy_password = \"p4ss\"\n\
            [[a.b]]\naccess_token = [\"t0k\"]\nport = 1\n";
        let shown = config(text);
        for gone in ["Quixote", "p4ss", "t0k"] {
            assert!(!shown.contains(gone), "{gone} in {shown}");
        }
        assert!(shown.contains("data_dir = \"/d\"") && shown.contains("port = 1"), "{shown}");
        assert!(shown.contains("proxy_password = \"removed\""), "{shown}");
        assert!(!config("x = \"secret\" y").contains("secret"));
    }

    #[test]
    fn a_log_line_keeps_what_names_nobody() {
        let line = "2026-12-01T08:00:00+0100 gw chiasm-gateway[7]: WARN chiasm: bytes gave no \
            reading link=share driver=joia_xml code=\"noise\" bytes=12 \
            detail=\"link share, file DOE JANE=1.xml: x\" path=/share/DOE.xml";
        let shown = log_line(line);
        assert!(
            shown.ends_with(
                "bytes gave no reading link=share driver=joia_xml code=\"noise\" bytes=12 \
             detail=removed path=removed"
            ),
            "{shown}"
        );
        assert_eq!(log_line("12:00 gw systemd[1]: Started."), "12:00 gw systemd[1]: Started.");
        assert_eq!(log_line("x link=JANE DOE"), "x link=removed", "blanks are in no name of ours");
        assert_eq!(log_line(""), "");
    }
}
