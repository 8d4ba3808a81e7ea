//! What rmqtt asks us: who may connect, publish and subscribe, and how much may wait for whom.

use super::{identity::Identities, refusals::Refusals};
use async_trait::async_trait;
use chiasm_proto::topic;
use rmqtt::{
    codec::{types::Publish as CodecPublish, v5::SubscribeAckReason},
    fitter::{DefaultFitter, Fitter, FitterManager},
    hook::{Handler, HookResult, Parameter, ReturnType},
    types::{
        AuthResult, ConnectInfo, Disconnect, FitterType, Id, LastWill, ListenerConfig, Publish,
        PublishAclResult, Subscribe, SubscribeAclResult,
    },
};
use std::{
    net::SocketAddr,
    num::{NonZeroU16, NonZeroU32},
    sync::Arc,
    time::Duration,
};

pub const INGEST_USERNAME: &str = "chiasm-cloud";

/// Compares what a connection asks for with the identity behind it.
#[derive(Clone)]
pub struct Guard {
    identities: Identities,
    secret: Arc<str>,
    refusals: Refusals,
}

impl Guard {
    pub fn new(identities: Identities, secret: String, refusals: Refusals) -> Self {
        Self { identities, secret: secret.into(), refusals }
    }

    fn authenticate(&self, connect: &ConnectInfo) -> AuthResult {
        if connect.password().is_some() {
            return self.authenticate_ingest(connect);
        }
        let Some(identity) = connect.ipaddress().and_then(|peer| self.identities.get(peer)) else {
            return AuthResult::NotAuthorized;
        };
        if !identity.may_be_client(connect.client_id()) {
            self.refusals.note(&identity, "connect", connect.client_id());
            return AuthResult::NotAuthorized;
        }
        // The will is published without a question to us, so it is looked at here.
        let will = connect.last_will().map(|will| match will {
            LastWill::V3(will) => will.topic.clone(),
            LastWill::V5(will) => will.topic.clone(),
        });
        if let Some(will) = will
            && !topic::may_publish(&identity.tenant, &identity.gateway, &will)
        {
            self.refusals.note(&identity, "publish", &will);
            return AuthResult::NotAuthorized;
        }
        AuthResult::Allow(false, None)
    }

    /// The secret is new in each process and never leaves it; with it comes every right.
    fn authenticate_ingest(&self, connect: &ConnectInfo) -> AuthResult {
        let shown = connect.password().map_or(&[][..], |password| password.as_ref());
        let is_name = connect.username().is_some_and(|name| &**name == INGEST_USERNAME);
        let mut differs = shown.len() ^ self.secret.len();
        for (a, b) in shown.iter().zip(self.secret.as_bytes()) {
            differs |= usize::from(a ^ b);
        }
        if is_name && differs == 0 {
            AuthResult::Allow(true, None)
        } else {
            AuthResult::NotAuthorized
        }
    }

    fn may_publish(&self, peer: Option<SocketAddr>, publish: &Publish) -> PublishAclResult {
        let Some(identity) = peer.and_then(|peer| self.identities.get(peer)) else {
            return PublishAclResult::rejected(true, None);
        };
        if topic::may_publish(&identity.tenant, &identity.gateway, &publish.topic) {
            return PublishAclResult::allow();
        }
        self.refusals.note(&identity, "publish", &publish.topic);
        PublishAclResult::rejected(true, None)
    }

    fn may_subscribe(&self, peer: Option<SocketAddr>, ask: &Subscribe) -> SubscribeAclResult {
        let refused = || SubscribeAclResult::new_failure(SubscribeAckReason::NotAuthorized);
        let Some(identity) = peer.and_then(|peer| self.identities.get(peer)) else {
            return refused();
        };
        if topic::may_subscribe(&identity.tenant, &identity.gateway, &ask.topic_filter) {
            return SubscribeAclResult::new_success(ask.opts.qos(), None);
        }
        self.refusals.note(&identity, "subscribe", &ask.topic_filter);
        refused()
    }
}

#[async_trait]
impl Handler for Guard {
    async fn hook(&self, param: &Parameter, acc: Option<HookResult>) -> ReturnType {
        let result = match param {
            Parameter::ClientAuthenticate(connect) => {
                HookResult::AuthResult(self.authenticate(connect))
            }
            Parameter::MessagePublishCheckAcl(session, publish) => {
                HookResult::PublishAclResult(self.may_publish(session.id.remote_addr, publish))
            }
            Parameter::ClientSubscribeCheckAcl(session, ask) => {
                HookResult::SubscribeAclResult(self.may_subscribe(session.id.remote_addr, ask))
            }
            _ => return (true, acc),
        };
        (false, Some(result))
    }
}

/// Gives ingest a long queue and gateways a short one.
pub struct Limits {
    pub ingest_queue: usize,
}

impl FitterManager for Limits {
    fn create(&self, connect: Arc<ConnectInfo>, id: Id, config: ListenerConfig) -> FitterType {
        // Only ingest passes authentication under a user name.
        let is_ingest = connect.username().is_some();
        let queue = if is_ingest { self.ingest_queue } else { config.max_mqueue_len };
        Arc::new(Limit { usual: DefaultFitter::new(connect, id, config), queue })
    }
}

struct Limit {
    usual: DefaultFitter,
    queue: usize,
}

#[async_trait]
impl Fitter for Limit {
    fn keep_alive(&self, keep_alive: &mut u16) -> rmqtt::Result<u16> {
        self.usual.keep_alive(keep_alive)
    }
    fn max_mqueue_len(&self) -> usize {
        self.queue
    }
    fn mqueue_rate_limit(&self) -> (NonZeroU32, Duration) {
        self.usual.mqueue_rate_limit()
    }
    fn max_inflight(&self) -> NonZeroU16 {
        self.usual.max_inflight()
    }
    fn session_expiry_interval(&self, disconnect: Option<&Disconnect>) -> Duration {
        self.usual.session_expiry_interval(disconnect)
    }
    fn message_expiry_interval(&self, publish: &CodecPublish) -> Duration {
        self.usual.message_expiry_interval(publish)
    }
    fn max_client_topic_aliases(&self) -> u16 {
        self.usual.max_client_topic_aliases()
    }
    fn max_server_topic_aliases(&self) -> u16 {
        self.usual.max_server_topic_aliases()
    }
}
