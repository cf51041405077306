//! How answers reach Python: a blocking wait, or a mailbox that an event loop empties.
//!
//! The core's threads never touch Python. They put an outcome into a mailbox and wake its reader
//! through a socket; the loop's own thread turns outcomes into objects. So nothing here can
//! deadlock with the interpreter's lock, outlive the interpreter, or call a loop that is closed.

use std::future::Future;
use std::num::NonZero;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use eventuali_core::error::{Error, ErrorKind};
use pyo3::exceptions::{PyRuntimeError, PyTimeoutError};
use pyo3::prelude::*;
use tokio::task::coop::unconstrained;

use crate::convert::Outcome;
use crate::error::to_python;
use crate::fork::generation;

/// What a call to the core becomes.
pub(crate) type Result = eventuali_core::error::Result<Outcome>;
type Answer = Pin<Box<dyn Future<Output = Result> + Send>>;

/// How often a blocking wait looks for Ctrl-C.
const SIGNALS: Duration = Duration::from_millis(50);
/// How long a caller spins for an answer before it sleeps: about as long as an event loop takes to
/// go round once.
const SPIN_LIMIT: Duration = Duration::from_micros(100);

/// A call that has begun, and whose answer has not been taken yet.
#[pyclass(frozen, module = "eventuali._eventuali")]
pub(crate) struct Pending {
    answer: Mutex<Option<Answer>>,
    generation: u32,
    /// Whether it is worth a short wait.
    soon: bool,
}

impl Pending {
    pub(crate) fn new(answer: impl Future<Output = Result> + Send + 'static) -> Self {
        Self { answer: Mutex::new(Some(Box::pin(answer))), generation: generation(), soon: false }
    }

    /// The same; `soon` says that the answer takes no network and no flush.
    pub(crate) fn coming(self, soon: bool) -> Self {
        Self { soon, ..self }
    }

    fn take(&self, py: Python<'_>) -> PyResult<Answer> {
        let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if self.generation != generation() {
            // The thread that would answer is in the parent, and may have held any of its locks.
            std::mem::forget(answer);
            let text = "this call began before the process was forked; open the store again here";
            return Err(to_python(py, &Error::new(ErrorKind::Forked, text)));
        }
        answer.ok_or_else(|| PyRuntimeError::new_err("the answer was taken already"))
    }
}

#[pymethods]
impl Pending {
    /// Blocks until the answer is there; `TimeoutError` once the time is up.
    ///
    /// Other threads run meanwhile, and Ctrl-C ends the waiting, but not the work.
    #[pyo3(signature = (seconds=None))]
    fn wait(&self, py: Python<'_>, seconds: Option<f64>) -> PyResult<Py<PyAny>> {
        let mut answer = self.take(py)?;
        if self.soon
            && let Some(result) = py.detach(|| spin(&mut answer, SPIN_LIMIT))
        {
            return to_object(py, result);
        }
        let mailbox = Arc::new(Shared::default());
        Delivery::start(answer, &mailbox, 0);
        let begun = Instant::now();
        loop {
            let arrived = py.detach(|| mailbox.wait(SIGNALS));
            if let Some((_, result)) = arrived.into_iter().next() {
                return to_object(py, result);
            }
            py.check_signals()?;
            if seconds.is_some_and(|limit| begun.elapsed().as_secs_f64() > limit) {
                return Err(PyTimeoutError::new_err("no answer in time"));
            }
        }
    }

    /// Whether the answer takes no network and no flush, so that spinning may find it.
    #[getter]
    fn soon(&self) -> bool {
        self.soon
    }

    /// Spins for up to 100 µs: the answer in a tuple, else None, and it is still to be taken.
    ///
    /// Other threads run meanwhile.
    fn spin(&self, py: Python<'_>) -> PyResult<Option<(Py<PyAny>,)>> {
        let mut answer = self.take(py)?;
        if let Some(result) = py.detach(|| spin(&mut answer, SPIN_LIMIT)) {
            return Ok(Some((to_object(py, result)?,)));
        }
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        Ok(None)
    }

    /// Sends the answer to `mailbox` under `token`, once it is there.
    fn deliver(&self, py: Python<'_>, mailbox: &Mailbox, token: u64) -> PyResult<()> {
        Delivery::start(self.take(py)?, &mailbox.shared, token);
        Ok(())
    }
}

fn to_object(py: Python<'_>, result: Result) -> PyResult<Py<PyAny>> {
    match result {
        Ok(outcome) => outcome.into_object(py),
        Err(error) => Err(to_python(py, &error)),
    }
}

/// Polls an answer on this thread until it is there, or the time is up.
///
/// It looks again and again rather than sleep: a sleep this short takes longer than the answer, for
/// a timer that is due before the next tick of the system costs it ten microseconds.
fn spin(answer: &mut Answer, limit: Duration) -> Option<Result> {
    let _spinning = Spinning::begin()?;
    let bell = Arc::new(Bell(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&bell));
    let until = Instant::now() + limit;
    loop {
        if bell.0.swap(false, Ordering::Acquire)
            && let Poll::Ready(result) = answer.as_mut().poll(&mut Context::from_waker(&waker))
        {
            return Some(result);
        }
        if Instant::now() > until {
            return None;
        }
        std::thread::yield_now();
    }
}

