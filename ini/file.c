/* Files: read whole, replaced whole or not at all. */
/* SPDX-License-Identifier: PostgreSQL */
#include "ini/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ini/buf.h"
#include "ini/err.h"
#include "ini/mem.h"

#include "ini/ban.h"

/* close and free without a trace in errno: for the way out of a failure */
static void
close_quietly(int fd)
{
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
}

static void
free_quietly(void *p)
{
	int saved = errno;

	free(p);
	errno = saved;
}

/* Everything from fd to the end. */
static int
slurp(int fd, const char *path, struct buf *b, struct err *e)
{
	char chunk[16384];
	size_t total = 0;
	ssize_t n;

	while ((n = read(fd, chunk, sizeof chunk)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "read %s", path);
		total += (size_t)n;
		if (total > FILE_READ_MAX) {
			errno = EFBIG;
			return err_sys(e, "read %s", path);
		}
		buf_add(b, chunk, (size_t)n);
	}
	return 0;
}

int
file_read(const char *path, struct buf *b, struct err *e)
{
	size_t before = buf_len(b);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return err_sys(e, "open %s", path);
	rc = slurp(fd, path, b, e);
	if (rc)
		buf_cut(b, before);
	close_quietly(fd);
	return rc;
}

/* All bytes, the mode, and onto the disk. Closes fd. */
static int
fill(int fd, const char *path, const struct buf *b, mode_t mode, struct err *e)
{
	const char *at = buf_peek(b);
	size_t left = buf_len(b);
	int rc = -1;

	while (left > 0) {
		ssize_t n = write(fd, at, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_sys(e, "write %s", path);
			goto out;
		}
		at += n;
		left -= (size_t)n;
	}
	if (fchmod(fd, mode))
		err_sys(e, "set the mode of %s", path);
	else if (fsync(fd))
		err_sys(e, "sync %s", path);
	else
		rc = 0;
out:
	close_quietly(fd);
	return rc;
}

/* The directory part, "." when there is none; the caller frees. */
static char *
above(const char *path)
{
	char *copy = xstrdup(path);
	size_t n = strlen(copy);
	char *slash;

	while (n > 1 && copy[n - 1] == '/')
		copy[--n] = '\0';
	slash = strrchr(copy, '/');
	if (!slash) {
		free(copy);
		return xstrdup(".");
	}
	if (slash == copy)
		slash++;
	*slash = '\0';
	return copy;
}

int
file_fsync_dir(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = 0;

	if (fd < 0)
		return err_sys(e, "open directory %s", path);
	/* some file systems cannot sync a directory and say EINVAL: nothing to be done */
	if (fsync(fd) && errno != EINVAL)
		rc = err_sys(e, "sync directory %s", path);
	close_quietly(fd);
	return rc;
}

static int
fsync_above(const char *path, struct err *e)
{
	char *dir = above(path);
	int rc = file_fsync_dir(dir, e);

	free_quietly(dir);
	return rc;
}

/* What to replace: the file itself, or the one a link leads to. The caller frees. */
static char *
target(const char *path)
{
	struct stat st;
	char *real = NULL;

	if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
		real = realpath(path, NULL);
	return real ? real : xstrdup(path);
}

/* Give the new file the old one's owner; only root can, and only root needs it. */
static void
keep_owner(int fd, const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && st.st_uid != geteuid() &&
	    fchown(fd, st.st_uid, st.st_gid))
		return;
}

int
file_replace(const char *path, const struct buf *b, mode_t mode, struct err *e)
{
	char *real = target(path);
	char *tmp = xasprintf("%s.XXXXXX", real);
	int fd = mkostemp(tmp, O_CLOEXEC);
	int rc = -1;

	if (fd < 0) {
		err_sys(e, "create %s", tmp);
		goto out;
	}
	keep_owner(fd, real);
	rc = fill(fd, tmp, b, mode, e);
	if (rc == 0 && rename(tmp, real))
		rc = err_sys(e, "rename %s to %s", tmp, real);
	if (rc) {
		int saved = errno;

		unlink(tmp);
		errno = saved;
		goto out;
	}
	rc = fsync_above(real, e);
out:
	free_quietly(tmp);
	free_quietly(real);
	return rc;
}

