"""
gdb and the tasks of libasyncio: of a live process, a remote one, and a core file.

    info asyncio-tasks [GLOB]     lists tasks, and what each waits for
    asyncio-task N                goes to a suspended task: bt, frame, up, info locals show it from then on
    asyncio-task N COMMAND        runs one command there, as in `asyncio-task 4 bt`
    asyncio-task all COMMAND      the same in each task
    asyncio-task 0                goes back to the thread
    asyncio-tree                  who awaits whom

Tasks, futures, locks and queues are printed in words. gdb loads this file together with the shared library,
where it is installed for that; else `source` it. It reads memory by the debug descriptor
(src/core/descriptor.h), needs no debug information of the library, and writes nothing: registers stay as they
are. gdb 9 or later.
"""
import fnmatch
import re
import struct

import gdb
from gdb.unwinder import Unwinder

# ---- Memory --------------------------------------------------------------------------------------


def read_bytes(address, count):
    return bytes(gdb.selected_inferior().read_memory(address, count))


def word(address):
    return struct.unpack('<Q', read_bytes(address, 8))[0]


def half(address):
    return struct.unpack('<I', read_bytes(address, 4))[0]


def text(address):
    try:
        return gdb.Value(address).cast(gdb.lookup_type('char').pointer()).string(errors='replace', length=-1)
    except gdb.error:
        return ''


def clean(words):
    """What a terminal would obey becomes '?'."""
    return re.sub('[\0-\x1f\x7f-\x9f]', '?', words)


# ---- The debug descriptor ------------------------------------------------------------------------

GROUPS = [
    ('loop', 'size node thread current turn ready_count timer_count tasks task_count now_ns'),
    ('future', 'size refs kind done result site waiters'),
    ('task', 'size node name id steps type wait sp stack cancels must_cancel'),
    ('type', 'size start site args'),
    ('site', 'size file func line'),
    ('wait', 'size node task kind object since_ns state kind_name'),
    ('stack', 'size low top'),
    ('context', 'return_address frame_pointer size'),
]
SHAPES_FROM = 300  # where the later part begins that tells shapes
WORDS, FUTURE, OBJECT, FUTURES, GROUP, LOCK, LOCK_OF, QUEUE, SEMAPHORE, BARRIER, DESCRIPTOR, SERVER, WORK, \
    PROCESS, SIGNAL, CASES = range(16)


class Descriptor:
    """Offsets of all that is read, as descriptor.loop['tasks']."""

    def __init__(self, address):
        magic, version, size, self.runtime = struct.unpack('<8sIIQ', read_bytes(address, 24))
        if magic != b'asyncio\0' or version != 1:
            raise gdb.GdbError(f'the debug descriptor of libasyncio has version {version}; this file knows 1')
        at = 24
        for name, fields in GROUPS:
            fields = fields.split()
            numbers = struct.unpack(f'<{len(fields)}I', read_bytes(address + at, 4 * len(fields)))
            setattr(self, name, dict(zip(fields, numbers)))
            at += 4 * len(fields)
        self.registers, self.shape, self.scopes, self.loop_id = {}, None, None, None
        if size >= 452:
            self.loop_id = half(address + 232)
            self.scopes = half(address + 268)
            fields = 'size outer kind deadline is_timeout is_group is_shield'.split()
            self.scope = dict(zip(fields, struct.unpack('<7I', read_bytes(address + 272, 28))))
            numbers = struct.unpack('<3I', read_bytes(address + 300, 12))
            self.shape = dict(zip(('kind', 'deadline', 'at'), numbers))
            self.group = word(address + 312)
            pairs = struct.iter_unpack('<HH', read_bytes(address + 320, 4 * half(address + 448)))
            self.registers = dict(pairs)
        fields = 'loop_sp innermost outer creator outer_sp'.split()
        numbers = struct.unpack('<5I', read_bytes(address + 484, 20)) if size >= 504 else ()
        self.eager = dict(zip(fields, numbers))

    def shape_of(self, kind):
        """The shape of a kind of wait, and its offsets."""
        if not self.shape or not kind:
            return WORDS, (0, 0, 0, 0)
        return half(kind + self.shape['kind']), struct.unpack('<4I', read_bytes(kind + self.shape['at'], 16))


