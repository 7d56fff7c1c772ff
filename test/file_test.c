/* ini/file: whole or not at all, also on a full disk. */
/* SPDX-License-Identifier: PostgreSQL */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ini/buf.h"
#include "ini/err.h"
#include "ini/file.h"
#include "ini/mem.h"
#include "test/tap.h"

#include "ini/ban.h"

static char *top; /* of everything here */

static char *
in_top(const char *name)
{
	return xasprintf("%s/%s", top, name);
}

static struct buf
text(const char *s)
{
	struct buf b = { 0 };

	buf_str(&b, s);
	return b;
}

static bool
holds(const char *path, const char *want)
{
	struct buf b = { 0 };
	bool same = file_read(path, &b, NULL) == 0 && strcmp(buf_peek(&b), want) == 0;

	buf_drop(&b);
	return same;
}

static int
entries(const char *dir)
{
	DIR *d = opendir(dir);
	int n = -2; /* . and .. */

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static int
mode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -1 : (int)(st.st_mode & 07777);
}

static void
test_replace(void)
{
	char *dir = in_top("replace");
	char *path = in_top("replace/file");
	char *link_path = in_top("replace/link");
	struct buf one = text("one\n"), two = text("two\n");
	struct err e;

	OK(file_mkdir(dir, 0755, &e) == 0, "mkdir");
	umask(077);
	OK(file_replace(path, &one, 0644, &e) == 0 && holds(path, "one\n"),
	    "first write");
	OK(mode_of(path) == 0644, "the mode does not depend on the umask");
	umask(022);
	OK(file_replace(path, &two, 0600, &e) == 0 && holds(path, "two\n"), "replaced");
	OK(mode_of(path) == 0600, "with the new mode");
	OK(file_update(path, &two, 0600, &e) == 0, "update with the same: not written");
	OK(file_update(path, &one, 0600, &e) == 1 && holds(path, "one\n"),
	    "update: written");
	OK(symlink("file", link_path) == 0 &&
		file_replace(link_path, &two, 0600, &e) == 0,
	    "through a link");
	OK(holds(path, "two\n") && readlink(link_path, (char[9]){ 0 }, 8) == 4,
	    "the file is replaced and the link stays a link");
	OK(entries(dir) == 2, "nothing is left beside them");
	OK(file_replace("/nonexistent/x", &one, 0600, &e) == -1 && errno == ENOENT,
	    "no directory");
	OK(file_write_new(path, &one, 0600, &e) == -1 && errno == EEXIST,
	    "write_new refuses what is there");
	OK(file_unlink(path, &e) == 0 && file_write_new(path, &one, 0640, &e) == 0 &&
		holds(path, "one\n") && mode_of(path) == 0640,
	    "write_new");
	OK(file_unlink(path, &e) == 0 && file_unlink(path, &e) == 0, "unlink, twice");
	buf_drop(&one);
	buf_drop(&two);
	free(dir);
	free(path);
	free(link_path);
}

