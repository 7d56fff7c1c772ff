/* A full screen of a terminal: text drawn on it, keys taken from it, given back as it
 * was.
 */
/* SPDX-License-Identifier: PostgreSQL */
#include "cmd/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "ini/err.h"

#include "ini/ban.h"

#define ENTER "\033[?1049h\033[?25l" /* the other screen, no cursor */
#define LEAVE "\033[m\033[?25h\033[?1049l"

static struct termios saved;
static bool taken;
static volatile sig_atomic_t resized, ended;

static void
on_signal(int number)
{
	if (number == SIGWINCH)
		resized = 1;
	else
		ended = 1;
}

/* -- the terminal -- */

static int
put(const char *bytes, size_t n)
{
	while (n) {
		ssize_t done = write(STDOUT_FILENO, bytes, n);

		if (done < 0 && errno != EINTR && errno != EAGAIN)
			return -1;
		if (done > 0) {
			bytes += done;
			n -= (size_t)done;
		} else if (ended)
			return 0;
	}
	return 0;
}

/* Also at exit, should the program end otherwise. */
static void
give_back(void)
{
	if (!taken)
		return;
	taken = false;
	ended = 0;
	(void)put(LEAVE, sizeof LEAVE - 1);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved);
}

static void
look_size(struct screen *s)
{
	struct winsize w;

	s->rows = 24;
	s->cols = 80;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row > 0 && w.ws_col > 0) {
		s->rows = w.ws_row;
		s->cols = w.ws_col;
	}
}

/* They come in only while we wait: see screen_wait. */
static void
take_signals(void)
{
	static const int number[] = { SIGWINCH, SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction sa = { .sa_handler = on_signal };
	sigset_t held;

	sigemptyset(&sa.sa_mask);
	sigemptyset(&held);
	for (size_t i = 0; i < sizeof number / sizeof number[0]; i++) {
		sigaction(number[i], &sa, NULL);
		sigaddset(&held, number[i]);
	}
	sigprocmask(SIG_BLOCK, &held, NULL);
}

int
screen_open(struct screen *s, struct err *e)
{
	struct termios raw;

	memset(s, 0, sizeof *s);
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) ||
	    tcgetattr(STDIN_FILENO, &saved))
		return err_set(e, ERR_USAGE, "this needs a terminal");
	raw = saved;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN);
	raw.c_iflag &= ~(tcflag_t)(IXON | ICRNL);
	raw.c_cc[VSUSP] = _POSIX_VDISABLE; /* no way back from there */
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	take_signals();
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw))
		return err_sys(e, "set up the terminal");
	taken = true;
	atexit(give_back);
	look_size(s);
	if (put(ENTER, sizeof ENTER - 1))
		return err_sys(e, "write to the terminal");
	return 0;
}

void
screen_close(struct screen *s)
{
	(void)s;
	give_back();
}

/* -- text -- */

