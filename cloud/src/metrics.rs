//! What this process counts for monitoring. The numbers that the database knows better are asked of
//! it when somebody looks: see `http/metrics.rs`.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Bounds of the documents of a batch.
const BATCH_BOUNDS: [f64; 7] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];
/// Bounds of the time of a commit, in seconds.
const COMMIT_BOUNDS: [f64; 9] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0];

/// Handle to the counters; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    counted: Arc<Mutex<Counted>>,
    connections: Arc<AtomicU64>,
}

/// Everything since the process began.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    pub filed: Filed,
    pub acks: u64,
    pub batch: Histogram<{ BATCH_BOUNDS.len() }>,
    pub commit: Histogram<{ COMMIT_BOUNDS.len() }>,
}

/// What one transaction of ingest has filed.
#[derive(Debug, Clone, Default)]
pub struct Filed {
    /// By kind.
    pub documents: BTreeMap<&'static str, u64>,
    /// By their first place.
    pub readings: BTreeMap<&'static str, u64>,
    pub rejected: u64,
}

/// Values by their size, each in the first bound that holds it.
#[derive(Debug, Clone)]
pub struct Histogram<const N: usize> {
    buckets: [u64; N],
    pub count: u64,
    pub sum: f64,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self { buckets: [0; N], count: 0, sum: 0.0 }
    }
}

impl<const N: usize> Histogram<N> {
    fn add(&mut self, bounds: &[f64; N], value: f64) {
        if let Some(index) = bounds.iter().position(|bound| value <= *bound) {
            self.buckets[index] += 1;
        }
        self.count += 1;
        self.sum += value;
    }
    /// How many were at most each bound.
    fn at_most(&self, bounds: &[f64; N]) -> Vec<(f64, u64)> {
        let sums = self.buckets.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        bounds.iter().copied().zip(sums).collect()
    }
}

impl Counted {
    pub fn batches_at_most(&self) -> Vec<(f64, u64)> {
        self.batch.at_most(&BATCH_BOUNDS)
    }
    pub fn commits_at_most(&self) -> Vec<(f64, u64)> {
        self.commit.at_most(&COMMIT_BOUNDS)
    }
}

impl Metrics {
    /// One transaction is committed.
    pub fn committed(&self, filed: Filed, acks: usize, took: Duration) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let documents: u64 = filed.documents.values().sum();
        for (kind, count) in filed.documents {
            *counted.filed.documents.entry(kind).or_default() += count;
        }
        for (place, count) in filed.readings {
            *counted.filed.readings.entry(place).or_default() += count;
        }
        counted.filed.rejected += filed.rejected;
        counted.acks += acks as u64;
        // What only repeats is no batch of documents, but its commit takes its time.
        if documents > 0 {
            counted.batch.add(&BATCH_BOUNDS, documents as f64);
        }
        counted.commit.add(&COMMIT_BOUNDS, took.as_secs_f64());
    }

    pub fn counted(&self) -> Counted {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A gateway's connection to the embedded broker, until it is dropped.
    pub fn connection(&self) -> impl Drop + Send + 'static {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Connection(self.connections.clone())
    }

    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

struct Connection(Arc<AtomicU64>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_upwards() {
        let metrics = Metrics::default();
        for (documents, ms) in [(1, 1), (7, 30), (500, 9_000), (0, 3)] {
            let documents = BTreeMap::from([("reading", documents)]);
            let filed = Filed { documents, ..Filed::default() };
            metrics.committed(filed, 1, Duration::from_millis(ms));
        }
        let counted = metrics.counted();
        let batches: Vec<u64> = counted.batches_at_most().into_iter().map(|(_, n)| n).collect();
        assert_eq!(batches, [1, 1, 1, 2, 2, 2, 2]);
        assert_eq!((counted.batch.count, counted.batch.sum), (3, 508.0));
        let commits: Vec<u64> = counted.commits_at_most().into_iter().map(|(_, n)| n).collect();
        assert_eq!(commits, [1, 1, 2, 2, 2, 3, 3, 3, 3]);
        assert_eq!((counted.commit.count, counted.acks), (4, 4));
        assert_eq!(counted.filed.documents["reading"], 508);
    }

    #[test]
    fn a_connection_counts_while_it_lasts() {
        let metrics = Metrics::default();
        let one = metrics.connection();
        let other = metrics.connection();
        assert_eq!(metrics.connections(), 2);
        drop((one, other));
        assert_eq!(metrics.connections(), 0);
    }
}
