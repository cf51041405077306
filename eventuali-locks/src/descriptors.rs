//! Descriptors and locks, as the system has them.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use libc::{c_char, c_int, flock};

use crate::table::TABLE;

/// A file, whatever its name: device and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Identity(u64, u64);

/// Which plain file a descriptor leads to.
#[allow(clippy::unnecessary_cast)] // the widths differ between systems
pub(crate) fn identity(fd: c_int) -> Option<Identity> {
    let mut found = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `found` has room for the answer, which is read only where there is one.
    let found = unsafe {
        if libc::fstat(fd, found.as_mut_ptr()) != 0 {
            return None;
        }
        found.assume_init()
    };
    let plain = found.st_mode & libc::S_IFMT == libc::S_IFREG;
    plain.then_some(Identity(found.st_dev as u64, found.st_ino as u64))
}

/// Which plain file a path leads to.
#[allow(clippy::unnecessary_cast)]
pub(crate) fn identity_of(path: &CStr) -> Option<Identity> {
    let path = Path::new(std::ffi::OsStr::from_bytes(path.to_bytes()));
    let found = path.metadata().ok()?;
    found.is_file().then(|| Identity(found.dev() as u64, found.ino() as u64))
}

/// A description of its own of the file behind `fd`, for writing where that is allowed; where it
/// can't be opened by its descriptor, the description of `fd` itself.
pub(crate) fn open_again(fd: c_int) -> Option<c_int> {
    let path = CString::new(format!("/proc/self/fd/{fd}")).ok()?;
    let open = |flags: c_int| {
        // SAFETY: the path ends with a zero byte.
        let opened = unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC) };
        (opened >= 0).then_some(opened)
    };
    // SAFETY: only numbers are given.
    let copied = || unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) };
    open(libc::O_RDWR).or_else(|| Some(copied()).filter(|copy| *copy >= 0))
}

/// Bytes of a file: the first, and how many; 0 for all that follow.
pub(crate) type Range = (i64, i64);

/// All of a file.
pub(crate) const WHOLE: Range = (0, 0);
/// The byte that SQLite locks before it takes its first lock on a database.
pub(crate) const PENDING: Range = (0x4000_0000, 1);

/// Whether a lock was taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    Yes,
    /// Somebody else has a lock there.
    No,
    /// The description is for reading alone.
    Never,
}

/// Locks a range, for writing, for the description `fd`.
pub(crate) fn lock(fd: c_int, range: Range) -> Taken {
    if set_lock(fd, &mut ranged(libc::F_WRLCK, range)) == 0 {
        return Taken::Yes;
    }
    let cause = std::io::Error::last_os_error().raw_os_error();
    if cause == Some(libc::EBADF) { Taken::Never } else { Taken::No }
}

/// Releases what the description `fd` has locked of a range.
pub(crate) fn unlock(fd: c_int, range: Range) {
    set_lock(fd, &mut ranged(libc::F_UNLCK, range));
}

fn ranged(kind: impl TryInto<libc::c_short>, (first, count): Range) -> flock {
    // SAFETY: zeros are a valid `flock`.
    let mut asked: flock = unsafe { std::mem::zeroed() };
    asked.l_type = kind.try_into().unwrap_or_default();
    asked.l_whence = libc::SEEK_SET as libc::c_short;
    asked.l_start = first as libc::off_t;
    asked.l_len = count as libc::off_t;
    asked
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod owned {
    use super::{c_int, flock};

    /// Takes or releases a lock of a description.
    pub(crate) fn set_lock(fd: c_int, lock: &mut flock) -> c_int {
        lock.l_pid = 0;
        // SAFETY: `lock` is a `flock` for the time of the call.
        unsafe { libc::fcntl(fd, libc::F_OFD_SETLK, &raw mut *lock) }
    }

    /// Finds a lock that is in the way.
    pub(crate) fn get_lock(fd: c_int, lock: &mut flock) -> c_int {
        lock.l_pid = 0;
        // SAFETY: likewise.
        unsafe { libc::fcntl(fd, libc::F_OFD_GETLK, &raw mut *lock) }
    }

    /// Whether this kernel has locks of descriptions.
    pub(crate) fn have_locks() -> bool {
        // SAFETY: the path ends with a zero byte; the descriptor is closed below.
        let fd = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
        let known = fd >= 0 && get_lock(fd, &mut super::ranged(libc::F_RDLCK, super::WHOLE)) == 0;
        super::close(fd);
        known
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod owned {
    use super::{c_int, flock};

    pub(crate) fn set_lock(fd: c_int, lock: &mut flock) -> c_int {
        // SAFETY: `lock` is a `flock` for the time of the call.
        unsafe { libc::fcntl(fd, libc::F_SETLK, &raw mut *lock) }
    }

    pub(crate) fn get_lock(fd: c_int, lock: &mut flock) -> c_int {
        // SAFETY: likewise.
        unsafe { libc::fcntl(fd, libc::F_GETLK, &raw mut *lock) }
    }

    pub(crate) fn have_locks() -> bool {
        false
    }
}

pub(crate) use owned::{get_lock, have_locks, set_lock};

/// Closes a descriptor that nobody else has.
pub(crate) fn close(fd: c_int) -> c_int {
    // SAFETY: only a number is given.
    unsafe { libc::close(fd) }
}

/// Opens a file.
///
/// # Safety
///
/// `path` leads to a string that ends with a zero byte.
pub(crate) unsafe fn open(path: *const c_char, flags: c_int, mode: c_int) -> c_int {
    // SAFETY: as promised.
    unsafe { libc::open(path, flags, mode) }
}

/// Whether a descriptor of this process, none of our SQLite's, leads to the file.
pub(crate) fn is_open_elsewhere(path: &Path) -> bool {
    let Some(file) = CString::new(path.as_os_str().as_bytes()).ok().and_then(|p| identity_of(&p))
    else {
        return false;
    };
    let table = TABLE.enter();
    let elsewhere = |(fd, found): &(c_int, Identity)| *found == file && !table.knows(*fd);
    of_this_process().is_none_or(|all| all.iter().any(elsewhere))
}

/// The descriptors of the process that lead to plain files; none where that can't be told.
pub(crate) fn of_this_process() -> Option<Vec<(c_int, Identity)>> {
    let mut found = Vec::new();
    for name in std::fs::read_dir("/dev/fd").ok()? {
        let name = name.ok()?.file_name();
        let fd = name.to_str().and_then(|name| name.parse().ok())?;
        found.extend(identity(fd).map(|file| (fd, file)));
    }
    Some(found)
}
