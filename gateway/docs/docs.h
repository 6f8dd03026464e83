/* The descriptions of the APIs (OpenAPI 3.1) and the page that shows them: /openapi/v1.json,
 * /openapi/v2.json, /openapi/admin.json and /docs, open to all.
 *
 * The files are part of the program: what it describes is itself, so there is nothing to configure
 * and nothing to be missing. They are sent as they are, with an entity tag that the build makes of
 * their content; a client asks each time whether it has changed (304). The page loads nothing from
 * elsewhere, which its Content-Security-Policy also says.
 *
 * Threads: read-only. */
#ifndef TG_DOCS_H
#define TG_DOCS_H

#include "common/http/server.h"

typedef struct tg_docs_file {
    const char *path, *content_type;
    const char *tag; /* of the content, quoted as in ETag */
    tg_str_t content;
} tg_docs_file_t;

/* Files in order; NULL behind the last. */
const tg_docs_file_t *tg_docs_file(size_t index);

/* Handler of a route whose `user` is a tg_docs_file_t. */
void tg_docs_handle(tg_http_req_t *req, void *thread_ctx);

#endif
