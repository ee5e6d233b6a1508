/*
 * The C library's C11 threads by way of POSIX threads, for programs under the
 * thread sanitizer, which sees only the latter: a thread that librdkafka makes
 * with thrd_create would be none to it and die at its first allocation, and
 * what mtx_lock orders would look like a race.
 *
 * Linked into every program built with SAN=thread; the linker lets libraries
 * find these before the C library's.  glibc's types are those of POSIX in an
 * opaque wrapping, which is asserted.
 */

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t), "mtx_t");
_Static_assert(sizeof(cnd_t) == sizeof(pthread_cond_t), "cnd_t");
_Static_assert(sizeof(once_flag) == sizeof(pthread_once_t), "once_flag");
_Static_assert(sizeof(thrd_t) == sizeof(pthread_t), "thrd_t");

struct beginning {
	thrd_start_t run;
	void *ctx;
};

static pthread_mutex_t *
mutex_of(mtx_t *mutex)
{
	void *same = mutex;

	return same;
}

static pthread_cond_t *
cond_of(cnd_t *cond)
{
	void *same = cond;

	return same;
}

static int
answer(int rc)
{
	switch (rc) {
	case 0:
		return thrd_success;
	case EBUSY:
		return thrd_busy;
	case ETIMEDOUT:
		return thrd_timedout;
	case ENOMEM:
	case EAGAIN:
		return thrd_nomem;
	default:
		return thrd_error;
	}
}

static void *
begin(void *ctx)
{
	struct beginning beginning = *(struct beginning *)ctx;

	free(ctx);
	return (void *)(intptr_t)beginning.run(beginning.ctx);
}

int
thrd_create(thrd_t *ret_thread, thrd_start_t run, void *ctx)
{
	struct beginning *beginning = malloc(sizeof(*beginning));
	int rc;

	if (beginning == NULL)
		return thrd_nomem;
	*beginning = (struct beginning){ .run = run, .ctx = ctx };
	rc = pthread_create(ret_thread, NULL, begin, beginning);
	if (rc != 0)
		free(beginning);
	return answer(rc);
}

int
thrd_join(thrd_t thread, int *ret_result)
{
	void *result;
	int rc = pthread_join(thread, &result);

	if (rc == 0 && ret_result != NULL)
		*ret_result = (int)(intptr_t)result;
	return answer(rc);
}

int
mtx_init(mtx_t *mutex, int type)
{
	pthread_mutexattr_t kind;
	int rc;

	pthread_mutexattr_init(&kind);
	if (type & mtx_recursive)
		pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE);
	rc = pthread_mutex_init(mutex_of(mutex), &kind);
	pthread_mutexattr_destroy(&kind);
	return answer(rc);
}

int
mtx_lock(mtx_t *mutex)
{
	return answer(pthread_mutex_lock(mutex_of(mutex)));
}

int
mtx_unlock(mtx_t *mutex)
{
	return answer(pthread_mutex_unlock(mutex_of(mutex)));
}

void
mtx_destroy(mtx_t *mutex)
{
	pthread_mutex_destroy(mutex_of(mutex));
}

int
cnd_init(cnd_t *cond)
{
	return answer(pthread_cond_init(cond_of(cond), NULL));
}

int
cnd_signal(cnd_t *cond)
{
	return answer(pthread_cond_signal(cond_of(cond)));
}

int
cnd_broadcast(cnd_t *cond)
{
	return answer(pthread_cond_broadcast(cond_of(cond)));
}

int
cnd_wait(cnd_t *cond, mtx_t *mutex)
{
	return answer(pthread_cond_wait(cond_of(cond), mutex_of(mutex)));
}

int
cnd_timedwait(
    cnd_t *restrict cond, mtx_t *restrict mutex, const struct timespec *until)
{
	return answer(
	    pthread_cond_timedwait(cond_of(cond), mutex_of(mutex), until));
}

void
cnd_destroy(cnd_t *cond)
{
	pthread_cond_destroy(cond_of(cond));
}

void
call_once(once_flag *flag, void (*run)(void))
{
	void *same = flag;

	pthread_once(same, run);
}
