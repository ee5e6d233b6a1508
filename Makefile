# Synq: GNU make, no generator.
#
#   make                 all programs, under build/
#   make unit [T=base]   unit tests under the sanitizers; SAN=thread, or
#                        UNDER=valgrind, instead
#   make contract [T=pg] tests against real servers
#   make sim             the dispatcher's core in virtual time  SEEDS= FROM=
#   make coverage        branches of the files that the promises rest on
#   make test            every test            make check   every lint
#   make run             install, boot, push real work through, stop
#   make bench [ROW=accept]   the benchmarks   make fuzz    the fuzzers
#   make tsan            the unit tests, then the programs, with SAN=thread
#   make chaos           FAULTS=n SEED=s       faults under load, checked
#   make soak            the long forms; PARTS=chaos,...  SOAK_S= SOAK_FAULTS=
#   make docs            manual pages and the sample, from the programs
#   make install         PREFIX=/usr/local DESTDIR=
#   make clean
#
# Variants never mix, each has a folder of its own:
#   SAN=address,undefined    build/san-address-undefined/
#   SAN=thread               build/san-thread/
#   CC=clang                 build/clang/
#   BUILD=dir                dir instead of build

ifeq ($(origin CC),default)
CC := gcc
endif
PREFIX ?= /usr/local
SAN ?=
T ?=

comma := ,
compiler := $(if $(findstring clang,$(notdir $(CC))),clang,gcc)
variant := $(subst $() ,-,$(strip \
	$(filter clang,$(compiler)) $(if $(SAN),san-$(subst $(comma),-,$(SAN)))))
BUILD ?= build
OUT := $(BUILD)$(if $(variant),/$(variant))
O := $(OUT)/obj

# As many jobs as cores, unless the caller says how many.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += --jobs=$(shell nproc)
endif
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

# ---- flags -----------------------------------------------------------------

# Looked up when the first recipe runs, which is after the packages that
# provide the answer have been installed.
PACKAGES := rdkafka libuv hiredis libsodium msgpack libcurl yaml-0.1 libpq \
	openssl
foreign_cflags = $(eval foreign_cflags := $(patsubst -I%,-isystem%,\
	$(shell pkg-config --cflags $(PACKAGES))))$(foreign_cflags)
foreign_libs = $(eval foreign_libs := \
	$(shell pkg-config --libs $(PACKAGES)))$(foreign_libs)

WARNINGS := -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion \
	-Wsign-conversion -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wpointer-arith -Wcast-qual -Wcast-align \
	-Wwrite-strings -Wformat=2 -Wundef -Wvla -Wimplicit-fallthrough \
	-Wswitch-enum -Wnull-dereference -Wdouble-promotion
WARNINGS_gcc := -Wlogical-op -Wduplicated-cond -Wduplicated-branches \
	-Wrestrict -Wjump-misses-init
# Not -Wcast-qual: rd_kafka's macros cast, which gcc knows to overlook.
WARNINGS_clang := -Wno-gnu-statement-expression -Wno-cast-qual -Wcomma -Wunreachable-code \
	-Wassign-enum -Wconditional-uninitialized \
	-Wmissing-variable-declarations
HARDEN := -fstack-protector-strong -fPIE
HARDEN_gcc := -fstack-clash-protection -fcf-protection
# In clang a fortified sprintf is a macro and cannot be poisoned: what the header
# includes, without the poison.
BANNED_gcc := $(addprefix -include ,$(wildcard libsynq/base/banned.h))
BANNED_clang := $(addprefix -include ,stdio.h stdlib.h string.h time.h)

ifeq ($(SAN),)
OPTIMIZE := -O2 -D_FORTIFY_SOURCE=2
else
# The checks that the sanitizer inserts give gcc's flow analysis paths that
# do not exist; the plain build still has these two warnings.
OPTIMIZE := -O1 -fno-omit-frame-pointer -fno-sanitize-recover=all \
	-fsanitize=$(SAN) -Wno-null-dereference -Wno-maybe-uninitialized
ifeq ($(compiler),clang)
OPTIMIZE := $(filter-out -Wno-maybe-uninitialized,$(OPTIMIZE))
endif
endif

CFLAGS ?=
CPPFLAGS ?=
LDFLAGS ?=
compile_flags = -std=c11 -D_GNU_SOURCE -g $(OPTIMIZE) $(WARNINGS) \
	$(WARNINGS_$(compiler)) $(HARDEN) $(HARDEN_$(compiler)) -fno-common \
	-pthread -Ilibsynq -I. $(BANNED_$(compiler)) $(foreign_cflags) \
	$(CPPFLAGS) $(CFLAGS)