/// A thread that spins. At least one processor is left to those who make answers.
struct Spinning;

static SPINNING: AtomicUsize = AtomicUsize::new(0);

impl Spinning {
    fn begin() -> Option<Self> {
        static PROCESSORS: LazyLock<usize> =
            LazyLock::new(|| std::thread::available_parallelism().map_or(1, NonZero::get));
        let spinning = Self; // which counts itself down again, whatever comes of it
        (SPINNING.fetch_add(1, Ordering::Relaxed) + 1 < *PROCESSORS).then_some(spinning)
    }
}

impl Drop for Spinning {
    fn drop(&mut self) {
        SPINNING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Rings when an answer is to be polled.
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// Where the answers for one event loop arrive.
#[pyclass(frozen, module = "eventuali._eventuali")]
pub(crate) struct Mailbox {
    shared: Arc<Shared>,
    #[cfg(unix)]
    reader: std::os::unix::net::UnixStream,
}

#[pymethods]
impl Mailbox {
    #[new]
    fn new() -> PyResult<Self> {
        #[cfg(unix)]
        {
            let (reader, writer) = std::os::unix::net::UnixStream::pair()?;
            reader.set_nonblocking(true)?;
            writer.set_nonblocking(true)?;
            let shared = Arc::new(Shared { writer: Some(writer), ..Shared::default() });
            Ok(Self { shared, reader })
        }
        #[cfg(not(unix))]
        Ok(Self { shared: Arc::default() })
    }

    /// The descriptor that becomes readable when answers arrive; -1 where there is none.
    fn fileno(&self) -> i64 {
        #[cfg(unix)]
        return std::os::fd::AsRawFd::as_raw_fd(&self.reader).into();
        #[cfg(not(unix))]
        -1
    }

    /// Blocks for up to `seconds` until answers are there; for loops that cannot watch a descriptor.
    fn wait(&self, py: Python<'_>, seconds: f64) -> bool {
        py.detach(|| {
            self.shared.wait_until_some(Duration::from_secs_f64(seconds.clamp(0.0, 3600.0)))
        })
    }

    /// Takes what has arrived: (token, value, None) or (token, None, exception) each.
    fn drain(&self, py: Python<'_>) -> Vec<(u64, Option<Py<PyAny>>, Option<PyErr>)> {
        #[cfg(unix)]
        {
            // At most one byte is in flight, so one read empties the socket.
            let _ = std::io::Read::read(&mut (&self.reader), &mut [0; 8]);
        }
        let arrived = self.shared.take();
        arrived
            .into_iter()
            .map(|(token, result)| match to_object(py, result) {
                Ok(value) => (token, Some(value), None),
                Err(error) => (token, None, Some(error)),
            })
            .collect()
    }
}

/// A mutex and a wake-up rather than a channel: one wake-up serves all that arrives before the
/// reader comes to look.
#[derive(Default)]
struct Shared {
    arrived: Mutex<Vec<(u64, Result)>>,
    some: Condvar,
    #[cfg(unix)]
    writer: Option<std::os::unix::net::UnixStream>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Result)>> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, token: u64, result: Result) {
        let mut arrived = self.lock();
        let first = arrived.is_empty();
        arrived.push((token, result));
        drop(arrived);
        if first {
            self.some.notify_all();
            #[cfg(unix)]
            if let Some(mut writer) = self.writer.as_ref() {
                // A full or closed socket has a reader that is awake, or none that ever will be.
                let _ = std::io::Write::write(&mut writer, &[1]);
            }
        }
    }

    fn take(&self) -> Vec<(u64, Result)> {
        std::mem::take(&mut *self.lock())
    }

    fn wait_until_some(&self, limit: Duration) -> bool {
        let arrived = self.lock();
        let waited = self.some.wait_timeout_while(arrived, limit, |arrived| arrived.is_empty());
        !waited.unwrap_or_else(PoisonError::into_inner).0.is_empty()
    }

    fn wait(&self, limit: Duration) -> Vec<(u64, Result)> {
        self.wait_until_some(limit);
        self.take()
    }
}

/// An answer on its way to a mailbox. It is polled by whoever wakes it, on that thread: the
/// core's answers only pass on what a storage thread has finished, so that no runtime is needed
/// and no thread stands between the one that writes and the one that waits.
struct Delivery {
    answer: Mutex<Option<Answer>>,
    mailbox: Arc<Shared>,
    token: u64,
}

impl Delivery {
    fn start(answer: Answer, mailbox: &Arc<Shared>, token: u64) {
        // Whoever wakes it may be a task with a budget, which is not for this to spend.
        let answer: Answer = Box::pin(unconstrained(answer));
        let delivery =
            Self { answer: Mutex::new(Some(answer)), mailbox: Arc::clone(mailbox), token };
        Arc::new(delivery).advance();
    }

    fn advance(self: Arc<Self>) {
        let mut slot = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(answer) = slot.as_mut() else { return };
        let waker = Waker::from(Arc::clone(&self));
        if let Poll::Ready(result) = answer.as_mut().poll(&mut Context::from_waker(&waker)) {
            *slot = None;
            self.mailbox.put(self.token, result);
        }
    }
}

impl Wake for Delivery {
    fn wake(self: Arc<Self>) {
        self.advance();
    }
}