def find_descriptor():
    for line in gdb.execute('info files', to_string=True).splitlines():
        found = re.match(r'\s*(0x[0-9a-f]+) - 0x[0-9a-f]+ is asyncio_debug\b', line)
        if found and read_bytes(int(found.group(1), 16), 8) == b'asyncio\0':
            return Descriptor(int(found.group(1), 16))
    try:
        return Descriptor(int(gdb.parse_and_eval('(unsigned long)&asyncio_debug_v1')))
    except gdb.error:
        raise gdb.GdbError('there is no libasyncio here, or gdb was not told of the program') from None


def nodes(head):
    """The nodes of a list, which ends where it is broken."""
    node, seen = word(head), set()
    while node and node != head and node not in seen:
        seen.add(node)
        yield node
        node = word(node)


class Task:
    def __init__(self, debug, address, loop):
        self.debug, self.at, self.loop = debug, address, loop
        self.id = word(address + debug.task['id'])
        name = word(address + debug.task['name'])
        self.name = clean(text(name)) if name else f'Task-{self.id}'
        kind_of = word(address + debug.task['type'])
        self.coroutine = text(word(kind_of + debug.type['site'] + debug.site['func'])) if kind_of else '?'
        self.sp = word(address + debug.task['sp'])
        self.wait = word(address + debug.task['wait'])
        self.is_running = loop is not None and loop.current == address
        self.is_creating = loop is not None and address in loop.creators
        if self.is_creating:
            self.sp = loop.creators[address]
        self.kind = self.object = 0
        if self.wait and not self.is_running and read_bytes(self.wait + debug.wait['state'], 1) == b'\0':
            self.kind = word(self.wait + debug.wait['kind'])
            self.object = word(self.wait + debug.wait['object'])
        self.shape, self.offsets = debug.shape_of(self.kind)

    def state(self):
        if self.is_running:
            return 'running'
        if self.is_creating:
            return 'creates'
        if self.kind:
            return text(word(self.kind + self.debug.wait['kind_name']))
        return 'ready' if self.sp else 'starts'

    def __str__(self):
        return f'{self.name} ({self.coroutine}: {self.state()})'


class Loop:
    def __init__(self, debug, address):
        self.debug, self.at = debug, address
        self.id = word(address + debug.loop_id) if debug.loop_id else hex(address)
        self.tid = half(address + debug.loop['thread'])
        self.current = word(address + debug.loop['current'])
        self.creators = dict(self.find_creators())
        tasks = nodes(address + debug.loop['tasks'])
        self.tasks = [Task(debug, node - debug.task['node'], self) for node in tasks]

    def find_creators(self):
        """The tasks that make one which starts eagerly, and their stack pointers."""
        eager = self.debug.eager
        if not eager:
            return
        start, sp = word(self.at + eager['innermost']), word(self.at + eager['loop_sp'])
        for _ in range(64):
            if not start:
                return
            creator = word(start + eager['creator'])
            if creator:
                yield creator, sp
            sp, start = word(start + eager['outer_sp']), word(start + eager['outer'])


def all_loops():
    debug = find_descriptor()
    return [Loop(debug, node - debug.loop['node']) for node in nodes(debug.runtime)]


def all_tasks():
    return [task for loop in all_loops() for task in loop.tasks]


# ---- Words ---------------------------------------------------------------------------------------


def name_object(address):
    """By its symbol, else by its address."""
    found = re.match(r'(.+) in section', gdb.execute(f'info symbol {address}', to_string=True))
    return found.group(1).replace(' + ', '+') if found else hex(address)


def task_with_id(number, tasks):
    return next((task.name for task in tasks if task.id == number), f'Task-{number}, which has ended')


def task_at(address, tasks):
    return next((task for task in tasks if task.at == address), None)


