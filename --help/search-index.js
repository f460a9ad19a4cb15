window.searchIndex = [
{
"title": "asyncio_channel_new",
"url": "reference/channels.html#asyncio_channel_new",
"text": "Makes a channel with one reference, for items of item_size bytes. It has room for `capacity` of them, rounded up to a power of two. NULL: no memory, or one of the two is 0, as the message says."
},
{
"title": "asyncio_channel_ref",
"url": "reference/channels.html#asyncio_channel_ref",
"text": "Takes a reference to a channel, and returns the channel. Accepts NULL."
},
{
"title": "asyncio_channel_release",
"url": "reference/channels.html#asyncio_channel_release",
"text": "Drops a reference to a channel. The last one closes the channel: all calls that wait return ASYNCIO_EQUEUE_SHUTDOWN, items inside are dropped, and the memory is freed. A receiver that was granted an item before still gets it. In a forked child nothing happens. Accepts NULL."
},
{
"title": "asyncio_channel_close",
"url": "reference/channels.html#asyncio_channel_close",
"text": "Closes a channel: sends that wait, and all later ones, return ASYNCIO_EQUEUE_SHUTDOWN. Receivers first get the items that are there, then ASYNCIO_EQUEUE_SHUTDOWN, too. Does not wait. 0, also for NULL and for a channel that is closed already."
},
{
"title": "asyncio_channel_send",
"url": "reference/channels.html#asyncio_channel_send",
"text": "Sends an item through a channel. Suspends while the channel is full, behind all senders that wait. 0; ASYNCIO_EQUEUE_SHUTDOWN; -ECANCELED: the item was not sent; ASYNCIO_ENOTASK outside a task."
},
{
"title": "asyncio_channel_receive",
"url": "reference/channels.html#asyncio_channel_receive",
"text": "Receives the next item of a channel. Suspends while there is none, behind all receivers that wait. 0; ASYNCIO_EQUEUE_SHUTDOWN when the channel is closed and empty; -ECANCELED: no item was taken; ASYNCIO_ENOTASK outside a task."
},
{
"title": "asyncio_channel_try_send",
"url": "reference/channels.html#asyncio_channel_try_send",
"text": "Send and receive an item without waiting. 0; ASYNCIO_EQUEUE_FULL, ASYNCIO_EQUEUE_EMPTY; ASYNCIO_EQUEUE_SHUTDOWN. Any thread, also in callbacks."
},
{
"title": "asyncio_channel_try_receive",
"url": "reference/channels.html#asyncio_channel_try_receive",
"text": "Send and receive an item without waiting. 0; ASYNCIO_EQUEUE_FULL, ASYNCIO_EQUEUE_EMPTY; ASYNCIO_EQUEUE_SHUTDOWN. Any thread, also in callbacks."
},
{
"title": "asyncio_channel_send_blocking",
"url": "reference/channels.html#asyncio_channel_send_blocking",
"text": "Send and receive an item on a thread without a loop. Block for at most `timeout` seconds (ASYNCIO_FOREVER: no limit; 0 or less: a try). 0; ASYNCIO_EQUEUE_SHUTDOWN; -ETIMEDOUT: nothing was sent or taken; -EINVAL for NaN; -EDEADLK on a thread that runs a loop, whether or not the call would have to wait."
},
{
"title": "asyncio_channel_receive_blocking",
"url": "reference/channels.html#asyncio_channel_receive_blocking",
"text": "Send and receive an item on a thread without a loop. Block for at most `timeout` seconds (ASYNCIO_FOREVER: no limit; 0 or less: a try). 0; ASYNCIO_EQUEUE_SHUTDOWN; -ETIMEDOUT: nothing was sent or taken; -EINVAL for NaN; -EDEADLK on a thread that runs a loop, whether or not the call would have to wait."
},
{
"title": "asyncio_channel_size",
"url": "reference/channels.html#asyncio_channel_size",
"text": "Tells how many items are in a channel. An item stays there until its receiver runs. 0 for NULL and in a forked child."
},
{
"title": "asyncio/channels.h",
"url": "reference/channels.html",
"text": "Channels: items that tasks of any loop, and threads without a loop, hand to each other. ASYNCIO_CHANNEL_OF(jobs, struct job); jobs *channel = jobs_new(64); err = jobs_send(channel, job); in a task of one loop err = jobs_receive(channel, &job); in a task of another err = jobs_send_blocking(channel, job, ASYNCIO_FOREVER); in a thread without a loop jobs_release(channel); once for each jobs_new and jobs_ref A channel holds at most as many items as its capacity. Items have one fixed size and are copied in and out; the program owns what they point to. Items, senders and receivers are first come, first served. No item is lost or received twice: a receiver that was granted one gets it, and a request to cancel that comes later stays pending for the task's next wait. If the loop of a receiver closes before the receiver has run, the next receiver gets the item. A sender whose item is in the channel has sent it, whatever becomes of the sender. Any thread may make any call here, except that _send and _receive are for tasks, and _send_blocking and _receive_blocking for threads where no loop runs. None is for signal handlers. The caller has a reference, or knows that another one stays until its call returns or waits. A call that waits is no reference. All calls that return int return -EINVAL for NULL, but for _close, and ASYNCIO_ESTATE in a process that was forked after the channel was made. An error leaves *item untouched. A call that need not wait does not wait; after many such calls in a row the task gives way once, which is a wait like any other. Python has no channels: queue.Queue blocks a loop, and asyncio.Queue belongs to one."
},
{
"title": "asyncio_contextvar",
"url": "reference/contextvars.html#asyncio_contextvar",
"text": "A variable, known by its address. As a rule one stands in static storage and serves all threads. Fields that end in _ are private. (ContextVar)"
},
{
"title": "asyncio_contextvar_token",
"url": "reference/contextvars.html#asyncio_contextvar_token",
"text": "Remembers what a variable was before it was set. A plain value: the program need not use it, nor dispose of it. (Token)"
},
{
"title": "asyncio_contextvar_get",
"url": "reference/contextvars.html#asyncio_contextvar_get",
"text": "Returns the variable's value in the current context, or its default where none was set. NULL gives NULL. (ContextVar.get)"
},
{
"title": "asyncio_contextvar_set",
"url": "reference/contextvars.html#asyncio_contextvar_set",
"text": "Sets the variable in the current context. Unless `token` is NULL, *token then serves one asyncio_contextvar_reset. 0; -ENOMEM, and nothing has changed; -EINVAL for NULL. (ContextVar.set)"
},
{
"title": "asyncio_contextvar_reset",
"url": "reference/contextvars.html#asyncio_contextvar_reset",
"text": "Brings the variable back to what it was before the call that gave the token: to that value, or to none. Tokens may be used in any order, each once, in the context in which they were given. 0; ASYNCIO_ESTATE if the token was used before; -EINVAL if it belongs to another variable or context, or is all zero; -ENOMEM, and nothing has changed: the token is still good. (ContextVar.reset)"
},
{
"title": "asyncio_copy_context",
"url": "reference/contextvars.html#asyncio_copy_context",
"text": "Copies the current context, for asyncio_task_options.context. A task that is made with the copy runs in this very context, and so several such tasks see what each of them sets. The caller ends it by asyncio_context_release; tasks that run in it keep it for themselves. A context belongs to the thread that made it: its use in another thread aborts with a message. NULL: out of memory. (copy_context)"
},
{
"title": "asyncio_context_release",
"url": "reference/contextvars.html#asyncio_context_release",
"text": "Drops the program's reference to a context. Accepts NULL."
},
{
"title": "asyncio/contextvars.h",
"url": "reference/contextvars.html",
"text": "Context variables: values that go with a task, and with all that it starts. static asyncio_contextvar user = ASYNCIO_CONTEXTVAR_INIT(\"user\", NULL); asyncio_contextvar_token token; int err = asyncio_contextvar_set(&user, name, &token); ... in whatever is called, awaited and started from here: const char *name = asyncio_contextvar_get(&user); ... asyncio_contextvar_reset(&user, token); as it was before Each task has a context of its own. It begins as a copy of the context in which the task was made: the task sees the values that were set there before, and nobody else sees what the task sets. This holds for asyncio_create_task, for the coroutines of gather and shield, and for the children of a group. The handlers of a server have copies of the context in which the server was started. A coroutine that is awaited runs in the awaiting task and shares its context. A callback of the loop (call_soon, call_later, call_at, a done callback, a reader) runs in a copy of the context in which it was scheduled or added. Values that it sets last until it returns, and the tasks that it starts inherit them. asyncio_loop_call_soon_threadsafe and asyncio_run_coroutine_threadsafe copy the context of the calling thread. A callback that a signal handler posts has an empty context. The function of asyncio_to_thread sees a copy of its caller's context, the function of asyncio_run_in_executor an empty one. A thread has a context, too, for what it does outside its loop. The main task of asyncio_run begins with a copy of it. The main tasks of one asyncio_runner share one context, which began as such a copy. A copy costs one count, whatever is in it. Values are borrowed: the program keeps alive what they point to, for as long as a task or callback may look at them. Nothing here waits. Each call may be made in tasks, in callbacks and in plain threads."
},
{
"title": "asyncio_coro_type",
"url": "reference/coroutines.html#asyncio_coro_type",
"text": "Describes a coroutine function for ASYNC; programs never touch one."
},
{
"title": "asyncio_coro_alloc",
"url": "reference/coroutines.html#asyncio_coro_alloc",
"text": "Makes an unstarted coroutine with room for its arguments at *args. NULL: out of memory. Any thread. Used by ASYNC."
},
{
"title": "asyncio_coro_alloc_cxx",
"url": "reference/coroutines.html#asyncio_coro_alloc_cxx",
"text": "Makes an unstarted coroutine for C++, as asyncio_coro_alloc: each task has exceptions of its own, where `runtime` (__cxa_get_globals, or NULL) keeps those of a thread."
},
{
"title": "asyncio_coro_new",
"url": "reference/coroutines.html#asyncio_coro_new",
"text": "Makes a coroutine without macros. fn(arg) is the body. drop(arg) runs once: right after the body has returned, or when the coroutine is closed unstarted; `drop` may be NULL. Does not wait. Any thread. NULL: out of memory (drop has run), or fn is NULL."
},
{
"title": "asyncio_coro_close",
"url": "reference/coroutines.html#asyncio_coro_close",
"text": "Disposes of a coroutine that will not be awaited. Its body does not run. Accepts NULL. Does not wait. Any thread. (Python: coro.close().)"
},
{
"title": "asyncio_await",
"url": "reference/coroutines.html#asyncio_await",
"text": "Awaits a coroutine, a task or a future, takes over the caller's reference, and returns the result. (Python: await.) A coroutine runs in place, on the caller's stack. For a task or a future that is not done the call waits: it suspends. A request to cancel the caller is passed on to what it awaits. Errors: that of the awaited one; -ECANCELED when the caller is cancelled; -ENOMEM for NULL; -EINVAL for the calling task itself or another loop's future; ASYNCIO_ENOTASK outside a task (a coroutine is disposed of)."
},
{
"title": "asyncio_join",
"url": "reference/coroutines.html#asyncio_join",
"text": "Awaits, as asyncio_await, and keeps apart the two outcomes that await folds into one: returns the status of the wait, and stores in *result what the awaited one returned. `result` may be NULL. Takes over the caller's reference. Status: 0 when the awaited one ended; -ECANCELED if and only if a request to cancel the calling task was delivered in this call (*result is written too if the awaited one ended); ASYNCIO_ENOTASK or -EINVAL when the call did not wait. NULL gives 0, and -ENOMEM in *result. A coroutine, which runs in place, gives 0. Suspends."
},
{
"title": "ASYNC",
"url": "reference/coroutines.html#ASYNC",
"text": "ASYNC(name, type, parameter, ...) { body } defines a static coroutine function with 0 to 8 parameters. ASYNC_DECLARE(name, type, parameter, ...); declares one with external linkage, for a header. ASYNC_DEFINE(name, type, parameter, ...) { body } defines it. Types of arrays and of pointers to functions are written with __typeof__ or a typedef. In a debugger the body appears as name_coroutine. Beside `name` only name_coroutine, name_coroutine_start_ and name_coroutine_args_ are taken. A name that a header has declared already is C's to refuse: connect, listen and accept are of <sys/socket.h>, which <asyncio.h> includes, and main is the program's own. In C++ parameters are trivially copyable. A coroutine may wait inside `catch`, and in a destructor during unwinding: each task has exceptions of its own. An exception that leaves a coroutine terminates the program. No exception may leave any other function that the library calls (of asyncio_coro_new, a callback, a predicate, work for a thread): the frames of the library are C and undo nothing, and the exception may be caught behind them. Declare such functions noexcept."
},
{
"title": "ASYNC_DECLARE",
"url": "reference/coroutines.html#ASYNC_DECLARE",
"text": "ASYNC(name, type, parameter, ...) { body } defines a static coroutine function with 0 to 8 parameters. ASYNC_DECLARE(name, type, parameter, ...); declares one with external linkage, for a header. ASYNC_DEFINE(name, type, parameter, ...) { body } defines it. Types of arrays and of pointers to functions are written with __typeof__ or a typedef. In a debugger the body appears as name_coroutine. Beside `name` only name_coroutine, name_coroutine_start_ and name_coroutine_args_ are taken. A name that a header has declared already is C's to refuse: connect, listen and accept are of <sys/socket.h>, which <asyncio.h> includes, and main is the program's own. In C++ parameters are trivially copyable. A coroutine may wait inside `catch`, and in a destructor during unwinding: each task has exceptions of its own. An exception that leaves a coroutine terminates the program. No exception may leave any other function that the library calls (of asyncio_coro_new, a callback, a predicate, work for a thread): the frames of the library are C and undo nothing, and the exception may be caught behind them. Declare such functions noexcept."
},
{
"title": "ASYNC_DEFINE",
"url": "reference/coroutines.html#ASYNC_DEFINE",
"text": "ASYNC(name, type, parameter, ...) { body } defines a static coroutine function with 0 to 8 parameters. ASYNC_DECLARE(name, type, parameter, ...); declares one with external linkage, for a header. ASYNC_DEFINE(name, type, parameter, ...) { body } defines it. Types of arrays and of pointers to functions are written with __typeof__ or a typedef. In a debugger the body appears as name_coroutine. Beside `name` only name_coroutine, name_coroutine_start_ and name_coroutine_args_ are taken. A name that a header has declared already is C's to refuse: connect, listen and accept are of <sys/socket.h>, which <asyncio.h> includes, and main is the program's own. In C++ parameters are trivially copyable. A coroutine may wait inside `catch`, and in a destructor during unwinding: each task has exceptions of its own. An exception that leaves a coroutine terminates the program. No exception may leave any other function that the library calls (of asyncio_coro_new, a callback, a predicate, work for a thread): the frames of the library are C and undo nothing, and the exception may be caught behind them. Declare such functions noexcept."
},
{
"title": "asyncio/coroutines.h",
"url": "reference/coroutines.html",
"text": "Coroutines: functions that wait. ASYNC(say_after, double, delay, const char *, what) { int err = asyncio_sleep(delay); if (err) return err; puts(what); return 0; } defines a static coroutine function with two parameters. Calling it, `say_after(1, \"hello\")`, stores the arguments and returns an asyncio_coro; the body runs when that is awaited or becomes a task. The body returns a signed number: a value >= 0, or an error."
},
{
"title": "asyncio_datagram_options",
"url": "reference/datagrams.html#asyncio_datagram_options",
"text": "Options of datagram sockets: all zero means the defaults."
},
{
"title": "asyncio_open_datagram",
"url": "reference/datagrams.html#asyncio_open_datagram",
"text": "Makes a socket, binds it to `local`, connects it to `remote`, and stores it in *datagram. Either address may be NULL, and both if options have a family. Suspends while names are looked up. A host of NULL means any address in `local`, and this host in `remote`. Port 0 in `local` means a free port (see _sockname). The file of a Unix socket must not exist before the call. It stays when the socket is closed; a call that fails removes it. 0; ASYNCIO_EGAI_...; -EADDRINUSE and the like; -EINVAL, -ENOMEM, -ECANCELED, ASYNCIO_ENOTASK. The message says which address. (create_datagram_endpoint)"
},
{
"title": "asyncio_datagram_from_fd",
"url": "reference/datagrams.html#asyncio_datagram_from_fd",
"text": "Makes a datagram socket of a descriptor that the caller has made and set up. The descriptor belongs to it from then on, unless the call fails. Does not wait. 0, -EBADF, -ENOTSOCK, -EINVAL, -ENOMEM, ASYNCIO_ENOTASK."
},
{
"title": "asyncio_datagram_recv",
"url": "reference/datagrams.html#asyncio_datagram_recv",
"text": "Receives one datagram, of at most n bytes; suspends until there is one. _recvfrom also stores the sender's address, as recvfrom(2): *length is the room for it before the call and its length after it (0: a Unix socket without a name). Both may be NULL. Returns the number of bytes, 0 for an empty datagram. -EMSGSIZE: the datagram was longer than n; buf has its first n bytes, the rest is lost, and the message says how long it was. Other errors: those that the network reports; -ECANCELED, -EBADF, -EINVAL, -ENOMEM, ASYNCIO_ENOTASK. (datagram_received, error_received)"
},
{
"title": "asyncio_datagram_recvfrom",
"url": "reference/datagrams.html#asyncio_datagram_recvfrom",
"text": "Receives one datagram, of at most n bytes; suspends until there is one. _recvfrom also stores the sender's address, as recvfrom(2): *length is the room for it before the call and its length after it (0: a Unix socket without a name). Both may be NULL. Returns the number of bytes, 0 for an empty datagram. -EMSGSIZE: the datagram was longer than n; buf has its first n bytes, the rest is lost, and the message says how long it was. Other errors: those that the network reports; -ECANCELED, -EBADF, -EINVAL, -ENOMEM, ASYNCIO_ENOTASK. (datagram_received, error_received)"
},
{
"title": "asyncio_datagram_send",
"url": "reference/datagrams.html#asyncio_datagram_send",
"text": "Sends one datagram of n bytes, which may be 0, to the remote address (_send) or to another one. Suspends while the socket, or a Unix receiver, has no room. Returns n; -EMSGSIZE if it is too long to be sent; -EDESTADDRREQ for _send without a remote address; -EACCES if broadcast is off; otherwise as _recv. (sendto)"
},
{
"title": "asyncio_datagram_sendto",
"url": "reference/datagrams.html#asyncio_datagram_sendto",
"text": "Sends one datagram of n bytes, which may be 0, to the remote address (_send) or to another one. Suspends while the socket, or a Unix receiver, has no room. Returns n; -EMSGSIZE if it is too long to be sent; -EDESTADDRREQ for _send without a remote address; -EACCES if broadcast is off; otherwise as _recv. (sendto)"
},
{
"title": "asyncio_datagram_recvmmsg",
"url": "reference/datagrams.html#asyncio_datagram_recvmmsg",
"text": "Receive and send batches of datagrams: recvmmsg(2) and sendmmsg(2), in one system call each. Suspend until there is one datagram, or room for one, then receive or send as many as go at once. Return how many: at least 1, or 0 if count is 0. As in those calls, a datagram that was longer than the room for it has MSG_TRUNC in its msg_flags. If fewer than `count` went, the next call tells whether an error was the reason. Errors as above."
},
{
"title": "asyncio_datagram_sendmmsg",
"url": "reference/datagrams.html#asyncio_datagram_sendmmsg",
"text": "Receive and send batches of datagrams: recvmmsg(2) and sendmmsg(2), in one system call each. Suspend until there is one datagram, or room for one, then receive or send as many as go at once. Return how many: at least 1, or 0 if count is 0. As in those calls, a datagram that was longer than the room for it has MSG_TRUNC in its msg_flags. If fewer than `count` went, the next call tells whether an error was the reason. Errors as above."
},
{
"title": "asyncio_datagram_sockname",
"url": "reference/datagrams.html#asyncio_datagram_sockname",
"text": "Tell the socket's own address and its peer's, as getsockname(2) and getpeername(2). Do not wait. (get_extra_info)"
},
{
"title": "asyncio_datagram_peername",
"url": "reference/datagrams.html#asyncio_datagram_peername",
"text": "Tell the socket's own address and its peer's, as getsockname(2) and getpeername(2). Do not wait. (get_extra_info)"
},
{
"title": "asyncio_datagram_fd",
"url": "reference/datagrams.html#asyncio_datagram_fd",
"text": "Returns the descriptor, for options such as multicast groups; it stays the socket's. Does not wait. -EINVAL for NULL."
},
{
"title": "asyncio_datagram_close",
"url": "reference/datagrams.html#asyncio_datagram_close",
"text": "Closes a datagram socket, wakes the tasks that wait on it, and frees it. Does not wait. Accepts NULL. 0, or close(2)'s error. (close)"
},
{
"title": "asyncio/datagrams.h",
"url": "reference/datagrams.html",
"text": "Datagrams: UDP and Unix sockets that send and receive messages, each of them whole. asyncio_datagram *dns; asyncio_address server = {\"192.0.2.53\", 53}; int err = asyncio_open_datagram(NULL, &server, NULL, &dns); if (err) return err; ssize_t n = asyncio_datagram_send(dns, query, sizeof query); if (n >= 0) n = asyncio_datagram_recv(dns, answer, sizeof answer); asyncio_datagram_close(dns); A datagram socket belongs to the loop's thread and has one owner. Several tasks may receive, first come first served, and several may send. A request to cancel ends a wait with -ECANCELED and loses no datagram. A call that is waiting when another task closes the socket returns -EBADF. A connected socket (one with a remote address) hears of errors that the network reports (ICMP), such as -ECONNREFUSED when nobody listens. Such an error concerns an earlier datagram. The next call of either direction returns it, once, and has then neither sent nor received: repeat it, or give up."
},
{
"title": "asyncio_call_init",
"url": "reference/embed.html#asyncio_call_init",
"text": "Makes an idle call of fn. The call must not be queued. Does nothing for NULL."
},
{
"title": "asyncio_loop_call",
"url": "reference/embed.html#asyncio_loop_call",
"text": "Has the loop make a call in its next iteration, behind all that is ready. False, and nothing happens, if the call is queued or posted already, to whatever loop; if the loop is closed; and for NULL. (call_soon)"
},
{
"title": "asyncio_loop_post",
"url": "reference/embed.html#asyncio_loop_post",
"text": "Has the loop make a call, from any thread, which must have a reference to the loop. 0; 1 if the call is queued or posted already, and nothing happens: of threads that post the same idle call at once, one gets 0; ASYNCIO_ESTATE when the loop is closed; -EINVAL for NULL. Each post that returned 0 is run, cancelled or drained. What the poster wrote before it posted, fn sees. (call_soon_threadsafe)"
},
{
"title": "asyncio_call_cancel",
"url": "reference/embed.html#asyncio_call_cancel",
"text": "Takes a call back that is queued or posted. True if it was: fn will not come. No thread may be about to post it."
},
{
"title": "asyncio_loop_time_ns",
"url": "reference/embed.html#asyncio_loop_time_ns",
"text": "Reads the loop's monotonic clock, which deadlines are told in, in nanoseconds. A loop that has not run is asked as well; NULL reads the system's clock. (time)"
},
{
"title": "asyncio_timer_init",
"url": "reference/embed.html#asyncio_timer_init",
"text": "Makes an idle timer. The timer must not run. Does nothing for NULL."
},
{
"title": "asyncio_timer_start",
"url": "reference/embed.html#asyncio_timer_start",
"text": "Starts a timer, or moves one that runs: its fn is called once, when the loop's clock reads deadline_ns or more. A deadline that has passed fires in the next turn; equal ones fire in the order in which they were started or moved; INT64_MAX never fires, but runs until it is stopped or moved. 0; -ENOMEM when there is no memory for one timer more (moving one needs none); -EINVAL if it runs on another loop, and for NULL; ASYNCIO_ESTATE when the loop is closed. After an error a timer that ran keeps its deadline. (call_at)"
},
{
"title": "asyncio_timer_stop",
"url": "reference/embed.html#asyncio_timer_stop",
"text": "Stops a timer. True if it ran, or was due, and fn had not begun."
},
{
"title": "asyncio_watch_init",
"url": "reference/embed.html#asyncio_watch_init",
"text": "Makes an idle watch. The watch must not be started. Does nothing for NULL."
},
{
"title": "asyncio_watch_start",
"url": "reference/embed.html#asyncio_watch_start",
"text": "Starts a watch: its fn is called with the events of a descriptor that it asks for, POLLIN, POLLOUT, POLLPRI and POLLRDHUP of poll(2), and always with POLLERR and POLLHUP. They are told when the loop polls, and cost no system call of their own. An edge watch is also told what is there at its start and after asyncio_watch_modify. Any number of watches may be on one descriptor, beside streams, readers and waiting tasks; level watches beside streams, transfers or edge watches of the same descriptor cost a poll(2) each time they are told. The flags of the descriptor are left alone. An event that the kernel reported before the watch was started is not told. When the descriptor is closed by asyncio_close or forgotten by asyncio_forget (or begins afresh, as in asyncio_sock_connect), the watch is stopped, and fn is called once more, in a later turn, with POLLNVAL; the watch is idle then. Stop a watch before anything else closes its descriptor. The watch stays started while fn runs, which may modify, stop and free it. 0; -EBADF, -ENOMEM; -EPERM for a regular file, which is always ready; -EINVAL for other events or flags, and for NULL; ASYNCIO_ESTATE when the watch is started already, or the loop is closed; -ENOSYS under a virtual clock. (add_reader, add_writer)"
},
{
"title": "asyncio_watch_modify",
"url": "reference/embed.html#asyncio_watch_modify",
"text": "Changes the events that a watch asks for. 0, or the errors of asyncio_watch_start, after which it goes on as before; ASYNCIO_ESTATE if it is not started, -EBADF if its descriptor was closed."
},
{
"title": "asyncio_watch_stop",
"url": "reference/embed.html#asyncio_watch_stop",
"text": "Stops a watch. True if it was started: fn will not come, not for a closed descriptor either."
},
{
"title": "asyncio_loop_set_wait_hooks",
"url": "reference/embed.html#asyncio_loop_set_wait_hooks",
"text": "Sets functions that the loop calls around each wait that may block, and around no other: to let go of an interpreter's lock, and to look for its signals afterwards. before(arg) is called when other threads' posts already wake the loop, after(arg) as soon as the wait is over, before anything that came is told. Either may be NULL; NULL, NULL takes them away. They are not called under a virtual clock, nor for a wait of 0. `before` must not call this loop; `after` may, as a callback does: what it queues or starts is in time for the turn that the wait was in. If `after` returns less than 0, the turn ends, and asyncio_loop_run_forever, asyncio_loop_run_until_complete and asyncio_loop_run_once return that number. Events that the wait brought are kept for the next turn. asyncio_run and asyncio_runner_run cancel main, as for SIGINT, and return the number if main ended for that; if it comes a second time they return at once. 0; -EINVAL for a loop that is NULL; ASYNCIO_ESTATE when it is closed."
},
{
"title": "asyncio_loop_adopt",
"url": "reference/embed.html#asyncio_loop_adopt",
"text": "Makes a loop that does not run the calling thread's, as running it would: for a program whose threads take turns, as those of an interpreter with one lock, that makes a loop here, runs it there, and closes it elsewhere. No other thread may use the loop in this moment, but by the calls that any thread may make. 0; ASYNCIO_ESTATE when it runs, in a thread other than this one, or is closed; -EINVAL for NULL."
},
{
"title": "asyncio_loop_set_drain",
"url": "reference/embed.html#asyncio_loop_set_drain",
"text": "Sets the function that gets back, when the loop closes, what is still the loop's: fn is called inside asyncio_loop_close, or the last asyncio_loop_release, in its thread, once for each call that was queued or posted, each timer and each watch that was started. Its argument is idle already, and may be freed there. fn may also cancel, stop and free others, which are then not told; all else on this loop gives ASYNCIO_ESTATE or false. fn NULL: they become idle in silence, as they do without this call. 0; -EINVAL for a loop that is NULL; ASYNCIO_ESTATE when it is closed."
},
{
"title": "asyncio/embed.h",
"url": "reference/embed.html",
"text": "For embedders: calls, timers and posts in the caller's own storage, for a program that brings another language, or callbacks of its own, to the loop. Nothing here allocates. What the library's own callbacks and handles stand on, this is. struct job { asyncio_call call; int number; }; static void run_job(asyncio_call *call) { struct job *job = (struct job *)call; ... free(job); } asyncio_call_init(&job->call, run_job); asyncio_loop_call(loop, &job->call); Each is a complete type whose fields are private: a part of a larger struct, made by its _init, which may be repeated while it is idle. It must stay where it is while it is queued or started. fn runs on the loop's own stack, where it cannot wait: a waiting call gives ASYNCIO_ENOTASK. It runs in an empty context (contextvars.h). A variable that it sets lasts until it returns; a task that it makes begins with a copy of that context. A call or a timer is idle again before its fn is entered, and the library touches it no more unless fn starts it anew. So fn may free it. It may also free any other that it has cancelled or stopped: after _cancel or _stop, whatever they return, that one is not queued, its fn will not come, and the storage is the caller's. When a loop closes, all that it has become idle; asyncio_loop_set_drain tells their owner. After that _cancel and _stop return false, and touch no loop. All calls are for the loop's thread, and any other thread's aborts with a message, but for asyncio_loop_post and asyncio_loop_adopt. None suspends."
},
{
"title": "asyncio_strerror",
"url": "reference/errors.html#asyncio_strerror",
"text": "Returns the words for an error, as strerror has them (\"Connection refused\", \"no running task\"). Takes the negative value; a value >= 0 gives \"success\". Never NULL; the strings are constants. Any thread, never waits."
},
{
"title": "asyncio_errname",
"url": "reference/errors.html#asyncio_errname",
"text": "Returns the name of an error (\"ECONNREFUSED\", \"ASYNCIO_ESTATE\"), \"OK\" for a value >= 0, \"unknown\" for an error without a name. The strings are constants. Any thread, never waits."
},
{
"title": "asyncio/errors.h",
"url": "reference/errors.html",
"text": "Results and errors. A coroutine, and every call that can wait, returns a signed number. A number >= 0 is a value; -4095 to -1 is an error: a negative errno, or one of the codes below. -ECANCELED is Python's CancelledError, -ETIMEDOUT its TimeoutError. The library never sets the caller's errno."
},
{
"title": "asyncio_handle",
"url": "reference/events.html#asyncio_handle",
"text": "A scheduled callback. All zero: none."
},
{
"title": "asyncio_exception_context",
"url": "reference/events.html#asyncio_exception_context",
"text": "What happened, for the exception handler. Pointers are valid during the call."
},
{
"title": "asyncio_get_running_loop",
"url": "reference/events.html#asyncio_get_running_loop",
"text": "Returns the loop that runs in this thread, borrowed; NULL if none does. (get_running_loop)"
},
{
"title": "asyncio_loop_new",
"url": "reference/events.html#asyncio_loop_new",
"text": "Makes a loop, with one reference. `options` may be NULL. Returns NULL when memory or descriptors run out, or options cannot be met; asyncio_error_message says which. (new_event_loop)"
},
{
"title": "asyncio_loop_ref",
"url": "reference/events.html#asyncio_loop_ref",
"text": "Counts a reference to a loop. Any thread."
},
{
"title": "asyncio_loop_release",
"url": "reference/events.html#asyncio_loop_release",
"text": "Drops a reference to a loop; the last one frees the loop, which must be closed. If it is open, the call must come from the loop's own thread and closes it first, as asyncio_loop_close does, whatever work is still on other threads. Accepts NULL. Any thread."
},
{
"title": "asyncio_loop_run_forever",
"url": "reference/events.html#asyncio_loop_run_forever",
"text": "Runs the loop until asyncio_loop_stop. 0; ASYNCIO_ESTATE if it runs, is closed, or another loop runs in this thread; -EDEADLK when a virtual clock has nothing to wait for. (run_forever)"
},
{
"title": "asyncio_loop_run_until_complete",
"url": "reference/events.html#asyncio_loop_run_until_complete",
"text": "Runs the loop until the future is done and returns its result; takes over the reference. Errors as above; ASYNCIO_ESTATE also when the loop was stopped first. (run_until_complete)"
},
{
"title": "asyncio_loop_stop",
"url": "reference/events.html#asyncio_loop_stop",
"text": "Ends run_forever after the current iteration. Callbacks queued by it stay queued. (stop)"
},
{
"title": "asyncio_loop_close",
"url": "reference/events.html#asyncio_loop_close",
"text": "Ends the work of a loop: drops callbacks and timers, reports coroutines that were never awaited, reports and abandons tasks that are still pending, and gives stacks back. The object stays valid until the last release. 0, also when the loop is closed already; ASYNCIO_ESTATE while it runs; -EINVAL for NULL. (close)"
},
{
"title": "asyncio_loop_is_running",
"url": "reference/events.html#asyncio_loop_is_running",
"text": "Ends the work of a loop: drops callbacks and timers, reports coroutines that were never awaited, reports and abandons tasks that are still pending, and gives stacks back. The object stays valid until the last release. 0, also when the loop is closed already; ASYNCIO_ESTATE while it runs; -EINVAL for NULL. (close)"
},
{
"title": "asyncio_loop_is_closed",
"url": "reference/events.html#asyncio_loop_is_closed",
"text": "Ends the work of a loop: drops callbacks and timers, reports coroutines that were never awaited, reports and abandons tasks that are still pending, and gives stacks back. The object stays valid until the last release. 0, also when the loop is closed already; ASYNCIO_ESTATE while it runs; -EINVAL for NULL. (close)"
},
{
"title": "asyncio_loop_time",
"url": "reference/events.html#asyncio_loop_time",
"text": "Reads the loop's monotonic clock, in seconds. (time)"
},
{
"title": "asyncio_loop_fd",
"url": "reference/events.html#asyncio_loop_fd",
"text": "Run a loop inside another one: poll asyncio_loop_fd for input, for at most asyncio_loop_timeout seconds, then call asyncio_loop_run_once(loop, 0). All of them belong to the loop's thread; none suspends. _fd returns a descriptor, which stays the loop's and is there to be polled, for nothing else. It becomes readable when the loop has something to do, whatever the reason: a descriptor, a signal, another thread, or a call of this thread between two turns. It stays readable until the next turn. The passing of time alone does not make it readable. The number never changes. -ENOSYS with a virtual clock, ASYNCIO_ESTATE once the loop is closed, -EINVAL for NULL. _timeout returns the seconds until the loop has something to do by itself: 0 for now, ASYNCIO_FOREVER for never. The number may change in each turn, and by a call between two turns, which makes the descriptor readable. _run_once makes one turn: it waits at most `timeout` seconds for something to do (not at all if that is 0 or less), then runs what is ready, which takes as long as the steps of tasks and callbacks do. 0, or the errors of asyncio_loop_run_forever; ASYNCIO_ESTATE also in a task or callback of a loop; -EINVAL for NaN. The handler that reports a stack overflow (asyncio_run_options) is installed from the first turn until the loop closes."
},
{
"title": "asyncio_loop_timeout",
"url": "reference/events.html#asyncio_loop_timeout",
"text": "Run a loop inside another one: poll asyncio_loop_fd for input, for at most asyncio_loop_timeout seconds, then call asyncio_loop_run_once(loop, 0). All of them belong to the loop's thread; none suspends. _fd returns a descriptor, which stays the loop's and is there to be polled, for nothing else. It becomes readable when the loop has something to do, whatever the reason: a descriptor, a signal, another thread, or a call of this thread between two turns. It stays readable until the next turn. The passing of time alone does not make it readable. The number never changes. -ENOSYS with a virtual clock, ASYNCIO_ESTATE once the loop is closed, -EINVAL for NULL. _timeout returns the seconds until the loop has something to do by itself: 0 for now, ASYNCIO_FOREVER for never. The number may change in each turn, and by a call between two turns, which makes the descriptor readable. _run_once makes one turn: it waits at most `timeout` seconds for something to do (not at all if that is 0 or less), then runs what is ready, which takes as long as the steps of tasks and callbacks do. 0, or the errors of asyncio_loop_run_forever; ASYNCIO_ESTATE also in a task or callback of a loop; -EINVAL for NaN. The handler that reports a stack overflow (asyncio_run_options) is installed from the first turn until the loop closes."
},
{
"title": "asyncio_loop_run_once",
"url": "reference/events.html#asyncio_loop_run_once",
"text": "Run a loop inside another one: poll asyncio_loop_fd for input, for at most asyncio_loop_timeout seconds, then call asyncio_loop_run_once(loop, 0). All of them belong to the loop's thread; none suspends. _fd returns a descriptor, which stays the loop's and is there to be polled, for nothing else. It becomes readable when the loop has something to do, whatever the reason: a descriptor, a signal, another thread, or a call of this thread between two turns. It stays readable until the next turn. The passing of time alone does not make it readable. The number never changes. -ENOSYS with a virtual clock, ASYNCIO_ESTATE once the loop is closed, -EINVAL for NULL. _timeout returns the seconds until the loop has something to do by itself: 0 for now, ASYNCIO_FOREVER for never. The number may change in each turn, and by a call between two turns, which makes the descriptor readable. _run_once makes one turn: it waits at most `timeout` seconds for something to do (not at all if that is 0 or less), then runs what is ready, which takes as long as the steps of tasks and callbacks do. 0, or the errors of asyncio_loop_run_forever; ASYNCIO_ESTATE also in a task or callback of a loop; -EINVAL for NaN. The handler that reports a stack overflow (asyncio_run_options) is installed from the first turn until the loop closes."
},
{
"title": "asyncio_loop_call_soon",
"url": "reference/events.html#asyncio_loop_call_soon",
"text": "Has fn(arg) called by the loop: in its next iteration; after `delay` seconds; when its clock reads `when`. Equal times fire in the order in which they were made. A refused call (NaN, a closed loop, no fn, no memory) returns a handle that is all zero, and tells the exception handler. (call_soon, call_later, call_at)"
},
{
"title": "asyncio_loop_call_later",
"url": "reference/events.html#asyncio_loop_call_later",
"text": "Has fn(arg) called by the loop: in its next iteration; after `delay` seconds; when its clock reads `when`. Equal times fire in the order in which they were made. A refused call (NaN, a closed loop, no fn, no memory) returns a handle that is all zero, and tells the exception handler. (call_soon, call_later, call_at)"
},
{
"title": "asyncio_loop_call_at",
"url": "reference/events.html#asyncio_loop_call_at",
"text": "Has fn(arg) called by the loop: in its next iteration; after `delay` seconds; when its clock reads `when`. Equal times fire in the order in which they were made. A refused call (NaN, a closed loop, no fn, no memory) returns a handle that is all zero, and tells the exception handler. (call_soon, call_later, call_at)"
},
{
"title": "asyncio_handle_cancel",
"url": "reference/events.html#asyncio_handle_cancel",
"text": "Takes back a scheduled callback. False if it has run, was cancelled, or never was."
},
{
"title": "asyncio_handle_valid",
"url": "reference/events.html#asyncio_handle_valid",
"text": "Takes back a scheduled callback. False if it has run, was cancelled, or never was."
},
{
"title": "asyncio_loop_call_soon_threadsafe",
"url": "reference/events.html#asyncio_loop_call_soon_threadsafe",
"text": "Has fn(arg) called by the loop, from any thread. 0, -ENOMEM, -EINVAL, ASYNCIO_ESTATE when the loop is closed. (call_soon_threadsafe)"
},
{
"title": "asyncio_loop_call_soon_signalsafe",
"url": "reference/events.html#asyncio_loop_call_soon_signalsafe",
"text": "Has the loop call fn(arg), from a signal handler: takes one of 64 places. -EAGAIN when all are taken."
},
{
"title": "asyncio_loop_add_reader",
"url": "reference/events.html#asyncio_loop_add_reader",
"text": "Has fn(arg) called each time fd is ready to read, or to write, until it is removed. A descriptor has one reader and one writer: a second one replaces the first. Remove it before the descriptor is closed, or close the descriptor with asyncio_close. Loop's thread; does not wait. 0; -EINVAL, -EBADF, -ENOMEM; -EPERM for a regular file, which is always ready; ASYNCIO_ESTATE when the loop is closed. (add_reader, add_writer)"
},
{
"title": "asyncio_loop_add_writer",
"url": "reference/events.html#asyncio_loop_add_writer",
"text": "Has fn(arg) called each time fd is ready to read, or to write, until it is removed. A descriptor has one reader and one writer: a second one replaces the first. Remove it before the descriptor is closed, or close the descriptor with asyncio_close. Loop's thread; does not wait. 0; -EINVAL, -EBADF, -ENOMEM; -EPERM for a regular file, which is always ready; ASYNCIO_ESTATE when the loop is closed. (add_reader, add_writer)"
},
{
"title": "asyncio_loop_remove_reader",
"url": "reference/events.html#asyncio_loop_remove_reader",
"text": "Removes the callback for a descriptor. True if there was one. (remove_reader, remove_writer)"
},
{
"title": "asyncio_loop_remove_writer",
"url": "reference/events.html#asyncio_loop_remove_writer",
"text": "Removes the callback for a descriptor. True if there was one. (remove_reader, remove_writer)"
},
{
"title": "asyncio_loop_set_exception_handler",
"url": "reference/events.html#asyncio_loop_set_exception_handler",
"text": "Sets the function that is told of errors that nobody can receive. fn NULL restores the default, a line on stderr. The handler cannot wait; errors reported while it runs go to stderr. (set_exception_handler)"
},
{
"title": "asyncio_loop_call_exception_handler",
"url": "reference/events.html#asyncio_loop_call_exception_handler",
"text": "Sets the function that is told of errors that nobody can receive. fn NULL restores the default, a line on stderr. The handler cannot wait; errors reported while it runs go to stderr. (set_exception_handler)"
},
{
"title": "asyncio_loop_set_debug",
"url": "reference/events.html#asyncio_loop_set_debug",
"text": "Switches debug mode, which reports slow steps, deadlocks and more, and costs time. (set_debug)"
},
{
"title": "asyncio_loop_get_debug",
"url": "reference/events.html#asyncio_loop_get_debug",
"text": "Switches debug mode, which reports slow steps, deadlocks and more, and costs time. (set_debug)"
},
{
"title": "asyncio_loop_set_slow_callback_duration",
"url": "reference/events.html#asyncio_loop_set_slow_callback_duration",
"text": "Sets how many seconds a step may take before debug mode reports it; 0.1 by default. NaN and negative values are ignored. (slow_callback_duration)"
},
{
"title": "asyncio/events.h",
"url": "reference/events.html",
"text": "The event loop, for programs that need callbacks, a loop of their own, or a way in from other threads. Most programs use asyncio_run and never see it. A loop belongs to the thread that runs it, and before it runs to the thread that made it. Another thread may use only _ref, _release, and calls whose name ends in _threadsafe or _signalsafe; any other call from a wrong thread aborts with a message. Callbacks run on the loop's own stack and cannot wait: a waiting call in one gives ASYNCIO_ENOTASK."
},
{
"title": "asyncio_wait_readable",
"url": "reference/fdio.html#asyncio_wait_readable",
"text": "Waits until fd is ready, for at most `timeout` seconds. ASYNCIO_FOREVER is no limit; 0 or less looks without waiting. `poll_events` are poll(2)'s: POLLIN, POLLOUT, POLLPRI, POLLRDHUP; POLLERR alone waits for an error, such as one in a socket's error queue. asyncio_wait_fd returns the events that hold, POLLERR and POLLHUP among them; the other two return 0. Errors: -ETIMEDOUT, -ECANCELED, -EBADF, -EINVAL (NaN, no events), -ENOMEM, ASYNCIO_ENOTASK."
},
{
"title": "asyncio_wait_writable",
"url": "reference/fdio.html#asyncio_wait_writable",
"text": "Waits until fd is ready, for at most `timeout` seconds. ASYNCIO_FOREVER is no limit; 0 or less looks without waiting. `poll_events` are poll(2)'s: POLLIN, POLLOUT, POLLPRI, POLLRDHUP; POLLERR alone waits for an error, such as one in a socket's error queue. asyncio_wait_fd returns the events that hold, POLLERR and POLLHUP among them; the other two return 0. Errors: -ETIMEDOUT, -ECANCELED, -EBADF, -EINVAL (NaN, no events), -ENOMEM, ASYNCIO_ENOTASK."
},
{
"title": "asyncio_wait_fd",
"url": "reference/fdio.html#asyncio_wait_fd",
"text": "Waits until fd is ready, for at most `timeout` seconds. ASYNCIO_FOREVER is no limit; 0 or less looks without waiting. `poll_events` are poll(2)'s: POLLIN, POLLOUT, POLLPRI, POLLRDHUP; POLLERR alone waits for an error, such as one in a socket's error queue. asyncio_wait_fd returns the events that hold, POLLERR and POLLHUP among them; the other two return 0. Errors: -ETIMEDOUT, -ECANCELED, -EBADF, -EINVAL (NaN, no events), -ENOMEM, ASYNCIO_ENOTASK."
},
{
"title": "asyncio_read",
"url": "reference/fdio.html#asyncio_read",
"text": "Read and write a descriptor, as read(2), write(2), readv(2) and writev(2), and wait where those would block. Return the number of bytes, 0 at the end of the file, or the call's error; -ECANCELED, -ENOMEM, ASYNCIO_ENOTASK; -EINVAL for a length above SSIZE_MAX, of one part or of all, and for more than IOV_MAX parts. They raise no SIGPIPE."
},
{
"title": "asyncio_write",
"url": "reference/fdio.html#asyncio_write",
"text": "Read and write a descriptor, as read(2), write(2), readv(2) and writev(2), and wait where those would block. Return the number of bytes, 0 at the end of the file, or the call's error; -ECANCELED, -ENOMEM, ASYNCIO_ENOTASK; -EINVAL for a length above SSIZE_MAX, of one part or of all, and for more than IOV_MAX parts. They raise no SIGPIPE."
},
{
"title": "asyncio_readv",
"url": "reference/fdio.html#asyncio_readv",
"text": "Read and write a descriptor, as read(2), write(2), readv(2) and writev(2), and wait where those would block. Return the number of bytes, 0 at the end of the file, or the call's error; -ECANCELED, -ENOMEM, ASYNCIO_ENOTASK; -EINVAL for a length above SSIZE_MAX, of one part or of all, and for more than IOV_MAX parts. They raise no SIGPIPE."
},
{
"title": "asyncio_writev",
"url": "reference/fdio.html#asyncio_writev",
"text": "Read and write a descriptor, as read(2), write(2), readv(2) and writev(2), and wait where those would block. Return the number of bytes, 0 at the end of the file, or the call's error; -ECANCELED, -ENOMEM, ASYNCIO_ENOTASK; -EINVAL for a length above SSIZE_MAX, of one part or of all, and for more than IOV_MAX parts. They raise no SIGPIPE."
},
{
"title": "asyncio_close",
"url": "reference/fdio.html#asyncio_close",
"text": "Closes a descriptor, as close(2). Calls that are waiting on it return -EBADF. Never suspends; also outside a task. 0, -EBADF, -EIO."
},
{
"title": "asyncio_forget",
"url": "reference/fdio.html#asyncio_forget",
"text": "Has the running loop forget a descriptor that somebody else is about to close. Calls that are waiting on it return -EBADF. Never suspends; also outside a task. 0; -EBADF if the loop does not know it."
},
{
"title": "asyncio/fdio.h",
"url": "reference/fdio.html",
"text": "Descriptors: waiting until one is ready, and the waiting twins of read and write. At first use the twins register the descriptor with the loop and make a socket or pipe non-blocking. 0, 1, 2 and terminals stay as they are: the twins poll them before each transfer. Close such a descriptor with asyncio_close, or call asyncio_forget before somebody else closes it. asyncio_wait_readable, _writable and _fd leave no registration behind, and so serve libraries that close their descriptors themselves (libpq, libcurl, hiredis). All of these belong to a task of the loop's thread, suspend when they have to wait, and return ASYNCIO_ENOTASK outside one. A request to cancel ends a wait with -ECANCELED, and nothing was transferred. A transfer that need not wait is made, and delivers no request. Several tasks may wait on one descriptor, first come first served in each direction."
},
{
"title": "asyncio_dirent",
"url": "reference/files.html#asyncio_dirent",
"text": "The entries of a directory: entries[0] to entries[count - 1], without \".\" and \"..\", in the order of the names' bytes."
},
{
"title": "asyncio_file_open",
"url": "reference/files.html#asyncio_file_open",
"text": "Opens a file, as open(2), always close-on-exec. `mode` matters where flags have O_CREAT. 0, or open's error, which leaves *file untouched. (open) A FIFO opens at once to read, and the first read waits for a writer. To write, the call waits for a reader, and a cancel ends this wait; with O_NONBLOCK it returns -ENXIO instead. O_NONBLOCK changes nothing else. The call looks for a reader every 10 ms: it does not notice one that opens without waiting for a writer and leaves before the next look."
},
{
"title": "asyncio_file_from_fd",
"url": "reference/files.html#asyncio_file_from_fd",
"text": "Makes a file of an open descriptor, which belongs to the file from then on, unless the call fails. The position stays the descriptor's, and so is shared with its copies. Does not wait. (fdopen)"
},
{
"title": "asyncio_file_read",
"url": "reference/files.html#asyncio_file_read",
"text": "Read and write a file, as read(2) and write(2), at the file's position, which moves. A read of a regular file returns less than n bytes only at its end, and 0 there. A write returns less only if there was no room for the rest. -EINVAL: a length above SSIZE_MAX. (read, write) One task at a time may use the position: a call of another returns ASYNCIO_ESTATE. Where the kernel keeps the position (O_APPEND, asyncio_file_from_fd, asyncio_file_fd), it also keeps the tasks apart; a read that is cancelled after its first part returns that part. On FIFOs, terminals and the like the calls wait in the loop, and a cancel ends them at once."
},
{
"title": "asyncio_file_write",
"url": "reference/files.html#asyncio_file_write",
"text": "Read and write a file, as read(2) and write(2), at the file's position, which moves. A read of a regular file returns less than n bytes only at its end, and 0 there. A write returns less only if there was no room for the rest. -EINVAL: a length above SSIZE_MAX. (read, write) One task at a time may use the position: a call of another returns ASYNCIO_ESTATE. Where the kernel keeps the position (O_APPEND, asyncio_file_from_fd, asyncio_file_fd), it also keeps the tasks apart; a read that is cancelled after its first part returns that part. On FIFOs, terminals and the like the calls wait in the loop, and a cancel ends them at once."
},
{
"title": "asyncio_file_pread",
"url": "reference/files.html#asyncio_file_pread",
"text": "Read and write a file at an offset; the position does not move, and any number of tasks may do so at a time. -ESPIPE for a file without positions. With O_APPEND a write goes to the end, whatever the offset, as it does on Linux. (os.pread, os.pwrite)"
},
{
"title": "asyncio_file_pwrite",
"url": "reference/files.html#asyncio_file_pwrite",
"text": "Read and write a file at an offset; the position does not move, and any number of tasks may do so at a time. -ESPIPE for a file without positions. With O_APPEND a write goes to the end, whatever the offset, as it does on Linux. (os.pread, os.pwrite)"
},
{
"title": "asyncio_file_lseek",
"url": "reference/files.html#asyncio_file_lseek",
"text": "Moves a file's position, as lseek(2), and returns the new one. SEEK_SET and SEEK_CUR do not wait. -ESPIPE, ASYNCIO_ESTATE. (seek, tell)"
},
{
"title": "asyncio_file_fsync",
"url": "reference/files.html#asyncio_file_fsync",
"text": "Write a file out, cut it, tell about it, as fsync(2), fdatasync(2), ftruncate(2) and fstat(2). 0 or the error. On a network file system _stat returns what this machine knows, without asking the server again. (os.fsync, os.ftruncate, os.fstat)"
},
{
"title": "asyncio_file_fdatasync",
"url": "reference/files.html#asyncio_file_fdatasync",
"text": "Write a file out, cut it, tell about it, as fsync(2), fdatasync(2), ftruncate(2) and fstat(2). 0 or the error. On a network file system _stat returns what this machine knows, without asking the server again. (os.fsync, os.ftruncate, os.fstat)"
},
{
"title": "asyncio_file_ftruncate",
"url": "reference/files.html#asyncio_file_ftruncate",
"text": "Write a file out, cut it, tell about it, as fsync(2), fdatasync(2), ftruncate(2) and fstat(2). 0 or the error. On a network file system _stat returns what this machine knows, without asking the server again. (os.fsync, os.ftruncate, os.fstat)"
},
{
"title": "asyncio_file_stat",
"url": "reference/files.html#asyncio_file_stat",
"text": "Write a file out, cut it, tell about it, as fsync(2), fdatasync(2), ftruncate(2) and fstat(2). 0 or the error. On a network file system _stat returns what this machine knows, without asking the server again. (os.fsync, os.ftruncate, os.fstat)"
},
{
"title": "asyncio_file_fd",
"url": "reference/files.html#asyncio_file_fd",
"text": "Returns the descriptor, which stays the file's; from here on the file uses the descriptor's position. Does not wait; anywhere in the loop's thread. ASYNCIO_ESTATE while a task reads or writes at the position. (fileno)"
},
{
"title": "asyncio_file_close",
"url": "reference/files.html#asyncio_file_close",
"text": "Closes a file and frees it, whatever the call returns. A file that was opened to write is closed on a thread: the call suspends; a cancel makes it return -ECANCELED, and the file is closed nevertheless. Outside a task, or when the loop has closed, the file is closed at once. 0, or close(2)'s error: -EIO, -ENOSPC, -EDQUOT. Does not make data durable (asyncio_file_fsync does). Accepts NULL. (close)"
},
{
"title": "asyncio_stream_from_file",
"url": "reference/files.html#asyncio_stream_from_file",
"text": "Makes a stream over a file, from its position on, for readline, readuntil, copy and all the rest. The file belongs to the stream from then on, unless the call fails. The stream does not hold up the loop. Written bytes go out in the background, and _close tells whether they did. A cancelled read that has begun is completed first. asyncio_stream_from_fd and asyncio_open_pipe do the same with a regular file's descriptor. Does not wait. ASYNCIO_ESTATE while another call uses the file."
},
{
"title": "asyncio_unlink",
"url": "reference/files.html#asyncio_unlink",
"text": "Remove and rename files, make and remove folders, as unlink(2), rename(2), mkdir(2) and rmdir(2). 0 or the error. (os.unlink, os.rename, os.mkdir, os.rmdir)"
},
{
"title": "asyncio_rename",
"url": "reference/files.html#asyncio_rename",
"text": "Remove and rename files, make and remove folders, as unlink(2), rename(2), mkdir(2) and rmdir(2). 0 or the error. (os.unlink, os.rename, os.mkdir, os.rmdir)"
},
{
"title": "asyncio_mkdir",
"url": "reference/files.html#asyncio_mkdir",
"text": "Remove and rename files, make and remove folders, as unlink(2), rename(2), mkdir(2) and rmdir(2). 0 or the error. (os.unlink, os.rename, os.mkdir, os.rmdir)"
},
{
"title": "asyncio_rmdir",
"url": "reference/files.html#asyncio_rmdir",
"text": "Remove and rename files, make and remove folders, as unlink(2), rename(2), mkdir(2) and rmdir(2). 0 or the error. (os.unlink, os.rename, os.mkdir, os.rmdir)"
},
{
"title": "asyncio_stat",
"url": "reference/files.html#asyncio_stat",
"text": "Tell about a path, as stat(2) and lstat(2), which looks at a symbolic link itself. As asyncio_file_stat. (os.stat, os.lstat)"
},
{
"title": "asyncio_lstat",
"url": "reference/files.html#asyncio_lstat",
"text": "Tell about a path, as stat(2) and lstat(2), which looks at a symbolic link itself. As asyncio_file_stat. (os.stat, os.lstat)"
},
{
"title": "asyncio_scandir",
"url": "reference/files.html#asyncio_scandir",
"text": "Reads a directory as a list; *dirents is untouched on an error. -ENOTDIR, -ENOENT, -EACCES ... (os.scandir)"
},
{
"title": "asyncio_dirents_destroy",
"url": "reference/files.html#asyncio_dirents_destroy",
"text": "Frees the memory, and leaves none. Accepts NULL. Any thread; does not wait."
},
{
"title": "asyncio_copyfile",
"url": "reference/files.html#asyncio_copyfile",
"text": "Copies a regular file up to its end, within the kernel where possible, and returns the number of bytes. Holes stay holes; on a device zeros are written for them. A new file `to` gets the permissions of `from`, less the umask. An existing one keeps its own and is cut first; -EINVAL if both are the same file. A cancel ends the copy after a piece of 64 MiB. On a cancel or an error the call removes a file that it has made, and leaves an existing one as far as it came. (shutil.copyfile)"
},
{
"title": "asyncio/files.h",
"url": "reference/files.html",
"text": "Files: the waiting twins of the system calls on them. Those may wait for a disk or for a server; the twins do not hold up the loop meanwhile. asyncio_file *file; int err = asyncio_file_open(\"words.txt\", O_RDONLY, 0, &file); if (err) return err; char block[4096]; ssize_t n; while ((n = asyncio_file_read(file, block, sizeof block)) > 0) fwrite(block, 1, (size_t)n, stdout); asyncio_file_close(file); return n; A call that the kernel can answer from memory is made at once, on the loop's thread. A few threads of the library make the others. Parameters are those of the system calls, in their order, and so are the errors. An error has a message that names the call and the path: \"open words.txt: no such file or directory\". All of these belong to a task of the loop's thread (elsewhere: ASYNCIO_ENOTASK) and may suspend. Paths and buffers are borrowed until the call returns. A request to cancel takes back a call that has not begun on a thread: -ECANCELED, and nothing was done. A call that has begun is completed and returns its outcome, so that no byte and no descriptor is lost; the request stays pending. -EAGAIN: no thread could be made; -ENOMEM, -EINVAL. Under a virtual clock the calls are made at once, and take no time."
},
{
"title": "asyncio_future_new",
"url": "reference/futures.html#asyncio_future_new",
"text": "Makes a pending future of the running loop, with one reference. NULL: out of memory, or no loop runs in this thread. (loop.create_future)"
},
{
"title": "asyncio_future_set_result",
"url": "reference/futures.html#asyncio_future_set_result",
"text": "Completes a future with a value >= 0, or with an error < 0. Tasks that await it become ready, and its callbacks are queued, in the order in which they came. 0; ASYNCIO_ESTATE if it is done already; -EINVAL for NULL, a task, or a result on the wrong side of 0. (Future.set_result, set_exception)"
},
{
"title": "asyncio_future_set_error",
"url": "reference/futures.html#asyncio_future_set_error",
"text": "Completes a future with a value >= 0, or with an error < 0. Tasks that await it become ready, and its callbacks are queued, in the order in which they came. 0; ASYNCIO_ESTATE if it is done already; -EINVAL for NULL, a task, or a result on the wrong side of 0. (Future.set_result, set_exception)"
},
{
"title": "asyncio_ref",
"url": "reference/futures.html#asyncio_ref",
"text": "Adds a reference to a task or a future and returns it, with its type. NULL gives NULL."
},
{
"title": "asyncio_release",
"url": "reference/futures.html#asyncio_release",
"text": "Drops a reference without waiting. A task that runs goes on, owned by the loop: fire and forget. A coroutine is disposed of."
},
{
"title": "asyncio_ensure_future",
"url": "reference/futures.html#asyncio_ensure_future",
"text": "Returns the future of any awaitable. A coroutine becomes a task; a task or a future is returned as it is, with the same reference. (ensure_future)"
},
{
"title": "asyncio_done",
"url": "reference/futures.html#asyncio_done",
"text": "Tells whether it is done: true when it has ended in any way. NULL is done. (done)"
},
{
"title": "asyncio_cancelled",
"url": "reference/futures.html#asyncio_cancelled",
"text": "Tells whether it was cancelled: true when its result is -ECANCELED. (cancelled)"
},
{
"title": "asyncio_result",
"url": "reference/futures.html#asyncio_result",
"text": "Returns the result, a value or an error; an error counts as seen from then on. ASYNCIO_ESTATE while it is pending; -ENOMEM for NULL. (result, exception)"
},
{
"title": "asyncio_cancel",
"url": "reference/futures.html#asyncio_cancel",
"text": "Requests a cancel of a task or a future. A task gets -ECANCELED from the call that it waits in, or from its next wait. While it awaits another task or future, the request is passed on to that. A plain future is done at once, with -ECANCELED. Requests to a task are counted (asyncio_task_cancelling). False if it was done already, or is NULL, or is a task of a closed loop. (cancel)"
},
{
"title": "asyncio_cancel_with",
"url": "reference/futures.html#asyncio_cancel_with",
"text": "Requests a cancel, as asyncio_cancel, with a message for those who await it. The message is copied."
},
{
"title": "asyncio_add_done_callback",
"url": "reference/futures.html#asyncio_add_done_callback",
"text": "Has fn(x, arg) called by the loop once x is done; never inside this call, even if x is done already. In the callback x is borrowed. Errors: -ENOMEM (also for NULL), -EINVAL for no fn. (add_done_callback)"
},
{
"title": "asyncio_remove_done_callback",
"url": "reference/futures.html#asyncio_remove_done_callback",
"text": "Takes back all callbacks with this fn and arg that are not queued yet, and returns how many they were. (remove_done_callback)"
},
{
"title": "asyncio/futures.h",
"url": "reference/futures.html",
"text": "Futures: a result that is there, or will be. The maker of a future completes it with asyncio_future_set_result or _set_error; others await it. References are counted. asyncio_ref adds one, asyncio_release drops one; a verb that waits for a future (await, join, gather, ...) takes over the caller's reference. A future that failed, and whose result nobody looked at, is reported to the loop's exception handler when its last reference goes. All calls here belong to the loop's thread and do not wait. They accept tasks and futures alike, and NULL, which stands for \"out of memory\"."
},
{
"title": "asyncio_call_frame",
"url": "reference/inspect.html#asyncio_call_frame",
"text": "One call on a task's stack."
},
{
"title": "asyncio_stall",
"url": "reference/inspect.html#asyncio_stall",
"text": "A loop that is held: one task or callback does not give way. Where it computes, a signal asks its thread which calls it is in; where it sits in a system call, there is no signal, as that would end some of these early, and the only frame is the place of the call. All texts are valid until the handler returns."
},
{
"title": "asyncio_metrics",
"url": "reference/inspect.html#asyncio_metrics",
"text": "What a loop does. Times are in seconds; the last four are about the time since this loop's last call. A lag is how long something that came was not looked at: the time between two polls of the loop. The percentiles are exact to 7 percent. Steps are not timed one by one: that would cost more than a step. The loop looks at the clock after 1 to 64 of them, and after each one while they are long. So longest_step is exact where steps are long, and the time of a few short ones otherwise; the running step counts as far as it has come. Under a virtual clock all four are in its time, which stands still during a step."
},
{
"title": "asyncio_capture_call_graph",
"url": "reference/inspect.html#asyncio_capture_call_graph",
"text": "Captures the calls that a task is in and, by awaits, the tasks that wait for it, each with its calls. Waiting are those in await, gather, wait, wait_for, shield and as_completed, and those in a group whose child the task is. NULL: the running task. Task's thread. Does not wait. Returns NULL without memory, and if no task runs. The first capture may load the unwinder, which takes stack; where the C library has none (musl), there are no frames. (capture_call_graph)"
},
{
"title": "asyncio_call_graph_frames",
"url": "reference/inspect.html#asyncio_call_graph_frames",
"text": "The calls, the innermost first, those of the library among them; valid until the release. Returns how many. None: the task has not begun, or has ended."
},
{
"title": "asyncio_call_graph_awaited_by",
"url": "reference/inspect.html#asyncio_call_graph_awaited_by",
"text": "The graphs of the tasks that wait for this one, and how many there are. A task that was met before has a graph with a name alone, so that to follow them comes to an end where tasks wait in a circle. They belong to the root."
},
{
"title": "asyncio_call_graph_name",
"url": "reference/inspect.html#asyncio_call_graph_name",
"text": "The task's name."
},
{
"title": "asyncio_call_graph_release",
"url": "reference/inspect.html#asyncio_call_graph_release",
"text": "Frees a graph, by its root, with all in it. Accepts NULL. Any thread."
},
{
"title": "asyncio_print_call_graph",
"url": "reference/inspect.html#asyncio_print_call_graph",
"text": "Prints a task, its calls, and the tasks that wait for it, as a tree. NULL: the running task. Task's thread. Does not wait. (print_call_graph)"
},
{
"title": "asyncio_print_tasks",
"url": "reference/inspect.html#asyncio_print_tasks",
"text": "Prints a line for each task of the running loop, with what it waits for; where none runs, of all loops of this thread. Does not wait."
},
{
"title": "asyncio_dump_signalsafe",
"url": "reference/inspect.html#asyncio_dump_signalsafe",
"text": "Writes a line for each task of all loops of the process to a descriptor: its name, what it waits for, and the address where it does. For signal handlers, and for a program that is about to end: async-signal-safe, in any thread, at any time, whatever the loops are in the middle of. It reads by process_vm_readv, so that what is gone does not crash it; in a list that changes meanwhile it stops with a word. In debug mode SIGQUIT does this on stderr, unless the program has changed that signal's action; the program goes on."
},
{
"title": "asyncio_set_stall_handler",
"url": "reference/inspect.html#asyncio_set_stall_handler",
"text": "Sets the function that is told of held loops, in place of lines on stderr; NULL: those again. A loop is watched if its run option `watchdog` says so, and in debug mode: a thread looks four times within that limit whether it has gone on. It tells once that the loop is held, 1 to 1.5 limits after that began (up to a second later if the process was idle before), and once that it goes on. It says nothing while a debugger holds the process. Time in which the process was stopped, or had no processor, does not count. A loop that waits for events is not held; nor is one inside wait hooks. fn runs on that thread. It must not use the loop, nor wait for the loop's thread: the end of the last loop that is watched waits for fn. The same fn may be called about several loops, one call at a time. The signal is SIGURG, and it is sent only if the program has no action of its own for it. Any thread. Returns when the old function does not run any more. 0; ASYNCIO_ESTATE inside such a function."
},
{
"title": "asyncio_loop_get_metrics",
"url": "reference/inspect.html#asyncio_loop_get_metrics",
"text": "Reads the loop's numbers, which are always counted, and begins anew with the last four. Loop's thread, whether the loop runs or not. Does not wait. 0; -EINVAL for NULL; ASYNCIO_ESTATE for a closed loop."
},
{
"title": "asyncio_backend_why",
"url": "reference/inspect.html#asyncio_backend_why",
"text": "Tells why the library works as it does in this process, in words for people: whether io_uring carries out calls on files, or threads, whether io_uring serves streams, or epoll, and why. Such as: \"io_uring carries out calls on files; io_uring serves streams, without send\", or \"threads carry out calls on files: io_uring is denied (EPERM): kernel.io_uring_disabled or a container's seccomp profile; epoll serves streams: ASYNCIO_BACKEND does not ask for io_uring\". The environment chooses by ASYNCIO_FILES=auto, threads or ring, ASYNCIO_BACKEND=auto, epoll or io_uring, and ASYNCIO_URING_WITHOUT. A loop whose options name a backend has that one, which is not told here. The first call may try io_uring out, which takes a fraction of a millisecond. Any thread, also without a loop. Does not suspend. The text is the thread's, and stands until it asks again."
},
{
"title": "asyncio/inspect.h",
"url": "reference/inspect.html",
"text": "Looking inside: what tasks do, who waits for whom, and what a loop does in numbers. From outside the same is told by the command `asyncio ps` and its like, without a line in the program."
},
{
"title": "asyncio_instrument",
"url": "reference/instrument.html#asyncio_instrument",
"text": "An instrument: `event` is called on the loop's stack; it cannot wait, and must not change the loop."
},
{
"title": "asyncio_loop_set_instrument",
"url": "reference/instrument.html#asyncio_loop_set_instrument",
"text": "Sets the loop's instrument, which is borrowed until it is replaced; NULL removes it. Loop's thread. Does not wait."
},
{
"title": "asyncio/instrument.h",
"url": "reference/instrument.html",
"text": "Instruments: functions that are told what the loop does, as it does it. For tools, tutorials and tests. They cost nothing while none is set; with one, every step goes through the loop."
},
{
"title": "asyncio_lock",
"url": "reference/locks.html#asyncio_lock",
"text": "A lock: one task at a time. (Lock)"
},
{
"title": "asyncio_event",
"url": "reference/locks.html#asyncio_event",
"text": "A flag that tasks wait for. (Event)"
},
{
"title": "asyncio_condition",
"url": "reference/locks.html#asyncio_condition",
"text": "A condition variable: a lock, and tasks that wait for news of what it protects. The lock is the caller's, and several conditions may share it; with NULL the condition has its own. (Condition) asyncio_condition_acquire(&condition); while (!ready) if ((err = asyncio_condition_wait(&condition)) < 0) break; asyncio_condition_release(&condition);"
},
{
"title": "asyncio_semaphore",
"url": "reference/locks.html#asyncio_semaphore",
"text": "A semaphore: so many tasks at a time. (Semaphore)"
},
{
"title": "asyncio_bounded_semaphore",
"url": "reference/locks.html#asyncio_bounded_semaphore",
"text": "A semaphore that cannot be released more often than it was acquired. (BoundedSemaphore)"
},
{
"title": "asyncio_barrier",
"url": "reference/locks.html#asyncio_barrier",
"text": "A point where tasks meet: all go on when a number of parties have come. A barrier can be used again and again. It fills; then it drains, until each task that met there has gone on. Tasks that come meanwhile wait for that. (Barrier)"
},
{
"title": "asyncio_lock_init",
"url": "reference/locks.html#asyncio_lock_init",
"text": "Makes a free lock. The lock must not be in use. Does nothing for NULL."
},
{
"title": "asyncio_lock_acquire",
"url": "reference/locks.html#asyncio_lock_acquire",
"text": "Takes the lock. Suspends while a task holds it, the calling one included: a lock is not reentrant. 0. After an error, -ECANCELED included, the caller does not hold the lock. (Lock.acquire, which returns True)"
},
{
"title": "asyncio_lock_release",
"url": "reference/locks.html#asyncio_lock_release",
"text": "Hands the lock to the task that has waited longest, or frees it. Any task or callback may release it. 0; ASYNCIO_ESTATE if it is free. (Lock.release, RuntimeError)"
},
{
"title": "asyncio_lock_locked",
"url": "reference/locks.html#asyncio_lock_locked",
"text": "Tells whether a task holds the lock. A task that was handed the lock holds it, though it has not run yet. (Lock.locked)"
},
{
"title": "asyncio_event_init",
"url": "reference/locks.html#asyncio_event_init",
"text": "Makes an event that is not set. The event must not be in use. Does nothing for NULL."
},
{
"title": "asyncio_event_wait",
"url": "reference/locks.html#asyncio_event_wait",
"text": "Waits until the event is set. Suspends unless it is. 0. (Event.wait, which returns True)"
},
{
"title": "asyncio_event_set",
"url": "reference/locks.html#asyncio_event_set",
"text": "Sets the event. All tasks that wait go on, in the order in which they came, even if the event is cleared right after. 0, also when it is set already. (Event.set)"
},
{
"title": "asyncio_event_clear",
"url": "reference/locks.html#asyncio_event_clear",
"text": "Clears the event: from now on tasks wait. 0. (Event.clear)"
},
{
"title": "asyncio_event_is_set",
"url": "reference/locks.html#asyncio_event_is_set",
"text": "Tells whether the event is set. (Event.is_set)"
},
{
"title": "asyncio_condition_init",
"url": "reference/locks.html#asyncio_condition_init",
"text": "Makes a condition on `lock`, which must outlive it; with NULL on a lock of its own. The condition must not be in use. Does nothing if the condition is NULL."
},
{
"title": "asyncio_condition_acquire",
"url": "reference/locks.html#asyncio_condition_acquire",
"text": "Acquire (suspends), release and look at the condition's lock. (Condition.acquire, release, locked)"
},
{
"title": "asyncio_condition_release",
"url": "reference/locks.html#asyncio_condition_release",
"text": "Acquire (suspends), release and look at the condition's lock. (Condition.acquire, release, locked)"
},
{
"title": "asyncio_condition_locked",
"url": "reference/locks.html#asyncio_condition_locked",
"text": "Acquire (suspends), release and look at the condition's lock. (Condition.acquire, release, locked)"
},
{
"title": "asyncio_condition_wait",
"url": "reference/locks.html#asyncio_condition_wait",
"text": "Releases the lock, waits for a notify, and takes the lock again. Suspends. The caller must hold the lock. It holds the lock again when this returns 0 or -ECANCELED, however often it was cancelled meanwhile. A task that is cancelled after it was notified, and before it has the lock, passes the notify on. There are no spurious returns. ASYNCIO_ESTATE if nobody holds the lock. (Condition.wait, which returns True; RuntimeError)"
},
{
"title": "asyncio_condition_wait_for",
"url": "reference/locks.html#asyncio_condition_wait_for",
"text": "Waits, as asyncio_condition_wait, until predicate(arg) is true. The predicate is called with the lock held, for the first time at once. Suspends unless it is true then. 0; -EINVAL without a predicate. (Condition.wait_for)"
},
{
"title": "asyncio_condition_notify",
"url": "reference/locks.html#asyncio_condition_notify",
"text": "Wakes up to n tasks, those that have waited longest. Each goes on when it has the lock, which the caller holds and must release. 0; ASYNCIO_ESTATE if nobody holds the lock. (Condition.notify, notify_all; RuntimeError)"
},
{
"title": "asyncio_condition_notify_all",
"url": "reference/locks.html#asyncio_condition_notify_all",
"text": "Wakes up to n tasks, those that have waited longest. Each goes on when it has the lock, which the caller holds and must release. 0; ASYNCIO_ESTATE if nobody holds the lock. (Condition.notify, notify_all; RuntimeError)"
},
{
"title": "asyncio_semaphore_init",
"url": "reference/locks.html#asyncio_semaphore_init",
"text": "Makes a semaphore that lets `value` tasks pass. The semaphore must not be in use. Does nothing for NULL. A value below 0 makes a semaphore whose acquire and release return -EINVAL. (Semaphore(value), ValueError)"
},
{
"title": "asyncio_bounded_semaphore_init",
"url": "reference/locks.html#asyncio_bounded_semaphore_init",
"text": "Makes a semaphore that lets `value` tasks pass. The semaphore must not be in use. Does nothing for NULL. A value below 0 makes a semaphore whose acquire and release return -EINVAL. (Semaphore(value), ValueError)"
},
{
"title": "asyncio_semaphore_acquire",
"url": "reference/locks.html#asyncio_semaphore_acquire",
"text": "Takes one from the semaphore's value. Suspends while the value is 0. 0. After an error, -ECANCELED included, nothing was taken. (acquire, which returns True)"
},
{
"title": "asyncio_bounded_semaphore_acquire",
"url": "reference/locks.html#asyncio_bounded_semaphore_acquire",
"text": "Takes one from the semaphore's value. Suspends while the value is 0. 0. After an error, -ECANCELED included, nothing was taken. (acquire, which returns True)"
},
{
"title": "asyncio_semaphore_release",
"url": "reference/locks.html#asyncio_semaphore_release",
"text": "Lets the task that has waited longest pass, or adds one to the value. 0; -EOVERFLOW at INT_MAX; ASYNCIO_ESTATE if nothing was taken from a bounded semaphore. (release, ValueError)"
},
{
"title": "asyncio_bounded_semaphore_release",
"url": "reference/locks.html#asyncio_bounded_semaphore_release",
"text": "Lets the task that has waited longest pass, or adds one to the value. 0; -EOVERFLOW at INT_MAX; ASYNCIO_ESTATE if nothing was taken from a bounded semaphore. (release, ValueError)"
},
{
"title": "asyncio_semaphore_locked",
"url": "reference/locks.html#asyncio_semaphore_locked",
"text": "Tells whether acquire would have to wait for the semaphore. (locked)"
},
{
"title": "asyncio_bounded_semaphore_locked",
"url": "reference/locks.html#asyncio_bounded_semaphore_locked",
"text": "Tells whether acquire would have to wait for the semaphore. (locked)"
},
{
"title": "asyncio_barrier_init",
"url": "reference/locks.html#asyncio_barrier_init",
"text": "Makes a barrier for so many parties. The barrier must not be in use. Does nothing for NULL. Fewer parties than 1 make a barrier whose wait returns -EINVAL. It must stay until all waits have returned. (Barrier(parties), ValueError)"
},
{
"title": "asyncio_barrier_wait",
"url": "reference/locks.html#asyncio_barrier_wait",
"text": "Waits until all parties are here. Suspends, except in the task that comes last. Returns to each task a number of its own from 0 to parties - 1, in the order in which they came. A task that is cancelled before all are here leaves as if it had not come. ASYNCIO_EBROKEN if the barrier is broken, or was reset or aborted meanwhile. (Barrier.wait)"
},
{
"title": "asyncio_barrier_reset",
"url": "reference/locks.html#asyncio_barrier_reset",
"text": "Empties the barrier, and mends a broken one. All tasks in it get ASYNCIO_EBROKEN, also those that have yet to go on. 0. (Barrier.reset)"
},
{
"title": "asyncio_barrier_abort",
"url": "reference/locks.html#asyncio_barrier_abort",
"text": "Breaks the barrier. All tasks that wait, and all that come until it is reset, get ASYNCIO_EBROKEN. 0. (Barrier.abort)"
},
{
"title": "asyncio_barrier_parties",
"url": "reference/locks.html#asyncio_barrier_parties",
"text": "Returns how many tasks have to come. (parties)"
},
{
"title": "asyncio_barrier_n_waiting",
"url": "reference/locks.html#asyncio_barrier_n_waiting",
"text": "Returns how many tasks have come; 0 unless the barrier is filling. (n_waiting)"
},
{
"title": "asyncio_barrier_broken",
"url": "reference/locks.html#asyncio_barrier_broken",
"text": "Tells whether the barrier is broken, by an abort. (broken)"
},
{
"title": "asyncio/locks.h",
"url": "reference/locks.html",
"text": "Locks, events, conditions, semaphores and barriers, for the tasks of a loop. static asyncio_lock lock = ASYNCIO_LOCK_INIT; int err = asyncio_lock_acquire(&lock); if (err) return err; ... asyncio_lock_release(&lock); Each is a plain struct, made by its initialiser macro or by its _init. None allocates, and none needs a destructor. It must stay where it is while tasks wait. Waiting is first come, first served. A release hands the lock over at once, and the task keeps what it was given: a request to cancel that comes later stays pending for the task's next wait. A call that need not wait does not wait. After many such calls in a row the task gives way once, before the operation; that is a wait like any other. The first use in a task binds an object to that task's loop. From then on a call from another thread aborts with a message. Another loop may use the object when nobody waits on it and a lock is free, provided that the first loop is closed or belongs to the same thread. So a static object serves one asyncio_run after the other. Calls that return int return -EINVAL for NULL. Calls that suspend also return -ECANCELED when cancelled, ASYNCIO_ENOTASK outside a task, and ASYNCIO_ESTATE while another loop uses the object. All other calls do not wait, and may be made in callbacks and where no loop runs. Predicates of NULL are false, numbers of NULL are 0."
},
{
"title": "asyncio_loops_options",
"url": "reference/loops.html#asyncio_loops_options",
"text": "Options of several loops: all zero means the defaults."
},
{
"title": "asyncio_run_loops",
"url": "reference/loops.html#asyncio_run_loops",
"text": "Makes several loops, then runs the coroutine that make(i, loops, arg) makes as the main task of loop i, for each i from 0, until all have ended. Loop 0 runs on the calling thread, each other one on a thread of its own. Each ends as in asyncio_run: when its main has ended it cancels the tasks that are left, waits for them and closes. From then on calls to it give ASYNCIO_ESTATE. If a main fails, all others are cancelled, as in a task group (-ECANCELED is no failure). Returns the result of the first main that failed; if none did, that of loop 0's main. The first SIGINT (and SIGTERM, where handled) cancels all mains: then -ECANCELED of loop 0's main becomes -EINTR. `options` may be NULL. All loops and threads are made before the first call of make; if one cannot be, none runs: -ENOMEM, -EMFILE, -ENOSYS, -EAGAIN (no thread); -EINVAL for make NULL, for a spin or count that cannot be met, or for a processor that is gone; ASYNCIO_ESTATE where a loop runs."
},
{
"title": "asyncio_loops_count",
"url": "reference/loops.html#asyncio_loops_count",
"text": "Returns how many loops there are. Any thread."
},
{
"title": "asyncio_loops_index",
"url": "reference/loops.html#asyncio_loops_index",
"text": "Returns the index of the loop that runs in this thread; -1 if none does, or one that is alone."
},
{
"title": "asyncio_loops_get",
"url": "reference/loops.html#asyncio_loops_get",
"text": "Returns a loop, borrowed until asyncio_run_loops returns; NULL if there is none of that index. Any thread."
},
{
"title": "asyncio_loops_idlest",
"url": "reference/loops.html#asyncio_loops_idlest",
"text": "Returns the less busy of two loops drawn at random, borrowed: the one with fewer clients of servers and fewer calls that have not begun. A loop that has ended is drawn only if all have. Any thread."
},
{
"title": "asyncio_loops_stop",
"url": "reference/loops.html#asyncio_loops_stop",
"text": "Cancels the main tasks of all loops, those that have not begun yet as well. 0; -EINVAL for NULL. Does not wait. Any thread, and async-signal-safe."
},
{
"title": "asyncio_await_on",
"url": "reference/loops.html#asyncio_await_on",
"text": "Runs a coroutine as a task of another loop, with a copy of the caller's context variables, and waits for its result, which comes with its message. Takes over the coroutine on every path. The caller has a reference to the loop, or borrows it from asyncio_loops. The same loop: as asyncio_await. Suspends. A request to cancel is passed on to the task, and its end is waited for: the call returns the task's result, whatever it is. ASYNCIO_ESTATE: the loop is closed or about to close, or closed before the task ended; a coroutine that had not begun by then does not run. A loop that is only stopped is waited for. -ENOMEM, also for coro NULL; -EINVAL for loop NULL; ASYNCIO_ENOTASK."
},
{
"title": "asyncio_submit_to",
"url": "reference/loops.html#asyncio_submit_to",
"text": "Submits a coroutine to another loop, as asyncio_await_on, and returns a future of the calling loop for its result. The future behaves as a task: to cancel it passes the request on, and it is done when the coroutine has ended there, never before. If it is only released the coroutine goes on, and must own its arguments; the end of asyncio_run waits for it, at most for shutdown_grace. Works in callbacks. Does not wait. NULL: no memory, no coroutine, or no loop runs here; the coroutine is closed. A loop that is NULL or closed: a future that has failed with -EINVAL or ASYNCIO_ESTATE."
},
{
"title": "asyncio_gather_on_all",
"url": "reference/loops.html#asyncio_gather_on_all",
"text": "Runs the coroutine that make(i, loops, arg) makes on loop i, for each loop, and waits until all have ended. `results`, which may be NULL, gets the outcome of loop i at i, whatever the call returns. The first failure cancels the rest, and is returned; else 0. A request to cancel the caller goes to all: -ECANCELED once all have ended. A loop that is closed: ASYNCIO_ESTATE in its place, which is a failure. -EINVAL, -ENOMEM and ASYNCIO_ENOTASK leave `results` as it was, and nothing runs. Suspends."
},
{
"title": "asyncio/loops.h",
"url": "reference/loops.html",
"text": "Several loops: one for each processor, each on a thread of its own, and calls from one to another. ASYNC(square, int, n) { return n * n; } ASYNC(first, asyncio_loops *, loops) { return asyncio_await_on(asyncio_loops_get(loops, 1), square(7)); } ASYNC(other) { return asyncio_sleep(ASYNCIO_FOREVER); } static asyncio_coro *make(int index, asyncio_loops *loops, void *arg) { return index ? other() : first(loops); } A task stays on its loop, and all that belongs to a loop stays with it: work goes over to other loops as coroutines, connections as bare descriptors (asyncio_server_options.loops), items through channels. The calls here are for any thread where that is said."
},
{
"title": "asyncio_raise",
"url": "reference/messages.html#asyncio_raise",
"text": "Returns `err`, and attaches a message, formatted as printf does, to the running task, or to the thread where no task runs. A task that awaits this one gets the message with the result, and reports show it. The message is kept until another error of this task replaces it, and shown only with a result that equals `err`. Does not wait. Without memory there is no message. (raise)"
},
{
"title": "asyncio_raise_object",
"url": "reference/messages.html#asyncio_raise_object",
"text": "Returns `err`, and attaches `words` to the running task as asyncio_raise does, with an object of the program's: for a binding of another language, whose exception is to arrive whole where the error does. The object goes wherever the message goes, to each task of this loop that awaits this one. drop(object) runs when nobody has the message any more; without a running task or memory, at once. `drop` may be NULL, runs in this thread, and cannot wait. `words` NULL is \"\". Does not wait."
},
{
"title": "asyncio_error_code",
"url": "reference/messages.html#asyncio_error_code",
"text": "Returns the error that the message is about which asyncio_error_message returns now; 0: there is none. Does not wait."
},
{
"title": "asyncio_error_object",
"url": "reference/messages.html#asyncio_error_object",
"text": "Returns the object of the running task's latest message if that one is about `err`, else NULL. It is borrowed, and valid until the next call that can wait or fail. Does not wait."
},
{
"title": "asyncio_error_message",
"url": "reference/messages.html#asyncio_error_message",
"text": "Returns the message of the task's last call that failed with one, or \"\". It is valid until the next call that can wait. Does not wait."
},
{
"title": "asyncio/messages.h",
"url": "reference/messages.html",
"text": "Messages: the details that an error code cannot tell."
},
{
"title": "asyncio_getaddrinfo",
"url": "reference/names.html#asyncio_getaddrinfo",
"text": "Looks up the addresses of a name, as getaddrinfo(3), with its parameters; free *result with freeaddrinfo. Suspends, except for numeric hosts, which are answered at once. A cancel gives the look-up up: the call returns -ECANCELED at once, and the thread's answer is dropped. Eight look-ups are made at a time; up to 64 that were given up do not count. 0; ASYNCIO_EGAI_... (asyncio_strerror has gai_strerror's words; _SERVICE also for a number above 65535, of which glibc would take the last 16 bits); -ENOMEM, -EAGAIN (no thread), -EINVAL, ASYNCIO_ENOTASK. (loop.getaddrinfo)"
},
{
"title": "asyncio_getnameinfo",
"url": "reference/names.html#asyncio_getnameinfo",
"text": "Looks up the name of an address, as getnameinfo(3), with its parameters; otherwise as asyncio_getaddrinfo. (loop.getnameinfo)"
},
{
"title": "asyncio/names.h",
"url": "reference/names.html",
"text": "Names: getaddrinfo and getnameinfo, which never block the loop. They run in a pool of threads of their own, where slow name servers hold up nothing else."
},
{
"title": "asyncio_py_import",
"url": "reference/python.html#asyncio_py_import",
"text": "Imports the package libasyncio and looks whether it fits this module: for a module's initialisation, so that an import fails in place of the first call. 0, or -1 and ImportError. Calls do the same when it was left out."
},
{
"title": "asyncio_py_awaitable",
"url": "reference/python.html#asyncio_py_awaitable",
"text": "Makes an awaitable of Python's of a coroutine in C, for the loop that runs: a future to asyncio, which gather, wait_for and shield take as it is, and a coroutine to create_task and TaskGroup. The coroutine becomes a task when it is first awaited, or given a callback; its first steps, up to its first wait, run inside that await, as those of Python's coroutines do. One that is never awaited is closed, with a RuntimeWarning. Takes over the coroutine on every path. `result`, which may be NULL, makes Python's result of the coroutine's; without it a value is an int, and an error is its exception: CancelledError, TimeoutError, OSError with its number, MemoryError, asyncio's own where the code is one's, the very exception that asyncio_py_await got, else RuntimeError, all with the message of asyncio_raise. NULL and an exception: RuntimeError where no loop of libasyncio runs; MemoryError, also for coro NULL. Then `result` is not called, and arg is the caller's."
},
{
"title": "asyncio_py_await",
"url": "reference/python.html#asyncio_py_await",
"text": "Waits, in a task in C, for anything that Python can await: a coroutine (which becomes a task), a task, a future, an object with __await__. Borrows it. 0, with a new reference in *result, which may be NULL; else the exception as an error, as asyncio_py_error makes it, and *result is untouched. Suspends. Cancelled: what is awaited is cancelled, and its end waited for: -ECANCELED, or what it ended with instead. ASYNCIO_EPYTHON also when the call is made below a frame of Python's (RuntimeError), for an object that cannot be awaited (TypeError), and for another loop's and the caller's own awaitable (RuntimeError); ASYNCIO_ENOTASK outside a task, and where the running loop is none of Python's; -EINVAL for NULL."
},
{
"title": "asyncio_py_raise",
"url": "reference/python.html#asyncio_py_raise",
"text": "Raises the exception of the running task's last error: for a C function that Python called, and that returns NULL now. It is the very exception that asyncio_py_await or asyncio_py_error took; of an error that had none, RuntimeError with its message. Does not wait."
},
{
"title": "asyncio_py_error",
"url": "reference/python.html#asyncio_py_error",
"text": "Takes the current exception and returns it as an error with a message, for a coroutine in C whose call of Python failed: -errno of an OSError, -ECANCELED of CancelledError, -ETIMEDOUT of TimeoutError, -ENOMEM of MemoryError, ASYNCIO_EPYTHON of all others. The exception goes along, and is raised again, with its traceback, where the error gets back to Python. Without an exception: ASYNCIO_EPYTHON. Does not wait."
},
{
"title": "asyncio_py_loop",
"url": "reference/python.html#asyncio_py_loop",
"text": "The library's loop of a loop of Python's, borrowed; NULL and an exception: TypeError for another kind of loop, RuntimeError for a closed one."
},
{
"title": "asyncio_py_running_loop",
"url": "reference/python.html#asyncio_py_running_loop",
"text": "Python's loop that runs in this thread, a new reference; NULL and RuntimeError: none of libasyncio's does. (asyncio.get_running_loop)"
},
{
"title": "asyncio/python.h",
"url": "reference/python.html",
"text": "The bridge to Python: coroutines in C that Python awaits, and Python's awaitables that coroutines in C await. For extension modules, on the event loops of the Python package libasyncio. ASYNC(lookup, const char *, name, int, port) { ... asyncio_open_connection(name, port, ...) ... } ASYNCIO_PY_METHOD(lookup_method, lookup, PyUnicode_AsUTF8, PyLong_AsLong) static PyMethodDef methods[] = { {\"lookup\", ASYNCIO_PY_FUNCTION(lookup_method), METH_FASTCALL, NULL}, ... and in Python `await module.lookup('localhost', 80)`, or gather, wait_for and create_task of it. Such a module is linked with libasyncio, as the package is, so that both have one copy of the library. Include <Python.h> first, as ever. A coroutine in C runs as a task of the library's, on the loop's thread and with the interpreter's lock, which is let go of while the loop waits, and never for a computation: asyncio_to_thread has a thread without the lock. It may call Python at any time. It must not wait below a frame of Python's: when it calls a Python function that calls a C function, that one cannot wait. asyncio_py_await refuses, and any other call that suspends there ends the process with a message as soon as the loop would run Python code. A child that it forks has no loop, and has to end before the coroutine returns. Requests to cancel cross both ways: task.cancel() of a Python task that awaits a coroutine in C is asyncio_cancel of its task; a task in C that is cancelled while it waits in asyncio_py_await cancels what it awaits. Each counts once, where it was made. All calls are for the loop's thread, with the interpreter's lock."
},
{
"title": "asyncio_queue_items",
"url": "reference/queues.html#asyncio_queue_items",
"text": "The items. Fields that end in _ are private."
},
{
"title": "asyncio_queue",
"url": "reference/queues.html#asyncio_queue",
"text": "A queue, in the caller's storage. (Queue, LifoQueue, PriorityQueue)"
},
{
"title": "asyncio_queue_init",
"url": "reference/queues.html#asyncio_queue_init",
"text": "Makes a queue for at most maxsize items of item_size bytes; maxsize 0 is no limit. _init: first in, first out. _init_lifo: last in, first out. _init_priority: the smallest first, equal ones as they came. compare(a, b) returns a number below 0, 0, or above 0, as for qsort; it must neither wait nor use the queue. 0; -ENOMEM; -EINVAL for an item_size of 0, or no compare. (Queue(maxsize), LifoQueue, PriorityQueue)"
},
{
"title": "asyncio_queue_init_lifo",
"url": "reference/queues.html#asyncio_queue_init_lifo",
"text": "Makes a queue for at most maxsize items of item_size bytes; maxsize 0 is no limit. _init: first in, first out. _init_lifo: last in, first out. _init_priority: the smallest first, equal ones as they came. compare(a, b) returns a number below 0, 0, or above 0, as for qsort; it must neither wait nor use the queue. 0; -ENOMEM; -EINVAL for an item_size of 0, or no compare. (Queue(maxsize), LifoQueue, PriorityQueue)"
},
{
"title": "asyncio_queue_init_priority",
"url": "reference/queues.html#asyncio_queue_init_priority",
"text": "Makes a queue for at most maxsize items of item_size bytes; maxsize 0 is no limit. _init: first in, first out. _init_lifo: last in, first out. _init_priority: the smallest first, equal ones as they came. compare(a, b) returns a number below 0, 0, or above 0, as for qsort; it must neither wait nor use the queue. 0; -ENOMEM; -EINVAL for an item_size of 0, or no compare. (Queue(maxsize), LifoQueue, PriorityQueue)"
},
{
"title": "asyncio_queue_destroy",
"url": "reference/queues.html#asyncio_queue_destroy",
"text": "Frees the queue's memory and drops its items. Tasks that still wait on it get ASYNCIO_EQUEUE_SHUTDOWN; later calls return -EINVAL. Accepts NULL, a queue whose _init failed, and a queue that is destroyed already."
},
{
"title": "asyncio_queue_put",
"url": "reference/queues.html#asyncio_queue_put",
"text": "Copies an item into the queue. Suspends while the queue is full. A call that is cancelled has not put the item. 0; ASYNCIO_EQUEUE_SHUTDOWN, also when the queue is shut down during the wait; -ENOMEM when an unbounded queue cannot grow: nothing has changed. (Queue.put)"
},
{
"title": "asyncio_queue_get",
"url": "reference/queues.html#asyncio_queue_get",
"text": "Copies the next item out of the queue. Suspends while there is none. A call that is cancelled has taken no item. 0; ASYNCIO_EQUEUE_SHUTDOWN when the queue is empty and shut down. An error leaves *item untouched. (Queue.get)"
},
{
"title": "asyncio_queue_put_nowait",
"url": "reference/queues.html#asyncio_queue_put_nowait",
"text": "Put and get items without waiting. 0, or as above; ASYNCIO_EQUEUE_FULL, ASYNCIO_EQUEUE_EMPTY. (put_nowait, get_nowait)"
},
{
"title": "asyncio_queue_get_nowait",
"url": "reference/queues.html#asyncio_queue_get_nowait",
"text": "Put and get items without waiting. 0, or as above; ASYNCIO_EQUEUE_FULL, ASYNCIO_EQUEUE_EMPTY. (put_nowait, get_nowait)"
},
{
"title": "asyncio_queue_task_done",
"url": "reference/queues.html#asyncio_queue_task_done",
"text": "Reports that an item that was taken out has been dealt with. 0; ASYNCIO_ESTATE if all have been already. (task_done, ValueError)"
},
{
"title": "asyncio_queue_join",
"url": "reference/queues.html#asyncio_queue_join",
"text": "Waits until every item that was put has been dealt with. Suspends unless all have been. 0. (join)"
},
{
"title": "asyncio_queue_shutdown",
"url": "reference/queues.html#asyncio_queue_shutdown",
"text": "Shuts the queue down: puts fail from now on, and gets fail when it is empty. With `immediate` the items are dropped and count as dealt with; take them out first if they own something. Tasks that wait to put or get go on with ASYNCIO_EQUEUE_SHUTDOWN. 0, also when the queue was shut down before. (shutdown)"
},
{
"title": "asyncio_queue_size",
"url": "reference/queues.html#asyncio_queue_size",
"text": "Tell how many items are in the queue, whether it is empty, whether it is full. A queue without a limit is never full. An item that was handed to a waiting task is no longer in the queue. NULL counts as an empty queue. (qsize, empty, full)"
},
{
"title": "asyncio_queue_empty",
"url": "reference/queues.html#asyncio_queue_empty",
"text": "Tell how many items are in the queue, whether it is empty, whether it is full. A queue without a limit is never full. An item that was handed to a waiting task is no longer in the queue. NULL counts as an empty queue. (qsize, empty, full)"
},
{
"title": "asyncio_queue_full",
"url": "reference/queues.html#asyncio_queue_full",
"text": "Tell how many items are in the queue, whether it is empty, whether it is full. A queue without a limit is never full. An item that was handed to a waiting task is no longer in the queue. NULL counts as an empty queue. (qsize, empty, full)"
},
{
"title": "asyncio/queues.h",
"url": "reference/queues.html",
"text": "Queues: items that tasks hand to each other. asyncio_queue queue; int err = asyncio_queue_init(&queue, sizeof(struct job), 100); err = asyncio_queue_put(&queue, &job); in one task err = asyncio_queue_get(&queue, &job); in another asyncio_queue_destroy(&queue); Items have one fixed size and are copied in and out; the program owns what they point to. A bounded queue allocates once, when it is made. An unbounded one allocates when it has to grow, and keeps its memory until it is destroyed. Items and waiting tasks are first come, first served. A put hands its item at once to a task that waits to get one. A waiting put is done as soon as there is room. A request to cancel that comes later stays pending, so that no item is lost or put twice. A call that need not wait does not wait. After many such calls in a row the task gives way once, before the operation; that is a wait like any other. Queues are bound to a loop as locks are (locks.h). Calls that return int return -EINVAL for NULL, and for a queue that was not made. Calls that suspend also return -ECANCELED when cancelled, ASYNCIO_ENOTASK outside a task, and ASYNCIO_ESTATE while another loop's tasks wait on the queue. All other calls do not wait, and may be made in callbacks and where no loop runs."
},
{
"title": "asyncio_run_options",
"url": "reference/runners.html#asyncio_run_options",
"text": "Options of a run and of a loop: all zero means the defaults; switches are 0 default, 1 on, -1 off."
},
{
"title": "asyncio_runner",
"url": "reference/runners.html#asyncio_runner",
"text": "A runner, for several runs on one loop, in the caller's storage. All fields are private. (Runner)"
},
{
"title": "asyncio_run",
"url": "reference/runners.html#asyncio_run",
"text": "Runs `main` as the first task of a new loop until it ends. Then cancels the tasks that are left, waits for them (at most shutdown_grace), closes the loop, and returns main's result. Takes over the coroutine on every path. (run) The first SIGINT (and SIGTERM, where handled) cancels main; if main ends because of it, the result is -EINTR. A second signal restores the default action and is raised again. Errors: main's own; ASYNCIO_ESTATE if a loop runs in this thread; -ENOMEM, -EMFILE, -ENOSYS when no loop could be made; -EDEADLK when a virtual clock has nothing to wait for."
},
{
"title": "asyncio_run_with",
"url": "reference/runners.html#asyncio_run_with",
"text": "Runs `main` as the first task of a new loop until it ends. Then cancels the tasks that are left, waits for them (at most shutdown_grace), closes the loop, and returns main's result. Takes over the coroutine on every path. (run) The first SIGINT (and SIGTERM, where handled) cancels main; if main ends because of it, the result is -EINTR. A second signal restores the default action and is raised again. Errors: main's own; ASYNCIO_ESTATE if a loop runs in this thread; -ENOMEM, -EMFILE, -ENOSYS when no loop could be made; -EDEADLK when a virtual clock has nothing to wait for."
},
{
"title": "asyncio_main",
"url": "reference/runners.html#asyncio_main",
"text": "Runs a coroutine as a whole program, as in `return asyncio_main(...)`. Handles SIGINT and SIGTERM, prints an error with its message on stderr, and returns the exit status: 0 for a result >= 0, else 1; 130 when SIGINT ended it, and 143 when SIGTERM did."
},
{
"title": "asyncio_runner_init",
"url": "reference/runners.html#asyncio_runner_init",
"text": "Makes a runner and its loop. 0, or a negative error as asyncio_run. `options` may be NULL."
},
{
"title": "asyncio_runner_run",
"url": "reference/runners.html#asyncio_runner_run",
"text": "Runs one main task to its end. Tasks that it leaves go on in the next run, where the context variables that it has set are still set."
},
{
"title": "asyncio_runner_get_loop",
"url": "reference/runners.html#asyncio_runner_get_loop",
"text": "Returns the runner's loop, borrowed; NULL once it is closed."
},
{
"title": "asyncio_runner_close",
"url": "reference/runners.html#asyncio_runner_close",
"text": "Closes a runner and its loop: cancels the tasks that are left, waits for them (at most shutdown_grace), and closes the loop. 0, also when it is closed already; ASYNCIO_ESTATE inside a run."
},
{
"title": "asyncio/runners.h",
"url": "reference/runners.html",
"text": "Running: from a coroutine to a program."
},
{
"title": "asyncio_scope",
"url": "reference/scopes.html#asyncio_scope",
"text": "The common part of a scope. All fields are private."
},
{
"title": "asyncio_shield_scope",
"url": "reference/scopes.html#asyncio_shield_scope",
"text": "A scope that shields what runs inside, such as cleanup that must wait. It holds back requests from outside; they are delivered at the first wait after it. Timeouts and groups that are entered inside it still cancel. Python has no such scope. ASYNCIO_SHIELD_SCOPE { say_goodbye(stream); } The block may be left in any way: by its end, by break, continue, return or goto."
},
{
"title": "asyncio_shield_scope_enter",
"url": "reference/scopes.html#asyncio_shield_scope_enter",
"text": "Enters a shield scope. Does not wait. 0; -EINVAL for NULL; ASYNCIO_ENOTASK."
},
{
"title": "asyncio_shield_scope_exit",
"url": "reference/scopes.html#asyncio_shield_scope_exit",
"text": "Leaves a shield scope. Does not wait. 0; -EINVAL for NULL; ASYNCIO_ESTATE if it is not the innermost scope of the running task."
},
{
"title": "asyncio/scopes.h",
"url": "reference/scopes.html",
"text": "Scopes: stretches of code that requests to cancel are tied to. A timeout (timeouts.h), a task group (taskgroups.h) and a shield are each a struct on the caller's stack. The same task enters and leaves them, the innermost first. A coroutine that returns inside a scope aborts the program."
},
{
"title": "asyncio_case",
"url": "reference/select.html#asyncio_case",
"text": "One of the things that asyncio_select waits for. Made by ASYNCIO_CASE_GET and its neighbours; all fields but `result` are private."
},
{
"title": "asyncio_select",
"url": "reference/select.html#asyncio_select",
"text": "Waits until one of the n cases has happened, for at most `timeout` seconds (ASYNCIO_FOREVER: no limit; 0 or less: a look that never suspends and delivers no request). Suspends unless one can happen at once. Returns the index of the case that happened, and its outcome is in cases[i].result. If several can happen at once, the first in the array does; where the loop has a seed, a drawn one. A case that has happened is never lost to a cancel: the request then stays pending for the next wait. A request is not passed on to a task that a case waits for. -ETIMEDOUT, -ECANCELED: none has happened. -EINVAL, and nothing happens: n is 0, timeout is NaN, a case has a NULL, an object that was destroyed or never made, the calling task, another loop's future, or no events, as the message says, with the number of the case; ASYNCIO_ESTATE: an object is in use on another loop, or a channel is the parent process's; -ENOMEM: no room for a timer; ASYNCIO_ENOTASK."
},
{
"title": "asyncio/select.h",
"url": "reference/select.html",
"text": "Select: waits until one of several things happens, and only that one happens. struct job job; asyncio_case cases[] = { ASYNCIO_CASE_GET(&queue, &job), ASYNCIO_CASE_EVENT(&stop), }; ptrdiff_t which = asyncio_select(cases, 2, 5.0); if (which < 0) return which; -ETIMEDOUT, -ECANCELED if (which == 1) return 0; if (cases[0].result < 0) return cases[0].result; ASYNCIO_EQUEUE_SHUTDOWN Each case stands for a call that waits. The first one that could return does, as if it had been made alone, and `result` is what it returned; the others have done nothing: no item was taken or put, no lock was acquired. No task is made for a case, and nothing is allocated but what the loop keeps for a descriptor. The same object may stand in several cases, and an array may be used again. While it waits, a case stands in the queue of its object as a task does: first come, first served. asyncio has no such call; there it is a task for each case, asyncio.wait with FIRST_COMPLETED, and a cancel of the others, which may have taken an item by then."
},
{
"title": "asyncio_server_options",
"url": "reference/servers.html#asyncio_server_options",
"text": "Options of a server: all zero means the defaults. addresses: each is listened on as a host and a port would be alone, port 0 giving each its own. v6only: a socket for \"::\" that takes IPv4, too, stands for both wildcards. mode: set before anybody can connect; not for abstract names. proxy_protocol: each connection begins with a PROXY header of this version, before TLS, in which a proxy such as HAProxy names its client. That one is then the peer, for asyncio_stream_peername and in reports; a header that names nobody (LOCAL, UNKNOWN) leaves the proxy. A client whose header is malformed, or not there within 10 seconds, is aborted and reported. Anybody who reaches the server can claim to be anybody: let nobody but the proxy reach it."
},
{
"title": "asyncio_start_server",
"url": "reference/servers.html#asyncio_start_server",
"text": "Starts a server, which listens and serves from then on. host NULL means all addresses; port 0 means a port that is free on all of them (see _port). Suspends while a name is looked up. 0; ASYNCIO_EGAI_...; -EADDRINUSE and the like; -EINVAL, -ENOMEM, -ECANCELED, ASYNCIO_ENOTASK. The message says which address. (start_server)"
},
{
"title": "asyncio_start_unix_server",
"url": "reference/servers.html#asyncio_start_unix_server",
"text": "Starts a server on a Unix socket; '@' begins an abstract name. The call replaces the file of an existing socket, left over or in use; a server that used it keeps the clients that it has. Any other file is in the way: -EADDRINUSE. The server removes its file when it closes, if it is still the same one. Does not wait. (start_unix_server)"
},
{
"title": "asyncio_start_server_on",
"url": "reference/servers.html#asyncio_start_server_on",
"text": "Starts a server on a socket that listens or is bound. The socket belongs to the server if the call succeeds. A socket that listens already keeps its backlog, unless options have one. Does not wait. 0; -EBADF, -ENOTSOCK, -EOPNOTSUPP, -EINVAL, -ENOMEM, ASYNCIO_ENOTASK. (start_server with sock)"
},
{
"title": "asyncio_server_serve_forever",
"url": "reference/servers.html#asyncio_server_serve_forever",
"text": "Waits until it is cancelled or somebody closes the server, then closes the server, waits for its clients, and returns -ECANCELED. ASYNCIO_ESTATE if the server is closed already, or another task is in this call. (serve_forever)"
},
{
"title": "asyncio_server_close",
"url": "reference/servers.html#asyncio_server_close",
"text": "Closes a server, which stops listening. Its clients go on. Does not wait. A second call does nothing. (close)"
},
{
"title": "asyncio_server_wait_closed",
"url": "reference/servers.html#asyncio_server_wait_closed",
"text": "Waits until the server is closed, then until its handlers have ended and no client is parked. After `grace` seconds of the second wait it cancels the handlers that are left, and waits for them, and aborts the parked clients; ASYNCIO_FOREVER: never; 0 or less: at once. 0; -ECANCELED, and everything goes on as before; -EINVAL, -ENOMEM, ASYNCIO_ENOTASK. A handler must not call it: it would wait for itself. (wait_closed)"
},
{
"title": "asyncio_server_close_clients",
"url": "reference/servers.html#asyncio_server_close_clients",
"text": "Ends the input of every client, as if all peers had stopped sending: each handler sees the end of its stream, and what it wrote is flushed. Parked clients are closed. Does not wait. (close_clients)"
},
{
"title": "asyncio_server_abort_clients",
"url": "reference/servers.html#asyncio_server_abort_clients",
"text": "Fails every client's stream with -ECONNABORTED, and aborts parked clients. Does not wait. (abort_clients)"
},
{
"title": "asyncio_server_port",
"url": "reference/servers.html#asyncio_server_port",
"text": "Returns the port of the server's first listening socket; -EINVAL if it has none. (sockets)"
},
{
"title": "asyncio_server_fds",
"url": "reference/servers.html#asyncio_server_fds",
"text": "Lists a server's sockets: stores up to `capacity` listening descriptors, which stay the server's, and returns how many there are. (sockets)"
},
{
"title": "asyncio_server_release",
"url": "reference/servers.html#asyncio_server_release",
"text": "Closes the server, cancels its handlers, aborts its parked clients, and frees it; the loop completes the rest. Does not wait. Accepts NULL."
},
{
"title": "asyncio_listen_fds",
"url": "reference/servers.html#asyncio_listen_fds",
"text": "Lists the sockets that a service manager such as systemd has made for this process (LISTEN_FDS), for asyncio_start_server_on: those of this name (FileDescriptorName=), or all if name is NULL. Stores up to n descriptors in their order, and returns how many there are; 0 if the process was started by anybody else. All of them become close-on-exec, those of other names, too; the ones that are asked for are the caller's to close. Each call tells the same: the environment stays as it is, and children do not take its sockets for theirs (LISTEN_PID). Any thread; does not wait. -EINVAL: the environment has no numbers there, or too few names; -EBADF: a descriptor is not open."
},
{
"title": "asyncio_notify",
"url": "reference/servers.html#asyncio_notify",
"text": "Tells the service manager about the process (NOTIFY_SOCKET): \"READY=1\", \"STOPPING=1\", \"WATCHDOG=1\", \"STATUS=...\", \"MAINPID=...\", or several, a line each (sd_notify(3)). 1: sent; 0: nobody wants to know. Any thread; never waits: -EAGAIN if the manager is behind with its reading; -ECONNREFUSED, -ENOENT and the like; -EAFNOSUPPORT for an address that is no path and no abstract name; -EINVAL, -EMFILE."
},
{
"title": "asyncio/servers.h",
"url": "reference/servers.html",
"text": "Servers: listening sockets, and a task for each client. ASYNC(echo, asyncio_stream *, stream) { char buf[4096]; ssize_t n; while ((n = asyncio_stream_read(stream, buf, sizeof buf)) > 0) asyncio_stream_write(stream, buf, (size_t)n); return n; } static asyncio_coro *handler(asyncio_stream *stream, void *arg) { return echo(stream); } A server owns its handlers as a task group does. The failure of one is reported, with the peer's address, and harms nobody else; -ECANCELED, -EPIPE and -ECONNRESET are not reported. The stream is the server's until its handler has ended. Then the server closes it, unless the handler did: it flushes the stream if the handler returned >= 0, else it aborts it. A client that takes none of the flushed bytes is cut off after the close timeout, and reported. A handler that has nothing to do until its client says more may return ASYNCIO_PARK. The server then keeps the stream without a task or a stack, and calls the handler anew, with the same stream and arg, when there is something to read: bytes, the end, or an error. (With TLS: when there is something for the program.) ASYNC(answer, asyncio_stream *, stream) { char *line; ssize_t n = asyncio_stream_readline(stream, &line); int err = n > 0 ? asyncio_stream_write(stream, line, (size_t)n) : 0; return n <= 0 ? n : err ? err : ASYNCIO_PARK; } Bytes that the handler has left unread count as input, and so do an end that it has seen and a connection that has failed: it is called anew in the next turn, and again for as long as it parks on top of them. What belongs to the connection is kept with asyncio_stream_set_data. What is queued goes on being sent. A line that was handed out ends with the handler. From a stream that was closed or detached, ASYNCIO_PARK is 0. No task may be reading the stream: the connection is aborted, and that is reported (ASYNCIO_ESTATE). Each call begins with a fresh copy of the context of the task that started the server. A parked client counts for max_connections and asyncio_server_wait_closed. asyncio_server_close_clients closes it, after what it has queued is sent; it is aborted after the grace, by _abort_clients, by _release, when the loop closes, and when something comes from it while asyncio_run shuts down. With the option `loops` the clients are served on all loops of an asyncio_run_loops, of which the calling one is one. The handler and its stream are of the loop that has the client, as is all that the handler makes; several handlers run at a time, one on each loop, so `arg` is shared, and lives until asyncio_server_wait_closed has returned 0 or asyncio_run_loops has returned. The option `spread` says which loop that is: 0, the least busy, with the fewest clients of servers and calls that have not begun; 1, each in turn; 2, the one that the kernel chooses, by a listening socket on each loop (SO_REUSEPORT), which only asyncio_start_server can make. With 0 and 1 one loop accepts, and hands the bare descriptor over. A loop that ends takes no more clients; those that wait for it go to others. The server's own calls are for the loop that has started it, and are about the clients of all loops; when that loop closes, so does the server on all of them. A server that runs out of descriptors or memory reports that, and accepts nobody for a second. While asyncio_run shuts down, a server accepts no more clients."
},
{
"title": "asyncio_wait_signal",
"url": "reference/signals.html#asyncio_wait_signal",
"text": "Waits until a signal comes. Suspends. All tasks that wait for the signal are told. The first wait for a signal watches it until the loop closes: a signal that comes between two waits is kept and ends the next wait at once. A wait that is cancelled before it begins watches nothing. A request to cancel ends the wait with -ECANCELED; a signal that came first wins. 0; -EINVAL for a number that is no signal or cannot be caught (SIGKILL, SIGSTOP, and SIGSEGV, SIGBUS, SIGFPE and SIGILL, which cannot wait for a loop), -ECANCELED, -ENOMEM, ASYNCIO_ENOTASK. Python has no such call."
},
{
"title": "asyncio_loop_add_signal_handler",
"url": "reference/signals.html#asyncio_loop_add_signal_handler",
"text": "Has fn(arg) called by the loop, in a copy of the caller's context, each time the signal comes, until it is removed or the loop closes. A loop has one callback for a signal: a second one replaces the first. Belongs to the loop's thread, which need not be the main one; also before the loop runs. Does not wait. 0; -EINVAL as above, -ENOMEM, ASYNCIO_ESTATE when the loop is closed. (loop.add_signal_handler)"
},
{
"title": "asyncio_loop_remove_signal_handler",
"url": "reference/signals.html#asyncio_loop_remove_signal_handler",
"text": "Removes the callback for a signal, which is not called any more. True if there was one. Loop's thread; does not wait. (loop.remove_signal_handler)"
},
{
"title": "asyncio/signals.h",
"url": "reference/signals.html",
"text": "Signals: to wait for, or as callbacks of the loop. int err = asyncio_wait_signal(SIGHUP); if (err == 0) reload(); One signal handler serves the whole process. It only marks the signal and wakes the loops that watch it; so tasks and callbacks that run for a signal may do anything. Several loops, in any threads, may watch the same signal, and each is told. As with signals themselves, several of one kind that come before the loop looks count as one. The first watch of a signal replaces the action that was set; the end of the last one puts it back. A watch of SIGINT or SIGTERM takes precedence over asyncio_run's own use of them. Child processes inherit none of this."
},
{
"title": "asyncio_sim_link",
"url": "reference/sim.html#asyncio_sim_link",
"text": "One way between two hosts. All zero: 1 ms, nothing lost, arrives in pieces. A lost datagram is gone. A lost segment of a TCP connection comes 0.2 s later, doubled each time it is lost again; after 10 times the connection ends with -ETIMEDOUT."
},
{
"title": "asyncio_sim_options",
"url": "reference/sim.html#asyncio_sim_options",
"text": "Options of asyncio_sim_run and the sweeps: all zero means the defaults. Environment variables that hold no number count as not set."
},
{
"title": "asyncio_sim_result",
"url": "reference/sim.html#asyncio_sim_result",
"text": "What asyncio_sim_run and the sweeps found."
},
{
"title": "asyncio_sim_run",
"url": "reference/sim.html#asyncio_sim_run",
"text": "Runs scenario(arg) as main of a fresh simulated world, once for each seed, until one fails. Outside a loop; returns when all is over. The coroutine's leftover tasks are cancelled and waited for, as asyncio_run does. 0: all passed. Else the first failure's error, which *result (may be NULL) and stderr tell in words: the scenario's result, or what `check` returned; -EDEADLK: nothing was left that could wake a task; -ELOOP: a busy loop, step_limit steps while time stood still; -ETIME: time_limit; ASYNCIO_EINCOMPLETE: tasks, sockets or memory of the library were left, or a socket was closed by close(2) in place of asyncio_close; -EILSEQ: two runs with one seed were not the same, and the text says from which step on. -EINVAL: an option is out of its range; ASYNCIO_ESTATE: a loop runs in this thread."
},
{
"title": "asyncio_sim_sweep_cancel",
"url": "reference/sim.html#asyncio_sim_sweep_cancel",
"text": "Runs subject(arg) in a simulated world, and once more for each of its suspensions: cancelled at the 1st, the 2nd, and so on until it ends before that. Then the same with a timeout that is over, in place of the cancel. For each seed. As asyncio_sim_run in everything else. A run that was cancelled passes if the result is -ECANCELED (-ETIMEDOUT for the timeout), or the one that the subject has without (a value, if that is one), or if `check` takes it. `at` in *result is the suspension."
},
{
"title": "asyncio_sim_sweep_faults",
"url": "reference/sim.html#asyncio_sim_sweep_faults",
"text": "Runs subject(arg) in a simulated world, and once more for each call into the system or the allocator: with the 1st failing, the 2nd, and so on until a run is untouched. A call that can fail in several ways fails in each of them, a run each: a send with -ECONNRESET and -ENOBUFS, an accept with -EMFILE and -ECONNABORTED. Then the same with all later calls failing, too. For each seed. As asyncio_sim_run in everything else. A run with failures passes whatever its result is, if it ends and leaves nothing behind, or if `check` takes it. `at` in *result is the call."
},
{
"title": "asyncio_sim_start",
"url": "reference/sim.html#asyncio_sim_start",
"text": "Starts a coroutine as a task on a host, which is made when it is first named: a name other than \"test\", where main runs. The tasks that this one makes run there, too. Takes over the coroutine, and returns a reference, as asyncio_create_task does, and with the same errors. Hosts have the addresses 10.0.0.1, 10.0.0.2, ... and fd00::1, fd00::2, ... in the order in which they are made; \"test\" has the first. Each host's name is known to the resolver. Inside a scenario; elsewhere the task has ended with ASYNCIO_ENOTASK."
},
{
"title": "asyncio_sim_set_link",
"url": "reference/sim.html#asyncio_sim_set_link",
"text": "Sets one way between two hosts, which are made if need be. NULL for a host: any, those included that are made later; the latest call that fits counts. NULL for the link: the options' one. What is on the way already arrives when it would have; but the state counts at that time: a way that drops loses it, one that holds keeps it until it no longer does. REFUSE, or a loss, of either way of a connection that is being made fails it. 0; -EINVAL: a value is out of its range, or both hosts are one; ASYNCIO_ENOTASK: outside a simulation. Does not wait."
},
{
"title": "asyncio_sim_reset",
"url": "reference/sim.html#asyncio_sim_reset",
"text": "Resets all TCP connections between two hosts, at once: both ends get -ECONNRESET, after the bytes that have arrived; what is on the way is lost. NULL for a host: any. Returns how many there were, those that are being made among them; ASYNCIO_ENOTASK: outside a simulation. Does not wait."
},
{
"title": "asyncio_sim_crash",
"url": "reference/sim.html#asyncio_sim_crash",
"text": "A host crashes: its tasks are cancelled, and its sockets vanish in silence. What it sent before still arrives. Peers learn of it when they send, by a reset. The tasks run on while they clean up, and get -ENETDOWN for all that they try on the network, the host's next life included. asyncio_sim_start begins that. 0, also for one that has crashed already; -ENOENT: there is no such host; -EINVAL: main runs there; ASYNCIO_ENOTASK: outside a simulation. Does not wait."
},
{
"title": "asyncio_sim_set_name",
"url": "reference/sim.html#asyncio_sim_set_name",
"text": "Sets what the resolver answers for a name on any host, `delay` virtual seconds after it is asked: an address, or, if that is NULL, an error (ASYNCIO_EGAI_NONAME ...). Neither: the name is forgotten. It comes before a host of that name. A name that nobody has set takes up to 10 ms. 0; -EINVAL: no address, no error of the resolver, or a delay that is no time; ASYNCIO_ENOTASK: outside a simulation. Does not wait."
},
{
"title": "asyncio_sim_random",
"url": "reference/sim.html#asyncio_sim_random",
"text": "Returns a random number of the run's seed, for workloads: they are the same whatever else is drawn, and shrinking leaves them. Outside a simulation: 0. Does not wait."
},
{
"title": "asyncio_sim_chance",
"url": "reference/sim.html#asyncio_sim_chance",
"text": "Tells, once in `one_in` calls by chance, that a fault of the program's own is to happen now; `name` says in reports which it is. False outside a simulation, and for one_in 0. Does not wait."
},
{
"title": "asyncio_sim_note",
"url": "reference/sim.html#asyncio_sim_note",
"text": "Notes words in the run's hash and trace: two runs that note different words are not the same. Nothing outside a simulation. Does not wait."
},
{
"title": "asyncio/sim.h",
"url": "reference/sim.html",
"text": "Simulation: a whole network program in one process, under virtual time, by seeds. It is a library of its own for tests: link with libasyncio_sim (pkg-config asyncio-sim). <asyncio.h> does not include this header. ASYNC(scenario) { asyncio_release(asyncio_sim_start(\"server\", serve())); return asyncio_await(asyncio_sim_start(\"client\", ask(\"server\", 80))); } static asyncio_coro *make_scenario(void *arg) { return scenario(); } int main(void) { return asyncio_sim_run(make_scenario, NULL, NULL, NULL) != 0; } Each run is a fresh world: a loop with a clock that starts at 0 and jumps to the next event, hosts, links between them, names. The scenario is main of that loop, and runs the program's own code, unchanged. The run's seed decides everything that chance decides: the order of ready tasks, delays, losses, pieces. The same seed gives the same run, in any process and on any machine. A run fails when the scenario's result is an error (or `check` says so), when nothing is left that could wake a task, when tasks run and run and time stands still, when the time limit is over, and when it leaves something behind. The first failure is shrunk, told on stderr, and replayed by its seed (a run that dies of a signal or a sanitizer, or does what UBSan reports, tells its seed first): asyncio: simulation failed: EDEADLK after 0.213 virtual seconds, seed 36 (run 36 of 100); needs the first 16 of 34 draws asyncio: draw 16: segment of 5 of 16 bytes, test:40001 -> server:80, at 0.0031 s asyncio: Task-3 of client waits in reading fd 9, tcp 10.0.0.1:40001 -> 10.0.0.2:80 (sent 16, received 0) asyncio: again: ASYNCIO_SIM_SEED=36 ./test_cluster A draw is one decision by chance. After the last draw that is needed all others were decided in the plain way: nothing lost, nothing cut into pieces, the shortest delay, tasks in the order in which they became ready. Work for threads (asyncio_to_thread, executors, files, names) runs on the loop's own thread, at a drawn time within 10 virtual milliseconds. Hosts share the process: its global variables, its files, its heap. The program's own threads are not simulated; a run that one of them has posted to is not repeated. -ENOSYS, with words: descriptors of the real world that have to be waited for, subprocesses, raw and multicast sockets, io_uring, fork, a second world in one thread."
},
{
"title": "asyncio_sock_recv",
"url": "reference/sockets.html#asyncio_sock_recv",
"text": "Receive the bytes or the datagram that came, and wait while there is none; 0 at the end of a stream. `flags` are recv(2)'s. A length above SSIZE_MAX is -EINVAL, here and in the calls below. MSG_WAITALL on a stream of bytes receives all n. Fewer mean that the connection has ended or failed, or that the task was cancelled meanwhile; the request then stays pending, and no byte is lost. recvmsg refuses the flag: -EOPNOTSUPP. MSG_ERRQUEUE waits for an error, MSG_OOB for urgent data that is announced, and MSG_PEEK for bytes beyond SO_PEEK_OFF; none of them waits behind tasks that receive."
},
{
"title": "asyncio_sock_recvfrom",
"url": "reference/sockets.html#asyncio_sock_recvfrom",
"text": "Receive the bytes or the datagram that came, and wait while there is none; 0 at the end of a stream. `flags` are recv(2)'s. A length above SSIZE_MAX is -EINVAL, here and in the calls below. MSG_WAITALL on a stream of bytes receives all n. Fewer mean that the connection has ended or failed, or that the task was cancelled meanwhile; the request then stays pending, and no byte is lost. recvmsg refuses the flag: -EOPNOTSUPP. MSG_ERRQUEUE waits for an error, MSG_OOB for urgent data that is announced, and MSG_PEEK for bytes beyond SO_PEEK_OFF; none of them waits behind tasks that receive."
},
{
"title": "asyncio_sock_recvmsg",
"url": "reference/sockets.html#asyncio_sock_recvmsg",
"text": "Receive the bytes or the datagram that came, and wait while there is none; 0 at the end of a stream. `flags` are recv(2)'s. A length above SSIZE_MAX is -EINVAL, here and in the calls below. MSG_WAITALL on a stream of bytes receives all n. Fewer mean that the connection has ended or failed, or that the task was cancelled meanwhile; the request then stays pending, and no byte is lost. recvmsg refuses the flag: -EOPNOTSUPP. MSG_ERRQUEUE waits for an error, MSG_OOB for urgent data that is announced, and MSG_PEEK for bytes beyond SO_PEEK_OFF; none of them waits behind tasks that receive."
},
{
"title": "asyncio_sock_send",
"url": "reference/sockets.html#asyncio_sock_send",
"text": "Send what fits now, as send(2), sendto(2) and sendmsg(2), and return the number of bytes. A peer that is gone is -EPIPE, without a signal."
},
{
"title": "asyncio_sock_sendto",
"url": "reference/sockets.html#asyncio_sock_sendto",
"text": "Send what fits now, as send(2), sendto(2) and sendmsg(2), and return the number of bytes. A peer that is gone is -EPIPE, without a signal."
},
{
"title": "asyncio_sock_sendmsg",
"url": "reference/sockets.html#asyncio_sock_sendmsg",
"text": "Send what fits now, as send(2), sendto(2) and sendmsg(2), and return the number of bytes. A peer that is gone is -EPIPE, without a signal."
},
{
"title": "asyncio_sock_sendall",
"url": "reference/sockets.html#asyncio_sock_sendall",
"text": "Sends all n bytes on a socket and returns n. After an error or a cancel a part may have been sent. (sock_sendall)"
},
{
"title": "asyncio_sock_accept",
"url": "reference/sockets.html#asyncio_sock_accept",
"text": "Accepts a connection, as accept(2). The new descriptor is non-blocking and close-on-exec. The call skips connections that ended before they were accepted. It waits for a connection also where no descriptor is left, and returns -EMFILE and the like once there is one. A cancel loses no connection. (sock_accept)"
},
{
"title": "asyncio_sock_connect",
"url": "reference/sockets.html#asyncio_sock_connect",
"text": "Connects a socket, as connect(2), and waits until that has succeeded or failed. 0 or the error. After an error the socket is useless: close it. After a cancel the kernel goes on connecting: close the socket, or call again to wait for the outcome. (sock_connect)"
},
{
"title": "asyncio_sock_sendfile",
"url": "reference/sockets.html#asyncio_sock_sendfile",
"text": "Sends a file on a socket, as sendfile(2), until `count` bytes of `in` are sent or its end is reached, and returns how many were sent. `offset` NULL means from the file's position. Reads and sends where the kernel has no sendfile. After an error *offset, or the position, tells how far the call came. If `in` is a pipe or a socket, bytes that were read from it and could not be sent are lost. (sock_sendfile)"
},
{
"title": "asyncio/sockets.h",
"url": "reference/sockets.html",
"text": "Sockets: the waiting twins of the system calls, with their parameters. See fdio.h for what they share. (loop.sock_recv and so on)"
},
{
"title": "asyncio_connect_options",
"url": "reference/streams.html#asyncio_connect_options",
"text": "Options of connections and streams: all zero means the defaults. keepalive: a peer that has been silent for so many seconds is asked whether it is there, and after five questions without an answer, one each fifth of that time (a second at least), the connection fails with -ETIMEDOUT. user_timeout: so does one whose peer has not confirmed bytes that were sent, or a question, for so long. setup: called with each socket that is tried, on the loop's thread, after the options above were set and before the socket binds or connects; it must not wait. A result below 0 is that attempt's error. A stream that is made of a descriptor has no use for family and setup."
},
{
"title": "asyncio_open_connection",
"url": "reference/streams.html#asyncio_open_connection",
"text": "Connects, and stores the stream in *stream. Suspends. A cancel closes what was opened. A name may have several addresses. They are tried in turn, the families alternating; the next attempt begins when the last one has failed, or after the delay. The first connection that is established wins (RFC 8305). A numeric host needs no look-up; NULL is this host. Small writes go out at once (TCP_NODELAY). 0; the resolver's ASYNCIO_EGAI_..., the error of the attempt that failed last, -ETIMEDOUT, -ECANCELED, -EINVAL, -ENOMEM, ASYNCIO_ETLS, ASYNCIO_ENOTASK. The message names the address, and says how many were tried. (open_connection)"
},
{
"title": "asyncio_open_unix_connection",
"url": "reference/streams.html#asyncio_open_unix_connection",
"text": "Connects to a Unix socket, on the same terms. A path that begins with '@' is an abstract name. Waits while the listener's queue is full. TLS needs a server_hostname; `local` is ignored. (open_unix_connection)"
},
{
"title": "asyncio_stream_from_fd",
"url": "reference/streams.html#asyncio_stream_from_fd",
"text": "Makes a stream of a connected descriptor, which belongs to the stream from then on, unless the call fails. A regular file does not hold up the loop, either (asyncio/files.h). Does not wait, unless options ask for TLS. 0, -EBADF, -EINVAL, -ENOMEM, ASYNCIO_ENOTASK."
},
{
"title": "asyncio_open_pipe",
"url": "reference/streams.html#asyncio_open_pipe",
"text": "Makes a stream of a pipe or a terminal, on the same terms. Descriptors 0, 1 and 2 are never made non-blocking, and stay open when the stream is closed. (connect_read_pipe, connect_write_pipe)"
},
{
"title": "asyncio_stream_read",
"url": "reference/streams.html#asyncio_stream_read",
"text": "Reads up to n bytes, as soon as there is one; suspends while there is none. Returns 0 at the end of the stream. A cancelled read loses no byte. Errors, also of the other reads: the connection's, -ECANCELED, ASYNCIO_ESTATE (another task reads), -EINVAL (such as a length above SSIZE_MAX), -ENOMEM, ASYNCIO_ENOTASK. (read)"
},
{
"title": "asyncio_stream_readexactly",
"url": "reference/streams.html#asyncio_stream_readexactly",
"text": "Reads exactly n bytes. Returns ASYNCIO_EINCOMPLETE if the stream ends first; the bytes that came stay in the stream. n may exceed the limit. (readexactly)"
},
{
"title": "asyncio_stream_readline",
"url": "reference/streams.html#asyncio_stream_readline",
"text": "Reads a line with its '\\n', or through a separator, and returns its length. *line points into the stream, is followed by a NUL, and stays valid until the next read, close or start_tls begins. At the end of the stream readline returns the partial last line, then 0. readuntil returns ASYNCIO_EINCOMPLETE, and the bytes stay in the stream. A line that exceeds the limit is ASYNCIO_ELIMIT; its bytes stay, too. (readline, readuntil)"
},
{
"title": "asyncio_stream_readuntil",
"url": "reference/streams.html#asyncio_stream_readuntil",
"text": "Reads a line with its '\\n', or through a separator, and returns its length. *line points into the stream, is followed by a NUL, and stays valid until the next read, close or start_tls begins. At the end of the stream readline returns the partial last line, then 0. readuntil returns ASYNCIO_EINCOMPLETE, and the bytes stay in the stream. A line that exceeds the limit is ASYNCIO_ELIMIT; its bytes stay, too. (readline, readuntil)"
},
{
"title": "asyncio_stream_buffered",
"url": "reference/streams.html#asyncio_stream_buffered",
"text": "Returns the number of bytes that can be read without waiting."
},
{
"title": "asyncio_stream_is_idle",
"url": "reference/streams.html#asyncio_stream_is_idle",
"text": "Tells whether a connection may be used again: it is alive in both directions, as far as this host knows, and nothing has come that was not read. For pools. Takes no byte from the program. With TLS, records that have no data in them, such as session tickets, are dealt with, and do not count. Does not wait; works in callbacks, too."
},
{
"title": "asyncio_stream_at_eof",
"url": "reference/streams.html#asyncio_stream_at_eof",
"text": "Tells whether the stream has ended and nothing is left to read. (at_eof)"
},
{
"title": "asyncio_stream_write",
"url": "reference/streams.html#asyncio_stream_write",
"text": "Writes to the stream. Suspends first while more than write_limit bytes are queued, then accepts all bytes, or none on an error. Accepted bytes are sent in the background, in order. Others run after each 1 MiB of a large write: what they write comes behind it, an end or a close waits for it, and a cancel is left to the next wait. 0; the connection's error (-EPIPE, -ECONNRESET ...), ASYNCIO_ESTATE after write_eof, -ECANCELED, -EINVAL (such as a length above SSIZE_MAX, of all parts together), -ENOMEM, ASYNCIO_ENOTASK. (write and drain, writelines)"
},
{
"title": "asyncio_stream_writev",
"url": "reference/streams.html#asyncio_stream_writev",
"text": "Writes to the stream. Suspends first while more than write_limit bytes are queued, then accepts all bytes, or none on an error. Accepted bytes are sent in the background, in order. Others run after each 1 MiB of a large write: what they write comes behind it, an end or a close waits for it, and a cancel is left to the next wait. 0; the connection's error (-EPIPE, -ECONNRESET ...), ASYNCIO_ESTATE after write_eof, -ECANCELED, -EINVAL (such as a length above SSIZE_MAX, of all parts together), -ENOMEM, ASYNCIO_ENOTASK. (write and drain, writelines)"
},
{
"title": "asyncio_stream_printf",
"url": "reference/streams.html#asyncio_stream_printf",
"text": "Writes to the stream. Suspends first while more than write_limit bytes are queued, then accepts all bytes, or none on an error. Accepted bytes are sent in the background, in order. Others run after each 1 MiB of a large write: what they write comes behind it, an end or a close waits for it, and a cancel is left to the next wait. 0; the connection's error (-EPIPE, -ECONNRESET ...), ASYNCIO_ESTATE after write_eof, -ECANCELED, -EINVAL (such as a length above SSIZE_MAX, of all parts together), -ENOMEM, ASYNCIO_ENOTASK. (write and drain, writelines)"
},
{
"title": "asyncio_stream_write_nowait",
"url": "reference/streams.html#asyncio_stream_write_nowait",
"text": "Writes to a stream without waiting, and works in callbacks, too: accepts all bytes, or none. 0; -EAGAIN while more than the write limit is queued, or another write waits or is under way; -ENOMEM; the connection's error; ASYNCIO_ESTATE after write_eof, while TLS shakes hands, or in a forked child; -EBADF once the stream is closed; -EINVAL. (write)"
},
{
"title": "asyncio_stream_queued",
"url": "reference/streams.html#asyncio_stream_queued",
"text": "Returns the number of bytes that the stream has accepted and the kernel has not taken yet, with what TLS adds to them. (get_write_buffer_size)"
},
{
"title": "asyncio_stream_sendfile",
"url": "reference/streams.html#asyncio_stream_sendfile",
"text": "Sends up to n bytes of a file, from *offset on, after what is queued and before what others write meanwhile. Suspends. The kernel sends them itself where it can; with TLS, blocks are read and written. Returns how many were sent or queued: fewer than n only at the end of the file. *offset tells how far the call came, also on an error or a cancel. fd stays the caller's. An end or a close by another task does not wait for the file, as nothing of it was accepted yet: the call stops, with ASYNCIO_ESTATE or -EBADF. The errors of a write and of a read; -EBADF, -ESPIPE, -EINVAL. (sendfile)"
},
{
"title": "asyncio_stream_drain",
"url": "reference/streams.html#asyncio_stream_drain",
"text": "Waits until at most a quarter of the write_limit is queued. 0 or as above. (drain)"
},
{
"title": "asyncio_stream_write_eof",
"url": "reference/streams.html#asyncio_stream_write_eof",
"text": "Ends the output of a stream: the peer sees the end once all queued bytes are sent, and later writes fail. Does not wait. 0 or as above. (write_eof)"
},
{
"title": "asyncio_stream_close",
"url": "reference/streams.html#asyncio_stream_close",
"text": "Sends what is queued, closes the stream, and frees it, whatever the call returns, also when cancelled. Suspends while bytes are queued. If the peer takes none of them for as long as the close timeout, they are dropped: -ETIMEDOUT. To limit the whole, put a timeout around the call. With TLS the call says goodbye and waits for the peer's answer, at most for the context's shutdown timeout: -ETIMEDOUT, too. 0, or the error that kept bytes from being sent. In a forked child it sends nothing, closes the child's copy of the descriptor, and returns ASYNCIO_ESTATE. Accepts NULL. (close, wait_closed)"
},
{
"title": "asyncio_stream_abort",
"url": "reference/streams.html#asyncio_stream_abort",
"text": "Closes a stream at once: drops what is queued, resets a TCP connection, and frees the stream. A _close that is waiting in another task returns -ECONNABORTED. Does not wait. Accepts NULL. (abort)"
},
{
"title": "asyncio_stream_start_tls",
"url": "reference/streams.html#asyncio_stream_start_tls",
"text": "Starts TLS over the stream, as client or as server, whichever the context (asyncio/tls.h) is for. A client verifies server_hostname, which may be NULL only if the context does not verify names. Bytes that are buffered already go to TLS. Suspends. 0; ASYNCIO_ETLS with a message, the connection's error, -ETIMEDOUT, or -ECANCELED: the stream can then only be closed; -EINVAL, -ENOMEM, ASYNCIO_ESTATE (TLS already, another task reads, or is amid a write, write_eof was called), ASYNCIO_ENOTASK. (start_tls)"
},
{
"title": "asyncio_stream_peername",
"url": "reference/streams.html#asyncio_stream_peername",
"text": "Return the address of the stream's peer, and its own, as getpeername(2) and getsockname(2). Do not wait. The peer of a TCP connection stays known after a reset. (get_extra_info)"
},
{
"title": "asyncio_stream_sockname",
"url": "reference/streams.html#asyncio_stream_sockname",
"text": "Return the address of the stream's peer, and its own, as getpeername(2) and getsockname(2). Do not wait. The peer of a TCP connection stays known after a reset. (get_extra_info)"
},
{
"title": "asyncio_stream_peer",
"url": "reference/streams.html#asyncio_stream_peer",
"text": "Returns the peer's address as text, for people: \"192.0.2.1:80\", \"[fe80::1%eth0]:443\", a path; \"\" where it has none, or is not known. Never NULL. The text stays until the stream is freed."
},
{
"title": "asyncio_stream_fd",
"url": "reference/streams.html#asyncio_stream_fd",
"text": "Returns the descriptor, which stays the stream's."
},
{
"title": "asyncio_stream_set_data",
"url": "reference/streams.html#asyncio_stream_set_data",
"text": "Keeps something of the program's with the stream, for as long as the stream lives. drop(data), unless drop is NULL, is called once, on the loop's thread, where it may not wait: when other data takes the place, or after the descriptor is closed and before the stream is freed. The same data again changes its drop function only; so (stream, data, NULL) takes data back. A stream that is NULL drops the data at once. Does not wait."
},
{
"title": "asyncio_stream_data",
"url": "reference/streams.html#asyncio_stream_data",
"text": "Returns the data that the program keeps with the stream; NULL if there is none, or no stream."
},
{
"title": "asyncio_stream_detach",
"url": "reference/streams.html#asyncio_stream_detach",
"text": "Takes a stream away from its server, inside the server's handler: the stream belongs to the program from then on and outlives the handler. 0; ASYNCIO_ESTATE if no server owns it."
},
{
"title": "asyncio_stream_copy",
"url": "reference/streams.html#asyncio_stream_copy",
"text": "Copies the bytes of one stream to another until the end of `from`, with backpressure. Needs no memory while none come. Closes neither stream. Suspends. Returns the number of bytes, or the first error of either; bytes that `to` did not accept stay in `from`."
},
{
"title": "asyncio_stream_copy_n",
"url": "reference/streams.html#asyncio_stream_copy_n",
"text": "Copies n bytes of one stream to another, on the same terms. Returns fewer only at the end of `from`."
},
{
"title": "asyncio/streams.h",
"url": "reference/streams.html",
"text": "Streams: one object for both directions of a connection, a pipe or a terminal. Reads are buffered. Writes are queued up to a high-water mark and sent in the background. asyncio_stream *stream; int err = asyncio_open_connection(\"example.org\", 80, NULL, &stream); if (err) return err; asyncio_stream_printf(stream, \"GET / HTTP/1.0\\r\\nHost: example.org\\r\\n\\r\\n\"); char *line; while (asyncio_stream_readline(stream, &line) > 0) fputs(line, stdout); return asyncio_stream_close(stream); A stream belongs to the loop's thread and has one owner. One task may read while another writes; a second reader gets ASYNCIO_ESTATE. Several writers take turns, in the order in which they came, and no write is torn. Reads return the data that arrived before an error of the connection, and then the error, which stays. A call that is waiting when another task closes or aborts the stream returns -EBADF. A loop that closes also closes the descriptors of streams that are still open; their owners free them with _close or _abort, then or later."
},
{
"title": "asyncio_subprocess_options",
"url": "reference/subprocess.html#asyncio_subprocess_options",
"text": "Options of a child process: all zero means the defaults: everything inherited."
},
{
"title": "asyncio_create_subprocess_exec",
"url": "reference/subprocess.html#asyncio_create_subprocess_exec",
"text": "Starts a program as a child process: argv[0], with these arguments, NULL at the end. The program is looked for in this process's PATH, unless it has a slash. `options` may be NULL. May suspend, before anything is made. A cancel or another error leaves nothing behind, and *process untouched. 0; the error that kept the program from running (-ENOENT, -EACCES also for an empty name, -ENOEXEC, -E2BIG ...), with a message that names the program, the interpreter of a script, the folder or the descriptor; -EINVAL with a message for impossible options; -EPERM for a group that the child cannot join, and with a message for a uid or gid that this process may not give it; with `pty` also -ENOSPC (the system has no more terminals) and -ENOENT (it has no /dev/ptmx), with messages; -EMFILE, -EAGAIN, -ENOMEM, -EBADF, -ECANCELED, -ENOSYS, ASYNCIO_ENOTASK. (create_subprocess_exec)"
},
{
"title": "asyncio_create_subprocess_shell",
"url": "reference/subprocess.html#asyncio_create_subprocess_shell",
"text": "Starts a command in /bin/sh as a child process, on the same terms; the process is the shell. (create_subprocess_shell)"
},
{
"title": "asyncio_process_wait",
"url": "reference/subprocess.html#asyncio_process_wait",
"text": "Waits until the process has ended, whatever its pipes do. Any number of tasks may wait. Suspends. *returncode is the exit status, or minus the signal that ended the process; `returncode` may be NULL. If another part of this program has reaped it, *returncode is 255, and the exception handler is told. A cancel ends the wait, not the process. 0; -ECANCELED, -EBADF (released meanwhile), ASYNCIO_ENOTASK, -EINVAL. (wait)"
},
{
"title": "asyncio_process_returncode",
"url": "reference/subprocess.html#asyncio_process_returncode",
"text": "Tells whether a process has ended, and how: false while it runs, then true and *returncode as above. Does not wait. (returncode)"
},
{
"title": "asyncio_process_communicate",
"url": "reference/subprocess.html#asyncio_process_communicate",
"text": "Talks to a process until it has ended: writes n bytes to its stdin and closes that, and meanwhile reads its stdout and stderr to their ends. Suspends. `out` and `err` may be NULL: the output is dropped. Where there is no pipe they become empty. A process that does not read its input is no error. All output is kept in memory, 100 MB as well as 100 bytes: to bound it, read the streams yourself. A terminal (`pty`) is not closed after the input: the end is typed there, as ^D. A line of the input has at most 4095 bytes then. All output is in `out`. A cancel or an error leaves `out` and `err` untouched. The bytes that were read are kept for the next call, which goes on with the same input where this one stopped. 0; ASYNCIO_ESTATE while another such call runs; -EINVAL if there is input and stdin is no pipe; -ECANCELED, -ENOMEM, ASYNCIO_ENOTASK, or the error of reading a pipe. (communicate)"
},
{
"title": "asyncio_process_send_signal",
"url": "reference/subprocess.html#asyncio_process_send_signal",
"text": "Send a signal to a process: this one, SIGTERM, SIGKILL. Do nothing if it has ended. The programs that it has started get no signal: for that, give it a `process_group`. Do not wait. 0; -EPERM, -EINVAL. (send_signal, terminate, kill)"
},
{
"title": "asyncio_process_terminate",
"url": "reference/subprocess.html#asyncio_process_terminate",
"text": "Send a signal to a process: this one, SIGTERM, SIGKILL. Do nothing if it has ended. The programs that it has started get no signal: for that, give it a `process_group`. Do not wait. 0; -EPERM, -EINVAL. (send_signal, terminate, kill)"
},
{
"title": "asyncio_process_kill",
"url": "reference/subprocess.html#asyncio_process_kill",
"text": "Send a signal to a process: this one, SIGTERM, SIGKILL. Do nothing if it has ended. The programs that it has started get no signal: for that, give it a `process_group`. Do not wait. 0; -EPERM, -EINVAL. (send_signal, terminate, kill)"
},
{
"title": "asyncio_process_send_signal_group",
"url": "reference/subprocess.html#asyncio_process_send_signal_group",
"text": "Sends a signal to all processes of the group that a process leads (`process_group` 1, `detach` or `pty`), also when it has ended itself: until it is released it stays a zombie, so that no other group gets its number. Does not wait. 0; -EPERM, -EINVAL; ASYNCIO_ESTATE if it leads none. (os.killpg)"
},
{
"title": "asyncio_process_stop",
"url": "reference/subprocess.html#asyncio_process_stop",
"text": "Stops a process: sends SIGTERM, and SIGKILL if it has not ended `grace` seconds later, to the whole group if it leads one; waits for its end. The grace is the leader's: as soon as it has ended, what is left of the group is killed, early or late, as docker stop and systemd's KillMode=mixed do. So a shell that dies of SIGTERM takes the time from its children: let it `exec` the program, or wait for them in a trap. Suspends, unless it has ended. A grace of 0 or less kills at once; ASYNCIO_FOREVER does so never. *returncode as in asyncio_process_wait; it may be NULL. A request to cancel sends SIGKILL at once; the end is waited for, the call returns 0, and the next wait delivers the request. 0; -EINVAL for NULL and NaN; -EBADF (released meanwhile); -ENOMEM; ASYNCIO_ENOTASK."
},
{
"title": "asyncio_run_process",
"url": "reference/subprocess.html#asyncio_run_process",
"text": "Runs a program to its end, as asyncio_create_subprocess_exec, asyncio_process_communicate and _release in one. Suspends. Where the options leave them at 0, stdin is a pipe if there is input, and stdout and stderr are if `out` and `err` are not NULL; with `pty` all are its terminal. All output is kept in memory. All three results may be NULL. A program that fails is no error: see *returncode. On a cancel or an error the process, with its group if it leads one, is killed and reaped before the call returns; so a timeout around it leaves nothing behind. Errors are those of the calls named. (subprocess.run)"
},
{
"title": "asyncio_process_pid",
"url": "reference/subprocess.html#asyncio_process_pid",
"text": "Returns the number of a process, for people to read: another process may have it as soon as this one has ended. Does not wait. (pid)"
},
{
"title": "asyncio_process_stdin",
"url": "reference/subprocess.html#asyncio_process_stdin",
"text": "Return the streams at this end of a process's pipes, borrowed; NULL where there is none, or it was closed. With `pty` the first two are the same. Close a pipe at stdin to tell the process that there is no more input. Do not wait. (stdin, stdout, stderr)"
},
{
"title": "asyncio_process_stdout",
"url": "reference/subprocess.html#asyncio_process_stdout",
"text": "Return the streams at this end of a process's pipes, borrowed; NULL where there is none, or it was closed. With `pty` the first two are the same. Close a pipe at stdin to tell the process that there is no more input. Do not wait. (stdin, stdout, stderr)"
},
{
"title": "asyncio_process_stderr",
"url": "reference/subprocess.html#asyncio_process_stderr",
"text": "Return the streams at this end of a process's pipes, borrowed; NULL where there is none, or it was closed. With `pty` the first two are the same. Close a pipe at stdin to tell the process that there is no more input. Do not wait. (stdin, stdout, stderr)"
},
{
"title": "asyncio_process_release",
"url": "reference/subprocess.html#asyncio_process_release",
"text": "Gives a process up: closes its streams, drops what is queued for it, and kills it if it still runs, unless `detach` is set; a terminal that is closed sends SIGHUP to its session all the same. The loop reaps it when it has ended. Calls that are waiting return -EBADF. Does not wait. Accepts NULL. (a process that goes out of scope) A loop that closes ends the processes that were released before, which may take a moment. A process that nobody has released by then runs on, unwatched, and keeps its descriptors; a later release kills and reaps it at once. A detached process that outlives the loop is reaped by nobody: when it ends, it stays a zombie until this program has ended."
},
{
"title": "asyncio/subprocess.h",
"url": "reference/subprocess.html",
"text": "Child processes: programs that are started, talked to and waited for. asyncio_process *process; asyncio_buffer out; const char *const argv[] = {\"git\", \"rev-parse\", \"HEAD\", NULL}; int err = asyncio_create_subprocess_exec(argv, &(asyncio_subprocess_options){.stdout_fd = ASYNCIO_PIPE}, &process); if (err) return err; err = asyncio_process_communicate(process, NULL, 0, &out, NULL); if (!err) { fputs(out.data, stdout); asyncio_buffer_destroy(&out); } asyncio_process_release(process); A process belongs to the loop's thread and has one owner, who releases it. The library holds it by a descriptor of its own (pidfd), so that a signal never meets a stranger who has got the same number. It needs no handler for SIGCHLD, and disturbs none. A process may end before its output does: a grandchild may hold the pipe open. The child gets descriptors 0, 1 and 2, and those that `inherit` names. In the child no signal is blocked or handled. Of the ignored signals only SIGHUP, SIGINT and SIGQUIT stay ignored, as nohup needs it. None of these calls works under a virtual clock: -ENOSYS. With `pty` 1 the child is at a new terminal, leads its session and has it as the controlling terminal. The other side of it is one stream for both directions: asyncio_process_stdin and _stdout return it, _stderr returns NULL. The child's stderr comes there, too, and so does the echo of what is written. The stream's descriptor takes tcsetattr(3), and TIOCSWINSZ for the size of the window, which is 0 by 0 at first: each change sends SIGWINCH. A \"\\3\" that is written is ^C, and \"\\4\" is ^D. When nobody has the terminal open any more, its output ends. When the stream is closed, the session gets SIGHUP. With a `uid`, `gid`, `umask` or `pty` the child begins as a copy of this process, which costs more in a process with much memory. A child with a uid or gid has no supplementary groups, and its terminal is its user's."
},
{
"title": "asyncio_task_group",
"url": "reference/taskgroups.html#asyncio_task_group",
"text": "A task group, in the caller's storage, without an initialiser. All fields are private."
},
{
"title": "asyncio_task_group_enter",
"url": "reference/taskgroups.html#asyncio_task_group_enter",
"text": "Enters a task group. Does not wait. 0; -EINVAL for NULL; ASYNCIO_ENOTASK. (__aenter__)"
},
{
"title": "asyncio_task_group_create_task",
"url": "reference/taskgroups.html#asyncio_task_group_create_task",
"text": "Makes a task that the group owns. The pointer is borrowed: it is valid while the task runs, and until the caller's next wait; asyncio_ref keeps it. Takes over the coroutine on every path. A child may call it, too, and so may others while the group is being left, as long as a child runs. Does not wait. (create_task) NULL: coro or group was NULL, or no loop runs in this thread. If the group is not entered, was left or is aborting, the task has ended with ASYNCIO_ESTATE; without memory, with -ENOMEM. In a group with a limit the task that entered the group waits here for a place: see _set_limit."
},
{
"title": "asyncio_task_group_set_limit",
"url": "reference/taskgroups.html#asyncio_task_group_set_limit",
"text": "Limits a task group to n children that run at a time; 0, at first, is no limit. With that many, asyncio_task_group_create_task and _start suspend the task that entered the group until one has ended. Children that make others never wait for a place, and go beyond n. Does not wait. 0; -EINVAL for NULL or n < 0; ASYNCIO_ESTATE if the group is not entered. A request to cancel ends the wait for a place and is not used up: the coroutine is closed, the task that create_task returns has ended with -ECANCELED, and the next wait delivers the request. If the group was aborted meanwhile, the task has ended with ASYNCIO_ESTATE. (Python: a semaphore around the body of each.)"
},
{
"title": "asyncio_task_group_start",
"url": "reference/taskgroups.html#asyncio_task_group_start",
"text": "Makes a child of a task group and waits until it is ready for others: until it calls asyncio_started. Returns the value that it gives there. From then on it is a child as any other. Takes over the coroutine on every path. Suspends. (anyio's and trio's start) If the child ends first, its error is returned and is no failure of the group; ASYNCIO_ESTATE if it ended with a value. A cancel is passed on to the child, and the call returns -ECANCELED once that has ended, and a failure of it then counts; a value that it gave before wins. ASYNCIO_ESTATE if the group is not entered, was left or is aborting; -EINVAL for a NULL group; -ENOMEM; ASYNCIO_ENOTASK."
},
{
"title": "asyncio_started",
"url": "reference/taskgroups.html#asyncio_started",
"text": "Tells asyncio_task_group_start that the running task is ready, with a value >= 0 for its result. Does not wait. 0; -EINVAL below 0; ASYNCIO_ESTATE unless that call made the running task, which has not called this before."
},
{
"title": "asyncio_task_group_cancel",
"url": "reference/taskgroups.html#asyncio_task_group_cancel",
"text": "Ends a task group early: cancels the children and the body. The exit returns no -ECANCELED because of that. A second call does nothing. Does not wait. (cancel)"
},
{
"title": "asyncio_task_group_exit",
"url": "reference/taskgroups.html#asyncio_task_group_exit",
"text": "Leaves a task group: waits until every child has ended. Suspends. `err` is the body's outcome; a number below 0 counts as a failure and cancels the children. A request to cancel the caller also cancels the children. (__aexit__) Returns the error of a single failure, ASYNCIO_EGROUP for several (see _error), else -ECANCELED if the caller was cancelled, else err. Cancelled children are no failures. A request from outside that failures win over is delivered at the next wait. ASYNCIO_ESTATE if it is not the innermost scope of the running task; -EINVAL for NULL."
},
{
"title": "asyncio_task_group_error_count",
"url": "reference/taskgroups.html#asyncio_task_group_error_count",
"text": "Return how many failures there were, and the first eight of them: the children's in the order in which they came, then the body's; 0 beyond. Also after the exit. (exceptions)"
},
{
"title": "asyncio_task_group_error",
"url": "reference/taskgroups.html#asyncio_task_group_error",
"text": "Return how many failures there were, and the first eight of them: the children's in the order in which they came, then the body's; 0 beyond. Also after the exit. (exceptions)"
},
{
"title": "ASYNCIO_TASK_GROUP",
"url": "reference/taskgroups.html#ASYNCIO_TASK_GROUP",
"text": "ASYNCIO_TASK_GROUP(group, err) { ... }: a task group as a block. `err` is a signed variable of the caller's: 0 on entry, the group's outcome after the block. The end of the block and `continue` wait for all children; `break`, `return` and `goto` cancel them, then wait; a request to cancel the caller that comes during a `return` is delivered at the next wait. A body that leaves `err` below 0 counts as a failure. If the group cannot be entered, the block is skipped and `err` says why."
},
{
"title": "asyncio/taskgroups.h",
"url": "reference/taskgroups.html",
"text": "Task groups (asyncio.TaskGroup) are scopes that own tasks. The exit of a group waits until all of them have ended. When one fails, the others and the body are cancelled. asyncio_task_group group; int err; ASYNCIO_TASK_GROUP(group, err) { asyncio_task_group_create_task(&group, fetch(\"a\")); asyncio_task_group_create_task(&group, fetch(\"b\")); } return err;"
},
{
"title": "asyncio_task_options",
"url": "reference/tasks.html#asyncio_task_options",
"text": "Options of a new task: all zero means the defaults."
},
{
"title": "asyncio_ticker",
"url": "reference/tasks.html#asyncio_ticker",
"text": "A ticker, in the caller's storage. All fields are private."
},
{
"title": "asyncio_create_task",
"url": "reference/tasks.html#asyncio_create_task",
"text": "Schedules a coroutine as a task of the running loop and returns the task, with one reference for the caller; the loop keeps its own until the task ends. The task starts when the caller waits, after the tasks that are ready now. Takes over the coroutine on every path. Does not wait. (create_task) NULL: out of memory, or coro was NULL. Without a running loop, or with options that cannot be met, the returned task has ended, and its result says why: ASYNCIO_ESTATE, -EINVAL, -ENOMEM. An eager task (eager_start; for all tasks of a loop asyncio_run_options.eager) does not wait for its turn: it runs inside the call, on a stack and in a context of its own, until it waits or ends. One that ends there is done when the call returns. Meanwhile it is the current task. Its creator is not suspended, so requests to cancel it stay pending, and a task that waits for it just suspends. The call is thus one of code that may do anything: release what nothing else holds, cancel the creator, end its group. Queued all the same are the main task, tasks made while the loop does not run, those of coroutines that other threads submit, those that serve a server's clients, and the 65th of eager starts within each other."
},
{
"title": "asyncio_create_task_with",
"url": "reference/tasks.html#asyncio_create_task_with",
"text": "Schedules a coroutine as a task of the running loop and returns the task, with one reference for the caller; the loop keeps its own until the task ends. The task starts when the caller waits, after the tasks that are ready now. Takes over the coroutine on every path. Does not wait. (create_task) NULL: out of memory, or coro was NULL. Without a running loop, or with options that cannot be met, the returned task has ended, and its result says why: ASYNCIO_ESTATE, -EINVAL, -ENOMEM. An eager task (eager_start; for all tasks of a loop asyncio_run_options.eager) does not wait for its turn: it runs inside the call, on a stack and in a context of its own, until it waits or ends. One that ends there is done when the call returns. Meanwhile it is the current task. Its creator is not suspended, so requests to cancel it stay pending, and a task that waits for it just suspends. The call is thus one of code that may do anything: release what nothing else holds, cancel the creator, end its group. Queued all the same are the main task, tasks made while the loop does not run, those of coroutines that other threads submit, those that serve a server's clients, and the 65th of eager starts within each other."
},
{
"title": "asyncio_loop_create_task",
"url": "reference/tasks.html#asyncio_loop_create_task",
"text": "Makes a task, as asyncio_create_task, on a given loop of this thread, in a callback or before the loop runs. On a closed loop the task has ended with ASYNCIO_ESTATE."
},
{
"title": "asyncio_current_task",
"url": "reference/tasks.html#asyncio_current_task",
"text": "Returns the task that runs, borrowed; NULL in a callback or a plain thread. (current_task)"
},
{
"title": "asyncio_all_tasks",
"url": "reference/tasks.html#asyncio_all_tasks",
"text": "Stores up to `capacity` of the running loop's tasks that have not ended, in the order in which they were made, and returns how many there are. They are borrowed until the next wait. (all_tasks)"
},
{
"title": "asyncio_task_uncancel",
"url": "reference/tasks.html#asyncio_task_uncancel",
"text": "Takes back one request to cancel a task and returns how many remain. At 0 a request that is not delivered yet is dropped. 0 for NULL and for an ended task. (uncancel)"
},
{
"title": "asyncio_task_cancelling",
"url": "reference/tasks.html#asyncio_task_cancelling",
"text": "Returns how many requests to cancel a task were made and not taken back. If several tasks that await it pass on a request in one step of the loop, these count once. (cancelling)"
},
{
"title": "asyncio_task_name",
"url": "reference/tasks.html#asyncio_task_name",
"text": "Returns a task's name, borrowed until the task is renamed or ends. Never NULL. (get_name)"
},
{
"title": "asyncio_task_set_name",
"url": "reference/tasks.html#asyncio_task_set_name",
"text": "Sets a task's name, which is copied. 0, -ENOMEM, -EINVAL for NULL. (set_name)"
},
{
"title": "asyncio_sleep",
"url": "reference/tasks.html#asyncio_sleep",
"text": "Waits for at least so many seconds of the loop's clock. 0 or less yields once, without a timer; ASYNCIO_FOREVER waits until cancelled. Always suspends. 0, -ECANCELED, -EINVAL for NaN, -ENOMEM, ASYNCIO_ENOTASK. (sleep)"
},
{
"title": "asyncio_sleep_until",
"url": "reference/tasks.html#asyncio_sleep_until",
"text": "Waits, as asyncio_sleep, until asyncio_time() reads `when`."
},
{
"title": "asyncio_ticker_init",
"url": "reference/tasks.html#asyncio_ticker_init",
"text": "Initialises a ticker, whose first tick comes one period (in seconds of the loop's clock) later. It needs no destructor. Does not wait. 0; -EINVAL for NULL, for a period of NaN, 0 or less or ASYNCIO_FOREVER, and for a policy that does not exist."
},
{
"title": "asyncio_ticker_next",
"url": "reference/tasks.html#asyncio_ticker_next",
"text": "Waits for a ticker's next tick. Always suspends: one that is due already comes after giving way once. Ticks do not drift, however long the caller's work between them takes: unless it was late and the policy is ASYNCIO_TICK_DELAY, the n-th tick is due n periods after asyncio_ticker_init. Returns how many ticks were left out after this one: 0 unless the policy is ASYNCIO_TICK_SKIP. -ECANCELED, and the tick is still to come; -EINVAL for NULL; -ENOMEM; ASYNCIO_ENOTASK."
},
{
"title": "asyncio_time",
"url": "reference/tasks.html#asyncio_time",
"text": "Reads the running loop's clock, in seconds; in a thread without a loop the system's monotonic clock. Does not wait."
},
{
"title": "asyncio_gather",
"url": "reference/tasks.html#asyncio_gather",
"text": "asyncio_gather(results, awaitable, ...): runs 1 to 16 awaitables beside each other and waits until all have ended. Coroutines become tasks, in argument order. Suspends. (gather) `results` gets each outcome in its place, whatever the call returns; it may be NULL. After the first error the others are cancelled, and the call returns that error when all have ended; else 0. A request to cancel the caller goes to all of them; the call returns -ECANCELED once all have ended. Takes over the reference of each argument. NULL is a child that failed with -ENOMEM. The same coroutine twice, the calling task, or another loop's future is refused with -EINVAL; without memory the call is refused with -ENOMEM. A refused call starts nothing and leaves nothing running: it closes the coroutines, whose result is that error, and cancels the tasks and futures and waits for them. Outside a task the call is refused with ASYNCIO_ENOTASK, and nobody waits. asyncio_gather_settled is the same with return_exceptions=True: it waits for all, leaves each error in its place, and returns 0. The _array calls take n tasks or n futures; n == 0 returns 0."
},
{
"title": "asyncio_gather_settled",
"url": "reference/tasks.html#asyncio_gather_settled",
"text": "asyncio_gather(results, awaitable, ...): runs 1 to 16 awaitables beside each other and waits until all have ended. Coroutines become tasks, in argument order. Suspends. (gather) `results` gets each outcome in its place, whatever the call returns; it may be NULL. After the first error the others are cancelled, and the call returns that error when all have ended; else 0. A request to cancel the caller goes to all of them; the call returns -ECANCELED once all have ended. Takes over the reference of each argument. NULL is a child that failed with -ENOMEM. The same coroutine twice, the calling task, or another loop's future is refused with -EINVAL; without memory the call is refused with -ENOMEM. A refused call starts nothing and leaves nothing running: it closes the coroutines, whose result is that error, and cancels the tasks and futures and waits for them. Outside a task the call is refused with ASYNCIO_ENOTASK, and nobody waits. asyncio_gather_settled is the same with return_exceptions=True: it waits for all, leaves each error in its place, and returns 0. The _array calls take n tasks or n futures; n == 0 returns 0."
},
{
"title": "asyncio_gather_array",
"url": "reference/tasks.html#asyncio_gather_array",
"text": "asyncio_gather(results, awaitable, ...): runs 1 to 16 awaitables beside each other and waits until all have ended. Coroutines become tasks, in argument order. Suspends. (gather) `results` gets each outcome in its place, whatever the call returns; it may be NULL. After the first error the others are cancelled, and the call returns that error when all have ended; else 0. A request to cancel the caller goes to all of them; the call returns -ECANCELED once all have ended. Takes over the reference of each argument. NULL is a child that failed with -ENOMEM. The same coroutine twice, the calling task, or another loop's future is refused with -EINVAL; without memory the call is refused with -ENOMEM. A refused call starts nothing and leaves nothing running: it closes the coroutines, whose result is that error, and cancels the tasks and futures and waits for them. Outside a task the call is refused with ASYNCIO_ENOTASK, and nobody waits. asyncio_gather_settled is the same with return_exceptions=True: it waits for all, leaves each error in its place, and returns 0. The _array calls take n tasks or n futures; n == 0 returns 0."
},
{
"title": "asyncio_gather_settled_array",
"url": "reference/tasks.html#asyncio_gather_settled_array",
"text": "asyncio_gather(results, awaitable, ...): runs 1 to 16 awaitables beside each other and waits until all have ended. Coroutines become tasks, in argument order. Suspends. (gather) `results` gets each outcome in its place, whatever the call returns; it may be NULL. After the first error the others are cancelled, and the call returns that error when all have ended; else 0. A request to cancel the caller goes to all of them; the call returns -ECANCELED once all have ended. Takes over the reference of each argument. NULL is a child that failed with -ENOMEM. The same coroutine twice, the calling task, or another loop's future is refused with -EINVAL; without memory the call is refused with -ENOMEM. A refused call starts nothing and leaves nothing running: it closes the coroutines, whose result is that error, and cancels the tasks and futures and waits for them. Outside a task the call is refused with ASYNCIO_ENOTASK, and nobody waits. asyncio_gather_settled is the same with return_exceptions=True: it waits for all, leaves each error in its place, and returns 0. The _array calls take n tasks or n futures; n == 0 returns 0."
},
{
"title": "asyncio/tasks.h",
"url": "reference/tasks.html",
"text": "Tasks: coroutines that run beside each other, on one thread, each until it waits. Also sleep, which waits for time, and gather, which waits for several tasks."
},
{
"title": "asyncio_to_thread",
"url": "reference/threads.html#asyncio_to_thread",
"text": "Runs fn(arg) on a thread of the default executor and returns its result, with a copy of the caller's context. Suspends. A request to cancel takes back work that has not begun: -ECANCELED, and fn does not run. Once fn runs the call waits for it, since `arg` may be the caller's memory. It returns fn's result, and the request stays pending unless that result is -ECANCELED. In fn, asyncio_raise attaches a message to the call. Errors: fn's own, -ECANCELED, -EAGAIN (no thread), -EINVAL, -ENOMEM, ASYNCIO_ENOTASK. (to_thread)"
},
{
"title": "asyncio_executor_new",
"url": "reference/threads.html#asyncio_executor_new",
"text": "Makes an executor of at most so many threads; 0 means the number of processors + 4, at most 32, as in the default executor. NULL: out of memory. Any thread. (ThreadPoolExecutor)"
},
{
"title": "asyncio_executor_release",
"url": "reference/threads.html#asyncio_executor_release",
"text": "Gives up an executor: queued work still runs, then its threads end. Does not wait. Accepts NULL. Any thread, also one of its own."
},
{
"title": "asyncio_run_in_executor",
"url": "reference/threads.html#asyncio_run_in_executor",
"text": "Has fn(arg) run on a thread of the executor (NULL: the default one), in an empty context, and returns a future for its result. Cancelling the future abandons the work: if it has not begun it does not run, else nobody waits for it any more. Work whose future is only released goes on; asyncio_run waits for it at its end, at most for shutdown_grace. asyncio_loop_close does not wait. `arg` belongs to the work. drop(arg) runs once: when fn has returned and the future is done, before the tasks that await it go on; or when fn is not going to run. It runs on the loop's thread, where it must not wait, or, if the loop is closed, on the executor's. `drop` may be NULL. Does not wait. NULL: out of memory, no loop runs, or fn is NULL (drop has run). If no thread could be made the future has failed with -EAGAIN. (loop.run_in_executor)"
},
{
"title": "asyncio_shutdown_threads",
"url": "reference/threads.html#asyncio_shutdown_threads",
"text": "Ends the threads of all executors, of names and of files. Idle threads end at once, busy ones after their work and what is queued. Blocks until they are gone, for at most `timeout` seconds (ASYNCIO_FOREVER: no limit). Later calls begin new threads. 0; -ETIMEDOUT if threads are left; ASYNCIO_ESTATE on a thread that runs a loop; -EDEADLK on a thread of an executor; -EINVAL for NaN. A plugin that contains the library calls this before it is unloaded, after its last loop is closed. dlclose(3) would do the same, but waits without limit, and meanwhile no other thread can load anything, the resolver's among them. (executor.shutdown)"
},
{
"title": "asyncio_run_coroutine_threadsafe",
"url": "reference/threads.html#asyncio_run_coroutine_threadsafe",
"text": "Runs a coroutine as a task of a loop that runs in another thread. The caller has a reference to the loop. Takes over the coroutine. Never waits. NULL: out of memory, or coro or loop was NULL, as the message says. If the loop is closed, closes first, or is at the end of its asyncio_run, the future fails with ASYNCIO_ESTATE. (run_coroutine_threadsafe)"
},
{
"title": "asyncio_thread_future_result",
"url": "reference/threads.html#asyncio_thread_future_result",
"text": "Blocks this thread for at most `timeout` seconds (ASYNCIO_FOREVER: no limit) until the task has ended, and returns its result, with its message. -ETIMEDOUT: the task goes on. -EINVAL for NULL or NaN; -EDEADLK on the thread that runs that loop. (result)"
},
{
"title": "asyncio_thread_future_cancel",
"url": "reference/threads.html#asyncio_thread_future_cancel",
"text": "Requests a cancel of the task; the result tells what came of it. False if the task has ended, or the loop is closed or belongs to the parent process. Does not wait. (cancel)"
},
{
"title": "asyncio_thread_future_release",
"url": "reference/threads.html#asyncio_thread_future_release",
"text": "Drops a thread's future; the task goes on. Accepts NULL. Does not wait."
},
{
"title": "asyncio/threads.h",
"url": "reference/threads.html",
"text": "Threads: work that blocks, taken off the loop's thread, and coroutines submitted from other threads."
},
{
"title": "asyncio_timeout",
"url": "reference/timeouts.html#asyncio_timeout",
"text": "A time limit for the code inside, in the caller's storage. All fields are private."
},
{
"title": "asyncio_timeout_enter",
"url": "reference/timeouts.html#asyncio_timeout_enter",
"text": "Enters a timeout, with a deadline `delay` seconds from now, or when asyncio_time() reads `when`. A deadline that has passed fires in the loop's next iteration: a body that never suspends succeeds. ASYNCIO_FOREVER means no deadline. Does not wait. 0; -EINVAL for NULL or NaN; -ENOMEM; ASYNCIO_ENOTASK. (timeout, timeout_at)"
},
{
"title": "asyncio_timeout_enter_at",
"url": "reference/timeouts.html#asyncio_timeout_enter_at",
"text": "Enters a timeout, with a deadline `delay` seconds from now, or when asyncio_time() reads `when`. A deadline that has passed fires in the loop's next iteration: a body that never suspends succeeds. ASYNCIO_FOREVER means no deadline. Does not wait. 0; -EINVAL for NULL or NaN; -ENOMEM; ASYNCIO_ENOTASK. (timeout, timeout_at)"
},
{
"title": "asyncio_timeout_exit",
"url": "reference/timeouts.html#asyncio_timeout_exit",
"text": "Leaves a timeout and returns -ETIMEDOUT if it has expired, err is -ECANCELED, and nobody else has requested a cancel meanwhile; else returns err. Withdraws its own request if that is not delivered yet. A request of an outer timeout or group that came meanwhile is delivered at the next wait. Does not wait. ASYNCIO_ESTATE if it is not the innermost scope of the running task; -EINVAL for NULL. (__aexit__)"
},
{
"title": "asyncio_timeout_reschedule",
"url": "reference/timeouts.html#asyncio_timeout_reschedule",
"text": "Moves a timeout's deadline to `when`, on the loop's clock; ASYNCIO_FOREVER switches it off. Does not wait. 0; -EINVAL for NULL or NaN; -ENOMEM; ASYNCIO_ESTATE if it is not entered or has expired. (reschedule)"
},
{
"title": "asyncio_timeout_when",
"url": "reference/timeouts.html#asyncio_timeout_when",
"text": "Returns a timeout's deadline on the loop's clock; ASYNCIO_FOREVER if it has none. (when)"
},
{
"title": "asyncio_timeout_expired",
"url": "reference/timeouts.html#asyncio_timeout_expired",
"text": "Tells whether the timeout has expired. Also after the exit, and when the body swallowed the cancel. (expired)"
},
{
"title": "asyncio_wait_for",
"url": "reference/timeouts.html#asyncio_wait_for",
"text": "Awaits x for at most `timeout` seconds; then cancels it, waits for its end, and returns -ETIMEDOUT. Takes over the reference. A coroutine runs in place. A request to cancel the caller is passed on to x. Suspends. (wait_for) If x returns a value or another error in spite of the cancel, that is the result. With a timeout of 0 or less a coroutine is not started, and a task or future that is done gives its result. ASYNCIO_FOREVER: as asyncio_await. Errors: -ETIMEDOUT, x's own, -ECANCELED, -EINVAL for NaN, ASYNCIO_ENOTASK; -ENOMEM for NULL, and without memory for the timer: then x is cancelled, and waited for."
},
{
"title": "ASYNCIO_TIMEOUT",
"url": "reference/timeouts.html#ASYNCIO_TIMEOUT",
"text": "ASYNCIO_TIMEOUT(err, seconds) { ... }: a time limit for a block. `err` is a signed variable of the caller's. It is 0 on entry. It is converted when the block is left by its end, by `break` or by `continue`; these leave the block and not an outer loop. If the scope cannot be entered (NaN, no task) the block is skipped and `err` says why. `return` and `goto` close the scope too, but cannot change a value that was computed already: return after the block."
},
{
"title": "asyncio/timeouts.h",
"url": "reference/timeouts.html",
"text": "Timeouts (asyncio.timeout): at its deadline the scope cancels its task. Its exit turns the -ECANCELED that results into -ETIMEDOUT. int err; ASYNCIO_TIMEOUT(err, 2.0) { err = fetch(); if (err < 0) break; err = store(); } return err;"
},
{
"title": "asyncio_tls_info",
"url": "reference/tls.html#asyncio_tls_info",
"text": "The settings that the two sides have agreed on. Texts that do not fit are cut off."
},
{
"title": "asyncio_tls_context_new_client",
"url": "reference/tls.html#asyncio_tls_context_new_client",
"text": "Make the settings of a client, or of a server. A server then needs a certificate, or one for each name that it answers to (asyncio_tls_context_add_server_name). Versions: TLS 1.2 and later. 0; -EINVAL, -ENOMEM, ASYNCIO_ETLS. (ssl.create_default_context)"
},
{
"title": "asyncio_tls_context_new_server",
"url": "reference/tls.html#asyncio_tls_context_new_server",
"text": "Make the settings of a client, or of a server. A server then needs a certificate, or one for each name that it answers to (asyncio_tls_context_add_server_name). Versions: TLS 1.2 and later. 0; -EINVAL, -ENOMEM, ASYNCIO_ETLS. (ssl.create_default_context)"
},
{
"title": "asyncio_tls_context_release",
"url": "reference/tls.html#asyncio_tls_context_release",
"text": "Drops the owner's reference to a context. Accepts NULL."
},
{
"title": "asyncio_tls_context_load_cert",
"url": "reference/tls.html#asyncio_tls_context_load_cert",
"text": "Loads the context's own certificate and its key, in PEM. chain_file has the certificate first, then those between it and the authority. key_file NULL means that chain_file has the key, too. A key with a password is refused. A context may have a certificate for each kind of key, such as RSA and EC: another call replaces the one of its kind. On an error nothing changes. 0; -ENOENT, -EACCES and the like; ASYNCIO_ETLS with a message that names the file; -EINVAL. (load_cert_chain)"
},
{
"title": "asyncio_tls_context_load_cert_memory",
"url": "reference/tls.html#asyncio_tls_context_load_cert_memory",
"text": "Loads a certificate and its key, both in PEM, from memory, which stays the caller's. key NULL means that the chain has it, too. 0; ASYNCIO_ETLS; -EINVAL for memory that is empty; ASYNCIO_ESTATE after the context's first use. (load_cert_chain)"
},
{
"title": "asyncio_tls_context_load_cert_password",
"url": "reference/tls.html#asyncio_tls_context_load_cert_password",
"text": "Loads a certificate and a key that has a password, which `ask` is asked for, at most once and during this call: it writes up to `size` bytes to buf and returns how many, or an error below 0, which this call then returns. The copy is wiped. 0; ASYNCIO_ETLS, also for a wrong password; -ENOENT and the like; -EINVAL; ASYNCIO_ESTATE after the context's first use. (load_cert_chain with password)"
},
{
"title": "asyncio_tls_context_reload_cert",
"url": "reference/tls.html#asyncio_tls_context_reload_cert",
"text": "Loads a new certificate and key, such as a renewed one, while the context is in use, as load_cert does. Handshakes that begin later have the new one; those under way, and connections, keep the old one. No connection is dropped, and clients can resume their sessions. A client's own sessions are forgotten. Any thread; reads the files on it. On an error nothing changes. 0; as load_cert."
},
{
"title": "asyncio_tls_context_load_ca",
"url": "reference/tls.html#asyncio_tls_context_load_ca",
"text": "Loads the authorities to trust: a PEM file, or a directory as `openssl rehash` makes it, whose files are read during handshakes. May be repeated. A client then trusts these alone, and the system's no longer. A server needs authorities to verify clients. 0; -ENOENT and the like; ASYNCIO_ETLS; -EINVAL. (load_verify_locations)"
},
{
"title": "asyncio_tls_context_load_crl",
"url": "reference/tls.html#asyncio_tls_context_load_crl",
"text": "Loads a list of revoked certificates, in PEM or DER; may be repeated. From then on each certificate of the peer's chain must be on no list, and each authority in it must have one that has not expired: without it the handshake fails, too (\"unable to get certificate CRL\"). 0; -ENOENT and the like; ASYNCIO_ETLS if the file has no list; -EINVAL; ASYNCIO_ESTATE after the context's first use. (load_verify_locations, VERIFY_CRL_CHECK_CHAIN)"
},
{
"title": "asyncio_tls_context_load_system_ca",
"url": "reference/tls.html#asyncio_tls_context_load_system_ca",
"text": "Trusts the system's authorities, besides those that were loaded. 0; ASYNCIO_ETLS. (load_default_certs)"
},
{
"title": "asyncio_tls_context_set_alpn",
"url": "reference/tls.html#asyncio_tls_context_set_alpn",
"text": "Sets the protocols to agree on, the preferred one first, NULL at the end: {\"h2\", \"http/1.1\", NULL}. A server takes the first of its own that the client has, too. With none in common the connection goes on without a protocol; see asyncio_tls_info and asyncio_tls_context_require_alpn. 0; -EINVAL for a name that is empty or longer than 255; -ENOMEM. (set_alpn_protocols)"
},
{
"title": "asyncio_tls_context_require_alpn",
"url": "reference/tls.html#asyncio_tls_context_require_alpn",
"text": "Requires a protocol: with none in common the handshake fails with ASYNCIO_ETLS. A server tells the client why. 0; -EINVAL before asyncio_tls_context_set_alpn."
},
{
"title": "asyncio_tls_context_add_server_name",
"url": "reference/tls.html#asyncio_tls_context_add_server_name",
"text": "Adds a site to a server, which may so serve several names on one address. `site` is another server's context. Clients that ask for this name (SNI) get its certificate, authorities, demand for client certificates, protocols and versions; the timeouts are those of `context`. \"*.example.org\" stands for all names with one part more; an exact name takes precedence. A client that asks for no name, or for another one, gets the settings of `context`, or is refused if that has no certificate. `site` must have its certificate, and no names of its own. The server keeps a reference: the program may release `site`, and may add it for several names. 0; -EEXIST: the name was added before; -EINVAL: not a name, such as an address, or not such contexts; -ENOMEM. (sni_callback)"
},
{
"title": "asyncio_tls_context_set_versions",
"url": "reference/tls.html#asyncio_tls_context_set_versions",
"text": "Sets the oldest and the newest version to accept; by default TLS 1.2, and the newest there is. 0; -EINVAL. (minimum_version, maximum_version)"
},
{
"title": "asyncio_tls_context_require_client_cert",
"url": "reference/tls.html#asyncio_tls_context_require_client_cert",
"text": "Has a server demand a certificate of its clients, by an authority that was loaded. A client without one is refused. 0; -EINVAL for a client's context. (verify_mode = CERT_REQUIRED)"
},
{
"title": "asyncio_tls_context_request_client_cert",
"url": "reference/tls.html#asyncio_tls_context_request_client_cert",
"text": "Has a server ask its clients for a certificate. A client without one is let in: asyncio_tls_info tells whether one was `verified`. A client whose certificate cannot be verified is refused. 0; -EINVAL for a client's context. (verify_mode = CERT_OPTIONAL)"
},
{
"title": "asyncio_tls_context_set_timeouts",
"url": "reference/tls.html#asyncio_tls_context_set_timeouts",
"text": "Sets how many seconds a handshake may take, 60 by default, and how many the peer may take to answer the goodbye of asyncio_stream_close, 30 by default. 0 means the default, ASYNCIO_FOREVER no limit. With a number below 0 for the goodbye, the call sends it and does not wait for an answer. 0; -EINVAL. (ssl_handshake_timeout, ssl_shutdown_timeout)"
},
{
"title": "asyncio_tls_context_set_resumption",
"url": "reference/tls.html#asyncio_tls_context_set_resumption",
"text": "Switches the resumption of a client's sessions, on by default: the client remembers its last session with each server and resumes it. Servers always resume sessions. Neither resumes one after a certificate that was verified for it has expired, or a day after the full handshake that it comes from. 0; -EINVAL for a server's context."
},
{
"title": "asyncio_tls_context_dangerously_accept_any_cert",
"url": "reference/tls.html#asyncio_tls_context_dangerously_accept_any_cert",
"text": "Dangerous: has a client accept any certificate for any name, and so anybody between it and the server. For experiments only: to trust a certificate of your own, use asyncio_tls_context_load_ca. 0; -EINVAL for a server's context. (check_hostname = False, verify_mode = CERT_NONE)"
},
{
"title": "asyncio_tls_context_dangerously_accept_any_name",
"url": "reference/tls.html#asyncio_tls_context_dangerously_accept_any_name",
"text": "Dangerous: has a client verify the certificate, but not the server's name in it. Useful where an authority makes certificates for one purpose alone. 0; -EINVAL for a server's context. (check_hostname = False)"
},
{
"title": "asyncio_tls_context_dangerously_accept_truncation",
"url": "reference/tls.html#asyncio_tls_context_dangerously_accept_truncation",
"text": "Dangerous: accepts a connection that ends without a goodbye as complete. Anybody who can cut the connection can then cut off what is read. For peers that never say goodbye, with protocols that tell lengths. 0; -EINVAL. (suppress_ragged_eofs)"
},
{
"title": "asyncio_tls_context_set_ciphers",
"url": "reference/tls.html#asyncio_tls_context_set_ciphers",
"text": "Sets the ciphers to offer or accept, by OpenSSL's names (openssl-ciphers(1)), with colons between them. Those of TLS 1.3 begin with TLS_; without one of them in the list TLS 1.3 keeps its own, and TLS 1.2 likewise. Each element must stand for a cipher that there is, unlike in OpenSSL's own call. 0; -EINVAL with a message that names the element; ASYNCIO_ESTATE after the context's first use. (set_ciphers)"
},
{
"title": "asyncio_tls_context_set_groups",
"url": "reference/tls.html#asyncio_tls_context_set_groups",
"text": "Sets the groups for the key exchange, the preferred one first: \"X25519:P-256\". 0; -EINVAL with a message that names the element; ASYNCIO_ESTATE after the context's first use. (set_groups)"
},
{
"title": "asyncio_tls_context_set_ticket_keys",
"url": "reference/tls.html#asyncio_tls_context_set_ticket_keys",
"text": "Sets the keys of a server's tickets, so that several processes or machines with the same keys resume each other's sessions, also after a restart. Each key has 80 random bytes, as nginx has them; the first one makes tickets, and all open them: to change keys, put a new one first and keep the old ones for a day. The keys are copied. Whoever has them can read recorded connections of TLS 1.2. A context for a name (asyncio_tls_context_add_server_name) needs the same call. 0; -EINVAL for a client's context or another number of bytes; -ENOMEM; ASYNCIO_ESTATE after the context's first use."
},
{
"title": "asyncio_tls_context_set_keylog",
"url": "reference/tls.html#asyncio_tls_context_set_keylog",
"text": "Has the secrets of each connection appended to a file, in the format that Wireshark reads (SSLKEYLOGFILE). Whoever can read the file can read the connections: it is made for its owner alone. Several contexts and processes may share it. 0; -EACCES and the like; -EINVAL; ASYNCIO_ESTATE after the context's first use. (keylog_filename)"
},
{
"title": "asyncio_stream_tls_info",
"url": "reference/tls.html#asyncio_stream_tls_info",
"text": "Tells about a stream with TLS. Does not wait. 0; ASYNCIO_ESTATE for a stream without TLS, and before the handshake is done; -EINVAL. (get_extra_info, SSLObject.version, cipher, getpeercert ...)"
},
{
"title": "asyncio_stream_tls_export",
"url": "reference/tls.html#asyncio_stream_tls_export",
"text": "Derives key material from a connection (RFC 5705): both sides that give the same label and context get the same bytes, and nobody else can know them. context NULL is none, which TLS 1.2 tells from an empty one. Does not wait. 0; ASYNCIO_ESTATE for a stream without TLS, and before the handshake is done; ASYNCIO_ETLS; -EINVAL."
},
{
"title": "asyncio_stream_tls_peer_cert",
"url": "reference/tls.html#asyncio_stream_tls_peer_cert",
"text": "Returns the certificate of a stream's peer in DER, in a buffer that asyncio_buffer_destroy frees; of a resumed session, too. Does not wait. 0; ASYNCIO_ETLS if the peer has shown none; ASYNCIO_ESTATE as above; -ENOMEM, -EINVAL. (getpeercert with binary_form)"
},
{
"title": "asyncio/tls.h",
"url": "reference/tls.html",
"text": "TLS over streams, by OpenSSL 3. It is a library of its own: link with libasyncio_tls (pkg-config asyncio-tls). <asyncio.h> does not include this header. asyncio_tls_context *tls; int err = asyncio_tls_context_new_client(&tls); if (err) return err; asyncio_connect_options options = {.tls = tls}; asyncio_stream *stream; err = asyncio_open_connection(\"example.org\", 443, &options, &stream); A client verifies the server's certificate against the system's authorities, and the name in it. If that fails the call returns ASYNCIO_ETLS, with a message that says why: \"TLS: certificate verify failed: certificate has expired (example.org)\". The client names the server by a name in ASCII, which may end with a dot, or by an address such as \"192.0.2.1\", \"[::1]\" or \"fe80::1%eth0\". An address is verified as an address, without its zone, and the server is not asked for it (SNI). Any other text, such as one with an empty part (\".example.org\"), an asterisk or a space, is refused with -EINVAL before the handshake, even if names are not verified. Set up a context first, and do not change it once a stream uses it; only asyncio_tls_context_reload_cert may come later. The loops of several threads may share it. Streams and servers keep their own reference: the program may release the context while they live. The calls that load files read them at once, on the calling thread; none of them suspends."
},
{
"title": "asyncio_loop_trace",
"url": "reference/trace.html#asyncio_loop_trace",
"text": "Begins a trace of the loop in a new file that only its owner may read. `file` NULL: asyncio-PID.trace in $XDG_RUNTIME_DIR, or else in /dev/shm; asyncio-PID.2.trace and so on if that one is there. Best is a file in memory (tmpfs). `records` is how many the ring has: a power of two, at most 2^22, each of 32 bytes; 0: 16384. A trace that runs already ends, unless an error is returned. The trace ends with the loop. Under a virtual clock the times are the virtual ones, and nothing in the file differs between two runs with the same seed. Loop's thread. Does not wait. 0; -EINVAL: no loop, or no such number of records; -EEXIST: there is a file or link of that name; ASYNCIO_ESTATE: the loop is closed, or the parent process's; -ENOSPC and others of open(2) and write(2)."
},
{
"title": "asyncio_loop_trace_stop",
"url": "reference/trace.html#asyncio_loop_trace_stop",
"text": "Ends the loop's trace; the file stays. Nothing happens if there is none. Accepts NULL. Loop's thread. Does not wait."
},
{
"title": "asyncio_trace_mark",
"url": "reference/trace.html#asyncio_trace_mark",
"text": "Puts a mark into the trace of the loop that runs in this thread, in the running task's slice. The text is static: it stays, and is the same whenever the same pointer is given. Without a trace, or with NULL, nothing happens. Any thread. Does not wait."
},
{
"title": "asyncio/trace.h",
"url": "reference/trace.html",
"text": "Traces: what a loop did last, in a file that outlives the process. It costs a few nanoseconds a step, so a program in production can have one. `asyncio trace FILE` turns it into text, figures, or a picture for Perfetto (https://ui.perfetto.dev). Python has no such thing. ASYNCIO_TRACE=/tmp/server.trace ./server asyncio trace /tmp/server.trace -o server.pftrace The environment's ASYNCIO_TRACE=FILE[:RECORDS] begins a trace with each loop that is made: the first one's is FILE, the others' are FILE.2, FILE.3 and so on, by the loops' numbers. If the file cannot be made, a line on stderr says why, and the program goes on without. The file is a ring in shared memory: nothing is flushed, and nothing is lost when the process crashes or is killed. What the last `records` say is there: each step of a task and what it waited in then, who woke it, tasks made and ended, requests to cancel, callbacks, polls and marks. Names and numbers are written, no data of the program. Nobody may shorten the file while the loop runs."
},
{
"title": "asyncio_protocol",
"url": "reference/transports.html#asyncio_protocol",
"text": "The functions of a protocol. (Protocol, BufferedProtocol)"
},
{
"title": "asyncio_datagram_protocol",
"url": "reference/transports.html#asyncio_datagram_protocol",
"text": "The functions of a protocol of datagrams. (DatagramProtocol)"
},
{
"title": "asyncio_transport_from_fd",
"url": "reference/transports.html#asyncio_transport_from_fd",
"text": "Makes a transport of a descriptor, which belongs to it from then on, unless the call fails. Sockets, pipes and terminals; a regular file is -EPERM. Works in callbacks, and does not wait. connection_made comes in the next iteration. Descriptors 0, 1 and 2 are never made non-blocking, and stay open at the end; unless they are sockets, 1 and 2 are only written to. TLS begins with _start_tls. Of the options `limit` and those of connecting do not matter. 0; -EBADF, -EPERM, -EINVAL (`tls` in options), -ENOMEM; ASYNCIO_ESTATE where no loop runs. (connect_accepted_socket, connect_read_pipe, connect_write_pipe)"
},
{
"title": "asyncio_create_connection",
"url": "reference/transports.html#asyncio_create_connection",
"text": "Connects, as asyncio_open_connection does, and has connection_made called before it returns. Suspends. A connection that is lost by then is an error: connection_lost's, or -ECONNABORTED where that was 0. After any other error no function of the protocol is ever called, and `self` stays the caller's. A cancel before connection_made closes what was opened; one that comes later is left to the next wait. 0, or an error of asyncio_open_connection. (create_connection)"
},
{
"title": "asyncio_create_unix_connection",
"url": "reference/transports.html#asyncio_create_unix_connection",
"text": "Connects to a Unix socket, on the same terms. (create_unix_connection)"
},
{
"title": "asyncio_create_server",
"url": "reference/transports.html#asyncio_create_server",
"text": "Starts a server, as asyncio_start_server does, whose connections get a protocol in place of a handler. The factory is called when a connection is ready, with TLS after the handshake, right before connection_made. What servers.h says of handlers holds for connections: _wait_closed waits for connection_lost of all, and aborts them after the grace, with -ECONNABORTED; so do _release and _abort_clients at once; _close_clients is _close of each. With `loops`, protocols live on the loop that has the client; the kernel does not spread them (-EINVAL). (create_server)"
},
{
"title": "asyncio_create_unix_server",
"url": "reference/transports.html#asyncio_create_unix_server",
"text": "Starts a server on a Unix socket, on the same terms. (create_unix_server)"
},
{
"title": "asyncio_transport_write",
"url": "reference/transports.html#asyncio_transport_write",
"text": "Accepts all bytes: sends what the descriptor takes at once, and a copy of the rest in the background; with TLS, encrypts about 1 MiB in an iteration. Never waits; pause_writing says when the queue is full. 0: an error of the connection comes by connection_lost; ASYNCIO_ESTATE after _write_eof, _close, _abort or the end, and during _start_tls; -ENOMEM, and the connection is aborted; -EINVAL. (write, writelines)"
},
{
"title": "asyncio_transport_writev",
"url": "reference/transports.html#asyncio_transport_writev",
"text": "Accepts all bytes: sends what the descriptor takes at once, and a copy of the rest in the background; with TLS, encrypts about 1 MiB in an iteration. Never waits; pause_writing says when the queue is full. 0: an error of the connection comes by connection_lost; ASYNCIO_ESTATE after _write_eof, _close, _abort or the end, and during _start_tls; -ENOMEM, and the connection is aborted; -EINVAL. (write, writelines)"
},
{
"title": "asyncio_transport_write_eof",
"url": "reference/transports.html#asyncio_transport_write_eof",
"text": "Ends the output of a transport: the peer sees the end once all is sent. Reading goes on. A pipe that can only be written is closed, as by _close. 0, as above. (write_eof)"
},
{
"title": "asyncio_transport_get_write_buffer_size",
"url": "reference/transports.html#asyncio_transport_get_write_buffer_size",
"text": "Returns the number of bytes that were accepted and not sent yet. (get_write_buffer_size)"
},
{
"title": "asyncio_transport_set_write_buffer_limits",
"url": "reference/transports.html#asyncio_transport_set_write_buffer_limits",
"text": "Sets the high and the low-water mark of a transport, at first 64 KiB and 16 KiB. May call pause_writing or resume_writing. 0; -EINVAL if low > high. (set_write_buffer_limits)"
},
{
"title": "asyncio_transport_pause_reading",
"url": "reference/transports.html#asyncio_transport_pause_reading",
"text": "Stops calling data_received, buffer_updated and eof_received, until the other call: the peer is slowed down. Repeating either does nothing. Both accept NULL. (pause_reading, resume_reading)"
},
{
"title": "asyncio_transport_resume_reading",
"url": "reference/transports.html#asyncio_transport_resume_reading",
"text": "Stops calling data_received, buffer_updated and eof_received, until the other call: the peer is slowed down. Repeating either does nothing. Both accept NULL. (pause_reading, resume_reading)"
},
{
"title": "asyncio_transport_is_reading",
"url": "reference/transports.html#asyncio_transport_is_reading",
"text": "Tells whether a transport reads: it is neither paused nor closing. (is_reading)"
},
{
"title": "asyncio_transport_close",
"url": "reference/transports.html#asyncio_transport_close",
"text": "Closes a transport: stops reading, sends what is queued, and calls connection_lost(0). A peer that takes nothing for as long as the close timeout is cut off, with -ETIMEDOUT. With TLS it says goodbye and waits for the answer, at most for the context's shutdown timeout. Does not wait. Accepts NULL. (close)"
},
{
"title": "asyncio_transport_abort",
"url": "reference/transports.html#asyncio_transport_abort",
"text": "Closes a transport at once: drops what is queued, resets a TCP connection, and calls connection_lost(0) in the next iteration. Accepts NULL. (abort)"
},
{
"title": "asyncio_transport_is_closing",
"url": "reference/transports.html#asyncio_transport_is_closing",
"text": "Tells whether a transport is closing or lost. True for NULL. (is_closing)"
},
{
"title": "asyncio_transport_set_protocol",
"url": "reference/transports.html#asyncio_transport_set_protocol",
"text": "Has another protocol take over, with an object of its own. connection_made is not called again. (set_protocol)"
},
{
"title": "asyncio_transport_start_tls",
"url": "reference/transports.html#asyncio_transport_start_tls",
"text": "Starts TLS over a transport, as asyncio_stream_start_tls does over a stream. Suspends, and no function of the protocol is called meanwhile. What was queued is sent before the handshake. 0; ASYNCIO_ESTATE or -EINVAL, and nothing has happened; any other error, with a message, or -ECANCELED: the connection is aborted, and connection_lost gets the error. ASYNCIO_ENOTASK outside tasks. (start_tls)"
},
{
"title": "asyncio_transport_peername",
"url": "reference/transports.html#asyncio_transport_peername",
"text": "The peer's address, and the transport's own. 0 or a negative errno. (get_extra_info)"
},
{
"title": "asyncio_transport_sockname",
"url": "reference/transports.html#asyncio_transport_sockname",
"text": "The peer's address, and the transport's own. 0 or a negative errno. (get_extra_info)"
},
{
"title": "asyncio_transport_fd",
"url": "reference/transports.html#asyncio_transport_fd",
"text": "Returns the descriptor, which stays the transport's."
},
{
"title": "asyncio_create_datagram_endpoint",
"url": "reference/transports.html#asyncio_create_datagram_endpoint",
"text": "Makes a datagram socket, as asyncio_open_datagram does, and has connection_made called before it returns. Suspends. A cancel and errors as for asyncio_create_connection. (create_datagram_endpoint)"
},
{
"title": "asyncio_datagram_transport_sendto",
"url": "reference/transports.html#asyncio_datagram_transport_sendto",
"text": "Sends a datagram, or queues a copy of it; never waits. `to` is NULL where the transport has a remote address, or that very address. Each datagram that is queued counts for 8 bytes more than it has, and above 64 KiB pause_writing is called. 0; -EINVAL; ASYNCIO_ESTATE after _close or _abort; -ENOMEM; the error that kept this datagram from being sent, such as -EMSGSIZE. (sendto)"
},
{
"title": "asyncio_datagram_transport_close",
"url": "reference/transports.html#asyncio_datagram_transport_close",
"text": "Closes a datagram transport: sends what is queued, then calls connection_lost(0). Accepts NULL. (close)"
},
{
"title": "asyncio_datagram_transport_abort",
"url": "reference/transports.html#asyncio_datagram_transport_abort",
"text": "The same, and drops what is queued. Accepts NULL. (abort)"
},
{
"title": "asyncio_datagram_transport_is_closing",
"url": "reference/transports.html#asyncio_datagram_transport_is_closing",
"text": "Tells whether a datagram transport is closing. True for NULL. (is_closing)"
},
{
"title": "asyncio_datagram_transport_sockname",
"url": "reference/transports.html#asyncio_datagram_transport_sockname",
"text": "Stores the local address of a datagram transport. 0 or a negative errno. (get_extra_info)"
},
{
"title": "asyncio_datagram_transport_fd",
"url": "reference/transports.html#asyncio_datagram_transport_fd",
"text": "Returns the descriptor, which stays the transport's."
},
{
"title": "asyncio/transports.h",
"url": "reference/transports.html",
"text": "Transports and protocols: connections by callbacks, as asyncio has them below its streams. static void received(void *self, const void *data, size_t n) { asyncio_transport_write(((struct client *)self)->transport, data, n); } static const asyncio_protocol echo = {.connection_made = made, .data_received = received, .connection_lost = lost}; A transport has the descriptor, sends and receives. A protocol is a table of the program's functions; the same table serves many connections, and `self` is the program's object of one of them. Any entry may be NULL. The loop calls these functions on its own stack, so they cannot wait: a waiting call gives ASYNCIO_ENOTASK. It calls none of them inside another, nor inside a call of the program's, but two: pause_writing comes inside the write that fills the queue. connection_made comes first and connection_lost last, each once. After _close or _abort nothing comes but connection_lost. A loop that closes, and with it asyncio_run at its end, first aborts what is open: connection_lost(-ECONNABORTED). A transport belongs to the loop's thread and to its connection. It is valid until connection_lost has returned; the program frees nothing but its own object. Functions run in the context variables of the code that made the connection or started the server."
},
{
"title": "asyncio_buffer",
"url": "reference/types.html#asyncio_buffer",
"text": "Bytes that were read, in memory of their own."
},
{
"title": "asyncio_site",
"url": "reference/types.html#asyncio_site",
"text": "A place in the source code: where a task, a future or a coroutine was made."
},
{
"title": "asyncio_buffer_destroy",
"url": "reference/types.html#asyncio_buffer_destroy",
"text": "Frees a buffer's memory and leaves it empty. Accepts NULL. Any thread; does not wait."
},
{
"title": "asyncio/types.h",
"url": "reference/types.html",
"text": "The types that every part of libasyncio shares. Most are opaque: programs hold pointers and call functions."
},
{
"title": "asyncio_version",
"url": "reference/version.html#asyncio_version",
"text": "Returns the version of the library that runs: ASYNCIO_VERSION of the headers that it was built with."
},
{
"title": "asyncio/version.h",
"url": "reference/version.html",
"text": "The version of the headers and of the library."
},
{
"title": "asyncio_as_completed",
"url": "reference/waiting.html#asyncio_as_completed",
"text": "An iterator over a set in the order of completion, on the caller's stack. There is nothing to free, even if the iteration ends early: its memory goes with the futures of the set. The set is borrowed during the iteration, each future until it was handed out. All steps together take time in proportion to the set. Do not copy an iterator that was stepped. (as_completed) asyncio_as_completed it; size_t i; int more; asyncio_as_completed_init(&it, tasks, n, ASYNCIO_FOREVER); while ((more = asyncio_as_completed_next(&it, &i)) > 0) use(asyncio_result(tasks[i]));"
},
{
"title": "asyncio_wait",
"url": "reference/waiting.html#asyncio_wait",
"text": "asyncio_wait(set, n, timeout, when): waits until `when` holds or `timeout` seconds have passed, and returns how many of the n tasks or futures are done. Borrows them. Cancels none, not even when it is cancelled itself. Suspends, unless `when` holds already. (wait) The call partitions the array in place: first those that are done, in the order in which they completed, then the others in their order. A NULL in it counts as done, with -ENOMEM. Errors: -EINVAL for an empty set, a member that is there twice or is another loop's, and NaN; -ECANCELED; -ENOMEM; ASYNCIO_ENOTASK."
},
{
"title": "asyncio_as_completed_init",
"url": "reference/waiting.html#asyncio_as_completed_init",
"text": "Begins an iteration in the order of completion. Does not wait. 0; -EINVAL as asyncio_wait (an empty set is allowed); ASYNCIO_ENOTASK."
},
{
"title": "asyncio_as_completed_next",
"url": "reference/waiting.html#asyncio_as_completed_next",
"text": "Waits for the next member of the set to be done. Suspends unless one is done already. Returns 1 with the member's place in *index, or 0 when there are no more. -ETIMEDOUT: the time is over and no other one is done; -ECANCELED, -ENOMEM, ASYNCIO_ENOTASK. Cancels none of the set. May be called again after an error."
},
{
"title": "asyncio_shield",
"url": "reference/waiting.html#asyncio_shield",
"text": "Awaits x and shields it: a request to cancel the caller does not reach x. The caller gets -ECANCELED at once, and x goes on. Takes over the reference. A coroutine becomes a task, which must own its arguments. Suspends. (shield) Errors: x's own, -ECANCELED, -EINVAL as asyncio_await, -ENOMEM for NULL, ASYNCIO_ENOTASK."
},
{
"title": "asyncio/waiting.h",
"url": "reference/waiting.html",
"text": "Waiting for some of several (asyncio.wait, as_completed), and shielding one."
},
{
"title": "Python's own suites on our loop",
"url": "docs/python-suites.html#pythons-own-suites-on-our-loop",
"text": "CPython's test_asyncio is the largest test of an event loop that others wrote; uvloop's is the second. make check-python runs both on the Python package, beside our own tests. This page says what fails, and why. Measured with Python 3.11.2 and uvloop 0.17.0, Debian 12's."
},
{
"title": "The runner – Python's own suites on our loop",
"url": "docs/python-suites.html#the-runner",
"text": "python/tests/run_suite.py runs each module in a process of its own. A test that hangs or dies is one failure: the process starts again behind it. Known failures stand in python/tests/expected/SUITE-LOOP, each with a reason, and one of them that passes is a failure, so that a list only shrinks. A foreign test that fails runs once more, alone, since some depend on real time; the runner says so. The loop gets in by the names from which CPython's tests make loops: asyncio.SelectorEventLoop, and _loop_factory of the policy. One helper of the suite, close_loop, is made to bear with a loop that has no _default_executor. uvloop's tests make theirs by uvloop.new_event_loop; their base class is in the installed package, their text in uvloop's repository, of which nothing is copied here: UVLOOP_SOURCE names a copy. About half of CPython's tests never touch the loop under test: they bring a loop of their own, or mocks. So the measure is the tests that make a loop through those names."
},
{
"title": "CPython 3.11's test_asyncio – Python's own suites on our loop",
"url": "docs/python-suites.html#cpython-311s-test_asyncio",
"text": "module tests run of them make a loop uvloop 0.17 ours test_base_events 109 56 25 56 test_buffered_proto 1 1 1 1 test_context 1 1 1 1 test_events 253 233 168 233 test_futures2 3 3 3 3 test_locks 70 70 70 70 test_queues 44 44 44 44 test_sendfile 60 60 0 60 test_server 2 2 0 2 test_sock_lowlevel 39 39 24 39 test_ssl 22 22 19 22 test_sslproto 23 23 20 23 test_streams 64 64 64 64 test_subprocess 119 117 80 117 test_taskgroups 30 30 30 30 test_tasks 912 253 252 253 test_threads 6 6 6 6 test_timeouts 22 22 22 22 test_unix_events 120 47 20 47 test_waitfor 15 15 15 15 futures, pep492, protocols, runners, selector_events, transports 313 0 all 2,228 1,108 864 1,108 Of 2,228 tests none fails on ours, and none hangs; the list of expected failures is empty. 43 are skipped, on every loop: they need Windows, or another watcher. On uvloop 19 hang for longer than 15 s, the limit that it had; most of what fails there is not implemented (sendfile, sock_recvfrom), or asks for asyncio's inside. With CPython 3.13.0 and its own suite: 2,465 tests pass, none fails; of 1,295 that make a loop all do. (The extension was compiled by hand there: Debian 12's Meson knows no Python after 3.11.) CI runs 3.11 only."
},
{
"title": "uvloop 0.17's tests – Python's own suites on our loop",
"url": "docs/python-suites.html#uvloop-017s-tests",
"text": "275 of them make a loop by uvloop.new_event_loop. On uvloop 273 of these pass, on ours 244, on asyncio's own loop 239: many ask for what only uvloop has. None fails on ours that passes on asyncio's loop. These fail: tests why 5 uvloop calls a protocol in the context in which its endpoint was made; asyncio does not. One test hangs 5 CPython 3.11's SSL protocol, which we use, lacks a fix of uvloop's own 4 uvloop keeps a socket open as long as the loop waits for it; asyncio leaves that to the caller. One test hangs 4 they pass any object with get_buffer() as a protocol with buffers; asyncio asks for a BufferedProtocol 2 folders are watched (_monitor_fs) 2 an option of uvloop's own subprocesses (__uvloop_sleep_after_fork) 2 reuse_address of datagrams, which Python 3.11 took away 1 a handler for SIGCHLD, which uvloop refuses 1 a name as address of a datagram, which uvloop refuses 1 get_extra_info('socket') after abort(): None in uvloop 1 get_write_buffer_size() after a small write: 0, as in asyncio; uvloop still has it 3 the class, a name and a number of uvloop's inside Five pass on ours that fail on asyncio's loop: TCP_NODELAY for a socket that names no protocol (2), sendto after the end of a datagram transport, and the contexts of TLS and of child processes (2)."
},
{
"title": "Real programs – Python's own suites on our loop",
"url": "docs/python-suites.html#real-programs",
"text": "Among our own tests (python/tests/test_programs.py) aiohttp 3.8.4, uvicorn 0.17.6 and websockets 10.4 run on our loop and on asyncio's, with equal results: their first examples, an echo with 40 clients, bodies of 16 MiB in chunks, files and parts of files, websockets, a client that times out, and uvicorn's command line with its end by a signal. The examples (python/examples), least of five runs each on a loaded machine, in seconds, the start of Python included: program asyncio, elapsed ours, elapsed asyncio, processor ours, processor say_after.py: tasks that sleep 0.75 0.85 0.07 0.08 workers.py: a queue with three workers 0.80 0.63 0.08 0.07 crawl.py: a crawler, one page never answers 0.85 0.93 0.08 0.08 echo.py: 100 clients, 5,000 lines 1.88 0.76 0.37 0.14"
},
{
"title": "Every name of asyncio, and what it is called here",
"url": "docs/parity.html#every-name-of-asyncio-and-what-it-is-called-here",
"text": "The public names of asyncio in CPython 3.14, in the order of its documentation. Where no difference is named, a call behaves as in Python; the scenarios of tests/parity/ run in both languages, and their output is compared. States: there; not yet: designed, with its future name; –: has no place here, and the remark says why. The pages parity-core.md, parity-structure.md and parity-sync.md list the deliberate differences, each with a scenario that shows it. Four differences are everywhere. A call returns a signed number, negative for an error, instead of raising. A call that waits for a task takes the caller's reference to it. A cancelled call keeps what it was granted. When a call returns, the tasks that it started have ended."
},
{
"title": "Runners – Every name of asyncio, and what it is called here",
"url": "docs/parity.html#runners",
"text": "asyncio here what differs state run(coro, debug, loop_factory) asyncio_run, asyncio_run_with, asyncio_main waits for leftover tasks during shutdown_grace, 10 s by default, then reports and abandons them; returns -EINTR when interrupted by SIGINT; handles SIGTERM by option there Runner(debug, loop_factory) asyncio_runner_init the caller's storage; the loop is made at once there Runner.run(coro, context) asyncio_runner_run no context there Runner.close() asyncio_runner_close with the same grace there Runner.get_loop() asyncio_runner_get_loop NULL once closed there"
},
{
"title": "Tasks, groups, timeouts, waiting – Every name of asyncio, and what it is called here",
"url": "docs/parity.html#tasks-groups-timeouts-waiting",
"text": "asyncio here what differs state create_task(coro, name, context, eager_start) asyncio_create_task, asyncio_create_task_with the loop keeps a real reference until the task ends; also a stack size there TaskGroup() asyncio_task_group, asyncio_task_group_enter, _exit, ASYNCIO_TASK_GROUP one failure is returned as itself, several as ASYNCIO_EGROUP; asyncio_task_group_error_count and _error list them there TaskGroup.create_task() asyncio_task_group_create_task the task is borrowed; a refused one is a task that has ended there TaskGroup.cancel() (3.15) asyncio_task_group_cancel there – asyncio_task_group_set_limit in Python a semaphore around each body there – asyncio_task_group_start, asyncio_started as start and task_status.started of anyio and trio there sleep(delay, result) asyncio_sleep, asyncio_sleep_until no result to carry there – asyncio_ticker_init, asyncio_ticker_next ticks that do not drift there gather(*aws, return_exceptions) asyncio_gather, asyncio_gather_array, asyncio_gather_settled, asyncio_gather_settled_array the first error cancels the others, and the call waits for all; it returns every outcome there eager_task_factory, create_eager_task_factory() asyncio_run_options (eager) a switch of the run, which eager_start of a task overrides there shield(aw) asyncio_shield there – ASYNCIO_SHIELD_SCOPE, asyncio_shield_scope_enter, _exit holds requests back until the block ends; Python has nothing like it there timeout(delay) ASYNCIO_TIMEOUT, asyncio_timeout_enter, _exit a scope on the stack; no limit is ASYNCIO_FOREVER there timeout_at(when) asyncio_timeout_enter_at there Timeout.when(), reschedule(), expired() asyncio_timeout_when, _reschedule, _expired there wait_for(aw, timeout) asyncio_wait_for there wait(aws, timeout, return_when) asyncio_wait an array, sorted in place: the done tasks first, by time of completion; a duplicate is -EINVAL there – asyncio_select, ASYNCIO_CASE_GET, _PUT, _EVENT, _LOCK, _SEMAPHORE, _DONE, _FD, _RECEIVE, _SEND one of several calls; replaces a task for each, wait() with FIRST_COMPLETED and a cancel of the losers, which may have taken an item by then there FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED ASYNCIO_FIRST_COMPLETED, ASYNCIO_FIRST_ERROR, ASYNCIO_ALL_COMPLETED there as_completed(aws, timeout) asyncio_as_completed_init, _next an iterator on the stack that gives indices; nothing to destroy there to_thread(func, ...) asyncio_to_thread waits for a function that runs even if cancelled, since it may use the caller's memory there run_coroutine_threadsafe(coro, loop) asyncio_run_coroutine_threadsafe, asyncio_thread_future_result, _cancel, _release there – asyncio_run_loops, asyncio_loops_count, _index, _get, _idlest, _stop several loops, each on a thread of its own; Python has nothing like it there – asyncio_await_on, asyncio_submit_to, asyncio_gather_on_all a coroutine on another loop, awaited; Python has only run_coroutine_threadsafe, whose result a loop cannot await there current_task(loop) asyncio_current_task borrowed there all_tasks(loop) asyncio_all_tasks fills an array, in the order in which they were made there iscoroutine(), iscoroutinefunction() – the compiler knows – Task(coro, loop, name, context, eager_start) asyncio_task, asyncio_loop_create_task a future, too: the pointer may be cast there Task.done() asyncio_done NULL is done there Task.result(), exception() asyncio_result one number for both; ASYNCIO_ESTATE while pending there Task.add_done_callback(), remove_done_callback() asyncio_add_done_callback, asyncio_remove_done_callback a function and an argument; no context there Task.get_stack(), print_stack() asyncio_print_call_graph all frames, not one there Task.get_coro() – reports and gdb show the name of the function – Task.get_context() – with context variables not yet Task.get_name(), set_name() asyncio_task_name, asyncio_task_set_name there Task.cancel(msg) asyncio_cancel, asyncio_cancel_with a grant is kept; a task that has not begun still runs; a returned value stands there Task.cancelled() asyncio_cancelled means: the result is -ECANCELED there Task.cancelling(), uncancel() asyncio_task_cancelling, asyncio_task_uncancel there"
},
{
"title": "Synchronisation – Every name of asyncio, and what it is called here",
"url": "docs/parity.html#synchronisation",
"text": "Plain structs, with an initialiser macro or _init; none allocates. A release hands over at once, so a woken waiter that is cancelled keeps its grant. asyncio here what differs state Lock asyncio_lock, asyncio_lock_init, ASYNCIO_LOCK_INIT there Lock.acquire(), release(), locked() asyncio_lock_acquire, _release, _locked acquire returns 0; releasing a free one is ASYNCIO_ESTATE there Event asyncio_event, asyncio_event_init, ASYNCIO_EVENT_INIT there Event.wait(), set(), clear(), is_set() asyncio_event_wait, _set, _clear, _is_set there Condition(lock) asyncio_condition, asyncio_condition_init, ASYNCIO_CONDITION_INIT there Condition.acquire(), release(), locked() asyncio_condition_acquire, _release, _locked there Condition.wait(), wait_for(pred) asyncio_condition_wait, _wait_for no spurious wake-ups there Condition.notify(n), notify_all() asyncio_condition_notify, _notify_all n has no default there Semaphore(value) asyncio_semaphore, asyncio_semaphore_init, ASYNCIO_SEMAPHORE_INIT the value has no default there Semaphore.acquire(), release(), locked() asyncio_semaphore_acquire, _release, _locked there BoundedSemaphore asyncio_bounded_semaphore, asyncio_bounded_semaphore_acquire, _release, _locked a release too many is ASYNCIO_ESTATE there Barrier(parties) asyncio_barrier, asyncio_barrier_init, ASYNCIO_BARRIER_INIT there Barrier.wait(), reset(), abort() asyncio_barrier_wait, _reset, _abort there Barrier.parties, n_waiting, broken asyncio_barrier_parties, _n_waiting, _broken there BrokenBarrierError ASYNCIO_EBROKEN there"
},
{
"title": "Queues – Every name of asyncio, and what it is called here",
"url": "docs/parity.html#queues",
"text": "asyncio here what differs state Queue(maxsize), maxsize asyncio_queue, asyncio_queue_init, _destroy items have one size and are copied; the limit cannot be read back there empty(), full(), qsize() asyncio_queue_empty, _full, _size there get(), get_nowait() asyncio_queue_get, _get_nowait an item put while a task waits goes to that task at once there put(), put_nowait() asyncio_queue_put, _put_nowait there task_done(), join() asyncio_queue_task_done, _join a task_done too many is ASYNCIO_ESTATE there shutdown(immediate) asyncio_queue_shutdown there PriorityQueue, LifoQueue asyncio_queue_init_priority, _init_lifo a compare function; equal items come out as they went in there QueueEmpty, QueueFull, QueueShutDown ASYNCIO_EQUEUE_EMPTY, ASYNCIO_EQUEUE_FULL, ASYNCIO_EQUEUE_SHUTDOWN there"
},
{
"title": "Streams – Every name of asyncio, and what it is called here",
"url": "docs/parity.html#streams",
"text": "Reader and writer are one object. asyncio here what differs state open_connection() asyncio_open_connection, asyncio_stream_from_fd happy eyeballs by default; family and others in a struct of options there start_server() asyncio_start_server, asyncio_start_server_on the server owns its handlers and closes their streams; a list of hosts is addresses in the options, each with its port there open_unix_connection(), start_unix_server() asyncio_open_unix_connection, asyncio_start_unix_server @ begins an abstract name there StreamReader.read(), readexactly() asyncio_stream_read, _readexactly an end too early leaves the bytes in the stream there StreamReader.readline(), readuntil() asyncio_stream_readline, _readuntil returns a pointer that is valid until the next read; an overrun leaves the data there StreamReader.at_eof() asyncio_stream_at_eof there StreamReader.feed_eof() – nobody feeds a stream by hand – async for line in reader asyncio_stream_readline a loop there StreamWriter.write(), writelines(), drain() asyncio_stream_write, _writev, _printf, _drain write waits first while too much is buffered there StreamWriter.close(), wait_closed() asyncio_stream_close, _abort one call: flushes, at most for the close timeout, and frees there StreamWriter.is_closing() – a closed stream is gone – StreamWriter.can_write_eof(), write_eof() asyncio_stream_write_eof an error tells there StreamWriter.start_tls() asyncio_stream_start_tls there StreamWriter.transport, get_extra_info() asyncio_stream_peername, _sockname, _fd there"
},
{
"title": "Subprocesses – Every name of asyncio, and what it is called here",
"url": "docs/parity.html#subprocesses",
"text": "asyncio here what differs state create_subprocess_exec(), create_subprocess_shell() asyncio_create_subprocess_exec, asyncio_create_subprocess_shell options in a struct; inherits only the descriptors above 2 that are named there PIPE, STDOUT, DEVNULL ASYNCIO_PIPE, ASYNCIO_STDOUT, ASYNCIO_DEVNULL there Process.wait(), returncode asyncio_process_wait, _returncode asyncio_process_release ends a process that still runs there Process.communicate() asyncio_process_communicate keeps the bytes that were read before a cancel there – asyncio_run_process, asyncio_process_stop, asyncio_process_send_signal_group subprocess.run; TERM, then KILL; os.killpg there subprocess.Popen(user=, group=, extra_groups=[], umask=) uid, gid, umask in the options supplementary groups always go with a uid or gid; -1 is the number 0 there pty.openpty(), pty.spawn() pty in the options the stream's end is no OSError there Process.send_signal(), terminate(), kill() asyncio_process_send_signal, _terminate, _kill there Process.stdin, stdout, stderr, pid asyncio_process_stdin, _stdout, _stderr, _pid there"
},
{
"title": "Errors – Every name of asyncio, and what it is called here",
"url": "docs/parity.html#errors",
"text": "asyncio here what differs state CancelledError -ECANCELED a code like the others: pass it on there TimeoutError -ETIMEDOUT also returned for a connection that timed out there InvalidStateError ASYNCIO_ESTATE there IncompleteReadError ASYNCIO_EINCOMPLETE, asyncio_stream_readexactly the bytes stay in the stream there LimitOverrunError ASYNCIO_ELIMIT, asyncio_stream_readline the data stays in the stream there SendfileNotAvailableError – falls back by itself – ExceptionGroup ASYNCIO_EGROUP there an exception's text asyncio_raise, asyncio_error_message kept with the code, shown with it there an exception object asyncio_raise_object, asyncio_error_object, asyncio_error_code for bindings of other languages there"
},
{
"title": "Call graph and tools – Every name of asyncio, and what it is called here",
"url": "docs/parity.html#call-graph-and-tools",
"text": "asyncio here what differs state capture_call_graph(), FutureCallGraph, FrameCallGraphEntry asyncio_capture_call_graph a graph is freed by its root; frames are addresses, with names where the program exports them there print_call_graph(), format_call_graph() asyncio_print_call_graph, asyncio_print_tasks print_tasks has no counterpart there future_add_to_awaited_by(), future_discard_from_awaited_by() – waits are records that tools can read – python -m asyncio ps, pstree the command asyncio ps, pstree every kind of wait in words, C stacks, locks in cycles, core files there python -m asyncio – C has no prompt –"
},
{
"title": "The event loop – Every name of asyncio, and what it is called here",
"url": "docs/parity.html#the-event-loop",
"text": "asyncio here what differs state get_running_loop() asyncio_get_running_loop NULL if none runs there get_event_loop(), set_event_loop() – no default loop of a thread – new_event_loop() asyncio_loop_new, asyncio_loop_ref, asyncio_loop_release counted there run_until_complete(), run_forever(), stop() asyncio_loop_run_until_complete, _run_forever, _stop there is_running(), is_closed(), close() asyncio_loop_is_running, _is_closed, _close close reports pending tasks and abandons them there – asyncio_loop_fd, asyncio_loop_timeout, asyncio_loop_run_once to embed it in another loop there – asyncio_loop_call, asyncio_loop_post, asyncio_timer_start, asyncio_watch_start, asyncio_loop_set_wait_hooks, asyncio_loop_set_drain, asyncio_loop_time_ns, asyncio_loop_adopt callbacks in the program's own storage, for bindings of other languages there shutdown_asyncgens() – no asynchronous generators – shutdown_default_executor(), set_default_executor() asyncio_executor_new, asyncio_executor_release there call_soon() asyncio_loop_call_soon a function and an argument there call_soon_threadsafe() asyncio_loop_call_soon_threadsafe, asyncio_loop_call_soon_signalsafe no handle; signal handlers have a call of their own there call_later(), call_at(), time() asyncio_loop_call_later, _call_at, _time, asyncio_time equal deadlines keep their order there create_future(), create_task() asyncio_future_new, asyncio_loop_create_task there set_task_factory(), get_task_factory() – no subclasses – create_connection(), create_server(), create_unix_connection(), create_unix_server(), connect_accepted_socket() asyncio_create_connection, asyncio_create_server, asyncio_create_unix_connection, asyncio_create_unix_server, asyncio_transport_from_fd a connection that is lost by the time the call returns is an error there create_datagram_endpoint() asyncio_create_datagram_endpoint, asyncio_open_datagram, asyncio_datagram_from_fd, asyncio_datagram_recv, _send, _recvfrom, _sendto, _recvmmsg, _sendmmsg with a protocol, or by calls that wait; there a datagram that does not fit is -EMSGSIZE there sendfile(), start_tls() asyncio_sock_sendfile, asyncio_stream_start_tls there add_reader(), remove_reader() asyncio_loop_add_reader, _remove_reader there add_writer(), remove_writer() asyncio_loop_add_writer, _remove_writer there sock_recv(), sock_recv_into(), sock_recvfrom(), sock_recvfrom_into() asyncio_sock_recv, _recvfrom, _recvmsg parameters of the system calls; several tasks may wait on one descriptor there sock_sendall(), sock_sendto() asyncio_sock_sendall, _sendto, _send, _sendmsg there sock_connect(), sock_accept(), sock_sendfile() asyncio_sock_connect, _accept, _sendfile a cancelled accept loses no connection; connect takes an address, no name there – asyncio_read, asyncio_write, asyncio_readv, asyncio_writev, asyncio_wait_readable, asyncio_wait_writable, asyncio_wait_fd, asyncio_close, asyncio_forget any descriptor there getaddrinfo(), getnameinfo() asyncio_getaddrinfo, asyncio_getnameinfo threads of their own there connect_read_pipe(), connect_write_pipe() asyncio_open_pipe there add_signal_handler(), remove_signal_handler() asyncio_loop_add_signal_handler, _remove_signal_handler, asyncio_wait_signal in any thread, by several loops there run_in_executor() asyncio_run_in_executor there set_exception_handler(), get_exception_handler() asyncio_loop_set_exception_handler the handler cannot be read back there call_exception_handler(), default_exception_handler() asyncio_loop_call_exception_handler, asyncio_exception_context NULL as the handler is the default there get_debug(), set_debug(), slow_callback_duration asyncio_loop_get_debug, _set_debug, _set_slow_callback_duration ASYNCIO_DEBUG in the environment there subprocess_exec(), subprocess_shell() – protocols: see subprocesses – Handle.cancel(), cancelled(), get_context(), TimerHandle.when() asyncio_handle_cancel, asyncio_handle_valid a value, nothing to free there Server.close(), wait_closed(), close_clients(), abort_clients() asyncio_server_close, _wait_closed, _close_clients, _abort_clients wait_closed takes a grace there Server.start_serving(), is_serving(), get_loop() – a server serves from the start – Server.serve_forever(), sockets asyncio_server_serve_forever, _fds, _port there SelectorEventLoop, EventLoop, AbstractEventLoop asyncio_run_options (backend) one loop; its backend is an option there ProactorEventLoop – Windows – policies – removed from Python, too – _register_task(), _enter_task() and their like – no foreign task classes –"
},
{
"title": "Futures – Every name of asyncio, and what it is called here",
"url": "docs/parity.html#futures",
"text": "asyncio here what differs state Future asyncio_future, asyncio_future_new counted: asyncio_ref, asyncio_release there result(), exception(), done(), cancelled() asyncio_result, asyncio_done, asyncio_cancelled there set_result(), set_exception() asyncio_future_set_result, _set_error a result is >= 0, an error below there cancel(msg) asyncio_cancel, asyncio_cancel_with there add_done_callback(), remove_done_callback() asyncio_add_done_callback, asyncio_remove_done_callback there get_loop() – there is one loop in a thread – isfuture() – the compiler knows – ensure_future() asyncio_ensure_future there wrap_future() asyncio_run_in_executor returns a future of the loop at once there"
},
{
"title": "Transports and protocols – Every name of asyncio, and what it is called here",
"url": "docs/parity.html#transports-and-protocols",
"text": "Where a function can wait, it seldom needs callbacks. They are there for programs that have them already. tests/parity/transports.py plays the same scripts on Python's transports and on ours. asyncio here what differs state BaseTransport: close(), is_closing(), set_protocol(), get_extra_info() asyncio_transport_close, _is_closing, _set_protocol, _peername, _sockname, _fd a peer that takes nothing is cut off after close_timeout; after a close nothing comes but connection_lost, not even resume_writing there ReadTransport: is_reading(), pause_reading(), resume_reading() asyncio_transport_is_reading, _pause_reading, _resume_reading the end of the input is told once there WriteTransport: write(), writelines(), write_eof(), abort(), get_write_buffer_size(), set_write_buffer_limits() asyncio_transport_write, _writev, _write_eof, _abort, _get_write_buffer_size, _set_write_buffer_limits a write after a close is refused; raising the limits may resume at once; abort resets a TCP connection; write_eof over TLS says goodbye there Protocol, BufferedProtocol, Factory asyncio_protocol, asyncio_protocol_factory functions in a table; any may be missing there loop.start_tls() asyncio_transport_start_tls the same transport goes on there DatagramTransport, DatagramProtocol asyncio_datagram_protocol, asyncio_datagram_transport_sendto, _close, _abort, asyncio_open_datagram an error that keeps a datagram from being sent is sendto's result there SubprocessTransport, SubprocessProtocol – see subprocesses – get_write_buffer_size(), set_write_buffer_limits() – asyncio_stream_write waits by itself –"
},
{
"title": "contextvars – Every name of asyncio, and what it is called here",
"url": "docs/parity.html#contextvars",
"text": "Python here what differs state ContextVar(name, default), get(), set(), reset() asyncio_contextvar, asyncio_contextvar_get, _set, _reset values are pointers; the program keeps their targets alive there Token, Token.var, old_value, MISSING asyncio_contextvar_token an opaque value there copy_context() asyncio_copy_context, asyncio_context_release belongs to its thread there Context.run(), get(), keys() and the like asyncio_task_options (context) a task runs in a context; its variables cannot be listed there"
},
{
"title": "Where locks and queues differ from Python's asyncio",
"url": "docs/parity-sync.html#where-locks-and-queues-differ-from-pythons-asyncio",
"text": "tests/parity/scenarios_sync.* runs the same scenarios in Python and in C (parity-core.md says how). The last column of the second table names those that differ."
},
{
"title": "Names – Where locks and queues differ from Python's asyncio",
"url": "docs/parity-sync.html#names",
"text": "Every method of Python's exists under its own name, with the object first: lock.acquire() is asyncio_lock_acquire(&lock). This table lists those whose name, parameters or result differ. Python C what differs, and why Lock(), Event(), Semaphore(n), BoundedSemaphore(n), Barrier(n) ASYNCIO_LOCK_INIT or asyncio_lock_init(&lock), and so on Plain structs, in static storage, too. No allocation, nothing to destroy when nobody waits. Condition(lock=None) ASYNCIO_CONDITION_INIT(&lock), asyncio_condition_init(&condition, &lock) NULL is None: a lock of its own, inside the struct. async with lock: asyncio_lock_acquire, then asyncio_lock_release on every way out C has no such block. acquire(), wait() return True 0, or a negative error Like every call that can wait. wait_for(predicate) returns the predicate's value asyncio_condition_wait_for(&condition, predicate, arg): 0 A C function that takes arg, and returns bool. notify(n=1) asyncio_condition_notify(&condition, n) No default arguments. await barrier.reset(), await barrier.abort() asyncio_barrier_reset, asyncio_barrier_abort They never wait, so callbacks may call them. async with barrier as index: index = asyncio_barrier_wait(&barrier) RuntimeError of Lock.release and of a condition without its lock; ValueError of BoundedSemaphore.release and of task_done ASYNCIO_ESTATE with a message One code for \"not in a state for this call\". ValueError of Semaphore(-1), Barrier(0) -EINVAL from the first acquire, release or wait An initialiser cannot fail. BrokenBarrierError ASYNCIO_EBROKEN Queue(maxsize), LifoQueue, PriorityQueue asyncio_queue_init(&queue, item_size, maxsize), _init_lifo, _init_priority(..., compare), and asyncio_queue_destroy Items of one size, copied; a bounded queue allocates once, so making one can fail. A function like qsort's gives the order. item = await queue.get(), queue.put(item) asyncio_queue_get(&queue, &item), asyncio_queue_put(&queue, &item) The item goes through the caller's memory; the result is 0 or an error. qsize() asyncio_queue_size A plain word. QueueEmpty, QueueFull, QueueShutDown ASYNCIO_EQUEUE_EMPTY, _FULL, _SHUTDOWN shutdown(immediate=False) asyncio_queue_shutdown(&queue, immediate) queue.maxsize none The caller knows it."
},
{
"title": "Behaviour – Where locks and queues differ from Python's asyncio",
"url": "docs/parity-sync.html#behaviour",
"text": "Python wakes a task, which then takes the lock or item; if it is cancelled in between, another task has to be woken. In C the task that releases a lock or puts an item grants it to the waiting task, which keeps it. Nothing is lost on the way, no other task comes in between, and there is no second hop. difference why scenario A lock with waiters is never free between two of them: after a release locked is true. It was handed over. a_lock_that_was_handed_over_is_locked A waiter that is granted the lock and cancelled before it runs keeps the lock; its next wait delivers the request. In Python it is cancelled, and the next waiter is woken. A grant wins. a_waiter_that_was_given_the_lock_keeps_it The same with a semaphore. a_waiter_that_was_let_through_a_semaphore_has_passed The same with a condition, once the notified waiter has the lock. Before that a cancelled waiter passes the notify on, as in Python. a_waiter_of_a_condition_that_has_the_lock_was_notified The same with a getter that was handed an item. No other task could free what the item owns. a_getter_that_was_handed_an_item_keeps_it The same with a putter whose item went into the queue. a_putter_that_was_let_in_has_put An item put while a task waits is not counted by size. It has left already. an_item_for_a_waiting_task_is_not_in_the_queue A task that waits on a priority queue gets the item that was put first, even if a smaller one follows before it runs. The same. a_getter_of_a_priority_queue_gets_the_first_item_put Items of equal priority leave in the order in which they came. Python's heap scrambles them. A program can rely on the order. equal_priorities_leave_as_they_came Numbers at a barrier are unique, even if a waiting task was cancelled. In Python two tasks may get the same. numbers_at_a_barrier_are_unique_though_one_left A task that arrives while a barrier drains enters before those that arrive later. First come, first served. who_was_kept_out_of_a_barrier_comes_next Without a scenario, since Python has nothing to compare: After 128 calls in a row that need not wait, a task gives way once, so that a consumer of a full queue starves no other task. It gives way before the operation, which may then return -ECANCELED. The first use in a task binds an object to a loop, not the first wait. A call from another thread aborts the program. Another loop of the same thread may use the object if no task waits on it (and a lock is free); otherwise calls that wait return ASYNCIO_ESTATE. In Python the first loop stays for ever, and others get a RuntimeError. A condition wakes only tasks that were notified. In Python since 3.13 each cancelled waiter wakes another one, in case it had been notified. asyncio_queue_destroy ends the calls that still wait, with ASYNCIO_EQUEUE_SHUTDOWN. If a task never runs again because its loop was closed, its grant goes to the next task, or back."
},
{
"title": "Newer Pythons – Where locks and queues differ from Python's asyncio",
"url": "docs/parity-sync.html#newer-pythons",
"text": "behaviour since scenario A notify that a cancelled task consumed reaches another task. 3.11.8, 3.12.2 a_notify_of_a_cancelled_task_reaches_another"
},
{
"title": "Where the core differs from Python's asyncio",
"url": "docs/parity-core.html#where-the-core-differs-from-pythons-asyncio",
"text": "tests/parity/ runs the same scenarios in Python and in C and compares their logs, line by line: which task runs when, what a wait returns, what is cancelled, counted and reported. The logs must agree, except for the differences on this page. Each has a scenario of its own in tests/parity/scenarios_differences.py, with the log that C must give. The test also fails if Python gives the same log, or if this page does not name the scenario. C has no unwinding and no garbage collector. A body that never runs frees nothing, a discarded result leaks, and a child that goes on uses memory of a caller that has left. Most differences follow from that."
},
{
"title": "Cancellation – Where the core differs from Python's asyncio",
"url": "docs/parity-core.html#cancellation",
"text": "difference why scenario A task cancelled before its first step still runs; its first wait gives -ECANCELED. Python never enters the body. Its arguments may own memory and descriptors that only the body frees. a_task_cancelled_before_its_first_step_runs If such a task never waits, its value stands. The same, and the last row. a_task_cancelled_before_its_first_step_that_never_waits A result that was there before the request is kept; the next wait delivers the request. Python discards the result. It may be a descriptor or an allocation, which nobody could free. a_result_set_before_the_cancel_is_kept, the_result_of_a_task_that_ended_before_the_cancel_is_kept, an_error_set_before_the_cancel_is_kept A task that returns keeps its value, and an undelivered request is dropped. In Python the task is cancelled and the value is lost. The same. a_task_that_returns_keeps_its_value A sleep has no result to lose, so it does not differ: if it is cancelled in the iteration in which it ends, it returns -ECANCELED, as in Python. So do other tasks that await what a cancelled task awaits."
},
{
"title": "gather – Where the core differs from Python's asyncio",
"url": "docs/parity-core.html#gather",
"text": "Python's gather may return while children run. In C they may use memory of the caller's frame. So gather ends its children before it returns, and returns every outcome, so that none is lost. difference scenario The first error cancels the siblings and waits for them. In Python they go on alone. gather_cancels_the_siblings_of_a_failed_child, gather_cancels_the_siblings_of_a_cancelled_child When it is cancelled it waits until all children have ended. Python returns with the first that is cancelled. gather_that_is_cancelled_waits_for_all When it is cancelled, it returns -ECANCELED even if a child then fails; the error is in the results. Python raises the child's error. gather_that_is_cancelled_is_cancelled_though_a_child_fails A child's error that came before the request wins, and so do complete results; the next wait delivers the request. gather_keeps_an_error_that_came_before_the_cancel, gather_whose_children_have_ended_keeps_their_results Children that have not begun when it is cancelled still run, like any task. gather_that_is_cancelled_starts_its_children The same coroutine twice is -EINVAL: it has one owner. A task or future may be there twice. gather_refuses_the_same_coroutine_twice"
},
{
"title": "The rest – Where the core differs from Python's asyncio",
"url": "docs/parity-core.html#the-rest",
"text": "difference why scenario NULL is an awaitable that failed with -ENOMEM. Awaiting None is a TypeError. Allocation needs no check between making and awaiting. null_is_out_of_memory, gather_of_null_fails_as_out_of_memory Timers of equal deadlines fire in the order in which they were made. Python's heap scrambles them. A program can rely on the order. equal_deadlines_keep_their_order At its end, asyncio_run waits for leftover tasks for shutdown_grace at most, then reports and abandons the rest. Python waits without limit. A task that ignores its cancel does not hang the program. a_task_that_will_not_end_is_left_behind"
},
{
"title": "Newer Pythons – Where the core differs from Python's asyncio",
"url": "docs/parity-core.html#newer-pythons",
"text": "Here C does what Python 3.14 does, and older versions differ; with a newer one the same scenarios must agree. behaviour since scenario gather of tasks that have ended returns without an iteration of the loop. 3.12 gather_of_ended_tasks_costs_no_turn An uncancel that brings the count to 0 drops an undelivered request. 3.13 uncancel_before_delivery_drops_the_request, uncancel_of_a_yielding_task_drops_the_request A sleep of NaN seconds is refused. 3.13 a_sleep_of_nan_is_refused Eager tasks: eager_start, and a factory for all tasks of a loop. 3.12, whole in 3.14 eager_order_of_start, eager_task_that_ends_at_once_costs_no_turn, eager_task_is_the_current_one, eager_task_has_a_context_of_its_own, eager_task_cancelled_before_its_first_wait, eager_task_cancelled_after_its_first_wait, eager_task_that_cancels_its_creator, eager_task_that_fails, eager_task_that_awaits_its_creator, eager_tasks_within_eager_tasks, eager_task_and_done_callbacks, eager_tasks_that_wake_each_other, eager_by_the_loop, eager_gather, eager_gather_that_fails, eager_shield, eager_group, eager_group_whose_first_child_fails, eager_group_whose_children_make_more, eager_turns_of_a_group Two differences of eager tasks follow from rows above: one that is cancelled and then returns without having waited keeps its value, and a task that 64 eager starts lie around is queued, because C's stacks are finite. The tasks that a server makes for its clients, and those of coroutines that other threads submit, are never eager."
},
{
"title": "Where timeouts, groups and waiting differ from Python's asyncio",
"url": "docs/parity-structure.html#where-timeouts-groups-and-waiting-differ-from-pythons-asyncio",
"text": "The scenarios are those of tests/parity/scenarios_timeouts.*, scenarios_groups.* and scenarios_waiting.*; parity-core.md says how the suite works."
},
{
"title": "Timeouts – Where timeouts, groups and waiting differ from Python's asyncio",
"url": "docs/parity-structure.html#timeouts",
"text": "difference why scenario A result that was there before the loop noticed the deadline is kept, and the timeout's request ends with the timeout. Python discards the result and raises TimeoutError. It may be a descriptor or an allocation, which nobody could free. timeout_noticed_after_a_result An inner and an outer timeout that expire together both take effect: the inner one returns -ETIMEDOUT, and the next wait delivers the outer one's -ECANCELED. In Python one CancelledError goes through the inner one, and code that catches it there loses the outer timeout. C code easily ignores an error, and would ignore the outer limit with it. timeouts_overdue_at_once, timeouts_overdue_at_once_without_a_wait_between"
},
{
"title": "Waiting – Where timeouts, groups and waiting differ from Python's asyncio",
"url": "docs/parity-structure.html#waiting",
"text": "difference why scenario If its condition holds already, wait returns without an iteration of the loop. Python's takes one. A call that can complete at once does so. turns_of_a_wait_for_what_has_ended"
},
{
"title": "Groups – Where timeouts, groups and waiting differ from Python's asyncio",
"url": "docs/parity-structure.html#groups",
"text": "One failure is returned as itself, several as ASYNCIO_EGROUP; Python wraps a single one in an ExceptionGroup, too. The scenarios log both in the same way."
},
{
"title": "Newer Pythons – Where timeouts, groups and waiting differ from Python's asyncio",
"url": "docs/parity-structure.html#newer-pythons",
"text": "Here C does what Python 3.14 does, and older versions differ; with a newer one the same scenarios must agree. behaviour since scenario A timeout in a task that was cancelled before expires as usual. 3.12 timeout_in_a_cancelled_tasks_cleanup, timeout_of_a_task_cancelled_before_it wait_for runs a coroutine in place. 3.12 wait_for_a_coroutine_costs_no_turn If a child fails while the group waits at its end, cancelling() is afterwards what it was before. 3.13 turns_when_a_child_fails_during_the_exit, group_with_siblings_that_crash, groups_nested_both_fail_during_the_exit, timeout_in_a_child_of_a_group When a failure wins over a request from outside, the next wait delivers the request. 3.13 group_cancelled_and_a_child_crashes The tests do not compare the order in which several siblings are cancelled. Python's group holds them in a set; in C it is the order in which they were made."
},
{
"title": "Work for other threads",
"url": "docs/internals/threads.html#work-for-other-threads",
"text": "threads/offload.c, threads/executors.c, threads/thread_futures.c, threads/channel.c, threads/channels.c, core/threadsafe.c; several loops: further down"
},
{
"title": "There and back – Work for other threads",
"url": "docs/internals/threads.html#there-and-back",
"text": "A piece of work (struct work) is one block with all that its way there and back needs: its place in the pool's queue, the post that brings it back, its entry in the loop's list. So the way back cannot run out of memory. loop allocates; under the pool's lock: queues it, and calls an idle thread, or begins one; then wakes that thread thread takes it, runs it, counts itself as returning, posts it to the loop, looks at the queue again loop resumes the task, or completes the future, or frees what nobody waits for A round trip costs four system calls, the same as one written by hand: a futex to wake the thread, the loop's wait, an eventfd if the loop sleeps, the thread's wait. Idle threads are on a stack, each with a futex of its own. The last to arrive is called first: it is warm, and those below it sleep until they end. The waker first releases the lock, then wakes. By then the thread's frame, and the futex word in it, may be gone; the kernel does not mind. Returning threads. While a thread wakes the loop, the loop may run and hand over the next piece. The returning thread is about to look at the queue. So for as many pieces as threads are returning, no thread is called or started, and on one processor the thread never sleeps. If the loop has closed, the thread calls the program's drop instead, which may take long. So it first makes sure that another thread comes for the pieces left to it. Abandoned work may keep its thread for as long as it likes. Another thread serves the queue instead, up to the pool's abandoned_max: 64 for look-ups, 0 for the rest. A surplus thread that finds the queue empty ends. A thread starts under the lock. If that fails, the other threads serve the work; if there are none, the work is refused. The lock ensures that no other work was queued in between and relied on the new thread."
},
{
"title": "Who frees it – Work for other threads",
"url": "docs/internals/threads.html#who-frees-it",
"text": "The caller owns the work until asy_offload has taken it; then the pool does; once the post has run, the loop does. Three events may come first: a cancel before the work begins the loop takes it back, under the lock a cancel after that to_thread: refused, the request stays pending. Others: the work is cut off from its wait or future; free runs when it comes back the loop closes loop_closes first cuts it off; then the loop refuses posts, and the thread frees the work The loop's list abroad has the work that other threads do for it, and the coroutines that they submitted. A loop that closes tells each of them before anything else. So no future refers to a block that another thread will free, and no thread waits for a task that will not end. The loop refuses posts by an atomic exchange, which orders its last look at the work before the thread's free. Work holds its loop (asy_loop_hold). The thread takes a second hold around the post: once the post is there, the loop and the work may be gone while the thread has yet to write the eventfd. A hold keeps the struct and the descriptors. It does not keep the loop open, as the program's references do: when the last of those goes, the loop closes, whatever is abroad. A thread future has a reference, since its holder may cancel the task."
},
{
"title": "The end of a run – Work for other threads",
"url": "docs/internals/threads.html#the-end-of-a-run",
"text": "loop->abroad.shutdown_work counts the calls of executors whose future is neither done nor cancelled. asyncio_run goes on until it is 0, or the grace is over. If it is not 0 then, or a task is left that waits, main's frame is kept for good: a function on another thread may be writing to it."
},
{
"title": "The end of the library – Work for other threads",
"url": "docs/internals/threads.html#the-end-of-the-library",
"text": "A plugin that contains the static library may be unloaded. Then no thread may be in its code, and the system may call none of it later. So every thread that we start is joined (sys/thread.c): a thread that ends joins the one that ended before it, so joining the last one joins them all. A destructor (sys/unload.c) ends all threads: it calls those that sleep, and those that work look at enders before they sleep. Then it deletes the keys whose destructors would run in threads of the program, and returns the memory of small blocks. While a function runs on a thread, the destructor has to wait: the function's code is in this library, or in the plugin. After a second it says so. It holds the loader's lock meanwhile, so a thread that has to load something (a module of the resolver) waits for it in turn. Calling asyncio_shutdown_threads before dlclose avoids both. At the end of a program the same destructor runs, and must not wait. __cxa_atexit tells the two cases apart: a function registered for a library that does not exist is called only at the end of the program. We register a function of libc (sem_post) on a block of its own, which leaves a mark there whether our code is still loaded or not."
},
{
"title": "Thread futures – Work for other threads",
"url": "docs/internals/threads.html#thread-futures",
"text": "A thread future is one block, with two references: the submitter's and the loop's. done is a futex with three values, so completing it costs no system call unless a thread sleeps. The request to cancel is a post within the same block: it needs no memory, and two at the same time are one. It cannot overtake the submission, since posts run in order."
},
{
"title": "Channels – Work for other threads",
"url": "docs/internals/threads.html#channels",
"text": "threads/channel.c is a state machine that knows no tasks: a ring, the senders and receivers that wait, and the rights that were granted. Everything there happens under the channel's lock, a word that is taken for some 20 ns (sys/short_lock.h). threads/channels.c has the calls of tasks, threads/channel_blocking.c those that block. An item stays in the ring until a receiver that runs takes it. A waiting receiver is granted the right to one (granted), not the item itself. If its loop closes before it has run, the right goes to the next receiver; there is no item to bring back, no memory to find for it, and no order to restore. Decision 0017 has the options. A waiting sender's item is moved into the ring by the receiver that made room. A grant is made under the lock, once. The waiter is off its list then, and a cancel, a timeout or a close that takes the lock later sees that. So the outcome does not depend on when the news reaches the task. The news is a post that lies in the waiter. It needs no memory. On the same loop the task is woken directly. A thread without a loop has a futex word. The lock is released before the eventfd is written or the thread is called (struct channel_wake), since that can take a microsecond; the loop is held until then. A task that was woken takes the lock once more before it leaves its call. The thread that woke it may still be about to look at is_sleeping of the task's loop, and the loop may end as soon as the task goes on. A closing loop takes its waiters out before anything of it goes: each call that waits is in the loop's list abroad. No other thread can post to the loop after that, on account of a channel. Memory. The program's references count as one user of the block, and so does each call that waits. The last to leave frees it. threads/test_channel_model.c makes all interleavings of small programs on the state machine: a step is what one thread does under the lock. threads/test_channel_threads.c has real threads, which stall at drawn places."
},
{
"title": "Several loops – Work for other threads",
"url": "docs/internals/threads.html#several-loops",
"text": "run/loops.c, threads/loops.c, threads/loop_calls.c, core/spin.c asyncio_run_loops makes all loops and all threads before it calls the program: the threads wait at a gate, which opens when all are there, or shuts. Each thread runs one loop as asyncio_run would. There is a reference to each loop until the last thread is joined, so a post from one to another needs no look at whether the other is still there: it is taken, or refused by the mark that a closed loop has in place of its posts. Each loop has a struct loop_place: the request to cancel its main, a callback that is posted by any thread and by signal handlers, and its load (clients, calls that have not begun) on a cache line of its own. A thread that stops the loops is counted while it does, since the last loop may end before it has been woken. A call (struct loop_call) begins with a proxy: a future with the flag FUTURE_PROXY. Where a future would be cancelled, a proxy calls its hook, which posts the request; the future is completed when the call is back. The block has two callbacks: one for the way there and back, one for requests, of which several become one. Posts run in order, so a request finds the task begun, or refused. Each side holds the other's loop for as long as it may have to wake it. The target lets the caller go after its post, not before; the caller lets the target go when the call is back. In the caller's list abroad the call keeps a virtual clock still and the end of a run waiting; in the target's it is told when the loop closes, and then answers ASYNCIO_ESTATE before anything else of the loop goes. A server over several loops is a server on each: the program's own one, which accepts, and a branch's on every other loop, without listeners (net/server_spread.h). A client goes over as a descriptor with its address. Orders (end the input, cancel, leave) are bits in one word with one callback, so they merge, and may overtake a client that is on its way. So clients are numbered, and an order says up to which number it holds. A branch tells the home of clients that end only while somebody waits for that. A loop may spin before it sleeps: it looks at posts.has_any, every 5 µs at its descriptors, and at the clock. is_sleeping stays down meanwhile, so a poster writes no eventfd. threads/test_loop_stalls.c has threads stall at each post, before each sleep and while loops close, by seed."
},
{
"title": "The virtual clock – Work for other threads",
"url": "docs/internals/threads.html#the-virtual-clock",
"text": "Other threads live by real time. loop->abroad.awaited_work counts the work that a task waits for. While it is not 0, the loop waits for a post by a futex, and the clock stands still. The real time that passes meanwhile counts towards the next deadline, which passes when it would have passed by a real clock. So a function that waits for a timer of the loop does not wait for ever. A task that waits in a channel does not hold the clock: its item may come from a task of the same loop. Without a timer the loop waits for other threads, and reports no deadlock."
},
{
"title": "0017: A receiver is granted the right to an item, not the item",
"url": "docs/decisions/0017-channel-grants.html#0017-a-receiver-is-granted-the-right-to-an-item-not-the-item",
"text": ""
},
{
"title": "Context – 0017: A receiver is granted the right to an item, not the item",
"url": "docs/decisions/0017-channel-grants.html#context",
"text": "A channel connects threads. A receiver that waits is a task of some loop, and between the moment in which an item is its own and the moment in which it runs lies the way of a post to its loop. In between the task may be cancelled, and the loop may close. The item must then be neither lost nor doubled, and must not change its place among others."
},
{
"title": "Options – 0017: A receiver is granted the right to an item, not the item",
"url": "docs/decisions/0017-channel-grants.html#options",
"text": "The sender copies the item into the receiver's memory, as queues within a loop do. One lock for a receive that waits. A loop that closes has to bring such items back to the front. By then the channel may be full again, so there must be room beyond its capacity, for as many items as there are waiting receivers; and several that come back have to find their order. Room that is made at that moment may fail, and then an item is lost. The sender wakes a receiver, which tries again. Nothing to bring back, but another receiver may be first: the order is lost, a wake-up may be in vain, and a cancel must wake the next one or lose a wake-up. The sender grants a right. The item stays in the ring; granted counts the receivers that have the right to one and have not run. Others may take an item only while there are more items than rights. A loop that closes gives the right back, by one subtraction. A receive that waits takes the lock twice, 10 ns more, beside the 100 ns and more that a wait costs. An item takes up room until its receiver has run, as in Python's queues."
},
{
"title": "Choice – 0017: A receiver is granted the right to an item, not the item",
"url": "docs/decisions/0017-channel-grants.html#choice",
"text": "The third. The state machine has 200 lines, needs no memory after the channel was made, and is small enough for all its interleavings to be tried (tests/threads/test_channel_model.c, 800,000 states). Senders are the other way round: a waiting sender's item is moved into the ring as soon as there is room. It is sent then, whatever becomes of the sender; so nothing has to be given back, and the ring stays full while senders wait. Measured on a loaded machine with two processors, beside Go 1.19's channels and Tokio 1.24's mpsc in the same run (nanoseconds an item, capacity 1,024; bench/bench_channel.c): one task that sends and receives 30 (Go 38, Tokio 63), from task to task 25 (48, 43), to another loop 60 to 130 (95, 82), processor time of both 28 to 46 (35, 35), from eight tasks to eight of another loop 44 (54, -). One at a time, to another loop and back, 5 to 80 microseconds, for the loops sleep in between; Go and Tokio look for work for a while before they sleep (0.5, 0.4)."
},
{
"title": "What would change our mind – 0017: A receiver is granted the right to an item, not the item",
"url": "docs/decisions/0017-channel-grants.html#what-would-change-our-mind",
"text": "Programs in which the lock is the limit: then a ring without one for a single sender and a single receiver, as another kind of channel."
},
{
"title": "How it is tested",
"url": "docs/internals/testing.html#how-it-is-tested",
"text": "tests/support/, tests/fuzz/, sys/sys.h, backend/sim.c make check runs the suite; CONTRIBUTING.md says how to run one test. Each test is a cmocka program that links the static library and may include private headers."
},
{
"title": "The seam – How it is tested",
"url": "docs/internals/testing.html#the-seam",
"text": "Every system call and allocation goes through sys/sys.h. That has three uses: Faults. asy_fault_arm(n, sticky) makes the nth call from then on fail with its usual error, once or for good. sweep_failures(main) runs main with the 1st, 2nd, 3rd ... call failing, until no call fails any more. Each run must end, and leave nothing behind. A ledger. The linker sends the library's own calls through support/ledger.c, which counts blocks, allocations, mappings and descriptors. Every run compares the counts before and after; the library knows nothing of it. Virtual time. backend/sim.c is a clock that jumps to the next deadline. All runs of the harness use it, so tests of time take no time and are exact."
},
{
"title": "Sweeps of cancellation – How it is tested",
"url": "docs/internals/testing.html#sweeps-of-cancellation",
"text": "sweep_cancels(subject, check) runs the subject as a task, and cancels it at its 1st, 2nd, 3rd ... suspension, until it ends first. After each run no task, timer, memory or descriptor may be left."
},
{
"title": "Seeds – How it is tested",
"url": "docs/internals/testing.html#seeds",
"text": "run_all_seeds(main) runs a test in fifty orders (ASYNCIO_TEST_SEEDS sets how many; 1,000 in make check-all). It names the first seed that fails; ASYNCIO_TEST_SEED=n replays that one alone."
},
{
"title": "Parity – How it is tested",
"url": "docs/internals/testing.html#parity",
"text": "tests/parity/ has each scenario twice, in Python and in C. compare runs both and compares their output, line by line. Each deliberate difference is a scenario of its own, which a page docs/parity-*.md must name: parity-core.md."
},
{
"title": "Fuzzing – How it is tested",
"url": "docs/internals/testing.html#fuzzing",
"text": "tests/fuzz/ has a target for all input from outside: reads from streams and datagrams, each beside a model; addresses; TLS with arbitrary bytes, and with an attacker between the two sides who alters them; the answers that the DNS example parses; the environment. make fuzz builds the targets with clang's libFuzzer and the address and undefined-behaviour sanitizers, and runs each for ten seconds (SECONDS=300, TEST=streams). tests/fuzz/corpus/<target> keeps the useful inputs: make check feeds them to the same functions, each file whole and cut short. An input that broke something is added with the fix."
},
{
"title": "Deaths – How it is tested",
"url": "docs/internals/testing.html#deaths",
"text": "check_dies(fn, words) forks a child, which must abort with these words on stderr."
},
{
"title": "How often – How it is tested",
"url": "docs/internals/testing.html#how-often",
"text": "repeats(slow, usual, thorough) of support/repeats.h says how often a test repeats its work: under checkers and emulators, in make check, and in make check-thorough, which has no time limit. Three tests share a core, since most wait longer than they compute."
},
{
"title": "Packages – How it is tested",
"url": "docs/internals/testing.html#packages",
"text": "Each check-* in tests/packages/ makes a package and uses it as its users would; make check-packages runs them."
},
{
"title": "Checkers and machines – How it is tested",
"url": "docs/internals/testing.html#checkers-and-machines",
"text": "The suite passes under the address, undefined-behaviour and thread sanitizers and Valgrind. The tests of switch, core and sync pass on an emulated AArch64, those of the switch on RISC-V 64. make check-musl builds and runs the suite with musl, by Debian's musl-gcc and the kernel's headers. Debian lacks some things for musl, which are not tested there: TLS (no OpenSSL), C++ (no compiler), unwinding by libgcc (its unwinder is glibc's), bounds on the heap (musl does not tell its size), a plugin with the static library in it (musl loads none with initial-exec thread-local storage), and the examples with GLib, libpq, libcurl, hiredis, libcrypto and http_parser. tools/tidy checks layers, banned calls, sizes and registration; tests/headers compiles the public headers as each standard with each compiler; check-exports looks at the symbols of the shared library."
},
{
"title": "Documentation – How it is tested",
"url": "docs/internals/testing.html#documentation",
"text": "make docs makes web pages from docs/ and from the headers' comments. tests/docs/check-site follows all their links, and looks for each exported function in the reference. tests/docs/check-quotes compares every quoted program with its file. check-output runs the programs of the guide and the examples on a terminal, and compares their output. check-walks looks for the functions and files that these pages name, and reports those that are gone. check-words reports sentences that begin with a relative clause."
},
{
"title": "Contributing",
"url": "CONTRIBUTING.html#contributing",
"text": ""
},
{
"title": "Build and test – Contributing",
"url": "CONTRIBUTING.html#build-and-test",
"text": "You need git, gcc and make. On Debian the first make installs the other packages that it needs, and says so; elsewhere it names them (tools/install-deps has the list). make # build the library, the examples and the tests, in build/release make check # the test suite; ends with \"N passed, N failed\" make help # all targets: sanitizers, Valgrind, other compilers, emulated machines To run one test, the tests of a layer, or one test many times; any option of meson test works: make check TEST=heap make check TEST='--suite core' make check TEST='tasks --repeat 1000' make check TEST='tasks --gdb' A test that runs under seeded orders prints the seed when it fails; ASYNCIO_TEST_SEED=n replays it. ASYNCIO_TEST_SEEDS=n sets how many orders it tries. The Python package has suites of its own: make check-python runs our tests, CPython's test_asyncio, and uvloop's where UVLOOP_SOURCE names a copy of its repository. make check-python SUITES=cpython TEST='events ssl' asks for less; python/tests/run_suite.py --help has the rest. Code that parses bytes from outside has a fuzz target: make fuzz SECONDS=60 TEST=streams runs one, make fuzz all. Before you propose a change, make check check-asan WERROR=1 BUILD=build/ci must pass; make check-all runs everything."
},
{
"title": "Where things are – Contributing",
"url": "CONTRIBUTING.html#where-things-are",
"text": "folder what include/ the public headers, one for each concept: the manual of each function src/ the library, a folder for each layer tests/ tests, in the same folders; and the headers, compiled as users would examples/ programs to read, in a sensible order python/ the Python package: the extension in C, its examples, tests, benchmarks, and the runner of CPython's bench/ one program for each question, with its peers beside it docs/guide/ chapters for users; code/ has their programs, each with its output docs/asyncio.7 the manual page that leads to those of the headers docs/internals/ how it works inside: two walks through the code, a page for each part, the glossary docs/parity.md every name of asyncio; tests/docs/check-parity --fix updates the states docs/decisions/ one page for each important decision: context, options with figures, choice"
},
{
"title": "Layers – Contributing",
"url": "CONTRIBUTING.html#layers",
"text": "A file includes headers of its own folder and of folders above it in this table, never below. folder what it is it never base list, heap, random numbers, error names, sanitizer hooks allocates, enters the kernel sys every system call and allocation we make, stacks, the context switch knows loops or tasks backend waits for the kernel or for virtual time knows tasks; is named outside the code that chooses it core loop, futures, tasks, coroutines, cancellation, scopes owns descriptors sync locks, queues touches the backend threads work on other threads: executors, futures of coroutines that another thread submits; channels fd descriptors, files, streams net sockets, names, connections, servers, datagrams process children and signals includes net run entry points, debug, trace is included by anything sim the library for tests: a simulated world, runs by seeds, sweeps is part of what programs ship tls the second library, on OpenSSL: a filter for streams waits or enters the kernel inside OpenSSL; includes more than base and the headers of fd All system calls and allocations go through src/sys/sys.h, so that tests can make each one fail."
},
{
"title": "Adding a file – Contributing",
"url": "CONTRIBUTING.html#adding-a-file",
"text": "A source: add it to its layer's list in src/meson.build. A test program: tests/<layer>/test_<name>.c; add <name> to its layer's list in tests/meson.build. It may include private headers (\"base/list.h\"), since it links the static library. TEST(name) { ... } is a test, ASYNC_TEST(name) { ... } one that is a coroutine, and TEST_MAIN() at the end runs them in the order in which they stand (tests/support/test.h, harness.h). An example: add it to examples/meson.build. make demo prints the first sentence of its first comment. tests/docs/expected/ has its output; tests/docs/check-output PROGRAM - prints it. A program of the guide: add it to docs/guide/code/meson.build. Programs with TLS have a list of their own; docs/guide/code/make-certs makes certificates for them. A code block that begins with a language and the name of a file must equal that file. A program in tests/headers/ (.c or .cpp) needs no entry: the build finds it, and compiles it as every standard that we support."
},
{
"title": "Style – Contributing",
"url": "CONTRIBUTING.html#style",
"text": "tools/tidy, which is part of the suite, checks the rules that a program can check. C11 with GNU attributes inside; public headers are clean under -Wpedantic in C and C++. A function fits on a screen: 40 lines are good, 70 the limit (a state machine may carry the tag tidy: long in the comment above it). A file: 500 lines are good, 800 the limit. Lines: 110 columns. Nesting: three levels. At most five parameters, then a struct. Public names asyncio_<noun>_<verb>, with Python's word wherever Python has one; private names that cross files asy_<module>_<verb>. A static function has no prefix: a verb and a noun, unique in src (begin_write, not begin). Units come last: timeout_ns, stack_bytes. A boolean reads as a question: is_done, has_waiters. A word has one meaning: GLOSSARY.md lists them. A call does not pass a bare true or false. Write two functions, an enum, or a label (/* is_known= */ true), in this order of preference. Verbs: _init/_destroy for the caller's storage, _new/_close or _release for the heap, _nowait as in Python. Functions that destroy accept NULL. Functions return 0 or a value, or a negative errno; outputs come last and are untouched on failure. Only src/sys uses errno: it belongs to the thread, and the coroutine that reads it may not be the one that set it. A mistake of the caller is an error. A broken invariant of ours is an assertion (ASY_ASSERT), on in releases, too. A function that changes state has at least one, except where it would slow a hot path. goto goes forward, to clean up."
},
{
"title": "Words – Contributing",
"url": "CONTRIBUTING.html#words",
"text": "Comments, messages and pages are in plain spoken English: the subject first, an active verb, one fact a sentence, the usual word. Read a sentence aloud; if you have to start again, rewrite it. A relative clause needs a noun: no sentence begins with \"Who ...\", \"What ...\" or \"Whoever ...\" in place of one (tests/docs/check-words looks for them). Five that we had, and what they became: before after Who waits in a call when another task closes the stream gets -EBADF. A call that is waiting when another task closes the stream returns -EBADF. What is being written is nobody's business any more. The thread finishes the write in progress; the stream no longer follows it. In no order: who still sees it up wakes once more than needed. Relaxed: a poster that still reads true writes to the eventfd once too often, no more. Mostly it is empty, and clearing it dear. It is almost always empty, and ERR_clear_error is expensive: look first. The running loop's how manieth completion it was. The completion number of a future of the running loop."
},
{
"title": "Comments – Contributing",
"url": "CONTRIBUTING.html#comments",
"text": "Every file begins with a comment that says what it is, what it is not, and its invariants. The comment on a public function is its manual: contract, ownership, which thread, whether it suspends (\"Suspends.\"), errors, and what happens when it is cancelled. tools/man makes the manual pages from these comments. The first sentence, up to a ., : or ;, becomes the NAME line, which stands alone. So it names its object (\"Closes a descriptor ...\", not \"Closes it ...\"). At each atomic and each lock, two sentences say which order is needed, and why. Inside functions: why, not what. Whole sentences; end-of-line phrases without a full stop. NEEDSWORK: reason marks an open question of design, not a wish. PARITY: marks a difference from Python."
},
{
"title": "Looks – Contributing",
"url": "CONTRIBUTING.html#looks",
"text": "Four spaces; the brace of a function on a line of its own, all others at the end of theirs. make format formats the sources, and tools/tidy checks that it did; public headers are formatted by hand."
},
{
"title": "Changes – Contributing",
"url": "CONTRIBUTING.html#changes",
"text": "A bug fix begins with a test, or a seed, that fails without it. One change in each commit; a commit that only moves code comes first, alone. Every commit builds and passes. The message says why, in whole sentences: what was wrong or missing, how the commit answers it, what it costs. A message that claims speed shows the figures before and after. A change that users notice goes into CHANGELOG.md, in their words."
},
{
"title": "Glossary",
"url": "docs/internals/GLOSSARY.html#glossary",
"text": "The words that the code uses, each in one meaning. A word that Python has means the same here."
},
{
"title": "Layers – Glossary",
"url": "docs/internals/GLOSSARY.html#layers",
"text": "In this order; a layer includes only those before it (CONTRIBUTING.md has the rules). base: containers, random numbers, error names, assertions. sys: system calls, memory, stacks, the switch. backend: waiting for the kernel, or for virtual time. core: loop, tasks, futures, cancellation, scopes. sync: locks and queues. threads: work on other threads, executors, submitted coroutines. fd: descriptors, files, streams. net: sockets, names, connections, servers, datagrams. process: children and signals. run: entry points, debug mode. tls: the second library."
},
{
"title": "Words – Glossary",
"url": "docs/internals/GLOSSARY.html#words",
"text": "abandoned: of a task: it did not end when its loop closed. Its stack is never unwound, reused or unmapped. Of work on a thread: nobody waits for it any more; the function goes on. abroad: the list of work that other threads have for a loop, and of coroutines that they submitted. A loop that closes tells each entry. awaitable: a coroutine, a task or a future; the argument of asyncio_await. awaited work: work abroad that a task waits for (awaited_work counts it). While there is any, a virtual clock stands still. backend: the part that waits for the kernel, or for virtual time: epoll, sim. It knows no tasks. batch: the entries of the ready queue that one iteration may run. borrowed: of a pointer: without a reference, valid until a stated point. branch: the part of a server over several loops that serves clients on another loop than its own. budget: the number of calls that need not wait which a task may make before it has to give way once: 128, anew at each step. Tasks that it starts eagerly share it. callback: a function that the loop calls on its own stack. It cannot wait. case: one of the things that a select waits for. It stands in the queue of its object with a wait of its own (WAIT_CASE). channel: items that tasks of any loops and other threads hand to each other, under one short lock. chunk: 64 KiB of blocks of one size, in the slab allocator. claim: to win a select, for one of its cases, for the time or for a request to cancel. One of all can. colour: an offset of a stack's top, which puts the hot lines of many stacks into different sets of the cache. coroutine: a function and its arguments, made and not started; loosely, the function while it runs. It has one owner. deliver: of a request: to return -ECANCELED for it from a wait. dozing: of an embedded loop: idle, with nothing queued or posted since (is_dozing). drop: the function that frees a coroutine's arguments when it ends or never starts. eager: of a task: it runs to its first wait inside the call that makes it, whose caller is its creator. embedded: of a loop: another loop polls its descriptor (is_embedded). fibre: a place where execution was left: a stack pointer, and what sanitizers want to know. Each task that runs has one, and so has the loop. fresh: of a task: queued, and never run. It has no stack. future: a result that is there, or will be. A task begins with one. generation: a number that changes when a descriptor's number gets another file, or a process forks; an older one is stale. give way: to let others run, by any wait. grant: to give a waiting task what it waits for. It is ready from then on, and keeps the grant. guard: the inaccessible pages below a stack. handle: the name of a scheduled callback: a place and a number, so that the library recognises a stale one. home: of such a server: the loop that started it, and accepts. hop: one entry of the ready queue, run. iteration: poll, then run what is ready. Python's _run_once. kind: a table of functions, or a number, for all objects of a sort: of waits, of ready entries. wake_kind is the kind of ready entry that a wake-up queues. leftover: a task that had not ended when main had, and that the shutdown cancelled. loop: the event loop: ready queue, timers, backend. It belongs to one thread. message: the text that goes with an error code. order: what the home tells a branch: to end the input of its clients, to cancel them, to leave. owner: of a descriptor: the stream, socket or server that closes it. park: to leave a task's stack until its wait is granted. pass on: of a request: to hand it to the task that the task awaits, instead of delivering it. pending: of a future: not done. Of a request: not delivered. Of a wait: not granted. post: a callback that came from another thread or a signal handler (posts.has_any: some were not collected). proxy: a future that stands for a task on another loop, and passes requests to cancel on to it. ready: of a task or callback: in the ready queue. Of a descriptor, in one direction: a system call is worth trying. ready queue: the tasks and callbacks that run next, first come, first served. record: what the library knows of one descriptor. reference: a count that keeps a task, future, loop or message alive. relay: an entry of the ready queue that moves its task to the end of the queue when it is reached. report: the description of a failure, for the exception handler. request: a wish that a task be cancelled. It comes from asyncio_cancel, or from a scope. revoke: to pass a grant on because its task will never run again. scope: a stretch of code that requests are tied to: a timeout, a group, a shield. It lies on its task's stack; the innermost comes first. seam: sys/sys.h: the one place where the library enters the kernel and the allocator, so that a test can make each call fail. seed: a number that decides in which order ready tasks run. shield: a scope that holds back the requests that come from outside it. shutdown: what a runner does when main has returned (is_shutting_down): it cancels the leftovers, and waits. shutdown work: work abroad that no task waits for, but the shutdown does (shutdown_work counts it). site: file, function and line where something was made. slab: of stacks: one mapping for many of them. Of blocks: the allocator in sys/slab.c. spare: of a stack: the one used last, at hand for the next fresh task. Of a chunk: all its blocks are free. step: what a task does from one resumption to the next wait. loop->steps counts those begun; a loop that is_stepping sees each one. switch: the function that leaves one stack and continues another. task: a coroutine that runs beside others. threshold: of a chunk: the number of used blocks at which a free changes the chunk's state. ticket: the number of a post from a signal handler; it picks a place in the ring. turn: the right to transfer on a descriptor, in one direction. One waiter has it at a time, first come, first served. (For the loop, say iteration; for a ready entry, say that the loop reaches it.) wait: a record on the stack of the task that waits: its object, its place in the object's queue, the outcome. waiter: the one to tell when a future completes: a wait, a done callback, a child of a gather or group. wake: to make a waiting task ready; of a loop: to end its poll. warm, cold: of a free stack: with memory that it touched, or without."
},
{
"title": "The switch",
"url": "docs/internals/switch.html#the-switch",
"text": "sys/context.h, sys/arch/*.S, core/fiber.h, core/switch.c"
},
{
"title": "Three functions in assembly – The switch",
"url": "docs/internals/switch.html#three-functions-in-assembly",
"text": "function leaves enters asy_context_switch(&save, to) saves the registers where to was saved asy_context_start(&save, top, entry, arg, fp) saves the registers entry(arg) on a fresh stack asy_context_leave(to) nothing: never continued where to was saved A switch saves the registers that the ABI asks a callee to keep, and the floating-point control words; all else is dead at a call. On x86-64 these are 64 bytes below the stack pointer: 0 mxcsr, x87 control word 8 r15, r14, r13, r12, rbx, rbp 56 the address where it goes on Both sides have the same layout, so the unwind information is right at every instruction, even right after the stack pointer has changed. tests/sys/test_gdb_backtrace.py steps through each instruction and compares the backtrace. A stack's first frame, asy_context_entry, has an undefined return address: there every unwinder stops. Callers call each of the three last, and compilers turn such a call into a jump. So the ret at the end of a switch answers the call of the caller. Calls and returns stay in balance, which the processor's return predictor needs: decision 0001. The code has the marks for indirect branch tracking (endbr64, bti). It does not claim support for shadow stacks: a switch would have to switch them, too."
},
{
"title": "Handing over – The switch",
"url": "docs/internals/switch.html#handing-over",
"text": "A task that parks does not return to the loop. asy_switch_park takes the next entry of the ready queue and switches to it directly: one switch for each hop. It returns to the loop's own stack in three cases: the next entry is a callback; the batch is over, and the loop has to look at the clock or poll; nothing is ready. park park batch over task A ------> task B (waiting) ------> task C (fresh) -------------> loop switch switch, or start switch A fresh task gets a stack when it first runs: the loop's spare one, or one from the pool. When a task's body returns, and the next ready task is fresh and wants the same size, that task starts on the same stack by a plain function call (run_tasks), without a switch. So a chain of short tasks runs on one hot stack. A task that ends returns its stack while the code still runs on it. The pool recognises that by its own frame's address. It neither hands that stack out nor unmaps it until the switch away has happened. Floating-point control words belong to the task. A fresh task starts with those that the thread had when the loop began to run."
},
{
"title": "Eager starts – The switch",
"url": "docs/internals/switch.html#eager-starts",
"text": "A task that starts eagerly runs on its own stack while its creator, a task or a callback, stays where it is. asy_task_run_eagerly makes the creator's frame stand in for the loop's own stack: it saves loop->fiber, and the switch to the child stores the creator's place there. It also empties the batch. So a child that parks or ends finds nothing to hand over to, leaves for loop->fiber as it would in any case, and arrives at its creator. No line of the hot path knows of it. loop->eager leads to the starts under way, the innermost first; there are 64 at most within each other. To make a task may be to call the program. So gather makes all its children before it looks at one; a group counts a child before that starts, and keeps one that has ended for its borrower until the loop polls (loop->lent); servers, whose clients come in the middle of a poll, queue theirs. A child shares the budget of its creator, so that a task which makes eager ones without end gives way."
},
{
"title": "Exceptions of C++ – The switch",
"url": "docs/internals/switch.html#exceptions-of-c",
"text": "The C++ runtime keeps two words for each thread (__cxa_eh_globals): the exceptions that were caught and are still held, and the number of those in flight. Tasks that wait inside catch, or in a destructor during unwinding, would find each other's words there. So a task that holds exceptions saves the words in a frame of its own and leaves zeros (park_with_exceptions); when it resumes, it puts them back. The code around a run keeps its own in the same way (core/exceptions.c). On both sides of each switch the words are zero, so a task without exceptions, and the loop, have nothing to save. A weak reference finds the runtime at link time. A plugin may bring one later, or have its own linked in. It announces it when it makes its first coroutine: in C++ ASYNC passes __cxa_get_globals along (asyncio_coro_alloc_cxx). A loop on another thread learns of it when it collects its posts. A process usually has one runtime; of several, the library follows the first one found. Without a runtime a switch only tests a pointer: three instructions, 0.04 ns of 8.1. An exception that leaves a coroutine meets noexcept in the code that ASYNC makes, even if it was awaited in place inside a try. The program ends with the exception's type and message."
},
{
"title": "Checkers – The switch",
"url": "docs/internals/switch.html#checkers",
"text": "fiber.h wraps each switch: it tells the address sanitizer the bounds of the new stack, and the thread sanitizer which fibre runs. sys/stack_slab.c tells Valgrind of the stacks. In other builds the wrappers are empty. With debug mode or an instrument on (is_stepping), the batch is 0 during a step. A task that parks then returns to the loop, which looks at the clock before and after each step."
},
{
"title": "0001: A switch returns by ret, and calls and returns stay in balance",
"url": "docs/decisions/0001-switch-returns.html#0001-a-switch-returns-by-ret-and-calls-and-returns-stay-in-balance",
"text": ""
},
{
"title": "Context – 0001: A switch returns by ret, and calls and returns stay in balance",
"url": "docs/decisions/0001-switch-returns.html#context",
"text": "The design resumed a task by popping its address into a register and jumping to it (notrack jmp). The reason: the processor predicts that a ret goes back to the latest call, which was on the other stack, so each switch would cost a misprediction. A prototype agreed: 25 ns for spawn and await with the jump, 33 ns with ret. In the real library the jump was slow. The call of the switch function makes an entry in the return-stack buffer, and a jump consumes none. After the jump the buffer is one entry off, so every ret of the resumed task mispredicts, one for each level of calls between the switch and the task's body. A prototype has one level; asyncio_sleep inside a program has several."
},
{
"title": "Options – 0001: A switch returns by ret, and calls and returns stay in balance",
"url": "docs/decisions/0001-switch-returns.html#options",
"text": "CPU time, measured on the development machine (a virtual one, 2 cores), one run for each side. The figures of a row were taken together. how yield spawn and await popped register, jmp 16.5 ns 72 ns ret; the switch function is reached by a tail jump, so that its ret answers the call of its caller 6.5 ns the same, with fresh stacks started through ret, too 84 ns the same; a fresh stack is started by a jump, which consumes no entry, and an ended one is left by a tail jump 6.5 ns 33.5 ns a bare round robin of the same switch function, nothing around it 3.9 ns Why the second row works: tasks that yield to each other do so through the same chain of calls. The call made when task A parks is answered by the ret that resumes task B, and the return address is the same code. The predictor, which knows nothing of stacks, is right. A start is different. Nothing was ever called from the fresh stack, so there is no entry to consume: it must be a jump. A task that ends leaves by a ret that goes to where another task parked. That function is reached by a tail jump, which balances the calls again."
},
{
"title": "Choice – 0001: A switch returns by ret, and calls and returns stay in balance",
"url": "docs/decisions/0001-switch-returns.html#choice",
"text": "The last one. Callers call asy_context_switch, _start and _leave last, and compilers turn such calls into jumps. core/switch.c and core/fiber.h are written for that, and comments there say so. Only speed depends on it: with a call in place of the jump, the program is still correct. notrack jmp is gone, and with it a hole in indirect branch tracking."
},
{
"title": "What it costs – 0001: A switch returns by ret, and calls and returns stay in balance",
"url": "docs/decisions/0001-switch-returns.html#what-it-costs",
"text": "Where chains alternate, ret mispredicts: a producer that parks in put resumes a consumer that parked in get; the loop resumes a task. Measured in isolation, such a hop costs 15 to 30 ns more. Several tasks of different functions that yield in turn show part of it (bench/run, the row \"10 tasks of 4 functions\")."
},
{
"title": "What would change our mind – 0001: A switch returns by ret, and calls and returns stay in balance",
"url": "docs/decisions/0001-switch-returns.html#what-would-change-our-mind",
"text": "A common processor on which a mismatched ret is cheaper than an indirect jump, or dearer than we measured; make bench prints both the library and the bare switch. Common shadow stacks in user space: then the switch has to switch those, too, and ret is the only choice."
},
{
"title": "Stacks",
"url": "docs/internals/stacks.html#stacks",
"text": "sys/stack.h, sys/stack.c, sys/stack_slab.c A loop has a pool of stacks for each size: 256 KiB by default, or another multiple of 16 KiB. A pool maps slabs. Each slab is one mapping for many stacks: 16 at first, doubling up to 1,024 (or 1 GiB). The descriptors of its stacks, one cache line each, lie at its front. slab: | descriptors | guard | usable ......... top | guard | usable ......... top | ... <--------- stride ----------> Address space is not memory. The mapping is private, reserves no swap, and never uses huge pages. A stack takes a page when it touches one. The stride is an odd number of pages, and top is offset by a colour. Otherwise the hot pages of thousands of stacks would share few sets of the TLB, and their hot lines few sets of the cache: decision 0002. Guards are 64 KiB and a page that makes the stride odd. Compilers rely on 64 KiB: they leave smaller frames without a probe. A guard is made when its stack is first taken, by MADV_GUARD_INSTALL (Linux 6.13). That does not split the mapping, so the limit on mappings does not limit the number of tasks. Where the kernel lacks it, or an emulator only pretends, mprotect makes the guard. When that runs out of mappings, the task ends with -ENOMEM and a message, and nothing else happens."
},
{
"title": "Warm and cold – Stacks",
"url": "docs/internals/stacks.html#warm-and-cold",
"text": "A free stack is warm, with memory that it touched, or cold. Warm ones are taken first, the last returned before the others. Three rules give memory back: A pool keeps max(1024, live) warm stacks. It makes the oldest of any more cold. An unused slab is unmapped if other slabs have as many free stacks. A stack is trimmed when it is new and after every 64 uses: all but its top 32 KiB goes back. The loop does this before it sleeps (asy_stacks_trim, at most 16 stacks each time), or, if it never sleeps, when many stacks are due. While there is a warm stack, taking and returning a stack neither enters the kernel nor allocates."
},
{
"title": "Overflow – Stacks",
"url": "docs/internals/stacks.html#overflow",
"text": "While a loop runs, core/overflow.c handles SIGSEGV on an alternate stack, if the default action was in force. A fault address in a guard leads to its stack, its task, and the task's name and site. The handler prints these on stderr; then the default action follows. Other faults take the default action at once. The handler is removed when the last loop stops. An embedded loop keeps it, and the alternate stack, until it closes: the system calls would cost more than the rest of an iteration. Handlers of the program run on the alternate stack, too. So it has 64 KiB, besides the space that the kernel needs, and a guard. If the program has one of that size, it is used instead; a smaller one is restored when ours goes."
},
{
"title": "Kept and abandoned – Stacks",
"url": "docs/internals/stacks.html#kept-and-abandoned",
"text": "The stack of a main task is kept until the shutdown is over, since leftover tasks may use locks and queues in its frame. An abandoned task keeps its stack for good, since pointers into it may be anywhere."
},
{
"title": "0002: Stacks lie an odd number of pages apart, with coloured tops",
"url": "docs/decisions/0002-stack-placement.html#0002-stacks-lie-an-odd-number-of-pages-apart-with-coloured-tops",
"text": ""
},
{
"title": "Context – 0002: Stacks lie an odd number of pages apart, with coloured tops",
"url": "docs/decisions/0002-stack-placement.html#context",
"text": "Stacks are carved from large mappings. The natural distance is a power of two: 256 KiB. Each idle or briefly running task touches only the top page of its stack, so the hot pages of n tasks are n addresses that are equal in their low 18 bits. TLBs and caches choose the set of an entry by low bits of the address; all hot pages of a thousand tasks then compete for one or two sets of the TLB, and the hot lines at the same offset of each page for one set of the first-level cache."
},
{
"title": "Options – 0002: Stacks lie an odd number of pages apart, with coloured tops",
"url": "docs/decisions/0002-stack-placement.html#options",
"text": "A power of two, guard included. Simple arithmetic; a stack's descriptor can be found by masking. All tasks collide. Random offsets. Spread well on average; wastes memory, and no two runs are alike. An odd number of pages, and a colour. The stride in pages is odd, hence prime to every power of two: consecutive stacks walk through all sets. Within the page, top is lowered by a colour, i % 16 * 64 bytes, so that the hot lines spread over sixteen neighbouring sets of lines. There are no figures of our own for 1 against 3 in this tree; bench/run memory (\"wake: of 1,000,000\") and bench/run switch (\"1,000 tasks\") are where they would show."
},
{
"title": "Choice – 0002: Stacks lie an odd number of pages apart, with coloured tops",
"url": "docs/decisions/0002-stack-placement.html#choice",
"text": "The third. Measured in turn with a build that has one colour: a yield among 100 tasks takes 8.8 ns in place of 9.4, among 1,000 tasks 8.4 ns in place of 9.2. A page added to the guard makes the stride odd (stack.c). The colour costs at most 960 bytes of a stack of 256 KiB."
},
{
"title": "What would change our mind – 0002: Stacks lie an odd number of pages apart, with coloured tops",
"url": "docs/decisions/0002-stack-placement.html#what-would-change-our-mind",
"text": "A measurement on users' machines where it makes no difference."
},
{
"title": "Simulated runs",
"url": "docs/internals/simulated-runs.html#simulated-runs",
"text": "sim/run.h and the files that it lists, core/director.h, threads/work_here.c asyncio_sim_run makes many runs of one scenario. This page says how one is made, compared with another, shrunk and told. simulated-network.md is about the network inside."
},
{
"title": "One run – Simulated runs",
"url": "docs/internals/simulated-runs.html#one-run",
"text": "A run is a job and a plan. The job (struct sim_job) is the scenario and the options, the same for all seeds. The plan (struct sim_plan) is what chance may do: a seed, features that are off, and a number of draws after which all others are plain. sim/once.c: asy_sim_run_once begins the draws and the history, and gives the thread a world. sim/once.c: run_in_world opens a loop with the virtual clock, and sim/direct.c: asy_sim_direct gives it a director before it has a task. The loop asks the director wherever chance or threads decide elsewhere: the loop asks the answer in which order ready tasks run sim/direct.c: arrange_by_chance, arrange_by_priority (PCT), or as they stand when work for a thread runs sim/direct.c: delay_work: a drawn time within 10 ms, on the loop's own thread which case a select tries first sim/direct.c: choose_number It also tells the director of each step, which goes into the history, and of each poll, after which sim/direct.c: check_limits may end the run: time has stood still for too many steps, or is over. 3. sim/once.c: run_scenario runs the scenario as main of that loop, as asyncio_run would. A sweep arms its fault before that. 4. sim/once.c: end_scenario closes the loop. Tasks that are left are cancelled, and get a tenth of the limit of steps for that. The director counts open sockets when the loop is about to close, since the loop closes them. 5. sim/once.c: end_world takes the world back, and with it what the program has left in it. 6. sim/once.c: judge_scenario gives the run's error: the reason why it ended early, else what the sweep, check or the result says. A run that passes so far is judged by what it left (sim/once.c: judge_leftovers): sockets, tasks, references, coroutines, then blocks of the library's memory (sim/blocks.c), then memory of the program, which LeakSanitizer knows. All state of a run belongs to its thread. Two threads simulate at the same time without a lock; only the handlers of signals are the process's (sim/deaths.c)."
},
{
"title": "Work for threads – Simulated runs",
"url": "docs/internals/simulated-runs.html#work-for-threads",
"text": "threads/work_here.c stands in for the threads. A piece of work is a timer first, whose time the director draws, and then a callback in the ready queue, where other tasks may overtake it. Until it runs it can be taken back, as from a real pool. There is no lock, and no other thread. A thread that the program made itself is not directed. The loop notes that a foreign thread has posted to it, and the run counts as uncontrolled: it is not repeated, not shrunk, and its blocks are not counted, since that thread may free some later."
},
{
"title": "The same again – Simulated runs",
"url": "docs/internals/simulated-runs.html#the-same-again",
"text": "Draws and history are what makes equal runs comparable. sim/draws.c has a generator for each feature (order, jitter, loss, pieces ...). Turning one off leaves the numbers of all others as they were. 0 is the plain answer to every draw. Draws are counted, and the words for the one that a report is to name are made only when it comes (asy_sim_tell). asyncio_sim_random has a generator of its own, which no plan changes: a workload is the same in a run that is shrunk. sim/history.c hashes each step: a word, two numbers, the time. No address, descriptor or process id is among them. Of results only errors count, since a value may be a pointer. With a log, it also remembers the first 100,000 steps. sim/run.c: repeat_run makes each tenth run again and compares the hashes. If they differ, the two logs say at which step (sim/history.c: asy_sim_logs_part_at), and sim/report.c prints the steps before it. sim-hashes compares the hashes of 200 seeds between processes, with and without address space randomisation, and between the library at -O0 and at -O2."
},
{
"title": "Shrinking – Simulated runs",
"url": "docs/internals/simulated-runs.html#shrinking",
"text": "sim/run.c: fail_run hands a failure to sim/shrink.c: asy_sim_shrink, unless the run was uncontrolled. A run fails alike if its error is the same. In at most 60 runs: The run is made once more. If it does not fail alike, what made it fail is not in the seed, and nothing is shrunk. The order becomes FIFO, if it fails alike in that. Features are turned off, one by one; each stays off if the run fails alike without it. A bisection finds the smallest number of draws after which all others may be plain. It takes for granted that a run which fails with n draws fails with more, too. Where that is wrong, the result still fails alike, but a smaller one may exist. What is left runs once more, with the last draw to be put in words, and with the trace. sim/report.c writes the report."
},
{
"title": "Sweeps – Simulated runs",
"url": "docs/internals/simulated-runs.html#sweeps",
"text": "A sweep (sim/sweep.c) makes a run for each place, by three functions that a job may have (struct sim_sweep_kind): they are called before main, after the loop has closed, and to judge the result. sim/cancel_points.c runs the subject as a task. The loop's instrument counts the ends of its steps; at the chosen one, sim/cancel_points.c: cancel_at_point cancels it, or lets a timeout around it expire. The sweep ends when a run was over before its place came. sim/fault_points.c arms the seam of sys/fault.c, so that the nth call from the scenario's start fails. The name of the call that did, known after its first run, says in how many ways it can fail (asy_fault_ways), and each is a run. A second pass lets all later calls fail, too. Our own harness (tests/support/harness.c) uses the same two files, without a world."
},
{
"title": "When the process dies – Simulated runs",
"url": "docs/internals/simulated-runs.html#when-the-process-dies",
"text": "sim/deaths.c keeps the seed of the run at hand in the thread, and tells it from a handler of SIGSEGV, SIGABRT and the like, from the sanitizers' callback at a death, or before a report of UBSan. The earlier action of the signal follows. A stack overflow is named first, as outside of simulations: the handler runs on the alternate stack that the loop has set."
},
{
"title": "The simulated network",
"url": "docs/internals/simulated-network.html#the-simulated-network",
"text": "Begin with sys/world.h, the seam, and sim/net.h, which has what the files of the world share. simulated-runs.md says how a run is made, repeated and shrunk. file what sys/world.c a thread's world, which each wrapper asks before it enters the kernel backend/sim.c the virtual clock, which stops at each event of the world sim/world.c sockets, their events, the calls of the seam sim/numbers.c which descriptor is whose, and which sockets close(2) took sim/queue.c packets and the like, in a heap by time sim/hosts.c, links.c, ports.c, names.c hosts, ways between them, addresses, the resolver sim/pipe.c one way of a connection: what is on the way, and its bytes sim/tcp.c, stream.c how connections begin and end; the calls on an open one sim/udp.c, unix.c, options.c datagrams, Unix sockets, socket options"
},
{
"title": "How it works – The simulated network",
"url": "docs/internals/simulated-network.html#how-it-works",
"text": "One byte (asy_seam) says that somebody wants to be asked first: a test that has calls fail, or a world. In production it is 0, and nothing else is tested. A world belongs to its thread; other threads' loops stay real. A descriptor of the world is a duplicate of one that was opened with O_PATH. Its number is a real one, so EMFILE, reuse and close are real, too. Every other call on it fails with EBADF, so code that goes round the library is told at once. The world does not see a close(2). The socket is found missing when its number comes back from the kernel, when it is closed, and at the end; then the run has failed. A host is the value of a context variable, so tasks and servers inherit it. A crash ends the host's life, not the host: what was of that life stays of it, and cannot reach the network through the next one. A connection is two pipes. A pipe has its chunks in the order in which they were sent, and only the first of them is an event. A chunk that is lost, or held, holds up those behind it, as in TCP. Bytes are cut where they are sent. fd/fd_table.h takes a short read of a TCP socket for a drained one, as Linux allows. A cut made by the reader would have it wait for an event that never comes. A sender that waits for room asks, when nothing is on the way, whether an end that is gone is still there, as Linux asks a closed window: a reset answers. So no sender waits for ever for a peer that has crashed. Within a host a packet arrives inside the call that sends it, as on the loopback interface. A level-triggered event that nobody takes is told in each turn. The clock goes on by a microsecond then, so that the program's timers come due. sim/draws.h draws all that chance decides, 0 being the plain case. sim/history.h notes each arrival, with the connection's number and lengths, never with a descriptor."
},
{
"title": "What differs from Linux – The simulated network",
"url": "docs/internals/simulated-network.html#what-differs-from-linux",
"text": "Chapter 17 has the list, since users need it. Forty programs of tests/fd and tests/net run in a world, too, with the same expectations (simulated_tests in tests/meson.build has them, and the tests that each leaves out)."
},
{
"title": "17. Testing",
"url": "docs/guide/17-testing.html#17-testing",
"text": ""
},
{
"title": "A network in the test – 17. Testing",
"url": "docs/guide/17-testing.html#a-network-in-the-test",
"text": "Network code works on the developer's machine, where each message arrives whole, at once, and in order. A simulation runs the same code, unchanged, in a network that does all that a network may do, a thousand times in a few seconds. It is a library of its own for tests: include <asyncio/sim.h>, and link with pkg-config --libs asyncio-sim. docs/guide/code/sim_short_read.c /* A simulation finds that one read is taken for one message. */ #include <asyncio.h> #include <asyncio/sim.h> #include <errno.h> #include <string.h> static const char message[] = \"sixteen bytes ..\"; ASYNC(checks, asyncio_stream *, stream) { char text[16] = \"\"; ssize_t n = asyncio_stream_read(stream, text, sizeof text); /* asyncio_stream_readexactly */ if (n < 0) return n; return asyncio_stream_write(stream, memcmp(text, message, 16) == 0 ? \"good\" : \"bad!\", 4); } static asyncio_coro *handler(asyncio_stream *stream, void *arg) { (void)arg; return checks(stream); } ASYNC(serve) { asyncio_server *server; int err = asyncio_start_server(handler, NULL, NULL, 80, NULL, &server); if (err) return err; err = asyncio_server_serve_forever(server); asyncio_server_release(server); return err; } /* Unchanged code of a program: it knows nothing of the simulation. */ ASYNC(ask) { asyncio_stream *stream; char answer[4] = \"\"; int err = asyncio_open_connection(\"server\", 80, NULL, &stream); if (err) return err; err = asyncio_stream_write(stream, message, 16); ssize_t n = err ? err : asyncio_stream_readexactly(stream, answer, 4); asyncio_stream_abort(stream); return n < 0 ? n : memcmp(answer, \"good\", 4) == 0 ? 0 : -EBADMSG; } ASYNC(scenario) { asyncio_release(asyncio_sim_start(\"server\", serve())); asyncio_sleep(0.1); return asyncio_await(asyncio_sim_start(\"client\", ask())); } static asyncio_coro *make_scenario(void *arg) { (void)arg; return scenario(); } int main(void) { return asyncio_sim_run(make_scenario, NULL, NULL, NULL) == -EBADMSG ? 0 : 1; } docs/guide/code/sim_short_read.out asyncio: simulation failed: EBADMSG after 0.104 virtual seconds, seed 1 (run 1 of 100); needs the first 1 of 4 draws asyncio: draw 1: segment of 4 of 16 bytes, client:32768 -> server:80, at 0.1020 s asyncio: again: ASYNCIO_SIM_SEED=1 ./sim_short_read asyncio_sim_run runs the scenario as the main task of a fresh world, once for each of 100 seeds (ASYNCIO_SIM_RUNS). The seed decides all that chance decides, so a run that fails fails again by its seed. Then it is shrunk: tasks in order, nothing lost, nothing in pieces, as long as it fails in the same way. The one decision that matters remains: here, that a message of 16 bytes arrived in two pieces. A run fails when the scenario returns an error (or options.check says so); when nothing is left that could wake a task (-EDEADLK, with the waits); when tasks run and run while time stands still (-ELOOP); after a virtual day (-ETIME); and when it leaves tasks, references, coroutines or sockets behind, or closes a socket by close(2) in place of asyncio_close (ASYNCIO_EINCOMPLETE). Each tenth run is run twice and must be the same, step by step (-EILSEQ): state outside the scenario, the wall clock and addresses used as numbers are found by that. A run that dies of a signal or of a sanitizer's finding tells its seed first, and so does one of which UBSan reports something and goes on (with clang set UBSAN_OPTIONS=halt_on_error=1 for that). In a scenario, asyncio_sim_start runs a coroutine on a host of its own, with an address and a name; asyncio_sim_set_link makes a way slow, lossy, or cut, in one direction; asyncio_sim_reset breaks connections; asyncio_sim_crash takes a host away; asyncio_sim_set_name is what the resolver answers. Faults of your own happen by asyncio_sim_chance(\"disk full\", 20), and workloads draw from asyncio_sim_random. Ready tasks run in random order. ASYNCIO_SIM_PCT gives each task a priority instead, and finds orders in which one task is late for long; ASYNCIO_SIM_FIFO is the order of the real loop. ASYNCIO_SIM_TRACE=file writes a trace of the failing run (chapter 18)."
},
{
"title": "Every cancel, every failure – 17. Testing",
"url": "docs/guide/17-testing.html#every-cancel-every-failure",
"text": "asyncio_sim_sweep_cancel runs a subject, then once more for each of its suspensions, cancelled there; and once more with a timeout in place of the request. asyncio_sim_sweep_faults does it for each call into the system and the allocator: the 1st fails, the 2nd, in each way in which it can (a send with ENOBUFS, ECONNRESET, EPIPE), then all from there on. Each run has to end, and to leave nothing behind."
},
{
"title": "What it finds, and what it does not – 17. Testing",
"url": "docs/guide/17-testing.html#what-it-finds-and-what-it-does-not",
"text": "It finds what depends on how bytes are cut, on the order of tasks, on a cancel or a timeout at any wait; leaks on any error; retries that come all at once; two leaders in a partition; connections of which one end is gone; resolvers that are slow; a full table of descriptors. It does not find data races, mistakes of the kernel, what real congestion control does, or how fast a program is. Code that enters the kernel itself is told: a descriptor of the world is none of the kernel's, and gives EBADF. Hosts share the process, with its global variables. Work for threads (asyncio_to_thread, executors, files) is done on the loop's own thread at a drawn time; files are real. Threads of the program's own are not simulated: a run that one of them posts to is not repeated. Subprocesses, raw and multicast sockets, io_uring, fork and real descriptors that have to be waited for are refused with -ENOSYS."
},
{
"title": "What differs from Linux – 17. Testing",
"url": "docs/guide/17-testing.html#what-differs-from-linux",
"text": "The library's own tests of streams, servers, datagrams and names run in a world, too, with the same expectations. These things differ: what in a world pipes, terminals, eventfds, timerfds -ENOSYS, with words on stderr, where they would be waited for raw and packet sockets, SOCK_SEQPACKET, multicast, broadcast -ENOSYS, with words urgent data (MSG_OOB), passed descriptors (SCM_RIGHTS) -ENOSYS, with words copies (dup) of a socket a number that no call takes: EBADF close(2) of a socket the world does not see it; it is found later, and the run has failed error queues (MSG_ERRQUEUE), SO_PEEK_OFF nothing in the queue; no effect keepalive, TCP_USER_TIMEOUT, TCP_NODELAY and other options remembered, no effect SO_SNDBUF, SO_RCVBUF of TCP: together a limit of what is on the way, if the sender has set its own TIME_WAIT none: a port is free once its socket is closed ports that the system chooses from 32768 up, in order, one for each socket congestion control, Nagle, delayed ACKs none; a reader gives credit when half the window is free paths of Unix sockets a host's own, no files; rename(2) does not find them; the mode is 0755 memory that is no memory (EFAULT) a fault of the program an edge-triggered watch beside a level-triggered one on a descriptor its looks stop the clock while both hold a program that is always ready to run time stands still: a busy loop TLS with ECDSA certificates the signature's length is OpenSSL's chance, so two runs may differ"
},
{
"title": "Time that takes no time – 17. Testing",
"url": "docs/guide/17-testing.html#time-that-takes-no-time",
"text": "docs/guide/code/virtual.c /* Under the virtual clock an hour takes no time, and is exact. */ #include <asyncio.h> #include <assert.h> #include <errno.h> #include <stdio.h> /* Under test: tries again after 1, 2, 4, ... seconds, for an hour at most. */ static int connect_patiently(int (*try_once)(void)) { int err; ASYNCIO_TIMEOUT(err, 3600) { double pause = 1; while ((err = try_once()) == -ECONNREFUSED) { int slept = asyncio_sleep(pause); if (slept) { err = slept; break; } pause *= 2; } } return err; } static int tries; static int refuse(void) { tries++; return -ECONNREFUSED; } ASYNC(test_gives_up_after_an_hour) { double start = asyncio_time(); int err = connect_patiently(refuse); assert(err == -ETIMEDOUT); assert(asyncio_time() - start == 3600); assert(tries == 12); printf(\"gave up after %g s and %d tries\\n\", asyncio_time() - start, tries); return 0; } int main(void) { asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL}; return asyncio_run_with(test_gives_up_after_an_hour(), &options) < 0; } docs/guide/code/virtual.out gave up after 3600 s and 12 tries With .clock = ASYNCIO_CLOCK_VIRTUAL the loop's clock stands still while anything runs, and jumps to the next timer when nothing is ready. Sleeps and timeouts end at once, and at exactly the right time: the test can demand == 3600. Code under test uses asyncio_time(), asyncio_sleep and timeouts, and needs no change. When nothing is ready and no timer is set, nothing can ever happen again. A loop with the real clock waits for the outside world. One with the virtual clock ends the run with -EDEADLK, and reports which task waits for which (chapter 18). So a test that would hang fails instead."
},
{
"title": "Orders – 17. Testing",
"url": "docs/guide/17-testing.html#orders",
"text": "Tasks run in the order in which they became ready. A program can come to depend on that order by accident: two tasks share a variable, one waits between a look and a change, and it works only because the other came first. A seed shuffles the ready tasks in each iteration of the loop, always in the same way for the same seed: docs/guide/code/seeds.c /* A bug that depends on the order of tasks, found by trying orders. */ #include <asyncio.h> #include <stdio.h> static int balance; /* Between the look and the change others run. */ ASYNC(withdraw, int, amount, int, delay) { for (int i = 0; i < delay; i++) asyncio_sleep(0); if (balance < amount) return 0; asyncio_sleep(0); /* say, a line in a log */ balance -= amount; return amount; } ASYNC(scenario) { balance = 100; return asyncio_gather(NULL, withdraw(100, 0), withdraw(100, 1)); } /* Runs the scenario in the order of a seed. Is the balance possible? */ static int is_sound(uint64_t seed) { asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL, .seed = seed}; asyncio_run_with(scenario(), &options); return balance >= 0; } int main(void) { printf(\"in the usual order: %s\\n\", is_sound(0) ? \"sound\" : \"broken\"); uint64_t seed = 1; while (seed <= 100 && is_sound(seed)) seed++; printf(\"in some order: %s\\n\", seed <= 100 ? \"broken\" : \"sound\"); printf(\"the same seed again: %s\\n\", is_sound(seed) ? \"sound\" : \"broken\"); return 0; } docs/guide/code/seeds.out in the usual order: sound in some order: broken the same seed again: broken A program that synchronises its shared data works in every such order. So run your tests under fifty seeds, and print the seed that fails. ASYNCIO_SEED=n in the environment sets a seed for a program that sets none: a program that fails once a week may fail at once under some seed. The library's own tests do the same (internals)."
},
{
"title": "Cancelled at every point – 17. Testing",
"url": "docs/guide/17-testing.html#cancelled-at-every-point",
"text": "Asynchronous code often breaks where a task is cancelled between two steps. Waits are the only such points, so a test can try them all. Run the function as a task and cancel it at its first wait; in the next run at its second; and so on, until it ends first. After each run check that nothing is left behind, by asyncio_all_tasks and a leak checker. asyncio_sim_sweep_cancel above does all of that. Our own harness does it to every call that waits (sweep_cancels in tests/support/harness.h). Next: Debugging"
},
{
"title": "18. Debugging",
"url": "docs/guide/18-debugging.html#18-debugging",
"text": ""
},
{
"title": "A server hangs – 18. Debugging",
"url": "docs/guide/18-debugging.html#a-server-hangs",
"text": "It answers nothing, uses no CPU, and the log says nothing. Here is one that does so, a small one: docs/guide/code/hang.c /* Two transfers lock the same two accounts in opposite orders: the program hangs. */ #include <asyncio.h> #include <stdio.h> static asyncio_lock alice = ASYNCIO_LOCK_INIT; static asyncio_lock bob = ASYNCIO_LOCK_INIT; static int move_money(asyncio_lock *from, asyncio_lock *to) { int err = asyncio_lock_acquire(from); if (err) return err; asyncio_sleep(0.001); /* asks the bank */ err = asyncio_lock_acquire(to); if (!err) asyncio_lock_release(to); asyncio_lock_release(from); return err; } ASYNC(transfer, asyncio_lock *, from, asyncio_lock *, to) { int err = move_money(from, to); puts(err ? \"not moved\" : \"moved\"); return err; } ASYNC(async_main) { int err = 0; asyncio_task_group group; ASYNCIO_TASK_GROUP(group, err) { asyncio_task *there = asyncio_task_group_create_task(&group, transfer(&alice, &bob)); asyncio_task *back = asyncio_task_group_create_task(&group, transfer(&bob, &alice)); asyncio_task_set_name(there, \"alice-to-bob\"); asyncio_task_set_name(back, \"bob-to-alice\"); puts(\"ready\"); fflush(stdout); } return err; } int main(void) { return asyncio_main(async_main()); } The command asyncio looks into a process from outside. It needs no preparation: no option, no signal, no rebuild, not even debug information, but for file names and lines. docs/guide/code/hang.pstree $ asyncio pstree $(pidof hang) cycle: alice-to-bob waits for lock bob, held by bob-to-alice; bob-to-alice waits for lock alice, held by alice-to-bob loop 1, thread 13126: 3 tasks, 0 ready, 0 timers, waits since 12.305 s └─ Task-1 async_main: group, 2 left, since 12.307 s, made at runners.c:210 │ async_main hang.c:32 ├─ alice-to-bob transfer: lock, bob, held by bob-to-alice (3), since 12.305 s, made at hang.c:33 │ move_money hang.c:14 │ transfer hang.c:23 └─ bob-to-alice transfer: lock, alice, held by alice-to-bob (2), since 12.305 s, made at hang.c:34 move_money hang.c:14 transfer hang.c:23 The first line is the answer. Below it stands who awaits whom, each task with what it waits for, since when, where it was made, and its stack: both transfers wait at line 14, for the lock that the other one holds. Take locks in one order everywhere, and the hang is gone. asyncio ps prints the same as a table, a line a task. Both know every kind of wait: a descriptor with its addresses, a lock with its owner, a queue with its fill, a timer with what is left, a child, a thread, a group with its children."
},
{
"title": "If it is not a deadlock – 18. Debugging",
"url": "docs/guide/18-debugging.html#if-it-is-not-a-deadlock",
"text": "what you see what it means runs Task-7 in the loop's line, and running with a stack that task computes, or is in a call that blocks its thread: the stack says where. Give it to asyncio_to_thread, or let it give way (asyncio_sleep(0)) all tasks ready, none running the loop is inside a callback, whose stack is shown many tasks wait for one lock the owner is named: look at what that one waits for put into jobs, 100 of 100 nobody takes items out: look for the consumers read, fd 7, tcp 10.0.0.2:443 <- 10.0.0.9:51234, since an hour the peer is silent, and the read has no timeout on thread 4251 the function given to another thread does not return. gdb -p, thread apply all bt starts, and more of them each time you look the program makes tasks faster than they end Options find the one among many: --wait lock, --older 10, --name 'client*', --loop 1, --stack=3. From 51 tasks on, tasks in equal state with equal stacks are one line: 10,000 connections that wait for a request take one. --json and --dot are for programs. The manual page, asyncio(1), has them all."
},
{
"title": "It hangs now and then – 18. Debugging",
"url": "docs/guide/18-debugging.html#it-hangs-now-and-then",
"text": "A server that answers again by the time you look was held: for a second, one task or callback did not give way. The watchdog is a thread that sees that while it lasts, and says who it is and what it does. docs/guide/code/held.c /* The watchdog tells who holds the loop, while that lasts. */ #include <asyncio.h> #include <unistd.h> ASYNC(report) { sleep(1); /* a call that blocks: of a database's plain client, say */ return 0; } ASYNC(async_main) { return asyncio_await(asyncio_create_task(report())); } int main(void) { asyncio_run_options options = {.watchdog = 0.1}; return asyncio_run_with(async_main(), &options) < 0; } docs/guide/code/held.out asyncio: loop 1 has been held for 0.101 s by task 'Task-2' of report, made at held.c:13: it is in clock_nanosleep asyncio: loop 1 goes on, after 1.000 s Here the task sits in a system call. Descriptors are named (it is in read(5), pipe:[4711]); futex is a lock or a condition variable of threads. Give such calls to asyncio_to_thread. A task that computes is asked where it is, by a signal, and a second line has the calls that it is in, the innermost first: asyncio: loop 1 has been held for 0.119 s by task 'Task-7' of handle, made at server.c:88: it computes asyncio: parse_number+0x5d parse_json+0x2a server+0x122fd server+0x1753f server+0x10fa1 asyncio symbolise server < log makes server+0x122fd into a function, a file and a line. Such a task gives way with asyncio_sleep(0) now and then, or is work for asyncio_to_thread, too. The watchdog is cheap enough for production: the steps of a loop that is watched do nothing for it. The thread wakes four times within the limit, and once a second while all loops sleep. It is off unless .watchdog has a limit in seconds; debug mode has 0.5. Time in which the process was stopped or had no processor does not count, and under a debugger nothing is told. asyncio_set_stall_handler (asyncio/inspect.h) gives you the same as data, in place of the lines."
},
{
"title": "In production – 18. Debugging",
"url": "docs/guide/18-debugging.html#in-production",
"text": "A process that waits is not even stopped: its memory is copied while it runs, and compared once more. Only if something has changed, or a task runs, are the threads of its loops stopped, for a moment: for 0.3 ms with 1,000 tasks, for 19 ms with 100,000. Looking takes the rights that a debugger needs: root, or the user of the process where /proc/sys/kernel/yama/ptrace_scope is 0. A process in a container is looked at from outside, by its number there. asyncio save PID FILE keeps what it would show, for later. Core files of the kernel have it, too: asyncio pstree core. (Those that gdb's gcore makes have zeros where the stacks were.)"
},
{
"title": "Debug mode – 18. Debugging",
"url": "docs/guide/18-debugging.html#debug-mode",
"text": "ASYNCIO_DEBUG=1 in the environment switches debug mode on, without a rebuild; so does .debug = 1 in the options, or asyncio_loop_set_debug. It costs time, since every step of a task then goes through the loop. It reports: a loop that is held (see above), after half a second; a slow step: a task or callback that kept all others waiting for 0.1 s or more (asyncio_loop_set_slow_callback_duration changes the limit); a deadlock: tasks wait, nothing is ready, and there is no timer. Under the real clock a signal or another thread may still wake one, so debug mode reports this once, and the loop goes on waiting. It reports nothing while another holder has a reference to the loop (asyncio_loop_ref), as a thread that posts to it should; a lost outcome: a return or goto out of a timeout or group that had expired or failed. The variable may be a list of words instead, as ASYNCIO_DEBUG=slow=0.02,watchdog=2,block,cancel. slow and watchdog set the limits of the first two above, in seconds (watchdog=0: not that one). The others check more: block: a step that slept in the kernel, so one that makes a call that blocks, however short. Pages of files that had to be read, and the start of a child process, do not count; cancel: a task that goes on after a request to cancel was delivered to it: it waits more than twenty times, or for more than five seconds, and neither ends nor calls asyncio_task_uncancel. Most often an error was thrown away; stacks: when a loop closes, how much of its stack the deepest task of each coroutine had used, in whole pages. It helps to choose stack_size; fd: two tasks that read from, or write to, one pipe or stream socket at the same time, so that their bytes are mixed; a descriptor that is used and is not open, or is closed while a task is in a call on it. Each is a line on stderr, or a call of the loop's exception handler, like all reports. docs/guide/code/slow.c /* Debug mode reports a step that makes all others wait. */ #include <asyncio.h> #include <stdio.h> #include <unistd.h> ASYNC(rude) { usleep(150000); /* blocks the thread, and so the loop */ return 0; } ASYNC(async_main) { return asyncio_await(asyncio_create_task(rude())); } int main(void) { asyncio_run_options options = {.debug = 1}; return asyncio_run_with(async_main(), &options) < 0; } docs/guide/code/slow.out asyncio: a step took 0.153 seconds without waiting; task 'Task-2' of rude, made at slow.c:14"
},
{
"title": "From inside – 18. Debugging",
"url": "docs/guide/18-debugging.html#from-inside",
"text": "A program can tell the same of itself, in a handler of a request for its state, say, or before it gives up: docs/guide/code/tasks.c /* A program that says what its tasks wait for. */ #include <asyncio.h> static asyncio_event opened = ASYNCIO_EVENT_INIT; ASYNC(visitor) { return asyncio_event_wait(&opened); } ASYNC(guide) { return asyncio_await(asyncio_create_task(visitor())); } ASYNC(async_main) { asyncio_task *task = asyncio_create_task(guide()); asyncio_task_set_name(task, \"guide\"); asyncio_sleep(0.001); /* both have begun */ asyncio_print_tasks(stdout); asyncio_event_set(&opened); return asyncio_await(task); } int main(void) { return asyncio_main(async_main()); } docs/guide/code/tasks.out loop 1: 3 tasks, 0 timers Task-1 of async_main: runs, made at runners.c:212 guide of guide: awaits task 'Task-3', made at tasks.c:18 Task-3 of visitor: waits in event, made at tasks.c:13 asyncio_print_call_graph(task, file) prints one task with the calls that it is in, then the tasks that wait for it with theirs, up to the first one. asyncio_capture_call_graph gives the same as data. Functions that a program does not export have no name in it: they stand as program+0x1234, which asyncio symbolise makes into names and lines. In a signal handler neither works. asyncio_dump_signalsafe(fd) does: it writes the name, the wait and the place of every task of every loop, whatever the program is in the middle of. In debug mode it is bound to SIGQUIT, so that Ctrl-\\ in the terminal, or kill -QUIT, shows the tasks, and the program goes on."
},
{
"title": "Metrics – 18. Debugging",
"url": "docs/guide/18-debugging.html#metrics",
"text": "asyncio_loop_get_metrics is for a monitor that asks every few seconds. It tells how many tasks, timers and descriptors a loop has, how many steps it has made, and since the last time: lag (median, 99th percentile, longest): how long an event that came had to wait until the loop looked. A lag of some milliseconds is a loop with much to do; a second is a task that did not give way; the longest step: the longest time without a wait. They are always counted."
},
{
"title": "What happened, step by step – 18. Debugging",
"url": "docs/guide/18-debugging.html#what-happened-step-by-step",
"text": "A trace has what a loop did last: each step of a task and what it waited in then, who woke it, tasks made and ended, callbacks and polls. It takes no rebuild, and is cheap enough for production: ASYNCIO_TRACE=/dev/shm/server.trace ./server asyncio_loop_trace begins one from within, and asyncio_trace_mark puts a mark of your own into it (asyncio/trace.h). The file is a ring of 16,384 records in shared memory (ASYNCIO_TRACE=FILE:RECORDS for another power of two), so it needs no flush: whatever kills the process, the last records are there. A loop without a trace pays nothing; with one, a step takes some 8 ns longer. The file must not exist yet, and is its owner's alone. Put it where files are memory: /dev/shm, or $XDG_RUNTIME_DIR. asyncio trace FILE -o FILE.pftrace writes a picture for Perfetto: what the thread did, a track for each task (running, ready, waiting for what), arrows from who woke a task to its step, and counters of tasks, ready tasks and lag. --text prints a line a record, --json the same for programs, and --last 0.5 keeps the last half second. Drawn of examples/06_worker_pool.c, a trace looks like this: three workers take jobs from a queue, and the last one finds none: --stats adds it all up, for each coroutine: $ asyncio trace --stats pool.trace 57 records of 0.604358 s, 0 older ones are gone 5 polls 604.163 ms, 2 callbacks 0.013 ms coroutine (times in ms) tasks done steps run longest ready p50 p99 max work 3 3 14 0.056 0.024 0.007 0.026 0.026 sleep 8 waits 1610.585 ms queue get 3 waits 202.002 ms async_main 1 1 4 0.042 0.033 0.009 0.031 0.031 queue put 1 waits 0.004 ms queue join 1 waits 604.227 ms task group 1 waits 0.003 ms A large longest is a step that made all others wait; a large ready beside it says who waited for it. Under the virtual clock a trace has virtual times, and two runs with the same seed write the same file, byte by byte: cmp says whether a change of the program has changed what happens."
},
{
"title": "Reports – 18. Debugging",
"url": "docs/guide/18-debugging.html#reports",
"text": "The following reports need no debug mode. Each is a line on stderr, or a call of the loop's exception handler. A deadlock under the virtual clock: docs/guide/code/deadlock.c /* Two tasks that wait for each other. Under the virtual clock that is an error. */ #include <asyncio.h> #include <stdio.h> static asyncio_task *first, *second; ASYNC(wait_for_second) { return asyncio_await(asyncio_ref(second)); } ASYNC(wait_for_first) { return asyncio_await(asyncio_ref(first)); } ASYNC(async_main) { first = asyncio_create_task(wait_for_second()); second = asyncio_create_task(wait_for_first()); intptr_t err = asyncio_await(first); asyncio_release(second); return err; } int main(void) { asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL}; intptr_t err = asyncio_run_with(async_main(), &options); printf(\"%s: %s\\n\", asyncio_errname(err), asyncio_error_message()); return 0; } docs/guide/code/deadlock.out asyncio: deadlock: 3 tasks wait, and nothing left that could wake one asyncio: Task-1 awaits task 'Task-2', in a circle; task 'Task-1' of async_main, made at runners.c:149 asyncio: Task-2 awaits task 'Task-3', in a circle; task 'Task-2' of wait_for_second, made at deadlock.c:19 asyncio: Task-3 awaits task 'Task-2', in a circle; task 'Task-3' of wait_for_first, made at deadlock.c:20 EDEADLK: deadlock: nothing is left that could wake a task A coroutine that was made and forgotten: docs/guide/code/forgotten.c /* Coroutines that were never awaited are reported when the loop closes. */ #include <asyncio.h> ASYNC(save) { return 0; } ASYNC(async_main) { save(); /* makes a coroutine, and forgets it */ return asyncio_sleep(0); } int main(void) { return asyncio_main(async_main()); } docs/guide/code/forgotten.out asyncio: coroutine 'save' was never awaited, made at forgotten.c:4 Three more: a task failed and nobody awaited it (chapter 3); at the end of asyncio_run, a task did not end within ten seconds of its cancel (option shutdown_grace); a task was still pending when its loop was closed."
},
{
"title": "Misuse – 18. Debugging",
"url": "docs/guide/18-debugging.html#misuse",
"text": "Some mistakes no error code can answer. They end the program with a line that says why: a call from the wrong thread; a coroutine used twice; a coroutine that returns inside a scope; a task, stream, server, file, process or the like used after its release. docs/guide/code/stale.c /* A task that is used after its reference was given away. */ #include <asyncio.h> ASYNC(quick) { return 0; } ASYNC(async_main) { asyncio_task *task = asyncio_create_task(quick()); asyncio_await(task); /* takes the reference */ asyncio_cancel(task); /* too late: the task is gone */ return 0; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/stale.out asyncio: asyncio_cancel: used after its release; it was made at stale.c:11 in async_main_coroutine (SIGABRT) The library recognises a released object until its memory is used again; debug mode delays that. Under a sanitizer or Valgrind every object is an allocation of its own, so these always find the mistake."
},
{
"title": "Stacks – 18. Debugging",
"url": "docs/guide/18-debugging.html#stacks",
"text": "A task has 256 KiB of stack by default. Only the touched part takes memory: an idle task often needs a single page. Below each stack lies a guard. When a task runs into it, the library prints the task's name before the program dies of the overflow: docs/guide/code/overflow.c /* A stack that is too small for what it holds. */ #include <asyncio.h> #include <stdio.h> static int deep(int n) { volatile char frame[1024]; frame[0] = (char)n; return n ? deep(n - 1) + (frame[0] == (char)n) : 0; } ASYNC(parse, int, depth) { return deep(depth); } ASYNC(async_main) { asyncio_task_options large = {.name = \"large\", .stack_size = 16 * 1024 * 1024}; intptr_t err = asyncio_await(asyncio_create_task_with(parse(10000), &large)); printf(\"with 16 MiB: %ld\\n\", (long)err); asyncio_task_options usual = {.name = \"usual\"}; return asyncio_await(asyncio_create_task_with(parse(10000), &usual)); } int main(void) { return asyncio_main(async_main()); } docs/guide/code/overflow.out with 16 MiB: 10000 asyncio: stack overflow in task 'usual' of parse, made at overflow.c:24: its stack of 256 KiB is used up; give it more by stack_size (SIGSEGV) stack_size in asyncio_task_options sets the size for one task, in asyncio_run_options for all. The compiler's -Wframe-larger-than=16384 finds large frames early. A frame larger than the guard (64 KiB) can jump over it, unless you compile with -fstack-clash-protection, which touches each page of such a frame in order. pkg-config --cflags asyncio contains that option where the compiler has it. The compilers of Ubuntu and Fedora use it by default, Debian's gcc does not."
},
{
"title": "gdb – 18. Debugging",
"url": "docs/guide/18-debugging.html#gdb",
"text": "A task's stack is an ordinary stack, and backtrace shows all of it, down to the library's own frames at the bottom. The body of a coroutine load is a function named load_coroutine: (gdb) break load_coroutine (gdb) run (gdb) backtrace #0 parse (text=0x0) at program.c:7 #1 load_coroutine (name=0x0) at program.c:15 #2 load_coroutine_start_ (asyncio_place_=0x7ffff79e0140) at program.c:13 #3 run_body (task=<optimized out>, loop=0x55555556f520) at src/core/switch.c:164 #4 run_tasks (loop=0x55555556f520) at src/core/switch.c:182 #5 task_main (arg=0x55555556f520) at src/core/switch.c:206 #6 asy_context_entry () at src/sys/arch/x86_64.S:134 A waiting task has a stack, too, but no thread is on it. A script shows it, in live processes and core files: (gdb) source /usr/share/gdb/auto-load/usr/lib/x86_64-linux-gnu/libasyncio.so.0.1.0-gdb.py (gdb) info asyncio-tasks ID NAME COROUTINE STATE WAITS FOR WHERE 1 Task-1 async_main task group 2 left async_main hang.c:32 2 alice-to-bob transfer lock bob, held by bob-to-alice move_money hang.c:14 3 bob-to-alice transfer lock alice, held by alice-to-bob move_money hang.c:14 (gdb) asyncio-task 2 (gdb) frame function move_money (gdb) info locals err = 0 (gdb) asyncio-task all backtrace asyncio-task 2 goes to the task: backtrace, up, info locals work there until the program runs on, or asyncio-task 0. With a command behind it, as in asyncio-task 2 bt, it runs that one there. asyncio-tree shows who awaits whom. Tasks, futures, locks and queues print in words. gdb loads the script by itself together with a shared library that lies below /usr/lib; for others, and for static programs, source it."
},
{
"title": "Sanitizers and Valgrind – 18. Debugging",
"url": "docs/guide/18-debugging.html#sanitizers-and-valgrind",
"text": "Build the library with -Db_sanitize=address,undefined (or thread), and the program with the matching flags. The library then tells the sanitizer of every switch and every stack. Valgrind needs no rebuild if its header was there when the library was built. make check-asan, check-tsan and check-valgrind run the library's own tests that way. The loop calls an instrument (asyncio_loop_set_instrument) at each step, timer and wait; examples/05_trace.c prints them."
},
{
"title": "3. Results and errors",
"url": "docs/guide/3-results.html#3-results-and-errors",
"text": "Every call that can wait returns a signed number, and so does every coroutine: number meaning >= 0 a value: 0, a count, an index, a pointer cast to intptr_t -errno an error of the system: -ENOENT, -ECONNREFUSED -ECANCELED the task was cancelled: chapter 4 -ETIMEDOUT a timeout expired ASYNCIO_E... an error for which no errno fits: ASYNCIO_ESTATE, ASYNCIO_ENOTASK, ASYNCIO_EGROUP All errors lie in -4095..-1. asyncio_errname(err) returns the name of an error, asyncio_strerror(err) a description. When something fails far away, a code says too little. So an error can carry a message: docs/guide/code/errors.c /* An error is a code and a message; both reach the task that awaits. */ #include <asyncio.h> #include <errno.h> #include <stdio.h> ASYNC(load, const char *, name) { int err = asyncio_sleep(0.1); if (err) return err; if (name[0] != 'a') return asyncio_raise(-ENOENT, \"load %s: there is no such record\", name); return 42; } ASYNC(async_main) { asyncio_task *good = asyncio_create_task(load(\"apple\")); asyncio_task *bad = asyncio_create_task(load(\"pear\")); printf(\"apple: %ld\\n\", (long)asyncio_await(good)); intptr_t result = asyncio_await(bad); printf(\"pear: %s (%s)\\n\", asyncio_errname(result), asyncio_strerror(result)); printf(\" %s\\n\", asyncio_error_message()); return result; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/errors.out apple: 42 pear: ENOENT (No such file or directory) load pear: there is no such record errors: load pear: there is no such record (ENOENT) (exit status 1) asyncio_raise(err, format, ...) returns err, so that you can write it after return. The message stays with the task until the task's next error replaces it. A task that awaits this one gets the message with the result, and reads it by asyncio_error_message(); that pointer is valid until the next call that can wait. asyncio_main printed the last line."
},
{
"title": "All outcomes – 3. Results and errors",
"url": "docs/guide/3-results.html#all-outcomes",
"text": "docs/guide/code/settled.c /* Every outcome of several tasks, errors included: gather_settled. */ #include <asyncio.h> #include <errno.h> #include <stdio.h> ASYNC(divide, int, a, int, b) { int err = asyncio_sleep(0.1); if (err) return err; return b ? a / b : -EDOM; } ASYNC(wait_for_ever) { return asyncio_sleep(ASYNCIO_FOREVER); } ASYNC(async_main) { intptr_t results[3]; int err = asyncio_gather_settled(results, divide(6, 3), divide(1, 0), divide(9, 3)); if (err) return err; for (int i = 0; i < 3; i++) printf(\"%d: %ld (%s)\\n\", i, (long)results[i], asyncio_errname(results[i])); /* The first error cancels the rest, and is returned. */ err = asyncio_gather(results, divide(6, 3), divide(1, 0), wait_for_ever()); printf(\"gather: %s; the third: %s\\n\", asyncio_errname(err), asyncio_errname(results[2])); return 0; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/settled.out 0: 2 (OK) 1: -33 (EDOM) 2: 3 (OK) gather: EDOM; the third: ECANCELED asyncio_await returns -ECANCELED in two cases: the awaited task returned it, or the waiting task was cancelled. Usually you pass on both, and the difference does not matter. Where it does, asyncio_join(task, &result) keeps the two apart: it returns the status of the wait, and stores the result."
},
{
"title": "Failures that nobody sees – 3. Results and errors",
"url": "docs/guide/3-results.html#failures-that-nobody-sees",
"text": "docs/guide/code/unseen.c /* Nothing fails in silence: a failed task that nobody looked at is reported. */ #include <asyncio.h> #include <errno.h> ASYNC(doomed) { return asyncio_raise(-EIO, \"the disk is on fire\"); } ASYNC(async_main) { asyncio_release(asyncio_create_task(doomed())); /* fire and forget */ return asyncio_sleep(0.1); } int main(void) { return asyncio_main(async_main()); } docs/guide/code/unseen.out asyncio: task failed and nobody awaited it: the disk is on fire (EIO); task 'Task-2' of doomed, made at unseen.c:12 A task counts as seen once its result was awaited, gathered or read by asyncio_result. A task that failed unseen is reported when its last reference goes; so is a future. A coroutine that never started is reported, too. Reports go to the loop's exception handler, which by default prints a line on stderr; asyncio_loop_set_exception_handler sets another one."
},
{
"title": "Who frees what – 3. Results and errors",
"url": "docs/guide/3-results.html#who-frees-what",
"text": "A coroutine has one owner. Awaiting, starting or closing it ends the ownership. Tasks and futures count their references: asyncio_ref, asyncio_release, and the calls that take a reference. The parameters of an ASYNC function are copied by value. The data that they point to must live until the coroutine ends. A local of the caller is fine if the caller waits for the task; gather, wait_for and groups wait on every path. A coroutine that owns its argument has a drop function, which frees it. It runs once, whether the body ran or not: docs/guide/code/ownership.c /* Ownership: arguments that own memory, with a drop function. */ #include <asyncio.h> #include <errno.h> #include <stdio.h> #include <stdlib.h> #include <string.h> struct job { char *text; }; static intptr_t run_job(void *arg) { struct job *job = arg; int err = asyncio_sleep(0.1); if (err) return err; printf(\"done: %s\\n\", job->text); return 0; } /* Runs once: after the body, or when the coroutine never starts. */ static void drop_job(void *arg) { struct job *job = arg; printf(\"freed: %s\\n\", job->text); free(job->text); free(job); } static asyncio_coro *job_new(const char *text) { struct job *job = malloc(sizeof *job); if (!job) return NULL; /* awaiting NULL gives -ENOMEM */ job->text = strdup(text); if (!job->text) { free(job); return NULL; } return asyncio_coro_new(run_job, job, drop_job); } ASYNC(async_main) { asyncio_coro_close(job_new(\"one that is never started\")); asyncio_task *task = asyncio_create_task(job_new(\"one that is cancelled\")); asyncio_cancel(task); intptr_t err = asyncio_await(task); printf(\"its result: %s\\n\", asyncio_errname(err)); err = asyncio_await(job_new(\"one that runs\")); if (err) return err; return asyncio_await((asyncio_coro *)NULL) == -ENOMEM ? 0 : 1; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/ownership.out freed: one that is never started freed: one that is cancelled its result: ECANCELED done: one that runs freed: one that runs A task that is cancelled before its first step still runs its body, and its first wait returns -ECANCELED. So cleanup code at the end of a body is always reached. When memory runs out, asyncio_create_task and the coroutine functions return NULL, and awaiting NULL returns -ENOMEM: one check, at the await, is enough. Next: Cancellation"
},
{
"title": "4. Cancellation",
"url": "docs/guide/4-cancellation.html#4-cancellation",
"text": "asyncio_cancel(task) asks a task to end. It does not stop the task: the call in which the task waits returns -ECANCELED, and the task decides. Well-behaved code cleans up and returns the error, like any other error. docs/guide/code/cancel.c /* The call in which a task waits delivers a request to cancel. */ #include <asyncio.h> #include <errno.h> #include <stdio.h> ASYNC(worker) { int err = 0; for (int i = 1; !err; i++) { printf(\"step %d\\n\", i); err = asyncio_sleep(0.2); } /* Cleanup is straight-line code, and may wait: the request was delivered. */ puts(\"cleaning up\"); asyncio_sleep(0.1); puts(\"clean\"); return err; /* pass -ECANCELED on */ } ASYNC(async_main) { asyncio_task *task = asyncio_create_task(worker()); int err = asyncio_sleep(0.5); if (err) return err; asyncio_cancel_with(task, \"enough of it\"); intptr_t result = asyncio_await(task); printf(\"the worker ended with %s: %s\\n\", asyncio_errname(result), asyncio_error_message()); return 0; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/cancel.out step 1 step 2 step 3 cleaning up clean the worker ended with ECANCELED: enough of it Rules that always hold: Once. One call delivers the request. Later calls wait as usual, so cleanup may wait. Several requests delivered together are one -ECANCELED. Only by a wait. A call that can complete at once (a free lock, a task that has ended) completes. The request stays until a call has to wait. A grant is kept. If a task was handed a lock, an item or a result, and is cancelled before it runs again, it still gets it. The request stays for its next wait. Nothing is lost in between. Down the chain. A task that awaits another task passes the request on to it. The await returns what the other task returns: -ECANCELED, or a value if that task caught the request. A returned value stands. If a task ends without waiting again, it keeps its result, and the request is dropped. asyncio_cancelled(task) asks whether the result is -ECANCELED. A task that catches a request and goes on calls asyncio_task_uncancel(asyncio_current_task()), since enclosing timeouts and groups count requests."
},
{
"title": "Timeouts – 4. Cancellation",
"url": "docs/guide/4-cancellation.html#timeouts",
"text": "docs/guide/code/timeout.c /* Timeouts: as a block, and for one awaitable. */ #include <asyncio.h> #include <errno.h> #include <stdio.h> static int fetch(double takes) { return asyncio_sleep(takes); } ASYNC(slow) { return asyncio_sleep(10); } ASYNC(async_main) { int err; ASYNCIO_TIMEOUT(err, 0.3) { err = fetch(0.1); if (err < 0) break; /* leaves the block */ err = fetch(0.1); } printf(\"two fetches: %s\\n\", asyncio_errname(err)); ASYNCIO_TIMEOUT(err, 0.3) { err = fetch(0.1); if (err < 0) break; err = fetch(10); } printf(\"a slow one: %s\\n\", asyncio_errname(err)); intptr_t result = asyncio_wait_for(slow(), 0.1); printf(\"wait_for: %s\\n\", asyncio_errname(result)); return 0; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/timeout.out two fetches: OK a slow one: ETIMEDOUT wait_for: ETIMEDOUT ASYNCIO_TIMEOUT(err, seconds) { } is a block. When its time is up, the call that waits inside returns -ECANCELED, like any cancelled call. At the end of the block, the -ECANCELED in err becomes -ETIMEDOUT. A cancel from elsewhere stays -ECANCELED. err is any signed variable of yours; the block sets it to 0 on entry. break and continue leave the block, not a loop around it. You may return from inside, but the returned value is not converted: prefer break, and return after the block. Without the macro, you can also move the deadline: asyncio_timeout timeout; intptr_t err = asyncio_timeout_enter(&timeout, 2.0); if (err) return err; err = work(); asyncio_timeout_reschedule(&timeout, asyncio_time() + 1.0); if (err >= 0) err = more_work(); return asyncio_timeout_exit(&timeout, err); asyncio_wait_for(x, seconds) is a timeout around one await. It cancels x at the deadline and waits until x has ended, so nothing goes on behind your back. If x returns a value in spite of the cancel, so does asyncio_wait_for. The loop notices deadlines when it runs. If a task computes for a second without waiting, a timeout can be a second late."
},
{
"title": "Trying again – 4. Cancellation",
"url": "docs/guide/4-cancellation.html#trying-again",
"text": "A program that retries needs two limits: one for each try and one for all of them. And when time is up, it should say more than -ETIMEDOUT: why the last try failed. A message lasts until the next call that can wait, so this program copies it before the pause. docs/guide/code/retry.c /* Tries again, with growing pauses, and at the end says why the last try failed. */ #include <asyncio.h> #include <errno.h> #include <stdbool.h> #include <stdio.h> #include <stdlib.h> #define TRY_S 2.0 #define PAUSE_S 0.02 /* after the first failure; doubled each time */ #define PAUSE_MAX_S 1.0 /* May the next try succeed? A wrong name stays wrong, and a cancel is meant for us. */ static bool may_pass(int err) { return err == -ECONNREFUSED || err == -ECONNRESET || err == -ETIMEDOUT || err == -EHOSTUNREACH; } static int try_patiently(int (*try_once)(void), double seconds) { char why[256]; double pause = PAUSE_S; int err, last = 0; ASYNCIO_TIMEOUT(err, seconds) { for (;;) { ASYNCIO_TIMEOUT(err, TRY_S) { err = try_once(); } if (!may_pass(err)) break; last = err; snprintf(why, sizeof why, \"%s\", asyncio_error_message()); /* before the next wait */ err = asyncio_sleep(pause * (0.5 + 0.5 * (double)random() / RAND_MAX)); /* not all at once */ if (err) break; pause = pause * 2 < PAUSE_MAX_S ? pause * 2 : PAUSE_MAX_S; } } if (err == -ETIMEDOUT && last) return (int)asyncio_raise(last, \"%s; given up after %g s\", why, seconds); return err; } /* ---- A server that is late, one that does not come, and one that there cannot be ---- */ static int calls; static int reach_late_one(void) { return ++calls < 4 ? (int)asyncio_raise(-ECONNREFUSED, \"connect to late:80: connection refused\") : 0; } static int reach_dead_one(void) { return (int)asyncio_raise(-ECONNREFUSED, \"connect to dead:80: connection refused\"); } static int reach_wrong_one(void) { return (int)asyncio_raise(-EINVAL, \"\\\"no such:80\\\" is no address\"); } static void tell(int err) { printf(\"%s%s%s\\n\", asyncio_errname(err), err ? \": \" : \"\", err ? asyncio_error_message() : \"\"); } ASYNC(async_main) { tell(try_patiently(reach_late_one, 10)); printf(\"%d calls\\n\", calls); tell(try_patiently(reach_dead_one, 0.2)); tell(try_patiently(reach_wrong_one, 10)); return 0; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/retry.out OK 4 calls ECONNREFUSED: connect to dead:80: connection refused; given up after 0.2 s EINVAL: \"no such:80\" is no address An error that no retry can mend, a cancel included, ends the loop at once. The pauses grow, to spare a server that is just coming up again. They are random, so that its clients do not all return at the same time."
},
{
"title": "Shields – 4. Cancellation",
"url": "docs/guide/4-cancellation.html#shields",
"text": "docs/guide/code/shield.c /* A shielded block runs to its end, even if its task is cancelled. */ #include <asyncio.h> #include <errno.h> #include <stdio.h> ASYNC(transfer) { ASYNCIO_SHIELD_SCOPE { puts(\"debit\"); asyncio_sleep(0.2); /* no request gets in here */ puts(\"credit\"); } int err = asyncio_sleep(10); /* but here */ printf(\"after the shield: %s\\n\", asyncio_errname(err)); return err; } ASYNC(async_main) { asyncio_task *task = asyncio_create_task(transfer()); int err = asyncio_sleep(0.1); if (err) return err; puts(\"cancel\"); asyncio_cancel(task); asyncio_await(task); return 0; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/shield.out debit cancel credit after the shield: ECANCELED Inside ASYNCIO_SHIELD_SCOPE { } no request from outside is delivered; the first wait after the block delivers it. Timeouts and groups that begin inside the block still work, so shielded cleanup can have a time limit: ASYNCIO_SHIELD_SCOPE { int err; ASYNCIO_TIMEOUT(err, 5.0) { err = say_goodbye(connection); } } asyncio_shield(x) is Python's shield: a cancel returns to the caller at once, and x goes on without it. So x must own everything that it uses, and never use the caller's locals. Prefer the block. Next: Task groups"
},
{
"title": "5. Task groups",
"url": "docs/guide/5-groups.html#5-task-groups",
"text": "A task that outlives the function that started it is trouble: it uses memory that is gone, and its error has nowhere to go. A task group is a block that ends only when all tasks started in it have ended. docs/guide/code/group.c /* A task group ends when all of its tasks have ended. */ #include <asyncio.h> #include <errno.h> #include <stdio.h> ASYNC(step, const char *, name, double, takes, int, result) { int err = asyncio_sleep(takes); printf(\"%s: %s\\n\", name, asyncio_errname(err ? err : result)); return err ? err : result; } ASYNC(async_main) { asyncio_task_group group; int err; ASYNCIO_TASK_GROUP(group, err) { asyncio_task_group_create_task(&group, step(\"one\", 0.1, 0)); asyncio_task_group_create_task(&group, step(\"two\", 0.2, 0)); } printf(\"the first group: %s\\n\", asyncio_errname(err)); ASYNCIO_TASK_GROUP(group, err) { asyncio_task_group_create_task(&group, step(\"three\", 0.1, -EIO)); asyncio_task_group_create_task(&group, step(\"four\", 10, 0)); err = asyncio_sleep(10); printf(\"the body: %s\\n\", asyncio_errname(err)); } printf(\"the second group: %s\\n\", asyncio_errname(err)); return 0; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/group.out one: OK two: OK the first group: OK three: EIO four: ECANCELED the body: ECANCELED the second group: EIO When a task fails, the group cancels the other tasks and the body of the block, and the block's outcome is the failure. A cancelled task has not failed. The way out of the block matters: way out the tasks its end, continue are waited for; if err is below 0, they are cancelled first break, return, goto are cancelled, and waited for If the task that waits at the end of the block is cancelled, so are the tasks of the group. asyncio_task_group_cancel(&group) ends a group early, without an error."
},
{
"title": "Several failures, and results – 5. Task groups",
"url": "docs/guide/5-groups.html#several-failures-and-results",
"text": "docs/guide/code/group_errors.c /* Several failures give ASYNCIO_EGROUP, and a list; and the results of children. */ #include <asyncio.h> #include <errno.h> #include <stdio.h> ASYNC(fail, intptr_t, err) { return asyncio_raise(err, \"this failed with %s\", asyncio_errname(err)); } ASYNC(square, int, n) { int err = asyncio_sleep(0.1); return err ? err : n * n; } ASYNC(async_main) { asyncio_task_group group; int err; ASYNCIO_TASK_GROUP(group, err) { asyncio_task_group_create_task(&group, fail(-EIO)); asyncio_task_group_create_task(&group, fail(-ENOENT)); } printf(\"%s: %s\\n\", asyncio_errname(err), asyncio_error_message()); for (size_t i = 0; i < asyncio_task_group_error_count(&group); i++) printf(\" %s\\n\", asyncio_errname(asyncio_task_group_error(&group, i))); /* A child is borrowed; a reference keeps it beyond the group. */ asyncio_task *squares[3]; ASYNCIO_TASK_GROUP(group, err) { for (int i = 0; i < 3; i++) squares[i] = asyncio_ref(asyncio_task_group_create_task(&group, square(i))); } for (int i = 0; i < 3; i++) { printf(\"%ld\\n\", (long)asyncio_result(squares[i])); asyncio_release(squares[i]); } return err; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/group_errors.out ASYNCIO_EGROUP: 2 failures in a task group; the first: this failed with EIO EIO ENOENT 0 1 4 A single failure is the outcome itself. Several give ASYNCIO_EGROUP; asyncio_task_group_error_count and _error list them (the first eight are kept)."
},
{
"title": "Limits, and children that say when they are ready – 5. Task groups",
"url": "docs/guide/5-groups.html#limits-and-children-that-say-when-they-are-ready",
"text": "A group with a limit runs so many children at a time: with that many, the task that entered the group waits in asyncio_task_group_create_task until one has ended. That keeps a loop over a million pages from making a million tasks. asyncio_task_group_start makes a child and waits until that says, by asyncio_started(value), that others may use it; the value is the result. docs/guide/code/limit.c /* A group whose children say when they are ready, and a group with a limit. */ #include <asyncio.h> #include <stdio.h> /* A service that takes a while until others may use it. */ ASYNC(serve, int, port) { int err = asyncio_sleep(0.2); if (err) return err; puts(\"the service is ready\"); asyncio_started(port); return asyncio_sleep(ASYNCIO_FOREVER); } ASYNC(fetch, int, port, int, page) { printf(\"asks port %d for page %d\\n\", port, page); return asyncio_sleep(0.1); } ASYNC(fetch_all, int, port) { asyncio_task_group pages; int err; ASYNCIO_TASK_GROUP(pages, err) { asyncio_task_group_set_limit(&pages, 2); for (int page = 1; page <= 5; page++) { asyncio_task_group_create_task(&pages, fetch(port, page)); /* waits while two run */ if (page == 3) puts(\"three were made, so one has ended\"); } } return err; } ASYNC(async_main) { asyncio_task_group services; intptr_t err; ASYNCIO_TASK_GROUP(services, err) { err = asyncio_task_group_start(&services, serve(8080)); /* the port, or why it did not start */ if (err >= 0) err = asyncio_await(fetch_all((int)err)); asyncio_task_group_cancel(&services); } puts(err < 0 ? \"failed\" : \"done\"); return err; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/limit.out the service is ready asks port 8080 for page 1 asks port 8080 for page 2 three were made, so one has ended asks port 8080 for page 3 asks port 8080 for page 4 asks port 8080 for page 5 done A child that ends before it has called asyncio_started gives its error to asyncio_task_group_start, and the group goes on: you decide what its failure means. A cancel of the start cancels the child and waits for it. Children that make other children never wait for a place, since they would hold the places that they wait for."
},
{
"title": "The rules – 5. Task groups",
"url": "docs/guide/5-groups.html#the-rules",
"text": "asyncio_task_group_create_task returns a borrowed pointer. It is valid until your next wait; asyncio_ref gives you a reference. Tasks may add tasks to their own group as long as one of the group runs. Without the macro, call asyncio_task_group_enter(&group), and err = asyncio_task_group_exit(&group, err) on every path. Leave scopes (timeouts, groups, shields) in the reverse order of entry. A coroutine that returns while a scope is entered aborts the program with a message that names it. examples/09_supervisor.c is a group that restarts its tasks when they fail. Next: Locks and queues"
},
{
"title": "6. Locks and queues",
"url": "docs/guide/6-locks-and-queues.html#6-locks-and-queues",
"text": "One task runs at a time, and only a wait lets others in. So a counter needs no lock. Neither does a list, as long as no task waits in the middle of a change. You need a lock when a look and a change have a wait between them: docs/guide/code/lock.c /* A lock keeps others out between a look and a change. */ #include <asyncio.h> #include <stdio.h> static asyncio_lock lock = ASYNCIO_LOCK_INIT; static int balance = 100; static int withdraw_locked(int amount) { if (balance < amount) return 0; int err = asyncio_sleep(0.1); /* others run meanwhile, but none enters here */ if (err) return err; balance -= amount; return amount; } ASYNC(withdraw, int, amount) { int err = asyncio_lock_acquire(&lock); if (err) return err; /* not held */ int result = withdraw_locked(amount); asyncio_lock_release(&lock); return result; } ASYNC(async_main) { intptr_t got[2]; int err = asyncio_gather(got, withdraw(100), withdraw(100)); if (err) return err; printf(\"got %ld and %ld; left: %d\\n\", (long)got[0], (long)got[1], balance); return 0; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/lock.out got 100 and 0; left: 0 Without the lock both tasks would have seen 100. (Seeds find such bugs: chapter 17.) All of these are plain structs: static ones have an initialiser, members of your structs an _init function. They allocate nothing and need no destructor. They serve the tasks of one loop, not threads. struct calls for asyncio_lock _acquire, _release, _locked one task at a time asyncio_semaphore the same n tasks at a time asyncio_bounded_semaphore the same the same; a release too many is an error asyncio_event _wait, _set, _clear, _is_set something has happened asyncio_condition _acquire, _wait, _wait_for, _notify, _notify_all, _release a change of the data that a lock protects asyncio_barrier _wait, _reset, _abort n tasks have come this far The task that has waited longest goes first. A release hands the lock over: from then on the next task holds it, even if that task is cancelled before it runs; its next wait then delivers the request. So acquire has only two outcomes: 0, and you hold the lock; or an error, and you do not. An event wakes all tasks that wait for it: docs/guide/code/event.c /* An event: several tasks wait until something has happened. */ #include <asyncio.h> #include <stdio.h> static asyncio_event ready = ASYNCIO_EVENT_INIT; ASYNC(client, int, number) { int err = asyncio_event_wait(&ready); if (err) return err; printf(\"client %d goes on\\n\", number); return 0; } ASYNC(start_up) { int err = asyncio_sleep(0.1); if (err) return err; puts(\"ready\"); return asyncio_event_set(&ready); } ASYNC(async_main) { return asyncio_gather(NULL, client(1), client(2), start_up()); } int main(void) { return asyncio_main(async_main()); } docs/guide/code/event.out ready client 1 goes on client 2 goes on examples/07_rate_limiter.c has a semaphore whose places a timer gives back."
},
{
"title": "Queues – 6. Locks and queues",
"url": "docs/guide/6-locks-and-queues.html#queues",
"text": "docs/guide/code/queue.c /* A queue with room for two: the producer waits for the consumer. */ #include <asyncio.h> #include <stdio.h> ASYNC(produce, asyncio_queue *, queue) { int err = 0; for (int i = 1; i <= 4 && !err; i++) { err = asyncio_queue_put(queue, &i); /* copies the item */ if (!err) printf(\"put %d\\n\", i); } asyncio_queue_shutdown(queue, false); /* no more puts; the consumer takes the rest */ return err; } ASYNC(consume, asyncio_queue *, queue) { int item, err; while ((err = asyncio_queue_get(queue, &item)) == 0) { printf(\" got %d\\n\", item); err = asyncio_sleep(0.1); if (err) return err; } return err == ASYNCIO_EQUEUE_SHUTDOWN ? 0 : err; } ASYNC(async_main) { asyncio_queue queue; int err = asyncio_queue_init(&queue, sizeof(int), 2); if (err) return err; err = asyncio_gather(NULL, produce(&queue), consume(&queue)); asyncio_queue_destroy(&queue); return err; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/queue.out put 1 put 2 got 1 put 3 got 2 put 4 got 3 got 4 A queue holds items of one size, and copies them in and out. The third argument of asyncio_queue_init is the number of items it has room for. 0 means no limit: a producer that is faster than its consumer then fills the memory, so set a limit where you can. _init_lifo makes a stack, _init_priority takes the smallest item first. asyncio_queue_shutdown(&queue, false) is the orderly end: put fails from then on, get still takes the items that are there, and then returns ASYNCIO_EQUEUE_SHUTDOWN. With true the queue drops those items. asyncio_queue_join waits until asyncio_queue_task_done was called for each item. A cancelled get or put loses nothing: either the item moved and the call returned 0, or it did not. A call that need not wait does not give way to other tasks. But after every 128 such calls a task gives way once, so that a consumer of a full queue does not starve the rest. examples/06_worker_pool.c is a pool of workers that shuts down in good order."
},
{
"title": "One of several things – 6. Locks and queues",
"url": "docs/guide/6-locks-and-queues.html#one-of-several-things",
"text": "A task that waits for a job or for a word to stop, whichever comes first, makes a case of each and selects: docs/guide/code/select.c /* A worker takes jobs of two sorts, urgent ones first, until it is told to stop or has nothing to do. */ #include <asyncio.h> #include <errno.h> #include <stdio.h> static asyncio_queue urgent, ordinary; static asyncio_event stop = ASYNCIO_EVENT_INIT; ASYNC(work) { for (;;) { int job; asyncio_case cases[] = { ASYNCIO_CASE_EVENT(&stop), ASYNCIO_CASE_GET(&urgent, &job), ASYNCIO_CASE_GET(&ordinary, &job), }; ptrdiff_t which = asyncio_select(cases, 3, 1.0); if (which == -ETIMEDOUT) { puts(\"nothing to do\"); continue; } if (which <= 0) /* stop, or a cancel */ return which; if (cases[which].result < 0) /* the queue was shut down */ return cases[which].result; printf(\"%s job %d\\n\", which == 1 ? \"urgent\" : \"ordinary\", job); } } static void put(asyncio_queue *queue, int job) { asyncio_queue_put_nowait(queue, &job); } ASYNC(async_main) { if (asyncio_queue_init(&urgent, sizeof(int), 8) || asyncio_queue_init(&ordinary, sizeof(int), 8)) return asyncio_raise(-ENOMEM, \"no memory for the queues\"); put(&ordinary, 1); put(&ordinary, 2); put(&urgent, 3); asyncio_task *worker = asyncio_create_task(work()); asyncio_sleep(1.5); put(&ordinary, 4); asyncio_sleep(0.1); asyncio_event_set(&stop); intptr_t err = asyncio_await(worker); asyncio_queue_destroy(&urgent); asyncio_queue_destroy(&ordinary); return err; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/select.out urgent job 3 ordinary job 1 ordinary job 2 nothing to do ordinary job 4 a case happens when result ASYNCIO_CASE_GET(&queue, &item), _PUT an item was taken, or put as asyncio_queue_get, _put ASYNCIO_CASE_EVENT(&event) the event is set 0 ASYNCIO_CASE_LOCK(&lock), _SEMAPHORE(&semaphore) it is the caller's 0 ASYNCIO_CASE_DONE(x) the task or future is done its result ASYNCIO_CASE_FD(fd, poll_events) the descriptor is ready the events, or -EBADF ASYNCIO_CASE_RECEIVE(channel, &item), _SEND an item was received, or sent (chapter 12) as asyncio_channel_receive, _send asyncio_select returns the number of the one case that has happened, and what its call would have returned is in cases[i].result. A queue that is shut down counts, too: look at the result. The other cases have done nothing: no item was taken, no lock acquired. If several can happen at once, the first in the array does, so put the most urgent one first. A timeout of 0 only looks. There is no task for a case, and nothing to clean up: the array may lie on the stack, and be used again. In asyncio you would make a task for each call, wait for the first (asyncio.wait with FIRST_COMPLETED), and cancel the others. Such a loser may have taken an item by then, which you then have to give back. While it waits, a case stands in the queue of its object as a task would, first come, first served. A case of a task or future borrows it: a cancel of the select does not reach it. Next: Streams and servers"
},
{
"title": "7. Streams and servers",
"url": "docs/guide/7-streams-and-servers.html#7-streams-and-servers",
"text": "A stream is a connection with buffers: it buffers the bytes that arrive, queues those that you write, and every call reads as if it blocked. A server accepts connections, and runs a coroutine for each. docs/guide/code/conversation.c /* A server that shouts, and a client that talks to it. */ #include <asyncio.h> #include <ctype.h> #include <stdio.h> /* ---- The server ---- */ ASYNC(shout, asyncio_stream *, stream) { char *line; ssize_t n; while ((n = asyncio_stream_readline(stream, &line)) > 0) { for (ssize_t i = 0; i < n; i++) line[i] = (char)toupper(line[i]); int err = asyncio_stream_write(stream, line, n); if (err) return err; } return n; /* 0: the end; else an error. The server closes the stream. */ } static asyncio_coro *handler(asyncio_stream *stream, void *arg) { (void)arg; return shout(stream); } /* ---- The client ---- */ static int talk(asyncio_stream *stream) { asyncio_stream_printf(stream, \"hello\\n%d words\\n\", 2); int err = asyncio_stream_write_eof(stream); /* we send no more; answers may still come */ if (err) return err; char *line; ssize_t n; while ((n = asyncio_stream_readline(stream, &line)) > 0) printf(\"client: %s\", line); return n; } ASYNC(client, int, port) { asyncio_stream *stream; int err = asyncio_open_connection(\"127.0.0.1\", port, NULL, &stream); if (err) return err; err = talk(stream); int closing = asyncio_stream_close(stream); /* frees, whatever it returns */ return err ? err : closing; } ASYNC(async_main) { asyncio_server *server; int err = asyncio_start_server(handler, NULL, \"127.0.0.1\", 0, NULL, &server); if (err) return err; err = asyncio_await(client(asyncio_server_port(server))); asyncio_server_release(server); return err; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/conversation.out client: HELLO client: 2 WORDS A stream has one owner, which closes it. _close sends the queued bytes, closes the connection and frees the stream; _abort drops the queued bytes and resets the connection. Inside a handler the server is the owner. When the handler returns 0 or more, the server closes the stream; when it returns an error, the server aborts it. A handler may also close its stream earlier."
},
{
"title": "Reading – 7. Streams and servers",
"url": "docs/guide/7-streams-and-servers.html#reading",
"text": "call returns _read(s, buf, n) up to n bytes, as soon as there is one; 0 at the end _readexactly(s, buf, n) all n of them _readline(s, &line) a line with its \\n; at the end the rest, then 0 _readuntil(s, separator, length, &data) everything through the separator The last two return memory of the stream, with a NUL behind the data. It stays valid until the next read or the close, and you may change it. A line longer than the limit (64 KiB unless the options set another) is an error, so a peer cannot make you buffer more. docs/guide/code/frames.c /* Four ways to read, and their errors. */ #include <asyncio.h> #include <stdio.h> #include <string.h> #include <sys/socket.h> static void show(const char *call, ssize_t n, const char *data) { if (n >= 0) printf(\"%-12s %zd %.*s\\n\", call, n, (int)n, data); else printf(\"%-12s %s\\n\", call, asyncio_errname(n)); } static int receive(asyncio_stream *stream) { char buf[16], *data; ssize_t n = asyncio_stream_readuntil(stream, \";\", 1, &data); show(\"readuntil\", n, data); n = asyncio_stream_readexactly(stream, buf, 5); show(\"readexactly\", n, buf); n = asyncio_stream_readline(stream, &data); /* longer than the limit ... */ show(\"readline\", n, data); n = asyncio_stream_read(stream, buf, 8); /* ... but still there */ show(\"read\", n, buf); n = asyncio_stream_readexactly(stream, buf, 16); /* the end comes first */ show(\"readexactly\", n, buf); printf(\"%zu bytes are left\\n\", asyncio_stream_buffered(stream)); return 0; } ASYNC(async_main) { int ends[2]; if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) return -1; const char *text = \"key=value;fives and a line without end\"; asyncio_connect_options options = {.limit = 16}; asyncio_stream *from, *to; asyncio_stream_from_fd(ends[0], &options, &from); asyncio_stream_from_fd(ends[1], NULL, &to); asyncio_stream_write(to, text, strlen(text)); asyncio_stream_close(to); int err = receive(from); asyncio_stream_close(from); return err; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/frames.out readuntil 10 key=value; readexactly 5 fives readline ASYNCIO_ELIMIT read 8 and a l readexactly ASYNCIO_EINCOMPLETE 15 bytes are left No error loses bytes: the next call finds all bytes that no call has returned, also after a cancel. So you can put a read into a timeout, and repeat it. One task at a time may read from a stream; a second one gets ASYNCIO_ESTATE. An error of the connection, such as -ECONNRESET, comes after the bytes that arrived before it. From then on every read returns it."
},
{
"title": "Writing – 7. Streams and servers",
"url": "docs/guide/7-streams-and-servers.html#writing",
"text": "_write takes all bytes, or on an error none. It queues those that the kernel has no room for, and the stream sends them in the background. While more than 64 KiB are queued, _write waits first: a peer that does not read slows you down, but costs no memory. docs/guide/code/pressure.c /* A writer that is faster than its reader waits, and memory stays small. */ #include <asyncio.h> #include <stdio.h> #include <sys/socket.h> #define BLOCKS 1000 static int written; ASYNC(write_all, asyncio_stream *, stream) { static const char block[64 * 1024]; int err = 0; for (; written < BLOCKS && !err; written++) err = asyncio_stream_write(stream, block, sizeof block); /* waits while much is queued */ int closing = asyncio_stream_close(stream); return err ? err : closing; } ASYNC(read_all, asyncio_stream *, stream) { static char block[64 * 1024]; ssize_t n, sum = 0; int err = asyncio_sleep(0.1); /* slow to begin */ if (err) return err; printf(\"the reader begins; all written: %s\\n\", written == BLOCKS ? \"yes\" : \"no\"); while ((n = asyncio_stream_read(stream, block, sizeof block)) > 0) sum += n; printf(\"it has read %zd MiB\\n\", sum / (1024 * 1024)); asyncio_stream_close(stream); return n; } ASYNC(async_main) { int ends[2]; if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) return -1; asyncio_stream *from, *to; asyncio_stream_from_fd(ends[0], NULL, &from); asyncio_stream_from_fd(ends[1], NULL, &to); return asyncio_gather(NULL, write_all(to), read_all(from)); } int main(void) { return asyncio_main(async_main()); } docs/guide/code/pressure.out the reader begins; all written: no it has read 62 MiB Several tasks may write: each write goes out in one piece, in the order of the calls. _writev takes several parts, _printf a format. _write_eof ends what you send; reading goes on. As with any socket, a write that returned 0 does not mean that the bytes have arrived: only an answer of the peer does. asyncio_stream_copy(from, to) passes on all bytes up to the end, as fast as the slower side permits. Two of them make a proxy (examples/12_port_forwarder.c). asyncio_stream_copy_n passes on so many bytes and no more, such as a body whose length is known. asyncio_stream_sendfile sends a part of a file, by the kernel itself where there is no TLS."
},
{
"title": "Writing without waiting – 7. Streams and servers",
"url": "docs/guide/7-streams-and-servers.html#writing-without-waiting",
"text": "A task that writes to many must not wait for the slowest of them, and a callback cannot wait at all. asyncio_stream_write_nowait accepts all bytes, or none: -EAGAIN says that more than the option write_limit is queued, 64 KiB where unset. Then your policy decides: drop the client, drop the line, or send a shorter one later. docs/guide/code/nowait.c /* One writer for readers of all kinds: a write that would have to wait is refused instead. */ #include <asyncio.h> #include <errno.h> #include <stdio.h> #include <sys/socket.h> #define READERS 3 #define LINES 1000 static const char line[1024] = \"news\"; /* Reads until the end, slowly or not. */ ASYNC(read_all, asyncio_stream *, stream, double, pause) { static char buf[64 * 1024]; ssize_t n, sum = 0; int err = 0; while (!err && (n = asyncio_stream_read(stream, buf, sizeof buf)) > 0) { sum += n; err = asyncio_sleep(pause); } asyncio_stream_close(stream); return sum == LINES * (ssize_t)sizeof line; } static void broadcast(asyncio_stream **to) { for (int i = 0; i < READERS; i++) { if (!to[i]) continue; int err = asyncio_stream_write_nowait(to[i], line, sizeof line); /* all of the line, or none of it */ if (!err) continue; printf(\"reader %d: %s, with more than 16 KiB queued: %s\\n\", i, asyncio_errname(err), asyncio_stream_queued(to[i]) > 16 * 1024 ? \"yes\" : \"no\"); asyncio_stream_abort(to[i]); /* the policy: who falls behind must go */ to[i] = NULL; } } ASYNC(async_main) { asyncio_connect_options options = {.write_limit = 16 * 1024}; asyncio_stream *to[READERS], *from[READERS]; asyncio_task *readers[READERS - 1]; int ends[2]; for (int i = 0; i < READERS; i++) { if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) return -errno; asyncio_stream_from_fd(ends[0], &options, &to[i]); asyncio_stream_from_fd(ends[1], NULL, &from[i]); } readers[0] = asyncio_create_task(read_all(from[0], 0)); readers[1] = asyncio_create_task(read_all(from[1], 0.001)); /* slow, but not too slow */ for (int i = 0; i < LINES; i++) { broadcast(to); /* does not wait for the third, which never reads */ asyncio_sleep(0.0005); } for (int i = 0; i < READERS - 1; i++) { asyncio_stream_close(to[i]); printf(\"reader %d has all: %s\\n\", i, asyncio_await(readers[i]) ? \"yes\" : \"no\"); } return asyncio_stream_close(from[READERS - 1]); } int main(void) { return asyncio_main(async_main()); } docs/guide/code/nowait.out reader 2: EAGAIN, with more than 16 KiB queued: yes reader 0 has all: yes reader 1 has all: yes A reader so costs at most write_limit and the last line. The kernel queues as well, and lets the buffer of a TCP socket grow to megabytes if the reader falls behind: with thousands of them, set SO_SNDBUF in setup. In examples/26_broadcast.c one task writes to 5,000 clients, and none has a task of its own. With a limit of 16 KiB, and lines of 4 KiB, 4,000 of them that never read made the process grow by 22 KB each before they were dropped."
},
{
"title": "A pool of connections – 7. Streams and servers",
"url": "docs/guide/7-streams-and-servers.html#a-pool-of-connections",
"text": "A connection that has answered one request can serve the next, unless the server has closed it meanwhile, as servers do with idle ones. asyncio_stream_is_idle says whether it is alive, and has nothing unread. The latter matters as much: bytes that nobody asked for would be taken for the answer to the next request. A poll(2) in its place would count TLS's session tickets as such bytes. part of examples/25_connection_pool.c static struct connection *take_idle(struct site *site) { struct connection *connection; while ((connection = site->idle)) { site->idle = connection->next; connection->is_used = true; if (asyncio_stream_is_idle(connection->stream)) return connection; asyncio_stream_close(connection->stream); /* ended, or it says what nobody asked for */ } return NULL; } /* Waits for a place, and takes a connection that is idle and good, or opens one. 0 or an error. */ static int pool_get(struct pool *pool, const char *host, int port, struct connection **out) { struct site *site = find_site(pool, host, port); if (!site) return -E2BIG; int err = asyncio_semaphore_acquire(&site->places); if (err) return err; if ((*out = take_idle(site))) return 0; err = open_one(site, out); if (err) asyncio_semaphore_release(&site->places); return err; } The server may still close in the moment in which the request is on its way. A pool cannot know; whoever sends the request sees an end before the first byte of the answer, and sends it again if it may. A semaphore for each server limits its connections, and more requests wait in turn. A timeout around the whole also counts the wait for a place."
},
{
"title": "Servers – 7. Streams and servers",
"url": "docs/guide/7-streams-and-servers.html#servers",
"text": "asyncio_start_server listens on all addresses of a host, or of the machine if the host is NULL; port 0 picks a free port. asyncio_start_unix_server listens on a path, asyncio_start_server_on on sockets that you already have. The server then accepts clients in the background until it is closed: docs/guide/code/server_end.c /* A server ends, and so do its clients; one of them has failed before. */ #include <asyncio.h> #include <errno.h> #include <stdio.h> #include <string.h> ASYNC(serve, asyncio_stream *, stream) { char *line; ssize_t n = asyncio_stream_readline(stream, &line); if (n <= 0) return n; if (strcmp(line, \"fail\\n\") == 0) return asyncio_raise(-ENOENT, \"there is no such page\"); int err = asyncio_sleep(strcmp(line, \"short\\n\") == 0 ? 0.1 : 10); printf(\"%.*s: %s\\n\", (int)strcspn(line, \"\\n\"), line, err ? asyncio_errname(err) : \"done\"); return err; } static asyncio_coro *handler(asyncio_stream *stream, void *arg) { (void)arg; return serve(stream); } /* Says one thing, and waits for the end. */ ASYNC(visit, const char *, words) { asyncio_stream *stream; char byte; int err = asyncio_open_unix_connection(\"guide.sock\", NULL, &stream); if (err) return err; asyncio_stream_printf(stream, \"%s\\n\", words); ssize_t n = asyncio_stream_read(stream, &byte, 1); printf(\"%s's visitor: %s\\n\", words, n ? asyncio_errname(n) : \"the end\"); return asyncio_stream_close(stream); } ASYNC(async_main) { asyncio_server *server; int err = asyncio_start_unix_server(handler, NULL, \"guide.sock\", NULL, &server); if (err) return err; asyncio_await(visit(\"fail\")); asyncio_task *visitors[] = {asyncio_create_task(visit(\"short\")), asyncio_create_task(visit(\"long\"))}; asyncio_sleep(0.05); asyncio_server_close(server); /* no new clients */ asyncio_server_wait_closed(server, 0.5); /* half a second for the present clients */ asyncio_server_release(server); return asyncio_gather_array(NULL, visitors, 2); } int main(void) { return asyncio_main(async_main()); } docs/guide/code/server_end.out asyncio: the handler of a client failed: there is no such page (ENOENT); task 'Task-2' of client_connected, made at server_end.c:7, peer a Unix socket fail's visitor: the end short: done short's visitor: the end long: ECANCELED long's visitor: the end A handler that fails harms no other client. Its error goes to the loop's exception handler, by default to stderr, with its message and the peer's address. -ECANCELED, -EPIPE and -ECONNRESET are not reported: they only say that the client went away. call asyncio_server_close(server) accepts no new clients asyncio_server_close_clients(server) makes each client's stream end, as if its peer had stopped sending asyncio_server_abort_clients(server) makes each client's stream fail with -ECONNABORTED asyncio_server_wait_closed(server, grace) waits for the handlers; cancels them after grace seconds, and waits until they end asyncio_server_serve_forever(server) waits to be cancelled, then closes, and waits for the clients asyncio_server_release(server) closes, cancels, frees; does not wait A handler waits for ever for a client that sends nothing. Limit its time (ASYNCIO_TIMEOUT, chapter 4), and the number of clients (max_connections). When descriptors or memory run out, the server reports it, pauses for a second, and goes on. One loop uses one processor. To use more, run several loops, and name them in the server's option loops (chapter 16)."
},
{
"title": "Parked connections – 7. Streams and servers",
"url": "docs/guide/7-streams-and-servers.html#parked-connections",
"text": "A client that is silent costs a task with its stack, 5 KB, for as long as it stays. A handler that has nothing to do until its client says more can return ASYNCIO_PARK: its task ends, and the server keeps the connection, 660 bytes. When there is something to read, the server calls the handler anew, with the same stream. docs/guide/code/parked.c /* A server whose idle clients have no task; what belongs to a client is kept with its stream. */ #include <asyncio.h> #include <errno.h> #include <stdio.h> #include <stdlib.h> #include <string.h> struct account { int requests; }; /* The connection is closed, the stream about to be freed. May not wait. */ static void drop_account(void *data) { struct account *account = data; printf(\"a client has left; its requests: %d\\n\", account->requests); free(account); } static struct account *account_of(asyncio_stream *stream) { struct account *account = asyncio_stream_data(stream); if (account) return account; account = calloc(1, sizeof *account); if (account) asyncio_stream_set_data(stream, account, drop_account); return account; } /* One request, and one task for it. */ ASYNC(answer, asyncio_stream *, stream) { struct account *account = account_of(stream); char *line; ssize_t n = account ? asyncio_stream_readline(stream, &line) : -ENOMEM; if (n <= 0) return n; /* the end of a client, or an error */ int err = asyncio_stream_printf(stream, \"answer %d\\n\", ++account->requests); return err ? err : ASYNCIO_PARK; /* until the client says more */ } static asyncio_coro *handler(asyncio_stream *stream, void *arg) { (void)arg; return answer(stream); } static int ask(asyncio_stream *stream) { char *line; int err = asyncio_stream_printf(stream, \"a question\\n\"); ssize_t n = err ? err : asyncio_stream_readline(stream, &line); if (n > 0) fputs(line, stdout); return n < 0 ? (int)n : 0; } ASYNC(async_main) { asyncio_server_options options = {.park_timeout = 60}; /* idle for longer: closed */ asyncio_server *server; asyncio_stream *first, *second; int err = asyncio_start_server(handler, NULL, \"127.0.0.1\", 0, &options, &server); if (err) return err; err = asyncio_open_connection(\"127.0.0.1\", asyncio_server_port(server), NULL, &first); if (!err) err = asyncio_open_connection(\"127.0.0.1\", asyncio_server_port(server), NULL, &second); if (err) return err; ask(first); ask(second); printf(\"tasks: %zu\\n\", asyncio_all_tasks(NULL, 0)); /* this one */ ask(first); asyncio_server_close_clients(server); asyncio_stream_close(first); asyncio_stream_close(second); asyncio_server_release(server); return 0; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/parked.out answer 1 answer 1 tasks: 1 answer 2 a client has left; its requests: 1 a client has left; its requests: 2 asyncio_stream_set_data keeps what belongs to a client, and works for any stream. Its function is called once the connection is closed, however that came about; it may not wait. A handler that parks while bytes are unread is called again at once. So wait for the rest of a request that has come in part: the task also has its time limit. park_timeout closes clients that are idle for longer. TLS connections can be parked, too; session tickets and new keys call no handler. A request to a parked client starts a task, which takes longer than to resume one that waits: park where clients are many and mostly silent. The kernel keeps 4 KB for each end of a connection, parked or not. examples/31_parked.c has 100,000 of them."
},
{
"title": "Options – 7. Streams and servers",
"url": "docs/guide/7-streams-and-servers.html#options",
"text": "The options of a connection and of a server say what no call of the stream can say any more: how the socket is made. Zero is always the default. docs/guide/code/options.c /* Options of a server and of a connection, down to the socket. */ #include <asyncio.h> #include <netinet/in.h> #include <netinet/ip.h> #include <stdio.h> ASYNC(leave, asyncio_stream *, stream) { return asyncio_stream_printf(stream, \"bye\\n\"); } static asyncio_coro *handler(asyncio_stream *stream, void *arg) { (void)arg; return leave(stream); } /* Any option of the socket: called before it binds, or connects. */ static int hurry(int fd, void *arg) { int tos = IPTOS_LOWDELAY; (*(int *)arg)++; return setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof tos); } ASYNC(async_main) { static int calls; asyncio_address addresses[] = {{\"127.0.0.1\", 0}, {\"127.0.0.2\", 0}}; asyncio_server_options options = {.addresses = addresses, .address_count = 2, .keepalive = 60, .user_timeout = 30, .setup = hurry, .setup_arg = &calls}; asyncio_connect_options with = {.family = AF_INET, .user_timeout = 10, .write_limit = 256 * 1024, .setup = hurry, .setup_arg = &calls}; asyncio_server *server; asyncio_stream *stream; char *line; int err = asyncio_start_server(handler, NULL, NULL, 0, &options, &server); if (err) return err; printf(\"%d sockets listen\\n\", asyncio_server_fds(server, NULL, 0)); err = asyncio_open_connection(\"127.0.0.1\", asyncio_server_port(server), &with, &stream); if (!err && asyncio_stream_readline(stream, &line) > 0) fputs(line, stdout); printf(\"%d were set up\\n\", calls); asyncio_server_release(server); return err ? err : asyncio_stream_close(stream); } int main(void) { return asyncio_main(async_main()); } docs/guide/code/options.out 2 sockets listen bye 3 were set up option what it does write_limit bytes that a stream queues before a write waits; it goes on when a quarter is left. 64 KiB keepalive a peer that was silent for so many seconds is asked, five times; then the connection fails with -ETIMEDOUT, after about twice that time user_timeout a peer that does not confirm what was sent for so many seconds is given up with -ETIMEDOUT. Without it the kernel tries for a quarter of an hour close_timeout seconds without progress until a stream that closes gives up. 30 family AF_INET or AF_INET6, to look up and try addresses of that kind alone setup, setup_arg a function of yours, for any other option of a socket; a result below 0 is an error addresses, address_count servers: several hosts and ports in place of one v6only servers: -1 has a socket for \"::\" take IPv4 as well mode Unix servers: the file's mode, such as 0660, from before anybody can connect proxy_protocol servers: see below A peer that loses its power or its network says nothing, and TCP does not notice while nothing is sent. A server whose clients may be silent for long wants keepalive; whoever writes wants user_timeout. With both, the time is that of user_timeout."
},
{
"title": "Behind a proxy – 7. Streams and servers",
"url": "docs/guide/7-streams-and-servers.html#behind-a-proxy",
"text": "Behind HAProxy, nginx or a cloud's load balancer every client has the proxy's address. With proxy_protocol the proxy says in a header, before anything else of the connection, who the client is: 1 for the header as a line of text, 2 for the one in bytes. The peer is then the client, for _peername and in reports. docs/guide/code/proxied.c /* A server behind a proxy knows who its clients are. */ #include <asyncio.h> #include <arpa/inet.h> #include <stdio.h> ASYNC(greet, asyncio_stream *, stream) { struct sockaddr_in peer; socklen_t length = sizeof peer; char host[INET_ADDRSTRLEN]; int err = asyncio_stream_peername(stream, (struct sockaddr *)&peer, &length); if (err) return err; inet_ntop(AF_INET, &peer.sin_addr, host, sizeof host); return asyncio_stream_printf(stream, \"hello, %s\\n\", host); } static asyncio_coro *handler(asyncio_stream *stream, void *arg) { (void)arg; return greet(stream); } /* Speaks for a client whose address is 203.0.113.9. */ ASYNC(proxy, int, port) { asyncio_stream *stream; char *line; int err = asyncio_open_connection(\"127.0.0.1\", port, NULL, &stream); if (err) return err; asyncio_stream_printf(stream, \"PROXY TCP4 203.0.113.9 192.0.2.1 40000 80\\r\\n\"); if (asyncio_stream_readline(stream, &line) > 0) fputs(line, stdout); return asyncio_stream_close(stream); } ASYNC(async_main) { asyncio_server_options options = {.proxy_protocol = 1}; asyncio_server *server; int err = asyncio_start_server(handler, NULL, \"127.0.0.1\", 0, &options, &server); if (err) return err; err = asyncio_await(proxy(asyncio_server_port(server))); asyncio_server_release(server); return err; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/proxied.out hello, 203.0.113.9 A connection without a header, with another one, or whose header takes longer than 10 seconds is aborted and reported. The header comes before TLS. Anybody who reaches the server can claim to be anybody, so let the proxy alone reach it: by a firewall, or a Unix socket."
},
{
"title": "As a service of systemd – 7. Streams and servers",
"url": "docs/guide/7-streams-and-servers.html#as-a-service-of-systemd",
"text": "systemd can open the sockets, start the service when the first client comes, keep the sockets open while it restarts, and watch over it. asyncio_listen_fds lists the sockets by the name in their unit, asyncio_notify tells how the service is. Without systemd the first returns 0, and so does the second, so that the program runs anywhere: docs/guide/code/service.c /* A service, which also runs without systemd. */ #include <asyncio.h> #include <stdio.h> ASYNC(say_hello, asyncio_stream *, stream) { return asyncio_stream_printf(stream, \"hello\\n\"); } static asyncio_coro *handler(asyncio_stream *stream, void *arg) { (void)arg; return say_hello(stream); } /* On the socket that systemd hands over, or else on one of our own. */ static int start(asyncio_server **server) { int fd, count = asyncio_listen_fds(&fd, 1, \"hello\"); printf(\"sockets of systemd: %d\\n\", count); if (count > 0) return asyncio_start_server_on(fd, handler, NULL, NULL, server); return asyncio_start_server(handler, NULL, \"127.0.0.1\", 0, NULL, server); } ASYNC(async_main) { asyncio_server *server; int err = start(&server); if (err) return err; if (asyncio_notify(\"READY=1\") == 0) printf(\"nobody asked to be told\\n\"); asyncio_timeout limit; /* a real service has none */ asyncio_timeout_enter(&limit, 0.1); err = asyncio_timeout_exit(&limit, asyncio_server_serve_forever(server)); asyncio_notify(\"STOPPING=1\"); asyncio_server_release(server); return asyncio_timeout_expired(&limit) ? 0 : err; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/service.out sockets of systemd: 0 nobody asked to be told Its unit files, hello.socket and hello.service: [Socket] ListenStream=80 FileDescriptorName=hello [Install] WantedBy=sockets.target [Service] Type=notify ExecStart=/usr/local/bin/hello WatchdogSec=30 With WatchdogSec systemd restarts a service that does not say \"WATCHDOG=1\" in time: have a task say so every ten seconds, and a loop that hangs is noticed, too. Try it without installing anything: systemd-socket-activate -l 8000 --fdname=hello ./hello."
},
{
"title": "Closing on a client that still sends – 7. Streams and servers",
"url": "docs/guide/7-streams-and-servers.html#closing-on-a-client-that-still-sends",
"text": "If you close a TCP connection while unread bytes are there, the kernel resets it, and the peer may lose the last bytes that you sent. Where that matters, call _write_eof first, and read until the peer's end, with a timeout. examples/13_http_server.c does so after an error answer. Programs to copy from: an echo server, a chat, a port forwarder, an HTTP server that parks its clients, and a client of Redis: its tasks share one connection, send without waiting for each other's answers, and reconnect, after growing pauses, when the server was gone. Next: Sockets, names and datagrams"
},
{
"title": "8. Sockets, names and datagrams",
"url": "docs/guide/8-network.html#8-sockets-names-and-datagrams",
"text": "Below the streams are the system calls that you know. Each has a twin that waits without blocking other tasks: the same name after asyncio_ or asyncio_sock_, the same parameters, and as the result a number of bytes or a negative errno. docs/guide/code/sockets.c /* The system calls that you know, without blocking other tasks. */ #include <asyncio.h> #include <arpa/inet.h> #include <netinet/in.h> #include <stdio.h> #include <sys/socket.h> /* Listens on a free port, and stores its address. */ static int listen_somewhere(struct sockaddr_in *address) { socklen_t length = sizeof *address; int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}; if (bind(fd, (struct sockaddr *)address, length) || listen(fd, 10)) return -1; getsockname(fd, (struct sockaddr *)address, &length); return fd; } ASYNC(serve_one, int, listener) { char block[64]; int fd = asyncio_sock_accept(listener, NULL, NULL); if (fd < 0) return fd; ssize_t n; while ((n = asyncio_sock_recv(fd, block, sizeof block, 0)) > 0) n = asyncio_sock_sendall(fd, block, n, 0); asyncio_close(fd); return n; } ASYNC(ask, struct sockaddr_in *, address) { char block[64]; int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); ssize_t n = asyncio_sock_connect(fd, (struct sockaddr *)address, sizeof *address); if (n == 0) n = asyncio_sock_sendall(fd, \"hello\", 5, 0); if (n >= 0) n = asyncio_sock_recv(fd, block, sizeof block, 0); if (n >= 0) printf(\"%.*s\\n\", (int)n, block); asyncio_close(fd); return n; } ASYNC(async_main) { struct sockaddr_in address; int listener = listen_somewhere(&address); int err = asyncio_gather(NULL, serve_one(listener), ask(&address)); asyncio_close(listener); return err; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/sockets.out hello any descriptor asyncio_read, _write, _readv, _writev, asyncio_close sockets asyncio_sock_recv, _recvfrom, _recvmsg, _send, _sendto, _sendmsg, _accept, _connect all bytes asyncio_sock_sendall, asyncio_sock_sendfile wait only asyncio_wait_readable(fd, timeout), _wait_writable, asyncio_wait_fd(fd, events, timeout) You register nothing. The first call on a descriptor makes it non-blocking, except 0, 1, 2 and terminals, which other processes share. Close it with asyncio_close: calls that are waiting on it then return -EBADF. Before anything else closes it, call asyncio_forget(fd). Several tasks may wait on one descriptor. Writing to a peer that is gone returns -EPIPE, and raises no signal."
},
{
"title": "Names – 8. Sockets, names and datagrams",
"url": "docs/guide/8-network.html#names",
"text": "docs/guide/code/lookup.c /* Looking up names, and the error when no server is there. */ #include <asyncio.h> #include <arpa/inet.h> #include <netinet/in.h> #include <stdio.h> #include <sys/socket.h> static int look_up(const char *host) { struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found; char text[INET_ADDRSTRLEN]; int err = asyncio_getaddrinfo(host, \"80\", &hints, &found); if (err) { printf(\"%s: %s\\n\", host, asyncio_errname(err)); return err; } struct sockaddr_in *address = (struct sockaddr_in *)(void *)found->ai_addr; printf(\"%s: %s\\n\", host, inet_ntop(AF_INET, &address->sin_addr, text, sizeof text)); freeaddrinfo(found); return 0; } ASYNC(async_main) { asyncio_stream *stream; look_up(\"192.0.2.1\"); /* numeric: answered at once */ look_up(\"localhost\"); look_up(\"no such name\"); int err = asyncio_open_connection(\"127.0.0.1\", 1, NULL, &stream); printf(\"%s: %s\\n\", asyncio_errname(err), asyncio_error_message()); return 0; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/lookup.out 192.0.2.1: 192.0.2.1 localhost: 127.0.0.1 no such name: ASYNCIO_EGAI_NONAME ECONNREFUSED: connect to 127.0.0.1:1: connection refused asyncio_getaddrinfo has the parameters of getaddrinfo(3), and calls it: files, name servers and mDNS answer as usual. It uses threads of its own, so a slow name server delays neither the loop nor work in other threads. A cancelled call returns at once; its thread finishes alone. The resolver's errors are ASYNCIO_EGAI_... codes. asyncio_open_connection looks a name up and tries all its addresses, IPv6 and IPv4 in turn. If one has not answered after a quarter of a second, it tries the next one as well; the first to answer wins, and the others are closed (happy eyeballs, RFC 8305). The option happy_eyeballs_delay sets that time; a negative one makes it try one address after the other. When all fail, the message says which address was last, why it failed, and how many were tried."
},
{
"title": "Datagrams – 8. Sockets, names and datagrams",
"url": "docs/guide/8-network.html#datagrams",
"text": "asyncio_open_datagram(local, remote, options, &d) makes a UDP socket, or with the family AF_UNIX one whose addresses are paths. A remote address connects it: _send and _recv then need no address, and it receives from that peer only. A batch of datagrams costs one system call: docs/guide/code/batches.c /* Datagrams: one call for a batch. */ #include <asyncio.h> #include <stdio.h> #include <string.h> #include <sys/socket.h> #define BATCH 8 /* Describes each text to the kernel: its place and its length. */ static void prepare(struct mmsghdr *messages, struct iovec *parts, char (*texts)[32], size_t bytes) { memset(messages, 0, BATCH * sizeof *messages); for (int i = 0; i < BATCH; i++) { parts[i] = (struct iovec){texts[i], bytes ? bytes : strlen(texts[i])}; messages[i].msg_hdr.msg_iov = &parts[i]; messages[i].msg_hdr.msg_iovlen = 1; } } ASYNC(send_all, asyncio_datagram *, from) { struct mmsghdr messages[BATCH]; struct iovec parts[BATCH]; char texts[BATCH][32]; for (int i = 0; i < BATCH; i++) snprintf(texts[i], sizeof texts[i], \"reading %d\", i); prepare(messages, parts, texts, 0); int sent = 0; while (sent < BATCH) { int n = asyncio_datagram_sendmmsg(from, messages + sent, BATCH - sent); if (n < 0) return n; sent += n; } return sent; } ASYNC(receive_all, asyncio_datagram *, to) { struct mmsghdr messages[BATCH]; struct iovec parts[BATCH]; char texts[BATCH][32]; for (int got = 0; got < BATCH;) { prepare(messages, parts, texts, sizeof *texts); int n = asyncio_datagram_recvmmsg(to, messages, BATCH); /* waits for one, takes all that are there */ if (n < 0) return n; for (int i = 0; i < n; i++) printf(\"%.*s\\n\", (int)messages[i].msg_len, texts[i]); got += n; } return 0; } ASYNC(async_main) { asyncio_datagram *to, *from = NULL; asyncio_datagram_options options = {.family = AF_UNIX}; asyncio_address address = {.host = \"readings.sock\"}; int err = asyncio_open_datagram(&address, NULL, &options, &to); if (err) return err; err = asyncio_open_datagram(NULL, &address, &options, &from); if (!err) err = asyncio_gather(NULL, receive_all(to), send_all(from)); asyncio_datagram_close(from); asyncio_datagram_close(to); return err; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/batches.out reading 0 reading 1 reading 2 reading 3 reading 4 reading 5 reading 6 reading 7 _recvmmsg waits for one datagram and takes the others that are there; _sendmmsg returns how many it sent, which may be fewer than you gave it. UDP may lose datagrams. If no program listens on the peer's port, the next call on a connected socket returns -ECONNREFUSED. examples/14_dns_query.c asks a name server, with timeouts and repeats."
},
{
"title": "Unix sockets – 8. Sockets, names and datagrams",
"url": "docs/guide/8-network.html#unix-sockets",
"text": "Streams and servers have asyncio_open_unix_connection and asyncio_start_unix_server. A path that begins with @ is an abstract name, which leaves no file behind. asyncio_sock_sendmsg and _recvmsg carry descriptors and credentials along with the bytes: docs/guide/code/passing.c /* A Unix socket carries more than bytes: here an open file. */ #include <asyncio.h> #include <errno.h> #include <fcntl.h> #include <stdio.h> #include <string.h> #include <sys/socket.h> #include <unistd.h> /* Room for one descriptor, aligned as it must be. */ union control { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr header; }; static ssize_t send_descriptor(int socket, int fd) { union control control = {0}; struct iovec part = {\"x\", 1}; /* at least one byte must go with it */ struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes}; struct cmsghdr *header = CMSG_FIRSTHDR(&message); *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}; memcpy(CMSG_DATA(header), &fd, sizeof fd); return asyncio_sock_sendmsg(socket, &message, 0); } static ssize_t receive_descriptor(int socket, int *fd) { union control control; char byte; struct iovec part = {&byte, 1}; struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes}; ssize_t n = asyncio_sock_recvmsg(socket, &message, MSG_CMSG_CLOEXEC); if (n <= 0) return n ? n : ASYNCIO_EINCOMPLETE; struct cmsghdr *header = CMSG_FIRSTHDR(&message); if (!header || header->cmsg_type != SCM_RIGHTS) return -EPROTO; /* a peer may send what it likes */ memcpy(fd, CMSG_DATA(header), sizeof *fd); return 0; } ASYNC(give, int, socket) { int fd = open(\"note\", O_RDWR | O_CREAT | O_CLOEXEC, 0600); dprintf(fd, \"written before it was passed on\"); lseek(fd, 0, SEEK_SET); ssize_t n = send_descriptor(socket, fd); asyncio_close(fd); /* the other side has its own */ return n; } ASYNC(take, int, socket) { char text[64]; int fd; ssize_t n = receive_descriptor(socket, &fd); if (n < 0) return n; n = asyncio_read(fd, text, sizeof text); printf(\"%.*s\\n\", (int)n, text); return asyncio_close(fd); } ASYNC(async_main) { int ends[2]; if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) return -1; int err = asyncio_gather(NULL, give(ends[0]), take(ends[1])); asyncio_close(ends[0]); asyncio_close(ends[1]); return err; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/passing.out written before it was passed on Pass MSG_CMSG_CLOEXEC, or every program that you start inherits the descriptor."
},
{
"title": "Libraries with descriptors of their own – 8. Sockets, names and datagrams",
"url": "docs/guide/8-network.html#libraries-with-descriptors-of-their-own",
"text": "Database clients and similar libraries tell you what they wait for: a descriptor, and whether to read or to write. asyncio_wait_fd waits for that, and leaves no registration behind when it returns. So the library may close its descriptor at any time, and open another with the same number: docs/guide/code/other_library.c /* A library with descriptors of its own, like a database client: it says what it waits for. */ #include <asyncio.h> #include <poll.h> #include <stdio.h> #include <string.h> #include <sys/socket.h> #include <unistd.h> /* ---- The library, which knows nothing of us ---- */ struct client { int fd; size_t got; char answer[64]; }; /* Goes on as far as it can. Returns 0 when done, else the events to wait for before the next call. */ static int client_poll(struct client *client) { ssize_t n = recv(client->fd, client->answer + client->got, sizeof client->answer - client->got, MSG_DONTWAIT); if (n > 0) client->got += n; return n == 0 ? 0 : POLLIN; } static void client_finish(struct client *client) { close(client->fd); /* without telling us */ } /* ---- The program ---- */ ASYNC(query, struct client *, client) { int events, ready = 0; while ((events = client_poll(client)) != 0) { ready = asyncio_wait_fd(client->fd, events, 2); /* 2 seconds, each time */ if (ready < 0) break; } client_finish(client); return ready < 0 ? ready : 0; } ASYNC(database, int, fd) { static const char *const words[] = {\"forty\", \"-\", \"two\"}; for (int i = 0; i < 3; i++) { asyncio_sleep(0.02); asyncio_sock_sendall(fd, words[i], strlen(words[i]), 0); } return asyncio_close(fd); } ASYNC(async_main) { int ends[2]; if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) return -1; struct client client = {.fd = ends[0]}; int err = asyncio_gather(NULL, query(&client), database(ends[1])); printf(\"%.*s\\n\", (int)client.got, client.answer); return err; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/other_library.out forty-two It returns the events that poll(2) would report, POLLERR and POLLHUP included, or -ETIMEDOUT. examples/24_postgres.c does it with libpq. A library that wants to be called back needs asyncio_loop_add_reader (chapter 13), like libcurl in examples/27_curl.c. Chapter 14 is for a library with a loop of its own. Some libraries need no socket at all: hiredis parses the bytes that it is given, and examples/28_redis.c reads them from a stream."
},
{
"title": "Bad peers – 8. Sockets, names and datagrams",
"url": "docs/guide/8-network.html#bad-peers",
"text": "A public server meets clients that send nothing, send a byte a minute, send lines without an end, do not read, or come by the thousand. Three of these need a line of code: docs/guide/code/bad_peers.c /* Clients that send nothing, or a line without an end, or are too many. */ #include <asyncio.h> #include <stdio.h> #include <string.h> ASYNC(serve, asyncio_stream *, stream) { char *line; intptr_t n; ASYNCIO_TIMEOUT(n, 0.2) /* for a whole request, not for each byte */ n = asyncio_stream_readline(stream, &line); if (n < 0) { printf(\"server: %s\\n\", asyncio_errname(n)); return 0; /* nothing to report */ } return asyncio_stream_printf(stream, \"hello %s\", line); } static asyncio_coro *handler(asyncio_stream *stream, void *arg) { (void)arg; return serve(stream); } static int visit(const char *words) { asyncio_stream *stream; char *line; int err = asyncio_open_unix_connection(\"limits.sock\", NULL, &stream); if (err) return err; asyncio_stream_write(stream, words, strlen(words)); ssize_t n = asyncio_stream_readline(stream, &line); printf(\"client: %.*s\\n\", n > 0 ? (int)n - 1 : 5, n > 0 ? line : \"(end)\"); return asyncio_stream_close(stream); } ASYNC(async_main) { asyncio_server *server; asyncio_server_options options = {.limit = 100, .max_connections = 1000}; int err = asyncio_start_unix_server(handler, NULL, \"limits.sock\", &options, &server); if (err) return err; char endless[200]; memset(endless, 'x', sizeof endless - 1); endless[sizeof endless - 1] = '\\0'; visit(\"world\\n\"); visit(\"says nothing more\"); visit(endless); asyncio_server_release(server); return 0; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/bad_peers.out client: hello world server: ETIMEDOUT client: (end) server: ASYNCIO_ELIMIT client: (end) a peer that ... what happens says nothing, or a byte a minute put a timeout around a whole request, not around each read sends a line without an end the read returns ASYNCIO_ELIMIT at limit, 64 KiB by default does not read _write waits, and the peer costs 64 KiB; put a timeout around the answer does not take the rest at the end the server cuts it off after 30 seconds without progress (close_timeout), and reports it takes the rest a byte at a time the server waits for it; a timeout around _close, or _wait_closed with a grace, ends that comes a thousand times connections above max_connections wait in the backlog goes away in the middle the call returns -ECONNRESET or -EPIPE, which the server does not report takes all descriptors the server reports it, pauses for a second, and goes on You decide whether to report a limit: if the handler returns 0 after -ETIMEDOUT, the server closes the connection quietly; if it returns the error, the server reports it with the peer's address. Next: TLS"
},
{
"title": "9. TLS",
"url": "docs/guide/9-tls.html#9-tls",
"text": "TLS is a second library, on OpenSSL 3: include <asyncio/tls.h>, and link with pkg-config --libs asyncio-tls. It has one object, the context: which certificate to show, which authorities to trust, which protocols to offer. You set a context up once, and pass it to connections and servers in their options. They then are ordinary streams (chapter 7). The programs here expect certificates in their folder; code/make-certs makes some to play with. docs/guide/code/tls_sites.c /* A server with two certificates, and clients that trust it or refuse it. */ #include <asyncio.h> #include <asyncio/tls.h> #include <stdio.h> /* ---- The server ---- */ ASYNC(greet, asyncio_stream *, stream) { asyncio_tls_info info; asyncio_stream_tls_info(stream, &info); return asyncio_stream_printf(stream, \"welcome to %s, by %s\\n\", info.server_name, info.alpn); } static asyncio_coro *handler(asyncio_stream *stream, void *arg) { (void)arg; return greet(stream); } static int make_server(asyncio_tls_context **tls) { static const char *const protocols[] = {\"h2\", \"http/1.1\", NULL}; asyncio_tls_context *shop = NULL; int err = asyncio_tls_context_new_server(tls); if (!err) err = asyncio_tls_context_load_cert(*tls, \"server.pem\", \"server.key\"); if (!err) err = asyncio_tls_context_set_alpn(*tls, protocols); if (!err) err = asyncio_tls_context_new_server(&shop); if (!err) err = asyncio_tls_context_load_cert(shop, \"shop.pem\", \"shop.key\"); if (!err) err = asyncio_tls_context_set_alpn(shop, protocols); if (!err) err = asyncio_tls_context_add_server_name(*tls, \"*.shop.test\", shop); asyncio_tls_context_release(shop); /* the other one keeps it */ return err; } /* ---- The client ---- */ static void visit(int port, asyncio_tls_context *tls, const char *name) { asyncio_connect_options options = {.tls = tls, .server_hostname = name}; asyncio_stream *stream; char *line; int err = asyncio_open_connection(\"127.0.0.1\", port, &options, &stream); if (err) { printf(\"%s: %s\\n\", asyncio_errname(err), asyncio_error_message()); return; } if (asyncio_stream_readline(stream, &line) > 0) fputs(line, stdout); asyncio_stream_close(stream); } static int make_client(asyncio_tls_context **tls) { static const char *const protocols[] = {\"http/1.1\", NULL}; int err = asyncio_tls_context_new_client(tls); if (!err) err = asyncio_tls_context_load_ca(*tls, \"ca.pem\"); /* without this: the system's authorities */ return err ? err : asyncio_tls_context_set_alpn(*tls, protocols); } static int visit_all(asyncio_tls_context *client, asyncio_tls_context *server) { asyncio_server *listener; asyncio_server_options options = {.tls = server}; int err = asyncio_start_server(handler, NULL, \"127.0.0.1\", 0, &options, &listener); if (err) return err; int port = asyncio_server_port(listener); visit(port, client, \"server.test\"); visit(port, client, \"old.shop.test\"); visit(port, client, \"elsewhere.test\"); asyncio_server_release(listener); return 0; } ASYNC(async_main) { asyncio_tls_context *client = NULL, *server = NULL; int err = make_client(&client); if (!err) err = make_server(&server); if (!err) err = visit_all(client, server); asyncio_tls_context_release(client); asyncio_tls_context_release(server); return err; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/tls_sites.out welcome to server.test, by http/1.1 welcome to old.shop.test, by http/1.1 ASYNCIO_ETLS: TLS: certificate verify failed: hostname mismatch (elsewhere.test)"
},
{
"title": "Clients – 9. TLS",
"url": "docs/guide/9-tls.html#clients",
"text": "A client verifies the server's certificate against the system's authorities, and the name in it against host, or server_hostname if that is set. If that is an address, the client compares it with the addresses in the certificate; its spelling does not matter, and its zone (\"fe80::1%eth0\") is ignored. A string that cannot be a server's name, such as \".example.org\" or \"*.example.org\", is -EINVAL, and nothing is sent. When the verification fails, the call fails, and the message says why: message, after TLS: meaning certificate verify failed: certificate has expired (example.org) it has expired, or this machine's clock is wrong ... self-signed certificate no authority vouches for it; if you trust it, _load_ca it ... unable to get local issuer certificate this machine does not know the authority, or a part of the chain is missing ... hostname mismatch, IP address mismatch the certificate belongs to another server unsupported protocol the peer supports nothing newer than TLS 1.1 wrong version number the peer does not speak TLS at all on this port the peer refuses: ... the other side ended the handshake; the words are its alert the handshake failed: connection reset by peer (example.org) the connection was lost before it was secured truncated: ... see The end asyncio_tls_context_load_ca trusts the authorities of a file or a folder instead of the system's; _load_system_ca adds the system's again. Calls for tests begin with _dangerously_, so that you can find them again."
},
{
"title": "Servers – 9. TLS",
"url": "docs/guide/9-tls.html#servers",
"text": "A server needs a certificate with its chain and a key without a password (_load_cert). Several sites on one address have a context each: asyncio_tls_context_add_server_name(tls, \"*.shop.test\", shop), as above. A client names its site first, so everything may differ between sites: certificate, protocols, versions, client certificates. The main context serves the clients that ask for none of the added names; if it has no certificate, it refuses them. A session of one site is not resumed at another. Each client's task does its own handshake, so a slow one delays no other client. A failed handshake is reported with the peer's address."
},
{
"title": "Protocols – 9. TLS",
"url": "docs/guide/9-tls.html#protocols",
"text": "_set_alpn lists the protocols that this side speaks (ALPN), the preferred one first. The server's order decides, and asyncio_stream_tls_info returns the outcome. If the two sides share no protocol, the connection has none, as is usual for HTTP/1.1 clients without ALPN; _require_alpn refuses such a connection."
},
{
"title": "In the middle of a stream, and certificates of clients – 9. TLS",
"url": "docs/guide/9-tls.html#in-the-middle-of-a-stream-and-certificates-of-clients",
"text": "Mail, LDAP, PostgreSQL and others begin in the clear. After both sides have agreed, each calls asyncio_stream_start_tls, which switches the stream to TLS. Bytes that the stream has read ahead go to TLS, not to you: docs/guide/code/tls_upgrade.c /* TLS that starts in the middle of a connection; both sides show a certificate. */ #include <asyncio.h> #include <asyncio/tls.h> #include <stdio.h> #include <sys/socket.h> static int make_context(bool server, asyncio_tls_context **tls) { int err = server ? asyncio_tls_context_new_server(tls) : asyncio_tls_context_new_client(tls); if (!err) err = asyncio_tls_context_load_ca(*tls, \"ca.pem\"); if (!err && server) err = asyncio_tls_context_load_cert(*tls, \"server.pem\", \"server.key\"); if (!err && !server) err = asyncio_tls_context_load_cert(*tls, \"client.pem\", \"client.key\"); if (!err && server) err = asyncio_tls_context_require_client_cert(*tls); return err ? err : asyncio_tls_context_set_timeouts(*tls, 5, 2); /* seconds: handshake, goodbye */ } ASYNC(serve, asyncio_stream *, stream, asyncio_tls_context *, tls) { asyncio_tls_info info; char *line; ssize_t n = asyncio_stream_readline(stream, &line); if (n <= 0) return n; printf(\"in the clear: %s\", line); n = asyncio_stream_start_tls(stream, tls, NULL); if (n == 0) n = asyncio_stream_readline(stream, &line); if (n > 0 && asyncio_stream_tls_info(stream, &info) == 0) printf(\"%s says: %s\", info.subject, line); int closing = asyncio_stream_close(stream); return n < 0 ? n : closing; } ASYNC(ask, asyncio_stream *, stream, asyncio_tls_context *, tls) { int err = asyncio_stream_printf(stream, \"STARTTLS\\n\"); if (!err) err = asyncio_stream_start_tls(stream, tls, \"server.test\"); if (!err) err = asyncio_stream_printf(stream, \"a secret\\n\"); int closing = asyncio_stream_close(stream); return err ? err : closing; } ASYNC(async_main) { asyncio_tls_context *client = NULL, *server = NULL; asyncio_stream *streams[2]; int ends[2], err = make_context(false, &client); if (!err) err = make_context(true, &server); if (!err && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0) { asyncio_stream_from_fd(ends[0], NULL, &streams[0]); asyncio_stream_from_fd(ends[1], NULL, &streams[1]); err = asyncio_gather(NULL, ask(streams[0], client), serve(streams[1], server)); } asyncio_tls_context_release(client); asyncio_tls_context_release(server); return err; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/tls_upgrade.out in the clear: STARTTLS CN=client says: a secret _require_client_cert admits only clients whose certificate a loaded authority has signed. _request_client_cert also admits clients that show none, and verified in the info says whether this one did. With TLS 1.3 a client learns at its first read that it was refused."
},
{
"title": "The end – 9. TLS",
"url": "docs/guide/9-tls.html#the-end",
"text": "TLS peers announce the end of a stream (close_notify). If a connection ends without that, an attacker may have cut it after the bytes that suit the attack. So reading returns an error, not the end: docs/guide/code/tls_truncated.c /* A connection that ends, and one that is cut. */ #include <asyncio.h> #include <asyncio/tls.h> #include <stdio.h> #include <sys/socket.h> /* Sends a line, then says goodbye or cuts the connection. */ ASYNC(send_some, int, fd, asyncio_tls_context *, tls, bool, says_goodbye) { asyncio_connect_options options = {.tls = tls}; asyncio_stream *stream; int err = asyncio_stream_from_fd(fd, &options, &stream); if (err) return err; err = asyncio_stream_printf(stream, \"pay 1,000\\n\"); if (says_goodbye) return asyncio_stream_close(stream); shutdown(asyncio_stream_fd(stream), SHUT_WR); /* as if somebody had cut the cable */ asyncio_sleep(0.05); asyncio_stream_abort(stream); return err; } ASYNC(receive_all, int, fd, asyncio_tls_context *, tls) { asyncio_connect_options options = {.tls = tls, .server_hostname = \"server.test\"}; asyncio_stream *stream; char *line; ssize_t n = asyncio_stream_from_fd(fd, &options, &stream); if (n) return n; while ((n = asyncio_stream_readline(stream, &line)) > 0) fputs(line, stdout); printf(\"%s\\n\", n ? asyncio_error_message() : \"the end\"); asyncio_stream_close(stream); return 0; } ASYNC(async_main) { asyncio_tls_context *client = NULL, *server = NULL; int err = asyncio_tls_context_new_client(&client); if (!err) err = asyncio_tls_context_load_ca(client, \"ca.pem\"); if (!err) err = asyncio_tls_context_new_server(&server); if (!err) err = asyncio_tls_context_load_cert(server, \"server.pem\", \"server.key\"); for (int goodbye = 1; goodbye >= 0 && !err; goodbye--) { int ends[2]; if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) break; err = asyncio_gather(NULL, receive_all(ends[0], client), send_some(ends[1], server, goodbye)); } asyncio_tls_context_release(client); asyncio_tls_context_release(server); return err; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/tls_truncated.out pay 1,000 the end pay 1,000 TLS: truncated: the connection ended without a goodbye (close_notify) (server.test) asyncio_stream_close says goodbye, and waits for the peer's goodbye. _write_eof says it too, and reading goes on. If a peer never says it and the protocol has lengths of its own, use _dangerously_accept_truncation."
},
{
"title": "Certificates that change, and keys – 9. TLS",
"url": "docs/guide/9-tls.html#certificates-that-change-and-keys",
"text": "Certificates are renewed every few weeks. asyncio_tls_context_reload_cert loads the new one while the context is in use, on any thread; if anything is wrong with it, all stays as it was: docs/guide/code/tls_reload.c /* A certificate is renewed while the server runs. */ #include <asyncio.h> #include <asyncio/tls.h> #include <stdio.h> ASYNC(serve, asyncio_stream *, stream) { char byte; return asyncio_stream_read(stream, &byte, 1); } static asyncio_coro *handler(asyncio_stream *stream, void *arg) { (void)arg; return serve(stream); } /* Tells whose certificate the server shows. */ ASYNC(visit, int, port, asyncio_tls_context *, tls) { asyncio_connect_options options = {.tls = tls}; asyncio_stream *stream; asyncio_tls_info info; asyncio_buffer der; int err = asyncio_open_connection(\"127.0.0.1\", port, &options, &stream); if (err) return err; err = asyncio_stream_tls_info(stream, &info); if (!err) err = asyncio_stream_tls_peer_cert(stream, &der); if (!err) { printf(\"%s, %s\\n\", info.subject, der.length > 100 ? \"in DER, too\" : \"?\"); asyncio_buffer_destroy(&der); } asyncio_stream_close(stream); return err; } ASYNC(async_main) { asyncio_tls_context *client = NULL, *tls = NULL; asyncio_server *server = NULL; int err = asyncio_tls_context_new_client(&client); if (!err) err = asyncio_tls_context_dangerously_accept_any_cert(client); /* to look at it, and no more */ if (!err) err = asyncio_tls_context_set_resumption(client, false); if (!err) err = asyncio_tls_context_new_server(&tls); if (!err) err = asyncio_tls_context_load_cert(tls, \"server.pem\", \"server.key\"); asyncio_server_options options = {.tls = tls}; if (!err) err = asyncio_start_server(handler, NULL, \"127.0.0.1\", 0, &options, &server); if (!err) err = asyncio_await(visit(asyncio_server_port(server), client)); if (!err && asyncio_tls_context_reload_cert(tls, \"shop.pem\", \"client.key\")) /* they do not fit */ printf(\"%s\\n\", asyncio_error_message()); if (!err) err = asyncio_tls_context_reload_cert(tls, \"shop.pem\", \"shop.key\"); /* any thread may */ if (!err) err = asyncio_await(visit(asyncio_server_port(server), client)); asyncio_server_release(server); asyncio_tls_context_release(tls); asyncio_tls_context_release(client); return err; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/tls_reload.out CN=server, in DER, too TLS: client.key cannot be used: key values mismatch CN=shop, in DER, too Handshakes that begin afterwards show the new certificate. Those under way and connections keep the old one, and clients go on resuming their sessions. Call it when a signal such as SIGHUP comes (chapter 10). A certificate and its key may come from memory (_load_cert_memory), and a key may have a password, for which your function is asked (_load_cert_password). A context may have an RSA and an EC certificate at once: load both. Everything else is set up before the first connection; later these calls return ASYNCIO_ESTATE: _set_ciphers(tls, \"ECDHE+AESGCM:TLS_AES_128_GCM_SHA256\"): those of TLS 1.3 begin with TLS_. A name that stands for nothing is an error. _set_groups(tls, \"X25519:P-256\") likewise. _set_ticket_keys: servers with the same keys, 80 random bytes each, resume each other's sessions. To change them, put a new key first, and keep the old one for a day. _load_crl: a list of revoked certificates. From then on each authority of a chain needs a list: one without is refused as one that has revoked the certificate is. _set_keylog(tls, \"/tmp/keys.log\"): Wireshark then decrypts what it records. For debugging: the file opens every connection. asyncio_stream_tls_export derives keys that both ends of a connection have, and nobody else (RFC 5705), for protocols that bind something to the connection. asyncio_stream_tls_peer_cert gives the peer's certificate in DER, for what asyncio_tls_info does not tell."
},
{
"title": "Times – 9. TLS",
"url": "docs/guide/9-tls.html#times",
"text": "_set_timeouts(tls, handshake, goodbye) sets two limits, 60 and 30 seconds by default. After the first, the handshake fails with -ETIMEDOUT and \"TLS: the handshake took longer than 60 seconds\". After the second, _close returns -ETIMEDOUT, and has closed the stream; with a negative one it does not wait for the peer's goodbye. A cancel in a handshake ends the connection, since half a handshake is of no use. Nothing waits inside OpenSSL, so the loops of several threads may share a context. Clients resume sessions with a server, which makes handshakes shorter; after a restart of the server the next handshake is a full one, unless it has the same ticket keys. A session lasts until the first certificate of the chain expires, and a day at most; then the next handshake is a full one. Renegotiation is refused. A peer that asks for answers and does not read them is cut off. A client to copy from: examples/16_https_get.c. Next: Processes and signals"
},
{
"title": "10. Processes and signals",
"url": "docs/guide/10-processes-and-signals.html#10-processes-and-signals",
"text": "A task can start a program, talk to it and wait until it ends. It can wait for a signal, too."
},
{
"title": "Processes – 10. Processes and signals",
"url": "docs/guide/10-processes-and-signals.html#processes",
"text": "docs/guide/code/process.c /* Commands, their output, and their status. */ #include <asyncio.h> #include <stdio.h> /* Sorts a text, as `sort` does. */ static int sort(const char *text, size_t n, asyncio_buffer *sorted) { const char *const argv[] = {\"sort\", NULL}; asyncio_subprocess_options options = {.stdin_fd = ASYNCIO_PIPE, .stdout_fd = ASYNCIO_PIPE}; asyncio_process *process; int err = asyncio_create_subprocess_exec(argv, &options, &process); if (err) return err; err = asyncio_process_communicate(process, text, n, sorted, NULL); asyncio_process_release(process); return err; } /* Runs a command in the shell; stores its status. */ static int status_of(const char *command, int *status) { asyncio_process *process; int err = asyncio_create_subprocess_shell(command, NULL, &process); if (err) return err; err = asyncio_process_wait(process, status); asyncio_process_release(process); return err; } ASYNC(async_main) { asyncio_buffer sorted; int err = sort(\"pear\\napple\\nfig\\n\", 15, &sorted); if (err) return err; printf(\"%s\", sorted.data); asyncio_buffer_destroy(&sorted); static const char *const commands[] = {\"exit 3\", \"kill -TERM $$\"}; for (int i = 0; i < 2; i++) { int status; err = status_of(commands[i], &status); if (err) return err; printf(\"%s: %d\\n\", commands[i], status); } const char *const argv[] = {\"no-such-program\", NULL}; asyncio_process *process; return asyncio_create_subprocess_exec(argv, NULL, &process); } int main(void) { return asyncio_main(async_main()); } docs/guide/code/process.out apple fig pear exit 3: 3 kill -TERM $$: -15 process: run no-such-program: no such file or directory (ENOENT) (exit status 1) asyncio_create_subprocess_exec takes the program and its arguments, _shell a command for /bin/sh. The options set the process's stdin, stdout and stderr: 0 inherited (the default) ASYNCIO_PIPE a pipe; this program's end is a stream, asyncio_process_stdin(p), _stdout, _stderr ASYNCIO_DEVNULL /dev/null ASYNCIO_STDOUT for stderr: the same as stdout a descriptor a copy of it; yours stays open A process gets these three descriptors and those that inherit names. It gets no other descriptor of your program, none of its signal handlers, and starts with no signal blocked. If it cannot be started, the message says what was wrong: the program, the interpreter that a script names, the folder (cwd) or a descriptor. asyncio_process_wait waits until the process ends. The status is its exit status, or minus the signal that ended it. Any number of tasks may wait. It does not wait for the pipes: the process may have left them to a child of its own. asyncio_process_communicate writes the input, reads both outputs and waits for the end, all at once. If you wrote all the input before you read, both sides could wait for each other for ever. It keeps all output in memory. A cancel loses none of it; the next call goes on. asyncio_process_returncode returns the status without waiting. asyncio_run_process is all of it in one call. A timeout around it kills and reaps the process, with its group if process_group is 1. asyncio_process_stop sends SIGTERM, and SIGKILL if the process has not ended after a grace; to its group, too. When the leader of a group has ended, what is left of the group is killed at once: a shell that dies of SIGTERM takes the time from its children. Let it exec the program, or wait for them in a trap. asyncio_process_terminate and _kill send SIGTERM and SIGKILL, _send_signal any signal. They never reach another process that got the number of one that has ended. asyncio_process_release frees the process. One that still runs is killed, and the loop reaps it. With the option detach it runs on, in a session of its own. Release each process, even after its loop has closed: a process that is not released runs on. The library installs no handler for SIGCHLD, and leaves yours alone. If another part of your program waits for all children (waitpid(-1)), it may take the status first: then the call returns 255, and the exception handler gets a report."
},
{
"title": "A dialogue – 10. Processes and signals",
"url": "docs/guide/10-processes-and-signals.html#a-dialogue",
"text": "With a process that lives longer, you read and write its streams yourself, like any stream (chapter 7). Timeouts work as usual: docs/guide/code/dialogue.c /* A process that lives longer: its lines as they come, and a time limit. */ #include <asyncio.h> #include <errno.h> #include <stdio.h> static int ask(asyncio_process *process, const char *question) { char *line; int err = asyncio_stream_printf(asyncio_process_stdin(process), \"%s\\n\", question); if (err) return err; ssize_t n = asyncio_stream_readline(asyncio_process_stdout(process), &line); if (n <= 0) return n ? n : ASYNCIO_EINCOMPLETE; printf(\"%s = %s\", question, line); return 0; } /* Uses the shell as a calculator; it does not answer the last question. */ static int calculate(asyncio_process *process) { int err = ask(process, \"6 * 7\"); if (!err) err = ask(process, \"1 + 1\"); if (!err) ASYNCIO_TIMEOUT(err, 0.2) { err = ask(process, \"for ever\"); } return err; } ASYNC(async_main) { asyncio_subprocess_options options = {.stdin_fd = ASYNCIO_PIPE, .stdout_fd = ASYNCIO_PIPE}; asyncio_process *process; int status; int err = asyncio_create_subprocess_shell( \"while read line; do case $line in for*) ;; *) echo $(($line));; esac; done\", &options, &process); if (err) return err; err = calculate(process); printf(\"%s\\n\", asyncio_errname(err)); printf(\"still there: %s\\n\", asyncio_process_returncode(process, &status) ? \"no\" : \"yes\"); asyncio_process_release(process); /* not any more */ return err == -ETIMEDOUT ? 0 : err; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/dialogue.out 6 * 7 = 42 1 + 1 = 2 ETIMEDOUT still there: yes A timeout or a cancel ends the wait, not the process. To end the process too, call asyncio_process_release on every way out. A signal reaches the process alone, and so does the kill of _release. Programs that a shell has started run on without it, and may hold the pipes. To end those as well, give the process a group: see the next section. examples/18_process_supervisor.c does so for several programs, sends SIGKILL after a while, and still shows their last output; examples/17_run_commands.c runs many commands, a few at a time."
},
{
"title": "Run in one call, stopped, with less rights – 10. Processes and signals",
"url": "docs/guide/10-processes-and-signals.html#run-in-one-call-stopped-with-less-rights",
"text": "docs/guide/code/running.c /* Programs that are run in one call, within a time, with less rights; and one that is stopped. */ #include <asyncio.h> #include <errno.h> #include <stdio.h> #define SHELL(command) ((const char *const[]){\"sh\", \"-c\", command, NULL}) /* Its first program leaves a second one behind, which has the output open. Both are of one group. */ static int run_in_time(double seconds) { asyncio_subprocess_options options = {.process_group = 1}; asyncio_buffer out; int err = 0; ASYNCIO_TIMEOUT(err, seconds) { err = asyncio_run_process(SHELL(\"sleep 1000 & exit 0\"), &options, NULL, 0, &out, NULL, NULL); } return err; /* both are gone, and `out` was not touched */ } /* Stops a program that does not end at SIGTERM. */ static int stop_stubborn(int *status) { asyncio_subprocess_options options = {.stdout_fd = ASYNCIO_PIPE, .process_group = 1}; const char *const *argv = SHELL(\"trap '' TERM; echo ready; sleep 1000; sleep 1000\"); asyncio_process *process; char *line; int err = asyncio_create_subprocess_exec(argv, &options, &process); if (err) return err; ssize_t n = asyncio_stream_readline(asyncio_process_stdout(process), &line); err = n < 0 ? (int)n : asyncio_process_stop(process, 0.2, status); asyncio_process_release(process); return err; } ASYNC(async_main) { asyncio_subprocess_options private = {.umask = 077}; asyncio_buffer out, errors; int status; int err = asyncio_run_process(SHELL(\"cat; umask; echo oops >&2; exit 3\"), &private, \"input\\n\", 6, &out, &errors, &status); if (err) return err; printf(\"%s%s%d\\n\", out.data, errors.data, status); asyncio_buffer_destroy(&out); asyncio_buffer_destroy(&errors); printf(\"%s\\n\", asyncio_errname(run_in_time(0.2))); err = stop_stubborn(&status); printf(\"stopped: %d\\n\", status); return err; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/running.out input 0077 oops 3 ETIMEDOUT stopped: -9 asyncio_run_process makes a pipe for each thing that you give it: input, out, err. It keeps all output in memory; to bound it, read the streams yourself. A timeout or a cancel kills the process, and reaps it. With .process_group = 1 the process leads a group, to which the programs belong that it starts. The kill, and asyncio_process_stop, then reach all of them. So does asyncio_process_send_signal_group, also after the leader's end: until you release it, it stays a zombie, and its number is no other group's. A program that makes a group or session of its own has left. asyncio_process_stop(p, grace, &status) sends SIGTERM, after grace seconds SIGKILL, and returns when the process has ended. A cancel meanwhile kills at once. option 0 -1 uid, gid the user and group that the process runs as as here root: the number 0 umask which rights its new files do not have as here none: the mask 0 Only root may become another user. Give both numbers: a uid alone leaves the process root's group. The supplementary groups always go. cwd is entered with your rights. The library looks up no names: getpwnam may block, so call it with asyncio_to_thread."
},
{
"title": "A terminal – 10. Processes and signals",
"url": "docs/guide/10-processes-and-signals.html#a-terminal",
"text": "Many programs ask for a password, show colours or flush each line only at a terminal. With .pty = 1 the process has a new one as stdin, stdout and stderr: docs/guide/code/terminal.c /* A program that thinks that a person is at its terminal. */ #include <asyncio.h> #include <stdio.h> #include <string.h> #include <sys/ioctl.h> static int show_line(asyncio_stream *terminal) { char *line; ssize_t n = asyncio_stream_readline(terminal, &line); if (n > 0) printf(\"%.*s\\n\", (int)strcspn(line, \"\\r\"), line); /* lines end in \\r\\n there */ return n < 0 ? (int)n : 0; } ASYNC(async_main) { const char *command = \"trap 'stty size' WINCH; test -t 0 && echo at a terminal; read line;\" \"while :; do sleep 0.1; done\"; const char *const argv[] = {\"sh\", \"-c\", command, NULL}; asyncio_subprocess_options options = {.pty = 1}; asyncio_process *process; int status = 0; int err = asyncio_create_subprocess_exec(argv, &options, &process); if (err) return err; asyncio_stream *terminal = asyncio_process_stdin(process); /* _stdout is the same */ err = show_line(terminal); if (!err) err = asyncio_stream_write(terminal, \"hello\\n\", 6); if (!err) err = show_line(terminal); /* the echo */ struct winsize size = {.ws_row = 24, .ws_col = 80}; ioctl(asyncio_stream_fd(terminal), TIOCSWINSZ, &size); /* SIGWINCH tells the program */ if (!err) err = show_line(terminal); if (!err) err = asyncio_stream_write(terminal, \"\\3\", 1); /* ^C */ if (!err) err = asyncio_process_wait(process, &status); printf(\"ended: %d\\n\", status); asyncio_process_release(process); return err; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/terminal.out at a terminal hello 24 80 ended: -2 One stream is the person's side: what you write is typed, what you read is shown. The terminal shows what is typed, too (the echo), unless the program or your own tcsetattr on asyncio_stream_fd(terminal) turns that off. The window is 0 by 0 at first; set its size as above, whenever yours changes (asyncio_wait_signal(SIGWINCH)). A program that must find its size from its first line on needs a shell around it: stty rows 24 cols 80; exec program. When nobody has the terminal open any more, its output ends. When you close the stream, the session gets SIGHUP. asyncio_process_communicate and asyncio_run_process type ^D after the input. The process leads a session, and with it a group, for _stop and timeouts."
},
{
"title": "Signals – 10. Processes and signals",
"url": "docs/guide/10-processes-and-signals.html#signals",
"text": "docs/guide/code/wait_signal.c /* Signals to wait for, and signals as callbacks. */ #include <asyncio.h> #include <signal.h> #include <stdio.h> ASYNC(reload) { for (;;) { int err = asyncio_wait_signal(SIGHUP); if (err) return err; puts(\"reload\"); err = asyncio_sleep(0.3); /* it takes a while; a signal that comes now is kept */ if (err) return err; } } static void show_status(void *arg) { printf(\"status: %d clients\\n\", *(int *)arg); } ASYNC(async_main) { int clients = 12; asyncio_loop *loop = asyncio_get_running_loop(); asyncio_loop_add_signal_handler(loop, SIGUSR1, show_status, &clients); asyncio_task *reloader = asyncio_create_task(reload()); asyncio_sleep(0); for (int i = 0; i < 3; i++) { /* as if somebody had sent them */ raise(SIGHUP); raise(SIGUSR1); asyncio_sleep(0.01); } asyncio_sleep(0.5); asyncio_loop_remove_signal_handler(loop, SIGUSR1); asyncio_cancel(reloader); asyncio_await(reloader); return 0; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/wait_signal.out status: 12 clients reload status: 12 clients status: 12 clients reload asyncio_wait_signal waits for a signal. The first wait installs a handler, which stays until the loop closes. So a signal that comes while the task is busy is kept, and ends the next wait at once. Several that come meanwhile count as one, as always with signals: above, two of the three. asyncio_loop_add_signal_handler calls a function instead. Both run in the loop, not in the signal handler, and may do anything. Any loop in any thread may watch a signal; when the last one stops, the library restores the previous action. SIGINT and SIGTERM need none of this: asyncio_main cancels your main coroutine on the first (chapter 13), and a second one ends the program at once. A watch of your own takes precedence. Writes by the library never raise SIGPIPE: a pipe or connection without a reader returns -EPIPE."
},
{
"title": "stdin, stdout and terminals – 10. Processes and signals",
"url": "docs/guide/10-processes-and-signals.html#stdin-stdout-and-terminals",
"text": "asyncio_open_pipe(0, NULL, &stream) makes a stream of stdin. It does the same for 1, 2, a pipe or a terminal. Other processes share these open files, so the library does not set O_NONBLOCK on them: the shell, or the next program in the pipeline, would find it there. examples/23_chat_client.c reads a terminal and a connection at the same time. Next: Files"
},
{
"title": "11. Files",
"url": "docs/guide/11-files.html#11-files",
"text": "A disk, or the server behind a folder, may take a while to answer, and a plain read would block every task meanwhile. The calls of this chapter block only the task that makes them. They have the parameters and errors of the system calls: docs/guide/code/file_whole.c /* Writes a file, reads it back, and looks at it. */ #include <asyncio.h> #include <errno.h> #include <stdio.h> #include <string.h> static int write_file(const char *path, const char *text) { asyncio_file *file; int err = asyncio_file_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644, &file); if (err) return err; ssize_t n = asyncio_file_write(file, text, strlen(text)); if (n >= 0) err = asyncio_file_fsync(file); /* on the disk from here on */ int closing = asyncio_file_close(file); return n < 0 ? n : err ? err : closing; } static int show_file(const char *path) { char block[4096]; asyncio_file *file; int err = asyncio_file_open(path, O_RDONLY, 0, &file); if (err) return err; ssize_t n; while ((n = asyncio_file_read(file, block, sizeof block)) > 0) fwrite(block, 1, n, stdout); asyncio_file_close(file); return n; } ASYNC(async_main) { struct stat status; int err = write_file(\"guide-new.txt\", \"Files do not hold up the loop.\\n\"); if (!err) err = asyncio_rename(\"guide-new.txt\", \"guide.txt\"); /* whole, or not at all */ if (!err) err = show_file(\"guide.txt\"); if (!err) err = asyncio_stat(\"guide.txt\", &status); if (err) return err; printf(\"%lld bytes\\n\", (long long)status.st_size); asyncio_unlink(\"guide.txt\"); if (show_file(\"guide.txt\") == -ENOENT) puts(asyncio_error_message()); return 0; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/file_whole.out Files do not hold up the loop. 31 bytes open guide.txt: no such file or directory When the kernel has the answer in memory (a path that it knows, a page of the page cache, the attributes of a file), the call returns at once, for little more than the system call costs. All else, and every write, goes through io_uring where the kernel has it, and else runs on up to eight threads that the library starts on demand. A task sees no difference: the call returns when it is done. call asyncio_file_open, _close, _from_fd open(2), always close-on-exec; close(2); a file from an open descriptor _read, _write, _lseek at the file's position; a read is short only at the end of the file _pread, _pwrite at an offset, for any number of tasks at a time _fsync, _fdatasync, _ftruncate, _stat, _fd like the system calls of that name asyncio_unlink, _rename, _mkdir, _rmdir, _stat, _lstat by path asyncio_scandir, asyncio_copyfile a directory's entries; a copy of a file If two tasks read or write at the file's position at the same time, the second one gets ASYNCIO_ESTATE. Where the kernel keeps the position (O_APPEND, a shared descriptor), it also keeps writes apart, so many tasks may write to one log."
},
{
"title": "Line by line – 11. Files",
"url": "docs/guide/11-files.html#line-by-line",
"text": "A stream over a file has every call of streams: readline, readuntil, printf, copy. It reads ahead, and writes in the background: docs/guide/code/file_lines.c /* A file read line by line, through a stream. */ #include <asyncio.h> #include <stdio.h> #include <string.h> static int open_stream(const char *path, int flags, asyncio_stream **stream) { asyncio_file *file; int err = asyncio_file_open(path, flags, 0644, &file); if (err) return err; err = asyncio_stream_from_file(file, NULL, stream); /* the stream now owns the file */ if (err) asyncio_file_close(file); return err; } static int write_lines(void) { asyncio_stream *stream; int err = open_stream(\"guide-lines.txt\", O_WRONLY | O_CREAT | O_TRUNC, &stream); if (err) return err; for (int i = 1; i <= 1000 && !err; i++) err = asyncio_stream_printf(stream, \"%d squared is %d\\n\", i, i * i); int closing = asyncio_stream_close(stream); /* waits until all is written */ return err ? err : closing; } ASYNC(async_main) { asyncio_stream *stream; char *line; ssize_t n; int lines = 0; int err = write_lines(); if (!err) err = open_stream(\"guide-lines.txt\", O_RDONLY, &stream); if (err) return err; while ((n = asyncio_stream_readline(stream, &line)) > 0) { lines++; if (strncmp(line, \"77 \", 3) == 0) fputs(line, stdout); } printf(\"%d lines\\n\", lines); asyncio_stream_close(stream); asyncio_unlink(\"guide-lines.txt\"); return n; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/file_lines.out 77 squared is 5929 1000 lines Check the result of asyncio_stream_close: it says whether all bytes were written. asyncio_open_pipe(0, ...) reads a redirected stdin in the same way."
},
{
"title": "Directories and copies – 11. Files",
"url": "docs/guide/11-files.html#directories-and-copies",
"text": "docs/guide/code/file_tree.c /* Makes a directory, copies a file in it, lists it, and removes it. */ #include <asyncio.h> #include <dirent.h> #include <stdio.h> static int fill(void) { asyncio_file *file; int err = asyncio_mkdir(\"guide-folder\", 0755); if (!err) err = asyncio_mkdir(\"guide-folder/pictures\", 0755); if (!err) err = asyncio_file_open(\"guide-folder/notes\", O_WRONLY | O_CREAT, 0644, &file); if (err) return err; asyncio_file_write(file, \"to do\\n\", 6); asyncio_file_close(file); ssize_t n = asyncio_copyfile(\"guide-folder/notes\", \"guide-folder/copy\"); printf(\"%zd bytes copied\\n\", n); return n < 0 ? n : 0; } ASYNC(async_main) { asyncio_dirents dirents; int err = fill(); if (!err) err = asyncio_scandir(\"guide-folder\", &dirents); if (err) return err; for (size_t i = 0; i < dirents.count; i++) printf(\"%s%s\\n\", dirents.entries[i].name, dirents.entries[i].type == DT_DIR ? \"/\" : \"\"); asyncio_dirents_destroy(&dirents); asyncio_unlink(\"guide-folder/copy\"); asyncio_unlink(\"guide-folder/notes\"); asyncio_rmdir(\"guide-folder/pictures\"); return asyncio_rmdir(\"guide-folder\"); } int main(void) { return asyncio_main(async_main()); } docs/guide/code/file_tree.out 6 bytes copied copy notes pictures/ asyncio_scandir returns the whole directory, sorted by name, in memory that one call frees. On some file systems the type of an entry is DT_UNKNOWN; then ask asyncio_lstat. asyncio_copyfile lets the kernel copy where it can, keeps holes, and removes the file it has made if it fails. examples/21_checksum.c walks a tree and computes the checksums of its files on all processors."
},
{
"title": "Cancelling a call on a file – 11. Files",
"url": "docs/guide/11-files.html#cancelling-a-call-on-a-file",
"text": "A call that still waits for a thread returns -ECANCELED, and has done nothing. A call that has begun uses your buffer, so it goes on, and returns its result; the next wait delivers the request. (io_uring can end some calls that have begun. They return -ECANCELED when the kernel no longer touches your buffer.) No byte that was read is lost, and no descriptor that was opened. So a timeout around a read from a file server that does not answer cannot end before the server answers. asyncio_file_close and asyncio_stream_close always close, even when they are cancelled. FIFOs, terminals and sockets are different: a task waits for them in the loop, without a thread, and a cancel ends the wait at once. The same holds for opening a FIFO to write, which waits for a reader; with O_NONBLOCK it returns -ENXIO instead."
},
{
"title": "Threads or io_uring – 11. Files",
"url": "docs/guide/11-files.html#threads-or-io_uring",
"text": "The first call that the kernel cannot answer at once makes a ring of io_uring beside the loop, after a test that it works. Many calls go to the kernel together, with one system call, and none of them costs a switch to another thread: reads of a disk by 32 tasks take about half of the processor time that they take with threads, or less. Copies, directories and the close of a file that was written stay on threads. Containers often deny io_uring, and kernels before 6.1 know too little of it. Then threads do everything, and nothing else changes. asyncio_backend_why() (asyncio/inspect.h) tells which it is, and why. The environment decides, too: ASYNCIO_FILES auto the ring where it works, else threads: the default threads threads; no ring is made ring as auto, and one line on stderr if the ring is denied A loop with a seed or a virtual clock has no ring, since its runs are to be repeated. In a program that changes its user, a call has the rights of the loop's thread at the end of the turn in which it was made, when it goes to the kernel."
},
{
"title": "What these calls do not do – 11. Files",
"url": "docs/guide/11-files.html#what-these-calls-do-not-do",
"text": "A write that returned may still be lost in a crash; asyncio_file_fsync puts it on the disk. asyncio_read and asyncio_write on a plain descriptor of a regular file are the system calls themselves, on the loop's thread, and may block it: use an asyncio_file. Next: Threads"
},
{
"title": "12. Threads",
"url": "docs/guide/12-threads.html#12-threads",
"text": "A loop runs in one thread, and a call that blocks the thread blocks all its tasks. Long computations and blocking libraries belong on another thread; the loop goes on meanwhile. The other way round, a program with many threads can run a loop in one of them, and submit work to it."
},
{
"title": "Calls that block – 12. Threads",
"url": "docs/guide/12-threads.html#calls-that-block",
"text": "asyncio_to_thread(fn, arg) runs fn(arg) on a thread of a pool, the default executor, and waits for its result: docs/guide/code/blocking.c /* Calls that block, beside a loop that goes on. */ #include <asyncio.h> #include <errno.h> #include <stdio.h> #include <unistd.h> struct search { int from, to; int primes; }; /* Runs on another thread. `arg` may point into the caller's frame. */ static intptr_t count_primes(void *arg) { struct search *search = arg; if (search->from < 2) return asyncio_raise(-EINVAL, \"%d is too small to begin with\", search->from); for (int n = search->from; n < search->to; n++) { int divisor = 2; while (divisor * divisor <= n && n % divisor) divisor++; search->primes += divisor * divisor > n; } return 0; } static intptr_t nap(void *arg) { usleep(200000); /* like a library that knows nothing of loops */ return (intptr_t)arg; } ASYNC(primes_in, int, from, int, to) { struct search search = {.from = from, .to = to}; intptr_t err = asyncio_to_thread(count_primes, &search); return err ? err : search.primes; } ASYNC(naps) { intptr_t result = asyncio_to_thread(nap, (void *)7); printf(\"the nap gave %ld\\n\", (long)result); int err = asyncio_sleep(10); /* the request is delivered here */ printf(\"and then: %s\\n\", asyncio_errname(err)); return err; } ASYNC(async_main) { intptr_t primes[2]; int err = asyncio_gather(primes, primes_in(2, 10000), primes_in(10000, 20000)); if (err) return err; printf(\"%ld and %ld primes\\n\", (long)primes[0], (long)primes[1]); asyncio_await(primes_in(0, 10)); printf(\"refused: %s\\n\", asyncio_error_message()); asyncio_task *task = asyncio_create_task(naps()); asyncio_sleep(0.1); asyncio_cancel(task); /* the function runs, so the task waits for it */ asyncio_await(task); return 0; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/blocking.out 1229 and 1033 primes refused: 0 is too small to begin with the nap gave 7 and then: ECANCELED The call returns what fn returns. If that is an error, asyncio_raise in fn gives it a message. fn sees a copy of its caller's context variables. It has no task, so nothing in it can wait (ASYNCIO_ENOTASK), and it must not touch the loop, its tasks or its streams; a table below lists what it may do. Memory and cancel. arg may point into the caller's frame, since the call does not return before fn does. So neither a cancel nor a timeout can end the call once fn runs: the call returns its result, and the next wait delivers the request. While the call still waits for a thread, a cancel ends it at once, and fn never runs. If fn can be stopped, by a flag that it reads or a descriptor that you close, stop it; if it then returns -ECANCELED, that delivers the request."
},
{
"title": "Executors, and work that goes on alone – 12. Threads",
"url": "docs/guide/12-threads.html#executors-and-work-that-goes-on-alone",
"text": "Work that nobody waits for must own its memory. asyncio_run_in_executor(executor, fn, arg, drop) returns a future at once. The work owns arg, and drop(arg) frees it when both sides are done with it: docs/guide/code/abandon.c /* Work that goes on alone, in an executor of its own. */ #include <asyncio.h> #include <stdio.h> #include <stdlib.h> #include <string.h> #include <unistd.h> struct query { char name[32]; int milliseconds; }; static struct query *make_query(const char *name, int milliseconds) { struct query *query = malloc(sizeof *query); snprintf(query->name, sizeof query->name, \"%s\", name); query->milliseconds = milliseconds; return query; } /* Runs on a thread of the executor. It owns the query, even if the task that asked is gone. */ static intptr_t ask(void *arg) { struct query *query = arg; usleep(query->milliseconds * 1000); return (intptr_t)strlen(query->name); } static void drop_query(void *arg) { struct query *query = arg; printf(\"done with '%s'\\n\", query->name); free(query); } static asyncio_future *start(asyncio_executor *executor, const char *name, int milliseconds) { return asyncio_run_in_executor(executor, ask, make_query(name, milliseconds), drop_query); } ASYNC(async_main) { asyncio_executor *executor = asyncio_executor_new(1); /* one at a time */ intptr_t length = asyncio_await(start(executor, \"quick\", 1)); printf(\"the answer is %ld\\n\", (long)length); asyncio_future *slow = start(executor, \"slow\", 300), *queued = start(executor, \"queued\", 1); intptr_t err = asyncio_wait_for(slow, 0.1); /* the future is cancelled, the function goes on */ printf(\"slow: %s\\n\", asyncio_errname(err)); asyncio_cancel(queued); /* and this one never runs */ asyncio_release(queued); asyncio_sleep(0.4); asyncio_release(start(executor, \"forgotten\", 50)); /* goes on; the end of the run waits for it */ asyncio_executor_release(executor); puts(\"main returns\"); return 0; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/abandon.out done with 'quick' the answer is 5 slow: ETIMEDOUT done with 'queued' done with 'slow' main returns done with 'forgotten' the future is ... the function drop runs awaited runs when it has returned, before the waiting tasks go on cancelled while it waits for a thread does not run soon, from the loop cancelled while it runs goes on; its result is dropped when it has returned released runs when it has returned pending when the loop closes goes on on the executor's thread So return a result that you need afterwards as the value, a number or a pointer to memory of its own; do not leave it in arg. You can pass the future to asyncio_gather, asyncio_wait_for or asyncio_wait, like any other. The default executor has up to four threads more than there are processors, 32 at most. Calls that block for long fill it; make an executor for them (asyncio_executor_new(threads)), which also limits how many run at once. Threads start on demand, and end after ten idle seconds. A released executor still finishes its queue. Several loops may share an executor. The end. When main has returned, asyncio_run cancels the tasks that are left. Then it waits for the functions that run, and for the work of executors that was not cancelled, all within shutdown_grace (10 s). Work that takes longer is reported and abandoned: the function goes on, in memory that stays, until the process ends."
},
{
"title": "Asking a loop from another thread – 12. Threads",
"url": "docs/guide/12-threads.html#asking-a-loop-from-another-thread",
"text": "asyncio_run_coroutine_threadsafe(coro, loop) makes a coroutine a task of a loop in another thread. It returns a thread future, and the calling thread blocks to wait for it: docs/guide/code/submit.c /* A thread submits coroutines to a loop in another thread, and waits for them. */ #include <asyncio.h> #include <errno.h> #include <pthread.h> #include <stdio.h> ASYNC(add_slowly, int, a, int, b) { int err = asyncio_sleep(0.05); return err ? err : a + b; } ASYNC(fail) { return asyncio_raise(-ENOENT, \"there is no such thing\"); } ASYNC(sleep_long) { return asyncio_sleep(1000); } /* ---- The thread that has the loop ---- */ struct service { pthread_t thread; asyncio_loop *loop; pthread_barrier_t ready; }; static void *serve(void *arg) { struct service *service = arg; asyncio_loop *loop = asyncio_loop_new(NULL); service->loop = asyncio_loop_ref(loop); /* for the others */ pthread_barrier_wait(&service->ready); asyncio_loop_run_forever(loop); asyncio_loop_close(loop); asyncio_loop_release(loop); return NULL; } static void stop(void *loop) { asyncio_loop_stop(loop); } /* ---- Everybody else ---- */ static void ask(asyncio_loop *loop) { asyncio_thread_future *sum = asyncio_run_coroutine_threadsafe(add_slowly(2, 3), loop); printf(\"2 + 3 = %ld\\n\", (long)asyncio_thread_future_result(sum, ASYNCIO_FOREVER)); asyncio_thread_future_release(sum); asyncio_thread_future *failure = asyncio_run_coroutine_threadsafe(fail(), loop); intptr_t err = asyncio_thread_future_result(failure, 10); printf(\"%s: %s\\n\", asyncio_errname(err), asyncio_error_message()); asyncio_thread_future_release(failure); asyncio_thread_future *sleeper = asyncio_run_coroutine_threadsafe(sleep_long(), loop); err = asyncio_thread_future_result(sleeper, 0.05); printf(\"so far: %s\\n\", asyncio_errname(err)); asyncio_thread_future_cancel(sleeper); err = asyncio_thread_future_result(sleeper, ASYNCIO_FOREVER); printf(\"cancelled: %s\\n\", asyncio_errname(err)); asyncio_thread_future_release(sleeper); } int main(void) { struct service service; pthread_barrier_init(&service.ready, NULL, 2); if (pthread_create(&service.thread, NULL, serve, &service)) return 1; pthread_barrier_wait(&service.ready); ask(service.loop); asyncio_loop_call_soon_threadsafe(service.loop, stop, service.loop); pthread_join(service.thread, NULL); asyncio_thread_future *late = asyncio_run_coroutine_threadsafe(fail(), service.loop); intptr_t err = asyncio_thread_future_result(late, ASYNCIO_FOREVER); printf(\"%s: %s\\n\", asyncio_errname(err), asyncio_error_message()); asyncio_thread_future_release(late); asyncio_loop_release(service.loop); pthread_barrier_destroy(&service.ready); return 0; } docs/guide/code/submit.out 2 + 3 = 5 ENOENT: there is no such thing so far: ETIMEDOUT cancelled: ECANCELED ASYNCIO_ESTATE: the loop is closed Any number of threads may call asyncio_thread_future_result, any number of times. _cancel asks the task to stop, and the result says whether it did; _release lets the task go on alone. On the loop's own thread the wait could never end, so it returns -EDEADLK. If the loop closes before the task has ended, the result is ASYNCIO_ESTATE. A function that runs in asyncio_to_thread can submit to its own loop in this way. (If that work needs the same executor, the executor needs a second thread.) asyncio_loop_call_soon_threadsafe hands the loop a callback instead of a task (chapter 13)."
},
{
"title": "Channels – 12. Threads",
"url": "docs/guide/12-threads.html#channels",
"text": "A channel hands items from one thread to another, in order. Its ends may be tasks of any loop, and threads without a loop. ASYNCIO_CHANNEL_OF(name, type); defines a channel for one type of item: docs/guide/code/channel.c /* A thread without a loop feeds tasks by one channel, and hears back by another. */ #include <asyncio.h> #include <pthread.h> #include <stdio.h> struct reading { int sensor; double celsius; }; ASYNCIO_CHANNEL_OF(readings, struct reading); ASYNCIO_CHANNEL_OF(orders, int); struct device { pthread_t thread; readings *up; orders *down; }; /* Like a driver's thread, which knows nothing of loops: it blocks where it waits. */ static void *run_device(void *arg) { struct device *device = arg; int sensor; while (orders_receive_blocking(device->down, &sensor, ASYNCIO_FOREVER) == 0) { struct reading reading = {sensor, 20 + sensor * 0.5}; if (readings_send_blocking(device->up, reading, ASYNCIO_FOREVER)) break; } readings_close(device->up); /* there will be no more */ return NULL; } ASYNC(show_readings, readings *, up) { struct reading reading; int err; while ((err = readings_receive(up, &reading)) == 0) printf(\"sensor %d: %.1f degrees\\n\", reading.sensor, reading.celsius); printf(\"the device has ended: %s\\n\", asyncio_errname(err)); return err == ASYNCIO_EQUEUE_SHUTDOWN ? 0 : err; } ASYNC(ask_for_readings, orders *, down) { int err = 0; for (int sensor = 1; sensor <= 3 && !err; sensor++) err = orders_send(down, sensor); /* suspends while the device is behind */ orders_close(down); return err; } ASYNC(async_main) { struct device device = {.up = readings_new(8), .down = orders_new(2)}; if (!device.up || !device.down || pthread_create(&device.thread, NULL, run_device, &device)) return asyncio_raise(-1, \"no device\"); int err = asyncio_gather(NULL, show_readings(device.up), ask_for_readings(device.down)); orders_close(device.down); readings_close(device.up); /* after these two the thread waits for nothing */ pthread_join(device.thread, NULL); readings_release(device.up); orders_release(device.down); return err; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/channel.out sensor 1: 20.5 degrees sensor 2: 21.0 degrees sensor 3: 21.5 degrees the device has ended: ASYNCIO_EQUEUE_SHUTDOWN in a task in a thread without a loop anywhere, without waiting send name_send name_send_blocking(.., timeout) name_try_send receive name_receive name_receive_blocking(.., timeout) name_try_receive A channel is bounded: a sender waits while it is full, so a fast side cannot fill the memory of a slow one. The capacity is rounded up to a power of two. Senders and receivers are first come, first served, whatever their threads. An item is copied in and out. If it is a pointer, then what it points to belongs to the receiver from then on. Nothing is lost. A task that is cancelled before its turn has sent or received nothing. One whose turn has come completes its call, and the request to cancel waits for its next wait. If a loop closes over a task that was granted an item, the next receiver gets that item, on whatever thread it is. The end. name_close ends the sending: senders get ASYNCIO_EQUEUE_SHUTDOWN at once, receivers when they have emptied the channel. A channel is counted: each side keeps a reference (name_ref) and drops it (name_release). A call that waits is no reference, so the last _release also sends all waiting calls away. Items that are still inside then are dropped without a call; receive them first if they own something. Deadlocks. A blocking call on a thread that runs a loop would stop that loop, and returns -EDEADLK. Two threads that each wait until the other one's channel has room wait for ever: let one of them use _try_send, or a timeout. A channel costs about as much as a queue (chapter 6), and no system call unless the other side sleeps. Within one loop a queue is still the better tool: it has priorities, _join, and no memory of its own to release."
},
{
"title": "What is allowed from another thread – 12. Threads",
"url": "docs/guide/12-threads.html#what-is-allowed-from-another-thread",
"text": "asyncio_run_coroutine_threadsafe, asyncio_thread_future_* yes asyncio_loop_call_soon_threadsafe, asyncio_loop_call_soon_signalsafe yes asyncio_channel_* yes: _send and _receive in a task, _send_blocking and _receive_blocking where no loop runs asyncio_loop_ref, asyncio_loop_release yes: keep a reference while you may use the loop asyncio_executor_new, asyncio_executor_release yes making a coroutine, closing it yes: it belongs to no loop before it starts asyncio_raise, asyncio_error_message, asyncio_strerror yes: each thread has a message of its own context variables yes: each thread has a context of its own any call on a task, future, stream, server, lock or queue of the loop no: it aborts the program with a message that names the call A thread cannot wait for a lock or a queue of another thread's loop either: submit the work to the loop that owns it, or use a channel. Several loops. Each thread may run one. Chapter 16 has a call that starts one for each processor, calls from one loop to another, and servers over all of them. Fork. A child has none of its parent's threads. In the child executors start anew, and thread futures and channels of the parent return ASYNCIO_ESTATE. A function that forks on an executor's thread must end the child by _exit or exec. Plugins. A plugin that contains libasyncio.a may be unloaded once its last loop is closed. dlclose(3) ends and joins the library's threads, idle ones included. A function that still runs is waited for without limit, since its code would go away under it; after a second a line on stderr says so. While dlclose waits, no other thread can load a library, and looking up a name may need that. A plugin whose functions may take long therefore calls asyncio_shutdown_threads(timeout) first. It waits outside of dlclose, and for timeout at most: -ETIMEDOUT says that threads are still at work. A thread that runs a loop and a thread of an executor may not call it. The shared library stays mapped once it is loaded, and needs none of this. Signals are blocked on the threads of executors, so that handlers run where the program expects them. Signals of a fault (SIGSEGV and the like) are not blocked, since only the faulting thread can handle them. A process that you start there by hand inherits the mask. Tests. Under the virtual clock (chapter 17) time stands still while a function runs on another thread. A deadline passes only once it would have passed by a real clock. Next: The loop"
},
{
"title": "13. The loop",
"url": "docs/guide/13-loop.html#13-the-loop",
"text": "Most programs never see the event loop. This chapter is for programs with callbacks, threads or signals of their own."
},
{
"title": "Callbacks – 13. The loop",
"url": "docs/guide/13-loop.html#callbacks",
"text": "docs/guide/code/callbacks.c /* The loop's own callbacks: plain functions, which cannot wait. */ #include <asyncio.h> #include <stdio.h> static void tell(void *arg) { puts(arg); } static void try_to_wait(void *arg) { (void)arg; printf(\"a wait in a callback: %s\\n\", asyncio_errname(asyncio_sleep(1))); } static void ended(asyncio_future *future, void *arg) { printf(\"%s: %ld\\n\", (const char *)arg, (long)asyncio_result(future)); } ASYNC(answer) { int err = asyncio_sleep(0.1); return err ? err : 42; } ASYNC(async_main) { asyncio_loop *loop = asyncio_get_running_loop(); asyncio_loop_call_soon(loop, tell, \"soon\"); asyncio_loop_call_soon(loop, try_to_wait, NULL); asyncio_loop_call_later(loop, 0.2, tell, \"later\"); asyncio_handle never = asyncio_loop_call_later(loop, 0.2, tell, \"never\"); printf(\"cancelled: %d\\n\", asyncio_handle_cancel(loop, never)); asyncio_task *task = asyncio_create_task(answer()); asyncio_add_done_callback(task, ended, \"the task has ended\"); asyncio_release(task); return asyncio_sleep(0.3); } int main(void) { return asyncio_main(async_main()); } docs/guide/code/callbacks.out cancelled: 1 soon a wait in a callback: ASYNCIO_ENOTASK the task has ended: 42 later A callback runs on the loop's own stack, between the tasks. It cannot wait, and must not block. asyncio_loop_call_soon queues one; _call_later and _call_at set a timer. They return a handle, a value that you need not free. Cancelling a handle whose callback has run does nothing. asyncio_add_done_callback registers a function that the loop calls once a task or future is done, never inside the registering call itself."
},
{
"title": "Futures: waiting for a callback – 13. The loop",
"url": "docs/guide/13-loop.html#futures-waiting-for-a-callback",
"text": "A future is a result that will be set later. A task is a future that sets itself; the program sets a future that it made by asyncio_future_new. So a future turns a callback into something that a task can wait for: docs/guide/code/future.c /* A future turns a callback into something that can be awaited. */ #include <asyncio.h> #include <stdio.h> /* Stands for a library that knows only callbacks. */ static void start_measuring(void (*done)(void *arg), void *arg) { asyncio_loop_call_later(asyncio_get_running_loop(), 0.1, done, arg); } static void measured(void *arg) { asyncio_future *future = arg; asyncio_future_set_result(future, 21); /* refused if the task was cancelled */ asyncio_release(future); } /* The same, for tasks: a plain function that waits. */ static intptr_t measure(void) { asyncio_future *future = asyncio_future_new(); if (future) start_measuring(measured, asyncio_ref(future)); /* one reference for the callback */ return asyncio_await(future); /* takes the other one; NULL: -ENOMEM */ } ASYNC(measure_again) { return measure(); } ASYNC(async_main) { intptr_t degrees = measure(); if (degrees < 0) return degrees; printf(\"%ld degrees\\n\", (long)degrees); intptr_t err = asyncio_wait_for(measure_again(), 0.05); /* the callback comes later */ printf(\"too late: %s\\n\", asyncio_errname(err)); return asyncio_sleep(0.1); } int main(void) { return asyncio_main(async_main()); } asyncio_future_set_result (a value >= 0) or _set_error completes a future, once; a second call returns ASYNCIO_ESTATE. That happens when the waiting task was cancelled, since the cancel completes the future. Without its own reference the callback above would then use freed memory. So give the code that completes a future a reference of its own (asyncio_ref), which it releases after the completion."
},
{
"title": "Descriptors – 13. The loop",
"url": "docs/guide/13-loop.html#descriptors",
"text": "With asyncio_loop_add_reader(loop, fd, fn, arg) the loop calls fn(arg) whenever fd can be read, with asyncio_loop_add_writer whenever it can be written. Tasks do not need them. A library of callbacks does. libcurl tells which sockets it waits for, and for which events, part of examples/27_curl.c static int update_watch(struct watch *watch, int what) { asyncio_loop *loop = watch->bridge->loop; int err = 0; if (what & CURL_POLL_IN) err = asyncio_loop_add_reader(loop, watch->fd, on_readable, watch); if (!err && what & CURL_POLL_OUT) err = asyncio_loop_add_writer(loop, watch->fd, on_writable, watch); if (!(what & CURL_POLL_IN)) asyncio_loop_remove_reader(loop, watch->fd); if (!(what & CURL_POLL_OUT)) asyncio_loop_remove_writer(loop, watch->fd); return err; } and until when, for which the program has a single timer: part of examples/27_curl.c static int set_timer(CURLM *multi, long timeout_ms, void *arg) { struct bridge *bridge = arg; (void)multi; asyncio_handle_cancel(bridge->loop, bridge->timer); bridge->timer = (asyncio_handle){0}; if (timeout_ms < 0) return 0; bridge->timer = asyncio_loop_call_later(bridge->loop, (double)timeout_ms / 1000, on_timeout, bridge); return asyncio_handle_valid(bridge->timer) ? 0 : -1; } When a transfer ends, the callback sets an event that its task waits for. The rest of examples/27_curl.c is tasks, with timeouts and cancels like any others. A second reader replaces the first. A removed reader is never called again, even if its descriptor is ready. Remove the reader and the writer before you close the descriptor."
},
{
"title": "Threads – 13. The loop",
"url": "docs/guide/13-loop.html#threads",
"text": "A loop, with its tasks, streams and other objects, belongs to the thread that runs it. A call from another thread aborts the program with a message that names the call. The exceptions are functions whose names end in _threadsafe or _signalsafe, and asyncio_loop_ref and _release. docs/guide/code/threads.c /* Another thread does the work; the loop's thread completes the future. */ #include <asyncio.h> #include <errno.h> #include <pthread.h> #include <stdio.h> struct work { int n; long sum; asyncio_loop *loop; asyncio_future *future; }; /* Runs in the loop's thread, to which futures belong. */ static void finished(void *arg) { struct work *work = arg; asyncio_future_set_result(work->future, 0); } /* Runs in the other thread, which may call only functions that end in _threadsafe. */ static void *compute(void *arg) { struct work *work = arg; for (int i = 1; i <= work->n; i++) work->sum += i; asyncio_loop_call_soon_threadsafe(work->loop, finished, work); return NULL; } ASYNC(async_main) { pthread_t thread; struct work work = {.n = 1000000, .loop = asyncio_get_running_loop(), .future = asyncio_future_new()}; if (!work.future) return -ENOMEM; int err = pthread_create(&thread, NULL, compute, &work); if (err) { asyncio_release(work.future); return -err; } /* The thread uses this frame, so a cancel must not end the wait. */ intptr_t result = 0; ASYNCIO_SHIELD_SCOPE { result = asyncio_await(work.future); } pthread_join(thread, NULL); printf(\"the sum is %ld\\n\", work.sum); return result; } int main(void) { return asyncio_main(async_main()); } asyncio_loop_call_soon_threadsafe hands a callback to the loop, and wakes the loop if it sleeps. The task lends its frame to the thread, so the shield keeps it there until the thread is done. Chapter 12 has a pool of threads that does all this, and channels: a thread that has items for a task, one after the other, sends them through a channel and needs neither callback nor future."
},
{
"title": "Signals – 13. The loop",
"url": "docs/guide/13-loop.html#signals",
"text": "docs/guide/code/signals.c /* SIGINT and SIGTERM cancel the main task; any other signal can reach the loop. */ #include <asyncio.h> #include <errno.h> #include <signal.h> #include <stdio.h> static asyncio_loop *loop; static void reload(void *arg) { (void)arg; puts(\"reload the configuration\"); } /* A handler may make hardly any call; it may make this one. */ static void on_hangup(int signo) { (void)signo; asyncio_loop_call_soon_signalsafe(loop, reload, NULL); } ASYNC(async_main) { loop = asyncio_get_running_loop(); signal(SIGHUP, on_hangup); raise(SIGHUP); int err = asyncio_sleep(0.1); if (err) return err; raise(SIGINT); /* as if somebody had pressed Ctrl-C */ err = asyncio_sleep(10); printf(\"main is told: %s\\n\", asyncio_errname(err)); return err; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/signals.out reload the configuration main is told: ECANCELED (exit status 130) Under asyncio_run the first SIGINT cancels the main task, so the program cleans up and ends. If main then returns -ECANCELED, the run returns -EINTR. A second SIGINT takes the default action. asyncio_main does the same for SIGTERM, and returns 130 or 143, as shells expect. The options handle_sigint and handle_sigterm switch each on (1) or off (-1). A SIGINT handler of the program's own stays in place unless the option is 1."
},
{
"title": "A loop of your own – 13. The loop",
"url": "docs/guide/13-loop.html#a-loop-of-your-own",
"text": "asyncio_runner keeps one loop for several runs. It consists of asyncio_loop_new, _run_until_complete, _run_forever, _stop, _close and _release, which you can call yourself. One loop runs in a thread at a time; other threads may run loops of their own. After a fork the child cannot use its parent's loop (the calls return an error), but may make a new one. Chapter 14 runs a loop inside another one."
},
{
"title": "epoll or io_uring – 13. The loop",
"url": "docs/guide/13-loop.html#epoll-or-io_uring",
"text": "A loop waits with epoll. ASYNCIO_BACKEND=io_uring in the environment, or .backend = ASYNCIO_BACKEND_IO_URING in asyncio_run_options, makes one whose streams and transports receive and send by completions: the kernel takes what all of them want in one call. Everything else, such as asyncio_sock_recv and readers, waits as before, and no program is written differently. It pays where system calls are dear and many connections with small messages are ready at once. Where calls are cheap it costs up to a third more (0015). Measure with your own load. Containers often deny io_uring. Then the option gives -ENOSYS, with a message that says why, and the variable leaves epoll in place and prints a line. ASYNCIO_URING_WITHOUT=receive,send turns either direction off, to find out which of them matters. A loop that runs in another thread than before needs a new ring: it gets one if no stream is receiving or sending, and else ASYNCIO_ESTATE. Next: Inside another loop"
},
{
"title": "14. Inside another loop",
"url": "docs/guide/14-embedding.html#14-inside-another-loop",
"text": "A program with a window already has a main loop: GLib's, Qt's, a game engine's. A thread runs one main loop, but ours can run inside it. The other way round, a library's own loop can run inside ours."
},
{
"title": "Our loop inside another one – 14. Inside another loop",
"url": "docs/guide/14-embedding.html#our-loop-inside-another-one",
"text": "It takes three calls. The first returns a descriptor that becomes readable when there is something to do, the second the time until the next timer, and the third runs one iteration. docs/guide/code/embedding.c /* Our loop inside another one: here it is poll(2), with a descriptor of its own. */ #include <asyncio.h> #include <math.h> #include <poll.h> #include <stdio.h> #include <unistd.h> static int bell[2]; /* what the other loop waits for */ ASYNC(rings_twice) { for (int i = 0; i < 2; i++) { int err = asyncio_sleep(0.1); if (err) return err; puts(\"task: ring\"); write(bell[1], \"!\", 1); } return 0; } ASYNC(answers) { puts(\"task: somebody has rung\"); return 0; } /* The other loop. Everything of ours is in the lines that name asyncio. */ static int serve(asyncio_loop *loop, asyncio_task *main) { while (!asyncio_done(main)) { struct pollfd fds[2] = {{.fd = bell[0], .events = POLLIN}, {.fd = asyncio_loop_fd(loop), .events = POLLIN}}; double seconds = asyncio_loop_timeout(loop); poll(fds, 2, seconds < 60 ? (int)ceil(seconds * 1000) : 60000); if (fds[0].revents) { char byte; read(bell[0], &byte, 1); puts(\"poll: the bell\"); asyncio_release(asyncio_loop_create_task(loop, answers())); } int err = asyncio_loop_run_once(loop, 0); if (err) return err; } return 0; } int main(void) { asyncio_runner runner; if (pipe(bell) || asyncio_runner_init(&runner, NULL)) return 1; asyncio_loop *loop = asyncio_runner_get_loop(&runner); asyncio_task *main = asyncio_loop_create_task(loop, rings_twice()); int err = serve(loop, main); asyncio_release(main); asyncio_runner_close(&runner); /* ends the tasks that are left */ return err < 0; } docs/guide/code/embedding.out task: ring poll: the bell task: somebody has rung task: ring asyncio_loop_fd returns a descriptor. Poll it for input together with your own descriptors, and do nothing else with it. It becomes readable for any reason: a socket, a signal, a process that ended, another thread's asyncio_loop_call_soon_threadsafe, or a call that you make between two iterations, such as creating or cancelling a task, adding a callback or a timer, setting a future. asyncio_loop_timeout returns the seconds until the next timer, 0 if something is ready, ASYNCIO_FOREVER if there is no timer. Call it after each iteration at least. If you set a timer of the other loop by it, you need not ask again before that fires: an earlier timer makes the descriptor readable. asyncio_loop_run_once(loop, 0) runs one iteration: it collects events, runs what is ready, and returns. The window stays responsive as long as no step of your tasks takes long. While all tasks wait, the other loop sleeps: nothing polls in vain. Some rules: Create tasks with asyncio_loop_create_task. A callback of the other loop is no task, so it cannot wait. It creates a task that waits, and learns of its end by asyncio_add_done_callback. The thread that runs the iterations is the loop's thread. An iteration inside an iteration returns ASYNCIO_ESTATE. So do not start a nested main loop (a modal dialogue) in a task: start it from a callback of the other loop. asyncio_runner, as above, makes the loop, and at the end cancels the tasks that are left and waits for them. SIGINT stays with the other loop. For GLib the bridge is a GSource, which asks our loop before each poll: part of examples/22_glib.c struct loop_source { GSource source; asyncio_loop *loop; gpointer fd; GMainLoop *glib; }; /* Called before GLib polls: is there something to do at once, and if not, when? */ static gboolean prepare(GSource *source, gint *timeout_ms) { double seconds = asyncio_loop_timeout(((struct loop_source *)source)->loop); *timeout_ms = seconds * 1000 < G_MAXINT ? (gint)ceil(seconds * 1000) : -1; return seconds == 0; } /* Called after GLib has polled. */ static gboolean check(GSource *source) { struct loop_source *bridge = (struct loop_source *)source; return g_source_query_unix_fd(source, bridge->fd) || asyncio_loop_timeout(bridge->loop) == 0; } static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer data) { (void)callback, (void)data; struct loop_source *bridge = (struct loop_source *)source; if (asyncio_loop_run_once(bridge->loop, 0) == 0) return G_SOURCE_CONTINUE; g_warning(\"no turn for asyncio: %s\", asyncio_error_message()); g_main_loop_quit(bridge->glib); /* without turns our main task would never end it */ return G_SOURCE_REMOVE; } static GSource *attach(asyncio_loop *loop, GMainLoop *glib) { static GSourceFuncs functions = {.prepare = prepare, .check = check, .dispatch = dispatch}; GSource *source = g_source_new(&functions, sizeof(struct loop_source)); struct loop_source *bridge = (struct loop_source *)source; bridge->loop = loop; bridge->glib = glib; bridge->fd = g_source_add_unix_fd(source, asyncio_loop_fd(loop), G_IO_IN); g_source_attach(source, NULL); return source; } examples/22_glib.c is the whole program: GLib's timers, and tasks with sockets and a process, in one thread."
},
{
"title": "Another loop inside ours – 14. Inside another loop",
"url": "docs/guide/14-embedding.html#another-loop-inside-ours",
"text": "Most loops have the same three things: libuv uv_backend_fd, uv_backend_timeout and uv_run(loop, UV_RUN_NOWAIT); libev and c-ares have similar calls. A task drives such a loop: docs/guide/code/foreign.c /* Another loop inside ours: it has a descriptor that is readable when it has something to do. */ #include <asyncio.h> #include <errno.h> #include <stdio.h> #include <stdint.h> #include <sys/epoll.h> #include <sys/timerfd.h> #include <unistd.h> /* ---- As if it came with a library: a loop of callbacks, which here has a timer only. ---- */ struct other_loop { int epfd, timer, left; }; static int other_open(struct other_loop *other) { struct itimerspec every = {{0, 200000000}, {0, 200000000}}; struct epoll_event event = {.events = EPOLLIN}; *other = (struct other_loop){epoll_create1(EPOLL_CLOEXEC), timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), 3}; timerfd_settime(other->timer, 0, &every, NULL); return epoll_ctl(other->epfd, EPOLL_CTL_ADD, other->timer, &event) ? -errno : 0; } /* Runs what is due, without waiting. Returns whether more is to come. */ static int other_run_once(struct other_loop *other) { struct epoll_event event; uint64_t times; if (epoll_wait(other->epfd, &event, 1, 0) == 1 && read(other->timer, &times, sizeof times) > 0) printf(\"the other loop: %d\\n\", other->left--); return other->left; } /* ---- Ours ---- */ /* A task drives the other loop. */ ASYNC(drive, struct other_loop *, other) { while (other_run_once(other)) { int err = asyncio_wait_readable(other->epfd, ASYNCIO_FOREVER); if (err) return err; } return 0; } ASYNC(counts) { for (int i = 1; i <= 3; i++) { int err = asyncio_sleep(0.25); if (err) return err; printf(\"our task: %d\\n\", i); } return 0; } ASYNC(async_main) { struct other_loop other; int err = other_open(&other); if (!err) err = asyncio_gather(NULL, drive(&other), counts()); close(other.timer); close(other.epfd); return err; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/foreign.out the other loop: 3 our task: 1 the other loop: 2 our task: 2 the other loop: 1 our task: 3 If the other loop has timers that its descriptor does not show, limit the wait by its timeout: asyncio_wait_readable(fd, seconds) returns -ETIMEDOUT, and the task runs the other loop then, too. asyncio_loop_add_reader does the same with a callback. If the other library closes its descriptor by itself, use asyncio_wait_readable, which leaves no registration behind. libcurl has no loop of its own: it tells which sockets it waits for. Chapter 13 shows the two callbacks that this takes."
},
{
"title": "A loop for another language – 14. Inside another loop",
"url": "docs/guide/14-embedding.html#a-loop-for-another-language",
"text": "A binding of the loop to another language brings callbacks of its own: thousands of small objects, each counted by the language, and one lock that says which thread may run it. asyncio/embed.h is made for that. Its calls, timers and watches are parts of your own objects. Nothing is allocated, no C context is captured, and the library's own call_soon, call_later and add_reader stand on the same. docs/guide/code/language.c /* An event loop of another language on top of ours. The language has one lock, like Python's, and counts its * objects. */ #include <asyncio.h> #include <errno.h> #include <pthread.h> #include <stddef.h> #include <stdio.h> #include <stdlib.h> static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* whoever runs the language has it */ static pthread_cond_t rang = PTHREAD_COND_INITIALIZER; static bool has_rung, is_interrupted; /* ---- A function of the language that the loop is to call. ---- */ struct function { asyncio_call call; asyncio_timer timer; const char *words; }; static void run(struct function *function) { puts(function->words); free(function); /* the loop touches it no more */ } static void called(asyncio_call *call) { run((struct function *)call); } static void timed(asyncio_timer *timer) { has_rung = true; pthread_cond_signal(&rang); run((struct function *)((char *)timer - offsetof(struct function, timer))); } static struct function *function_new(const char *words) { struct function *function = malloc(sizeof *function); if (!function) abort(); asyncio_call_init(&function->call, called); asyncio_timer_init(&function->timer, timed); function->words = words; return function; } /* ---- What the loop asks of the language. ---- */ /* The loop is about to wait: other threads may run. */ static void let_go(void *arg) { (void)arg; pthread_mutex_unlock(&lock); } /* It has waited. Has somebody pressed Ctrl-C? */ static int take_back(void *arg) { (void)arg; pthread_mutex_lock(&lock); return is_interrupted ? -EINTR : 0; } /* The loop closes: what it did not come to goes back. */ static void give_back(asyncio_call *call, asyncio_timer *timer, asyncio_watch *watch, void *arg) { (void)watch, (void)arg; struct function *function = call ? (struct function *)call : (struct function *)((char *)timer - offsetof(struct function, timer)); printf(\"given back: %s\\n\", function->words); free(function); } /* ---- Another thread that runs the language. ---- */ static void *another_thread(void *arg) { asyncio_loop *loop = arg; pthread_mutex_lock(&lock); /* comes through when the loop waits */ asyncio_loop_post(loop, &function_new(\"from another thread\")->call); while (!has_rung) pthread_cond_wait(&rang, &lock); is_interrupted = true; asyncio_loop_post(loop, &function_new(\"wake up\")->call); pthread_mutex_unlock(&lock); asyncio_loop_release(loop); return NULL; } int main(void) { asyncio_loop *loop = asyncio_loop_new(NULL); pthread_t thread; pthread_mutex_lock(&lock); asyncio_loop_set_wait_hooks(loop, let_go, take_back, NULL); asyncio_loop_set_drain(loop, give_back, NULL); int64_t now_ns = asyncio_loop_time_ns(loop); asyncio_timer_start(loop, &function_new(\"later\")->timer, now_ns + 100000000); asyncio_timer_start(loop, &function_new(\"never\")->timer, INT64_MAX); asyncio_loop_call(loop, &function_new(\"now\")->call); if (pthread_create(&thread, NULL, another_thread, asyncio_loop_ref(loop))) abort(); printf(\"stopped: %s\\n\", asyncio_strerror(asyncio_loop_run_forever(loop))); pthread_mutex_unlock(&lock); pthread_join(thread, NULL); asyncio_loop_close(loop); asyncio_loop_release(loop); return 0; } docs/guide/code/language.out now from another thread later stopped: Interrupted system call given back: wake up given back: never asyncio_loop_call has fn called in the next iteration, asyncio_timer_start at a time of the loop's clock in nanoseconds. An object is idle again before its fn is entered, so fn may free it, or start it anew. asyncio_timer_start moves a timer that runs. asyncio_loop_post does the same as asyncio_loop_call from any thread that has a reference to the loop. Of threads that post one object at the same time, one gets 0, the others 1. asyncio_watch_start tells what a descriptor is ready for. By level, fn comes in each turn in which it is; by edge (ASYNCIO_WATCH_EDGE), when it becomes so. An event costs no system call of its own. Stop a watch before you close its descriptor, or close it by asyncio_close: fn then comes once more, with POLLNVAL. asyncio_call_cancel, asyncio_timer_stop, asyncio_watch_stop: afterwards the object is yours, whatever they return, and its fn will not come. Wait hooks stand around each wait that may block, and around no other: a busy loop keeps the lock. An error of the second one ends the run, which returns it. The drain function gets back, when the loop closes, what the loop still has. Without it an object of the language would stay counted for ever. fn runs on the loop's own stack, so it cannot wait: a call that would gives ASYNCIO_ENOTASK. It can make a task."
},
{
"title": "fork – 14. Inside another loop",
"url": "docs/guide/14-embedding.html#fork",
"text": "To start a program, use asyncio_create_subprocess_exec (chapter 10). After a plain fork the child has no running loop: calls that wait return ASYNCIO_ENOTASK, and calls on the parent's loop ASYNCIO_ESTATE, with a message. The child may make a loop of its own, and close its copies of streams and servers; neither affects the parent. End the child by _exit or exec: a coroutine that returns in the child aborts it with a message. A child may look up names, too. The C library takes locks during a look-up, and a child forked meanwhile would find them locked for ever. So a fork waits, up to a tenth of a second, for the look-ups that the library has just begun. It does not wait for older ones, which wait for a name server and hold no lock. But if one of those gets its answer in the very moment of the fork, look-ups in the child can hang. If your program looks up many slow names, fork before it does, or exec in the child. The same holds for look-ups on your own threads. Next: Transports and protocols"
},
{
"title": "15. Transports and protocols",
"url": "docs/guide/15-protocols.html#15-transports-and-protocols",
"text": "Below its streams asyncio has a layer of callbacks: a transport has the connection, and calls the functions of a protocol when something happens to it. Where a function can wait, you seldom need it. It is there for programs that are written so already, for another language's asyncio on top of ours, and for what has so little to do for each connection that a task would be most of the cost."
},
{
"title": "A protocol – 15. Transports and protocols",
"url": "docs/guide/15-protocols.html#a-protocol",
"text": "A protocol is a table of functions, one for all connections; self is your object of one of them. Any of the functions may be missing. docs/guide/code/protocol.c /* A protocol: counts the words of each line, for two connections of this very process. */ #include <asyncio.h> #include <ctype.h> #include <stdio.h> #include <stdlib.h> /* ---- The server's side: one object for a connection ---- */ struct counter { asyncio_transport *transport; int words, in_word; }; static void counter_made(void *self, asyncio_transport *transport) { ((struct counter *)self)->transport = transport; } /* Bytes come as they come: a word may be cut in two. */ static void counter_received(void *self, const void *data, size_t n) { struct counter *counter = self; for (size_t i = 0; i < n; i++) { int in_word = !isspace(((const unsigned char *)data)[i]); counter->words += in_word && !counter->in_word; counter->in_word = in_word; } } static bool counter_ended(void *self) { struct counter *counter = self; char answer[32]; int n = snprintf(answer, sizeof answer, \"%d words\", counter->words); asyncio_transport_write(counter->transport, answer, (size_t)n); return false; /* close it, once the answer is sent */ } static void counter_lost(void *self, intptr_t err) { (void)err; free(self); } static const asyncio_protocol counter_protocol = { .connection_made = counter_made, .data_received = counter_received, .eof_received = counter_ended, .connection_lost = counter_lost, }; static void *make_counter(void *arg, const asyncio_protocol **protocol) { (void)arg; *protocol = &counter_protocol; return calloc(1, sizeof(struct counter)); } /* ---- The client's side: here an event tells the task that waits ---- */ struct client { asyncio_event lost; }; static void client_received(void *self, const void *data, size_t n) { (void)self; printf(\"answer: %.*s\\n\", (int)n, (const char *)data); } static void client_lost(void *self, intptr_t err) { printf(\"lost: %s\\n\", err ? asyncio_error_message() : \"at the end\"); asyncio_event_set(&((struct client *)self)->lost); } static const asyncio_protocol client_protocol = { .data_received = client_received, .connection_lost = client_lost, }; ASYNC(async_main) { asyncio_server *server; int err = asyncio_create_server(make_counter, NULL, \"127.0.0.1\", 0, NULL, &server); if (err) return err; struct client client = {.lost = ASYNCIO_EVENT_INIT}; asyncio_transport *transport; err = asyncio_create_connection(&client_protocol, &client, \"127.0.0.1\", asyncio_server_port(server), NULL, &transport); if (!err) { asyncio_transport_write(transport, \"a man a plan \", 13); asyncio_transport_write(transport, \"a canal\", 7); asyncio_transport_write_eof(transport); asyncio_event_wait(&client.lost); /* from here on `transport` is gone */ } asyncio_server_close(server); asyncio_server_wait_closed(server, 1); asyncio_server_release(server); return err; } int main(void) { return asyncio_main(async_main()); } It prints: docs/guide/code/protocol.out answer: 6 words lost: at the end asyncio_create_connection waits, as asyncio_open_connection does, and has called connection_made when it returns. asyncio_create_server calls a factory for each connection, which makes the object and says which table it has. asyncio_transport_from_fd makes a transport of a socket, a pipe or a terminal, in a callback, too."
},
{
"title": "The rules – 15. Transports and protocols",
"url": "docs/guide/15-protocols.html#the-rules",
"text": "connection_made comes first, connection_lost last, each once. After connection_lost has returned the transport is gone, so this is the place to free your object. Nothing else comes after a _close or _abort of yours. The loop calls these functions on its own stack. They cannot wait: a call that waits returns ASYNCIO_ENOTASK. To wait, make a task. None of them runs inside another, or inside a call of yours. You need not be prepared for a data_received in the middle of your write. There is one exception: pause_writing comes inside the write that fills the queue. The end of asyncio_run aborts what is open: connection_lost(-ECONNABORTED)."
},
{
"title": "Writing – 15. Transports and protocols",
"url": "docs/guide/15-protocols.html#writing",
"text": "asyncio_transport_write never waits. It sends what the socket takes at once, and a copy of the rest later. That copy can grow without end, so the transport says when to stop: pause_writing when more than 64 KiB are queued, resume_writing when no more than 16 KiB are left. A protocol that passes bytes on answers by pausing the reading of the other side: part of examples/30_socks_proxy.c static void relay_pause(void *self) { asyncio_transport_pause_reading(((struct end *)self)->peer->transport); } An error of the connection is no result of a write; connection_lost tells it. Its words are in asyncio_error_message() there."
},
{
"title": "Ends – 15. Transports and protocols",
"url": "docs/guide/15-protocols.html#ends",
"text": "When the peer sends no more, eof_received is called. If it returns true, the writing half stays open until you close the transport; if it returns false, or is missing, the transport closes itself after it has sent what is queued. asyncio_transport_write_eof ends your half. _close sends what is queued, for as long as the peer takes some of it every now and then (close_timeout); _abort drops it and resets the connection."
},
{
"title": "Changing in the middle – 15. Transports and protocols",
"url": "docs/guide/15-protocols.html#changing-in-the-middle",
"text": "asyncio_transport_set_protocol has other functions take over, from the next event on. The SOCKS proxy in examples/30_socks_proxy.c does it when the conversation with its client is over and the relay begins. asyncio_transport_start_tls starts TLS over a connection that is in use. It waits, so a task calls it, and no function of the protocol is called meanwhile. A server that is asked for TLS in the clear must stop reading before it answers (_pause_reading), or the peer's hello may come as data."
},
{
"title": "Your own memory – 15. Transports and protocols",
"url": "docs/guide/15-protocols.html#your-own-memory",
"text": "A protocol with get_buffer lends memory to receive into, in place of data_received; buffer_updated then tells how much has come. That saves a copy where bytes have a place to go."
},
{
"title": "Datagrams – 15. Transports and protocols",
"url": "docs/guide/15-protocols.html#datagrams",
"text": "asyncio_create_datagram_endpoint is the same for UDP and Unix datagrams: datagram_received has the sender's address, error_received tells what the network says of an earlier datagram, and closes nothing. The smallest server is examples/29_protocol_echo.c. Next: Several loops"
},
{
"title": "16. Several loops",
"url": "docs/guide/16-several-loops.html#16-several-loops",
"text": "One loop runs in one thread and uses one processor. For many programs that is enough: a loop that only moves bytes serves tens of thousands of connections. When it is not, run several loops, one for each processor. A task stays on the loop where it was made, and so do its streams, locks and futures; so the code on each loop is as simple as before. Work, connections and items go from one loop to another."
},
{
"title": "All of them at once – 16. Several loops",
"url": "docs/guide/16-several-loops.html#all-of-them-at-once",
"text": "asyncio_run_loops(make, arg, options) makes the loops, runs the coroutine that make(i, ...) makes as the main task of loop i, and returns when all have ended. Loop 0 runs on the calling thread. docs/guide/code/loops.c /* Three loops: work that goes to another one, to all of them, and a request to cancel that goes over. */ #include <asyncio.h> #include <errno.h> #include <stdio.h> /* Runs on whatever loop it is sent to. */ ASYNC(count_primes, int, from, int, to) { int primes = 0; if (from < 2) return asyncio_raise(-EINVAL, \"%d is too small to begin with\", from); for (int n = from; n < to; n++) { int divisor = 2; while (divisor * divisor <= n && n % divisor) divisor++; primes += divisor * divisor > n; } return primes; } ASYNC(waits_there) { int err = asyncio_sleep(1000); printf(\"loop %d: %s\\n\", asyncio_loops_index(), asyncio_errname(err)); return err; } /* Made on each loop, for its share of the numbers. */ static asyncio_coro *make_share(int index, asyncio_loops *loops, void *arg) { int to = *(int *)arg, step = to / asyncio_loops_count(loops); return count_primes(index ? index * step : 2, (index + 1) * step); } ASYNC(first, asyncio_loops *, loops) { asyncio_loop *other = asyncio_loops_get(loops, 1); printf(\"on another loop: %ld\\n\", (long)asyncio_await_on(other, count_primes(2, 1000))); intptr_t err = asyncio_await_on(other, count_primes(0, 1000)); printf(\"%s: %s\\n\", asyncio_errname(err), asyncio_error_message()); intptr_t shares[3]; int to = 3000; err = asyncio_gather_on_all(loops, make_share, &to, shares); printf(\"on all: %ld + %ld + %ld, %s\\n\", (long)shares[0], (long)shares[1], (long)shares[2], asyncio_errname(err)); err = asyncio_wait_for(asyncio_submit_to(other, waits_there()), 0.05); printf(\"too late: %s\\n\", asyncio_errname(err)); asyncio_loops_stop(loops); /* the others wait for that */ return 0; } /* Lends its loop to the others, until all are stopped. */ ASYNC(lend) { return asyncio_sleep(ASYNCIO_FOREVER); } static asyncio_coro *make_main(int index, asyncio_loops *loops, void *arg) { (void)arg; return index == 0 ? first(loops) : lend(); } int main(void) { const asyncio_loops_options options = {.count = 3}; return asyncio_run_loops(make_main, NULL, &options) < 0; } docs/guide/code/loops.out on another loop: 168 EINVAL: 0 is too small to begin with on all: 168 + 135 + 127, OK loop 1: ECANCELED too late: ETIMEDOUT Each loop ends as in asyncio_run: when its main has ended, what is left on it is cancelled and waited for, and the loop closes. So a loop that others use needs a main that waits, as lend does here. The loops end together: a main fails all other mains are cancelled, and asyncio_run_loops returns that failure. -ECANCELED is none SIGINT, or SIGTERM with .run.handle_sigterm all mains are cancelled; the result is -EINTR if loop 0's main ended for it asyncio_loops_stop(loops) all mains are cancelled. Any thread, and signal handlers, may call it no loop or thread can be made none runs, and make is never called Options: count (default: as many as processors that the process may use), pin (each loop keeps to a processor), run (the options of each loop), and spin: how long a loop with nothing to do looks for calls of others before it sleeps. To be woken takes 5 µs and more, so a program with many short calls between loops may gain from .spin = 50e-6; it pays with a processor that is never idle."
},
{
"title": "Calls – 16. Several loops",
"url": "docs/guide/16-several-loops.html#calls",
"text": "asyncio_await_on(loop, coro) runs a coroutine as a task of another loop and waits for its result. It behaves like asyncio_await: the result comes with its message, context variables go along, and a request to cancel is passed on. The call returns when the task has ended, never before, so the coroutine may use the caller's memory. asyncio_submit_to(loop, coro) does not wait: it returns a future of the calling loop, for asyncio_gather, asyncio_wait_for, asyncio_shield. To cancel it is to cancel the task over there. If you release it the coroutine goes on, and must own its arguments. asyncio_gather_on_all runs a coroutine on each loop and collects the results. A loop that closes answers ASYNCIO_ESTATE: nobody waits for ever for a loop that is gone. Two loops may call each other at the same time; there is nothing to lock, so there is nothing to deadlock on. State that several loops share belongs to one of them, and the others ask that one: no lock is needed, and a change is never half done. For a stream of items use a channel (chapter 12)."
},
{
"title": "Servers – 16. Several loops",
"url": "docs/guide/16-several-loops.html#servers",
"text": "With the option loops a server serves its clients on all loops: const asyncio_server_options options = {.loops = loops}; asyncio_start_server(handler, site, NULL, 8080, &options, &server); The handler runs on the loop that has the client, several at a time, so what arg leads to is shared. The server's own calls are for the loop that started it, and are about the clients of all loops: asyncio_server_close_clients, _wait_closed and max_connections mean what they meant before. spread a client goes to 0 the loop with the fewest clients and calls waiting fair for long connections: 64 connections on 8 loops are 8 each 1 each loop in turn fair when all clients are alike 2 the loop that the kernel chooses, by a listening socket on each no hand-over; for very many short connections. Of 64 connections on 8 loops the busiest has 12, as a median examples/20_loop_per_core.c is an HTTP server over all processors with one rate limiter. Its end is worth a look: Ctrl-C cancels the mains of all loops, and the end of a loop's main cancels the clients on it. So the mains of the other loops first wait, on the first loop, until all clients have been answered."
},
{
"title": "Threads and rule – 16. Several loops",
"url": "docs/guide/16-several-loops.html#threads-and-rule",
"text": "call from other threads asyncio_loops_count, _get, _idlest, _stop yes the loop that asyncio_await_on, asyncio_submit_to are given may be any; the call itself is made in a task, or on the thread of a loop asyncio_channel_* yes anything on a task, future, stream or server of another loop no: it aborts with a message that names the call Reports say which loop they come from: \"..., on loop 2\". asyncio_loops_index() says it to the program."
},
{
"title": "0015: Streams by completions, on request",
"url": "docs/decisions/0015-streams-by-completions.html#0015-streams-by-completions-on-request",
"text": "Question. What may a loop gain from io_uring for its sockets, which part of it is worth its dangers, and who gets it? Options. Readiness through the ring. 0.96 to 1.04 of epoll's cost. A poll by the ring also holds the file open: the peer of a descriptor that a program closes by close(2) never learns of it. Everything by completions, raw asyncio_sock_* among it. A cancelled receive may carry bytes into memory of a task that has gone on; epoll's cancel is exact. Streams by completions, all else by an epoll set that the ring looks at. Choice. Option 3, on request alone (ASYNCIO_BACKEND=io_uring, asyncio_run_options.backend). auto stays with epoll. A stream then works like this: A repeating receive fills pieces of a pool (256 of 4 KiB). The bytes are copied out before the piece goes back, so that no slow reader holds one. Above 64 KiB unread the receive is cancelled, and the peer waits. Reads with room for 16 KiB, when whole pieces come, go to the descriptor, and back after eight small ones. Writes of at most 8 KiB go out together when three tasks are ready, or three sends are queued; all others at once. A close cancels, enters the ring once, and closes: the peer sees it at once. Put off to the next turn it would be cheaper, and a peer in the same thread would wait for ever. A repeating receive may miss an end that comes together with bytes. The kernel looks once for all that has happened, and goes on only if it knows of more bytes, or of TCP's orderly end: with Linux 6.18 a Unix socket's end behind bytes was not told. So each such socket is registered with the epoll set for its end alone, which costs the call that epoll would have taken for all of it. A ring that the kernel denies midway, as after a seccomp filter, ends the loop: bytes that it has received may be lost with it, so that going on by epoll would hide a gap in a stream. The loop says so on stderr, fails with -EIO, and cancels its tasks, which clean up by epoll alone. The kernel keeps the memory of what is under way, and the loop says so. Not done: accepts that repeat (each needs another call for the peer's address), closes in batches, a receive into the reader's own memory. Figures (bench/run build/release lockstep), ratios to an epoll loop by hand, on a machine whose system call takes 0.12 us and which had much other work (one run, so they are hints): ring by hand, with the copy streams on epoll streams on io_uring io_uring to epoll 64 B, 1 of 1 ready 1.28 1.34 1.49 1.11 64 B, 1 of 64 0.98 1.19 1.27 1.06 64 B, 4 of 64 1.07 1.11 1.22 1.09 64 B, 16 of 64 0.91 1.11 1.13 1.01 4 KiB, 1 of 64 1.38 1.32 1.57 1.19 4 KiB, 16 of 64 1.13 1.06 1.39 1.31 64 KiB, 1 of 64 2.10 1.20 1.24 1.03 64 KiB, 16 of 64 2.21 1.36 1.34 0.99 So where system calls are cheap io_uring gains streams nothing, and at 4 KiB it loses: \"does no harm\" (1.03) is missed. Not even the loop by hand wins here. Where an empty call takes 1.04 us, a prototype's streams took 0.42 of those on epoll at 16 ready of 64; this code was not measured on such a machine. When to choose it. Small messages, many connections ready at once, and dear system calls (page-table isolation). Measure with your own load: bench/run prints both."
},
{
"title": "Select",
"url": "docs/internals/select.html#select",
"text": "core/select.c, core/select.h, fd/select.c, threads/channel_case.c, and the last part of each object in sync A task waits in one queue at a time, through a struct wait on its stack. asyncio_select waits in several. Each case has room for a wait of its own, and stands with it in the queue of its object; its state is WAIT_CASE. The task parks in one more wait, that of the call (struct select_call). core/select.c: check_cases asks each case's kind whether the task may wait for it, before anything happens. core/select.c: try_cases tries them in order. Most selects end here. core/select.c: wait_for_cases starts the timer, puts the cases into their queues, and parks. A granter takes the first waiter off a queue with sync/sync.h: waiters_claim. If its wait is a plain one, which costs one comparison to find out, all is as ever. Else core/select.c: asy_case_claim claims the call. If another was first, it goes on to the next waiter, and may come to the end of the queue. The winner of this loop takes all other cases of this loop off their queues at once (core/select.c: asy_select_settle). Then it does what it always does: it copies the item, or notes the owner of the lock, and calls core/wait.c: asy_wait_wake. That finds that the wait is a case's, and wakes the call's wait instead (core/select.c: asy_case_wake). The task comes back, and the cases that leave late do (core/select.c: leave_cases). The claim is one atomic exchange, and only where a case is a channel's: then another thread may win. It claims under the channel's lock, and posts the news to the loop. Until that has arrived, cases of this loop still stand in their queues; a granter that meets one fails to claim it, and passes it by. A request to cancel that fails to claim stays pending; a timer that fails does nothing. Cases of channels leave when the task runs, under the channel's lock. So do those of descriptors: the code that notifies waiters of a descriptor walks along their list. An event of a descriptor may come to nothing, because another task was first; then the select tries all cases again, and waits again. When the loop closes over a select, core/select.c: abandon_cases takes the cases off, and passes on what one was granted: by the revoke of its kind, as for a task that waited for it alone. fd/test_select_model.c has tasks that select over shared objects in seeded orders, and threads and loops that race for a select."
},
{
"title": "Descriptors, streams, servers",
"url": "docs/internals/network.html#descriptors-streams-servers",
"text": "Begin with fd/fd_table.h, which has the loop's record of a descriptor, and fd/transfer.h, which has the shape of every call. file what backend/epoll.c the kernel's events, up to 64 at a time fd/fd_table.c a record for each descriptor; its registration fd/fd_wait.c waits for descriptors, and turns to transfer fd/fd_events.c the backend's events: readiness, whom to wake fd/fdio.c, net/sockets.c, net/datagrams.c twins of the system calls that wait fd/watches.c watches: functions of the program that the poll tells each event, by level or by edge fd/readers.c callbacks (add_reader): a level watch, and a callback that keeps asyncio's order fd/streams.c, stream_read.c, stream_write.c, stream_put.c, stream_flush.c buffers over a descriptor fd/transports.c, transport_read.c, transport_write.c, callouts.c the callback face of a stream net/connections.c, server_protocols.c, datagram_transports.c, datagram_queue.c connections, servers and datagrams with a protocol fd/stream_file.c, stream_filter.c a regular file, or TLS, in the descriptor's place net/server_start.c, servers.c, server_clients.c listening, accepting, a task for each client net/server_parked.c, fd/stream_idle.c clients that wait for their next request without a task net/names.c, resolver.c look-ups on threads; what a fork waits for net/endpoint.c, connect.c, happy_eyeballs.c from a name to a connection fd/socket_options.c keepalive, user_timeout, and the program's own function, for both sides net/proxy.c, proxy_header.c PROXY headers: the bytes, and receiving them net/systemd.c sockets that a service manager hands over, and its news"
},
{
"title": "A read – Descriptors, streams, servers",
"url": "docs/internals/network.html#a-read",
"text": "The call spends one from the budget (asy_transfer_spend). If the budget is used up, the task gives way first. If the record's ready bit is up, and no other task waits in this direction, the system call is made at once. Most calls end here, after a single system call. If it would block, the bit goes down, and the task joins the record's list and parks. The first such wait registers the descriptor, for both directions, edge-triggered; it stays registered until it is closed or forgotten. An event puts the bit up, and gives the turn to the first task in the list. That task tries again. If it finds nothing, it keeps its place; if the bit is still up when it is done, the turn passes to the next. A stream that sends in the background keeps the turn until all is sent. A task that will never run, because the loop closes, passes its turn on. A TCP socket that returned less than was asked for is empty: its bit goes down without another call. An end or a hang-up keeps the bit up (stays), since no event reports it a second time. The bits describe the ordinary queue of the socket. A call that reads another queue, or only looks (MSG_ERRQUEUE, MSG_OOB, MSG_PEEK with SO_PEEK_OFF), is a TRANSFER_ASIDE: it touches no bit, takes no turn, and tries again after its own event, POLLERR, POLLPRI or POLLIN. asyncio_wait_fd leaves no registration. It arms the descriptor for one event out of those that the waiting tasks want, and removes it when the last of them leaves (asy_fd_unregister_unused)."
},
{
"title": "A transport – Descriptors, streams, servers",
"url": "docs/internals/network.html#a-transport",
"text": "A transport (fd/transport.h) has a stream, and is its face: no task waits for the stream, and the transport is told when the queue has moved (output_moved). Its reader waits in the record's list as a task would. When an event comes, asy_transport_reader_notified reads and calls data_received on the spot, if it is called from the poll (asy_callout_begin); in any other place a function of the program may be running, and asy_transport_do_next queues the callback next in place of that. All else that is due comes by next, too: connection_made, resume_writing, connection_lost. All other code only changes the state. A server of protocols (server_protocols.c) makes the transport right after the accept. The factory is called by the first next, so never inside the accept. Where the server has TLS or PROXY headers, the client's first task does these, hands the stream over, and ends."
},
{
"title": "A parked connection – Descriptors, streams, servers",
"url": "docs/internals/network.html#a-parked-connection",
"text": "A client of a server is a record (struct client) beside its stream; the task that serves it has a pointer to the record, and ends before it. A handler that returns ASYNCIO_PARK ends its task. asy_stream_rest gives back buffers that hold no bytes, and asy_stream_has_news looks whether anything is there already: bytes in the stream or in TLS, the end, an error. If not, the server itself stands in the descriptor's queue. An event on a plain connection starts the handler's next task. With TLS what came goes through the filter first, which looks and takes nothing (a pull of 0 bytes), so that session tickets, new keys and halves of records call nobody, and OpenSSL frees its buffers. Parked clients stand in a list of their own, in the order in which they were parked. Their timeout is the same, so one timer for the first serves all. The blocks of a parked TCP connection: stream 448 B, client 128 B, record 64 B, and its place in the table of descriptors."
},
{
"title": "A number is not a file – Descriptors, streams, servers",
"url": "docs/internals/network.html#a-number-is-not-a-file",
"text": "The kernel reuses numbers at once. Each record has a generation, which changes with every close and with every new file behind the number. An event carries the generation it was registered with; a late one is dropped. A call that was suspended, to wait, to give way or to pause, compares generations when it resumes. If the generation has changed, the call returns -EBADF and touches nothing. The record of a number must go with its file. So src/threads, src/fd, src/net and src/process close descriptors by asy_fd_close and asyncio_close only; threads close those that no table has seen. tools/tidy refuses any other close."
},
{
"title": "Who owns what – Descriptors, streams, servers",
"url": "docs/internals/network.html#who-owns-what",
"text": "A stream, a datagram socket and a server are owners (struct fd_owner). A loop that closes closes their descriptors; the program frees the objects. Each call in a stream counts as a user, so a stream may be closed while a task reads from it; the last user frees it. A server's connection belongs to its client task, until the handler closes or detaches it."
},
{
"title": "Who the peer is – Descriptors, streams, servers",
"url": "docs/internals/network.html#who-the-peer-is",
"text": "stream->peer holds the address of a TCP connection, which the kernel forgets after a reset. The task of a client reads the PROXY header, if the server wants one, before the TLS handshake and the handler, and gives the stream the address in it (asy_stream_name_peer). So all who ask for the peer, messages and reports included, ask the stream (asy_stream_known_peer)."
},
{
"title": "TLS contexts – Descriptors, streams, servers",
"url": "docs/internals/network.html#tls-contexts",
"text": "A context is a counted SSL_CTX and all that OpenSSL does not keep: tls/context.c makes it, settings.c has what is set up before its first use, sites.c the contexts for names, sessions.c what a client remembers and how long a ticket is trusted. identity.c loads certificates. Each one comes with a new SSL_CTX that has the old one's settings; asy_tls_inner gives a handshake the present one (0019)."
},
{
"title": "0019: A certificate is renewed by a new inner context",
"url": "docs/decisions/0019-new-inner-contexts.html#0019-a-certificate-is-renewed-by-a-new-inner-context",
"text": ""
},
{
"title": "Context – 0019: A certificate is renewed by a new inner context",
"url": "docs/decisions/0019-new-inner-contexts.html#context",
"text": "A server renews its certificate every few weeks, on any thread, while handshakes go on. OpenSSL's SSL_CTX may be shared by threads, but not changed while others use it: a handshake that reads the certificate in the middle of a change sees a key that does not belong to it, or freed memory."
},
{
"title": "Options – 0019: A certificate is renewed by a new inner context",
"url": "docs/decisions/0019-new-inner-contexts.html#options",
"text": "Change the SSL_CTX under a lock. OpenSSL reads the certificate inside of its handshake, so each call of it would have to hold the lock, and loops on several threads would wait for each other. Put the certificate into each SSL when it is made (SSL_use_cert_and_key). It costs a copy of the chain and a check of the key in each handshake, whether a certificate was ever renewed or not. A callback that chooses the certificate (SSL_CTX_set_cert_cb). The same cost, and it comes beside the choice of a context by name, which does the same thing for sites. A new SSL_CTX with the same settings, swapped in. Each SSL holds a reference to the one that it began with, as it always did. OpenSSL has no call that copies an SSL_CTX, so our context remembers what it was told: protocols, ciphers, groups, keys for tickets, the log; the store of authorities and lists is shared."
},
{
"title": "Choice – 0019: A certificate is renewed by a new inner context",
"url": "docs/decisions/0019-new-inner-contexts.html#choice",
"text": "The fourth. A renewal takes 0.8 ms of its own thread and memory for one SSL_CTX; it is built beside the old one, under a lock that only renewals take. A handshake takes another lock to count the SSL_CTX, and lets it go before it begins: a handshake of both sides has about 1,000 us, and the lock some 0.02. The keys of tickets go over into the new SSL_CTX, so that clients resume their sessions. The list of what must be copied is in one function (copy_inner). A setting that is forgotten there would be lost at the first renewal, months after the start: the test tls/reload sets all of them, and looks at each afterwards. load_cert is the same call, so that there is one way in, and so that it changes nothing when it fails."
},
{
"title": "What would change our mind – 0019: A certificate is renewed by a new inner context",
"url": "docs/decisions/0019-new-inner-contexts.html#what-would-change-our-mind",
"text": "A call of OpenSSL that copies an SSL_CTX; or certificates that differ from client to client."
},
{
"title": "Memory",
"url": "docs/internals/memory.html#memory",
"text": "sys/slab.c, sys/slab_single.c, core/future.h, core/task.h A coroutine, the task it becomes and its arguments are one block, taken once. Making the coroutine fills in the head, the type and the arguments; starting it fills in the rest."
},
{
"title": "The slab allocator – Memory",
"url": "docs/internals/memory.html#the-slab-allocator",
"text": "word what cache one for each thread. Only its thread touches it, except for one list that others push to chunk 64 KiB, aligned to its size, of blocks of one class (multiples of 64 bytes up to 1,024). A block's chunk is found by masking its address region the mapping that chunks come from, 64 of them Any thread may free a block. Its own thread returns it to its chunk at once. Another thread pushes it onto the lock-free foreign list of its home cache, which the home collects when it runs out of blocks. When a thread ends, its cache waits for a later thread to adopt it. A chunk is current (blocks are taken from it), open (some are free), full, or spare (all are free). A cache keeps up to 32 spares. The memory of any more goes back to the kernel; their address space stays."
},
{
"title": "Use after release – Memory",
"url": "docs/internals/memory.html#use-after-release",
"text": "The first 16 bytes of a freed block keep their contents until the memory is used again. So the library can recognise a released object: In tasks and futures they hold the reference count, the kind and the site. The kind of a released one is OBJECT_DEAD, and the message names where it was made. In streams, servers, datagram sockets, processes and files they hold the object's type name, which the release sets to NULL, and the loop. Each public call begins with asy_object_check. In executors and thread futures, which any thread may use and free, they hold the name, and the size in place of the loop. A chunk that went back to the kernel reads as zero and does not crash. In debug mode a released block is not used again before 65,536 others were released, or the loop closes (core/quarantine.c). Of the objects that belong to no loop the process keeps the last 1,024, once a loop has been in debug mode. A closed file whose last call is still on a thread is freed there, without quarantine, since its loop may be gone by then. Under the address and thread sanitizers and Valgrind each block is an allocation of its own, so that these tools see every misuse."
},
{
"title": "A connection – Memory",
"url": "docs/internals/memory.html#a-connection",
"text": "bytes stream, while nothing is buffered or queued 448 record of the descriptor, and its place in the table 64 + 8 client of a server 128 task and block, a page of its stack and a guard, while a handler waits 4,700 So a parked connection takes 660 bytes, as measured over TCP (31_parked): its blocks are of whole cache lines, and the rest is the chunks' heads. A stream that parks gives back buffers that hold nothing, also those of the filter. Data that the program keeps with a stream is a word; what it points to is the program's."
},
{
"title": "References – Memory",
"url": "docs/internals/memory.html#references",
"text": "Counts are plain integers, since tasks and futures belong to one thread. The loop has one reference to each task until it ends. A loop's count is atomic, with two marks: tasks or futures refer to it; the last reference is going. The struct outlives asyncio_loop_close for as long as there is a reference or a mark."
},
{
"title": "What allocates – Memory",
"url": "docs/internals/memory.html#what-allocates",
"text": "Switch, wake, await, release and completion allocate nothing. Making a coroutine takes a block; a timer may have to grow the heap; gather, wait and groups take a block for the tasks that they watch. When that fails, the call returns -ENOMEM."
},
{
"title": "One iteration",
"url": "docs/internals/loop.html#one-iteration",
"text": "core/events.c, core/embedding.c, core/embed.c, core/ready.h, core/timer.c, core/threadsafe.c poll wait for the backend: not at all if something is ready or the loop stops, else until the first timer tell the events of descriptors that it fetched collect what other threads and signal handlers posted fire the timers that are due run_batch run the entries that are ready now, in order; what they add waits for the next iteration This is asyncio's order: first the entries that were ready, then those that the poll brought, then the timers. Timers of equal deadlines fire in the order in which they were made, which Python does not promise."
},
{
"title": "The ready queue – One iteration",
"url": "docs/internals/loop.html#the-ready-queue",
"text": "A list of entries, each inside its task or callback; pushing allocates nothing and cannot fail. There are three kinds: kind when the loop reaches it READY_TASK the task runs READY_CALLBACK the function is called on the loop's stack READY_RELAY its task goes to the end of the queue, as READY_TASK A callback knows the link that leads to it, and leaves the queue at once when it is taken back: it may lie in storage that its owner then frees. The first entry is the exception, which the queue itself leads to. A task knows no link, so that pushing and taking tasks costs nothing more. In a strict iteration a mark stands at its end, READY_END; a count would be wrong after a callback was taken out. A relay stands for the callback that asyncio queues between an event and the wake-up: decision 0003."
},
{
"title": "Polling, amortised – One iteration",
"url": "docs/internals/loop.html#polling-amortised",
"text": "When tasks yield to each other all the time, a poll after each batch would find little. So tasks go on among themselves until 64 hops or 100 microseconds have passed, or something was posted; asy_loop_goes_on looks every 8 hops, at the clock only if there are timers or descriptors. The virtual clock, seeds and a stepping loop poll in every iteration. The limit holds from the first hop of an iteration, since thousands of tasks may be ready when it begins, each with much to do. If a look came too late, the next one comes after one hop, then after two, four, eight. The entries that such a poll brings go behind those that are ready, as always. Without timers and descriptors the loop looks only for posts, every 64 entries. The loop skips the poll's system call when nothing is registered that it could report: decision 0005. Calls that complete without waiting spend from a budget of 128, renewed at each step of the task. When it is gone, the task gives way once, before the operation. A transfer spends one more for each 8 KiB, so a step moves about 1 MiB. Long calls (readexactly, sendall, sendfile, a large write to a stream) give way in between, and a stream that sends in the background goes on in the next iteration. A write that has given way keeps its place as the first writer. The bytes that it has yet to hand over count as unsent (to_come), so that an end or a close comes after them."
},
{
"title": "Progress – One iteration",
"url": "docs/internals/loop.html#progress",
"text": "The loop counts its steps, its polls, and the callbacks and timers that it has run. asy_loop_progress adds them up, for any thread that asks. Two equal answers say that the loop has been in one and the same step, callback or poll all the time: posts.is_sleeping tells a poll from the other two. Each count is a plain addition in memory that the loop's thread alone writes."
},
{
"title": "Timers – One iteration",
"url": "docs/internals/loop.html#timers",
"text": "A 4-ary heap of intrusive nodes, ordered by deadline and then by the order in which they were made. A removed timer leaves the heap at once, so a timeout that did not expire leaves nothing behind. Delays are rounded up to a nanosecond and count from the call, not from the iteration. Entries move in the heap without touching their timers: a compact table of places leads from one to the other. The timers lie on the stacks of waiting tasks, and renewing one idle timeout would otherwise fetch five of those from memory (an HTTP server of 1,000 connections, a timeout at each read: 0.97 against 1.01 of nginx's CPU time a request)."
},
{
"title": "Wake-ups from elsewhere – One iteration",
"url": "docs/internals/loop.html#wake-ups-from-elsewhere",
"text": "Threads push callbacks onto a lock-free stack; the loop takes the whole stack and reverses it. Signal handlers, which may not allocate, take one of 64 places in a ring. The number in a place says which ticket may use it. The loop sets is_sleeping, looks for posts once more, then waits. A poster posts, then clears is_sleeping, and writes to the eventfd only if it was set. These operations are sequentially consistent, so one of the two sees the other. Posting to a loop that is awake costs no system call."
},
{
"title": "In the program's storage – One iteration",
"url": "docs/internals/loop.html#in-the-programs-storage",
"text": "asyncio_call is a callback and asyncio_timer a timer that becomes one when it is due (union due); handles (call_soon, call_later) are the same in chunks of the loop's. A call is idle while its loop_ is NULL. A thread that queues or posts it puts the loop there by one atomic exchange, so of several one succeeds; it then pushes the call. The loop takes the mark away before it calls fn, and reads nothing of the call afterwards. To cancel a posted call, the loop collects the posts and takes it out of the queue. It waits for a thread that has claimed the call and not pushed it yet: a few instructions. A timer that is due has left the heap, but the heap's capacity stays lower by one until its fn is called (asy_timer_keep_room). So a timer that runs, due or not, can be moved without memory. The program's wait hooks stand around the backend's wait alone. That fetches events and does not tell them, so the second hook comes before anything of the program's runs. If it ends the turn, the events stay fetched; the next turn does not wait, and delivers them. When the loop closes, timers that run join the callbacks in the queue, and dropping a callback of an embedder tells the drain function. Watches (fd/watches.c) stand in the list of their descriptor's record, and the poll calls them at once, out of no queue. The cost of an event depends on who else wants the descriptor. If all its watches are by level, the record is registered level-triggered (FD_LEVEL) for exactly what they ask for: the kernel tells again what was not taken, and nothing else is to do. Streams, transfers and edge watches need the edges, all of them, for good (FD_EDGE). A level watch beside them is told an event, and then looked at by poll(2) in each iteration until it finds nothing (0013). A function that the poll calls may stop or free any watch, start others and close any descriptor. So a mark of the table's own stands in the list between those that were told and those that are to be told: each goes to the end before it is told, and nothing else is remembered. A close empties the list, with the mark. A watch that was started while events were handed out is not told those (since): they may be of an older file of the same number. When a descriptor is closed, its watches leave the list and are queued, each to be told POLLNVAL."
},
{
"title": "Inside another loop – One iteration",
"url": "docs/internals/loop.html#inside-another-loop",
"text": "asyncio_loop_fd makes the loop is_embedded. Between two iterations it is then is_sleeping for posters and is_dozing for its own thread. Code that queues something calls asy_loop_queued; the first call in a gap writes to the eventfd, as a poster does. An iteration that ends with more to do writes, too. An embedded loop never skips the poll, since the poll takes the edge that made the descriptor readable."
},
{
"title": "Seeds – One iteration",
"url": "docs/internals/loop.html#seeds",
"text": "With a seed, the loop shuffles the tasks of each batch before it runs them. Callbacks keep their places."
},
{
"title": "0013: A level watch is a level-triggered registration, until somebody needs the edges",
"url": "docs/decisions/0013-level-watches.html#0013-a-level-watch-is-a-level-triggered-registration-until-somebody-needs-the-edges",
"text": ""
},
{
"title": "Context – 0013: A level watch is a level-triggered registration, until somebody needs the edges",
"url": "docs/decisions/0013-level-watches.html#context",
"text": "Streams and waiting tasks register a descriptor once, edge-triggered, and try a transfer before they wait. A program that brings callbacks (asyncio_watch_start, asyncio_loop_add_reader) asks for levels: to be told in each turn in which there is something. A descriptor has one registration in an epoll set, and any number of both kinds may want it."
},
{
"title": "Options – 0013: A level watch is a level-triggered registration, until somebody needs the edges",
"url": "docs/decisions/0013-level-watches.html#options",
"text": "An event here is a byte that the function reads, and another that it writes, over a pair of sockets. Edges, and a poll(2) after each call to see whether to call again. It is simple, and the registration never changes. An event costs four system calls rather than three. A registration of its own for each watch, by a duplicate of the descriptor. Kinds do not meet, but each watch costs a descriptor, and a duplicate keeps the file open after the program has closed its own. The registration follows what is wanted: level-triggered while all watches and callbacks want levels; edge-triggered from the moment when a stream, a transfer or an edge watch needs the edges. A level watch beside those is told an event, then looked at by poll(2) while it finds something."
},
{
"title": "Choice – 0013: A level watch is a level-triggered registration, until somebody needs the edges",
"url": "docs/decisions/0013-level-watches.html#choice",
"text": "The third. An event of a level watch is three system calls, those of a loop over epoll by hand, and 475 instructions more than that. asyncio_loop_add_reader is a level watch, too: 562 more, where it made a poll(2). A change of the registration costs one epoll_ctl(2), when the first or the last watch of a direction comes or goes. Where both kinds meet on one descriptor, which is rare, the cost is that of the first option."
},
{
"title": "What would change our mind – 0013: A level watch is a level-triggered registration, until somebody needs the edges",
"url": "docs/decisions/0013-level-watches.html#what-would-change-our-mind",
"text": "A kernel that takes several registrations of one descriptor in a set; or programs that put edge and level watches on the same descriptors by the thousand."
},
{
"title": "0005: The poll's system call is skipped when nothing could come of it",
"url": "docs/decisions/0005-skipped-poll.html#0005-the-polls-system-call-is-skipped-when-nothing-could-come-of-it",
"text": ""
},
{
"title": "Context – 0005: The poll's system call is skipped when nothing could come of it",
"url": "docs/decisions/0005-skipped-poll.html#context",
"text": "asyncio polls once in every iteration, with a timeout of 0 if something is ready. epoll_wait costs a few hundred nanoseconds, a switch between tasks a few. So a program whose tasks hand work to each other would spend its time in system calls that report nothing."
},
{
"title": "Options – 0005: The poll's system call is skipped when nothing could come of it",
"url": "docs/decisions/0005-skipped-poll.html#options",
"text": "Always. Python's order to the letter; the cost of a system call for each iteration. Amortised. Tasks go on among themselves for up to 64 hops or 100 microseconds before the next poll. The loop sees an event of the kernel that much later at most. And skipped when nothing is registered. If the backend has no descriptors, a poll with timeout 0 can bring only a wake-up from another thread or a signal handler. These have a flag of their own, which the loop looks at anyway."
},
{
"title": "Choice – 0005: The poll's system call is skipped when nothing could come of it",
"url": "docs/decisions/0005-skipped-poll.html#choice",
"text": "The second and the third. needs_poll in backend.h asks the backend; asy_loop_goes_on amortises. An iteration collects posts and fires timers in any case. Under the virtual clock, a seed or an instrument every iteration polls, so tests see asyncio's order exactly."
},
{
"title": "What would change our mind – 0005: The poll's system call is skipped when nothing could come of it",
"url": "docs/decisions/0005-skipped-poll.html#what-would-change-our-mind",
"text": "A backend that learns of events without a system call. Looking at io_uring's completion ring costs a load."
},
{
"title": "0003: A relay stands for asyncio's callback between event and wake-up",
"url": "docs/decisions/0003-relay.html#0003-a-relay-stands-for-asyncios-callback-between-event-and-wake-up",
"text": ""
},
{
"title": "Context – 0003: A relay stands for asyncio's callback between event and wake-up",
"url": "docs/decisions/0003-relay.html#context",
"text": "In asyncio, when a timer fires or a gather's last child ends, the waiting task does not become ready. A callback is queued, which sets a future, which queues the task: one hop more. Programs do not see the callback, but they see the order: a task that becomes ready in between runs first. The order of tasks is part of asyncio's meaning, and tests/parity/ compares it line by line. Here a timer that fires has its task at hand, and needs no callback. Waking the task directly gives another order."
},
{
"title": "Options – 0003: A relay stands for asyncio's callback between event and wake-up",
"url": "docs/decisions/0003-relay.html#options",
"text": "Wake directly. One hop less, simplest, and an order that differs from Python's wherever a timer, a gather, a shield or a wait is involved. A real callback. A block to allocate, which can fail where a wake-up must not, and a detour over the loop's own stack. A relay. The task's own entry joins the ready queue, marked; when its turn comes it goes to the end of the queue, as a task. No block, no call, no switch: a few instructions."
},
{
"title": "Choice – 0003: A relay stands for asyncio's callback between event and wake-up",
"url": "docs/decisions/0003-relay.html#choice",
"text": "The third: READY_RELAY in ready.h. Timers (sleep, timeouts), gather, wait and shield use it, since asyncio has the callback there. Futures and awaited tasks wake directly, as in asyncio. While timers fire, loop->wake_kind makes every wake-up a relay, since in asyncio a timeout's callback stands in that place, too. A wait with a relay is already granted, so a request to cancel does not take the grant away. A sleep has no result to lose, and is cancelled, as in Python."
},
{
"title": "What it costs – 0003: A relay stands for asyncio's callback between event and wake-up",
"url": "docs/decisions/0003-relay.html#what-it-costs",
"text": "A sleep takes 721 instructions with the relay and 656 without; all other paths take the same (callgrind, per operation). Without it 11 of the 280 scenarios of the parity suite give another order than Python, among them sleeps beside timers, gathers beside running tasks, and timeouts. A wake-up through a relay is a plain one with another kind of entry, so that the code has one more case in two places where entries are taken."
},
{
"title": "What would change our mind – 0003: A relay stands for asyncio's callback between event and wake-up",
"url": "docs/decisions/0003-relay.html#what-would-change-our-mind",
"text": "Python dropping the hop; the parity suite would show it."
},
{
"title": "Looking inside from outside",
"url": "docs/internals/inside.html#looking-inside-from-outside",
"text": "Two things serve tools that look at a process, or at its core file: the debug descriptor in the library, and the command asyncio in tools/asyncio, which knows the descriptor's layout and nothing else of the library. gdb's script (tools/asyncio/asyncio-gdb.py) reads the same descriptor."
},
{
"title": "The descriptor – Looking inside from outside",
"url": "docs/internals/inside.html#the-descriptor",
"text": "core/descriptor.h is a constant in the ELF section asyncio_debug, which survives strip. It tells where the loops are, and where in each struct the fields are that tools read. Nothing in it moves: new fields come at the end, and size tells a tool how much there is. A tool that finds an unknown version refuses it. test_descriptor holds every offset, and test_command reads a saved process whose descriptor was cut to the size of its first edition. A task that waits points to a struct wait on its own stack, that to its kind, a constant. The kind has a shape (core/shapes.h): what the object of such a wait is, and where in it lies what can be told of it, the owner of a lock or the number of a descriptor. Each layer describes its own objects, beside the kind. To make a new kind of wait readable, give it a shape; a shape that does not fit any of those that there are takes a new number at the end, a row in the table there, and a case in words.c of the command and in gdb's script. A task that makes an eager one has no current place in its struct: the loop's fiber has that of the innermost such creator, and the record of each start (switch.md, \"Eager starts\") that of the next outer one. The descriptor's eager leads there, and tools say of such a task that it creates. All of this costs nothing while nobody looks: shapes are constants, and the fields are there anyway. Only the counts of polls and callbacks are kept for it (loop.md, \"Progress\")."
},
{
"title": "The command – Looking inside from outside",
"url": "docs/internals/inside.html#the-command",
"text": "process.c, core.c where memory comes from: a live process, a core file target.h memory.c the copy: pages of structs, stretches of stacks memory.h find.c, model.c the descriptor; loops, tasks and their waits model.h links.c who waits for whom, cycles links.h unwind.c, frames.c stacks; functions, files and lines unwind.h, frames.h words.c waits in words look.h show_*.c, save.c what is printed, and kept look.c the order of it all A picture of one moment. look.c copies everything while the target runs, then compares all of it with the target once more. If nothing differs, and no loop is in a step, the copy is what was there at one moment, and the target was never stopped. Else the threads of the loops are seized and interrupted, the copy is compared again, tasks on pages that have changed are read anew, registers of threads at work are taken, and the threads go on. All that is left is done from the copy. So the stop lasts as long as reading the pages takes, not as long as unwinding does. Unwinding once. An unwind is a function of the words that it read. unwind.c keeps these with the frames: code addresses as they are, addresses in the stack relative to it, the rest as \"something\". A stack with the same words has the same frames. Callee-saved registers come from the descriptor's table, so that frames that were compiled without a frame pointer are found, too. Whose frame is it? The program's own code is what a user wants to see. A frame is the library's if it lies in the library's file, if its name begins with asyncio_ or asy_, if its source lies in the folder that such a function came from, or if it is further in than the public function that the program called. One format. save writes a core file: the pages and stretches that were read, registers, mappings, and a note with the clock and what was known of descriptors. The reader of cores does the rest. A core leaves out what stands in a mapped file: that is read from the file. Nothing is trusted. A core file may come from anywhere, and a live process may overwrite its own structs. Each number is checked where it is used; lists are bounded, and each node is compared with the one before; a struct is read into a block of its own, beyond whose end all fields are 0; names are printed without control characters. The fuzz target inside changes a saved file of its own. libdw parses the program's own ELF and DWARF, as gdb would."
},
{
"title": "From inside – Looking inside from outside",
"url": "docs/internals/inside.html#from-inside",
"text": "core/call_graph.c walks the stack of a waiting task where it lies, with the C library's unwinder. For that asy_context_visit (sys/arch) calls a function on the caller's own stack, but its unwind information says that the caller's frame is the context that the task left: the unwinder steps from one stack to the other, and nothing is run on the task's. The same shapes as from outside tell who waits for whom (core/awaiters.c), in one pass over the tasks of the loop. asy_task_place knows where a task was left: of a task that starts an eager one, and of one that runs a function which hides it, fiber.sp is an old place. In a signal handler (core/dump.c) no list can be trusted, and no block: the handler may have come in the middle of a list's insertion, and other threads go on. So it has the kernel copy whatever it looks at (process_vm_readv of its own process), compares what a struct says of itself with where it lay, and bounds every walk. Metrics (core/metrics.h) live on looks at the clock: the one after each poll, those in between (is_poll_due), and the one with which a wait begins. A lag is the time from the end of a poll to the beginning of the next wait or poll."
},
{
"title": "The watchdog – Looking inside from outside",
"url": "docs/internals/inside.html#the-watchdog",
"text": "One thread for the process (core/watchdog.c) compares asy_loop_progress of each watched loop with what it was: it looks four times within the loop's limit. A loop that does not sleep, and stands where it stood, for as long as the limit, is looked at (core/stall.c), without the watchdog's lock: it may close meanwhile, so the kernel copies what is read, as for a dump. The watchdog tells only if the loop stands there still after that. /proc/self/task/TID tells what the loop's thread does (sys/thread_look.c). In a system call the thread is not touched, since a signal would end nanosleep and its like early. If it runs, it may be about to sleep; so only one that has not slept since the second look at this stall is sent the signal. In its handler, on the alternate stack, the thread unwinds itself. One that could run, and had less than a sixteenth of the time, waits for a processor, and is not told. The thread is one of the library's (sys/thread.h): it ends when all are to end, and a plugin is not unloaded before it has. The close of the last watched loop waits for it, so that a program that forks, or counts its threads, has none."
},
{
"title": "To add a command – Looking inside from outside",
"url": "docs/internals/inside.html#to-add-a-command",
"text": "A file with run_NAME, a line in command.h, one in the table of main.c, one in tools/asyncio/meson.build, and its words in docs/asyncio.1."
},
{
"title": "Traces – Looking inside from outside",
"url": "docs/internals/inside.html#traces",
"text": "core/trace_file.h is the layout of a trace file, for both sides: a head, 64 KiB of names, a ring of records of 32 bytes. core/trace_open.c makes the file, core/trace.c writes the records, the command's trace_log.c reads them and its trace_walk.c makes sense of them: what the thread did, and in which state each task was. The four forms are four writers over that walk. A traced loop takes one ready entry at a time, so that each passes asy_loop_goes_on (decision 0021). The record of a step says who left before it, and in what wait; a poll, a callback and the end of a run end a step, too. trace->running is the task whose step is the latest; it goes when the task has ended, which is told by the flag TASK_TRACED. Names are known by addresses of constants (a coroutine's type, a wait's kind), in a table of 1,024; names that the program gives to tasks get half of the 64 KiB at most. Under a virtual clock addresses of objects and results that are no errors are left out, and so are the process's and the thread's numbers: the file depends on the seed alone. The reader trusts nothing: it checks the head, makes times that never fall, drops records of kinds that there are not, and keeps slices balanced whatever follows what (inside/test_trace.py, fuzz/trace.c)."
},
{
"title": "0021: A traced loop takes one entry at a time",
"url": "docs/decisions/0021-one-entry-at-a-time.html#0021-a-traced-loop-takes-one-entry-at-a-time",
"text": "Question. A trace wants to hear of each switch from task to task. The path of a switch has some 110 instructions, and nobody who does without a trace is to pay for one. Where does the hook go? Options. A look at loop->trace in each switch, each wake-up and each spawn. Two instructions each: 2 % of a switch. The instrument's way: every step goes through the loop's own stack. Nothing while it is off, and 90 ns a step while it is on. The batch's end. A switch looks anyway whether the batch of entries that may run before the next look at the clock is used up, and calls asy_loop_goes_on then. A traced loop has batches of one entry, so each passes there. Choice. 3. The rest of the batch waits in loop->stretch: so the loop polls when it would poll without a trace, and tasks run in the same order (test_trace compares them, seed by seed). For wake-ups and spawns the look at is_dozing, which was there, became one at is_heard, which a trace sets, too; the end of a task looks at two flags with one instruction, where it looked at one. instructions before with the hooks, no trace two switches 233.4 234.3 spawn and await 612.7 613.6 queue of 1, put and get 243.5 243.9 echo 2904 2918 With a trace (16,384 records in /dev/shm, interleaved with rounds without one, the least of 120 rounds): a switch takes 7.8 ns more, of which 3.4 are the processor's counter of time; put and get 9.7 ns more; spawn and await, which are five records, 43 ns. We had set out for 4 ns a switch and 8 ns a spawn, and fall short of that. The file. 32 bytes a record; the count of records is stored after the record, so a process that is killed in the middle spoils the oldest one of a full ring, which readers leave out. The file is written full of zeros when the trace begins: a file system without room is an error then, where it would be a SIGBUS in a switch later. Each step names its coroutine, so a ring that has wrapped around still says who ran. Work on other threads is written by the loop's thread, when the work has come back: when a thread began and ended it, by the system's clock. A ring for each thread would have cost a mapping and 64 KiB of names for each, and would tell only one thing more, work that has not come back, which asyncio ps tells. The command puts these records where they belong in time. Under a virtual clock there are none, nor are there slow steps: they would differ from run to run."
},
{
"title": "What would change our mind – 0021: A traced loop takes one entry at a time",
"url": "docs/decisions/0021-one-entry-at-a-time.html#what-would-change-our-mind",
"text": "Programs that trace all the time, and whose steps are so short that 8 ns count. Then steps without a look at the clock between two polls, or one record for the end of a task and the next step, would be next."
},
{
"title": "Files",
"url": "docs/internals/files.html#files",
"text": "fd/file_op.c, fd/file_ring.c, fd/files.c, fd/file_close.c, fd/paths.c, fd/directories.c, fd/copyfile.c, fd/stream_file.c, sys/files.c Every call on a file is a record, struct file_op: the operation, its arguments, its result. It is done in one of three ways: at once, by a ring, on a thread."
},
{
"title": "At once – Files",
"url": "docs/internals/files.html#at-once",
"text": "asy_file_try runs on the loop's thread, and asks the kernel not to wait: call asked with no answer read, at most 256 KiB preadv2(RWF_NOWAIT) EAGAIN: not in memory; EOPNOTSUPP: tmpfs, procfs, directories open, unless it makes or cuts openat2(RESOLVE_CACHED) with O_NONBLOCK EAGAIN: not in the dentry cache, or on lease stat of a descriptor statx(AT_STATX_DONT_SYNC) stat by path an O_PATH open as above, then the same EAGAIN ENOENT and similar errors from the dentry cache are answers. Each call spends from the budget (loop.md). A read is short only at the end of the file. If the page cache ends in the middle of a file, it ends at a multiple of a page. So a short read that ends between two multiples has met the end of the file; one that ends at a multiple is repeated, or completed on a thread. At the descriptor's own position the offset is unknown, so a short read is always repeated. A file whose answers are never at hand is tried less often (struct try_history, one for each file, and one in each thread for all paths): never again after EOPNOTSUPP; after three misses each 2nd, 4th ... 64th time, until there is a hit. While four calls or more are in the ring, no other one is tried at once: many tasks wait for a disk then, and the try would be in vain."
},
{
"title": "By a ring – Files",
"url": "docs/internals/files.html#by-a-ring",
"text": "fd/file_ring.c has a block for each call, struct ring_call, with an operation (backend/completion.h) and a copy of the record. The operation fills in its entry when there is room in the ring (fd/file_ring.c: prepare_file). The entries of a turn go in together, before the loop waits (backend/epoll.c: send_files). The ring cooperates (IORING_SETUP_COOP_TASKRUN): completions come in at any system call, and its descriptor, which stands in the epoll set, ends the wait. A ring that defers wakes no epoll set. backend/epoll.c: epoll_deliver takes completions out of shared memory, and fd/file_ring.c: file_done wakes the task, or begins the rest of a transfer that came back short. A thread does the rest, from where the ring left it: an operation that the kernel does not know (ftruncate before 6.9), an entry that it refuses, -EAGAIN (a file on lease), -EINTR. So a ring that breaks, because a seccomp filter came late, costs nothing but speed. A request to cancel takes an entry back that the kernel has not seen. Else it is passed on (ASYNC_CANCEL), and the task goes on waiting: only the operation's own completion says that the kernel is done with the buffer. When a loop closes, the calls are cancelled first, and waited for, up to 5 seconds; after that the ring and the blocks are kept for good, and the exception handler is told. The ring belongs to the thread that first needed it, since the kernel takes entries from no other. A loop that goes on in another thread uses threads until the old ring has nothing under way, and then makes a new one. In a forked child the ring's memory is not there (MADV_DONTFORK), and nothing looks for it. io_uring is tried out once a process (backend/uring_trial.c: asy_uring_try), and what the environment says of it is in backend/uring.c."
},
{
"title": "On a thread – Files",
"url": "docs/internals/files.html#on-a-thread",
"text": "The record goes into a block of its own (struct file_work), and to a pool of 8 threads that only files use (threads/offload.h). Buffers and paths stay the caller's, since the caller waits for a call that has begun. When a loop closes, its tasks no longer lend their memory, so calls that are still queued are dropped, except closes. A thread opens with O_NONBLOCK, too. Opening a FIFO to write then fails with ENXIO while there is no reader; a plain open would keep the thread until one came. The task sleeps, and tries again. (There is no event to wait for: inotify shows a reader only when its own open has returned, that is, after ours.)"
},
{
"title": "Copies – Files",
"url": "docs/internals/files.html#copies",
"text": "asyncio_copyfile copies the data that a thread finds, piece by piece, and ignores the file's length: it may have changed, and the kernel's own files name 0 or a page. It skips a hole where SEEK_DATA finds data behind it, or returns ENXIO before the end that SEEK_END names. If copy_file_range fails on a piece, or copies 0 bytes, a read and a write take its place, and their result counts."
},
{
"title": "Positions – Files",
"url": "docs/internals/files.html#positions",
"text": "A file that we have opened has its position in asyncio_file, and each call passes the kernel an offset. So a cancelled call does not move the position. A position below 0 means that the descriptor has it: with O_APPEND, for a descriptor of the program's, and once asyncio_file_fd has handed ours out. A call with an offset on a FIFO or a similar file fails with ESPIPE. Then, or before the first write, settle_kind looks at the file's type. A file without positions that can be polled is from then on an ordinary descriptor (fd/fdio.c); any other loses the O_NONBLOCK that it was opened with."
},
{
"title": "Who closes – Files",
"url": "docs/internals/files.html#who-closes",
"text": "refs counts the program and each call on a thread; calls counts the tasks that are in a call. If asyncio_file_close comes during a call, the last call closes. close(2) itself may wait after a write (NFS, and other servers): then a thread does it."
},
{
"title": "Streams – Files",
"url": "docs/internals/files.html#streams",
"text": "A stream over a regular file has file set, and reads from the file instead of the descriptor. To write, it copies up to 64 KiB of its queue into a block for a thread, and takes them off the queue when they are written. So neither an abort nor a growing queue touches memory that a thread uses."
},
{
"title": "Cancellation",
"url": "docs/internals/cancellation.html#cancellation",
"text": "core/cancel.c, core/scope.c, core/timeouts.c, core/taskgroups.c, core/await.c A request comes from asyncio_cancel, or from a scope of the task: a timeout that expired, a group with a failed child. Each source has a mark that says whether its request is undelivered: task->is_requested, scope->pending. asy_cancel_update derives task->must_cancel from these marks: is a request pending that no shield holds back? A wait looks at nothing else. Beside the marks there is a count, task->cancels: requests made minus requests taken back. It never decides whether a request is delivered. asyncio_task_cancelling returns it, and a timeout or group learns from it whether another source wanted a cancel, too."
},
{
"title": "A request arrives – Cancellation",
"url": "docs/internals/cancellation.html#a-request-arrives",
"text": "the task what happens has ended nothing; asyncio_cancel returns false runs, or is ready without a wait the request stays for the next wait is fresh the same: the body runs, and its first wait delivers waits, with a shield between the source and the wait the request stays waits, granted the request stays; the task keeps the grant waits, granted with -ECANCELED the request counts as delivered with it awaits a future the future completes with -ECANCELED, which wakes the task awaits a task the request passes to that task, and is used up when that task ends, whatever it returns awaits a task, in a circle that await ends with -ECANCELED, or all would wait for ever waits for anything else kind->cancel; by default the task leaves the queue and wakes with -ECANCELED gather's kind passes the request on to all children and goes on waiting. While it waits for the rest after an error, it refuses, and the request stays. A sleep whose timer has fired and whose relay is queued is still cancelled: it has no result to lose. A loop follows chains of awaits. gather fans out by recursion; beyond 64 levels the tasks go into a queue, from which the request continues, so that a deep tree cannot overflow the canceller's stack. Several ways may lead to one task. So each request has a number; a wait keeps the number of the last one that came by, and passes it on once. Successive requests share a number as long as no task has run in between, and none was taken back or delivered. The tasks that the first one reached have not moved, so the next one ends where it meets that trace. So cancelling each task of a chain, as the shutdown does, walks the chain once. The tasks below the meeting point count these requests as one (asyncio_task_cancelling)."
},
{
"title": "A task is about to wait – Cancellation",
"url": "docs/internals/cancellation.html#a-task-is-about-to-wait",
"text": "pending what happens nothing it parks a request, and the wait is an await or a gather it parks, and the request is passed on (asy_cancel_forward) a request, any other wait it gives way once and gets -ECANCELED (asy_cancel_deliver) All requests that no shield holds back are delivered together, as one -ECANCELED. A call that need not wait never looks."
},
{
"title": "The end of a scope – Cancellation",
"url": "docs/internals/cancellation.html#the-end-of-a-scope",
"text": "A scope that ends clears its own mark, and so withdraws its undelivered request, whatever the count is. It gives its part of the count back. scope outcome timeout, not expired err unchanged timeout, expired -ECANCELED becomes -ETIMEDOUT, unless asyncio_cancel was called while it was entered; another err stays. Requests that outer scopes made meanwhile become pending again group, without failures err; -ECANCELED becomes 0 if the group alone had asked for it group, with failures the failure, or ASYNCIO_EGROUP; a request from outside that was delivered meanwhile becomes pending again shield the requests that it held back can be delivered from here on"
},
{
"title": "A task ends – Cancellation",
"url": "docs/internals/cancellation.html#a-task-ends",
"text": "An undelivered request is dropped, and the value stands. asyncio_cancelled asks about the result, nothing else."
},
{
"title": "Waits – Cancellation",
"url": "docs/internals/cancellation.html#waits",
"text": "Every wait goes through a struct wait on the waiter's own stack (wait.h): a place in the object's queue, a kind, a state, the outcome. It is PENDING until it is GRANTED, once; granting makes the task ready and cannot fail. kind->revoke passes a grant on when the task will never run again because its loop was closed. So no grant is lost, however a task ends."
},
{
"title": "How it works inside",
"url": "docs/internals/README.html#how-it-works-inside",
"text": "Two walks through the code come first, then a list of pages, one for each part that needs one. They describe the code as it is; where a page and the code differ, the page is wrong. File names are relative to src/. A test checks that each function is in the file that a stop names."
},
{
"title": "A read, to the kernel and back – How it works inside",
"url": "docs/internals/README.html#a-read-to-the-kernel-and-back",
"text": "A task reads 100 bytes from a TCP connection: asyncio_stream_read(stream, buf, 100). Nothing has come yet. fd/stream_read.c: asyncio_stream_read enters through fd/stream_read.c: begin_read. That checks the thread and that no other task reads, and takes one call from the task's budget (core/wait.h: asy_budget_spend): after 128 calls that did not wait, the task gives way to others first. The stream's own buffer is empty. If there were bytes in it, fd/stream_read.c: take_input would copy them, and the kernel would hear nothing of this read. A read of 1 KiB or more goes to the caller's memory; this one fills the buffer first (fd/stream_read.c: asy_stream_fill). Both go through fd/stream_read.c: get_more, which remembers an end of the stream or an error, since these last. fd/stream_read.c: receive_waiting is the loop of every transfer: try, wait, try again. The descriptor's record has a bit for each direction; it is up while a system call is worth trying. It is up, so fd/stream_read.c: receive_once calls recv(2) by way of sys/net.c: asy_sys_recv. Only sys enters the kernel, and a test can make each call fail there. The answer is -EAGAIN. fd/fd_table.h: asy_fd_exhausted takes the bit down, and fd/stream_read.c: give_buffer gives the buffer back: a stream that waits with nothing buffered holds no memory. fd/fd_wait.c: asy_fd_wait_turn first delivers a cancel that is pending. Then fd/fd_wait.c: wait_before puts the task at the end of the record's list. Its place there, a struct fd_wait, lies on the task's own stack. The first wait on a descriptor registers it (fd/fd_table.c: asy_fd_register, backend/epoll.c: epoll_attach), for both directions and edge-triggered; it stays registered until it is closed. core/wait.c: asy_wait_park parks the task. core/switch.c: asy_switch_park looks for the next ready task; there is none, so it goes back to the loop. core/fiber.h: fiber_switch tells the sanitizers, and sys/arch/x86_64.S: asy_context_switch changes the stack. The calls of steps 1 to 5 stay where they are, on the task's stack, until it comes back. On the loop's stack, core/events.c: asy_loop_iterate goes round: poll, then run what is ready. core/events.c: poll_backend finds that nothing is, asks the timers how long it may sleep, and calls backend/epoll.c: epoll_wait_until. The thread sleeps in epoll_wait(2). Bytes arrive, and the way back begins. The kernel hands over its events, up to 64 at a time, and fd/fd_events.c: asy_fd_take_events takes them one by one. fd/fd_events.c: take_event finds the record by the descriptor's number, and drops an event of an earlier file with that number. fd/fd_events.c: note_ready puts the bit up. fd/fd_wait.c: asy_fd_give_turn gives the turn to the first in the list. fd/fd_wait.c: asy_fd_wake_task leads to core/wait.c: asy_wait_wake: the wait is granted, once, and the task goes to the end of the ready queue (core/ready.h: ready_push). No task has run yet. core/events.c: run_batch takes entries off the queue. For the task, core/switch.c: asy_task_resume makes it the current one, with a new budget, and switches to its stack. There asy_wait_park returns 0 to wait_before, which takes the task off the record's list. If the record has another generation than before, the descriptor was closed meanwhile, and the read returns -EBADF. receive_waiting tries again, and recv(2) returns 100 bytes. The buffer had room for more, so the socket is empty now: fd/fd_table.h: asy_fd_short takes the bit down at once, which saves the next read a useless call. take_input copies the bytes to the caller, and fd/stream_read.c: end_read lets the next reader in. network.md has the rules behind steps 3 to 12, switch.md and stacks.md step 6, loop.md steps 7 and 10."
},
{
"title": "A cancel, down to the wait that it ends – How it works inside",
"url": "docs/internals/README.html#a-cancel-down-to-the-wait-that-it-ends",
"text": "Task A awaits task B, and B waits in the read above. A third task calls asyncio_cancel(a). The macro leads to core/futures.c: asyncio_cancel_future. A plain future would be done at once, with -ECANCELED. A is a task, so core/cancel.c: asy_task_cancel takes the request over. It refuses a task that has ended. core/cancel.c: pass_down sends the request on its way, and core/cancel.c: begin_pass gives it a number. Each wait keeps the number of the last request that came by: two ways may lead to one task, and the second ends there. core/cancel.c: request_chain goes from task to task, in a loop, so that a long chain of awaits needs no stack. core/cancel.c: request_task hands it to one task. It counts the request, and asyncio_task_cancelling returns the count. There are three cases in which core/cancel.c: keep_request marks the task and the walk ends: the task does not wait, a shield holds the request back, or the wait was granted already. Its next wait asks core/cancel.h: asy_cancel_deliver before it begins, and returns -ECANCELED. A waits. core/cancel.c: end_wait sees that it awaits a task, and does not wake it: it notes that the request went through here, and names B as the next. B waits for a descriptor. end_wait calls the cancel function of that kind of wait, fd/fd_wait.c: cancel_fd_wait: off the record's list, and granted with -ECANCELED (core/wait.c: asy_wait_wake), which puts B into the ready queue. Other kinds differ. core/sleep.c: cancel_sleep stops a timer; core/gather.c: cancel_gather passes the request on to all children and goes on waiting; most kinds have nothing of their own and get core/wait.c: asy_wait_cancelled. asyncio_cancel returns true. Neither A nor B has run meanwhile. B runs. core/wait.c: asy_wait_park returns -ECANCELED, and each call on B's stack returns it to the one above. fd/stream_read.c: is_lasting says that this error does not stay with the stream: no byte is lost, and the next read finds them all. B's body cleans up and returns -ECANCELED. core/switch.c: run_body gets it, and core/switch.c: finish_task completes the task as the future that it is: core/futures.c: asy_future_complete tells all its waiters. A is one of them. core/await.c: wake_awaiter wakes it with B's result, core/await.c: wait_for_future returns that, and core/messages.c: asy_message_inherit brings the message along. A's asyncio_await returns -ECANCELED. The request is used up, whatever B returned: had B caught it and returned 5, A would have got 5 and gone on. A timeout goes the same way. When its timer fires, core/timeouts.c: expire_timeout calls core/cancel.c: asy_scope_request, which joins at step 2, with the scope as the source; on leaving the scope, core/timeouts.c: asyncio_timeout_exit turns the -ECANCELED that it caused into -ETIMEDOUT. cancellation.md has all cases."
},
{
"title": "Pages – How it works inside",
"url": "docs/internals/README.html#pages",
"text": "page what GLOSSARY.md the words that the code uses switch.md how a task hands over to another: sys/context.h, sys/arch/, core/switch.c stacks.md where tasks run: sys/stack.c, sys/stack_slab.c loop.md one iteration: core/events.c, core/ready.h inside.md looking from outside: the debug descriptor, the command asyncio, gdb cancellation.md from a request to -ECANCELED: core/cancel.c, core/scope.c threads.md work for other threads, and back: threads/offload.c, threads/executors.c, threads/thread_futures.c, threads/channel.c select.md a task that waits in several queues: core/select.c, fd/select.c memory.md tasks, futures, coroutines: sys/slab.c network.md descriptors, streams, servers: fd/fd_table.c, fd/fd_wait.c, fd/transfer.h, fd/stream*.c, net/server*.c simulated-network.md sockets that exist in a test alone: sys/world.c, sim/net.h, and what stands in for the kernel simulated-runs.md runs by seeds, repeated, compared and shrunk: sim/run.h, core/director.h, threads/work_here.c files.md calls on files, at once or on a thread: fd/file_op.c, fd/files.c testing.md the seam, sweeps, seeds: tests/support/ Why things are as they are: decisions. Layers, style and habits: CONTRIBUTING.md."
},
{
"title": "Decisions",
"url": "docs/decisions/README.html#decisions",
"text": "One page for each important decision: the question, the options with figures where we have them, the choice, and what would change our mind. When a decision is overtaken, its page stays, and a later one says so. 0001 A switch returns by ret, and calls and returns stay in balance 0002 Stacks lie an odd number of pages apart, with coloured tops 0003 A relay stands for asyncio's callback between event and wake-up 0004 Completions are numbered, so that as_completed registers nothing 0005 The poll's system call is skipped when nothing could come of it 0006 Requests to cancel are marks of their source; the count decides nothing 0007 Memory is fetched ahead, event by event 0008 A name is looked up once, for all families together 0009 A look-up that was given up keeps no place 0010 A timer or event that a late look finds stands behind the ready tasks 0011 Calls on files go through a ring beside epoll 0012 as_completed reads a log that belongs to the futures 0013 A level watch is a level-triggered registration, until somebody needs the edges 0014 Streams and transports are two faces of one engine 0015 Streams by completions, on request 0016 Loops share nothing; a call is a future that goes there and back 0017 A channel grants a waiting receiver the right to an item, not the item 0018 An eager task runs on its own stack, above its creator 0019 A certificate is renewed by a new inner context 0020 A process is explained from outside, from a copy 0021 A traced loop takes one entry at a time 0022 A simulation replaces the kernel below the library, and directs the loop above it 0023 Python's loop is a type in C in front of asyncio's own 0024 Python's package and its extension modules share the library's shared object 0025 A thread watches the loops, and asks by a signal only those that compute"
},
{
"title": "0025: A thread watches the loops, and asks by a signal only those that compute",
"url": "docs/decisions/0025-watchdog.html#0025-a-thread-watches-the-loops-and-asks-by-a-signal-only-those-that-compute",
"text": "Question. One step holds the loop, for a second, now and then. Who tells, while it lasts, which task it is and what it does, and what may that cost a program in which nothing is wrong? Options. Time each step, as asyncio's debug mode does. It tells after the fact, and not where in the step; a step would cost two looks at the clock (50 ns where a switch takes 9), so it cannot be always on. A timer of the kernel whose signal goes to the loop's thread (SIGEV_THREAD_ID). It needs no thread, but fires at healthy loops, too, and ends nanosleep and epoll_wait of the program early, four times a limit. A thread that compares counts. The loop counts its steps, callbacks and polls anyway. The thread reads them, and touches the loop's thread only when that stands still. Choice. 3. A step of a loop that is watched executes the same instructions as one of a loop that is not. Computing or blocked? By the state in /proc/self/task/TID/status. The thread's processor time does not tell: at a load of 18, one that computed got 9 ms in 100 ms, and was taken for one that sleeps. The place. Of a system call, its number and first argument are in /proc/self/task/TID/syscall, and no signal is sent: one cut a nanosleep of 400 ms short after 130 ms. A computing thread gets SIGURG, which is ignored by default and which debuggers pass on in silence (Go uses it in the same way). Its handler is installed for that moment only, never over an action of the program's. False reports come from machines without a free processor. A look that comes late moves the beginning, and a thread that had less than a sixteenth of the time is not reported. A test has eight computing threads beside a polite loop with a limit of 0.1 s, and expects none. The thread ends with the last watched loop, and that loop's close waits for it: debug mode would otherwise leave a thread in each program that looks at its own threads or forks. Cost. Each look is a wake-up of the watchdog's thread: eight a second at half a second's limit, one while all loops sleep. The first loop that wakes after a long sleep calls the watchdog, which is a system call; after each of its waits a watched loop looks whether it must."
},
{
"title": "What would change our mind – 0025: A thread watches the loops, and asks by a signal only those that compute",
"url": "docs/decisions/0025-watchdog.html#what-would-change-our-mind",
"text": "A kernel that samples another thread's user stack without a signal."
},
{
"title": "0024: Python's package and its extension modules share the library's shared object",
"url": "docs/decisions/0024-bridge.html#0024-pythons-package-and-its-extension-modules-share-the-librarys-shared-object",
"text": "Question. A module in C whose coroutines Python awaits calls the library: it sleeps, opens streams, waits for threads. Its tasks must be those of the loop that the package libasyncio runs. How do both come to the same copy of the library? And how does an exception of Python's get through tasks in C, whose results are numbers? Options, for the copy. The package has the static library inside, and exports a table of all public functions. Some four hundred of them; a header of macros would have to redirect each call, and a program that embeds Python and links the library itself has two copies all the same, which know nothing of each other. The package exports the functions of its static copy, and is loaded with RTLD_GLOBAL. A module needs no library to link with. Which copy its calls reach depends on the order of imports, and a program's own copy comes first. The package is linked with the shared library, and so are modules. The dynamic linker sees to it that there is one. A call from the package takes a detour over the table of its imports: a nanosecond or less. Choice. 3. The table of calls in the capsule libasyncio._C_API has only what <asyncio/python.h> adds to the library, six functions, behind inline ones of the header. It also has the address of the text that asyncio_version returns: a module that was linked with another copy after all, as with the static library, has another address there, and asyncio_py_import says so with an ImportError. For exceptions. A message in the library goes along with an error, counted, from task to task. It may now carry an object of the program's (asyncio_raise_object): the exception, which is raised again, itself and with its traceback, wherever the error gets back to Python, and which goes when the last holder of the message does. A table from tasks to exceptions would not have done: an error that crosses three tasks has three, and one that a coroutine deals with has none, at a moment that no one tells. Frames. CPython keeps the frames of a thread in one stack, last in, first out. So a task in C must not wait while a frame of Python's is on its own stack: the loop's next callback would be put on top of it, and one of the two would be lost. asyncio_py_await compares the thread's top frame with the one at the start of the step, and refuses. Other calls that wait cannot be refused there, since they know nothing of Python; so each callable that the loop is about to call looks at the same pointer (four instructions), and the process ends with a message. Lifting the rule needs what greenlet does: to swap the interpreter's frames with the stacks, at each switch. Eager. The first await runs the coroutine's first steps at once, on its own stack (decision 0018), as Python runs those of its coroutines: one that need not wait costs no turn of the loop. Stacks. CPython 3.11 counts its recursion, up to a thousand calls, and trusts that the stack has room for them. Nested sorts take some 3 KiB each, so 256 KiB end at 80 of them, by a segmentation fault. Tasks in C on Python's loops have 4 MiB. Ten thousand of them that wait take 77 MiB of memory, as before, but 42 GB of addresses in place of 3."
},
{
"title": "What would change our mind – 0024: Python's package and its extension modules share the library's shared object",
"url": "docs/decisions/0024-bridge.html#what-would-change-our-mind",
"text": "A Python that keeps frames elsewhere. From 3.14 on CPython compares the stack pointer with the bounds of the thread's own stack when Python code is called; the bridge was neither built nor run there."
},
{
"title": "0023: Python's loop is a type in C in front of asyncio's own",
"url": "docs/decisions/0023-python-face.html#0023-pythons-loop-is-a-type-in-c-in-front-of-asyncios-own",
"text": "Question. Programs of Python's asyncio are to run on this loop unchanged. asyncio's loop has some two hundred methods, of which a dozen are hot, and its test suite looks at its attributes. What do we write, and what do we leave alone? Options. A loop from scratch, as uvloop is: all methods, transports, reprs and errors again. 862 of the 1,108 tests of CPython 3.11's test_asyncio that make a loop pass on uvloop; what CPython adds must be added again. A selector, under asyncio's own loop. One file; but what costs is asyncio's code around the selector. A class with two bases: a type in C, and behind it asyncio's SelectorEventLoop. The first has what is hot, under asyncio's names; the second has all the rest, of whatever version of Python is there. Choice. 3. All 1,108 tests pass. _run_once of asyncio's loop is one turn; ours runs until the loop is stopped. So run_forever, with its hooks for asynchronous generators and its running loop, stays Python's. Attributes that both need, as _closed, _stopping and _debug, are members of the type in C under the same names. A handle is the library's call or timer with a head of Python's, so that call_soon makes one object. It says that it is an asyncio.Handle: __class__ is that. It has no head of the garbage collector, for which the loop answers: it visits what handles have that it alone refers to. A circle through a handle that the program keeps, and through a loop that nobody closes, is therefore not collected; a handle that ran or was cancelled holds nothing. The interpreter's lock is let go of around a wait that may block, and after 5 ms of callables that are C alone. In the main thread signals are always written to the loop's socket. Python's own handlers run right after the wait; KeyboardInterrupt ends the run, and what was ready comes first in the next one. A child that a callback forks has no loop: the callable returns into RuntimeError from run_forever, by a longjmp past the library's frames, which are the parent's business. call_soon from a wrong thread is a mistake that asyncio overlooks; here it is posted. Adding a reader is refused. instructions, CPython 3.11 libasyncio uvloop 0.17 a callback that calls call_soon 1,580 4,118 await sleep(0) 4,799 7,872 create_task and await 12,356 18,640 a datagram echoed 6,168 6,072 Of the 4,799 of sleep(0), some 600 are ours: the rest is CPython's task and its coroutine. loop.call_soon is also in the instance's dictionary, bound: tasks look it up for each step, and a bound method that is made and freed each time costs them 250 instructions. A call from Python code costs 130 more by that."
},
{
"title": "What would change our mind – 0023: Python's loop is a type in C in front of asyncio's own",
"url": "docs/decisions/0023-python-face.html#what-would-change-our-mind",
"text": "A task type of our own would take the wrapper and the handle out of each step; it would have to be an asyncio.Task to all who ask. Python without the global lock: the list of handles and the free lists are guarded by it."
},
{
"title": "0022: A simulation replaces the kernel below the library, and directs the loop above it",
"url": "docs/decisions/0022-simulation.html#0022-a-simulation-replaces-the-kernel-below-the-library-and-directs-the-loop-above-it",
"text": ""
},
{
"title": "Context – 0022: A simulation replaces the kernel below the library, and directs the loop above it",
"url": "docs/decisions/0022-simulation.html#context",
"text": "Users want to test whole network programs: with losses, partitions, pieces, other orders of tasks, and a failure that comes again. Runs must be equal for equal seeds, in any process, and the program's code unchanged."
},
{
"title": "Options – 0022: A simulation replaces the kernel below the library, and directs the loop above it",
"url": "docs/decisions/0022-simulation.html#options",
"text": "A fake transport, as mocks of streams have it. It tests the code above streams, and none of what makes networks hard: connects, half-closed ends, resets, names, descriptors that run out. Network namespaces and netem. Real, needs rights, takes real time, and no run is like another. Symbols of the C library replaced (madsim). It catches what other libraries do, and breaks with each of them that enters the kernel in its own way. The wrappers that we have. Each system call of the library passes src/sys, where a byte is tested for injected failures already. A bit of it means: this thread has a world."
},
{
"title": "Choice – 0022: A simulation replaces the kernel below the library, and directs the loop above it",
"url": "docs/decisions/0022-simulation.html#choice",
"text": "The fourth, with a director in the loop for what is not a system call: the order of ready tasks, the delay of work for threads, limits, and the end of a deadlock. In production both are a byte that is 0 and a pointer that is NULL. Instructions, before and after: switch 233.60 and 233.67, spawn and await 1,949 and 1,953, sleep 792 and 794, an echo over streams 3,906 and 3,910. Work for threads runs on the loop's thread. Real threads gave three orders in fifty runs of one seed. Each feature (order, jitter, loss, pieces ...) has a generator of its own, and 0 is the plain way in all of them. So shrinking turns a feature off without a change of the others' numbers, and makes all draws after the Kth plain; a bisection finds the last one that matters. The failure counts as the same if its error is. The history of a run is a hash over steps: a word, two numbers, the time. Addresses, descriptors, process ids and results that may be pointers are left out. Each tenth run is compared with a second one. Injected errors that mean a broken connection break it: the first version returned ECONNRESET from one send and left the connection as it was, and both ends waited for ever, which no network does. PCT lets one task run at a time, the highest of those that are ready. A task that is chosen 100 times in a row falls to the bottom: it spins, and would keep out the one that it waits for."
},
{
"title": "What would change our mind – 0022: A simulation replaces the kernel below the library, and directs the loop above it",
"url": "docs/decisions/0022-simulation.html#what-would-change-our-mind",
"text": "Users whose bugs lie below the seam, in code that enters the kernel itself; or bugs that need real threads."
},
{
"title": "0020: A process is explained from outside, from a copy",
"url": "docs/decisions/0020-looking-from-outside.html#0020-a-process-is-explained-from-outside-from-a-copy",
"text": "Question. A program hangs in production. Who finds out where, and what must the program have done for that before? Options. Instrumentation, asked through a socket or a signal, as tokio-console and brpc have it. It shows what was instrumented, costs all the time, needs the program to be able to answer, which a loop that is held cannot, and is one more way in. A debugger's script alone. It has everything, and needs gdb, a stop of the whole process for as long as somebody looks (0.5 s of CPU for the first list), and somebody who knows gdb. A command that reads memory, as Python 3.14's python -m asyncio pstree does. A coroutine here is a stack, so DWARF unwinders read it without one instruction more at run time. Choice. 3, and 2 for those who want to look at values. The library has a constant that tells where things are (480 bytes, in an ELF section that survives strip), and each kind of wait tells what its object is. Both are of no cost while nobody looks. The command copies all while the process runs, and compares. Measured on two processors with a load of 18, in CPU time, of a program with one task that never rests beside the sleepers; in parentheses what we had set out for: tasks between the stop of a busy process and its release the whole of asyncio ps 10 0.11 ms (0.3) 5 ms 1,000 0.32 ms (0.5) 9 ms 100,000 19 ms (15, on an idle machine) 0.48 s, 130 MB The time that the kernel needs to stop and to release a thread comes on top. Two thirds of the longest one is reading 36 MB. An idle process is not stopped at all: the command makes no call of ptrace then. elfutils, for the command alone. The library needs nothing. A reader of .eh_frame of our own would be 500 lines that are wrong in other ways than libdw, and would have no lines and no inlined functions."
},
{
"title": "What would change our mind – 0020: A process is explained from outside, from a copy",
"url": "docs/decisions/0020-looking-from-outside.html#what-would-change-our-mind",
"text": "Kernels that forbid process_vm_readv between processes of one user for good: then the watchdog and the dump from inside have to do."
},
{
"title": "0018: An eager task runs on its own stack, above its creator",
"url": "docs/decisions/0018-eager-starts.html#0018-an-eager-task-runs-on-its-own-stack-above-its-creator",
"text": ""
},
{
"title": "Context – 0018: An eager task runs on its own stack, above its creator",
"url": "docs/decisions/0018-eager-starts.html#context",
"text": "An eager task runs to its first wait inside the call that makes it. It may wait at any depth of calls, so it needs a stack that outlives the call. Most eager tasks, however, are made because they will not wait."
},
{
"title": "Options – 0018: An eager task runs on its own stack, above its creator",
"url": "docs/decisions/0018-eager-starts.html#options",
"text": "CPU time of one task that is made and awaited, on the development machine, with other load; the figures of a column were taken together, the least of 15 rounds. how never waits waits for an event 100 of these at once queued, for comparison 48 ns 132 ns 82 ns a stack of its own, the creator's frame in place of the loop's 33 ns 136 ns 100 ns On the creator's stack, moved when it waits. A frame that has pointers into itself cannot be moved. On the creator's stack, and the creator moves on to another one. The same, with the roles exchanged. On a stack of its own. Two switches: there and back."
},
{
"title": "Choice – 0018: An eager task runs on its own stack, above its creator",
"url": "docs/decisions/0018-eager-starts.html#choice",
"text": "The third. The creator takes the place of the loop's own stack (loop->fiber) and the batch is empty meanwhile, so parking and ending need no case of their own, and the hot paths are as they were."
},
{
"title": "What it costs – 0018: An eager task runs on its own stack, above its creator",
"url": "docs/decisions/0018-eager-starts.html#what-it-costs",
"text": "A coroutine that is awaited in place takes 13 ns in the same run, 8 of them for its memory; the two switches take 6, and the rest is what makes a task of it: number, list, completion, references. The 20 ns that were planned are not reached. A child that parks returns to a caller of other functions, so the processor predicts the next returns wrongly (see 0001). The creator comes back by as few returns as possible: one to the call that made the task, and one to the program."
},
{
"title": "What would change our mind – 0018: An eager task runs on its own stack, above its creator",
"url": "docs/decisions/0018-eager-starts.html#what-would-change-our-mind",
"text": "A compiler that tells which coroutines cannot wait: they could run in place."
},
{
"title": "0016: Loops share nothing; a call is a future that goes there and back",
"url": "docs/decisions/0016-several-loops.html#0016-loops-share-nothing-a-call-is-a-future-that-goes-there-and-back",
"text": ""
},
{
"title": "Context – 0016: Loops share nothing; a call is a future that goes there and back",
"url": "docs/decisions/0016-several-loops.html#context",
"text": "A program that wants more than one processor ran loops on threads of its own, with a server on each at one port. A task could not wait for a coroutine on another loop, and the kernel spread the clients: of 64 connections on 8 loops the busiest loop had 12, as a median (1.50 of its share), at worst 16, and the idlest had one."
},
{
"title": "Options – 0016: Loops share nothing; a call is a future that goes there and back",
"url": "docs/decisions/0016-several-loops.html#options",
"text": "Work that moves. Tokio and Go let any thread take any task. Our tasks have stacks, and compilers keep addresses of thread-local storage on them: a task stays on its thread. So work moves as coroutines that have not begun, connections as bare descriptors, items through channels. How a call is awaited. (a) A task of the caller's that waits in a call: a stack and a step more for each call of asyncio_submit_to. (b) A wait of its own kind: two mechanisms, one for a call that is awaited and one for a future. (c) A future in the call's block that passes requests to cancel on, as a task does: one flag in futures.c and cancel.c, and await, gather, shield and wait_for take it as it is. Where a client goes. Of 64 connections that come one by one to 8 loops, the busiest has, divided by its fair share: by the kernel (SO_REUSEPORT) 1.50 the idler of two drawn at random (HAProxy) 1.13 to 1.25 in turn 1.00, until clients leave the idlest of all 1.00 The draw of two exists for choosers that act on stale numbers, and many of them at once, which would all choose the same one. Here one loop accepts, and counts a client when it sends it. To look at all loops is to read a cache line of each; at most 64 are looked at. How the other loop serves. (a) A server whose lists and counts know several loops: each place that serves, parks or ends a client would have to know on which thread it is. (b) A second server on each loop, without listeners, to which the program's server sends clients and orders."
},
{
"title": "Choice – 0016: Loops share nothing; a call is a future that goes there and back",
"url": "docs/decisions/0016-several-loops.html#choice",
"text": "(c), the idlest of all for servers and of two for asyncio_loops_idlest, and (b). A loop ends when its main does, as in asyncio_run; one that lends its loop to others waits to be cancelled. To keep every loop until the last main has ended would save that line, and would leave loops running of which nobody knows what still uses them."
},
{
"title": "Figures – 0016: Loops share nothing; a call is a future that goes there and back",
"url": "docs/decisions/0016-several-loops.html#figures",
"text": "On two processors of a virtual machine, others at work on them; least and median of many rounds: least median by hand a call and back among 1,000, processor time of both threads 0.18 µs 0.22 µs one at a time, both asleep, one processor 4.97 µs 5.07 µs 5.05, 5.20 µs (two eventfds and epoll) one at a time, both spinning 0.40 µs 0.47 µs"
},
{
"title": "What would change our mind – 0016: Loops share nothing; a call is a future that goes there and back",
"url": "docs/decisions/0016-several-loops.html#what-would-change-our-mind",
"text": "Many short calls between the same two loops, measured as a bottleneck: then calls of one iteration could go as one post. Hundreds of loops: then even the draw of 64 costs, and the idler of two is good enough."
},
{
"title": "0014: Streams and transports are two faces of one engine",
"url": "docs/decisions/0014-one-engine.html#0014-streams-and-transports-are-two-faces-of-one-engine",
"text": ""
},
{
"title": "Context – 0014: Streams and transports are two faces of one engine",
"url": "docs/decisions/0014-one-engine.html#context",
"text": "A stream waits; a transport calls back. Below that both do the same: send what the descriptor takes, queue the rest, mind high and low water, put TLS in between, flush and close. Written twice, the two would drift apart in just the places that are hard: partial sends, resets, the goodbye of TLS, a close that the peer does not let finish."
},
{
"title": "Options – 0014: Streams and transports are two faces of one engine",
"url": "docs/decisions/0014-one-engine.html#options",
"text": "Streams on transports, as in asyncio: a stream is a protocol that fills a buffer and wakes a task. Each read of a task then costs a callback and a copy; echo by streams was 1.00 to 1.02 of a bare epoll loop and would not be. Transports on streams, each with a task that reads and calls back: a stack for each connection, which is what transports are to save. The stream's struct is the engine. What waits is in files of its own (stream_write.c, the waiting half of stream_read.c); what does not is shared: accepting bytes (stream_put.c), the queue (stream_flush.c), one attempt to receive, the filter, closing. A stream has a face: NULL, and tasks use it; or a transport, which is told in place of them when its queue has moved."
},
{
"title": "Choice – 0014: Streams and transports are two faces of one engine",
"url": "docs/decisions/0014-one-engine.html#choice",
"text": "The third. A transport is the face and the holder of a stream: 256 bytes beside its 440, of which its own share is the order of calls. That order rests on one rule: only two places call the program, the callback next and the poll (callouts.c), and all others change the state and queue next. So a function of the protocol cannot run inside a call of the program's, whatever that call does. A handshake is the stream's own, by the task that calls start_tls."
},
{
"title": "What it costs – 0014: Streams and transports are two faces of one engine",
"url": "docs/decisions/0014-one-engine.html#what-it-costs",
"text": "A stream has three words more, and pays nothing for them: the face is looked at where waiters are. An echo by a transport takes about 680 instructions of the program, one by the barest of epoll loops about 45; the system calls are the same. Of the 680 a fifth finds the transport that an event is for and fetches the next ones, a fifth reads and waits anew, a tenth gives and takes turns, and a third is the two transfers."
},
{
"title": "What would change our mind – 0014: Streams and transports are two faces of one engine",
"url": "docs/decisions/0014-one-engine.html#what-would-change-our-mind",
"text": "A face that needs what a stream cannot have, such as input that the kernel pushes into buffers of its own (io_uring's multishot): then the engine becomes a struct of its own, and the stream one of its users."
},
{
"title": "0012: as_completed reads a log that belongs to the futures",
"url": "docs/decisions/0012-log-of-completions.html#0012-as_completed-reads-a-log-that-belongs-to-the-futures",
"text": "Overtakes 0004 for as_completed."
},
{
"title": "Context – 0012: as_completed reads a log that belongs to the futures",
"url": "docs/decisions/0012-log-of-completions.html#context",
"text": "Each step of asyncio_as_completed looked at the whole set and registered with all that was pending: 40,000 tasks took 8.4 s of CPU. A registration that lasts from step to step needs memory, and the iterator, a struct on the caller's stack, may be left at any point without a destructor."
},
{
"title": "Options – 0012: as_completed reads a log that belongs to the futures",
"url": "docs/decisions/0012-log-of-completions.html#options",
"text": "A table of the iterator's own on the heap. Linear, and leaked by each break. Memory that the task owns, freed when it ends. In a server's main task, which never ends, it would pile up; an iterator that several tasks share would lose it. A log that the futures own. Each future of the set has an entry on its list of waiters, before it completes and after; on a completion the entry notes it in the log and goes back onto the list. Freeing a future frees its entry, and the last entry frees the log. The iterator is a place in the log."
},
{
"title": "Choice – 0012: as_completed reads a log that belongs to the futures",
"url": "docs/decisions/0012-log-of-completions.html#choice",
"text": "The third. The set stays borrowed while the iterator is used, so the log exists for as long as it may be read. A walk to the end closes the log. So does a new walk in the same place over some of the same futures. A walk that is broken off leaves the log to the futures. tasks that end one by one 5,000 10,000 20,000 40,000 160,000 each step over the whole set 0.17 s 0.71 s 3.5 s the log 0.06 s 0.13 s 0.27 s 1.2 s"
},
{
"title": "What it costs – 0012: as_completed reads a log that belongs to the futures",
"url": "docs/decisions/0012-log-of-completions.html#what-it-costs",
"text": "48 bytes for each future while the log exists. A completion takes all waiters off the list before it tells the first, so that a waiter may come back: this costs nothing for one waiter, a few instructions for several. After the first step, a copy of an iterator is no longer independent: it refers to the same log, and the end of either walk closes it."
},
{
"title": "What would change our mind – 0012: as_completed reads a log that belongs to the futures",
"url": "docs/decisions/0012-log-of-completions.html#what-would-change-our-mind",
"text": "A program that breaks off walks in many places over futures that live for ever: then the iterator needs a destructor."
},
{
"title": "0004: Completions are numbered, so that as_completed registers nothing",
"url": "docs/decisions/0004-completion-numbers.html#0004-completions-are-numbered-so-that-as_completed-registers-nothing",
"text": ""
},
{
"title": "Context – 0004: Completions are numbered, so that as_completed registers nothing",
"url": "docs/decisions/0004-completion-numbers.html#context",
"text": "asyncio_as_completed hands out futures in the order in which they end, and the program does other things between two of them. Something has to remember the order. asyncio registers a callback with each future for as long as the iterator lives, and keeps a queue. In C the iterator is a struct on the caller's stack, and the caller may leave at any point by break, return or goto, without a destructor. Registrations that point into its frame would stay behind."
},
{
"title": "Options – 0004: Completions are numbered, so that as_completed registers nothing",
"url": "docs/decisions/0004-completion-numbers.html#options",
"text": "Register for the iterator's life, and demand a _destroy. A program that forgets it corrupts memory. An object on the heap. The same _destroy, and a leak in place of the corruption. Numbers. Each completion in a loop has a number (future->order, 8 bytes). The iterator keeps the number of the last one it handed out; the next is the done one with the smallest number above it. It registers only while it waits, inside the call."
},
{
"title": "Choice – 0004: Completions are numbered, so that as_completed registers nothing",
"url": "docs/decisions/0004-completion-numbers.html#choice",
"text": "The third. Nothing to destroy; a copy of the struct is a copy. asyncio_wait sorts by the same number, and so returns the done ones in their true order, which Python's sets cannot."
},
{
"title": "What it costs – 0004: Completions are numbered, so that as_completed registers nothing",
"url": "docs/decisions/0004-completion-numbers.html#what-it-costs",
"text": "Each step looks at all n futures, so a walk takes n² looks: one hundred million for ten thousand futures. Programs of that size should use a queue, or groups."
},
{
"title": "What would change our mind – 0004: Completions are numbered, so that as_completed registers nothing",
"url": "docs/decisions/0004-completion-numbers.html#what-would-change-our-mind",
"text": "A real program that walks sets so large. The numbers stay; the iterator could keep a heap in memory of its own."
},
{
"title": "0011: Calls on files go through a ring beside epoll",
"url": "docs/decisions/0011-files-by-a-ring.html#0011-calls-on-files-go-through-a-ring-beside-epoll",
"text": "Question. Calls on files that the kernel cannot answer at once ran on eight threads. Each costs two hand-overs between threads. io_uring carries them out in the kernel. Where does a ring stand in a loop that waits with epoll, and when is a call worth an entry in it? Options for the ring. One ring for everything, in place of epoll. Readiness through a ring costs the same as through epoll (0.96 to 1.04), and sockets by completions are another question (0015). A ring that defers its work (DEFER_TASKRUN), its descriptor in the epoll set. epoll_wait is not woken: 12 of 12 tries slept on while a completion was due. A ring that cooperates (COOP_TASKRUN), its descriptor in the epoll set, edge-triggered. Woken each time, and completions are there without a call. Options for a call that might be answered at once. Always an entry. One system call less for each call where many are made together; a trip through the loop for each where there are few. An entry when many tasks call. Where a system call takes 0.11 microseconds, 32 tasks that open, read and close files in memory took 1.2 times the processor time of trying each call at once. Where it takes 1.04, a prototype took 0.55. A try, until calls are under way. While four or more are, queued ones among them, the next one is queued, too. Choice. A ring that cooperates, and option 3. Many tasks at a disk queue everything. Tasks that find their files in memory never see the ring: as before (0.95 to 1.0), on every machine. We give up the gain of option 2 where system calls are dear. Figures, processor time of all threads, ring beside threads, interleaved, medians of short runs on a machine that was busy with other things, so that they are hints (build/release/bench/bench_files files measures them again): threads ring ratio reads of 4 KiB, not in memory, 32 tasks 6.7 to 9.0 us 4.0 to 5.1 us 0.57 to 0.67 open, read, close, not in memory, 32 tasks 12.0 to 18.6 us 6.6 to 8.2 us 0.41 to 0.64 the same, in memory, 32 tasks 3.8 us 3.5 us 0.94 append 4 KiB and fdatasync, 32 tasks 54 us 50 us 0.92 On a machine whose system calls take 1.04 us, a prototype's reads took 0.22 of a pool of eight threads, and its files 0.17 of what this library took. Entries that fail. A ring may be denied at any time: by a container, by a seccomp filter that comes late, for want of memory. So whatever a ring refuses is done by a thread, and a caller never learns of it. Linked entries, registered files, polling by a kernel thread: none of them. They gain nothing here, and each has its own class of mistakes."
},
{
"title": "What would change our mind – 0011: Calls on files go through a ring beside epoll",
"url": "docs/decisions/0011-files-by-a-ring.html#what-would-change-our-mind",
"text": "A kernel whose own threads serve files worse than ours do. Programs whose files are in memory, with many tasks, on machines where system calls are dear: then option 2, with a look at what a call costs."
},
{
"title": "0010: A timer or event that a late look finds stands behind the ready tasks",
"url": "docs/decisions/0010-late-looks.html#0010-a-timer-or-event-that-a-late-look-finds-stands-behind-the-ready-tasks",
"text": ""
},
{
"title": "Context – 0010: A timer or event that a late look finds stands behind the ready tasks",
"url": "docs/decisions/0010-late-looks.html#context",
"text": "The loop looks at the clock and the kernel after 64 hops or 100 microseconds, also amid a batch. A timer or event that it finds has to stand somewhere in the ready queue. With 2,000 ready tasks that each work for 640 microseconds before they wait, the queue is 1.3 seconds long, and a ticker of 10 milliseconds that stands at its end ticks that rarely."
},
{
"title": "Options – 0010: A timer or event that a late look finds stands behind the ready tasks",
"url": "docs/decisions/0010-late-looks.html#options",
"text": "Measured with those 2,000 tasks (64 items of 10 microseconds each, taken from a queue that is full), in CPU time between two ticks: At the end, as asyncio has it: 1,413 to 1,426 ms. An iteration of Python's runs all that was ready when it began, and takes as long. Before the rest of the batch, if the batch has run for longer than 100 microseconds: 9 ms. Then a task that slept runs before tasks that were ready before it: a short sleep no longer means that each ready task has run once, as it does in asyncio. One of our own tests, with many idle tasks, rests on that."
},
{
"title": "Choice – 0010: A timer or event that a late look finds stands behind the ready tasks",
"url": "docs/decisions/0010-late-looks.html#choice",
"text": "The first. The order ready, input and output, timers is a promise (docs/internals/loop.md), and one that holds for short batches only would be none: how long a batch takes depends on the machine. A look amid the batch is not in vain: what it finds stands before whatever becomes ready after it. A task that works for long between two waits can shorten the queue for all others by asyncio_sleep(0)."
},
{
"title": "What would change our mind – 0010: A timer or event that a late look finds stands behind the ready tasks",
"url": "docs/decisions/0010-late-looks.html#what-would-change-our-mind",
"text": "A program that needs timers to come in time beside thousands of busy tasks. It would want a priority of its own, not another order for all."
},
{
"title": "0009: A look-up that was given up keeps no place",
"url": "docs/decisions/0009-look-ups-given-up.html#0009-a-look-up-that-was-given-up-keeps-no-place",
"text": ""
},
{
"title": "Context – 0009: A look-up that was given up keeps no place",
"url": "docs/decisions/0009-look-ups-given-up.html#context",
"text": "Threads look names up, eight at a time. Nothing ends a getaddrinfo that has begun: when the waiting task is cancelled, mostly by a timeout, the thread stays in it until the resolver gives up, after 10 to 30 s if a name server does not answer. Eight such look-ups delayed every later one, even of names that other servers would have answered at once."
},
{
"title": "Options – 0009: A look-up that was given up keeps no place",
"url": "docs/decisions/0009-look-ups-given-up.html#options",
"text": "More threads for all. The limit on questions at a time protects a name server from a program that connects to thousands of names. The limit would grow, and the block would only come later. Abandoned look-ups do not count, without a limit. A program that tries a dead name once a millisecond has 10,000 threads after 10 s. Abandoned look-ups do not count, up to 64 of them. At most 72 threads. Each one beyond the first eight costs 18 KiB of user memory, measured with 49 of them in glibc's getaddrinfo, and its kernel stack of 16 KiB: 2 MiB together. One thread for all callers with the same question. It helps a program that asks for one name again and again, but not with many names of one dead server. It needs a table, and copies of results. A resolver of our own, which a cancel could end: 0008 says why not."
},
{
"title": "Choice – 0009: A look-up that was given up keeps no place",
"url": "docs/decisions/0009-look-ups-given-up.html#choice",
"text": "The third. An example: 1,000 look-ups of a dead resolver, each given up after a second. The first 72 begin, eight a second. After nine seconds all places are taken. The rest wait in the queue, and leave it when they are given up, without a thread or a question. Other look-ups wait with them until the resolver gives the first ones up. So 72 dead look-ups within the resolver's own time limit, some 2 to 7 a second, delay no other look-up; before it was less than one a second. Executors of the program (asyncio_run_in_executor) keep their number of threads whatever is abandoned, since the program has chosen it."
},
{
"title": "What would change our mind – 0009: A look-up that was given up keeps no place",
"url": "docs/decisions/0009-look-ups-given-up.html#what-would-change-our-mind",
"text": "A getaddrinfo that can be ended. Programs that abandon more than that: then the fourth option comes first."
},
{
"title": "0008: A name is looked up once, for all families together",
"url": "docs/decisions/0008-one-look-up.html#0008-a-name-is-looked-up-once-for-all-families-together",
"text": ""
},
{
"title": "Context – 0008: A name is looked up once, for all families together",
"url": "docs/decisions/0008-one-look-up.html#context",
"text": "Happy eyeballs, version 2 (RFC 8305) sends the queries for IPv6 and IPv4 addresses side by side, and begins to connect after the first answer: at once if it has the IPv6 addresses, else after 50 ms, the resolution delay. The system's resolver, getaddrinfo, takes both questions in one call and answers when it has both."
},
{
"title": "Options – 0008: A name is looked up once, for all families together",
"url": "docs/decisions/0008-one-look-up.html#options",
"text": "One call. Its answer is in the order of RFC 6724, over both families, by the administrator's rules (/etc/gai.conf); every other program gets the same. It sends both queries at the same time. When one of them is lost, it waits for the retry: 5 s by default. Two calls, one for each family, on two threads of the pool. The delay could be observed. Each look-up then takes two threads of eight, name services other than DNS are asked twice, and the order over both families is lost: a host without an IPv6 route, or with a preference for IPv4, would begin each connection with the attempt that should come last. A resolver of our own, or c-ares. Answers differ from the system's (nsswitch.conf, mDNS, VPN's resolvers)."
},
{
"title": "Choice – 0008: A name is looked up once, for all families together",
"url": "docs/decisions/0008-one-look-up.html#choice",
"text": "The first, as curl, Node and asyncio do by default. The rest of RFC 8305 holds: families alternate, attempts follow after 250 ms or at once when the last one failed, the first established connection wins. Only the 50 ms are missing: where queries for one family are lost, a look-up takes the resolver's retry time. options timeout:1 in /etc/resolv.conf, or ASYNCIO_TIMEOUT, bounds it."
},
{
"title": "What would change our mind – 0008: A name is looked up once, for all families together",
"url": "docs/decisions/0008-one-look-up.html#what-would-change-our-mind",
"text": "A system call or a getaddrinfo_a that hands out answers as they come."
},
{
"title": "0007: Memory is fetched ahead, event by event",
"url": "docs/decisions/0007-fetching-ahead.html#0007-memory-is-fetched-ahead-event-by-event",
"text": ""
},
{
"title": "Context – 0007: Memory is fetched ahead, event by event",
"url": "docs/decisions/0007-fetching-ahead.html#context",
"text": "With ten thousand connections, no data of one of them is in the cache when its next request comes: its record, its place on the waiting task's stack, the registers saved below that, and the frames above. A hand-written loop touches one small struct. A server with a task for each connection took 0.5 µs more than such a loop for each request of 6 µs. Nearly all of that were a few loads that wait for memory: the record's, the waiter's, the first ones after the switch."
},
{
"title": "Options – 0007: Memory is fetched ahead, event by event",
"url": "docs/decisions/0007-fetching-ahead.html#options",
"text": "Server CPU for each request, relative to bench/epoll_echo.c, 64 B. The columns of a row are from one run of 7 to 9 rounds on a busy machine: 64 1,000 10,000 connections as it was 1.03 1.12 1.13 1. when a task is woken, fetch its stack 1.11 (was 1.12) 1.14 (was 1.12) 2. when a task parks, fetch the stack of the one after the next 1.04 1.12 (was 1.09) 1.12 (was 1.13) 3. while an event is dealt with, fetch for those that follow; 256 events a poll 1.02 1.09 1.08 4. the same, 64 events a poll 1.02 1.07 1.04 1 comes too late: waking has already waited for the same lines. 2 takes up the processor's few outstanding loads just when the switch needs one. 3 fetches each event's record eight events ahead, and its waiter's stack, fourteen lines, four events ahead, so that the loads overlap. The lines must still be in the cache when the task runs. Each request takes the kernel through some KiB; 256 of them exceed a second-level cache, 64 do not. 3 and 4 were measured while GCC did not fetch the stack: to GCC a function that only prefetches has no effect, so it dropped the calls of the one that fetches a waiter's stack (clang keeps them). fetch_lines in compiler.h prevents that. So the number of events alone made 4 better than 3. Measured again, on a busy machine, 12 to 30 rounds for each column: 64 1,000 10,000 connections streams, 1,000 streams, 10,000 4, as it was compiled 1.03 1.17 1.07 1.20 1.14 5. 4, as intended: fourteen lines of stack, four events ahead 1.03 1.09 1.06 6. record, wait and task ahead of the event; the stack ahead of the task 1.03 1.06 0.99 1.08 1.03 In 5 the processor waits in the prefetches themselves: sixty-four times fourteen lines are more than it can have under way at once. 6 fetches five lines for an event. When a task comes back from its wait, 6 fetches the stack of the next task, since the first one is about to spend microseconds in the kernel. 32 or 128 events a poll are no better than 64, and neither is fetching the table's entry of a descriptor, too. Between 9 and 16 lines of stack there is no measurable difference."
},
{
"title": "Choice – 0007: Memory is fetched ahead, event by event",
"url": "docs/decisions/0007-fetching-ahead.html#choice",
"text": "The sixth. The backend hands over all events of a poll at once (happened in backend.h), and the table of descriptors (asy_fd_take_events in fd_events.c) looks ahead in them, in three steps; each needs the lines that the step before has fetched. With few connections it skips that. fetch_next_stack fetches the stack. Tasks that switch to each other do the same when more than 64 are ready (fetch_next_tasks in switch.c): the next one's stack, and the block of the one after. A yield among 1,000 tasks takes 6.0 ns in place of 7.0, a wake of 10,000 tasks 217 in place of 310, of 100,000 427 in place of 450; with fewer tasks it costs a comparison, 0.9 ns of a spawn's 32. Measured again, on a slower machine and in turn with a build whose fetch_lines is empty: a yield among 1,000 tasks takes 8.4 ns in place of 11.5."
},
{
"title": "What would change our mind – 0007: Memory is fetched ahead, event by event",
"url": "docs/decisions/0007-fetching-ahead.html#what-would-change-our-mind",
"text": "A processor whose own prefetching does as well, or caches so large that 256 events fit."
},
{
"title": "0006: Requests to cancel are marks of their source; the count decides nothing",
"url": "docs/decisions/0006-pending-marks.html#0006-requests-to-cancel-are-marks-of-their-source-the-count-decides-nothing",
"text": ""
},
{
"title": "Context – 0006: Requests to cancel are marks of their source; the count decides nothing",
"url": "docs/decisions/0006-pending-marks.html#context",
"text": "In asyncio a task has one flag, \"must cancel\", and a count. Timeouts and groups find out by the count whether a CancelledError was theirs. uncancel that brings the count to 0 clears the flag. Years of repairs there show how hard that is: a scope's request took effect after the scope had ended, a request from outside was lost in a scope. Here there is one more scope, the shield. It must let requests from inside pass, and hold all others back. A flag cannot say where a request came from."
},
{
"title": "Options – 0006: Requests to cancel are marks of their source; the count decides nothing",
"url": "docs/decisions/0006-pending-marks.html#options",
"text": "One flag and the count, as Python. A shield would have to guess. A list of requests, each an object with its source. Allocation in cancel, which must not fail. A mark on each source. asyncio_cancel's request is a mark on the task; a timeout's or group's is a mark on the scope, which lies on the task's stack anyway. One derived flag says whether there is one that no shield holds back."
},
{
"title": "Choice – 0006: Requests to cancel are marks of their source; the count decides nothing",
"url": "docs/decisions/0006-pending-marks.html#choice",
"text": "The third: see cancellation. A scope that exits clears its own mark, whatever the count is. The count remains, with Python's meaning, for asyncio_task_cancelling and for the one question that needs it: did another source request a cancel while this scope was entered?"
},
{
"title": "What it costs – 0006: Requests to cancel are marks of their source; the count decides nothing",
"url": "docs/decisions/0006-pending-marks.html#what-it-costs",
"text": "A search for undelivered requests walks the scopes up to the nearest shield. It happens when a request comes or a scope ends, never in a wait. A task that runs pays nothing: with one mark on the task in place of those on the scopes, each path takes the same number of instructions. The parity suite passes with that one mark, too. The library's own tests show the fault (withdrawn_in_a_cancelled_task): in a task that was cancelled before, the request of a timeout that has ended is delivered later, because the count does not come to 0. Python does not get there: it gives up the granted result."
},
{
"title": "What would change our mind – 0006: Requests to cancel are marks of their source; the count decides nothing",
"url": "docs/decisions/0006-pending-marks.html#what-would-change-our-mind",
"text": "A case in the parity suite that marks cannot express."
},
{
"title": "A guide to libasyncio",
"url": "docs/guide/README.html#a-guide-to-libasyncio",
"text": "For C programmers. You need not know Python; if you do, parity.md lists every name of asyncio and what it is called here. Each chapter takes a few minutes. Its programs are complete and live in code/; the test suite compiles and runs them. Tasks: First steps: coroutines, and running them Tasks: several things at once, waiting for them, context variables Results and errors: values, codes, messages, and who frees what Cancellation: requests, timeouts, shields Task groups: tasks that have an owner Locks and queues: tasks that share data or hand it on The world outside: Streams and servers: connections, and accepting them Sockets, names and datagrams: the calls below the streams, foreign libraries, bad peers TLS: clients, servers, several sites, certificate errors Processes and signals: running programs, waiting for signals, terminals Files: reading, writing, listing and copying without blocking the loop Threads: calls that block, executors, other threads and their loops The machinery: The loop: callbacks, futures, descriptors, signals Inside another loop: GLib and others, around our loop or inside it; fork Transports and protocols: connections by callbacks, servers of protocols Several loops: one for each processor, calls between them, servers over all Testing: simulated networks, sweeps, the virtual clock and seeded orders Debugging: a server that hangs, debug mode, reports, gdb, sanitizers, stacks Python: asyncio's programs on this loop: how to run them, what is faster, what differs Coroutines for Python: extension modules whose coroutines Python awaits To compile one of the programs, and one with TLS: cc -g docs/guide/code/say_after.c $(pkg-config --cflags --libs asyncio) cc -g docs/guide/code/tls_sites.c $(pkg-config --cflags --libs asyncio-tls)"
},
{
"title": "Coroutines for Python",
"url": "docs/guide/20-python-extensions.html#coroutines-for-python",
"text": "The Python package libasyncio runs asyncio's programs on this library's loop. So a coroutine in C can be awaited from Python, beside Python's own: as a coroutine, as a task, in gather, under asyncio.timeout. This chapter is for authors of extension modules; it takes for granted that you know how such a module is made."
},
{
"title": "A method that is a coroutine – Coroutines for Python",
"url": "docs/guide/20-python-extensions.html#a-method-that-is-a-coroutine",
"text": "python/examples/extension/echo_client.c /* * A Python extension module: coroutines in C, which Python awaits beside its own. * * echo(host, port, lines) sends so many lines to a server, reads each back; the number of bytes * count_primes(limit) computes in a thread without the interpreter's lock; the number of primes */ #define PY_SSIZE_T_CLEAN #include <Python.h> #include <asyncio.h> #include <asyncio/python.h> #include <stdio.h> #include <string.h> /* ---- An echo client ---- */ static intptr_t exchange(asyncio_stream *stream, long lines) { intptr_t total = 0; for (long i = 0; i < lines; i++) { char line[32], *back; int n = snprintf(line, sizeof line, \"line %ld\\n\", i); int err = asyncio_stream_write(stream, line, (size_t)n); if (err) return err; ssize_t got = asyncio_stream_readline(stream, &back); if (got < 0) return got; total += got; } return total; } ASYNC(echo, const char *, host, long, port, long, lines) { asyncio_stream *stream; int err = asyncio_open_connection(host, (int)port, NULL, &stream); if (err) return err; intptr_t total = exchange(stream, lines); asyncio_stream_close(stream); return total; } ASYNCIO_PY_METHOD(echo_method, echo, PyUnicode_AsUTF8, PyLong_AsLong, PyLong_AsLong) /* ---- A computation ---- */ /* Runs in a thread of the library's, without the interpreter's lock: Python goes on meanwhile. */ static intptr_t count_them(void *arg) { intptr_t limit = *(long *)arg, count = 0; for (intptr_t n = 2; n < limit; n++) { intptr_t d = 2; while (d * d <= n && n % d) d++; count += d * d > n; } return count; } ASYNC(count_primes, long, limit) { return asyncio_to_thread(count_them, &limit); } ASYNCIO_PY_METHOD(count_primes_method, count_primes, PyLong_AsLong) /* ---- The module ---- */ static PyMethodDef methods[] = { {\"echo\", ASYNCIO_PY_FUNCTION(echo_method), METH_FASTCALL, \"Send lines to an echo server.\"}, {\"count_primes\", ASYNCIO_PY_FUNCTION(count_primes_method), METH_FASTCALL, \"Count primes, in a thread.\"}, {NULL, NULL, 0, NULL}, }; static PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = \"echo_client\", .m_size = -1, .m_methods = methods}; PyMODINIT_FUNC PyInit_echo_client(void); PyMODINIT_FUNC PyInit_echo_client(void) { return asyncio_py_import() < 0 ? NULL : PyModule_Create(&module); } ASYNC defines a coroutine, as everywhere in this guide. ASYNCIO_PY_METHOD makes a method of it: it converts the arguments, each with the function named for it, and returns an awaitable. Python's objects that the arguments point into, here the text of host, live as long as the coroutine does. The module is linked with the shared library, as the package is: cc -shared -fPIC -o echo_client.so echo_client.c $(pkg-config --cflags --libs asyncio) \\ -Wl,-rpath,$(pkg-config --variable=libdir asyncio) $(python3-config --includes) The -rpath is for a library that is installed where the linker does not look by itself, as in a virtual environment. asyncio_py_import in the module's initialisation looks whether both have the same copy of the library. An ImportError says what is wrong if not. python/examples/extension/extension.py \"\"\" Coroutines in C beside coroutines in Python: an echo server in Python, four clients in C, and a computation. The module echo_client is in echo_client.c; `make python` builds it. \"\"\" import asyncio import time import echo_client import libasyncio async def serve(reader, writer): while line := await reader.readline(): writer.write(line) await writer.drain() writer.close() async def tick(ticks): while True: await asyncio.sleep(0.001) ticks.append(time.monotonic()) async def main(): server = await asyncio.start_server(serve, '127.0.0.1', 0) host, port = server.sockets[0].getsockname() async with server: sizes = await asyncio.gather(*[echo_client.echo(host, port, 100) for _ in range(4)]) print('echoed', sizes, 'bytes') # Python's tasks go on while C computes. ticks = [] ticker = asyncio.create_task(tick(ticks)) primes = await echo_client.count_primes(100_000) ticker.cancel() print(primes, 'primes;', 'Python went on meanwhile' if ticks else 'Python stood still') # An error of C's is an exception of Python's, and wait_for cancels a coroutine in C. try: await echo_client.echo('127.0.0.1', port, 1) except ConnectionRefusedError as error: print('refused:', error.strerror) silent = await asyncio.start_server(lambda reader, writer: None, '127.0.0.1', 0) try: await asyncio.wait_for(echo_client.echo(*silent.sockets[0].getsockname(), 1), 0.05) except TimeoutError: print('timed out') silent.close() libasyncio.run(main())"
},
{
"title": "Results and errors – Coroutines for Python",
"url": "docs/guide/20-python-extensions.html#results-and-errors",
"text": "The result of a coroutine in C is a number, and Python gets an int. For anything else, call asyncio_py_awaitable with a function that makes Python's object of the number. It is called in any case, once, also for an error and for a coroutine that was cancelled before it ran; so it may free what it was given. An error becomes an exception, with the message of asyncio_raise: error exception -ECANCELED asyncio.CancelledError -ETIMEDOUT TimeoutError other numbers of errno OSError, of the class that belongs to the number -ENOMEM MemoryError ASYNCIO_ESTATE, ASYNCIO_EQUEUE_EMPTY, ... asyncio.InvalidStateError, asyncio.QueueEmpty, ... errors of getaddrinfo socket.gaierror ASYNCIO_EPYTHON the exception that a call of Python raised others RuntimeError"
},
{
"title": "Python from C – Coroutines for Python",
"url": "docs/guide/20-python-extensions.html#python-from-c",
"text": "A coroutine in C may call Python at any time: it runs with the interpreter's lock. When such a call fails, return asyncio_py_error(); takes the exception along, through as many coroutines and tasks as it takes, and where it gets back to Python it is raised again, with its traceback. asyncio_py_await(awaitable, &result) waits for anything that Python can await: PyObject *answer, *coroutine = PyObject_CallOneArg(handler, request); if (!coroutine) return asyncio_py_error(); intptr_t err = asyncio_py_await(coroutine, &answer); Py_DECREF(coroutine); One thing it cannot do is wait below a frame of Python's: when a coroutine in C calls a Python function, and that one calls a function in C, the latter must not wait. asyncio_py_await raises RuntimeError there; another call that waits, as asyncio_sleep, ends the process with a message. Let the Python function be a coroutine, and await it. The stack of a task in C is 4 MiB, of which only touched pages take memory: Python's own limit of recursion comes first. A child that Python forks inside a coroutine in C has no loop. It has to end in there, by os._exit or exec; one that returns to the coroutine's caller is ended with a message. asyncio.ensure_future returns an awaitable of C as it is, since it is a future already, and does not start it. Use create_task for one that is to run by itself."
},
{
"title": "Cancelling – Coroutines for Python",
"url": "docs/guide/20-python-extensions.html#cancelling",
"text": "Requests go through. task.cancel() of a task that awaits a coroutine in C is a request to that one: its wait returns -ECANCELED. It may clean up, and wait while it does. When a task in C that waits in asyncio_py_await is asked to end, what it awaits is cancelled. At the end of libasyncio.run, tasks in C that are left are cancelled and waited for, after Python's."
},
{
"title": "The interpreter's lock – Coroutines for Python",
"url": "docs/guide/20-python-extensions.html#the-interpreters-lock",
"text": "It is held while tasks in C run, and let go of while the loop waits. So a coroutine that computes keeps all of Python waiting; asyncio_to_thread runs a function in a thread that does not have the lock, as count_primes does above. Such a function must not touch Python's objects."
},
{
"title": "asyncio's programs on this loop",
"url": "docs/guide/19-python.html#asyncios-programs-on-this-loop",
"text": "For Python programmers. The package libasyncio is an event loop for Python's own asyncio: tasks, futures, streams and all else stay asyncio's, and what is called often is in C."
},
{
"title": "Running a program – asyncio's programs on this loop",
"url": "docs/guide/19-python.html#running-a-program",
"text": "make python # builds build/release/python export PYTHONPATH=build/release/python python3 -m libasyncio program.py # any program of asyncio's, unchanged python3 -m libasyncio -m module # the same for a module, as with python3 -m python3 -m libasyncio makes our loop the default, and runs the program. A program can do it itself: import libasyncio libasyncio.run(main()) # in place of asyncio.run(main()) call for libasyncio.run(main()) a program: as asyncio.run, with debug and loop_factory asyncio.Runner(loop_factory=libasyncio.new_event_loop) one that runs several coroutines, or tests libasyncio.install() a program whose library makes the loop: all loops made from here on are ours Four programs are in python/examples: tasks that sleep, an echo server with its clients, a queue with workers, a crawler. The test suite runs each on both loops and compares what they print."
},
{
"title": "Servers – asyncio's programs on this loop",
"url": "docs/guide/19-python.html#servers",
"text": "aiohttp, websockets and others run below libasyncio.run. uvicorn makes its loop itself: python3 -m libasyncio -m uvicorn app:app --loop asyncio The tests run aiohttp 3.8, uvicorn 0.17 and websockets 10.4, as servers and as clients, with an echo under load."
},
{
"title": "What is faster – asyncio's programs on this loop",
"url": "docs/guide/19-python.html#what-is-faster",
"text": "Programs that make many small steps: callbacks, timers, tasks that wake each other, connections with small messages. The loop goes on from one callback to the next without asking the kernel in between, sockets are read and written in C, and so are StreamReader and StreamWriter. A program that spends its time in its own Python code, or waiting, gains little. make bench-python measures on your machine, beside asyncio and uvloop; our results."
},
{
"title": "What differs – asyncio's programs on this loop",
"url": "docs/guide/19-python.html#what-differs",
"text": "loop._selector has no descriptor: the loop waits by itself. loop.add_reader and add_writer are as in asyncio. The writes of one callback to a connection are sent together, when the callback returns, and before get_extra_info('socket'). A socket that was fetched earlier, and is shut down by the callback that wrote, loses them: fetch it again. A TCP socket of your own (sock=), made without naming its protocol, gets TCP_NODELAY as any other does. An event loop belongs to the thread that runs it. In a child process of os.fork it refuses to be used. All else that a program can see is meant to be asyncio's, errors and their words included. CPython's own suite says how far that holds: python-suites.md."
},
{
"title": "When something is wrong – asyncio's programs on this loop",
"url": "docs/guide/19-python.html#when-something-is-wrong",
"text": "PYTHONASYNCIODEBUG=1, loop.set_debug(True) and asyncio.run(debug=True) work as in asyncio: slow callbacks are logged, calls from another thread refused, and reports say where a task was made. To tell whether a fault is the loop's, run the program once with python3 and once with python3 -m libasyncio."
},
{
"title": "Benchmarks",
"url": "docs/benchmarks.html#benchmarks",
"text": "make bench measures the library beside its yardsticks and its peers in one run, and prints one table; make bench BENCH='spawn queue --quick' asks only some of the questions. The runner (bench/run) builds the peers from Debian's packages, runs all programs in turn on one processor for several rounds, and takes medians; it takes ratios within a round. The tables below are two runs of bench/run build/release QUESTION... --markdown on a machine with little other work. Measured on Intel(R) Xeon(R) Processor, 2 processors; Linux 6.18.44-fc-v669; glibc 2.36; gcc (Debian 12.2.0-14+deb12u1) 12.2.0; library built as debugoptimized; go1.19.8 linux/amd64; Python 3.11.2; uvloop 0.17.0; Boost 1.74; State Threads 1.9. bare is the least work by hand, without a library (bench/bare.c); bare+fp saves the floating-point control words, too, as the library does; bare+buffers has a buffer for each connection. ratio: libasyncio to the column before it. Every figure is for one task, child, timer or request; smaller is better. The figures of peers that postpone the removal of cancelled timers (Go, asyncio) lack that work."
},
{
"title": "The core – Benchmarks",
"url": "docs/benchmarks.html#the-core",
"text": "Notes on the table: The yardstick of a yield is a round robin of hand-written switches that save the same registers as ours (bare+fp: the floating-point control words, too). A yield costs 2.0 to 4.4 times as much as a switch that leaves them out. Tasks of different functions yield in 16 ns rather than 6.5: where the chains of calls differ, the processor mispredicts returns (0001). A million tasks against a thousand: 8.4 times, where the budget is 1.5. The work is the same, with 0.06 page faults a task at most. Access to memory takes longer: one page of stack and one block for each task exceed every cache and TLB. The bare yardstick loses more. Replacing any of a million timers costs 4.8 times the bare heap, and more than Go, which postpones the removal. Two tables lie between a handle and its place in the heap. One tells a stale handle from a live one, even of a loop that is gone; by the other the heap moves entries without touching the timers (loop.md). embed: what a program calls in storage of its own (asyncio/embed.h), on a machine with much other work: each is the least of 36 rounds. An event of a watch is three system calls, as by epoll alone: the wait, and the program's read and write; its part of the loop is 475 instructions. unit libasyncio bare ratio bare+fp ratio budget Go State Threads Boost.Fiber asyncio uvloop switch: 2 tasks ns 6.47 1.49 4.37 3.73 1.73 ≤ 2 × bare+fp: met 49.6 131 50.2 1,172 567 switch: 10 tasks ns 6.48 1.72 3.76 3.63 1.79 ≤ 2 × bare+fp: met 50.5 47.0 29.7 838 479 switch: 100 tasks ns 6.38 2.49 2.57 3.63 1.76 ≤ 2 × bare+fp: met 52.4 45.9 25.3 724 436 switch: 1,000 tasks ns 6.06 3.07 1.97 3.64 1.66 ≤ 2 × bare+fp: met 57.3 109 24.9 739 434 switch: 10 tasks of 4 functions ns 15.5 1.71 9.05 3.63 4.26 51.0 47.2 35.2 857 480 spawn: create, run, await ns 33.4 7.53 4.41 8.20 4.05 ≤ 35 ns: met 270 137 283 4,127 2,011 gather: per child of 100 ns 32.9 8.29 3.68 10.2 3.24 351 147 2,528 2,826 1,842 gather: the same, each waits once ns 52.4 10.1 4.87 10.9 3.99 382 179 2,390 3,550 2,468 await of what is ready ns 5.00 30.0 32.8 wait_for of the same ns 5.72 ≤ 100 ns over it: met 6,815 3,466 await in place, one yield ns 15.1 2,007 1,114 wait_for of the same ns 57.1 ≤ 100 ns over it: met 14,289 6,417 timeout entered and left ns 42.5 2,924 2,883 timeout as a block ns 48.8 2,964 3,184 task group: per child of 100 ns 32.9 ≤ 60 ns: met 2,350 1,658 lock: acquire and release ns 2.48 ≤ 10 ns: met 13.0 125 130 semaphore: acquire and release ns 2.72 33.6 321 330 event: a wait when it is set ns 1.42 15.8 78.9 83.4 lock: two take turns, one yield each ns 18.6 264 5,474 2,935 queue of 128: one item ns 6.66 ≤ 25 ns: met 32.3 544 539 queue of 1: one item ns 22.5 ≤ 60 ns: met 91.2 5,186 2,637 timer: make and cancel, of 1,000,000 ns 43.9 25.1 1.73 ≤ 100 ns: met 120 - - 1,269 608 timer: replace any of 1,000,000 ns 881 181 4.82 492 - - 2,047 3,191 timer: a sleep cancelled, of 1,000,000 ns 108 25.1 4.25 534 - - 6,759 3,535 embed: a call, one hop ns 5.85 ≤ 12 ns: met embed: a timer made and cancelled, of 1,000 ns 13.4 ≤ 40 ns: met embed: a post, taken in and run ns 12.9 ≤ 40 ns: met embed: an event of a watch, a byte read and written ns 2,589 the same by epoll alone ns 2,367 memory: 1,000 idle tasks, each B 4,973 4,686 1.06 ≤ 5,120 B: met 2,806 4,407 12,653 1,049 807 memory: 10,000 idle tasks, each B 4,962 4,624 1.07 ≤ 5,120 B: met 2,741 4,343 12,562 899 875 memory: 100,000 idle tasks, each B 4,959 4,618 1.07 ≤ 5,120 B: met 2,720 4,337 11,580 860 859 memory: 1,000,000 idle tasks, each B 4,959 4,617 1.07 ≤ 5,120 B: met 2,724 4,337 9,914 849 848 start in new memory: of 1,000 ns 2,058 1,363 1.51 1,546 1,791 4,596 2,112 1,894 start in new memory: of 10,000 ns 1,890 1,477 1.31 2,076 2,008 4,883 2,842 2,513 start in new memory: of 100,000 ns 1,814 1,410 1.30 2,084 2,218 4,424 3,978 3,332 start in new memory: of 1,000,000 ns 4,259 1,419 3.02 2,278 3,451 14,369 7,294 6,743 start in place of another: of 1,000 ns 31.4 5.77 5.44 129 128 88.1 1,328 952 start in place of another: of 10,000 ns 60.0 6.38 9.47 165 319 305 1,692 1,296 start in place of another: of 100,000 ns 138 36.1 3.75 278 424 3,596 7,498 4,062 start in place of another: of 1,000,000 ns 263 82.4 3.09 1,238 629 871 9,912 9,400 wake: of 1,000 ns 39.5 3.40 11.6 144 118 278 564 296 wake: of 10,000 ns 275 34.2 7.57 223 248 834 638 351 wake: of 100,000 ns 355 44.8 7.91 454 440 740 760 479 wake: of 1,000,000 ns 333 76.3 4.46 958 510 767 768 510 start in place of another: 1,000,000 to 1,000 x 8.37 14.3 0.59 ≤ 1.5: over 9.59 4.93 9.88 7.46 9.87 wake: 1,000,000 to 1,000 x 8.44 22.4 0.38 ≤ 1.5: over 6.65 4.32 2.76 1.36 1.72 page faults, in place of another: 1,000 each 0.00 0.00 0.01 0.00 0.27 0.00 0.00 page faults, in place of another: 1,000,000 each 0.06 0.00 0.00 0.10 0.16 0.19 0.19 State Threads: has no timers but sleeping threads: timer: make and cancel, of 1,000,000; timer: replace any of 1,000,000; timer: a sleep cancelled, of 1,000,000 Boost.Fiber: has no timers but sleeping fibers: timer: make and cancel, of 1,000,000; timer: replace any of 1,000,000; timer: a sleep cancelled, of 1,000,000"
},
{
"title": "Servers, files, processes, threads – Benchmarks",
"url": "docs/benchmarks.html#servers-files-processes-threads",
"text": "echo is asyncio_sock_recv and _sendall in a task for each connection; streams are the same with asyncio_stream_read and _write behind a server. bare is an edge-triggered epoll loop by hand, with one buffer for all connections; bare+buffers has one each, as a task has: with messages of 4 and 64 KiB that alone costs up to 20 % of a request, since the memory is no longer in the cache. The rows of echo and streams are from a short run (bench/run build/release echo stream --quick --markdown), the others from a long one before it: a ratio may be off by 0.05. 10,000 connections: a task has a stack and a block, the yardstick a struct of one cache line (0007). Parked connections: 100,000 over TCP, in 8 servers with 8 processes of clients, since a process has 20,000 descriptors here. A waiting task in place of each takes 5 KB. The kernel's figure is the growth of its slabs: for each end a socket of 2,368 B, its inode (832 B), name, file and place in the poll. The system calls are the same: one receive, one send and a share of an epoll_wait for each request, no epoll_ctl and no EAGAIN (tests/net/check-calls). process, 500 MB: libuv forks, and copies the parent's page tables. thread, on two: the virtual machine dominates. A sleeping processor takes some 25 µs to wake, twice for each call. TLS, 1 KiB: a record for each write. OpenSSL frees its buffers after each, a setting that saves memory in idle connections. unit libasyncio bare ratio budget Go bare+buffers nginx libuv asyncio uvloop process: start true, reap it; 0 MB touched ns 612,937 599,659 1.02 ≤ 1.1 × bare: met 680,369 855,497 process: start true, reap it; 500 MB touched ns 607,883 602,906 1.02 ≤ 1.1 × bare: met 6,755,987 847,423 file: open, read, close, of 10,000 in memory ns 2,504 2,341 1.04 ≤ 1.11 × bare: met 7,016 17,342 the same, processor time ns 2,503 2,337 1.04 ≤ 1.11 × bare: met 7,015 17,339 file: 1 MiB, none of it in memory ns 513,401 507,323 1.01 554,841 the same, processor time ns 121,223 107,612 1.12 192,111 echo: 1 × 64 B, server CPU ns 5,190 5,324 0.97 ≤ 1.05 × bare: met 16,655 5,184 5,538 17,128 7,673 echo: 64 × 64 B, server CPU ns 3,067 2,997 1.02 ≤ 1.05 × bare: met 3,693 2,988 3,128 14,558 3,850 echo: 1,000 × 64 B, server CPU ns 3,115 3,192 0.98 ≤ 1.05 × bare: met 4,433 3,199 3,472 15,400 5,034 echo: 10,000 × 64 B, server CPU ns 5,256 4,672 1.12 ≤ 1.05 × bare: over 8,148 5,345 5,994 18,652 9,188 echo: 1 × 4,096 B, server CPU ns 5,837 5,569 1.05 ≤ 1.05 × bare: met 16,346 5,539 6,020 18,011 8,007 echo: 64 × 4,096 B, server CPU ns 3,428 3,279 1.05 ≤ 1.05 × bare: met 4,079 3,286 3,521 15,878 4,315 echo: 1,000 × 4,096 B, server CPU ns 4,070 3,614 1.14 ≤ 1.05 × bare: over 5,385 4,019 4,179 17,961 7,863 echo: 10,000 × 4,096 B, server CPU ns 6,917 6,113 1.13 ≤ 1.05 × bare: over 8,376 7,204 7,482 20,421 12,766 echo: 1 × 65,536 B, server CPU ns 17,948 15,675 1.15 ≤ 1.05 × bare: over 25,383 17,125 17,859 48,734 24,298 echo: 64 × 65,536 B, server CPU ns 14,391 13,424 1.07 ≤ 1.05 × bare: over 14,901 15,095 13,652 44,307 39,730 echo: 1,000 × 65,536 B, server CPU ns 24,051 19,442 1.24 ≤ 1.05 × bare: over 25,318 23,564 18,875 48,773 60,189 streams, echo: 1 × 64 B ns 5,597 5,088 1.10 ≤ 1.1 × bare: over 16,571 5,153 5,630 27,002 11,175 streams, echo: 64 × 64 B ns 3,295 3,153 1.04 ≤ 1.1 × bare: met 3,830 3,076 3,256 17,321 5,455 streams, echo: 1,000 × 64 B ns 3,543 3,308 1.07 ≤ 1.1 × bare: met 5,285 3,318 3,589 19,875 8,104 streams, echo: 10,000 × 64 B ns 5,893 5,486 1.08 ≤ 1.1 × bare: met 9,134 5,489 6,921 24,934 13,912 streams, echo: 1 × 4,096 B ns 6,144 5,852 1.05 ≤ 1.1 × bare: met 16,936 5,867 6,291 29,681 11,752 streams, echo: 64 × 4,096 B ns 3,508 3,322 1.06 ≤ 1.1 × bare: met 4,331 3,352 3,507 19,742 6,808 streams, echo: 1,000 × 4,096 B ns 4,009 3,491 1.15 ≤ 1.1 × bare: over 6,079 3,913 4,121 14,587 10,742 streams, echo: 10,000 × 4,096 B ns 6,952 6,487 1.07 ≤ 1.1 × bare: met 9,525 7,234 7,280 25,766 18,226 streams, echo: 1 × 65,536 B ns 18,762 17,699 1.06 ≤ 1.1 × bare: met 24,817 17,783 16,968 58,945 31,386 streams, echo: 64 × 65,536 B ns 15,729 14,334 1.10 ≤ 1.1 × bare: met 15,489 16,099 13,996 33,396 35,956 streams, echo: 1,000 × 65,536 B ns 27,555 21,493 1.28 ≤ 1.1 × bare: over 28,350 24,802 21,239 70,321 72,082 memory: 10,000 idle connections, each B 5,151 ≤ 6,144 B: met memory: 100,000 parked connections, each B 664 ≤ 700 B: met memory: the kernel, for both ends of each B 8,988 thread: to_thread and back, on one processor ns 1,724 1,593 1.08 ≤ 1.5 × bare: met 5,063 24,819 thread: on two ns 59,177 57,962 0.93 ≤ 1.5 × bare: met 62,491 78,085 thread: on two, processor time ns 45,659 44,169 1.05 ≤ 1.5 × bare: met 45,624 74,473 thread: call_soon_threadsafe ns 170 - - 3,710 HTTP: 1 connections, server CPU ns 34,746 ≤ nginx: met 35,195 HTTP: 64 connections, server CPU ns 3,711 ≤ nginx: met 4,128 HTTP: 1,000 connections, server CPU ns 4,088 ≤ nginx: met 4,119 TLS: writes of 1,024 B, CPU per KiB ns 2,647 1,917 1.38 TLS: writes of 16,384 B, CPU per KiB ns 777 765 1.01 ≤ 1.05 × bare: met TLS: writes of 65,536 B, CPU per KiB ns 775 760 1.03 ≤ 1.05 × bare: met TLS: a full handshake, both sides, CPU ns 575,163 549,571 1.05 TLS: a resumed handshake, both sides, CPU ns 336,870 313,489 1.07 bare: no callbacks: thread: call_soon_threadsafe libuv: its async handles fold several into one: thread: call_soon_threadsafe"
},
{
"title": "Python – Benchmarks",
"url": "docs/benchmarks.html#python",
"text": "make bench-python measures the Python package beside uvloop and asyncio's own loop, in one run: turns of the loop, echo servers asked by bench/echo_load, and instructions counted by callgrind. make bench-python BENCH=--quick takes two rounds in place of five. The ratios are ours to the column before. The table is from three quick runs on a machine with much other work (a load of 10 to 20), of one day. The instructions are exact; a ratio of times may be off by 0.15. sleep(0), create_task: a turn of ours costs 145 ns with a callback in Python; the rest is CPython's own task and generators. The budgets come from a machine where uvloop's turn took 2.3 µs, since its system call cost more there; here it takes 0.7. Echo by streams runs the unchanged StreamReader and StreamWriter of asyncio, whose hot methods are in C here. unit libasyncio uvloop ratio budget asyncio ratio bare epoll call_soon, each calls the next ns 145 717 0.20 ≤ 0.2: over 2,344 0.06 call_soon, 10,000 queued at once ns 164 374 0.44 807 0.21 await sleep(0), one task ns 649 1,487 0.44 ≤ 0.3: over 2,629 0.25 await sleep(0), 100 tasks ns 535 759 0.71 1,425 0.38 create_task and await it ns 2,294 3,800 0.60 ≤ 0.5: over 7,801 0.29 gather of 1,000, each ns 3,266 2,968 1.10 4,972 0.66 create_future, call_soon(set_result), await ns 930 2,596 0.36 6,164 0.15 call_later and cancel ns 209 1,410 0.15 2,324 0.09 call_later and cancel, 10,000 alive ns 314 1,891 0.17 1,879 0.17 async with timeout: sleep(0) ns 3,918 7,986 0.50 9,226 0.43 Queue(128), an item ns 847 960 0.88 906 0.94 call_soon_threadsafe, each calls the next ns 191 1,530 0.12 5,070 0.04 echo by a protocol, 64 × 64 B, server CPU ns 5,691 5,625 1.01 21,692 0.26 5,023 echo by a protocol, 64 × 4096 B, server CPU ns 7,427 9,851 0.76 60,337 0.17 5,349 echo by a protocol, 1000 × 64 B, server CPU ns 5,997 8,317 0.73 22,977 0.26 8,386 echo by a BufferedProtocol, 64 × 64 B, server CPU ns 6,078 8,271 0.76 8,442 0.72 4,907 echo by streams, 64 × 64 B, server CPU ns 9,361 11,672 0.84 ≤ 0.8: over 29,634 0.32 5,335 echo by streams, 64 × 4096 B, server CPU ns 11,984 21,644 0.61 ≤ 0.8: met 40,871 0.31 6,131 echo by streams, 1000 × 64 B, server CPU ns 10,870 11,960 0.90 ≤ 0.8: over 39,342 0.28 6,646 echo by a protocol, 64 × 64 B, user instructions instr. 1,802 4,416 0.41 ≤ 0.4: over 13,747 0.13 echo by streams, 64 × 64 B, user instructions instr. 11,155 23,474 0.48 38,800 0.29"
},
{
"title": "2. Tasks",
"url": "docs/guide/2-tasks.html#2-tasks",
"text": "A task is a coroutine that runs beside others. One task runs at a time, until it waits. docs/guide/code/order.c /* When tasks start, and in which order they run. */ #include <asyncio.h> #include <stdio.h> ASYNC(count, const char *, name) { for (int i = 1; i <= 3; i++) { printf(\"%s %d\\n\", name, i); int err = asyncio_sleep(0); /* gives way once */ if (err) return err; } return 0; } ASYNC(async_main) { asyncio_task *a = asyncio_create_task(count(\"a\")); asyncio_task *b = asyncio_create_task(count(\"b\")); puts(\"both are made, neither has started\"); intptr_t err_a = asyncio_await(a); intptr_t err_b = asyncio_await(b); return err_a ? err_a : err_b; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/order.out both are made, neither has started a 1 b 1 a 2 b 2 a 3 b 3 A new task joins the end of the ready queue. It starts once the running task waits and the tasks before it in the queue have run. A task that waits gives way to the next one in the queue; asyncio_sleep(0) does only that. The order is first come, first served. asyncio_create_task returns an asyncio_task * with one reference, which you own. These calls use it: call what it does your reference asyncio_await(task) waits until the task ends, returns its result taken asyncio_join(task, &result) the same, but keeps the status of the wait apart from the result taken asyncio_release(task) does not wait; the task goes on, and the loop owns it given up asyncio_gather, asyncio_wait_for, asyncio_shield wait taken asyncio_wait, asyncio_as_completed wait borrowed: you still own it \"Taken\" holds on every path, also when the call fails or is cancelled: after asyncio_await(task) you must not use the pointer. To keep it, await a second reference: asyncio_await(asyncio_ref(task))."
},
{
"title": "Tasks that start at once – 2. Tasks",
"url": "docs/guide/2-tasks.html#tasks-that-start-at-once",
"text": "A task that is made is queued: it starts when its creator waits. An eager task does not wait for its turn. It runs inside the call that makes it, up to its first wait, and one that never waits is done when the call returns. That pays where most calls find their answer at once, in a cache or a buffer, and only some have to wait. docs/guide/code/eager.c /* An eager task runs to its first wait inside the call that makes it. */ #include <asyncio.h> #include <stdio.h> static const char *cache[3]; /* Waits only where the cache has nothing. */ ASYNC(look_up, int, key) { if (cache[key]) { printf(\"%d: in the cache\\n\", key); return key; } printf(\"%d: asks the server\\n\", key); int err = asyncio_sleep(0.1); if (err) return err; cache[key] = \"value\"; printf(\"%d: has the answer\\n\", key); return key; } ASYNC(async_main) { const asyncio_task_options eager = {.eager_start = 1}; cache[1] = \"one\"; asyncio_task *first = asyncio_create_task_with(look_up(1), &eager); asyncio_task *second = asyncio_create_task_with(look_up(2), &eager); printf(\"made: the first is %s, the second is %s\\n\", asyncio_done(first) ? \"done\" : \"waiting\", asyncio_done(second) ? \"done\" : \"waiting\"); intptr_t err = asyncio_await(first); /* returns at once */ return err < 0 ? err : asyncio_await(second); } int main(void) { return asyncio_main(async_main()); } docs/guide/code/eager.out 1: in the cache 2: asks the server made: the first is done, the second is waiting 2: has the answer eager_start in the options of a task makes that task eager. The option eager of a run makes all tasks eager, those of groups and gathers included, and eager_start = -1 excepts one. The price is the order. The call that makes an eager task is a call of its code, which may cancel the creator or end its group, so whatever you rely on after the call must be there before it. Its creator is not suspended: a request to cancel it is delivered at its next wait. Some tasks are queued in any case: tasks.h lists them."
},
{
"title": "Waiting for several – 2. Tasks",
"url": "docs/guide/2-tasks.html#waiting-for-several",
"text": "docs/guide/code/results.c /* Three ways to wait for several tasks: all, one by one as they end, the first. */ #include <asyncio.h> #include <stdio.h> ASYNC(fetch, int, value, double, delay) { int err = asyncio_sleep(delay); return err ? err : value; } static int all(void) { intptr_t results[3]; int err = asyncio_gather(results, fetch(1, 0.3), fetch(2, 0.1), fetch(3, 0.2)); if (err) return err; printf(\"gather: %ld %ld %ld\\n\", (long)results[0], (long)results[1], (long)results[2]); return 0; } static int one_by_one(asyncio_task *tasks[], size_t n) { asyncio_as_completed it; size_t i; int more = asyncio_as_completed_init(&it, tasks, n, ASYNCIO_FOREVER); if (more) return more; while ((more = asyncio_as_completed_next(&it, &i)) > 0) printf(\"as_completed: task %zu gave %ld\\n\", i, (long)asyncio_result(tasks[i])); return more; } static int the_first(asyncio_task *tasks[], size_t n) { ptrdiff_t done = asyncio_wait(tasks, n, ASYNCIO_FOREVER, ASYNCIO_FIRST_COMPLETED); if (done < 0) return (int)done; printf(\"wait: %td done, the first gave %ld\\n\", done, (long)asyncio_result(tasks[0])); for (size_t i = (size_t)done; i < n; i++) asyncio_cancel(tasks[i]); return 0; } ASYNC(async_main) { int (*const ways[])(asyncio_task **, size_t) = {one_by_one, the_first}; int err = all(); for (int way = 0; way < 2 && !err; way++) { asyncio_task *tasks[3]; tasks[0] = asyncio_create_task(fetch(1, 0.3)); tasks[1] = asyncio_create_task(fetch(2, 0.1)); tasks[2] = asyncio_create_task(fetch(3, 0.2)); err = ways[way](tasks, 3); /* wait and as_completed borrow: we still own the references. */ for (int i = 0; i < 3; i++) asyncio_release(tasks[i]); } return err; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/results.out gather: 1 2 3 as_completed: task 1 gave 2 as_completed: task 2 gave 3 as_completed: task 0 gave 1 wait: 1 done, the first gave 2 asyncio_gather(results, a, b, ...) takes up to 16 coroutines, tasks or futures, runs them side by side and waits for all. On the first error it cancels the rest, waits for them, and returns that error. results, which may be NULL, gets every outcome in any case. asyncio_gather_array(results, tasks, n) takes an array of tasks. asyncio_gather_settled waits for all of them even if some fail, and returns 0: the errors are in results. asyncio_as_completed hands the tasks out one by one, in the order in which they end. asyncio_wait returns when one task is done (ASYNCIO_FIRST_COMPLETED), one has failed (ASYNCIO_FIRST_ERROR), all are done (ASYNCIO_ALL_COMPLETED), or its time is up. It cancels nothing. It sorts the array so that the done tasks come first, and returns their number. A task group is the fourth way, and often the best: it owns the tasks that it starts."
},
{
"title": "At regular times – 2. Tasks",
"url": "docs/guide/2-tasks.html#at-regular-times",
"text": "A loop of work and asyncio_sleep(1) takes a second and the time of the work, and drifts. A ticker ticks by the clock, however long the work takes. Its policy says what happens when the work took longer than a period. docs/guide/code/ticker.c /* A ticker, and three ways to go on when a tick was missed. */ #include <asyncio.h> #include <stdio.h> ASYNC(sample, const char *, name, asyncio_tick, policy) { double began = asyncio_time(); asyncio_ticker ticker; int err = asyncio_ticker_init(&ticker, 0.25, policy); if (err) return err; printf(\"%s:\", name); for (int i = 1; i <= 6; i++) { int64_t skipped = asyncio_ticker_next(&ticker); if (skipped < 0) return (intptr_t)skipped; printf(\" %.2f\", asyncio_time() - began); if (skipped) printf(\" (%d left out)\", (int)skipped); if (i == 2 && (err = asyncio_sleep(0.6))) return err; /* the second sample took longer than two periods */ } printf(\"\\n\"); return 0; } ASYNC(async_main) { intptr_t err = asyncio_await(sample(\"burst\", ASYNCIO_TICK_BURST)); if (!err) err = asyncio_await(sample(\"delay\", ASYNCIO_TICK_DELAY)); return err ? err : asyncio_await(sample(\"skip\", ASYNCIO_TICK_SKIP)); } int main(void) { asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL}; /* exact, and takes no time */ return asyncio_run_with(async_main(), &options) < 0; } docs/guide/code/ticker.out burst: 0.25 0.50 1.10 1.10 1.25 1.50 delay: 0.25 0.50 1.10 1.35 1.60 1.85 skip: 0.25 0.50 1.10 (1 left out) 1.25 1.50 1.75 ASYNCIO_TICK_BURST gives every tick, late ones without a pause: for work that must be done so many times. ASYNCIO_TICK_DELAY starts anew from a late tick: for work that needs its pause. ASYNCIO_TICK_SKIP leaves out what was missed, and says how many ticks those were: for samples and displays. A cancel leaves the tick to come."
},
{
"title": "Looking at a task – 2. Tasks",
"url": "docs/guide/2-tasks.html#looking-at-a-task",
"text": "asyncio_done(task) asks whether it has ended, asyncio_result(task) returns its result (ASYNCIO_ESTATE while it runs), asyncio_task_name(task) its name. asyncio_current_task() returns the running task as a borrowed pointer. asyncio_create_task_with takes options: a name, a stack size, a context, an eager start."
},
{
"title": "Context variables – 2. Tasks",
"url": "docs/guide/2-tasks.html#context-variables",
"text": "A context variable holds a value for a task and for the tasks that it starts, such as the user of a request. asyncio_contextvar_set(&var, value, &token) sets it, asyncio_contextvar_get(&var) reads it, and asyncio_contextvar_reset(&var, token) restores the previous value. A new task starts with a copy of its creator's context. contextvars.h has the rules for callbacks and threads. Next: Results and errors"
},
{
"title": "1. First steps",
"url": "docs/guide/1-first-steps.html#1-first-steps",
"text": "A coroutine is a function that may wait. While it waits, other coroutines run on the same thread. This one waits for a time: docs/guide/code/say_after.c #include <asyncio.h> #include <stdio.h> ASYNC(say_after, double, delay, const char *, what) { int err = asyncio_sleep(delay); if (err) return err; puts(what); return 0; } ASYNC(async_main) { asyncio_task *task1 = asyncio_create_task(say_after(1, \"hello\")); asyncio_task *task2 = asyncio_create_task(say_after(2, \"world\")); asyncio_await(task1); return asyncio_await(task2); } int main(void) { return asyncio_run(async_main()); } ASYNC(name, type, parameter, ...) defines a coroutine function. This one has two parameters; eight is the most. The body is ordinary C. It returns an intptr_t: a value >= 0, or an error below 0. Calling the function, say_after(1, \"hello\"), runs nothing. It stores the arguments and returns an asyncio_coro *. You do one of three things with it: Await it: asyncio_await(say_after(1, \"hello\")) runs it in place, like a function call, and returns its result. Make it a task: asyncio_create_task(say_after(1, \"hello\")) runs it beside the caller (chapter 2). Close it: asyncio_coro_close(coro) frees it unstarted. A coroutine that is forgotten is reported. asyncio_run(coro) makes an event loop and runs the coroutine as its first task, the main task. When that has ended, it cancels the tasks that are left, waits for them, and returns main's result. Two more functions do the same: asyncio_main(coro) ends a main function. It handles SIGTERM too, prints an error with its message, and returns an exit status. Most programs want this one. asyncio_run_with(coro, &options) takes options: debug mode, another stack size, a virtual clock."
},
{
"title": "Plain functions wait, too – 1. First steps",
"url": "docs/guide/1-first-steps.html#plain-functions-wait-too",
"text": "Only a function that is awaited or becomes a task needs ASYNC. The functions that it calls are plain C. Each task has its own stack, so a function ten calls down may wait, and its callers need not know. docs/guide/code/calls.c /* A plain function may wait; only a function that is awaited or becomes a task needs ASYNC. */ #include <asyncio.h> #include <stdio.h> /* An ordinary function with an ordinary result. */ static int pause_between(const char *a, const char *b) { puts(a); int err = asyncio_sleep(0.1); if (err) return err; puts(b); return 0; } /* A coroutine function: calling it stores the arguments and runs nothing. */ ASYNC(add, int, a, int, b) { int err = pause_between(\"adding\", \"added\"); if (err) return err; return a + b; } ASYNC(async_main) { asyncio_coro *coro = add(1, 2); puts(\"made, not started\"); intptr_t sum = asyncio_await(coro); if (sum < 0) return sum; printf(\"the sum is %ld\\n\", (long)sum); return 0; } int main(void) { return asyncio_main(async_main()); } docs/guide/code/calls.out made, not started adding added the sum is 3 So a function that waits looks like any other. The manual tells them apart: a function whose comment says \"Suspends.\" may let other tasks run before it returns, and they may change the data that you share with them. Between two such calls nothing else runs, and you need no lock."
},
{
"title": "What a coroutine may not do – 1. First steps",
"url": "docs/guide/1-first-steps.html#what-a-coroutine-may-not-do",
"text": "Block the thread: sleep, a read from an empty pipe, a long computation. All other tasks wait meanwhile (chapter 12 has a remedy). Wait outside a task. In a callback, or where no loop runs, a call that waits returns ASYNCIO_ENOTASK. Rely on errno across a wait. It belongs to the thread, and other tasks change it. The library never reports through it. Use more stack than it has: 256 KiB by default, of which only the touched part takes memory. Chapter 18 shows what an overflow looks like, and how to ask for more."
},
{
"title": "In several files – 1. First steps",
"url": "docs/guide/1-first-steps.html#in-several-files",
"text": "ASYNC makes a static function. To share one, put ASYNC_DECLARE(name, type, parameter, ...); into a header, and ASYNC_DEFINE(name, type, parameter, ...) { } into one source file. A parameter that is an array or a pointer to a function needs a typedef or __typeof__. Without macros, asyncio_coro_new(fn, arg, drop) makes a coroutine of a function intptr_t fn(void *arg); chapter 3 has an example. Next: Tasks"
},
{
"title": "libasyncio",
"url": "index.html#libasyncio",
"text": "Python's asyncio, natively in C, for Linux. Coroutines are ordinary C functions with stacks of their own. So a program that waits for many things at once reads from top to bottom, without callbacks, state machines or threads. Names and meanings are asyncio's. docs/guide/code/say_after.c #include <asyncio.h> #include <stdio.h> ASYNC(say_after, double, delay, const char *, what) { int err = asyncio_sleep(delay); if (err) return err; puts(what); return 0; } ASYNC(async_main) { asyncio_task *task1 = asyncio_create_task(say_after(1, \"hello\")); asyncio_task *task2 = asyncio_create_task(say_after(2, \"world\")); asyncio_await(task1); return asyncio_await(task2); } int main(void) { return asyncio_run(async_main()); } It prints hello after one second and world after two: both tasks sleep at the same time. To try it, you need git, gcc and make. On Debian the first make installs what else it needs (as root or with sudo), and says so: make demo # builds the library and runs the first five examples make check # runs the test suite"
},
{
"title": "What it gives – libasyncio",
"url": "index.html#what-it-gives",
"text": "Straight-line code. Any C function may wait, at any depth of calls. Loops, locals and return work as usual. Cancellation that arrives. A request to cancel passes down through the tasks that a task awaits, ends the call that waits, and is never lost. Neither is a result that was complete before it. Timeouts and structure. A timeout is a block. A task group is a block that ends when all its tasks have ended. A shield, which Python lacks, is a block that no cancel from outside interrupts. Nothing fails in silence. A failed task that nobody awaited, a coroutine that never started, a stack overflow, in debug mode a deadlock: each report has a name and the line that made the task. A hang explains itself. asyncio pstree PID shows, from outside and without a stop, what every task waits for and who waits for whom, with C stacks; a deadlock is its first line. Chapter 18 shows it. Tools that work. gdb goes to any task, running or waiting, live or in a core file. The address, undefined-behaviour and thread sanitizers and Valgrind follow the switches. Under a virtual clock a test of an hour takes no time, and a seed replays an order of tasks. A network in the test. asyncio_sim_run runs unchanged servers and clients in a simulated network, by seeds, with losses, pieces, partitions and crashes. A failure is replayed by its seed, and shrunk to the one decision that matters. Each cancel and each failing call can be tried in turn. A network to build on. Streams with limits and backpressure, servers with an orderly shutdown, names with happy eyeballs, datagrams, TLS; files and child processes in the same manner. A bad peer causes an error with a message, and nothing worse. All processors, if you like. asyncio_run_loops runs a loop for each; a task awaits a coroutine on another loop, and a server gives each loop its share of the clients. Little else. Your code runs on one thread, unless it asks for more. Other threads only look up names, and make the file calls that would block. The library needs only libc; TLS is a second library, on OpenSSL."
},
{
"title": "Beside Python – libasyncio",
"url": "index.html#beside-python",
"text": "Python C async def fetch(url, n): ASYNC(fetch, const char *, url, int, n) x = await fetch(url, 3) intptr_t x = asyncio_await(fetch(url, 3)); t = asyncio.create_task(fetch(url, 3)) asyncio_task *t = asyncio_create_task(fetch(url, 3)); a, b = await asyncio.gather(f(), g()) err = asyncio_gather(results, f(), g()); async with asyncio.timeout(2): ASYNCIO_TIMEOUT(err, 2) { } x = await asyncio.wait_for(t, 2) intptr_t x = asyncio_wait_for(t, 2); async with asyncio.TaskGroup() as g: ASYNCIO_TASK_GROUP(g, err) { } g.create_task(f()) asyncio_task_group_create_task(&g, f()); t.cancel() asyncio_cancel(t); except asyncio.CancelledError: if (err == -ECANCELED) raise ValueError(\"no digits\") return asyncio_raise(-EINVAL, \"no digits\"); asyncio.run(main()) asyncio_run(async_main()); docs/parity.md lists every name of asyncio, what it is called here, what differs and why."
},
{
"title": "For Python programs – libasyncio",
"url": "index.html#for-python-programs",
"text": "The same loop runs programs of Python's asyncio, unchanged, and coroutines in C are awaited from Python: make python # needs Python 3.11 or later, and its headers export PYTHONPATH=build/release/python # or `make install` python3 -m libasyncio python/examples/say_after.py In a program: libasyncio.run(main()) in place of asyncio.run(main()). All 1,108 tests of CPython 3.11's own suite that make a loop pass on it (docs/python-suites.md); aiohttp, uvicorn and websockets run on it. Chapter 19 is for its users, chapter 20 for authors of extension modules."
},
{
"title": "Errors and cancellation – libasyncio",
"url": "index.html#errors-and-cancellation",
"text": "A call that can wait returns a signed number: a value >= 0, or an error below 0, -errno or one of ASYNCIO_E*. -ECANCELED is CancelledError and -ETIMEDOUT is TimeoutError. The library never sets errno. An error may have a message: asyncio_raise(err, \"...\") attaches it, asyncio_error_message() reads it after the await, and reports show it. One call that waits delivers a request to cancel, as -ECANCELED. Clean up, and return it. A call that can complete at once does so. The request then stays for the next call that waits. A grant is kept: a task that was handed a lock, an item or a result gets it, and its next wait is cancelled. A task that is cancelled before it starts still runs, and its first wait fails. So it can free its arguments. asyncio_await, gather, wait_for and similar calls take your reference to the task; asyncio_ref keeps one. NULL stands for \"out of memory\": awaiting it returns -ENOMEM. So making tasks needs no check. A failure that nobody looks at goes to the loop's exception handler, which by default prints a line on stderr."
},
{
"title": "In a project of your own – libasyncio",
"url": "index.html#in-a-project-of-your-own",
"text": "make lib && sudo make install # below /usr/local, or PREFIX=dir; DESTDIR is honoured; sudo make uninstall cc program.c $(pkg-config --cflags --libs asyncio) # or asyncio-tls, for TLS There is a shared and a static library, and one header, <asyncio.h>. It needs gcc or clang, and C11 or C++17 or later; in C++ tasks may wait inside catch, too. Meson: dependency('asyncio') and, after it, dependency('asyncio-tls') find the installed libraries, or the tree in subprojects/asyncio, which then builds the libraries alone. CMake: find_package(asyncio) gives the targets asyncio::asyncio and asyncio::tls; set asyncio_USE_STATIC_LIBS for static ones. One file: make single puts all sources (without TLS) into asyncio.c and asyncio.h. Compile with cc -O2 -c asyncio.c, link with -pthread -lm. More to read: The guide: short chapters for a C programmer, with complete programs examples/: programs to copy from include/asyncio/: the headers, the manual of every function; also as pages: man asyncio make docs: all of this as web pages, in build/docs, with a search docs/internals/: how it works inside CONTRIBUTING.md: how to build, test and change it"
},
{
"title": "What is there, and what is not yet – libasyncio",
"url": "index.html#what-is-there-and-what-is-not-yet",
"text": "These parts are complete, and tested at every place where a call can fail or be cancelled: coroutines, tasks and futures; sleep, gather, wait, as_completed, wait_for; cancellation, timeouts, task groups, shields; locks, events, conditions, semaphores, barriers and queues; context variables; twins of the system calls on descriptors and sockets that wait; names; streams over TCP, Unix sockets and pipes; servers; datagrams; TLS; files; child processes and signals; the loop with callbacks and timers, calls from other threads and from signal handlers, work in other threads, several loops, a loop inside another one; runners; debug mode, the virtual clock, seeded orders. This is version 0.1: the names are settled, the rest grows."
},
{
"title": "Performance – libasyncio",
"url": "index.html#performance",
"text": "Tasks switch to each other directly, by one function in assembly. make bench measures on your machine, beside a yardstick in bare assembly, Go, State Threads, Boost.Fiber, libuv, nginx, asyncio and uvloop. docs/benchmarks.md has our results, and the machine."
},
{
"title": "Platforms – libasyncio",
"url": "index.html#platforms",
"text": "Linux on x86-64, AArch64 and RISC-V 64; configuring for any other target fails. The suite runs with glibc and with musl (make check-musl)."
},
{
"title": "Licence – libasyncio",
"url": "index.html#licence",
"text": "MIT: see LICENSE."
}
];
