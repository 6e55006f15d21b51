// SPDX-License-Identifier: EUPL-1.2
// Loaded before libc: syncing a file whose name holds the text in the file FAILING_SYNC fails with
// EIO, as when the disk under it has failed; a text that ends in "$" has to end the name, too. Each
// refusal is a line in FAILING_SYNC.log.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_meant(const char *name, char *wanted) {
  size_t length = strlen(wanted), whole = strlen(name);
  if (wanted[length - 1] != '$') return strstr(name, wanted) != NULL;
  wanted[--length] = 0;
  return whole >= length && !strcmp(name + whole - length, wanted);
}

static int refuses(int fd) {
  char wanted[256] = "", link[64], name[PATH_MAX] = "", line[PATH_MAX + 64], log[PATH_MAX];
  const char *armed = getenv("FAILING_SYNC");
  if (!armed) return 0;
  int file = open(armed, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  ssize_t size = read(file, wanted, sizeof wanted - 1);
  close(file);
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  if (size <= 0 || readlink(link, name, sizeof name - 1) < 0 ||
      !is_meant(name, wanted))
    return 0;
  snprintf(log, sizeof log, "%s.log", armed);
  file = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  size = snprintf(line, sizeof line, "%d %s\n", (int)getpid(), name);
  if (write(file, line, size) < 0) perror("FAILING_SYNC.log");
  close(file);
  errno = EIO;
  return 1;
}

int fsync(int fd) { return refuses(fd) ? -1 : (int)syscall(SYS_fsync, fd); }

int fdatasync(int fd) { return refuses(fd) ? -1 : (int)syscall(SYS_fdatasync, fd); }
