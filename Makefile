# SPDX-License-Identifier: GPL-2.0-only
#
# make               the module for the running kernel, and the tools
# make demo          the queue at work
# make check         every test; ends with "N passed, N failed"
# make check-debug   the tests again in kernels that watch themselves
# make check-kernels the module built for the kernels that Debian has, and tried in them
#                    (ARGS=--help: options)
# make lint          format and static checks of what changed, in seconds
# make quick         the tests that matter for what changed, in two minutes
#                    (both: BASE=REV for all that changed since REV)
# make help          the rest

KVER    ?= $(shell uname -r)
KDIR    ?= /lib/modules/$(KVER)/build
PREFIX  ?= /usr/local
# Where the module is built; holds Kbuild, dkms.conf and kmod/.
SRC     ?= $(CURDIR)
PARAMS  ?=

SUDO    := $(if $(filter 0,$(shell id -u)),,sudo)
MOUNT   := /dev/mpmcqfs
MODDIR  := $(DESTDIR)/lib/modules/$(KVER)/updates

# A kernel built by clang takes only modules built by clang.
ifeq ($(origin LLVM),undefined)
ifneq ($(shell grep -qs '^CONFIG_CC_IS_CLANG=y' $(KDIR)/include/config/auto.conf $(KDIR)/.config && echo y),)
export LLVM := 1
endif
endif

all: modules userspace

help:
	@sed -n '3,/^$$/s/^# //p' Makefile
	@echo 'make modules       the module for KVER=$(KVER), with headers in KDIR=$(KDIR)'
	@echo 'make userspace     the tools, into build/userspace'
	@echo 'make install       module, tools, manual pages, udev rule, mount unit; also uninstall,'
	@echo '                   which unloads the module first (DESTDIR, PREFIX)'
	@echo 'make load          load the module, with PARAMS="capacity=N msg_size=N", and mount'
	@echo '                   /dev/mpmcqfs; also unload, which unmounts it, and frees the queues there'
	@echo 'make shell         a shell in a virtual machine that has the module loaded'
	@echo 'make bench         this queue beside pipes, message queues, sockets, a ring in shared memory:'
	@echo '                   tables, build/bench/bench.json, plots; a quarter of an hour. ARGS=--quick:'
	@echo '                   a minute or two; ARGS=--help: the rest. In a virtual machine; on this one'
	@echo '                   with NATIVE=1, where the module is loaded'
	@echo '                   (build/userspace/bench-recover, bench-queues: killed workers, many queues)'
	@echo '                   (userspace/bench/bench-command: send and receive, and who waits)'
	@echo 'make bench-exact   instructions per message, the same each time, also in'
	@echo '                   build/bench/exact.json'
	@echo 'make bench-ring    the ring alone, natively, beside ck, DPDK, moodycamel, boost.lockfree'
	@echo '                   and Vyukov; also into build/bench/ring.json (ARGS=--help: options)'
	@echo 'make vm-module     the module for another kernel, in build/KVER'
	@echo 'make clean'

# The command that brings the headers, by the distribution.
headers_from = $(shell . /etc/os-release 2>/dev/null; case " $$ID $$ID_LIKE " in \
	(*' debian '*) echo 'sudo apt-get install linux-headers-$(KVER)' ;; \
	(*' fedora '* | *' rhel '*) echo 'sudo dnf install kernel-devel-$(KVER)' ;; \
	(*suse*) echo 'sudo zypper install kernel-devel' ;; \
	(*' arch '*) echo 'sudo pacman -S linux-headers' ;; \
	(*) echo 'install the package with the headers of this kernel' ;; esac)

headers:
	@test -e $(KDIR)/Makefile || { \
		echo 'mpmcq: no kernel headers for $(KVER) in $(KDIR): $(headers_from) (or set KDIR)' >&2; \
		exit 1; }
	@release=$$(cat $(KDIR)/include/config/kernel.release 2>/dev/null || echo 5.10); \
	[ "$$(printf '5.10\n%s\n' "$$release" | sort -V | head -n 1)" = 5.10 ] || { \
		echo "mpmcq: Linux $$release is too old, 5.10 is the oldest: make KVER=VERSION" \
			'(ls /lib/modules)' >&2; \
		exit 1; }

modules: headers
	$(MAKE) -C $(KDIR) M=$(SRC) modules

