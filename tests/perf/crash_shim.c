/* Sits between SQLite and the system (LD_PRELOAD). Each operation on a file of the folder CRASH_FOLDER is numbered;
 * before number CRASH_AT the process kills itself, with CRASH_TORN after the first half of what was to be written.
 * With CRASH_LOG every operation is written there, for tests/perf/power.py to play them again. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static long done, at = -1;
static int torn, log_fd = -1, ready;
static char folder[PATH_MAX];
static size_t folder_length;

#define REAL(name, type) static type real; if (!real) real = (type)dlsym(RTLD_NEXT, name)
typedef ssize_t (*pwrite_t)(int, const void *, size_t, off64_t);
typedef ssize_t (*write_t)(int, const void *, size_t);
typedef int (*truncate_t)(int, off64_t);
typedef int (*sync_t)(int);
typedef int (*unlink_t)(const char *);

static ssize_t plain_write(int fd, const void *data, size_t size) { REAL("write", write_t); return real(fd, data, size); }

static void prepare(void) {
    if (ready) return;
    ready = 1;
    const char *text = getenv("CRASH_FOLDER");
    if (text) { strncpy(folder, text, sizeof folder - 1); folder_length = strlen(folder); }
    if ((text = getenv("CRASH_AT"))) at = atol(text);
    torn = getenv("CRASH_TORN") != NULL;
    if ((text = getenv("CRASH_LOG"))) log_fd = open(text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static const char *name_of(const char *path) {
    if (!folder_length || strncmp(path, folder, folder_length)) return NULL;
    if (path[folder_length] == 0) return ".";
    return path[folder_length] == '/' ? path + folder_length + 1 : NULL;
}

static const char *name_of_fd(int fd, char *path) {
    char link[64] = "/proc/self/fd/", digits[16];
    int length = 0, start = 14;
    prepare();
    do { digits[length++] = '0' + fd % 10; fd /= 10; } while (fd);
    while (length) link[start++] = digits[--length];
    link[start] = 0;
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    if (size < 0) return NULL;
    path[size] = 0;
    return name_of(path);
}

/* Count an operation; return 1 where this one is to be torn. */
static int count(char kind, const char *name, const void *data, int64_t size, int64_t offset) {
    if (++done == at) { if (torn && kind == 'w' && size > 1) return 1; kill(getpid(), SIGKILL); pause(); }
    if (log_fd >= 0) {
        struct { int64_t offset, size; int32_t kind, name; } head = {offset, size, kind, (int32_t)strlen(name)};
        plain_write(log_fd, &head, sizeof head);
        plain_write(log_fd, name, head.name);
        if (kind == 'w') plain_write(log_fd, data, size);
    }
    return 0;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    char path[PATH_MAX];
    REAL("pwrite64", pwrite_t);
    const char *name = name_of_fd(fd, path);
    if (name && count('w', name, data, size, offset)) { real(fd, data, size / 2, offset); kill(getpid(), SIGKILL); pause(); }
    return real(fd, data, size, offset);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return pwrite64(fd, data, size, offset); }

ssize_t write(int fd, const void *data, size_t size) {
    char path[PATH_MAX];
    const char *name = name_of_fd(fd, path);
    off64_t end = name ? lseek64(fd, 0, SEEK_END) : 0;
    if (name && count('w', name, data, size, end)) { plain_write(fd, data, size / 2); kill(getpid(), SIGKILL); pause(); }
    return plain_write(fd, data, size);
}

int ftruncate64(int fd, off64_t size) {
    char path[PATH_MAX];
    REAL("ftruncate64", truncate_t);
    const char *name = name_of_fd(fd, path);
    if (name) count('t', name, NULL, size, 0);
    return real(fd, size);
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

static int synced(int fd) {
    char path[PATH_MAX];
    const char *name = name_of_fd(fd, path);
    if (name) count('s', name, NULL, 0, 0);
    return 0; /* nothing has to reach a real disk here: who loses what was not synced is power.py */
}
int fsync(int fd) { return synced(fd); }
int fdatasync(int fd) { return synced(fd); }

int unlink(const char *path) {
    REAL("unlink", unlink_t);
    prepare();
    const char *name = name_of(path);
    if (name) count('u', name, NULL, 0, 0);
    return real(path);
}
