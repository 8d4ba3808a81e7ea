//! What still follows from instances that are durable: readings and events into the spool. The mark
//! is set in the commit that makes an instance durable, and cleared when the spool has what follows,
//! so that a sender waits for one commit and nothing is forgotten.

use super::{Held, Instances, InstancesError, content::open_small, index::fails};
use uuid::Uuid;

/// Most instances that are looked at in one round.
pub const FOLLOW_UPS_MAX: usize = 64;

pub(super) const COLUMN: &str = "alter table instance
    add column follow_up integer not null default 0";
pub(super) const DAMAGED_COLUMN: &str = "alter table instance add column damaged_at integer";
pub(super) const INDEX: &str =
    "create index if not exists instance_follow_up on instance (id) where follow_up = 1";

impl Instances {
    /// The oldest instances that something follows from, with their bytes if they are small.
    pub async fn next_follow_ups(&self) -> Result<Vec<(Held, Option<Vec<u8>>)>, InstancesError> {
        let marked = self.index.lock().await.marked(FOLLOW_UPS_MAX).await?;
        let open = |(held, small): (Held, Option<Vec<u8>>)| {
            // One that does not open is looked up again by whoever needs it, and refused there.
            let small = small.and_then(|bytes| open_small(&self.key, held.id, bytes).ok());
            (held, small)
        };
        Ok(marked.into_iter().map(open).collect())
    }

    /// The spool has what follows from these.
    pub async fn followed_up(&self, ids: &[Uuid]) -> Result<(), InstancesError> {
        let mut index = self.index.lock().await;
        let ids: Vec<String> = ids.iter().map(Uuid::to_string).collect();
        let ids = serde_json::to_string(&ids).expect("texts always serialise");
        sqlx::query(
            "update instance set follow_up = 0 where id in (select value from json_each(?))",
        )
        .bind(ids)
        .execute(index.connection())
        .await
        .map_err(fails("be changed"))?;
        Ok(())
    }
}
