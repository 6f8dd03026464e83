/* JSON of what is answered more than once. References, metadata and numbers come from the database
 * as JSON already; only texts are quoted here.
 *
 * Threads: any. */
#ifndef TG_REGISTRY_ANSWER_H
#define TG_REGISTRY_ANSWER_H

#include "registry/request.h"

/* {"subject", "version", "id", "guid", "references", "metadata", "schema", "deleted"}: what is not
 * there is left out. */
void tg_answer_version(const tg_request_t *request, const tg_store_row_t *row, tg_buf_t *out);

/* {"schema", "references", "metadata", "guid"}, and "maxId" unless that is empty. */
void tg_answer_schema(const tg_store_row_t *row, tg_str_t max_id, tg_buf_t *out);

#endif
