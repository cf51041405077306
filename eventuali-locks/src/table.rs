//! Which descriptors SQLite has open, and which description holds a file's locks.

use std::cell::UnsafeCell;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};

use libc::c_int;

use crate::descriptors::{self, Identity, Taken};

/// What the process has open, behind its lock.
pub(crate) static TABLE: Guarded = Guarded::new();

#[derive(Default)]
pub(crate) struct Table {
    /// Descriptors that SQLite has open.
    owners: BTreeMap<c_int, (Identity, c_int)>,
    files: BTreeMap<Identity, Locked>,
}

/// One file.
#[derive(Default)]
struct Locked {
    /// For the index of a WAL: the database, which whoever opens the index has open before.
    database: Option<Identity>,
    /// How many descriptors SQLite has of it.
    open: usize,
    /// Descriptors that SQLite closed, with the flags they were opened with.
    kept: Vec<(c_int, c_int)>,
    /// The description that holds the locks; made with the first one.
    lock: Option<c_int>,
}

impl Table {
    /// Notes a descriptor that SQLite opened, and of which database its file is the index.
    pub(crate) fn add(
        &mut self,
        fd: c_int,
        file: Identity,
        database: Option<Identity>,
        flags: c_int,
    ) {
        self.owners.insert(fd, (file, flags));
        let locked = self.files.entry(file).or_default();
        locked.open += 1;
        locked.database = database;
    }

    /// A kept descriptor of the file that was opened in the same way.
    pub(crate) fn reuse(&mut self, file: Identity, flags: c_int) -> Option<c_int> {
        let locked = self.files.get_mut(&file)?;
        let index = locked.kept.iter().position(|(_, opened)| *opened == flags)?;
        let (fd, _) = locked.kept.swap_remove(index);
        locked.open += 1;
        self.owners.insert(fd, (file, flags));
        Some(fd)
    }

    /// Whether SQLite has this descriptor, or had it and it is kept, or it holds locks.
    pub(crate) fn knows(&self, fd: c_int) -> bool {
        let kept = |file: &Locked| file.lock == Some(fd) || file.kept.iter().any(|k| k.0 == fd);
        self.owners.contains_key(&fd) || self.files.values().any(kept)
    }

    /// The description that holds the locks of the file behind `fd`; none where `fd` is unknown.
    pub(crate) fn lock_of(&mut self, fd: c_int) -> Option<c_int> {
        let (file, _) = self.owners.get(&fd)?;
        let locked = self.files.get_mut(file)?;
        if locked.lock.is_none() {
            locked.lock = descriptors::open_again(fd);
        }
        locked.lock
    }

    /// Takes a descriptor back from SQLite, which has given up its locks on the file if this was the
    /// last. False where it is none of ours.
    pub(crate) fn remove(&mut self, fd: c_int) -> bool {
        let Some((file, flags)) = self.owners.remove(&fd) else { return false };
        let Some(locked) = self.files.get_mut(&file) else { return false };
        locked.open -= 1;
        locked.kept.push((fd, flags));
        if let (0, Some(lock)) = (locked.open, locked.lock) {
            // SQLite leaves some to the end of the descriptor.
            descriptors::unlock(lock, descriptors::WHOLE);
        }
        self.close_idle();
        true
    }

    /// Forgets a descriptor that is about to be closed.
    pub(crate) fn drop_owner(&mut self, fd: c_int) {
        if let Some((file, _)) = self.owners.remove(&fd)
            && let Some(locked) = self.files.get_mut(&file)
        {
            locked.open -= 1;
            if locked.open == 0 {
                self.files.remove(&file);
            }
        }
    }

    /// Closes what is kept of the files that SQLite has closed, where that takes no lock from another
    /// library of this process.
    pub(crate) fn close_idle(&mut self) {
        let idle = self.files.iter().filter(|(_, locked)| locked.open == 0);
        for file in idle.map(|(file, _)| *file).collect::<Vec<_>>() {
            if self.close_alone(file) || self.close_unshared(file) {
                self.files.remove(&file);
            }
        }
    }