int
file_update(const char *path, const struct buf *b, mode_t mode, struct err *e)
{
	struct buf old = { 0 };
	bool same = file_read(path, &old, NULL) == 0 && buf_len(&old) == buf_len(b) &&
		    memcmp(buf_peek(&old), buf_peek(b), buf_len(b)) == 0;

	buf_drop(&old);
	if (same)
		return 0;
	return file_replace(path, b, mode, e) ? -1 : 1;
}

int
file_write_new(const char *path, const struct buf *b, mode_t mode, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(e, "create %s", path);
	if (fill(fd, path, b, mode, e)) {
		int saved = errno;

		unlink(path);
		errno = saved;
		return -1;
	}
	return fsync_above(path, e);
}

bool
file_exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

bool
file_is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool
is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

int
file_dir_empty(const char *path, struct err *e)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	int rc = 1;

	if (!d && errno == ENOENT)
		return 1;
	if (!d)
		return err_sys(e, "open directory %s", path);
	while (rc == 1 && (errno = 0, entry = readdir(d)))
		if (!is_dots(entry->d_name))
			rc = 0;
	if (rc == 1 && errno)
		rc = err_sys(e, "read directory %s", path);
	closedir(d);
	return rc;
}

int
file_mkdir(const char *path, mode_t mode, struct err *e)
{
	char *copy = xstrdup(path);
	int rc = 0;

	for (char *at = copy + (*copy == '/'); rc == 0 && *at;) {
		char *slash = at + strcspn(at, "/");
		char was = *slash;

		*slash = '\0';
		if (mkdir(copy, mode) && (errno != EEXIST || !file_is_dir(copy)))
			rc = err_sys(e, "create directory %s", copy);
		*slash = was;
		at = slash + strspn(slash, "/");
	}
	free_quietly(copy);
	return rc;
}

int
file_mkdir_above(const char *path, mode_t mode, struct err *e)
{
	char *dir = above(path);
	int rc = file_mkdir(dir, mode, e);

	free_quietly(dir);
	return rc;
}

/* One that is there already will do, but not a link to one. */
static int
make_real(const char *path, mode_t mode, struct stat *st, struct err *e)
{
	if (mkdir(path, mode) && errno != EEXIST)
		return err_sys(e, "create directory %s", path);
	if (lstat(path, st) || !S_ISDIR(st->st_mode))
		return err_set(e, ERR_STATE, "%s is not a directory", path);
	return 0;
}

/* One that is there is opened to others if it is ours to open. */
static int
make_open(const char *path, struct err *e)
{
	struct stat st;

	if (make_real(path, 0777, &st, e))
		return -1;
	if (st.st_uid == geteuid() && (st.st_mode & 07777) != 01777 && chmod(path, 01777))
		return err_sys(e, "open %s to other users", path);
	return 0;
}

static int
make_own(const char *path, struct err *e)
{
	struct stat st;

	if (make_real(path, 0700, &st, e))
		return -1;
	if (st.st_uid != geteuid())
		return err_set(e, ERR_STATE, "%s belongs to another user", path);
	/* an own folder with folders of others in it has the sticky bit */
	if ((st.st_mode & 022) && !(st.st_mode & S_ISVTX))
		return err_set(e, ERR_STATE, "%s can be written by other users", path);
	return 0;
}

int
file_mkdir_shared(const char *shared, const char *path, struct err *e)
{
	char *dir = above(path);
	int rc = 0;

	for (char *at = dir + strlen(shared); rc == 0 && at;) {
		char *slash = strchr(at, '/');

		if (slash)
			*slash = '\0';
		rc = slash ? make_open(dir, e) : make_own(dir, e);
		if (slash)
			*slash = '/';
		at = slash ? slash + 1 : NULL;
	}
	free_quietly(dir);
	return rc;
}

