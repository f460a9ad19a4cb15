# The front door; Meson and ninja do the work. `make help` lists the targets.
#
#   BUILD=dir    everything is built below this folder (default: build)
#   PREFIX=dir   where to install, now and later (at first: /usr/local); DESTDIR=dir comes before it
#   WERROR=1     warnings are errors, in a build directory that is set up now
#   TEST=words   more arguments for `meson test`: names of tests, --suite core, --repeat 100
#   SUITES=words  of `make check-python`: own, cpython, uvloop, leaks; agnostic is a part of cpython
#   BENCH=words  more arguments for bench/run: questions, --quick, --markdown
#   SECONDS=n    how long each target is fuzzed (default: 10)
#   CC=clang     another compiler, likewise for a new build directory
BUILD ?= build
TEST ?=
SUITES ?= own cpython uvloop leaks
SECONDS ?= 10
TSAN_CC ?= clang

SETUP = meson setup $(if $(WERROR),--werror)
# The sanitizers leave symbols of their runtime open in a shared library.
SANITIZE = $(SETUP) -Db_lundef=false -Db_sanitize
# Thread sanitizer wants a plain address space; not every container grants one.
PLAIN = $(shell setarch -R true 2>/dev/null && echo setarch -R)

.DEFAULT_GOAL := build
.NOTPARALLEL:
.PHONY: build lib python demo check check-thorough check-clang check-asan check-tsan check-valgrind check-uring \
	check-aarch64 check-riscv64 check-musl check-cross check-packages check-python check-all fuzz bench bench-python docs single tidy format install \
	uninstall clean help

build: $(BUILD)/release/build.ninja  ## build the library, the examples and the tests
	@ninja -C $(BUILD)/release

# PREFIX is the build directory's, since pkg-config's files name it.
lib: $(BUILD)/release/build.ninja  ## build the libraries only
	@$(if $(PREFIX),meson configure $(BUILD)/release -Dprefix=$(abspath $(PREFIX)))
	@ninja -C $(BUILD)/release lib

python: deps-python $(BUILD)/release/build.ninja  ## build the Python package libasyncio, in build/release/python
	@tools/python-package $(BUILD)/release

demo: build  ## run the first five examples, with a word on each
	@tools/demo $(BUILD)/release

check: deps-check $(BUILD)/release/build.ninja  ## run the test suite
	@tools/suite $(BUILD)/release $(TEST)

check-thorough: deps-check $(BUILD)/release/build.ninja  ## the suite with 1,000 seeds for each model test
	@tools/suite $(BUILD)/release --setup thorough $(TEST)

check-clang: deps-check $(BUILD)/clang/build.ninja  ## the suite, compiled by clang
	@tools/suite $(BUILD)/clang $(TEST)

check-asan: deps-check $(BUILD)/asan/build.ninja  ## under the address and undefined-behaviour sanitizers
	@tools/suite $(BUILD)/asan --setup sanitizer $(TEST)

check-tsan: deps-sanitizers $(BUILD)/tsan/build.ninja  ## under the thread sanitizer
	@$(PLAIN) tools/suite $(BUILD)/tsan --setup sanitizer $(TEST)

check-valgrind: deps-check $(BUILD)/release/build.ninja  ## under Valgrind
	@tools/suite $(BUILD)/release --setup valgrind $(TEST)

check-aarch64: deps-cross $(BUILD)/aarch64/build.ninja  ## the heart of it on AArch64, emulated
	@tools/suite $(BUILD)/aarch64 --setup emulator --suite sys --suite core --suite sync $(TEST)

check-riscv64: deps-cross $(BUILD)/riscv64/build.ninja  ## the context switch on RISC-V 64, emulated
	@tools/suite $(BUILD)/riscv64 --setup emulator --suite sys $(TEST)

