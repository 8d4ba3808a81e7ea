//! Who stands behind a connection on the loopback listener.

use chiasm_proto::{GatewayId, TenantId, enrol};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio_util::sync::CancellationToken;

/// A gateway whose certificate TLS has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub tenant: TenantId,
    pub gateway: GatewayId,
    pub serial: String,
}

impl Identity {
    /// Reads `CN={tenant}/{gateway}`.
    pub fn parse(common_name: &str, serial: &str) -> Option<Self> {
        let (tenant, gateway) = common_name.split_once('/')?;
        let (tenant, gateway) = (TenantId::new(tenant).ok()?, GatewayId::new(gateway).ok()?);
        Some(Self { tenant, gateway, serial: serial.to_owned() })
    }

    /// Whether a session under this client id is the gateway's own: `{tenant}/{gateway}`, with more
    /// behind a further slash if it likes. MQTT lets a client id take over its older session.
    pub fn may_be_client(&self, client_id: &str) -> bool {
        let name = enrol::common_name(&self.tenant, &self.gateway);
        let rest = client_id.strip_prefix(name.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Identities of live connections by the front's local address, which is rmqtt's peer address.
#[derive(Debug, Clone, Default)]
pub struct Identities {
    by_address: Arc<Mutex<HashMap<SocketAddr, (Identity, CancellationToken)>>>,
}

/// Keeps an identity known as long as its connection lives.
pub struct Registration {
    identities: Identities,
    address: SocketAddr,
    /// Fires when the connection has to be cut.
    pub cut: CancellationToken,
}

impl Identities {
    pub fn register(&self, address: SocketAddr, identity: Identity) -> Registration {
        let cut = CancellationToken::new();
        self.lock().insert(address, (identity, cut.clone()));
        Registration { identities: self.clone(), address, cut }
    }

    pub fn get(&self, address: SocketAddr) -> Option<Identity> {
        self.lock().get(&address).map(|(identity, _)| identity.clone())
    }

    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Cuts every connection whose identity is not to live; gives who they were.
    pub fn cut_unless(&self, lives: impl Fn(&Identity) -> bool) -> Vec<Identity> {
        let all = self.lock();
        let dead = all.values().filter(|(identity, _)| !lives(identity));
        dead.inspect(|(_, cut)| cut.cancel()).map(|(identity, _)| identity.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, (Identity, CancellationToken)>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.identities.lock().remove(&self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_belongs_to_one_gateway() {
        let identity = Identity::parse("acme/gw-1", "01").unwrap();
        assert!(identity.may_be_client("acme/gw-1"));
        assert!(identity.may_be_client("acme/gw-1/uplink"));
        for foreign in ["acme/gw-10", "acme/gw-2", "acme", "", "chiasm-cloud", "other/gw-1"] {
            assert!(!identity.may_be_client(foreign), "{foreign}");
        }
        assert_eq!(Identity::parse("chiasm-cloud", "01"), None);
    }
}
