# shellcheck shell=bash
# Apache Kafka 4.1 in KRaft mode, one node, from Maven Central's jars and Debian's Java.
#
# The jars lie in the checkout's cache, shared by its stacks. Beside them is a class-data archive,
# recorded once by a short training run: with it the broker is ready in under a second.

KAFKA_VERSION=4.1.2
KAFKA_HOME=$CACHE/kafka-$KAFKA_VERSION
KAFKA_ARCHIVE=$KAFKA_HOME/classes.jsa
MVN_COPY=org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies

java_bin() {
  local java
  for java in "${TIDEGATE_JAVA:-}" /usr/lib/jvm/java-17-openjdk-*/bin/java; do
    if [[ -x $java ]]; then printf '%s' "$java"; return; fi
  done
  command -v java || die "no Java found; run deploy/local/install"
}

# Sets KAFKA_JAVA, the command up to the main class. The jars are sorted: an archive is only good
# for the class path that it was recorded with.
kafka_command() {
  local jars=("$KAFKA_HOME"/libs/*.jar)
  KAFKA_JAVA=(env "CLASSPATH=$(IFS=: && printf '%s' "${jars[*]}")" "$(java_bin)"
    -Xms256m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:+ExitOnOutOfMemoryError -Xshare:auto -Xlog:disable "$@"
    -Dorg.slf4j.simpleLogger.defaultLogLevel=warn
    -Dorg.slf4j.simpleLogger.showDateTime=true
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX")
}

# Downloads the jars to a directory beside the final one, then renames it: never half there.
kafka_install() {
  if [[ -e $KAFKA_ARCHIVE ]]; then return 0; fi
  mkdir -p "$CACHE"
  (
    flock 8
    if [[ ! -d $KAFKA_HOME ]]; then kafka_download; fi
    if [[ ! -e $KAFKA_ARCHIVE ]]; then kafka_train; fi
  ) 8>"$CACHE/lock"
}

kafka_download() {
  say "tidegate: fetching Apache Kafka $KAFKA_VERSION from Maven Central (43 MB)"
  local temp repo=()
  temp=$(mktemp -d "$CACHE/kafka.XXXXXX")
  if [[ ! -w ${HOME:-/nonexistent} ]]; then repo=("-Dmaven.repo.local=$CACHE/m2"); fi
  if ! mvn -B -q -Dstyle.color=never "${repo[@]}" -f "$HERE/kafka-pom.xml" "$MVN_COPY" -DincludeScope=runtime \
    -DoutputDirectory="$temp/libs" >"$temp/mvn.log" 2>&1; then
    tail -n 20 "$temp/mvn.log" >&2
    rm -rf "$temp"
    die "Maven could not fetch Kafka (a proxy goes into ~/.m2/settings.xml)"
  fi
  [[ -e $temp/libs/kafka_2.13-$KAFKA_VERSION.jar ]] || die "Maven fetched no kafka_2.13-$KAFKA_VERSION.jar"
  chmod 755 "$temp"
  mv -T "$temp" "$KAFKA_HOME"
}

# Formats and runs a broker once on two free ports, with its loaded classes archived at its end.
kafka_train() (
  say "tidegate: recording Kafka's class archive (once)"
  RUN=$(mktemp -d "$CACHE/train.XXXXXX") LOG=$RUN TIDEGATE_KAFKA_BEHIND=''
  trap 'stop_all kafka; rm -rf "$RUN"' EXIT
  mkdir "$RUN/pid"
  PORT[kafka]=$((20000 + RANDOM % 10000))
  while port_open "${PORT[kafka]}" || port_open $((PORT[kafka] + 1)); do PORT[kafka]=$((PORT[kafka] + 2)); done
  PORT[kafka.admin]=$((PORT[kafka] + 1))
  kafka_prepare
  kafka_command -XX:ArchiveClassesAtExit="$RUN/classes.jsa"
  launch kafka "${KAFKA_JAVA[@]}" kafka.Kafka "$RUN/kafka.properties"
  await 60000 kafka port_open "${PORT[kafka]}"
  stop_all kafka
  [[ -s $RUN/classes.jsa ]] || die "Java wrote no class archive: $(tail -n 3 "$LOG/kafka.log")"
  mv "$RUN/classes.jsa" "$KAFKA_ARCHIVE"
)

# For tests that put a proxy before the broker: each "PORT:PROXY" of TIDEGATE_KAFKA_BEHIND is a further
# listener on PORT that tells its clients to come through PROXY. The later line of a setting wins.
kafka_behind() {
  local pair listeners advertised map
  listeners=$(sed -n 's/^listeners=//p' "$RUN/kafka.properties")
  advertised=$(sed -n 's/^advertised.listeners=//p' "$RUN/kafka.properties")
  map=$(sed -n 's/^listener.security.protocol.map=//p' "$RUN/kafka.properties")
  for pair in "$@"; do
    listeners+=",BEHIND${pair#*:}://127.0.0.1:${pair%:*}"
    advertised+=",BEHIND${pair#*:}://127.0.0.1:${pair#*:}"
    map+=",BEHIND${pair#*:}:PLAINTEXT"
  done
  if (($# > 0)); then
    printf 'listeners=%s\nadvertised.listeners=%s\n' "$listeners" "$advertised"
    printf 'listener.security.protocol.map=%s\n' "$map"
  fi
}

# Writes the settings (the ports may have changed) and formats the data directory once.
kafka_prepare() {
  local text
  text=$(<"$HERE/kafka.properties")
  text=${text//@PORT@/${PORT[kafka]}}
  text=${text//@CONTROLLER@/${PORT[kafka.admin]}}
  printf '%s\n' "${text//@DATA@/"$RUN/kafka"}" >"$RUN/kafka.properties"
  # shellcheck disable=SC2086 # a list
  kafka_behind ${TIDEGATE_KAFKA_BEHIND:-} >>"$RUN/kafka.properties"
  if [[ -e $RUN/kafka.ready ]]; then return 0; fi
  rm -rf "$RUN/kafka"
  kafka_command -XX:SharedArchiveFile="$KAFKA_ARCHIVE"
  local id
  id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | cut -c1-22)
  "${KAFKA_JAVA[@]}" kafka.tools.StorageTool format -t "${id/#-/A}" -c "$RUN/kafka.properties" \
    >"$LOG/kafka-format.log" 2>&1 || { cat "$LOG/kafka-format.log" >&2; die "Kafka's storage could not be formatted"; }
  touch "$RUN/kafka.ready"
}

kafka_start() {
  kafka_prepare
  kafka_command -XX:SharedArchiveFile="$KAFKA_ARCHIVE"
  launch kafka "${KAFKA_JAVA[@]}" kafka.Kafka "$RUN/kafka.properties"
  await 30000 kafka port_open "${PORT[kafka]}"
}

kafka_wipe() { rm -rf "$RUN/kafka" "$RUN"/kafka.{ready,properties} "$RUN/topics.ready"; }