# Where calls are dear streams begin with completions; where they cost 700 ns streams turn to and fro. A kernel
# that denies io_uring (77) would have all of it run on epoll.
check-uring: deps-check $(BUILD)/release/build.ninja  ## on io_uring, and with each of its features left out
	@ninja -C $(BUILD)/release tests/fd-traffic
	@why=$$($(BUILD)/release/tests/fd-traffic 2>&1); \
	if [ $$? = 77 ]; then echo "NO suite was run on io_uring: $$why"; exit 0; fi; \
	status=0; for as in 2000, 700, 2000,receive 2000,send 2000,accept 2000,receive,send,accept 2000,files; do \
	    echo "io_uring, a call taken to cost $${as%%,*} ns, without '$${as#*,}'"; \
	    ASYNCIO_BACKEND=io_uring ASYNCIO_URING_CALL_NS=$${as%%,*} ASYNCIO_URING_WITHOUT=$${as#*,} \
	        tools/suite $(BUILD)/release \
	        --suite sys --suite backend --suite core --suite sync --suite threads \
        --suite fd --suite net --suite process --suite run --suite tls $(TEST) || status=1; \
	done; exit $$status

check-musl: deps-musl $(BUILD)/musl/build.ninja  ## the suite with musl, Alpine's C library
	@tools/suite $(BUILD)/musl --setup musl $(TEST)

check-cross: check-aarch64 check-riscv64  ## both

check-packages: deps-packages lib  ## make each package, and use it as its users would (TEST=names)
	@tests/packages/run $(BUILD) $(TEST)

# It passes without what is not to be had, and says so.
check-python: $(BUILD)/release/build.ninja  ## Python's tests on the package libasyncio (SUITES, TEST=modules)
	@tools/install-deps python python-tests || echo 'going on without'
	@tools/python-package $(BUILD)/release || echo 'going on without'
	$(if $(filter leaks,$(SUITES)),@tools/python-package $(BUILD)/python-dbg python3-dbg || echo 'going on without')
	@python/tests/check $(BUILD) $(SUITES) -- $(TEST)

# Goes on after a failure, and adds everything up at the end.
CHECKS = check-thorough check-clang check-asan check-tsan check-valgrind check-uring check-musl check-aarch64 check-riscv64 \
	check-packages check-python
LOGS = release/meson-logs/testlog-thorough clang/meson-logs/testlog asan/meson-logs/testlog-sanitizer \
	tsan/meson-logs/testlog-sanitizer release/meson-logs/testlog-valgrind \
	musl/meson-logs/testlog-musl aarch64/meson-logs/testlog-emulator riscv64/meson-logs/testlog-emulator \
	packages/testlog python/testlog

check-all:  ## all of the checks above
	@rm -f $(LOGS:%=$(BUILD)/%.json)
	@$(MAKE) --keep-going $(CHECKS); status=$$?; \
	tools/summarise $(LOGS:%=$(BUILD)/%.json) && exit $$status

fuzz: deps-fuzz $(BUILD)/fuzz/build.ninja  ## let clang look for bytes that break a parser (TEST=names of targets)
	@tools/fuzz $(BUILD)/fuzz $(SECONDS) $(TEST)

bench: deps-bench $(BUILD)/release/build.ninja  ## measure, with the peers beside it
	@bench/run $(BUILD)/release $(BENCH)

bench-python: deps-python deps-bench-python $(BUILD)/release/build.ninja  ## the Python package beside asyncio and uvloop
	@tools/python-package $(BUILD)/release
	@python/bench/run $(BUILD)/release $(BENCH)

docs: deps-docs  ## the guide and the reference as web pages, in build/docs
	@tools/docs $(BUILD)/docs

single:  ## the library as one source and one header, in build/single
	@tools/single $(BUILD)/single
	@wc -l $(BUILD)/single/*

tidy:  ## check layers, banned calls, sizes and looks (also part of the suite)
	@tools/tidy

# Public headers and examples are laid out by hand: they are read more than compiled.
format: deps-format  ## lay out the C sources by .clang-format
	@tools/tidy --laid-out | xargs clang-format -i

install: lib  ## install libraries, headers and manual pages (below PREFIX; DESTDIR is honoured)
	@meson install -C $(BUILD)/release --no-rebuild
	@[ -n "$(DESTDIR)" ] || ldconfig

uninstall: lib  ## remove what install has put there (PREFIX and DESTDIR as then)
	@DESTDIR="$(DESTDIR)" tools/uninstall $(BUILD)/release
	@[ -n "$(DESTDIR)" ] || ldconfig

clean:  ## remove everything that was built
	rm -rf $(BUILD)

help:  ## this table
	@awk -F ':.*  ## ' '/^[a-z0-9-]+:.*  ## / { printf "%-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# ---- Build directories, set up once --------------------------------------------
deps-%:
	@tools/install-deps $*

$(BUILD)/release/build.ninja: | deps-build
	@$(SETUP) $(@D)

$(BUILD)/clang/build.ninja: | deps-check
	@CC=clang $(SETUP) $(@D)

$(BUILD)/asan/build.ninja: | deps-build
	@$(SANITIZE)=address,undefined $(@D)

$(BUILD)/tsan/build.ninja: | deps-sanitizers
	@CC=$(TSAN_CC) $(SANITIZE)=thread $(@D)

$(BUILD)/fuzz/build.ninja: | deps-fuzz
	@CC=clang $(SANITIZE)=address,undefined -Dfuzz=true $(@D)

$(BUILD)/aarch64/build.ninja $(BUILD)/riscv64/build.ninja: | deps-cross
$(BUILD)/musl/build.ninja: | deps-musl
$(BUILD)/%/build.ninja: tools/cross/%.ini
	@$(SETUP) --cross-file $< -Dpkg_config_path=$(CURDIR)/build/cross/$*/lib/pkgconfig \
		-Dc_args=-idirafter$(CURDIR)/build/cross/$*/include $(@D)