clean-modules: headers
	$(MAKE) -C $(KDIR) M=$(SRC) clean

vm-module:
	@mkdir -p build/$(KVER)
	@cp -ru Kbuild dkms.conf kmod build/$(KVER)/
	+@$(MAKE) --no-print-directory modules SRC=$(CURDIR)/build/$(KVER)

userspace:
	$(MAKE) -C userspace

# Installs what "make" has built; compiles nothing as root.
install: headers
	@test -e $(SRC)/mpmcq.ko || { echo 'mpmcq: nothing built yet: run make first' >&2; exit 1; }
	$(MAKE) -C $(KDIR) M=$(SRC) INSTALL_MOD_PATH=$(DESTDIR) INSTALL_MOD_DIR=updates \
		DEPMOD=true modules_install
	$(if $(DESTDIR),,depmod $(KVER))
	$(MAKE) -C userspace install

# Removes nothing if the module is in use.
uninstall:
ifeq ($(DESTDIR)$(KVER),$(shell uname -r))
	@[ ! -d /sys/module/mpmcq ] || $(MAKE) --no-print-directory unload
endif
	rm -f $(MODDIR)/mpmcq.ko $(MODDIR)/mpmcq.ko.*
	$(if $(DESTDIR),,depmod $(KVER))
	$(MAKE) -C userspace uninstall

load:
	@if [ -d /sys/module/mpmcq ]; then \
		echo 'mpmcq: already loaded: make unload first' >&2; exit 1; \
	elif [ -e mpmcq.ko ]; then \
		echo 'insmod mpmcq.ko $(PARAMS)'; $(SUDO) insmod ./mpmcq.ko $(PARAMS); \
	else \
		echo 'modprobe mpmcq $(PARAMS)'; $(SUDO) modprobe mpmcq $(PARAMS); \
	fi
	$(SUDO) mkdir -p $(MOUNT)
	$(SUDO) mount -t mpmcqfs mpmcqfs $(MOUNT) \
		-o nosuid,noexec,mode=1775$$(getent group mpmcq >/dev/null && echo ,gid=mpmcq)

# Why the module stays.
holders := { echo 'mpmcq: in use, end these and try again:'; $(SUDO) scripts/machine/holders; } >&2

unload:
	@[ -d /sys/module/mpmcq ] || { echo 'mpmcq: not loaded' >&2; exit 1; }
	@! grep -q '^[^ ]* $(MOUNT) mpmcqfs ' /proc/mounts || { \
		echo 'umount $(MOUNT)'; $(SUDO) umount $(MOUNT) || { $(holders); exit 1; }; }
	@echo 'rmmod mpmcq'
	@$(SUDO) rmmod mpmcq || { $(holders); exit 1; }

demo:
	@scripts/machine/demo

shell:
	@scripts/machine/setup vm
	@$(MAKE) --no-print-directory -s userspace
	@scripts/machine/vm --shell || [ $$? -lt 124 ]	# the status of the last command typed

bench:
	@scripts/machine/bench $(if $(NATIVE),--native) -- $(ARGS)

bench-exact:
	@scripts/machine/setup vm
	@$(MAKE) --no-print-directory -s userspace
	@mkdir -p build/bench
	@rm -f build/bench/exact.json
	@scripts/machine/vm --icount --data build/bench/exact.json -- \
		build/userspace/bench-exact --output /dev/data $(ARGS)

bench-ring:
	@scripts/machine/setup bench-ring
	@$(MAKE) --no-print-directory -s -C userspace/bench-ring
	@mkdir -p build/bench
	@build/bench-ring/bench-ring --json build/bench/ring.json $(ARGS)

check:
	@scripts/checks/check

check-debug:
	@scripts/checks/check --debug

check-kernels:
	@scripts/kernels/check-kernels $(ARGS)

lint:
	@scripts/checks/lint

quick:
	@scripts/checks/quick $(ARGS)

clean:
	rm -rf build
	rm -f *.ko *.mod *.mod.c *.o .*.o .*.cmd kmod/*.o kmod/.*.cmd modules.order Module.symvers

.PHONY: all help headers modules clean-modules vm-module userspace install uninstall load unload
.PHONY: demo shell bench bench-exact bench-ring check check-debug check-kernels lint quick clean
