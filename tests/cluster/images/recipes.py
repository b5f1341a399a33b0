"""What is in each image: packages, what is left out of them, and the little that install scripts would do.

Every image lies upon the same two layers (busybox; the C library and friends): a node unpacks those once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.cluster.images.oci import Run
from tests.cluster.images.tree import Tree

REPOSITORY = "docker.io/intellect"
TAG = "1"


def reference(name: str) -> str:
    """The name by which a pod asks for the image."""
    return f"{REPOSITORY}/{name}:{TAG}"


USERS = {"root": 0, "www-data": 33, "postgres": 70, "redis": 999, "app": 1000, "nobody": 65534}

RUNTIME = ("libc6", "libgcc-s1", "libstdc++6", "zlib1g", "libcrypt1", "libssl3")
"""The shared layer under every image that holds more than busybox."""


def words(text: str) -> tuple[str, ...]:
    """A long table of names, written as one text."""
    return tuple(text.split())


INSTALLERS = words(
    """
    adduser debconf dpkg init-system-helpers lsb-base passwd perl* libperl* lib*-perl
    libpam-modules* libpam-runtime libsemanage* libsepol* sensible-utils sysvinit-utils tar ucf
    usrmerge util-linux* libdb5* libgdbm* readline-common libc-bin libc-l10n locales
    """
)
"""Packages that only install scripts use: nothing is installed here, so none of them is needed."""

PAPERS = words(
    """
    usr/share/doc/* usr/share/man/* usr/share/locale/* usr/share/info/* usr/share/lintian/*
    usr/share/bug/* usr/share/doc-base/* usr/share/perl5/* etc/init.d/* etc/logrotate.d/*
    usr/lib/systemd/* etc/default/* etc/apparmor.d/* */__pycache__/* usr/share/i18n/*
    usr/share/zoneinfo/posix/* usr/share/zoneinfo/right/* usr/lib/*/gconv/*
    """
)
"""Files that no program reads."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image."""

    run: Run
    packages: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    finish: Callable[[Tree], None] | None = None
    proof: tuple[str, ...] = ("/bin/busybox", "true")
    """A command that ends well in the image if its program really runs."""


def foundation(tree: Tree, applets: list[str]) -> None:
    """What busybox's package leaves to others: directories, accounts, and a name for every applet."""
    tree.merge_usr()
    for directory in ("dev", "etc", "home", "opt", "proc", "root", "run", "srv", "sys", "var/lib", "var/log"):
        tree.directory(directory)
    for directory in ("tmp", "var/tmp"):
        tree.directory(directory, 0o1777)
    tree.link("var/run", "/run")
    homes = {"root": "/root", "postgres": "/var/lib/postgresql", "app": "/home/app"}
    accounts = [f"{name}:x:{uid}:{uid}::{homes.get(name, '/')}:/bin/sh" for name, uid in USERS.items()]
    tree.file("etc/passwd", "\n".join(accounts) + "\n")
    tree.file("etc/group", "".join(f"{name}:x:{uid}:\n" for name, uid in USERS.items()))
    tree.file("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
    tree.directory("home/app", owner=USERS["app"])
    for applet in applets:
        if applet != "busybox":
            tree.link(f"bin/{applet}", "busybox")


NGINX_CONF = """\
user www-data;
worker_processes 1;
pid /run/nginx.pid;
error_log /dev/stderr notice;
events { worker_connections 256; }
http {
  include /etc/nginx/mime.types;
  access_log /dev/stdout;
  include /etc/nginx/conf.d/*.conf;
}
"""

NGINX_SITE = """\
server {
  listen 80;
  root /usr/share/nginx/html;
}
"""


def _nginx(tree: Tree) -> None:
    tree.file("etc/nginx/nginx.conf", NGINX_CONF)
    tree.file("etc/nginx/conf.d/default.conf", NGINX_SITE)
    tree.file("usr/share/nginx/html/index.html", "<h1>nginx</h1>\n")
    for directory in ("body", "proxy", "fastcgi", "uwsgi", "scgi"):
        tree.directory(f"var/lib/nginx/{directory}", 0o755, USERS["www-data"])
    tree.directory("var/log/nginx", 0o755, USERS["www-data"])


def _redis(tree: Tree) -> None:
    tree.directory("data", owner=USERS["redis"])


def _java(tree: Tree) -> None:
    (java,) = tree.matching("usr/lib/jvm/java-*/bin/java")
    tree.link("usr/bin/java", f"/{java}")


