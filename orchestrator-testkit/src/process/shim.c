/* A disk that fails on purpose, for one directory and one program.
 *
 * Preloaded into a program, this library stands between it and the C library's file calls. Calls on
 * files under one directory are counted; the one with a given number, or it and all that follow,
 * fail as a broken disk would make them fail. It changes nothing for other files.
 *
 *   FAULT_DIR    the directory, absolute and without links
 *   FAULT_KIND   space: calls that need room fail with ENOSPC
 *                sync:  fsync and fdatasync fail with EIO, and what they were to keep is lost
 *                power: the program ends within the call, and what was not synchronised is lost
 *   FAULT_AT     the number of the call, from 1; 0 never comes and only counts
 *   FAULT_TIMES  how many calls fail from there on; 0: all
 *   FAULT_SHORT  1: the first call that fails for lack of room writes one half before
 *   FAULT_SEED   for power: an even seed loses everything; an odd one chooses, by file, whether it
 *                loses what was not synchronised or happened to have it written
 *   FAULT_COUNT  a file that is kept at the number of calls so far
 *
 * To lose what was not synchronised, every write first saves what it replaces. A synchronisation
 * that works forgets that; a power cut puts it back. Names of files and directories are lost in the
 * same way unless the directory that holds them was synchronised. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { NONE, SPACE, SYNC, POWER };
enum call { GROWS, CHANGES, SYNCS };
enum verdict { PASS, FAIL, HALF };

static enum kind kind = NONE;
static char dir[PATH_MAX];
static size_t dir_length;
static uint64_t fault_at, fault_times, seed, calls;
static int half, count_file = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The C library's own functions. */
static int (*real_open)(const char *, int, ...);
static int (*real_openat)(int, const char *, int, ...);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static int (*real_ftruncate)(int, off_t);
static int (*real_fallocate)(int, int, off_t, off_t);
static int (*real_posix_fallocate)(int, off_t, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_mkdir)(const char *, mode_t);
static int (*real_rename)(const char *, const char *);

static uint64_t number(const char *name) {
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : 0;
}

