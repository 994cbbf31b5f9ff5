/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm/remedy.c - preloaded into User Mode Linux on processors with more registers than it knows.
 *
 * UML (6.1 at least) keeps 832 bytes of extended state for each of its tasks: x87, SSE, AVX. Where the
 * processor has more (protection keys, AVX-512, AMX) the host refuses such a short buffer when the state is
 * written back, and UML aborts. So here the whole state is read, UML gets the part that it has room for,
 * and the rest is kept aside under the address of UML's buffer, with a stamp in bytes of the buffer that
 * processors leave to software. Written back, both are put together; a buffer without the right stamp was
 * copied (fork, exec), and what lies behind AVX then starts anew.
 */
#include <cpuid.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define GETREGSET 0x4204
#define SETREGSET 0x4205
#define XSTATE 0x202
#define LEGACY 576 /* FXSAVE area and header: less is no extended state */
#define FEATURES 512 /* XSTATE_BV, the first word of the header */
#define STAMP 496
#define STATE_MAX 16384
#define FEATURES_MAX 63

#define RECORDS 32768u
struct record {
	uint64_t key; /* UML's buffer; 0: free */
	uint64_t stamp;
	uint32_t len;
	unsigned char rest[12288];
};

static struct record *records;
static uint64_t last_stamp;
static size_t state_len;
static uint32_t ends[FEATURES_MAX]; /* of each feature in the area; 0: not there */
static unsigned char state[STATE_MAX] __attribute__((aligned(64)));

long ptrace(int request, ...);

static int prepare(void)
{
	if (records)
		return 0;
	void *p = mmap(NULL, RECORDS * sizeof(struct record), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -1;
	records = p;
	for (unsigned i = 3; i < FEATURES_MAX; i++) {
		unsigned size, offset, flags, none;

		__cpuid_count(0xd, i, size, offset, flags, none);
		ends[i] = size && !(flags & 1) ? offset + size : 0;
	}
	return 0;
}

static struct record *find(uint64_t key)
{
	uint64_t hash = (key >> 4) * 0x9E3779B97F4A7C15u >> 49;

	for (unsigned i = 0; i < RECORDS; i++) {
		struct record *r = &records[(hash + i) % RECORDS];

		if (!r->key)
			r->key = key;
		if (r->key == key)
			return r;
	}
	return NULL;
}

static long get_state(long pid, struct iovec *to)
{
	struct iovec whole = { state, sizeof(state) };

	if (syscall(SYS_ptrace, GETREGSET, pid, XSTATE, &whole) < 0)
		return -1;
	state_len = whole.iov_len;
	size_t len = to->iov_len < state_len ? to->iov_len : state_len;
	if (len >= LEGACY && len < state_len) {
		struct record *r = find((uintptr_t)to->iov_base);
		size_t end = len;
		uint64_t features;

		memcpy(&features, state + FEATURES, sizeof(features));
		for (unsigned i = 3; i < FEATURES_MAX; i++)
			if (features >> i & 1 && ends[i] > end)
				end = ends[i];
		if (r && end - len <= sizeof(r->rest)) {
			r->stamp = ++last_stamp;
			r->len = (uint32_t)(end - len);
			memcpy(r->rest, state + len, r->len);
			memcpy(state + STAMP, &r->stamp, sizeof(r->stamp));
		}
	}
	memcpy(to->iov_base, state, len);
	to->iov_len = len;
	return 0;
}

static long set_state(long pid, const struct iovec *from)
{
	struct iovec whole = { state, state_len };
	const struct record *r = find((uintptr_t)from->iov_base);
	size_t len = from->iov_len;
	uint64_t features, stamp;

	memset(state, 0, state_len);
	memcpy(state, from->iov_base, len);
	memcpy(&stamp, state + STAMP, sizeof(stamp));
	memcpy(&features, state + FEATURES, sizeof(features));
	if (r && stamp && r->stamp == stamp) {
		memcpy(state + len, r->rest, r->len);
	} else {
		for (unsigned i = 3; i < FEATURES_MAX; i++)
			if (!ends[i] || ends[i] > len)
				features &= ~(1ull << i);
		memcpy(state + FEATURES, &features, sizeof(features));
	}
	return syscall(SYS_ptrace, SETREGSET, pid, XSTATE, &whole);
}

long ptrace(int request, ...)
{
	va_list args;

	va_start(args, request);
	long pid = va_arg(args, long);
	void *addr = va_arg(args, void *), *data = va_arg(args, void *);
	va_end(args);
	if ((request == GETREGSET || request == SETREGSET) && (uintptr_t)addr == XSTATE && prepare() == 0) {
		const struct iovec *v = data;

		if (request == GETREGSET)
			return get_state(pid, data);
		if (state_len && v->iov_len >= LEGACY && v->iov_len < state_len)
			return set_state(pid, data);
	}
	if (request >= 1 && request <= 3) { /* PEEK*: the word is the return value */
		long word;

		if (syscall(SYS_ptrace, request, pid, addr, &word) < 0)
			return -1;
		errno = 0;
		return word;
	}
	return syscall(SYS_ptrace, request, pid, addr, data);
}
