/*
 * The client of 11_chat_server: sends what you type, and shows what others say.
 *
 *     23_chat_client [PORT [HOST]]
 *
 * Two tasks in a group, one for each direction: neither makes the other wait. Ctrl-D ends
 * what you say, and with it the conversation; Ctrl-C leaves at once. The terminal keeps its
 * mode and its flags.
 */
#include <asyncio.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEAR_LINE "\r\033[K"
#define PROMPT "> "

struct chat {
    asyncio_stream *server, *in, *out;
    bool is_terminal; /* there is a user, who wants a prompt */
    bool said_all;
    asyncio_task_group group;
};

/* Takes control characters out: others must not move our cursor. */
static void make_harmless(char *text, ssize_t n)
{
    for (ssize_t i = 0; i < n; i++)
        if (((unsigned char)text[i] < ' ' && text[i] != '\n' && text[i] != '\t') || text[i] == 127)
            text[i] = '?';
}

static int show(struct chat *chat, const char *line, ssize_t n)
{
    if (!chat->is_terminal)
        return asyncio_stream_write(chat->out, line, (size_t)n);
    return asyncio_stream_printf(chat->out, CLEAR_LINE "%.*s" PROMPT, (int)n, line);
}

/* Shows what the others say. Its end is the end of the conversation. */
ASYNC(hear, struct chat *, chat)
{
    char *line;
    ssize_t n;
    while ((n = asyncio_stream_readline(chat->server, &line)) > 0) {
        make_harmless(line, n);
        int err = show(chat, line, n);
        if (err)
            return asyncio_raise(err, "cannot show more: %s", asyncio_strerror(err));
    }
    if (n == ASYNCIO_ELIMIT)
        return asyncio_raise(n, "the server sends a line that is too long");
    if (n < 0 && n != -ECANCELED)
        return asyncio_raise(n, "the connection is lost: %s", asyncio_strerror(n));
    if (n == 0 && !chat->said_all)
        return asyncio_raise(ASYNCIO_EINCOMPLETE, "the server has closed the connection");
    asyncio_task_group_cancel(&chat->group);
    return n;
}

/* Sends what is typed, until the end of the input. */
ASYNC(speak, struct chat *, chat)
{
    char *line;
    ssize_t n;
    while ((n = asyncio_stream_readline(chat->in, &line)) > 0) {
        int err = asyncio_stream_write(chat->server, line, (size_t)n);
        if (!err && chat->is_terminal)
            err = asyncio_stream_write(chat->out, PROMPT, sizeof PROMPT - 1);
        if (err)
            return err == -ECANCELED ? err : asyncio_raise(err, "not sent: %s", asyncio_strerror(err));
    }
    if (n < 0)
        return n == -ECANCELED ? n : asyncio_raise(n, "cannot read what is typed: %s", asyncio_strerror(n));
    chat->said_all = true;
    return asyncio_stream_write_eof(chat->server); /* the last words of the others may still come */
}

static int open_streams(struct chat *chat, const char *host, int port)
{
    int err = asyncio_open_pipe(STDIN_FILENO, NULL, &chat->in);
    if (!err)
        err = asyncio_open_pipe(STDOUT_FILENO, NULL, &chat->out);
    if (err)
        return (int)asyncio_raise(err, "stdin and stdout are needed: %s", asyncio_strerror(err));
    return asyncio_open_connection(host, port, NULL, &chat->server); /* prints what is wrong */
}

ASYNC(async_main, const char *, host, int, port)
{
    struct chat chat = {.is_terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)};
    int err = open_streams(&chat, host, port);
    if (!err) {
        ASYNCIO_TASK_GROUP(chat.group, err) {
            asyncio_task_group_create_task(&chat.group, hear(&chat));
            asyncio_task_group_create_task(&chat.group, speak(&chat));
        }
        if (chat.is_terminal)
            asyncio_stream_printf(chat.out, CLEAR_LINE);
    }
    asyncio_stream_abort(chat.server);
    asyncio_stream_close(chat.in);
    int closing = asyncio_stream_close(chat.out); /* waits until everything is shown */
    return err ? err : closing;
}

int main(int argc, char **argv)
{
    return asyncio_main(async_main(argc > 2 ? argv[2] : "localhost", argc > 1 ? atoi(argv[1]) : 8008));
}
