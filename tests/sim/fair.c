/*
 * The fair queue under watch: the linker leads the core's calls of it through
 * here (--wrap).  No organization that may run waits longer than one turn of
 * each other one of its class; batch gets every ninth turn; and nothing that
 * may run is left standing.
 *
 * Randomness of the kernel is replaced in the same way, so that a seed says
 * everything.
 */

#include <string.h>

#include "limit/fair.h"
#include "tests/sim/sim.h"

#define BATCH_EVERY 9

struct tenant_watch {
	int queued[2];
	int waited[2]; /* pops of its class by others while it might run */
	int in_flight;
};

/* One queue's shadow. */
struct watch {
	const struct synq_fair *fair;
	struct tenant_watch tenants[ORGS_MAX];
	int since_batch;
};

static struct watch watches[NODES_MAX];

void __real_synq_fair_push(struct synq_fair *fair,
    const struct synq_uuid *tenant, struct synq_fair_item *item,
    enum synq_fair_class class, uint32_t cost);
void __real_synq_fair_push_front(struct synq_fair *fair,
    const struct synq_uuid *tenant, struct synq_fair_item *item,
    enum synq_fair_class class, uint32_t cost);
struct synq_fair_item *__real_synq_fair_pop(struct synq_fair *fair);
void __real_synq_fair_finish(
    struct synq_fair *fair, struct synq_fair_item *item);
void __real_synq_fair_remove(
    struct synq_fair *fair, struct synq_fair_item *item);
void __real_synq_fair_free(struct synq_fair **fair);
void __wrap_synq_fair_push(struct synq_fair *fair,
    const struct synq_uuid *tenant, struct synq_fair_item *item,
    enum synq_fair_class class, uint32_t cost);
void __wrap_synq_fair_push_front(struct synq_fair *fair,
    const struct synq_uuid *tenant, struct synq_fair_item *item,
    enum synq_fair_class class, uint32_t cost);
struct synq_fair_item *__wrap_synq_fair_pop(struct synq_fair *fair);
void __wrap_synq_fair_finish(
    struct synq_fair *fair, struct synq_fair_item *item);
void __wrap_synq_fair_remove(
    struct synq_fair *fair, struct synq_fair_item *item);
void __wrap_synq_fair_free(struct synq_fair **fair);
void __wrap_synq_rand_system(void *ret, size_t bytes);
struct synq_uuid __wrap_synq_uuid_new(int64_t wall_us);

void
fair_reset(void)
{
	memset(watches, 0, sizeof(watches));
}

static struct watch *
watch_of(const struct synq_fair *fair)
{
	struct watch *unused = NULL;

	for (int i = 0; i < NODES_MAX; i++) {
		if (watches[i].fair == fair)
			return &watches[i];
		if (watches[i].fair == NULL)
			unused = &watches[i];
	}
	memset(unused, 0, sizeof(*unused));
	unused->fair = fair;
	return unused;
}

static struct tenant_watch *
tenant_of(struct watch *watch, const struct synq_uuid *id)
{
	return &watch->tenants[id->bytes[15] - 1];
}

static struct tenant_watch *
tenant_of_item(struct watch *watch, struct synq_fair_item *item)
{
	return tenant_of(watch, &work_of_fair(item)->request.organization_id);
}

static int
may_run(const struct tenant_watch *tenant, int class)
{
	return tenant->queued[class] > 0 &&
	       tenant->in_flight < (int)sim_now->traits.org_in_flight;
}

static int
any_may_run(const struct watch *watch, int class)
{
	for (int i = 0; i < ORGS_MAX; i++)
		if (may_run(&watch->tenants[i], class))
			return 1;
	return 0;
}

void
__wrap_synq_fair_push(struct synq_fair *fair, const struct synq_uuid *tenant,
    struct synq_fair_item *item, enum synq_fair_class class, uint32_t cost)
{
	tenant_of(watch_of(fair), tenant)->queued[class]++;
	__real_synq_fair_push(fair, tenant, item, class, cost);
}

void
__wrap_synq_fair_push_front(struct synq_fair *fair,
    const struct synq_uuid *tenant, struct synq_fair_item *item,
    enum synq_fair_class class, uint32_t cost)
{
	tenant_of(watch_of(fair), tenant)->queued[class]++;
	__real_synq_fair_push_front(fair, tenant, item, class, cost);
}

static void
watch_pop(struct watch *watch, struct synq_fair_item *item)
{
	struct tenant_watch *served = tenant_of_item(watch, item);
	const int class = (int)item->class;

	for (int i = 0; i < ORGS_MAX; i++) {
		struct tenant_watch *tenant = &watch->tenants[i];

		if (!may_run(tenant, class) || tenant == served)
			tenant->waited[class] = 0;
		else if (++tenant->waited[class] > sim_now->traits.org_count)
			check_fail(sim_now,
			    "organization %d waits while others run", i);
	}
	if (class == SYNQ_FAIR_BATCH || !any_may_run(watch, SYNQ_FAIR_BATCH))
		watch->since_batch = 0;
	else if (++watch->since_batch > BATCH_EVERY)
		check_fail(sim_now, "batch waits while interactive runs");
	served->queued[class]--;
	served->in_flight++;
	if (served->in_flight == (int)sim_now->traits.org_in_flight)
		memset(served->waited, 0, sizeof(served->waited));
	if (served->in_flight > (int)sim_now->traits.org_in_flight)
		check_fail(sim_now, "an organization is above its cap");
}

struct synq_fair_item *
__wrap_synq_fair_pop(struct synq_fair *fair)
{
	struct watch *watch = watch_of(fair);
	struct synq_fair_item *item = __real_synq_fair_pop(fair);

	if (item != NULL)
		watch_pop(watch, item);
	else if (any_may_run(watch, SYNQ_FAIR_INTERACTIVE) ||
		 any_may_run(watch, SYNQ_FAIR_BATCH))
		check_fail(sim_now, "the queue hides what may run");
	return item;
}

void
__wrap_synq_fair_finish(struct synq_fair *fair, struct synq_fair_item *item)
{
	tenant_of_item(watch_of(fair), item)->in_flight--;
	__real_synq_fair_finish(fair, item);
}

void
__wrap_synq_fair_remove(struct synq_fair *fair, struct synq_fair_item *item)
{
	struct tenant_watch *tenant = tenant_of_item(watch_of(fair), item);

	/* Whoever leaves the ring comes back at its end. */
	if (--tenant->queued[item->class] == 0)
		tenant->waited[item->class] = 0;
	__real_synq_fair_remove(fair, item);
}

void
__wrap_synq_fair_free(struct synq_fair **fair)
{
	if (*fair != NULL)
		watch_of(*fair)->fair = NULL;
	__real_synq_fair_free(fair);
}

void
__wrap_synq_rand_system(void *ret, size_t bytes)
{
	memset(ret, 42, bytes);
}

struct synq_uuid
__wrap_synq_uuid_new(int64_t wall_us)
{
	struct synq_uuid id = { { 0 } };
	uint64_t number = ++sim_now->ids;

	(void)wall_us;
	id.bytes[0] = 0xcc;
	for (int i = 0; i < 8; i++, number >>= 8)
		id.bytes[15 - i] = (uint8_t)number;
	return id;
}
