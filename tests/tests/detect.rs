//! I2: detection on a line, with an instrument that is set otherwise than the gateway listens. The
//! instrument's bytes reach the program as a real line would change them.

use anyhow::{Context, Result, ensure};
use chiasm_drivers::{
    LineSettings, Parity,
    sim::{self, Knobs},
};
use chiasm_testbed::{process, pty::Pty, story::story, uart};
use std::{path::Path, process::Stdio, time::Duration};
use tokio::io::{AsyncBufReadExt, BufReader};

/// However a search goes, it takes no longer.
const SEARCH_MAX: Duration = Duration::from_secs(90);

/// What the program printed, and whether it found the instrument.
struct Search {
    said: String,
    prints: u32,
    is_found: bool,
}

/// A person at the instrument presses Print each time the program asks for it.
async fn search(model: &str, truth: LineSettings, args: &[&str]) -> Result<Search> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("line.tty");
    let pty = Pty::plug_in(&path)?;
    let simulator = sim::find(model).context("a simulated instrument")?;
    let mut program = tokio::process::Command::new(process::binary("chiasm-gateway")?);
    program.arg("detect").arg(&path).args(args);
    let mut child = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("piped")?).lines();
    let mut search = Search { said: String::new(), prints: 0, is_found: false };
    while let Some(line) = tokio::time::timeout(SEARCH_MAX, lines.next_line()).await?? {
        search.said.push_str(&line);
        search.said.push('\n');
        let Some(settings) = line.strip_prefix("listening at ") else { continue };
        let listens = settings_of(settings.trim_end_matches(": press Print"))?;
        let print = (simulator.print)(search.prints.into(), &Knobs::default()).bytes;
        search.prints += 1;
        pty.write_all(&uart::received(&print, truth, listens)).await?;
    }
    let output = child.wait_with_output().await?;
    search.said.push_str(&String::from_utf8_lossy(&output.stderr));
    search.is_found = output.status.success();
    Ok(search)
}

/// `9600 8 E 1`
fn settings_of(text: &str) -> Result<LineSettings> {
    let parts: Vec<&str> = text.split(' ').collect();
    let [baud, data_bits, parity, stop_bits] = parts[..] else {
        anyhow::bail!("`{text}` are no line settings")
    };
    let parity = match parity {
        "N" => Parity::None,
        "E" => Parity::Even,
        _ => Parity::Odd,
    };
    Ok(LineSettings {
        baud: baud.parse()?,
        data_bits: data_bits.parse()?,
        parity,
        stop_bits: stop_bits.parse()?,
    })
}

fn line(baud: u32, data_bits: u8, parity: Parity, stop_bits: u8) -> LineSettings {
    LineSettings { baud, data_bits, parity, stop_bits }
}

#[test]
fn the_settings_of_a_line_are_found_whatever_the_instrument_uses() {
    story("detection", async {
        for (model, driver, truth) in [
            ("ARK-1a", "nidek_ark", line(9600, 8, Parity::Even, 1)),
            ("NT-530", "nidek_nt", line(9600, 8, Parity::Odd, 1)),
            ("LM-7P", "nidek_lm", line(9600, 8, Parity::None, 1)),
            ("RT-5100", "nidek_rt", line(2400, 7, Parity::Even, 2)),
            ("ORA G3", "reichert_ora", line(19200, 8, Parity::None, 1)),
            ("RC-5000 (Form)", "tomey_form", line(38400, 8, Parity::None, 1)),
        ] {
            let search = search(model, truth, &[]).await.context(model)?;
            let said = &search.said;
            ensure!(search.is_found, "{model} at {truth} is not found:\n{said}");
            let expected = format!("found: {driver} ");
            ensure!(said.contains(&expected), "{model} is taken for another:\n{said}");
            ensure!(said.contains(&format!("baud = {}", truth.baud)), "other settings:\n{said}");
            ensure!(search.prints <= 12, "{} prints for {model}:\n{said}", search.prints);
        }
        Ok(())
    });
}

#[test]
fn wrong_parity_is_named_and_other_instruments_are_not_invented() {
    story("parity", async {
        let truth = line(9600, 8, Parity::Even, 1);
        let search = search("ARK-1a", truth, &["--driver", "nidek_lm"]).await?;
        ensure!(search.is_found && search.said.contains("found: nidek_ark"), "{}", search.said);
        ensure!(!search.said.contains("found: nidek_lm"), "another's:\n{}", search.said);
        let truth = line(300, 8, Parity::None, 1);
        let args = ["--driver", "nidek_ark", "--wait", "2"];
        let search = self::search("ARK-1a", truth, &args).await?;
        ensure!(!search.is_found, "found at no right speed:\n{}", search.said);
        ensure!(search.said.contains("no documented setting fits"), "{}", search.said);
        Ok(())
    });
}

/// I2: `listen` shows the bytes, and within ten seconds says what is wrong, or what was read and how
/// the instrument is set.
#[test]
fn listening_says_what_is_wrong_and_then_what_is_read() {
    story("listening", async {
        let listens = line(9600, 8, Parity::None, 1);
        let said = heard("ARK-1a", line(9600, 8, Parity::Even, 1), listens, "set parity").await?;
        ensure!(said.contains("looks like NIDEK, parity wrong"), "{said}");
        let said = heard("ARK-1a", listens, listens, "Dry test").await?;
        ensure!(said.contains("parsed by nidek_ark") && said.contains("OPIF-11"), "{said}");
        ensure!(said.contains("49 44 4e 49 44 45 4b"), "no raw bytes in {said}");
        Ok(())
    });
}

/// What `listen` says of one print until it says a word.
async fn heard(
    model: &str,
    truth: LineSettings,
    listens: LineSettings,
    word: &str,
) -> Result<String> {
    const ANSWER_MAX: Duration = Duration::from_secs(10);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("line.tty");
    let pty = Pty::plug_in(&path)?;
    let simulator = sim::find(model).context("a simulated instrument")?;
    let mut program = tokio::process::Command::new(process::binary("chiasm-gateway")?);
    program.arg("listen").arg(&path).kill_on_drop(true);
    let mut child = program.stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("piped")?).lines();
    let mut said = lines.next_line().await?.context("it listens")?;
    let print = (simulator.print)(1, &Knobs::default()).bytes;
    pty.write_all(&uart::received(&print, truth, listens)).await?;
    let answer = async {
        while let Some(line) = lines.next_line().await? {
            said.push('\n');
            said.push_str(&line);
            if line.contains(word) {
                return Ok(());
            }
        }
        anyhow::bail!("it ended")
    };
    let answered = tokio::time::timeout(ANSWER_MAX, answer).await;
    ensure!(answered.is_ok_and(|it| it.is_ok()), "no `{word}` in {said}");
    Ok(said)
}

/// `detect FILE` and `decode FILE`: what fits, or the candidates with the offending byte.
#[test]
fn files_are_detected_and_refusals_name_the_byte() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../device-drivers/fixtures");
    let run = |command: &str, file: &str| {
        let program = process::binary("chiasm-gateway").unwrap();
        let file = fixtures.join(file);
        let mut command_line = std::process::Command::new(program);
        let output = command_line.arg(command).arg(file).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    };
    let (code, text) = run("detect", "nidek_ark/01_full.raw");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("nidek_ark "), "{text}");
    let (code, text) = run("decode", "nidek_ark/06_wrong_checksum.raw");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("nidek_ark: byte 565 of the file: checksum"), "{text}");
    let (code, text) = run("decode", "nidek_ark/01_full.md");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("no driver knows these bytes"), "{text}");
}
