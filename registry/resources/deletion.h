/* Deleting a subject or one of its versions: asks for the mode that counts, then deletes.
 *
 * Threads: those of the request. */
#ifndef TG_REGISTRY_DELETION_H
#define TG_REGISTRY_DELETION_H

#include "registry/request.h"

/* Answers the request, whose subject is read. `version` is the path's text, ptr NULL for the whole
 * subject. */
void tg_deletion_begin(tg_request_t *request, tg_str_t version);

#endif
