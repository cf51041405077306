//! The three system calls that SQLite gets from here.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::sync::OnceLock;

use libc::{c_char, c_int, c_void, flock};
use rusqlite::ffi::{sqlite3_vfs, sqlite3_vfs_find};

use crate::Protection;
use crate::descriptors::{self, identity, identity_of};
use crate::table::TABLE;

pub(crate) fn install() -> Protection {
    static INSTALLED: OnceLock<Protection> = OnceLock::new();
    *INSTALLED.get_or_init(|| {
        #[cfg(feature = "faults")]
        match std::env::var("EVENTUALI_FAULT").as_deref() {
            // The control: the locks of the process, and nobody looks.
            Ok("process-locks") => return Protection::Full,
            // A platform that has no others.
            Ok("no-file-locks") => return without_locks(),
            _ => {}
        }
        if !descriptors::have_locks() {
            return without_locks();
        }
        let calls = [
            (c"open", open as *const c_void),
            (c"close", close as *const c_void),
            (c"fcntl", fcntl as *const c_void),
        ];
        if !calls.iter().all(|(name, call)| replace(name, *call)) {
            return Protection::None;
        }
        // SAFETY: the three functions stay for as long as the process.
        unsafe {
            libc::pthread_atfork(Some(before_fork), Some(after_in_parent), Some(after_in_child))
        };
        Protection::Full
    })
}

/// SQLite's own locks, and a list of the descriptors that are its own.
fn without_locks() -> Protection {
    replace(c"open", open as *const c_void);
    replace(c"close", close_at_once as *const c_void);
    Protection::None
}

/// Gives SQLite another function for a system call.
fn replace(name: &CStr, call: *const c_void) -> bool {
    // SAFETY: the VFS of SQLite stays for as long as the process. The functions below take and return
    // what SQLite gives and expects; `fcntl`, which is variadic there, gets three numbers or two and
    // whatever stands in the register of the third, as the calling conventions of the systems that
    // have locks of descriptions pass them.
    unsafe {
        let vfs: *mut sqlite3_vfs = sqlite3_vfs_find(c"unix".as_ptr());
        let Some(set) = vfs.as_ref().and_then(|vfs| vfs.xSetSystemCall) else { return false };
        let call = std::mem::transmute::<*const c_void, unsafe extern "C" fn()>(call);
        set(vfs, name.as_ptr(), Some(call)) == rusqlite::ffi::SQLITE_OK
    }
}

/// Flags that say how a file is opened, and not whether it is made.
fn kind_of(flags: c_int) -> c_int {
    flags & !libc::O_CREAT
}

unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: c_int) -> c_int {
    // SAFETY: SQLite gives a string that ends with a zero byte.
    let name = unsafe { CStr::from_ptr(path) };
    if flags & (libc::O_EXCL | libc::O_TRUNC) == 0 {
        let reused = identity_of(name).and_then(|file| TABLE.enter().reuse(file, kind_of(flags)));
        if let Some(fd) = reused {
            return fd;
        }
    }
    // SAFETY: likewise.
    let fd = unsafe { descriptors::open(path, flags, mode) };
    let name = name.to_bytes();
    let is_locked = !name.ends_with(b"-wal") && !name.ends_with(b"-journal");
    if fd >= 0
        && is_locked
        && let Some(file) = identity(fd)
    {
        let database = name.strip_suffix(b"-shm").and_then(|name| CString::new(name).ok());
        let database = database.and_then(|name| identity_of(&name));
        let mut table = TABLE.enter();
        table.add(fd, file, database, kind_of(flags));
        table.close_idle();
    }
    fd
}

unsafe extern "C" fn close(fd: c_int) -> c_int {
    let mut table = TABLE.enter();
    if table.remove(fd) { 0 } else { descriptors::close(fd) }
}

unsafe extern "C" fn close_at_once(fd: c_int) -> c_int {
    TABLE.enter().drop_owner(fd);
    descriptors::close(fd)
}

unsafe extern "C" fn fcntl(fd: c_int, command: c_int, argument: *mut c_void) -> c_int {
    if !matches!(command, libc::F_SETLK | libc::F_GETLK) {
        // SAFETY: what SQLite asks for is handed on.
        return unsafe { libc::fcntl(fd, command, argument) };
    }
    // The description stays for as long as SQLite has a descriptor of the file, and it has `fd`.
    let Some(lock) = TABLE.enter().lock_of(fd) else {
        // Without one the locks would be those of the process. SQLite waits for a lock that somebody
        // else has, but not for a descriptor.
        let cause = std::io::Error::last_os_error().raw_os_error();
        let none_left = [libc::EMFILE, libc::ENFILE].map(Some).contains(&cause);
        set_errno(if none_left { libc::EMFILE } else { libc::ENOLCK });
        return -1;
    };
    // SAFETY: SQLite gives a `flock` with these commands.
    let asked = unsafe { &mut *argument.cast::<flock>() };
    let owner = asked.l_pid;
    let done = if command == libc::F_SETLK {
        descriptors::set_lock(lock, asked)
    } else {
        descriptors::get_lock(lock, asked)
    };
    asked.l_pid = owner;
    done
}

fn set_errno(code: c_int) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    // SAFETY: the address is that of the thread's own number.
    unsafe {
        *libc::__errno_location() = code;
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = code; // never called there
}

/// Nobody is in the table while the process forks.
extern "C" fn before_fork() {
    std::mem::forget(TABLE.enter());
}

extern "C" fn after_in_parent() {
    TABLE.leave();
}

extern "C" fn after_in_child() {
    TABLE.entered().forget();
}

pub(crate) fn close_file(file: File) {
    let Some(identity) = identity(file.as_raw_fd()) else { return };
    let mut table = TABLE.enter();
    let fd = file.into_raw_fd();
    // Flags that SQLite never asks for: it is closed, and not given to anybody.
    table.add(fd, identity, None, -1);
    table.remove(fd);
}