/* Bytes of one character of UTF-8; 0: not one. */
static int
char_len(const unsigned char *s)
{
	int n = *s < 0x80                 ? 1
		: *s >= 0xc2 && *s < 0xe0 ? 2
		: *s < 0xe0               ? 0
		: *s < 0xf0               ? 3
					  : 4;

	if (*s > 0xf4)
		return 0;
	for (int i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* U+0080 to U+009F are commands, too */
	return n == 2 && *s == 0xc2 && s[1] < 0xa0 ? 0 : n;
}

/* At most so many characters; returns how many. */
static int
add_clean(struct buf *b, const char *text, int most)
{
	const unsigned char *s = (const unsigned char *)text;
	int n = 0;

	for (; *s && n < most; n++) {
		int len = char_len(s);
		if (len == 0 || *s < ' ' || *s == 0x7f) {
			buf_char(b, '?');
			s++;
		} else {
			buf_add(b, s, (size_t)len);
			s += len;
		}
	}
	return n;
}

void
screen_text(struct buf *b, const char *text)
{
	add_clean(b, text, 10000);
}

int
screen_width(const char *text)
{
	struct buf b = { 0 };
	int n = add_clean(&b, text, 10000);

	buf_drop(&b);
	return n;
}

void
screen_cell(struct buf *b, const char *text, int width, bool left)
{
	int n = screen_width(text);

	for (; !left && n < width; n++)
		buf_char(b, ' ');
	add_clean(b, text, width);
	for (; left && n < width; n++)
		buf_char(b, ' ');
}

/* -- drawing -- */

/* Where column n begins; the end when there are less. */
static const char *
column(const char *s, const char *end, int n)
{
	while (s < end && n > 0) {
		int len = char_len((const unsigned char *)s);
		s += len ? len : 1;
		n--;
	}
	return s;
}

static void
draw_line(const struct screen *s, struct buf *out, const char *line, size_t len)
{
	const char *end = line + len, *from;
	const char *how = NULL;

	if (len && *line == SCREEN_BOLD)
		how = "\033[1m";
	else if (len && *line == SCREEN_REVERSE)
		how = "\033[7m";
	else if (len && *line == SCREEN_ALARM)
		how = "\033[1;31m";
	if (how) {
		buf_str(out, how);
		line++;
	}
	from = column(line, end, s->left);
	buf_add(out, from, (size_t)(column(from, end, s->cols) - from));
	buf_str(out, how ? "\033[m\033[K" : "\033[K");
}

static void
measure(struct screen *s, const char *text)
{
	s->lines = s->widest = 0;
	for (; *text; s->lines++) {
		size_t len = strcspn(text, "\n");
		if ((int)len > s->widest)
			s->widest = (int)len;
		text += len;
		text += *text == '\n';
	}
}

static void
stay_inside(struct screen *s)
{
	if (s->top > s->lines - s->rows)
		s->top = s->lines - s->rows;
	if (s->left > s->widest - s->cols)
		s->left = s->widest - s->cols;
	if (s->top < 0)
		s->top = 0;
	if (s->left < 0)
		s->left = 0;
}

int
screen_draw(struct screen *s, const struct buf *lines, struct err *e)
{
	struct buf out = { 0 };
	const char *at = buf_peek(lines);
	int rc;

	measure(s, at);
	stay_inside(s);
	buf_str(&out, "\033[H");
	for (int n = 0; *at && n < s->top + s->rows; n++) {
		size_t len = strcspn(at, "\n");
		if (n >= s->top) {
			buf_str(&out, n > s->top ? "\r\n" : "");
			draw_line(s, &out, at, len);
		}
		at += len;
		at += *at == '\n';
	}
	/* what is below; not from the last column of a full screen */
	if (s->lines - s->top < s->rows)
		buf_str(&out, "\r\n\033[J");
	rc = put(buf_peek(&out), buf_len(&out));
	buf_drop(&out);
	return rc ? err_sys(e, "write to the terminal") : 0;
}

/* -- keys -- */

/* What a terminal sends, and by how much it moves; 0 rows and columns: quit. */
static const struct {
	const char *keys;
	int rows, cols; /* PAGE: a screen */
} moves[] = {
#define PAGE 100000
#define FAR 1000000
	{ "\033[A", -1, 0 }, { "\033OA", -1, 0 }, { "k", -1, 0 }, { "\020", -1, 0 },
	{ "\033[B", 1, 0 }, { "\033OB", 1, 0 }, { "j", 1, 0 }, { "\016", 1, 0 },
	{ "\033[C", 0, 1 }, { "\033OC", 0, 1 }, { "l", 0, 1 }, { "\006", 0, 1 },
	{ "\033[D", 0, -1 }, { "\033OD", 0, -1 }, { "h", 0, -1 }, { "\002", 0, -1 },
	{ "\033[5~", -PAGE, 0 }, { "\025", -PAGE, 0 }, { "\033[6~", PAGE, 0 },
	{ "\004", PAGE, 0 }, { "\033[H", 0, -FAR }, { "\033OH", 0, -FAR },
	{ "\033[1~", 0, -FAR }, { "\001", 0, -FAR }, { "0", 0, -FAR },
	{ "\033[F", 0, FAR }, { "\033OF", 0, FAR }, { "\033[4~", 0, FAR },
	{ "\005", 0, FAR }, { "$", 0, FAR }, { "q", 0, 0 }, { "Q", 0, 0 },
	{ "\033OP", 0, 0 }, { "\033[11~", 0, 0 }, { "\033[[A", 0, 0 }
};

/* A sequence that is none of ours is skipped as a whole. */
static size_t
skip(const char *s)
{
	size_t n = 1;

	if (*s != '\033' || (s[1] != '[' && s[1] != 'O'))
		return n;
	n = 2;
	while (s[n] && ((s[n] >= '0' && s[n] <= '9') || s[n] == ';'))
		n++;
	return s[n] ? n + 1 : n;
}

static void
move(struct screen *s, int rows, int cols)
{
	int page = s->rows > 1 ? s->rows - 1 : 1;

	s->top += rows == PAGE ? page : rows == -PAGE ? -page : rows;
	s->left += cols;
	stay_inside(s);
}

static enum screen_event
read_keys(struct screen *s)
{
	enum screen_event what = SCREEN_NOTHING;
	char key[128];
	ssize_t n = read(STDIN_FILENO, key, sizeof key - 1);

	if (n <= 0) /* the terminal is gone */
		return n < 0 && (errno == EINTR || errno == EAGAIN) ? what : SCREEN_QUIT;
	key[n] = '\0';
	for (const char *at = key; *at;) {
		size_t len = 0;
		for (size_t i = 0; !len && i < sizeof moves / sizeof moves[0]; i++) {
			size_t l = strlen(moves[i].keys);
			if (strncmp(at, moves[i].keys, l) != 0)
				continue;
			if (!moves[i].rows && !moves[i].cols)
				return SCREEN_QUIT;
			move(s, moves[i].rows, moves[i].cols);
			what = SCREEN_SCROLLED;
			len = l;
		}
		at += len ? len : skip(at);
	}
	return what;
}

enum screen_event
screen_wait(struct screen *s, int fd, int64_t ms)
{
	struct pollfd p[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = fd, .events = POLLIN } };
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
	sigset_t none;
	int n;

	sigemptyset(&none);
	n = ppoll(p, 2, &t, &none);
	if (ended)
		return SCREEN_QUIT;
	if (resized) {
		resized = 0;
		look_size(s);
		return SCREEN_RESIZED;
	}
	if (n > 0 && p[0].revents)
		return read_keys(s);
	return n > 0 ? SCREEN_DATA : SCREEN_NOTHING;
}
