# Builds, tests and installs autoctl. GNU make; no configure.
#
#   make                 ./autoctl, one static file
#   make DYNAMIC=1       the same against the shared libpq (packagers, other systems)
#   make check           everything that is tested, with Postgres
#   make check-unit      the part that needs no Postgres
#   make check-long      what takes minutes: more courses of events, more random trouble
#   make check-net       hosts with cables and power, in network namespaces; needs root
#   make install DESTDIR= PREFIX=/usr/local
#   make asan fuzz lint format man-refresh clean
#
# WERROR= lets a new compiler's warnings pass.

CC        ?= gcc
CFLAGS    ?= -O2 -g
LDFLAGS   ?=
WERROR    ?= -Werror
PG_CONFIG ?= pg_config
PREFIX    ?= /usr/local
DESTDIR   ?=
BINDIR     = $(PREFIX)/bin
MANDIR     = $(PREFIX)/share/man
COMPDIR    = $(PREFIX)/share/bash-completion/completions
ZSHDIR     = $(PREFIX)/share/zsh/site-functions

PGINC := $(shell $(PG_CONFIG) --includedir 2>/dev/null || echo /usr/include/postgresql)
# libpq.a's two helper archives come with a server's files: take the newest major's
PGLIB := $(shell ls -d $$($(PG_CONFIG) --libdir 2>/dev/null) \
	/usr/lib/postgresql/*/lib /usr/pgsql-*/lib /usr/lib 2>/dev/null | sort -rV | \
	while read d; do test -f $$d/libpgcommon_shlib.a && echo $$d && break; done)
VERSION := $(shell v=$$(git describe --tags --match 'v[0-9]*' 2>/dev/null) && \
	echo "$${v\#v}" || cat VERSION 2>/dev/null || echo 0.1.0-dev)

STD  = -std=c11 -D_GNU_SOURCE -I. -isystem $(PGINC)
WARN = -Wall -Wextra $(WERROR) -Wpedantic -Wshadow -Wvla -Wformat=2 -Wundef \
       -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
       -Wwrite-strings -Wcast-qual -Wswitch-enum -Wimplicit-fallthrough -Wconversion \
       -Wno-sign-conversion -fno-common
SAFE = -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
# what a program does not reach is not in it: every test links every object
TRIM = -ffunction-sections -fdata-sections
GC   = -Wl,--gc-sections
FLAGS = $(CFLAGS) $(STD) $(WARN) $(SAFE) $(TRIM)
DEFS = -DAUTOCTL_VERSION='"$(VERSION)"'

