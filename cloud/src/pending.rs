//! A set of things to be looked at, for one worker. Asking twice is asking once, so that it is
//! bounded by the number of things and never loses a request.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

#[derive(Debug)]
pub struct Pending<T> {
    inner: Arc<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    set: Mutex<BTreeSet<T>>,
    notify: Notify,
}

impl<T> Clone for Pending<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<T: Ord> Default for Pending<T> {
    fn default() -> Self {
        let inner = Inner { set: Mutex::new(BTreeSet::new()), notify: Notify::new() };
        Self { inner: Arc::new(inner) }
    }
}

impl<T: Ord> Pending<T> {
    pub fn add(&self, item: T) {
        self.lock().insert(item);
        self.inner.notify.notify_one();
    }

    /// Waits until there is something, and takes all of it.
    pub async fn take(&self) -> BTreeSet<T> {
        loop {
            let taken = std::mem::take(&mut *self.lock());
            if !taken.is_empty() {
                return taken;
            }
            self.inner.notify.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<T>> {
        self.inner.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn asking_twice_is_asking_once() {
        let pending = Pending::default();
        pending.add(2);
        pending.add(1);
        pending.add(2);
        assert_eq!(pending.take().await, BTreeSet::from([1, 2]));
        let waiting = tokio::spawn({
            let pending = pending.clone();
            async move { pending.take().await }
        });
        pending.add(3);
        assert_eq!(waiting.await.unwrap(), BTreeSet::from([3]));
    }
}
