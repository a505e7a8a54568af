"""--user and --sandbox: what serving needs still works, the rest is gone. unit/test_sandbox.c tries what is
forbidden. And what the compiler and the linker were asked for is in the program."""
import sys
sys.dont_write_bytecode = True
from lib import *


def status_of(pid, name):
    with open("/proc/%d/status" % pid) as file:
        return re.search(r"^%s:[ \t]*(.*)$" % name, file.read(), re.M).group(1).split()


def boxed(folder, *args, **more):
    """A server in its sandbox. LeakSanitizer looks for leaks from another process, which is forbidden."""
    env = dict(os.environ, ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0")
    s = Serval(folder, "--sandbox", *args, wait=False, env=env, **more)
    eventually(lambda: "\n" in s.out or s.process.poll() is not None, "a ready line, or an end")
    if s.process.poll() is not None:
        equal(s.wait(), 3, s.err)
        matches(r"sandbox: (this kernel|this build)", s.err)
        raise Skip("this kernel has no Landlock")
    s.wait_ready()
    return s


@test
def files_are_served_from_within_the_sandbox(folder):
    os.mkdir(folder + "/www")
    os.mkdir(folder + "/logs")
    write(folder + "/www/small", "body")
    write(folder + "/www/big", b"b" * 3000000)
    write(folder + "/secret", "secret")
    os.symlink(folder + "/secret", folder + "/www/out")
    log = folder + "/logs/access"
    with boxed(folder + "/www", "--log-file", log, "--symlinks", "follow") as s:
        equal(s.get("/small")[2], b"body")
        equal(s.get("/big")[2], b"b" * 3000000)
        assert b"small" in s.get("/")[2]
        assert s.get("/out")[0] in (403, 404), "a link out of the sandbox"
        equal(status_of(s.pid, "NoNewPrivs"), ["1"])
        for thread in os.listdir("/proc/%d/task" % s.pid):
            equal(status_of(int(thread), "Seccomp"), ["2"], "thread " + thread)
    with open(log) as file:
        equal(file.read().count("/small"), 1)


@test
def the_pid_file_is_removed_from_within_the_sandbox(folder):
    os.mkdir(folder + "/www")
    os.mkdir(folder + "/run")
    with boxed(folder + "/www", "--pid-file", folder + "/run/pid") as s:
        equal(os.listdir(folder + "/run"), ["pid"])
        s.stop()
    equal(os.listdir(folder + "/run"), [])


@test
def uploads_archives_and_the_cache_folder_work_in_the_sandbox(folder):
    if not {"basic_auth", "compress"} <= set(built_in()):
        raise Skip("built without basic_auth or compress")
    os.mkdir(folder + "/www")
    os.mkdir(folder + "/kept")
    write(folder + "/www/page.html", "text " * 5000)
    write(folder + "/source", os.urandom(200000))
    made = subprocess.run([BIN, "hash-password", "me"], input="secret\n", text=True, check=True,
                          timeout=DEADLINE, stdout=subprocess.PIPE).stdout.split("\n")
    me = next(line for line in made if line.startswith("me:"))
    with boxed(folder + "/www", "--upload", me, "--archive", "--cache-dir", folder + "/kept") as s:
        equal(curl("-s", "-o", "/dev/null", "-w", "%{http_code}", "-u", "me:secret", "-T", folder + "/source",
                   s.url("/new")), b"201")
        equal(curl(s.url("/new")), open(folder + "/source", "rb").read())
        equal(os.stat(folder + "/www/new").st_mode & 0o777, 0o644)
        assert curl(s.url("/?archive=zip"))[:4] == b"PK\x03\x04"
        equal(s.get("/page.html", headers={"Accept-Encoding": "gzip"})[1]["Content-Encoding"], "gzip")
    equal(sorted(os.listdir(folder + "/www")), ["new", "page.html"])
    equal(len(os.listdir(folder + "/kept")), 1)


@test
def a_unix_socket_is_removed_from_within_the_sandbox(folder):
    write(folder + "/small", "body")
    path = folder + "/x.sock"
    with boxed(folder, listen=("unix:" + path,)):
        with socket.socket(socket.AF_UNIX) as c:
            c.connect(path)
            c.sendall(b"GET /small HTTP/1.0\r\n\r\n")
            assert read_all(c).endswith(b"body")
    assert not os.path.exists(path)


@test
def a_rotated_log_is_opened_anew_within_the_sandbox(folder):
    os.mkdir(folder + "/www")
    os.mkdir(folder + "/logs")
    log = folder + "/logs/access"
    with boxed(folder + "/www", "--log-file", log) as s:
        s.get("/before")
        eventually(lambda: os.path.getsize(log) > 0, "a line")
        os.rename(log, log + ".1")
        s.get("/later")
        eventually(lambda: os.path.exists(log) and "/later" in open(log).read(), "a line in a new file")
    assert "/before" in open(log + ".1").read()


@test
def many_requests_work_in_the_sandbox_as_outside(folder):
    write(folder + "/small", "body")
    with boxed(folder, "--log", "off") as s:
        for _ in range(20):
            answers = s.raw(b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n" * 100 +
                            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            equal(answers.count(b"200 OK"), 101)


@test
def root_becomes_somebody_else(folder):
    if os.geteuid() != 0:
        raise Skip("only root can")
    write(folder + "/small", "body")
    write(folder + "/closed", "body")
    os.chmod(folder + "/closed", 0o600)
    with Serval(folder, "--log", "off", "--user", "65534:65533") as s:
        equal(s.get("/small")[2], b"body")
        equal(s.get("/closed")[0], 403)
        equal(status_of(s.pid, "Uid"), ["65534"] * 4)
        equal(status_of(s.pid, "Gid"), ["65533"] * 4)
        equal(status_of(s.pid, "Groups"), [])


@test
def users_that_do_not_exist_are_refused(folder):
    refuses(2, "no such user", "-l", "127.0.0.1:0", "--user", "no-such-user", folder)


@test
def the_program_is_hardened(folder):
    """Position independent, read-only after relocation, no executable stack, checked buffers, and no names of
    ours that other libraries could bind to."""
    if not shutil.which("readelf"):
        raise Skip("no readelf")

    def elf(*args):
        return subprocess.run(["readelf", "-W", *args, BIN], stdout=subprocess.PIPE, check=True,
                              timeout=DEADLINE).stdout.decode()
    matches(r"Type: +DYN", elf("-h"))
    segments = elf("-l")
    matches(r"GNU_RELRO", segments)
    matches(r"GNU_STACK .* RW ", segments)
    matches(r"BIND_NOW|FLAGS_1.*NOW", elf("-d"))
    if not SANITIZED:
        symbols = elf("--dyn-syms")
        matches(r"__stack_chk_fail", symbols)
        equal(re.findall(r"GLOBAL +DEFAULT +\d+ (svl_\w+)", symbols), [], "exported names")
        with open(os.path.join(os.environ.get("SERVAL_BUILD", "/"), "CMakeCache.txt")) as cache:
            if "CMAKE_BUILD_TYPE:STRING=Release" in cache.read():
                matches(r"__\w+_chk\b", symbols.replace("__stack_chk", ""))  # _FORTIFY_SOURCE


main()
