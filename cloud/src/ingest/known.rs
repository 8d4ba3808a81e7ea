//! What the database knows of a batch's gateways, asked once for all of them: after an outage many
//! send at once, and a question for each would cost as much as filing its documents.

use super::parse::Content;
use crate::store::{
    StoreError, Tx, fleet,
    stream::{self, Stream, StreamKey},
};
use chiasm_proto::{Epoch, GatewayId};
use std::collections::{BTreeMap, BTreeSet, HashMap};

pub type Batch = [(GatewayId, Content)];

pub struct Known<'b> {
    /// Of gateways that are known and not revoked.
    pub locations: HashMap<String, String>,
    /// Locked until the commit.
    pub streams: BTreeMap<(&'b GatewayId, Epoch), Stream>,
}

impl<'b> Known<'b> {
    pub async fn of(
        tx: &mut Tx,
        tenant: &str,
        batch: &'b Batch,
        now_us: i64,
    ) -> Result<Self, StoreError> {
        let gateways: BTreeSet<&str> = batch.iter().map(|(gateway, _)| gateway.as_str()).collect();
        let gateways: Vec<&str> = gateways.into_iter().collect();
        let locations = fleet::gateway_locations(tx, tenant, &gateways).await?;
        let streams = lock_streams(tx, tenant, batch, &locations, now_us).await?;
        Ok(Self { locations, streams })
    }
}

async fn lock_streams<'b>(
    tx: &mut Tx,
    tenant: &str,
    batch: &'b Batch,
    locations: &HashMap<String, String>,
    now_us: i64,
) -> Result<BTreeMap<(&'b GatewayId, Epoch), Stream>, StoreError> {
    let of_document = |(gateway, content): &'b (GatewayId, Content)| match content {
        Content::Document(document) if locations.contains_key(gateway.as_str()) => {
            Some((gateway, document.epoch))
        }
        _ => None,
    };
    let wanted: BTreeSet<_> = batch.iter().filter_map(of_document).collect();
    let key = |(gateway, epoch): &(&'b GatewayId, Epoch)| StreamKey {
        gateway_id: gateway.as_str(),
        epoch: *epoch,
        now_us,
    };
    let keys: Vec<StreamKey> = wanted.iter().map(key).collect();
    let mut found: HashMap<(String, Epoch), Stream> = stream::lock_all(tx, tenant, &keys)
        .await?
        .into_iter()
        .map(|(gateway, epoch, stream)| ((gateway, epoch), stream))
        .collect();
    let stream = |(gateway, epoch): (&'b GatewayId, Epoch)| {
        let stream = found.remove(&(gateway.to_string(), epoch)).unwrap_or_default();
        ((gateway, epoch), stream)
    };
    Ok(wanted.into_iter().map(stream).collect())
}
