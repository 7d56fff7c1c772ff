/* Files: read whole, replaced whole or not at all. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef INI_FILE_H
#define INI_FILE_H

#include <stdbool.h>
#include <sys/types.h>

struct buf;
struct err;

/* More than any file we read: a mistake in the path must not eat the machine. */
#define FILE_READ_MAX (64 * 1024 * 1024)

/* All return -1 with the error filled (ERR_SYSTEM unless said) and keep errno, so that a
 * caller may look for ENOENT. Descriptors are close-on-exec. */

/* Append the contents of a file, up to FILE_READ_MAX. */
int file_read(const char *path, struct buf *, struct err *)
    __attribute__((warn_unused_result));

/*
 * The file has the new contents, durably, or (on -1) still the old ones, and nothing is
 * left beside it: temporary file in the same directory, fsync, rename, fsync of the
 * directory. The mode is as given whatever the umask; an existing file's owner is kept
 * when we may. A symbolic link is followed: the file it names is replaced.
 */
int file_replace(const char *path, const struct buf *, mode_t, struct err *)
    __attribute__((warn_unused_result));

/* As file_replace when the contents differ, else nothing. 1: written, 0: same. */
int file_update(const char *path, const struct buf *, mode_t, struct err *)
    __attribute__((warn_unused_result));

/* Create a file that must not be there yet (errno EEXIST if it is), durably. */
int file_write_new(const char *path, const struct buf *, mode_t, struct err *)
    __attribute__((warn_unused_result));

bool file_exists(const char *path); /* anything, also a directory */
bool file_is_dir(const char *path);

/* 1: an empty or missing directory, 0: something is in it. */
int file_dir_empty(const char *path, struct err *) __attribute__((warn_unused_result));

/* mkdir -p; the second makes only what is above the last slash. */
int file_mkdir(const char *path, mode_t, struct err *)
    __attribute__((warn_unused_result));
int file_mkdir_above(const char *path, mode_t, struct err *)
    __attribute__((warn_unused_result));

/*
 * What is above the last slash, below a folder that many users write to, like /tmp: from
 * shared on (a prefix of path) anybody may add to its folders, as to /tmp itself; the
 * last one is this user's alone, or that is an error.
 */
int file_mkdir_shared(const char *shared, const char *path, struct err *)
    __attribute__((warn_unused_result));

/* A missing file is fine for both. rmtree never follows a symbolic link. */
int file_unlink(const char *path, struct err *) __attribute__((warn_unused_result));
int file_rmtree(const char *path, struct err *) __attribute__((warn_unused_result));

/* Durable rename: both directories are synced. */
int file_rename(const char *from, const char *to, struct err *)
    __attribute__((warn_unused_result));
int file_fsync_dir(const char *path, struct err *) __attribute__((warn_unused_result));

/* The path without links, "..", doubled slashes; when it does not exist (yet), made
 * absolute with the current directory and cleaned by its text. Replaces the buf's text.
 */
int file_absolute(const char *path, struct buf *, struct err *)
    __attribute__((warn_unused_result));

/*
 * Hold a lock for as long as the descriptor (returned) is open, here or in a child that
 * inherited it on purpose. The file is created if missing (mode 0600) and its contents
 * are not touched. ERR_STATE when another process holds it.
 */
int file_lock(const char *path, struct err *) __attribute__((warn_unused_result));

/* The number on the first line of a pid file; ERR_STATE when there is none. */
int file_pid(const char *path, pid_t *, struct err *) __attribute__((warn_unused_result));

#endif
