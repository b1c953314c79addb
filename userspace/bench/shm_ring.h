/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A ring of messages in shared memory; sleeps on and wakes by futexes
 */
#ifndef SHM_RING_H
#define SHM_RING_H

#include <stdbool.h>
#include <stddef.h>

struct shm_ring;

/* A power of two messages, from 2 on; NULL and errno on failure. */
struct shm_ring *shm_ring_new(unsigned int capacity, size_t size);
void shm_ring_free(struct shm_ring *r);

/* False if the ring is full, or empty; *@length is the message's.  @calls: see below. */
bool shm_ring_try_send(struct shm_ring *r, const void *message, size_t length,
		       unsigned long *calls);
bool shm_ring_try_receive(struct shm_ring *r, void *message, size_t *length,
			  unsigned long *calls);

/* Wait as long as it takes; add to *@calls the system calls that this took. */
void shm_ring_send(struct shm_ring *r, const void *message, size_t length,
		   unsigned long *calls);
size_t shm_ring_receive(struct shm_ring *r, void *message, unsigned long *calls);

#endif /* SHM_RING_H */