# One file per thought, so the folders are the list; these are programs of their own.
SQL      = $(sort $(wildcard pg/sql/*.sql))
PROGRAMS = autoctl.c pg/embed.c
SRC      = $(filter-out $(PROGRAMS) pg/schema.gen.c,$(wildcard ini/*.c fsm/*.c pg/*.c cmd/*.c))
ifneq ($(SQL),)
SRC     += pg/schema.gen.c
endif
ifdef DYNAMIC
SRC     := $(filter-out pg/nokrb.c,$(SRC))
LIBS     = -lpq -lssl -lcrypto
LINK     = $(CC) $(CFLAGS) -pie $(GC) $(LDFLAGS) -o $@ $^ $(LIBS)
else
LIBS     = -L$(PGLIB) -lpq -lpgcommon_shlib -lpgport_shlib -lssl -lcrypto -lm
# glibc has the file and DNS resolvers built in; what it warns about is nsswitch modules
LINK     = $(CC) $(CFLAGS) -static $(GC) $(LDFLAGS) -o $@ $^ $(LIBS) 2>$@.tmp; rc=$$?; \
	grep -v -e 'in function' -e 'in statically linked applications requires' $@.tmp >&2; \
	rm -f $@.tmp; exit $$rc
endif
OBJ      = $(SRC:.c=.o)

TESTPROG = $(wildcard test/*_test.c test/writer.c test/wire.c)
FUZZ     = $(wildcard test/fuzz_*.c)
TESTLIB  = $(filter-out $(TESTPROG) $(FUZZ) test/mutate.c,$(wildcard test/*.c))
TESTS    = $(sort $(TESTPROG:.c=) $(FUZZ:.c=))
UNIT     = $(sort $(filter %_test,$(TESTS)) $(FUZZ:.c=) $(wildcard test/*.t))
PGLONG   = $(sort $(wildcard test/pg/long_*.t))
PGTESTS  = $(filter-out $(PGLONG),$(sort $(wildcard test/pg/*.t)))
FORMAT   = $(filter-out %.gen.c,$(wildcard *.c */*.c */*.h))
NEED     = gcc make libpq-dev libssl-dev postgresql-15 postgresql-server-dev-15

all: autoctl

autoctl: autoctl.o $(OBJ)
	@echo "  link $@"; $(LINK)

%.o: %.c .build-flags
	@echo "  cc   $<"; $(CC) $(FLAGS) $(DEFS) -MMD -MP -c -o $@ $<

cmd/%.o: .build-version

pg/embed: pg/embed.c .build-flags
	@echo "  cc   $@"; $(CC) $(FLAGS) $(LDFLAGS) -o $@ $<

# the directory too: its time changes when a file is renamed or removed
pg/schema.gen.c: pg/embed pg/sql $(SQL)
	@pg/embed $(SQL) > $@.tmp && mv $@.tmp $@

test/%_test: test/%_test.o $(TESTLIB:.c=.o) $(OBJ)
	@echo "  link $@"; $(LINK)
test/writer test/wire: %: %.o $(OBJ)
	@echo "  link $@"; $(LINK)
test/fuzz_%: test/fuzz_%.o test/mutate.o $(OBJ)
	@echo "  link $@"; $(LINK)

# Remember what everything was compiled with; changing it compiles everything again.
.build-flags: FORCE
	@echo '$(CC) $(FLAGS) $(LDFLAGS) $(GC) $(DYNAMIC)' | cmp -s - $@ || \
		echo '$(CC) $(FLAGS) $(LDFLAGS) $(GC) $(DYNAMIC)' > $@
.build-version: FORCE
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' > $@

tests: all $(TESTS)

check:
	@test/need $(NEED)
	@$(MAKE) --no-print-directory tests
	@test/run $(UNIT) $(PGTESTS)

check-unit: tests
	@test/run $(UNIT)

# the model checker with larger budgets, some GB of memory; long tests with Postgres
check-long: tests
	test/model_test -L
	test/sim_test -c 1000000 -j $$(nproc)
	@test/run $(PGLONG)

check-pg: tests
	@test/run $(PGTESTS)

# every node on a host of its own, driven by pg_autoctl alone
check-net: tests
	@TIMEOUT=900 test/run $(sort $(wildcard test/net/*.t))

# KEEP=1 leaves it running, to be looked at; demo-stop ends that.
demo:
	@test/need $(NEED)
	@$(MAKE) --no-print-directory all test/writer test/wire
	@test/demo

demo-stop:
	@test/demo stop

# How long writes stop, against the least possible on this machine.
bench: all test/writer test/wire
	@test/as-user test/bench $(ROUNDS)

# No static link and no fortified libc functions below the sanitizers.
asan:
	@TIMEOUT=1800 $(MAKE) --no-print-directory check-unit DYNAMIC=1 \
		CFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all" \
		SAFE="-fPIE" LDFLAGS="-fsanitize=address,undefined"

FUZZ_TIME ?= 60
fuzz: $(SRC)
	@for f in $(FUZZ:.c=); do \
		clang -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
			$(STD) $(DEFS) $(TRIM) $(GC) -o $$f.lf.tmp $$f.c \
			$(filter-out pg/nokrb.c,$(SRC)) -lpq && \
		$$f.lf.tmp -max_total_time=$(FUZZ_TIME) -print_final_stats=1 || exit 1; \
	done

lint:
	clang-format --dry-run -Werror $(FORMAT)
	cppcheck -q --std=c11 --enable=warning,portability,performance --inline-suppr \
		--error-exitcode=1 -I. -D_GNU_SOURCE $(filter-out %.gen.c,$(wildcard *.c */*.c))

format:
	clang-format -i $(FORMAT)

# the parts of the manual that are the program's own words
man-refresh: autoctl
	man/refresh $(wildcard man/*.[57])

install: all
	install -d $(DESTDIR)$(BINDIR)
	install -s -m 755 autoctl $(DESTDIR)$(BINDIR)/autoctl
	ln -sf autoctl $(DESTDIR)$(BINDIR)/pg_autoctl
	@for m in $(wildcard man/*.[1-9]); do \
		d=$(DESTDIR)$(MANDIR)/man$${m##*.}; \
		install -d $$d && install -m 644 $$m $$d/ || exit 1; \
	done
	@if ./autoctl completion bash > completion.tmp 2>/dev/null; then \
		install -d $(DESTDIR)$(COMPDIR) && \
		install -m 644 completion.tmp $(DESTDIR)$(COMPDIR)/autoctl && \
		ln -sf autoctl $(DESTDIR)$(COMPDIR)/pg_autoctl; \
	fi
	@if ./autoctl completion zsh > completion.tmp 2>/dev/null; then \
		install -d $(DESTDIR)$(ZSHDIR) && \
		install -m 644 completion.tmp $(DESTDIR)$(ZSHDIR)/_autoctl; \
	fi; rm -f completion.tmp

clean:
	rm -f autoctl pg/embed pg/schema.gen.c .build-flags .build-version $(TESTS)
	rm -f *.o *.d *.tmp */*.o */*.d */*.tmp

.PHONY: all tests check check-unit check-pg check-net demo demo-stop bench asan fuzz lint format man-refresh install clean FORCE
.SECONDARY:
.DELETE_ON_ERROR:
-include $(wildcard *.d */*.d)
