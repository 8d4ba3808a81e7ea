//! `wipe`.

use crate::{
    cli::WipeArgs,
    config::{self, Config},
    supervisor, wipe,
};
use anyhow::{Context, bail};
use chiasm_proto::wipe::{SignedWipe, WipeRecord};
use std::{
    io::{self, BufRead, IsTerminal, Write},
    path::Path,
};

pub(super) async fn execute(path: &Path, args: &WipeArgs) -> anyhow::Result<()> {
    let config = config::load(path)?;
    // Before it runs again, it must not: neither now nor while this goes on.
    let _lock = supervisor::lock(&config.data_dir)
        .context("stop the gateway first: `systemctl disable --now chiasm-gateway`")?;
    let signed = match wipe::recorded(&config.data_dir)? {
        Some(signed) => signed,
        None => begin(&config, args).await?,
    };
    tell(&config, &signed).await;
    let mut out = io::stdout().lock();
    loop {
        let step = wipe::next(&config)?;
        match &step {
            wipe::Step::Begin => bail!("the record of the wipe has gone; start again"),
            wipe::Step::SpoolKey(it) | wipe::Step::Identity(it) | wipe::Step::Remove(it) => {
                writeln!(out, "destroying {}", it.display())?;
            }
            wipe::Step::Done => break,
        }
        wipe::take(&step)?;
    }
    finish(&config, &signed, &mut out)
}

/// Asks, and writes the record.
async fn begin(config: &Config, args: &WipeArgs) -> anyhow::Result<SignedWipe> {
    if !args.yes {
        ask(&config.data_dir)?;
    }
    let order = wipe::Order { by: &args.by, lose_readings: args.lose_readings };
    wipe::begin(config, &order).await?;
    wipe::recorded(&config.data_dir)?.context("the record of the wipe was not written")
}

fn ask(data_dir: &Path) -> anyhow::Result<()> {
    if !io::stdin().is_terminal() {
        bail!("nobody can be asked here; say --yes");
    }
    print!(
        "Everything in {} will be destroyed and the gateway shut out of the cloud.\n\
         Type wipe to go on: ",
        data_dir.display()
    );
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() != "wipe" {
        bail!("not wiped");
    }
    Ok(())
}

/// While the gateway has its key. That it fails stops nothing: the record stays.
async fn tell(config: &Config, signed: &SignedWipe) {
    if wipe::is_told(&config.data_dir) {
        return;
    }
    match wipe::tell(&config.data_dir, signed).await {
        Ok(true) => println!("the cloud has the record and has shut the gateway out"),
        Ok(false) => {}
        Err(error) => eprintln!("chiasm-gateway: the cloud does not have the record: {error}"),
    }
}

fn finish(config: &Config, signed: &SignedWipe, out: &mut impl Write) -> anyhow::Result<()> {
    let record: WipeRecord = serde_json::from_str(&signed.record)?;
    let lost = match &record.lost {
        Some(lost) => format!("lost with it: {}", wipe::in_words(lost)),
        None => "what was lost with it is not known".into(),
    };
    writeln!(out, "gateway {} of {} is wiped; {lost}", record.gateway, record.tenant)?;
    if !wipe::is_told(&config.data_dir) {
        writeln!(
            out,
            "The cloud does not know yet. Bring {} there:\n  \
             chiasm-cloud admin gateway wiped {}",
            config.data_dir.join(wipe::RECORD_FILE).display(),
            wipe::RECORD_FILE
        )?;
    }
    Ok(())
}
