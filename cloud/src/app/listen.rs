//! Somebody wants to know what comes over a link just now, or which driver and line settings a port
//! needs (I2). Values are masked on the gateway.

use super::{AppError, work::Work};
use crate::store::{fleet, gateway_listening};
use chiasm_proto::LinkId;
use uuid::Uuid;

/// Longest name of a port, in characters.
const PORT_LEN_MAX: usize = 200;

/// What is listened to.
pub enum Target<'a> {
    Link(&'a str),
    /// A port that no link reads.
    Port(&'a str),
}

pub async fn begin(work: &mut Work, gateway: &str, target: Target<'_>) -> Result<(), AppError> {
    let tenant = work.who.tenant.clone();
    let locations = fleet::gateway_locations(&mut work.tx, &tenant, &[gateway]).await?;
    let location = locations.get(gateway).ok_or(AppError::NotFound("gateway"))?;
    let (name, is_search) = match target {
        Target::Link(link) => {
            LinkId::new(link).map_err(|error| AppError::Refused(error.to_string()))?;
            (link, false)
        }
        Target::Port(port) if port.is_empty() || port.chars().count() > PORT_LEN_MAX => {
            return Err(AppError::Refused("this is no port".into()));
        }
        Target::Port(port) => (port, true),
    };
    let id = Uuid::now_v7().to_string();
    let (key, by) = ((tenant.as_str(), gateway), (work.who.account.as_str(), work.now_us));
    gateway_listening::begin(&mut work.tx, key, (&id, name, is_search), by).await?;
    work.tell_configuration(location, gateway);
    work.audit("gateway_listened", gateway).await
}
