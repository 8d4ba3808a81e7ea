//! Topics, built and parsed here only.
//!
//! ```text
//! chiasm/v1/{tenant}/{gateway}/up/{reading|capture|event|telemetry|reply}
//! chiasm/v1/{tenant}/{gateway}/down/{ack|config|session|command|worklist|staff}
//! chiasm/v1/{tenant}/{gateway}/state
//! ```

use crate::{GatewayId, TenantId};
use std::{fmt, str::FromStr};

const PREFIX: &str = "chiasm/v1";

/// A topic of one gateway.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Topic {
    pub tenant: TenantId,
    pub gateway: GatewayId,
    pub leaf: Leaf,
}

/// What stands behind the gateway's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Leaf {
    Up(Up),
    Down(Down),
    State,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($variant),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
            fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words!(
    /// From the gateway to the cloud.
    Up { Reading = "reading", Capture = "capture", Event = "event", Telemetry = "telemetry",
         Reply = "reply" }
);
words!(
    /// From the cloud to the gateway.
    Down { Ack = "ack", Config = "config", Session = "session", Command = "command",
           Worklist = "worklist", Staff = "staff" }
);

/// Why a text is not one of our topics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a topic of Chiasm")]
pub struct TopicError(String);

impl Topic {
    pub fn up(tenant: &TenantId, gateway: &GatewayId, up: Up) -> Self {
        Self { tenant: tenant.clone(), gateway: gateway.clone(), leaf: Leaf::Up(up) }
    }
    pub fn down(tenant: &TenantId, gateway: &GatewayId, down: Down) -> Self {
        Self { tenant: tenant.clone(), gateway: gateway.clone(), leaf: Leaf::Down(down) }
    }
    pub fn state(tenant: &TenantId, gateway: &GatewayId) -> Self {
        Self { tenant: tenant.clone(), gateway: gateway.clone(), leaf: Leaf::State }
    }
    fn is_of(&self, tenant: &TenantId, gateway: &GatewayId) -> bool {
        self.tenant == *tenant && self.gateway == *gateway
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}/{}/{}/", self.tenant, self.gateway)?;
        match self.leaf {
            Leaf::Up(up) => write!(f, "up/{}", up.as_str()),
            Leaf::Down(down) => write!(f, "down/{}", down.as_str()),
            Leaf::State => f.write_str("state"),
        }
    }
}

impl FromStr for Topic {
    type Err = TopicError;
    fn from_str(text: &str) -> Result<Self, TopicError> {
        parse(text).ok_or_else(|| TopicError(text.chars().take(200).collect()))
    }
}

fn parse(text: &str) -> Option<Topic> {
    let levels: Vec<&str> = text.strip_prefix(PREFIX)?.strip_prefix('/')?.split('/').collect();
    let (tenant, gateway, leaf) = match levels[..] {
        [tenant, gateway, "up", word] => (tenant, gateway, Leaf::Up(Up::parse(word)?)),
        [tenant, gateway, "down", word] => (tenant, gateway, Leaf::Down(Down::parse(word)?)),
        [tenant, gateway, "state"] => (tenant, gateway, Leaf::State),
        _ => return None,
    };
    let (tenant, gateway) = (TenantId::new(tenant).ok()?, GatewayId::new(gateway).ok()?);
    Some(Topic { tenant, gateway, leaf })
}

/// Whether a gateway with this identity may publish on this topic: its own `up/…` and `state`.
pub fn may_publish(tenant: &TenantId, gateway: &GatewayId, topic: &str) -> bool {
    parse(topic)
        .is_some_and(|topic| topic.is_of(tenant, gateway) && !matches!(topic.leaf, Leaf::Down(_)))
}

/// Whether a gateway with this identity may subscribe to this filter: its own `down/…`, by single
/// topic or as `down/+` or `down/#`. Wildcards further left are refused, whatever they would match.
pub fn may_subscribe(tenant: &TenantId, gateway: &GatewayId, filter: &str) -> bool {
    let own_down = down_filter(tenant, gateway);
    let own_down = own_down.strip_suffix('+').expect("the filter ends in its wildcard");
    filter
        .strip_prefix(own_down)
        .is_some_and(|rest| rest == "+" || rest == "#" || Down::parse(rest).is_some())
}

/// Everything that is sent down to one gateway.
pub fn down_filter(tenant: &TenantId, gateway: &GatewayId) -> String {
    format!("{PREFIX}/{tenant}/{gateway}/down/+")
}

/// Everything that gateways send up, for the cloud.
pub const UP_FILTER: &str = "chiasm/v1/+/+/up/+";
/// Every gateway's state, for the cloud.
pub const STATE_FILTER: &str = "chiasm/v1/+/+/state";
/// On which the cloud's replicas wake each other; no gateway may touch it.
pub const LIVE_HINT_TOPIC: &str = "chiasm/v1-cloud/live";

/// The same filter, read by a group of replicas each of which gets a part.
pub fn shared(group: &str, filter: &str) -> String {
    format!("$share/{group}/{filter}")
}
