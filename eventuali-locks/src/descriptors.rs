//! Descriptors and locks, as the system has them.

use std::ffi::{CStr, CString};
use std::io;
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

/// Locks all of a file, for writing, for the description `fd`; false where somebody else has a lock.
pub(crate) fn lock_whole(fd: c_int) -> bool {
    let mut all = whole(libc::F_WRLCK);
    set_lock(fd, &mut all) == 0
}

/// Releases all locks of the description `fd`.
pub(crate) fn unlock_whole(fd: c_int) {
    set_lock(fd, &mut whole(libc::F_UNLCK));
}

fn whole(kind: impl TryInto<libc::c_short>) -> flock {
    // SAFETY: zeros are a valid `flock`: from the beginning to the end of the file.
    let mut all: flock = unsafe { std::mem::zeroed() };
    all.l_type = kind.try_into().unwrap_or_default();
    all.l_whence = libc::SEEK_SET as libc::c_short;
    all
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
        let known = fd >= 0 && get_lock(fd, &mut super::whole(libc::F_RDLCK)) == 0;
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
    let descriptors = descriptors().unwrap_or_default();
    let table = TABLE.enter();
    descriptors.into_iter().any(|fd| identity(fd) == Some(file) && !table.knows(fd))
}

/// The open descriptors of the process.
fn descriptors() -> io::Result<Vec<c_int>> {
    let names = std::fs::read_dir("/dev/fd")?;
    Ok(names.flatten().filter_map(|name| name.file_name().to_str()?.parse().ok()).collect())
}
