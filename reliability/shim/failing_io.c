/* Fails one call of the C library, once, for files below one directory.
 *
 * For LD_PRELOAD. FAILING_IO_FOLDER names the directory. A program arms it by failing_io_arm(kind, k,
 * error, end): the k-th call of that kind from then on, for a file whose name ends like that, fails with
 * `error` and does nothing. The count is one for the process: strace counts for each thread, so that
 * "once" would be once a thread.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum kind { NONE, WRITE, SYNC, TRUNCATE };

static atomic_int armed = NONE, seen, fired;
static int nth, code;
static char what[512], suffix[64];

void failing_io_arm(int kind, int k, int error, const char *end) {
    atomic_store(&armed, NONE);
    snprintf(suffix, sizeof suffix, "%s", end);
    nth = k;
    code = error;
    atomic_store(&seen, 0);
    atomic_store(&fired, 0);
    atomic_store(&armed, kind);
}

int failing_io_seen(void) { return atomic_load(&seen); }
int failing_io_fired(void) { return atomic_load(&fired); }
const char *failing_io_what(void) { return what; }

static int fails(enum kind kind, const char *name, int fd) {
    char link[64], path[400];
    const char *folder = getenv("FAILING_IO_FOLDER");
    if (atomic_load(&armed) != (int)kind || folder == NULL) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (strncmp(path, folder, strlen(folder)) != 0) return 0;
    size_t end = strlen(suffix);
    if ((size_t)length < end || strcmp(path + length - end, suffix) != 0) return 0;
    if (atomic_fetch_add(&seen, 1) + 1 != nth) return 0;
    snprintf(what, sizeof what, "%s %s", name, path + strlen(folder));
    atomic_store(&fired, 1);
    errno = code;
    return 1;
}

#define REAL(type, name, ...) ((type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))
#define WRAP(kind, type, name, parameters, arguments, ...)         \
    type name parameters {                                         \
        static type (*real)(__VA_ARGS__);                          \
        if (real == NULL) real = REAL(type, name, __VA_ARGS__);    \
        return fails(kind, #name, fd) ? -1 : real arguments;       \
    }

WRAP(WRITE, ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size), int, const void *, size_t)
WRAP(WRITE, ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at), int,
     const void *, size_t, off_t)
WRAP(WRITE, ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at), int,
     const void *, size_t, off64_t)
WRAP(SYNC, int, fsync, (int fd), (fd), int)
WRAP(SYNC, int, fdatasync, (int fd), (fd), int)
WRAP(TRUNCATE, int, ftruncate, (int fd, off_t size), (fd, size), int, off_t)
WRAP(TRUNCATE, int, ftruncate64, (int fd, off64_t size), (fd, size), int, off64_t)
