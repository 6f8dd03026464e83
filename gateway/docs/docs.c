/* Nothing is made per request but the answer. */
#include "gateway/docs/docs.h"

#include "gateway/docs/files.h"

/* Scripts and styles of our own, questions to ourselves (trying an operation), nothing else. */
static const char policy[] = "default-src 'none'; script-src 'self'; style-src 'self'; "
                             "img-src data:; connect-src 'self'; base-uri 'none'; "
                             "form-action 'none'; frame-ancestors 'none'";

const tg_docs_file_t *tg_docs_file(size_t index)
{
    return index < tg_docs_file_count ? &tg_docs_files[index] : NULL;
}

/* A quoted tag cannot be part of another one, so a list needs no parsing. */
static bool has_tag(tg_str_t if_none_match, const char *tag)
{
    return tg_str_eq(if_none_match, TG_STR("*")) ||
           (if_none_match.len > 0 &&
            memmem(if_none_match.ptr, if_none_match.len, tag, strlen(tag)) != NULL);
}

void tg_docs_handle(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    const tg_docs_file_t *file = tg_http_matched(req)->user;
    assert(file != NULL);
    tg_http_add_header(req, "etag", tg_str_from(file->tag));
    tg_http_add_header(req, "cache-control", TG_STR("no-cache"));
    tg_http_add_header(req, "content-security-policy", tg_str_from(policy));
    tg_http_add_header(req, "x-content-type-options", TG_STR("nosniff"));
    tg_http_add_header(req, "referrer-policy", TG_STR("no-referrer"));
    if (has_tag(tg_http_header(req, "if-none-match"), file->tag))
        tg_http_reply(req, 304, NULL, TG_STR(""));
    else
        tg_http_reply(req, 200, file->content_type, file->content);
}