link_flags = -pie -pthread -Wl,-z,relro,-z,now -Wl,--as-needed \
	$(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)
libraries = $(foreign_libs) -lm

# ---- what there is ---------------------------------------------------------

# A folder that holds main.c is a program; without one, its other files still
# make the archive that its unit tests link.
folders := producer $(patsubst %/,%,$(wildcard consumers/*/)) ctl \
	compose/stub-provider
sources_of = $(wildcard $(1)/*.c $(if $(filter ctl,$(1)),$(1)/*/*.c))
short_of = $(patsubst producer,intake,$(notdir $(1)))
binary_of = $(OUT)/$(strip $(if $(filter ctl,$(1)),synq,\
	$(if $(filter compose/%,$(1)),$(notdir $(1)),synq-$(call short_of,$(1)))))
main_of = $(wildcard $(1)/main.c)

modules := $(shell awk '!/^\#/ && NF { sub(":", "", $$1); print $$1 }' \
	libsynq/LAYERS)
# needs_NAME: the module and all it may reach, the highest layer first, as the
# linker wants them.
$(foreach line,$(shell awk '!/^\#/ && NF { m = $$1; sub(":", "", m); \
	all = m; for (i = 2; i <= NF; i++) all = all " " reach[$$i]; \
	reach[m] = all; at[++n] = m; split("", seen); out = ""; \
	k = split(all, x, " "); for (i = 1; i <= k; i++) seen[x[i]] = 1; \
	for (i = n; i > 0; i--) if (at[i] in seen) out = out "," at[i]; \
	print m out }' libsynq/LAYERS),\
	$(eval needs_$(firstword $(subst $(comma), ,$(line))) := \
	$(wordlist 2,99,$(subst $(comma), ,$(line)))))

