/* Between a test and the system: whatever is written or brought to the disk below a folder takes its time.
 * SLOW_DISK_BELOW is a part of the paths that are meant, SLOW_DISK_MS how long each call takes, SLOW_DISK_STALLS a file during whose
 * life calls do not return. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *below;
static const char *stalls;
static long milliseconds;
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_fsync)(int);

__attribute__((constructor)) static void begin(void)
{
    const char *time = getenv("SLOW_DISK_MS");
    milliseconds = time ? atol(time) : 0;
    below = getenv("SLOW_DISK_BELOW");
    stalls = getenv("SLOW_DISK_STALLS");
    real_write = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    real_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
}

static void dawdle(int file)
{
    char link[32], path[4096];
    if (!below)
        return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return;
    path[length] = 0;
    if (!strstr(path, below))
        return;
    struct timespec pause = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&pause, NULL);
    struct timespec look = {0, 10 * 1000000};
    while (stalls && access(stalls, F_OK) == 0)
        nanosleep(&look, NULL);
}

ssize_t write(int file, const void *data, size_t length)
{
    dawdle(file);
    return real_write(file, data, length);
}

int fsync(int file)
{
    dawdle(file);
    return real_fsync(file);
}
