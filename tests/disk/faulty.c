/* A disk that fails when it is told to, and that remembers what it was given.
 *
 * Loaded into `hookyard serve` with LD_PRELOAD. It looks at the calls that
 * concern the database and its log (names that begin with `hookyard.db`), and
 *
 * - lets them fail as the file HOOKYARD_DISK_CONTROL says, which a test changes
 *   while the server runs: see `struct control` and tests/src/disk/mod.rs;
 * - writes each of them down in HOOKYARD_DISK_JOURNAL, where that is set, from
 *   which tests/src/disk/cut.rs makes what a power cut would have left.
 *
 * With a journal nothing is really synced: what counts is what was asked for.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum mode { WELL, FULL, NO_GROWTH, READ_ONLY, SYNC_FAILS, WRITE_FAILS };
enum role { OTHER, LOG, DATABASE, INDEX };
enum op { OPENED = 1, WRITTEN, CUT_SHORT, SYNCED, SYNC_FAILED, UNLINKED, DIRECTORY_SYNCED };

struct control {
    int32_t mode;
    /* So many calls that would fail still go well. */
    int32_t spared;
    /* So many calls fail, then all is well; negative: until told otherwise. */
    int32_t left;
    /* Only calls on this role fail; OTHER means all. */
    int32_t role;
    /* How many calls have failed. */
    int32_t failed;
    /* A write that fails writes its first half before. */
    int32_t torn;
};

struct record {
    uint32_t op;
    uint32_t role;
    uint64_t file;
    uint64_t at;
    uint64_t length;
};