__attribute__((constructor)) static void begin(void) {
    real_open = dlsym(RTLD_NEXT, "open64");
    real_openat = dlsym(RTLD_NEXT, "openat64");
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_writev = dlsym(RTLD_NEXT, "writev");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_fallocate = dlsym(RTLD_NEXT, "fallocate64");
    real_posix_fallocate = dlsym(RTLD_NEXT, "posix_fallocate64");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_mkdir = dlsym(RTLD_NEXT, "mkdir");
    real_rename = dlsym(RTLD_NEXT, "rename");
    const char *where = getenv("FAULT_DIR"), *what = getenv("FAULT_KIND");
    if (!where || !what) return;
    dir_length = (size_t)snprintf(dir, sizeof dir, "%s", where);
    fault_at = number("FAULT_AT");
    fault_times = number("FAULT_TIMES");
    half = (int)number("FAULT_SHORT");
    seed = number("FAULT_SEED");
    const char *count = getenv("FAULT_COUNT");
    if (count) count_file = real_open(count, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    kind = !strcmp(what, "space") ? SPACE : !strcmp(what, "sync") ? SYNC : POWER;
}

static int is_within(const char *path) {
    return !strncmp(path, dir, dir_length) && (path[dir_length] == '/' || !path[dir_length]);
}

/* The path of an open file, if it is one that counts. */
static int path_of(int fd, char *path) {
    char link[64];
    if (kind == NONE) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return is_within(path);
}

/* The absolute form of a path, if it is one that counts. */
static int absolute(const char *path, char *whole) {
    if (kind == NONE) return 0;
    if (path[0] == '/') {
        snprintf(whole, PATH_MAX, "%s", path);
    } else {
        char here[PATH_MAX / 2];
        if (!getcwd(here, sizeof here)) return 0;
        snprintf(whole, PATH_MAX, "%s/%.*s", here, PATH_MAX / 2 - 2, path);
    }
    return is_within(whole);
}

/* ---- what would be lost ---- */

struct change {
    struct change *before;
    off_t size;   /* of the whole file */
    off_t at;     /* where `bytes` were */
    size_t count;
    char bytes[];
};

/* A file with changes. Its descriptor is never closed: that would give up the locks that the
 * program holds on the same file. */
struct file {
    struct file *next;
    dev_t dev;
    ino_t ino;
    int fd, place;
    struct change *last;
};

struct name {
    struct name *before;
    int is_dir;
    char from[PATH_MAX]; /* before a rename; else empty */
    char path[PATH_MAX];
};

static struct file *files;
static struct name *names;

static struct file *file_of(int fd) {
    static int places;
    struct stat found;
    if (fstat(fd, &found) || !S_ISREG(found.st_mode)) return NULL;
    for (struct file *file = files; file; file = file->next)
        if (file->ino == found.st_ino && file->dev == found.st_dev) return file;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    struct file *file = calloc(1, sizeof *file);
    if (!file) abort();
    *file = (struct file){ files, found.st_dev, found.st_ino, -1, places++, NULL };
    file->fd = real_open(link, O_RDWR | O_CLOEXEC);
    return files = file;
}

/* Saves `count` bytes from `at` on, as far as there are any, and the size. */
static void save(int fd, off_t at, size_t count) {
    struct stat found;
    struct file *file = file_of(fd);
    if (!file || fstat(fd, &found)) return;
    if (at >= found.st_size) count = 0;
    else if ((off_t)count > found.st_size - at) count = (size_t)(found.st_size - at);
    struct change *change = malloc(sizeof *change + count);
    if (!change) abort();
    ssize_t got = count ? pread(file->fd, change->bytes, count, at) : 0;
    *change = (struct change){ file->last, found.st_size, at, got > 0 ? (size_t)got : 0 };
    file->last = change;
}

static void forget(struct file *file) {
    while (file->last) {
        struct change *before = file->last->before;
        free(file->last);
        file->last = before;
    }
}

static void lose(struct file *file) {
    for (struct change *change = file->last; change; change = change->before) {
        if (change->count && real_pwrite(file->fd, change->bytes, change->count, change->at) < 0) abort();
        if (real_ftruncate(file->fd, change->size)) abort();
    }
    forget(file);
}

static void add_name(const char *path, const char *from, int is_dir) {
    struct name *name = calloc(1, sizeof *name);
    if (!name) abort();
    name->before = names;
    name->is_dir = is_dir;
    snprintf(name->path, sizeof name->path, "%s", path);
    snprintf(name->from, sizeof name->from, "%s", from);
    names = name;
}

/* The names in directory `path` are durable from now on. */
static void keep_names(const char *path) {
    size_t length = strlen(path);
    for (struct name **at = &names; *at;) {
        struct name *name = *at;
        char *slash = strrchr(name->path, '/');
        if ((size_t)(slash - name->path) == length && !strncmp(name->path, path, length)) {
            *at = name->before;
            free(name);
        } else {
            at = &name->before;
        }
    }
}

static int is_lost(int place) {
    if (!(seed & 1)) return 1;
    uint64_t mixed = (seed + (uint64_t)place + 1) * 0x9e3779b97f4a7c15u;
    return (int)(mixed >> 63);
}

static void stand_still(int signal) {
    (void)signal;
    for (;;) pause();
}

__attribute__((noreturn)) static void cut(void) {
    /* Another thread may look at a mapped file that is cut short here; it is to end with the power. */
    struct sigaction still = { .sa_handler = stand_still };
    sigaction(SIGBUS, &still, NULL);
    for (struct file *file = files; file; file = file->next)
        if (is_lost(file->place)) lose(file);
    if (!(seed & 1)) {
        for (struct name *name = names; name; name = name->before) {
            char aside[PATH_MAX + 16];
            snprintf(aside, sizeof aside, "%s.lost", name->path);
            if (name->from[0]) real_rename(name->path, name->from);
            else if (name->is_dir) real_rename(name->path, aside);
            else unlink(name->path);
        }
    }
    syscall(SYS_exit_group, 137);
    abort();
}

/* ---- who fails ---- */

/* Counts a call and says what becomes of it. Called with the lock held. */
static enum verdict judge(enum call call) {
    int counts = kind == POWER || (kind == SPACE && call == GROWS) || (kind == SYNC && call == SYNCS);
    if (!counts) return PASS;
    calls++;
    if (count_file >= 0) {
        char text[32];
        int length = snprintf(text, sizeof text, "%llu\n", (unsigned long long)calls);
        if (real_pwrite(count_file, text, (size_t)length, 0) < 0) abort();
    }
    if (!fault_at || calls < fault_at) return PASS;
    if (kind == POWER) {
        if (calls > fault_at) return PASS;
        cut();
    }
    if (fault_times && calls >= fault_at + fault_times) return PASS;
    return half && calls == fault_at ? HALF : FAIL;
}

static ssize_t put(int fd, const void *bytes, size_t count, off_t at, int is_at) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) {
        return is_at ? real_pwrite(fd, bytes, count, at) : real_write(fd, bytes, count);
    }
    pthread_mutex_lock(&lock);
    enum verdict verdict = judge(GROWS);
    ssize_t done = -1;
    int error = ENOSPC;
    if (verdict == HALF && count > 1) count /= 2, verdict = PASS;
    if (verdict == PASS) {
        if (kind != SPACE) {
            int appends = (fcntl(fd, F_GETFL) & O_APPEND) != 0;
            off_t from = is_at ? at : lseek(fd, 0, appends ? SEEK_END : SEEK_CUR);
            save(fd, from, count);
        }
        done = is_at ? real_pwrite(fd, bytes, count, at) : real_write(fd, bytes, count);
        error = errno;
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

ssize_t write(int fd, const void *bytes, size_t count) { return put(fd, bytes, count, 0, 0); }
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { return put(fd, bytes, count, at, 1); }
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) { return put(fd, bytes, count, at, 1); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return real_writev(fd, parts, count);
    ssize_t total = 0;
    for (int i = 0; i < count; i++) {
        ssize_t done = put(fd, parts[i].iov_base, parts[i].iov_len, 0, 0);
        if (done < 0) return total ? total : -1;
        total += done;
        if ((size_t)done < parts[i].iov_len) break;
    }
    return total;
}