def explain(task, tasks):
    """What a task waits for."""
    at, thing = task.offsets, task.object
    if task.shape == FUTURE:
        other = task_at(thing, tasks)
        return other.name if other else 'a future'
    if task.shape in (LOCK, LOCK_OF):
        lock = thing if task.shape == LOCK else word(thing + at[0]) or thing + at[1]
        owner = word(lock + (at[0] if task.shape == LOCK else at[2]))
        return f'{name_object(lock)}, held by {task_with_id(owner, tasks)}'
    if task.shape == QUEUE:
        count, limit = word(thing + at[0]), word(thing + at[1])
        return f'{name_object(thing)}, {count} ' + ('in it' if limit == 2 ** 64 - 1 else f'of {limit}')
    if task.shape in (OBJECT, SEMAPHORE, BARRIER):
        return name_object(thing)
    if task.shape == DESCRIPTOR:
        return f'fd {half(thing + at[0])}'
    if task.shape in (FUTURES, CASES):
        return f'{word(thing + at[1])} of them'
    if task.shape in (GROUP, SERVER):
        return f'{word(thing + at[0])} left'
    if task.shape == WORK:
        tid = half(thing + at[0])
        return f'on thread {tid}' if tid else 'no thread has begun it'
    if task.shape == PROCESS:
        return f'pid {half(thing + at[0])}'
    if task.shape == SIGNAL:
        return f'signal {half(thing + at[0])}'
    return ''


def below(task, tasks):
    """The tasks that it awaits, or whose group it owns."""
    found, at = [], task.offsets
    if task.shape == FUTURE:
        found.append(task.object)
    elif task.shape in (FUTURES, CASES):
        array, count = word(task.object + at[0]), word(task.object + at[1])
        found += [word(array + i * at[2] + at[3]) for i in range(min(count, 100000))]
    elif task.shape in (GROUP, SERVER):
        found += [word(node + at[2]) for node in nodes(task.object + at[1])]
    debug = task.debug
    scope = word(task.at + debug.scopes) if debug.scopes else 0
    for _ in range(100):
        if not scope:
            break
        if read_bytes(scope + debug.scope['kind'], 1)[0] == debug.scope['is_group'] and debug.group:
            _, group = debug.shape_of(debug.group)
            found += [word(node + group[2]) for node in nodes(scope + group[1])]
        scope = word(scope + debug.scope['outer'])
    return [other for other in map(lambda address: task_at(address, tasks), dict.fromkeys(found)) if other]


# ---- Going to a task -----------------------------------------------------------------------------

# Program counter, stack pointer, frame pointer; then the others by their DWARF numbers.
MACHINES = {
    'i386:x86-64': ('rip', 'rsp', 'rbp', {3: 'rbx', 6: 'rbp', 12: 'r12', 13: 'r13', 14: 'r14', 15: 'r15'}),
    'aarch64': ('pc', 'sp', 'x29', {number: f'x{number}' for number in range(19, 30)}),
    'riscv:rv64': ('pc', 'sp', 'fp',
                   {8: 'fp', 9: 's1', **{number: f's{number - 16}' for number in range(18, 28)}}),
}


class FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class TaskUnwinder(Unwinder):
    """Shows the frames of the chosen task in place of those that called the thread's innermost one."""

    def __init__(self):
        super().__init__('asyncio')
        self.task = self.thread = self.thread_sp = None

    def machine(self, frame):
        name = frame.architecture().name()
        return next((machine for key, machine in MACHINES.items() if name.startswith(key)), None)

    def choose(self, task):
        self.task = None
        gdb.invalidate_cached_frames()
        if task:
            frame = gdb.newest_frame()
            machine = self.machine(frame)
            if not machine:
                raise gdb.GdbError('the registers of this machine are not known here')
            self.thread = gdb.selected_thread().ptid
            self.thread_sp = int(frame.read_register(machine[1]))
            self.task = task
            gdb.invalidate_cached_frames()

    def __call__(self, pending):
        if not self.task or gdb.selected_thread() is None or gdb.selected_thread().ptid != self.thread:
            return None
        pc, sp, frame_pointer, others = self.machine(pending)
        if int(pending.read_register(sp)) != self.thread_sp:
            return None
        debug, at = self.task.debug, self.task.sp

        def value(register, number):
            return gdb.Value(number & (2 ** 64 - 1)).cast(pending.read_register(register).type)

        first_pc = word(at + debug.context['return_address'])
        unwound = pending.create_unwind_info(FrameId(value(sp, at), value(pc, first_pc)))
        unwound.add_saved_register(pc, value(pc, first_pc))
        unwound.add_saved_register(sp, value(sp, at + debug.context['size']))
        caller = word(at + debug.context['frame_pointer'])
        unwound.add_saved_register(frame_pointer, value(frame_pointer, caller))
        for number, offset in debug.registers.items():
            if number in others and others[number] != frame_pointer:
                unwound.add_saved_register(others[number], value(others[number], word(at + offset)))
        return unwound


