//! `admin authority` and `admin certificate`: what signs, and what it signs for servers.

use crate::{
    config::Config,
    pki::{Authority, write_private},
};
use clap::Subcommand;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum AuthorityCommand {
    /// The authority that signs gateways' and servers' certificates.
    #[command(subcommand)]
    Authority(ShowCommand),
    /// Certificates for servers beside this one.
    #[command(subcommand)]
    Certificate(CertificateCommand),
}

#[derive(Debug, Subcommand)]
pub enum ShowCommand {
    /// Print the certificate and its SHA-256, by which gateways know the cloud.
    Show {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum CertificateCommand {
    /// Make a key and a certificate, such as an external broker's.
    Issue {
        /// DNS name or address; may be given several times, the first is the common name.
        #[arg(long = "name", required = true)]
        names: Vec<String>,
        /// Where NAME.pem, NAME.key and authority.pem are written.
        #[arg(long, default_value = ".")]
        out: PathBuf,
    },
}

impl AuthorityCommand {
    pub fn run(self, config: &Config) -> anyhow::Result<()> {
        std::fs::create_dir_all(&config.data_dir)?;
        let authority = Authority::load_or_make(&config.data_dir)?;
        match self {
            AuthorityCommand::Authority(ShowCommand::Show { json }) => show(&authority, json),
            AuthorityCommand::Certificate(CertificateCommand::Issue { names, out }) => {
                let issued = authority.issue_server(&names)?;
                let stem = names[0].replace(['/', '*'], "_");
                std::fs::create_dir_all(&out)?;
                std::fs::write(out.join("authority.pem"), authority.certificate_pem())?;
                let pem = &issued.issued.certificate_pem;
                std::fs::write(out.join(format!("{stem}.pem")), pem)?;
                write_private(&out.join(format!("{stem}.key")), &issued.key.serialize_pem())?;
                println!("{}", out.join(format!("{stem}.pem")).display());
            }
        }
        Ok(())
    }
}

fn show(authority: &Authority, json: bool) {
    let (pem, sha256) = (authority.certificate_pem(), authority.sha256());
    if json {
        println!("{}", serde_json::json!({ "certificate_pem": pem, "sha256": sha256 }));
    } else {
        print!("{pem}");
        println!("SHA-256 {sha256}");
    }
}
