//! `admin audit`: whether anybody bent the audit.

use crate::{
    app::audit_chain::{self, Noted},
    store::{Db, fleet},
};
use anyhow::bail;
use chiasm_proto::TenantId;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Who looked at what and who changed it.
    #[command(subcommand)]
    Audit(Audit),
}

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Walk a practice's audit from the first entry to the last and say where it was bent.
    ///
    /// Keep the printed end somewhere else, and give it with --noted the next time: then not even
    /// an audit that was written anew as a whole passes.
    Verify {
        tenant: TenantId,
        /// NUMBER:HASH, as an earlier run printed it.
        #[arg(long)]
        noted: Option<Noted>,
    },
}

impl AuditCommand {
    pub async fn run(self, db: &Db) -> anyhow::Result<()> {
        let AuditCommand::Audit(Audit::Verify { tenant, noted }) = self;
        let mut tx = db.tenant_read(tenant.as_str()).await?;
        if !fleet::tenant_exists(&mut tx, tenant.as_str()).await? {
            bail!("there is no practice {tenant}");
        }
        drop(tx);
        let verdict = audit_chain::verify(db, tenant.as_str(), noted.as_ref()).await?;
        println!("{} entries follow each other", verdict.entries);
        if verdict.unchained > 0 {
            println!("{} entries are older than the chain and not checked", verdict.unchained);
        }
        if let Some(broken) = verdict.broken {
            bail!("the audit of {tenant} is broken at entry {}: {}", broken.seq, broken.what);
        }
        if verdict.entries > 0 {
            println!("end {}:{}", verdict.entries, verdict.last_sha256);
        }
        Ok(())
    }
}
