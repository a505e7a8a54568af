"""A program built without some of its modules says so, and does what is left."""
import sys
sys.dont_write_bytecode = True
from lib import *


@test
def without_fs_there_is_nothing_to_serve(folder):
    if "fs" in built_in():
        raise Skip("this program has fs")
    refuses(2, r"^serval: error\[U004\]: .*: this serval was built without the fs module$", "-p0", folder)


@test
def without_access_log_a_log_is_refused_and_files_are_served(folder):
    if "access_log" in built_in():
        raise Skip("this program has access_log")
    refuses(2, "built without the access_log module", "-p0", "--log", "pretty", folder)
    refuses(2, "built without the access_log module", "-p0", "--log-file", folder + "/x.log", folder)
    if "fs" in built_in():
        write(folder + "/x", "body")
        for args in ((), ("--log", "off"), ("--log", "auto"), ("-q",)):
            path = folder + "/s.sock"
            with Serval(folder, *args, listen=("unix:" + path,), wait=False):
                eventually(lambda: os.path.exists(path), "a socket")
                equal(curl("--unix-socket", path, "--retry", "20", "--retry-connrefused",
                           "http://localhost/x"), b"body")


main(needs=())
