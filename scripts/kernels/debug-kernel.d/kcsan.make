# SPDX-License-Identifier: GPL-2.0-only
#
# For make.  The kernel has data races of its own, in which ours would drown: only
# the module is watched, and the kernel's files that touch its memory.  The rest
# tells of its barriers, without which the watched code would seem to have none;
# but the vDSO is no part of the kernel.
KCSAN_SANITIZE=n
KCSAN_SANITIZE_fcntl.o=y
KCSAN_SANITIZE_iov_iter.o=y
KCSAN_SANITIZE_usercopy.o=y
KCSAN_INSTRUMENT_BARRIERS=y
KCSAN_INSTRUMENT_BARRIERS_vclock_gettime.o=n
KCSAN_INSTRUMENT_BARRIERS_vgetcpu.o=n
