/* The program: safe descriptors, then the command table. */
/* SPDX-License-Identifier: PostgreSQL */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "cmd/cmd.h"

#include "ini/ban.h"

/* A closed 0, 1 or 2 would be given to the next file or socket opened, and a stray
 * message would land in it. */
static int
open_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
	/* without /dev (a bare chroot) all that matters is whether they are open */
	return fd >= 0 || (fcntl(0, F_GETFD) >= 0 && fcntl(1, F_GETFD) >= 0 &&
			      fcntl(2, F_GETFD) >= 0)
		   ? 0
		   : -1;
}

int
main(int argc, char **argv)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	if (open_standard_fds())
		return 12;
	/* a peer that went away is an error of write, not our end */
	sigaction(SIGPIPE, &ignore, NULL);
	return cmd_main(argc, argv);
}
