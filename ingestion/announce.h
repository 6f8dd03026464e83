/* Announcements: which event types have changed, heard from the control tables, so that a new type
 * or version is used by every ingestion process within one poll of the configuration watch.
 *
 * It only tells the registry's client what to ask anew; what a type is, the registry says. So
 * nothing is kept here but a number, however many types there are, and without PostgreSQL types go
 * on being used, with the client's own refresh as the only news.
 *
 * Limits: TG_ANNOUNCE_MAX changes are read one by one; beyond, all that is known is asked anew.
 * Threads: it has the watch's; the rest is for any. */
#ifndef TG_INGESTION_ANNOUNCE_H
#define TG_INGESTION_ANNOUNCE_H

#include "common/registry/client.h"

#define TG_ANNOUNCE_MAX 1000

typedef struct tg_announce tg_announce_t;

/* Starts the watch; PostgreSQL away is not an error. The client is borrowed. */
TG_NODISCARD tg_status_t tg_announce_open(const char *dsn, uint64_t poll_ms,
                                          tg_registry_client_t *registry,
                                          tg_announce_t **out_announce, tg_error_t *error);
void tg_announce_close(tg_announce_t *announce); /* before the client; NULL is allowed */

/* Changes heard so far. */
uint64_t tg_announce_total(const tg_announce_t *announce);

/* Whether the control tables were read lately; text for /ready's detail. */
bool tg_announce_current(const tg_announce_t *announce, tg_buf_t *out_detail);

#endif