int
file_unlink(const char *path, struct err *e)
{
	if (unlink(path) && errno != ENOENT)
		return err_sys(e, "remove %s", path);
	return 0;
}

static int rmtree_at(int dirfd, const char *name, const char *path, struct err *);

/* Remove what is in the directory; fd is consumed. */
static int
empty_dir(int fd, const char *path, struct err *e)
{
	DIR *d = fdopendir(fd);
	struct dirent *entry;
	int rc = 0;

	if (!d) {
		close_quietly(fd);
		return err_sys(e, "open directory %s", path);
	}
	while (rc == 0 && (errno = 0, entry = readdir(d)))
		if (!is_dots(entry->d_name))
			rc = rmtree_at(fd, entry->d_name, path, e);
	if (rc == 0 && errno)
		rc = err_sys(e, "read directory %s", path);
	closedir(d);
	return rc;
}

/* path is only for messages. O_NOFOLLOW: a link is removed, never entered. */
static int
rmtree_at(int dirfd, const char *name, const char *path, struct err *e)
{
	int fd;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return err_sys(e, "remove %s in %s", name, path);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "open directory %s in %s", name, path);
	if (empty_dir(fd, path, e))
		return -1;
	if (unlinkat(dirfd, name, AT_REMOVEDIR) && errno != ENOENT)
		return err_sys(e, "remove directory %s in %s", name, path);
	return 0;
}

int
file_rmtree(const char *path, struct err *e)
{
	return rmtree_at(AT_FDCWD, path, path, e);
}

int
file_rename(const char *from, const char *to, struct err *e)
{
	if (rename(from, to))
		return err_sys(e, "rename %s to %s", from, to);
	if (fsync_above(to, e) || fsync_above(from, e))
		return -1;
	return 0;
}

/* Resolve ".", ".." and doubled slashes by the text alone, appending to an empty b. */
static void
clean(const char *path, struct buf *b)
{
	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && memcmp(path, "..", 2) == 0) {
			while (buf_len(b) && buf_peek(b)[buf_len(b) - 1] != '/')
				buf_cut(b, buf_len(b) - 1);
			if (buf_len(b))
				buf_cut(b, buf_len(b) - 1);
		} else if (n > 1 || (n == 1 && *path != '.')) {
			buf_char(b, '/');
			buf_add(b, path, n);
		}
		path += n;
		path += strspn(path, "/");
	}
	if (buf_len(b) == 0)
		buf_char(b, '/');
}

int
file_absolute(const char *path, struct buf *b, struct err *e)
{
	char *real = realpath(path, NULL);
	char here[PATH_MAX];
	char *joined;

	if (real) {
		buf_reset(b);
		buf_str(b, real);
		free(real);
		return 0;
	}
	if (*path != '/' && !getcwd(here, sizeof here))
		return err_sys(e, "find the current directory");
	joined = *path == '/' ? xstrdup(path) : xasprintf("%s/%s", here, path);
	buf_reset(b);
	clean(joined, b);
	free(joined);
	return 0;
}

int
file_lock(const char *path, struct err *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(e, "open %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	if (errno == EWOULDBLOCK)
		err_set(e, ERR_STATE, "%s is locked by another process", path);
	else
		err_sys(e, "lock %s", path);
	close_quietly(fd);
	return -1;
}

int
file_pid(const char *path, pid_t *pid, struct err *e)
{
	struct buf b = { 0 };
	char *end;
	long v;

	if (file_read(path, &b, e))
		return -1;
	errno = 0;
	v = strtol(buf_peek(&b), &end, 10);
	if (errno || v <= 0 || v > INT_MAX || (*end != '\n' && *end != '\0')) {
		buf_drop(&b);
		errno = EINVAL;
		return err_set(e, ERR_STATE, "there is no pid in %s", path);
	}
	buf_drop(&b);
	*pid = (pid_t)v;
	return 0;
}
