//! `support-bundle`.

use crate::{
    cli::SupportBundleArgs,
    support::{self, WithData},
};
use std::path::Path;

pub(super) async fn execute(path: &Path, args: SupportBundleArgs) -> anyhow::Result<()> {
    let (config, _) = crate::remote::load(path)?;
    let text = std::fs::read_to_string(path)?;
    let with_data = match (args.person, args.reason) {
        (Some(person), Some(reason)) if args.with_data => Some(WithData { person, reason }),
        _ => None,
    };
    support::make((&config, &text), &args.out, with_data.as_ref()).await?;
    println!("{}", args.out.display());
    if with_data.is_some() {
        println!("it holds patient data; the cloud is told who took it and why");
    }
    Ok(())
}