/* In a child with a limit on file sizes, as the limit cannot be taken back by all. */
static int
replace_big(const char *path, const struct buf *big)
{
	struct rlimit limit = { 4096, 4096 };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct err e = { .kind = ERR_NONE };
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		sigaction(SIGXFSZ, &ignore, NULL);
		setrlimit(RLIMIT_FSIZE, &limit);
		_exit(file_replace(path, big, 0600, &e) == -1 && errno == EFBIG &&
			      strstr(e.msg, "write ")
			  ? 0
			  : 1);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void
test_no_room(void)
{
	char *dir = in_top("full");
	char *path = in_top("full/file");
	struct buf old = text("old\n"), big = { 0 };
	struct err e;

	for (int i = 0; i < 1000; i++)
		buf_str(&big, "sixteen bytes..\n");
	OK(file_mkdir(dir, 0755, &e) == 0 && file_replace(path, &old, 0600, &e) == 0,
	    "an old file");
	OK(replace_big(path, &big) == 0,
	    "no room for the new one: an error that says so");
	OK(holds(path, "old\n"), "the old one is whole");
	OK(entries(dir) == 1, "no temporary file stays");
	buf_drop(&old);
	buf_drop(&big);
	free(dir);
	free(path);
}

static void
test_read(void)
{
	struct buf b = text("before ");
	struct err e;

	OK(file_read("/nonexistent", &b, &e) == -1 && errno == ENOENT, "missing: ENOENT");
	IS_STR(e.msg, "open /nonexistent: No such file or directory", "and a message");
	OK(file_read("/", &b, &e) == -1 && errno == EISDIR, "a directory is an error");
	OK(file_read("/dev/zero", &b, &e) == -1 && errno == EFBIG,
	    "an endless file, too");
	IS_STR(buf_peek(&b), "before ", "an error leaves what was in the buf");
	OK(file_read("/dev/null", &b, &e) == 0 && buf_len(&b) == 7,
	    "an empty one is fine");
	buf_drop(&b);
}

static void
test_trees(void)
{
	char *deep = in_top("tree/a//b/c/");
	char *leaf = in_top("tree/a/b/c/leaf");
	char *tree = in_top("tree");
	char *link_path = in_top("tree/a/away");
	char *keep = in_top("keep");
	struct buf b = text("x");
	struct err e;

	OK(file_mkdir(deep, 0755, &e) == 0 && file_is_dir(deep), "mkdir -p");
	OK(file_mkdir(deep, 0755, &e) == 0, "again");
	OK(file_dir_empty(deep, &e) == 1, "empty");
	OK(file_mkdir_above(leaf, 0755, &e) == 0 && !file_exists(leaf), "mkdir above");
	OK(file_write_new(leaf, &b, 0600, &e) == 0 && file_dir_empty(deep, &e) == 0,
	    "not empty");
	OK(file_mkdir(leaf, 0755, &e) == -1 && errno == EEXIST, "a file is in the way");
	OK(file_dir_empty(leaf, &e) == -1, "a file is no directory");
	OK(file_dir_empty("/nonexistent", &e) == 1, "missing counts as empty");
	OK(file_mkdir(keep, 0755, &e) == 0 && symlink(keep, link_path) == 0,
	    "a link out");
	OK(file_rmtree(tree, &e) == 0 && !file_exists(tree), "rmtree");
	OK(file_is_dir(keep), "it did not follow the link");
	OK(file_rmtree(tree, &e) == 0, "rmtree of nothing");
	OK(file_rename(keep, tree, &e) == 0 && file_is_dir(tree), "rename");
	OK(file_rename(keep, tree, &e) == -1, "rename of nothing");
	buf_drop(&b);
	free(deep);
	free(leaf);
	free(tree);
	free(link_path);
	free(keep);
}

static void
test_absolute(void)
{
	static const struct {
		const char *in, *out;
	} rows[] = { { "/", "/" }, { "/nope/x/../y", "/nope/y" },
		{ "/nope//x/./", "/nope/x" }, { "/../nope", "/nope" },
		{ "/nope/a/../..", "/" }, { "/nope/.hidden", "/nope/.hidden" } };
	struct buf b = { 0 }, here = { 0 };
	char *want;
	struct err e;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		OK(file_absolute(rows[i].in, &b, &e) == 0, "absolute %s", rows[i].in);
		IS_STR(buf_peek(&b), rows[i].out, rows[i].in);
	}
	OK(file_absolute(".", &here, &e) == 0 && file_absolute("no/where", &b, &e) == 0,
	    "a relative one");
	want = xasprintf("%s/no/where", buf_peek(&here));
	IS_STR(buf_peek(&b), want, "begins in the current directory");
	free(want);
	buf_drop(&b);
	buf_drop(&here);
}