POSTGRES_START = """\
#!/bin/sh
# Make the database on the first start, then become the server.
set -e
: "${PGDATA:=/var/lib/postgresql/data}"
method=trust
[ -z "$POSTGRES_PASSWORD" ] || method=scram-sha-256
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  printf '%s\\n' "${POSTGRES_PASSWORD:-unused}" > /tmp/.password
  initdb -D "$PGDATA" -U postgres --no-locale -E UTF8 -A "$method" \\
    --pwfile=/tmp/.password --no-sync > /dev/null
  rm /tmp/.password
  echo "host all all all $method" >> "$PGDATA/pg_hba.conf"
fi
exec postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/tmp "$@"
"""


def _postgres(tree: Tree) -> None:
    (server,) = tree.matching("usr/lib/postgresql/*/bin/postgres")
    for path in tree.matching(server.removesuffix("postgres") + "*"):
        tree.link(f"usr/local/bin/{path.rpartition('/')[2]}", f"/{path}")
    tree.file("usr/local/bin/start-postgres", POSTGRES_START, 0o755)
    tree.directory("var/lib/postgresql", 0o755, USERS["postgres"])
    tree.directory("var/lib/postgresql/data", 0o700, USERS["postgres"])


PAUSE = "trap 'exit 0' TERM INT; while :; do sleep 2147483647 & wait $!; done"
"""As process 1 it is sent signals that only a handler makes it heed, and reaps what is orphaned to it."""

DESKTOP = words(
    """
    ca-certificates* java-common openssl fontconfig-config fonts-* libasound2-data libavahi*
    libcups2 libdbus* libglib2* libgnutls* libhogweed* libnettle* libp11* libidn2* libunistring*
    libkrb5* libk5crypto* libgssapi* libsystemd* libgcrypt* libmount* libblkid* libsmartcols*
    libselinux* libpcre2* libudev* libgmp* libtasn1* x11-common libx11* libxau* libxcb* libxdmcp*
    libnss3 libnspr4 libsqlite3-0
    """
)
"""What a JRE without a screen, a printer or a smart card never loads."""

RECIPES: dict[str, Recipe] = {
    "pause": Recipe(Run(entrypoint=("/bin/sh", "-c", PAUSE))),
    "shell": Recipe(Run(command=("/bin/sh",))),
    "python": Recipe(
        Run(command=("python3",), env=(("PYTHONUNBUFFERED", "1"),)),
        packages=("python3",),
        skipped=(
            "libselinux*",
            "libacl*",
            "libpcre2*",
            "libmd0",
            "libzstd*",
            "media-types",
            "libtirpc*",
            "libnsl*",
        ),
        finish=lambda tree: tree.link("usr/bin/python", "python3"),
        proof=(
            "/usr/bin/python3",
            "-c",
            "import ssl, json, sqlite3, http.server, decimal, lzma, bz2, readline",
        ),
    ),
    "node": Recipe(
        Run(command=("node",)),
        packages=("nodejs",),
        proof=("/usr/bin/node", "-e", "require('http'); require('crypto').randomUUID()"),
    ),
    "jre": Recipe(
        Run(command=("java", "-version")),
        packages=("default-jre-headless",),
        skipped=DESKTOP,
        finish=_java,
        proof=("/usr/bin/java", "-Xmx32m", "-version"),
    ),
    "nginx": Recipe(
        Run(command=("nginx", "-g", "daemon off;"), ports=(80,)),
        packages=("nginx",),
        skipped=(
            "iproute2",
            "libbpf*",
            "libelf*",
            "libmnl*",
            "libxtables*",
            "libcap2*",
            "libtirpc*",
            "libselinux*",
        ),
        finish=_nginx,
        proof=("/usr/sbin/nginx", "-t"),
    ),
    "redis": Recipe(
        Run(command=("redis-server", "--protected-mode", "no"), user="redis", workdir="/data", ports=(6379,)),
        packages=("redis-server",),
        skipped=("libselinux*", "libacl*", "libpcre2*", "libmd0"),
        finish=_redis,
        proof=("/usr/bin/redis-server", "--version"),
    ),
    "postgres": Recipe(
        Run(entrypoint=("start-postgres",), user="postgres", workdir="/var/lib/postgresql", ports=(5432,)),
        packages=("postgresql",),
        skipped=(
            "ssl-cert",
            "openssl",
            "netbase",
            "logrotate",
            "cron*",
            "libllvm*",
            "libz3*",
            "postgresql-common",
            "postgresql-client-common",
            "libselinux*",
            "libacl*",
            "libmd0",
            "ca-certificates",
            "iproute2",
        ),
        dropped=("usr/lib/postgresql/*/lib/bitcode/*", "*llvmjit*"),
        finish=_postgres,
        proof=("/usr/local/bin/postgres", "--version"),
    ),
}

__all__ = ["INSTALLERS", "PAPERS", "RECIPES", "RUNTIME", "USERS", "Recipe", "foundation", "reference"]