class ThreadFrameFilter:
    """Hides the thread's own frame, above those of the task."""

    def __init__(self):
        self.name, self.priority, self.enabled = 'asyncio', 100, True
        gdb.frame_filters[self.name] = self

    def filter(self, frames):
        return (frame for frame in frames if not (unwinder.task and frame.inferior_frame().level() == 0)) \
            if hasattr(gdb.Frame, 'level') else frames


unwinder = TaskUnwinder()
gdb.unwinder.register_unwinder(None, unwinder, replace=True)
ThreadFrameFilter()


def forget_task(_event=None):
    """The process runs on: registers and stacks are no longer those."""
    unwinder.task = None


gdb.events.cont.connect(forget_task)
gdb.events.exited.connect(forget_task)


def thread_of(task):
    threads = gdb.selected_inferior().threads()
    return next((thread for thread in threads if thread.ptid[1] == task.loop.tid), None)


def go_to(task):
    """Frame 1 is the innermost of a suspended task; a running one has its thread."""
    thread = thread_of(task) if task.is_running else None
    if task.is_running and not thread:
        raise gdb.GdbError(f'the thread {task.loop.tid} that runs {task} is not there')
    if task.is_running:
        unwinder.choose(None)
        thread.switch()
        return gdb.newest_frame()
    if not task.sp:
        raise gdb.GdbError(f'{task} has not begun, and has no stack yet')
    unwinder.choose(task)
    frame = gdb.newest_frame().older()
    frame.select()
    return frame


# ---- Commands ------------------------------------------------------------------------------------


def is_ours(name):
    return name is not None and name.startswith(('asyncio_', 'asy_'))


def where(task):
    """The innermost frame that is the program's. The library's are known by their names, and by the folder of
    sources that functions with such names came from."""
    frames, frame = [], go_to(task)
    while frame and len(frames) < 50:
        sal = frame.find_sal()
        path = sal.symtab.filename if sal and sal.symtab else ''
        frames.append((frame.name(), path, sal.line if sal else 0))
        frame = frame.older()
    folders = {path[:path.rindex('src/') + 4] for name, path, _ in frames if is_ours(name) and 'src/' in path}
    first = next((i for i, (name, _, _) in enumerate(frames) if name and name.startswith('asyncio_')), -1)
    for name, path, line in frames[first + 1:]:
        if not is_ours(name) and not (folders and path.startswith(tuple(folders))):
            name = re.sub('_coroutine$', '', name or '')
            return f'{name} {path.split("/")[-1]}:{line}' if path else name
    return ''


