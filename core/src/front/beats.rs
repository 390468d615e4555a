//! A sign of life of each thread, for who watches over them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::sleep;

const INTERVAL: Duration = Duration::from_millis(500);

/// Rises for as long as a thread gets round to its tasks.
pub type Beat = Arc<AtomicU64>;

/// Gives the signs of a thread's life, as one of its tasks.
pub async fn give(beat: Beat) {
    loop {
        beat.fetch_add(1, Relaxed);
        sleep(INTERVAL).await;
    }
}
