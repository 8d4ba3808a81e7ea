//! Comma-separated values as schedules export them: quoted fields, doubled quotes, any line end.

/// Reads records with the number of the line each begins on. The error is for people.
pub fn parse(text: &str, lines_max: usize) -> Result<Vec<(usize, Vec<String>)>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut records = Vec::new();
    let (mut record, mut field) = (Vec::new(), String::new());
    let (mut line, mut begins_on, mut is_quoted) = (1, 1, false);
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if is_quoted => is_quoted = false,
            '"' if field.is_empty() => is_quoted = true,
            ',' if !is_quoted => record.push(std::mem::take(&mut field)),
            '\r' if !is_quoted => {}
            '\n' => {
                line += 1;
                if is_quoted {
                    field.push('\n');
                    continue;
                }
                record.push(std::mem::take(&mut field));
                records.push((begins_on, std::mem::take(&mut record)));
                begins_on = line;
                if records.len() > lines_max {
                    return Err(format!("the file has more than {lines_max} lines"));
                }
            }
            char => field.push(char),
        }
    }
    if is_quoted {
        return Err(format!("the quote that opens on line {begins_on} is never closed"));
    }
    if !field.is_empty() || !record.is_empty() {
        record.push(field);
        records.push((begins_on, record));
    }
    Ok(records)
}

/// One line of a file for spreadsheets. A field that a spreadsheet would run as a formula gets an
/// apostrophe in front.
pub fn line(fields: &[&str]) -> String {
    let field = |text: &&str| {
        let runs = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let text = format!("{}{text}", if runs { "'" } else { "" });
        match text.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", text.replace('"', "\"\"")),
            false => text,
        }
    };
    let fields: Vec<String> = fields.iter().map(field).collect();
    format!("{}\r\n", fields.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_quotes_line_ends_and_a_missing_last_one() {
        let text = "\u{feff}a,b\r\n\"x, \"\"y\"\"\",\"two\nlines\"\nlast,";
        let records = parse(text, 10).unwrap();
        let fields = |index: usize| -> (usize, Vec<&str>) {
            (records[index].0, records[index].1.iter().map(String::as_str).collect())
        };
        assert_eq!(fields(0), (1, vec!["a", "b"]));
        assert_eq!(fields(1), (2, vec!["x, \"y\"", "two\nlines"]));
        assert_eq!(fields(2), (4, vec!["last", ""]));
        assert_eq!(parse(&line(&["a, b", "say \"x\"", "two\nlines"]), 10).unwrap()[0].1.len(), 3);
        assert_eq!(line(&["=1+1", "-0.75", "plain", ""]), "'=1+1,'-0.75,plain,\r\n");
        assert!(parse("a,\"b", 10).unwrap_err().contains("line 1"));
        assert!(parse("a\nb\nc\n", 2).is_err());
    }
}
