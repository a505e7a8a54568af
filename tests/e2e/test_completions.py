#!/usr/bin/env python3
"""Completions, in the shells they are for."""
from lib import *

LINES = {  # what is on the command line: what is offered, among others or alone
    "serval --log-": ["--log-file"],
    "serval --listing ": ["json", "off", "on"],
    "serval -P --symlinks ": ["deny", "follow", "inside"],
    "serval hash": ["hash-password"],
    "serval precompress --th": ["--threads"],
    "serval completions z": ["zsh"],
    "serval --auth-file some": ["somedir", "somefile"],
    "serval precompress some": ["somedir"],
    "serval some": ["somedir", "somefile"],
}


def script_of(folder, shell):
    if not shutil.which(shell):
        raise Skip("no " + shell)
    os.mkdir(folder + "/somedir")
    write(folder + "/somefile", "")
    code, out, err = run("completions", shell)
    equal((code, err), (0, ""))
    write(folder + "/script", out)
    return folder + "/script"


def shell(*command, folder, **more):
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=DEADLINE, **more)
    return done.stdout.decode()


@test
def bash_completes(folder):
    script = script_of(folder, "bash")
    for line, offered in LINES.items():
        words = line.split(" ")
        out = shell("bash", "--norc", "-c", 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
                    '_serval; printf "%s\\n" "${COMPREPLY[@]}"', script, *words, folder=folder)
        equal(sorted(out.split()), offered, line)
    out = shell("bash", "--norc", "-c", 'source "$0"; COMP_WORDS=(serval --listing = js); COMP_CWORD=3; '
                '_serval; echo "${COMPREPLY[@]}"', script, folder=folder)
    equal(out, "json\n")


@test
def fish_completes(folder):
    script = script_of(folder, "fish")
    for line, offered in LINES.items():
        out = shell("fish", "--no-config", "-c", 'source "$argv[1]"; complete -C "$argv[2]"', script, line,
                    folder=folder)
        equal(sorted(entry.split("\t")[0].strip("/") for entry in out.splitlines()), offered, line)


@test
def zsh_completes(folder):
    script = script_of(folder, "zsh")
    os.mkdir(folder + "/functions")
    os.rename(script, folder + "/functions/_serval")
    write(folder + "/ask.zsh", """
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1=; fpath=($PWD/functions $fpath); autoload -Uz compinit; compinit -u -d $PWD/dump'
zpty -w shell 'zstyle ":completion:*" list-colors "no=<" ; setopt nolistbeep'
zpty -w shell 'zstyle ":completion:*" insert-tab false' # else a tab with more behind it is a tab
zpty -w shell 'compadd() { if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return; fi
typeset -a hits; builtin compadd -A hits "$@"; print -rl -- "<hit>"${^hits}"</hit>"; builtin compadd "$@" }'
zpty -w shell 'ready=yes; zle-line-init() { print -n "<$ready>" }; zle -N zle-line-init'
zpty -r shell text '*<yes>*' # it edits the line: before, a ^U would be the terminal's
zpty -n -w shell "$1"$'\t'
zpty -n -w shell $'\x15''print "<$ready again>"'$'\n'
zpty -r shell text '*<yes again>*'
print -r -- $text
""")
    for line, offered in LINES.items():
        out = shell("zsh", "-f", "ask.zsh", line, folder=folder)
        hits = set(re.findall("<hit>(.*?)</hit>", out))
        assert set(offered) <= {h.strip("/") for h in hits}, "%r: %r" % (line, out)


main(needs=())
