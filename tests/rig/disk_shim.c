// Preloaded into a process, this notes what each write to the files of one directory replaces, before it is done, and what was
// brought to the disk: see disk.rs.
//
// A record is a line, `kind at count before path`, and the bytes that were there from `at` on, up to `count` and up to the
// file's length `before`. W: a write. T: the length becomes `at`. N: a name is new. S: an fsync came back well; of this path,
// what was noted before byte `at` of the journal is on the disk.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int journal = -1, lies;
static const char *dir = "";
static useconds_t slow;
// Held while something is noted and done: what an fsync finds noted is written.
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void open_journal(void) {
    const char *path = getenv("RIG_DISK_JOURNAL"), *of = getenv("RIG_DISK_DIR"), *us = getenv("RIG_DISK_SLOW_US");
    if (!path || !of) return;
    journal = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (journal < 0) abort();
    dir = of;
    slow = us ? (useconds_t)atoi(us) : 0;
    lies = getenv("RIG_DISK_LIES") != NULL;
}

static int is_ours(const char *path) {
    size_t len = strlen(dir);
    return journal >= 0 && strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == 0);
}

static int opened_as(int file, char path[PATH_MAX]) {
    char link[64];
    int kept = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t len = journal < 0 ? -1 : readlink(link, path, PATH_MAX - 1);
    path[len < 0 ? 0 : len] = 0;
    errno = kept;
    return is_ours(path);
}

static void put(const char *bytes, size_t count) {
    while (count > 0) {
        ssize_t done = syscall(SYS_write, journal, bytes, count);
        if (done <= 0) abort();
        bytes += done;
        count -= (size_t)done;
    }
}

static void note(char kind, const char *path, off_t at, off_t count) {
    char line[PATH_MAX + 96], bytes[65536];
    struct stat about;
    int known = kind != 'S' && stat(path, &about) == 0, file = -1;
    off_t before = known ? about.st_size : 0, end = at + count < before ? at + count : before;
    int len = snprintf(line, sizeof line, "%c %lld %lld %lld %s\n", kind, (long long)at, (long long)count, (long long)before, path);
    put(line, (size_t)len);
    // The process itself may have opened it to write only.
    if (at < end && kind != 'S' && (file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0)) < 0) abort();
    while (at < end && kind != 'S') {
        size_t most = end - at < (off_t)sizeof bytes ? (size_t)(end - at) : sizeof bytes;
        ssize_t got = pread(file, bytes, most, at);
        if (got <= 0) abort();
        put(bytes, (size_t)got);
        at += got;
    }
    if (file >= 0) syscall(SYS_close, file);
}

static off_t noted(void) { return lseek(journal, 0, SEEK_END); }

ssize_t pwrite64(int file, const void *bytes, size_t count, off_t at) {
    char path[PATH_MAX];
    if (!opened_as(file, path)) return syscall(SYS_pwrite64, file, bytes, count, at);
    pthread_mutex_lock(&one_at_a_time);
    note('W', path, at, (off_t)count);
    ssize_t done = syscall(SYS_pwrite64, file, bytes, count, at);
    pthread_mutex_unlock(&one_at_a_time);
    return done;
}

ssize_t write(int file, const void *bytes, size_t count) {
    char path[PATH_MAX];
    if (!opened_as(file, path)) return syscall(SYS_write, file, bytes, count);
    pthread_mutex_lock(&one_at_a_time);
    int appends = fcntl(file, F_GETFL) & O_APPEND;
    note('W', path, lseek(file, 0, appends ? SEEK_END : SEEK_CUR), (off_t)count);
    ssize_t done = syscall(SYS_write, file, bytes, count);
    pthread_mutex_unlock(&one_at_a_time);
    return done;
}

int ftruncate64(int file, off_t len) {
    char path[PATH_MAX];
    if (!opened_as(file, path)) return (int)syscall(SYS_ftruncate, file, len);
    pthread_mutex_lock(&one_at_a_time);
    note('T', path, len, LLONG_MAX - len);
    int failed = (int)syscall(SYS_ftruncate, file, len);
    pthread_mutex_unlock(&one_at_a_time);
    return failed;
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    unsigned mode = flags & O_CREAT ? va_arg(rest, unsigned) : 0;
    va_end(rest);
    if (!is_ours(path) || !(flags & (O_CREAT | O_TRUNC))) return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    pthread_mutex_lock(&one_at_a_time);
    if (access(path, F_OK) != 0) note('N', path, 0, 0);
    else if (flags & O_TRUNC) note('T', path, 0, LLONG_MAX);
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    pthread_mutex_unlock(&one_at_a_time);
    return file;
}

int mkdir(const char *path, mode_t mode) {
    pthread_mutex_lock(&one_at_a_time);
    if (is_ours(path) && access(path, F_OK) != 0) note('N', path, 0, 0);
    int failed = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    pthread_mutex_unlock(&one_at_a_time);
    return failed;
}

// What cannot be taken back must not happen.
int unlink(const char *path) { return is_ours(path) ? (abort(), -1) : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0); }
int rename(const char *from, const char *to) {
    return is_ours(from) || is_ours(to) ? (abort(), -1) : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    char path[PATH_MAX];
    return opened_as(file, path) ? (abort(), -1) : syscall(SYS_writev, file, parts, count);
}

static int synced(int file, long call) {
    char path[PATH_MAX];
    if (!opened_as(file, path)) return (int)syscall(call, file);
    pthread_mutex_lock(&one_at_a_time);
    off_t begun = noted();
    pthread_mutex_unlock(&one_at_a_time);
    usleep(slow);
    if (lies) return 0;
    int failed = (int)syscall(call, file);
    if (failed) return failed;
    pthread_mutex_lock(&one_at_a_time);
    note('S', path, begun, 0);
    pthread_mutex_unlock(&one_at_a_time);
    return 0;
}

int fsync(int file) { return synced(file, SYS_fsync); }
int fdatasync(int file) { return synced(file, SYS_fdatasync); }
int open(const char *path, int flags, ...) __attribute__((alias("open64")));
int ftruncate(int file, off_t len) __attribute__((alias("ftruncate64")));
ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) __attribute__((alias("pwrite64")));