class InfoTasks(gdb.Command):
    """Lists the tasks of libasyncio, and what each waits for: info asyncio-tasks [GLOB]"""

    def __init__(self):
        super().__init__('info asyncio-tasks', gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        chosen, thread, tasks = unwinder.task, gdb.selected_thread(), all_tasks()
        rows = []
        for task in tasks:
            if argument and not any(fnmatch.fnmatch(word, argument) for word in (task.name, task.coroutine)):
                continue
            try:
                place = where(task)
            except (gdb.error, gdb.GdbError):
                place = ''
            mark = '*' if chosen and chosen.at == task.at else ' '
            rows.append((mark, str(task.id), task.name, task.coroutine, task.state(),
                         explain(task, tasks), place))
        thread.switch()
        unwinder.choose(chosen)
        rows.insert(0, (' ', 'ID', 'NAME', 'COROUTINE', 'STATE', 'WAITS FOR', 'WHERE'))
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        for row in rows:
            print(' '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


class GoToTask(gdb.Command):
    """Goes to a task of libasyncio, or runs a command there:
asyncio-task N [COMMAND], asyncio-task all COMMAND, asyncio-task 0"""

    def __init__(self):
        super().__init__('asyncio-task', gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        number, _, command = argument.strip().partition(' ')
        if number == 'all' and command:
            for task in all_tasks():
                self.run_in(task, command)
        elif number == '0' and not command:
            unwinder.choose(None)
            gdb.newest_frame().select()
        elif number.isdigit():
            task = next((task for task in all_tasks() if task.id == int(number)), None)
            if not task:
                raise gdb.GdbError(f'there is no task {number}')
            if command:
                self.run_in(task, command)
            else:
                go_to(task)
                print(task)
                gdb.execute('frame')
        else:
            raise gdb.GdbError(self.__doc__)

    @staticmethod
    def run_in(task, command):
        before, thread = unwinder.task, gdb.selected_thread()
        print(f'\nTask {task.id}: {task}')
        try:
            go_to(task)
            gdb.execute(command)
        except (gdb.error, gdb.GdbError) as err:
            print(err)
        finally:
            thread.switch()
            unwinder.choose(before)


class Tree(gdb.Command):
    """Shows which task of libasyncio awaits which: asyncio-tree"""

    def __init__(self):
        super().__init__('asyncio-tree', gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for loop in all_loops():
            print(f'loop {loop.id}, thread {loop.tid}: {len(loop.tasks)} tasks')
            under = {task.at: below(task, loop.tasks) for task in loop.tasks}
            owned = {other.at for others in under.values() for other in others}
            shown = set()
            for task in loop.tasks:
                if task.at not in owned:
                    self.show(task, under, loop.tasks, shown, 1)
            for task in loop.tasks:  # those that await each other
                if task.at not in shown:
                    self.show(task, under, loop.tasks, shown, 1)

    def show(self, task, under, tasks, shown, depth):
        words = explain(task, tasks)
        print('   ' * depth + f'{task.id} {task}' + (f' {words}' if words else ''))
        if task.at in shown or depth > 100:
            return
        shown.add(task.at)
        for other in under[task.at]:
            self.show(other, under, tasks, shown, depth + 1)


# ---- Values --------------------------------------------------------------------------------------


class TaskPrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        debug = find_descriptor()
        address = int(self.value)
        if not address:
            return '0x0'
        done = read_bytes(address + debug.future['done'], 1)[0]
        if done:
            result = struct.unpack('<q', read_bytes(address + debug.future['result'], 8))[0]
            return f'{hex(address)} done: {result}'
        task = next((task for task in all_tasks() if task.at == address), None)
        return f'{hex(address)} {task}' if task else f'{hex(address)} a future, not done'


class LockPrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        owner = int(self.value['owner_'])
        return f'held by {task_with_id(owner, all_tasks())}' if owner else 'free'


class QueuePrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        count, limit = int(self.value['items_']['count_']), int(self.value['maxsize_'])
        return f'{count} items' if limit == 2 ** 64 - 1 else f'{count} of {limit} items'


def find_printer(value):
    kind = value.type.strip_typedefs()
    is_pointer = kind.code == gdb.TYPE_CODE_PTR
    name = kind.target().strip_typedefs().tag if is_pointer else kind.tag
    if is_pointer and name in ('asyncio_task', 'asyncio_future'):
        return TaskPrinter(value)
    if not is_pointer and name in ('asyncio_lock', 'asyncio_queue'):
        return LockPrinter(value) if name == 'asyncio_lock' else QueuePrinter(value)
    return None


find_printer.__name__ = 'asyncio'
gdb.pretty_printers[:] = [find_printer] + [printer for printer in gdb.pretty_printers
                                           if getattr(printer, '__name__', '') != 'asyncio']
InfoTasks()
GoToTask()
Tree()
