//! `admin decode-again`: stored bytes for a mended driver.

use crate::{
    Core,
    app::decode_again::{Order, Outcome, Tally, run},
    config::Config,
    store::{Db, live},
};
use anyhow::Context;
use chiasm_drivers::registry;
use chiasm_proto::TenantId;
use std::time::{Duration, Instant};

/// Words of the command line.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  chiasm-cloud admin decode-again --driver nidek_ark --dry-run\n  \
    chiasm-cloud admin decode-again --driver nidek_ark --tenant acme\n\n\
    Captures that are read now are filed as if they came now, or wait for a person. Readings\n\
    that are read otherwise get a new version; what a person has changed, accepted or signed\n\
    stays, and they are told. It may be stopped at any time: started again it goes on where it was."
)]
pub struct DecodeAgain {
    /// The driver, as `chiasm-gateway drivers` names it.
    #[arg(long, value_name = "ID")]
    driver: String,
    /// Only this practice.
    #[arg(long)]
    tenant: Option<TenantId>,
    /// Say what would happen, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

/// How often it is told how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);

impl DecodeAgain {
    pub async fn run(self, db: Db, config: Config) -> anyhow::Result<()> {
        let driver = registry::find(&self.driver)
            .with_context(|| format!("this build has no driver `{}`", self.driver))?;
        let tenants = match self.tenant {
            Some(tenant) => vec![String::from(tenant)],
            None => {
                let mut tx = db.all_tenants_read().await?;
                live::heads(&mut tx).await?.into_iter().map(|(tenant, _)| tenant).collect()
            }
        };
        let core = Core::new(db, config)?;
        println!("{} version {}", driver.id, driver.version);
        for tenant in tenants {
            let order = Order { tenant: &tenant, driver, is_dry: self.dry_run };
            let mut told = Instant::now();
            let tally = run(&core, order, |tally| {
                if told.elapsed() >= PROGRESS_EVERY {
                    told = Instant::now();
                    eprintln!("{tenant}: {} so far", tally.values().sum::<u64>());
                }
            });
            println!("{tenant}: {}", line(&tally.await?));
        }
        if self.dry_run {
            println!("Nothing was changed.");
        }
        Ok(())
    }
}

fn line(tally: &Tally) -> String {
    let words =
        |outcome: Outcome| tally.get(&outcome).map(|count| format!("{count} {}", outcome.words()));
    let words: Vec<String> = Outcome::ALL.into_iter().filter_map(words).collect();
    if words.is_empty() { "nothing to decode".into() } else { words.join("; ") }
}
