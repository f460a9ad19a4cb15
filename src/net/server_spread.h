/*
 * Servers over several loops: where a client goes, and how the loops tell each other.
 *
 * The server that the program has, on its home loop, accepts. A client that another loop is to serve goes
 * there as a bare descriptor, before it has a stream. There a second server takes it, the branch's, which has
 * no listener (unless the kernel spreads the clients) but is like any other: so nothing that serves a client
 * knows of other loops.
 *
 *     home to branch   clients, and orders, which are about the clients that were sent before
 *     branch to home   news: a client has ended
 */
#ifndef ASY_NET_SERVER_SPREAD_H
#define ASY_NET_SERVER_SPREAD_H

#include "net/server.h"
#include "threads/loops.h"

/* Bits of branch.orders. The first three are about clients; each has a number in branch.until. */
enum spread_order {
    ORDER_END = 1 << 0,    /* of their input */
    ORDER_ABORT = 1 << 1,  /* their streams fail */
    ORDER_CANCEL = 1 << 2, /* their handlers are cancelled */
    ORDER_WATCH = 1 << 3,  /* there is room again */
    ORDER_CLOSE = 1 << 4,  /* no more are accepted */
    ORDER_LEAVE = 1 << 5,  /* the program has released the server: the branch ends with its last client */
};
#define ORDERS_OF_CLIENTS 3

enum spread_way { SPREAD_IDLEST, SPREAD_IN_TURN, SPREAD_BY_KERNEL };

struct branch {
    struct spread *spread;
    asyncio_loop *loop;
    asyncio_server *server;   /* NULL: none yet, or none any more. Branch's thread */
    bool has_left;            /* there will be none any more. Likewise */
    asyncio_context *context; /* a copy of the server's, until it has a server */

    /* Clients sent so far, by any thread; and how many of them an order is about. Sequentially consistent, as
     * all here that goes along with a post. */
    _Atomic uint64_t sent;
    _Atomic uint64_t until[ORDERS_OF_CLIENTS];

    /* The thread that sets the first bit posts `order`; the branch's thread takes all at once. */
    _Atomic uint32_t orders;
    struct callback order;
};

struct spread {
    /* The home's server, each branch's server, and what is on its way have one each. */
    _Atomic uint32_t refs;
    _Atomic uint32_t clients; /* of all loops, those on their way among them */
    _Atomic bool wants_news;  /* the home waits for clients to end */
    _Atomic bool has_news;    /* the thread that sets it posts `news`; the home's takes it down */
    struct callback news;
    asyncio_server *home; /* NULL: gone. Home's thread */
    asyncio_loop *home_loop;
    asyncio_client_handler handler;
    asyncio_protocol_factory factory; /* or NULL */
    void *arg;
    asyncio_server_options options;
    _Atomic unsigned turn;
    int count;
    struct branch branches[]; /* by the index of the loop; the home's own is not used */
};

/* 0, or -EINVAL with what is wrong. In a task. */
int asy_spread_check(const asyncio_server_options *options);
/* Spreads the clients of a new server, if its options say so. 0 or an error. */
int asy_spread_make(asyncio_server *server);
/* If the kernel spreads: has a listener on each other loop. 0 or an error with a message. */
int asy_spread_listen(asyncio_server *server);

/* ---- server_branches.c, for server_spread.c alone ------------------------------------- */
void asy_spread_ref(struct spread *spread);
void asy_spread_unref(struct spread *spread);
/* The branch's server, made if need be; fd is what it is to have. NULL: no memory. */
asyncio_server *asy_branch_open(struct branch *branch, int fd);
/* A client has ended, or was lost on its way to a loop. */
void asy_spread_uncount(struct spread *spread, asyncio_loop *loop);

/* ---- For all that make, accept and end ------------------------------------------------- */
/* A connection was accepted: sends it to a loop, or serves it here. Takes its descriptor over, or closes it.
 * 0 or a negative errno. */
int asy_spread_client(const struct listener *listener, int fd, const struct sockaddr_storage *peer);
/* A client of a server that is spread has ended, here; and how many are left, on all loops. */
void asy_spread_client_went(asyncio_server *server);
size_t asy_spread_client_count(const asyncio_server *server);
/* From here on the home is told of each client that ends elsewhere. */
void asy_spread_want_news(asyncio_server *server);

/* From the home to all branches; does nothing for a branch's server, and for one that is not spread. */
void asy_spread_order(asyncio_server *server, enum spread_order order);
/* The home's server has been released, or its loop closes: the branches end with their last clients. */
void asy_spread_leave(asyncio_server *server);
/* The loop of a branch closes over its clients. */
void asy_branch_closes(asyncio_server *server);
/* The server is freed, or its loop has closed. */
void asy_spread_drop(asyncio_server *server);

#endif
