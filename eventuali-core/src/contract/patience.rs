//! Waiting for an answer, without a runtime.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{Thread, current, park_timeout};
use std::time::{Duration, Instant};

/// After this an answer is taken to never come: no clause has work for more than seconds.
const PATIENCE: Duration = Duration::from_mins(3);

/// Runs `future` to its end on this thread.
///
/// # Panics
/// Where it takes minutes, so that a hanging backend is a failure and not a hanging test.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let begun = Instant::now();
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        let left = PATIENCE.checked_sub(begun.elapsed()).expect("an answer never came");
        park_timeout(left);
    }
}