#define MOST_FILES 65536
static struct { uint8_t role; uint64_t file; } open_files[MOST_FILES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct control well, *control = &well;
static int journal = -1;

#define REAL(result, name, ...) static result (*real_##name)(__VA_ARGS__)
REAL(int, open, const char *, int, ...);
REAL(int, openat, int, const char *, int, ...);
REAL(int, close, int);
REAL(ssize_t, write, int, const void *, size_t);
REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
REAL(int, ftruncate, int, off_t);
REAL(int, fallocate, int, int, off_t, off_t);
REAL(int, posix_fallocate, int, off_t, off_t);
REAL(int, fsync, int);
REAL(int, fdatasync, int);
REAL(int, unlink, const char *);

__attribute__((constructor)) static void begin(void) {
#define FIND(name) real_##name = (__typeof__(real_##name))dlsym(RTLD_NEXT, #name)
    FIND(open); FIND(openat); FIND(close); FIND(write); FIND(pwrite); FIND(ftruncate); FIND(fallocate);
    FIND(posix_fallocate); FIND(fsync); FIND(fdatasync); FIND(unlink);
    const char *path = getenv("HOOKYARD_DISK_CONTROL");
    int fd = path ? real_open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd >= 0) {
        void *at = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (at != MAP_FAILED) control = at;
        real_close(fd);
    }
    path = getenv("HOOKYARD_DISK_JOURNAL");
    if (path) journal = real_open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static const char *name_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int ends_with(const char *text, const char *end) {
    size_t all = strlen(text), some = strlen(end);
    return all >= some && strcmp(text + all - some, end) == 0;
}

static enum role role_of(const char *path) {
    const char *name = name_of(path);
    if (strncmp(name, "hookyard.db", 11) != 0 || ends_with(name, ".lock")) return OTHER;
    if (ends_with(name, "-shm")) return INDEX;
    return strcmp(name, "hookyard.db") == 0 ? DATABASE : LOG;
}

static enum role role(int fd) { return fd >= 0 && fd < MOST_FILES ? open_files[fd].role : OTHER; }

static void note(enum op op, enum role role, uint64_t file, uint64_t at, const void *data, uint64_t length) {
    /* What is in the index is found again from the log. */
    if (journal < 0 || role == INDEX) return;
    struct record record = {op, role, file, at, length};
    struct iovec parts[2] = {{&record, sizeof record}, {(void *)data, data ? length : 0}};
    if (writev(journal, parts, 2) < 0) abort();
}

/* Whether a call on `role` fails now in one of these ways: its error, or 0. */
static int failure(enum role role, int grows, int syncs) {
    int error = 0;
    if (role == OTHER) return 0;
    switch (control->mode) {
    case FULL: error = syncs ? 0 : ENOSPC; break;
    case NO_GROWTH: error = grows ? ENOSPC : 0; break;
    case READ_ONLY: error = syncs ? 0 : EROFS; break;
    case SYNC_FAILS: error = syncs ? EIO : 0; break;
    case WRITE_FAILS: error = syncs ? 0 : EIO; break;
    }
    if (error == 0 || (control->role != OTHER && control->role != (int32_t)role)) return 0;
    if (control->spared > 0) {
        control->spared--;
        return 0;
    }
    if (control->left == 0) return 0;
    if (control->left > 0) control->left--;
    control->failed++;
    return error;
}

static int opened(int fd, const char *path, int flags) {
    enum role role = role_of(path);
    if (fd < 0 || fd >= MOST_FILES || role == OTHER) return fd;
    struct stat stat;
    if (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode)) return fd;
    pthread_mutex_lock(&lock);
    open_files[fd].role = role;
    open_files[fd].file = stat.st_ino;
    const char *name = name_of(path);
    note(OPENED, role, stat.st_ino, 0, name, strlen(name));
    if (flags & O_TRUNC) note(CUT_SHORT, role, stat.st_ino, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return fd;
}

static int refused_to_open(const char *path, int flags) {
    if ((flags & O_ACCMODE) == O_RDONLY || control->mode != READ_ONLY) return 0;
    pthread_mutex_lock(&lock);
    int error = failure(role_of(path), 0, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return error;
}

#define OPEN(name)                                                                     \
    int name(const char *path, int flags, ...) {                                       \
        va_list rest;                                                                  \
        va_start(rest, flags);                                                         \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;        \
        va_end(rest);                                                                  \
        if (refused_to_open(path, flags)) return -1;                                   \
        return opened(real_open(path, flags, mode), path, flags);                      \
    }
#define OPENAT(name)                                                                   \
    int name(int dir, const char *path, int flags, ...) {                              \
        va_list rest;                                                                  \
        va_start(rest, flags);                                                         \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;        \
        va_end(rest);                                                                  \
        if (refused_to_open(path, flags)) return -1;                                   \
        return opened(real_openat(dir, path, flags, mode), path, flags);               \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
    if (fd >= 0 && fd < MOST_FILES) open_files[fd].role = OTHER;
    return real_close(fd);
}

static ssize_t put(int fd, const void *data, size_t length, off_t at, int is_at) {
    struct stat stat;
    pthread_mutex_lock(&lock);
    ssize_t written = -1;
    int error = EIO;
    if (fstat(fd, &stat) == 0) {
        if (!is_at) at = fcntl(fd, F_GETFL) & O_APPEND ? stat.st_size : lseek(fd, 0, SEEK_CUR);
        error = failure(role(fd), at + (off_t)length > stat.st_size, 0);
        if (error && control->torn && length > 1) {
            /* The next call fails, which is what a short write announces. */
            length /= 2;
            if (control->left >= 0) control->left++;
            control->torn = 0;
            error = 0;
        }
        if (!error) {
            written = is_at ? real_pwrite(fd, data, length, at) : real_write(fd, data, length);
            error = errno;
            if (written > 0) note(WRITTEN, role(fd), open_files[fd].file, at, data, written);
        }
    }
    pthread_mutex_unlock(&lock);
    if (written < 0) errno = error;
    return written;
}

ssize_t write(int fd, const void *data, size_t length) {
    return role(fd) == OTHER ? real_write(fd, data, length) : put(fd, data, length, 0, 0);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at) {
    return role(fd) == OTHER ? real_pwrite(fd, data, length, at) : put(fd, data, length, at, 1);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t at) { return pwrite(fd, data, length, at); }

static int grow_to(int fd, off_t length) {
    struct stat stat;
    pthread_mutex_lock(&lock);
    int result = -1, error = EIO;
    if (fstat(fd, &stat) == 0) {
        error = failure(role(fd), length > stat.st_size, 0);
        if (!error) {
            result = real_ftruncate(fd, length);
            error = errno;
            if (result == 0) note(CUT_SHORT, role(fd), open_files[fd].file, length, NULL, 0);
        }
    }
    pthread_mutex_unlock(&lock);
    if (result < 0) errno = error;
    return result;
}

int ftruncate(int fd, off_t length) { return role(fd) == OTHER ? real_ftruncate(fd, length) : grow_to(fd, length); }
int ftruncate64(int fd, off_t length) { return ftruncate(fd, length); }

/* SQLite falls back to writing where this is not supported. */
int fallocate(int fd, int mode, off_t at, off_t length) {
    if (role(fd) == OTHER) return real_fallocate(fd, mode, at, length);
    errno = EOPNOTSUPP;
    return -1;
}
int fallocate64(int fd, int mode, off_t at, off_t length) { return fallocate(fd, mode, at, length); }
int posix_fallocate(int fd, off_t at, off_t length) {
    return role(fd) == OTHER ? real_posix_fallocate(fd, at, length) : EOPNOTSUPP;
}
int posix_fallocate64(int fd, off_t at, off_t length) { return posix_fallocate(fd, at, length); }

static int sync_with(int (*real)(int), int fd) {
    struct stat stat;
    if (role(fd) == OTHER) {
        if (journal < 0 || fstat(fd, &stat) != 0 || !S_ISDIR(stat.st_mode)) return real(fd);
        pthread_mutex_lock(&lock);
        note(DIRECTORY_SYNCED, OTHER, 0, 0, NULL, 0);
        pthread_mutex_unlock(&lock);
        return 0;
    }
    pthread_mutex_lock(&lock);
    int error = failure(role(fd), 0, 1), result = error ? -1 : 0;
    note(error ? SYNC_FAILED : SYNCED, role(fd), open_files[fd].file, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    if (!error && journal < 0) return real(fd);
    if (error) errno = error;
    return result;
}

int fsync(int fd) { return sync_with(real_fsync, fd); }
int fdatasync(int fd) { return sync_with(real_fdatasync, fd); }

int unlink(const char *path) {
    enum role role = role_of(path);
    if (role == OTHER) return real_unlink(path);
    pthread_mutex_lock(&lock);
    const char *name = name_of(path);
    int error = failure(role, 0, 0), result = -1;
    if (!error) {
        result = real_unlink(path);
        error = errno;
        if (result == 0) note(UNLINKED, role, 0, 0, name, strlen(name));
    }
    pthread_mutex_unlock(&lock);
    if (result < 0) errno = error;
    return result;
}
