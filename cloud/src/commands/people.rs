//! `admin`: people who sign in, and the schedule.

use crate::{
    Core, app,
    app::{
        about, import_schedule, password,
        principal::{Principal, Role},
        work::Work,
    },
    clock,
    config::Config,
    store::{
        Db, Tx, account,
        audit::{self, About},
        fleet,
    },
};
use anyhow::{Context, bail};
use chiasm_proto::TenantId;
use clap::Subcommand;
use std::{io::Read, path::PathBuf};
use uuid::Uuid;

/// Longest file that is imported, in bytes.
const FILE_LEN_MAX: u64 = crate::http::BODY_LEN_MAX as u64;

#[derive(Debug, Subcommand)]
pub enum PeopleCommand {
    /// People who sign in.
    #[command(subcommand)]
    User(UserCommand),
    /// The schedule of the clinics.
    #[command(subcommand)]
    Schedule(ScheduleCommand),
}

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a person. Without --password-stdin a password is made and printed once.
    Add {
        tenant: TenantId,
        login: String,
        /// technician, doctor, optician, clinic_it or cloud_staff.
        #[arg(long, value_parser = parse_role)]
        role: Role,
        /// As colleagues see it: "Ana Ruiz".
        #[arg(long)]
        name: String,
        /// Read the password from standard input (its first line).
        #[arg(long)]
        password_stdin: bool,
    },
    /// Give a person another password.
    Password {
        tenant: TenantId,
        login: String,
        #[arg(long)]
        password_stdin: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum ScheduleCommand {
    /// Import appointments with their patients; importing a file again changes nothing.
    ///
    /// The first line names the columns: appointment_key, location, scheduled_at (clinic-local
    /// YYYY-MM-DDTHH:MM or with an offset), chart_number, family_name, given_name, birth_date,
    /// reason.
    Import { tenant: TenantId, file: PathBuf },
}

fn parse_role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| {
        let roles: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
        format!("use one of {}", roles.join(", "))
    })
}

impl PeopleCommand {
    pub async fn run(self, db: &Db, config: &Config) -> anyhow::Result<()> {
        match self {
            PeopleCommand::User(UserCommand::Add { tenant, login, role, name, password_stdin }) => {
                add(db, tenant.as_str(), (&login, &name), role, password_stdin).await
            }
            PeopleCommand::User(UserCommand::Password { tenant, login, password_stdin }) => {
                let (password, is_made) = choose_password(password_stdin)?;
                let hash = password::hash(&password)?;
                let login = login.trim().to_lowercase();
                let mut tx = db.tenant(tenant.as_str()).await?;
                if !account::set_password(&mut tx, tenant.as_str(), &login, &hash).await? {
                    bail!("{tenant} has no login `{login}`: add it with `admin user add`");
                }
                note(&mut tx, tenant.as_str(), ("account_password_reset", &login)).await?;
                tx.commit().await?;
                print_password(&password, is_made);
                Ok(())
            }
            PeopleCommand::Schedule(ScheduleCommand::Import { tenant, file }) => {
                import(db, config, tenant.as_str(), &file).await
            }
        }
    }
}

async fn add(
    db: &Db,
    tenant: &str,
    (login, name): (&str, &str),
    role: Role,
    password_stdin: bool,
) -> anyhow::Result<()> {
    let (password, is_made) = choose_password(password_stdin)?;
    let account = account::Account {
        tenant_id: tenant.to_owned(),
        account_id: Uuid::now_v7().to_string(),
        login: login.trim().to_lowercase(),
        display_name: name.to_owned(),
        role: role.as_str().to_owned(),
        password_hash: password::hash(&password)?,
    };
    let mut tx = db.tenant(tenant).await?;
    if !fleet::tenant_exists(&mut tx, tenant).await? {
        bail!("there is no practice {tenant}: add it with `admin tenant add`");
    }
    if !account::insert(&mut tx, &account, clock::now_us()).await? {
        bail!("the login `{login}` is taken, here or in another practice: choose another");
    }
    note(&mut tx, tenant, ("account_added", &account.account_id)).await?;
    tx.commit().await?;
    print_password(&password, is_made);
    Ok(())
}

/// What the command line does stands in the audit like everything else.
async fn note(tx: &mut Tx, tenant: &str, what: (&str, &str)) -> anyhow::Result<()> {
    let entry = about::entry(&command_line(tenant), what, About::default(), clock::now_us());
    Ok(audit::append(tx, tenant, &[entry]).await?)
}

fn choose_password(from_stdin: bool) -> anyhow::Result<(String, bool)> {
    if !from_stdin {
        return Ok((password::generate(), true));
    }
    let mut text = String::new();
    let limit = password::PASSWORD_LEN_MAX as u64 + 2;
    std::io::stdin().take(limit).read_to_string(&mut text).context("cannot read the password")?;
    Ok((text.lines().next().unwrap_or("").to_owned(), false))
}

fn print_password(password: &str, is_made: bool) {
    if is_made {
        println!("{password}");
        eprintln!("This password is shown once and kept nowhere.");
    }
}

/// A file that is imported.
pub(super) fn read_file(file: &std::path::Path) -> anyhow::Result<String> {
    let len = std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?;
    if len.len() > FILE_LEN_MAX {
        bail!("{} is larger than {FILE_LEN_MAX} bytes: split it", file.display());
    }
    std::fs::read_to_string(file)
        .with_context(|| format!("cannot read {} as UTF-8 text", file.display()))
}

async fn import(
    db: &Db,
    config: &Config,
    tenant: &str,
    file: &std::path::Path,
) -> anyhow::Result<()> {
    let text = read_file(file)?;
    let core = Core::new(db.clone(), config.clone())?;
    let mut work = Work::begin(&core, &command_line(tenant), clock::now_us()).await?;
    if !fleet::tenant_exists(&mut work.tx, tenant).await? {
        bail!("there is no practice {tenant}: add it with `admin tenant add`");
    }
    let imported = match import_schedule::import(&mut work, &text).await {
        Ok(imported) => imported,
        Err(app::AppError::Refused(message)) => bail!("{}: {message}", file.display()),
        Err(error) => return Err(error.into()),
    };
    work.commit().await?;
    println!(
        "{} patients added, {} appointments added, {} changed, {} unchanged, {} lines refused",
        imported.patients_added,
        imported.appointments_added,
        imported.appointments_changed,
        imported.appointments_unchanged,
        imported.faults.len()
    );
    for fault in &imported.faults {
        eprintln!("{}:{}: {}", file.display(), fault.line, fault.message);
    }
    if !imported.faults.is_empty() {
        bail!("some lines were refused; the others are imported");
    }
    Ok(())
}

/// Whoever may run the command on the server; it stands in the audit as such.
pub(super) fn command_line(tenant: &str) -> Principal {
    Principal {
        tenant: tenant.to_owned(),
        account: "command-line".to_owned(),
        name: "Command line".to_owned(),
        role: Role::ClinicIt,
        csrf_token: String::new(),
        address: String::new(),
        must_change_password: false,
        token_sha256: String::new(),
    }
}
