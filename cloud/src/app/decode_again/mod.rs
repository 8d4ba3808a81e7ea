//! Stored bytes are given to the driver of this build again, after it was mended (C4). What no driver
//! understood becomes readings that are placed as any other; what is read otherwise now is a new
//! version. Nobody's word is overruled: what a person has changed, accepted or signed stays as it is,
//! and they are told.
//!
//! One document is one transaction, which also notes that this version was given it. Stopping and
//! starting again goes on where it was, and doing it twice does nothing.

mod capture;
mod reading;

use super::{
    AppError,
    principal::{Principal, Role},
    work::Work,
};
use crate::{
    Core, clock,
    store::{StoreError, decode_again as store},
};
use chiasm_drivers::DriverSpec;
use std::collections::BTreeMap;

/// Who has changed what nobody did by hand.
pub const SYSTEM: &str = "system";

/// What became of one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// A capture gave readings.
    Read,
    /// A reading has a new version.
    NewVersion,
    /// It is read as it was.
    Same,
    /// A person has changed or accepted it: it stays, and they were told.
    LeftToPerson,
    /// Its exam is signed: it stays, with an addendum.
    Signed,
    /// The driver still does not read it.
    StillRefused,
    /// It cannot be read here: only its beginning was kept, or the gateway's configuration is needed.
    CannotSay,
}

impl Outcome {
    pub const ALL: [Self; 7] = [
        Self::Read,
        Self::NewVersion,
        Self::Same,
        Self::LeftToPerson,
        Self::Signed,
        Self::StillRefused,
        Self::CannotSay,
    ];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::NewVersion => "new_version",
            Self::Same => "same",
            Self::LeftToPerson => "left_to_person",
            Self::Signed => "signed",
            Self::StillRefused => "still_refused",
            Self::CannotSay => "cannot_say",
        }
    }
    /// For people, after a number.
    pub fn words(self) -> &'static str {
        match self {
            Self::Read => "now read",
            Self::NewVersion => "read otherwise: a new version",
            Self::Same => "read as before",
            Self::LeftToPerson => "read otherwise, left as a person has them",
            Self::Signed => "read otherwise, in signed exams: an addendum",
            Self::StillRefused => "still not read",
            Self::CannotSay => "cannot be read here",
        }
    }
}

/// How often what happened.
pub type Tally = BTreeMap<Outcome, u64>;

/// What is done.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    pub tenant: &'a str,
    pub driver: &'static DriverSpec,
    /// Find out what would happen, and leave everything as it is.
    pub is_dry: bool,
}

/// Gives the driver everything of a practice that its version has not had, and tells after each
/// document how far it is.
pub async fn run(
    core: &Core,
    order: Order<'_>,
    mut progress: impl FnMut(&Tally),
) -> Result<Tally, AppError> {
    let mut tally = Tally::new();
    for is_capture in [true, false] {
        let mut after = String::new();
        loop {
            let ids = next(core, order, is_capture, &after).await?;
            let Some(last) = ids.last() else { break };
            after.clone_from(last);
            for id in &ids {
                if let Some(outcome) = one(core, order, is_capture, id).await? {
                    *tally.entry(outcome).or_default() += 1;
                    progress(&tally);
                }
            }
        }
    }
    Ok(tally)
}

async fn next(
    core: &Core,
    order: Order<'_>,
    is_capture: bool,
    after: &str,
) -> Result<Vec<String>, StoreError> {
    let mut tx = core.db.tenant_read(order.tenant).await?;
    match is_capture {
        true => store::captures(&mut tx, order.tenant, order.driver, after).await,
        false => store::readings(&mut tx, order.tenant, order.driver, after).await,
    }
}

/// One document in one transaction. `None` if somebody else had it meanwhile.
async fn one(
    core: &Core,
    order: Order<'_>,
    is_capture: bool,
    id: &str,
) -> Result<Option<Outcome>, AppError> {
    let mut work = Work::begin(core, &system(order.tenant), clock::now_us()).await?;
    let (tenant, driver, now_us) = (order.tenant, order.driver, work.now_us);
    if !store::claim(&mut work.tx, tenant, driver, id, now_us).await? {
        return Ok(None);
    }
    let outcome = match is_capture {
        true => capture::again(&mut work, driver, id).await,
        false => reading::again(&mut work, driver, id).await,
    };
    let outcome = match outcome {
        // A person was faster; the next run sees what they made of it.
        Err(AppError::Conflict) => return Ok(None),
        outcome => outcome?,
    };
    store::note(&mut work.tx, tenant, driver, (id, outcome.as_str())).await?;
    if !order.is_dry {
        work.commit().await?;
    }
    Ok(Some(outcome))
}

fn system(tenant: &str) -> Principal {
    Principal {
        tenant: tenant.to_owned(),
        account: SYSTEM.to_owned(),
        name: "Chiasm".to_owned(),
        role: Role::CloudStaff,
        csrf_token: String::new(),
        address: String::new(),
        must_change_password: false,
        token_sha256: String::new(),
    }
}

/// Somebody wants everything of a driver to be decoded again; a job does it.
pub async fn ask(work: &mut Work, driver: &DriverSpec) -> Result<(), AppError> {
    let (tenant, account, now_us) =
        (work.who.tenant.clone(), work.who.account.clone(), work.now_us);
    store::ask(&mut work.tx, &tenant, driver, (&account, now_us)).await?;
    let subject = format!("{} {}", driver.id, driver.version);
    work.audit("decode_again_asked", &subject).await
}

/// The job's part: does what was asked for and is not done. What a replica of another version asked
/// for is left to it.
pub async fn run_asked(core: &Core) -> Result<(), AppError> {
    let mut tx = core.db.all_tenants_read().await?;
    let asked = store::asked(&mut tx).await?;
    drop(tx);
    for (tenant, id, version, asked_at_us) in asked {
        let spec = chiasm_drivers::registry::find(&id).filter(|spec| spec.version == version);
        let Some(driver) = spec else { continue };
        let order = Order { tenant: &tenant, driver, is_dry: false };
        let tally = run(core, order, |_| ()).await?;
        let mut tx = core.db.tenant(&tenant).await?;
        store::finish(&mut tx, &tenant, driver, (asked_at_us, clock::now_us())).await?;
        tx.commit().await?;
        let documents: u64 = tally.values().sum();
        tracing::info!(%tenant, driver = driver.id, version = driver.version, documents,
            "decoded again");
    }
    Ok(())
}
