/* A REST service: notes in SQLite, asked on other threads; JSON by jansson.
 * example-needs: router sqlite3 jansson
 *
 *     ./notes 127.0.0.1:8080 notes.db
 *     curl -i -d '{"text": "buy milk"}' http://127.0.0.1:8080/notes
 *     curl http://127.0.0.1:8080/notes
 *     curl -X PUT -d '{"text": "buy oat milk"}' http://127.0.0.1:8080/notes/1
 *     curl -X DELETE http://127.0.0.1:8080/notes/1 */
#include "serval/foreground.h"
#include "serval/mod/router.h"
#include "serval/serval.h"

#include <jansson.h>
#include <sqlite3.h>
#include <stdlib.h>

static sqlite3 *db; /* serialized: any thread may use it */

/* One question to the database. The loop fills in what is asked, a pool thread what comes of it. */
struct job {
    const char *sql;
    sqlite3_int64 id; /* ?1, 0 = none; then the last row's */
    svl_str text;     /* ?2; p is NULL without one */
    bool list;        /* the answer is an array */

    char *json; /* the answer; malloc's */
    unsigned rows;
    bool failed;
};

static void forget(void *arg)
{
    struct job *job = arg;

    free(job->json);
}

/* Pool thread: sees the job only. */
static void ask(void *arg)
{
    struct job *job = arg;
    json_t *rows = json_array();
    sqlite3_stmt *query;
    int got;

    if (sqlite3_prepare_v2(db, job->sql, -1, &query, NULL) == SQLITE_OK) {
        if (job->id)
            sqlite3_bind_int64(query, 1, job->id);
        if (job->text.p)
            sqlite3_bind_text(query, 2, job->text.p, (int)job->text.n, SQLITE_STATIC);
        while ((got = sqlite3_step(query)) == SQLITE_ROW) {
            job->id = sqlite3_column_int64(query, 0);
            json_array_append_new(rows, json_pack("{s:I, s:s}", "id", (json_int_t)job->id, "text",
                                                  sqlite3_column_text(query, 1)));
        }
        job->failed = got != SQLITE_DONE;
    } else {
        job->failed = true;
    }
    sqlite3_finalize(query);
    job->rows = (unsigned)json_array_size(rows);
    job->json = json_dumps(job->list ? rows : json_array_get(rows, 0), JSON_COMPACT);
    json_decref(rows);
}

static enum svl_verdict broken(struct svl_ctx *ctx)
{
    svl_log(SVL_ALERT, "notes: %s", sqlite3_errmsg(db));
    return svl_fail(ctx, 500, "the database does not answer");
}

/* Loop thread: the answer to everything that has rows. */
static enum svl_verdict reply(struct svl_ctx *ctx, void *arg)
{
    const struct job *job = arg;

    if (job->failed)
        return broken(ctx);
    if (!job->list && job->rows == 0)
        return svl_fail(ctx, 404, "no such note");
    svl_text(ctx, 200, svl_str_of(job->json));
    svl_content_type(ctx, SVL_STR("application/json"));
    return SVL_DONE;
}

static enum svl_verdict reply_made(struct svl_ctx *ctx, void *arg)
{
    const struct job *job = arg;
    const char *id = svl_printf(ctx, "%lld", (long long)job->id).p;

    if (job->failed)
        return broken(ctx);
    svl_header_set(ctx, SVL_H_LOCATION, svl_url(ctx, "note", "id", id, NULL));
    reply(ctx, arg);
    svl_status(ctx, 201);
    return SVL_DONE;
}

static enum svl_verdict reply_gone(struct svl_ctx *ctx, void *arg)
{
    const struct job *job = arg;

    if (job->failed)
        return broken(ctx);
    if (job->rows == 0)
        return svl_fail(ctx, 404, "no such note");
    svl_status(ctx, 204);
    return SVL_DONE;
}

static enum svl_verdict start(struct svl_ctx *ctx, const struct job *what, svl_handler_fn *then)
{
    struct job *job = svl_alloc(ctx, sizeof *job);

    *job = *what;
    svl_on_free(ctx, forget, job);
    return svl_offload(ctx, ask, then, job);
}

/* The text of a note in the body; p is NULL when there is none. */
static svl_str text_of(struct svl_ctx *ctx)
{
    json_t *note = json_loadb(ctx->req.body.p, ctx->req.body.n, 0, NULL);
    const char *text = json_string_value(json_object_get(note, "text"));
    svl_str copy = text ? svl_copy(ctx, svl_str_of(text)) : SVL_STR_NONE;

    json_decref(note);
    return copy;
}

/* The pattern lets nothing but digits through. */
static sqlite3_int64 id_of(struct svl_ctx *ctx)
{
    unsigned long long id = 0;

    svl_str_u64(svl_param(ctx, SVL_STR("id")), &id);
    return (sqlite3_int64)id;
}

static enum svl_verdict list(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return start(ctx, &(struct job){.sql = "SELECT id, text FROM notes ORDER BY id", .list = true},
                 reply);
}

static enum svl_verdict show(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return start(ctx,
                 &(struct job){.sql = "SELECT id, text FROM notes WHERE id = ?1", .id = id_of(ctx)},
                 reply);
}

static enum svl_verdict make(struct svl_ctx *ctx, void *arg)
{
    struct job job = {.sql = "INSERT INTO notes (text) VALUES (?2) RETURNING id, text"};

    (void)arg;
    job.text = text_of(ctx);
    if (!job.text.p)
        return svl_fail(ctx, 400, "a note is {\"text\": \"...\"}");
    return start(ctx, &job, reply_made);
}

static enum svl_verdict change(struct svl_ctx *ctx, void *arg)
{
    struct job job = {.sql = "UPDATE notes SET text = ?2 WHERE id = ?1 RETURNING id, text",
                      .id = id_of(ctx)};

    (void)arg;
    job.text = text_of(ctx);
    if (!job.text.p)
        return svl_fail(ctx, 400, "a note is {\"text\": \"...\"}");
    return start(ctx, &job, reply);
}

static enum svl_verdict drop(struct svl_ctx *ctx, void *arg)
{
    (void)arg;
    return start(ctx,
                 &(struct job){.sql = "DELETE FROM notes WHERE id = ?1 RETURNING id, text",
                               .id = id_of(ctx)},
                 reply_gone);
}

static const struct svl_route routes[] = {
    SVL_ROUTE("GET", "/notes", list),
    SVL_ROUTE("POST", "/notes", make),
    SVL_ROUTE("GET", "/notes/{id:[0-9]{1,18}}", show, .name = "note"),
    SVL_ROUTE("PUT", "/notes/{id:[0-9]{1,18}}", change),
    SVL_ROUTE("DELETE", "/notes/{id:[0-9]{1,18}}", drop),
    SVL_ROUTE_END,
};

int main(int argc, char **argv)
{
    const struct svl_use chain[] = {SVL_USE(router, .routes = routes), SVL_USE_END};
    struct svl_server_config config = {.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"},
                                       .chain = chain};
    struct svl_server *server;

    if (sqlite3_open(argc > 2 ? argv[2] : ":memory:", &db) != SQLITE_OK ||
        sqlite3_exec(db, "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT)",
                     NULL, NULL, NULL) != SQLITE_OK) {
        svl_log(SVL_ALERT, "notes: %s", sqlite3_errmsg(db));
        return 1;
    }
    if (svl_server_open(&server, &config))
        return 3;
    svl_server_foreground(server, &(struct svl_foreground){.title = "notes"});
    svl_server_close(server);
    sqlite3_close(db);
    return 0;
}