    /// Closes all descriptors of a file that nobody, in this process or another, has a lock on.
    ///
    /// The description of the locks goes last, which releases the lock on the whole file: the system
    /// gives up the process's locks first and those of the description after.
    fn close_alone(&mut self, file: Identity) -> bool {
        let Some(locked) = self.files.get_mut(&file) else { return true };
        let whole = locked.lock().map(|lock| descriptors::lock(lock, descriptors::WHOLE));
        if whole != Some(Taken::Yes) {
            return false;
        }
        locked.close();
        true
    }

    /// Closes all descriptors of a file that others have locks on, if these are other processes: no
    /// descriptor of this process but our own leads to the database. Nor can one come to a lock
    /// meanwhile, for whoever begins with a database locks this byte first. A file that may only be
    /// read can't be locked so, and there nobody writes who could lose a lock.
    fn close_unshared(&mut self, file: Identity) -> bool {
        let database = self.files.get(&file).and_then(|locked| locked.database).unwrap_or(file);
        let Some(gate) = self.files.get_mut(&database).and_then(Locked::lock) else { return false };
        if descriptors::lock(gate, descriptors::PENDING) == Taken::No {
            return false;
        }
        let shared = |(fd, found): &(c_int, Identity)| {
            (*found == file || *found == database) && !self.knows(*fd)
        };
        let unshared = descriptors::of_this_process().is_some_and(|all| !all.iter().any(shared));
        if unshared && let Some(locked) = self.files.get_mut(&file) {
            locked.close();
        }
        if database != file || !unshared {
            descriptors::unlock(gate, descriptors::PENDING);
        }
        unshared
    }

    /// Forgets everything in a forked child: the locks are the parent's.
    pub(crate) fn forget(&mut self) {
        for lock in self.files.values().filter_map(|locked| locked.lock) {
            descriptors::close(lock);
        }
        // Nothing is freed: another thread may have held the allocator.
        std::mem::forget(std::mem::take(self));
    }
}

impl Locked {
    /// The description that holds the locks, made of any descriptor where there is none yet.
    fn lock(&mut self) -> Option<c_int> {
        let first = self.kept.first().map(|kept| kept.0);
        self.lock = self.lock.or_else(|| first.and_then(descriptors::open_again));
        self.lock
    }

    fn close(&mut self) {
        for (fd, _) in self.kept.drain(..) {
            descriptors::close(fd);
        }
        if let Some(lock) = self.lock.take() {
            descriptors::close(lock);
        }
    }
}

/// A table behind a lock that a fork can take in the parent and give back in both processes, which
/// the locks of the standard library can't. It is held for a few system calls at most.
pub(crate) struct Guarded {
    taken: AtomicBool,
    table: UnsafeCell<Table>,
}

// SAFETY: the table is reached through `enter` alone, by one thread at a time.
unsafe impl Sync for Guarded {}

impl Guarded {
    const fn new() -> Self {
        let table = Table { owners: BTreeMap::new(), files: BTreeMap::new() };
        Self { taken: AtomicBool::new(false), table: UnsafeCell::new(table) }
    }

    pub(crate) fn enter(&self) -> Entered<'_> {
        while self.taken.swap(true, Ordering::Acquire) {
            std::thread::yield_now();
        }
        Entered(self)
    }

    /// Ends what `enter` began and `std::mem::forget` left open.
    pub(crate) fn leave(&self) {
        self.taken.store(false, Ordering::Release);
    }

    /// What `enter` gave, for the thread that forked.
    pub(crate) fn entered(&self) -> Entered<'_> {
        Entered(self)
    }
}

/// The only one who reaches the table, until this is dropped.
pub(crate) struct Entered<'table>(&'table Guarded);

impl Deref for Entered<'_> {
    type Target = Table;

    fn deref(&self) -> &Table {
        // SAFETY: `taken` is set by this thread.
        unsafe { &*self.0.table.get() }
    }
}

impl DerefMut for Entered<'_> {
    fn deref_mut(&mut self) -> &mut Table {
        // SAFETY: `taken` is set by this thread, and this is borrowed mutably.
        unsafe { &mut *self.0.table.get() }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}