/* The exit status of a child that tries to lock. */
static int
try_lock(const char *path)
{
	struct err e = { .kind = ERR_NONE };
	pid_t pid = fork();
	int status = -1;

	if (pid == 0)
		_exit(file_lock(path, &e) >= 0 ? 0 : err_exit(&e));
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void
test_lock_and_pid(void)
{
	static const struct {
		const char *content;
		int rc, pid;
	} rows[] = { { "123\n/data\n", 0, 123 }, { "123", 0, 123 }, { "", -1, 0 },
		{ "x\n", -1, 0 }, { "0\n", -1, 0 }, { "-5\n", -1, 0 }, { "12x\n", -1, 0 },
		{ "99999999999999999999\n", -1, 0 } };
	char *path = in_top("lock");
	struct err e;
	pid_t pid = 0;
	int fd = file_lock(path, &e);

	OK(fd >= 0, "locked");
	OK(fcntl(fd, F_GETFD) & FD_CLOEXEC, "programs we start do not hold it");
	IS_INT(try_lock(path), 3, "another process gets ERR_STATE");
	close(fd);
	IS_INT(try_lock(path), 0, "until it is released");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf b = text(rows[i].content);

		pid = 0;
		OK(file_replace(path, &b, 0600, &e) == 0 &&
			file_pid(path, &pid, &e) == rows[i].rc && pid == rows[i].pid,
		    "pid file %zu", i);
		buf_drop(&b);
	}
	OK(file_pid("/nonexistent", &pid, &e) == -1 && errno == ENOENT, "no pid file");
	free(path);
}

static mode_t
all_modes(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : st.st_mode & 07777;
}

/* As another user: 0 made, 1 refused. */
static int
other_makes(const char *shared, const char *path)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(setgid(65534) || setuid(65534) ||
			      file_mkdir_shared(shared, path, NULL) == 0
			  ? 0
			  : 1);
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void
test_shared(void)
{
	char *shared = in_top("shared"), *mid = in_top("shared/srv");
	char *own = in_top("shared/srv/n1"), *file = in_top("shared/srv/n1/pid");
	char *other = in_top("shared/srv/n2/pid"), *other_dir = in_top("shared/srv/n2");
	struct err e;

	OK(file_mkdir(mid, 0700, &e) == 0, "folders of an older version");
	OK(file_mkdir_shared(shared, file, &e) == 0, "folders in a shared place");
	IS_INT(all_modes(shared), 01777, "anybody may add to the first");
	IS_INT(all_modes(mid), 01777, "and to the next");
	IS_INT(all_modes(own), 0700, "the last one is ours");
	OK(file_mkdir_shared(shared, file, &e) == 0, "again");
	OK(chmod(own, 0777) == 0 && file_mkdir_shared(shared, file, &e) == -1,
	    "not with a last one that others write to");
	OK(chmod(own, 0700) == 0 && rename(own, other_dir) == 0 &&
		symlink(other_dir, own) == 0 && file_mkdir_shared(shared, file, &e) == -1,
	    "nor with one that is a link");
	OK(unlink(own) == 0 && rename(other_dir, own) == 0, "as it was");
	if (geteuid() == 0) {
		OK(chmod(top, 0755) == 0 && other_makes(shared, other) == 0,
		    "another user has folders beside");
		IS_INT(other_makes(shared, file), 1, "but not our last one");
		OK(file_mkdir_shared(shared, other, &e) == -1, "nor we his");
	}
	free(shared);
	free(mid);
	free(own);
	free(file);
	free(other);
	free(other_dir);
}

int
main(void)
{
	const char *tmp = getenv("TMPDIR");
	struct err e;

	top = xasprintf("%s/autoctl-file.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(top))
		return 1;
	test_replace();
	test_no_room();
	test_read();
	test_trees();
	test_shared();
	test_absolute();
	test_lock_and_pid();
	OK(file_rmtree(top, &e) == 0, "cleaned up");
	free(top);
	return tap_done();
}
