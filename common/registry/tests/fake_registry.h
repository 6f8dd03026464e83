/* A registry for tests: serves the built-in schemas to everyone, a tenant's type "visit" to "acme"
 * only, and can be told to misbehave.
 *
 * Threads: the test's; the server has its own. */
#ifndef TG_REGISTRY_TESTS_FAKE_REGISTRY_H
#define TG_REGISTRY_TESTS_FAKE_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#define FAKE_SECRET "0123456789abcdef"

/* Schema ids: "order" version 1 and 2, "visit", one whose schema does not compile, and "plain", a
 * record without roles. */
enum { FAKE_ORDER_1 = 1, FAKE_ORDER_2 = 2, FAKE_VISIT = 3, FAKE_BROKEN = 4, FAKE_PLAIN = 5 };

typedef struct fake_registry fake_registry_t;

/* On a free port, or on `port` again. */
fake_registry_t *fake_registry_open(uint16_t port);
void fake_registry_close(fake_registry_t *registry);
uint16_t fake_registry_port(const fake_registry_t *registry);

void fake_registry_fail(fake_registry_t *registry, bool fail); /* answers 500 */
void fake_registry_upgrade(fake_registry_t *registry);         /* "order" has a version 2 */
void fake_registry_forget(fake_registry_t *registry);          /* "order" is gone */
void fake_registry_hide_visit(fake_registry_t *registry, bool hide);
unsigned fake_registry_schema_requests(const fake_registry_t *registry); /* so far */

#endif