lib_objects := $(patsubst %.c,$(O)/%.o,$(foreach m,$(modules),\
	$(wildcard libsynq/$(m)/*.c)))
lib := $(OUT)/libsynq.a
programs := $(foreach f,$(folders),$(if $(call main_of,$(f)),\
	$(call binary_of,$(f))))
benches := $(patsubst tests/bench/%.c,$(OUT)/bench/%,\
	$(wildcard tests/bench/*.c))
fuzzers := $(patsubst tests/fuzz/%.c,$(OUT)/fuzz/%,\
	$(wildcard tests/fuzz/fuzz_*.c))
simulator := $(OUT)/sim/sim
test_lib := $(OUT)/libtest.a
# A test program is tests/SUITE/FOLDER/test_*.c with the folder's other files.
SUITE ?= unit
suites := unit contract
test_sources := $(sort $(wildcard tests/$(SUITE)/*/test_*.c))
ifneq ($(T),)
test_sources := $(filter $(foreach t,$(subst $(comma), ,$(T)),\
	tests/$(SUITE)/$(t)/% tests/$(SUITE)/$(t).c),$(test_sources))
endif
test_programs := $(patsubst tests/%.c,$(OUT)/%,$(test_sources))

every_object := $(lib_objects) $(patsubst %.c,$(O)/%.o,$(foreach f,\
	$(folders),$(call sources_of,$(f))) $(sort $(wildcard \
	$(suites:%=tests/%/*/*.c) tests/lib/*.c tests/bench/*.c tests/fuzz/*.c \
	tests/fault/*.c tests/sim/*.c tests/tsan/*.c)))

.PHONY: all objects tidy deps unit contract sim sim-program coverage model \
	test-programs list-tests test check run bench fuzz fuzz-programs \
	fault-programs chaos tsan soak docs install clean
all: $(programs) $(lib)
objects: $(every_object)
tidy: $(every_object:.o=.tidy)
test-programs: $(test_programs)
fuzz-programs: $(fuzzers)
fault-programs: $(OUT)/fault/proxy $(OUT)/fault/results \
	$(OUT)/fault/interpose.so

# Installs what is missing; costs nothing when nothing is.  Nested makes know
# that it has been done.
deps:
ifeq ($(SYNQ_INSTALLED),)
	@compose/install run
endif

# ---- rules -----------------------------------------------------------------

# What is made appears under its name when it is whole, so that two makes may
# run at once.
$(O)/%.o: %.c Makefile | deps
	@mkdir -p $(@D)
	@echo "  cc    $<"
	@new=$@.$$$$; $(CC) $(compile_flags) -MMD -MP -MF $$new.d -MT $@ \
		-MT $(@:.o=.tidy) -c -o $$new $< && mv $$new.d $(@:.o=.d) && \
		mv $$new $@ || { rm -f $$new $$new.d; exit 1; }

# An unchanged file, headers included, is not linted twice.
$(O)/%.tidy: %.c .clang-tidy Makefile | deps
	@mkdir -p $(@D)
	@echo "  tidy  $<"
	@clang-tidy --quiet --warnings-as-errors='*' $< -- \
		$(filter-out -Werror,$(compile_flags)) >$@.log 2>&1 || \
		{ grep -A 2 'error: ' $@.log; echo "  (how it gets there:" \
		"$@.log)"; exit 1; }
	@rm -f $@.log
	@touch $@

# $(1) archive, $(2) objects.  Made anew, so that the object of a file that is
# gone does not linger.
define archive_rule
$(1): $(2)
	@mkdir -p $$(@D)
	@new=$$@.$$$$$$$$; ar rcs $$$$new $$(filter %.o,$$^) && mv $$$$new $$@
endef

# What lets the thread sanitizer see the threads of libraries.
tsan_threads := $(if $(filter thread,$(subst $(comma), ,$(SAN))),\
	$(O)/tests/tsan/threads.o)

# $(1) program, $(2) its objects and archives in the order of linking.
define link_rule
$(1): $(2) $(tsan_threads)
	@mkdir -p $$(@D)
	@echo "  ld    $$@"
	@new=$$@.$$$$$$$$; $$(CC) $$(link_flags) -o $$$$new \
		$$(filter %.o %.a,$$^) $$(libraries) $$(extra_libs) && \
		mv $$$$new $$@
endef

objects_in = $(patsubst %.c,$(O)/%.o,$(1))
module_archives = $(patsubst %,$(O)/libsynq/%.a,$(1))

$(eval $(call archive_rule,$(lib),$(lib_objects)))
$(foreach m,$(modules),$(eval $(call archive_rule,$(O)/libsynq/$(m).a,\
	$(call objects_in,$(wildcard libsynq/$(m)/*.c)))))
$(foreach f,$(folders),$(eval $(call archive_rule,\
	$(OUT)/lib$(call short_of,$(f)).a,$(call objects_in,\
	$(filter-out $(f)/main.c,$(call sources_of,$(f)))))))
$(foreach f,$(folders),$(if $(call main_of,$(f)),$(eval $(call link_rule,\
	$(call binary_of,$(f)),$(call objects_in,$(f)/main.c) \
	$(OUT)/lib$(call short_of,$(f)).a $(lib)))))
# The programs that serve have another heap (ADR 0009); sanitizers bring theirs.
ifeq ($(SAN),)
$(filter $(OUT)/synq-%,$(programs)): extra_libs = -Wl,--no-as-needed \
	$(shell pkg-config --libs jemalloc)
endif
$(eval $(call archive_rule,$(test_lib),\
	$(call objects_in,$(wildcard tests/lib/*.c))))
$(foreach b,$(benches),$(eval $(call link_rule,$(b),\
	$(b:$(OUT)/bench/%=$(O)/tests/bench/%.o) $(test_lib) $(lib))))

# A test of a module sees only the modules that LAYERS allows it, so that a
# wrong dependency does not link and a broken neighbour does not stop it.  A
# test of a program sees the program's files except main.c, and all of libsynq.
test_archives = $(if $(filter $(modules),$(1)),\
	$(call module_archives,$(needs_$(1))),\
	$(if $(filter $(1),$(short_names)),$(OUT)/lib$(call short_of,$(1)).a) \
	$(lib))
short_names := producer $(foreach f,$(folders),$(call short_of,$(f)))
folder_of_test = $(notdir $(patsubst %/,%,$(dir $(1))))
helpers_of_test = $(filter-out $(wildcard $(dir $(1))test_*.c),\
	$(wildcard $(dir $(1))*.c))
$(foreach t,$(test_sources),$(eval $(call link_rule,\
	$(t:tests/%.c=$(OUT)/%),$(call objects_in,$(t) \
	$(call helpers_of_test,$(t))) $(test_lib) \
	$(call test_archives,$(call folder_of_test,$(t))))))
$(test_programs): extra_libs = -lcmocka -ljson-c
# tests/lib/inject.c, which no test names.
$(test_programs): link_flags += -Wl,-u,inject_begin,--wrap=recv,--wrap=send

# Fuzzers are clang's: make fuzz builds them in a variant of their own.  They
# may use what the intake checks requests with.
$(foreach f,$(fuzzers),$(eval $(call link_rule,$(f),\
	$(f:$(OUT)/fuzz/%=$(O)/tests/fuzz/%.o) $(OUT)/libintake.a $(test_lib) \
	$(lib))))
$(fuzzers): link_flags += -fsanitize=fuzzer
$(fuzzers): extra_libs = -ljson-c

# What the fault tests put between the programs and in front of the C library.
$(foreach p,proxy results,$(eval $(call link_rule,$(OUT)/fault/$(p),\
	$(O)/tests/fault/$(p).o $(lib))))
$(O)/tests/fault/interpose.o: HARDEN := -fstack-protector-strong -fPIC
$(OUT)/fault/interpose.so: $(O)/tests/fault/interpose.o
	@mkdir -p $(@D)
	@$(CC) -shared -pthread -o $@ $<

# The dispatcher's objects as they are; only the kernel's randomness and the
# core's calls of the fair queue are led through the simulator.
sim_wraps := rand_system uuid_new $(addprefix fair_,push push_front pop finish \
	remove free)
$(eval $(call link_rule,$(simulator),$(call objects_in,\
	$(wildcard tests/sim/*.c)) $(OUT)/libdispatcher.a $(lib)))
$(simulator): link_flags += $(sim_wraps:%=-Wl,--wrap=synq_%)

# The other parser of HTTP is the one that Debian's package has the sources of.
llhttp := $(patsubst %,$(O)/llhttp/%.o,api http llhttp)
$(llhttp): $(O)/llhttp/%.o: /usr/share/llhttp/%.c
	@mkdir -p $(@D)
	@$(CC) -O1 -g -w -fPIE -DLLHTTP_STRICT_MODE=1 $(if $(SAN),-fsanitize=$(SAN)) \
		-isystem /usr/share/include/llhttp -c -o $@ $<
$(OUT)/fuzz/fuzz_http_oracle: $(llhttp)

-include $(patsubst %.o,%.d,$(wildcard $(O)/*/*.o $(O)/*/*/*.o $(O)/*/*/*/*.o))

# ---- doing -----------------------------------------------------------------

unit: deps
	@SYNQ_INSTALLED=1 tests/unit/run $(T)

contract: deps
	@SYNQ_INSTALLED=1 T=$(T) tests/run contract

# SEEDS=100000 FROM=1
sim: deps
	@SYNQ_INSTALLED=1 tests/sim/run

sim-program: $(simulator)

coverage: deps
	@SYNQ_INSTALLED=1 tests/coverage/run

list-tests:
	@printf '%s\n' $(test_programs)

test: deps
	@compose/install check
	@SYNQ_INSTALLED=1 tests/run

check:
	@compose/install all
	@SYNQ_INSTALLED=1 tests/check/run

run: deps
	@if [ ! -x compose/run ]; then echo "compose/run is missing" >&2; \
		exit 1; fi
	@SYNQ_INSTALLED=1 $(MAKE) --no-print-directory all
	@compose/run

bench: all $(benches)
	@compose/install bench
	@tests/bench/run $(subst $(comma), ,$(ROW))

model: deps
	@compose/install check
	@tests/model/run $(if $(LONG),long)

tsan: deps
	@compose/install check
	@SYNQ_INSTALLED=1 SAN=thread tests/unit/run $(T)
	@SYNQ_INSTALLED=1 tests/tsan/run

# Hours: every fuzzer for SOAK_S seconds, the long form of the other suites.
soak: deps
	@compose/install check
	@SYNQ_INSTALLED=1 tests/soak $(subst $(comma), ,$(PARTS))

fuzz: deps
	@compose/install check
	@SYNQ_INSTALLED=1 tests/fuzz/run

# Kept in the tree; tests/check/current-docs fails when they are stale.
docs: all
	@docs/generate $(OUT) docs

# LOAD: requests a second.  SLICE: begin no fault after so many seconds.
FAULTS ?= 200
SEED ?=
LOAD ?=
SLICE ?=
chaos: deps
	@compose/install check
	@SYNQ_INSTALLED=1 tests/fault/run --faults $(FAULTS) \
		$(if $(SEED),--seed $(SEED)) $(if $(LOAD),--rate $(LOAD)) \
		$(if $(SLICE),--seconds $(SLICE))

install: all
	@install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man
	@install -m 755 $(filter $(OUT)/synq%,$(programs)) \
		$(DESTDIR)$(PREFIX)/bin
	@for page in $(wildcard $(OUT)/man/*.[1-8] docs/man/*.[1-8]); do \
		install -Dm 644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}; \
	done
	@for sample in $(wildcard docs/*.sample); do \
		install -Dm 644 $$sample \
		$(DESTDIR)$(PREFIX)/share/synq/$${sample##*/}; \
	done
	@install -d $(DESTDIR)$(PREFIX)/share/synq/sql
	@install -m 644 $(wildcard schema/sql/*.sql) \
		$(DESTDIR)$(PREFIX)/share/synq/sql

clean:
	rm -rf build