static int resize(int fd, off_t size) {
    char path[PATH_MAX];
    struct stat found;
    if (!path_of(fd, path) || fstat(fd, &found)) return real_ftruncate(fd, size);
    pthread_mutex_lock(&lock);
    int done = -1, error = ENOSPC;
    if (judge(size > found.st_size ? GROWS : CHANGES) == PASS) {
        if (kind != SPACE) {
            off_t gone = found.st_size > size ? found.st_size - size : 0;
            save(fd, size, (size_t)gone);
        }
        done = real_ftruncate(fd, size);
        error = errno;
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

int ftruncate(int fd, off_t size) { return resize(fd, size); }
int ftruncate64(int fd, off64_t size) { return resize(fd, size); }

/* Whether a file may be given room. */
static int may_allocate(int fd) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return 1;
    pthread_mutex_lock(&lock);
    enum verdict verdict = judge(GROWS);
    if (verdict == PASS && kind != SPACE) save(fd, 0, 0);
    pthread_mutex_unlock(&lock);
    return verdict == PASS;
}

static int allocate(int fd, int mode, off_t at, off_t size) {
    if (may_allocate(fd)) return real_fallocate(fd, mode, at, size);
    errno = ENOSPC;
    return -1;
}

int fallocate(int fd, int mode, off_t at, off_t size) { return allocate(fd, mode, at, size); }
int fallocate64(int fd, int mode, off64_t at, off64_t size) { return allocate(fd, mode, at, size); }

int posix_fallocate(int fd, off_t at, off_t size) {
    return may_allocate(fd) ? real_posix_fallocate(fd, at, size) : ENOSPC;
}
int posix_fallocate64(int fd, off64_t at, off64_t size) {
    return may_allocate(fd) ? real_posix_fallocate(fd, at, size) : ENOSPC;
}

static int synchronise(int fd, int (*really)(int)) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return really(fd);
    pthread_mutex_lock(&lock);
    int done = -1, error = EIO;
    struct file *file = kind == SPACE ? NULL : file_of(fd);
    if (judge(SYNCS) == PASS) {
        done = really(fd);
        error = errno;
        if (!done && file) forget(file);
        if (!done && kind != SPACE && !file) keep_names(path);
    } else if (file) {
        lose(file);
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

int fsync(int fd) { return synchronise(fd, real_fsync); }
int fdatasync(int fd) { return synchronise(fd, real_fdatasync); }

/* Whether a new name may come to be; it is remembered as one that can be lost. */
static int may_name(const char *path, const char *from, int is_dir) {
    pthread_mutex_lock(&lock);
    int may = judge(GROWS) == PASS;
    if (may && kind == POWER) add_name(path, from, is_dir);
    pthread_mutex_unlock(&lock);
    if (!may) errno = ENOSPC;
    return may;
}

static int opened(int at, const char *path, int flags, mode_t mode) {
    char whole[PATH_MAX];
    if ((flags & O_CREAT) && (at == AT_FDCWD || path[0] == '/') && absolute(path, whole)
        && access(whole, F_OK) && !may_name(whole, "", 0)) return -1;
    return at == AT_FDCWD ? real_open(path, flags, mode) : real_openat(at, path, flags, mode);
}

#define OPEN(name, at, ...)                                   \
    int name(__VA_ARGS__, const char *path, int flags, ...) { \
        mode_t mode = 0;                                      \
        if (flags & (O_CREAT | __O_TMPFILE)) {                \
            va_list more;                                     \
            va_start(more, flags);                            \
            mode = va_arg(more, mode_t);                      \
            va_end(more);                                     \
        }                                                     \
        return opened(at, path, flags, mode);                 \
    }

OPEN(openat, where, int where)
OPEN(openat64, where, int where)

#undef OPEN
#define OPEN(name)                                    \
    int name(const char *path, int flags, ...) {      \
        mode_t mode = 0;                              \
        if (flags & (O_CREAT | __O_TMPFILE)) {        \
            va_list more;                             \
            va_start(more, flags);                    \
            mode = va_arg(more, mode_t);              \
            va_end(more);                             \
        }                                             \
        return opened(AT_FDCWD, path, flags, mode);   \
    }

OPEN(open)
OPEN(open64)

int mkdir(const char *path, mode_t mode) {
    char whole[PATH_MAX];
    if (absolute(path, whole) && access(whole, F_OK) && !may_name(whole, "", 1)) return -1;
    return real_mkdir(path, mode);
}

int rename(const char *from, const char *to) {
    char whole[PATH_MAX], before[PATH_MAX];
    if (absolute(to, whole) && absolute(from, before) && !may_name(whole, before, 0)) return -1;
    return real_rename(from, to);
}
